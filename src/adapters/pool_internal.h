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

struct bq_slot {
    struct bq_unit unit;
    bool is_used;
    uint64_t opened, wake; /* clock; wake BQ_POOL_EVENT: when is_ready */
    atomic_bool is_ready;  /* set by whoever brings what it waits for */
};

struct bq_cook {
    pthread_t thread;
    bool is_started;
    struct bq_pool *pool;
    unsigned index, level; /* level: how long its runs are now */
    double tau;            /* its time per chunk, ns */
    struct bq_slot *slots; /* open */
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
    unsigned n_sleeping;
    struct bq_team team;
    struct bq_cook *cooks;
};

/* pool_lease.c. The next chunks, at most 2^level of them; false when nothing is left. */
bool bq_pool_take(struct bq_pool *pool, unsigned level, struct bq_node *node);

/* pool_cook.c */
void *bq_cook_main(void *cook);

/* pool_team.c */
int bq_team_create(struct bq_team *team);
void bq_team_end(struct bq_team *team);
void bq_team_destroy(struct bq_team *team);
void bq_team_member(struct bq_cook *cook); /* until bq_team_end */

#endif
