/* Numbers: what we make of stored bytes has the bits that the HDF5 library makes of them, and what
 * we store is the nearest number that the stored form has. */
#include "core/number.h"

#include <hdf5.h>
#include <math.h>

#include "cunit.h"
#include "random.h"

#define MOST 3000 /* numbers at once */

/* Every stored form: floats of 2, 4, 8 bytes and integers of 1 to 8, signed or not, in both orders.
 */
static size_t all_forms(struct bq_number *list)
{
    size_t n = 0;
    for (int order = 0; order < 2; order++) {
        for (uint8_t size = 2; size <= 8; size = (uint8_t)(size * 2))
            list[n++] = (struct bq_number){true, order, true, size};
        for (uint8_t size = 1; size <= 8; size++) {
            list[n++] = (struct bq_number){false, order, false, size};
            list[n++] = (struct bq_number){false, order, true, size};
        }
    }
    return n;
}

#define FORMS 38

static void show(const struct bq_number *number)
{
    printf("\n    %s%s of %d bytes, %s-endian\n", number->is_signed ? "" : "unsigned ",
           number->is_float ? "float" : "integer", number->size,
           number->is_big_endian ? "big" : "little");
}

/* -- HDF5 as the judge ------------------------------------------------------------------------ */

/* The stored form, as HDF5 knows it. */
static hid_t stored_type(const struct bq_number *number)
{
    hid_t type;
    if (number->is_float) {
        type = H5Tcopy(number->size == 8 ? H5T_IEEE_F64LE : H5T_IEEE_F32LE);
        if (number->size == 2) {
            CU_ASSERT(H5Tset_fields(type, 15, 10, 5, 0, 10) >= 0 && H5Tset_size(type, 2) >= 0 &&
                      H5Tset_ebias(type, 15) >= 0);
        }
    } else {
        type = H5Tcopy(number->is_signed ? H5T_STD_I32LE : H5T_STD_U32LE);
        CU_ASSERT(H5Tset_size(type, number->size) >= 0 &&
                  H5Tset_precision(type, 8u * number->size) >= 0);
    }
    CU_ASSERT(H5Tset_order(type, number->is_big_endian ? H5T_ORDER_BE : H5T_ORDER_LE) >= 0);
    return type;
}

static hid_t native_type(enum bq_type type)
{
    switch (type) {
    case BQ_U8:
        return H5T_NATIVE_UINT8;
    case BQ_I8:
        return H5T_NATIVE_INT8;
    case BQ_U16:
        return H5T_NATIVE_UINT16;
    case BQ_I16:
        return H5T_NATIVE_INT16;
    case BQ_U32:
        return H5T_NATIVE_UINT32;
    case BQ_I32:
        return H5T_NATIVE_INT32;
    case BQ_U64:
        return H5T_NATIVE_UINT64;
    case BQ_I64:
        return H5T_NATIVE_INT64;
    case BQ_F32:
        return H5T_NATIVE_FLOAT;
    case BQ_F64:
        return H5T_NATIVE_DOUBLE;
    case BQ_N_TYPES:
    default:
        return H5I_INVALID_HID;
    }
}

enum direction { READ, WRITE };

/* Converts n numbers by HDF5, from `from` to `to`. */
static void by_hdf5(const struct bq_number *number, enum direction direction, const void *from,
                    void *to, size_t n)
{
    static uint64_t bytes[65536]; /* HDF5 converts in place */
    size_t native_size = bq_type_size(bq_number_native(number));
    hid_t stored = stored_type(number), native = native_type(bq_number_native(number));
    memcpy(bytes, from, n * (direction == READ ? number->size : native_size));
    CU_ASSERT(H5Tconvert(direction == READ ? stored : native, direction == READ ? native : stored,
                         n, bytes, NULL, H5P_DEFAULT) >= 0);
    memcpy(to, bytes, n * (direction == READ ? native_size : number->size));
    H5Tclose(stored);
}

static void random_bytes(unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t dice = random_next();
        bytes[i] = (dice >> 8) % 8 ? (unsigned char)dice : dice & 1 ? 0xff : 0; /* some extremes */
    }
}

