/* Longer than most: blocks, parcels and shards are three ways of one private struct. */
#include "run/outlet.h"

#include <stdatomic.h>
#include <string.h>

#include "adapters/codec.h"
#include "adapters/store.h"
#include "base/heap.h"
#include "core/wire.h"
#include "run/out_buffer.h"

#define FIXED 17 /* bytes of a RESULT before its nodes */

struct place {
    void *block;                /* native numbers; NULL when they are put into a parcel at once */
    struct bq_out_buffer *sent; /* the parcel of a chunk in the kernel, or encoded */
    unsigned char *pieces;      /* sharded: stored chunks on their way into the file */
    size_t size;                /* bytes, of those in `sent` or `pieces` */
};

struct cook {
    void *stored; /* numbers as they are stored, of a block or a stored chunk */
    struct bq_codec *codec;
};

struct bq_outlet {
    const struct bq_recipe *recipe;
    uint32_t step;
    unsigned n_cooks;
    struct bq_output *shard;     /* this kitchen's own file; NULL when it is not sharded */
    atomic_bool has_placed;      /* something is in it */
    struct bq_direct *direct;    /* NULL when it is not direct */
    struct bq_direct *other;     /* the one of the round before, which will come again */
    struct bq_out_pool *parcels; /* NULL when it is */
    size_t header;               /* bytes in front of the data in a parcel, at most */
    unsigned n_workers;
    struct cook *cooks;   /* n_cooks + n_workers */
    struct place *places; /* n_cooks * recipe->open */
};

/* -- sizes -------------------------------------------------------------------------------- */

static size_t block_bytes(const struct bq_recipe *recipe)
{
    return (size_t)recipe->plan.max_elements * bq_type_size(recipe->out_type);
}

static bool is_encoded(const struct bq_recipe *recipe)
{
    return recipe->output.how == BQ_OUTPUT_ENCODED || recipe->output.how == BQ_OUTPUT_SHARDED;
}

/* Bytes of data in a parcel. */
static size_t parcel_bytes(const struct bq_recipe *recipe)
{
    const struct bq_layout *layout = &recipe->output.layout;
    uint64_t n = bq_stored_cells(layout, &recipe->plan);
    if (!is_encoded(recipe))
        return block_bytes(recipe);
    size_t one = bq_codec_bound(&layout->filters, bq_layout_chunk_bytes(layout)), all;
    one += bq_stored_head_size(1);
    return __builtin_mul_overflow(n, one, &all) || all > SIZE_MAX / 8 ? SIZE_MAX / 8 : all;
}

/* Room for numbers in their stored form: of a stored chunk, or of a whole block. */
static size_t stored_bytes(const struct bq_recipe *recipe)
{
    const struct bq_layout *layout = &recipe->output.layout;
    if (is_encoded(recipe))
        return bq_layout_chunk_bytes(layout);
    return recipe->output.how == BQ_OUTPUT_LIBRARY || bq_number_is_native(&layout->number)
               ? 0
               : (size_t)recipe->plan.max_elements * layout->number.size;
}

/* Whether kernels put their output into blocks, and not into parcels at once. */
static bool has_blocks(const struct bq_recipe *recipe, bool is_direct)
{
    return is_direct || is_encoded(recipe);
}

/* While one parcel of a cook is under way it fills the next. */
static unsigned parcels_of_cook(const struct bq_recipe *recipe, bool is_direct)
{
    return is_direct ? 0 : is_encoded(recipe) && recipe->open == 1 ? 2 : recipe->open + 1;
}

struct bq_outlet_memory bq_outlet_memory(const struct bq_recipe *recipe, bool is_direct)
{
    struct bq_outlet_memory m = {0};
    size_t parcel = parcel_bytes(recipe) + bq_wire_node_size(bq_recipe_result_size(recipe)) + 4096;
    if (!recipe->has_output)
        return m;
    m.worker = sizeof(struct cook) + stored_bytes(recipe);
    if (is_encoded(recipe))
        m.worker += bq_codec_memory(bq_layout_chunk_bytes(&recipe->output.layout),
                                    &recipe->output.layout.filters);
    m.cook = m.worker + recipe->open * sizeof(struct place) +
             parcels_of_cook(recipe, is_direct) * parcel;
    if (has_blocks(recipe, is_direct))
        m.cook += recipe->open * block_bytes(recipe);
    if (is_encoded(recipe) && is_direct)
        m.cook += recipe->open * parcel; /* pieces */
    m.fixed = is_direct ? 0 : parcel;
    return m;
}

