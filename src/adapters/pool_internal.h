/* What pool.c, pool_cook.c, pool_lease.c and pool_team.c share. */
#ifndef BQ_ADAPTERS_POOL_INTERNAL_H
#define BQ_ADAPTERS_POOL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "adapters/pool.h"

/* A lease in the ring. `cursor` is the generation (24 bits) and the next chunk to be taken, counted
 * from first (40 bits), changed together by one compare-and-swap: a cook that slept through the
 * reuse of a slot fails its swap, because the generation is another. The other fields are written
 * before the cursor that publishes them and read before the swap, so a slot is free again as soon
 * as every chunk of its lease is taken, finished or not. */
struct bq_pool_lease {
    _Atomic uint64_t cursor;
    _Atomic uint64_t first, count;
};

#define BQ_LEASE_MOST (UINT64_C(1) << 40) /* chunks in a lease stay below */

struct bq_ring_entry {
    struct bq_node node;
    bool is_failed;
    void *payload;
    _Alignas(16) unsigned char result[];
};

/* Finished units on their way to the manager: one writer, one reader. */
struct bq_ring {
    _Alignas(64) atomic_uint head; /* the cook's: next to write */
    _Alignas(64) atomic_uint tail; /* the manager's: next to read */
    unsigned n;                    /* entries, a power of two */
    size_t stride;
    unsigned char *entries;
};

/* An open chunk of a cook, or room for one. */
struct bq_slot {
    struct bq_unit unit;
    struct bq_slot *next;      /* vacant, or ready */
    struct bq_slot *next_came; /* among those whose event has come */
    uint64_t opened, wake;     /* clock */
    unsigned timer;            /* its place in the heap */
    int watched;               /* the descriptor in the cook's epoll, or -1 */
    bool is_copy;              /* it is a copy of the kernel's, to be closed */
};

/* pool_wait.c. What a cook's open chunks wait for; the cook's own, but for `came`. */
struct bq_waits {
    unsigned open;
    struct bq_slot *slots;
    struct bq_slot *vacant;              /* a stack */
    struct bq_slot *ready, **last_ready; /* first come, first served */
    struct bq_slot **timers;             /* a heap of n_timers */
    unsigned n_timers, n_watched;
    int epoll, bell;                /* -1 until the first descriptor */
    _Atomic(struct bq_slot *) came; /* pushed by whoever brings what it waits for */
};

struct bq_cook {
    pthread_t thread;
    bool is_started;
    struct bq_pool *pool;
    unsigned index, level; /* level: how long its runs are now */
    double tau;            /* its time per chunk, ns */
    struct bq_waits waits;
    bool is_watching; /* the pool's lock guards it: asleep, and woken by the bell of its waits */
    unsigned n_used, most_used;
    bool is_ahead; /* bq_pool_keep_open */
    unsigned char *results;
    struct bq_ring ring;
    struct bq_meter meter;
    struct bq_unit left_over; /* finished when the ring was full and the pool stopped */
    bool has_left_over, left_over_failed;
    _Alignas(64) _Atomic uint64_t n_chunks, busy_ns; /* written by this cook alone */
};

struct bq_team {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t start, end;
    uint64_t round;
    unsigned n_working;
    bool is_over;
    void (*work)(void *arg, unsigned part, unsigned n_parts);
    void *arg;
};

struct bq_pool {
    struct bq_pool_config config;
    struct bq_pool_lease lease[BQ_POOL_LEASES];
    _Alignas(64) _Atomic uint64_t head; /* the lease being served */
    _Alignas(64) _Atomic uint64_t tail; /* one past the last; the manager's */
    _Alignas(64) _Atomic uint64_t n_unstarted;
    _Alignas(64) _Atomic uint64_t n_left; /* added, not finished or dropped */
    _Atomic uint64_t low_water;
    atomic_bool has_rung, is_stopping, is_ring_full;
    _Alignas(64) _Atomic uint64_t n_open, n_open_max;
    pthread_mutex_t lock; /* guards sleeping: whoever adds work wakes those who wait for it */
    pthread_cond_t wake;
    pthread_cond_t shift;            /* of what follows, which the lock guards, too */
    uint64_t n_shifts;               /* begun: one, and one more with each bq_pool_resume */
    unsigned n_off;                  /* cooks that have ended the last one */
    bool is_ending;                  /* there will be no other */
    unsigned n_sleeping, n_watching; /* cooks asleep: on wake, and each on a bell of its own */
    struct bq_team team;
    struct bq_cook *cooks;
};

/* pool_lease.c. The next chunks, at most 2^level of them; false when nothing is left. */
bool bq_pool_take(struct bq_pool *pool, unsigned level, struct bq_node *node);

/* pool_wait.c */
size_t bq_waits_memory(unsigned open);
int bq_waits_create(struct bq_waits *waits, unsigned open);
void bq_waits_destroy(struct bq_waits *waits);
void bq_waits_vacate(struct bq_waits *waits, struct bq_slot *slot);

/* The chunk answered BQ_UNIT_WAITS: it is ready when what its unit says has come. */
void bq_waits_add(struct bq_waits *waits, struct bq_slot *slot, uint64_t now);

/* Puts those whose wait is over on the ready list, from which the next is taken; it is not empty
 * then. */
void bq_waits_gather(struct bq_waits *waits);
struct bq_slot *bq_waits_next(struct bq_waits *waits);

/* Sleeps until something has come or somebody wakes the cooks, unless `is_ready` says not to. The
 * check is made under the lock that every waker takes after its change, so no wake-up is lost. */
void bq_waits_sleep(struct bq_cook *cook, bool (*is_ready)(struct bq_cook *));

/* The same until `wake` (clock; UINT64_MAX: no limit), whatever its chunks wait for. */
void bq_pool_sleep(struct bq_cook *cook, bool (*is_ready)(struct bq_cook *), uint64_t wake);

/* Wakes every cook that sleeps. */
void bq_pool_wake(struct bq_pool *pool);

/* pool_cook.c */
void *bq_cook_main(void *cook);

/* pool_team.c */
int bq_team_create(struct bq_team *team);
void bq_team_end(struct bq_team *team);
void bq_team_destroy(struct bq_team *team);
void bq_team_member(struct bq_cook *cook); /* until bq_team_end */

#endif