/* The same by us, from and to memory of any alignment; true when no other byte was touched. */
static bool by_us(const struct bq_number *number, enum direction direction, const void *from,
                  void *to, size_t n)
{
    static unsigned char source[65536 * 8 + 8], target[65536 * 8 + 16];
    size_t native_size = bq_type_size(bq_number_native(number));
    size_t in = n * (direction == READ ? number->size : native_size);
    size_t out = n * (direction == READ ? native_size : number->size);
    unsigned char *unaligned = source + random_below(8), *into = target + 1 + random_below(8);
    memcpy(unaligned, from, in);
    into[-1] = into[out] = 0x5a;
    (direction == READ ? bq_number_read : bq_number_write)(number, unaligned, into, n);
    memcpy(to, into, out);
    return into[-1] == 0x5a && into[out] == 0x5a && memcmp(unaligned, from, in) == 0;
}

/* -- reading ---------------------------------------------------------------------------------- */

static void every_half_becomes_the_float_that_hdf5_makes_of_it(void)
{
    static unsigned char stored[65536 * 2];
    static uint32_t want[65536], got[65536];
    for (int order = 0; order < 2; order++) {
        const struct bq_number number = {true, order, true, 2};
        for (unsigned i = 0; i < 65536; i++) {
            stored[2 * i] = (unsigned char)(order ? i >> 8 : i);
            stored[2 * i + 1] = (unsigned char)(order ? i : i >> 8);
        }
        by_hdf5(&number, READ, stored, want, 65536);
        bq_number_read(&number, stored, got, 65536);
        CU_ASSERT(memcmp(want, got, sizeof got) == 0);
        /* HDF5 itself could change. */
        CU_ASSERT(got[0x3c00] == 0x3f800000 && got[0x8001] == 0xb3800000);
        CU_ASSERT(got[0x7c00] == 0x7f800000 && got[0x7c01] == 0x7fffffff &&
                  got[0xfe00] == 0xffffffff);
    }
}

static void any_bits_become_what_hdf5_makes_of_them(void)
{
    static unsigned char stored[MOST * 8], want[MOST * 8], got[MOST * 8];
    struct bq_number form[FORMS];
    CU_ASSERT_EQUAL_FATAL(all_forms(form), FORMS);
    random_start(31);
    for (size_t i = 0; i < FORMS; i++) {
        size_t native_size = bq_type_size(bq_number_native(&form[i]));
        for (int round = 0; round < 60; round++) {
            size_t n = round < 40 ? (size_t)round : 1 + random_below(MOST);
            random_bytes(stored, n * form[i].size);
            by_hdf5(&form[i], READ, stored, want, n);
            bool is_tidy = by_us(&form[i], READ, stored, got, n);
            if (!is_tidy || memcmp(got, want, n * native_size) != 0) {
                show(&form[i]);
                CU_FAIL("HDF5 makes something else of these bytes");
                return;
            }
        }
    }
}

static void the_native_type_is_the_narrowest_that_holds_every_value(void)
{
    static const enum bq_type is_unsigned[] = {BQ_U8,  BQ_U8,  BQ_U16, BQ_U32, BQ_U32,
                                               BQ_U64, BQ_U64, BQ_U64, BQ_U64};
    static const enum bq_type is_signed[] = {BQ_I8,  BQ_I8,  BQ_I16, BQ_I32, BQ_I32,
                                             BQ_I64, BQ_I64, BQ_I64, BQ_I64};
    struct bq_number form[FORMS];
    all_forms(form);
    for (size_t i = 0; i < FORMS; i++) {
        enum bq_type want = form[i].is_float    ? form[i].size == 8 ? BQ_F64 : BQ_F32
                            : form[i].is_signed ? is_signed[form[i].size]
                                                : is_unsigned[form[i].size];
        CU_ASSERT_EQUAL(bq_number_native(&form[i]), want);
    }
}

