/* sum: the sum of all elements, as fast as memory delivers them.
 *
 * Integers are summed exactly, in 192 bits: nothing overflows, and no bit depends on the shape of
 * chunks. A sum that no 64-bit integer can hold is presented as the nearest double.
 *
 * Floats are added in double. Element i of a block of 4096 belongs to lane i mod 16; the lanes of a
 * block are added in a fixed order, then the blocks of a chunk, then the chunks: compilers may use
 * vectors of any width and get the same bits. The shape of chunks changes last bits (stats has
 * `exact`). NaN and infinities propagate: the sum is infinite or NaN as IEEE 754 says, also where
 * it passes 1.8e308; a NaN is always the positive quiet one, as processors differ in that. How many
 * elements were not finite is counted; only a block whose sum is not finite is looked at for it.
 */
#include "wide.h"

#include <float.h>
#include <math.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0, "double must be computed in its own width");

enum { LANES = 16, BLOCK = 4096 };                     /* of floats */
enum { WORDS = 3, RUN = 65536, BYTES_AT_ONCE = 1024 }; /* of integers */

enum sum_kind { NOTHING, WHOLE, REAL };

/* All bytes zero: nothing seen. */
struct sum {
    uint64_t kind, count, nonfinite;
    double real;           /* REAL */
    uint64_t words[WORDS]; /* WHOLE: the sum (wide.h) */
};

/* -- floats ------------------------------------------------------------------------------- */

static double one_nan(double sum)
{
    return sum == sum ? sum : (double)NAN;
}

#define REALS(ctype)                                                                               \
    static double block_##ctype(const ctype *x, size_t n)                                          \
    {                                                                                              \
        double lane[LANES] = {0};                                                                  \
        const size_t whole = n - n % LANES;                                                        \
        for (size_t i = 0; i < whole; i += LANES) {                                                \
            for (unsigned k = 0; k < LANES; k++)                                                   \
                lane[k] += (double)x[i + k];                                                       \
        }                                                                                          \
        for (size_t k = 0; k < n - whole; k++)                                                     \
            lane[k] += (double)x[whole + k];                                                       \
        for (unsigned width = LANES / 2; width; width /= 2) {                                      \
            for (unsigned k = 0; k < width; k++)                                                   \
                lane[k] += lane[k + width];                                                        \
        }                                                                                          \
        return lane[0];                                                                            \
    }                                                                                              \
                                                                                                   \
    static void sum_##ctype(struct sum *s, const ctype *x, size_t n)                               \
    {                                                                                              \
        double sum = 0;                                                                            \
        for (size_t done = 0, size; done < n; done += size) {                                      \
            size = n - done < BLOCK ? n - done : BLOCK;                                            \
            double block = block_##ctype(x + done, size);                                          \
            for (size_t i = 0; !isfinite(block) && i < size; i++)                                  \
                s->nonfinite += isfinite(x[done + i]) ? 0 : 1;                                     \
            sum += block;                                                                          \
        }                                                                                          \
        s->real = one_nan(sum);                                                                    \
    }

REALS(float)
REALS(double)

/* -- integers ----------------------------------------------------------------------------- */

/* `flip` is 0, or the sign bit: then a signed v becomes v + 2^(bits - 1), which is not negative. At
 * most RUN elements at once. */

/* Pairs of bytes in four 16-bit counters to a word: 128 words fill them to 65280 at most. */
static bq_u128 run_8(const uint8_t *x, size_t n, uint64_t flip)
{
    const uint64_t even = 0x00ff00ff00ff00ff, flips = flip * 0x0101010101010101;
    uint64_t sum = 0;
    size_t i = 0;
    for (; i + BYTES_AT_ONCE <= n; i += BYTES_AT_ONCE) {
        uint64_t pairs[4] = {0};
        for (unsigned k = 0; k < BYTES_AT_ONCE; k += 32) {
            for (unsigned lane = 0; lane < 4; lane++) {
                uint64_t word;
                memcpy(&word, x + i + k + 8 * lane, sizeof word);
                word ^= flips;
                pairs[lane] += (word & even) + ((word >> 8) & even);
            }
        }
        for (unsigned lane = 0; lane < 4; lane++) {
            for (unsigned shift = 0; shift < 64; shift += 16)
                sum += (pairs[lane] >> shift) & 0xffff;
        }
    }
    for (; i < n; i++)
        sum += x[i] ^ flip;
    return sum;
}

