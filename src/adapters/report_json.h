/* The report as JSON: every number of struct bq_report, for programs.
 *
 * Times in keys that end in _s are seconds, _ns and _us the like. Bins hold nanoseconds (open: ns x
 * chunks), so that they add up exactly. JSON has no nan or inf and few readers keep integers above
 * 2^63: those are strings.
 */
#ifndef BQ_ADAPTERS_REPORT_JSON_H
#define BQ_ADAPTERS_REPORT_JSON_H

#include "base/error.h"
#include "core/report.h"

/* The file is seen whole or not at all; "-" is stdout. */
int bq_report_json(const struct bq_report *report, const char *path, struct bq_error *err);

/* A job of several steps: {"steps": [a report, ..]}, in the order in which they ended. The file is
 * complete after each; standard output is written at the end. path must outlive it. */
struct bq_json_steps;
struct bq_json_steps *bq_json_steps_create(const char *path, struct bq_error *err);
int bq_json_steps_add(struct bq_json_steps *steps, const struct bq_report *report,
                      struct bq_error *err);
int bq_json_steps_end(struct bq_json_steps *steps, struct bq_error *err); /* and destroys it */

#endif
