/* The kernels that step a grid: heat, stencil3d, life. */
#include "tile_kit.h"

#include <float.h>
#include <math.h>

static const enum bq_border borders[] = {BQ_CLAMP, BQ_WRAP, BQ_REFLECT, BQ_CONSTANT};

/* The element `by` away along `axis`. */
static double beside(const struct kit *kit, const void *data, const uint64_t *at, int axis, int by)
{
    int64_t k[BQ_MAX_RANK] = {0};
    for (int i = 0; i < kit->setup.space.rank; i++)
        k[i] = (int64_t)at[i] + (i == axis ? by : 0);
    return peek(kit, data, k);
}

/* -- heat --------------------------------------------------------------------------------- */

static void heat_is_the_explicit_step_and_finds_the_largest_change(void)
{
    const struct bq_space spaces[] = {{1, {1300}}, {2, {37, 530}}, {3, {7, 8, 40}}};
    random_start(20260911);
    for (int trial = 0; trial < 3 * 2 * 4; trial++) {
        struct kit kit = kit_for("heat");
        const struct bq_space *space = &spaces[trial % 3];
        const enum bq_type type = trial % 2 ? BQ_F32 : BQ_F64;
        const uint64_t n = n_of(space);
        void *x = dice_of(type, n, true); /* small numbers and r of few bits: nothing rounds */
        void *y = malloc(n * 8);
        uint64_t at[BQ_MAX_RANK] = {0}, i = 0, n_wrong = 0;
        double change = 0;
        param(&kit, "r")->r = 0.125;
        CU_ASSERT_EQUAL_FATAL(set_up_space(&kit, type, *space, borders[trial / 6], 50), 0);
        CU_ASSERT_EQUAL(kit.setup.border, borders[trial / 6]);
        same_in_any_chunks(&kit, x, y, 3);
        do {
            double here = get_number(type, x, i), sum = 0;
            for (int axis = 0; axis < space->rank; axis++)
                sum += beside(&kit, x, at, axis, 1) + beside(&kit, x, at, axis, -1) - 2 * here;
            n_wrong += get_number(type, y, i++) != here + 0.125 * sum;
            change = fmax(change, fabs(0.125 * sum));
        } while (step_index(at, space->extent, space->rank));
        CU_ASSERT_EQUAL(n_wrong, 0);
        CU_ASSERT_EQUAL(real("change"), change);
        CU_ASSERT_EQUAL(integer("nan"), 0);
        run_tiles(&kit, x, space->extent, NULL, 1); /* without an output it still reduces */
        CU_ASSERT_EQUAL(real("change"), change);
        free(x);
        free(y);
    }
}

static void heat_of_any_numbers_is_the_same_in_any_chunks(void)
{
    const struct bq_space spaces[] = {{1, {999}}, {2, {19, 43}}, {3, {5, 9, 21}}};
    random_start(20260912);
    for (int i = 0; i < 6; i++) {
        struct kit kit = kit_for("heat");
        const struct bq_space *space = &spaces[i % 3];
        const enum bq_type type = i % 2 ? BQ_F32 : BQ_F64;
        void *x = dice_of(type, n_of(space), false), *y = malloc(n_of(space) * 8);
        param(&kit, "r")->r = 0.1;
        CU_ASSERT_EQUAL_FATAL(set_up_space(&kit, type, *space, BQ_WRAP, 0), 0);
        run_tiles(&kit, x, space->extent, y, 1);
        const double change = real("change");
        same_in_any_chunks(&kit, x, y, 8);
        CU_ASSERT_EQUAL(bits_of(real("change")), bits_of(change));
        CU_ASSERT_TRUE(change > 0);
        free(x);
        free(y);
    }
}

static void heat_counts_nan_and_keeps_the_change_of_the_rest(void)
{
    struct kit kit = kit_for("heat");
    double x[20] = {0}, y[20];
    x[3] = -(double)NAN;
    x[15] = 8;
    CU_ASSERT_EQUAL_FATAL(set_up_space(&kit, BQ_F64, (struct bq_space){1, {20}}, BQ_CLAMP, 0), 0);
    run_tiles(&kit, x, (uint64_t[]){7}, y, 1);
    CU_ASSERT_EQUAL(integer("nan"), 3);
    CU_ASSERT_TRUE(isnan(real("change")));
    CU_ASSERT_EQUAL(bits_of(y[2]), bits_of((double)NAN));
    CU_ASSERT_TRUE(y[14] == 1 && y[15] == 6 && y[16] == 1 && y[5] == 0);
    x[3] = 0;
    x[15] = DBL_MAX;
    x[16] = -DBL_MAX;
    run_tiles(&kit, x, (uint64_t[]){7}, y, 1);
    CU_ASSERT_TRUE(isinf(real("change")));
}

