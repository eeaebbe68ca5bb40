/* What the commands share. Each command is a function of (argc, argv, context) -> exit code;
 * argv[0] is the command's name. */
#ifndef BQ_CLI_CLI_H
#define BQ_CLI_CLI_H

#include <argp.h>
#include <stdbool.h>

#include "core/job.h"
#include "run/registry.h"

struct bq_cli {
    struct bq_registry registry;
    bool is_launched; /* one of several processes that an MPI launcher started */
    bool is_silent;   /* not rank 0 of them: says nothing about usage */
    int status;       /* rank 0 of a launcher of ours: where its exit code goes; or -1 */
    int argc;         /* the whole command line */
    char **argv;
};

int bq_cmd_run(int argc, char **argv, const struct bq_cli *cli);
int bq_cmd_join(int argc, char **argv, const struct bq_cli *cli);
int bq_cmd_make(int argc, char **argv, const struct bq_cli *cli);
int bq_cmd_plan(int argc, char **argv, const struct bq_cli *cli);
int bq_cmd_kernels(int argc, char **argv, const struct bq_cli *cli);
int bq_cmd_kernel(int argc, char **argv, const struct bq_cli *cli);
int bq_cmd_demo(int argc, char **argv, const struct bq_cli *cli);
int bq_cmd_view(int argc, char **argv, const struct bq_cli *cli);

/* argp_parse with our exit codes; 0, or the exit code to return. */
int bq_cli_parse(const struct argp *argp, int argc, char **argv, void *input,
                 const struct bq_cli *cli);

/* "banquet: text" on stderr; returns the error's exit code (1 if it has none). */
int bq_cli_complain(const struct bq_error *err);

/* Whether -n was given to a process that a launcher has started already; complains. */
bool bq_cli_is_nested(uint32_t n_ranks, const struct bq_cli *cli);

/* Options that change a job: --input, --output, --set, ... A child parser: its input is this. */
struct bq_job_options {
    struct bq_override over;
    const char *sets[64];
    uint32_t n_ranks;
};
extern const struct argp bq_job_argp;

/* Options of what is executed: --json, --force, ... A child parser likewise. */
struct bq_exec_options {
    const char *json;
    bool force, is_quiet, is_resumable, is_fresh;
    double checkpoint_s; /* below 0: never */
    double grace_s;      /* for chunks on the cooks when it is stopped */
    double silence_s;
    uint32_t max_kitchens, at_once, n_restarts;
    bool is_bound;
    const char *door, *door_address; /* of run alone */
};
extern const struct argp bq_exec_argp;

/* Runs `mpirun -n ..` of the same command without -n, again when it dies or its rank 0 stands still
 * for silence_s, n_restarts times at most. Returns the exit code. */
int bq_launch(uint32_t n_ranks, const struct bq_exec_options *options, const struct bq_cli *cli);

/* Tells a launcher of ours that rank 0 began: for cli->status. */
int bq_status_begin(const struct bq_cli *cli);

/* The exit code is known and all is written; what comes now, like MPI's end, cannot change it. */
void bq_status_end(const struct bq_cli *cli, int code);

/* Whether what a job and --json (NULL: not given) write may be written: nothing that is read, and
 * a report over nothing that is not one. Better known before hours of work. */
int bq_cli_check_files(const char *json, const struct bq_job *job, struct bq_error *err);

/* Whether a file may be made or replaced: its folder is there, and what has the name is empty or
 * begins with `magic` (after blanks, when skips_blanks). what: the option, kind: "a PNG file". */
int bq_cli_check_target(const char *what, const char *path, const char *magic, bool skips_blanks,
                        const char *kind, struct bq_error *err);

/* Runs a job over this process and the other ranks, if there are any, and prints each step's
 * report. make() makes the job; it is called at the coordinator alone. Returns the exit code. */
int bq_cli_execute(const struct bq_exec_options *options, const struct bq_cli *cli,
                   struct bq_job *(*make)(void *context, struct bq_error *err), void *context);

#endif
