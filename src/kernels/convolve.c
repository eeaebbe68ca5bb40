/* convolve: a window of weights of your own, on the last two axes, frame by frame.
 *
 *     out[y, x] = scale * sum over i, j of weights[i, j] in[y + i - rows/2, x + j - columns/2] +
 * offset
 *
 * The weights lie on the picture as they are written, row by row, the middle one on the element:
 * the orientation of scipy.ndimage.correlate and of most image programs. For that of
 * scipy.ndimage.convolve, write them in the opposite order. Both sides are odd, at most 33;
 * `columns` says how many weights a row has, 0 that they are a square. Beyond the edge the job's
 * border counts.
 *
 * Computed in double for every type, in the order of the weights, and rounded and clamped as
 * numbers.h says. NaN and infinity in the window pass on as IEEE 754 says, also where the weight is
 * 0; an overflow becomes infinity. Weights are bounded so that integers cannot overflow a double.
 */
#include "clones.h"
#include "filter.h"

#include <float.h>
#include <stdio.h>

_Static_assert(FLT_EVAL_METHOD == 0, "double must be computed in its own width");

enum { WEIGHTS, COLUMNS, SCALE, OFFSET };
enum { LANES = 16, SIDE = 2 * FILTER_RADIUS + 1 };

static const struct bq_param params[] = {
    {"weights", BQ_LIST, {.list = NULL}, -1e30, 1e30, "", "row by row; both sides odd"},
    {"columns", BQ_INT, {.i = 0}, 0, SIDE, "", "weights of a row; 0: as many as rows"},
    {"scale", BQ_REAL, {.r = 1}, -1e30, 1e30, "", "factor of the sum"},
    {"offset", BQ_REAL, {.r = 0}, -1e30, 1e30, "", "added last"},
};

struct weights {
    size_t rows, columns; /* 0: they have no such shape */
    const double *at;
    double scale, offset;
};

static struct weights weights_of(const union bq_value *p)
{
    const struct bq_list *list = p[WEIGHTS].list;
    struct weights w = {0, 0, list ? list->at : NULL, p[SCALE].r, p[OFFSET].r};
    size_t n = list ? list->n : 0, columns = (size_t)p[COLUMNS].i;
    while (p[COLUMNS].i == 0 && columns * columns < n && columns <= SIDE)
        columns++;
    size_t rows = columns ? n / columns : 0;
    bool is_odd = rows % 2 == 1 && columns % 2 == 1;
    if (is_odd && rows * columns == n && rows <= SIDE && columns <= SIDE) {
        w.rows = rows;
        w.columns = columns;
    }
    return w;
}

static int prepare(struct bq_setup *setup)
{
    const struct bq_list *list = setup->params[WEIGHTS].list;
    const struct weights w = weights_of(setup->params);
    if (!list || list->n == 0) {
        snprintf(setup->message, sizeof setup->message,
                 "no weights: give a list of them, such as weights: [0, 1, 0, 1, -4, 1, 0, 1, 0]");
        return -1;
    }
    if (w.rows == 0) {
        snprintf(setup->message, sizeof setup->message,
                 "%zu weights with columns %lld: rows times columns, both odd and at most %d, "
                 "must be as many as the weights",
                 list->n, (long long)setup->params[COLUMNS].i, SIDE);
        return -1;
    }
    return filter_prepare(setup, w.rows > 1 ? 2 : 1, w.rows / 2, w.columns / 2);
}

CLONES static void weigh(const struct weights *w, const double *const *line, size_t n, double *to)
{
    for (size_t first = 0; first < n; first += LANES) {
        lanes4 sum[LANES / 4] = {{0}};
        const double *weight = w->at;
        for (size_t i = 0; i < w->rows; i++) {
            const double *x = line[i] + first;
            for (size_t j = 0; j < w->columns; j++, weight++) {
                for (size_t l = 0; l < LANES / 4; l++)
                    sum[l] += *weight * *(const lanes4 *)(x + j + 4 * l);
            }
        }
        for (size_t l = 0; l < LANES / 4; l++)
            *(lanes4 *)(to + first + 4 * l) = w->scale * sum[l] + w->offset;
    }
}

static void row(const void *how, const void *const *line, size_t n, void *to)
{
    const struct weights *w = how;
    const double *lines[SIDE];
    for (size_t i = 0; i < w->rows; i++)
        lines[i] = line[i];
    weigh(w, lines, n, to);
}

static enum bq_answer cook(struct bq_call *call)
{
    static const struct filter filter = FILTER_OF_DOUBLES(row);
    const struct weights w = weights_of(call->params);
    filter_cook(call, &filter, &w);
    return BQ_DONE;
}

const struct bq_kernel bq_kernel_convolve = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_READS | BQ_WRITES | BQ_DIVISIBLE,
    .name = "convolve",
    .summary = "a weighted sum of neighbours, with weights of your own, on the last two axes",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
};