static bq_u128 run_16(const uint16_t *x, size_t n, uint64_t flip)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] ^ (uint32_t)flip;
    return sum;
}

static bq_u128 run_32(const uint32_t *x, size_t n, uint64_t flip)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] ^ (uint32_t)flip;
    return sum;
}

static bq_u128 run_64(const uint64_t *x, size_t n, uint64_t flip)
{
    uint64_t high = 0, low = 0;
    for (size_t i = 0; i < n; i++) {
        high += (x[i] ^ flip) >> 32;
        low += x[i] & UINT32_MAX;
    }
    return ((bq_u128)high << 32) + low;
}

/* A signed type may be read as the unsigned one of its width. */
static bq_u128 run(const void *x, size_t first, size_t n, size_t size, uint64_t flip)
{
    switch (size) {
    case 1:
        return run_8((const uint8_t *)x + first, n, flip);
    case 2:
        return run_16((const uint16_t *)x + first, n, flip);
    case 4:
        return run_32((const uint32_t *)x + first, n, flip);
    default:
        return run_64((const uint64_t *)x + first, n, flip);
    }
}

static void sum_integers(struct sum *s, enum bq_type type, const void *x, size_t n)
{
    const bool is_signed = type == BQ_I8 || type == BQ_I16 || type == BQ_I32 || type == BQ_I64;
    const size_t size = bq_type_size(type);
    const unsigned sign = 8 * (unsigned)size - 1;
    const uint64_t flip = is_signed ? (uint64_t)1 << sign : 0;
    bq_u128 total = 0;
    for (size_t done = 0; done < n; done += RUN)
        total += run(x, done, n - done < RUN ? n - done : RUN, size, flip);
    wide_add(s->words, WORDS, 0, total);
    if (is_signed)
        wide_subtract(s->words, WORDS, sign, n);
}

/* -- the kernel --------------------------------------------------------------------------- */

static int prepare(struct bq_setup *setup)
{
    setup->acc_size = sizeof(struct sum);
    return 0;
}

static enum bq_answer cook(struct bq_call *call)
{
    const struct bq_block *in = call->in;
    struct sum *s = call->acc;
    bool is_real = in->type == BQ_F32 || in->type == BQ_F64;
    s->kind = is_real ? REAL : WHOLE;
    s->count = in->n;
    if (in->type == BQ_F32)
        sum_float(s, in->data, (size_t)in->n);
    else if (in->type == BQ_F64)
        sum_double(s, in->data, (size_t)in->n);
    else
        sum_integers(s, in->type, in->data, (size_t)in->n);
    return BQ_DONE;
}

static void combine(const union bq_value *values, void *into, const void *next)
{
    (void)values;
    struct sum *a = into;
    const struct sum *b = next;
    if (b->kind == NOTHING)
        return;
    a->kind = b->kind;
    a->count += b->count;
    a->nonfinite += b->nonfinite;
    a->real = one_nan(a->real + b->real);
    wide_add_wide(a->words, b->words, WORDS);
}

static void present(const union bq_value *values, const void *acc, struct bq_sink *sink)
{
    (void)values;
    const struct sum *s = acc;
    sink->integer(sink, "count", s->count);
    sink->integer(sink, "nonfinite", s->nonfinite);
    if (s->kind == REAL)
        sink->real(sink, "sum", s->real);
    else
        wide_present(sink, "sum", s->words, WORDS);
}

const struct bq_kernel bq_kernel_sum = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_READS,
    .name = "sum",
    .summary = "the sum of all elements, and how many are NaN or infinite (they propagate)",
    .prepare = prepare,
    .cook = cook,
    .combine = combine,
    .present = present,
};
