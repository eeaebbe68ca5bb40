/* The built-in kernels, called through their struct as the engine calls them, but without it. */
#include "kernel_kit.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* -- the table ---------------------------------------------------------------------------- */

static void every_kernel_is_described(void)
{
    CU_ASSERT_TRUE(bq_n_kernels > 0);
    for (size_t i = 0; i < bq_n_kernels; i++) {
        const struct bq_kernel *k = bq_kernels[i];
        CU_ASSERT_EQUAL(k->abi, BQ_KERNEL_ABI);
        CU_ASSERT_TRUE(k->name && *k->name && k->summary && *k->summary);
        CU_ASSERT_PTR_NOT_NULL(k->cook);
        CU_ASSERT_TRUE(k->n_params <= BQ_MAX_PARAMS);
        CU_ASSERT_EQUAL(!k->combine, !k->present);
        for (size_t j = 0; j < i; j++)
            CU_ASSERT_STRING_NOT_EQUAL(k->name, bq_kernels[j]->name);
        for (size_t p = 0; p < k->n_params; p++) {
            CU_ASSERT_TRUE(k->params[p].name && *k->params[p].name && k->params[p].unit);
            CU_ASSERT_TRUE(k->params[p].help && *k->params[p].help);
            for (size_t q = 0; q < p; q++)
                CU_ASSERT_STRING_NOT_EQUAL(k->params[p].name, k->params[q].name);
        }
    }
}

/* Asks prepare about datasets of two types and of one to three axes; whether it takes any. */
static bool is_accepted(struct kit *kit)
{
    for (int i = 0; i < 6; i++) {
        struct bq_setup *s = &kit->setup;
        *s = (struct bq_setup){.params = kit->params, .has_output = true};
        s->has_input = kit->kernel->flags & BQ_READS;
        s->in_type = s->out_type = s->has_input && i % 2 ? BQ_F32 : BQ_U8;
        s->space = (struct bq_space){s->has_input ? 1 + i / 2 : 0, {9, 9, 9}};
        if (!kit->kernel->prepare || kit->kernel->prepare(s) == 0)
            return true;
        CU_ASSERT_TRUE(s->message[0] != 0);
    }
    return false;
}

static void every_standard_value_is_in_its_range_and_accepted(void)
{
    const char *const need_a_list[] = {"convolve", "equalize", "kmeans", "fetch"};
    for (size_t i = 0; i < bq_n_kernels; i++) {
        struct kit kit = kit_for(bq_kernels[i]->name);
        for (size_t p = 0; p < kit.kernel->n_params; p++) {
            const struct bq_param *param_ = &kit.kernel->params[p];
            double v = param_->kind == BQ_INT ? (double)param_->standard.i : param_->standard.r;
            if ((param_->kind == BQ_INT || param_->kind == BQ_REAL) && param_->min <= param_->max)
                CU_ASSERT_TRUE(param_->min <= v && v <= param_->max);
        }
        bool is_accepted_ = is_accepted(&kit), is_enough = true;
        for (size_t k = 0; k < sizeof need_a_list / sizeof *need_a_list; k++)
            is_enough = is_enough && strcmp(kit.kernel->name, need_a_list[k]) != 0;
        CU_ASSERT_EQUAL(is_accepted_, is_enough);
        CU_ASSERT_TRUE(kit.setup.acc_size <= BQ_MAX_ACC);
        if (is_accepted_)
            CU_ASSERT_EQUAL(kit.setup.acc_size > 0, kit.kernel->combine != NULL);
    }
}

static void what_banquet_makes_takes_its_extents_from_the_parameters_in_elements(void)
{
    for (size_t i = 0; i < bq_n_kernels; i++) {
        struct kit kit = kit_for(bq_kernels[i]->name);
        if (!(kit.kernel->flags & BQ_MAKES))
            continue;
        int rank = 0;
        for (size_t p = 0; p < kit.kernel->n_params; p++) {
            if (strcmp(kit.kernel->params[p].unit, "elements") == 0)
                kit.params[p].i = 100 + rank++;
        }
        CU_ASSERT_EQUAL(set_up(&kit, BQ_U8, 0), 0);
        CU_ASSERT_TRUE(rank > 0 && rank <= kit.setup.space.rank); /* a colour has its own axis */
        for (int d = 0; d < rank; d++)
            CU_ASSERT_EQUAL(kit.setup.space.extent[d], 100 + (uint64_t)d);
    }
}

/* -- brighten ----------------------------------------------------------------------------- */

static void brighten(struct kit *kit, enum bq_type type, const void *x, void *y, uint64_t n)
{
    CU_ASSERT_EQUAL_FATAL(set_up(kit, type, n), 0);
    CU_ASSERT_EQUAL(kit->setup.out_type, type);
    cook(kit, &(uint64_t){0}, &n, x, y, NULL);
}

/* Half to even, the slow way. */
static double rounded(double v)
{
    double down = floor(v), rest = v - down;
    return rest > 0.5 || (rest == 0.5 && fmod(down, 2) != 0) ? down + 1 : down;
}

#define AGAINST_REFERENCE(code, ctype, min, max)                                                   \
    for (int i = 0; i < 5; i++) {                                                                  \
        ctype x[1003], y[1003];                                                                    \
        struct kit kit = kit_for("brighten");                                                      \
        double gain = param(&kit, "gain")->r = gains[i];                                           \
        double offset = param(&kit, "offset")->r = offsets[i];                                     \
        for (int k = 0; k < 1003; k++)                                                             \
            x[k] = k < 256 ? (ctype)k : (ctype)random_bits();                                      \
        x[256] = (min);                                                                            \
        x[257] = (max);                                                                            \
        brighten(&kit, code, x, y, 1003);                                                          \
        for (int k = 0; k < 1003; k++) {                                                           \
            double v = rounded((double)x[k] * gain + offset);                                      \
            v = v < (min) ? (min) : v > (max) ? (max) : v;                                         \
            CU_ASSERT_EQUAL((double)y[k], v);                                                      \
        }                                                                                          \
    }

