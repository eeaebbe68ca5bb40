/* Leases: how the manager puts chunks in and how cooks take them out. */
#include "adapters/pool_internal.h"

#include "adapters/transport.h"

#define OFFSET_MASK (BQ_LEASE_MOST - 1)
#define GENERATION(h) (((h)&0xffffff) << 40)

/* A run may be at most this share of what a cook would get of the rest of the lease, so that all
 * cooks end together. */
#define RUNS_LEFT 4

static unsigned fitting_level(const struct bq_pool *pool, unsigned level, uint64_t left)
{
    uint64_t share = left / (RUNS_LEFT * pool->config.n_cooks);
    unsigned most = share ? 63 - (unsigned)__builtin_clzll(share) : 0;
    return level < most ? level : most;
}

static void took(struct bq_pool *pool, uint64_t size)
{
    uint64_t left = atomic_fetch_sub(&pool->n_unstarted, size) - size;
    if (left <= atomic_load_explicit(&pool->low_water, memory_order_relaxed) &&
        !atomic_load_explicit(&pool->has_rung, memory_order_relaxed) &&
        !atomic_exchange(&pool->has_rung, true))
        bq_bell_ring(pool->config.bell);
}

bool bq_pool_take(struct bq_pool *pool, unsigned level, struct bq_node *node)
{
    uint64_t h = atomic_load(&pool->head);
    for (;;) {
        if (h == atomic_load(&pool->tail))
            return false;
        struct bq_pool_lease *lease = &pool->lease[h % BQ_POOL_LEASES];
        uint64_t cursor = atomic_load(&lease->cursor);
        uint64_t first = atomic_load_explicit(&lease->first, memory_order_relaxed);
        uint64_t count = atomic_load_explicit(&lease->count, memory_order_relaxed);
        if ((cursor & ~OFFSET_MASK) != GENERATION(h)) {
            h = atomic_load(&pool->head);
            continue;
        }
        uint64_t at = cursor & OFFSET_MASK;
        if (at >= count) {
            /* On failure h becomes the present head. */
            if (atomic_compare_exchange_strong(&pool->head, &h, h + 1))
                h++;
            continue;
        }
        uint64_t run = UINT64_C(1) << fitting_level(pool, level, count - at);
        uint64_t end = first + at + (run < count - at ? run : count - at);
        *node = bq_node_largest(first + at, end);
        uint64_t size = bq_node_size(*node);
        if (atomic_compare_exchange_weak(&lease->cursor, &cursor, cursor + size)) {
            took(pool, size);
            return true;
        }
    }
}

bool bq_pool_add(struct bq_pool *pool, uint64_t first, uint64_t count)
{
    uint64_t tail = atomic_load(&pool->tail);
    struct bq_pool_lease *lease = &pool->lease[tail % BQ_POOL_LEASES];
    if (count == 0 || count >= OFFSET_MASK || tail - atomic_load(&pool->head) >= BQ_POOL_LEASES)
        return false;
    /* Closed while it changes: a cook that still looks at the slot's last lease, which was taken to
     * the end, might otherwise read the new count beside the old cursor and win its swap. */
    atomic_store(&lease->cursor, GENERATION(tail) | OFFSET_MASK);
    atomic_store_explicit(&lease->first, first, memory_order_relaxed);
    atomic_store_explicit(&lease->count, count, memory_order_relaxed);
    atomic_fetch_add(&pool->n_left, count);
    atomic_fetch_add(&pool->n_unstarted, count);
    atomic_store(&pool->has_rung, false);
    atomic_store(&lease->cursor, GENERATION(tail));
    atomic_store(&pool->tail, tail + 1);
    bq_pool_wake(pool);
    return true;
}

/* Takes everything that is left of a lease, as a cook would; returns how many. */
static uint64_t take_rest(struct bq_pool *pool, uint64_t h, uint64_t *from)
{
    struct bq_pool_lease *lease = &pool->lease[h % BQ_POOL_LEASES];
    uint64_t cursor = atomic_load(&lease->cursor), count = atomic_load(&lease->count), at;
    do {
        at = cursor & OFFSET_MASK;
        if (at >= count)
            return 0;
    } while (!atomic_compare_exchange_weak(&lease->cursor, &cursor, GENERATION(h) | count));
    *from = atomic_load(&lease->first) + at;
    atomic_fetch_sub(&pool->n_unstarted, count - at);
    atomic_fetch_sub(&pool->n_left, count - at);
    return count - at;
}

uint64_t bq_pool_drop(struct bq_pool *pool, uint64_t first, uint64_t count, uint64_t *from)
{
    uint64_t tail = atomic_load(&pool->tail);
    for (uint64_t h = atomic_load(&pool->head); h != tail; h++) {
        struct bq_pool_lease *lease = &pool->lease[h % BQ_POOL_LEASES];
        uint64_t begin = atomic_load(&lease->first), end = begin + atomic_load(&lease->count);
        if (first >= end || first + count < end || first + count <= begin)
            continue;
        /* Room for what is kept, which goes back as a lease of its own. */
        if (tail - atomic_load(&pool->head) >= BQ_POOL_LEASES)
            return 0;
        uint64_t rest, n = take_rest(pool, h, &rest);
        if (n == 0)
            continue;
        uint64_t keep = first > rest ? first - rest : 0;
        if (keep)
            bq_pool_add(pool, rest, keep);
        *from = rest + keep;
        return n - keep;
    }
    return 0;
}

void bq_pool_low_water(struct bq_pool *pool, uint64_t n)
{
    atomic_store(&pool->low_water, n);
}

uint64_t bq_pool_unstarted(const struct bq_pool *pool)
{
    return atomic_load(&pool->n_unstarted);
}
