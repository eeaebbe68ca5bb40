/* zscore: how many deviations an element lies above the mean: (in - mean) / deviation.
 *
 * The standard score of statistics (scipy.stats.zscore, with the mean and deviation that the stats
 * kernel found in a step before). Output: float32 for float32 and integers of up to 16 bits,
 * float64 for all else; it has no unit. Computed in double and rounded to the output's type once;
 * an overflow becomes infinity, a NaN the positive quiet one (numbers.h).
 */
#include "clones.h"
#include "numbers.h"

#include <float.h>

_Static_assert(FLT_EVAL_METHOD == 0, "double must be computed in its own width");

enum { MEAN, DEVIATION };
enum { BLOCK = 512 };

static const struct bq_param params[] = {
    {"mean", BQ_REAL, {.r = 0}, -DBL_MAX, DBL_MAX, "", "what becomes 0, in units of the input"},
    {"deviation", BQ_REAL, {.r = 1}, DBL_MIN, DBL_MAX, "", "what becomes 1, above the mean"},
};

static int prepare(struct bq_setup *setup)
{
    bool is_narrow = setup->in_type == BQ_F32 || bq_type_size(setup->in_type) <= 2;
    setup->out_type = is_narrow ? BQ_F32 : BQ_F64;
    return 0;
}

CLONES static void score(double *x, size_t n, double mean, double deviation)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (x[i] - mean) / deviation;
}

static enum bq_answer cook(struct bq_call *call)
{
    const struct bq_block *in = call->in, *out = call->out;
    const size_t in_size = bq_type_size(in->type), out_size = bq_type_size(out->type);
    double x[BLOCK];
    for (uint64_t first = 0; first < in->n; first += BLOCK) {
        const size_t n = in->n - first < BLOCK ? (size_t)(in->n - first) : BLOCK;
        numbers_load(in->type, (const char *)in->data + first * in_size, n, x);
        score(x, n, call->params[MEAN].r, call->params[DEVIATION].r);
        numbers_store(out->type, x, n, (char *)out->data + first * out_size);
    }
    return BQ_DONE;
}

const struct bq_kernel bq_kernel_zscore = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_READS | BQ_WRITES,
    .name = "zscore",
    .summary = "(in - mean) / deviation, as floats: values of any unit become comparable",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
};
