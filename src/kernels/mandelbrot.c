/* mandelbrot: for each point c of a part of the complex plane, how soon z := z^2 + c leaves.
 *
 * z starts at 0. Output (uint16): the first k >= 1 for which |z| > 2 after k steps, or 0 when that
 * did not happen within `iterations` (c is taken to be inside the Mandelbrot set). Pixels are
 * square; row 0 is at the top; `height` is that of the view, centred on centre_x + i centre_y:
 *     x = centre_x + (column + 1/2 - columns/2) height / rows
 *     y = centre_y - (row + 1/2 - rows/2) height / rows
 * Reduces to inside (pixels) and iterations (steps done, the measure of work: an inside pixel does
 * all of them, so chunks differ in cost by a factor of up to `iterations`).
 *
 * Computed in double, without fused multiply-add. A point that has left runs on with its lane; it
 * overflows to infinity or NaN, which compare as outside and are never stored.
 */
#include "banquet/kernel.h"

#include <float.h>

_Static_assert(FLT_EVAL_METHOD == 0, "double must be computed in its own width");

enum { ROWS, COLUMNS, CENTRE_X, CENTRE_Y, HEIGHT, ITERATIONS };
enum { LANES = 4, SPRINT = 16 };

#define MAX_SIDE (1 << 20)

static const struct bq_param params[] = {
    {"rows", BQ_INT, {.i = 2048}, 1, MAX_SIDE, "elements", "height of the picture"},
    {"columns", BQ_INT, {.i = 2048}, 1, MAX_SIDE, "elements", "width of the picture"},
    {"centre_x", BQ_REAL, {.r = -0.75}, -4, 4, "", "real part of the centre"},
    {"centre_y", BQ_REAL, {.r = 0}, -4, 4, "", "imaginary part of the centre"},
    {"height", BQ_REAL, {.r = 2.5}, 1e-300, 16, "", "of the view, in the complex plane"},
    {"iterations", BQ_INT, {.i = 1000}, 1, UINT16_MAX, "", "steps after which a point is inside"},
};

struct tally {
    uint64_t inside, iterations;
};

static int prepare(struct bq_setup *setup)
{
    const union bq_value *p = setup->params;
    setup->space = (struct bq_space){2, {(uint64_t)p[ROWS].i, (uint64_t)p[COLUMNS].i}};
    setup->chunk = (struct bq_space){2, {64, 64}};
    setup->out_type = BQ_U16;
    setup->acc_size = sizeof(struct tally);
    return 0;
}

/* After how many steps each of the points was still there, at most limit. */
static void run(const double x[LANES], double y, int64_t limit, double stayed[LANES])
{
    double re[LANES] = {0}, im[LANES] = {0}, here[LANES], count[LANES] = {0};
    for (unsigned k = 0; k < LANES; k++)
        here[k] = 1;
    double n_here = LANES;
    for (int64_t step = 0; step < limit && n_here > 0;) {
        int64_t stop = limit - step < SPRINT ? limit : step + SPRINT;
        for (; step < stop; step++) {
            for (unsigned k = 0; k < LANES; k++) {
                double next = re[k] * re[k] - im[k] * im[k] + x[k];
                im[k] = (re[k] + re[k]) * im[k] + y;
                re[k] = next;
                here[k] = re[k] * re[k] + im[k] * im[k] <= 4 ? here[k] : 0;
                count[k] += here[k];
            }
        }
        n_here = 0;
        for (unsigned k = 0; k < LANES; k++)
            n_here += here[k];
    }
    for (unsigned k = 0; k < LANES; k++)
        stayed[k] = count[k];
}

static enum bq_answer cook(struct bq_call *call)
{
    const union bq_value *p = call->params;
    const struct bq_block *out = call->out;
    const double scale = p[HEIGHT].r / (double)p[ROWS].i;
    const double middle_x = 0.5 - 0.5 * (double)p[COLUMNS].i;
    const double middle_y = 0.5 - 0.5 * (double)p[ROWS].i;
    const int64_t limit = p[ITERATIONS].i;
    struct tally tally = {0, 0};

    for (uint64_t row = 0; row < out->extent[0]; row++) {
        double y = p[CENTRE_Y].r - ((double)(out->offset[0] + row) + middle_y) * scale;
        uint16_t *line = out->data ? (uint16_t *)out->data + row * out->extent[1] : NULL;
        for (uint64_t column = 0; column < out->extent[1]; column += LANES) {
            double x[LANES], stayed[LANES];
            for (unsigned k = 0; k < LANES; k++)
                x[k] = p[CENTRE_X].r + ((double)(out->offset[1] + column + k) + middle_x) * scale;
            run(x, y, limit, stayed);
            for (unsigned k = 0; k < LANES && column + k < out->extent[1]; k++) {
                int64_t steps = (int64_t)stayed[k] + 1;
                bool is_inside = steps > limit;
                tally.inside += is_inside;
                tally.iterations += (uint64_t)(is_inside ? limit : steps);
                if (line)
                    line[column + k] = is_inside ? 0 : (uint16_t)steps;
            }
        }
    }
    *(struct tally *)call->acc = tally;
    return BQ_DONE;
}

static void combine(const union bq_value *values, void *into, const void *next)
{
    (void)values;
    struct tally *a = into;
    const struct tally *b = next;
    a->inside += b->inside;
    a->iterations += b->iterations;
}

static void present(const union bq_value *values, const void *acc, struct bq_sink *sink)
{
    (void)values;
    const struct tally *tally = acc;
    sink->integer(sink, "inside", tally->inside);
    sink->integer(sink, "iterations", tally->iterations);
}

const struct bq_kernel bq_kernel_mandelbrot = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_WRITES | BQ_MAKES,
    .name = "mandelbrot",
    .summary = "draws the Mandelbrot set: chunks of very uneven cost",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
    .combine = combine,
    .present = present,
};