static void a_number_is_native_when_hdf5_would_not_convert_it(void)
{
    struct bq_number form[FORMS];
    all_forms(form);
    int n_native = 0;
    for (size_t i = 0; i < FORMS; i++) {
        hid_t stored = stored_type(&form[i]);
        bool is_native = H5Tequal(stored, native_type(bq_number_native(&form[i]))) > 0;
        H5Tclose(stored);
        /* One byte has no order, whatever the file says. */
        CU_ASSERT_EQUAL(bq_number_is_native(&form[i]), is_native || form[i].size == 1);
        n_native += bq_number_is_native(&form[i]);
    }
    CU_ASSERT_EQUAL(n_native, 12);
}

static void no_numbers_need_no_memory(void)
{
    struct bq_number form[FORMS];
    all_forms(form);
    for (size_t i = 0; i < FORMS; i++) {
        bq_number_read(&form[i], NULL, NULL, 0);
        bq_number_write(&form[i], NULL, NULL, 0);
    }
}

/* -- writing ---------------------------------------------------------------------------------- */

static void what_was_read_is_written_back_the_same(void)
{
    static unsigned char stored[MOST * 8], native[MOST * 8], again[MOST * 8];
    struct bq_number form[FORMS];
    all_forms(form);
    random_start(32);
    for (size_t i = 0; i < FORMS; i++) {
        if (form[i].is_float && form[i].size == 2)
            continue; /* the payload of NaNs is lost; see below */
        for (int round = 0; round < 30; round++) {
            size_t n = round < 20 ? (size_t)round : 1 + random_below(MOST);
            random_bytes(stored, n * form[i].size);
            bq_number_read(&form[i], stored, native, n);
            bool is_tidy = by_us(&form[i], WRITE, native, again, n);
            if (!is_tidy || memcmp(stored, again, n * form[i].size) != 0) {
                show(&form[i]);
                CU_FAIL("other bytes were written");
                return;
            }
        }
    }
}

static void integers_that_do_not_fit_saturate_as_in_hdf5(void)
{
    static unsigned char native[MOST * 8], want[MOST * 8], got[MOST * 8];
    struct bq_number form[FORMS];
    all_forms(form);
    random_start(33);
    for (size_t i = 0; i < FORMS; i++) {
        if (form[i].is_float)
            continue;
        size_t native_size = bq_type_size(bq_number_native(&form[i]));
        for (int round = 0; round < 20; round++) {
            size_t n = 1 + random_below(MOST);
            random_bytes(native, n * native_size);
            by_hdf5(&form[i], WRITE, native, want, n);
            bool is_tidy = by_us(&form[i], WRITE, native, got, n);
            if (!is_tidy || memcmp(got, want, n * form[i].size) != 0) {
                show(&form[i]);
                CU_FAIL("HDF5 writes other bytes");
                return;
            }
        }
    }
}

static void integers_saturate_at_the_ends_of_their_range(void)
{
    for (uint8_t size = 5; size <= 7; size++) {
        const struct bq_number is_signed = {false, false, true, size};
        const struct bq_number is_unsigned = {false, false, false, size};
        const int64_t top = (INT64_C(1) << (8 * size - 1)) - 1, bottom = -top - 1;
        const int64_t give[] = {top, top + 1, INT64_MAX, bottom, bottom - 1, INT64_MIN, 0, -1};
        const int64_t want[] = {top, top, top, bottom, bottom, bottom, 0, -1};
        const uint64_t ceiling = 2 * (uint64_t)top + 1;
        const uint64_t give_unsigned[] = {ceiling, ceiling + 1, UINT64_MAX, 0, 1};
        const uint64_t want_unsigned[] = {ceiling, ceiling, ceiling, 0, 1};
        unsigned char stored[8 * 8];
        uint64_t back[8];
        bq_number_write(&is_signed, give, stored, 8);
        bq_number_read(&is_signed, stored, back, 8);
        CU_ASSERT(memcmp(back, want, sizeof want) == 0);
        bq_number_write(&is_unsigned, give_unsigned, stored, 5);
        bq_number_read(&is_unsigned, stored, back, 5);
        CU_ASSERT(memcmp(back, want_unsigned, sizeof want_unsigned) == 0);
    }
    const struct bq_number three = {false, true, true, 3};
    const int32_t give[] = {8388607, 8388608, INT32_MAX, -8388608, -8388609, INT32_MIN};
    const int32_t want[] = {8388607, 8388607, 8388607, -8388608, -8388608, -8388608};
    unsigned char stored[6 * 3];
    int32_t back[6];
    bq_number_write(&three, give, stored, 6);
    bq_number_read(&three, stored, back, 6);
    CU_ASSERT(memcmp(back, want, sizeof want) == 0);
}

