/* The steps of a job, in an order in which each comes after what it takes from others, and the
 * rounds of its loops. Steps that need nothing of each other are under way at the same time. Knows
 * nothing of kitchens: the driver carries steps out. */
#ifndef BQ_RUN_STEPS_H
#define BQ_RUN_STEPS_H

#include "core/checkpoint.h"
#include "core/graph.h"
#include "core/job.h"
#include "core/report.h"
#include "run/registry.h"

/* A step, whose parameters and places are final, to be begun beside those that are under way. */
struct bq_begin {
    unsigned ticket; /* below BQ_MAX_STEPS, of none of those */
    size_t index;    /* of the step in the job */
    int feeder;      /* ticket of the step under way that makes the input; -1: it is there */
    const struct bq_step *step; /* stays until it is finished, and so does the report */
    struct bq_report *report;
    /* Asks about the names of its results, which those of a reduction of nothing show, before
     * anything is begun. NULL: everything is known to be right. */
    int (*expect)(void *context, unsigned ticket, const struct bq_report *names,
                  struct bq_error *err);
    void *context;
    /* What the rounds before gave up of the output that is brought to its place, or NULL. */
    const struct bq_report *earlier;
};

struct bq_steps_driver {
    /* Begins a step; made: how its output will lie. 1: it cannot follow its feeder chunk by chunk,
     * and was not begun. */
    int (*begin)(void *context, const struct bq_begin *begin, struct bq_layout *made,
                 struct bq_error *err);
    /* Until one of them is finished: its report is filled. */
    int (*wait)(void *context, unsigned *ticket, struct bq_error *err);
    /* A loop is over: its steps with this number (struct bq_step) will not come again. */
    int (*forget)(void *context, unsigned comes_again, struct bq_error *err);
    /* See run/resume.h. */
    void (*scratch)(void *context, const char *folder);
    bool (*is_due)(void *context, bool has_published);
    void (*save)(void *context, struct bq_checkpoint *checkpoint,
                 const char *const states[BQ_MAX_STEPS]);
    /* After a failure: nothing of what is under way is used any more. */
    void (*abandon)(void *context);
    /* A step is finished, of a loop: its last round. */
    int (*done)(void *context, struct bq_report *report, struct bq_error *err);
    void *run_context, *done_context;
    const struct bq_checkpoint
        *past; /* what an earlier run finished, or NULL; its states' paths: */
    char *(*state)(void *context, size_t step);
    const struct bq_kernel *copy; /* the kernel that brings a loop's output to its final place */
    bool is_one_machine;
    unsigned at_once; /* steps that may be under way at the same time; 0: as many as can be */
};

/* Step i as it would be carried out first, for bq_resolve by who only looks: an output that is
 * handed over has a place that is never made. Owns nothing. */
struct bq_step bq_steps_preview(const struct bq_job *job, const struct bq_graph *graph, size_t i,
                                unsigned at_once);

/* 0; 1 when a loop came to its last round before its condition was true; -1 with err. The job is
 * linked (bq_graph_link). */
int bq_steps_run(const struct bq_job *job, const struct bq_steps_driver *driver,
                 struct bq_error *err);

#endif