static void brighten_of_integers_rounds_half_to_even_and_clamps(void)
{
    const double gains[] = {1.2, 0.5, -1, 1.5, 1e300}, offsets[] = {0, 0, 3.5, -1000.25, -1e308};
    AGAINST_REFERENCE(BQ_U8, uint8_t, 0, UINT8_MAX)
    AGAINST_REFERENCE(BQ_I8, int8_t, INT8_MIN, INT8_MAX)
    AGAINST_REFERENCE(BQ_U16, uint16_t, 0, UINT16_MAX)
    AGAINST_REFERENCE(BQ_I16, int16_t, INT16_MIN, INT16_MAX)
    AGAINST_REFERENCE(BQ_U32, uint32_t, 0, UINT32_MAX)
    AGAINST_REFERENCE(BQ_I32, int32_t, INT32_MIN, INT32_MAX)
}

static void brighten_clamps_64_bits_at_their_ends(void)
{
    struct kit kit = kit_for("brighten");
    const uint64_t x[] = {0, 5, UINT64_MAX, (uint64_t)1 << 62, 15};
    const int64_t s[] = {INT64_MIN, -5, INT64_MAX, -((int64_t)1 << 62), 25};
    uint64_t y[5];
    int64_t t[5];
    brighten(&kit, BQ_U64, x, y, 5);
    CU_ASSERT_TRUE(y[0] == 0 && y[1] == 6 && y[2] == UINT64_MAX && y[4] == 18);
    CU_ASSERT_EQUAL(y[3], (uint64_t)(0x1p62 * 1.2));
    brighten(&kit, BQ_I64, s, t, 5);
    CU_ASSERT_TRUE(t[0] == INT64_MIN && t[1] == -6 && t[2] == INT64_MAX && t[4] == 30);
    param(&kit, "gain")->r = 0.5;
    brighten(&kit, BQ_I64, s, t, 5);
    CU_ASSERT_TRUE(t[0] == INT64_MIN / 2 && t[1] == -2 && t[4] == 12);
}

static void brighten_of_floats_keeps_nan_and_infinity(void)
{
    struct kit kit = kit_for("brighten");
    float x[] = {1.5f, NAN, INFINITY, -INFINITY, FLT_MAX, 0, -0.0f}, y[7];
    brighten(&kit, BQ_F32, x, y, 7);
    CU_ASSERT_EQUAL(y[0], 1.5f * 1.2f);
    CU_ASSERT_EQUAL(memcmp(&y[1], &x[1], sizeof *x), 0);
    CU_ASSERT_TRUE(y[2] > FLT_MAX && y[3] < -FLT_MAX && y[4] > FLT_MAX && y[5] == 0 && y[6] == 0);
    param(&kit, "gain")->r = 0;
    brighten(&kit, BQ_F32, x, y, 7);
    const float positive_nan = NAN;
    CU_ASSERT_EQUAL(memcmp(&y[2], &positive_nan, sizeof *y), 0);
    CU_ASSERT_EQUAL(memcmp(&y[3], &positive_nan, sizeof *y), 0);
    double d[] = {-NAN, 2}, e[2];
    brighten(&kit, BQ_F64, d, e, 2);
    CU_ASSERT_TRUE(bits_of(d[0]) == bits_of(e[0]) && e[1] == 0);
}

static void brighten_obeys_low_and_high(void)
{
    struct kit kit = kit_for("brighten");
    param(&kit, "low")->r = 9.5;
    param(&kit, "high")->r = 20.5;
    const uint8_t x[] = {0, 10, 255};
    const double d[] = {0, 10, 255};
    uint8_t y[3];
    double e[3];
    brighten(&kit, BQ_U8, x, y, 3);
    CU_ASSERT_TRUE(y[0] == 10 && y[1] == 12 && y[2] == 20);
    brighten(&kit, BQ_F64, d, e, 3);
    CU_ASSERT_TRUE(e[0] == 9.5 && e[1] == 12 && e[2] == 20.5);
}

static void brighten_refuses_bounds_without_a_value_between(void)
{
    const struct {
        double low, high;
        enum bq_type type;
        int answer;
    } tries[] = {{1, 0, BQ_F32, -1},         {NAN, 0, BQ_F32, -1},  {0, NAN, BQ_F32, -1},
                 {0.2, 0.8, BQ_U8, -1},      {0.2, 0.8, BQ_F32, 0}, {256, 300, BQ_U8, -1},
                 {255, 300, BQ_U8, 0},       {-9, -1, BQ_U16, -1},  {0x1p64, 1e30, BQ_U64, -1},
                 {0x1p63, 1e30, BQ_I64, -1}, {-1e30, 0, BQ_I64, 0}, {3, 3, BQ_I8, 0}};
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        struct kit kit = kit_for("brighten");
        param(&kit, "low")->r = tries[i].low;
        param(&kit, "high")->r = tries[i].high;
        CU_ASSERT_EQUAL(set_up(&kit, tries[i].type, 1), tries[i].answer);
        CU_ASSERT_EQUAL(kit.setup.message[0] != 0, tries[i].answer != 0);
    }
}

static void brighten_in_parts_covers_each_element_once(void)
{
    struct kit kit = kit_for("brighten");
    for (uint64_t n = 1; n < 40; n += 3) {
        CU_ASSERT_EQUAL(set_up(&kit, BQ_U8, n), 0);
        uint8_t x[40], y[41] = {0};
        memset(x, 10, sizeof x);
        struct bq_block in = {BQ_U8, 1, &n, &(uint64_t){0}, n, x}, out = in;
        out.data = y;
        for (unsigned part = 0; part < 7; part++) {
            uint8_t before[41];
            memcpy(before, y, sizeof y);
            struct bq_call call = {.params = kit.params, .in = &in, .out = &out, .part = part};
            call.n_parts = 7;
            CU_ASSERT_EQUAL(kit.kernel->cook(&call), BQ_DONE);
            for (int i = 0; i < 41; i++) {
                CU_ASSERT_TRUE(before[i] == 0 || before[i] == y[i]);
                x[i % 40] = (uint8_t)(y[i % 40] ? 200 : 10); /* a second visit would show */
            }
        }
        for (uint64_t i = 0; i < 41; i++)
            CU_ASSERT_EQUAL(y[i], i < n ? 12 : 0);
    }
}