/* -- float32 to float16 ----------------------------------------------------------------------- */

static const struct bq_number half_number = {true, false, true, 2};

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Our conversion; both byte orders must agree. */
static uint16_t half_of(uint32_t bits)
{
    const struct bq_number big = {true, true, true, 2};
    unsigned char little_bytes[2], big_bytes[2];
    bq_number_write(&half_number, &bits, little_bytes, 1);
    bq_number_write(&big, &bits, big_bytes, 1);
    CU_ASSERT(little_bytes[0] == big_bytes[1] && little_bytes[1] == big_bytes[0]);
    return (uint16_t)(little_bytes[0] | little_bytes[1] << 8);
}

/* The value of a finite half that is not negative, from the definition; 65536 stands for infinity:
 * it is the next one. */
static double value_of(unsigned half)
{
    int exponent = (int)(half >> 10);
    return exponent ? ldexp(1024 + (half & 1023), exponent - 25) : ldexp(half, -24);
}

/* The nearest half by definition: the neighbours are found by bisection, the middle between them is
 * exact in a double. */
static uint16_t slow_half_of(uint32_t bits)
{
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    float x = float_of(bits & 0x7fffffff);
    unsigned low = 0, high = 0x7c00;
    if (isnan(x))
        return (uint16_t)(sign | 0x7e00 | (bits >> 13 & 0x3ff));
    if ((double)x >= value_of(high))
        return sign | 0x7c00;
    while (high - low > 1) {
        unsigned middle = (low + high) / 2;
        if (value_of(middle) <= (double)x)
            low = middle;
        else
            high = middle;
    }
    double middle = (value_of(low) + value_of(high)) / 2;
    bool is_up = (double)x > middle || ((double)x == middle && low % 2 == 1);
    return (uint16_t)(sign | (is_up ? high : low));
}

static void every_half_survives_being_read_and_written(void)
{
    static uint16_t half[65536], back[65536];
    static uint32_t number[65536];
    for (unsigned i = 0; i < 65536; i++)
        half[i] = (uint16_t)i;
    bq_number_read(&half_number, half, number, 65536);
    CU_ASSERT(by_us(&half_number, WRITE, number, back, 65536));
    for (unsigned i = 0; i < 65536; i++) {
        unsigned want = (i & 0x7fff) > 0x7c00 ? i | 0x7fff : i; /* reading fills NaNs with ones */
        if (back[i] != want) {
            printf("\n    %04x became %04x\n", i, back[i]);
            CU_FAIL("a half did not survive");
            return;
        }
    }
}

static void floats_around_every_middle_between_halves_go_to_the_nearest(void)
{
    for (unsigned low = 0; low < 0x7c00; low++) {
        float middle = (float)((value_of(low) + value_of(low + 1)) / 2);
        unsigned even = low + low % 2;
        bool is_right = half_of(bits_of(middle)) == even && half_of(bits_of(middle) - 1) == low &&
                        half_of(bits_of(middle) + 1) == low + 1 &&
                        half_of(bits_of(middle) | 0x80000000) == (even | 0x8000) &&
                        slow_half_of(bits_of(middle)) == even;
        if (!is_right) {
            printf("\n    between %04x and %04x\n", low, low + 1);
            CU_FAIL("a float did not go to the nearest half");
            return;
        }
    }
    CU_ASSERT(half_of(bits_of(65519.996f)) == 0x7bff && half_of(bits_of(65520.0f)) == 0x7c00);
}

