/* What steps.c (what is carried out when), turn.c (what a step takes, and where its output goes)
 * share. Nobody else includes it. */
#ifndef BQ_RUN_STEPS_INTERNAL_H
#define BQ_RUN_STEPS_INTERNAL_H

#include "core/graph.h"
#include "core/report.h"
#include "run/kept.h"
#include "run/scratch.h"
#include "run/steps.h"

/* One step of one round. */
struct turn {
    size_t i;
    uint64_t round;
    const struct bq_loop *loop; /* NULL: none */
    bool is_last;               /* known before: the loop has no condition */
};

/* What is carried out as a whole: a step, or a loop, of which one step is under way at a time. */
struct node {
    enum { WAITING, UNDER_WAY, PUBLISHING, OVER } state;
    const size_t *order; /* n steps, in their order */
    size_t n, k;         /* k: which of them */
    const struct bq_loop *loop;
    uint64_t members, needs; /* bits of steps */
    uint64_t round, spent;   /* spent: ns */
    bool is_new;             /* nothing of it can be there yet */
    bool is_short;           /* the loop ended before its condition was true */
    bool has_ended;          /* of a loop: all rounds are over */
    uint64_t earlier;        /* rounds that an earlier run has finished */
    struct turn turn;
    struct bq_layout made;             /* how its output lies */
    struct bq_step step;               /* as it is carried out now */
    struct bq_report report, *reports; /* of now; of a loop's steps, the latest */
    char says[200];
};

struct steps {
    const struct bq_job *job;
    const struct bq_steps_driver *driver;
    struct bq_graph graph;
    struct bq_scratch *scratch;
    struct bq_kept kept[BQ_MAX_STEPS];
    struct past {
        struct bq_checkpoint_step step; /* is_kept: it, or its last finished round */
        char *state;                    /* the path of its output then, if that is handed over */
        uint64_t out_size, out_ns;      /* of its output under its own name, once it is there */
    } past[BQ_MAX_STEPS];
    bool is_taken[BQ_MAX_STEPS]; /* its output is another step's input, by a use */
    bool is_short;               /* a loop ended before its condition was true */
    bool has_published;          /* an output, since the last save */
    struct node nodes[BQ_MAX_STEPS];
    size_t n_nodes;
};

/* recall.c. What is finished is noted for a checkpoint: a step, or all steps of a round. */
int recall_note(struct steps *s, const struct node *node, struct bq_error *err);

/* The output of step i is under its own name now. */
void recall_published(struct steps *s, size_t i);

/* Saves what is finished, and the rounds of loops. */
void recall_save(struct steps *s);

/* What an earlier run has finished: its nodes are over, or go on behind their last round. */
int recall_begin(struct steps *s, struct bq_error *err);

/* turn.c. Sets what the step takes from others: results as parameters, an output as its input. */
int turn_take(struct steps *s, const struct turn *turn, struct bq_step *step, struct bq_error *err);

/* Where its output goes: its place, or a file that is handed over, which takes that of the round
 * before last. */
int turn_set_output(struct steps *s, const struct turn *turn, struct bq_step *step,
                    struct bq_error *err);

/* Whether a result of step i is taken by its name. */
bool turn_is_named(const struct steps *s, size_t i);

/* Whether what others take from step i is among its results: for bq_begin.expect. */
int turn_expect(const struct steps *s, size_t i, const struct bq_report *names,
                struct bq_error *err);

/* Whether step i, whose result the condition looks at, is to say that the loop ended too early. */
bool turn_is_short(const struct steps *s, const struct node *node, size_t i);

/* 1: the loop's condition is true; 0: not yet. says: the number, for people. */
int turn_is_last(struct steps *s, const struct bq_loop *loop, uint64_t round, char says[200],
                 struct bq_error *err);

#endif
