/* The pool: the cooks of a kitchen, and how a lease gets to them.
 *
 * The kitchen's one other thread (the manager) adds leases and collects results. A cook takes the
 * next chunks of a lease by one atomic operation: no lock, no message. Tiny chunks are taken in
 * runs, aligned to powers of two, long enough to be worth it (64 us); each run is one node of the
 * reduction's tree and leaves one result. A cook with `open` > 1 keeps that many chunks open and
 * turns to another while one waits: for a time, a descriptor, or an event. Cooks sleep only when
 * no lease has chunks left.
 */
#ifndef BQ_ADAPTERS_POOL_H
#define BQ_ADAPTERS_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "adapters/meter.h"
#include "base/error.h"
#include "core/reduction.h"

#define BQ_POOL_LEASES 128 /* with chunks that no cook has taken */
#define BQ_POOL_MAX_LEVEL 12
#define BQ_POOL_EVENT UINT64_MAX

struct bq_pool;

/* What a cook is working on. */
struct bq_unit {
    struct bq_node node;
    unsigned cook, slot; /* which of the cook's open chunks: 0 .. open - 1 */
    unsigned stage;      /* how often it has waited */
    uint64_t wait_ns;    /* to be set with BQ_UNIT_WAITS; BQ_POOL_EVENT: until bq_pool_ready */
    int wait_fd;         /* -1, or until this descriptor is ready, but no longer than wait_ns;
                            BQ_POOL_EVENT: without limit */
    short wait_events;   /* of wait_fd, as for poll */
    bool may_wait;       /* whether it may answer BQ_UNIT_WAITS now */
    void *result;        /* result_size bytes */
    void *payload;       /* handed to the manager with the result, NULL at first */
    struct bq_meter *meter;
    struct bq_pool *pool;
};

enum bq_unit_answer {
    BQ_UNIT_DONE,
    BQ_UNIT_WAITS, /* only when it may_wait */
    BQ_UNIT_FAILED /* of one chunk: payload is passed on; of more: each is tried alone */
};

struct bq_pool_config {
    unsigned n_cooks, open;
    bool is_team;   /* cook 0 takes the chunks, all work on each: bq_pool_team */
    bool is_single; /* never take runs: units of one chunk; where a kernel may wait */
    size_t result_size;
    const int *core; /* n_cooks cores to bind to, or NULL */
    uint64_t epoch;  /* for meters */
    int bell;        /* rung when the manager should look */
    enum bq_unit_answer (*cook)(void *context, struct bq_unit *unit);
    void *context;
};

/* Bytes that a cook takes in the pool: its open chunks' results, and those on their way. */
size_t bq_pool_memory(unsigned open, size_t result_size);

struct bq_pool *bq_pool_create(const struct bq_pool_config *config, struct bq_error *err);

/* -- the manager's thread ----------------------------------------------------------------- */

/* Adds chunks. false: there are BQ_POOL_LEASES leases already with chunks that nobody has taken;
 * the coordinator gives a kitchen fewer (BQ_MAX_LEASES). */
bool bq_pool_add(struct bq_pool *pool, uint64_t first, uint64_t count);

/* Takes back chunks of the range that no cook has started and that lie at the end of a lease;
 * returns how many, the first in *from. */
uint64_t bq_pool_drop(struct bq_pool *pool, uint64_t first, uint64_t count, uint64_t *from);

/* Rings the bell once when the unstarted chunks are this few or fewer. */
void bq_pool_low_water(struct bq_pool *pool, uint64_t n);
uint64_t bq_pool_unstarted(const struct bq_pool *pool);

/* Hands over what the cooks have finished since. result is valid during the call. */
struct bq_finished {
    struct bq_node node;
    bool is_failed;
    const void *result;
    void *payload;
};
void bq_pool_collect(struct bq_pool *pool, void (*take)(void *context, const struct bq_finished *),
                     void *context);

/* Nothing is leased, cooking or uncollected. */
bool bq_pool_is_idle(const struct bq_pool *pool);

/* Chunks finished and the time spent on them, all cooks; any thread, slightly late. */
void bq_pool_count(const struct bq_pool *pool, uint64_t *n_chunks, uint64_t *busy_ns);
uint64_t bq_pool_open_max(const struct bq_pool *pool);

/* Makes cooks stop as soon as they can, without their chunks, and waits for them. Then their tracks
 * may be read. */
void bq_pool_stop(struct bq_pool *pool);

/* The same in two parts, as a chunk may take long: the first does not wait, and the bell rings when
 * bq_pool_stop would not. */
void bq_pool_stop_begin(struct bq_pool *pool);
bool bq_pool_has_stopped(struct bq_pool *pool);

/* The same, of a pool that is idle (bq_pool_is_idle) and no team, but its cooks stay, asleep: for
 * steps that come again. Until bq_pool_resume their tracks may be read and leases added, which are
 * begun then; counts and tracks begin anew, and so does the time at `epoch`. */
void bq_pool_rest(struct bq_pool *pool);
void bq_pool_resume(struct bq_pool *pool, uint64_t epoch);
const struct bq_track *bq_pool_track(const struct bq_pool *pool, unsigned cook);
uint64_t bq_pool_cook_chunks(const struct bq_pool *pool, unsigned cook);
void bq_pool_destroy(struct bq_pool *pool);

/* -- a cook's thread ---------------------------------------------------------------------- */

/* Whether it should give up what it waits for. */
bool bq_pool_is_stopping(const struct bq_pool *pool);

/* How many chunks the cook of this unit may keep open from now on: 1 .. open (the standard). With
 * is_ahead it opens the next before it goes on with one that is ready, so that what is waited for
 * (a file, a message) is always under way. */
void bq_pool_keep_open(struct bq_unit *unit, unsigned n, bool is_ahead);

/* Makes the manager look. */
void bq_pool_call_manager(struct bq_pool *pool);

/* Any thread: what the open chunk (slot of a cook) waits for has come. Once for each such wait. */
void bq_pool_ready(struct bq_pool *pool, unsigned cook, unsigned slot);

/* is_team: runs work(arg, part, n_parts) on all cooks at once; returns when all are done. */
void bq_pool_team(struct bq_pool *pool, void (*work)(void *arg, unsigned part, unsigned n_parts),
                  void *arg);

#endif
