/* What open chunks wait for: descriptors, timers and events, mixed; also built with
 * ThreadSanitizer. */
#include "adapters/pool.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "adapters/clock.h"
#include "adapters/transport.h"
#include "base/heap.h"
#include "cunit.h"

#define N 600
#define HOUR UINT64_C(3600000000000)

/* How a chunk waits. */
enum way {
    TIMER,
    EVENT,
    SHARED,
    OWN,
    LIMITED,
    REGULAR,
    UNKNOWN,
    BOTH,
    N_WAYS,
    LOST = N_WAYS,
    LOSER
};

struct world {
    struct bq_pool *pool;
    int bell;
    int shared;  /* an eventfd that many chunks wait for */
    int regular; /* a regular file */
    enum way ways[N];
    int own[N]; /* descriptors of chunks, -1 when closed */
    atomic_uchar called[N], cooked[N];
    atomic_uint n_waiting; /* chunks that have answered WAITS */
    uint64_t n_reported;
};

static enum bq_unit_answer begin(struct world *w, struct bq_unit *unit, uint64_t chunk)
{
    struct itimerspec soon = {.it_value = {.tv_nsec = 1000000 + (long)(chunk % 7) * 300000}};
    unit->wait_ns = BQ_POOL_EVENT;
    unit->wait_events = POLLIN;
    switch (w->ways[chunk]) {
    case TIMER:
        unit->wait_ns = (chunk % 9) * 100000;
        break;
    case EVENT: /* brought before the answer, and by another thread in a later test */
        bq_pool_ready(unit->pool, unit->cook, unit->slot);
        break;
    case SHARED:
        unit->wait_fd = w->shared;
        break;
    case OWN:
        unit->wait_fd = w->own[chunk] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
        timerfd_settime(w->own[chunk], 0, &soon, NULL);
        break;
    case LIMITED: /* never written to */
        unit->wait_fd = w->own[chunk] = eventfd(0, EFD_NONBLOCK);
        unit->wait_ns = 2000000;
        break;
    case REGULAR:
        unit->wait_fd = w->regular;
        break;
    case UNKNOWN:
        unit->wait_fd = 1 << 20; /* no such descriptor */
        break;
    case BOTH: /* the descriptor comes long before the timer */
        unit->wait_fd = w->own[chunk] = eventfd(1, EFD_NONBLOCK);
        unit->wait_ns = HOUR;
        break;
    case LOSER: /* closes chunk 0's */
        unit->wait_ns = 1000000;
        break;
    case LOST:
        unit->wait_fd = w->own[chunk] = eventfd(0, EFD_NONBLOCK);
        break;
    }
    atomic_fetch_add(&w->n_waiting, 1);
    return BQ_UNIT_WAITS;
}

static enum bq_unit_answer cook(void *context, struct bq_unit *unit)
{
    struct world *w = context;
    uint64_t chunk = unit->node.first, got = 0;
    atomic_fetch_add(&w->called[chunk], 1);
    if (unit->stage == 0)
        return begin(w, unit, chunk);
    /* A descriptor that was to be ready is. */
    if (w->ways[chunk] == OWN || w->ways[chunk] == BOTH) {
        if (read(w->own[chunk], &got, sizeof got) != sizeof got)
            return BQ_UNIT_FAILED;
    }
    if (w->ways[chunk] == LOSER)
        close(w->own[0]);
    struct pollfd shared = {.fd = w->shared, .events = POLLIN};
    if (w->ways[chunk] == SHARED && poll(&shared, 1, 0) != 1)
        return BQ_UNIT_FAILED;
    if (w->own[chunk] >= 0 && w->ways[chunk] != LOST)
        close(w->own[chunk]);
    w->own[chunk] = -1;
    atomic_fetch_add(&w->cooked[chunk], 1);
    memcpy(unit->result, &chunk, sizeof chunk);
    return BQ_UNIT_DONE;
}

static void take(void *context, const struct bq_finished *finished)
{
    struct world *w = context;
    CU_ASSERT_FALSE(finished->is_failed);
    w->n_reported += bq_node_size(finished->node);
}

