/* What of a kitchen fits into its memory. */
#include "cunit.h"

#include "adapters/stored.h"
#include "run/execute.h"

static const struct bq_kernel kernel = {.abi = BQ_KERNEL_ABI, .name = "none"};

/* float32 of 4096 x 16384 in deflated chunks of 512 x 512, 1 MiB each, cut as given. */
static struct bq_recipe cut(uint64_t rows, uint64_t columns, uint64_t halo)
{
    struct bq_recipe recipe = {.has_input = true,
                               .open = 1,
                               .in_type = BQ_F32,
                               .out_type = BQ_F32,
                               .acc_size = 8,
                               .n_kitchens = 1};
    struct bq_space space = {2, {4096, 16384}};
    struct bq_halo margin = {.is_any = halo > 0, .width = {halo, halo}};
    recipe.layout = (struct bq_layout){
        .storage = BQ_STORAGE_CHUNKED,
        .space = space,
        .chunk = {2, {512, 512}},
        .number = {.is_float = true, .size = 4},
        .filters = {1, {{.id = BQ_FILTER_DEFLATE, .n_values = 1, .values = {1}}}}};
    CU_ASSERT_EQUAL(bq_plan_make(&recipe.plan, &space, (uint64_t[]){rows, columns}, NULL), 0);
    CU_ASSERT_EQUAL(bq_plan_set_halo(&recipe.plan, &margin, NULL), 0);
    return recipe;
}

static uint64_t row(uint64_t rows, uint64_t columns, uint64_t halo)
{
    struct bq_recipe recipe = cut(rows, columns, halo);
    return bq_stored_row(&recipe.layout, &recipe.plan);
}

static void a_row_is_what_blocks_share_until_it_is_wanted_no_more(void)
{
    CU_ASSERT_EQUAL(row(512, 512, 0), 0); /* whole stored chunks */
    CU_ASSERT_EQUAL(row(1024, 512, 0), 0);
    CU_ASSERT_EQUAL(row(1, 16384, 0), 32); /* all that lie side by side */
    CU_ASSERT_EQUAL(row(1, 4096, 0), 32);
    CU_ASSERT_EQUAL(row(512, 256, 0), 1);    /* the next block has the other half */
    CU_ASSERT_EQUAL(row(4096, 256, 0), 8);   /* of the eight below each other */
    CU_ASSERT_EQUAL(row(300, 16384, 0), 64); /* a block may touch two rows of them */
    CU_ASSERT_EQUAL(row(512, 512, 1), 3 * 32);
}

static void fewer_cooks_keep_what_they_decode(void)
{
    struct bq_recipe recipe = cut(1, 16384, 0);
    struct bq_fit fit;
    struct bq_error err;
    uint64_t one = bq_executor_memory(&recipe, 1, 1), mib = 1 << 20;
    CU_ASSERT_EQUAL(bq_executor_fit(&recipe, &kernel, false, false, 8, one - 1, &fit, &err), -1);
    CU_ASSERT_EQUAL(err.exit, BQ_EXIT_USAGE);
    /* Enough for one cook and not for the 32 chunks side by side: said, with what would do. */
    CU_ASSERT_EQUAL(bq_executor_fit(&recipe, &kernel, false, false, 8, one + mib, &fit, &err), 0);
    CU_ASSERT_EQUAL(fit.n_cooks, 1);
    CU_ASSERT(fit.repeats > 500 && fit.bytes <= one + mib);
    uint64_t enough = fit.least_for_row;
    CU_ASSERT(enough > one + 32 * mib);
    /* Two cooks would fit, and decode everything over and over. */
    uint64_t two = bq_executor_memory(&recipe, 2, 1), budget = two > enough ? two : enough;
    CU_ASSERT_EQUAL(bq_executor_fit(&recipe, &kernel, false, false, 8, budget, &fit, &err), 0);
    CU_ASSERT_EQUAL(fit.n_cooks, 1);
    CU_ASSERT(fit.n_cached >= 32 && fit.repeats == 1 && fit.bytes <= budget);
    for (budget = one; budget < 40 * one; budget += one / 3 + 1) {
        CU_ASSERT_EQUAL(bq_executor_fit(&recipe, &kernel, false, false, 8, budget, &fit, &err), 0);
        CU_ASSERT(fit.bytes <= budget && fit.n_cooks >= 1 && fit.n_cooks <= 8);
        CU_ASSERT(fit.n_cached >= fit.n_cooks);
        CU_ASSERT_EQUAL(fit.repeats == 1, budget >= enough);
    }
    CU_ASSERT_EQUAL(fit.n_cooks, 8);
}

static void where_nothing_is_cut_nothing_is_kept(void)
{
    struct bq_recipe recipe = cut(512, 1024, 0);
    struct bq_fit fit;
    struct bq_error err;
    CU_ASSERT_EQUAL(
        bq_executor_fit(&recipe, &kernel, false, false, 3, UINT64_C(1) << 34, &fit, &err), 0);
    CU_ASSERT_EQUAL(fit.n_cooks, 3);
    CU_ASSERT_EQUAL(fit.n_cached, 0);
    CU_ASSERT_EQUAL(fit.repeats, 1);
}

static void what_comes_again_is_kept_where_half_of_the_memory_is_enough(void)
{
    struct bq_recipe recipe = cut(512, 1024, 0);
    struct bq_fit fit;
    struct bq_error err;
    recipe.comes_again = 1;
    uint64_t all = 8 * 32, mib = 1 << 20, once = all * mib;
    CU_ASSERT_EQUAL(bq_executor_fit(&recipe, &kernel, false, false, 3, 4 * once, &fit, &err), 0);
    CU_ASSERT_EQUAL(fit.n_cached, 0); /* with another input */
    recipe.input_stays = true;
    CU_ASSERT_EQUAL(bq_executor_fit(&recipe, &kernel, false, false, 3, 4 * once, &fit, &err), 0);
    CU_ASSERT(fit.keeps_all && fit.n_cached >= all && fit.n_cooks == 3);
    CU_ASSERT(fit.bytes <= 2 * once);
    CU_ASSERT_EQUAL(bq_executor_fit(&recipe, &kernel, false, false, 3, 2 * once, &fit, &err), 0);
    CU_ASSERT(!fit.keeps_all && fit.n_cached == 0 && fit.n_cooks == 3);
    CU_ASSERT_EQUAL(bq_executor_fit(&recipe, &kernel, true, false, 3, 4 * once, &fit, &err), 0);
    CU_ASSERT(!fit.keeps_all); /* the coordinator sends it again */
}

static const struct test tests[] = {
    {"a row is what blocks share until it is wanted no more",
     a_row_is_what_blocks_share_until_it_is_wanted_no_more},
    {"fewer cooks keep what they decode", fewer_cooks_keep_what_they_decode},
    {"what comes again is kept where half of the memory is enough",
     what_comes_again_is_kept_where_half_of_the_memory_is_enough},
    {"where nothing is cut nothing is kept", where_nothing_is_cut_nothing_is_kept},
};

RUN_TESTS("fit", tests)
