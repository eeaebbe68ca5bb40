#include "run/band.h"

#include <string.h>

#include "base/heap.h"

#define THIN 16384u     /* bytes of a piece in the file; longer ones are read as they are */
#define MOST (8u << 20) /* bytes of a band */

struct bq_bands {
    struct bq_input *input;
    const struct bq_layout *layout;
    const struct bq_plan *plan;
    struct bq_chunk_cache *cache;
    int axis;       /* along which blocks lie side by side in the file */
    uint64_t n;     /* blocks of a band */
    unsigned ahead; /* bands that are filled at once, at most */
};

/* The shape of bands: returns the blocks of one, and the axis; 0 or 1 when there is nothing to
 * gain. */
static uint64_t shape(const struct bq_layout *layout, const struct bq_plan *plan, int *axis)
{
    uint64_t piece = layout->number.size, block;
    int a = plan->space.rank - 1;
    if (layout->storage != BQ_STORAGE_CONTIGUOUS || plan->n_chunks == 0 || plan->halo.is_any)
        return 0;
    for (; a > 0 && plan->grid[a] == 1; a--)
        piece *= plan->space.extent[a];
    piece *= plan->chunk[a];
    block = plan->max_elements * layout->number.size;
    *axis = a;
    /* One piece a block is no thin block; and a block must not be larger than a band. */
    if (a == 0 || piece >= THIN || piece == block || block > MOST / 2)
        return 0;
    uint64_t n = THIN / piece < MOST / block ? THIN / piece : MOST / block;
    return n < plan->grid[a] ? n : plan->grid[a];
}

struct bq_bands_memory bq_bands_memory(const struct bq_layout *layout, const struct bq_plan *plan)
{
    int axis;
    uint64_t n = shape(layout, plan, &axis);
    size_t bytes = (size_t)(n * plan->max_elements * layout->number.size);
    if (n < 2)
        return (struct bq_bands_memory){0};
    return (struct bq_bands_memory){.cook = bq_chunk_cache_memory(2, bytes),
                                    .fixed = bq_chunk_cache_memory(1, bytes)};
}

struct bq_bands *bq_bands_create(struct bq_input *input, const struct bq_layout *layout,
                                 const struct bq_plan *plan, unsigned n_cooks)
{
    struct bq_bands *b = bq_alloc(1, sizeof *b);
    if (!b)
        return NULL;
    *b = (struct bq_bands){.input = input, .layout = layout, .plan = plan, .ahead = n_cooks};
    b->n = shape(layout, plan, &b->axis);
    b->cache = bq_chunk_cache_create(2 * n_cooks + 1,
                                     (size_t)(b->n * plan->max_elements * layout->number.size));
    if (b->cache)
        return b;
    bq_bands_destroy(b);
    return NULL;
}

void bq_bands_destroy(struct bq_bands *b)
{
    if (!b)
        return;
    bq_chunk_cache_destroy(b->cache);
    bq_free(b);
}

/* Bands along the axis, in one line of blocks. */
static uint64_t in_line(const struct bq_bands *b)
{
    uint64_t grid = b->plan->grid[b->axis];
    return grid / b->n + (grid % b->n != 0);
}

/* A band's number; axes after its own have one block each. */
static uint64_t number_of(const struct bq_bands *b, uint64_t chunk)
{
    uint64_t grid = b->plan->grid[b->axis];
    return chunk / grid * in_line(b) + chunk % grid / b->n;
}

static uint64_t n_bands(const struct bq_bands *b)
{
    return b->plan->n_chunks / b->plan->grid[b->axis] * in_line(b);
}

static void box_of(const struct bq_bands *b, uint64_t number, struct bq_box *box)
{
    uint64_t grid = b->plan->grid[b->axis], at = number % in_line(b) * b->n;
    box->rank = b->plan->space.rank;
    bq_plan_chunk(b->plan, number / in_line(b) * grid + at, box->offset, box->extent);
    uint64_t left = b->plan->space.extent[b->axis] - box->offset[b->axis];
    uint64_t whole = b->n * b->plan->chunk[b->axis];
    box->extent[b->axis] = whole < left ? whole : left;
}

/* Its stored numbers, if the file has them at hand. */
static bool fill(struct bq_bands *b, struct bq_cached_chunk *band, uint64_t number)
{
    struct bq_box box;
    box_of(b, number, &box);
    struct bq_stored stored = {.bytes = bq_cached_chunk_data(band), .room = SIZE_MAX};
    bool is_good = bq_input_fetch(b->input, &box, false, &stored, NULL, NULL) == BQ_FETCHED;
    bq_chunk_cache_filled(b->cache, band, is_good);
    return is_good;
}

/* While another cook fills the band that is wanted: the first of those after it that nobody does.
 */
static void fill_ahead(struct bq_bands *b, uint64_t number)
{
    for (unsigned i = 1; i <= b->ahead && number + i < n_bands(b); i++) {
        bool is_new;
        struct bq_cached_chunk *next = bq_chunk_cache_try(b->cache, number + i, &is_new);
        if (!next)
            continue;
        if (is_new)
            fill(b, next, number + i);
        bq_chunk_cache_put(b->cache, next);
        if (is_new)
            return;
    }
}

bool bq_bands_take(struct bq_bands *b, uint64_t chunk, const struct bq_box *block, void *data)
{
    uint64_t number = number_of(b, chunk);
    bool is_new, is_good = true;
    struct bq_cached_chunk *band = bq_chunk_cache_try(b->cache, number, &is_new);
    if (!band) {
        fill_ahead(b, number);
        band = bq_chunk_cache_get(b->cache, number, &is_new);
    }
    if (is_new)
        is_good = fill(b, band, number);
    if (is_good) {
        struct bq_box box;
        box_of(b, number, &box);
        bq_box_read(&b->layout->number, &box, box.extent, bq_cached_chunk_data(band), block,
                    block->extent, data);
    }
    bq_chunk_cache_put(b->cache, band);
    return is_good;
}
