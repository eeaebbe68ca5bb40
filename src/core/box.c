#include "core/box.h"

#include <string.h>

#include "core/plan.h"

typedef unsigned char byte;

uint64_t bq_box_elements(const struct bq_box *box)
{
    struct bq_space space = {.rank = box->rank};
    for (int i = 0; i < box->rank; i++)
        space.extent[i] = box->extent[i];
    return bq_space_elements(&space);
}

bool bq_box_overlap(const struct bq_box *a, const struct bq_box *b, struct bq_box *out)
{
    struct bq_box common = {.rank = a->rank};
    for (int i = 0; i < a->rank; i++) {
        /* Distances, never ends: offset + extent may pass 64 bits. */
        const struct bq_box *first = a->offset[i] <= b->offset[i] ? a : b;
        const struct bq_box *second = first == a ? b : a;
        uint64_t apart = second->offset[i] - first->offset[i];
        if (first->extent[i] <= apart || second->extent[i] == 0)
            return false;
        uint64_t left = first->extent[i] - apart;
        common.offset[i] = second->offset[i];
        common.extent[i] = left < second->extent[i] ? left : second->extent[i];
    }
    *out = common;
    return true;
}

/* -- cells ----------------------------------------------------------------------------------- */

static uint64_t cells_along(const struct bq_box *box, const uint64_t *chunk, int axis)
{
    uint64_t extent = box->extent[axis], c = chunk[axis];
    uint64_t in_first = c - box->offset[axis] % c; /* elements from here to the cell's end */
    return extent == 0 ? 0 : extent <= in_first ? 1 : 2 + (extent - in_first - 1) / c;
}

uint64_t bq_box_cells(const struct bq_box *box, const uint64_t *chunk)
{
    struct bq_space cells = {.rank = box->rank};
    for (int i = 0; i < box->rank; i++)
        cells.extent[i] = cells_along(box, chunk, i);
    return bq_space_elements(&cells);
}

void bq_box_cell(const struct bq_box *box, const struct bq_space *space, const uint64_t *chunk,
                 uint64_t i, struct bq_box *cell)
{
    struct bq_box found = {.rank = box->rank};
    for (int axis = box->rank - 1; axis >= 0; axis--) {
        uint64_t n = cells_along(box, chunk, axis), c = chunk[axis], end = space->extent[axis];
        uint64_t offset = (box->offset[axis] / c + i % n) * c;
        uint64_t left = offset < end ? end - offset : 0;
        found.offset[axis] = offset;
        found.extent[axis] = left < c ? left : c;
        i /= n;
    }
    *cell = found;
}

/* -- runs ------------------------------------------------------------------------------------ */

/* Where a part begins, in an array of these extents. */
struct inside {
    const uint64_t *offset, *array;
};

/* The runs of one part in two arrays at once: n, length, rank and count are the same for both. An
 * axis is merged with the faster one before it where it continues, in both arrays, right behind
 * that one's end; an axis of one element does not count. */
static void runs_in_both(int rank, const uint64_t *extent, struct inside in_a, struct bq_runs *a,
                         struct inside in_b, struct bq_runs *b)
{
    *a = *b = (struct bq_runs){.n = 1, .length = 1};
    uint64_t stride_a = 1, stride_b = 1, end_a = 1, end_b = 1;
    for (int i = rank - 1; i >= 0; i--) {
        a->base += in_a.offset[i] * stride_a;
        b->base += in_b.offset[i] * stride_b;
        if (extent[i] > 1) {
            bool continues = stride_a == end_a && stride_b == end_b;
            if (!continues) {
                a->stride[a->rank] = stride_a;
                b->stride[a->rank] = stride_b;
                a->count[a->rank++] = extent[i];
            } else if (a->rank > 0) {
                a->count[a->rank - 1] *= extent[i];
            } else {
                a->length *= extent[i];
            }
            a->n *= a->rank > 0 ? extent[i] : 1;
            end_a = stride_a * extent[i];
            end_b = stride_b * extent[i];
        }
        stride_a *= in_a.array[i];
        stride_b *= in_b.array[i];
    }
    b->n = a->n;
    b->length = a->length;
    b->rank = a->rank;
    memcpy(b->count, a->count, sizeof b->count);
}

void bq_runs_of(struct bq_runs *runs, const struct bq_box *part, const uint64_t *array)
{
    struct bq_runs same;
    struct inside in = {part->offset, array};
    if (bq_box_elements(part) == 0)
        *runs = (struct bq_runs){0};
    else
        runs_in_both(part->rank, part->extent, in, runs, in, &same);
}

uint64_t bq_runs_at(const struct bq_runs *runs, uint64_t i)
{
    uint64_t at = runs->base;
    for (int k = 0; k < runs->rank; k++) {
        at += i % runs->count[k] * runs->stride[k];
        i /= runs->count[k];
    }
    return at;
}

/* -- rows of runs ---------------------------------------------------------------------------- */

/* The runs along axis 0 are a row: what the loops below do at once. `index` counts the other axes.
 */
static uint64_t runs_in_row(const struct bq_runs *runs)
{
    return runs->rank > 0 ? runs->count[0] : 1;
}

static uint64_t row_at(const struct bq_runs *runs, const uint64_t *index)
{
    uint64_t at = runs->base;
    for (int k = 1; k < runs->rank; k++)
        at += index[k] * runs->stride[k];
    return at;
}

/* Turns to the next row; false behind the last. */
static bool next_row(const struct bq_runs *runs, uint64_t *index)
{
    for (int k = 1; k < runs->rank; k++) {
        if (++index[k] < runs->count[k])
            return true;
        index[k] = 0;
    }
    return false;
}

