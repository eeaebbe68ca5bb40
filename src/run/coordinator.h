/* The coordinator: runs one step over the kitchens of a transport. Rank 0's thread; it calls no
 * kernel's cook function, so no kernel can kill it, and sleeps when there is nothing to do. */
#ifndef BQ_RUN_COORDINATOR_H
#define BQ_RUN_COORDINATOR_H

#include <stdatomic.h>
#include <stdbool.h>

#include "adapters/transport.h"
#include "core/report.h"
#include "run/greeting.h"
#include "run/resolve.h"

struct bq_step_options {
    uint32_t number; /* of the step, from 1; messages of others are ignored */
    const char *version, *job;
    const char *step_name;
    bool is_bound;
    bool is_terminal;                 /* progress in place, instead of a line a second */
    bool is_quiet;                    /* no progress */
    atomic_int *stop;                 /* non-zero: asked to stop */
    _Atomic(const char *) *work_file; /* set while there is one that must not stay behind */
};

/* Runs the step; fills the report (to be freed with bq_report_free in any case).
 * The output is committed, or nothing of it is left. Returns 0, or -1 with err->exit:
 * BQ_EXIT_STOPPED when stopped. A report with n_given_up_total > 0 is a partial success. */
int bq_coordinate(struct bq_transport *transport, struct bq_resolved *resolved,
                  const struct bq_hello *hello, const struct bq_step_options *options,
                  struct bq_report *report, struct bq_error *err);

#endif
