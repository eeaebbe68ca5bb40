#include "numbers.h"
#include "clones.h"

#include <float.h>
#include <math.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0, "float and double must be computed in their own width");

const struct numbers_range numbers_ranges[BQ_N_TYPES] = {
    [BQ_U8] = {0, 0x1p8},         [BQ_I8] = {-0x1p7, 0x1p7},    [BQ_U16] = {0, 0x1p16},
    [BQ_I16] = {-0x1p15, 0x1p15}, [BQ_U32] = {0, 0x1p32},       [BQ_I32] = {-0x1p31, 0x1p31},
    [BQ_U64] = {0, 0x1p64},       [BQ_I64] = {-0x1p63, 0x1p63},
};

#define LOAD(code, name, ctype)                                                                    \
    CLONES static void load_##ctype(const ctype *from, size_t n, double *to)                       \
    {                                                                                              \
        for (size_t i = 0; i < n; i++)                                                             \
            to[i] = (double)from[i];                                                               \
    }
BQ_TYPES(LOAD)

void numbers_load(enum bq_type type, const void *from, size_t n, double *to)
{
    switch (type) {
#define CASE_LOAD(code, name, ctype)                                                               \
    case code:                                                                                     \
        load_##ctype(from, n, to);                                                                 \
        break;
        BQ_TYPES(CASE_LOAD)
    case BQ_N_TYPES:
        break;
    }
}

/* Up to 32 bits: adding 1.5 * 2^52 rounds, and leaves the number in the low bits. */
#define STORE_WHOLES(ctype)                                                                        \
    CLONES static void store_##ctype(const double *from, size_t n, ctype *to, double min,          \
                                     double end)                                                   \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            uint64_t bits;                                                                         \
            double v = from[i] > min ? from[i] : min;                                              \
            v = (v < end - 1 ? v : end - 1) + 0x1.8p52;                                            \
            memcpy(&bits, &v, sizeof bits);                                                        \
            to[i] = (ctype)(uint32_t)bits;                                                         \
        }                                                                                          \
    }

/* 64 bits: from 2^52 on every double is whole, and the end of the range is not of the type. */
#define STORE_LONGS(ctype, largest)                                                                \
    static void store_##ctype(const double *from, size_t n, ctype *to, double min, double end)     \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            double v = from[i] > min ? from[i] : min;                                              \
            double big = fabs(v) < 0x1p52 ? copysign(0x1p52, v) : 0;                               \
            v = (v + big) - big;                                                                   \
            to[i] = v >= end ? (largest) : (ctype)v;                                               \
        }                                                                                          \
    }

#define STORE_REALS(ctype)                                                                         \
    CLONES static void store_##ctype(const double *from, size_t n, ctype *to, double min,          \
                                     double end)                                                   \
    {                                                                                              \
        (void)min;                                                                                 \
        (void)end;                                                                                 \
        for (size_t i = 0; i < n; i++)                                                             \
            to[i] = from[i] == from[i] ? (ctype)from[i] : (ctype)NAN;                              \
    }

STORE_WHOLES(uint8_t)
STORE_WHOLES(int8_t)
STORE_WHOLES(uint16_t)
STORE_WHOLES(int16_t)
STORE_WHOLES(uint32_t)
STORE_WHOLES(int32_t)
STORE_LONGS(uint64_t, UINT64_MAX)
STORE_LONGS(int64_t, INT64_MAX)
STORE_REALS(float)
STORE_REALS(double)

void numbers_store(enum bq_type type, const double *from, size_t n, void *to)
{
    switch (type) {
#define CASE_STORE(code, name, ctype)                                                              \
    case code:                                                                                     \
        store_##ctype(from, n, to, numbers_ranges[type].min, numbers_ranges[type].end);            \
        break;
        BQ_TYPES(CASE_STORE)
    case BQ_N_TYPES:
        break;
    }
}
