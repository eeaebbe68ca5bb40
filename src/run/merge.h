/* The result of a chunk: [digest of its output][the kernel's accumulator], and how two become one.
 */
#ifndef BQ_RUN_MERGE_H
#define BQ_RUN_MERGE_H

#include "core/recipe.h"
#include "run/registry.h"

struct bq_merge {
    const struct bq_recipe *recipe;
    const struct bq_kernel *kernel;
};
void bq_merge_run(const void *merge, void *into, const void *next);

/* A result for a chunk that yields nothing: given up, or of an empty dataset. */
void bq_merge_nothing(const struct bq_merge *merge, void *result);

/* The digest of a chunk's output, BQ_DIGEST_SIZE bytes. Digests are added, so their order is free.
 */
void bq_merge_add_digest(void *into, const void *next);
void bq_merge_digest(uint64_t chunk, const void *data, size_t size, void *result);

#endif
