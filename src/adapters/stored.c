#include "adapters/stored.h"

#include <stdio.h>
#include <string.h>

enum bq_stored_form bq_stored_form(const struct bq_layout *layout)
{
    if (layout->storage == BQ_STORAGE_OTHER)
        return BQ_STORED_NATIVE;
    return layout->storage == BQ_STORAGE_CHUNKED && layout->filters.n ? BQ_STORED_PIECES
                                                                      : BQ_STORED_DENSE;
}

size_t bq_layout_chunk_bytes(const struct bq_layout *layout)
{
    uint64_t n = bq_space_elements(&layout->chunk), bytes;
    if (layout->storage != BQ_STORAGE_CHUNKED)
        return 0;
    return __builtin_mul_overflow(n, layout->number.size, &bytes) || bytes > SIZE_MAX / 4
               ? SIZE_MAX / 4
               : (size_t)bytes;
}

/* What a compressor of blocks may add to bytes that do not shrink, when its blocks are small. */
static size_t added_by_blocks(const struct bq_filter *filter, size_t bytes)
{
    const uint32_t *values = filter->values;
    uint64_t block = 0, each = 0;
    if (filter->id == BQ_FILTER_LZ4 && filter->n_values > 0) {
        block = values[0];
        each = 4; /* its size */
    } else if (filter->id == BQ_FILTER_BITSHUFFLE && filter->n_values > 4 && values[4]) {
        block = (uint64_t)values[2] * values[3];
        each = 4 + 64; /* its size, and what LZ4 or zstd may add */
    }
    return block ? (size_t)((bytes / block + 1) * each) : 0;
}

size_t bq_stored_piece_room(const struct bq_layout *layout)
{
    /* Other programs' compressors may need a little more than ours for what does not shrink. */
    size_t bytes = bq_layout_chunk_bytes(layout);
    size_t room = bq_codec_bound(&layout->filters, bytes) + bytes / 16 + 64;
    for (uint32_t i = 0; i < layout->filters.n; i++)
        room += added_by_blocks(&layout->filters.list[i], bytes);
    return room;
}

uint64_t bq_stored_pieces(const struct bq_layout *layout, const struct bq_plan *plan)
{
    return bq_stored_form(layout) == BQ_STORED_PIECES ? bq_stored_cells(layout, plan) : 0;
}

uint64_t bq_stored_cells(const struct bq_layout *layout, const struct bq_plan *plan)
{
    uint64_t n = 1;
    if (layout->storage != BQ_STORAGE_CHUNKED || plan->n_chunks == 0)
        return 0;
    for (int i = 0; i < plan->space.rank; i++) {
        uint64_t h = plan->halo.width[i], n_read = plan->chunk[i] + 2 * h;
        uint64_t c = layout->chunk.extent[i], most = n_read / c + 1;
        most += n_read % c != 0; /* a block that begins anywhere may touch one more */
        uint64_t all = plan->space.extent[i] / c + (plan->space.extent[i] % c != 0);
        if (h == 0 && plan->chunk[i] % c == 0)
            most--;
        else if (h == 0 && c % plan->chunk[i] == 0)
            most = 1;
        if (__builtin_mul_overflow(n, most < all ? most : all, &n))
            return UINT64_MAX;
    }
    return n;
}

size_t bq_stored_room(const struct bq_layout *layout, const struct bq_plan *plan, size_t native)
{
    uint64_t room;
    switch (bq_stored_form(layout)) {
    case BQ_STORED_PIECES:
        if (__builtin_mul_overflow(bq_stored_pieces(layout, plan), bq_stored_piece_room(layout),
                                   &room))
            return SIZE_MAX / 4;
        return (size_t)room;
    case BQ_STORED_DENSE:
        return (size_t)plan->max_window * layout->number.size;
    case BQ_STORED_NATIVE:
        break;
    }
    return (size_t)plan->max_window * native;
}

double bq_stored_repeats(const struct bq_layout *layout, const struct bq_plan *plan)
{
    double repeats = 1;
    if (bq_stored_form(layout) != BQ_STORED_PIECES)
        return 1;
    for (int i = 0; i < plan->space.rank; i++) {
        uint64_t c = layout->chunk.extent[i], b = plan->chunk[i], h = plan->halo.width[i];
        if ((h || b % c != 0) && b < plan->space.extent[i])
            repeats *= ((double)b + 2 * (double)h + (double)c - 1) / (double)b; /* anywhere */
    }
    return repeats;
}

