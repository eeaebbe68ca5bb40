#include "run/outcome.h"

#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "adapters/vitals.h"
#include "base/heap.h"

#define NAMED_CHUNKS 20 /* of those given up, in the output's attribute */

struct gathering {
    struct bq_sink sink; /* first: the kernel's pointer is ours */
    struct bq_report *report;
    bool is_bad; /* no memory, or too many results */
};

static struct bq_result *add(struct gathering *g, const char *name, enum bq_result_kind kind)
{
    if (g->report->n_results == BQ_MAX_RESULTS) {
        g->is_bad = true;
        return NULL;
    }
    struct bq_result *r = &g->report->results[g->report->n_results++];
    snprintf(r->name, sizeof r->name, "%s", name);
    r->kind = kind;
    return r;
}

static void add_integer(struct bq_sink *sink, const char *name, uint64_t value)
{
    struct bq_result *r = add((struct gathering *)sink, name, BQ_RESULT_INTEGER);
    if (r)
        r->integer = value;
}

static void add_negative(struct bq_sink *sink, const char *name, int64_t value)
{
    struct bq_result *r = add((struct gathering *)sink, name, BQ_RESULT_NEGATIVE);
    if (r)
        r->integer = (uint64_t)value;
}

static void add_real(struct bq_sink *sink, const char *name, double value)
{
    struct bq_result *r = add((struct gathering *)sink, name, BQ_RESULT_REAL);
    if (r)
        r->real = value;
}

static void add_series(struct bq_sink *sink, const char *name, const uint64_t *values, size_t n)
{
    struct gathering *g = (struct gathering *)sink;
    struct bq_result *r = add(g, name, BQ_RESULT_SERIES);
    if (!r)
        return;
    r->series = bq_alloc(n, sizeof *values);
    if (!r->series) {
        g->is_bad = true;
        return;
    }
    memcpy(r->series, values, n * sizeof *values);
    r->n_series = n;
}

static void add_reals(struct bq_sink *sink, const char *name, const double *values, size_t n)
{
    struct gathering *g = (struct gathering *)sink;
    struct bq_result *r = add(g, name, BQ_RESULT_REALS);
    if (!r)
        return;
    r->reals = bq_alloc(n, sizeof *values);
    if (!r->reals) {
        g->is_bad = true;
        return;
    }
    memcpy(r->reals, values, n * sizeof *values);
    r->n_series = n;
}

/* The digest covers the output's bytes (already summed over chunks) and every result's bits. */
static void set_digest(struct bq_report *report, const void *output_digest)
{
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return;
    XXH3_128bits_reset(state);
    if (output_digest)
        XXH3_128bits_update(state, output_digest, BQ_DIGEST_SIZE);
    XXH3_128bits_update(state, &report->n_chunks, sizeof report->n_chunks);
    for (size_t i = 0; i < report->n_results; i++) {
        const struct bq_result *r = &report->results[i];
        XXH3_128bits_update(state, r->name, strlen(r->name));
        XXH3_128bits_update(state, &r->integer, sizeof r->integer);
        XXH3_128bits_update(state, &r->real, sizeof r->real);
        if (r->series)
            XXH3_128bits_update(state, r->series, r->n_series * sizeof *r->series);
        if (r->reals)
            XXH3_128bits_update(state, r->reals, r->n_series * sizeof *r->reals);
    }
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    snprintf(report->digest, sizeof report->digest, "%016llx%016llx",
             (unsigned long long)hash.high64, (unsigned long long)hash.low64);
}

/* result: the finished one. */
static int present(struct bq_report *report, const struct bq_merge *merge,
                   const unsigned char *result, struct bq_error *err)
{
    const struct bq_recipe *recipe = merge->recipe;
    struct gathering g = {.sink = {.integer = add_integer,
                                   .real = add_real,
                                   .series = add_series,
                                   .negative = add_negative,
                                   .reals = add_reals},
                          .report = report};
    report->results = bq_alloc(BQ_MAX_RESULTS, sizeof *report->results);
    if (!report->results)
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    bq_vitals_doing("present");
    if (recipe->acc_size && merge->kernel->present)
        merge->kernel->present(recipe->params, result + (recipe->has_output ? BQ_DIGEST_SIZE : 0),
                               &g.sink);
    bq_vitals_doing(NULL);
    return g.is_bad ? bq_fail(err, BQ_EXIT_FAILED,
                              "kernel '%s' presents more than %d results, or memory is out",
                              recipe->kernel, BQ_MAX_RESULTS)
                    : 0;
}

