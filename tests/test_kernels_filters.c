/* The filters: blur, sobel, median, convolve. Against a reference written down once more, element
 * by element; on all types and borders; in chunks of any shape. */
#include "tile_kit.h"

#include <float.h>
#include <math.h>

static const struct bq_space stack = {3, {2, 9, 300}}; /* two frames, wider than a tile */
static const enum bq_border borders[] = {BQ_CLAMP, BQ_WRAP, BQ_REFLECT, BQ_CONSTANT};

/* What numbers.h promises of integers. */
static double stored(enum bq_type type, double v)
{
    static const double ends[BQ_N_TYPES][2] = {
        [BQ_U8] = {0, 255},          [BQ_I8] = {-128, 127},
        [BQ_U16] = {0, 65535},       [BQ_I16] = {-32768, 32767},
        [BQ_U32] = {0, 4294967295.}, [BQ_I32] = {-2147483648., 2147483647.},
        [BQ_U64] = {0, 0x1p64},      [BQ_I64] = {-0x1p63, 0x1p63}};
    if (type == BQ_F32)
        return (double)(float)v;
    if (type == BQ_F64)
        return v;
    v = nearbyint(v);
    return v < ends[type][0] ? ends[type][0] : v > ends[type][1] ? ends[type][1] : v;
}

/* The window's element at (row, column) from the middle at `at`. */
static double near(const struct kit *kit, const void *data, const uint64_t *at, int row, int column)
{
    int64_t k[BQ_MAX_RANK] = {0};
    const int rank = kit->setup.space.rank;
    for (int i = 0; i < rank; i++)
        k[i] = (int64_t)at[i];
    k[rank - 1] += column;
    if (rank > 1)
        k[rank - 2] += row;
    return peek(kit, data, k);
}

typedef double reference(const struct kit *kit, const void *data, const uint64_t *at);

/* Each type, with each border, against the reference; small numbers, of which all sums are exact.
 */
static void against(struct kit *kit, const struct bq_space *space, reference *wanted)
{
    const uint64_t n = n_of(space);
    for (enum bq_type type = 0; type < BQ_N_TYPES; type++) {
        void *x = dice_of(type, n, true);
        char *y = malloc(n * bq_type_size(type));
        for (int b = 0; b < 4; b++) {
            uint64_t at[BQ_MAX_RANK] = {0}, i = 0, n_wrong = 0;
            CU_ASSERT_EQUAL_FATAL(set_up_space(kit, type, *space, borders[b], 7), 0);
            CU_ASSERT_EQUAL(kit->setup.out_type, type);
            CU_ASSERT_EQUAL(kit->setup.border, borders[b]);
            same_in_any_chunks(kit, x, y, 2);
            do {
                double want = stored(type, wanted(kit, x, at));
                n_wrong += get_number(type, y, i++) != want;
            } while (step_index(at, space->extent, space->rank));
            CU_ASSERT_EQUAL(n_wrong, 0);
        }
        free(x);
        free(y);
    }
}

/* Numbers of all bits, which round and clamp on the way: the same in any chunks. */
static void any_numbers_in_any_chunks(struct kit *kit)
{
    const struct bq_space spaces[] = {{2, {40, 41}}, {3, {3, 1, 530}}, {2, {70, 1}}};
    random_start(20260901);
    for (size_t s = 0; s < sizeof spaces / sizeof *spaces; s++) {
        for (enum bq_type type = 0; type < BQ_N_TYPES; type++) {
            void *x = dice_of(type, n_of(&spaces[s]), false);
            void *y = malloc(n_of(&spaces[s]) * 8);
            if (type == BQ_F32)
                ((float *)x)[11] = -NAN;
            CU_ASSERT_EQUAL_FATAL(set_up_space(kit, type, spaces[s], borders[s], 3), 0);
            same_in_any_chunks(kit, x, y, 6);
            free(x);
            free(y);
        }
    }
}

/* -- blur --------------------------------------------------------------------------------- */