static void any_float_becomes_the_nearest_half(void)
{
    random_start(34);
    for (int round = 0; round < 200000; round++) {
        uint32_t bits = (uint32_t)random_next();
        if (round % 2) /* most floats are far too large or small for a half: stay near its range */
            bits = (bits & 0x807fffff) | (uint32_t)(100 + random_below(46)) << 23;
        uint16_t got = half_of(bits), want = slow_half_of(bits);
#ifdef __FLT16_MAX__
        _Float16 compiler = (_Float16)float_of(bits);
        uint16_t same;
        memcpy(&same, &compiler, sizeof same);
        if (!isnan(float_of(bits)) && same != want) /* of NaNs it keeps what the machine keeps */
            CU_FAIL("the reference is wrong");
#endif
        if (got != want) {
            printf("\n    %08x became %04x, not %04x\n", bits, got, want);
            CU_FAIL("not the nearest half");
            return;
        }
    }
}

static void a_nan_stays_a_quiet_nan_of_its_sign(void)
{
    const uint32_t payload[] = {1, 0x1fff, 0x2000, 0x3fffff, 0x400000, 0x400001, 0x7fffff};
    for (size_t i = 0; i < sizeof payload / sizeof *payload; i++) {
        for (uint32_t sign = 0; sign < 2; sign++) {
            unsigned half = half_of(sign << 31 | 0x7f800000 | payload[i]);
            CU_ASSERT_EQUAL(half & 0x7e00, 0x7e00);
            CU_ASSERT_EQUAL(half >> 15, sign);
        }
    }
    CU_ASSERT(half_of(0x7f800000) == 0x7c00 && half_of(0xff800000) == 0xfc00);
}

static void the_first_nan_is_found_wherever_it_is(void)
{
    enum { N = 3000 };
    static float narrow[N];
    static double wide[N];
    for (size_t n = 0; n < N; n += n < 5 ? 1 : 331) {
        CU_ASSERT_EQUAL(bq_number_find_nan(BQ_F32, narrow, n), n);
        CU_ASSERT_EQUAL(bq_number_find_nan(BQ_F64, wide, n), n);
        for (size_t at = 0; at < n; at += 97) {
            narrow[at] = narrow[n - 1] = -NAN;
            wide[at] = wide[n - 1] = NAN;
            CU_ASSERT_EQUAL(bq_number_find_nan(BQ_F32, narrow, n), at);
            CU_ASSERT_EQUAL(bq_number_find_nan(BQ_F64, wide, n), at);
            narrow[at] = narrow[n - 1] = INFINITY;
            wide[at] = wide[n - 1] = -INFINITY;
        }
    }
    const uint32_t ones[2] = {UINT32_MAX, UINT32_MAX}; /* no NaN of whole numbers */
    CU_ASSERT_EQUAL(bq_number_find_nan(BQ_U32, ones, 2), 2);
}

static const struct test tests[] = {
    {"every half becomes the float that HDF5 makes of it",
     every_half_becomes_the_float_that_hdf5_makes_of_it},
    {"any bits become what HDF5 makes of them", any_bits_become_what_hdf5_makes_of_them},
    {"the native type is the narrowest that holds every value",
     the_native_type_is_the_narrowest_that_holds_every_value},
    {"a number is native when HDF5 would not convert it",
     a_number_is_native_when_hdf5_would_not_convert_it},
    {"no numbers need no memory", no_numbers_need_no_memory},
    {"what was read is written back the same", what_was_read_is_written_back_the_same},
    {"integers that do not fit saturate as in HDF5", integers_that_do_not_fit_saturate_as_in_hdf5},
    {"integers saturate at the ends of their range", integers_saturate_at_the_ends_of_their_range},
    {"every half survives being read and written", every_half_survives_being_read_and_written},
    {"floats around every middle between halves go to the nearest",
     floats_around_every_middle_between_halves_go_to_the_nearest},
    {"any float becomes the nearest half", any_float_becomes_the_nearest_half},
    {"the first NaN is found wherever it is", the_first_nan_is_found_wherever_it_is},
    {"a NaN stays a quiet NaN of its sign", a_nan_stays_a_quiet_nan_of_its_sign},
};

RUN_TESTS("number", tests)
