/* A plan: a dataset cut into chunks, each known by an id.
 *
 * Chunks form a grid in C order (the last axis varies fastest), so consecutive ids lie close in the
 * file and a lease is just a range of ids. A plan depends on the dataset and the job alone, never
 * on the number of kitchens or cooks: that is half of the reason why results have the same bits.
 */
#ifndef BQ_CORE_PLAN_H
#define BQ_CORE_PLAN_H

#include "banquet/kernel.h"
#include "base/error.h"

/* What a kernel sees around each chunk. */
struct bq_halo {
    bool is_any; /* a width is not 0 */
    uint64_t width[BQ_MAX_RANK];
    enum bq_border border;
    unsigned char value[8]; /* CONSTANT: one native element of the input */
};

struct bq_plan {
    struct bq_space space;       /* the whole; rank >= 1, extents may be 0 */
    uint64_t chunk[BQ_MAX_RANK]; /* extent of a chunk that is not clipped, each >= 1 */
    uint64_t grid[BQ_MAX_RANK];  /* chunks along each axis */
    uint64_t n_chunks;           /* product of grid; 0 for an empty dataset */
    uint64_t max_elements;       /* of the largest chunk, 0 when there is none */
    struct bq_halo halo;
    uint64_t max_window; /* elements of the largest chunk with its margins (core/window.h) */
};

/* What `chunk: auto` aims at. Constants, because a plan must not depend on the machine. */
#define BQ_PLAN_MIN_BYTES (256u << 10) /* smaller chunks of the file are merged up to this */
#define BQ_PLAN_MAX_BYTES (8u << 20)   /* larger ones are split down to this */

/* Cuts `space` into chunks of the given shape (each extent is clipped to the space's). */
int bq_plan_make(struct bq_plan *plan, const struct bq_space *space, const uint64_t *chunk,
                 struct bq_error *err);

/* Chooses the shape: follows the file's own chunks (file_chunk, NULL for a contiguous dataset),
 * merging small and splitting huge ones. element = bytes of one element in memory. */
int bq_plan_auto(struct bq_plan *plan, const struct bq_space *space, const uint64_t *file_chunk,
                 size_t element, struct bq_error *err);

/* Gives a plan that was made the margins that its chunks are read with. A margin is at most the
 * dataset's extent: what lies beyond the edge is made of what lies inside. */
int bq_plan_set_halo(struct bq_plan *plan, const struct bq_halo *halo, struct bq_error *err);

/* Where chunk `id` lies and how large it is. Returns its number of elements. id < n_chunks. */
uint64_t bq_plan_chunk(const struct bq_plan *plan, uint64_t id, uint64_t *offset, uint64_t *extent);

/* Elements of a space; UINT64_MAX when they do not fit 64 bits. */
uint64_t bq_space_elements(const struct bq_space *space);

#endif