static double binomial_2(const struct kit *kit, const void *data, const uint64_t *at)
{
    static const double w[] = {1, 4, 6, 4, 1};
    double sum = 0;
    for (int i = -2; i <= 2; i++) {
        for (int j = -2; j <= 2; j++)
            sum += w[i + 2] * w[j + 2] * near(kit, data, at, i, j);
    }
    return sum / 256;
}

static double binomial_1d(const struct kit *kit, const void *data, const uint64_t *at)
{
    return (near(kit, data, at, 0, -1) + 2 * near(kit, data, at, 0, 0) +
            near(kit, data, at, 0, 1)) /
           4;
}

static void blur_is_the_binomial_filter(void)
{
    struct kit kit = kit_for("blur");
    random_start(20260902);
    against(&kit, &stack, binomial_2);
    CU_ASSERT_TRUE(kit.setup.halo[0] == 0 && kit.setup.halo[1] == 2 && kit.setup.halo[2] == 2);
    param(&kit, "radius")->i = 1;
    against(&kit, &(struct bq_space){1, {700}}, binomial_1d);
}

static void blur_of_a_constant_is_that_constant(void)
{
    struct kit kit = kit_for("blur");
    const struct bq_space space = {2, {35, 301}};
    static uint16_t x[35 * 301], y[35 * 301];
    for (int64_t radius = 1; radius <= 16; radius++) {
        param(&kit, "radius")->i = radius;
        CU_ASSERT_EQUAL_FATAL(set_up_space(&kit, BQ_U16, space, BQ_CLAMP, 0), 0);
        for (int i = 0; i < 35 * 301; i++)
            x[i] = 65535;
        run_tiles(&kit, x, space.extent, y, 1);
        CU_ASSERT_EQUAL(memcmp(x, y, sizeof x), 0);
    }
}

static void blur_of_any_numbers_is_the_same_in_any_chunks(void)
{
    struct kit kit = kit_for("blur");
    param(&kit, "radius")->i = 16;
    any_numbers_in_any_chunks(&kit);
}

static void blur_spreads_nan_over_its_window_alone(void)
{
    struct kit kit = kit_for("blur");
    const float positive = NAN;
    float x[7 * 9] = {0}, y[7 * 9];
    x[3 * 9 + 4] = -NAN;
    CU_ASSERT_EQUAL_FATAL(set_up_space(&kit, BQ_F32, (struct bq_space){2, {7, 9}}, BQ_CONSTANT, 0),
                          0);
    run_tiles(&kit, x, (uint64_t[]){4, 4}, y, 1);
    for (int i = 0; i < 63; i++) {
        bool is_near = abs(i / 9 - 3) <= 2 && abs(i % 9 - 4) <= 2;
        CU_ASSERT_EQUAL(memcmp(&y[i], is_near ? &positive : &(float){0}, sizeof *y), 0);
    }
}

/* -- sobel -------------------------------------------------------------------------------- */

static double along_rows(const struct kit *kit, const void *data, const uint64_t *at)
{
    double sum = 0;
    for (int j = -1; j <= 1; j++)
        sum += (2 - abs(j)) * (near(kit, data, at, 1, j) - near(kit, data, at, -1, j));
    return sum;
}

static double along_columns(const struct kit *kit, const void *data, const uint64_t *at)
{
    double sum = 0;
    for (int i = -1; i <= 1; i++)
        sum += (2 - abs(i)) * (near(kit, data, at, i, 1) - near(kit, data, at, i, -1));
    return sum / 2;
}

static double steepness(const struct kit *kit, const void *data, const uint64_t *at)
{
    double down = along_rows(kit, data, at), along = 2 * along_columns(kit, data, at);
    return 0.25 * sqrt(down * down + along * along);
}

static void sobel_is_the_gradient_and_its_parts(void)
{
    struct kit kit = kit_for("sobel");
    random_start(20260903);
    param(&kit, "scale")->r = 0.25;
    against(&kit, &stack, steepness);
    param(&kit, "axis")->i = 1;
    param(&kit, "scale")->r = 1;
    against(&kit, &stack, along_rows);
    param(&kit, "axis")->i = 2;
    param(&kit, "scale")->r = 0.5;
    against(&kit, &stack, along_columns);
    param(&kit, "axis")->i = 0;
    any_numbers_in_any_chunks(&kit);
}