static void heat_refuses_unstable_steps_and_other_types(void)
{
    const struct {
        int rank;
        enum bq_type type;
        double r;
        int answer;
    } tries[] = {{1, BQ_F32, 0.5, 0},    {2, BQ_F32, 0.25, 0},  {2, BQ_F64, 0.2501, -1},
                 {3, BQ_F64, 0.1666, 0}, {3, BQ_F64, 0.17, -1}, {4, BQ_F32, 0.1, -1},
                 {2, BQ_U8, 0.1, -1},    {2, BQ_F32, NAN, -1}};
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        struct kit kit = kit_for("heat");
        const struct bq_space space = {tries[i].rank, {4, 4, 4, 4}};
        param(&kit, "r")->r = tries[i].r;
        CU_ASSERT_EQUAL(set_up_space(&kit, tries[i].type, space, BQ_CLAMP, 0), tries[i].answer);
        CU_ASSERT_EQUAL(kit.setup.message[0] != 0, tries[i].answer != 0);
    }
}

/* -- stencil3d ---------------------------------------------------------------------------- */

static void stencil3d_weighs_by_distance(void)
{
    const struct bq_space space = {3, {6, 7, 530}};
    const double weights[] = {0.5, 0.25, -0.125, 2};
    random_start(20260913);
    for (int trial = 0; trial < 8; trial++) {
        struct kit kit = kit_for("stencil3d");
        const enum bq_type type = trial % 2 ? BQ_F32 : BQ_F64;
        void *x = dice_of(type, n_of(&space), true), *y = malloc(n_of(&space) * 8);
        uint64_t at[BQ_MAX_RANK] = {0}, i = 0, n_wrong = 0;
        for (int k = 0; k < 4; k++)
            kit.params[k].r = weights[k];
        CU_ASSERT_EQUAL_FATAL(set_up_space(&kit, type, space, borders[trial / 2], 3), 0);
        same_in_any_chunks(&kit, x, y, 3);
        do {
            double sum = 0;
            for (int k = 0; k < 27; k++) {
                const int64_t a = k / 9 - 1, b = k / 3 % 3 - 1, c = k % 3 - 1;
                const int64_t from[] = {(int64_t)at[0] + a, (int64_t)at[1] + b, (int64_t)at[2] + c};
                sum += weights[a * a + b * b + c * c] * peek(&kit, x, from);
            }
            n_wrong += get_number(type, y, i++) != sum;
        } while (step_index(at, space.extent, 3));
        CU_ASSERT_EQUAL(n_wrong, 0);
        free(x);
        free(y);
    }
}

static void stencil3d_of_any_numbers_is_the_same_in_any_chunks(void)
{
    const struct bq_space space = {3, {9, 11, 21}};
    random_start(20260914);
    for (enum bq_type type = BQ_F32; type <= BQ_F64; type++) {
        struct kit kit = kit_for("stencil3d");
        void *x = dice_of(type, n_of(&space), false), *y = malloc(n_of(&space) * 8);
        put_number(type, x, -(double)NAN);
        CU_ASSERT_EQUAL_FATAL(set_up_space(&kit, type, space, BQ_REFLECT, 0), 0);
        same_in_any_chunks(&kit, x, y, 10);
        CU_ASSERT_TRUE(isnan(get_number(type, y, 1)) && !isnan(get_number(type, y, 2)));
        CU_ASSERT_FALSE(signbit(get_number(type, y, 1)));
        free(x);
        free(y);
    }
    struct kit kit = kit_for("stencil3d");
    CU_ASSERT_EQUAL(set_up_space(&kit, BQ_F32, (struct bq_space){2, {4, 4}}, BQ_CLAMP, 0), -1);
    CU_ASSERT_EQUAL(set_up_space(&kit, BQ_I32, space, BQ_CLAMP, 0), -1);
}

/* -- life --------------------------------------------------------------------------------- */

