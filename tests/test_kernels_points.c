/* The maps of points: gamma, equalize, zscore; and the exponential and logarithm beneath. */
#include "kernels/elementary.h"
#include "tile_kit.h"

#include <float.h>
#include <math.h>

static void map(struct kit *kit, enum bq_type type, const void *x, void *y, uint64_t n)
{
    CU_ASSERT_EQUAL_FATAL(set_up(kit, type, n), 0);
    cook(kit, &(uint64_t){0}, &n, x, y, NULL);
}

/* -- elementary --------------------------------------------------------------------------- */

/* Units in the last place between a double and what it should be. */
static double units_off(double got, long double want)
{
    int exponent;
    frexp((double)want, &exponent);
    return (double)fabsl(((long double)got - want) / ldexpl(1, exponent - DBL_MANT_DIG));
}

static void exp_and_log_are_within_a_unit_of_the_last_place(void)
{
    double worst_exp = 0, worst_log = 0;
    random_start(20260921);
    for (int i = 0; i < 1000000; i++) {
        const double dice = (double)(random_next() >> 11) * 0x1p-53;
        const double x = -708 * (i % 2 ? dice : dice * dice * dice * dice);
        worst_exp = fmax(worst_exp, units_off(elementary_exp(x), expl((long double)x)));
        const double y = i % 2 ? 0.5 + dice : ldexp(0.5 + dice, (int)random_below(2040) - 1020);
        if (y != 1)
            worst_log = fmax(worst_log, units_off(elementary_log(y), logl((long double)y)));
    }
    printf("exp %.3f log %.3f ", worst_exp, worst_log);
    CU_ASSERT_TRUE(worst_exp < 1 && worst_log < 1);
    CU_ASSERT_TRUE(elementary_exp(0) == 1 && elementary_log(1) == 0);
    CU_ASSERT_TRUE(elementary_exp(-708) == 0 && elementary_exp(-(double)INFINITY) == 0);
    CU_ASSERT_TRUE(elementary_exp(-1e300) == 0 && elementary_exp((double)NAN) == 0);
    CU_ASSERT_TRUE(elementary_exp(-707.999) > 0 && elementary_exp(-0.0) == 1);
}

/* -- gamma -------------------------------------------------------------------------------- */

#define GAMMA_OF_ALL(code, ctype, least, most)                                                     \
    for (int k = 0; k < 5; k++) {                                                                  \
        static ctype x[65536], y[65536];                                                           \
        struct kit kit = kit_for("gamma");                                                         \
        uint64_t n_wrong = 0;                                                                      \
        param(&kit, "gamma")->r = gammas[k];                                                       \
        for (uint64_t i = 0; i < 65536; i++)                                                       \
            x[i] = (ctype)i;                                                                       \
        map(&kit, code, x, y, 65536);                                                              \
        for (uint64_t i = 0; i < 65536; i++) {                                                     \
            const long double width = (long double)(most) - (least);                               \
            long double t = ((long double)x[i] - (least)) / width;                                 \
            long double want = (least) + width * powl(t, (long double)gammas[k]);                  \
            n_wrong += y[i] != (ctype)nearbyintl(want);                                            \
        }                                                                                          \
        CU_ASSERT_EQUAL(n_wrong, 0);                                                               \
        map(&kit, code, x, y, 7); /* too few for a table */                                        \
        CU_ASSERT_EQUAL(y[0], (ctype)nearbyintl((least) + ((long double)(most) - (least)) *        \
                                                              powl((0 - (long double)(least)) /    \
                                                                       ((most) - (least)),         \
                                                                   (long double)gammas[k])));      \
    }

static void gamma_of_8_and_16_bits_is_exact(void)
{
    const double gammas[] = {0.5, 1, 2.2, 1 / 2.2, 0.03};
    GAMMA_OF_ALL(BQ_U8, uint8_t, 0, 255)
    GAMMA_OF_ALL(BQ_I8, int8_t, -128, 127)
    GAMMA_OF_ALL(BQ_U16, uint16_t, 0, 65535)
    GAMMA_OF_ALL(BQ_I16, int16_t, -32768, 32767)
}