/* -- stats -------------------------------------------------------------------------------- */

static void stats_of_few_numbers_are_what_they_should_be(void)
{
    const double x[] = {2, 4, 4, 4, 5, 5, 7, 9};
    const int8_t s[] = {2, 4, 4, 4, 5, 5, 7, 9};
    for (int round = 0; round < 3; round++) {
        struct kit kit = kit_for("stats");
        param(&kit, "exact")->b = round == 1;
        reduce(&kit, round < 2 ? BQ_F64 : BQ_I8, round < 2 ? (const void *)x : s, 8, 3);
        CU_ASSERT_EQUAL(integer("count"), 8);
        CU_ASSERT_EQUAL(integer("nan") + integer("infinite"), 0);
        CU_ASSERT_DOUBLE_EQUAL(real("mean"), 5, 1e-15);
        CU_ASSERT_DOUBLE_EQUAL(real("variance"), 4, 1e-14);
        CU_ASSERT_DOUBLE_EQUAL(real("deviation"), 2, 1e-15);
        bool is_right = round < 2
                            ? real("min") == 2 && real("max") == 9 && real("sum") == 40
                            : integer("min") == 2 && integer("max") == 9 && integer("sum") == 40;
        CU_ASSERT_TRUE(is_right);
    }
}

#define STATS_N 10007

#define INTEGERS(code, ctype, get_min)                                                             \
    {                                                                                              \
        static ctype x[STATS_N];                                                                   \
        long double sum = 0, m2 = 0, min = 1e30L, max = -1e30L;                                    \
        for (int i = 0; i < STATS_N; i++)                                                          \
            x[i] = (ctype)((uint64_t)random_bits() << 32 | random_bits());                         \
        for (int i = 0; i < STATS_N; i++) {                                                        \
            sum += (long double)x[i];                                                              \
            min = (long double)x[i] < min ? (long double)x[i] : min;                               \
            max = (long double)x[i] > max ? (long double)x[i] : max;                               \
        }                                                                                          \
        for (int i = 0; i < STATS_N; i++) {                                                        \
            long double d = (long double)x[i] - sum / STATS_N;                                     \
            m2 += d * d;                                                                           \
        }                                                                                          \
        struct kit kit = kit_for("stats");                                                         \
        reduce(&kit, code, x, STATS_N, 1000);                                                      \
        CU_ASSERT_EQUAL(integer("count"), STATS_N);                                                \
        CU_ASSERT_DOUBLE_EQUAL(real("mean") / (double)(sum / STATS_N), 1, 1e-14);                  \
        CU_ASSERT_DOUBLE_EQUAL(real("variance") / (double)(m2 / STATS_N), 1, 1e-14);               \
        CU_ASSERT_EQUAL((double)get_min("min"), (double)min);                                      \
        CU_ASSERT_EQUAL(integer("max"), (uint64_t)max);                                            \
    }

static void stats_of_integers_agree_with_a_plain_loop(void)
{
    INTEGERS(BQ_U8, uint8_t, integer)
    INTEGERS(BQ_I8, int8_t, real)
    INTEGERS(BQ_U16, uint16_t, integer)
    INTEGERS(BQ_I16, int16_t, real)
    INTEGERS(BQ_U32, uint32_t, integer)
    INTEGERS(BQ_I32, int32_t, real)
    INTEGERS(BQ_U64, uint64_t, integer)
    INTEGERS(BQ_I64, int64_t, real)
}

static void stats_of_the_largest_integers_do_not_overflow(void)
{
    static uint64_t u[70000];
    static int64_t s[70000];
    for (int i = 0; i < 70000; i++) {
        u[i] = UINT64_MAX - (i % 2 ? 2 : 0);
        s[i] = i % 2 ? INT64_MAX : INT64_MIN;
    }
    struct kit kit = kit_for("stats");
    reduce(&kit, BQ_U64, u, 70000, 70000);
    CU_ASSERT_EQUAL(real("sum"), 70000 * 0x1p64);
    CU_ASSERT_EQUAL(real("variance"), 1);
    CU_ASSERT_EQUAL(integer("min"), UINT64_MAX - 2);
    CU_ASSERT_EQUAL(integer("max"), UINT64_MAX);
    reduce(&kit, BQ_I64, s, 70000, 66000);
    CU_ASSERT_EQUAL(real("sum"), -35000);
    CU_ASSERT_EQUAL(real("mean"), -0.5);
    CU_ASSERT_EQUAL(real("variance"), 0x1p126);
    CU_ASSERT_EQUAL(real("min"), -0x1p63);
    reduce(&kit, BQ_I64, (const int64_t[]){INT64_MIN, INT64_MIN}, 2, 2);
    CU_ASSERT_EQUAL(real("sum"), -0x1p64);
    reduce(&kit, BQ_I64, s, 70000, 1);
    CU_ASSERT_EQUAL(integer("max"), INT64_MAX);
}

/* Doubles of all magnitudes and both signs. */
static void fill_wild(double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = (uint64_t)random_bits() << 32 | random_bits();
        memcpy(&x[i], &bits, sizeof bits);
        if (!isfinite(x[i]))
            x[i] = ldexp(1, -1074); /* the smallest there is */
    }
}