/* -- creation ----------------------------------------------------------------------------- */

struct bq_outlet *bq_outlet_create(const struct bq_recipe *recipe, uint32_t step, uint32_t shard,
                                   struct bq_error *err)
{
    struct bq_outlet *o = bq_alloc(1, sizeof *o);
    size_t result = bq_recipe_result_size(recipe);
    if (!o) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return NULL;
    }
    o->recipe = recipe;
    o->step = step;
    o->header = (FIXED + bq_wire_node_size(result) + 63) / 64 * 64;
    /* Who cannot see the work file sends its output; nothing is wrong with that. */
    if (recipe->output.how == BQ_OUTPUT_DIRECT)
        o->direct = bq_direct_open(recipe->output.work, recipe->output.file, recipe->output.dataset,
                                   &recipe->output.layout, recipe->output.is_scratch, NULL);
    if (recipe->output.how == BQ_OUTPUT_SHARDED)
        o->shard = bq_shard_create(recipe->output.work, shard, recipe->output.dataset,
                                   recipe->out_type, &recipe->output.layout, NULL);
    return o;
}

static int prepare(struct bq_outlet *o, struct bq_error *err)
{
    const struct bq_recipe *recipe = o->recipe;
    size_t stored = stored_bytes(recipe);
    unsigned n_places = o->n_cooks * recipe->open;
    unsigned n_threads = o->n_cooks + o->n_workers;
    o->cooks = bq_alloc(n_threads, sizeof *o->cooks);
    o->places = bq_alloc(n_places, sizeof *o->places);
    if (!o->cooks || !o->places)
        return -1;
    for (unsigned c = 0; c < n_threads; c++) {
        if (stored && !(o->cooks[c].stored = bq_room(1, stored)))
            return -1;
        if (is_encoded(recipe) && !(o->cooks[c].codec = bq_codec_create(stored, err)))
            return -1;
    }
    for (unsigned i = 0; o->shard && i < n_places; i++) {
        if (!(o->places[i].pieces = bq_room(1, parcel_bytes(recipe))))
            return -1;
    }
    bool is_direct = bq_outlet_is_direct(o);
    for (unsigned i = 0; has_blocks(recipe, is_direct) && i < n_places; i++) {
        if (!(o->places[i].block = bq_room(1, block_bytes(recipe))))
            return -1;
    }
    unsigned n = o->n_cooks * parcels_of_cook(recipe, is_direct);
    if (n)
        o->parcels = bq_out_pool_create(n + 1, o->header, parcel_bytes(recipe));
    return n && !o->parcels ? -1 : 0;
}

int bq_outlet_prepare(struct bq_outlet *o, unsigned n_cooks, unsigned n_workers,
                      struct bq_error *err)
{
    o->n_cooks = n_cooks;
    o->n_workers = n_workers;
    return prepare(o, err) < 0
               ? bq_fail(err, BQ_EXIT_FAILED, "out of memory for the output of %u cooks", n_cooks)
               : 0;
}

void bq_outlet_destroy(struct bq_outlet *o)
{
    if (!o)
        return;
    for (unsigned c = 0; o->cooks && c < o->n_cooks + o->n_workers; c++) {
        bq_free(o->cooks[c].stored);
        bq_codec_destroy(o->cooks[c].codec);
    }
    for (unsigned i = 0; o->places && i < o->n_cooks * o->recipe->open; i++) {
        bq_free(o->places[i].block);
        bq_free(o->places[i].pieces);
    }
    bq_out_pool_destroy(o->parcels);
    bq_direct_close(o->direct);
    bq_direct_close(o->other);
    bq_output_discard(o->shard);
    bq_free(o->cooks);
    bq_free(o->places);
    bq_free(o);
}

bool bq_outlet_is_direct(const struct bq_outlet *o)
{
    return o->direct || o->shard;
}