/* -- median ------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double sorted_middle(const struct kit *kit, const void *data, const uint64_t *at)
{
    double x[121];
    int radius = (int)kit->params[0].i, n = 0;
    for (int i = -radius; i <= radius; i++) {
        for (int j = -radius; j <= radius; j++)
            x[n++] = near(kit, data, at, i, j);
    }
    qsort(x, (size_t)n, sizeof *x, by_size);
    return x[n / 2];
}

static void median_is_the_middle_of_the_sorted_window(void)
{
    struct kit kit = kit_for("median");
    random_start(20260904);
    for (int64_t radius = 1; radius <= 5; radius += radius < 3 ? 1 : 2) {
        param(&kit, "radius")->i = radius;
        against(&kit, &stack, sorted_middle);
    }
}

static void median_takes_the_ends_of_every_type(void)
{
    struct kit kit = kit_for("median");
    const struct bq_space space = {2, {11, 13}};
    for (int64_t radius = 1; radius <= 2; radius++) {
        param(&kit, "radius")->i = radius;
        for (enum bq_type type = 0; type < BQ_N_TYPES; type++) {
            uint64_t x[11 * 13], y[11 * 13];
            for (int bits = 0; bits < 2; bits++) { /* all bits clear, all set */
                memset(x, bits ? 0xff : 0, sizeof x);
                if (type == BQ_F32 || type == BQ_F64) {
                    for (unsigned i = 0; i < 11 * 13; i++)
                        put_number(type, (char *)x + i * bq_type_size(type),
                                   bits ? (double)INFINITY : -(double)INFINITY);
                }
                CU_ASSERT_EQUAL_FATAL(set_up_space(&kit, type, space, BQ_WRAP, 0), 0);
                run_tiles(&kit, x, space.extent, y, 1);
                CU_ASSERT_EQUAL(memcmp(x, y, 11 * 13 * bq_type_size(type)), 0);
            }
        }
        any_numbers_in_any_chunks(&kit);
    }
}

static void median_sorts_nan_last_and_negative_zero_first(void)
{
    struct kit kit = kit_for("median");
    const double nan = (double)NAN;
    double x[9] = {-nan, 1, 2, nan, 3, nan, -nan, 4, 5}, y[9];
    const double inf = (double)INFINITY;
    CU_ASSERT_EQUAL_FATAL(
        set_up_space(&kit, BQ_F64, (struct bq_space){2, {3, 3}}, BQ_CONSTANT, inf), 0);
    run_tiles(&kit, x, (uint64_t[]){3, 3}, y, 1);
    CU_ASSERT_EQUAL(y[4], 5); /* 1 2 3 4 [5] and four that are none */
    x[8] = nan;
    run_tiles(&kit, x, (uint64_t[]){3, 3}, y, 1);
    CU_ASSERT_EQUAL(bits_of(y[4]), bits_of(nan));
    for (int i = 0; i < 9; i++)
        x[i] = i < 5 ? -0.0 : 0.0;
    run_tiles(&kit, x, (uint64_t[]){3, 3}, y, 1);
    CU_ASSERT_EQUAL(bits_of(y[4]), bits_of(-0.0));
}

/* -- convolve ----------------------------------------------------------------------------- */

static double correlated(const struct kit *kit, const void *data, const uint64_t *at)
{
    const struct bq_list *w = kit->params[0].list;
    const int columns = (int)kit->params[1].i, rows = (int)w->n / columns;
    double sum = 0;
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < columns; j++)
            sum += w->at[i * columns + j] * near(kit, data, at, i - rows / 2, j - columns / 2);
    }
    return kit->params[2].r * sum + kit->params[3].r;
}

