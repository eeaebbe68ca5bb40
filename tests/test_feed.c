/* Feeding against a definition that looks at every element of a window. */
#include "core/feed.h"

#include <stdlib.h>
#include <string.h>

#include "cunit.h"
#include "random.h"

static unsigned char is_fed[4096];
static uint64_t n_fed;

static void note(void *context, uint64_t chunk)
{
    (void)context;
    CU_ASSERT_FATAL(chunk < sizeof is_fed && !is_fed[chunk]);
    is_fed[chunk] = 1;
    n_fed++;
}

/* Whether all elements of the taker's chunk, margins included, are in chunks that were made. */
static bool may_be_cooked(const struct bq_plan *maker, const struct bq_plan *taker, uint64_t chunk,
                          const unsigned char *made)
{
    for (uint64_t m = 0; m < maker->n_chunks; m++) {
        uint64_t at[BQ_MAX_RANK], n[BQ_MAX_RANK], from[BQ_MAX_RANK], extent[BQ_MAX_RANK];
        bq_plan_chunk(maker, m, at, n);
        bq_plan_chunk(taker, chunk, from, extent);
        bool touches = true;
        for (int i = 0; i < maker->space.rank; i++) {
            uint64_t h = taker->halo.width[i];
            touches = touches && at[i] < from[i] + extent[i] + h && at[i] + n[i] + h > from[i];
        }
        if (touches && !made[m])
            return false;
    }
    return true;
}

static void a_chunk_is_ready_when_all_that_it_touches_is_there(void)
{
    random_start(5);
    for (int round = 0; round < 300; round++) {
        struct bq_space space = {.rank = 1 + (int)random_below(3)};
        struct bq_halo halo = {.border = random_below(2) ? BQ_CLAMP : BQ_REFLECT};
        uint64_t chunk[2][BQ_MAX_RANK];
        struct bq_plan maker, taker;
        for (int i = 0; i < space.rank; i++) {
            space.extent[i] = 1 + random_below(12);
            chunk[0][i] = 1 + random_below(6);
            chunk[1][i] = 1 + random_below(6);
            halo.width[i] = random_below(space.extent[i] < 4 ? space.extent[i] : 4);
        }
        CU_ASSERT_EQUAL_FATAL(bq_plan_make(&maker, &space, chunk[0], NULL), 0);
        CU_ASSERT_EQUAL_FATAL(bq_plan_make(&taker, &space, chunk[1], NULL), 0);
        CU_ASSERT_EQUAL_FATAL(bq_plan_set_halo(&taker, &halo, NULL), 0);
        struct bq_feed *feed = bq_feed_create(&maker, &taker);
        CU_ASSERT_PTR_NOT_NULL_FATAL(feed);
        unsigned char *made = calloc(maker.n_chunks, 1);
        memset(is_fed, 0, sizeof is_fed);
        n_fed = 0;
        for (uint64_t left = maker.n_chunks; left > 0;) {
            uint64_t c = random_below(maker.n_chunks);
            if (made[c] && random_below(8)) /* now and then one comes twice */
                continue;
            left -= !made[c];
            made[c] = 1;
            bq_feed_made(feed, c, 1, note, NULL);
            for (uint64_t t = 0; t < taker.n_chunks; t++)
                CU_ASSERT_EQUAL(is_fed[t], may_be_cooked(&maker, &taker, t, made));
        }
        CU_ASSERT_EQUAL(n_fed, taker.n_chunks);
        free(made);
        bq_feed_destroy(feed);
    }
}

static void what_wraps_or_differs_cannot_be_fed(void)
{
    struct bq_space space = {2, {8, 8}}, other = {2, {8, 9}};
    struct bq_plan a, b, c;
    CU_ASSERT_EQUAL(bq_plan_make(&a, &space, (uint64_t[]){4, 4}, NULL), 0);
    CU_ASSERT_EQUAL(bq_plan_make(&b, &space, (uint64_t[]){4, 4}, NULL), 0);
    CU_ASSERT_EQUAL(bq_plan_make(&c, &other, (uint64_t[]){4, 4}, NULL), 0);
    CU_ASSERT_EQUAL(bq_plan_set_halo(&b, &(struct bq_halo){.width = {1}, .border = BQ_WRAP}, NULL),
                    0);
    CU_ASSERT_PTR_NULL(bq_feed_create(&a, &b));
    CU_ASSERT_PTR_NULL(bq_feed_create(&a, &c));
    bq_feed_destroy(NULL);
}

static const struct test tests[] = {
    {"a chunk is ready when all that its window touches is there",
     a_chunk_is_ready_when_all_that_it_touches_is_there},
    {"what wraps or has another shape cannot be fed", what_wraps_or_differs_cannot_be_fed},
};

int main(void)
{
    return run_tests("feed", tests, sizeof tests / sizeof *tests);
}
