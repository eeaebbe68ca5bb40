/* Executing a chunk: read, kernel, digest, and the result on its way. What a cook does. */
#ifndef BQ_RUN_EXECUTE_H
#define BQ_RUN_EXECUTE_H

#include "adapters/pool.h"
#include "base/bytes.h"
#include "core/recipe.h"
#include "core/wire.h"
#include "core/window.h"
#include "run/registry.h"

struct bq_executor;

/* Opens the input and the way to the output; shard: the number of this kitchen's, if it has one.
 * recipe must outlive it. */
struct bq_executor *bq_executor_create(const struct bq_recipe *recipe,
                                       const struct bq_kernel *kernel, uint32_t step,
                                       uint32_t shard, struct bq_error *err);

/* A stored chunk that is decoded so many times is worth a word. */
#define BQ_MANY_REPEATS 3

/* What of a kitchen fits into its memory. */
struct bq_fit {
    unsigned n_cooks, n_slots; /* cooks, and chunks that each may have in progress */
    unsigned n_cached;         /* decoded chunks that are kept for other blocks */
    bool keeps_all;            /* which are all that there are: a loop decodes them once */
    bool has_plenty;           /* thin blocks are fetched together */
    uint64_t bytes;            /* of all buffers */
    double repeats;            /* how many times each stored chunk is decoded, about */
    uint64_t least_for_row; /* bytes of buffers with which that would be once; UINT64_MAX: none */
};

/* Chooses how many cooks work, n_cooks at most, and what each gets, so that what is allocated stays
 * within `budget` bytes. -1 (exit 2) when not even one cook can work. Allocates nothing. */
int bq_executor_fit(const struct bq_recipe *recipe, const struct bq_kernel *kernel, bool is_served,
                    bool is_direct, unsigned n_cooks, uint64_t budget, struct bq_fit *fit,
                    struct bq_error *err);

/* Bytes that the program itself takes, to be left of a kitchen's `memory`. */
uint64_t bq_executor_taken(void);

/* What to do about stored chunks that are decoded many times, into out. Returns out. */
const char *bq_executor_advice(const struct bq_recipe *recipe, const struct bq_fit *fit, char *out,
                               size_t size);

/* Fits, and allocates. */
int bq_executor_prepare(struct bq_executor *executor, unsigned n_cooks, uint64_t budget,
                        struct bq_fit *fit, struct bq_error *err);

/* After bq_executor_prepare, before the pool: starts the threads of a pipeline, if there is one. */
int bq_executor_start(struct bq_executor *executor, uint64_t epoch, struct bq_error *err);

/* After bq_executor_stop: what such a thread did; NULL when there is none of that number. */
const struct bq_track *bq_executor_track(const struct bq_executor *executor, unsigned worker,
                                         enum bq_line_stage *stage, uint64_t *n_chunks);

/* Whether tiny chunks may be taken in runs: see bq_pool_config.is_single. */
bool bq_executor_takes_runs(const struct bq_executor *executor);

/* Whether the coordinator sends its input; whether its output is written here. */
bool bq_executor_is_served(const struct bq_executor *executor);
bool bq_executor_is_direct(const struct bq_executor *executor);

/* Whether its step may come again with other parameters, input and output of the same shape, which
 * the recipe then holds, and the rest stay as it is. */
bool bq_executor_may_rest(const struct bq_executor *executor);

/* Opens those: before the cooks go on. false: it cannot, and is only to be destroyed. */
bool bq_executor_again(struct bq_executor *executor, uint32_t step);

/* The manager's: see bq_intake_wanted and bq_intake_supply. */
bool bq_executor_wants(struct bq_executor *executor, struct bq_part *part);
void bq_executor_supply(struct bq_executor *executor, struct bq_part part, struct bq_reader *rest,
                        const char *why);

/* Nobody may hold a parcel of it any more: see bq_executor_is_settled. */
void bq_executor_destroy(struct bq_executor *executor);

/* The payload of a failed unit, to be given to bq_free. */
struct bq_refusal {
    enum bq_refused_by by;
    char why[256];
};

/* For bq_pool_config.cook. The payload of a finished unit is a struct bq_parcel to be sent, or NULL
 * when only its result is; of a failed one it is a struct bq_refusal, or NULL without memory. */
enum bq_unit_answer bq_execute(void *executor, struct bq_unit *unit);

/* Every output buffer is back. */
bool bq_executor_is_settled(struct bq_executor *executor);

/* Makes cooks that wait for a buffer go on, without one, so that the pool can stop. */
void bq_executor_stop(struct bq_executor *executor);

/* After the pool has stopped: gives back the buffers of chunks that will not be finished, and what
 * their kernel keeps for them. */
void bq_executor_abandon(struct bq_executor *executor);

/* After that, before the kitchen reports: finishes what it wrote by itself. */
int bq_executor_commit(struct bq_executor *executor, struct bq_error *err);

void bq_executor_bytes(const struct bq_executor *executor, uint64_t *in, uint64_t *out);

/* Bytes that a kitchen of so many cooks, each with so many chunks in progress, needs at least for
 * its buffers; where the file systems are shared. */
uint64_t bq_executor_memory(const struct bq_recipe *recipe, unsigned n_cooks, unsigned n_slots);

#endif
