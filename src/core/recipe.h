/* A recipe: one step of a job, resolved against its input, as every kitchen gets it in a message.
 * Plain data; what it names (kernel, file) is looked up where it arrives. */
#ifndef BQ_CORE_RECIPE_H
#define BQ_CORE_RECIPE_H

#include "base/bytes.h"
#include "core/job.h"
#include "core/layout.h"
#include "core/pipeline.h"
#include "core/plan.h"
#include "core/step.h"

#define BQ_MAX_PATH 1024
#define BQ_MAX_CHUNK_BYTES (UINT64_C(1) << 30) /* of a chunk's input or output */

/* What a kitchen does with a chunk's output. X(code, what a plan says) */
#define BQ_OUTPUT_HOWS(X)                                                                          \
    X(BQ_OUTPUT_LIBRARY, "gathered by the coordinator, written through the HDF5 library")          \
    X(BQ_OUTPUT_DIRECT, "written by the kitchens, each chunk to its place")                        \
    X(BQ_OUTPUT_ENCODED, "encoded by the cooks, placed by the coordinator")                        \
    X(BQ_OUTPUT_SHARDED, "a file for each kitchen, joined by a virtual dataset")

enum bq_output_how {
#define BQ_OUTPUT_HOW_CODE(code, text) code,
    BQ_OUTPUT_HOWS(BQ_OUTPUT_HOW_CODE)
#undef BQ_OUTPUT_HOW_CODE
        BQ_N_OUTPUT_HOWS
};

struct bq_recipe {
    char kernel[48];
    char library[BQ_MAX_PATH]; /* that it comes from; "": it is part of the program */
    struct bq_hash library_hash;
    uint32_t n_params;
    uint8_t kinds[BQ_MAX_PARAMS]; /* enum bq_param_kind */
    union bq_value params[BQ_MAX_PARAMS];
    void *owned[BQ_MAX_PARAMS]; /* memory of texts and lists that nobody else owns, or NULL */
    bool has_input, has_output;
    bool is_handed_over; /* the input: a raw file that another step made */
    bool is_fed;         /* or makes now: no chunk is leased before its input is there */
    char file[BQ_MAX_PATH], dataset[BQ_MAX_PATH]; /* input */
    uint64_t file_bytes, identity[2];             /* of the input, as the coordinator sees it */
    struct bq_layout layout;                      /* of the input */
    uint64_t library_bytes; /* of memory, when only the HDF5 library can read it */
    enum bq_delivery delivery;
    enum bq_on_error on_error;
    uint32_t attempts;    /* at a chunk that fails */
    uint64_t deadline_ns; /* of a call of the kernel; 0: none */
    struct {
        enum bq_output_how how;
        char
            work[BQ_MAX_PATH]; /* absolute path of the work file: its random name is its identity */
        char file[BQ_MAX_PATH], dataset[BQ_MAX_PATH];
        struct bq_layout layout;
        bool refuses_nan; /* a chunk with a NaN in its output is a failed one */
        bool is_scratch;  /* need not survive the run */
    } output;             /* when has_output */
    uint64_t memory;      /* a kitchen's budget, bytes; 0: its fair share of what is free */
    uint32_t n_beside;    /* steps that share it at the same time, this one included */
    enum bq_type in_type, out_type;
    struct bq_plan plan;
    uint64_t acc_size;   /* the kernel's own accumulator, bytes */
    uint64_t state_size; /* what it keeps of an open chunk while it waits, bytes */
    struct bq_schedule schedule;
    struct bq_pipeline pipeline;        /* n_cooks are its readers, when it is on */
    uint32_t n_kitchens, n_cooks, open; /* n_cooks 0: a fair share of the cores */
    bool is_team, is_bound;             /* is_bound: cooks are pinned to cores */
    bool input_stays;                   /* it comes again with the same input */
    uint32_t comes_again; /* 0, or what all rounds of a step of a loop have in common: a kitchen may
                             keep its cooks and buffers for the next */
};

/* What is reduced for each chunk: [digest of its output, 16 bytes][accumulator]. */
#define BQ_DIGEST_SIZE 16
static inline size_t bq_recipe_result_size(const struct bq_recipe *recipe)
{
    return (recipe->has_output ? BQ_DIGEST_SIZE : 0) + (size_t)recipe->acc_size;
}

void bq_recipe_put(struct bq_writer *w, const struct bq_recipe *recipe);

/* -1 when the bytes are no recipe, or one that asks for impossible things, or without memory; to be
 * freed in any case. */
int bq_recipe_get(struct bq_reader *r, struct bq_recipe *recipe);

/* Whether they differ in nothing but values of parameters and places of input and output: what one
 * needs in a kitchen serves the other. */
bool bq_recipe_is_alike(const struct bq_recipe *a, const struct bq_recipe *b);

/* What it owns, not itself. */
void bq_recipe_free(struct bq_recipe *recipe);

/* Bytes that bq_recipe_put writes at most. */
size_t bq_recipe_bytes(const struct bq_recipe *recipe);

#endif
