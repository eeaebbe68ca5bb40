/* photo: a grey photograph that was never taken: three ranges of hills under an evening sky.
 *
 * Generate: uint8, rows x columns. Each pixel is a function of its row and column, of the size of
 * the picture and of the seed, whatever the chunks. Integers only: everything is measured in
 * 1/4096 of the picture's height and in grey levels, and stays far inside 32 bits; the last step
 * clamps to 0 .. 255. It is somewhat dark (a mean of about 70), so that brightening it shows.
 */
#include "banquet/kernel.h"
#include "noise.h"

enum { ROWS, COLUMNS, SEED };
enum { HEIGHT = 4096, RANGES = 3 };

#define MAX_SIDE (1 << 20)

static const struct bq_param params[] = {
    {"rows", BQ_INT, {.i = 8192}, 1, MAX_SIDE, "elements", "height of the picture"},
    {"columns", BQ_INT, {.i = 8192}, 1, MAX_SIDE, "elements", "width of the picture"},
    {"seed", BQ_INT, {.i = 1}, 0, UINT32_MAX, "", "another seed, another landscape"},
};

/* Far to near: height of the ridge above which there is sky (from the top), how far noise moves
 * it (shift of the noise, which is +-8192), its brightness and how much texture it has (a shift).
 */
static const struct range {
    int32_t ridge, rough, grey, texture;
} ranges[RANGES] = {{2100, 4, 84, 9}, {2650, 3, 58, 8}, {3250, 3, 34, 8}};

/* Sun: where, and its radius; columns from the middle of the picture. */
enum { SUN_ROW = 1000, SUN_COLUMN = 700, SUN_RADIUS = 210, SUN_GREY = 120 };

/* What a tile's pixels have in common along a column. */
struct tile {
    uint32_t first, n; /* columns; first is a multiple of 8 */
    struct noise noise;
    uint32_t grain[NOISE_TILE];
    int32_t sun[NOISE_TILE]; /* squared distance from the sun's column */
    int32_t ridge[RANGES][NOISE_TILE];
};

static int32_t clamp(int64_t v, int32_t low, int32_t high)
{
    return v < low ? low : v > high ? high : (int32_t)v;
}

/* v rows or columns in units of 1/4096 of the height. */
static int64_t scaled(int64_t v, const union bq_value *p)
{
    return v * HEIGHT / p[ROWS].i;
}

static void start(struct tile *tile, const union bq_value *p, uint32_t first, uint32_t n)
{
    const uint32_t seed = noise_hash((uint32_t)p[SEED].i);
    const unsigned bits =
        noise_bits((uint64_t)(p[ROWS].i < p[COLUMNS].i ? p[COLUMNS].i : p[ROWS].i));
    int16_t heights[NOISE_TILE];

    tile->first = first;
    tile->n = n;
    for (unsigned k = 0; k < RANGES; k++) {
        noise_start(&tile->noise, seed + 1 + k, bits, NOISE_FINEST, 0, NOISE_AMPLITUDE, first, n);
        noise_row(&tile->noise, 0, 0, heights);
        for (uint32_t i = 0; i < n; i++)
            tile->ridge[k][i] = ranges[k].ridge + (heights[i] >> ranges[k].rough);
    }
    for (uint32_t i = 0; i < n; i++) {
        int64_t middle = (int64_t)first + i - p[COLUMNS].i / 2;
        int32_t away = clamp(scaled(middle, p) - SUN_COLUMN, -16384, 16384);
        tile->sun[i] = away * away;
        tile->grain[i] = noise_hash(seed + 101 + noise_hash(first + i));
    }
    noise_start(&tile->noise, seed, bits, NOISE_FINEST, 0, NOISE_AMPLITUDE, first, n);
}

static void draw_row(const struct tile *tile, const union bq_value *p, uint32_t row, uint8_t *grey)
{
    int16_t noise[NOISE_TILE];
    noise_row(&tile->noise, 0, row, noise);
    const int32_t y = (int32_t)scaled(row, p);
    const int32_t sun = (y - SUN_ROW) * (y - SUN_ROW);
    const int32_t sky = 40 + (y >> 5); /* lighter towards the horizon */
    const uint32_t grain = noise_hash(noise_hash((uint32_t)p[SEED].i) + row);

    for (uint32_t i = 0; i < tile->n; i++) {
        const int32_t n = noise[i], d = tile->sun[i] + sun;
        int32_t glow = 44 - (d >> 14);
        int32_t disc = (SUN_RADIUS * SUN_RADIUS - d) >> 5;
        glow = glow > 0 ? glow : 0;
        disc = disc < 0 ? 0 : disc;
        disc = disc < SUN_GREY ? disc : SUN_GREY;
        int32_t v = sky + glow + disc + (n >> 9);
        for (unsigned k = 0; k < RANGES; k++) {
            int32_t below = y - tile->ridge[k][i];
            int32_t hill = ranges[k].grey + (n >> ranges[k].texture) - (below >> 6);
            v = below >= 0 ? hill : v;
        }
        uint32_t h = (tile->grain[i] ^ grain) * 0x2c1b3c6du;
        h ^= h >> 15;
        v += (int32_t)(h & 7) - 4 + (int32_t)(h >> 29);
        v = v < 0 ? 0 : v;
        grey[i] = (uint8_t)(v < 255 ? v : 255);
    }
}

static int prepare(struct bq_setup *setup)
{
    const union bq_value *p = setup->params;
    setup->space = (struct bq_space){2, {(uint64_t)p[ROWS].i, (uint64_t)p[COLUMNS].i}};
    setup->chunk = (struct bq_space){2, {512, 512}};
    setup->out_type = BQ_U8;
    return 0;
}

static enum bq_answer cook(struct bq_call *call)
{
    const struct bq_block *out = call->out;
    const uint32_t first = (uint32_t)out->offset[1], end = first + (uint32_t)out->extent[1];
    uint8_t *picture = out->data, grey[NOISE_TILE];
    struct tile tile;

    for (uint32_t from = first, to; from < end; from = to) {
        const uint32_t aligned = from & ~7u;
        to = (from & ~(NOISE_TILE - 1u)) + NOISE_TILE;
        to = to < end ? to : end;
        start(&tile, call->params, aligned, to - aligned);
        for (uint64_t row = 0; row < out->extent[0]; row++) {
            uint8_t *line = picture + row * out->extent[1] + (from - first);
            draw_row(&tile, call->params, (uint32_t)(out->offset[0] + row), grey);
            for (uint32_t i = 0; i < to - from; i++)
                line[i] = grey[from - aligned + i];
        }
    }
    return BQ_DONE;
}

const struct bq_kernel bq_kernel_photo = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_WRITES | BQ_MAKES,
    .name = "photo",
    .summary = "makes a grey picture of hills and a sun, a little dark",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
};
