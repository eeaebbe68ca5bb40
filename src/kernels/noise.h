/* Value noise in fixed point, for the kernels that make pictures.
 *
 * An octave is a lattice of random heights, interpolated smoothly in between (the weight 3 t^2 -
 * 2 t^3; K. Perlin, "An image synthesizer", 1985, calls such noise a lattice one). Octaves of ever
 * smaller cells and amplitudes add up to something like hills or clouds. Integers only, so every
 * machine gets the same; a value depends on frame, row, column and seed alone. Right shifts of
 * negative numbers round down (as gcc and clang do).
 */
#ifndef BQ_KERNELS_NOISE_H
#define BQ_KERNELS_NOISE_H

#include <stddef.h>
#include <stdint.h>

enum {
    NOISE_TILE = 512,       /* columns that are made together */
    NOISE_AMPLITUDE = 4096, /* the most for the coarsest octave; each next one has half of it */
    NOISE_FINEST = 3,       /* log2 of the smallest cell */
    NOISE_COARSEST = 18,
    NOISE_OCTAVES = NOISE_COARSEST - NOISE_FINEST + 1
};

struct noise_octave {
    uint32_t seed;
    unsigned bits; /* log2 of a cell's side */
    int32_t amplitude;
    int16_t weight[NOISE_TILE]; /* of the right lattice point, for each column; 2^15 is one */
};

/* Noise for a tile: columns first .. first + 8 * n_groups - 1, inside one aligned NOISE_TILE. */
struct noise {
    uint32_t first;
    unsigned n_groups, frame_bits, n_octaves;
    struct noise_octave octave[NOISE_OCTAVES];
};

/* A well-mixed function of x (C. Wellons, "Prospecting for hash functions", lowbias32). */
static inline uint32_t noise_hash(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

/* log2 of a cell that has the size of a quarter of `side`, within the limits above. */
unsigned noise_bits(uint64_t side);

/* Octaves with cells of 2^coarsest down to 2^finest, for n columns from `first` on (first a
 * multiple of 8). frame_bits: log2 of the frames between lattice points. */
void noise_start(struct noise *noise, uint32_t seed, unsigned coarsest, unsigned finest,
                 unsigned frame_bits, int32_t amplitude, uint32_t first, uint32_t n);

/* One row of the tile: sum[i] is the noise at column first + i, between -2 and 2 amplitudes. */
void noise_row(const struct noise *noise, uint32_t frame, uint32_t row, int16_t sum[NOISE_TILE]);

#endif
