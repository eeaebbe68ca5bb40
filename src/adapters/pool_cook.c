/* A cook: take, cook, hand over; turn to another chunk while one waits; sleep when there is none.
 */
#include "adapters/pool_internal.h"

#include <string.h>

#include "adapters/affinity.h"
#include "adapters/clock.h"
#include "adapters/transport.h"

#define RUN_NS 64000.0 /* a run of tiny chunks takes about this long */

static struct bq_ring_entry *entry_at(struct bq_ring *ring, unsigned i)
{
    return (struct bq_ring_entry *)(ring->entries + (size_t)(i & (ring->n - 1)) * ring->stride);
}

static bool has_room(struct bq_cook *cook)
{
    struct bq_ring *ring = &cook->ring;
    return atomic_load(&ring->head) - atomic_load(&ring->tail) < ring->n;
}

static bool has_work(struct bq_cook *cook)
{
    return atomic_load(&cook->pool->n_unstarted) > 0;
}

static bool is_any_ready(struct bq_cook *cook)
{
    return atomic_load(&cook->waits.came) != NULL;
}

static bool has_work_or_ready(struct bq_cook *cook)
{
    return has_work(cook) || is_any_ready(cook);
}

/* Hands a finished unit to the manager. */
static void hand_over(struct bq_cook *cook, const struct bq_unit *unit, bool is_failed)
{
    struct bq_pool *pool = cook->pool;
    struct bq_ring *ring = &cook->ring;
    if (!has_room(cook)) {
        bq_meter_enter(&cook->meter, BQ_PHASE_PASS);
        while (!has_room(cook) && !bq_pool_is_stopping(pool)) {
            atomic_store(&pool->is_ring_full, true);
            bq_bell_ring(pool->config.bell);
            bq_pool_sleep(cook, has_room, UINT64_MAX);
        }
        bq_meter_enter(&cook->meter, BQ_PHASE_BUSY);
        if (!has_room(cook)) { /* stopping: bq_pool_collect finds it when this thread has ended */
            cook->left_over = *unit;
            cook->left_over_failed = is_failed;
            cook->has_left_over = true;
            return;
        }
    }
    unsigned head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    struct bq_ring_entry *entry = entry_at(ring, head);
    entry->node = unit->node;
    entry->is_failed = is_failed;
    entry->payload = unit->payload;
    if (pool->config.result_size && !is_failed)
        memcpy(entry->result, unit->result, pool->config.result_size);
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    unsigned n = head + 1 - atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (unit->payload || is_failed || n == ring->n / 2)
        bq_bell_ring(pool->config.bell);
}

static void settle(struct bq_pool *pool, uint64_t n)
{
    if (atomic_fetch_sub(&pool->n_left, n) == n)
        bq_bell_ring(pool->config.bell);
}

/* A run of chunks in which one failed: each by itself, so that only that one is lost. */
static void cook_singly(struct bq_cook *cook, struct bq_unit *unit)
{
    struct bq_node node = unit->node;
    for (uint64_t i = 0; i < bq_node_size(node) && !bq_pool_is_stopping(cook->pool); i++) {
        unit->node = (struct bq_node){.first = node.first + i, .level = 0};
        unit->payload = NULL;
        unit->may_wait = false;
        enum bq_unit_answer answer = cook->pool->config.cook(cook->pool->config.context, unit);
        hand_over(cook, unit, answer != BQ_UNIT_DONE);
    }
    unit->node = node;
}

static void measure(struct bq_cook *cook, const struct bq_slot *slot, uint64_t now)
{
    double n = (double)bq_node_size(slot->unit.node);
    double each = (double)(now - slot->opened) / n;
    cook->tau = cook->tau > 0 ? cook->tau + (each - cook->tau) / 4 : each;
    uint64_t chunks = atomic_load_explicit(&cook->n_chunks, memory_order_relaxed);
    uint64_t busy = atomic_load_explicit(&cook->busy_ns, memory_order_relaxed);
    atomic_store_explicit(&cook->n_chunks, chunks + (uint64_t)n, memory_order_relaxed);
    atomic_store_explicit(&cook->busy_ns, busy + (now - slot->opened), memory_order_relaxed);
    if (cook->pool->config.is_single)
        return;
    if (cook->tau * 2 * (double)(UINT64_C(1) << cook->level) <= RUN_NS)
        cook->level += cook->level < BQ_POOL_MAX_LEVEL;
    else if (cook->tau * (double)(UINT64_C(1) << cook->level) > RUN_NS && cook->level > 0)
        cook->level--;
}

static void work_on(struct bq_cook *cook, struct bq_slot *slot)
{
    struct bq_pool *pool = cook->pool;
    struct bq_unit *unit = &slot->unit;
    unit->wait_fd = -1;
    enum bq_unit_answer answer = pool->config.cook(pool->config.context, unit);
    uint64_t now = bq_now();
    if (answer == BQ_UNIT_WAITS) {
        unit->stage++;
        bq_waits_add(&cook->waits, slot, now);
        return;
    }
    if (answer == BQ_UNIT_FAILED && unit->node.level > 0)
        cook_singly(cook, unit);
    else
        hand_over(cook, unit, answer != BQ_UNIT_DONE);
    measure(cook, slot, now);
    bq_meter_tick(&cook->meter, now);
    bq_meter_open(&cook->meter, slot->opened, now);
    atomic_fetch_sub_explicit(&pool->n_open, 1, memory_order_relaxed);
    bq_waits_vacate(&cook->waits, slot);
    cook->n_used--;
    settle(pool, bq_node_size(unit->node));
}

