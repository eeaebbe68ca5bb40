/* The kernels that move and add up data: copy and sum. */
#include "kernel_kit.h"

#include <float.h>
#include <math.h>

/* -- copy --------------------------------------------------------------------------------- */

static void copy_of_any_type_keeps_every_bit(void)
{
    for (enum bq_type type = 0; type < BQ_N_TYPES; type++) {
        struct kit kit = kit_for("copy");
        uint32_t x[999], y[999 + 1]; /* as bits of whatever type, NaN and all */
        for (int i = 0; i < 999; i++)
            x[i] = random_bits();
        y[999] = 0;
        uint64_t n = sizeof x / bq_type_size(type);
        size_t bytes = (size_t)n * bq_type_size(type);
        CU_ASSERT_EQUAL_FATAL(set_up(&kit, type, n), 0);
        CU_ASSERT_EQUAL(kit.setup.out_type, type);
        cook(&kit, &(uint64_t){0}, &n, x, y, NULL);
        CU_ASSERT_EQUAL(memcmp(x, y, bytes), 0);
        CU_ASSERT_EQUAL(y[999], 0);
    }
}

static void copy_in_parts_covers_each_element_once(void)
{
    struct kit kit = kit_for("copy");
    CU_ASSERT_TRUE(kit.kernel->flags & BQ_DIVISIBLE);
    uint64_t extent = 10, offset = 0;
    int16_t x[10], y[10];
    for (unsigned n_parts = 1; n_parts <= 13; n_parts++) {
        for (int16_t i = 0; i < 10; i++)
            x[i] = (int16_t)(100 + i), y[i] = 0;
        struct bq_block in = {BQ_I16, 1, &extent, &offset, 10, x};
        struct bq_block out = {BQ_I16, 1, &extent, &offset, 10, y};
        struct bq_call call = {.params = kit.params, .n_parts = n_parts, .in = &in, .out = &out};
        for (call.part = 0; call.part < n_parts; call.part++) {
            int before = 0, after = 0;
            for (int i = 0; i < 10; i++)
                before += y[i] != 0;
            CU_ASSERT_EQUAL(kit.kernel->cook(&call), BQ_DONE);
            for (int i = 0; i < 10; i++)
                after += y[i] != 0;
            int share = (int)(10 / n_parts + (call.part < 10 % n_parts));
            CU_ASSERT_EQUAL(after - before, share);
        }
        CU_ASSERT_EQUAL(memcmp(x, y, sizeof x), 0);
    }
}

static void copy_onto_itself_changes_nothing(void)
{
    struct kit kit = kit_for("copy");
    uint64_t extent = 3, offset = 0;
    double x[3] = {1, 2, 3};
    struct bq_block block = {BQ_F64, 1, &extent, &offset, 3, x};
    struct bq_call call = {.params = kit.params, .n_parts = 1, .in = &block, .out = &block};
    CU_ASSERT_EQUAL(kit.kernel->cook(&call), BQ_DONE);
    CU_ASSERT_TRUE(x[0] == 1 && x[1] == 2 && x[2] == 3);
}

/* -- sum of integers ---------------------------------------------------------------------- */

/* A sum that is presented as an integer or as one below zero. */
static double whole_sum(void)
{
    const struct line *line = line_of("sum");
    return line->is_real ? line->real : (double)line->integer;
}

enum { MANY = 70001 }; /* more than a run of 65536, and no multiple of anything */

#define AGAINST_PLAIN_LOOP(code, ctype)                                                            \
    {                                                                                              \
        static ctype x[MANY];                                                                      \
        struct kit kit = kit_for("sum");                                                           \
        double want = 0; /* exact: below 2^53 */                                                   \
        for (int i = 0; i < MANY; i++) {                                                           \
            x[i] = (ctype)random_bits();                                                           \
            want += (double)x[i];                                                                  \
        }                                                                                          \
        for (uint64_t chunk = 977; chunk <= MANY; chunk += MANY - 977) {                           \
            reduce(&kit, code, x, MANY, chunk);                                                    \
            CU_ASSERT_EQUAL(whole_sum(), want);                                                    \
            CU_ASSERT_EQUAL(integer("count"), MANY);                                               \
            CU_ASSERT_EQUAL(integer("nonfinite"), 0);                                              \
        }                                                                                          \
    }