/* Steps of a loop hand over in two files by turns. */
bool bq_outlet_again(struct bq_outlet *o, uint32_t step)
{
    const struct bq_recipe *recipe = o->recipe;
    struct bq_direct *before = o->direct;
    o->step = step;
    if (!before || !recipe->output.is_scratch)
        return false;
    if (bq_direct_again(before, recipe->output.work))
        return true;
    o->direct = o->other;
    o->other = before;
    if (o->direct && bq_direct_again(o->direct, recipe->output.work))
        return true;
    bq_direct_close(o->direct);
    o->direct = bq_direct_open(recipe->output.work, recipe->output.file, recipe->output.dataset,
                               &recipe->output.layout, true, NULL);
    return o->direct != NULL;
}

/* -- one chunk ---------------------------------------------------------------------------- */

static struct place *place_of(struct bq_outlet *o, const struct bq_unit *unit)
{
    /* A kernel that does not wait has one block in work a cook, whatever is fetched ahead. */
    unsigned open = o->recipe->open;
    return &o->places[unit->cook * open + (open > 1 ? unit->slot : 0)];
}

void *bq_outlet_begin(struct bq_outlet *o, struct bq_unit *unit)
{
    struct place *place = place_of(o, unit);
    if (place->block)
        return place->block;
    place->sent = bq_out_take(o->parcels, unit->meter);
    return place->sent ? place->sent->data + o->header : NULL;
}

/* Builds the message's head in front of the data. */
static void wrap(struct bq_outlet *o, struct bq_out_buffer *out, uint64_t chunk, const void *result,
                 size_t data_size)
{
    size_t size = bq_recipe_result_size(o->recipe), head = FIXED + bq_wire_node_size(size);
    unsigned char *begin = out->data + o->header - head;
    struct bq_writer w = bq_writer(begin, head);
    bq_wire_put(&w, &(struct bq_message){
                        .kind = BQ_RESULT, .step = o->step, .n = 1, .data_size = data_size});
    bq_wire_put_node(&w, (struct bq_node){.first = chunk, .level = 0}, result, size);
    out->parcel.bytes = begin;
    out->parcel.size = head + data_size;
}

static int write_directly(struct bq_outlet *o, struct bq_unit *unit, unsigned by,
                          const struct bq_box *block, const void *native, struct bq_error *err)
{
    const struct bq_number *number = &o->recipe->output.layout.number;
    const void *stored = native;
    if (!bq_number_is_native(number)) {
        stored = o->cooks[by].stored;
        bq_number_write(number, native, o->cooks[by].stored, (size_t)bq_box_elements(block));
    }
    bq_meter_enter(unit->meter, BQ_PHASE_FILE);
    int rc = bq_direct_write(o->direct, block, stored, err);
    bq_meter_enter(unit->meter, BQ_PHASE_BUSY);
    return rc;
}

/* A dataset may grow: beyond its edge a stored chunk holds what was never written. */
static void fill(const struct bq_layout *layout, void *stored)
{
    unsigned char value[8];
    struct bq_box whole = {.rank = layout->chunk.rank};
    memcpy(whole.extent, layout->chunk.extent, sizeof whole.extent);
    bq_number_write(&layout->number, layout->fill, value, 1);
    bq_box_fill(&whole, whole.extent, value, layout->number.size, stored);
}

/* A stored chunk's numbers, where they lie or gathered: also those beyond the dataset's edge. */
static const void *gather(struct bq_outlet *o, struct cook *cook, const struct bq_box *block,
                          const struct bq_box *cell, const void *native)
{
    const struct bq_layout *layout = &o->recipe->output.layout;
    size_t size = (size_t)cell->rank * sizeof *cell->extent;
    bool is_whole = memcmp(cell->extent, layout->chunk.extent, size) == 0;
    if (is_whole && bq_number_is_native(&layout->number) &&
        memcmp(cell->offset, block->offset, size) == 0 &&
        memcmp(cell->extent, block->extent, size) == 0)
        return native;
    if (!is_whole)
        fill(layout, cook->stored);
    bq_box_write(&layout->number, block, block->extent, native, cell, layout->chunk.extent,
                 cook->stored);
    return cook->stored;
}

