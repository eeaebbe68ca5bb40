/* Windows: a chunk and the margins that a kernel sees around it. Pure.
 *
 *     window  +-----------+      inside the dataset: one box that is read, part 0
 *             | +-------+ |      beyond its edge:    copied from inside (clamp, reflect), a number
 *             | | chunk | |                          (constant), or read from the other end of the
 *             | +-------+ |                          dataset (wrap): parts 1, 2, ..
 *             +-----------+
 *
 * A window lies dense and in C order in memory: extent[i] + 2 width[i] along axis i, at the edge of
 * the dataset too. */
#ifndef BQ_CORE_WINDOW_H
#define BQ_CORE_WINDOW_H

#include "core/box.h"
#include "core/plan.h"

/* A part by its number: what a kitchen asks the coordinator for. */
struct bq_part {
    uint64_t chunk;
    uint32_t number;
};

/* Extents of a chunk's window. */
void bq_window_extent(const struct bq_plan *plan, uint64_t chunk, uint64_t *extent);

/* Boxes of the dataset that are read for a window: 1 unless it wraps around an edge. */
unsigned bq_window_parts(const struct bq_plan *plan, uint64_t chunk);

/* part < bq_window_parts. at: where the box begins in the window. */
void bq_window_part(const struct bq_plan *plan, uint64_t chunk, unsigned part, struct bq_box *box,
                    uint64_t *at);

/* Part 0, dense at the beginning of `window`, to its place. size: bytes of an element. */
void bq_window_spread(const struct bq_plan *plan, uint64_t chunk, size_t size, void *window);

/* Another part, dense in `from`, to its place. */
void bq_window_put(const struct bq_plan *plan, uint64_t chunk, unsigned part, size_t size,
                   const void *from, void *window);

/* What lies beyond the edge, from what is there. Nothing to do for wrap. */
void bq_window_border(const struct bq_plan *plan, uint64_t chunk, size_t size, void *window);

#endif
