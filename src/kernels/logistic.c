/* logistic: one step of gradient descent for logistic regression (T. Hastie, R. Tibshirani,
 * J. Friedman, "The Elements of Statistical Learning", 4.4).
 *
 * The last column of a table of floats (table.h) is the label y, 0 or 1; the others are features
 * x. With weights w and bias b (the last of `weights`; no weights mean zeros), over all n rows:
 *
 *     z = w x + b,   p = 1 / (1 + e^-z),   loss = mean(log(1 + e^z) - y z) + ridge/2 |w|^2
 *     gradient = (mean((p - y) x) + ridge w, mean(p - y)),   weights := weights - rate * gradient
 *
 * The bias is not held back by ridge. Reduces to `weights` (the new ones), and of the old ones
 * `loss`, `accuracy` (rows with p >= 1/2 where y is 1, and less where it is 0, over n) and
 * `gradient` (its Euclidean norm); `rows` is n, and `skipped` rows with a NaN, an infinity or
 * another label. Without rows, loss, accuracy and gradient are 0 and the weights stay.
 *
 * Computed in double: z from the first column to the last, sums from a chunk's first row to its
 * last; exp and log are our own (elementary.h), so every machine gets the same bits. Sums round, so
 * the shape of chunks changes last bits; the number of kitchens and cooks changes none. No step
 * overflows for finite z: only e^-|z| is taken; a z that overflows is infinite or NaN and shows.
 */
#include "clones.h"
#include "elementary.h"
#include "table.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

enum { WEIGHTS, RATE, RIDGE };

static const struct bq_param params[] = {
    {"weights",
     BQ_LIST,
     {.list = NULL},
     -DBL_MAX,
     DBL_MAX,
     "",
     "one of each feature, and the bias"},
    {"rate", BQ_REAL, {.r = 0.1}, 0, 1e30, "", "how far to step against the gradient"},
    {"ridge", BQ_REAL, {.r = 0}, 0, 1e30, "", "how much large weights are held back"},
};

/* All bytes zero: nothing seen. */
struct fit {
    uint64_t rows, correct, skipped, columns;
    double loss;
    double gradient[]; /* of each weight, and of the bias */
};

static int prepare(struct bq_setup *setup)
{
    const struct bq_list *weights = setup->params[WEIGHTS].list;
    if (table_prepare(setup, 2))
        return -1;
    const uint64_t columns = setup->space.extent[1];
    if (weights && weights->n > 0 && weights->n != columns) {
        snprintf(setup->message, sizeof setup->message,
                 "%zu weights: %llu features and the bias have %llu", weights->n,
                 (unsigned long long)columns - 1, (unsigned long long)columns);
        return -1;
    }
    if (columns > (BQ_MAX_ACC - sizeof(struct fit)) / sizeof(double)) {
        snprintf(setup->message, sizeof setup->message, "%llu columns are too many: at most %zu",
                 (unsigned long long)columns, (BQ_MAX_ACC - sizeof(struct fit)) / sizeof(double));
        return -1;
    }
    setup->acc_size = sizeof(struct fit) + (size_t)columns * sizeof(double);
    return 0;
}

static double weight_of(const union bq_value *p, size_t i)
{
    const struct bq_list *list = p[WEIGHTS].list;
    return list && list->n > 0 ? list->at[i] : 0;
}

/* What a block of rows has: z, then p - y and the loss of each. */
struct lanes {
    double z[TABLE_ROWS], label[TABLE_ROWS];
    double rest[TABLE_ROWS], loss[TABLE_ROWS];
};

CLONES static void weigh(const struct table_part *part, size_t n, const double *weight,
                         struct lanes *lanes)
{
    double sum[TABLE_ROWS];
    for (size_t r = 0; r < TABLE_ROWS; r++)
        sum[r] = lanes->z[r];
    for (size_t c = 0; c < n; c++) {
        for (size_t r = 0; r < TABLE_ROWS; r++)
            sum[r] += part->at[c][r] * weight[c];
    }
    for (size_t r = 0; r < TABLE_ROWS; r++)
        lanes->z[r] = sum[r];
}

/* With e = e^-|z|: p is 1 / (1 + e), or e / (1 + e) for z < 0; log(1 + e^z) is log(1 + e), and z
 * more for z > 0. */
