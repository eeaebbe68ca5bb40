/* A checkpoint: what a run of a job has finished, so that the same command can go on from there:
 * steps with their results, and loops up to a round, with what the next one takes from it. In a
 * file it is hostile: get believes nothing. Pure.
 *
 * What is not in it: which chunks of a step are done; a step that was under way begins anew. */
#ifndef BQ_CORE_CHECKPOINT_H
#define BQ_CORE_CHECKPOINT_H

#include "base/bytes.h"
#include "core/job.h"
#include "core/report.h"

#define BQ_MAX_STATE_NAME 256

/* Whose it is. Each is compared for itself, so that a message can say what was changed. */
struct bq_checkpoint_of {
    struct bq_hash job;     /* everything that the results depend on, the program's version too */
    struct bq_hash kernels; /* of the user's own */
    struct bq_hash inputs;  /* their sizes and times */
};

/* A step that is done, or one of a loop that has finished rounds. */
struct bq_checkpoint_step {
    uint64_t out_size, out_ns; /* of its output under its own name, made by the run; 0: not yet */
    bool is_kept;              /* what follows is set */
    bool is_done;              /* else its loop is not over */
    char digest[40];           /* of its report */
    size_t n_results;          /* owned */
    struct bq_result *results;
    uint64_t n_given_up_total;
    size_t n_given_up; /* owned; at most BQ_MAX_NAMED */
    struct bq_given_up *given_up;
    char state[BQ_MAX_STATE_NAME]; /* a raw file beside the checkpoint, its output; "": none */
    struct bq_hash state_hash;
    struct bq_layout layout; /* of that file */
    int like;                /* the step whose input that came from; -1: none */
};

struct bq_checkpoint {
    struct bq_checkpoint_of of;
    size_t n_steps;
    struct bq_checkpoint_step steps[BQ_MAX_STEPS];
    /* Of the loop whose first step it is: rounds that are finished, and whether that were all. */
    uint64_t round[BQ_MAX_STEPS], spent_ns[BQ_MAX_STEPS];
    enum bq_checkpoint_end {
        BQ_LOOP_GOES_ON,
        BQ_LOOP_ENDED,
        BQ_LOOP_ENDED_SHORT
    } end[BQ_MAX_STEPS];
};

/* Bytes that put writes at most. */
size_t bq_checkpoint_bytes(const struct bq_checkpoint *checkpoint);
void bq_checkpoint_put(struct bq_writer *w, const struct bq_checkpoint *checkpoint);

/* -1: the bytes are no checkpoint, or there is no memory; to be freed in any case. */
int bq_checkpoint_get(struct bq_reader *r, struct bq_checkpoint *checkpoint);

/* What it points to, not itself. */
void bq_checkpoint_free(struct bq_checkpoint *checkpoint);
void bq_checkpoint_step_free(struct bq_checkpoint_step *step);

#endif
