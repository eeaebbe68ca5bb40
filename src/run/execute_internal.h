/* What execute.c (chunks) and executor.c (what they need) share. Nobody else includes it. */
#ifndef BQ_RUN_EXECUTE_INTERNAL_H
#define BQ_RUN_EXECUTE_INTERNAL_H

#include "run/execute.h"
#include "run/intake.h"
#include "run/line.h"
#include "run/merge.h"
#include "run/outlet.h"

/* What one open chunk of one cook needs. */
struct bench {
    struct bq_on_line on_line;  /* first */
    bool is_on_line;            /* with the line's threads, or back from them */
    struct bq_unit unit;        /* as the line's threads have it */
    enum bq_unit_answer answer; /* theirs */
    void *in;
    uint64_t chunk;
    struct bq_box box;
    uint64_t window[BQ_MAX_RANK]; /* extents of the input: the box and its margins */
    struct bq_block in_block, out_block;
    bool is_fetching;     /* its input is on the way */
    unsigned stage;       /* of the kernel */
    void *state;          /* the kernel's, of state_size bytes, or NULL */
    bool has_state;       /* the kernel was called, and will be again */
    uint64_t begun;       /* clock: of the last call of the cook, before the kernel */
    unsigned char *stack; /* results of a run on their way up the tree */
};

struct bq_executor {
    const struct bq_recipe *recipe;
    const struct bq_kernel *kernel;
    struct bq_merge merge;
    uint32_t step;            /* its number */
    struct bq_intake *intake; /* NULL when the step has no input */
    struct bq_outlet *outlet; /* NULL when it has no output */
    struct bq_line *line;     /* NULL: each cook carries its chunks through all stages */
    size_t result_size, stride;
    unsigned n_cooks, n_slots, n_benches;
    struct bench *benches;
    _Atomic uint64_t bytes_in, bytes_out;
};

/* execute.c. For bq_line_config.work. */
bool bq_execute_stage(void *executor, enum bq_line_stage stage, unsigned worker,
                      struct bq_meter *meter, struct bq_on_line *chunk);

/* execute.c. The kernel will not be called again for a chunk that it has not finished: it gives
 * back what it keeps for it. Once, however often this is called. */
void bq_abandon(struct bq_executor *executor, struct bench *bench);

/* execute.c. The line has stopped, and no cook comes for what it made of this chunk. */
void bq_drop_on_line(struct bench *bench);

#endif
