/* The two tables of the end-of-run summary: where each kitchen's and cook's time went, in per cent
 * and as a picture over time. Rows are chosen so that both stay readable for any number of them.
 */
#ifndef BQ_CORE_REPORT_TABLE_H
#define BQ_CORE_REPORT_TABLE_H

#include "core/lines.h"
#include "core/report.h"

/* The four columns of the table. */
enum bq_share { BQ_SHARE_COOKING, BQ_SHARE_READY, BQ_SHARE_WAITING, BQ_SHARE_IDLE, BQ_N_SHARES };

/* Whole per cents of parts as bq_track_split gives them; they add up to exactly 100 (largest
 * remainders). Without any time all of it is idle. */
void bq_report_percent(const uint64_t part[BQ_N_STATES + 1], unsigned percent[BQ_N_SHARES]);

void bq_report_table(const struct bq_report *report, const struct bq_lines *lines);
void bq_report_timeline(const struct bq_report *report, const struct bq_lines *lines);

#endif
