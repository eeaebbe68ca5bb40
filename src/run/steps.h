/* The steps of a job, in an order in which each comes after what it takes from others, and the
 * rounds of its loops. Knows nothing of kitchens: the session carries out one step at a time. */
#ifndef BQ_RUN_STEPS_H
#define BQ_RUN_STEPS_H

#include "core/job.h"
#include "core/report.h"
#include "run/registry.h"

struct bq_steps_driver {
    /* Carries out one step, whose parameters and places are final; fills the report. */
    int (*run)(void *context, const struct bq_step *step, struct bq_report *report,
               struct bq_error *err);
    /* A step is finished, of a loop: its last round. */
    int (*done)(void *context, struct bq_report *report, struct bq_error *err);
    void *run_context, *done_context;
    const struct bq_kernel *copy; /* the kernel that brings a loop's output to its final place */
    bool is_one_machine;
};

/* 0; 1 when a loop came to its last round before its condition was true; -1 with err. The job is
 * linked (bq_graph_link). */
int bq_steps_run(const struct bq_job *job, const struct bq_steps_driver *driver,
                 struct bq_error *err);

#endif
