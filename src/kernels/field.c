/* field: a made-up temperature, in kelvin, over frames (time), rows (latitude) and columns.
 *
 *     T = 290 + 8 - 20 l^2 + weather(frame, row, column) + noise      l = -1 .. 1 from top to
 * bottom
 *
 * weather is smooth value noise, within +-8 K, that changes over 4 frames; noise is uniform in
 * [-1/2, 1/2) K. All of it is integers in units of 1/1024 K below 2^24, so a float32 holds each
 * value exactly: between 269 and 307 K, on every machine. An element is a function of its place, of
 * the number of rows and columns and of the seed. No NaN, no infinity, no overflow.
 */
#include "banquet/kernel.h"
#include "noise.h"

enum { FRAMES, ROWS, COLUMNS, SEED };
enum { KELVIN = 1024, FRAME_BITS = 2, FINEST = 4 };

#define MAX_SIDE (1 << 20)

static const struct bq_param params[] = {
    {"frames", BQ_INT, {.i = 4}, 1, MAX_SIDE, "elements", "steps in time"},
    {"rows", BQ_INT, {.i = 1024}, 1, MAX_SIDE, "elements", "from north to south"},
    {"columns", BQ_INT, {.i = 1024}, 1, MAX_SIDE, "elements", "from west to east"},
    {"seed", BQ_INT, {.i = 1}, 0, UINT32_MAX, "", "another seed, another weather"},
};

static int prepare(struct bq_setup *setup)
{
    const union bq_value *p = setup->params;
    setup->space =
        (struct bq_space){3, {(uint64_t)p[FRAMES].i, (uint64_t)p[ROWS].i, (uint64_t)p[COLUMNS].i}};
    setup->chunk = (struct bq_space){3, {1, 256, 256}};
    setup->out_type = BQ_F32;
    return 0;
}

/* The part that depends on the latitude, in 1/1024 K. */
static int32_t latitude(const union bq_value *p, uint32_t row)
{
    int64_t l = (2 * (int64_t)row + 1 - p[ROWS].i) * 4096 / p[ROWS].i;
    return (int32_t)(298 * KELVIN - (20 * KELVIN * l * l >> 24));
}

/* Columns aligned .. to of one row; T[i] is for column aligned + i. */
static void make_row(const struct noise *noise, const union bq_value *p, uint32_t frame,
                     uint32_t row, float T[NOISE_TILE])
{
    int16_t weather[NOISE_TILE]; /* +-8192: just 8 K */
    noise_row(noise, frame, row, weather);
    const int32_t base = latitude(p, row);
    const uint32_t seed = noise_hash(noise_hash((uint32_t)p[SEED].i + 1) + frame);
    const uint32_t line = noise_hash(seed + row);
    for (uint32_t i = 0; i < noise->n_groups * 8; i++) {
        int32_t random = (int32_t)(noise_hash(line + noise->first + i) >> 22) - KELVIN / 2;
        T[i] = (float)(base + weather[i] + random) * (1.0f / KELVIN);
    }
}

static enum bq_answer cook(struct bq_call *call)
{
    const union bq_value *p = call->params;
    const struct bq_block *out = call->out;
    const uint64_t *extent = out->extent, *offset = out->offset;
    const uint32_t first = (uint32_t)offset[2], end = first + (uint32_t)extent[2];
    const unsigned bits =
        noise_bits((uint64_t)(p[ROWS].i < p[COLUMNS].i ? p[COLUMNS].i : p[ROWS].i));
    struct noise noise;
    float T[NOISE_TILE];

    for (uint32_t from = first, to; from < end; from = to) {
        const uint32_t aligned = from & ~7u;
        to = (from & ~(NOISE_TILE - 1u)) + NOISE_TILE;
        to = to < end ? to : end;
        noise_start(&noise, noise_hash((uint32_t)p[SEED].i), bits < FINEST ? FINEST : bits, FINEST,
                    FRAME_BITS, NOISE_AMPLITUDE, aligned, to - aligned);
        for (uint64_t k = 0; k < extent[0] * extent[1]; k++) {
            const uint32_t frame = (uint32_t)(offset[0] + k / extent[1]);
            const uint32_t row = (uint32_t)(offset[1] + k % extent[1]);
            float *to_row = (float *)out->data + k * extent[2] + (from - first);
            make_row(&noise, p, frame, row, T);
            for (uint32_t i = 0; i < to - from; i++)
                to_row[i] = T[from - aligned + i];
        }
    }
    return BQ_DONE;
}

const struct bq_kernel bq_kernel_field = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_WRITES | BQ_MAKES,
    .name = "field",
    .summary = "makes a temperature in three dimensions, smooth with a little noise",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
};
