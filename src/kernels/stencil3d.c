/* stencil3d: a weighted sum of the 27 elements of a 3 x 3 x 3 cube, as of a multigrid smoother.
 *
 *     out = centre * in + face * (the 6 at distance 1) + edge * (the 12 at sqrt(2))
 *         + corner * (the 8 at sqrt(3))
 *
 * (the four weights of the NAS Parallel Benchmark MG: D. Bailey et al., NASA RNR-94-007, 1994.) The
 * standard weights 8, 4, 2, 1 over 64 are the binomial filter [1 2 1] / 4 along each axis. Rank 3,
 * float32 and float64, each in its own width; beyond the edge the job's border counts.
 *
 * As in MG, the columns of four faces and four edges beside a row are added up first and used
 * three times; the order is one for every element, so bits depend neither on chunks nor on
 * vectors. A NaN in the cube makes the positive quiet NaN, an overflow infinity. Unit: the input's.
 */
#include "clones.h"

#include "banquet/kernel.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

_Static_assert(FLT_EVAL_METHOD == 0, "float and double must be computed in their own width");

enum { CENTRE, FACE, EDGE, CORNER };
enum { TILE = 512 };

static const struct bq_param params[] = {
    {"centre", BQ_REAL, {.r = 0.125}, -1e30, 1e30, "", "weight of the element itself"},
    {"face", BQ_REAL, {.r = 0.0625}, -1e30, 1e30, "", "weight of the 6 nearest neighbours"},
    {"edge", BQ_REAL, {.r = 0.03125}, -1e30, 1e30, "", "weight of the 12 across an edge"},
    {"corner", BQ_REAL, {.r = 0.015625}, -1e30, 1e30, "", "weight of the 8 at the corners"},
};

static int prepare(struct bq_setup *setup)
{
    if (setup->in_type != BQ_F32 && setup->in_type != BQ_F64) {
        snprintf(setup->message, sizeof setup->message,
                 "the dataset is of %s; stencil3d needs float32 or float64",
                 bq_type_name(setup->in_type));
        return -1;
    }
    if (setup->space.rank != 3) {
        snprintf(setup->message, sizeof setup->message,
                 "the dataset has %d axes; stencil3d needs 3", setup->space.rank);
        return -1;
    }
    setup->halo[0] = setup->halo[1] = setup->halo[2] = 1;
    return 0;
}

/* near[i] and far[i] are of column i - 1. */
#define STENCIL(ctype)                                                                             \
    CLONES static void row_##ctype(const ctype *x, size_t row, size_t plane, size_t n,             \
                                   const ctype *weight, ctype *to)                                 \
    {                                                                                              \
        ctype near[TILE + 2], far[TILE + 2];                                                       \
        const ctype *from = x - 1, *below = from - plane, *above = from + plane;                   \
        const ctype *left = from - row, *right = from + row;                                       \
        for (size_t i = 0; i < n + 2; i++) {                                                       \
            near[i] = (left[i] + right[i]) + (below[i] + above[i]);                                \
            far[i] =                                                                               \
                ((below - row)[i] + (below + row)[i]) + ((above - row)[i] + (above + row)[i]);     \
        }                                                                                          \
        for (size_t i = 0; i < n; i++) {                                                           \
            ctype faces = (from[i] + from[i + 2]) + near[i + 1];                                   \
            ctype edges = (near[i] + near[i + 2]) + far[i + 1];                                    \
            ctype corners = far[i] + far[i + 2];                                                   \
            ctype v = (weight[CENTRE] * x[i] + weight[FACE] * faces) +                             \
                      (weight[EDGE] * edges + weight[CORNER] * corners);                           \
            to[i] = v == v ? v : (ctype)NAN;                                                       \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void cook_##ctype(const struct bq_call *call)                                           \
    {                                                                                              \
        const struct bq_block *out = call->out;                                                    \
        const size_t rows = (size_t)out->extent[1], columns = (size_t)out->extent[2];              \
        const size_t row = columns + 2, plane = row * (rows + 2);                                  \
        const size_t n_rows = (size_t)out->extent[0] * rows;                                       \
        const ctype *in = (const ctype *)call->in->data + plane + row + 1;                         \
        ctype weight[4], *to = out->data;                                                          \
        for (unsigned k = 0; k < 4; k++)                                                           \
            weight[k] = (ctype)call->params[k].r;                                                  \
        for (size_t k = 0; k < n_rows; k++) {                                                      \
            if (k % call->n_parts != call->part)                                                   \
                continue;                                                                          \
            for (size_t first = 0; first < columns; first += TILE) {                               \
                const size_t n = columns - first < TILE ? columns - first : TILE;                  \
                row_##ctype(in + k / rows * plane + k % rows * row + first, row, plane, n, weight, \
                            to + k * columns + first);                                             \
            }                                                                                      \
        }                                                                                          \
    }

STENCIL(float)
STENCIL(double)

static enum bq_answer cook(struct bq_call *call)
{
    if (call->in->type == BQ_F32)
        cook_float(call);
    else
        cook_double(call);
    return BQ_DONE;
}

const struct bq_kernel bq_kernel_stencil3d = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_READS | BQ_WRITES | BQ_DIVISIBLE,
    .name = "stencil3d",
    .summary = "a weighted sum of the 27 elements around each, in 3 dimensions: smooths a field",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
};