/* Blocks come in C order, so the outermost axis on which they share stored chunks decides: the
 * others of such a chunk come when all axes behind that one have been gone through. */
uint64_t bq_stored_row(const struct bq_layout *layout, const struct bq_plan *plan)
{
    uint64_t n = 1;
    bool is_behind = false;
    if (plan->n_chunks == 0 || bq_stored_repeats(layout, plan) <= 1)
        return 0;
    for (int i = 0; i < plan->space.rank; i++) {
        uint64_t c = layout->chunk.extent[i], b = plan->chunk[i], h = plan->halo.width[i];
        uint64_t all = plan->space.extent[i] / c + (plan->space.extent[i] % c != 0);
        bool is_within = h == 0 && c % b == 0, is_whole = h == 0 && b % c == 0;
        uint64_t touched = is_within  ? 1
                           : is_whole ? b / c
                                      : (b + 2 * h) / c + 1 + ((b + 2 * h) % c != 0);
        if (is_behind || touched > all)
            touched = all;
        if (__builtin_mul_overflow(n, touched, &n))
            return UINT64_MAX;
        is_behind |= !is_whole && b < plan->space.extent[i];
    }
    return n;
}

/* -- decoding ----------------------------------------------------------------------------- */

static bool is_same(const struct bq_box *a, const struct bq_box *b)
{
    size_t size = (size_t)a->rank * sizeof *a->offset;
    return memcmp(a->offset, b->offset, size) == 0 && memcmp(a->extent, b->extent, size) == 0;
}

static bool is_whole(const struct bq_layout *layout, const struct bq_box *cell)
{
    return memcmp(cell->extent, layout->chunk.extent, (size_t)cell->rank * sizeof *cell->extent) ==
           0;
}

static int fail_at(struct bq_error *err, const struct bq_box *cell)
{
    char at[8 * 22] = "";
    size_t used = 0;
    for (int i = 0; i < cell->rank && used < sizeof at; i++)
        used += (size_t)snprintf(at + used, sizeof at - used, "%s%llu", i ? ", " : "",
                                 (unsigned long long)cell->offset[i]);
    return bq_fail_in(err, "stored chunk at (%s)", at);
}

static void fill_part(const struct bq_layout *layout, const struct bq_box *block,
                      const struct bq_box *part, void *data)
{
    struct bq_box inside = *part;
    for (int i = 0; i < part->rank; i++)
        inside.offset[i] -= block->offset[i];
    bq_box_fill(&inside, block->extent, layout->fill,
                bq_type_size(bq_number_native(&layout->number)), data);
}

uint64_t bq_stored_number(const struct bq_layout *layout, const struct bq_box *cell)
{
    uint64_t number = 0;
    for (int i = 0; i < cell->rank; i++) {
        uint64_t c = layout->chunk.extent[i], n = layout->space.extent[i];
        number = number * (n / c + (n % c != 0)) + cell->offset[i] / c;
    }
    return number;
}

static int decode_piece(const struct bq_layout *layout, const struct bq_box *block,
                        const struct bq_box *cell, const struct bq_piece *piece,
                        const unsigned char *bytes, const struct bq_decoder *decoder, void *data,
                        struct bq_error *err)
{
    struct bq_box part;
    if (!bq_box_overlap(block, cell, &part))
        return 0;
    if (piece->size == 0) {
        fill_part(layout, block, &part, data);
        return 0;
    }
    uint32_t mask = layout->has_raw_edges && !is_whole(layout, cell) ? ~UINT32_C(0) : piece->mask;
    size_t size = bq_layout_chunk_bytes(layout);
    /* Others want the rest of it, or the same of it for their margins. */
    bool is_shared = decoder->cache && (decoder->is_kept || !is_same(&part, cell));
    bool is_direct = !is_shared && is_whole(layout, cell) && is_same(cell, block) &&
                     bq_number_is_native(&layout->number);
    bool is_new = true;
    struct bq_cached_chunk *cached =
        is_shared ? bq_chunk_cache_get(decoder->cache, bq_stored_number(layout, cell), &is_new)
                  : NULL;
    void *decoded = is_direct ? data : cached ? bq_cached_chunk_data(cached) : decoder->scratch;
    int rc = is_new ? bq_codec_decode(decoder->codec, &layout->filters, mask, bytes,
                                      (size_t)piece->size, decoded, size, err)
                    : 0;
    if (cached && is_new)
        bq_chunk_cache_filled(decoder->cache, cached, rc == 0);
    if (rc == 0 && !is_direct)
        bq_box_read(&layout->number, cell, layout->chunk.extent, decoded, block, block->extent,
                    data);
    if (cached)
        bq_chunk_cache_put(decoder->cache, cached);
    return rc < 0 ? fail_at(err, cell) : 0;
}

