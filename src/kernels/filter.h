/* Filters: an element of the output depends on a window of the input around it, on the last two
 * axes (rows and columns; an array of rank 1 is one row). The axes before are a stack of frames,
 * each filtered by itself.
 *
 *     input rows          loaded once, as keys or doubles,   row() makes one   stored in the
 *     of any type   -->   into a ring of 2 halo + 1 lines  -->   row of out  -->   type of out
 *
 * in tiles of FILTER_TILE columns, so that the ring stays in the cache. What row() makes of an
 * element depends on its window alone, so no bit depends on the shape of chunks.
 */
#ifndef BQ_KERNELS_FILTER_H
#define BQ_KERNELS_FILTER_H

#include "banquet/kernel.h"

enum {
    FILTER_TILE = 256,
    FILTER_RADIUS = 16, /* at most */
    FILTER_LANES = 64   /* lines are this much longer, so that row() need not mind the last lanes */
};

struct filter {
    size_t size; /* bytes of a loaded element, at most 8 */
    void (*load)(enum bq_type type, const void *from, size_t n, void *to);
    /* Fills to[0 .. n - 1], and may fill more, to the next multiple of FILTER_LANES. line[k] is
     * the k-th line of the window; its element of the radius lies at to[0]. */
    void (*row)(const void *how, const void *const *line, size_t n, void *to);
    void (*store)(enum bq_type type, const void *from, size_t n, void *to);
};

/* A filter on doubles (numbers.h) with this row function. */
void filter_load(enum bq_type type, const void *from, size_t n, void *to);
void filter_store(enum bq_type type, const void *from, size_t n, void *to);
#define FILTER_OF_DOUBLES(function)                                                                \
    {                                                                                              \
        sizeof(double), filter_load, function, filter_store                                        \
    }

/* Answers prepare: the margins of a window with these radii. Refuses an array of a rank below
 * `rank`, 1 or 2. */
int filter_prepare(struct bq_setup *setup, int rank, uint64_t rows, uint64_t columns);

/* Filters the call's share of a chunk. `how` is handed to row(). */
void filter_cook(const struct bq_call *call, const struct filter *filter, const void *how);

#endif
