#include "run/kept.h"

#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "core/step.h"

void bq_kept_forget(struct bq_kept *kept)
{
    for (size_t r = 0; r < kept->n_results; r++) {
        bq_free(kept->results[r].series);
        bq_free(kept->results[r].reals);
    }
    bq_free(kept->results);
    kept->results = NULL;
    kept->n_results = 0;
}

/* -- results as parameters ---------------------------------------------------------------- */

const struct bq_result *bq_kept_result(const struct bq_kept *kept, const char *name)
{
    for (size_t r = 0; r < kept->n_results; r++) {
        if (strcmp(kept->results[r].name, name) == 0)
            return &kept->results[r];
    }
    return NULL;
}

/* A number; false when it is a series. */
bool bq_kept_number(const struct bq_result *result, double *number)
{
    switch (result->kind) {
    case BQ_RESULT_INTEGER:
        *number = (double)result->integer;
        return true;
    case BQ_RESULT_NEGATIVE:
        *number = (double)(int64_t)result->integer;
        return true;
    case BQ_RESULT_REAL:
        *number = result->real;
        return true;
    case BQ_RESULT_SERIES:
    case BQ_RESULT_REALS:
        break;
    }
    return false;
}

int bq_kept_fail(const struct bq_kept *kept, const char *step, const char *name,
                 struct bq_error *err)
{
    char names[400] = "";
    size_t used = 0;
    for (size_t r = 0; r < kept->n_results && used < sizeof names; r++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", r ? ", " : "",
                                 kept->results[r].name);
    return bq_fail(err, BQ_EXIT_USAGE, "step '%s' has no result '%s'; it has: %s", step, name,
                   used ? names : "none");
}

static struct bq_list *list_of(const struct bq_result *result)
{
    double number;
    if (bq_kept_number(result, &number))
        return bq_list_create(&number, 1);
    if (result->kind == BQ_RESULT_REALS)
        return bq_list_create(result->reals, result->n_series);
    struct bq_list *list = bq_list_create(NULL, result->n_series);
    double *at = (double *)(list + 1);
    for (size_t i = 0; list && i < result->n_series; i++)
        at[i] = (double)result->series[i];
    return list;
}

/* A result as the value of a parameter, checked like one that was written in the job. */
int bq_kept_as_param(struct bq_step *step, int at, const struct bq_result *result,
                     struct bq_error *err)
{
    const struct bq_param *param = &step->kernel->params[at];
    double number;
    if (param->kind == BQ_LIST) {
        struct bq_list *list = list_of(result);
        if (!list)
            return bq_fail(err, BQ_EXIT_FAILED, "out of memory, or more than %u numbers",
                           BQ_MAX_LIST);
        bq_free(step->owned[at]);
        step->owned[at] = list;
        step->params[at].list = list;
        for (size_t i = 0; i < list->n; i++) {
            if (param->min <= param->max &&
                !(list->at[i] >= param->min && list->at[i] <= param->max))
                return bq_fail(err, BQ_EXIT_FAILED, "%s has a number out of its range: %g",
                               param->name, list->at[i]);
        }
        return 0;
    }
    if (!bq_kept_number(result, &number))
        return bq_fail(err, BQ_EXIT_USAGE, "%s wants one number, and '%s' has %zu", param->name,
                       result->name, result->n_series);
    char text[40];
    if (result->kind == BQ_RESULT_INTEGER)
        snprintf(text, sizeof text, "%llu", (unsigned long long)result->integer);
    else if (result->kind == BQ_RESULT_NEGATIVE)
        snprintf(text, sizeof text, "%lld", (long long)(int64_t)result->integer);
    else
        snprintf(text, sizeof text, "%.17g", number);
    return bq_param_set(param, text, &step->params[at], &step->owned[at], err);
}

void bq_kept_as_input(const struct bq_kept *kept, struct bq_step *step)
{
    step->input = kept->place;
    step->handed_over = kept->name[0] ? &kept->layout : NULL;
    step->like = kept->name[0] ? kept->like : (struct bq_place){0};
}

/* Where the output is now; the old place goes. */
int bq_keep_place(struct bq_kept *kept, const struct bq_place *place, struct bq_error *err)
{
    struct bq_place now = {0};
    if (place->file && bq_place_set(&now, "output", place->file, place->dataset, err) < 0)
        return -1;
    bq_free(kept->place.file);
    bq_free(kept->place.dataset);
    kept->place = now;
    return 0;
}

/* The report keeps nothing of its own that is needed later: results are copied. */
int bq_keep_results(struct bq_kept *kept, const struct bq_report *report, struct bq_error *err)
{
    struct bq_report copy = {0};
    int rc = bq_report_copy_results(&copy, report->results, report->n_results);
    bq_kept_forget(kept);
    kept->results = copy.results;
    kept->n_results = copy.n_results;
    return rc < 0 ? bq_fail(err, BQ_EXIT_FAILED, "out of memory") : 0;
}
