/* brighten: out = clamp(in * gain + offset), the linear point operation of every image program.
 *
 * Integers are computed in double (round to nearest, no fused multiply-add), clamped to the bounds
 * and rounded to the nearest whole number, halves to even. The bounds are the type's range, made
 * narrower by `low` (rounded up) and `high` (rounded down). So nothing wraps around. A double holds
 * 53 bits: a uint64 or int64 beyond 2^53 is rounded to the nearest double before it is multiplied,
 * also when gain is 1 and offset 0.
 *
 * Floats are computed in their own width, with the four parameters rounded to it. They are clamped
 * only to `low` and `high`; without those, infinity stays and an overflow becomes infinity. A NaN
 * is passed on bit for bit; a NaN that arises here (infinity * 0) is the positive quiet one. Which
 * NaN a multiplication returns differs between processors, hence both rules.
 *
 * Output has the type and units of the input. `out` may be `in`.
 */
#include "banquet/kernel.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0, "float and double must be computed in their own width");

enum { GAIN, OFFSET, LOW, HIGH };

static const struct bq_param params[] = {
    {"gain", BQ_REAL, {.r = 1.2}, -DBL_MAX, DBL_MAX, "", "factor, applied first"},
    {"offset", BQ_REAL, {.r = 0}, -DBL_MAX, DBL_MAX, "", "added after the gain"},
    {"low", BQ_REAL, {.r = -INFINITY}, 1, 0, "", "smaller results become this"},
    {"high", BQ_REAL, {.r = INFINITY}, 1, 0, "", "larger results become this"},
};

/* The integer types: smallest value, and the first power of two beyond the largest, both exact. */
static const struct range {
    double min, end;
} ranges[BQ_N_TYPES] = {
    [BQ_U8] = {0, 0x1p8},         [BQ_I8] = {-0x1p7, 0x1p7},    [BQ_U16] = {0, 0x1p16},
    [BQ_I16] = {-0x1p15, 0x1p15}, [BQ_U32] = {0, 0x1p32},       [BQ_I32] = {-0x1p31, 0x1p31},
    [BQ_U64] = {0, 0x1p64},       [BQ_I64] = {-0x1p63, 0x1p63},
};

static bool is_float(enum bq_type type)
{
    return type == BQ_F32 || type == BQ_F64;
}

struct line {
    double gain, offset, low, high;
};

/* The map with bounds that suit the type: whole numbers inside the range of an integer type. With
 * 64 bits, end - 1 rounds to end; the loops for those types look at that. */
static struct line line_of(const union bq_value *p, enum bq_type type)
{
    struct line line = {p[GAIN].r, p[OFFSET].r, p[LOW].r, p[HIGH].r};
    if (!is_float(type)) {
        line.low = fmax(ceil(line.low), ranges[type].min);
        line.high = fmin(floor(line.high), ranges[type].end - 1);
    }
    return line;
}

static int prepare(struct bq_setup *setup)
{
    double low = setup->params[LOW].r, high = setup->params[HIGH].r;
    if (!(low <= high)) {
        snprintf(setup->message, sizeof setup->message,
                 "low is %g and high is %g: low must be at most high", low, high);
        return -1;
    }
    struct line line = line_of(setup->params, setup->in_type);
    if (!is_float(setup->in_type) &&
        (line.low > line.high || line.low >= ranges[setup->in_type].end)) {
        snprintf(setup->message, sizeof setup->message, "no %s lies between low %g and high %g",
                 bq_type_name(setup->in_type), low, high);
        return -1;
    }
    return 0;
}

/* The low 32 bits of the whole number nearest to v, halves to even. Adding 1.5 * 2^52 leaves no
 * bits for a fraction, and what remains in the low bits is the number, in two's complement. It
 * holds for |v| < 2^51, so for all types of up to 32 bits, and needs no instruction for rounding.
 */
static inline uint32_t nearest32(double v)
{
    uint64_t bits;
    v += 0x1.8p52;
    memcpy(&bits, &v, sizeof bits);
    return (uint32_t)bits;
}

