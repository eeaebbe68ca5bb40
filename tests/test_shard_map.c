/* Shard maps: who has which chunk, what is lost with a shard, and boxes that cover all the rest. */
#include "core/shard_map.h"

#include "base/heap.h"
#include "cunit.h"
#include "random.h"

#define MOST 300

/* -- what is lost ------------------------------------------------------------------------- */

static struct {
    uint64_t first[MOST], count[MOST];
    size_t n;
} told;

static void note(void *context, uint64_t first, uint64_t count)
{
    CU_ASSERT_PTR_EQUAL_FATAL(context, &told);
    CU_ASSERT_FATAL(told.n < MOST && count > 0);
    told.first[told.n] = first;
    told.count[told.n++] = count;
}

static size_t lose(struct bq_shard_map *map, uint32_t shard)
{
    told.n = 0;
    bq_shard_map_lose(map, shard, note, &told);
    return told.n;
}

static void expect_run(size_t i, uint64_t first, uint64_t count)
{
    CU_ASSERT(i < told.n && told.first[i] == first && told.count[i] == count);
}

static void what_a_shard_had_is_lost_in_runs_and_may_be_had_again(void)
{
    struct bq_shard_map map;
    CU_ASSERT_EQUAL_FATAL(bq_shard_map_create(&map, 20), 0);
    CU_ASSERT_EQUAL(lose(&map, 3), 0);
    bq_shard_map_set(&map, 0, 4, 3);
    bq_shard_map_set(&map, 4, 2, 1);
    bq_shard_map_set(&map, 6, 1, 3);
    bq_shard_map_set(&map, 7, 1, BQ_SHARD_GIVEN_UP);
    bq_shard_map_set(&map, 17, 9, 3); /* what lies beyond the end is nobody's */
    bq_shard_map_set(&map, 3, 2, 2);  /* and these were somebody's */
    CU_ASSERT_EQUAL(lose(&map, 3), 3);
    expect_run(0, 0, 4);
    expect_run(1, 6, 1);
    expect_run(2, 17, 3);
    CU_ASSERT_EQUAL(lose(&map, 3), 0);
    CU_ASSERT_EQUAL(lose(&map, 2), 0);
    bq_shard_map_set(&map, 0, 20, 2);
    CU_ASSERT_EQUAL(lose(&map, 1), 1);
    expect_run(0, 4, 2);
    CU_ASSERT_EQUAL(map.owner[7], BQ_SHARD_GIVEN_UP);
    CU_ASSERT_EQUAL(lose(&map, 2), 3);
    expect_run(0, 0, 4);
    expect_run(1, 6, 1);
    expect_run(2, 8, 12);
    bq_shard_map_destroy(&map);
}

/* -- the boxes ---------------------------------------------------------------------------- */

/* Each chunk that somebody has lies in exactly one box, of its shard; no box has another. */
static bool covers_exactly(const struct bq_shard_map *map, const struct bq_plan *plan,
                           const struct bq_shard_part *parts, size_t n)
{
    uint64_t n_elements = 0;
    for (uint64_t id = 0; id < plan->n_chunks; id++) {
        uint64_t offset[BQ_MAX_RANK], extent[BQ_MAX_RANK];
        uint64_t size = bq_plan_chunk(plan, id, offset, extent);
        size_t n_in = 0;
        for (size_t i = 0; i < n; i++) {
            bool is_in = true;
            for (int axis = 0; axis < plan->space.rank; axis++)
                is_in &= parts[i].box.offset[axis] <= offset[axis] &&
                         offset[axis] + extent[axis] <=
                             parts[i].box.offset[axis] + parts[i].box.extent[axis];
            if (is_in && parts[i].shard != map->owner[id])
                return false;
            n_in += is_in;
        }
        if (n_in != (map->owner[id] < BQ_SHARD_GIVEN_UP))
            return false;
        n_elements += n_in * size;
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t size = 1;
        for (int axis = 0; axis < plan->space.rank; axis++)
            size *= parts[i].box.extent[axis];
        n_elements -= size;
    }
    return n_elements == 0;
}

static void boxes_cover_what_shards_have_however_often_some_are_lost(void)
{
    random_start(41);
    for (int round = 0; round < 500; round++) {
        struct bq_space space = {.rank = 1 + (int)random_below(3)};
        uint64_t chunk[BQ_MAX_RANK];
        for (int i = 0; i < space.rank; i++) {
            space.extent[i] = 1 + random_below(12);
            chunk[i] = 2 + random_below(3);
        }
        struct bq_plan plan;
        struct bq_shard_map map;
        CU_ASSERT_EQUAL_FATAL(bq_plan_make(&plan, &space, chunk, NULL), 0);
        CU_ASSERT_FATAL(plan.n_chunks <= MOST);
        CU_ASSERT_EQUAL_FATAL(bq_shard_map_create(&map, plan.n_chunks), 0);
        uint32_t owner[MOST];
        for (uint64_t i = 0; i < plan.n_chunks; i++)
            owner[i] = BQ_SHARD_NOBODY;
        for (int step = 0; step < 30; step++) {
            uint64_t first = random_below(plan.n_chunks), count = 1 + random_below(plan.n_chunks);
            uint32_t shard = random_below(9) ? (uint32_t)random_below(4) : BQ_SHARD_GIVEN_UP;
            bool is_lost = random_below(4) == 0 && shard != BQ_SHARD_GIVEN_UP;
            if (is_lost)
                lose(&map, shard);
            else
                bq_shard_map_set(&map, first, count, shard);
            uint64_t n_had = 0, n_told = 0;
            for (uint64_t i = 0; i < plan.n_chunks; i++) {
                n_had += is_lost && owner[i] == shard;
                if (is_lost && owner[i] == shard)
                    owner[i] = BQ_SHARD_NOBODY;
                else if (!is_lost && i >= first && i - first < count && owner[i] == BQ_SHARD_NOBODY)
                    owner[i] = shard;
            }
            for (size_t i = 0; is_lost && i < told.n; i++)
                n_told += told.count[i];
            CU_ASSERT_EQUAL(n_told, n_had);
            CU_ASSERT_EQUAL(memcmp(owner, map.owner, plan.n_chunks * sizeof *owner), 0);
        }
        size_t n;
        bool is_bad;
        struct bq_shard_part *parts = bq_shard_map_parts(&map, &plan, &n, &is_bad);
        CU_ASSERT(!is_bad && covers_exactly(&map, &plan, parts, n));
        bq_free(parts);
        bq_shard_map_destroy(&map);
    }
}

static const struct test tests[] = {
    {"what a shard had is lost in runs, and may be had again",
     what_a_shard_had_is_lost_in_runs_and_may_be_had_again},
    {"boxes cover what shards have, however often some are lost",
     boxes_cover_what_shards_have_however_often_some_are_lost},
};

RUN_TESTS("shard_map", tests)