int bq_outcome_names(struct bq_report *report, const struct bq_merge *merge, struct bq_error *err)
{
    unsigned char *result = bq_alloc(1, bq_recipe_result_size(merge->recipe));
    if (!result)
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    bq_merge_nothing(merge, result);
    int rc = present(report, merge, result, err);
    bq_free(result);
    return rc;
}

int bq_outcome(struct bq_report *report, struct bq_reduction *reduction,
               const struct bq_merge *merge, struct bq_error *err)
{
    const struct bq_recipe *recipe = merge->recipe;
    unsigned char *result = bq_alloc(1, bq_recipe_result_size(recipe));
    int rc = -1;
    if (report->n_chunks && report->n_given_up_total == report->n_chunks) {
        bq_fail(err, BQ_EXIT_FAILED, "every chunk failed; chunk %llu: %s",
                (unsigned long long)report->given_up[0].chunk, report->given_up[0].why);
        goto out;
    }
    if (!result) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        goto out;
    }
    bq_merge_nothing(merge, result);
    if (recipe->plan.n_chunks && !bq_reduction_finish(reduction, recipe->plan.n_chunks, result)) {
        bq_fail(err, BQ_EXIT_FAILED, "internal error: all chunks are done but results are missing");
        goto out;
    }
    if (present(report, merge, result, err) < 0)
        goto out;
    set_digest(report, recipe->has_output ? result : NULL);
    rc = 0;
out:
    bq_free(result);
    return rc;
}

/* "2 chunks were given up and hold the fill value: 3 at (512, 0), 7 at (1024, 512)". */
static void name_given_up(const struct bq_report *report, const struct bq_plan *plan, char *text,
                          size_t size)
{
    bool is_one = report->n_given_up_total == 1;
    size_t w = (size_t)snprintf(text, size, "%llu chunk%s given up and hold%s the fill value",
                                (unsigned long long)report->n_given_up_total,
                                is_one ? " was" : "s were", is_one ? "s" : "");
    size_t n = report->n_given_up < NAMED_CHUNKS ? report->n_given_up : NAMED_CHUNKS;
    for (size_t i = 0; i < n && w < size; i++) {
        uint64_t offset[BQ_MAX_RANK], extent[BQ_MAX_RANK], chunk = report->given_up[i].chunk;
        bq_plan_chunk(plan, chunk, offset, extent);
        w += (size_t)snprintf(text + w, size - w, "%s %llu at (", i ? "," : ":",
                              (unsigned long long)chunk);
        for (int k = 0; k < plan->space.rank && w < size; k++)
            w += (size_t)snprintf(text + w, size - w, "%s%llu", k ? ", " : "",
                                  (unsigned long long)offset[k]);
        if (w < size)
            w += (size_t)snprintf(text + w, size - w, ")");
    }
    if (report->n_given_up_total > n && w < size)
        snprintf(text + w, size - w, ", ...");
}

/* And what rounds before gave up, of which this one was made. */
static void name_earlier(const struct bq_report *earlier, char *text, size_t size)
{
    size_t n = strlen(text);
    bool is_one = earlier->n_given_up_total == 1;
    snprintf(text + n, size - n, "%s%llu chunk%s given up on the way: %llu, %s%s", n ? "; " : "",
             (unsigned long long)earlier->n_given_up_total, is_one ? " was" : "s were",
             (unsigned long long)earlier->given_up[0].chunk, earlier->given_up[0].why,
             is_one ? "" : ", ...");
}

int bq_outcome_note(struct bq_output *output, const struct bq_report *report,
                    const struct bq_report *earlier, const struct bq_plan *plan,
                    struct bq_error *err)
{
    char job[1024];
    snprintf(job, sizeof job, "%s: %s%s%s", report->job, report->kernel,
             report->input[0] ? " of " : "", report->input);
    if (bq_output_note(output, "banquet_job", job, err) < 0 ||
        bq_output_note(output, "banquet_version", report->version, err) < 0 ||
        bq_output_note(output, "banquet_digest", report->digest, err) < 0)
        return -1;
    char text[20 * 240 + 600] = "";
    if (report->n_given_up_total)
        name_given_up(report, plan, text, sizeof text - 500);
    if (earlier && earlier->n_given_up_total)
        name_earlier(earlier, text, sizeof text);
    return text[0] ? bq_output_note(output, "banquet_incomplete", text, err) : 0;
}
