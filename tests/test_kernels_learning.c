/* The kernels that learn from tables, kmeans_start, kmeans and logistic; and render. */
#include "tile_kit.h"

#include <float.h>
#include <math.h>

/* A table set up, run in chunks of so many rows, and presented. */
static int learn(struct kit *kit, enum bq_type type, uint64_t rows, uint64_t columns,
                 const void *table, uint64_t chunk)
{
    if (set_up_space(kit, type, (struct bq_space){2, {rows, columns}}, BQ_CLAMP, 0))
        return -1;
    CU_ASSERT_TRUE(kit->setup.is_whole[1] && !kit->setup.is_whole[0]);
    run_tiles(kit, table, (uint64_t[]){chunk, columns}, NULL, 1);
    return 0;
}

/* -- kmeans_start ------------------------------------------------------------------------- */

static void kmeans_start_draws_the_same_rows_in_any_chunks(void)
{
    enum { ROWS = 1000, COLUMNS = 3, N = 20 };
    static double table[ROWS][COLUMNS];
    double centres[N * COLUMNS];
    struct kit kit = kit_for("kmeans_start");
    param(&kit, "k")->i = N;
    for (int r = 0; r < ROWS; r++) {
        for (int c = 0; c < COLUMNS; c++)
            table[r][c] = 10 * r + c;
    }
    CU_ASSERT_EQUAL_FATAL(learn(&kit, BQ_F64, ROWS, COLUMNS, table, ROWS), 0);
    CU_ASSERT_TRUE(report.n_reals == N * COLUMNS && report.n_series == N);
    memcpy(centres, report.reals, sizeof centres);
    bool is_drawn[ROWS] = {0};
    for (int k = 0; k < N; k++) {
        const uint64_t row = report.series[k];
        CU_ASSERT_FATAL(row < ROWS);
        CU_ASSERT_FALSE(is_drawn[row]);
        is_drawn[row] = true;
        CU_ASSERT_EQUAL(memcmp(&centres[k * COLUMNS], table[row], sizeof table[row]), 0);
    }
    random_start(20260931);
    for (int i = 0; i < 20; i++) {
        CU_ASSERT_EQUAL(learn(&kit, BQ_F64, ROWS, COLUMNS, table, 1 + random_below(ROWS)), 0);
        CU_ASSERT_EQUAL(report.n_reals, N * COLUMNS);
        CU_ASSERT_EQUAL(memcmp(centres, report.reals, sizeof centres), 0);
    }
    param(&kit, "seed")->i = 2;
    CU_ASSERT_EQUAL(learn(&kit, BQ_F64, ROWS, COLUMNS, table, 77), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(centres, report.reals, sizeof centres), 0);
}

static void kmeans_start_draws_each_row_about_as_often(void)
{
    enum { ROWS = 50, N = 10, SEEDS = 2000 };
    float table[ROWS] = {0};
    int drawn[ROWS] = {0};
    for (int seed = 0; seed < SEEDS; seed++) {
        struct kit kit = kit_for("kmeans_start");
        param(&kit, "k")->i = N;
        param(&kit, "seed")->i = seed;
        CU_ASSERT_EQUAL_FATAL(learn(&kit, BQ_F32, ROWS, 1, table, 16), 0);
        for (int k = 0; k < N; k++)
            drawn[report.series[k]]++;
    }
    for (int r = 0; r < ROWS; r++) /* 400 expected, deviation 18: six of them */
        CU_ASSERT_TRUE(abs(drawn[r] - SEEDS * N / ROWS) < 108);
}

static void kmeans_start_skips_rows_that_are_not_numbers(void)
{
    struct kit kit = kit_for("kmeans_start");
    float table[6][2] = {{1, 1}, {NAN, 2}, {3, INFINITY}, {4, 4}, {-INFINITY, 5}, {6, 6}};
    param(&kit, "k")->i = 6;
    CU_ASSERT_EQUAL_FATAL(learn(&kit, BQ_F32, 6, 2, table, 2), 0);
    CU_ASSERT_TRUE(report.n_reals == 6 && report.n_series == 3 && integer("skipped") == 3);
    for (int i = 0; i < 3; i++)
        CU_ASSERT_TRUE(report.series[i] % 5 == 0 || report.series[i] == 3);
    param(&kit, "k")->i = 7;
    CU_ASSERT_EQUAL(learn(&kit, BQ_F32, 6, 2, table, 2), -1);
}

/* -- kmeans ------------------------------------------------------------------------------- */

