/* The stored bytes of one block (a chunk of the job), between being fetched from the file and being
 * decoded: by the same cook, by another thread, or after a way across the network.
 *
 * Three forms, by the layout and who fetched:
 *     pieces   filtered stored chunks, one after another, each with its size and mask
 *     dense    the block's stored numbers in C order (no filters)
 *     native   as dense, converted already (read by the HDF5 library)
 */
#ifndef BQ_ADAPTERS_STORED_H
#define BQ_ADAPTERS_STORED_H

#include "adapters/chunk_cache.h"
#include "adapters/codec.h"
#include "base/bytes.h"
#include "core/box.h"
#include "core/plan.h"

enum bq_stored_form { BQ_STORED_PIECES, BQ_STORED_DENSE, BQ_STORED_NATIVE };

struct bq_piece {
    uint64_t size; /* bytes; 0: it was never written, and holds the fill value */
    uint32_t mask; /* bit i: filter i was skipped */
};

struct bq_stored {
    enum bq_stored_form form;
    unsigned char *bytes; /* `room` of them, not owned */
    size_t n, room;
    bool is_in_place; /* the block's native numbers are where they should be; nothing to decode */
    struct bq_piece *pieces; /* room for bq_stored_pieces */
    uint64_t n_pieces;
};

/* The form in which blocks of such a layout are fetched. */
enum bq_stored_form bq_stored_form(const struct bq_layout *layout);

/* Bytes and pieces that no block of the plan exceeds; native: type size of the native form. */
size_t bq_stored_room(const struct bq_layout *layout, const struct bq_plan *plan, size_t native);
uint64_t bq_stored_pieces(const struct bq_layout *layout, const struct bq_plan *plan);

/* Stored chunks that no block of the plan touches more of; 0 when there are none. */
uint64_t bq_stored_cells(const struct bq_layout *layout, const struct bq_plan *plan);

/* Most bytes that one stored chunk may have; a file that says more lies. */
size_t bq_stored_piece_room(const struct bq_layout *layout);

/* A stored chunk's number: its place in the grid of stored chunks, in C order. cell: its box. */
uint64_t bq_stored_number(const struct bq_layout *layout, const struct bq_box *cell);

/* Decoded bytes of a stored chunk; 0 when there are no pieces. */
size_t bq_layout_chunk_bytes(const struct bq_layout *layout);

/* How many times the average stored chunk is decoded when blocks of the plan are read one by one:
 * 1 when blocks are made of whole stored chunks. */
double bq_stored_repeats(const struct bq_layout *layout, const struct bq_plan *plan);

/* How many decoded chunks must be kept so that none is decoded twice when one thread reads blocks
 * of the plan in order: those that blocks touch until the first of them is wanted no more. 0 when
 * none are shared, UINT64_MAX when there are more. */
uint64_t bq_stored_row(const struct bq_layout *layout, const struct bq_plan *plan);

/* What decoding needs beside the bytes. codec and scratch (chunk bytes of the layout) are a
 * thread's own; cache may be NULL, or of chunks of this layout, and is shared. */
struct bq_decoder {
    struct bq_codec *codec;
    void *scratch;
    struct bq_chunk_cache *cache;
    bool is_kept; /* every stored chunk is wanted again: blocks overlap, or come again */
};

/* To the dense native block in `data`. Errors (exit 1) name the filter and the stored chunk's
 * position, not the file. */
int bq_stored_decode(const struct bq_layout *layout, const struct bq_box *block,
                     const struct bq_stored *stored, const struct bq_decoder *decoder, void *data,
                     struct bq_error *err);

/* For a message: put writes the form, the pieces and the number of bytes, which the sender puts
 * behind. get copies them to stored->bytes (`room` there); -1 when they do not fit the block. */
size_t bq_stored_head_size(uint64_t n_pieces);
void bq_stored_put(struct bq_writer *w, const struct bq_stored *stored);
int bq_stored_get(struct bq_reader *r, const struct bq_layout *layout, const struct bq_box *block,
                  size_t native, struct bq_stored *stored);

#endif
