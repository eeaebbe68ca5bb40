/* Walking the common part of a block in memory and an array in the file: consecutive bytes of the
 * file, a handful of pieces of memory at a time. */
#include "adapters/store_internal.h"

#include <string.h>

struct bq_box store_whole(const struct bq_space *space)
{
    struct bq_box box = {.rank = space->rank};
    memcpy(box.extent, space->extent, sizeof box.extent);
    return box;
}

void store_walk_begin(struct store_walk *walk, size_t size, const struct bq_box *block,
                      const struct bq_box *cell, const uint64_t *array, uint64_t address)
{
    struct bq_box part, here, there;
    *walk = (struct store_walk){.address = address, .size = size};
    if (!bq_box_overlap(block, cell, &part))
        return;
    here = there = part;
    for (int i = 0; i < part.rank; i++) {
        here.offset[i] = part.offset[i] - block->offset[i];
        there.offset[i] = part.offset[i] - cell->offset[i];
    }
    bq_runs_of(&walk->file, &there, array);
    bq_runs_of(&walk->memory, &here, block->extent);
    walk->length =
        walk->file.length < walk->memory.length ? walk->file.length : walk->memory.length;
}

int store_walk_next(struct store_walk *walk, unsigned char *block, struct iovec *iov,
                    uint64_t *address)
{
    if (walk->length == 0 || walk->run == walk->file.n)
        return 0;
    /* The shorter runs are pieces of the longer. */
    const uint64_t per_file = walk->file.length / walk->length;
    const uint64_t per_memory = walk->memory.length / walk->length;
    int n = 0;
    *address = walk->address +
               (bq_runs_at(&walk->file, walk->run) + walk->done * walk->length) * walk->size;
    for (; n < STORE_BATCH && walk->done < per_file; n++, walk->done++, walk->piece++) {
        uint64_t element = bq_runs_at(&walk->memory, walk->piece / per_memory) +
                           walk->piece % per_memory * walk->length;
        iov[n].iov_base = block + element * walk->size;
        iov[n].iov_len = walk->length * walk->size;
    }
    if (walk->done == per_file) {
        walk->done = 0;
        walk->run++;
    }
    return n;
}

void store_walked(struct iovec **iov, int *n, size_t bytes)
{
    for (; *n > 0 && bytes >= (*iov)->iov_len; ++*iov, --*n)
        bytes -= (*iov)->iov_len;
    if (*n > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + bytes;
        (*iov)->iov_len -= bytes;
    }
}
