/* Boxes of elements in dense, C-ordered arrays: where a stored chunk and a job's chunk overlap, and
 * copying that part. Pure. */
#ifndef BQ_CORE_BOX_H
#define BQ_CORE_BOX_H

#include "core/number.h"

/* A part of an array of `rank` axes. */
struct bq_box {
    int rank; /* 1 .. BQ_MAX_RANK */
    uint64_t offset[BQ_MAX_RANK], extent[BQ_MAX_RANK];
};

/* UINT64_MAX when they do not fit 64 bits. */
uint64_t bq_box_elements(const struct bq_box *box);

/* The common part; false (and *out unset) when there is none. Coordinates of the whole dataset;
 * both have the same rank. */
bool bq_box_overlap(const struct bq_box *a, const struct bq_box *b, struct bq_box *out);

/* Grid cells of `chunk` (extents of the stored chunks, each >= 1) that a box touches: how many
 * (UINT64_MAX when that does not fit 64 bits), and the i-th, in C order, as its box clipped to
 * `space`. i < bq_box_cells. */
uint64_t bq_box_cells(const struct bq_box *box, const uint64_t *chunk);
void bq_box_cell(const struct bq_box *box, const struct bq_space *space, const uint64_t *chunk,
                 uint64_t i, struct bq_box *cell);

/* A rectangular part of an array as runs: contiguous pieces, in C order. Axes that are covered in
 * full are merged, so a part that is dense is one run. The length is the product of the part's last
 * extents (one of them, two, ...), so of the runs of one part in two arrays the shorter length
 * divides the longer. */
struct bq_runs {
    uint64_t n;      /* runs; 0 for an empty part */
    uint64_t length; /* elements of each */
    int rank;        /* axes that are stepped over, the fastest first */
    uint64_t count[BQ_MAX_RANK], stride[BQ_MAX_RANK]; /* per axis: steps, elements apart */
    uint64_t base;                                    /* element at which the first begins */
};
/* part: in the coordinates of the array, whose extents are `array` and which has fewer than 2^64
 * elements. */
void bq_runs_of(struct bq_runs *runs, const struct bq_box *part, const uint64_t *array);
/* Where run i begins, in elements of the array. i < n. */
uint64_t bq_runs_at(const struct bq_runs *runs, uint64_t i);

/* Copies the common part of two boxes (given in the dataset's coordinates) from the dense array of
 * one to the dense array of the other. from_extent: extents of the array that holds `from`, which
 * may be larger than the box (a stored chunk at the dataset's edge is stored in full); the same for
 * to. read: numbers become native (element sizes differ); write: native numbers become stored. */
void bq_box_read(const struct bq_number *number, const struct bq_box *from,
                 const uint64_t *from_extent, const void *stored, const struct bq_box *to,
                 const uint64_t *to_extent, void *native);
void bq_box_write(const struct bq_number *number, const struct bq_box *from,
                  const uint64_t *from_extent, const void *native, const struct bq_box *to,
                  const uint64_t *to_extent, void *stored);

/* Puts one element of `size` bytes (1 .. 8) everywhere into `part` of an array. */
void bq_box_fill(const struct bq_box *part, const uint64_t *array, const void *value, size_t size,
                 void *data);

#endif
