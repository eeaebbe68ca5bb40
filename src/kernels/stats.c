/* stats: count, NaN, minimum, maximum, sum, mean, population variance and standard deviation.
 *
 *     mean = (sum of x) / n      variance = (sum of (x - mean)^2) / n      deviation =
 * sqrt(variance)
 *
 * All have the unit of the input (variance: squared). NaN is counted and otherwise left out. An
 * infinity is a number: it is counted, is the minimum or maximum, makes sum and mean infinite (NaN
 * if both signs occur) and the variance NaN. Without numbers, all but the counts are NaN.
 *
 * Integers are always summed exactly (x and x * x), so nothing overflows.
 *
 * Floats, exact = false: blocks of 2048 elements by the corrected two-pass algorithm; blocks and
 * chunks are joined by Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for
 * computing sample variances", Stanford STAN-CS-79-773, 1979:
 *     M2 = M2a + M2b + d^2 na nb / n      mean = mean_a + d nb / n      d = mean_b - mean_a
 * The shape of chunks changes last bits. Where a sum or a square passes 1.8e308, results are
 * infinite or NaN.
 *
 * Floats, exact = true: x and x * x are summed without any rounding (wide.h, stats_exact.c). The
 * sum is the correctly rounded one.
 *
 * Of exact sums, the mean has one rounding more (a division) and the variance three in all; no bit
 * depends on the shape of chunks, and only what no double can hold is infinite.
 */
#include "stats.h"
#include "wide.h"

#include <math.h>
#include <string.h>

enum { EXACT };

static const struct bq_param params[] = {
    {"exact",
     BQ_BOOL,
     {.b = false},
     1,
     0,
     "",
     "sum floats without rounding, so that the shape of chunks changes no bit"},
};

/* Words of the sums of a kind, and the power of two that the sum counts. */
static const struct layout {
    size_t n_sum, n_squares;
    int unit;
} layouts[] = {
    [STATS_UNSIGNED] = {STATS_SUM, STATS_SQUARES, 0},
    [STATS_SIGNED] = {STATS_SUM, STATS_SQUARES, 0},
    [STATS_REAL] = {0, 0, 0},
    [STATS_EXACT] = {STATS_EXACT_SUM, STATS_EXACT_SQUARES, STATS_UNIT},
};

static size_t size_of(uint64_t kind)
{
    size_t words = layouts[kind].n_sum + layouts[kind].n_squares;
    return sizeof(struct stats) + (words ? words * sizeof(uint64_t) : sizeof(struct moments));
}

static enum stats_kind kind_of(enum bq_type type, bool is_exact)
{
    if (type == BQ_F32 || type == BQ_F64)
        return is_exact ? STATS_EXACT : STATS_REAL;
    bool is_signed = type == BQ_I8 || type == BQ_I16 || type == BQ_I32 || type == BQ_I64;
    return is_signed ? STATS_SIGNED : STATS_UNSIGNED;
}

static int prepare(struct bq_setup *setup)
{
    setup->acc_size = size_of(kind_of(setup->in_type, setup->params[EXACT].b));
    return 0;
}

static enum bq_answer cook(struct bq_call *call)
{
    const struct bq_block *in = call->in;
    struct stats *s = call->acc;
    s->kind = kind_of(in->type, call->params[EXACT].b);
    if (s->kind == STATS_EXACT)
        stats_exact(s, in->type, in->data, (size_t)in->n);
    else if (s->kind == STATS_REAL)
        stats_fast(s, in->type, in->data, (size_t)in->n);
    else
        stats_integers(s, in->type, in->data, (size_t)in->n);
    return BQ_DONE;
}

static void widen(struct stats *a, const struct stats *b)
{
    if (b->count == 0)
        return;
    bool is_first = a->count == 0;
    if (a->kind == STATS_UNSIGNED) {
        a->min.u = is_first || b->min.u < a->min.u ? b->min.u : a->min.u;
        a->max.u = is_first || b->max.u > a->max.u ? b->max.u : a->max.u;
    } else if (a->kind == STATS_SIGNED) {
        a->min.i = is_first || b->min.i < a->min.i ? b->min.i : a->min.i;
        a->max.i = is_first || b->max.i > a->max.i ? b->max.i : a->max.i;
    } else {
        stats_range(a, b->min.r, b->max.r);
    }
}

