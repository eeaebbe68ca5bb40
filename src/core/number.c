#include "core/number.h"

#include <string.h>

typedef unsigned char byte;

/* Numbers lie at any address, so each is moved by memcpy, which is one load or store to a compiler.
 * Loops over 2, 4 or 8 bytes have no branches: gcc and clang vectorise them at -O3. */

static bool host_is_big_endian(void)
{
    const uint16_t one = 1;
    byte first;
    memcpy(&first, &one, 1);
    return first == 0;
}

static bool is_swapped(const struct bq_number *number)
{
    return number->size > 1 && number->is_big_endian != host_is_big_endian();
}

enum bq_type bq_number_native(const struct bq_number *number)
{
    static const enum bq_type integer[][2] = {{BQ_U8, BQ_I8},   {BQ_U8, BQ_I8},   {BQ_U16, BQ_I16},
                                              {BQ_U32, BQ_I32}, {BQ_U32, BQ_I32}, {BQ_U64, BQ_I64}};
    if (number->is_float)
        return number->size <= 4 ? BQ_F32 : BQ_F64;
    return integer[number->size <= 4 ? number->size : 5][number->is_signed];
}

bool bq_number_is_native(const struct bq_number *number)
{
    return !is_swapped(number) && number->size == bq_type_size(bq_number_native(number));
}

/* -- whole numbers in the other byte order --------------------------------------------------- */

#define SWAP_ALL(bits)                                                                             \
    static void swap_all_##bits(const byte *restrict from, byte *restrict to, size_t n)            \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            uint##bits##_t x;                                                                      \
            memcpy(&x, from + i * sizeof x, sizeof x);                                             \
            x = __builtin_bswap##bits(x);                                                          \
            memcpy(to + i * sizeof x, &x, sizeof x);                                               \
        }                                                                                          \
    }
SWAP_ALL(16)
SWAP_ALL(32)
SWAP_ALL(64)

/* -- half precision -------------------------------------------------------------------------- */

/* A half is 1 sign bit, 5 of exponent (bias 15), 10 of fraction; a float is 1, 8 (bias 127), 23.
 * Both functions below do without floats that are denormal: their arithmetic is the same whether or
 * not the processor flushes those to zero. Special cases are or-ed in and not chosen by ?:, since
 * gcc then would branch around the arithmetic, and not vectorise. */
#define HALF_INFINITY 0x7c00
#define FLOAT_INFINITY 0x7f800000
#define FLOAT_EXPONENT(e) (((e) + 127) * (1 << 23)) /* bits of 2^e */

static inline float float_of_bits(int32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline int32_t bits_of_float(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* A finite half is a whole number below 2^11 (the fraction and, unless denormal, its hidden bit)
 * times a power of two; the product is exact. NaNs lose their payload: HDF5 sets all bits. */
static inline uint32_t float_of_half(uint16_t half)
{
    int32_t magnitude = half & 0x7fff, exponent = magnitude >> 10;
    int32_t significand = (magnitude & 0x3ff) | (exponent > 0 ? 0x400 : 0);
    exponent += exponent == 0;
    float power = float_of_bits(FLOAT_EXPONENT(exponent - 25));
    int32_t bits = bits_of_float((float)significand * power);
    bits |= magnitude >= HALF_INFINITY ? FLOAT_INFINITY : 0;
    bits |= magnitude > HALF_INFINITY ? 0x7fffffff : 0;
    return (uint32_t)bits | (uint32_t)(half & 0x8000) << 16;
}

/* The processor rounds: adding 2^(e+13) to a number of exponent e leaves, of its significand, the
 * 11 bits that a half keeps, in the low bits of the sum. Below the smallest normal half e stays at
 * -14, so that denormals come out right too; a carry into the exponent is what it should be. Above
 * the largest half e stays at 16: all that is infinity. NaNs keep the payload's high bits. */
static inline uint16_t half_of_float(uint32_t number)
{
    int32_t magnitude = (int32_t)(number & 0x7fffffff), power = magnitude & FLOAT_INFINITY;
    power = power < FLOAT_EXPONENT(-14) ? FLOAT_EXPONENT(-14) : power;
    power = power > FLOAT_EXPONENT(16) ? FLOAT_EXPONENT(16) : power;
    int32_t ruler = power + (13 << 23);
    int32_t sum = bits_of_float(float_of_bits(magnitude) + float_of_bits(ruler));
    int32_t bits = ((power - FLOAT_EXPONENT(-14)) >> 13) + (sum - ruler);
    bits = bits > HALF_INFINITY ? HALF_INFINITY : bits;
    bits |= magnitude > FLOAT_INFINITY ? 0x200 | (magnitude >> 13 & 0x3ff) : 0;
    return (uint16_t)((uint32_t)bits | (number >> 16 & 0x8000));
}

static void read_halves(bool swap, const byte *restrict from, byte *restrict to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, from + i * sizeof half, sizeof half);
        uint32_t number = float_of_half(swap ? __builtin_bswap16(half) : half);
        memcpy(to + i * sizeof number, &number, sizeof number);
    }
}