static void exact_stats_have_the_same_bits_for_any_chunks(void)
{
    static double x[STATS_N];
    struct kit kit = kit_for("stats");
    param(&kit, "exact")->b = true;
    for (int round = 0; round < 2; round++) {
        fill_wild(x, STATS_N);
        for (int i = 0; i < STATS_N && round; i++)
            x[i] = (random_bits() - 2147483648.0) / 7 + 1e9;
        const uint64_t chunks[] = {STATS_N, 1, 2, 100, 4999, 9000};
        struct report first;
        for (int i = 0; i < 6; i++) {
            reduce(&kit, BQ_F64, x, STATS_N, chunks[i]);
            if (i == 0)
                first = report;
            for (size_t k = 0; k < first.n; k++) {
                CU_ASSERT_EQUAL(bits_of(report.line[k].real), bits_of(first.line[k].real));
                CU_ASSERT_EQUAL(report.line[k].integer, first.line[k].integer);
            }
        }
        for (int i = 0; i < STATS_N / 2; i++) { /* nor does order matter */
            double swap = x[i];
            x[i] = x[STATS_N - 1 - i];
            x[STATS_N - 1 - i] = swap;
        }
        reduce(&kit, BQ_F64, x, STATS_N, 77);
        CU_ASSERT_EQUAL(bits_of(real("sum")), bits_of(first.line[5].real));
        CU_ASSERT_EQUAL(bits_of(real("variance")), bits_of(first.line[7].real));
        CU_ASSERT_TRUE(round == 0 || isfinite(real("variance")));
    }
}

static void exact_sums_round_once(void)
{
    struct kit kit = kit_for("stats");
    param(&kit, "exact")->b = true;
    reduce(&kit, BQ_F64, (const double[]){1e308, 1, 1e308, -1e308, -1e308}, 5, 2);
    CU_ASSERT_EQUAL(real("sum"), 1); /* over 1.8e308 and back */
    CU_ASSERT_EQUAL(real("mean"), 0.2);
    CU_ASSERT_TRUE(isinf(real("variance")));
    reduce(&kit, BQ_F64, (const double[]){1, 0x1p-53, 0x1p-1074}, 3, 1);
    CU_ASSERT_EQUAL(real("sum"), 1 + DBL_EPSILON); /* just over half: up */
    reduce(&kit, BQ_F64, (const double[]){1, 0x1p-53}, 2, 1);
    CU_ASSERT_EQUAL(real("sum"), 1); /* half: to even */
    reduce(&kit, BQ_F64, (const double[]){0x1p-1074, -0x1p-1073, -0x1p-1022}, 3, 1);
    CU_ASSERT_EQUAL(real("sum"), -0x1p-1022 - 0x1p-1074);
    reduce(&kit, BQ_F64, (const double[]){0x1p60, 0x1p60 + 256}, 2, 1);
    CU_ASSERT_EQUAL(real("variance"), 128 * 128); /* no cancellation */
    reduce(&kit, BQ_F64, (const double[]){0, -0.0}, 2, 1);
    CU_ASSERT_EQUAL(bits_of(real("sum")) + bits_of(real("min")) + bits_of(real("variance")), 0);
    reduce(&kit, BQ_F64, (const double[]){-0x1p200}, 1, 1);
    CU_ASSERT_EQUAL(real("sum"), -0x1p200);
    reduce(&kit, BQ_F32, (const float[]){16777216.0f, 1}, 2, 2);
    CU_ASSERT_EQUAL(real("sum"), 16777217);
}

static void fast_stats_are_close_to_exact_ones_where_the_textbook_formula_fails(void)
{
    static double x[STATS_N];
    static float f[STATS_N];
    for (int i = 0; i < STATS_N; i++) {
        f[i] = (float)(1000 + random_bits() / 4294967296.0);
        x[i] = 1e9 + random_bits() / 4294967296.0;
    }
    for (int round = 0; round < 2; round++) {
        struct kit kit = kit_for("stats");
        enum bq_type type = round ? BQ_F32 : BQ_F64;
        const void *data = round ? (const void *)f : x;
        param(&kit, "exact")->b = true;
        reduce(&kit, type, data, STATS_N, 1000);
        double mean = real("mean"), variance = real("variance"), sum = real("sum");
        double min = real("min"), max = real("max");
        param(&kit, "exact")->b = false;
        const uint64_t chunks[] = {STATS_N, 1, 7, 3000};
        for (int i = 0; i < 4; i++) {
            reduce(&kit, type, data, STATS_N, chunks[i]);
            CU_ASSERT_DOUBLE_EQUAL(real("mean") / mean, 1, 1e-14);
            CU_ASSERT_DOUBLE_EQUAL(real("sum") / sum, 1, 1e-13);
            CU_ASSERT_DOUBLE_EQUAL(real("variance") / variance, 1, 1e-6);
            CU_ASSERT_TRUE(real("min") == min && real("max") == max);
        }
        reduce(&kit, type, data, STATS_N, STATS_N);
        CU_ASSERT_DOUBLE_EQUAL(real("variance") / variance, 1, 1e-8);
    }
}

static void stats_say_what_nan_and_infinity_do(void)
{
    const double x[] = {3, (double)NAN, 1, (double)INFINITY, (double)NAN, 2};
    const double both[] = {(double)INFINITY, -(double)INFINITY, 0};
    const double none[] = {(double)NAN, (double)NAN};
    for (int exact = 0; exact < 2; exact++) {
        for (uint64_t chunk = 1; chunk <= 6; chunk++) {
            struct kit kit = kit_for("stats");
            param(&kit, "exact")->b = exact;
            reduce(&kit, BQ_F64, x, 6, chunk);
            CU_ASSERT_TRUE(integer("count") == 4 && integer("nan") == 2 &&
                           integer("infinite") == 1);
            CU_ASSERT_TRUE(real("min") == 1 && isinf(real("max")) && real("mean") > DBL_MAX);
            CU_ASSERT_TRUE(isnan(real("variance")) && isnan(real("deviation")));
            reduce(&kit, BQ_F64, x, 3, chunk);
            CU_ASSERT_TRUE(integer("count") == 2 && integer("nan") == 1 && real("sum") == 4);
            CU_ASSERT_TRUE(real("mean") == 2 && real("variance") == 1 && real("max") == 3);
            reduce(&kit, BQ_F64, both, 3, chunk);
            CU_ASSERT_TRUE(isnan(real("sum")) && real("min") < -DBL_MAX && real("max") > DBL_MAX);
            reduce(&kit, BQ_F64, both, 1, chunk);
            CU_ASSERT_TRUE(real("min") > DBL_MAX && real("sum") > DBL_MAX);
            reduce(&kit, BQ_F64, none, 2, chunk);
            CU_ASSERT_TRUE(integer("count") == 0 && isnan(real("min")) && isnan(real("mean")));
        }
    }
}

