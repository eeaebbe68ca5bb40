#include "core/shard_map.h"

#include <string.h>

#include "base/heap.h"

int bq_shard_map_create(struct bq_shard_map *map, uint64_t n_chunks)
{
    map->owner = bq_alloc(n_chunks, sizeof *map->owner);
    map->n = map->owner ? n_chunks : 0;
    for (uint64_t i = 0; i < map->n; i++)
        map->owner[i] = BQ_SHARD_NOBODY;
    return map->owner ? 0 : -1;
}

void bq_shard_map_destroy(struct bq_shard_map *map)
{
    bq_free(map->owner);
    *map = (struct bq_shard_map){0};
}

void bq_shard_map_set(struct bq_shard_map *map, uint64_t first, uint64_t count, uint32_t shard)
{
    for (uint64_t i = first; i < map->n && i - first < count; i++) {
        if (map->owner[i] == BQ_SHARD_NOBODY)
            map->owner[i] = shard;
    }
}

void bq_shard_map_lose(struct bq_shard_map *map, uint32_t shard,
                       void (*lost)(void *context, uint64_t first, uint64_t count), void *context)
{
    for (uint64_t at = 0; at < map->n; at++) {
        uint64_t first = at;
        while (at < map->n && map->owner[at] == shard)
            map->owner[at++] = BQ_SHARD_NOBODY;
        if (at > first)
            lost(context, first, at - first);
    }
}

/* A run of chunks from `at` on becomes one box when it begins at a corner: the largest that begins
 * there, is whole rows of the grid in all axes after one, and stays within the run. Returns its
 * chunks. */
static uint64_t box_at(const struct bq_plan *plan, uint64_t at, uint64_t left, struct bq_box *box)
{
    uint64_t below = 1, position = at;
    uint64_t cell[BQ_MAX_RANK] = {0}, count[BQ_MAX_RANK] = {0};
    int rank = plan->space.rank, axis = rank - 1;
    for (int i = rank - 1; i >= 0; i--) {
        cell[i] = position % plan->grid[i];
        position /= plan->grid[i];
        count[i] = 1;
    }
    /* Go up while the whole of an axis fits. */
    while (axis > 0 && cell[axis] == 0 && left >= below * plan->grid[axis]) {
        count[axis] = plan->grid[axis];
        below *= plan->grid[axis];
        axis--;
    }
    uint64_t most = plan->grid[axis] - cell[axis], fits = left / below;
    count[axis] = fits < most ? fits : most;
    box->rank = rank;
    for (int i = 0; i < rank; i++) {
        uint64_t begin = cell[i] * plan->chunk[i];
        uint64_t end = (cell[i] + count[i]) * plan->chunk[i];
        box->offset[i] = begin;
        box->extent[i] = (end < plan->space.extent[i] ? end : plan->space.extent[i]) - begin;
    }
    return below * count[axis];
}

struct bq_shard_part *bq_shard_map_parts(const struct bq_shard_map *map, const struct bq_plan *plan,
                                         size_t *n, bool *is_bad)
{
    struct bq_shard_part *parts = NULL;
    size_t room = 0;
    *n = 0;
    *is_bad = false;
    for (uint64_t at = 0; at < map->n;) {
        uint64_t end = at + 1;
        while (end < map->n && map->owner[end] == map->owner[at])
            end++;
        if (map->owner[at] >= BQ_SHARD_GIVEN_UP)
            at = end;
        while (at < end) {
            if (*n == room) {
                struct bq_shard_part *grown = bq_alloc(room ? 2 * room : 64, sizeof *grown);
                if (grown && parts)
                    memcpy(grown, parts, *n * sizeof *parts);
                bq_free(parts);
                parts = grown;
                room = room ? 2 * room : 64;
                if (!parts) {
                    *n = 0;
                    *is_bad = true;
                    return NULL;
                }
            }
            parts[*n].shard = map->owner[at];
            at += box_at(plan, at, end - at, &parts[*n].box);
            ++*n;
        }
    }
    return parts;
}
