/* life: one generation of J. H. Conway's game of life (M. Gardner, Scientific American 223, October
 * 1970), on the last two axes, frame by frame.
 *
 * A cell is alive if it is not 0. In the next generation it is alive (1, else 0) if three of its
 * eight neighbours are, or two and it is alive itself. The world beyond the edge is the job's
 * border; wrap makes a torus. uint8 only. Reduces to how many are alive after the step, were born
 * and died in it: counts of 64 bits, of the dataset's cells and not of margins. Nothing can
 * overflow: sums of nine are bytes.
 */
#include "clones.h"

#include "banquet/kernel.h"

#include <stdio.h>
#include <string.h>

enum { TILE = 4096, RUN = 128 }; /* columns; a byte counts RUN of them without overflow */

struct tally {
    uint64_t alive, born, died;
};

static int prepare(struct bq_setup *setup)
{
    const int rank = setup->space.rank;
    if (setup->in_type != BQ_U8) {
        snprintf(setup->message, sizeof setup->message,
                 "the dataset is of %s; life needs uint8, 0 for dead and 1 for alive",
                 bq_type_name(setup->in_type));
        return -1;
    }
    if (rank < 2) {
        snprintf(setup->message, sizeof setup->message,
                 "the dataset has one axis; life needs rows and columns");
        return -1;
    }
    setup->halo[rank - 2] = setup->halo[rank - 1] = 1;
    setup->acc_size = sizeof(struct tally);
    return 0;
}

/* The next n cells of a row; a, b, c are the rows above, at and below it, from one column before.
 */
CLONES static void step(const uint8_t *a, const uint8_t *b, const uint8_t *c, size_t n, uint8_t *to)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t left = (uint8_t)((a[i] != 0) + (b[i] != 0) + (c[i] != 0));
        uint8_t middle = (uint8_t)((a[i + 1] != 0) + (c[i + 1] != 0));
        uint8_t right = (uint8_t)((a[i + 2] != 0) + (b[i + 2] != 0) + (c[i + 2] != 0));
        uint8_t n_alive = (uint8_t)(left + middle + right);
        to[i] = (uint8_t)((uint8_t)(n_alive | (b[i + 1] != 0)) == 3);
    }
}

CLONES static void count(const uint8_t *before, const uint8_t *after, size_t n, struct tally *tally)
{
    for (size_t first = 0; first < n; first += RUN) {
        const size_t size = n - first < RUN ? n - first : RUN;
        uint8_t alive = 0, born = 0, died = 0;
        for (size_t i = first; i < first + size; i++) {
            uint8_t was = before[i] != 0;
            alive = (uint8_t)(alive + after[i]);
            born = (uint8_t)(born + (after[i] & (was ^ 1)));
            died = (uint8_t)(died + (was & (after[i] ^ 1)));
        }
        tally->alive += alive;
        tally->born += born;
        tally->died += died;
    }
}

static enum bq_answer cook(struct bq_call *call)
{
    const struct bq_block *in = call->in, *out = call->out;
    const int last = out->rank - 1;
    const size_t rows = (size_t)out->extent[last - 1], columns = (size_t)out->extent[last];
    const size_t width = columns + 2, n_frames = (size_t)(out->n / rows / columns);
    struct tally tally = {0, 0, 0};
    uint8_t line[TILE];

    for (size_t frame = 0; frame < n_frames; frame++) {
        const uint8_t *cells = (const uint8_t *)in->data + frame * (rows + 2) * width;
        for (size_t row = 0; row < rows; row++) {
            for (size_t first = 0; first < columns; first += TILE) {
                const size_t n = columns - first < TILE ? columns - first : TILE;
                const uint8_t *above = cells + row * width + first;
                step(above, above + width, above + 2 * width, n, line);
                count(above + width + 1, line, n, &tally);
                if (out->data)
                    memcpy((uint8_t *)out->data + (frame * rows + row) * columns + first, line, n);
            }
        }
    }
    *(struct tally *)call->acc = tally;
    return BQ_DONE;
}

static void combine(const union bq_value *values, void *into, const void *next)
{
    (void)values;
    struct tally *a = into;
    const struct tally *b = next;
    a->alive += b->alive;
    a->born += b->born;
    a->died += b->died;
}

static void present(const union bq_value *values, const void *acc, struct bq_sink *sink)
{
    (void)values;
    const struct tally *tally = acc;
    sink->integer(sink, "alive", tally->alive);
    sink->integer(sink, "born", tally->born);
    sink->integer(sink, "died", tally->died);
}

const struct bq_kernel bq_kernel_life = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_READS | BQ_WRITES,
    .name = "life",
    .summary = "one generation of Conway's game of life, on the last two axes of uint8",
    .prepare = prepare,
    .cook = cook,
    .combine = combine,
    .present = present,
};
