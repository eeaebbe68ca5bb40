/* From argv to a command. */
#include "banquet/banquet.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapters/transport.h"
#include "base/heap.h"
#include "base/hint.h"
#include "cli/cli.h"
#include "kernels/kernels.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv, const struct bq_cli *cli);
    const char *summary;
};

static const struct command commands[] = {
    {"run", bq_cmd_run, "run a job: a kernel over every chunk of a dataset"},
    {"join", bq_cmd_join, "cook for a job that runs: run it with --door FILE, then join FILE"},
    {"plan", bq_cmd_plan, "a dry run: chunks, bytes, memory, leases; writes nothing"},
    {"make", bq_cmd_make, "make a dataset, in parallel, from a seed"},
    {"view", bq_cmd_view, "2-D datasets as a picture, side by side"},
    {"kernels", bq_cmd_kernels, "what is built in, or in ./mine.c: parameters, units, defaults"},
    {"kernel", bq_cmd_kernel, "a kernel of your own, `kernel: ./mine.c`: new, check"},
    {"demo", bq_cmd_demo, "concurrency and parallelism in one picture (simulated waits)"},
};
#define N_COMMANDS (sizeof commands / sizeof *commands)

static void help(FILE *out)
{
    fprintf(out,
            "Usage: banquet COMMAND [ARGUMENT...]\n"
            "Runs a C kernel over every chunk of a large HDF5 dataset, on every core of every\n"
            "machine that mpirun or Slurm gives it, with the same bits every time.\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-10s%s\n", commands[i].name, commands[i].summary);
    fprintf(
        out,
        "\n  banquet make photo photo.h5 --size 8192x8192\n"
        "  banquet run jobs/brighten.yaml            one process, all cores\n"
        "  banquet run jobs/brighten.yaml -n 4       a coordinator and 3 kitchens, by mpirun\n\n"
        "`banquet COMMAND --help` has a command's options, `man banquet` everything.\n"
        "Exit codes: 0 done, 1 the machine failed, 2 wrong use, 3 chunks were given up\n"
        "or a loop ended before its condition was true, 75 stopped early.\n");
}

int bq_cli_complain(const struct bq_error *err)
{
    fprintf(stderr, "banquet: %s\n", err->text);
    return err->exit ? (int)err->exit : BQ_EXIT_FAILED;
}

int bq_cli_parse(const struct argp *argp, int argc, char **argv, void *input,
                 const struct bq_cli *cli)
{
    char name[64];
    snprintf(name, sizeof name, "banquet %s", argv[0]);
    argv[0] = name;
    argp_err_exit_status = BQ_EXIT_USAGE;
    error_t code = argp_parse(argp, argc, argv, cli->is_silent ? ARGP_SILENT : 0, NULL, input);
    return code ? BQ_EXIT_USAGE : 0;
}

/* Whether a launcher numbered this process other than 0. */
static bool is_other_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *rank = getenv(names[i]);
        if (rank)
            return strcmp(rank, "0") != 0;
    }
    return false;
}

static int dispatch(int argc, char **argv, const struct bq_cli *cli)
{
    const char *names[N_COMMANDS];
    for (size_t i = 0; i < N_COMMANDS; i++) {
        names[i] = commands[i].name;
        if (strcmp(argv[1], names[i]) == 0)
            return commands[i].run(argc - 1, argv + 1, cli);
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("banquet %s\n", BANQUET_VERSION);
        return BQ_EXIT_OK;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        help(stdout);
        return BQ_EXIT_OK;
    }
    char hint[200], word[BQ_QUOTE];
    if (!cli->is_silent)
        fprintf(stderr, "banquet: %s is no command%s\n", bq_quote(argv[1], word, sizeof word),
                bq_hint(argv[1], names, N_COMMANDS, hint, sizeof hint));
    return BQ_EXIT_USAGE;
}

int bq_program(int argc, char **argv, const struct bq_kernel *const *kernels, size_t n)
{
    struct bq_cli cli = {.is_launched = bq_mpi_is_launched() != 0,
                         .is_silent = is_other_rank(),
                         .argc = argc,
                         .argv = argv};
    cli.status = bq_status_begin(&cli);
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error of write, with a message */
    if (argc < 2) {
        if (!cli.is_silent)
            help(stderr);
        return BQ_EXIT_USAGE;
    }
    /* One's own first: the first of a name is found. */
    const struct bq_kernel **all = bq_alloc(n + bq_n_kernels, sizeof *all);
    if (!all)
        return BQ_EXIT_FAILED;
    for (size_t i = 0; i < n; i++) {
        if (kernels[i]->abi != BQ_KERNEL_ABI) {
            fprintf(stderr,
                    "banquet: kernel '%s' was built for version %u of the kernel interface; this "
                    "is %u\n",
                    kernels[i]->name, kernels[i]->abi, BQ_KERNEL_ABI);
            bq_free(all);
            return BQ_EXIT_USAGE;
        }
        all[i] = kernels[i];
    }
    memcpy(all + n, bq_kernels, bq_n_kernels * sizeof *all);
    cli.registry = (struct bq_registry){.kernels = all, .n_kernels = n + bq_n_kernels};
    /* argv[i] may be replaced while parsing; bq_launch wants it as it came. */
    char **copy = bq_alloc((size_t)argc + 1, sizeof *copy);
    int code = BQ_EXIT_FAILED;
    if (copy) {
        memcpy(copy, argv, (size_t)argc * sizeof *copy);
        code = dispatch(argc, copy, &cli);
    }
    bq_status_end(&cli, code); /* if it was not said */
    if (bq_mpi_must_leave())
        _exit(code);
    bq_free(copy);
    bq_free(all);
    return code;
}
