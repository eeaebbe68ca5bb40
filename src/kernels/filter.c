#include "filter.h"
#include "numbers.h"

#include <stdio.h>
#include <string.h>

enum {
    LINES = 2 * FILTER_RADIUS + 1,
    PITCH = FILTER_TILE + 2 * FILTER_RADIUS + FILTER_LANES /* elements from line to line */
};

void filter_load(enum bq_type type, const void *from, size_t n, void *to)
{
    numbers_load(type, from, n, to);
}

void filter_store(enum bq_type type, const void *from, size_t n, void *to)
{
    numbers_store(type, from, n, to);
}

int filter_prepare(struct bq_setup *setup, int rank, uint64_t rows, uint64_t columns)
{
    const int have = setup->space.rank;
    if (have < rank) {
        snprintf(setup->message, sizeof setup->message,
                 "the dataset has one axis; a picture or a stack of pictures has two or more");
        return -1;
    }
    setup->halo[have - 1] = columns;
    if (have > 1)
        setup->halo[have - 2] = rows;
    return 0;
}

/* One frame of a chunk: lines of the input with its margins, and rows of the output. */
struct frame {
    const char *in;
    char *out;
    size_t in_size, out_size; /* bytes of an element */
    uint64_t in_columns, columns;
    uint64_t halo_rows, halo_columns;
};

struct ring {
    _Alignas(64) char line[LINES][PITCH * sizeof(double)];
    _Alignas(64) char row[PITCH * sizeof(double)];
};

/* Rows from .. to - 1 of the tile of n columns at `first`. */
static void cook_tile(const struct bq_call *call, const struct filter *filter, const void *how,
                      const struct frame *frame, struct ring *ring, uint64_t from, uint64_t to,
                      uint64_t first, size_t n)
{
    const uint64_t n_lines = 2 * frame->halo_rows + 1;
    const size_t width = n + 2 * (size_t)frame->halo_columns;
    uint64_t loaded = from; /* lines of the input that were loaded, up to here */
    for (uint64_t row = from; row < to; row++) {
        const void *line[LINES];
        for (; loaded < row + n_lines; loaded++) {
            const char *in = frame->in + (loaded * frame->in_columns + first) * frame->in_size;
            filter->load(call->in->type, in, width, ring->line[loaded % n_lines]);
        }
        for (uint64_t k = 0; k < n_lines; k++)
            line[k] = ring->line[(row + k) % n_lines];
        filter->row(how, line, n, ring->row);
        filter->store(call->out->type, ring->row, n,
                      frame->out + (row * frame->columns + first) * frame->out_size);
    }
}

void filter_cook(const struct bq_call *call, const struct filter *filter, const void *how)
{
    const struct bq_block *in = call->in, *out = call->out;
    const int last = out->rank - 1;
    const uint64_t rows = last > 0 ? out->extent[last - 1] : 1, columns = out->extent[last];
    struct frame frame = {.in_size = bq_type_size(in->type),
                          .out_size = bq_type_size(out->type),
                          .in_columns = in->extent[last],
                          .columns = columns,
                          .halo_rows = last > 0 ? call->halo[last - 1] : 0,
                          .halo_columns = call->halo[last]};
    const uint64_t in_rows = rows + 2 * frame.halo_rows;
    const uint64_t n_rows = columns ? out->n / columns : 0; /* of all frames together */
    const uint64_t share = n_rows / call->n_parts, rest = n_rows % call->n_parts;
    uint64_t done = share * call->part + (call->part < rest ? call->part : rest);
    const uint64_t end = done + share + (call->part < rest);
    struct ring ring;
    memset(&ring, 0, sizeof ring); /* the lanes past the end are computed too */

    while (done < end) {
        const uint64_t number = done / rows, from = done % rows;
        const uint64_t to = end - done < rows - from ? from + end - done : rows;
        frame.in = (const char *)in->data + number * in_rows * frame.in_columns * frame.in_size;
        frame.out = (char *)out->data + number * rows * columns * frame.out_size;
        for (uint64_t first = 0; first < columns; first += FILTER_TILE) {
            uint64_t n = columns - first < FILTER_TILE ? columns - first : FILTER_TILE;
            cook_tile(call, filter, how, &frame, &ring, from, to, first, (size_t)n);
        }
        done += to - from;
    }
}
