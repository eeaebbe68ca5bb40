/* The coordinator: runs steps over the kitchens of a transport, several at a time where a job lets
 * it. Rank 0's thread; it calls no kernel's cook function, so no kernel can kill it, and sleeps
 * when there is nothing to do. */
#ifndef BQ_RUN_COORDINATOR_H
#define BQ_RUN_COORDINATOR_H

#include <stdatomic.h>
#include <stdbool.h>

#include "adapters/transport.h"
#include "core/report.h"
#include "run/greeting.h"
#include "run/resolve.h"

struct bq_coordinator;

struct bq_coordinator_options {
    struct bq_transport *transport;
    struct bq_hello *hello; /* of each kitchen; kept up to date */
    uint64_t silence_ns;    /* who is silent for longer is taken for dead */
    uint64_t grace_ns;      /* after that, chunks on the cooks have so long */
    bool *is_abrupt;        /* set when they took longer: kitchens are left at work */
    bool isolates;          /* kitchens cook in processes of their own */
    atomic_int *stop;       /* non-zero: asked to stop */
    bool is_terminal;       /* progress in place, instead of a line a second */
    bool is_quiet;          /* no progress */
};

/* What options name must outlive it. */
struct bq_coordinator *bq_coordinator_create(const struct bq_coordinator_options *options,
                                             struct bq_error *err);

/* Where the step keeps what it has finished (run/journal.h), and whose that is. */
struct bq_step_journal {
    const char *path;
    const struct bq_checkpoint_of *of;
    uint32_t step;  /* index in the job */
    double every_s; /* how often it goes to the disk, at most */
    bool is_fresh;  /* what is there is not wanted */
    bool is_left;   /* set: it stays, so that another run goes on from it */
};

struct bq_step_options {
    uint32_t number; /* of the step, from 1; each has its own */
    const char *version, *job;
    const char *step_name, *kernel_name; /* as the report has them */
    const char *input_from;              /* name of the step that made the input, or NULL */
    const struct bq_report *earlier;     /* what rounds before gave up of this output, or NULL */
    bool is_bound;
    uint32_t feeder; /* number of the step under way that makes the input; 0: the input is there */
    struct bq_step_journal *journal;  /* NULL: none is kept */
    _Atomic(const char *) *work_file; /* set while there is one that must not stay behind */
};

/* Whether a step can be begun while the step `feeder` is under way, chunk by chunk as its input is
 * made: nothing of that was accepted yet, and no window wraps. */
bool bq_coordinator_can_feed(const struct bq_coordinator *coordinator, uint32_t feeder,
                             const struct bq_recipe *recipe);

/* Begins a step: the kitchens work on it beside those that were begun before. All that is named
 * must stay until it is done. -1: nothing can go on; destroy the coordinator. */
int bq_coordinator_begin(struct bq_coordinator *coordinator, struct bq_resolved *resolved,
                         const struct bq_step_options *options, struct bq_report *report,
                         struct bq_error *err);

/* Serves the kitchens until one of the steps is done: its report is filled (to be freed with
 * bq_report_free in any case), its output committed. Returns 0 with its number, or -1 with
 * err->exit: BQ_EXIT_STOPPED when stopped; nothing can go on then. A report with
 * n_given_up_total > 0 is a partial success. */
int bq_coordinator_wait(struct bq_coordinator *coordinator, uint32_t *number, struct bq_error *err);

/* Steps of that number (struct bq_step) will not come again. */
int bq_coordinator_forget(struct bq_coordinator *coordinator, uint32_t comes_again,
                          struct bq_error *err);

/* Of steps that are not done nothing is left but what a journal needs. NULL is fine. */
void bq_coordinator_destroy(struct bq_coordinator *coordinator);

#endif
