/* median: the middle one of the elements in a window of 2 radius + 1 by 2 radius + 1, on the last
 * two axes, frame by frame (scipy.ndimage.median_filter). Beyond the edge the job's border counts.
 *
 * Elements are compared as signed integers: unsigned ones less half of their range; floats by
 * their bits, with those below the sign turned over when it is set. This orders floats as they
 * are, -0 before +0, and NaN, of which all are made the positive quiet one, after infinity: an
 * element is NaN if more than half of its window is. Nothing is rounded; type and unit stay.
 *
 * 3 x 3: a network of 19 exchanges, the fewest possible (A. W. Paeth, "Median Finding on a 3x3
 * Grid", Graphics Gems, 1990). Larger windows: the median's bits from the highest to the lowest,
 * each by counting how many elements lie below (a radix search, as D. E. Knuth's radix exchange,
 * 5.2.2, without the exchange). It takes no branch, so that it goes through many columns at once.
 */
#include "clones.h"
#include "filter.h"

#include <string.h>

enum { RADIUS };
enum { MAX_RADIUS = 5 };

static const struct bq_param params[] = {
    {"radius", BQ_INT, {.i = 1}, 1, MAX_RADIUS, "elements", "of the window: 1 makes it 3 x 3"},
};

/* -- keys --------------------------------------------------------------------------------- */

/* To a key and back is the same operation, but for the NaN of floats. */
#define FLIPPED(utype, sign)                                                                       \
    CLONES static void flip_##utype(const utype *from, size_t n, utype *to)                        \
    {                                                                                              \
        for (size_t i = 0; i < n; i++)                                                             \
            to[i] = (utype)(from[i] ^ (sign));                                                     \
    }
FLIPPED(uint8_t, 0x80u)
FLIPPED(uint16_t, 0x8000u)
FLIPPED(uint32_t, 0x80000000u)
FLIPPED(uint64_t, UINT64_C(1) << 63)