static void kmeans_moves_centres_to_their_means(void)
{
    struct kit kit = kit_for("kmeans");
    const double centres[] = {0, 0, 10, 10, -100, 50};
    struct bq_list list = {6, centres};
    const float table[][2] = {{1, 1}, {9, 9}, {3, 1}, {NAN, 0}, {11, 13}, {5, 5}, {2, 1}};
    param(&kit, "k")->i = 3;
    param(&kit, "centres")->list = &list;
    for (uint64_t chunk = 1; chunk <= 7; chunk++) {
        CU_ASSERT_EQUAL_FATAL(learn(&kit, BQ_F32, 7, 2, table, chunk), 0);
        const double want[] = {2.75, 2, 10, 11, -100, 50}; /* (5, 5) is as near to the second */
        CU_ASSERT_EQUAL_FATAL(report.n_reals, 6);
        CU_ASSERT_EQUAL(memcmp(report.reals, want, sizeof want), 0);
        CU_ASSERT_TRUE(report.series[0] == 4 && report.series[1] == 2 && report.series[2] == 0);
        CU_ASSERT_EQUAL(real("inertia"), 2 + 2 + 10 + 10 + 50 + 5);
        CU_ASSERT_EQUAL(real("moved"), sqrt(2.75 * 2.75 + 4));
        CU_ASSERT_EQUAL(integer("skipped"), 1);
    }
}

static void kmeans_agrees_with_a_plain_loop_for_any_width(void)
{
    random_start(20260932);
    for (int trial = 0; trial < 12; trial++) {
        const uint64_t rows = 1 + random_below(300), columns = 1 + random_below(200);
        const uint64_t k = 1 + random_below(20);
        const enum bq_type type = trial % 2 ? BQ_F32 : BQ_F64;
        struct kit kit = kit_for("kmeans");
        void *table = dice_of(type, rows * columns, true); /* whole numbers: sums are exact */
        double *centres = dice_of(BQ_F64, k * columns, true);
        double *sum = calloc(k * columns, sizeof *sum), inertia = 0;
        uint64_t *count = calloc(k, sizeof *count), n_wrong = 0;
        struct bq_list list = {k * columns, centres};
        param(&kit, "k")->i = (int64_t)k;
        param(&kit, "centres")->list = &list;
        for (uint64_t r = 0; r < rows; r++) {
            uint64_t nearest = 0;
            double best = (double)INFINITY;
            for (uint64_t i = 0; i < k; i++) {
                double distance = 0;
                for (uint64_t c = 0; c < columns; c++) {
                    double d = get_number(type, table, r * columns + c) - centres[i * columns + c];
                    distance += d * d;
                }
                nearest = distance < best ? i : nearest;
                best = fmin(best, distance);
            }
            count[nearest]++;
            inertia += best;
            for (uint64_t c = 0; c < columns; c++)
                sum[nearest * columns + c] += get_number(type, table, r * columns + c);
        }
        CU_ASSERT_EQUAL_FATAL(learn(&kit, type, rows, columns, table, 1 + random_below(rows)), 0);
        CU_ASSERT_TRUE(report.n_reals == k * columns && report.n_series == k);
        CU_ASSERT_EQUAL(real("inertia"), inertia);
        for (uint64_t i = 0; i < k * columns; i++) {
            const uint64_t n = count[i / columns];
            n_wrong += report.reals[i] != (n ? sum[i] / (double)n : centres[i]);
            n_wrong += report.series[i / columns] != n;
        }
        CU_ASSERT_EQUAL(n_wrong, 0);
        free(table);
        free(centres);
        free(sum);
        free(count);
    }
}

static void kmeans_refuses_centres_of_another_shape(void)
{
    struct kit kit = kit_for("kmeans");
    const double centres[7] = {0};
    const float table[6] = {0};
    struct bq_list list = {6, centres};
    param(&kit, "k")->i = 2;
    CU_ASSERT_EQUAL(learn(&kit, BQ_F32, 2, 3, table, 1), -1);
    param(&kit, "centres")->list = &list;
    CU_ASSERT_EQUAL(learn(&kit, BQ_F32, 2, 3, table, 1), 0);
    CU_ASSERT_EQUAL(learn(&kit, BQ_F32, 3, 2, table, 1), -1);
    CU_ASSERT_EQUAL(learn(&kit, BQ_I32, 2, 3, table, 1), -1);
    list.n = 7;
    CU_ASSERT_EQUAL(learn(&kit, BQ_F32, 2, 3, table, 1), -1);
    CU_ASSERT_TRUE(kit.setup.message[0] != 0);
}

/* -- logistic ----------------------------------------------------------------------------- */

static bool is_close(double got, double want)
{
    return fabs(got - want) <= 1e-12 * fmax(1, fabs(want));
}

