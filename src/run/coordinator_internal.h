/* What coordinator.c (events and actions) and accept.c (results) share. Nobody else includes it. */
#ifndef BQ_RUN_COORDINATOR_INTERNAL_H
#define BQ_RUN_COORDINATOR_INTERNAL_H

#include "core/progress.h"
#include "core/scheduler.h"
#include "core/wire.h"
#include "run/coordinator.h"
#include "run/gather.h"
#include "run/larder.h"
#include "run/merge.h"

#define BQ_MAX_NAMED 100 /* chunks given up that are named */

struct coordinator {
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
    int bell;                 /* rung by the larder's threads */
    struct bq_merge merge;
    struct bq_progress progress;
    uint64_t epoch, last_accept, n_messages;
    uint64_t cpu_at; /* this thread's, when the step began */
    uint32_t n_open; /* kitchens that have not reported or refused */
    double svc_ns;
    char why[200]; /* the last failure told, for GIVE_UP */
    uint32_t by;   /* enum bq_refused_by, of that failure */
    bool has_line;
};

/* A RESULT: tells the scheduler, and keeps and writes what is new. */
int bq_accept(struct coordinator *c, uint32_t kitchen, struct bq_message *message);

/* A chunk that was given up: a result of nothing takes its place. */
int bq_accept_nothing(struct coordinator *c, uint64_t chunk);

#endif