static void convolve_correlates_with_the_weights_as_written(void)
{
    struct kit kit = kit_for("convolve");
    double weights[33 * 3];
    struct bq_list list = {15, weights};
    random_start(20260905);
    for (int i = 0; i < 33 * 3; i++)
        weights[i] = (double)random_below(7) - 2;
    param(&kit, "weights")->list = &list;
    param(&kit, "columns")->i = 5;
    param(&kit, "scale")->r = 0.5;
    param(&kit, "offset")->r = -3;
    against(&kit, &stack, correlated);
    CU_ASSERT_TRUE(kit.setup.halo[1] == 1 && kit.setup.halo[2] == 2);
    list.n = 33 * 3;
    param(&kit, "columns")->i = 3;
    against(&kit, &(struct bq_space){2, {36, 20}}, correlated);
    any_numbers_in_any_chunks(&kit);
    list.n = 33;
    param(&kit, "columns")->i = 33;
    against(&kit, &(struct bq_space){1, {300}}, correlated);
}

static void convolve_finds_a_square_by_itself(void)
{
    struct kit kit = kit_for("convolve");
    const double weights[25] = {[24] = 1};
    struct bq_list list = {25, weights};
    int16_t x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, y[9];
    param(&kit, "weights")->list = &list;
    CU_ASSERT_EQUAL_FATAL(set_up_space(&kit, BQ_I16, (struct bq_space){2, {3, 3}}, BQ_CONSTANT, -1),
                          0);
    run_tiles(&kit, x, (uint64_t[]){2, 3}, y, 1);
    CU_ASSERT_TRUE(y[0] == 9 && y[1] == -1 && y[3] == -1 && y[8] == -1);
}

/* -- refusals ----------------------------------------------------------------------------- */

static void filters_refuse_what_they_cannot_do(void)
{
    const double weights[35 * 35] = {1};
    const struct {
        const char *kernel;
        size_t n; /* weights */
        int64_t columns;
        int rank, answer;
    } tries[] = {
        {"sobel", 0, 0, 1, -1},      {"median", 0, 0, 1, -1},    {"blur", 0, 0, 1, 0},
        {"convolve", 0, 0, 2, -1},   {"convolve", 8, 0, 2, -1},  {"convolve", 9, 0, 1, -1},
        {"convolve", 16, 0, 2, -1},  {"convolve", 9, 9, 1, 0},   {"convolve", 15, 4, 2, -1},
        {"convolve", 12, 3, 2, -1},  {"convolve", 35, 1, 2, -1}, {"convolve", 1225, 0, 2, -1},
        {"convolve", 1089, 0, 2, 0}, {"convolve", 1, 0, 8, 0},   {"convolve", 10, 3, 2, -1},
    };
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        struct kit kit = kit_for(tries[i].kernel);
        struct bq_list list = {tries[i].n, weights};
        if (tries[i].n) {
            param(&kit, "weights")->list = &list;
            param(&kit, "columns")->i = tries[i].columns;
        }
        const struct bq_space space = {tries[i].rank, {5, 5, 5, 5, 5, 5, 5, 5}};
        CU_ASSERT_EQUAL(set_up_space(&kit, BQ_U8, space, BQ_CLAMP, 0), tries[i].answer);
        CU_ASSERT_EQUAL(kit.setup.message[0] != 0, tries[i].answer != 0);
    }
}

static const struct test tests[] = {
    {"blur is the binomial filter", blur_is_the_binomial_filter},
    {"blur of a constant is that constant", blur_of_a_constant_is_that_constant},
    {"blur of any numbers is the same in any chunks",
     blur_of_any_numbers_is_the_same_in_any_chunks},
    {"blur spreads NaN over its window alone", blur_spreads_nan_over_its_window_alone},
    {"sobel is the gradient and its parts", sobel_is_the_gradient_and_its_parts},
    {"median is the middle of the sorted window", median_is_the_middle_of_the_sorted_window},
    {"median takes the ends of every type", median_takes_the_ends_of_every_type},
    {"median sorts NaN last and negative zero first",
     median_sorts_nan_last_and_negative_zero_first},
    {"convolve correlates with the weights as written",
     convolve_correlates_with_the_weights_as_written},
    {"convolve finds a square by itself", convolve_finds_a_square_by_itself},
    {"filters refuse what they cannot do", filters_refuse_what_they_cannot_do},
};

RUN_TESTS("kernels_filters", tests)