static void life_follows_the_rules_and_counts(void)
{
    const struct bq_space spaces[] = {{2, {61, 47}}, {3, {2, 5, 4500}}, {2, {3, 3}}};
    random_start(20260915);
    for (int trial = 0; trial < 3 * 4; trial++) {
        struct kit kit = kit_for("life");
        const struct bq_space *space = &spaces[trial % 3];
        const uint64_t n = n_of(space);
        uint8_t *x = malloc(n), *y = malloc(n);
        uint64_t at[BQ_MAX_RANK] = {0}, i = 0, n_wrong = 0, alive = 0, born = 0, died = 0;
        for (uint64_t k = 0; k < n; k++)
            x[k] = random_below(3) ? 0 : (uint8_t)(1 + random_below(2) * random_below(255));
        CU_ASSERT_EQUAL_FATAL(set_up_space(&kit, BQ_U8, *space, borders[trial / 3], 1), 0);
        same_in_any_chunks(&kit, x, y, 3);
        do {
            int n_near = 0;
            for (int k = 0; k < 9; k++) {
                int64_t from[BQ_MAX_RANK] = {0};
                for (int a = 0; a < space->rank; a++)
                    from[a] = (int64_t)at[a];
                from[space->rank - 2] += k / 3 - 1;
                from[space->rank - 1] += k % 3 - 1;
                n_near += k != 4 && peek(&kit, x, from) != 0;
            }
            const bool was = x[i] != 0, is = n_near == 3 || (n_near == 2 && was);
            alive += is;
            born += is && !was;
            died += was && !is;
            n_wrong += y[i++] != is;
        } while (step_index(at, space->extent, space->rank));
        CU_ASSERT_EQUAL(n_wrong, 0);
        CU_ASSERT_EQUAL(integer("alive"), alive);
        CU_ASSERT_EQUAL(integer("born"), born);
        CU_ASSERT_EQUAL(integer("died"), died);
        run_tiles(&kit, x, space->extent, NULL, 1);
        CU_ASSERT_EQUAL(integer("alive"), alive);
        free(x);
        free(y);
    }
}

static void life_moves_a_glider_around_the_torus(void)
{
    struct kit kit = kit_for("life");
    const struct bq_space space = {2, {8, 8}};
    uint8_t first[64] = {0}, x[64], y[64];
    first[1] = first[8 + 2] = first[16] = first[16 + 1] = first[16 + 2] = 1;
    memcpy(x, first, sizeof x);
    CU_ASSERT_EQUAL_FATAL(set_up_space(&kit, BQ_U8, space, BQ_WRAP, 0), 0);
    for (int generation = 1; generation <= 32; generation++) {
        run_tiles(&kit, x, (uint64_t[]){3, 5}, y, 1);
        memcpy(x, y, sizeof x);
        CU_ASSERT_EQUAL(integer("alive"), 5);
        CU_ASSERT_EQUAL(memcmp(x, first, sizeof x) == 0, generation == 32);
    }
}

static void life_refuses_what_is_no_world(void)
{
    struct kit kit = kit_for("life");
    CU_ASSERT_EQUAL(set_up_space(&kit, BQ_U16, (struct bq_space){2, {4, 4}}, BQ_WRAP, 0), -1);
    CU_ASSERT_EQUAL(set_up_space(&kit, BQ_U8, (struct bq_space){1, {4}}, BQ_WRAP, 0), -1);
    CU_ASSERT_TRUE(kit.setup.message[0] != 0);
}

static const struct test tests[] = {
    {"heat is the explicit step and finds the largest change",
     heat_is_the_explicit_step_and_finds_the_largest_change},
    {"heat of any numbers is the same in any chunks",
     heat_of_any_numbers_is_the_same_in_any_chunks},
    {"heat counts NaN, and the change is NaN then",
     heat_counts_nan_and_keeps_the_change_of_the_rest},
    {"heat refuses unstable steps and other types", heat_refuses_unstable_steps_and_other_types},
    {"stencil3d weighs by distance", stencil3d_weighs_by_distance},
    {"stencil3d of any numbers is the same in any chunks",
     stencil3d_of_any_numbers_is_the_same_in_any_chunks},
    {"life follows the rules and counts", life_follows_the_rules_and_counts},
    {"life moves a glider around the torus", life_moves_a_glider_around_the_torus},
    {"life refuses what is no world", life_refuses_what_is_no_world},
};

RUN_TESTS("kernels_grids", tests)
