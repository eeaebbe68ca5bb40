#include "adapters/watchdog.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "adapters/clock.h"
#include "adapters/transport.h"

/* Who slept this much longer than it wanted shared the machine's trouble: not a tick. */
#define OVERSLEPT_NS 1000000000u

static void *watch(void *arg)
{
    struct bq_watchdog *w = arg;
    struct pollfd bell = {.fd = w->bell, .events = POLLIN};
    uint64_t last = 0;
    unsigned ticks = 0;
    for (;;) {
        uint64_t before = bq_now();
        if (poll(&bell, 1, BQ_WATCHDOG_TICK_MS) > 0)
            return NULL;
        uint64_t at = atomic_load_explicit(&w->at, memory_order_relaxed);
        unsigned kind = (unsigned)(at % BQ_WATCHDOG_KINDS);
        if (kind == 0 || at != last)
            ticks = 0;
        else if (bq_now() - before < OVERSLEPT_NS && ++ticks >= w->limit[kind])
            w->late(w->context, kind);
        last = at;
    }
}

int bq_watchdog_start(struct bq_watchdog *w, struct bq_error *err)
{
    sigset_t all, old;
    w->bell = bq_bell_create();
    if (w->bell < 0)
        return bq_fail(err, BQ_EXIT_FAILED, "no file descriptor is left (ulimit -n)");
    /* Signals are for the threads that know them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int code = pthread_create(&w->thread, NULL, watch, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (code == 0)
        return 0;
    close(w->bell);
    return bq_fail(err, BQ_EXIT_FAILED, "the system allows no more threads (ulimit -u)");
}

void bq_watchdog_stop(struct bq_watchdog *w)
{
    bq_bell_ring(w->bell);
    pthread_join(w->thread, NULL);
    close(w->bell);
}
