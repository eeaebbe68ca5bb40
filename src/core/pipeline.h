/* The stages of a chunk's life, and how many threads each has when they are apart. */
#ifndef BQ_CORE_PIPELINE_H
#define BQ_CORE_PIPELINE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define BQ_PIPELINE_MAX 1024 /* threads of a stage */

/* X(code, name). Reading includes decoding. */
#define BQ_LINE_STAGES(X)                                                                          \
    X(BQ_LINE_READ, "read")                                                                        \
    X(BQ_LINE_KERNEL, "kernel")                                                                    \
    X(BQ_LINE_ENCODE, "encode")                                                                    \
    X(BQ_LINE_WRITE, "write")

enum bq_line_stage {
#define BQ_LINE_STAGE_CODE(code, name) code,
    BQ_LINE_STAGES(BQ_LINE_STAGE_CODE)
#undef BQ_LINE_STAGE_CODE
        BQ_N_LINE_STAGES
};

struct bq_pipeline {
    bool is_on;       /* else every cook carries its chunks through all stages */
    bool keeps_order; /* chunks are written as they were read; one thread each for both */
    uint32_t threads[BQ_N_LINE_STAGES];
};

const char *bq_line_stage_name(enum bq_line_stage stage);

/* Threads after the readers. */
unsigned bq_pipeline_workers(const struct bq_pipeline *pipeline);

/* "off", or "read:1,kernel:2,encode:1,write:1"; a stage that is left out has one thread;
 * "order:kept" or "order:any" (the standard) beside them. */
int bq_pipeline_set(struct bq_pipeline *pipeline, const char *text, struct bq_error *err);

#endif
