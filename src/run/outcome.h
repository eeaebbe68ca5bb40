/* What a step yields: the finished reduction's numbers, the digest, and the notes on the output. */
#ifndef BQ_RUN_OUTCOME_H
#define BQ_RUN_OUTCOME_H

#include "adapters/store.h"
#include "core/reduction.h"
#include "core/report.h"
#include "run/merge.h"

/* Fills the report's results and digest. */
int bq_outcome(struct bq_report *report, struct bq_reduction *reduction,
               const struct bq_merge *merge, struct bq_error *err);

/* The results of a reduction of nothing, for their names; to be freed with bq_report_free. */
int bq_outcome_names(struct bq_report *report, const struct bq_merge *merge, struct bq_error *err);

/* Attributes on the output dataset that say how it was made, and which chunks are not. earlier:
 * what rounds before gave up, or NULL. */
int bq_outcome_note(struct bq_output *output, const struct bq_report *report,
                    const struct bq_report *earlier, const struct bq_plan *plan,
                    struct bq_error *err);

#endif
