/* Starting mpirun with the flags that this program needs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/heap.h"
#include "cli/cli.h"

/* The command line without -n N, in every way that it can be written. */
static size_t without_n(char **out, int argc, char **argv)
{
    size_t n = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-n") == 0) {
            i++;
            continue;
        }
        if (strncmp(argv[i], "-n", 2) == 0 && argv[i][2] >= '0' && argv[i][2] <= '9')
            continue;
        out[n++] = argv[i];
    }
    return n;
}

static void print_quoted(const char *word)
{
    fputs(" '", stderr);
    for (; *word; word++) {
        if (*word == '\'')
            fputs("'\\''", stderr);
        else
            fputc(*word, stderr);
    }
    fputc('\'', stderr);
}

static void print_word(const char *word)
{
    if (word[strcspn(word, " '\"\\$&|;<>()*?[]#~`\t\n")] == 0 && *word)
        fprintf(stderr, " %s", word);
    else
        print_quoted(word);
}

bool bq_cli_is_nested(uint32_t n_ranks, const struct bq_cli *cli)
{
    bool is = cli->is_launched && n_ranks > 0;
    if (is && !cli->is_silent)
        fprintf(stderr, "banquet: a launcher has already started the ranks: leave out -n %u\n",
                n_ranks);
    return is;
}

int bq_launch(uint32_t n_ranks, const struct bq_cli *cli)
{
    static char program[4096];
    char ranks[16];
    /* Every cook wants a core of its own, and which is our business: no binding by mpirun.
     * More ranks than cores is fine, because nobody here waits on a core. */
    const char *flags[] = {"mpirun", "-n", ranks, "--bind-to", "none", "--oversubscribe"};
    char **argv = bq_alloc((size_t)cli->argc + 16, sizeof *argv);
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    if (!argv || len <= 0)
        return BQ_EXIT_FAILED;
    program[len] = 0;
    snprintf(ranks, sizeof ranks, "%u", n_ranks);
    size_t n = 0;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        argv[n++] = (char *)flags[i];
    if (geteuid() == 0)
        argv[n++] = "--allow-run-as-root";
    argv[n++] = program;
    n += without_n(argv + n, cli->argc, cli->argv);
    argv[n] = NULL;
    fprintf(stderr, "starting:");
    for (size_t i = 0; i < n; i++)
        print_word(argv[i]);
    fprintf(stderr, "\n");
    fflush(stderr);
    /* Inside mpirun every rank believes that it has a terminal; only we know. */
    if (isatty(STDERR_FILENO))
        setenv("BANQUET_TERMINAL", "1", 1);
    execvp(argv[0], argv);
    fprintf(stderr, "banquet: cannot start mpirun: %s; install Open MPI (Debian: openmpi-bin)\n",
            strerror(errno));
    bq_free(argv);
    return BQ_EXIT_FAILED;
}
