#include "core/feed.h"

#include <string.h>

#include "base/heap.h"
#include "core/box.h"
#include "core/window.h"

struct bq_feed {
    const struct bq_plan *maker, *taker;
    unsigned char *made, *fed; /* a bit for each chunk */
};

static bool has(const unsigned char *bits, uint64_t i)
{
    return bits[i / 8] >> i % 8 & 1;
}

static void set(unsigned char *bits, uint64_t i)
{
    bits[i / 8] = (unsigned char)(bits[i / 8] | 1u << i % 8);
}

bool bq_feed_can(const struct bq_plan *maker, const struct bq_plan *taker)
{
    size_t size = (size_t)maker->space.rank * sizeof *maker->space.extent;
    bool wraps = taker->halo.is_any && taker->halo.border == BQ_WRAP;
    return maker->space.rank == taker->space.rank && !wraps &&
           memcmp(maker->space.extent, taker->space.extent, size) == 0;
}

struct bq_feed *bq_feed_create(const struct bq_plan *maker, const struct bq_plan *taker)
{
    struct bq_feed *feed = bq_feed_can(maker, taker) ? bq_alloc(1, sizeof *feed) : NULL;
    if (!feed)
        return NULL;
    *feed = (struct bq_feed){.maker = maker,
                             .taker = taker,
                             .made = bq_alloc((size_t)(maker->n_chunks / 8 + 1), 1),
                             .fed = bq_alloc((size_t)(taker->n_chunks / 8 + 1), 1)};
    if (feed->made && feed->fed)
        return feed;
    bq_feed_destroy(feed);
    return NULL;
}

void bq_feed_destroy(struct bq_feed *feed)
{
    if (!feed)
        return;
    bq_free(feed->made);
    bq_free(feed->fed);
    bq_free(feed);
}

/* The id of the chunk that begins at a cell's offset. */
static uint64_t id_of(const struct bq_plan *plan, const struct bq_box *cell)
{
    uint64_t id = 0;
    for (int i = 0; i < cell->rank; i++)
        id = id * plan->grid[i] + cell->offset[i] / plan->chunk[i];
    return id;
}

/* Everything that a chunk's window touches is there. */
static bool is_complete(const struct bq_feed *feed, uint64_t chunk)
{
    const struct bq_plan *maker = feed->maker;
    struct bq_box window, cell;
    uint64_t at[BQ_MAX_RANK];
    bq_window_part(feed->taker, chunk, 0, &window, at);
    uint64_t n = bq_box_cells(&window, maker->chunk);
    for (uint64_t i = 0; i < n; i++) {
        bq_box_cell(&window, &maker->space, maker->chunk, i, &cell);
        if (!has(feed->made, id_of(maker, &cell)))
            return false;
    }
    return true;
}

/* Where the windows lie that may touch a chunk of the maker: the chunk, and the taker's margins. */
static struct bq_box reach(const struct bq_feed *feed, uint64_t chunk)
{
    struct bq_box box = {.rank = feed->maker->space.rank};
    bq_plan_chunk(feed->maker, chunk, box.offset, box.extent);
    for (int i = 0; i < box.rank; i++) {
        uint64_t h = feed->taker->halo.width[i], before = box.offset[i] < h ? box.offset[i] : h;
        uint64_t end = box.offset[i] + box.extent[i], all = feed->maker->space.extent[i];
        box.extent[i] += before + (all - end < h ? all - end : h);
        box.offset[i] -= before;
    }
    return box;
}

void bq_feed_made(struct bq_feed *feed, uint64_t first, uint64_t count,
                  void (*ready)(void *context, uint64_t chunk), void *context)
{
    for (uint64_t c = first; c < first + count; c++) {
        if (has(feed->made, c))
            continue;
        set(feed->made, c);
        struct bq_box box = reach(feed, c), cell;
        uint64_t n = bq_box_cells(&box, feed->taker->chunk);
        for (uint64_t i = 0; i < n; i++) {
            bq_box_cell(&box, &feed->taker->space, feed->taker->chunk, i, &cell);
            uint64_t id = id_of(feed->taker, &cell);
            if (has(feed->fed, id) || !is_complete(feed, id))
                continue;
            set(feed->fed, id);
            ready(context, id);
        }
    }
}
