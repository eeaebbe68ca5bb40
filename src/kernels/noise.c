/* Value noise: the lattice is interpolated along frames and rows once per cell, so that the loop
 * over columns is one multiplication and two additions of 16-bit numbers per octave. */
#include "noise.h"

#include <string.h>

/* 3 t^2 - 2 t^3 of the place of i in a cell of 2^bits, in units of 2^-15. Below 2^15. */
static int32_t smooth(uint32_t i, unsigned bits)
{
    uint64_t t = ((uint64_t)(i & ((1u << bits) - 1)) << 15) >> bits;
    return (int32_t)(t * t * (3 * 32768 - 2 * t) >> 30);
}

unsigned noise_bits(uint64_t side)
{
    unsigned bits = NOISE_FINEST;
    while (bits < NOISE_COARSEST && (uint64_t)8 << bits <= side)
        bits++;
    return bits;
}

void noise_start(struct noise *noise, uint32_t seed, unsigned coarsest, unsigned finest,
                 unsigned frame_bits, int32_t amplitude, uint32_t first, uint32_t n)
{
    noise->first = first;
    noise->n_groups = (n + 7) / 8;
    noise->frame_bits = frame_bits;
    noise->n_octaves = 0;
    for (unsigned bits = coarsest; bits >= finest && amplitude > 0; bits--, amplitude /= 2) {
        struct noise_octave *o = &noise->octave[noise->n_octaves++];
        o->seed = noise_hash(seed + bits * 0x9e3779b9u);
        o->bits = bits;
        o->amplitude = amplitude;
        for (uint32_t i = 0; i < noise->n_groups * 8; i++)
            o->weight[i] = (int16_t)smooth(first + i, bits);
    }
}

/* The height of a lattice point whose hash is h, within -amplitude .. amplitude. */
static int32_t height(uint32_t h, int32_t amplitude)
{
    return (((int32_t)(h >> 16) - 32768) * amplitude) >> 15;
}

static int32_t mix(int32_t a, int32_t b, int32_t weight)
{
    return a + (((b - a) * weight) >> 15);
}

void noise_row(const struct noise *noise, uint32_t frame, uint32_t row, int16_t sum[NOISE_TILE])
{
    memset(sum, 0, NOISE_TILE * sizeof *sum);
    const int32_t frame_weight = noise->frame_bits ? smooth(frame, noise->frame_bits) : 0;
    for (unsigned k = 0; k < noise->n_octaves; k++) {
        const struct noise_octave *o = &noise->octave[k];
        const int32_t row_weight = smooth(row, o->bits);
        uint32_t corner[2][2]; /* hashes of the two frames and rows around this one */
        for (uint32_t f = 0; f < 2; f++) {
            for (uint32_t r = 0; r < 2; r++)
                corner[f][r] = noise_hash(noise_hash(o->seed + (frame >> noise->frame_bits) + f) +
                                          (row >> o->bits) + r);
        }

        int32_t lattice[NOISE_TILE / (1 << NOISE_FINEST) + 1];
        const uint32_t first_cell = noise->first >> o->bits;
        const uint32_t last = noise->first + noise->n_groups * 8 - 1;
        const uint32_t n_cells = (last >> o->bits) - first_cell + 1;
        for (uint32_t c = 0; c <= n_cells; c++) {
            int32_t v[2][2] = {{0}};
            for (unsigned f = 0; f < (frame_weight ? 2u : 1u); f++) {
                for (unsigned r = 0; r < 2; r++)
                    v[f][r] = height(noise_hash(corner[f][r] + first_cell + c), o->amplitude);
            }
            int32_t now = mix(v[0][0], v[0][1], row_weight);
            lattice[c] =
                frame_weight ? mix(now, mix(v[1][0], v[1][1], row_weight), frame_weight) : now;
        }

        /* No cell is narrower than 8 columns, so a group of 8 lies in one cell. */
        int16_t left[NOISE_TILE], twice[NOISE_TILE];
        for (unsigned g = 0; g < noise->n_groups; g++) {
            const uint32_t c = ((noise->first + 8 * g) >> o->bits) - first_cell;
            const int16_t here = (int16_t)lattice[c];
            const int16_t step = (int16_t)(2 * (lattice[c + 1] - lattice[c]));
            for (unsigned i = 8 * g; i < 8 * g + 8; i++) {
                left[i] = here;
                twice[i] = step;
            }
        }
        for (unsigned i = 0; i < noise->n_groups * 8; i++)
            sum[i] = (int16_t)(sum[i] + left[i] + (int16_t)((twice[i] * o->weight[i]) >> 16));
    }
}