static int decode_pieces(const struct bq_layout *layout, const struct bq_box *block,
                         const struct bq_stored *stored, const struct bq_decoder *decoder,
                         void *data, struct bq_error *err)
{
    const unsigned char *at = stored->bytes;
    for (uint64_t i = 0; i < stored->n_pieces; i++) {
        struct bq_box cell;
        bq_box_cell(block, &layout->space, layout->chunk.extent, i, &cell);
        if (decode_piece(layout, block, &cell, &stored->pieces[i], at, decoder, data, err) < 0)
            return -1;
        at += stored->pieces[i].size;
    }
    return 0;
}

int bq_stored_decode(const struct bq_layout *layout, const struct bq_box *block,
                     const struct bq_stored *stored, const struct bq_decoder *decoder, void *data,
                     struct bq_error *err)
{
    if (stored->is_in_place)
        return 0;
    switch (stored->form) {
    case BQ_STORED_PIECES:
        return decode_pieces(layout, block, stored, decoder, data, err);
    case BQ_STORED_DENSE:
        bq_number_read(&layout->number, stored->bytes, data, (size_t)bq_box_elements(block));
        return 0;
    case BQ_STORED_NATIVE:
        memcpy(data, stored->bytes, stored->n);
        return 0;
    }
    return bq_fail(err, BQ_EXIT_FAILED, "stored bytes of an unknown form");
}

/* -- in a message ------------------------------------------------------------------------- */

size_t bq_stored_head_size(uint64_t n_pieces)
{
    return 1 + 8 + (size_t)n_pieces * 12 + 8;
}

void bq_stored_put(struct bq_writer *w, const struct bq_stored *stored)
{
    bq_put_u8(w, (uint8_t)stored->form);
    bq_put_u64(w, stored->n_pieces);
    for (uint64_t i = 0; i < stored->n_pieces; i++) {
        bq_put_u64(w, stored->pieces[i].size);
        bq_put_u32(w, stored->pieces[i].mask);
    }
    bq_put_u64(w, stored->n);
}

int bq_stored_get(struct bq_reader *r, const struct bq_layout *layout, const struct bq_box *block,
                  size_t native, struct bq_stored *stored)
{
    enum bq_stored_form form = bq_stored_form(layout);
    uint64_t n_elements = bq_box_elements(block), sum = 0;
    unsigned char *own = stored->bytes;
    if (bq_get_u8(r) != form)
        return -1;
    stored->form = form;
    stored->is_in_place = false;
    stored->n_pieces = bq_get_u64(r);
    uint64_t expected = form == BQ_STORED_PIECES ? bq_box_cells(block, layout->chunk.extent) : 0;
    if (r->is_bad || stored->n_pieces != expected)
        return -1;
    for (uint64_t i = 0; i < expected; i++) {
        struct bq_piece *piece = &stored->pieces[i];
        piece->size = bq_get_u64(r);
        piece->mask = bq_get_u32(r);
        if (r->is_bad || piece->size > bq_stored_piece_room(layout))
            return -1;
        sum += piece->size;
    }
    if (form == BQ_STORED_DENSE)
        sum = n_elements * layout->number.size;
    else if (form == BQ_STORED_NATIVE)
        sum = n_elements * native;
    uint64_t n = bq_get_u64(r);
    const void *bytes = n == sum && n <= stored->room ? bq_get_bytes(r, (size_t)n) : NULL;
    if (!bytes)
        return -1;
    memcpy(own, bytes, (size_t)n);
    stored->n = (size_t)n;
    return 0;
}
