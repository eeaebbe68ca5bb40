/* What is kept of a step that was carried out, for those that use it: its results, and where its
 * output is. */
#ifndef BQ_RUN_KEPT_H
#define BQ_RUN_KEPT_H

#include "core/job.h"
#include "core/report.h"

struct bq_kept {
    size_t n_results;
    struct bq_result *results;
    struct bq_place place;   /* of its output; file NULL: none */
    char name[32];           /* of its scratch file; "" when it is where the job wants it */
    struct bq_layout layout; /* of that file */
    struct bq_place like;    /* the dataset that it came from; file NULL: none. Not owned */
};

/* Copies the results out of a report; the older ones go. */
int bq_keep_results(struct bq_kept *kept, const struct bq_report *report, struct bq_error *err);

/* Copies where the output is; the older place goes. */
int bq_keep_place(struct bq_kept *kept, const struct bq_place *place, struct bq_error *err);

/* Frees the results. */
void bq_kept_forget(struct bq_kept *kept);

/* By name; NULL: none. */
const struct bq_result *bq_kept_result(const struct bq_kept *kept, const char *name);

/* Fails with the names that there are. */
int bq_kept_fail(const struct bq_kept *kept, const char *step, const char *name,
                 struct bq_error *err);

/* false when it is a series. */
bool bq_kept_number(const struct bq_result *result, double *number);

/* As the value of parameter `at`, checked like one that was written in the job. */
int bq_kept_as_param(struct bq_step *step, int at, const struct bq_result *result,
                     struct bq_error *err);

/* Its output as the input of a step. */
void bq_kept_as_input(const struct bq_kept *kept, struct bq_step *step);

#endif
