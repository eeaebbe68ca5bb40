/* A picture of time in columns of text: what a cook, or several, did in each column, and how many
 * chunks were open and cooks cooking. Both the report and the board of four are drawn with it.
 */
#ifndef BQ_CORE_TIMELINE_H
#define BQ_CORE_TIMELINE_H

#include "core/trace.h"

#define BQ_TIMELINE_MAX 80 /* columns */

struct bq_timeline {
    uint64_t span; /* ns that all columns stand for */
    int n_columns;
    struct {
        double ns[BQ_N_STATES + 1]; /* idle last; without overlap, see bq_track_split */
        double open;                /* ns x chunks */
    } column[BQ_TIMELINE_MAX];
};

void bq_timeline_init(struct bq_timeline *timeline, uint64_t span, int n_columns);

/* Adds one cook, whose run ended at `makespan` (it may differ from the span). */
void bq_timeline_add(struct bq_timeline *timeline, const struct bq_track *track, uint64_t makespan);

/* One mark per column: the state with most time in it, a blank when that is idle. `out` holds
 * n_columns + 1 bytes; so in the next two. Each returns out. */
const char *bq_timeline_marks(const struct bq_timeline *timeline, char *out);

/* One digit per column, the rounded mean of how many at once: '+' above 9, blank for none. */
const char *bq_timeline_open(const struct bq_timeline *timeline, char *out);
const char *bq_timeline_cooking(const struct bq_timeline *timeline, char *out);

/* The numbers under the columns: each starts at the column of its time; a digit may stand one
 * column past the last, so `out` holds n_columns + 2 bytes. Ticks are `step` units apart, a unit
 * being `unit_ns`; step 0 chooses one of 1, 2, 5 x 10^n. */
const char *bq_timeline_axis(const struct bq_timeline *timeline, double unit_ns, double step,
                             char *out);

#endif
