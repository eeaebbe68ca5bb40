/* The line: a pipeline. The pool's cooks only read; threads of their own cook, encode and write,
 * and chunks go from stage to stage through queues of a fixed length.
 *
 *     cooks that read --> [queue] --> kernel --> [queue] --> encode --> [queue] --> write
 *          ^                                                                          |
 *          +------------------------ the chunk's unit is ready -----------------------+
 *
 * For the pool a chunk on the line is one that waits. So a slow stage fills the queues in front of
 * it until the readers stop: nothing grows. */
#ifndef BQ_RUN_LINE_H
#define BQ_RUN_LINE_H

#include "adapters/meter.h"
#include "base/error.h"
#include "core/pipeline.h"

struct bq_line;

/* A chunk on the line: the first member of what the stages work on. */
struct bq_on_line {
    struct bq_on_line *next;
    struct bq_on_line *later; /* of all on the line, in the order in which they were put on it */
    uint64_t number;          /* in that order */
};

struct bq_line_config {
    struct bq_pipeline pipeline;
    uint64_t epoch; /* for meters */
    /* Carries out a stage in thread `worker` (0 .. the number of threads after the readers - 1).
     * Whether the chunk goes on to the next; else, and after the last, it has left the line (by
     * bq_line_leave). */
    bool (*work)(void *context, enum bq_line_stage stage, unsigned worker, struct bq_meter *meter,
                 struct bq_on_line *chunk);
    void *context;
};

struct bq_line *bq_line_create(const struct bq_line_config *config, struct bq_error *err);

/* A reader's thread: onto the line; waits for room. false: the line has stopped. */
bool bq_line_put(struct bq_line *line, struct bq_meter *meter, struct bq_on_line *chunk);

/* From within `work`, of a chunk that does not go on, before it can be put on the line again. */
void bq_line_leave(struct bq_line *line, struct bq_on_line *chunk);

/* Threads end when they have finished what they are at; what is in queues stays there. */
void bq_line_stop(struct bq_line *line);
void bq_line_destroy(struct bq_line *line);

/* After it has stopped: what thread `worker` did, of which stage, and how many chunks. */
const struct bq_track *bq_line_track(const struct bq_line *line, unsigned worker,
                                     enum bq_line_stage *stage, uint64_t *n_chunks);

#endif
