/* The scheduler: told what happened and when, asked what to do.
 *
 *     bq_scheduler_tell(s, now, &event);
 *     while (bq_scheduler_ask(s, now, &action))
 *         carry it out;
 *     wait for the next event, at most until bq_scheduler_wake(s);
 *
 * It knows no clock, network or thread, allocates nothing after creation and cannot fail, so the
 * same object runs under MPI, in one process, in tests and in virtual time. Kitchens are numbered
 * 0 .. n_kitchens - 1. Kernels are deterministic, so the first good result of a chunk is the
 * result; late, double and resurrected ones are normal and discarded.
 *
 * The life of a chunk:  free -> leased -> done        (accepted, or given up)
 *                        ^________|        |  its kitchen was lost, failed or gave it back
 *                        ^_________________|  what its kitchen kept of it was lost (UNDO)
 */
#ifndef BQ_CORE_SCHEDULER_H
#define BQ_CORE_SCHEDULER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "core/policy.h"

#define BQ_NEVER UINT64_MAX
#define BQ_MAX_LEASES 64 /* that a kitchen may hold at once */

enum bq_event_kind {
    BQ_EVENT_JOIN,    /* kitchen, n_cooks, count = chunks that it can have in progress at once: it
                         works on its first lease (bq_policy_first) */
    BQ_EVENT_REQUEST, /* kitchen, count = its unstarted chunks, want, tau_ns = its time per chunk */
    BQ_EVENT_DONE,    /* kitchen, first, count: a result for these chunks */
    BQ_EVENT_DROPPED, /* kitchen, first, count: gives them back, not started */
    BQ_EVENT_FAILED,  /* kitchen, first: the kernel or the file refused this chunk; or the kitchen
                         died of it, then this comes before LOST */
    BQ_EVENT_LOST,    /* kitchen: it is dead, or will not be heard again; what it held is free */
    BQ_EVENT_BACK,    /* kitchen: a lost one is there again, with nothing, not even a first lease;
                         JOIN follows. Or one that was closed is needed again */
    BQ_EVENT_UNDO,    /* first, count: results that were accepted are lost: the chunks are free, or
                         left to who holds them. Not to be told of those given up */
    BQ_EVENT_FED,     /* first, count: is_fed: these chunks may be leased from now on */
    BQ_EVENT_RECALLED, /* first, count: done in an earlier run; before the first lease */
    BQ_EVENT_TICK,     /* svc_ns = the coordinator's time per message */
    BQ_EVENT_STOP      /* lease no more; close everybody */
};

struct bq_event {
    enum bq_event_kind kind;
    uint32_t kitchen, n_cooks;
    uint64_t first, count;
    uint64_t want; /* REQUEST: chunks that would take it above its low water */
    double tau_ns, svc_ns;
};

enum bq_action_kind {
    BQ_ACTION_ACCEPT,  /* count of the chunks just told DONE are new: keep the result */
    BQ_ACTION_DISCARD, /* none of them is */
    BQ_ACTION_GIVE_UP, /* chunk `first` has failed too often; it counts as done */
    BQ_ACTION_LEASE,   /* kitchen: cook first .. first + count - 1 */
    BQ_ACTION_REVOKE,  /* kitchen: do not start these any more; say DROPPED for what you drop */
    BQ_ACTION_CLOSE    /* kitchen: there is no more work */
};

struct bq_action {
    enum bq_action_kind kind;
    uint32_t kitchen;
    uint64_t first, count;
    uint64_t deadline; /* LEASE: when it may be called overdue; BQ_NEVER if nothing is known yet */
};

struct bq_scheduler_config {
    uint64_t n_chunks;
    uint32_t n_kitchens;
    uint32_t n_guests; /* the last of them come later: no first lease, nothing dealt to them; they
                          take of what is free */
    struct bq_schedule schedule;
    bool is_fed;       /* no chunk may be leased before BQ_EVENT_FED; there are no first leases */
    bool is_resumed;   /* some chunks are done: there are no first leases either */
    uint32_t attempts; /* for a chunk that fails; 0 means 3 */
};

struct bq_scheduler;

struct bq_scheduler *bq_scheduler_create(const struct bq_scheduler_config *config,
                                         struct bq_error *err);
void bq_scheduler_destroy(struct bq_scheduler *s);

/* An event that makes no sense (a kitchen that is none, a range outside the plan) is ignored:
 * messages are not trusted. */
void bq_scheduler_tell(struct bq_scheduler *s, uint64_t now, const struct bq_event *event);
bool bq_scheduler_ask(struct bq_scheduler *s, uint64_t now, struct bq_action *action);

/* When it wants to be asked again though nothing happened; BQ_NEVER if not. */
uint64_t bq_scheduler_wake(const struct bq_scheduler *s);

/* Nothing is left to do, and every kitchen that is alive has been closed. */
bool bq_scheduler_done(const struct bq_scheduler *s);

/* Chunks are left and nobody is alive, and not closed, to cook them. Never after STOP. */
bool bq_scheduler_is_stranded(const struct bq_scheduler *s);

uint64_t bq_scheduler_n_done(const struct bq_scheduler *s); /* given up ones included */
uint64_t bq_scheduler_n_given_up(const struct bq_scheduler *s);

/* Checks every invariant; for tests. Returns NULL, or what is broken. */
const char *bq_scheduler_check(const struct bq_scheduler *s);

#endif