static void gamma_of_floats_clamps_to_its_range_and_keeps_nan(void)
{
    struct kit kit = kit_for("gamma");
    const double inf = (double)INFINITY;
    const double x[] = {-1, 0, 0.25, 0.5, 1, 2, inf, -inf, -(double)NAN, 1e-310, -0.0};
    const double want[] = {0, 0, 0.5, 0.7071067811865476, 1, 1, 1, 0, 0, 0, 0};
    double y[11];
    map(&kit, BQ_F64, x, y, 11);
    for (int i = 0; i < 11; i++)
        CU_ASSERT_TRUE(i == 8 || fabs(y[i] - want[i]) < 3e-16);
    CU_ASSERT_EQUAL(bits_of(y[8]), bits_of((double)NAN));
    const float f[] = {100, 125, 200, 50, NAN};
    float g[5];
    param(&kit, "gamma")->r = 2;
    param(&kit, "low")->r = 100;
    param(&kit, "high")->r = 200;
    map(&kit, BQ_F32, f, g, 5);
    CU_ASSERT_TRUE(g[0] == 100 && g[1] == 106.25f && g[2] == 200 && g[3] == 100 && isnan(g[4]));
    const uint64_t u[] = {0, 100, 150, 199, UINT64_MAX};
    uint64_t v[5];
    map(&kit, BQ_U64, u, v, 5);
    CU_ASSERT_TRUE(v[0] == 100 && v[1] == 100 && v[2] == 125 && v[3] == 198 && v[4] == 200);
    param(&kit, "high")->r = 100;
    CU_ASSERT_EQUAL(set_up(&kit, BQ_F32, 1), -1);
    CU_ASSERT_TRUE(kit.setup.message[0] != 0);
}

static void gamma_takes_the_whole_range_of_every_integer(void)
{
    struct kit kit = kit_for("gamma");
    param(&kit, "gamma")->r = 3;
    const uint64_t u[] = {0, UINT64_MAX, (uint64_t)1 << 63};
    const int64_t s[] = {INT64_MIN, INT64_MAX, 0};
    const uint32_t w[] = {0, UINT32_MAX, (uint32_t)1 << 31};
    uint64_t v[3];
    int64_t t[3];
    uint32_t z[3];
    map(&kit, BQ_U64, u, v, 3);
    CU_ASSERT_TRUE(v[0] == 0 && v[1] == UINT64_MAX && fabs((double)v[2] - 0x1p61) < 1e4);
    map(&kit, BQ_I64, s, t, 3);
    CU_ASSERT_TRUE(t[0] == INT64_MIN && t[1] == INT64_MAX && fabs((double)t[2] + 0x1.8p62) < 1e4);
    map(&kit, BQ_U32, w, z, 3);
    CU_ASSERT_TRUE(z[0] == 0 && z[1] == UINT32_MAX && z[2] == (uint32_t)1 << 29);
}

/* -- equalize ----------------------------------------------------------------------------- */

/* The 8 x 8 picture of R. C. Gonzalez and R. E. Woods' kind, by hand: 4 levels of 16 pixels. */
static void equalize_spreads_levels_evenly(void)
{
    struct kit kit = kit_for("equalize");
    double counts[256] = {0};
    counts[10] = 4, counts[11] = 4, counts[12] = 4, counts[200] = 4;
    struct bq_list list = {256, counts};
    param(&kit, "counts")->list = &list;
    const uint8_t x[] = {10, 11, 12, 200, 0, 255, 100};
    uint8_t y[7];
    map(&kit, BQ_U8, x, y, 7);
    CU_ASSERT_TRUE(y[0] == 0 && y[1] == 85 && y[2] == 170 && y[3] == 255);
    CU_ASSERT_TRUE(y[4] == 0 && y[5] == 255 && y[6] == 170);
    counts[11] = counts[12] = counts[200] = 0; /* one level only */
    map(&kit, BQ_U8, x, y, 7);
    CU_ASSERT_TRUE(y[0] == 0 && y[3] == 0);
}