/* Stored chunks, each with its size and mask in front: see accept.c. */
static int encode(struct bq_outlet *o, struct cook *cook, const struct bq_box *block,
                  const void *native, unsigned char *begin, size_t *size, struct bq_error *err)
{
    const struct bq_layout *layout = &o->recipe->output.layout;
    unsigned char *at = begin, *end = begin + parcel_bytes(o->recipe);
    uint64_t n_cells = bq_box_cells(block, layout->chunk.extent);
    for (uint64_t i = 0; i < n_cells; i++) {
        struct bq_box cell;
        size_t n;
        uint32_t mask;
        bq_box_cell(block, &layout->space, layout->chunk.extent, i, &cell);
        const void *numbers = gather(o, cook, block, &cell, native);
        if (bq_codec_encode(cook->codec, &layout->filters, numbers, bq_layout_chunk_bytes(layout),
                            at + 12, (size_t)(end - at) - 12, &n, &mask, err) < 0)
            return bq_fail_in(err, "%s:%s", o->recipe->output.file, o->recipe->output.dataset);
        struct bq_writer w = bq_writer(at, 12);
        bq_put_u64(&w, n);
        bq_put_u32(&w, mask);
        at += 12 + n;
    }
    *size = (size_t)(at - begin);
    return 0;
}

static int write_shard(struct bq_outlet *o, struct bq_unit *unit, const struct bq_box *block,
                       const struct place *place, struct bq_error *err)
{
    struct bq_reader r = bq_reader(place->pieces, place->size);
    bq_meter_enter(unit->meter, BQ_PHASE_FILE);
    int rc = bq_output_place_all(o->shard, &o->recipe->output.layout, block, &r, err);
    bq_meter_enter(unit->meter, BQ_PHASE_BUSY);
    atomic_store(&o->has_placed, true);
    return rc;
}

int bq_outlet_encode(struct bq_outlet *o, struct bq_unit *unit, unsigned by,
                     const struct bq_box *block, struct bq_error *err)
{
    struct place *place = place_of(o, unit);
    struct cook *cook = &o->cooks[by];
    if (o->direct || !is_encoded(o->recipe))
        return 0;
    if (o->shard)
        return encode(o, cook, block, place->block, place->pieces, &place->size, err);
    place->sent = bq_out_take(o->parcels, unit->meter);
    if (!place->sent)
        return bq_fail(err, BQ_EXIT_FAILED, "stopped");
    return encode(o, cook, block, place->block, place->sent->data + o->header, &place->size, err);
}

int bq_outlet_write(struct bq_outlet *o, struct bq_unit *unit, unsigned by, uint64_t chunk,
                    const struct bq_box *block, const void *result, struct bq_error *err)
{
    struct place *place = place_of(o, unit);
    if (o->direct)
        return write_directly(o, unit, by, block, place->block, err);
    if (o->shard)
        return write_shard(o, unit, block, place, err);
    if (!is_encoded(o->recipe))
        place->size = (size_t)bq_box_elements(block) * bq_type_size(o->recipe->out_type);
    struct bq_out_buffer *out = place->sent;
    place->sent = NULL;
    wrap(o, out, chunk, result, place->size);
    unit->payload = &out->parcel;
    return 0;
}

static void give_back(struct place *place)
{
    if (place->sent)
        place->sent->parcel.release(&place->sent->parcel);
    place->sent = NULL;
}

void bq_outlet_drop(struct bq_outlet *o, struct bq_unit *unit)
{
    give_back(place_of(o, unit));
}

/* -- the end ------------------------------------------------------------------------------ */

void bq_outlet_stop(struct bq_outlet *o)
{
    if (o->parcels)
        bq_out_stop(o->parcels);
}

int bq_outlet_commit(struct bq_outlet *o, struct bq_error *err)
{
    struct bq_output *shard = o->shard;
    o->shard = NULL;
    if (o->direct)
        return o->recipe->output.is_scratch ? 0 : bq_direct_sync(o->direct, err);
    if (shard && atomic_load(&o->has_placed))
        return bq_output_commit(shard, err);
    bq_output_discard(shard);
    return 0;
}

void bq_outlet_abandon(struct bq_outlet *o)
{
    for (unsigned i = 0; o->places && i < o->n_cooks * o->recipe->open; i++)
        give_back(&o->places[i]);
}

bool bq_outlet_is_settled(struct bq_outlet *o)
{
    return !o->parcels || bq_out_is_settled(o->parcels);
}
