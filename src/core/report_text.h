/* The summary at the end of a run, for people: at most 80 columns, ASCII but for names that are
 * not. Pure: each line (with its newline) goes to `put`; the last is "digest <hex>".
 */
#ifndef BQ_CORE_REPORT_TEXT_H
#define BQ_CORE_REPORT_TEXT_H

#include "core/report.h"

void bq_report_text(const struct bq_report *report, void (*put)(void *ctx, const char *line),
                    void *ctx);

#endif
