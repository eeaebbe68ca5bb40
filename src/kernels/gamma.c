/* gamma: the power law of displays and cameras, on the range low .. high (C. Poynton, "Digital
 * Video and HD", 2012, chapter 27; skimage.exposure.adjust_gamma).
 *
 *     out = low + (high - low) t^gamma,    t = (in - low) / (high - low), clamped to 0 .. 1
 *
 * gamma below 1 lightens, above 1 darkens. Without `low` and `high` the range is that of an integer
 * type, and 0 .. 1 of floats. In units of the input, whose type the output has.
 *
 * Computed in double: t^gamma as exp(gamma log t) (elementary.h), with a relative error of at most
 * about (2 + |gamma log t|) 2^-53; t below 2^-1022 counts as 0; gamma 1 only clamps, but for
 * rounding. 8 and 16 bits are looked up in a table of these. Rounded and clamped as numbers.h says.
 * A NaN becomes the positive quiet one, infinities the ends of the range.
 */
#include "clones.h"
#include "elementary.h"
#include "numbers.h"

#include <math.h>
#include <stdio.h>

enum { GAMMA, LOW, HIGH };
enum { BLOCK = 512, BYTES = 1 << 8, WORDS = 1 << 16 };

static const struct bq_param params[] = {
    {"gamma", BQ_REAL, {.r = 0.5}, 0.001, 1000, "", "exponent: below 1 lightens, above 1 darkens"},
    {"low",
     BQ_REAL,
     {.r = -INFINITY},
     1,
     0,
     "",
     "stays as it is, as all below; standard: 0 of floats, or the least"},
    {"high",
     BQ_REAL,
     {.r = INFINITY},
     1,
     0,
     "",
     "stays as it is, as all above; standard: 1 of floats, or the most"},
};

struct law {
    double gamma, low, width;
};

static struct law law_of(const union bq_value *p, enum bq_type type)
{
    const struct numbers_range range = numbers_ranges[type];
    double low = p[LOW].r, high = p[HIGH].r;
    if (isinf(low))
        low = numbers_is_float(type) ? 0 : range.min;
    if (isinf(high))
        high = numbers_is_float(type) ? 1 : range.end - 1;
    return (struct law){p[GAMMA].r, low, high - low};
}

static int prepare(struct bq_setup *setup)
{
    const struct law law = law_of(setup->params, setup->in_type);
    if (law.width > 0 && isfinite(law.width) && isfinite(1 / law.width))
        return 0;
    snprintf(setup->message, sizeof setup->message,
             "the range begins at %g and is %g wide: low must be less than high, by a number that "
             "a float64 can hold",
             law.low, law.width);
    return -1;
}

CLONES static void apply(double *x, size_t n, struct law law)
{
    for (size_t i = 0; i < n; i++) {
        double t = (x[i] - law.low) / law.width;
        t = t > 0 ? t : 0;
        t = t < 1 ? t : 1;
        double kept = t > DBL_MIN ? t : DBL_MIN;
        double power = elementary_exp(law.gamma * elementary_log(kept));
        power = t > DBL_MIN ? power : 0;
        power = law.gamma == 1 ? t : power;
        x[i] = x[i] == x[i] ? law.low + law.width * power : x[i];
    }
}

/* All numbers of a type of up to 16 bits, and what becomes of them. */
static void fill(enum bq_type type, struct law law, void *table, unsigned size)
{
    double x[BLOCK];
    for (unsigned first = 0; first < size; first += BLOCK) {
        const unsigned n = size - first < BLOCK ? size - first : BLOCK;
        for (unsigned i = 0; i < n; i++) {
            unsigned k = first + i;
            bool is_below = numbers_ranges[type].min < 0 && k >= size / 2;
            x[i] = (double)k - (is_below ? size : 0);
        }
        apply(x, n, law);
        numbers_store(type, x, n, (char *)table + first * bq_type_size(type));
    }
}

static void look_up_bytes(enum bq_type type, struct law law, const uint8_t *x, uint8_t *y, size_t n)
{
    uint8_t table[BYTES];
    fill(type, law, table, BYTES);
    for (size_t i = 0; i < n; i++)
        y[i] = table[x[i]];
}

static void look_up_words(enum bq_type type, struct law law, const uint16_t *x, uint16_t *y,
                          size_t n)
{
    uint16_t table[WORDS];
    fill(type, law, table, WORDS);
    for (size_t i = 0; i < n; i++)
        y[i] = table[x[i]];
}

static void compute(enum bq_type type, struct law law, const char *x, char *y, size_t n)
{
    const size_t size = bq_type_size(type);
    double block[BLOCK];
    for (size_t first = 0; first < n; first += BLOCK) {
        const size_t n_now = n - first < BLOCK ? n - first : BLOCK;
        numbers_load(type, x + first * size, n_now, block);
        apply(block, n_now, law);
        numbers_store(type, block, n_now, y + first * size);
    }
}

static enum bq_answer cook(struct bq_call *call)
{
    const struct bq_block *in = call->in;
    const struct law law = law_of(call->params, in->type);
    const size_t size = bq_type_size(in->type), n = (size_t)in->n;
    const void *x = in->data;
    void *y = call->out->data;
    if (size == 1)
        look_up_bytes(in->type, law, x, y, n);
    else if (size == 2 && n >= WORDS / 8)
        look_up_words(in->type, law, x, y, n);
    else
        compute(in->type, law, x, y, n);
    return BQ_DONE;
}

const struct bq_kernel bq_kernel_gamma = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_READS | BQ_WRITES,
    .name = "gamma",
    .summary = "a power law: lightens or darkens the middle of a range and keeps its ends",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
};
