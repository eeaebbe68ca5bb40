#include "core/job.h"

#include "base/heap.h"
#include "base/hint.h"
#include "core/step.h"

#include <stdio.h>
#include <string.h>

#define MAX_LIST 240  /* bytes of a list of names in a message */
#define MAX_SHOWN 201 /* of a flag's text */

struct bq_job *bq_job_create(const struct bq_kernel *kernel, struct bq_error *err)
{
    struct bq_job *job = bq_alloc(1, sizeof *job);
    if (!job)
        goto fail;
    job->file = bq_strdup("command line");
    job->steps = bq_alloc(1, sizeof *job->steps);
    if (!job->file || !job->steps)
        goto fail;
    job->n_steps = 1;
    bq_step_start(&job->steps[0], kernel);
    job->steps[0].name = bq_strdup("step 1");
    if (!job->steps[0].name)
        goto fail;
    return job;
fail:
    bq_job_destroy(job);
    bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    return NULL;
}

void bq_job_destroy(struct bq_job *job)
{
    if (!job)
        return;
    for (size_t i = 0; i < job->n_steps; i++) {
        struct bq_step *step = &job->steps[i];
        bq_free(step->name);
        bq_free(step->input.file);
        bq_free(step->input.dataset);
        bq_free(step->output.file);
        bq_free(step->output.dataset);
        for (size_t p = 0; p < BQ_MAX_PARAMS; p++)
            bq_free(step->owned[p]);
        for (size_t u = 0; u < step->n_uses; u++) {
            bq_free(step->uses[u].step);
            bq_free(step->uses[u].result);
        }
    }
    bq_free(job->steps);
    bq_free(job->loops);
    bq_free(job->file);
    if (job->release)
        job->release(job->held);
    bq_free(job);
}

/* -- overrides ---------------------------------------------------------------------------- */

static void step_names(const struct bq_job *job, const char *names[BQ_MAX_STEPS])
{
    for (size_t i = 0; i < job->n_steps; i++)
        names[i] = job->steps[i].name;
}

/* These mean the same for every step; the others need to be told which. */
static bool is_for_all(const char *key)
{
    int code = bq_step_key(key);
    return code == BQ_KEY_COOKS || code == BQ_KEY_SCHEDULE || code == BQ_KEY_OPEN ||
           code == BQ_KEY_MEMORY;
}

static bool is_of_loop(const char *key)
{
    int code = bq_step_key(key);
    return code == BQ_KEY_REPEAT || code == BQ_KEY_UNTIL;
}

/* repeat or until, of the loop that is named, or of the only one. */
static int set_loop(struct bq_job *job, const char *name, const char *key, const char *text,
                    struct bq_error *err)
{
    for (size_t l = 0; l < job->n_loops; l++) {
        if (name ? strcmp(job->loops[l].name, name) == 0 : job->n_loops == 1)
            return bq_loop_set(&job->loops[l], key, text, 0, err);
    }
    return bq_fail(err, BQ_EXIT_USAGE,
                   job->n_loops > 1 ? "the job has several loops; say which: NAME.%s"
                                    : "the job has no such loop; write '%s' into the job file",
                   key);
}

/* Sets a key that names no step. */
static int set_unnamed(struct bq_job *job, const char *key, const char *text, struct bq_error *err)
{
    if (is_of_loop(key))
        return set_loop(job, NULL, key, text, err);
    if (job->n_steps > 1 && !is_for_all(key)) {
        char list[MAX_LIST], shown[2][81];
        size_t w = 0;
        for (size_t i = 0; i < job->n_steps && w < sizeof list; i++)
            w += (size_t)snprintf(list + w, sizeof list - w, "%s%s", i ? ", " : "",
                                  job->steps[i].name);
        return bq_fail(err, BQ_EXIT_USAGE,
                       "the job has %zu steps; say which with --set \"NAME.%s=%s\", NAME being "
                       "one of %s",
                       job->n_steps, bq_plain(key, shown[0], sizeof shown[0]),
                       bq_plain(text, shown[1], sizeof shown[1]), list);
    }
    for (size_t i = 0; i < job->n_steps; i++) {
        if (bq_step_set(&job->steps[i], key, text, 0, err))
            return -1;
    }
    return 0;
}