static void write_halves(bool swap, const byte *restrict from, byte *restrict to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t number;
        memcpy(&number, from + i * sizeof number, sizeof number);
        uint16_t half = half_of_float(number);
        half = swap ? __builtin_bswap16(half) : half;
        memcpy(to + i * sizeof half, &half, sizeof half);
    }
}

/* -- integers of 3, 5, 6 or 7 bytes ---------------------------------------------------------- */

/* Their size is a constant wherever these two are called, so their loops over bytes unroll. */
static inline void read_odd(size_t size, const struct bq_number *number, const byte *restrict from,
                            byte *restrict to, size_t n)
{
    bool is_big_endian = number->is_big_endian;
    uint64_t sign = number->is_signed ? UINT64_C(1) << (8 * size - 1) : 0;
    for (size_t i = 0; i < n; i++, from += size) {
        uint64_t x = 0;
        for (size_t k = 0; k < size; k++)
            x |= (uint64_t)from[is_big_endian ? size - 1 - k : k] << 8 * k;
        x = (x ^ sign) - sign; /* extends the sign */
        if (size < 4) {
            uint32_t narrow = (uint32_t)x;
            memcpy(to + i * sizeof narrow, &narrow, sizeof narrow);
        } else {
            memcpy(to + i * sizeof x, &x, sizeof x);
        }
    }
}

/* The nearest value that `size` bytes can hold. */
static inline uint64_t saturate(size_t size, bool is_signed, uint64_t x)
{
    if (is_signed) {
        int64_t highest = (INT64_C(1) << (8 * size - 1)) - 1, lowest = -highest - 1;
        int64_t v = (int64_t)x;
        return (uint64_t)(v < lowest ? lowest : v > highest ? highest : v);
    }
    uint64_t highest = (UINT64_C(1) << 8 * size) - 1;
    return x > highest ? highest : x;
}

static inline void write_odd(size_t size, const struct bq_number *number, const byte *restrict from,
                             byte *restrict to, size_t n)
{
    bool is_big_endian = number->is_big_endian, is_signed = number->is_signed;
    for (size_t i = 0; i < n; i++, to += size) {
        uint64_t x;
        if (size < 4) {
            uint32_t narrow;
            memcpy(&narrow, from + i * sizeof narrow, sizeof narrow);
            x = is_signed ? (uint64_t)(int32_t)narrow : narrow;
        } else {
            memcpy(&x, from + i * sizeof x, sizeof x);
        }
        x = saturate(size, is_signed, x);
        for (size_t k = 0; k < size; k++)
            to[is_big_endian ? size - 1 - k : k] = (byte)(x >> 8 * k);
    }
}

/* -- which is which -------------------------------------------------------------------------- */