#define FLOATS(name, utype, top, infinity, nan)                                                    \
    CLONES static void key_##name(const utype *from, size_t n, utype *to)                          \
    {                                                                                              \
        const utype rest = (utype) ~((utype)1 << (top));                                           \
        for (size_t i = 0; i < n; i++) {                                                           \
            utype x = (from[i] & rest) > (infinity) ? (nan) : from[i];                             \
            to[i] = x ^ ((0 - (x >> (top))) & rest);                                               \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    CLONES static void number_##name(const utype *from, size_t n, utype *to)                       \
    {                                                                                              \
        const utype rest = (utype) ~((utype)1 << (top));                                           \
        for (size_t i = 0; i < n; i++)                                                             \
            to[i] = from[i] ^ ((0 - (from[i] >> (top))) & rest);                                   \
    }
FLOATS(float, uint32_t, 31, 0x7f800000u, 0x7fc00000u)
FLOATS(double, uint64_t, 63, UINT64_C(0x7ff) << 52, UINT64_C(0xfff) << 51)

static void to_keys(enum bq_type type, const void *from, size_t n, void *to)
{
    switch (type) {
    case BQ_U8:
        flip_uint8_t(from, n, to);
        break;
    case BQ_U16:
        flip_uint16_t(from, n, to);
        break;
    case BQ_U32:
        flip_uint32_t(from, n, to);
        break;
    case BQ_U64:
        flip_uint64_t(from, n, to);
        break;
    case BQ_F32:
        key_float(from, n, to);
        break;
    case BQ_F64:
        key_double(from, n, to);
        break;
    case BQ_I8:
    case BQ_I16:
    case BQ_I32:
    case BQ_I64:
    case BQ_N_TYPES:
        memcpy(to, from, n * bq_type_size(type));
        break;
    }
}

static void from_keys(enum bq_type type, const void *from, size_t n, void *to)
{
    if (type == BQ_F32)
        number_float(from, n, to);
    else if (type == BQ_F64)
        number_double(from, n, to);
    else
        to_keys(type, from, n, to);
}

/* -- medians ------------------------------------------------------------------------------ */

#define EXCHANGE(ctype, a, b)                                                                      \
    {                                                                                              \
        ctype low = p[a] < p[b] ? p[a] : p[b], high = p[a] < p[b] ? p[b] : p[a];                   \
        p[a] = low;                                                                                \
        p[b] = high;                                                                               \
    }

#define MEDIAN(ctype, utype, bits)                                                                 \
    CLONES static void of_nine_##ctype(const ctype *a, const ctype *b, const ctype *c, size_t n,   \
                                       ctype *to)                                                  \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            ctype p[9] = {a[i],     a[i + 1], a[i + 2], b[i],    b[i + 1],                         \
                          b[i + 2], c[i],     c[i + 1], c[i + 2]};                                 \
            EXCHANGE(ctype, 1, 2)                                                                  \
            EXCHANGE(ctype, 4, 5)                                                                  \
            EXCHANGE(ctype, 7, 8)                                                                  \
            EXCHANGE(ctype, 0, 1)                                                                  \
            EXCHANGE(ctype, 3, 4)                                                                  \
            EXCHANGE(ctype, 6, 7)                                                                  \
            EXCHANGE(ctype, 1, 2)                                                                  \
            EXCHANGE(ctype, 4, 5)                                                                  \
            EXCHANGE(ctype, 7, 8)                                                                  \
            EXCHANGE(ctype, 0, 3)                                                                  \
            EXCHANGE(ctype, 5, 8)                                                                  \
            EXCHANGE(ctype, 4, 7)                                                                  \
            EXCHANGE(ctype, 3, 6)                                                                  \
            EXCHANGE(ctype, 1, 4)                                                                  \
            EXCHANGE(ctype, 2, 5)                                                                  \
            EXCHANGE(ctype, 4, 7)                                                                  \
            EXCHANGE(ctype, 4, 2) EXCHANGE(ctype, 6, 4) EXCHANGE(ctype, 4, 2) to[i] = p[4];        \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    /* m is the largest number of which at most half - the window without its middle - lies below, \
     * found bit by bit; it is an element, as the count changes there. */                          \
    CLONES static void of_many_##ctype(size_t side, const ctype *const *line, size_t n, ctype *to) \
    {                                                                                              \
        enum { LANES = 32 };                                                                       \
        const ctype half = (ctype)(side * side / 2);                                               \
        for (size_t first = 0; first < n; first += LANES) {                                        \
            ctype m[LANES], t[LANES], below[LANES];                                                \
            for (size_t l = 0; l < LANES; l++)                                                     \
                m[l] = (ctype)((utype)1 << (bits - 1));                                            \
            for (unsigned bit = bits; bit-- > 0;) {                                                \
                for (size_t l = 0; l < LANES; l++) {                                               \
                    t[l] = (ctype)((utype)m[l] + (utype)((utype)1 << bit));                        \
                    below[l] = 0;                                                                  \
                }                                                                                  \
                for (size_t i = 0; i < side; i++) {                                                \
                    for (size_t j = 0; j < side; j++) {                                            \
                        const ctype *x = line[i] + first + j;                                      \
                        for (size_t l = 0; l < LANES; l++)                                         \
                            below[l] = (ctype)(below[l] + (x[l] < t[l]));                          \
                    }                                                                              \
                }                                                                                  \
                for (size_t l = 0; l < LANES; l++)                                                 \
                    m[l] = below[l] <= half ? t[l] : m[l];                                         \
            }                                                                                      \
            for (size_t l = 0; l < LANES; l++)                                                     \
                to[first + l] = m[l];                                                              \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void row_##ctype(const void *how, const void *const *line, size_t n, void *to)          \
    {                                                                                              \
        const size_t side = *(const size_t *)how;                                                  \
        const ctype *lines[2 * MAX_RADIUS + 1];                                                    \
        for (size_t i = 0; i < side; i++)                                                          \
            lines[i] = line[i];                                                                    \
        if (side == 3)                                                                             \
            of_nine_##ctype(lines[0], lines[1], lines[2], n, to);                                  \
        else                                                                                       \
            of_many_##ctype(side, lines, n, to);                                                   \
    }

MEDIAN(int8_t, uint8_t, 8)
MEDIAN(int16_t, uint16_t, 16)
MEDIAN(int32_t, uint32_t, 32)
MEDIAN(int64_t, uint64_t, 64)

/* -- the kernel --------------------------------------------------------------------------- */

static int prepare(struct bq_setup *setup)
{
    const uint64_t radius = (uint64_t)setup->params[RADIUS].i;
    return filter_prepare(setup, 2, radius, radius);
}

static enum bq_answer cook(struct bq_call *call)
{
    struct filter filter = {bq_type_size(call->in->type), to_keys, row_int8_t, from_keys};
    const size_t side = 2 * (size_t)call->params[RADIUS].i + 1;
    if (filter.size == 2)
        filter.row = row_int16_t;
    else if (filter.size == 4)
        filter.row = row_int32_t;
    else if (filter.size == 8)
        filter.row = row_int64_t;
    filter_cook(call, &filter, &side);
    return BQ_DONE;
}

const struct bq_kernel bq_kernel_median = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_READS | BQ_WRITES | BQ_DIVISIBLE,
    .name = "median",
    .summary = "the median of a window, on the last two axes: takes out specks, keeps edges",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
};
