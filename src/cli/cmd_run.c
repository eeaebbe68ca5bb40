/* banquet run JOB: run a job. */
#include <stdio.h>

#include "adapters/door_file.h"
#include "adapters/job_file.h"
#include "adapters/vitals.h"
#include "cli/cli.h"
#include "core/graph.h"
#include "run/resolve.h"
#include "run/steps.h"

struct run {
    struct bq_job_options job;
    struct bq_exec_options exec;
    const char *path;
    const struct bq_cli *cli;
};

enum { KEY_DOOR = 512, KEY_DOOR_ADDRESS };

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct run *r = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &r->job;
        state->child_inputs[1] = &r->exec;
        r->exec.is_resumable = true;
        break;
    case ARGP_KEY_ARG:
        if (r->path)
            argp_error(state, "one job at a time: '%s' is one too many", arg);
        r->path = arg;
        break;
    case KEY_DOOR:
        r->exec.door = arg;
        break;
    case KEY_DOOR_ADDRESS:
        r->exec.door_address = arg;
        break;
    case ARGP_KEY_END:
        if (r->exec.door_address && !r->exec.door)
            argp_error(state, "--door-address needs --door FILE");
        if (!r->path)
            argp_error(state, "which job? For example: banquet run jobs/brighten.yaml");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static struct bq_job *read_job(void *context, struct bq_error *err)
{
    struct run *r = context;
    return bq_job_read(r->path, r->cli->registry.kernels, r->cli->registry.n_kernels, &r->job.over,
                       err);
}

/* What can be wrong is said before mpirun is started: once, and without its own lament. */
static int check(struct run *r)
{
    struct bq_error err = {0};
    bq_vitals_alone(NULL);
    struct bq_resolved resolved;
    struct bq_graph graph;
    struct bq_step step;
    struct bq_job *job = read_job(r, &err);
    const struct bq_resume_options options = {.version = BANQUET_VERSION,
                                              .is_fresh = r->exec.is_fresh};
    struct bq_resume *resume = job ? bq_resume_open(job, &options, &err) : NULL;
    int code = 0;
    if (!resume || bq_cli_check_files(r->exec.json, job, &err) < 0 ||
        (r->exec.door && bq_door_file_check(r->exec.door, &err) < 0) ||
        bq_resolve_check(job, r->exec.force, resume, &err) < 0)
        code = bq_cli_complain(&err);
    else if (bq_graph_make(&graph, job, &err) < 0)
        code = bq_cli_complain(&err);
    else if (step = bq_steps_preview(job, &graph, graph.order[0], r->exec.at_once),
             bq_resolve(&resolved, job, &step, r->job.n_ranks - 1,
                        r->exec.force || bq_resume_has_output(resume, graph.order[0]), &err) < 0)
        code = bq_cli_complain(&err);
    else {
        bq_resolved_close(&resolved);
        bq_resume_begin(resume); /* --fresh: a start that dies must not find it again */
    }
    bq_resume_close(resume);
    bq_job_destroy(job);
    return code;
}

int bq_cmd_run(int argc, char **argv, const struct bq_cli *cli)
{
    static const struct argp_child children[] = {
        {&bq_job_argp, 0, NULL, 0}, {&bq_exec_argp, 0, NULL, 0}, {0}};
    static const struct argp_option options[] = {
        {"door", KEY_DOOR, "FILE", 0,
         "Let other kitchens join by `banquet join FILE` while it runs; FILE is made, and has a "
         "key",
         2},
        {"door-address", KEY_DOOR_ADDRESS, "ADDRESS", 0,
         "Where the door listens: an address of this machine, or 0.0.0.0 for all (default: only "
         "this machine can reach it)",
         2},
        {0}};
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "JOB.yaml",
        .doc = "Run a job: a kernel over every chunk of a dataset, or several such steps.\v"
               "Without -n and without mpirun, one process uses all cores.",
        .children = children};
    struct run r = {.cli = cli};
    int code = bq_cli_parse(&argp, argc, argv, &r, cli);
    if (code)
        return code;
    if (bq_cli_is_nested(r.job.n_ranks, cli))
        return BQ_EXIT_USAGE;
    if (r.job.n_ranks > 1) {
        code = check(&r);
        return code ? code : bq_launch(r.job.n_ranks, &r.exec, cli);
    }
    return bq_cli_execute(&r.exec, cli, read_job, &r);
}