/* n pieces of `size` bytes, `step` bytes apart. */
static inline void copy_pieces_of(size_t size, const byte *from, size_t from_step, byte *to,
                                  size_t to_step, size_t n)
{
    for (size_t i = 0; i < n; i++)
        memcpy(to + i * to_step, from + i * from_step, size);
}

/* Small sizes as constants: to the compiler such a memcpy is a few loads and stores, not a call. */
static void copy_pieces(size_t size, const byte *from, size_t from_step, byte *to, size_t to_step,
                        size_t n)
{
#define FIXED(bytes)                                                                               \
    case bytes:                                                                                    \
        copy_pieces_of(bytes, from, from_step, to, to_step, n);                                    \
        break;
    switch (size) {
        FIXED(1)
        FIXED(2)
        FIXED(3)
        FIXED(4)
        FIXED(6)
        FIXED(8)
        FIXED(12)
        FIXED(16)
        FIXED(32)
    default:
        copy_pieces_of(size, from, from_step, to, to_step, n);
    }
#undef FIXED
}

/* -- read and write -------------------------------------------------------------------------- */

#define BATCH 512 /* numbers */
#define THIN 8    /* runs of fewer numbers are converted in batches, when a row has that many */

struct move {
    const struct bq_number *number;
    void (*convert)(const struct bq_number *, const void *from, void *to, size_t n);
    size_t from_size, to_size; /* bytes of a number */
};

/* Thin runs: many are lined up in a batch, converted at once, and put where they belong, since a
 * call for every few numbers costs more than their conversion. */
static void convert_thin_row(const struct move *move, size_t length, const byte *from,
                             size_t from_step, byte *to, size_t to_step, size_t n)
{
    byte lined_up[BATCH * 8], converted[BATCH * 8];
    size_t in = length * move->from_size, out = length * move->to_size, most = BATCH / length;
    for (size_t done = 0; done < n; done += most) {
        size_t runs = n - done < most ? n - done : most;
        copy_pieces(in, from + done * from_step, from_step, lined_up, in, runs);
        move->convert(move->number, lined_up, converted, runs * length);
        copy_pieces(out, converted, out, to + done * to_step, to_step, runs);
    }
}

static void move_row(const struct move *move, size_t length, const byte *from, size_t from_step,
                     byte *to, size_t to_step, size_t n)
{
    if (bq_number_is_native(move->number)) {
        copy_pieces(length * move->to_size, from, from_step, to, to_step, n);
    } else if (length < THIN && n >= THIN) {
        convert_thin_row(move, length, from, from_step, to, to_step, n);
    } else {
        for (size_t i = 0; i < n; i++)
            move->convert(move->number, from + i * from_step, to + i * to_step, length);
    }
}

static void move_common(const struct move *move, const struct bq_box *from,
                        const uint64_t *from_extent, const byte *source, const struct bq_box *to,
                        const uint64_t *to_extent, byte *target)
{
    struct bq_box common;
    if (!bq_box_overlap(from, to, &common))
        return;
    uint64_t in_from[BQ_MAX_RANK], in_to[BQ_MAX_RANK], index[BQ_MAX_RANK] = {0};
    for (int i = 0; i < common.rank; i++) {
        in_from[i] = common.offset[i] - from->offset[i];
        in_to[i] = common.offset[i] - to->offset[i];
    }
    struct bq_runs out_of, into;
    runs_in_both(common.rank, common.extent, (struct inside){in_from, from_extent}, &out_of,
                 (struct inside){in_to, to_extent}, &into);
    do {
        move_row(move, out_of.length, source + row_at(&out_of, index) * move->from_size,
                 out_of.stride[0] * move->from_size, target + row_at(&into, index) * move->to_size,
                 into.stride[0] * move->to_size, runs_in_row(&out_of));
    } while (next_row(&out_of, index));
}

void bq_box_read(const struct bq_number *number, const struct bq_box *from,
                 const uint64_t *from_extent, const void *stored, const struct bq_box *to,
                 const uint64_t *to_extent, void *native)
{
    struct move move = {number, bq_number_read, number->size,
                        bq_type_size(bq_number_native(number))};
    move_common(&move, from, from_extent, stored, to, to_extent, native);
}

void bq_box_write(const struct bq_number *number, const struct bq_box *from,
                  const uint64_t *from_extent, const void *native, const struct bq_box *to,
                  const uint64_t *to_extent, void *stored)
{
    struct move move = {number, bq_number_write, bq_type_size(bq_number_native(number)),
                        number->size};
    move_common(&move, from, from_extent, native, to, to_extent, stored);
}

/* -- fill ------------------------------------------------------------------------------------ */

void bq_box_fill(const struct bq_box *part, const uint64_t *array, const void *value, size_t size,
                 void *data)
{
    byte pattern[BATCH * 8];
    struct bq_runs runs;
    uint64_t index[BQ_MAX_RANK] = {0};
    bq_runs_of(&runs, part, array);
    size_t most = runs.length < BATCH ? runs.length : BATCH;
    copy_pieces(size, value, 0, pattern, size, most);
    for (bool more = runs.n > 0; more; more = next_row(&runs, index)) {
        byte *row = (byte *)data + row_at(&runs, index) * size;
        for (size_t done = 0; done < runs.length; done += most) {
            size_t n = runs.length - done < most ? runs.length - done : most;
            copy_pieces(n * size, pattern, 0, row + done * size, runs.stride[0] * size,
                        runs_in_row(&runs));
        }
    }
}
