/* What bounds a run, in one sentence derived from where the cooks' time went. */
#ifndef BQ_CORE_REPORT_VERDICT_H
#define BQ_CORE_REPORT_VERDICT_H

#include "core/report.h"

/* The time of cooks without overlap: part[BQ_N_STATES] is idle, all add up to n_cooks x makespan.
 */
void bq_report_split(const struct bq_report *report, const struct bq_kitchen_report *kitchen,
                     uint64_t part[BQ_N_STATES + 1]);

/* "mostly cooking (96 %): more cores would help". Returns out. */
const char *bq_report_verdict(const struct bq_report *report, char *out, size_t size);

#endif