/* Opens the next chunk, if there is one and this cook may: NULL if not. */
static struct bq_slot *take(struct bq_cook *cook)
{
    struct bq_pool *pool = cook->pool;
    struct bq_slot *slot = cook->waits.vacant;
    if (cook->n_used >= cook->most_used || !slot ||
        !bq_pool_take(pool, cook->level, &slot->unit.node))
        return NULL;
    cook->waits.vacant = slot->next;
    cook->n_used++;
    slot->opened =
        cook->meter.phase == BQ_PHASE_BUSY ? bq_now() : bq_meter_enter(&cook->meter, BQ_PHASE_BUSY);
    slot->unit.stage = 0;
    slot->unit.payload = NULL;
    slot->unit.may_wait = slot->unit.node.level == 0;
    uint64_t n = atomic_fetch_add_explicit(&pool->n_open, 1, memory_order_relaxed) + 1;
    uint64_t most = atomic_load_explicit(&pool->n_open_max, memory_order_relaxed);
    while (n > most && !atomic_compare_exchange_weak(&pool->n_open_max, &most, n))
        ;
    return slot;
}

static void rest(struct bq_cook *cook)
{
    const struct bq_waits *waits = &cook->waits;
    if (cook->n_used == 0) {
        bq_meter_enter(&cook->meter, BQ_PHASE_IDLE);
        bq_pool_sleep(cook, has_work, UINT64_MAX);
        return;
    }
    bq_meter_enter(&cook->meter,
                   waits->n_timers || waits->n_watched ? BQ_PHASE_OVEN : BQ_PHASE_FILE);
    bq_waits_sleep(cook, cook->n_used < cook->most_used ? has_work_or_ready : is_any_ready);
}

static void serve(struct bq_cook *cook)
{
    struct bq_waits *waits = &cook->waits;
    while (!bq_pool_is_stopping(cook->pool)) {
        struct bq_slot *slot = NULL;
        if (!waits->ready && cook->n_used)
            bq_waits_gather(waits);
        if (!waits->ready || cook->is_ahead)
            slot = take(cook);
        if (!slot && waits->ready) {
            slot = bq_waits_next(waits);
            bq_meter_enter(&cook->meter, BQ_PHASE_BUSY);
        }
        if (slot)
            work_on(cook, slot);
        else
            rest(cook);
    }
}

void bq_pool_keep_open(struct bq_unit *unit, unsigned n, bool is_ahead)
{
    struct bq_cook *cook = &unit->pool->cooks[unit->cook];
    unsigned open = unit->pool->config.open;
    cook->most_used = n < 1 ? 1 : n > open ? open : n;
    cook->is_ahead = is_ahead;
}

void bq_pool_call_manager(struct bq_pool *pool)
{
    bq_bell_ring(pool->config.bell);
}

/* Between two shifts: sleeps until the next begins, or none will. */
static bool has_another(struct bq_cook *cook, uint64_t shift)
{
    struct bq_pool *pool = cook->pool;
    pthread_mutex_lock(&pool->lock);
    if (++pool->n_off == pool->config.n_cooks)
        pthread_cond_broadcast(&pool->shift);
    if (pool->is_ending)
        bq_bell_ring(pool->config.bell);
    while (pool->n_shifts == shift && !pool->is_ending)
        pthread_cond_wait(&pool->shift, &pool->lock);
    bool is_another = pool->n_shifts != shift;
    pthread_mutex_unlock(&pool->lock);
    return is_another;
}

void *bq_cook_main(void *arg)
{
    struct bq_cook *cook = arg;
    uint64_t shift = 1;
    bq_affinity_compute();
    bq_meter_create(&cook->meter);
    do {
        bq_meter_start(&cook->meter, cook->pool->config.epoch);
        if (cook->pool->config.is_team && cook->index > 0)
            bq_team_member(cook);
        else
            serve(cook);
        bq_meter_stop(&cook->meter);
    } while (has_another(cook, shift++));
    bq_meter_destroy(&cook->meter);
    return NULL;
}

void bq_pool_collect(struct bq_pool *pool, void (*hand)(void *context, const struct bq_finished *),
                     void *context)
{
    for (unsigned c = 0; c < pool->config.n_cooks; c++) {
        struct bq_ring *ring = &pool->cooks[c].ring;
        unsigned head = atomic_load_explicit(&ring->head, memory_order_acquire);
        unsigned tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        for (; tail != head; tail++) {
            struct bq_ring_entry *entry = entry_at(ring, tail);
            hand(context, &(struct bq_finished){.node = entry->node,
                                                .is_failed = entry->is_failed,
                                                .result = entry->result,
                                                .payload = entry->payload});
        }
        atomic_store(&ring->tail, tail);
        struct bq_cook *cook = &pool->cooks[c];
        if (!cook->is_started && cook->has_left_over) {
            cook->has_left_over = false;
            hand(context, &(struct bq_finished){.node = cook->left_over.node,
                                                .is_failed = cook->left_over_failed,
                                                .result = cook->left_over.result,
                                                .payload = cook->left_over.payload});
        }
    }
    if (atomic_exchange(&pool->is_ring_full, false))
        bq_pool_wake(pool);
}
