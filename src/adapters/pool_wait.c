/* What a cook's open chunks wait for, and how the cook sleeps meanwhile.
 *
 *     vacant -> (cooked) -> waits for an event    bq_pool_ready puts it on `came`
 *        ^                  waits for its timer   in a heap, the first that ends on top
 *        |                  waits for a descriptor in the cook's epoll, maybe with a timer
 *        |                           |
 *        +-- finished <-- (cooked) <-+ ready: a list, first come first served
 *
 * The one rule: nothing here looks at all open chunks, so that a cook may keep thousands.
 *
 * A descriptor is watched from the answer that names it until its chunk is called again, never
 * longer: between its calls a kernel may not close it, within them it may.
 */
#include "adapters/pool_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "adapters/clock.h"
#include "adapters/transport.h"
#include "base/heap.h"

#define AT_ONCE 64          /* descriptors that are asked about in one go */
#define NAP_NS 1000000      /* until a chunk whose descriptor cannot be watched is called again */
#define PATIENCE 1000000000 /* ns; then watched descriptors are looked after: see look_after */
#define NO_TIMER UINT_MAX

size_t bq_waits_memory(unsigned open)
{
    return open * (sizeof(struct bq_slot) + sizeof(struct bq_slot *));
}

int bq_waits_create(struct bq_waits *waits, unsigned open)
{
    waits->open = open;
    waits->epoll = waits->bell = -1;
    waits->last_ready = &waits->ready;
    waits->slots = bq_alloc(open, sizeof *waits->slots);
    waits->timers = bq_alloc(open, sizeof(struct bq_slot *));
    if (!waits->slots || !waits->timers)
        return -1;
    for (unsigned i = open; i-- > 0;) {
        waits->slots[i].timer = NO_TIMER;
        waits->slots[i].watched = -1;
        bq_waits_vacate(waits, &waits->slots[i]);
    }
    return 0;
}

void bq_waits_destroy(struct bq_waits *waits)
{
    for (unsigned i = 0; waits->slots && i < waits->open; i++) {
        if (waits->slots[i].is_copy)
            close(waits->slots[i].watched);
    }
    if (waits->epoll >= 0)
        close(waits->epoll);
    if (waits->bell >= 0)
        close(waits->bell);
    bq_free(waits->slots);
    bq_free(waits->timers);
}

/* -- lists -------------------------------------------------------------------------------- */

void bq_waits_vacate(struct bq_waits *waits, struct bq_slot *slot)
{
    slot->next = waits->vacant;
    waits->vacant = slot;
}

static void push_ready(struct bq_waits *waits, struct bq_slot *slot)
{
    slot->next = NULL;
    *waits->last_ready = slot;
    waits->last_ready = &slot->next;
}

struct bq_slot *bq_waits_next(struct bq_waits *waits)
{
    struct bq_slot *slot = waits->ready;
    waits->ready = slot->next;
    if (!waits->ready)
        waits->last_ready = &waits->ready;
    return slot;
}

/* -- timers: a binary heap ---------------------------------------------------------------- */

static void put(struct bq_waits *waits, unsigned at, struct bq_slot *slot)
{
    waits->timers[at] = slot;
    slot->timer = at;
}

static void sift(struct bq_waits *waits, unsigned at, struct bq_slot *slot)
{
    for (unsigned up; at > 0 && slot->wake < waits->timers[up = (at - 1) / 2]->wake; at = up)
        put(waits, at, waits->timers[up]);
    for (unsigned down; (down = 2 * at + 1) < waits->n_timers; at = down) {
        down +=
            down + 1 < waits->n_timers && waits->timers[down + 1]->wake < waits->timers[down]->wake;
        if (slot->wake <= waits->timers[down]->wake)
            break;
        put(waits, at, waits->timers[down]);
    }
    put(waits, at, slot);
}

static void set_timer(struct bq_waits *waits, struct bq_slot *slot, uint64_t wake)
{
    slot->wake = wake;
    sift(waits, waits->n_timers++, slot);
}

static void clear_timer(struct bq_waits *waits, struct bq_slot *slot)
{
    unsigned at = slot->timer;
    if (at == NO_TIMER)
        return;
    slot->timer = NO_TIMER;
    struct bq_slot *last = waits->timers[--waits->n_timers];
    if (last != slot)
        sift(waits, at, last);
}

