#include "core/timeline.h"

#include <stdio.h>
#include <string.h>

void bq_timeline_init(struct bq_timeline *timeline, uint64_t span, int n_columns)
{
    memset(timeline, 0, sizeof *timeline);
    timeline->span = span ? span : 1;
    timeline->n_columns = n_columns < BQ_TIMELINE_MAX ? n_columns : BQ_TIMELINE_MAX;
}

/* ns per column */
static double pitch(const struct bq_timeline *timeline)
{
    return (double)timeline->span / timeline->n_columns;
}

/* Spreads one bin, evenly, over the columns that it overlaps. */
static void add_bin(struct bq_timeline *timeline, double from, double length,
                    const uint64_t part[BQ_N_STATES + 1], double open)
{
    double column = pitch(timeline), to = from + length;
    for (int c = (int)(from / column); c < timeline->n_columns && c * column < to; c++) {
        double start = from > c * column ? from : c * column;
        double end = to < (c + 1) * column ? to : (c + 1) * column;
        if (end <= start)
            continue;
        double share = (end - start) / length;
        for (int s = 0; s <= BQ_N_STATES; s++)
            timeline->column[c].ns[s] += share * (double)part[s];
        timeline->column[c].open += share * open;
    }
}

void bq_timeline_add(struct bq_timeline *timeline, const struct bq_track *track, uint64_t makespan)
{
    for (uint32_t i = 0; i < track->n_bins; i++) {
        uint64_t part[BQ_N_STATES + 1];
        uint64_t length = bq_track_split_bin(track, i, makespan, part);
        uint64_t start = i * track->width;
        if (length && start < timeline->span)
            add_bin(timeline, (double)start, (double)length, part, (double)track->bin[i].open);
    }
    uint64_t seen = track->n_bins * track->width;
    if (seen < makespan && seen < timeline->span) {
        uint64_t idle[BQ_N_STATES + 1] = {0};
        idle[BQ_N_STATES] = makespan - seen;
        add_bin(timeline, (double)seen, (double)(makespan - seen), idle, 0);
    }
}

const char *bq_timeline_marks(const struct bq_timeline *timeline, char *out)
{
    static const char mark[] = {
#define MARK(code, name, letter, character) character,
        BQ_STATES(MARK)
#undef MARK
            ' '};
    for (int c = 0; c < timeline->n_columns; c++) {
        int best = BQ_N_STATES;
        /* Downwards with >=: of equals the one that comes first in BQ_STATES wins. */
        for (int s = BQ_N_STATES; s >= 0; s--) {
            double ns = timeline->column[c].ns[s];
            if (ns > 0 && ns >= timeline->column[c].ns[best])
                best = s;
        }
        out[c] = mark[best];
    }
    out[timeline->n_columns] = 0;
    return out;
}

static char digit(double at_once)
{
    if (at_once < 0.05)
        return ' ';
    return at_once >= 9.5 ? '+' : (char)('0' + (int)(at_once + 0.5));
}

const char *bq_timeline_open(const struct bq_timeline *timeline, char *out)
{
    for (int c = 0; c < timeline->n_columns; c++)
        out[c] = digit(timeline->column[c].open / pitch(timeline));
    out[timeline->n_columns] = 0;
    return out;
}

const char *bq_timeline_cooking(const struct bq_timeline *timeline, char *out)
{
    for (int c = 0; c < timeline->n_columns; c++)
        out[c] = digit(timeline->column[c].ns[BQ_COOKING] / pitch(timeline));
    out[timeline->n_columns] = 0;
    return out;
}

/* The smallest of 1, 2, 5 x 10^n that is at least `least`. */
static double round_step(double least)
{
    static const double mantissa[] = {1, 2, 5};
    double power = 1;
    while (power > least)
        power /= 10;
    while (power * 10 <= least)
        power *= 10;
    for (size_t i = 0; i < 3; i++) {
        /* The tolerance forgives the rounding of 0.1, which has no exact double. */
        if (power * mantissa[i] >= least * (1 - 1e-9))
            return power * mantissa[i];
    }
    return power * 10;
}

const char *bq_timeline_axis(const struct bq_timeline *timeline, double unit_ns, double step,
                             char *out)
{
    int n = timeline->n_columns;
    double column = pitch(timeline) / unit_ns;
    if (step <= 0)
        step = round_step(column * 10);
    memset(out, ' ', (size_t)n + 1);
    out[n + 1] = 0;
    int free_from = 0;
    for (int i = 0;; i++) {
        int at = (int)(i * step / column + 1e-6);
        if (at > n)
            return out;
        char label[32];
        int length = snprintf(label, sizeof label, "%.6g", i * step);
        if (at >= free_from && at + length <= n + 1) {
            memcpy(out + at, label, (size_t)length);
            free_from = at + length + 1;
        }
    }
}
