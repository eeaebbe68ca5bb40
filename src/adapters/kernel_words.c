/* Command lines without a shell: words, and running them. */
#include "adapters/kernel_compiler.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/heap.h"

#define BLANKS " \t\n"

void bq_words_add(struct bq_words *words, const char *word)
{
    if (words->n < BQ_MAX_WORDS)
        words->list[words->n] = (char *)word;
    words->n++;
}

int bq_words_split(struct bq_words *words, const char *text, struct bq_error *err)
{
    char *rest, *copy = bq_strdup(text ? text : "");
    if (!copy || words->n_stores == sizeof words->store / sizeof *words->store) {
        bq_free(copy);
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    }
    words->store[words->n_stores++] = copy;
    for (char *word = strtok_r(copy, BLANKS, &rest); word; word = strtok_r(NULL, BLANKS, &rest))
        bq_words_add(words, word);
    return 0;
}

void bq_words_free(struct bq_words *words)
{
    for (size_t i = 0; i < words->n_stores; i++)
        bq_free(words->store[i]);
    *words = (struct bq_words){0};
}

int bq_words_run(struct bq_words *words, enum bq_words_to to, struct bq_error *err)
{
    extern char **environ;
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status;
    if (words->n == 0 || words->n > BQ_MAX_WORDS)
        return bq_fail(err, BQ_EXIT_USAGE, "a command has 1 to %d words, not %zu", BQ_MAX_WORDS,
                       words->n);
    words->list[words->n] = NULL;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc)
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (to == BQ_TO_NOBODY)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (to != BQ_TO_BOTH)
        posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    rc = posix_spawnp(&child, words->list[0], &actions, NULL, words->list, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc)
        return bq_fail(err, BQ_EXIT_USAGE, "'%.100s' cannot be started: %s", words->list[0],
                       strerror(rc));
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return bq_fail(err, BQ_EXIT_FAILED, "waitpid: %s", strerror(errno));
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
