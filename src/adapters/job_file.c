#include "adapters/job_file.h"

#include "adapters/job_field.h"
#include "adapters/own_kernel.h"
#include "base/heap.h"
#include "base/hint.h"
#include "core/graph.h"
#include "core/step.h"

#include <stdio.h>
#include <string.h>

#define MAX_HINT 256

struct reader {
    struct bq_yaml *yaml;
    struct bq_job *job; /* holds the libraries of own kernels */
    const struct bq_kernel *const *kernels;
    const char **kernel_names;
    size_t n_kernels;
};

static const struct bq_yaml_pair *pair_find(const struct bq_yaml_pair *pairs, size_t n,
                                            const char *key)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(pairs[i].key, key) == 0)
            return &pairs[i];
    }
    return NULL;
}

/* A word that is no key is told before a kernel that is missing: it may be a "kernal". */
static int keys_check(const struct reader *reader, const struct bq_yaml_pair *pairs, size_t n,
                      struct bq_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (bq_step_key(pairs[i].key) < 0) {
            bq_step_unknown(NULL, pairs[i].key, err);
            return bq_yaml_at(reader->yaml, pairs[i].line, err);
        }
    }
    return 0;
}

/* origin: set for a kernel of the user's own, else left alone. */
static const struct bq_kernel *kernel_find(const struct reader *reader,
                                           const struct bq_yaml_pair *pair,
                                           const struct bq_origin **origin, struct bq_error *err)
{
    char quote[BQ_QUOTE], hint[MAX_HINT];
    if (pair->value.kind != BQ_YAML_TEXT || bq_yaml_is_empty(&pair->value)) {
        bq_job_field_wrong(reader->yaml, "kernel", bq_step_wants(BQ_KEY_KERNEL), &pair->value, err);
        return NULL;
    }
    const char *name = bq_yaml_text(reader->yaml, &pair->value, err);
    if (!name)
        return NULL;
    if (bq_own_kernel_is_meant(name)) {
        const struct bq_kernel *own = bq_own_kernel_take(reader->job, name, origin, err);
        if (!own)
            bq_yaml_at(reader->yaml, pair->line, err);
        return own;
    }
    for (size_t i = 0; i < reader->n_kernels; i++) {
        if (strcmp(reader->kernel_names[i], name) == 0)
            return reader->kernels[i];
    }
    bq_fail(err, BQ_EXIT_USAGE, "kernel %s is not known%s", bq_quote(name, quote, sizeof quote),
            bq_hint(name, reader->kernel_names, reader->n_kernels, hint, sizeof hint));
    bq_yaml_at(reader->yaml, pair->line, err);
    return NULL;
}

static int step_read(const struct reader *reader, struct bq_step *step, size_t i,
                     const struct bq_yaml_pair *pairs, size_t n, int line, struct bq_error *err)
{
    char name[32];
    const struct bq_yaml_pair *kernel = pair_find(pairs, n, "kernel");
    if (keys_check(reader, pairs, n, err))
        return -1;
    step->line = line;
    if (!kernel) {
        bq_fail(err, BQ_EXIT_USAGE, "step %zu has no kernel; write 'kernel: NAME'", i + 1);
        return bq_yaml_at(reader->yaml, line, err);
    }
    const struct bq_origin *origin = NULL;
    const struct bq_kernel *found = kernel_find(reader, kernel, &origin, err);
    if (!found)
        return -1;
    bq_step_start(step, found);
    step->origin = origin;
    step->kernel_line = kernel->line;
    snprintf(name, sizeof name, "step %zu", i + 1);
    if (bq_step_set(step, "name", name, line, err))
        return -1;
    for (size_t k = 0; k < n; k++) {
        if (bq_job_field_read(reader->yaml, step, &pairs[k], err))
            return -1;
    }
    return 0;
}

/* -- loops -------------------------------------------------------------------------------- */

static struct bq_loop *loop_add(struct bq_job *job, size_t n, int line, struct bq_error *err)
{
    if (!job->loops && !(job->loops = bq_alloc(BQ_MAX_STEPS, sizeof *job->loops))) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return NULL;
    }
    struct bq_loop *loop = &job->loops[job->n_loops++];
    *loop = (struct bq_loop){.first = job->n_steps, .n = n, .line = line};
    return loop;
}

