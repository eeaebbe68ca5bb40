#include "core/trace.h"

#include <string.h>

void bq_track_init(struct bq_track *track)
{
    memset(track, 0, sizeof *track);
    track->width = BQ_TRACE_FINEST;
}

static void fold(struct bq_track *track)
{
    uint32_t n = (track->n_bins + 1) / 2;
    for (uint32_t i = 0; i < n; i++) { /* an odd number of bins leaves the last one alone */
        for (int s = 0; s < BQ_N_STATES; s++) {
            uint64_t ns = track->bin[2 * i].ns[s];
            if (2 * i + 1 < track->n_bins)
                ns += track->bin[2 * i + 1].ns[s];
            track->bin[i].ns[s] = ns;
        }
        uint64_t open = track->bin[2 * i].open;
        if (2 * i + 1 < track->n_bins)
            open += track->bin[2 * i + 1].open;
        track->bin[i].open = open;
    }
    memset(&track->bin[n], 0, (track->n_bins - n) * sizeof track->bin[0]);
    track->n_bins = n;
    track->width *= 2;
}

/* Makes room for an instant and marks its bin as in use. */
static uint32_t bin_of(struct bq_track *track, uint64_t instant)
{
    while (instant / track->width >= BQ_TRACE_BINS)
        fold(track);
    uint32_t bin = (uint32_t)(instant / track->width);
    if (bin >= track->n_bins)
        track->n_bins = bin + 1;
    return bin;
}

/* The bins of [from, to); the last instant of it is to - 1. */
static void bins_of(struct bq_track *track, uint64_t from, uint64_t to, uint32_t *first,
                    uint32_t *last)
{
    *last = bin_of(track, to > from ? to - 1 : from); /* first: it may fold */
    *first = (uint32_t)(from / track->width);
}

void bq_track_add(struct bq_track *track, enum bq_state state, uint64_t from, uint64_t to,
                  uint64_t ns)
{
    if (ns == 0)
        return;
    uint32_t first, last;
    bins_of(track, from, to, &first, &last);
    track->total[state] += ns;
    uint64_t given = 0;
    for (uint32_t i = first; i < last; i++) {
        /* Shares are differences of a running sum and the last bin gets the rest: nothing is lost
         * to rounding, so the bins add up to the total exactly. */
        uint64_t length = (i + 1) * track->width - from;
        uint64_t sum = ns == to - from
                           ? length
                           : (uint64_t)((double)ns * ((double)length / (double)(to - from)));
        if (sum > ns)
            sum = ns;
        track->bin[i].ns[state] += sum - given;
        given = sum;
    }
    track->bin[last].ns[state] += ns - given;
}

void bq_track_open(struct bq_track *track, uint64_t from, uint64_t to)
{
    if (to <= from)
        return;
    uint32_t first, last;
    bins_of(track, from, to, &first, &last);
    track->open += to - from;
    for (uint32_t i = first; i < last; i++) {
        uint64_t end = (i + 1) * track->width;
        track->bin[i].open += end - from;
        from = end;
    }
    track->bin[last].open += to - from;
}

void bq_track_coarsen(struct bq_track *track, uint64_t width)
{
    while (track->width < width)
        fold(track);
}

void bq_track_merge(struct bq_track *into, const struct bq_track *other)
{
    /* Widths are the finest one times a power of two, so the coarser is a multiple of the finer. */
    bq_track_coarsen(into, other->width);
    uint64_t ratio = into->width / other->width;
    for (int s = 0; s < BQ_N_STATES; s++)
        into->total[s] += other->total[s];
    into->open += other->open;
    for (uint32_t i = 0; i < other->n_bins; i++) {
        uint32_t at = (uint32_t)(i / ratio);
        for (int s = 0; s < BQ_N_STATES; s++)
            into->bin[at].ns[s] += other->bin[i].ns[s];
        into->bin[at].open += other->bin[i].open;
        if (at >= into->n_bins)
            into->n_bins = at + 1;
    }
}

uint64_t bq_track_split_bin(const struct bq_track *track, uint32_t bin, uint64_t makespan,
                            uint64_t part[BQ_N_STATES + 1])
{
    /* Who gets the time first; the oven comes last. */
    static const enum bq_state order[] = {BQ_COOKING, BQ_READY, BQ_KNIFE, BQ_PASS, BQ_OVEN};
    memset(part, 0, (BQ_N_STATES + 1) * sizeof part[0]);
    uint64_t start = bin * track->width;
    if (start >= makespan)
        return 0;
    uint64_t length = makespan - start < track->width ? makespan - start : track->width;
    uint64_t left = length;
    for (size_t i = 0; i < sizeof order / sizeof *order && bin < track->n_bins; i++) {
        uint64_t ns = track->bin[bin].ns[order[i]];
        part[order[i]] = ns < left ? ns : left;
        left -= part[order[i]];
    }
    part[BQ_N_STATES] = left;
    return length;
}

void bq_track_split(const struct bq_track *track, uint64_t makespan, uint64_t part[BQ_N_STATES + 1])
{
    memset(part, 0, (BQ_N_STATES + 1) * sizeof part[0]);
    uint64_t covered = 0;
    for (uint32_t i = 0; i < track->n_bins; i++) {
        uint64_t of_bin[BQ_N_STATES + 1];
        covered += bq_track_split_bin(track, i, makespan, of_bin);
        for (int s = 0; s <= BQ_N_STATES; s++)
            part[s] += of_bin[s];
    }
    part[BQ_N_STATES] += makespan - covered;
}
