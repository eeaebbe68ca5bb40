/* The pool from the manager's side, with a toy cook function; also built with ThreadSanitizer. */
#include "adapters/pool.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapters/clock.h"
#include "adapters/transport.h"
#include "base/heap.h"
#include "cunit.h"

#define N 20000

struct world {
    struct bq_pool *pool;
    int bell;
    atomic_uchar cooked[N];    /* times each chunk was cooked */
    unsigned char reported[N]; /* times each was reported, by the manager */
    uint64_t n_reported, n_failed, sum;
    uint64_t fail_every, wait_ns; /* 0: never */
    atomic_uint n_parts;
    bool slow;
    atomic_bool may_end;
};

/* The result of a node is the sum of its chunk ids. */
static enum bq_unit_answer cook(void *context, struct bq_unit *unit)
{
    struct world *w = context;
    uint64_t sum = 0;
    if (w->wait_ns && unit->stage == 0) {
        unit->wait_ns = w->wait_ns;
        return BQ_UNIT_WAITS;
    }
    while (w->slow && unit->node.first == 0 && !atomic_load(&w->may_end))
        usleep(100);
    for (uint64_t i = 0; i < bq_node_size(unit->node); i++) {
        uint64_t chunk = unit->node.first + i;
        if (w->fail_every && chunk % w->fail_every == 0)
            return BQ_UNIT_FAILED;
        sum += chunk;
    }
    for (uint64_t i = 0; i < bq_node_size(unit->node); i++)
        atomic_fetch_add(&w->cooked[unit->node.first + i], 1);
    memcpy(unit->result, &sum, sizeof sum);
    return BQ_UNIT_DONE;
}

static void take(void *context, const struct bq_finished *finished)
{
    struct world *w = context;
    uint64_t n = bq_node_size(finished->node), sum;
    for (uint64_t i = 0; i < n; i++)
        w->reported[finished->node.first + i]++;
    w->n_reported += n;
    if (finished->is_failed) {
        CU_ASSERT_EQUAL(n, 1);
        w->n_failed++;
        return;
    }
    memcpy(&sum, finished->result, sizeof sum);
    w->sum += sum;
}

static struct world *open_world(unsigned n_cooks, unsigned open, bool is_single)
{
    struct world *w = bq_alloc(1, sizeof *w);
    w->bell = bq_bell_create();
    struct bq_pool_config config = {.n_cooks = n_cooks,
                                    .open = open,
                                    .is_single = is_single,
                                    .result_size = sizeof(uint64_t),
                                    .bell = w->bell,
                                    .epoch = bq_now(),
                                    .cook = cook,
                                    .context = w};
    w->pool = bq_pool_create(&config, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(w->pool);
    return w;
}

static void close_world(struct world *w)
{
    bq_pool_destroy(w->pool);
    close(w->bell);
    bq_free(w);
}

static void work_off(struct world *w)
{
    while (!bq_pool_is_idle(w->pool)) {
        bq_pool_collect(w->pool, take, w);
        usleep(100);
    }
    bq_pool_collect(w->pool, take, w);
}

static bool is_each_reported_once(const struct world *w, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        if (w->reported[i] != 1)
            return false;
    }
    return true;
}

static void every_chunk_of_many_leases_is_cooked_once(void)
{
    unsigned seed = (unsigned)bq_now();
    printf(" seed %u ", seed);
    for (unsigned n_cooks = 1; n_cooks <= 4; n_cooks++) {
        struct world *w = open_world(n_cooks, 1, false);
        uint64_t at = 0;
        while (at < N) {
            uint64_t n = (uint64_t)(rand_r(&seed) % 700 + 1);
            n = n < N - at ? n : N - at;
            if (bq_pool_add(w->pool, at, n))
                at += n;
            else
                usleep(50);
            bq_pool_collect(w->pool, take, w);
        }
        work_off(w);
        CU_ASSERT_EQUAL(w->n_reported, N);
        CU_ASSERT(is_each_reported_once(w, 0, N));
        CU_ASSERT_EQUAL(w->sum, (uint64_t)N * (N - 1) / 2);
        for (unsigned i = 0; i < N; i++)
            CU_ASSERT_EQUAL_FATAL(atomic_load(&w->cooked[i]), 1);
        close_world(w);
    }
}

