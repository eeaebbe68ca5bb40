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

#endif