/* The keys that make a loop of one step, or of the steps below. */
static int loop_keys_read(const struct reader *reader, struct bq_loop *loop,
                          const struct bq_yaml_pair *pairs, size_t n, struct bq_error *err)
{
    for (size_t i = 0; i < n; i++) {
        enum bq_step_key key = (enum bq_step_key)bq_step_key(pairs[i].key);
        if ((key == BQ_KEY_REPEAT || key == BQ_KEY_UNTIL) &&
            bq_job_loop_read(reader->yaml, loop, &pairs[i], err))
            return -1;
    }
    return 0;
}

/* -- steps -------------------------------------------------------------------------------- */

static int too_many(const struct reader *reader, size_t n, int line, struct bq_error *err)
{
    bq_fail(err, BQ_EXIT_USAGE, "a job has 1 to %d steps, not %zu", BQ_MAX_STEPS, n);
    return bq_yaml_at(reader->yaml, line, err);
}

static int item_read(const struct reader *reader, struct bq_job *job,
                     const struct bq_yaml_value *item, bool is_in_loop, struct bq_error *err);

static int items_read(const struct reader *reader, struct bq_job *job,
                      const struct bq_yaml_value *list, bool is_in_loop, struct bq_error *err)
{
    struct bq_yaml_value items[BQ_MAX_STEPS];
    size_t n;
    if (list->kind != BQ_YAML_LIST)
        return bq_job_field_wrong(reader->yaml, "steps", bq_step_wants(BQ_KEY_STEPS), list, err);
    if (bq_yaml_list(reader->yaml, list, items, BQ_MAX_STEPS, &n, err))
        return -1;
    if (n == 0 || n > BQ_MAX_STEPS)
        return too_many(reader, n, list->line, err);
    for (size_t i = 0; i < n; i++) {
        if (item_read(reader, job, &items[i], is_in_loop, err))
            return -1;
    }
    return 0;
}

/* {name: train, repeat: 10, steps: [...]} */
static int group_read(const struct reader *reader, struct bq_job *job,
                      const struct bq_yaml_pair *pairs, size_t n, int line, struct bq_error *err)
{
    const struct bq_yaml_pair *name = pair_find(pairs, n, "name");
    struct bq_loop *loop = loop_add(job, 0, line, err);
    if (!loop)
        return -1;
    for (size_t i = 0; i < n; i++) {
        enum bq_step_key key = (enum bq_step_key)bq_step_key(pairs[i].key);
        if (key == BQ_KEY_NAME || key == BQ_KEY_REPEAT || key == BQ_KEY_UNTIL ||
            key == BQ_KEY_STEPS)
            continue;
        bq_fail(err, BQ_EXIT_USAGE, "'%s' must stand inside a step, not beside 'steps'",
                pairs[i].key);
        return bq_yaml_at(reader->yaml, pairs[i].line, err);
    }
    snprintf(loop->name, sizeof loop->name, "loop %zu", job->n_loops);
    if (name && name->value.kind == BQ_YAML_TEXT) {
        const char *text = bq_yaml_text(reader->yaml, &name->value, err);
        if (!text)
            return -1;
        snprintf(loop->name, sizeof loop->name, "%s", text);
    }
    if (loop_keys_read(reader, loop, pairs, n, err) ||
        items_read(reader, job, &pair_find(pairs, n, "steps")->value, true, err))
        return -1;
    loop->n = job->n_steps - loop->first;
    return 0;
}

