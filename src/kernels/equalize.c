/* equalize: spreads values so that each part of the range is used alike (histogram equalization;
 * R. C. Gonzalez, R. E. Woods, "Digital Image Processing", 3.3.1; OpenCV's equalizeHist).
 *
 *     out = first + (last - first) (below(x) - least) / (n - least)
 *
 * below(x): how many elements lie in the bin of x or in a lower one; least: how many in the lowest
 * bin that is not empty; n: all. `counts`, `low` and `high` are those of the histogram kernel,
 * whose step comes before this one. first .. last is low .. high for floats; for integers the
 * smallest and the largest whole number from low on and below high, inside the type. An x below low
 * becomes first, one from high on last; where all elements were in one bin, that becomes first.
 *
 * Computed in double, rounded and clamped as numbers.h says; a NaN becomes the positive quiet one.
 * Sums of counts are exact up to 2^53. Type and unit are those of the input.
 */
#include "clones.h"
#include "numbers.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

_Static_assert(FLT_EVAL_METHOD == 0, "double must be computed in its own width");

enum { COUNTS, LOW, HIGH };
enum { MAX_BINS = 65536, BLOCK = 512 };

static const struct bq_param params[] = {
    {"counts", BQ_LIST, {.list = NULL}, 0, 0x1p53, "", "of the histogram kernel"},
    {"low", BQ_REAL, {.r = 0}, -DBL_MAX, DBL_MAX, "", "lower edge of the first bin"},
    {"high", BQ_REAL, {.r = 256}, -DBL_MAX, DBL_MAX, "", "upper edge of the last bin"},
};

struct rule {
    double low, scale, last_bin;
    double first, last; /* of the output */
};

static struct rule rule_of(const union bq_value *p, enum bq_type type)
{
    const struct numbers_range range = numbers_ranges[type];
    const double low = p[LOW].r, high = p[HIGH].r, bins = (double)p[COUNTS].list->n;
    struct rule rule = {low, bins / (high - low), bins - 1, low, high};
    if (!numbers_is_float(type)) {
        rule.first = fmax(ceil(low), range.min);
        rule.last = fmin(ceil(high) - 1, range.end - 1);
    }
    return rule;
}

static int prepare(struct bq_setup *setup)
{
    const union bq_value *p = setup->params;
    const struct bq_list *counts = p[COUNTS].list;
    double sum = 0;
    if (!counts || counts->n == 0 || counts->n > MAX_BINS) {
        snprintf(setup->message, sizeof setup->message,
                 "%zu counts: give those of a histogram of this dataset, at most %d",
                 counts ? counts->n : 0, MAX_BINS);
        return -1;
    }
    for (size_t k = 0; k < counts->n; k++)
        sum += counts->at[k];
    const struct rule rule = rule_of(p, setup->in_type);
    if (!(sum > 0 && sum <= 0x1p53)) {
        snprintf(setup->message, sizeof setup->message,
                 "the counts add up to %g: they must be those of 1 to 2^53 elements", sum);
        return -1;
    }
    if (!(isfinite(rule.scale) && rule.scale > 0 && rule.first <= rule.last)) {
        snprintf(setup->message, sizeof setup->message,
                 "no bins and %s lie between low %g and high %g", bq_type_name(setup->in_type),
                 p[LOW].r, p[HIGH].r);
        return -1;
    }
    return 0;
}

/* What becomes of each bin, then of what is below and above: bins + 2 numbers. */
static void fill(const struct bq_list *counts, struct rule rule, double *table)
{
    double least = 0, sum = 0, n = 0;
    for (size_t k = counts->n; k-- > 0;) {
        n += counts->at[k];
        least = counts->at[k] > 0 ? counts->at[k] : least;
    }
    for (size_t k = 0; k < counts->n; k++) {
        sum += counts->at[k];
        double share = sum > least && n > least ? (sum - least) / (n - least) : 0;
        table[k] = share < 1 ? rule.first + (rule.last - rule.first) * share : rule.last;
    }
    table[counts->n] = rule.first;
    table[counts->n + 1] = rule.last;
}

/* The bin of the histogram kernel, with the same rounding. */
CLONES static void find(const double *x, int32_t *bin, size_t n, struct rule rule, double high)
{
    for (size_t i = 0; i < n; i++) {
        double t = (x[i] - rule.low) * rule.scale;
        t = t < rule.last_bin ? t : rule.last_bin;
        t = t > 0 ? t : 0;
        t = x[i] < rule.low ? rule.last_bin + 1 : t;
        t = x[i] >= high ? rule.last_bin + 2 : t;
        bin[i] = (int32_t)t;
    }
}

static enum bq_answer cook(struct bq_call *call)
{
    const struct bq_block *in = call->in;
    const struct rule rule = rule_of(call->params, in->type);
    const size_t size = bq_type_size(in->type), n = (size_t)in->n;
    double table[MAX_BINS + 2], x[BLOCK];
    int32_t bin[BLOCK];
    fill(call->params[COUNTS].list, rule, table);
    for (size_t first = 0; first < n; first += BLOCK) {
        const size_t n_now = n - first < BLOCK ? n - first : BLOCK;
        numbers_load(in->type, (const char *)in->data + first * size, n_now, x);
        find(x, bin, n_now, rule, call->params[HIGH].r);
        for (size_t i = 0; i < n_now; i++)
            x[i] = x[i] == x[i] ? table[bin[i]] : x[i];
        numbers_store(in->type, x, n_now, (char *)call->out->data + first * size);
    }
    return BQ_DONE;
}

const struct bq_kernel bq_kernel_equalize = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_READS | BQ_WRITES,
    .name = "equalize",
    .summary = "spreads values evenly over a range, by the counts of a histogram",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
};
