/* Ends a process whose thread does not come back from a call: a communication library that waits
 * for a process that is gone does so for ever, and no error is returned.
 *
 * Limits are in ticks of 100 ms that the watchdog itself slept, not in clock time: a laptop that
 * was closed or a process that was stopped is not late.
 */
#ifndef BQ_ADAPTERS_WATCHDOG_H
#define BQ_ADAPTERS_WATCHDOG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/error.h"

#define BQ_WATCHDOG_KINDS 8
#define BQ_WATCHDOG_TICK_MS 100

struct bq_watchdog {
    /* Calls so far times BQ_WATCHDOG_KINDS, plus the kind of the one that is under way: 0, none. */
    _Atomic uint64_t at;
    uint64_t n; /* the watched thread's own */
    unsigned limit[BQ_WATCHDOG_KINDS];
    void (*late)(void *context, unsigned kind); /* in the watchdog's thread; should not return */
    void *context;
    int bell;
    pthread_t thread;
};

/* Begins to watch; the caller has set limit (ticks, by kind), late and context, the rest is 0. */
int bq_watchdog_start(struct bq_watchdog *w, struct bq_error *err);
void bq_watchdog_stop(struct bq_watchdog *w);

/* Around a call of the watched thread: one store each. */
static inline void bq_watchdog_enter(struct bq_watchdog *w, unsigned kind)
{
    atomic_store_explicit(&w->at, ++w->n * BQ_WATCHDOG_KINDS + kind, memory_order_relaxed);
}

static inline void bq_watchdog_leave(struct bq_watchdog *w)
{
    atomic_store_explicit(&w->at, w->n * BQ_WATCHDOG_KINDS, memory_order_relaxed);
}

#endif