static void sum_of_integers_agrees_with_a_plain_loop(void)
{
    AGAINST_PLAIN_LOOP(BQ_U8, uint8_t)
    AGAINST_PLAIN_LOOP(BQ_I8, int8_t)
    AGAINST_PLAIN_LOOP(BQ_U16, uint16_t)
    AGAINST_PLAIN_LOOP(BQ_I16, int16_t)
    AGAINST_PLAIN_LOOP(BQ_U32, uint32_t)
    AGAINST_PLAIN_LOOP(BQ_I32, int32_t)
    AGAINST_PLAIN_LOOP(BQ_U64, uint64_t)
    AGAINST_PLAIN_LOOP(BQ_I64, int64_t)
}

/* All elements at an end of their type: what could overflow inside would. */
#define AT_THE_END(code, ctype, end)                                                               \
    {                                                                                              \
        static ctype x[MANY];                                                                      \
        struct kit kit = kit_for("sum");                                                           \
        for (int i = 0; i < MANY; i++)                                                             \
            x[i] = (end);                                                                          \
        reduce(&kit, code, x, MANY, MANY);                                                         \
        CU_ASSERT_EQUAL(whole_sum(), (double)(end)*MANY);                                          \
    }

static void sum_of_the_largest_integers_does_not_overflow(void)
{
    AT_THE_END(BQ_U8, uint8_t, UINT8_MAX)
    AT_THE_END(BQ_I8, int8_t, INT8_MIN)
    AT_THE_END(BQ_I8, int8_t, INT8_MAX)
    AT_THE_END(BQ_U16, uint16_t, UINT16_MAX)
    AT_THE_END(BQ_I16, int16_t, INT16_MIN)
    AT_THE_END(BQ_I16, int16_t, INT16_MAX)
    AT_THE_END(BQ_U32, uint32_t, UINT32_MAX)
    AT_THE_END(BQ_I32, int32_t, INT32_MIN)
    AT_THE_END(BQ_U64, uint64_t, UINT64_MAX)
    AT_THE_END(BQ_I64, int64_t, INT64_MIN)
    AT_THE_END(BQ_I64, int64_t, INT64_MAX)
}

static void sum_is_an_integer_as_long_as_64_bits_hold_it(void)
{
    struct kit kit = kit_for("sum");
    const uint64_t u[] = {UINT64_MAX - 5, 2, 3, 1};
    reduce(&kit, BQ_U64, u, 3, 2);
    CU_ASSERT_EQUAL(integer("sum"), UINT64_MAX);
    reduce(&kit, BQ_U64, u, 4, 2);
    CU_ASSERT_EQUAL(real("sum"), 0x1p64);
    const int64_t low[] = {INT64_MIN, 1, -1, -1};
    reduce(&kit, BQ_I64, low, 3, 2);
    CU_ASSERT_EQUAL(real("sum"), -0x1p63); /* by way of `negative` */
    CU_ASSERT_EQUAL(line_of("sum")->negative, INT64_MIN);
    reduce(&kit, BQ_I64, low, 4, 2);
    CU_ASSERT_EQUAL(line_of("sum")->negative, 0);
    CU_ASSERT_EQUAL(real("sum"), -0x1p63);
    const int64_t zero[] = {INT64_MAX, INT64_MIN, 1};
    reduce(&kit, BQ_I64, zero, 3, 1);
    CU_ASSERT_EQUAL(integer("sum"), 0);
}

/* -- sum of floats ------------------------------------------------------------------------ */

/* What sum.c promises, written down once more: 16 lanes, blocks of 4096. */
static double slow_sum(const double *x, size_t n)
{
    double sum = 0;
    for (size_t done = 0; done < n; done += 4096) {
        double lane[16] = {0};
        for (size_t i = done; i < n && i < done + 4096; i++)
            lane[(i - done) % 16] += x[i];
        for (int width = 8; width; width /= 2) {
            for (int k = 0; k < width; k++)
                lane[k] += lane[k + width];
        }
        sum += lane[0];
    }
    return sum;
}

static void sum_of_floats_adds_in_the_promised_order(void)
{
    static double x[MANY];
    static float f[MANY];
    struct kit kit = kit_for("sum");
    for (int i = 0; i < MANY; i++)
        x[i] = (double)random_bits() * 0x1.921fb54442d18p-7 - 3e7;
    reduce(&kit, BQ_F64, x, MANY, MANY);
    CU_ASSERT_EQUAL(bits_of(real("sum")), bits_of(slow_sum(x, MANY)));
    for (int i = 0; i < MANY; i++)
        x[i] = (double)(f[i] = (float)x[i]);
    reduce(&kit, BQ_F32, f, MANY, MANY);
    CU_ASSERT_EQUAL(bits_of(real("sum")), bits_of(slow_sum(x, MANY)));
    CU_ASSERT_EQUAL(integer("count"), MANY);
    CU_ASSERT_EQUAL(integer("nonfinite"), 0);
}

