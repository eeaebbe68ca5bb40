/* Creation, counting and the end of a pool. */
#include "adapters/pool.h"

#include <string.h>

#include "adapters/affinity.h"
#include "adapters/pool_internal.h"
#include "base/heap.h"

#define RING_MOST 1024
#define RING_BYTES (512u << 10) /* per cook, unless 4 entries need more */

static void ring_size(struct bq_ring *ring, size_t result_size)
{
    ring->stride = (sizeof(struct bq_ring_entry) + result_size + 63) / 64 * 64;
    ring->n = RING_MOST;
    while (ring->n > 4 && ring->n * ring->stride > RING_BYTES)
        ring->n /= 2;
}

size_t bq_pool_memory(unsigned open, size_t result_size)
{
    struct bq_ring ring;
    ring_size(&ring, result_size);
    return ring.n * ring.stride + open * (result_size + 64) + bq_waits_memory(open);
}

static int ring_create(struct bq_ring *ring, size_t result_size)
{
    ring_size(ring, result_size);
    ring->entries = bq_alloc(ring->n, ring->stride);
    return ring->entries ? 0 : -1;
}

static int cook_create(struct bq_pool *pool, unsigned index)
{
    struct bq_cook *cook = &pool->cooks[index];
    size_t stride = (pool->config.result_size + 63) / 64 * 64;
    cook->pool = pool;
    cook->index = index;
    cook->most_used = pool->config.open;
    cook->results = bq_alloc(pool->config.open, stride);
    if (bq_waits_create(&cook->waits, pool->config.open) < 0 || !cook->results ||
        ring_create(&cook->ring, pool->config.result_size) < 0)
        return -1;
    for (unsigned i = 0; i < pool->config.open; i++)
        cook->waits.slots[i].unit = (struct bq_unit){.cook = index,
                                                     .slot = i,
                                                     .result = cook->results + i * stride,
                                                     .meter = &cook->meter,
                                                     .pool = pool};
    return 0;
}

static int cook_start(struct bq_cook *cook)
{
    const int *core = cook->pool->config.core;
    pthread_attr_t attr;
    if (pthread_attr_init(&attr))
        return -1;
    if (core)
        bq_affinity_attr(&attr, core[cook->index]);
    int code = pthread_create(&cook->thread, &attr, bq_cook_main, cook);
    pthread_attr_destroy(&attr);
    cook->is_started = code == 0;
    return code ? -1 : 0;
}

struct bq_pool *bq_pool_create(const struct bq_pool_config *config, struct bq_error *err)
{
    struct bq_pool *pool = bq_alloc(1, sizeof *pool);
    if (!pool) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory for the cooks");
        return NULL;
    }
    pool->config = *config;
    pool->config.is_single |= config->is_team;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_cond_init(&pool->shift, NULL);
    pool->n_shifts = 1;
    bq_team_create(&pool->team);
    pool->cooks = bq_alloc(config->n_cooks, sizeof *pool->cooks);
    for (unsigned i = 0; i < config->n_cooks; i++) {
        if (!pool->cooks || cook_create(pool, i) < 0) {
            bq_fail(err, BQ_EXIT_FAILED, "out of memory for %u cooks", config->n_cooks);
            bq_pool_destroy(pool);
            return NULL;
        }
    }
    for (unsigned i = 0; i < config->n_cooks; i++) {
        if (cook_start(&pool->cooks[i]) < 0) {
            bq_fail(err, BQ_EXIT_FAILED,
                    "cannot start cook %u of %u: the system allows no more threads (ulimit -u)", i,
                    config->n_cooks);
            bq_pool_destroy(pool);
            return NULL;
        }
    }
    return pool;
}

bool bq_pool_is_idle(const struct bq_pool *pool)
{
    if (atomic_load(&pool->n_left) > 0)
        return false;
    for (unsigned i = 0; i < pool->config.n_cooks; i++) {
        const struct bq_ring *ring = &pool->cooks[i].ring;
        if (atomic_load(&ring->head) != atomic_load(&ring->tail))
            return false;
    }
    return true;
}

