/* sobel: how steep a picture is, by the operator of I. Sobel (R. O. Duda, P. E. Hart, "Pattern
 * Classification and Scene Analysis", 1973, page 271).
 *
 *     g_rows    = [1 2 1] across, in[y + 1] - in[y - 1]      scipy.ndimage.sobel(in, axis=-2)
 *     g_columns = [1 2 1] down,   in[x + 1] - in[x - 1]      scipy.ndimage.sobel(in, axis=-1)
 *     axis 0: out = scale sqrt(g_rows^2 + g_columns^2);  axis 1: scale g_rows;  2: scale g_columns
 *
 * in units of the input; 1/8 as scale makes it the slope per element. On the last two axes, frame
 * by frame; beyond the edge the job's border counts. Computed in double for every type, rounded
 * and clamped as numbers.h says: the slope of unsigned integers is 0 where it falls. Squares that
 * overflow (beyond 1e154) make infinity; NaN in the window (for axis 0; for the others where its
 * weight is not 0, or where it is infinite) makes NaN.
 */
#include "clones.h"
#include "filter.h"

#include <float.h>
#include <math.h>

_Static_assert(FLT_EVAL_METHOD == 0, "double must be computed in its own width");

enum { AXIS, SCALE };

static const struct bq_param params[] = {
    {"axis", BQ_INT, {.i = 0}, 0, 2, "", "0: magnitude, 1: along the rows' axis, 2: the columns'"},
    {"scale", BQ_REAL, {.r = 1}, -1e30, 1e30, "", "factor of the result"},
};

CLONES static void magnitude(const double *a, const double *b, const double *c, size_t n,
                             double scale, double *to)
{
    for (size_t i = 0; i < n; i++) {
        double down = ((c[i] - a[i]) + (c[i + 2] - a[i + 2])) + 2 * (c[i + 1] - a[i + 1]);
        double along = ((a[i + 2] - a[i]) + (c[i + 2] - c[i])) + 2 * (b[i + 2] - b[i]);
        to[i] = scale * sqrt(down * down + along * along);
    }
}

CLONES static void slope(const double *a, const double *b, const double *c, size_t n, double scale,
                         double *to, bool is_down)
{
    for (size_t i = 0; is_down && i < n; i++)
        to[i] = scale * (((c[i] - a[i]) + (c[i + 2] - a[i + 2])) + 2 * (c[i + 1] - a[i + 1]));
    for (size_t i = 0; !is_down && i < n; i++)
        to[i] = scale * (((a[i + 2] - a[i]) + (c[i + 2] - c[i])) + 2 * (b[i + 2] - b[i]));
}

static void row(const void *how, const void *const *line, size_t n, void *to)
{
    const union bq_value *p = how;
    if (p[AXIS].i == 0)
        magnitude(line[0], line[1], line[2], n, p[SCALE].r, to);
    else
        slope(line[0], line[1], line[2], n, p[SCALE].r, to, p[AXIS].i == 1);
}

static int prepare(struct bq_setup *setup)
{
    return filter_prepare(setup, 2, 1, 1);
}

static enum bq_answer cook(struct bq_call *call)
{
    static const struct filter filter = FILTER_OF_DOUBLES(row);
    filter_cook(call, &filter, call->params);
    return BQ_DONE;
}

const struct bq_kernel bq_kernel_sobel = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_READS | BQ_WRITES | BQ_DIVISIBLE,
    .name = "sobel",
    .summary = "the gradient of a picture, on the last two axes: where its edges are",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
};
