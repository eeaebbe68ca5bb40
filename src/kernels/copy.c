/* copy: out = in, bit for bit (float16 comes as float32, where its NaNs lose their payload). What
 * is left of a run is what the engine costs: reading, decoding, encoding, writing. It is also how
 * to give a dataset other chunks or another compression.
 *
 * `out` may be `in`.
 */
#include "banquet/kernel.h"

#include <string.h>

static enum bq_answer cook(struct bq_call *call)
{
    const struct bq_block *in = call->in;
    uint64_t share = in->n / call->n_parts, rest = in->n % call->n_parts, part = call->part;
    uint64_t first = part * share + (part < rest ? part : rest);
    size_t size = bq_type_size(in->type), n = (size_t)(share + (part < rest));
    if (n && call->out->data != in->data)
        memcpy((char *)call->out->data + first * size, (const char *)in->data + first * size,
               n * size);
    return BQ_DONE;
}

const struct bq_kernel bq_kernel_copy = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_READS | BQ_WRITES | BQ_DIVISIBLE | BQ_KEEPS,
    .name = "copy",
    .summary = "the input, unchanged: for other chunks or another compression",
    .cook = cook,
};
