/* heat: one step of the heat equation u_t = a laplacian(u), in 1, 2 or 3 dimensions.
 *
 *     out = in + r * (sum of the 2 d neighbours along the axes - 2 d in),     d: the rank
 *
 * forward in time, central in space (R. J. LeVeque, "Finite Difference Methods for Ordinary and
 * Partial Differential Equations", 2007, chapter 9). r = a dt / dx^2 is the diffusion number, the
 * grid is square. The step is stable, and no new maximum appears, up to r = 1 / (2 d); more is
 * refused. What lies beyond the edge is the job's border: clamp insulates it, constant keeps it at
 * a temperature, wrap closes a ring.
 *
 * float32 and float64, each in its own width, in one order: the neighbours along the last axis,
 * then those of the axis before, then the first; so bits depend neither on chunks nor on vectors.
 * Reduces to `change`, the largest |out - in| (exact, so in any order), and `nan`, how many such
 * differences were NaN; change is NaN itself then, so that no loop ends as if all were well. A NaN
 * spreads to its neighbours and is the positive quiet one; an overflow becomes infinity. Unit: the
 * input's.
 */
#include "clones.h"

#include "banquet/kernel.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0, "float and double must be computed in their own width");

enum { R };
enum { TILE = 512, LANES = 32 };

static const struct bq_param params[] = {
    {"r", BQ_REAL, {.r = 0.125}, DBL_MIN, 0.5, "", "diffusion number a dt / dx^2, to 1/(2 rank)"},
};

struct heat {
    double change;
    uint64_t nan;
};

static int prepare(struct bq_setup *setup)
{
    const int rank = setup->space.rank;
    const double r = setup->params[R].r;
    if (setup->in_type != BQ_F32 && setup->in_type != BQ_F64) {
        snprintf(setup->message, sizeof setup->message,
                 "the dataset is of %s; heat needs float32 or float64",
                 bq_type_name(setup->in_type));
        return -1;
    }
    if (rank > 3) {
        snprintf(setup->message, sizeof setup->message,
                 "the dataset has %d axes; heat flows in 1, 2 or 3", rank);
        return -1;
    }
    if (!(r * 2 * rank <= 1)) {
        snprintf(setup->message, sizeof setup->message,
                 "r is %g: in %d dimensions a step is stable up to 1/%d", r, rank, 2 * rank);
        return -1;
    }
    for (int i = 0; i < rank; i++)
        setup->halo[i] = 1;
    setup->acc_size = sizeof(struct heat);
    return 0;
}

/* One row, n elements at x, with its neighbours a row and a plane away. */
#define HEAT(ctype, absolute)                                                                      \
    CLONES static void row_##ctype(const ctype *x, size_t row, size_t plane, int rank, size_t n,   \
                                   ctype r, ctype *to)                                             \
    {                                                                                              \
        for (size_t i = 0; rank == 1 && i < n; i++)                                                \
            to[i] = x[i] + r * ((x[i - 1] + x[i + 1]) - 2 * x[i]);                                 \
        for (size_t i = 0; rank == 2 && i < n; i++) {                                              \
            ctype sum = (x[i - 1] + x[i + 1]) + (x[i - row] + x[i + row]);                         \
            to[i] = x[i] + r * (sum - 4 * x[i]);                                                   \
        }                                                                                          \
        for (size_t i = 0; rank == 3 && i < n; i++) {                                              \
            ctype sum = (x[i - 1] + x[i + 1]) + (x[i - row] + x[i + row]);                         \
            to[i] = x[i] + r * (sum + (x[i - plane] + x[i + plane]) - 6 * x[i]);                   \
        }                                                                                          \
        for (size_t i = 0; i < n; i++)                                                             \
            to[i] = to[i] == to[i] ? to[i] : (ctype)NAN;                                           \
    }                                                                                              \
                                                                                                   \
    /* Lanes, because compilers may not turn a maximum of floats around by themselves. */          \
    CLONES static void change_##ctype(const ctype *x, const ctype *y, size_t n, struct heat *heat) \
    {                                                                                              \
        ctype most[LANES] = {0}, n_nan[LANES] = {0};                                               \
        const size_t whole = n - n % LANES;                                                        \
        for (size_t i = 0; i < whole; i += LANES) {                                                \
            for (size_t l = 0; l < LANES; l++) {                                                   \
                ctype d = absolute(y[i + l] - x[i + l]);                                           \
                most[l] = d > most[l] ? d : most[l];                                               \
                n_nan[l] += d == d ? (ctype)0 : (ctype)1;                                          \
            }                                                                                      \
        }                                                                                          \
        for (size_t l = 0; l < n - whole; l++) {                                                   \
            ctype d = absolute(y[whole + l] - x[whole + l]);                                       \
            most[l] = d > most[l] ? d : most[l];                                                   \
            n_nan[l] += d == d ? (ctype)0 : (ctype)1;                                              \
        }                                                                                          \
        for (size_t l = 0; l < LANES; l++) {                                                       \
            heat->change = (double)most[l] > heat->change ? (double)most[l] : heat->change;        \
            heat->nan += (uint64_t)n_nan[l];                                                       \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void cook_##ctype(const struct bq_call *call, struct heat *heat)                        \
    {                                                                                              \
        const struct bq_block *out = call->out;                                                    \
        const int rank = out->rank;                                                                \
        const size_t columns = (size_t)out->extent[rank - 1];                                      \
        const size_t rows = rank > 1 ? (size_t)out->extent[rank - 2] : 1;                          \
        const size_t planes = rank > 2 ? (size_t)out->extent[0] : 1;                               \
        const size_t row = columns + 2, plane = row * (rows + 2);                                  \
        const size_t corner = 1 + (rank > 1 ? row : 0) + (rank > 2 ? plane : 0);                   \
        const ctype *in = (const ctype *)call->in->data + corner;                                  \
        ctype *to = out->data, line[TILE];                                                         \
        for (size_t k = 0; k < planes * rows; k++) {                                               \
            for (size_t first = 0; first < columns; first += TILE) {                               \
                const size_t n = columns - first < TILE ? columns - first : TILE;                  \
                const ctype *x = in + k / rows * plane + k % rows * row + first;                   \
                row_##ctype(x, row, plane, rank, n, (ctype)call->params[R].r, line);               \
                change_##ctype(x, line, n, heat);                                                  \
                if (to)                                                                            \
                    memcpy(to + k * columns + first, line, n * sizeof *line);                      \
            }                                                                                      \
        }                                                                                          \
    }

HEAT(float, fabsf)
HEAT(double, fabs)

static enum bq_answer cook(struct bq_call *call)
{
    if (call->in->type == BQ_F32)
        cook_float(call, call->acc);
    else
        cook_double(call, call->acc);
    return BQ_DONE;
}

static void combine(const union bq_value *values, void *into, const void *next)
{
    (void)values;
    struct heat *a = into;
    const struct heat *b = next;
    a->change = b->change > a->change ? b->change : a->change;
    a->nan += b->nan;
}

static void present(const union bq_value *values, const void *acc, struct bq_sink *sink)
{
    (void)values;
    const struct heat *heat = acc;
    sink->real(sink, "change", heat->nan ? NAN : heat->change);
    sink->integer(sink, "nan", heat->nan);
}

const struct bq_kernel bq_kernel_heat = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_READS | BQ_WRITES,
    .name = "heat",
    .summary = "one step of the heat equation in 1, 2 or 3 dimensions, and how much it changed",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
    .combine = combine,
    .present = present,
};
