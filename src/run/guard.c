#include "run/guard.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "adapters/same_file.h"
#include "adapters/store.h"
#include "core/graph.h"
#include "core/recipe.h"

static int fail_at(struct bq_error *err, const struct bq_job *job, int line)
{
    return job->file && line ? bq_fail_in(err, "%s:%d", job->file, line) : -1;
}

static bool exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

/* The folder in which shards of a file lie. */
static void shards_of(const char *file, char *out, size_t size)
{
    snprintf(out, size, "%s.d", file);
}

enum role { NOT_READ, NAMED, BEHIND };

/* What a file is to the input of a step. An input that cannot be opened now, because an earlier
 * step makes it or because it is wrong, is compared by its name. */
static enum role role_in(const struct bq_place *input, const char *path)
{
    char folder[BQ_MAX_PATH + 2];
    if (!input->file)
        return NOT_READ;
    if (bq_is_same_file(input->file, path))
        return NAMED;
    shards_of(path, folder, sizeof folder);
    bool may_be_behind = exists(path) || exists(folder);
    struct bq_input *open = may_be_behind ? bq_input_open(input->file, input->dataset, NULL) : NULL;
    bool is_behind = open && (bq_input_reads(open, path) || bq_input_reads_in(open, folder));
    bq_input_close(open);
    return is_behind ? BEHIND : NOT_READ;
}

/* Whether step j may still read when step i writes. */
static bool may_read_later(const struct bq_job *job, const size_t *position, size_t i, size_t j)
{
    const struct bq_loop *loop = bq_graph_loop(job, i);
    return position[j] <= position[i] || (loop && loop == bq_graph_loop(job, j));
}

static int check_input(const struct bq_job *job, const size_t *position, size_t i, size_t j,
                       struct bq_error *err)
{
    const struct bq_step *writer = &job->steps[i], *reader = &job->steps[j];
    const char *path = writer->output.file;
    if (i != j && reader->input.file && strcmp(path, reader->input.file) == 0)
        return 0; /* it reads what the other writes, and so comes after it */
    enum role role = role_in(&reader->input, path);
    if (role == NAMED && i == j)
        bq_fail(err, BQ_EXIT_USAGE, "%s: is the input; write to another file", path);
    else if (role == NAMED)
        bq_fail(err, BQ_EXIT_USAGE,
                "%s: is the input %s of step '%s'; write to another file, or give it the same name",
                path, reader->input.file, reader->name);
    else if (role == BEHIND && may_read_later(job, position, i, j))
        bq_fail(err, BQ_EXIT_USAGE, "%s: the input %s:%s is read from it; write to another file",
                path, reader->input.file, reader->input.dataset);
    else
        return 0;
    return fail_at(err, job, writer->output.line);
}

static int check_output(const struct bq_job *job, const size_t *position, size_t i,
                        struct bq_error *err)
{
    const struct bq_place *output = &job->steps[i].output;
    if (job->file && bq_is_same_file(output->file, job->file)) {
        bq_fail(err, BQ_EXIT_USAGE, "%s: is the job file; write to another file", output->file);
        return fail_at(err, job, output->line);
    }
    for (size_t j = 0; j < job->n_steps; j++) {
        const struct bq_place *other = &job->steps[j].output;
        if (j < i && other->file && bq_is_same_file(output->file, other->file)) {
            bq_fail(err, BQ_EXIT_USAGE,
                    "steps '%s' and '%s' both write %s: each output needs a file of its own",
                    job->steps[j].name, job->steps[i].name, output->file);
            return fail_at(err, job, output->line);
        }
        if (check_input(job, position, i, j, err) < 0)
            return -1;
    }
    return 0;
}

int bq_guard_outputs(const struct bq_job *job, struct bq_error *err)
{
    struct bq_graph graph;
    size_t position[BQ_MAX_STEPS];
    if (bq_graph_make(&graph, job, err) < 0)
        return -1;
    for (size_t at = 0; at < graph.n; at++)
        position[graph.order[at]] = at;
    for (size_t i = 0; i < job->n_steps; i++) {
        if (job->steps[i].output.file && check_output(job, position, i, err) < 0)
            return -1;
    }
    return 0;
}

int bq_guard_file(const struct bq_job *job, const char *what, const char *path,
                  struct bq_error *err)
{
    const char *is = NULL;
    char folder[BQ_MAX_PATH + 2];
    if (job->file && bq_is_same_file(path, job->file))
        is = "the job file";
    for (size_t i = 0; i < job->n_steps && !is; i++) {
        const struct bq_step *step = &job->steps[i];
        if (step->output.file) {
            shards_of(step->output.file, folder, sizeof folder);
            is = bq_is_same_file(path, step->output.file) ? "an output of the job"
                 : bq_is_same_file(path, folder)          ? "where shards of an output go"
                                                          : NULL;
        }
        if (!is && role_in(&step->input, path) != NOT_READ)
            is = "an input of the job";
    }
    return is ? bq_fail(err, BQ_EXIT_USAGE, "%s %s: is %s; write to another file", what, path, is)
              : 0;
}
