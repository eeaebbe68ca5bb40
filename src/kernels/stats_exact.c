/* stats of floats, exact: every x is an integer of 53 bits times a power of two, and so is x * x
 * with 106 bits. Both are added to the bin of that power, without shifting; at the end each bin is
 * shifted and added to the wide sum. Nothing rounds, so order and grouping do not matter. */
#include "stats.h"
#include "wide.h"

#include <string.h>

__extension__ typedef __int128 i128;

enum { BINS = 2047, INFINITE = 2047 };

/* Filled at most 2^21 times: 106 + 21 bits fit. */
#define FILL ((size_t)1 << 21)

struct bin {
    i128 sum;
    bq_u128 squares;
};

static void flush(struct stats *s, const struct bin *bins)
{
    uint64_t *sum = s->words, *squares = s->words + STATS_EXACT_SUM;
    for (unsigned e = 0; e < BINS; e++) {
        unsigned shift = e ? e - 1 : 0; /* subnormals (e = 0) have the unit of e = 1 */
        if (bins[e].squares == 0)
            continue;
        if (bins[e].sum < 0)
            wide_subtract(sum, STATS_EXACT_SUM, shift, (bq_u128)-bins[e].sum);
        else
            wide_add(sum, STATS_EXACT_SUM, shift, (bq_u128)bins[e].sum);
        wide_add(squares, STATS_EXACT_SQUARES, 2 * shift, bins[e].squares);
    }
}

#define ADD(ctype)                                                                                 \
    static void add_##ctype(struct stats *s, const ctype *x, size_t n)                             \
    {                                                                                              \
        struct bin bins[BINS];                                                                     \
        memset(bins, 0, sizeof bins);                                                              \
        uint64_t n_odd = 0;                                                                        \
        double min = 0, max = 0;                                                                   \
        for (size_t i = 0; i < n; i++) {                                                           \
            const double v = (double)x[i];                                                         \
            uint64_t bits;                                                                         \
            memcpy(&bits, &v, sizeof bits);                                                        \
            const unsigned e = (unsigned)(bits >> 52) & 2047;                                      \
            if (e == INFINITE) {                                                                   \
                stats_odd(s, v);                                                                   \
                n_odd++;                                                                           \
                continue;                                                                          \
            }                                                                                      \
            if (i == n_odd) /* the first finite one */                                             \
                min = max = v;                                                                     \
            min = v < min ? v : min;                                                               \
            max = v > max ? v : max;                                                               \
            const uint64_t m = (bits & 0xfffffffffffff) | (uint64_t)(e != 0) << 52;                \
            bins[e].sum += bits >> 63 ? -(int64_t)m : (int64_t)m;                                  \
            bins[e].squares += (bq_u128)m * m;                                                     \
        }                                                                                          \
        if (n_odd == n)                                                                            \
            return;                                                                                \
        stats_range(s, min, max);                                                                  \
        s->count += n - n_odd;                                                                     \
        flush(s, bins);                                                                            \
    }

ADD(float)
ADD(double)

void stats_exact(struct stats *s, enum bq_type type, const void *x, size_t n)
{
    for (size_t i = 0; i < n; i += FILL) {
        size_t size = n - i < FILL ? n - i : FILL;
        if (type == BQ_F32)
            add_float(s, (const float *)x + i, size);
        else
            add_double(s, (const double *)x + i, size);
    }
}