static void sum_of_many_equal_floats_is_exact_where_float_would_stop(void)
{
    static float x[MANY];
    struct kit kit = kit_for("sum");
    for (int i = 0; i < MANY; i++)
        x[i] = 0x1p24f; /* in float, 2^24 + 1 is 2^24 */
    x[5] = 1;
    reduce(&kit, BQ_F32, x, MANY, 1000);
    CU_ASSERT_EQUAL(real("sum"), 0x1p24 * (MANY - 1) + 1);
}

static void sum_passes_on_nan_and_infinity_and_counts_them(void)
{
    static double x[10000];
    struct kit kit = kit_for("sum");
    for (int i = 0; i < 10000; i++)
        x[i] = 1;
    x[7000] = (double)INFINITY;
    reduce(&kit, BQ_F64, x, 10000, 3000);
    CU_ASSERT_TRUE(isinf(real("sum")) && real("sum") > 0);
    CU_ASSERT_EQUAL(integer("nonfinite"), 1);
    x[7001] = -(double)INFINITY;
    reduce(&kit, BQ_F64, x, 10000, 3000);
    CU_ASSERT_EQUAL(bits_of(real("sum")), bits_of((double)NAN));
    CU_ASSERT_EQUAL(integer("nonfinite"), 2);
    x[7000] = x[7001] = 1;
    x[9999] = -(double)NAN;
    reduce(&kit, BQ_F64, x, 10000, 10000);
    CU_ASSERT_EQUAL(bits_of(real("sum")), bits_of((double)NAN));
    CU_ASSERT_EQUAL(integer("nonfinite"), 1);
    CU_ASSERT_EQUAL(integer("count"), 10000);
    x[9999] = 1;
    x[0] = x[16] = DBL_MAX; /* finite, though their sum is not */
    reduce(&kit, BQ_F64, x, 10000, 10000);
    CU_ASSERT_TRUE(isinf(real("sum")));
    CU_ASSERT_EQUAL(integer("nonfinite"), 0);
    static float f[100];
    f[3] = f[99] = NAN;
    f[50] = -INFINITY;
    reduce(&kit, BQ_F32, f, 100, 100);
    CU_ASSERT_EQUAL(integer("nonfinite"), 3);
}

static void sum_that_saw_nothing_can_be_presented_and_combined(void)
{
    struct kit kit = kit_for("sum");
    CU_ASSERT_EQUAL_FATAL(set_up(&kit, BQ_F32, 4), 0);
    void *none = new_acc(&kit), *some = new_acc(&kit);
    present(&kit, none);
    CU_ASSERT_TRUE(integer("count") == 0 && integer("sum") == 0);
    const float x[] = {1, 2, 3, 4};
    cook(&kit, &(uint64_t){0}, &(uint64_t){4}, x, NULL, some);
    kit.kernel->combine(kit.params, some, none);
    kit.kernel->combine(kit.params, none, some);
    CU_ASSERT_EQUAL(memcmp(some, none, kit.setup.acc_size), 0);
    present(&kit, none);
    CU_ASSERT_EQUAL(real("sum"), 10);
    free(none);
    free(some);
}

static const struct test tests[] = {
    {"copy of any type keeps every bit", copy_of_any_type_keeps_every_bit},
    {"copy in parts covers each element once", copy_in_parts_covers_each_element_once},
    {"copy onto itself changes nothing", copy_onto_itself_changes_nothing},
    {"sum of integers agrees with a plain loop", sum_of_integers_agrees_with_a_plain_loop},
    {"sum of the largest integers does not overflow",
     sum_of_the_largest_integers_does_not_overflow},
    {"sum is an integer as long as 64 bits hold it", sum_is_an_integer_as_long_as_64_bits_hold_it},
    {"sum of floats adds in the promised order", sum_of_floats_adds_in_the_promised_order},
    {"sum of many equal floats is exact where float would stop",
     sum_of_many_equal_floats_is_exact_where_float_would_stop},
    {"sum passes on NaN and infinity and counts them",
     sum_passes_on_nan_and_infinity_and_counts_them},
    {"sum that saw nothing can be presented and combined",
     sum_that_saw_nothing_can_be_presented_and_combined},
};

RUN_TESTS("kernels_data", tests)
