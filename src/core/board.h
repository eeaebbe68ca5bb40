/* The board: the picture of a few small runs under one another on one time axis, in which one sees
 * concurrency and parallelism come apart. Rows of cooks, and under them how many chunks were open
 * and how many cooks cooking. All of it comes from the tracks, so it shows what was measured.
 */
#ifndef BQ_CORE_BOARD_H
#define BQ_CORE_BOARD_H

#include "core/report.h"

struct bq_board_panel {
    const char *title; /* "A One at a time" */
    const struct bq_report *report;
    double model; /* the time, in units, that arithmetic says it takes; 0: none */
};

/* At most 80 columns; each line, with its newline, goes to `put`. unit_ns: what the axis counts. */
void bq_board(const struct bq_board_panel *panels, size_t n, uint64_t unit_ns,
              void (*put)(void *ctx, const char *line), void *ctx);

#endif
