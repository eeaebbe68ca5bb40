/* Starting mpirun with the flags that this program needs, and again when the run died. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/heap.h"
#include "cli/launch.h"

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

static void print_command(char **argv)
{
    fprintf(stderr, "starting:");
    for (size_t i = 0; argv[i]; i++)
        print_word(argv[i]);
    fprintf(stderr, "\n");
    fflush(stderr);
}

/* What happened to a run whose rank 0 left no exit code. */
static void say_died(const struct bq_launched *end)
{
    if (end->was_first || (WIFEXITED(end->status) && WEXITSTATUS(end->status) == 0))
        fprintf(stderr, "banquet: the run died: rank 0 ended before its time (it was killed, it "
                        "crashed, or memory ran out)\n");
    else if (WIFSIGNALED(end->status))
        fprintf(stderr, "banquet: the run died: mpirun was ended by signal %d (%s)\n",
                WTERMSIG(end->status), strsignal(WTERMSIG(end->status)));
    else
        fprintf(stderr, "banquet: the run died: mpirun ended with status %d\n",
                WEXITSTATUS(end->status));
}

/* The exit code of a run in which rank 0 did not begin. */
static int failed_to_start(const struct bq_launched *end)
{
    int status = WIFEXITED(end->status) ? WEXITSTATUS(end->status) : BQ_EXIT_FAILED;
    if (status == 0)
        fprintf(stderr, "banquet: it is not known how the run ended: rank 0 has another TMPDIR, or "
                        "runs on another machine; start mpirun yourself, without -n\n");
    else
        fprintf(stderr, "banquet: mpirun could not start the ranks\n");
    return BQ_EXIT_FAILED;
}

/* Runs it, again when it died. The same command goes on from what was saved. */
static int run_often(char **argv, const struct bq_exec_options *options)
{
    struct bq_error err = {0};
    struct bq_launched end;
    for (uint32_t n = 0;; n++) {
        if (bq_launch_run(argv, options->silence_s, &end, &err) < 0)
            return bq_cli_complain(&err);
        bool is_lost = end.has_code && end.code == BQ_EXIT_LOST; /* rank 0 said why */
        if (end.has_code && !is_lost)
            return end.code;
        if (end.stop)
            return end.is_forced ? 128 + end.stop : BQ_EXIT_STOPPED;
        if (!end.has_begun)
            return failed_to_start(&end);
        if (!is_lost)
            say_died(&end);
        if (n == options->n_restarts)
            return BQ_EXIT_FAILED;
        fprintf(stderr, "starting again (%u of %u): what was saved is kept\n", n + 1,
                options->n_restarts);
        setenv("BANQUET_RESTARTED", "1", 1); /* what --fresh did not want is gone by now */
    }
}

int bq_launch(uint32_t n_ranks, const struct bq_exec_options *options, const struct bq_cli *cli)
{
    static char program[4096];
    char ranks[16];
    /* Every cook wants a core of its own, and which is our business: no binding by mpirun.
     * More ranks than cores is fine, because nobody here waits on a core. The rest: who is left
     * when a rank dies goes on, and leaves without waiting for it. */
    const char *flags[] = {"mpirun",
                           "-n",
                           ranks,
                           "--bind-to",
                           "none",
                           "--oversubscribe",
                           "--enable-recovery",
                           "--mca",
                           "async_mpi_finalize",
                           "1",
                           "--mca",
                           "orte_abort_on_non_zero_status",
                           "0"};
    const size_t n_flags = sizeof flags / sizeof *flags;
    char **argv = bq_alloc((size_t)cli->argc + n_flags + 4, sizeof *argv);
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    if (!argv || len <= 0) {
        bq_free(argv);
        return BQ_EXIT_FAILED;
    }
    program[len] = 0;
    snprintf(ranks, sizeof ranks, "%u", n_ranks);
    size_t n = 0;
    for (size_t i = 0; i < n_flags; i++)
        argv[n++] = (char *)flags[i];
    if (geteuid() == 0)
        argv[n++] = "--allow-run-as-root";
    argv[n++] = program;
    n += without_n(argv + n, cli->argc, cli->argv);
    argv[n] = NULL;
    print_command(argv);
    /* Inside mpirun every rank believes that it has a terminal; only we know. */
    if (isatty(STDERR_FILENO))
        setenv("BANQUET_TERMINAL", "1", 1);
    int code = run_often(argv, options);
    bq_free(argv);
    return code;
}
