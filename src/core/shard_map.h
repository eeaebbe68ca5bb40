/* Which shard has which chunk of a sharded output, and the boxes of the dataset that follow from
 * it. Pure. */
#ifndef BQ_CORE_SHARD_MAP_H
#define BQ_CORE_SHARD_MAP_H

#include "core/box.h"
#include "core/plan.h"

#define BQ_SHARD_NOBODY UINT32_MAX
#define BQ_SHARD_GIVEN_UP (UINT32_MAX - 1) /* nobody has it, and nobody shall */

struct bq_shard_map {
    uint32_t *owner; /* of each chunk */
    uint64_t n;
};

struct bq_shard_part {
    uint32_t shard;
    struct bq_box box; /* of the dataset, elements */
};

/* -1: no memory. */
int bq_shard_map_create(struct bq_shard_map *map, uint64_t n_chunks);
void bq_shard_map_destroy(struct bq_shard_map *map);

/* Chunks that nobody had are this shard's now. */
void bq_shard_map_set(struct bq_shard_map *map, uint64_t first, uint64_t count, uint32_t shard);

/* What that shard had nobody has now: lost(context, first, count) for each run of them. */
void bq_shard_map_lose(struct bq_shard_map *map, uint32_t shard,
                       void (*lost)(void *context, uint64_t first, uint64_t count), void *context);

/* The boxes of all chunks that somebody has: as few as chunks that follow each other allow. NULL
 * with *n = 0 when there are none or (then *is_bad) no memory; to be given to bq_free. */
struct bq_shard_part *bq_shard_map_parts(const struct bq_shard_map *map, const struct bq_plan *plan,
                                         size_t *n, bool *is_bad);

#endif