/* -- descriptors -------------------------------------------------------------------------- */

/* Systems let a program have 1024 descriptors unless it asks for more: each open chunk needs some.
 */
static void allow_many(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_epoll(struct bq_waits *waits)
{
    if (waits->epoll < 0) {
        allow_many();
        waits->epoll = epoll_create1(EPOLL_CLOEXEC);
    }
    if (waits->bell < 0)
        waits->bell = bq_bell_create();
    return waits->epoll < 0 || waits->bell < 0 ? -1 : 0;
}

/* poll's events are epoll's. Once: a chunk is called once for each wait. */
static int ask_for(struct bq_waits *waits, int operation, int fd, struct bq_slot *slot)
{
    struct epoll_event event = {.events = (unsigned short)slot->unit.wait_events | EPOLLONESHOT,
                                .data.ptr = slot};
    return epoll_ctl(waits->epoll, operation, fd, &event) < 0 ? errno : 0;
}

/* Begins to watch, or says why not. */
static int watch(struct bq_waits *waits, struct bq_slot *slot)
{
    int fd = slot->unit.wait_fd;
    if (open_epoll(waits) < 0)
        return errno;
    int why = ask_for(waits, EPOLL_CTL_ADD, fd, slot);
    slot->is_copy = why == EEXIST; /* another of this cook's chunks waits for it too */
    if (slot->is_copy) {
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        why = fd < 0 ? errno : ask_for(waits, EPOLL_CTL_ADD, fd, slot);
        if (why && fd >= 0)
            close(fd);
    }
    if (why) {
        slot->is_copy = false;
        return why;
    }
    slot->watched = fd;
    waits->n_watched++;
    return 0;
}

static void unwatch(struct bq_waits *waits, struct bq_slot *slot)
{
    if (slot->watched < 0)
        return;
    struct epoll_event unused = {0};
    epoll_ctl(waits->epoll, EPOLL_CTL_DEL, slot->watched, &unused);
    if (slot->is_copy)
        close(slot->watched);
    slot->is_copy = false;
    slot->watched = -1;
    waits->n_watched--;
}

static void end_wait(struct bq_waits *waits, struct bq_slot *slot)
{
    clear_timer(waits, slot);
    unwatch(waits, slot);
    push_ready(waits, slot);
}

void bq_waits_add(struct bq_waits *waits, struct bq_slot *slot, uint64_t now)
{
    const struct bq_unit *unit = &slot->unit;
    uint64_t wait = unit->wait_ns;
    int why = unit->wait_fd >= 0 ? watch(waits, slot) : 0;
    if (why == EPERM) { /* a regular file: read and write never wait, says poll */
        push_ready(waits, slot);
        return;
    }
    if (why) /* no memory, no descriptor is left: it will see for itself */
        wait = wait < NAP_NS ? wait : NAP_NS;
    if (wait != BQ_POOL_EVENT)
        set_timer(waits, slot, now + wait);
}

/* -- what has come ------------------------------------------------------------------------ */

/* Others push, the cook takes all: so the order is turned round. */
static void gather_events(struct bq_waits *waits)
{
    struct bq_slot *slot = atomic_exchange(&waits->came, NULL), *in_order = NULL;
    while (slot) {
        struct bq_slot *next = slot->next_came;
        slot->next_came = in_order;
        in_order = slot;
        slot = next;
    }
    for (; in_order; in_order = in_order->next_came)
        push_ready(waits, in_order);
}

static void gather_descriptors(struct bq_waits *waits)
{
    struct epoll_event event[AT_ONCE];
    int n = AT_ONCE;
    while (waits->n_watched && n == AT_ONCE) {
        n = epoll_wait(waits->epoll, event, AT_ONCE, 0);
        for (int i = 0; i < n; i++)
            end_wait(waits, event[i].data.ptr);
    }
}

void bq_waits_gather(struct bq_waits *waits)
{
    if (atomic_load_explicit(&waits->came, memory_order_relaxed))
        gather_events(waits);
    if (waits->n_watched)
        gather_descriptors(waits);
    if (waits->n_timers == 0)
        return;
    uint64_t now = bq_now();
    while (waits->n_timers && waits->timers[0]->wake <= now)
        end_wait(waits, waits->timers[0]);
}

/* A descriptor that was closed while it was waited for is gone from the epoll without a word. Its
 * kernel is wrong, but it should be told and not hang. */
static void look_after(struct bq_waits *waits)
{
    for (unsigned i = 0; i < waits->open; i++) {
        struct bq_slot *slot = &waits->slots[i];
        if (slot->watched >= 0 && ask_for(waits, EPOLL_CTL_MOD, slot->watched, slot))
            end_wait(waits, slot);
    }
}

/* -- sleep -------------------------------------------------------------------------------- */

void bq_pool_wake(struct bq_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    if (pool->n_sleeping)
        pthread_cond_broadcast(&pool->wake);
    for (unsigned i = 0; pool->n_watching && i < pool->config.n_cooks; i++) {
        if (pool->cooks[i].is_watching)
            bq_bell_ring(pool->cooks[i].waits.bell);
    }
    pthread_mutex_unlock(&pool->lock);
}

void bq_pool_sleep(struct bq_cook *cook, bool (*is_ready)(struct bq_cook *), uint64_t wake)
{
    struct bq_pool *pool = cook->pool;
    struct timespec limit = {.tv_sec = (time_t)(wake / 1000000000u),
                             .tv_nsec = (long)(wake % 1000000000u)};
    pthread_mutex_lock(&pool->lock);
    pool->n_sleeping++;
    if (!is_ready(cook) && !bq_pool_is_stopping(pool)) {
        if (wake == UINT64_MAX)
            pthread_cond_wait(&pool->wake, &pool->lock);
        else
            pthread_cond_timedwait(&pool->wake, &pool->lock, &limit);
    }
    pool->n_sleeping--;
    pthread_mutex_unlock(&pool->lock);
}

/* The same, for a cook that watches descriptors: who changes something rings its bell. */
static void sleep_watching(struct bq_cook *cook, bool (*is_ready)(struct bq_cook *), uint64_t wake)
{
    struct bq_pool *pool = cook->pool;
    struct bq_waits *waits = &cook->waits;
    pthread_mutex_lock(&pool->lock);
    bool may_sleep = !is_ready(cook) && !bq_pool_is_stopping(pool);
    cook->is_watching = may_sleep;
    pool->n_watching += may_sleep;
    pthread_mutex_unlock(&pool->lock);
    if (!may_sleep)
        return;
    struct pollfd fd[] = {{.fd = waits->epoll, .events = POLLIN},
                          {.fd = waits->bell, .events = POLLIN}};
    uint64_t now = bq_now(), wait = wake > now ? wake - now : 0;
    wait = wait < PATIENCE ? wait : PATIENCE;
    struct timespec limit = {.tv_sec = (time_t)(wait / 1000000000u),
                             .tv_nsec = (long)(wait % 1000000000u)};
    int n = ppoll(fd, 2, &limit, NULL);
    pthread_mutex_lock(&pool->lock);
    cook->is_watching = false;
    pool->n_watching--;
    pthread_mutex_unlock(&pool->lock);
    if (n > 0 && fd[1].revents)
        bq_bell_reset(waits->bell);
    if (n == 0 && wait == PATIENCE)
        look_after(waits);
}

void bq_waits_sleep(struct bq_cook *cook, bool (*is_ready)(struct bq_cook *))
{
    const struct bq_waits *waits = &cook->waits;
    uint64_t wake = waits->n_timers ? waits->timers[0]->wake : UINT64_MAX;
    if (waits->n_watched)
        sleep_watching(cook, is_ready, wake);
    else
        bq_pool_sleep(cook, is_ready, wake);
}

void bq_pool_ready(struct bq_pool *pool, unsigned cook, unsigned slot)
{
    struct bq_waits *waits = &pool->cooks[cook].waits;
    struct bq_slot *it = &waits->slots[slot];
    it->next_came = atomic_load_explicit(&waits->came, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&waits->came, &it->next_came, it))
        ;
    bq_pool_wake(pool);
}