static struct bq_step *step_find(const struct bq_job *job, const char *name)
{
    for (size_t i = 0; i < job->n_steps; i++) {
        if (strcmp(job->steps[i].name, name) == 0)
            return &job->steps[i];
    }
    return NULL;
}

/* Sets "NAME.key". */
static int set_named(struct bq_job *job, const char *name, const char *key, const char *text,
                     struct bq_error *err)
{
    struct bq_step *step = step_find(job, name);
    if (is_of_loop(key))
        return set_loop(job, name, key, text, err);
    if (step)
        return bq_step_set(step, key, text, 0, err);
    const char *names[BQ_MAX_STEPS + 2];
    char quote[BQ_QUOTE], hint[MAX_LIST];
    step_names(job, names);
    names[job->n_steps] = "params";
    names[job->n_steps + 1] = "output";
    return bq_fail(err, BQ_EXIT_USAGE, "no step is named %s%s", bq_quote(name, quote, sizeof quote),
                   bq_hint(name, names, job->n_steps + 2, hint, sizeof hint));
}

/* Whether the word before the first dot is a key, and not the name of a step. */
static bool is_key_with_parts(const struct bq_job *job, const char *word)
{
    return (strcmp(word, "params") == 0 || strcmp(word, "output") == 0) && !step_find(job, word);
}

/* "params.gain=1.5", "cooks=4" or "NAME.params.gain=1.5". A step's name holds no dot. */
static int set_parse(struct bq_job *job, const char *set, struct bq_error *err)
{
    char copy[2 * BQ_MAX_NAME + 64];
    const char *equals = strchr(set, '=');
    if (!equals || equals == set)
        return bq_fail(err, BQ_EXIT_USAGE, "this is not KEY=VALUE, such as params.gain=1.5");
    size_t n = (size_t)(equals - set);
    if (n >= sizeof copy)
        return bq_fail(err, BQ_EXIT_USAGE, "the key is longer than any key is");
    memcpy(copy, set, n);
    copy[n] = 0;
    char *dot = strchr(copy, '.');
    if (!dot && bq_step_key(copy) < 0)
        return bq_step_unknown(job->n_steps == 1 ? job->steps : NULL, copy, err);
    if (!dot)
        return set_unnamed(job, copy, equals + 1, err);
    *dot = 0;
    if (!is_key_with_parts(job, copy))
        return set_named(job, copy, dot + 1, equals + 1, err);
    *dot = '.';
    return set_unnamed(job, copy, equals + 1, err);
}

/* Puts the flag in front, unless the machine is to blame. */
static int at_flag(const char *flag, const char *text, struct bq_error *err)
{
    char shown[MAX_SHOWN];
    return err && err->exit == BQ_EXIT_FAILED
               ? -1
               : bq_fail_in(err, "--%s %s", flag, bq_plain(text, shown, sizeof shown));
}

int bq_job_override(struct bq_job *job, const struct bq_override *over, struct bq_error *err)
{
    const struct {
        const char *key, *text;
    } flags[] = {{"input", over->input},  {"output", over->output},     {"chunk", over->chunk},
                 {"cooks", over->cooks},  {"schedule", over->schedule}, {"open", over->open},
                 {"memory", over->memory}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (flags[i].text && set_unnamed(job, flags[i].key, flags[i].text, err))
            return at_flag(flags[i].key, flags[i].text, err);
    }
    for (size_t i = 0; i < over->n_sets; i++) {
        if (set_parse(job, over->sets[i], err))
            return at_flag("set", over->sets[i], err);
    }
    return 0;
}

/* -- is it complete? ---------------------------------------------------------------------- */