void bq_number_read(const struct bq_number *number, const void *stored, void *native, size_t n)
{
    if (n == 0)
        return; /* and there may be no memory */
    if (bq_number_is_native(number)) {
        memcpy(native, stored, n * number->size);
        return;
    }
    switch (number->size) {
    case 2:
        if (number->is_float)
            read_halves(is_swapped(number), stored, native, n);
        else
            swap_all_16(stored, native, n);
        break;
    case 3:
        read_odd(3, number, stored, native, n);
        break;
    case 4:
        swap_all_32(stored, native, n);
        break;
    case 5:
        read_odd(5, number, stored, native, n);
        break;
    case 6:
        read_odd(6, number, stored, native, n);
        break;
    case 7:
        read_odd(7, number, stored, native, n);
        break;
    default:
        swap_all_64(stored, native, n);
    }
}

void bq_number_write(const struct bq_number *number, const void *native, void *stored, size_t n)
{
    if (n == 0)
        return;
    if (bq_number_is_native(number)) {
        memcpy(stored, native, n * number->size);
        return;
    }
    switch (number->size) {
    case 2:
        if (number->is_float)
            write_halves(is_swapped(number), native, stored, n);
        else
            swap_all_16(native, stored, n);
        break;
    case 3:
        write_odd(3, number, native, stored, n);
        break;
    case 4:
        swap_all_32(native, stored, n);
        break;
    case 5:
        write_odd(5, number, native, stored, n);
        break;
    case 6:
        write_odd(6, number, native, stored, n);
        break;
    case 7:
        write_odd(7, number, native, stored, n);
        break;
    default:
        swap_all_64(native, stored, n);
    }
}

/* -- one value ---------------------------------------------------------------------------- */

struct bq_number bq_number_of(enum bq_type type)
{
    const uint16_t one = 1;
    bool is_signed = type == BQ_I8 || type == BQ_I16 || type == BQ_I32 || type == BQ_I64;
    return (struct bq_number){.is_float = type == BQ_F32 || type == BQ_F64,
                              .is_big_endian = *(const unsigned char *)&one == 0,
                              .is_signed = is_signed,
                              .size = (uint8_t)bq_type_size(type)};
}

int bq_number_from(enum bq_type type, double value, void *element)
{
    const struct bq_number native = bq_number_of(type);
    size_t size = bq_type_size(type);
    if (type == BQ_F64) {
        memcpy(element, &value, sizeof value);
        return 0;
    }
    if (type == BQ_F32) {
        float narrow = (float)value;
        memcpy(element, &narrow, sizeof narrow);
        return 0;
    }
    double end = native.is_signed ? 0x1p-1 : 1;
    for (size_t i = 0; i < size; i++)
        end *= 256;
    bool fits = value >= (native.is_signed ? -end : 0) && value < end;
    if (!fits || value != (value < 0 ? (double)(int64_t)value : (double)(uint64_t)value))
        return -1;
    uint64_t bits = value < 0 ? (uint64_t)(int64_t)value : (uint64_t)value;
    for (size_t i = 0; i < size; i++) /* native order */
        ((unsigned char *)element)[native.is_big_endian ? size - 1 - i : i] =
            (unsigned char)(bits >> 8 * i);
    return 0;
}

/* -- NaN ---------------------------------------------------------------------------------- */

enum { SPAN = 1024 }; /* elements: a count without branches, before one is looked for */

#define FIND_NAN(ctype)                                                                            \
    static uint64_t find_nan_##ctype(const ctype *x, uint64_t n)                                   \
    {                                                                                              \
        for (uint64_t first = 0; first < n; first += SPAN) {                                       \
            uint64_t end = n - first < SPAN ? n : first + SPAN;                                    \
            unsigned n_nan = 0;                                                                    \
            for (uint64_t i = first; i < end; i++)                                                 \
                n_nan += x[i] != x[i];                                                             \
            for (uint64_t i = first; n_nan && i < end; i++) {                                      \
                if (x[i] != x[i])                                                                  \
                    return i;                                                                      \
            }                                                                                      \
        }                                                                                          \
        return n;                                                                                  \
    }

FIND_NAN(float)
FIND_NAN(double)

uint64_t bq_number_find_nan(enum bq_type type, const void *native, uint64_t n)
{
    return type == BQ_F32   ? find_nan_float(native, n)
           : type == BQ_F64 ? find_nan_double(native, n)
                            : n;
}
