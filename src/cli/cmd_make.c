/* banquet make KERNEL FILE: a dataset from a seed, by a job of one step that nobody has to write.
 */
#include <stdio.h>
#include <string.h>

#include "adapters/own_kernel.h"
#include "base/heap.h"
#include "base/hint.h"
#include "base/text.h"
#include "cli/cli.h"
#include "run/resolve.h"

enum { KEY_SIZE = 256, KEY_GZIP, KEY_SEED };

struct make {
    struct bq_job_options job;
    struct bq_exec_options exec;
    const struct bq_cli *cli;
    const char *kernel, *file, *size, *gzip, *seed;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct make *m = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &m->job;
        state->child_inputs[1] = &m->exec;
        m->exec.is_resumable = true; /* it has one step: only the lock */
        break;
    case KEY_SIZE:
        m->size = arg;
        break;
    case KEY_GZIP:
        m->gzip = arg;
        break;
    case KEY_SEED:
        m->seed = arg;
        break;
    case ARGP_KEY_ARG:
        if (m->file)
            argp_error(state, "'%s' is one argument too many", arg);
        *(m->kernel ? &m->file : &m->kernel) = arg;
        break;
    case ARGP_KEY_END:
        if (!m->file)
            argp_error(state, "make what, and where? For example: banquet make photo photo.h5");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct bq_kernel *find_maker(const struct make *m, struct bq_error *err)
{
    const char *names[64];
    char hint[200], quote[BQ_QUOTE];
    size_t n = 0;
    for (size_t i = 0; i < m->cli->registry.n_kernels && n < 64; i++) {
        const struct bq_kernel *kernel = m->cli->registry.kernels[i];
        if (!(kernel->flags & BQ_MAKES))
            continue;
        if (strcmp(kernel->name, m->kernel) == 0)
            return kernel;
        names[n++] = kernel->name;
    }
    bq_fail(err, BQ_EXIT_USAGE, "cannot make %s%s", bq_quote(m->kernel, quote, sizeof quote),
            bq_hint(m->kernel, names, n, hint, sizeof hint));
    return NULL;
}

/* The extents of a maker's dataset are its parameters whose unit is "elements", in order. */
static int set_size(struct bq_step *step, const char *text, struct bq_error *err)
{
    uint64_t extent[BQ_MAX_RANK];
    int rank = bq_text_shape(text, extent, BQ_MAX_RANK), n = 0;
    for (size_t i = 0; i < step->kernel->n_params; i++) {
        const struct bq_param *param = &step->kernel->params[i];
        if (strcmp(param->unit, "elements") || param->kind != BQ_INT)
            continue;
        if (n < rank) {
            char digits[24];
            snprintf(digits, sizeof digits, "%llu", (unsigned long long)extent[n]);
            if (bq_param_parse(param, digits, &step->params[i], err) < 0)
                return bq_fail_in(err, "--size %s", text);
        }
        n++;
    }
    if (rank < 0) {
        char quote[BQ_QUOTE];
        return bq_fail(err, BQ_EXIT_USAGE,
                       "--size must be at most %d extents, whole numbers of at least 1 such as "
                       "8192x8192, not %s",
                       BQ_MAX_RANK, bq_quote(text, quote, sizeof quote));
    }
    if (rank != n)
        return bq_fail(err, BQ_EXIT_USAGE, "--size %s: '%s' has %d dimension%s, as in --size %s",
                       text, step->kernel->name, n, n == 1 ? "" : "s",
                       n == 2   ? "8192x8192"
                       : n == 3 ? "16x1024x1024"
                                : "1000000");
    return 0;
}

static int set_rest(struct make *m, struct bq_step *step, struct bq_error *err)
{
    uint64_t level = 0;
    if (m->size && set_size(step, m->size, err) < 0)
        return -1;
    if (m->gzip && (bq_text_u64(m->gzip, &level) < 0 || level < 1 || level > 9))
        return bq_fail(err, BQ_EXIT_USAGE, "--gzip %s: a level is a number from 1 to 9", m->gzip);
    if (m->gzip) {
        step->wish.compress = BQ_COMPRESS_GZIP;
        step->wish.level = (unsigned)level;
    }
    if (m->seed) {
        int i = bq_kernel_param(step->kernel, "seed");
        if (i < 0)
            return bq_fail(err, BQ_EXIT_USAGE, "--seed: '%s' has no seed", step->kernel->name);
        if (bq_param_parse(&step->kernel->params[i], m->seed, &step->params[i], err) < 0)
            return bq_fail_in(err, "--seed %s", m->seed);
    }
    return 0;
}

/* A job of a kernel in a file. */
static struct bq_job *start_own(const char *text, struct bq_error *err)
{
    const struct bq_origin *origin;
    struct bq_job holder = {0};
    const struct bq_kernel *kernel = bq_own_kernel_take(&holder, text, &origin, err);
    struct bq_job *job = NULL;
    if (kernel && !(kernel->flags & BQ_WRITES))
        bq_fail(err, BQ_EXIT_USAGE, "kernel '%s' writes nothing", kernel->name);
    else if (kernel)
        job = bq_job_create(kernel, err);
    if (job) {
        job->held = holder.held;
        job->release = holder.release;
        job->steps[0].origin = origin;
    } else if (kernel) {
        holder.release(holder.held);
    }
    return job;
}

static struct bq_job *start(const struct make *m, struct bq_error *err)
{
    if (bq_own_kernel_is_meant(m->kernel))
        return start_own(m->kernel, err);
    const struct bq_kernel *kernel = find_maker(m, err);
    return kernel ? bq_job_create(kernel, err) : NULL;
}

static struct bq_job *make_job(void *context, struct bq_error *err)
{
    struct make *m = context;
    struct bq_job *job = start(m, err);
    if (!job)
        return NULL;
    const struct bq_kernel *kernel = job->steps[0].kernel;
    /* FILE alone means FILE:/kernel. */
    char place[2200];
    const char *colon = strstr(m->file, ":/");
    snprintf(place, sizeof place, colon ? "%.2000s" : "%.2000s:/%s", m->file, kernel->name);
    m->job.over.output = place;
    int rc = bq_job_override(job, &m->job.over, err);
    m->job.over.output = NULL;
    if (rc == 0)
        rc = set_rest(m, &job->steps[0], err);
    if (rc == 0)
        rc = bq_job_check(job, err);
    if (rc < 0) {
        bq_job_destroy(job);
        return NULL;
    }
    return job;
}

static int check(struct make *m)
{
    struct bq_error err = {0};
    struct bq_resolved resolved;
    struct bq_job *job = make_job(m, &err);
    if (!job || bq_cli_check_files(m->exec.json, job, &err) < 0 ||
        bq_resolve(&resolved, job, &job->steps[0], 1, m->exec.force, &err) < 0) {
        bq_job_destroy(job);
        return bq_cli_complain(&err);
    }
    bq_resolved_close(&resolved);
    bq_job_destroy(job);
    return 0;
}

int bq_cmd_make(int argc, char **argv, const struct bq_cli *cli)
{
    static const struct argp_child children[] = {
        {&bq_job_argp, 0, NULL, 0}, {&bq_exec_argp, 0, NULL, 0}, {0}};
    static const struct argp_option options[] = {
        {"size", KEY_SIZE, "SHAPE", 0, "Extents, slowest first, as in 8192x8192", 0},
        {"gzip", KEY_GZIP, "LEVEL", 0, "Compress (shuffle and deflate), 1 to 9", 0},
        {"seed", KEY_SEED, "N", 0, "Other data of the same kind", 0},
        {0}};
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "KERNEL FILE[:/DATASET]",
        .doc = "Make a dataset with a kernel that needs no input; `banquet kernels` marks them.",
        .children = children};
    struct make m = {.cli = cli};
    int code = bq_cli_parse(&argp, argc, argv, &m, cli);
    if (code)
        return code;
    if (bq_cli_is_nested(m.job.n_ranks, cli))
        return BQ_EXIT_USAGE;
    if (m.job.n_ranks > 1) {
        code = check(&m);
        return code ? code : bq_launch(m.job.n_ranks, &m.exec, cli);
    }
    return bq_cli_execute(&m.exec, cli, make_job, &m);
}
