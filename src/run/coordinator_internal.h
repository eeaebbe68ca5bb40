/* What coordinator.c (messages, several steps), losses.c (kitchens that come and go), course.c (one
 * step) and accept.c (its results) share. Nobody else includes it. */
#ifndef BQ_RUN_COORDINATOR_INTERNAL_H
#define BQ_RUN_COORDINATOR_INTERNAL_H

#include "core/feed.h"
#include "core/progress.h"
#include "core/scheduler.h"
#include "core/wire.h"
#include "run/coordinator.h"
#include "run/gather.h"
#include "run/journal.h"
#include "run/larder.h"
#include "run/merge.h"

struct bq_coordinator {
    struct bq_transport *transport;
    struct bq_hello *hello;
    uint64_t silence_ns, looked_at;
    uint64_t grace_ns, stopped_at;
    bool *is_abrupt;
    atomic_int *stop;
    bool is_terminal, is_quiet, isolates;
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
    struct bq_report *report; /* its kitchens: n_seats, and guests whose seats others took */
    struct bq_error *err;
    struct bq_scheduler *scheduler;
    struct bq_reduction *reduction;
    struct bq_gather *gather; /* NULL without output */
    struct bq_larder *larder; /* NULL without input */
    struct bq_merge merge;
    uint64_t epoch, last_accept, n_messages;
    uint64_t cpu_at;  /* this thread's, when the step began */
    uint32_t n_seats; /* kitchens and seats of guests; the recipe's n_kitchens are the first */
    enum course_with {
        WITHOUT,   /* lost, or never here */
        UNWILLING, /* refused it, or is not asked */
        WORKING,   /* has the step */
        REPORTED,  /* is done with it */
    } *
        with;                                 /* of each kitchen */
    uint32_t n_open;                          /* those that are WORKING */
    uint32_t *n_crashes;                      /* of each kitchen */
    uint64_t *sent_at;                        /* clock; the step, to each kitchen */
    uint32_t *shard;                          /* that each kitchen writes, if they do */
    uint32_t n_shards;                        /* numbers that were given out */
    struct bq_journal *journal;               /* NULL: none is kept */
    bool is_resumed;                          /* it has what an earlier run finished */
    bool is_stuck;                            /* it cannot be written any more */
    bool is_unmarked;                         /* results came since it was marked */
    uint64_t marked_at, mark_took, synced_at; /* clock; ns */
    bool has_undone;                          /* chunks that were accepted are done again */
    char refused[200];                        /* why a kitchen cannot take part, the last one */
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

/* course.c. To one of its kitchens; and what the scheduler asks for now (ACCEPT and DISCARD are for
 * whoever told DONE). */
int course_send(struct course *c, uint32_t kitchen, const struct bq_message *message);
int course_carry_out(struct course *c, uint64_t now);

/* course_kitchens.c. The step goes to everybody who is here. */
int course_send_all(struct course *c);

/* Whether a kitchen is lost but will return; and what to say when there is none at all. */
bool course_is_awaited(const struct course *c);
int course_fail_stranded(struct course *c);

/* The kitchen is lost: what it held is free, and what only it kept is to be done again. */
void course_lose(struct course *c, uint32_t kitchen);

/* It lost its cooks, maybe because of that chunk, which counts as one that failed. */
int course_blame(struct course *c, uint32_t kitchen, uint64_t chunk, const char *why);

/* It is there again, with nothing: it gets the step, if that is not done. */
int course_welcome(struct course *c, uint32_t kitchen);

/* A new guest took the seat: what was of the one before is kept apart. -1: no memory. */
int course_renew(struct course *c, uint32_t kitchen);

/* It has left in order. */
void course_part(struct course *c, uint32_t kitchen);

/* It cannot take part, or will not any more. */
void course_refused(struct course *c, uint32_t kitchen, const char *why);
int course_leave(struct course *c, uint32_t kitchen);

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

/* course_journal.c. find: an open journal in c->journal that is to be gone on from, and the path of
 * its work file (bq_free; of no output: ""); NULL: there is none. forget: neither it nor the work
 * file stays. begin: a new
 * one, unless one is open, with a path for the work file (bq_free), or NULL; settle: when that is
 * made. recall: takes what counts in it. note: a result that was accepted. mark: when it is time.
 * leave: for a later run; false: there is nothing in it.
 */
char *course_find_journal(struct course *c);
void course_forget_journal(struct course *c);
char *course_begin_journal(struct course *c);
void course_settle_journal(struct course *c);
int course_recall(struct course *c);
void course_note(struct course *c, struct bq_node node, const void *result);
void course_mark(struct course *c);
bool course_leave_journal(struct course *c);

/* guests.c: those that join a job that runs. look: who has come; greet: it said HELLO; dismiss: who
 * has given everything back, or is out, may go once it has reported; part: it does. */
void guests_look(struct bq_coordinator *co);
void guests_greet(const struct bq_coordinator *co, uint32_t kitchen);
int guests_dismiss(struct bq_coordinator *co, uint32_t kitchen);
void guests_part(struct bq_coordinator *co, uint32_t kitchen);

/* losses.c */
void losses_gone(struct bq_coordinator *co, uint32_t kitchen, const char *why);
void losses_out(struct bq_coordinator *co, uint32_t kitchen, const char *why);
int losses_crashed(struct bq_coordinator *co, uint32_t kitchen, const struct bq_message *message);
int losses_returned(struct bq_coordinator *co, uint32_t kitchen, const struct bq_message *message,
                    struct bq_error *err);

/* Who was lost or has been silent for too long since it was called last. */
void losses_look(struct bq_coordinator *co);

#endif