static void stats_know_one_zero(void)
{
    const double zeros[][2] = {{0, -0.0}, {-0.0, 0}, {-0.0, -0.0}};
    for (int i = 0; i < 12; i++) {
        struct kit kit = kit_for("stats");
        param(&kit, "exact")->b = i % 2;
        reduce(&kit, BQ_F64, zeros[i / 4], 2, 1 + (uint64_t)(i / 2 % 2));
        CU_ASSERT_EQUAL(bits_of(real("min")), 0);
        CU_ASSERT_EQUAL(bits_of(real("max")), 0);
    }
}

static void stats_that_saw_nothing_can_be_presented_and_combined(void)
{
    struct kit kit = kit_for("stats");
    CU_ASSERT_EQUAL(set_up(&kit, BQ_F64, 1), 0);
    void *a = new_acc(&kit), *b = new_acc(&kit);
    kit.kernel->combine(kit.params, a, b);
    present(&kit, a);
    CU_ASSERT_TRUE(integer("count") == 0 && isnan(real("mean")));
    cook(&kit, &(uint64_t){0}, &(uint64_t){1}, &(double){-4.25}, NULL, a);
    kit.kernel->combine(kit.params, a, b);
    present(&kit, a);
    CU_ASSERT_TRUE(real("min") == -4.25 && real("max") == -4.25 && real("variance") == 0);
    free(a);
    free(b);
}

/* -- histogram ---------------------------------------------------------------------------- */

static void histogram_counts_bytes_by_value(void)
{
    uint8_t x[1000];
    uint64_t want[256] = {0};
    for (int i = 0; i < 1000; i++)
        want[x[i] = (uint8_t)random_bits()]++;
    struct kit kit = kit_for("histogram");
    for (uint64_t chunk = 1; chunk <= 1000; chunk += 333) {
        reduce(&kit, BQ_U8, x, 1000, chunk);
        CU_ASSERT_EQUAL(report.n_series, 256);
        CU_ASSERT_EQUAL(memcmp(report.series, want, sizeof want), 0);
        CU_ASSERT_TRUE(integer("count") == 1000 && integer("below") + integer("above") == 0);
    }
}

static void histogram_edges_belong_to_the_bin_above(void)
{
    const double x[] = {-0.0,       0, 0.5,         nextafter(0.5, 0), nextafter(1, 0),   1,
                        -0x1p-1074, 2, (double)NAN, (double)INFINITY,  -(double)INFINITY, DBL_MAX,
                        -DBL_MAX};
    struct kit kit = kit_for("histogram");
    param(&kit, "bins")->i = 2;
    param(&kit, "high")->r = 1;
    for (uint64_t chunk = 1; chunk <= 13; chunk++) {
        reduce(&kit, BQ_F64, x, 13, chunk);
        CU_ASSERT_TRUE(report.n_series == 2 && report.series[0] == 3 && report.series[1] == 2);
        CU_ASSERT_TRUE(integer("below") == 3 && integer("above") == 4 && integer("nan") == 1);
    }
    param(&kit, "low")->r = -1;
    param(&kit, "high")->r = -0.0;
    reduce(&kit, BQ_F64, x, 2, 2);
    CU_ASSERT_EQUAL(integer("above"), 2);
}

#define HISTOGRAM(code, ctype)                                                                     \
    {                                                                                              \
        static ctype x[5000];                                                                      \
        uint64_t want[13] = {0};                                                                   \
        struct kit kit = kit_for("histogram");                                                     \
        param(&kit, "bins")->i = 10;                                                               \
        param(&kit, "low")->r = -30;                                                               \
        param(&kit, "high")->r = 100;                                                              \
        for (int i = 0; i < 5000; i++) {                                                           \
            x[i] = (ctype)((int)(random_bits() % 128) - (i % 3 ? 0 : 50));                         \
            double v = (double)x[i];                                                               \
            want[v < -30 ? 0 : v >= 100 ? 11 : 1 + (int)((v + 30) / 13)]++;                        \
        }                                                                                          \
        reduce(&kit, code, x, 5000, 1777);                                                         \
        CU_ASSERT_EQUAL(memcmp(report.series, want + 1, 10 * sizeof *want), 0);                    \
        CU_ASSERT_EQUAL(integer("below"), want[0]);                                                \
        CU_ASSERT_EQUAL(integer("above"), want[11]);                                               \
        CU_ASSERT_EQUAL(integer("nan"), 0);                                                        \
    }

static void histogram_of_every_type_agrees_with_a_plain_loop(void)
{
    HISTOGRAM(BQ_U8, uint8_t)
    HISTOGRAM(BQ_I8, int8_t)
    HISTOGRAM(BQ_U16, uint16_t)
    HISTOGRAM(BQ_I16, int16_t)
    HISTOGRAM(BQ_U32, uint32_t)
    HISTOGRAM(BQ_I32, int32_t)
    HISTOGRAM(BQ_U64, uint64_t)
    HISTOGRAM(BQ_I64, int64_t)
    HISTOGRAM(BQ_F32, float)
    HISTOGRAM(BQ_F64, double)
}

