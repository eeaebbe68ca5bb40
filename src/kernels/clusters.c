/* clusters: made-up measurements, rows of numbers in clusters, and which cluster each row is of.
 *
 * Row r is of cluster h(r) mod k. Its column c is centre(cluster, c) + scatter, where centres lie
 * in
 * [-8, 8) and scatter is the sum of four uniform numbers in [-1/2, 1/2): nearly Gaussian, of
 * deviation 1/sqrt(3) (Irwin-Hall). The last column is 1 where the cluster's number is odd and 0
 * where it is even: a label to be learned. All of it is integers in units of 1/4096 below 2^24, so
 * a float32 holds each value exactly, the same on every machine. An element is a function of its
 * place, of the number of columns and of the seed.
 */
#include "banquet/kernel.h"
#include "noise.h"

enum { ROWS, COLUMNS, CLUSTERS, SEED };
enum { ONE = 4096 };

static const struct bq_param params[] = {
    {"rows", BQ_INT, {.i = 100000}, 1, 1e9, "elements", "samples"},
    {"columns", BQ_INT, {.i = 9}, 2, 1024, "elements", "features, and the label"},
    {"clusters", BQ_INT, {.i = 5}, 1, 1024, "", "how many there are to be found"},
    {"seed", BQ_INT, {.i = 1}, 0, UINT32_MAX, "", "another seed, other clusters"},
};

static int prepare(struct bq_setup *setup)
{
    const union bq_value *p = setup->params;
    uint64_t rows = (uint64_t)p[ROWS].i, columns = (uint64_t)p[COLUMNS].i;
    setup->space = (struct bq_space){2, {rows, columns}};
    setup->chunk = (struct bq_space){2, {1 + (1u << 16) / columns, columns}};
    setup->out_type = BQ_F32;
    return 0;
}

static uint32_t hash2(uint32_t seed, uint32_t a, uint32_t b)
{
    return noise_hash(noise_hash(noise_hash(seed + 1) + a) + b);
}

/* In units of 1/ONE. */
static int32_t element(const union bq_value *p, uint32_t row, uint32_t column)
{
    uint32_t seed = (uint32_t)p[SEED].i;
    uint32_t cluster = hash2(seed, row, 0x10000) % (uint32_t)p[CLUSTERS].i;
    if (column + 1 == (uint32_t)p[COLUMNS].i)
        return cluster % 2 ? ONE : 0;
    int32_t sum = (int32_t)(hash2(~seed, cluster, column) % (16 * ONE)) - 8 * ONE;
    uint32_t bits = hash2(seed, row, column);
    for (int i = 0; i < 4; i++) {
        bits = noise_hash(bits + 1);
        sum += (int32_t)(bits % ONE) - ONE / 2;
    }
    return sum;
}

static enum bq_answer cook(struct bq_call *call)
{
    const struct bq_block *out = call->out;
    float *to = out->data;
    for (uint64_t r = 0; r < out->extent[0]; r++) {
        for (uint64_t c = 0; c < out->extent[1]; c++)
            *to++ = (float)element(call->params, (uint32_t)(out->offset[0] + r),
                                   (uint32_t)(out->offset[1] + c)) *
                    (1.0f / ONE);
    }
    return BQ_DONE;
}

const struct bq_kernel bq_kernel_clusters = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_WRITES | BQ_MAKES,
    .name = "clusters",
    .summary = "makes rows of measurements in clusters, the last column a label",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
};
