/* The accumulator of the stats kernel, and the three ways to add elements to it. */
#ifndef BQ_KERNELS_STATS_H
#define BQ_KERNELS_STATS_H

#include "banquet/kernel.h"

/* How elements are summed. NOTHING: no chunk was seen yet. */
enum stats_kind { STATS_NOTHING, STATS_UNSIGNED, STATS_SIGNED, STATS_REAL, STATS_EXACT };

/* Sums of integers are 192 and 256 bits wide: room for 2^64 elements of 64 bits. Sums of doubles
 * start at 2^-1074 and 2^-2148, and have room for 2^64 elements of 1.8e308. */
enum {
    STATS_SUM = 3,
    STATS_SQUARES = 4,
    STATS_EXACT_SUM = 34,
    STATS_EXACT_SQUARES = 67,
    STATS_UNIT = -1074 /* STATS_EXACT: a sum counts 2^-1074 */
};

struct moments {
    double sum, mean, m2; /* m2: the sum of (x - mean)^2 */
};

union number {
    uint64_t u;
    int64_t i;
    double r;
};

/* All bytes zero: nothing seen. min and max are of finite numbers, and mean nothing if count is 0.
 * `words` holds struct moments (STATS_REAL) or the sum and then the sum of squares (wide.h). */
struct stats {
    uint64_t kind, count, nan, above, below; /* count is of finite numbers, above of +infinity */
    union number min, max;
    uint64_t words[];
};

static inline struct moments *stats_moments(struct stats *s)
{
    return (struct moments *)(void *)s->words;
}

/* Widens the range of finite floats; call it before count grows. The + 0.0 makes a zero positive:
 * which of the two zeros is the minimum must not depend on their order. */
static inline void stats_range(struct stats *s, double min, double max)
{
    s->min.r = (s->count == 0 || min < s->min.r ? min : s->min.r) + 0.0;
    s->max.r = (s->count == 0 || max > s->max.r ? max : s->max.r) + 0.0;
}

/* Counts an x that is not finite. */
static inline void stats_odd(struct stats *s, double x)
{
    s->nan += x != x;
    s->above += x > 0;
    s->below += x < 0;
}

/* Each adds n elements of a type of its kind to s, which held nothing. */
void stats_integers(struct stats *s, enum bq_type type, const void *x, size_t n);
void stats_fast(struct stats *s, enum bq_type type, const void *x, size_t n);
void stats_exact(struct stats *s, enum bq_type type, const void *x, size_t n);

/* into := both together; n_into and n_next are how many numbers each is of. */
void stats_join(struct moments *into, uint64_t n_into, const struct moments *next, uint64_t n_next);

#endif
