/* cells: a board for the game of life: each cell is 1 with probability `alive`, else 0.
 *
 * An element is a function of its place and of the seed: hash(seed, row, column) < alive 2^32.
 */
#include "banquet/kernel.h"
#include "noise.h"

enum { ROWS, COLUMNS, ALIVE, SEED };

static const struct bq_param params[] = {
    {"rows", BQ_INT, {.i = 512}, 1, 1 << 20, "elements", "height of the board"},
    {"columns", BQ_INT, {.i = 512}, 1, 1 << 20, "elements", "width of the board"},
    {"alive", BQ_REAL, {.r = 0.3}, 0, 1, "", "share of the cells that live at first"},
    {"seed", BQ_INT, {.i = 1}, 0, UINT32_MAX, "", "another seed, another board"},
};

static int prepare(struct bq_setup *setup)
{
    const union bq_value *p = setup->params;
    setup->space = (struct bq_space){2, {(uint64_t)p[ROWS].i, (uint64_t)p[COLUMNS].i}};
    setup->chunk = (struct bq_space){2, {512, 512}};
    return 0; /* the output of a kernel without input is uint8 */
}

static enum bq_answer cook(struct bq_call *call)
{
    const struct bq_block *out = call->out;
    const uint32_t seed = noise_hash((uint32_t)call->params[SEED].i + 1);
    const uint64_t limit = (uint64_t)(call->params[ALIVE].r * 0x1p32);
    uint8_t *to = out->data;
    for (uint64_t r = 0; r < out->extent[0]; r++) {
        uint32_t line = noise_hash(seed + (uint32_t)(out->offset[0] + r));
        for (uint64_t c = 0; c < out->extent[1]; c++)
            *to++ = noise_hash(line + (uint32_t)(out->offset[1] + c)) < limit;
    }
    return BQ_DONE;
}

const struct bq_kernel bq_kernel_cells = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_WRITES | BQ_MAKES,
    .name = "cells",
    .summary = "makes a board of living and dead cells for the game of life",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
};
