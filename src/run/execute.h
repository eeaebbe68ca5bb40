/* Executing a chunk: read, kernel, digest, and the result on its way. What a cook does. */
#ifndef BQ_RUN_EXECUTE_H
#define BQ_RUN_EXECUTE_H

#include "adapters/pool.h"
#include "core/recipe.h"
#include "run/registry.h"

struct bq_executor;

/* recipe must outlive it. n_cooks: threads that will call. Opens the input. */
struct bq_executor *bq_executor_create(const struct bq_recipe *recipe,
                                       const struct bq_kernel *kernel, uint32_t step,
                                       unsigned n_cooks, struct bq_error *err);

/* Whether tiny chunks may be taken in runs: see bq_pool_config.is_single. */
bool bq_executor_takes_runs(const struct bq_recipe *recipe, const struct bq_kernel *kernel);

/* Nobody may hold a parcel of it any more: see bq_executor_is_settled. */
void bq_executor_destroy(struct bq_executor *executor);

/* For bq_pool_config.cook. The payload of a finished unit is a struct bq_parcel to be sent when
 * the step has an output, else NULL; of a failed one it is a text to be given to bq_free. */
enum bq_unit_answer bq_execute(void *executor, struct bq_unit *unit);

/* Every output buffer is back. */
bool bq_executor_is_settled(struct bq_executor *executor);

/* Makes cooks that wait for a buffer go on, without one, so that the pool can stop. */
void bq_executor_stop(struct bq_executor *executor);

/* After the pool has stopped: gives back the buffers of chunks that will not be finished. */
void bq_executor_abandon(struct bq_executor *executor);

void bq_executor_bytes(const struct bq_executor *executor, uint64_t *in, uint64_t *out);

/* Bytes of memory that a kitchen with so many cooks needs for its buffers. */
uint64_t bq_executor_memory(const struct bq_recipe *recipe, unsigned n_cooks);

#endif