static int item_read(const struct reader *reader, struct bq_job *job,
                     const struct bq_yaml_value *item, bool is_in_loop, struct bq_error *err)
{
    struct bq_yaml_pair pairs[BQ_YAML_MAX_KEYS];
    size_t n;
    if (item->kind != BQ_YAML_MAP)
        return bq_job_field_wrong(reader->yaml, "a step", "a map of keys (kernel, input, ...)",
                                  item, err);
    if (bq_yaml_map(reader->yaml, item, pairs, &n, err) || keys_check(reader, pairs, n, err))
        return -1;
    const struct bq_yaml_pair *group = pair_find(pairs, n, "steps");
    const struct bq_yaml_pair *repeat = pair_find(pairs, n, "repeat");
    const struct bq_yaml_pair *until = pair_find(pairs, n, "until");
    if (is_in_loop && (group || repeat || until)) {
        bq_fail(err, BQ_EXIT_USAGE, "a loop inside a loop is not supported");
        return bq_yaml_at(reader->yaml, item->line, err);
    }
    if (group)
        return group_read(reader, job, pairs, n, item->line, err);
    if (job->n_steps == BQ_MAX_STEPS)
        return too_many(reader, BQ_MAX_STEPS + 1, item->line, err);
    struct bq_loop *loop = NULL;
    if ((repeat || until) && (!(loop = loop_add(job, 1, item->line, err)) ||
                              loop_keys_read(reader, loop, pairs, n, err)))
        return -1;
    struct bq_step *step = &job->steps[job->n_steps];
    if (step_read(reader, step, job->n_steps++, pairs, n, item->line, err))
        return -1;
    if (loop)
        snprintf(loop->name, sizeof loop->name, "%s", step->name);
    return 0;
}

static int job_fill(const struct reader *reader, struct bq_job *job, struct bq_error *err)
{
    struct bq_yaml_value root;
    struct bq_yaml_pair pairs[BQ_YAML_MAX_KEYS];
    size_t n;
    if (bq_yaml_root(reader->yaml, &root, err))
        return -1;
    if (root.kind != BQ_YAML_MAP)
        return bq_job_field_wrong(reader->yaml, "a job", "a map of keys (kernel, input, ...)",
                                  &root, err);
    if (bq_yaml_map(reader->yaml, &root, pairs, &n, err))
        return -1;
    const struct bq_yaml_pair *steps = pair_find(pairs, n, "steps");
    job->steps = bq_alloc(steps ? BQ_MAX_STEPS : 1, sizeof *job->steps);
    if (!job->steps)
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    for (size_t i = 0; steps && i < n; i++) {
        enum bq_step_key key = (enum bq_step_key)bq_step_key(pairs[i].key);
        if (&pairs[i] == steps || key == BQ_KEY_REPEAT || key == BQ_KEY_UNTIL)
            continue;
        if (keys_check(reader, pairs, n, err))
            return -1;
        bq_fail(err, BQ_EXIT_USAGE, "'%s' must stand inside a step, as the job has 'steps'",
                pairs[i].key);
        return bq_yaml_at(reader->yaml, pairs[i].line, err);
    }
    if (steps && n > 1) /* repeat or until of all of them */
        return group_read(reader, job, pairs, n, root.line, err);
    return steps ? items_read(reader, job, &steps->value, false, err)
                 : item_read(reader, job, &root, false, err);
}

struct bq_job *bq_job_read(const char *path, const struct bq_kernel *const *kernels,
                           size_t n_kernels, const struct bq_override *over, struct bq_error *err)
{
    struct bq_job *job = NULL;
    struct reader reader = {.kernels = kernels, .n_kernels = n_kernels};
    int rc = -1;
    reader.yaml = bq_yaml_read(path, err);
    if (!reader.yaml)
        goto out;
    reader.kernel_names = bq_alloc(n_kernels, sizeof *reader.kernel_names);
    job = bq_alloc(1, sizeof *job);
    if (!reader.kernel_names || !job || !(job->file = bq_strdup(path))) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        goto out;
    }
    reader.job = job;
    for (size_t i = 0; i < n_kernels; i++)
        reader.kernel_names[i] = kernels[i]->name;
    struct bq_graph graph;
    if (job_fill(&reader, job, err) || (over && bq_job_override(job, over, err)) ||
        bq_job_check(job, err) || bq_graph_link(job, err) || bq_graph_make(&graph, job, err))
        goto out;
    rc = 0;
out:
    bq_free(reader.kernel_names);
    bq_yaml_destroy(reader.yaml);
    if (rc) {
        bq_job_destroy(job);
        job = NULL;
    }
    return job;
}