static void histogram_refuses_an_empty_or_endless_range(void)
{
    const double range[][2] = {
        {1, 1}, {2, 1}, {(double)NAN, 1}, {0, (double)NAN}, {-DBL_MAX, DBL_MAX}, {0, 0x1p-1074}};
    for (size_t i = 0; i < sizeof range / sizeof *range; i++) {
        struct kit kit = kit_for("histogram");
        param(&kit, "low")->r = range[i][0];
        param(&kit, "high")->r = range[i][1];
        CU_ASSERT_EQUAL(set_up(&kit, BQ_F64, 1), -1);
        CU_ASSERT_NOT_EQUAL(kit.setup.message[0], 0);
    }
    struct kit kit = kit_for("histogram");
    param(&kit, "bins")->i = 65536;
    CU_ASSERT_EQUAL(set_up(&kit, BQ_F64, 1), 0);
    CU_ASSERT_TRUE(kit.setup.acc_size <= BQ_MAX_ACC);
}

/* -- generators --------------------------------------------------------------------------- */

/* Makes the whole domain in chunks of the given shape, element by element into `whole`. */
static void make(struct kit *kit, const uint64_t *chunk, uint8_t *whole, void *acc)
{
    const struct bq_space *space = &kit->setup.space;
    const int rank = space->rank;
    const size_t size = bq_type_size(kit->setup.out_type);
    uint64_t offset[BQ_MAX_RANK] = {0}, extent[BQ_MAX_RANK], most = 1;
    for (int d = 0; d < rank; d++)
        most *= chunk[d];
    uint8_t *part = malloc(most * size + 1);
    for (;;) {
        uint64_t n = 1;
        for (int d = 0; d < rank; d++) {
            uint64_t left = space->extent[d] - offset[d];
            n *= extent[d] = left < chunk[d] ? left : chunk[d];
        }
        part[n * size] = 77; /* is not written */
        void *one = new_acc(kit);
        cook(kit, offset, extent, NULL, part, one);
        CU_ASSERT_EQUAL(part[n * size], 77);
        if (acc)
            kit->kernel->combine(kit->params, acc, one);
        free(one);
        for (uint64_t i = 0; i < n; i++) {
            uint64_t rest = i, to = 0, step = 1;
            for (int d = rank; d-- > 0;) {
                to += (offset[d] + rest % extent[d]) * step;
                step *= space->extent[d];
                rest /= extent[d];
            }
            memcpy(whole + to * size, part + i * size, size);
        }
        int d = rank - 1;
        while (d >= 0 && (offset[d] += chunk[d]) >= space->extent[d])
            offset[d--] = 0;
        if (d < 0)
            break;
    }
    free(part);
}

/* Makes rows x columns (x 2 frames for a field) in several shapes, and compares. */
static void check_any_chunks(struct kit *kit)
{
    CU_ASSERT_EQUAL_FATAL(set_up(kit, BQ_U8, 0), 0);
    const uint64_t shapes[][3] = {{64, 64, 64}, {1, 1, 1}, {1, 37, 700}, {100, 1, 1}, {2, 7, 9}};
    size_t bytes = bq_type_size(kit->setup.out_type);
    for (int d = 0; d < kit->setup.space.rank; d++)
        bytes *= kit->setup.space.extent[d];
    uint8_t *first = malloc(bytes), *next = malloc(bytes);
    make(kit, kit->setup.space.extent, first, NULL);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        memset(next, 0xee, bytes);
        make(kit, shapes[i] + (kit->setup.space.rank == 2), next, NULL);
        CU_ASSERT_EQUAL(memcmp(first, next, bytes), 0);
    }
    free(first);
    free(next);
}

static void photo_is_the_same_for_any_chunks(void)
{
    struct kit kit = kit_for("photo");
    const int64_t sizes[][2] = {{1, 1}, {33, 7}, {50, 600}, {130, 1100}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        param(&kit, "rows")->i = sizes[i][0];
        param(&kit, "columns")->i = sizes[i][1];
        check_any_chunks(&kit);
    }
}

static void photo_is_dark_and_varied_and_depends_on_the_seed(void)
{
    struct kit kit = kit_for("photo");
    param(&kit, "rows")->i = param(&kit, "columns")->i = 512;
    uint8_t *a = malloc(512 * 512), *b = malloc(512 * 512);
    CU_ASSERT_EQUAL(set_up(&kit, BQ_U8, 0), 0);
    make(&kit, kit.setup.chunk.extent, a, NULL);
    uint64_t sum = 0, count[256] = {0}, used = 0;
    for (int i = 0; i < 512 * 512; i++) {
        sum += a[i];
        used += count[a[i]]++ == 0;
    }
    CU_ASSERT_TRUE(sum / (512 * 512) > 40 && sum / (512 * 512) < 100);
    CU_ASSERT_TRUE(used > 120);
    param(&kit, "seed")->i = 2;
    make(&kit, kit.setup.chunk.extent, b, NULL);
    CU_ASSERT_NOT_EQUAL(memcmp(a, b, 512 * 512), 0);
    free(a);
    free(b);
}

static void field_is_the_same_for_any_chunks(void)
{
    struct kit kit = kit_for("field");
    param(&kit, "frames")->i = 3;
    param(&kit, "rows")->i = 21;
    param(&kit, "columns")->i = 530;
    check_any_chunks(&kit);
}