void bq_pool_count(const struct bq_pool *pool, uint64_t *n_chunks, uint64_t *busy_ns)
{
    *n_chunks = *busy_ns = 0;
    for (unsigned i = 0; i < pool->config.n_cooks; i++) {
        *n_chunks += atomic_load_explicit(&pool->cooks[i].n_chunks, memory_order_relaxed);
        *busy_ns += atomic_load_explicit(&pool->cooks[i].busy_ns, memory_order_relaxed);
    }
}

uint64_t bq_pool_open_max(const struct bq_pool *pool)
{
    return atomic_load(&pool->n_open_max);
}

bool bq_pool_is_stopping(const struct bq_pool *pool)
{
    return atomic_load_explicit(&pool->is_stopping, memory_order_relaxed);
}

/* -- shifts ------------------------------------------------------------------------------- */

static void end_shift(struct bq_pool *pool, bool is_last)
{
    atomic_store(&pool->is_stopping, true);
    bq_pool_wake(pool);
    pthread_mutex_lock(&pool->lock);
    pool->is_ending = is_last;
    pthread_cond_broadcast(&pool->shift);
    while (!is_last && pool->n_off < pool->config.n_cooks)
        pthread_cond_wait(&pool->shift, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void bq_pool_rest(struct bq_pool *pool)
{
    end_shift(pool, false);
}

void bq_pool_resume(struct bq_pool *pool, uint64_t epoch)
{
    for (unsigned i = 0; i < pool->config.n_cooks; i++) {
        atomic_store(&pool->cooks[i].n_chunks, 0);
        atomic_store(&pool->cooks[i].busy_ns, 0);
    }
    atomic_store(&pool->n_open_max, 0);
    atomic_store(&pool->is_stopping, false);
    pthread_mutex_lock(&pool->lock);
    pool->config.epoch = epoch;
    pool->n_off = 0;
    pool->n_shifts++;
    pthread_cond_broadcast(&pool->shift);
    pthread_mutex_unlock(&pool->lock);
}

void bq_pool_stop_begin(struct bq_pool *pool)
{
    end_shift(pool, true);
}

/* Of a team the leader counts: the others work in its chunks only. */
bool bq_pool_has_stopped(struct bq_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool has = pool->n_off >= (pool->config.is_team ? 1 : pool->config.n_cooks);
    pthread_mutex_unlock(&pool->lock);
    return has;
}

void bq_pool_stop(struct bq_pool *pool)
{
    end_shift(pool, true);
    /* The leader first: it may still need its team. */
    for (unsigned i = 0; pool->cooks && i < pool->config.n_cooks; i++) {
        struct bq_cook *cook = &pool->cooks[i];
        if (cook->is_started)
            pthread_join(cook->thread, NULL);
        cook->is_started = false;
        if (i == 0)
            bq_team_end(&pool->team);
    }
}

const struct bq_track *bq_pool_track(const struct bq_pool *pool, unsigned cook)
{
    return &pool->cooks[cook].meter.track;
}

uint64_t bq_pool_cook_chunks(const struct bq_pool *pool, unsigned cook)
{
    return atomic_load(&pool->cooks[cook].n_chunks);
}

void bq_pool_destroy(struct bq_pool *pool)
{
    if (!pool)
        return;
    bq_pool_stop(pool);
    for (unsigned i = 0; pool->cooks && i < pool->config.n_cooks; i++) {
        bq_waits_destroy(&pool->cooks[i].waits);
        bq_free(pool->cooks[i].results);
        bq_free(pool->cooks[i].ring.entries);
    }
    bq_team_destroy(&pool->team);
    pthread_cond_destroy(&pool->wake);
    pthread_cond_destroy(&pool->shift);
    pthread_mutex_destroy(&pool->lock);
    bq_free(pool->cooks);
    bq_free(pool);
}