/* Puts the place in front: a line of the job file, or the job itself. */
static int at_line(const struct bq_job *job, int line, struct bq_error *err)
{
    return line > 0 ? bq_fail_in(err, "%s:%d", job->file, line) : bq_fail_in(err, "%s", job->file);
}

/* A place that the kernel has no use for. */
static int place_refuse(const struct bq_job *job, const struct bq_step *step,
                        const struct bq_place *place, const char *key, const char *does,
                        struct bq_error *err)
{
    bq_fail(err, BQ_EXIT_USAGE, "kernel '%s' %s nothing; leave out '%s'", step->kernel->name, does,
            key);
    if (place->line > 0)
        return at_line(job, place->line, err);
    char file[MAX_SHOWN], dataset[MAX_SHOWN];
    return bq_fail_in(err, "--%s %s:%s", key, bq_plain(place->file, file, sizeof file),
                      bq_plain(place->dataset, dataset, sizeof dataset));
}

/* A wish for the storage of an output that there is not. A job file has no words for that, so that
 * it came from the command line. */
static int wish_check(const struct bq_step *step, struct bq_error *err)
{
    const char *part = bq_output_wish_given(&step->wish);
    if (!part || step->output.file)
        return 0;
    if (step->kernel->flags & BQ_WRITES)
        bq_fail(err, BQ_EXIT_USAGE, "there is no output; give --output FILE:/dataset too");
    else
        bq_fail(err, BQ_EXIT_USAGE, "kernel '%s' writes nothing", step->kernel->name);
    return bq_fail_in(err, "--set output.%s", part);
}

static int step_check(const struct bq_job *job, const struct bq_step *step, struct bq_error *err)
{
    const struct bq_kernel *kernel = step->kernel;
    bool reads = kernel->flags & BQ_READS, writes = kernel->flags & BQ_WRITES;
    if (reads && !step->input.file && !bq_step_takes_input(step)) {
        bq_fail(err, BQ_EXIT_USAGE,
                "kernel '%s' needs an input; write 'input: FILE:/dataset' or give --input "
                "FILE:/dataset",
                kernel->name);
        return at_line(job, step->kernel_line, err);
    }
    if (reads && step->input.file && bq_step_takes_input(step)) {
        bq_fail(err, BQ_EXIT_USAGE, "the input is given twice: by 'input' and by 'uses'");
        return at_line(job, step->input.line, err);
    }
    if (!reads && step->input.file)
        return place_refuse(job, step, &step->input, "input", "reads", err);
    if (!writes && step->output.file)
        return place_refuse(job, step, &step->output, "output", "writes", err);
    if (step->is_team && !(kernel->flags & BQ_DIVISIBLE)) {
        bq_fail(err, BQ_EXIT_USAGE,
                "kernel '%s' cannot share a chunk between cooks; leave out 'team'", kernel->name);
        return at_line(job, step->kernel_line, err);
    }
    if (step->pipeline.is_on && (step->is_team || (kernel->flags & BQ_WAITS))) {
        bq_fail(err, BQ_EXIT_USAGE, "%s; leave out 'pipeline'",
                step->is_team ? "cooks that share each chunk are no pipeline"
                              : "a kernel that waits leaves its cook by itself");
        return at_line(job, step->pipeline_line, err);
    }
    return wish_check(step, err);
}

int bq_job_check(const struct bq_job *job, struct bq_error *err)
{
    for (size_t i = 0; i < job->n_steps; i++) {
        const struct bq_step *step = &job->steps[i];
        if (step_check(job, step, err))
            return -1;
        for (size_t j = 0; j < i; j++) {
            if (strcmp(step->name, job->steps[j].name) == 0) {
                bq_fail(err, BQ_EXIT_USAGE, "two steps are named '%s', here and on line %d",
                        step->name, job->steps[j].line);
                return at_line(job, step->line, err);
            }
        }
    }
    return 0;
}