static void logistic_takes_one_step_down_the_gradient(void)
{
    random_start(20260933);
    for (int trial = 0; trial < 10; trial++) {
        const uint64_t rows = 1 + random_below(200), columns = 2 + random_below(150);
        const enum bq_type type = trial % 2 ? BQ_F32 : BQ_F64;
        struct kit kit = kit_for("logistic");
        char *table = dice_of(type, rows * columns, false);
        double *weights = dice_of(BQ_F64, columns, false);
        double *gradient = calloc(columns, sizeof *gradient), loss = 0, norm = 0, correct = 0;
        struct bq_list list = {columns, weights};
        const double n = (double)rows, ridge = trial < 5 ? 0 : 0.3;
        if (trial != 3)
            param(&kit, "weights")->list = &list;
        param(&kit, "ridge")->r = ridge;
        param(&kit, "rate")->r = 0.7;
        for (uint64_t i = 0; i < columns; i++)
            weights[i] *= trial == 3 ? 0 : 0.1;
        for (uint64_t r = 0; r < rows; r++) {
            const uint64_t last = (r + 1) * columns - 1;
            const double y = (double)random_below(2);
            put_number(type, table + last * bq_type_size(type), y);
            double z = 0;
            for (uint64_t c = 0; c + 1 < columns; c++)
                z += weights[c] * get_number(type, table, r * columns + c);
            z += weights[columns - 1];
            const double p = 1 / (1 + exp(-z));
            loss += fmax(z, 0) + log1p(exp(-fabs(z))) - y * z;
            correct += (p >= 0.5) == (y > 0);
            for (uint64_t c = 0; c < columns; c++) {
                double x = c + 1 < columns ? get_number(type, table, r * columns + c) : 1;
                gradient[c] += (p - y) * x;
            }
        }
        loss /= n;
        CU_ASSERT_EQUAL_FATAL(learn(&kit, type, rows, columns, table, 1 + random_below(rows)), 0);
        CU_ASSERT_EQUAL_FATAL(report.n_reals, columns);
        for (uint64_t c = 0; c < columns; c++) {
            const double held = c + 1 < columns ? weights[c] : 0;
            const double slope = gradient[c] / n + ridge * held;
            loss += ridge / 2 * held * held;
            norm += slope * slope;
            CU_ASSERT_TRUE(is_close(report.reals[c], weights[c] - 0.7 * slope));
        }
        CU_ASSERT_TRUE(is_close(real("loss"), loss));
        CU_ASSERT_TRUE(is_close(real("gradient"), sqrt(norm)));
        CU_ASSERT_EQUAL(real("accuracy"), correct / n);
        CU_ASSERT_TRUE(integer("rows") == rows && integer("skipped") == 0);
        free(table);
        free(weights);
        free(gradient);
    }
}

static void logistic_learns_what_can_be_told_apart(void)
{
    enum { ROWS = 400 };
    static float table[ROWS][3];
    double weights[3] = {0}, before = 1;
    struct bq_list list = {0, weights};
    random_start(20260934);
    for (int r = 0; r < ROWS; r++) {
        table[r][0] = (float)random_below(1000) / 500 - 1;
        table[r][1] = (float)random_below(1000) / 500 - 1;
        table[r][2] = table[r][0] - 2 * table[r][1] + 0.25f > 0;
    }
    for (int step = 0; step < 300; step++) {
        struct kit kit = kit_for("logistic");
        param(&kit, "rate")->r = 2;
        param(&kit, "weights")->list = &list; /* an empty one first */
        CU_ASSERT_EQUAL_FATAL(learn(&kit, BQ_F32, ROWS, 3, table, 64), 0);
        CU_ASSERT_TRUE(real("loss") < before);
        before = real("loss");
        memcpy(weights, report.reals, sizeof weights);
        list.n = 3;
    }
    CU_ASSERT_TRUE(real("accuracy") > 0.97);
    CU_ASSERT_TRUE(weights[0] > 0 && weights[1] < 0 && weights[2] > 0);
}

static void logistic_skips_rows_without_a_label_and_survives_large_numbers(void)
{
    struct kit kit = kit_for("logistic");
    const double weights[] = {1, 0}, inf = (double)INFINITY;
    struct bq_list list = {2, weights};
    const double table[][2] = {{1e6, 1}, {-1e6, 1}, {0, 2}, {(double)NAN, 1}, {1, inf}, {-1e6, 0}};
    param(&kit, "weights")->list = &list;
    CU_ASSERT_EQUAL_FATAL(learn(&kit, BQ_F64, 6, 2, table, 4), 0);
    CU_ASSERT_TRUE(integer("rows") == 3 && integer("skipped") == 3);
    CU_ASSERT_EQUAL(real("loss"), 1e6 / 3);
    CU_ASSERT_EQUAL(real("accuracy"), 2 / 3.);
    CU_ASSERT_EQUAL(learn(&kit, BQ_F64, 12, 1, table, 4), -1);
    CU_ASSERT_EQUAL(learn(&kit, BQ_F64, 4, 3, table, 4), -1); /* two weights for three */
}