/* The same for any v, as a double: from 2^52 on, every double is whole. */
static inline double nearest(double v)
{
    double big = fabs(v) < 0x1p52 ? copysign(0x1p52, v) : 0;
    return (v + big) - big;
}

static inline double point(double x, struct line line)
{
    double v = x * line.gain + line.offset;
    v = v < line.low ? line.low : v;
    return v > line.high ? line.high : v;
}

/* 8 bits: a table of all 256 answers, eight look-ups per turn. */
#define BYTES(ctype)                                                                               \
    static void do_##ctype(const ctype *x, ctype *y, size_t n, struct line line)                   \
    {                                                                                              \
        ctype table[256];                                                                          \
        size_t i = 0;                                                                              \
        for (unsigned k = 0; k < 256; k++)                                                         \
            table[k] = (ctype)nearest32(point((ctype)k, line));                                    \
        for (; i + 8 <= n; i += 8) {                                                               \
            for (unsigned k = 0; k < 8; k++)                                                       \
                y[i + k] = table[(uint8_t)x[i + k]];                                               \
        }                                                                                          \
        for (; i < n; i++)                                                                         \
            y[i] = table[(uint8_t)x[i]];                                                           \
    }

/* 16 and 32 bits. */
#define WHOLES(ctype)                                                                              \
    static void do_##ctype(const ctype *x, ctype *y, size_t n, struct line line)                   \
    {                                                                                              \
        for (size_t i = 0; i < n; i++)                                                             \
            y[i] = (ctype)nearest32(point(x[i], line));                                            \
    }

/* 64 bits: a bound at the end of the range is not itself a value of the type. */
#define LONGS(ctype, largest, end)                                                                 \
    static void do_##ctype(const ctype *x, ctype *y, size_t n, struct line line)                   \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            double v = nearest(point((double)x[i], line));                                         \
            y[i] = v >= (end) ? (largest) : (ctype)v;                                              \
        }                                                                                          \
    }

#define REALS(ctype)                                                                               \
    static void do_##ctype(const ctype *x, ctype *y, size_t n, struct line line)                   \
    {                                                                                              \
        const ctype gain = (ctype)line.gain, offset = (ctype)line.offset;                          \
        const ctype low = (ctype)line.low, high = (ctype)line.high;                                \
        for (size_t i = 0; i < n; i++) {                                                           \
            ctype v = x[i] * gain + offset;                                                        \
            v = v < low ? low : v;                                                                 \
            v = v > high ? high : v;                                                               \
            v = v == v ? v : (ctype)NAN;                                                           \
            y[i] = x[i] == x[i] ? v : x[i];                                                        \
        }                                                                                          \
    }

BYTES(uint8_t)
BYTES(int8_t)
WHOLES(uint16_t)
WHOLES(int16_t)
WHOLES(uint32_t)
WHOLES(int32_t)
LONGS(uint64_t, UINT64_MAX, 0x1p64)
LONGS(int64_t, INT64_MAX, 0x1p63)
REALS(float)
REALS(double)

static enum bq_answer cook(struct bq_call *call)
{
    const struct bq_block *in = call->in;
    uint64_t share = in->n / call->n_parts, rest = in->n % call->n_parts, part = call->part;
    uint64_t first = part * share + (part < rest ? part : rest);
    size_t n = (size_t)(share + (part < rest));
    struct line line = line_of(call->params, in->type);

    switch (in->type) {
#define CASE(code, name, ctype)                                                                    \
    case code:                                                                                     \
        do_##ctype((const ctype *)in->data + first, (ctype *)call->out->data + first, n, line);    \
        break;
        BQ_TYPES(CASE)
    case BQ_N_TYPES:
        break;
    }
    return BQ_DONE;
}

const struct bq_kernel bq_kernel_brighten = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_READS | BQ_WRITES | BQ_DIVISIBLE,
    .name = "brighten",
    .summary =
        "multiplies by a gain, adds an offset; integers are rounded and clamped, NaN stays NaN",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
};