static void single_units_are_never_runs(void)
{
    struct world *w = open_world(2, 1, true);
    CU_ASSERT(bq_pool_add(w->pool, 0, 5000));
    work_off(w);
    CU_ASSERT(is_each_reported_once(w, 0, 5000));
    close_world(w);
}

static void a_failing_chunk_takes_no_other_with_it(void)
{
    struct world *w = open_world(3, 1, false);
    w->fail_every = 97;
    CU_ASSERT(bq_pool_add(w->pool, 0, N));
    work_off(w);
    CU_ASSERT_EQUAL(w->n_failed, N / 97 + 1);
    CU_ASSERT(is_each_reported_once(w, 0, N));
    close_world(w);
}

static void one_cook_keeps_many_chunks_open_while_they_wait(void)
{
    struct world *w = open_world(1, 50, false);
    w->wait_ns = 5000000;
    CU_ASSERT(bq_pool_add(w->pool, 0, 200));
    work_off(w);
    CU_ASSERT(is_each_reported_once(w, 0, 200));
    CU_ASSERT_EQUAL(bq_pool_open_max(w->pool), 50);
    close_world(w);
}

static void dropped_chunks_are_not_cooked_and_all_others_are(void)
{
    for (int round = 0; round < 30; round++) {
        struct world *w = open_world(2, 1, false);
        uint64_t from = 0, n = 0;
        CU_ASSERT(bq_pool_add(w->pool, 0, N));
        n = bq_pool_drop(w->pool, N / 3, N - N / 3, &from);
        work_off(w);
        CU_ASSERT_EQUAL(w->n_reported, N - n);
        if (n) {
            CU_ASSERT(from >= N / 3);
            CU_ASSERT_EQUAL(from + n, N);
            for (uint64_t i = from; i < N; i++)
                CU_ASSERT_EQUAL_FATAL(atomic_load(&w->cooked[i]), 0);
            CU_ASSERT(is_each_reported_once(w, 0, from));
        }
        close_world(w);
    }
}

static void a_full_pool_says_no(void)
{
    struct world *w = open_world(1, 1, true);
    w->wait_ns = 200000000;
    unsigned n = 0;
    while (n < 1000 && bq_pool_add(w->pool, n, 1))
        n++;
    CU_ASSERT(n == BQ_POOL_LEASES || n == BQ_POOL_LEASES + 1); /* one may be taken */
    close_world(w);
}

static void a_long_chunk_keeps_no_lease_from_being_added(void)
{
    struct world *w = open_world(2, 1, true);
    w->slow = true; /* chunk 0 ends when all others have */
    for (unsigned i = 0; i < 5 * BQ_POOL_LEASES; i++) {
        while (!bq_pool_add(w->pool, i, 1))
            usleep(10);
        bq_pool_collect(w->pool, take, w);
    }
    while (w->n_reported < 5 * BQ_POOL_LEASES - 1) {
        bq_pool_collect(w->pool, take, w);
        usleep(100);
    }
    CU_ASSERT_EQUAL(w->reported[0], 0);
    atomic_store(&w->may_end, true);
    work_off(w);
    CU_ASSERT(is_each_reported_once(w, 0, 5 * BQ_POOL_LEASES));
    close_world(w);
}

static void the_bell_rings_at_low_water(void)
{
    struct world *w = open_world(1, 1, true);
    bq_pool_low_water(w->pool, 10);
    CU_ASSERT(bq_pool_add(w->pool, 0, 1000));
    uint64_t count = 0;
    while (read(w->bell, &count, sizeof count) != sizeof count)
        usleep(100);
    CU_ASSERT(count > 0);
    work_off(w);
    close_world(w);
}