/* -- render ------------------------------------------------------------------------------- */

static void render_draws_the_same_in_any_chunks(void)
{
    struct kit kit = kit_for("render");
    static uint8_t whole[60 * 90 * 3], parts[60 * 90 * 3];
    param(&kit, "rows")->i = 60;
    param(&kit, "columns")->i = 90;
    CU_ASSERT_EQUAL_FATAL(set_up(&kit, BQ_U8, 0), 0);
    const struct bq_space *space = &kit.setup.space;
    CU_ASSERT_TRUE(space->rank == 3 && n_of(space) == sizeof whole && kit.setup.is_whole[2]);
    run_tiles(&kit, NULL, space->extent, whole, 1);
    const uint64_t rays = integer("rays");
    CU_ASSERT_TRUE(rays > 60 * 90 * 4);
    run_tiles(&kit, NULL, (uint64_t[]){17, 64, 3}, parts, 1);
    CU_ASSERT_EQUAL(memcmp(whole, parts, sizeof whole), 0);
    CU_ASSERT_EQUAL(integer("rays"), rays);
    run_tiles(&kit, NULL, (uint64_t[]){60, 1, 3}, NULL, 1);
    CU_ASSERT_EQUAL(integer("rays"), rays);
    param(&kit, "depth")->i = 0; /* a ray and one to the lamp at most, for each sample */
    run_tiles(&kit, NULL, space->extent, parts, 1);
    CU_ASSERT_TRUE(integer("rays") < rays && integer("rays") <= 60 * 90 * 4 * 2);
    CU_ASSERT_NOT_EQUAL(memcmp(whole, parts, sizeof whole), 0);
    param(&kit, "seed")->i = 9;
    run_tiles(&kit, NULL, space->extent, whole, 1);
    CU_ASSERT_NOT_EQUAL(memcmp(whole, parts, sizeof whole), 0);
}

/* Without balls: the sky above, a floor of two colours below. */
static void render_of_no_balls_is_sky_and_floor(void)
{
    struct kit kit = kit_for("render");
    static uint8_t picture[40 * 60 * 3];
    param(&kit, "rows")->i = 40;
    param(&kit, "columns")->i = 60;
    param(&kit, "balls")->i = 0;
    param(&kit, "depth")->i = 0;
    param(&kit, "samples")->i = 1;
    CU_ASSERT_EQUAL_FATAL(set_up(&kit, BQ_U8, 0), 0);
    run_tiles(&kit, NULL, (uint64_t[]){7, 60, 3}, picture, 1);
    int n_dark = 0, n_light = 0;
    for (int i = 0; i < 60; i++) {
        const uint8_t *sky = picture + 3 * i, *floor_ = picture + 3 * (39 * 60 + i);
        CU_ASSERT_TRUE(sky[0] < sky[1] && sky[1] < sky[2] && sky[2] > 200);
        n_dark += floor_[0] < 90;
        n_light += floor_[0] > 140;
    }
    CU_ASSERT_TRUE(n_dark > 5 && n_light > 5 && n_dark + n_light == 60);
    CU_ASSERT_TRUE(integer("rays") > 40 * 60 && integer("rays") < 2 * 40 * 60);
}

static const struct test tests[] = {
    {"kmeans_start draws the same rows in any chunks",
     kmeans_start_draws_the_same_rows_in_any_chunks},
    {"kmeans_start draws each row about as often", kmeans_start_draws_each_row_about_as_often},
    {"kmeans_start skips rows that are not numbers", kmeans_start_skips_rows_that_are_not_numbers},
    {"kmeans moves centres to their means", kmeans_moves_centres_to_their_means},
    {"kmeans agrees with a plain loop for any width",
     kmeans_agrees_with_a_plain_loop_for_any_width},
    {"kmeans refuses centres of another shape", kmeans_refuses_centres_of_another_shape},
    {"logistic takes one step down the gradient", logistic_takes_one_step_down_the_gradient},
    {"logistic learns what can be told apart", logistic_learns_what_can_be_told_apart},
    {"logistic skips rows without a label and survives large numbers",
     logistic_skips_rows_without_a_label_and_survives_large_numbers},
    {"render draws the same in any chunks", render_draws_the_same_in_any_chunks},
    {"render of no balls is sky and floor", render_of_no_balls_is_sky_and_floor},
};

RUN_TESTS("kernels_learning", tests)