static struct world *open_world(unsigned n_cooks, unsigned open)
{
    char name[] = "/tmp/banquet-wait-XXXXXX";
    struct world *w = bq_alloc(1, sizeof *w);
    w->bell = bq_bell_create();
    w->shared = eventfd(0, EFD_NONBLOCK);
    w->regular = mkstemp(name);
    unlink(name);
    for (unsigned i = 0; i < N; i++)
        w->own[i] = -1;
    struct bq_pool_config config = {.n_cooks = n_cooks,
                                    .open = open,
                                    .is_single = true,
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
    for (unsigned i = 0; i < N; i++) {
        if (w->own[i] >= 0)
            close(w->own[i]);
    }
    close(w->bell);
    close(w->shared);
    close(w->regular);
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

static bool is_each_cooked_once_after_one_wait(struct world *w, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (atomic_load(&w->cooked[i]) != 1 || atomic_load(&w->called[i]) != 2)
            return false;
    }
    return w->n_reported == n;
}

static void chunks_that_wait_in_all_ways_are_each_called_once_more(void)
{
    unsigned seed = (unsigned)bq_now();
    printf(" seed %u ", seed);
    for (unsigned round = 0; round < 12; round++) {
        struct world *w = open_world(round % 3 + 1, (unsigned[]){1, 7, 200, 600}[round / 3]);
        for (unsigned i = 0; i < N; i++)
            w->ways[i] = (enum way)(rand_r(&seed) % N_WAYS);
        uint64_t one = 1;
        CU_ASSERT_EQUAL(write(w->shared, &one, sizeof one), sizeof one);
        CU_ASSERT(bq_pool_add(w->pool, 0, N));
        work_off(w);
        CU_ASSERT(is_each_cooked_once_after_one_wait(w, N));
        close_world(w);
    }
}

static void one_descriptor_wakes_all_that_wait_for_it(void)
{
    struct world *w = open_world(2, 100);
    for (unsigned i = 0; i < N; i++)
        w->ways[i] = SHARED;
    CU_ASSERT(bq_pool_add(w->pool, 0, 200));
    while (atomic_load(&w->n_waiting) < 200)
        usleep(100);
    CU_ASSERT_EQUAL(bq_pool_open_max(w->pool), 200);
    bq_pool_collect(w->pool, take, w);
    CU_ASSERT_EQUAL(w->n_reported, 0); /* nothing was written yet */
    uint64_t one = 1;
    CU_ASSERT_EQUAL(write(w->shared, &one, sizeof one), sizeof one);
    work_off(w);
    CU_ASSERT(is_each_cooked_once_after_one_wait(w, 200));
    close_world(w);
}

static void a_cook_that_watches_takes_new_leases(void)
{
    struct world *w = open_world(1, 8);
    w->ways[0] = SHARED;
    CU_ASSERT(bq_pool_add(w->pool, 0, 1));
    while (atomic_load(&w->n_waiting) < 1)
        usleep(100);
    for (unsigned i = 1; i <= 50; i++) {
        w->ways[i] = TIMER;
        CU_ASSERT(bq_pool_add(w->pool, i, 1));
        while (atomic_load(&w->cooked[i]) == 0) /* or this test ends here, by its time limit */
            usleep(50);
    }
    uint64_t one = 1;
    CU_ASSERT_EQUAL(write(w->shared, &one, sizeof one), sizeof one);
    work_off(w);
    CU_ASSERT(is_each_cooked_once_after_one_wait(w, 51));
    close_world(w);
}

static void a_descriptor_that_is_closed_meanwhile_keeps_nobody_waiting(void)
{
    struct world *w = open_world(1, 4);
    w->ways[0] = LOST;
    w->ways[1] = LOSER; /* the same cook's */
    CU_ASSERT(bq_pool_add(w->pool, 0, 2));
    work_off(w);
    CU_ASSERT(is_each_cooked_once_after_one_wait(w, 2));
    close_world(w);
}

static void stopping_wakes_a_cook_that_watches(void)
{
    for (unsigned round = 0; round < 20; round++) {
        struct world *w = open_world(2, 50);
        for (unsigned i = 0; i < N; i++)
            w->ways[i] = i % 3 ? SHARED : OWN;
        CU_ASSERT(bq_pool_add(w->pool, 0, N));
        usleep(round * 200);
        bq_pool_stop(w->pool);
        close_world(w);
    }
}

static const struct test tests[] = {
    {"chunks that wait in all ways are each called once more",
     chunks_that_wait_in_all_ways_are_each_called_once_more},
    {"one descriptor wakes all that wait for it", one_descriptor_wakes_all_that_wait_for_it},
    {"a cook that watches takes new leases", a_cook_that_watches_takes_new_leases},
    {"a descriptor that is closed meanwhile keeps nobody waiting",
     a_descriptor_that_is_closed_meanwhile_keeps_nobody_waiting},
    {"stopping wakes a cook that watches", stopping_wakes_a_cook_that_watches},
};

RUN_TESTS("pool_wait", tests)