static void stopping_leaves_work_undone_and_hangs_never(void)
{
    for (int round = 0; round < 20; round++) {
        struct world *w = open_world(3, 4, false);
        w->wait_ns = round % 2 ? 1000000000 : 0;
        CU_ASSERT(bq_pool_add(w->pool, 0, N));
        usleep((useconds_t)(round * 20));
        bq_pool_stop(w->pool);
        close_world(w);
    }
}

static void cooks_that_rest_go_on_with_the_next_shift(void)
{
    struct world *w = open_world(3, 2, false);
    const uint64_t shifts = 50, each = N / shifts;
    for (uint64_t i = 0; i < shifts; i++) {
        uint64_t n_chunks, busy;
        CU_ASSERT(bq_pool_add(w->pool, i * each, each));
        if (i > 0) {
            CU_ASSERT_EQUAL(w->n_reported, i * each); /* nobody began before he was told to */
            bq_pool_resume(w->pool, bq_now());
        }
        work_off(w);
        bq_pool_rest(w->pool);
        bq_pool_count(w->pool, &n_chunks, &busy);
        CU_ASSERT_EQUAL(n_chunks, each);
        for (unsigned c = 0; c < 3; c++)
            CU_ASSERT(bq_pool_track(w->pool, c)->total[BQ_COOKING] < UINT64_C(60000000000));
    }
    CU_ASSERT(is_each_reported_once(w, 0, N));
    CU_ASSERT_EQUAL(w->sum, (uint64_t)N * (N - 1) / 2);
    close_world(w); /* they are woken for the end, too */
}

static void part(void *arg, unsigned part, unsigned n_parts)
{
    struct world *w = arg;
    CU_ASSERT(part < n_parts);
    atomic_fetch_add(&w->n_parts, 1);
}

static enum bq_unit_answer cook_together(void *context, struct bq_unit *unit)
{
    uint64_t sum = unit->node.first;
    bq_pool_team(unit->pool, part, context);
    memcpy(unit->result, &sum, sizeof sum);
    return BQ_UNIT_DONE;
}

static void a_team_works_on_each_chunk_with_all_hands(void)
{
    struct world *w = bq_alloc(1, sizeof *w);
    w->bell = bq_bell_create();
    struct bq_pool_config config = {.n_cooks = 3,
                                    .open = 1,
                                    .is_team = true,
                                    .result_size = sizeof(uint64_t),
                                    .bell = w->bell,
                                    .epoch = bq_now(),
                                    .cook = cook_together,
                                    .context = w};
    w->pool = bq_pool_create(&config, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(w->pool);
    CU_ASSERT(bq_pool_add(w->pool, 0, 500));
    work_off(w);
    CU_ASSERT_EQUAL(atomic_load(&w->n_parts), 1500);
    CU_ASSERT(is_each_reported_once(w, 0, 500));
    close_world(w);
}

static const struct test tests[] = {
    {"every chunk of many leases is cooked once", every_chunk_of_many_leases_is_cooked_once},
    {"single units are never runs", single_units_are_never_runs},
    {"a failing chunk takes no other with it", a_failing_chunk_takes_no_other_with_it},
    {"one cook keeps many chunks open while they wait",
     one_cook_keeps_many_chunks_open_while_they_wait},
    {"dropped chunks are not cooked and all others are",
     dropped_chunks_are_not_cooked_and_all_others_are},
    {"a full pool says no", a_full_pool_says_no},
    {"a long chunk keeps no lease from being added", a_long_chunk_keeps_no_lease_from_being_added},
    {"the bell rings at low water", the_bell_rings_at_low_water},
    {"stopping leaves work undone and hangs never", stopping_leaves_work_undone_and_hangs_never},
    {"cooks that rest go on with the next shift", cooks_that_rest_go_on_with_the_next_shift},
    {"a team works on each chunk with all hands", a_team_works_on_each_chunk_with_all_hands},
};

RUN_TESTS("pool", tests)