static void field_is_a_temperature_in_steps_of_a_1024th(void)
{
    struct kit kit = kit_for("field");
    param(&kit, "frames")->i = 6;
    param(&kit, "rows")->i = param(&kit, "columns")->i = 128;
    CU_ASSERT_EQUAL(set_up(&kit, BQ_U8, 0), 0);
    CU_ASSERT_EQUAL(kit.setup.out_type, BQ_F32);
    float *T = malloc(6 * 128 * 128 * sizeof *T);
    make(&kit, kit.setup.chunk.extent, (uint8_t *)T, NULL);
    double jump = 0, frame_jump = 0;
    for (int i = 0; i < 6 * 128 * 128; i++) {
        CU_ASSERT_TRUE(T[i] >= 268 && T[i] <= 310);
        CU_ASSERT_EQUAL(T[i] * 1024, floorf(T[i] * 1024));
        jump = fmax(jump, i % 128 ? fabs((double)T[i] - (double)T[i - 1]) : 0);
        jump = fmax(jump, i / 128 % 128 ? fabs((double)T[i] - (double)T[i - 128]) : 0);
        frame_jump =
            fmax(frame_jump, i >= 128 * 128 ? fabs((double)T[i] - (double)T[i - 128 * 128]) : 0);
    }
    CU_ASSERT_TRUE(jump > 0.5 && jump < 2); /* smooth but for the noise, in space and in time */
    CU_ASSERT_TRUE(frame_jump > 0.5 && frame_jump < 9);
    free(T);
}

static void mandelbrot_agrees_with_a_plain_loop_for_any_chunks(void)
{
    struct kit kit = kit_for("mandelbrot");
    enum { ROWS = 41, COLUMNS = 53, LIMIT = 300 };
    param(&kit, "rows")->i = ROWS;
    param(&kit, "columns")->i = COLUMNS;
    param(&kit, "iterations")->i = LIMIT;
    check_any_chunks(&kit);
    CU_ASSERT_EQUAL(kit.setup.out_type, BQ_U16);
    static uint16_t got[ROWS * COLUMNS];
    uint64_t inside = 0, iterations = 0;
    void *acc = new_acc(&kit);
    make(&kit, (const uint64_t[]){16, 16}, (uint8_t *)got, acc);
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        double cx = -0.75 + ((i % COLUMNS) + 0.5 - COLUMNS / 2.0) * (2.5 / ROWS);
        double cy = 0 - ((i / COLUMNS) + 0.5 - ROWS / 2.0) * (2.5 / ROWS);
        double x = 0, y = 0;
        int k = 0;
        do {
            double t = x * x - y * y + cx;
            y = 2 * x * y + cy;
            x = t;
            k++;
        } while (k < LIMIT && x * x + y * y <= 4);
        bool is_inside = x * x + y * y <= 4;
        CU_ASSERT_EQUAL(got[i], is_inside ? 0 : k);
        inside += is_inside;
        iterations += (uint64_t)k;
    }
    present(&kit, acc);
    CU_ASSERT_TRUE(inside > 100);
    CU_ASSERT_EQUAL(integer("inside"), inside);
    CU_ASSERT_EQUAL(integer("iterations"), iterations);
    free(acc);
}

static void mandelbrot_points_leave_when_farther_than_2(void)
{
    struct kit kit = kit_for("mandelbrot");
    param(&kit, "rows")->i = param(&kit, "columns")->i = 1;
    const struct {
        double x;
        int64_t iterations;
        uint16_t answer;
    } tries[] = {{-2, 1000, 0}, {2, 1000, 2}, {2, 2, 2}, {2, 1, 0}, {3, 1, 1}};
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        param(&kit, "centre_x")->r = tries[i].x;
        param(&kit, "iterations")->i = tries[i].iterations;
        CU_ASSERT_EQUAL_FATAL(set_up(&kit, BQ_U8, 0), 0);
        uint16_t got = 99;
        void *acc = new_acc(&kit);
        cook(&kit, (const uint64_t[]){0, 0}, (const uint64_t[]){1, 1}, NULL, &got, acc);
        CU_ASSERT_EQUAL(got, tries[i].answer);
        free(acc);
    }
}

static void mandelbrot_needs_no_output(void)
{
    struct kit kit = kit_for("mandelbrot");
    CU_ASSERT_EQUAL(set_up(&kit, BQ_U8, 0), 0);
    void *acc = new_acc(&kit);
    cook(&kit, (const uint64_t[]){1024, 1024}, (const uint64_t[]){1, 1}, NULL, NULL, acc);
    present(&kit, acc);
    CU_ASSERT_TRUE(integer("inside") == 1 && integer("iterations") == 1000);
    free(acc);
}

static void count_primes(int64_t a, int64_t b, int64_t per_chunk, uint8_t *flags)
{
    struct kit kit = kit_for("primes");
    param(&kit, "a")->i = a;
    param(&kit, "b")->i = b;
    param(&kit, "per_chunk")->i = per_chunk;
    CU_ASSERT_EQUAL_FATAL(set_up(&kit, BQ_U8, 0), 0);
    CU_ASSERT_EQUAL(kit.setup.space.extent[0], (uint64_t)(b - a));
    void *acc = new_acc(&kit);
    if (flags) {
        make(&kit, kit.setup.chunk.extent, flags, acc);
    } else {
        for (uint64_t offset = 0; offset < (uint64_t)(b - a); offset += (uint64_t)per_chunk) {
            uint64_t left = (uint64_t)(b - a) - offset, extent = (uint64_t)per_chunk;
            void *one = new_acc(&kit);
            cook(&kit, &offset, &(uint64_t){left < extent ? left : extent}, NULL, NULL, one);
            kit.kernel->combine(kit.params, acc, one);
            free(one);
        }
    }
    present(&kit, acc);
    free(acc);
}

static void primes_are_as_many_as_tables_say(void)
{
    count_primes(0, 1000000, 100000, NULL);
    CU_ASSERT_TRUE(integer("count") == 78498 && integer("largest") == 999983);
    count_primes(0, 1000000, 999983, NULL);
    CU_ASSERT_EQUAL(integer("count"), 78498);
    count_primes(999999000000, 1000000000000, 300001, NULL);
    CU_ASSERT_EQUAL(integer("largest"), 999999999989);
    CU_ASSERT_EQUAL(integer("count"), 36400);
    count_primes(24, 29, 2, NULL);
    CU_ASSERT_TRUE(integer("count") == 0 && integer("largest") == 0);
}