static void combine(const union bq_value *values, void *into, const void *next)
{
    (void)values;
    struct stats *a = into;
    const struct stats *b = next;
    if (b->kind == STATS_NOTHING)
        return;
    if (a->kind == STATS_NOTHING) {
        memcpy(a, b, size_of(b->kind));
        return;
    }
    const struct layout *layout = &layouts[a->kind];
    widen(a, b);
    if (a->kind == STATS_REAL) {
        stats_join(stats_moments(a), a->count, (const struct moments *)(const void *)b->words,
                   b->count);
    } else {
        wide_add_wide(a->words, b->words, layout->n_sum);
        wide_add_wide(a->words + layout->n_sum, b->words + layout->n_sum, layout->n_squares);
    }
    a->count += b->count;
    a->nan += b->nan;
    a->above += b->above;
    a->below += b->below;
}

/* An integer as one if it is at least 0: a sink has no negative ones. */
static void send(struct bq_sink *sink, const char *name, uint64_t kind, union number v)
{
    if (kind == STATS_UNSIGNED || (kind == STATS_SIGNED && v.i >= 0))
        sink->integer(sink, name, v.u);
    else if (kind == STATS_SIGNED)
        sink->negative(sink, name, v.i);
    else
        sink->real(sink, name, v.r);
}

static void present_sums(const struct stats *s, struct bq_sink *sink)
{
    const struct layout *layout = &layouts[s->kind];
    const double n = (double)s->count;
    double sum, mean, variance;
    if (s->kind == STATS_REAL) {
        const struct moments *m = (const struct moments *)(const void *)s->words;
        sum = m->sum;
        mean = m->mean;
        variance = m->m2 / n;
    } else {
        int exponent;
        double m = wide_nearest(s->words, layout->n_sum, &exponent);
        sum = ldexp(m, exponent + layout->unit);
        mean = ldexp(m / n, exponent + layout->unit);
        variance = wide_variance(s->words, layout->n_sum, s->words + layout->n_sum,
                                 layout->n_squares, s->count, 2 * layout->unit);
    }
    if (s->kind == STATS_UNSIGNED || s->kind == STATS_SIGNED)
        wide_present(sink, "sum", s->words, layout->n_sum);
    else
        sink->real(sink, "sum", sum);
    sink->real(sink, "mean", mean);
    sink->real(sink, "variance", variance);
    sink->real(sink, "deviation", sqrt(variance));
}

static void present(const union bq_value *values, const void *acc, struct bq_sink *sink)
{
    (void)values;
    const struct stats *s = acc;
    const uint64_t infinite = s->above + s->below;
    sink->integer(sink, "count", s->count + infinite);
    sink->integer(sink, "nan", s->nan);
    sink->integer(sink, "infinite", infinite);

    const union number nan = {.r = (double)NAN}, above = {.r = (double)INFINITY},
                       below = {.r = -(double)INFINITY};
    union number min = s->count ? s->min : s->above ? above : nan;
    union number max = s->count ? s->max : s->below ? below : nan;
    uint64_t kind = s->count ? s->kind : STATS_REAL;
    send(sink, "min", kind, s->below ? below : min);
    send(sink, "max", kind, s->above ? above : max);

    if (s->count && !infinite) {
        present_sums(s, sink);
        return;
    }
    double sum = !infinite || (s->above && s->below) ? nan.r : s->above ? above.r : below.r;
    sink->real(sink, "sum", sum);
    sink->real(sink, "mean", sum);
    sink->real(sink, "variance", nan.r);
    sink->real(sink, "deviation", nan.r);
}

const struct bq_kernel bq_kernel_stats = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_READS,
    .name = "stats",
    .summary =
        "count, range, sum, mean, deviation; NaN is left out and counted, infinities are numbers",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
    .combine = combine,
    .present = present,
};