CLONES static void judge(struct lanes *lanes)
{
    for (size_t r = 0; r < TABLE_ROWS; r++) {
        const double z = lanes->z[r];
        const double e = elementary_exp(-fabs(z)), sum = 1 + e;
        const double p = (z < 0 ? e : 1) / sum;
        lanes->rest[r] = p - lanes->label[r];
        lanes->loss[r] = (elementary_log(sum) + (z > 0 ? z : 0)) - lanes->label[r] * z;
    }
}

static void cook_rows(const struct bq_call *call, uint64_t row, size_t n_rows)
{
    const struct bq_block *in = call->in;
    const size_t columns = (size_t)in->extent[1], features = columns - 1;
    struct fit *fit = call->acc;
    struct table_part part;
    struct lanes lanes;
    bool is_finite[TABLE_ROWS];

    for (size_t r = 0; r < TABLE_ROWS; r++)
        lanes.z[r] = 0;
    for (size_t first = 0; first < columns; first += TABLE_COLUMNS) {
        double weight[TABLE_COLUMNS];
        table_load(in, row, n_rows, first, &part);
        const size_t n = part.n - (first + part.n == columns); /* without the label */
        for (size_t c = 0; c < n; c++)
            weight[c] = weight_of(call->params, first + c);
        weigh(&part, n, weight, &lanes);
    }
    for (size_t r = 0; r < TABLE_ROWS; r++) {
        lanes.z[r] += weight_of(call->params, features);
        lanes.label[r] = part.at[part.n - 1][r];
    }
    judge(&lanes);
    table_check(in, row, n_rows, is_finite);
    for (size_t r = 0; r < n_rows; r++) {
        if (!is_finite[r] || (lanes.label[r] != 0 && lanes.label[r] != 1)) {
            fit->skipped++;
            continue;
        }
        fit->rows++;
        fit->correct += (lanes.z[r] >= 0) == (lanes.label[r] > 0);
        fit->loss += lanes.loss[r];
        table_add(in, row + r, lanes.rest[r], features, fit->gradient);
        fit->gradient[features] += lanes.rest[r];
    }
}

static enum bq_answer cook(struct bq_call *call)
{
    const uint64_t rows = call->in->extent[0];
    ((struct fit *)call->acc)->columns = call->in->extent[1];
    for (uint64_t row = 0; row < rows; row += TABLE_ROWS)
        cook_rows(call, row, rows - row < TABLE_ROWS ? (size_t)(rows - row) : TABLE_ROWS);
    return BQ_DONE;
}

static void combine(const union bq_value *values, void *into, const void *next)
{
    (void)values;
    struct fit *a = into;
    const struct fit *b = next;
    a->rows += b->rows;
    a->correct += b->correct;
    a->skipped += b->skipped;
    a->columns = b->columns ? b->columns : a->columns;
    a->loss += b->loss;
    for (size_t i = 0; i < b->columns; i++)
        a->gradient[i] += b->gradient[i];
}

static void present(const union bq_value *values, const void *acc, struct bq_sink *sink)
{
    const struct fit *fit = acc;
    const size_t columns = (size_t)fit->columns;
    const double n = (double)(fit->rows ? fit->rows : 1), ridge = values[RIDGE].r;
    double weights[BQ_MAX_ACC / sizeof(double)], squares = 0, norm = 0;
    for (size_t i = 0; i < columns; i++) {
        const double old = weight_of(values, i), held = i + 1 < columns ? old : 0;
        const double slope = fit->rows ? fit->gradient[i] / n + ridge * held : 0;
        weights[i] = old - values[RATE].r * slope;
        squares += held * held;
        norm += slope * slope;
    }
    sink->reals(sink, "weights", weights, columns);
    sink->real(sink, "loss", fit->rows ? fit->loss / n + ridge / 2 * squares : 0);
    sink->real(sink, "accuracy", (double)fit->correct / n);
    sink->real(sink, "gradient", sqrt(norm));
    sink->integer(sink, "rows", fit->rows);
    sink->integer(sink, "skipped", fit->skipped);
}

const struct bq_kernel bq_kernel_logistic = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_READS,
    .name = "logistic",
    .summary = "a step of logistic regression over a table whose last column is the label",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
    .combine = combine,
    .present = present,
};