static void equalize_agrees_with_the_bins_of_the_histogram(void)
{
    enum { N = 5000, BINS = 100 };
    random_start(20260922);
    for (enum bq_type type = 0; type < BQ_N_TYPES; type++) {
        struct kit histogram = kit_for("histogram"), kit = kit_for("equalize");
        double counts[BINS];
        struct bq_list list = {BINS, counts};
        void *x = malloc(N * 8), *y = malloc(N * 8);
        for (uint64_t i = 0; i < N; i++) /* some outside of low .. high */
            put_number(type, (char *)x + i * bq_type_size(type), (double)random_below(125) / 1.25);
        const double low = 3.5, high = 90.1;
        param(&histogram, "bins")->i = BINS;
        param(&histogram, "low")->r = param(&kit, "low")->r = low;
        param(&histogram, "high")->r = param(&kit, "high")->r = high;
        reduce(&histogram, type, x, N, N);
        double n = 0, least = 0;
        for (int k = BINS; k-- > 0;) {
            n += counts[k] = (double)report.series[k];
            least = counts[k] > 0 ? counts[k] : least;
        }
        param(&kit, "counts")->list = &list;
        map(&kit, type, x, y, N);
        const bool is_float = type == BQ_F32 || type == BQ_F64;
        const double first = is_float ? low : 4, last = is_float ? high : 90;
        uint64_t n_wrong = 0;
        for (uint64_t i = 0; i < N; i++) {
            double v = get_number(type, x, i), below = 0, want;
            int bin = (int)floor((v - low) * (BINS / (high - low)));
            for (int k = 0; k <= bin && k < BINS; k++)
                below += counts[k];
            want = v < low     ? first
                   : v >= high ? last
                               : first + (last - first) * fmax(0, (below - least) / (n - least));
            want = is_float ? want : nearbyint(want);
            n_wrong += !(fabs(get_number(type, y, i) - want) < (type == BQ_F32 ? 1e-5 : 1e-12));
        }
        CU_ASSERT_EQUAL(n_wrong, 0);
        free(x);
        free(y);
    }
}

static void equalize_refuses_counts_that_are_none(void)
{
    struct kit kit = kit_for("equalize");
    const double counts[4] = {0};
    struct bq_list list = {4, counts};
    CU_ASSERT_EQUAL(set_up(&kit, BQ_U8, 1), -1);
    param(&kit, "counts")->list = &list;
    CU_ASSERT_EQUAL(set_up(&kit, BQ_U8, 1), -1);
    const double some[4] = {1};
    list.at = some;
    CU_ASSERT_EQUAL(set_up(&kit, BQ_U8, 1), 0);
    param(&kit, "low")->r = 256;
    CU_ASSERT_EQUAL(set_up(&kit, BQ_F32, 1), -1);
    param(&kit, "high")->r = 300;
    CU_ASSERT_EQUAL(set_up(&kit, BQ_U8, 1), -1); /* no uint8 there */
    CU_ASSERT_EQUAL(set_up(&kit, BQ_F32, 1), 0);
    const double nan[] = {-(double)NAN, 260}; /* NaN passes as the positive quiet one */
    double y[2];
    map(&kit, BQ_F64, nan, y, 2);
    CU_ASSERT_EQUAL(bits_of(y[0]), bits_of((double)NAN));
}

/* -- zscore ------------------------------------------------------------------------------- */

static void zscore_subtracts_and_divides_in_double(void)
{
    random_start(20260923);
    for (enum bq_type type = 0; type < BQ_N_TYPES; type++) {
        struct kit kit = kit_for("zscore");
        enum { N = 1111 };
        void *x = dice_of(type, N, false);
        double y[N];
        uint64_t n_wrong = 0;
        param(&kit, "mean")->r = 12.7;
        param(&kit, "deviation")->r = 3.3;
        map(&kit, type, x, y, N);
        const bool is_narrow = type == BQ_F32 || bq_type_size(type) <= 2;
        CU_ASSERT_EQUAL(kit.setup.out_type, is_narrow ? BQ_F32 : BQ_F64);
        for (uint64_t i = 0; i < N; i++) {
            double want = (get_number(type, x, i) - 12.7) / 3.3;
            want = is_narrow ? (double)(float)want : want;
            n_wrong += get_number(kit.setup.out_type, y, i) != want;
        }
        CU_ASSERT_EQUAL(n_wrong, 0);
        free(x);
    }
    struct kit kit = kit_for("zscore");
    const double x[] = {-(double)NAN, (double)INFINITY};
    double y[2];
    map(&kit, BQ_F64, x, y, 2);
    CU_ASSERT_TRUE(bits_of(y[0]) == bits_of((double)NAN) && isinf(y[1]));
}

static const struct test tests[] = {
    {"exp and log are within a unit of the last place",
     exp_and_log_are_within_a_unit_of_the_last_place},
    {"gamma of 8 and 16 bits is exact", gamma_of_8_and_16_bits_is_exact},
    {"gamma of floats clamps to its range and keeps NaN",
     gamma_of_floats_clamps_to_its_range_and_keeps_nan},
    {"gamma takes the whole range of every integer", gamma_takes_the_whole_range_of_every_integer},
    {"equalize spreads levels evenly", equalize_spreads_levels_evenly},
    {"equalize agrees with the bins of the histogram",
     equalize_agrees_with_the_bins_of_the_histogram},
    {"equalize refuses counts that are none", equalize_refuses_counts_that_are_none},
    {"zscore subtracts and divides in double", zscore_subtracts_and_divides_in_double},
};

RUN_TESTS("kernels_points", tests)
