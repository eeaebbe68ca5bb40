/* blur: the binomial filter, which approaches a Gaussian of standard deviation sqrt(radius / 2).
 *
 *     out[y, x] = sum over i, j of w[i] w[j] in[y + i, x + j],   -radius <= i, j <= radius
 *     w[i] = binomial(2 radius, radius + i) / 4^radius,          their sum is 1
 *
 * (B. Jaehne, "Digital Image Processing", chapter 11: binomial filters. scipy.ndimage.correlate1d
 * along both axes is the same.) On the last two axes, frame by frame; a signal of rank 1 is blurred
 * along its one axis. Beyond the edge the job's border counts.
 *
 * Computed in double for every type, rows first, in pairs from the middle outwards. The weights
 * are exact, so the blur of integers is too, before its one rounding, as long as the type's bits
 * and 4 radius are at most 53 together; else it is rounded on the way by at most some 1e-15. How
 * results are rounded and clamped: numbers.h. A NaN or infinity in the window makes the element NaN
 * or infinite. Type and unit are those of the input.
 */
#include "clones.h"
#include "filter.h"

#include <float.h>

_Static_assert(FLT_EVAL_METHOD == 0, "double must be computed in its own width");

enum { RADIUS };
enum { LANES = 16 };

static const struct bq_param params[] = {
    {"radius",
     BQ_INT,
     {.i = 2},
     1,
     FILTER_RADIUS,
     "elements",
     "of the window; the deviation is sqrt(radius / 2)"},
};

struct blur {
    size_t radius;
    size_t rows; /* radius along the rows: 0 for a signal */
    double weight[FILTER_RADIUS + 1];
};

/* A row of Pascal's triangle, in halves: all numbers are below 2^53 and stay exact. */
static struct blur blur_of(size_t radius, bool is_signal)
{
    struct blur blur = {.radius = radius, .rows = is_signal ? 0 : radius};
    double pascal[2 * FILTER_RADIUS + 1] = {1};
    for (size_t n = 1; n <= 2 * radius; n++) {
        for (size_t k = n; k > 0; k--)
            pascal[k] = 0.5 * (pascal[k] + pascal[k - 1]);
        pascal[0] *= 0.5;
    }
    for (size_t k = 0; k <= radius; k++)
        blur.weight[k] = pascal[radius + k];
    return blur;
}

CLONES static void down(const struct blur *blur, const double *const *line, size_t n, double *to)
{
    const double *middle = line[blur->rows];
    for (size_t i = 0; i < n; i += LANES) {
        lanes4 sum[LANES / 4];
        for (size_t l = 0; l < LANES / 4; l++)
            sum[l] = blur->weight[0] * *(const lanes4 *)(middle + i + 4 * l);
        for (size_t k = 1; k <= blur->rows; k++) {
            const double *a = line[blur->rows - k] + i, *b = line[blur->rows + k] + i;
            for (size_t l = 0; l < LANES / 4; l++)
                sum[l] +=
                    blur->weight[k] * (*(const lanes4 *)(a + 4 * l) + *(const lanes4 *)(b + 4 * l));
        }
        for (size_t l = 0; l < LANES / 4; l++)
            *(lanes4 *)(to + i + 4 * l) = sum[l];
    }
}

CLONES static void along(const struct blur *blur, const double *from, size_t n, double *to)
{
    for (size_t i = 0; i < n; i += LANES) {
        const double *middle = from + i + blur->radius;
        lanes4 sum[LANES / 4];
        for (size_t l = 0; l < LANES / 4; l++)
            sum[l] = blur->weight[0] * *(const lanes4 *)(middle + 4 * l);
        for (size_t k = 1; k <= blur->radius; k++) {
            const double *a = middle - k, *b = middle + k;
            for (size_t l = 0; l < LANES / 4; l++)
                sum[l] +=
                    blur->weight[k] * (*(const lanes4 *)(a + 4 * l) + *(const lanes4 *)(b + 4 * l));
        }
        for (size_t l = 0; l < LANES / 4; l++)
            *(lanes4 *)(to + i + 4 * l) = sum[l];
    }
}

static void row(const void *how, const void *const *line, size_t n, void *to)
{
    const struct blur *blur = how;
    double middle[FILTER_TILE + 2 * FILTER_RADIUS + 2 * LANES];
    const double *lines[2 * FILTER_RADIUS + 1];
    for (size_t k = 0; k <= 2 * blur->rows; k++)
        lines[k] = line[k];
    if (blur->rows == 0) {
        along(blur, lines[0], n, to);
        return;
    }
    const size_t width = n + 2 * blur->radius;
    down(blur, lines, width, middle);
    for (size_t i = width; i < width + 2 * LANES && i < sizeof middle / sizeof *middle; i++)
        middle[i] = 0;
    along(blur, middle, n, to);
}

static int prepare(struct bq_setup *setup)
{
    const uint64_t radius = (uint64_t)setup->params[RADIUS].i;
    return filter_prepare(setup, 1, radius, radius);
}

static enum bq_answer cook(struct bq_call *call)
{
    static const struct filter filter = FILTER_OF_DOUBLES(row);
    const struct blur blur = blur_of((size_t)call->params[RADIUS].i, call->out->rank == 1);
    filter_cook(call, &filter, &blur);
    return BQ_DONE;
}

const struct bq_kernel bq_kernel_blur = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_READS | BQ_WRITES | BQ_DIVISIBLE,
    .name = "blur",
    .summary = "binomial blur, nearly Gaussian, on the last two axes",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
};