static void primes_are_marked_whatever_the_chunks(void)
{
    for (int64_t a = 0; a < 30; a++) {
        for (int64_t per_chunk = 1; per_chunk < 12; per_chunk += 2) {
            uint8_t flags[400];
            uint64_t n = 0;
            count_primes(a, a + 400, per_chunk, flags);
            for (int64_t i = 0; i < 400; i++) {
                bool is_prime = a + i > 1;
                for (int64_t d = 2; d * d <= a + i; d++)
                    is_prime = is_prime && (a + i) % d != 0;
                CU_ASSERT_EQUAL(flags[i], is_prime);
                n += is_prime;
            }
            CU_ASSERT_EQUAL(integer("count"), n);
        }
    }
}

static void primes_refuse_an_empty_interval(void)
{
    struct kit kit = kit_for("primes");
    param(&kit, "a")->i = param(&kit, "b")->i = 10;
    CU_ASSERT_EQUAL(set_up(&kit, BQ_U8, 0), -1);
    CU_ASSERT_NOT_EQUAL(kit.setup.message[0], 0);
}

static void oven_waits_first_and_then_cooks(void)
{
    struct kit kit = kit_for("oven");
    param(&kit, "cook_ms")->r = 0.5;
    CU_ASSERT_EQUAL(set_up(&kit, BQ_U8, 0), 0);
    CU_ASSERT_TRUE(kit.setup.space.extent[0] == 3 && kit.setup.chunk.extent[0] == 1);
    struct bq_call call = {.params = kit.params, .n_parts = 2};
    CU_ASSERT_EQUAL(kit.kernel->cook(&call), BQ_WAIT);
    CU_ASSERT_EQUAL(call.wait_ns, 200000000);
    call.stage = 1;
    CU_ASSERT_EQUAL(kit.kernel->cook(&call), BQ_DONE);
}

static void spin_has_a_domain_of_single_elements(void)
{
    struct kit kit = kit_for("spin");
    CU_ASSERT_EQUAL(set_up(&kit, BQ_U8, 0), 0);
    CU_ASSERT_TRUE(kit.setup.space.extent[0] == 1000 && kit.setup.chunk.extent[0] == 1);
    CU_ASSERT_EQUAL(kit.setup.acc_size, 0);
    cook(&kit, &(uint64_t){0}, &(uint64_t){1}, NULL, NULL, NULL);
    param(&kit, "us")->r = 5;
    cook(&kit, &(uint64_t){0}, &(uint64_t){1}, NULL, NULL, NULL);
}

static const struct test tests[] = {
    {"every kernel is described", every_kernel_is_described},
    {"every standard value is in its range and accepted",
     every_standard_value_is_in_its_range_and_accepted},
    {"what banquet makes takes its extents from the parameters in elements",
     what_banquet_makes_takes_its_extents_from_the_parameters_in_elements},
    {"brighten of integers rounds half to even and clamps",
     brighten_of_integers_rounds_half_to_even_and_clamps},
    {"brighten clamps 64 bits at their ends", brighten_clamps_64_bits_at_their_ends},
    {"brighten of floats keeps NaN and infinity", brighten_of_floats_keeps_nan_and_infinity},
    {"brighten obeys low and high", brighten_obeys_low_and_high},
    {"brighten refuses bounds without a value between",
     brighten_refuses_bounds_without_a_value_between},
    {"brighten in parts covers each element once", brighten_in_parts_covers_each_element_once},
    {"stats of few numbers are what they should be", stats_of_few_numbers_are_what_they_should_be},
    {"stats of integers agree with a plain loop", stats_of_integers_agree_with_a_plain_loop},
    {"stats of the largest integers do not overflow",
     stats_of_the_largest_integers_do_not_overflow},
    {"exact stats have the same bits for any chunks",
     exact_stats_have_the_same_bits_for_any_chunks},
    {"exact sums round once", exact_sums_round_once},
    {"fast stats are close to exact ones where the textbook formula fails",
     fast_stats_are_close_to_exact_ones_where_the_textbook_formula_fails},
    {"stats say what NaN and infinity do", stats_say_what_nan_and_infinity_do},
    {"stats know one zero", stats_know_one_zero},
    {"stats that saw nothing can be presented and combined",
     stats_that_saw_nothing_can_be_presented_and_combined},
    {"histogram counts bytes by value", histogram_counts_bytes_by_value},
    {"histogram edges belong to the bin above", histogram_edges_belong_to_the_bin_above},
    {"histogram of every type agrees with a plain loop",
     histogram_of_every_type_agrees_with_a_plain_loop},
    {"histogram refuses an empty or endless range", histogram_refuses_an_empty_or_endless_range},
    {"photo is the same for any chunks", photo_is_the_same_for_any_chunks},
    {"photo is dark and varied and depends on the seed",
     photo_is_dark_and_varied_and_depends_on_the_seed},
    {"field is the same for any chunks", field_is_the_same_for_any_chunks},
    {"field is a temperature in steps of a 1024th", field_is_a_temperature_in_steps_of_a_1024th},
    {"mandelbrot agrees with a plain loop for any chunks",
     mandelbrot_agrees_with_a_plain_loop_for_any_chunks},
    {"mandelbrot points leave when farther than 2", mandelbrot_points_leave_when_farther_than_2},
    {"mandelbrot needs no output", mandelbrot_needs_no_output},
    {"primes are as many as tables say", primes_are_as_many_as_tables_say},
    {"primes are marked whatever the chunks", primes_are_marked_whatever_the_chunks},
    {"primes refuse an empty interval", primes_refuse_an_empty_interval},
    {"oven waits first and then cooks", oven_waits_first_and_then_cooks},
    {"spin has a domain of single elements", spin_has_a_domain_of_single_elements},
};

RUN_TESTS("kernels", tests)
