/* histogram: counts elements in `bins` equal bins from low (inclusive) to high (exclusive).
 *
 *     bin(x) = floor((x - low) * (bins / (high - low))), at most bins - 1
 *
 * computed in double, low and high in the unit of the input. x < low and -infinity count as below,
 * x >= high and infinity as above, NaN as nan: count, below, above and nan add up to the number of
 * elements. Where (high - low) / bins is a power of two (the default), edges are exact; otherwise
 * an x within rounding of an edge may count on its other side, always the same one. A uint64 or
 * int64 beyond 2^53 is rounded to a double first. Counts are 64 bits wide and do not overflow.
 */
#include "banquet/kernel.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0, "double must be computed in its own width");

enum { BINS, LOW, HIGH };
enum { MAX_BINS = 65536, BLOCK = 1024 };

static const struct bq_param params[] = {
    {"bins", BQ_INT, {.i = 256}, 1, MAX_BINS, "", "how many bins"},
    {"low", BQ_REAL, {.r = 0}, -DBL_MAX, DBL_MAX, "", "lower edge of the first bin"},
    {"high", BQ_REAL, {.r = 256}, -DBL_MAX, DBL_MAX, "", "upper edge of the last bin"},
};

/* The accumulator is bins + 3 counts: below, the bins, above, nan. */
static size_t n_slots(const union bq_value *p)
{
    return (size_t)p[BINS].i + 3;
}

struct rule {
    double low, high, scale, last;
};

static struct rule rule_of(const union bq_value *p)
{
    double bins = (double)p[BINS].i;
    return (struct rule){p[LOW].r, p[HIGH].r, bins / (p[HIGH].r - p[LOW].r), bins - 1};
}

static int prepare(struct bq_setup *setup)
{
    struct rule rule = rule_of(setup->params);
    if (!(rule.low < rule.high)) {
        snprintf(setup->message, sizeof setup->message,
                 "low is %g and high is %g: low must be less than high", rule.low, rule.high);
        return -1;
    }
    if (!isfinite(rule.scale) || !(rule.scale > 0)) {
        snprintf(setup->message, sizeof setup->message,
                 "low %g and high %g are too %s for bins of a width that a float64 can hold",
                 rule.low, rule.high, rule.scale > 0 ? "close together" : "far apart");
        return -1;
    }
    setup->acc_size = n_slots(setup->params) * sizeof(uint64_t);
    return 0;
}

/* 1 if d < 0. Looks at the sign instead of comparing: of comparisons, compilers make branches,
 * which cost 5 ns each time they are guessed wrong. The + 0.0 makes a negative zero positive. */
static inline int32_t is_negative(double d)
{
    uint64_t bits;
    d += 0.0;
    memcpy(&bits, &d, sizeof bits);
    return (int32_t)(bits >> 63);
}

/* Where each x counts: 0 is below, bins + 1 above, bins + 2 nan. A difference of doubles has the
 * right sign, as gradual underflow keeps it from becoming 0; so the edges low and high are exact.
 */
static void find_slots(const double *x, int32_t *slot, size_t n, struct rule rule)
{
    double n_nan = 0;
    for (size_t i = 0; i < n; i++) {
        double t = (x[i] - rule.low) * rule.scale;
        t = t < rule.last ? t : rule.last;
        t = t > 0 ? t : 0;
        slot[i] = (int32_t)t + 2 - is_negative(x[i] - rule.low) - is_negative(x[i] - rule.high);
    }
    for (size_t i = 0; i < n; i++)
        n_nan += x[i] == x[i] ? 0 : 1;
    for (size_t i = 0; i < n && n_nan > 0; i++)
        slot[i] = x[i] == x[i] ? slot[i] : (int32_t)rule.last + 3;
}

#define COUNT(ctype)                                                                               \
    static void count_##ctype(uint64_t *count, const ctype *x, size_t n, struct rule rule)         \
    {                                                                                              \
        double value[BLOCK];                                                                       \
        int32_t slot[BLOCK];                                                                       \
        for (size_t done = 0, size; done < n; done += size) {                                      \
            size = n - done < BLOCK ? n - done : BLOCK;                                            \
            for (size_t i = 0; i < size; i++)                                                      \
                value[i] = (double)x[done + i];                                                    \
            find_slots(value, slot, size, rule);                                                   \
            for (size_t i = 0; i < size; i++)                                                      \
                count[slot[i]]++;                                                                  \
        }                                                                                          \
    }

/* 8 bits: first how often each of the 256 values comes, then where each value counts. Four tables,
 * because adding to the number just added to waits for it. */
#define COUNT_BYTES(ctype)                                                                         \
    static void count_##ctype(uint64_t *count, const ctype *x, size_t n, struct rule rule)         \
    {                                                                                              \
        uint64_t table[4][256] = {{0}};                                                            \
        double value[256];                                                                         \
        int32_t slot[256];                                                                         \
        size_t i = 0;                                                                              \
        for (; i + 4 <= n; i += 4) {                                                               \
            table[0][(uint8_t)x[i]]++;                                                             \
            table[1][(uint8_t)x[i + 1]]++;                                                         \
            table[2][(uint8_t)x[i + 2]]++;                                                         \
            table[3][(uint8_t)x[i + 3]]++;                                                         \
        }                                                                                          \
        for (; i < n; i++)                                                                         \
            table[0][(uint8_t)x[i]]++;                                                             \
        for (unsigned k = 0; k < 256; k++)                                                         \
            value[k] = (double)(ctype)k;                                                           \
        find_slots(value, slot, 256, rule);                                                        \
        for (unsigned k = 0; k < 256; k++)                                                         \
            count[slot[k]] += table[0][k] + table[1][k] + table[2][k] + table[3][k];               \
    }

COUNT_BYTES(uint8_t)
COUNT_BYTES(int8_t)
COUNT(uint16_t)
COUNT(int16_t)
COUNT(uint32_t)
COUNT(int32_t)
COUNT(uint64_t)
COUNT(int64_t)
COUNT(float)
COUNT(double)

static enum bq_answer cook(struct bq_call *call)
{
    const struct bq_block *in = call->in;
    struct rule rule = rule_of(call->params);
    switch (in->type) {
#define CASE(code, name, ctype)                                                                    \
    case code:                                                                                     \
        count_##ctype(call->acc, in->data, (size_t)in->n, rule);                                   \
        break;
        BQ_TYPES(CASE)
    case BQ_N_TYPES:
        break;
    }
    return BQ_DONE;
}

static void combine(const union bq_value *values, void *into, const void *next)
{
    uint64_t *a = into;
    const uint64_t *b = next;
    for (size_t i = 0; i < n_slots(values); i++)
        a[i] += b[i];
}

static void present(const union bq_value *values, const void *acc, struct bq_sink *sink)
{
    const uint64_t *slot = acc;
    const size_t bins = (size_t)values[BINS].i;
    uint64_t inside = 0;
    for (size_t i = 1; i <= bins; i++)
        inside += slot[i];
    sink->integer(sink, "count", inside);
    sink->integer(sink, "below", slot[0]);
    sink->integer(sink, "above", slot[bins + 1]);
    sink->integer(sink, "nan", slot[bins + 2]);
    sink->series(sink, "counts", slot + 1, bins);
}

const struct bq_kernel bq_kernel_histogram = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_READS,
    .name = "histogram",
    .summary = "counts elements in equal bins; NaN and what lies outside are counted apart",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
    .combine = combine,
    .present = present,
};
