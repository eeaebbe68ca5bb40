/* What coordinator.c (messages, several steps), course.c (one of them) and accept.c (its results)
 * share. Nobody else includes it. */
#ifndef BQ_RUN_COORDINATOR_INTERNAL_H
#define BQ_RUN_COORDINATOR_INTERNAL_H

#include "core/feed.h"
#include "core/progress.h"
#include "core/scheduler.h"
#include "core/wire.h"
#include "run/coordinator.h"
#include "run/gather.h"
#include "run/larder.h"
#include "run/merge.h"

struct bq_coordinator {
    struct bq_transport *transport;
    const struct bq_hello *hello;
    atomic_int *stop;
    bool is_terminal, is_quiet;
    int bell;               /* rung by the larders' threads */
    struct course *courses; /* the oldest first */
    struct bq_progress progress;
    uint32_t shown; /* number of the step whose progress is shown */
    bool has_line, is_stopping;
};

/* A course: a step that the kitchens work on. */
struct course {
    struct course *next;
    struct bq_coordinator *coordinator;
    struct bq_feed *feed;    /* of a step whose input another makes meanwhile, or NULL */
    uint32_t feeder;         /* that step's number */
    struct bq_plan fed_plan; /* and its plan */
    struct bq_transport *transport;
    struct bq_resolved *resolved;
    const struct bq_recipe *recipe;
    const struct bq_step_options *options;
    struct bq_report *report;
    struct bq_error *err;
    struct bq_scheduler *scheduler;
    struct bq_reduction *reduction;
    struct bq_gather *gather; /* NULL without output */
    struct bq_larder *larder; /* NULL without input */
    struct bq_merge merge;
    uint64_t epoch, last_accept, n_messages;
    uint64_t cpu_at; /* this thread's, when the step began */
    uint32_t n_open; /* kitchens that have not reported or refused */
    double svc_ns;
    char why[200]; /* the last failure told, for GIVE_UP */
    uint32_t by;   /* enum bq_refused_by, of that failure */
};

/* Chunks of a step are there: those that feed on it may go on. */
void coordinator_feed(struct bq_coordinator *co, uint32_t number, uint64_t first, uint64_t count);

/* Makes what the step needs and sends it to the kitchens. On an error it is to be ended all the
 * same. */
int course_open(struct course *c, int bell);

/* A message of its step from a kitchen. */
int course_handle(struct course *c, uint32_t kitchen, struct bq_message *message);

/* What there is to do now. *wake: when next, at the latest. */
int course_turn(struct course *c, uint64_t *wake);

/* No more leases; the kitchens close when their chunks are done. */
void course_stop(struct course *c);

/* Every chunk is done and every kitchen has reported. */
bool course_is_done(const struct course *c);

/* Fills the report; commits the output. */
int course_finish(struct course *c, const struct bq_hello *hello);

/* Nothing is left of it; of an output that was not committed neither. */
void course_end(struct course *c, int bell);

/* A RESULT: tells the scheduler, and keeps and writes what is new. */
int bq_accept(struct course *c, uint32_t kitchen, struct bq_message *message);

/* A chunk that was given up: a result of nothing takes its place. */
int bq_accept_nothing(struct course *c, uint64_t chunk);

#endif
