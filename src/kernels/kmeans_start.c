/* kmeans_start: k rows of a table, drawn without replacement, as centres for kmeans to begin with
 * (E. Forgy's method, 1965: the centres are samples).
 *
 * Each row's number, counted through the dataset, is hashed with the seed; the k rows of the
 * smallest hashes are drawn. The hash is one-to-one, so there are no ties, and which rows they are
 * depends neither on chunks nor on order (the smallest of many hashes are a sample: bottom-k
 * sampling, E. Cohen and H. Kaplan, 2007). Rows with a NaN or an infinity are not drawn.
 *
 * Reduces a table of floats (table.h) to `centres` (k x columns numbers, as in the table, those of
 * the smallest hash first), `rows` (their numbers) and `skipped`. Where fewer rows than k can be
 * drawn, there are fewer centres. Equal rows may be drawn and make equal centres.
 */
#include "table.h"

#include <stdio.h>
#include <string.h>

enum { K, SEED };
enum { MAX_K = 1024 };

static const struct bq_param params[] = {
    {"k", BQ_INT, {.i = 8}, 1, MAX_K, "", "rows to be drawn"},
    {"seed", BQ_INT, {.i = 1}, 0, UINT32_MAX, "", "another seed, other rows"},
};

/* `values` follow: k hashes, k row numbers, k x columns elements; the first n of each are drawn,
 * by growing hash. All bytes zero: nothing seen. */
struct sample {
    uint64_t n, columns, skipped;
    union {
        uint64_t number;
        double real;
    } values[];
};

/* splitmix64 (G. Steele, D. Lea, C. Flood, 2014): one-to-one, as each of its steps is. */
static uint64_t hash(uint64_t row, uint64_t seed)
{
    uint64_t z = row * UINT64_C(0x9e3779b97f4a7c15) + (seed + 1) * UINT64_C(0xd1342543de82ef95);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int prepare(struct bq_setup *setup)
{
    const uint64_t k = (uint64_t)setup->params[K].i;
    if (table_prepare(setup, 1))
        return -1;
    const uint64_t rows = setup->space.extent[0], columns = setup->space.extent[1];
    if (rows < k) {
        snprintf(setup->message, sizeof setup->message, "k is %llu, and the table has %llu rows",
                 (unsigned long long)k, (unsigned long long)rows);
        return -1;
    }
    if (columns > BQ_MAX_ACC / 8 || sizeof(struct sample) + 8 * k * (columns + 2) > BQ_MAX_ACC) {
        snprintf(setup->message, sizeof setup->message,
                 "%llu rows of %llu columns are too many: at most %u numbers",
                 (unsigned long long)k, (unsigned long long)columns, BQ_MAX_ACC / 8);
        return -1;
    }
    setup->acc_size = (size_t)(sizeof(struct sample) + 8 * k * (columns + 2));
    return 0;
}

/* Makes room for a row of this hash; the row's elements are to be written to what is returned.
 * NULL: k rows of smaller hashes are there. */
static double *place(struct sample *sample, size_t k, uint64_t its_hash, uint64_t row)
{
    const size_t columns = (size_t)sample->columns;
    size_t at = (size_t)sample->n;
    while (at > 0 && sample->values[at - 1].number > its_hash)
        at--;
    if (at == k)
        return NULL;
    const size_t n_behind = (size_t)sample->n - at - (sample->n == k);
    sample->n += sample->n < k;
    const size_t size = sizeof *sample->values;
    void *hashes = &sample->values[at], *rows = &sample->values[k + at];
    void *elements = &sample->values[2 * k + at * columns];
    memmove((char *)hashes + size, hashes, n_behind * size);
    memmove((char *)rows + size, rows, n_behind * size);
    memmove((char *)elements + columns * size, elements, n_behind * columns * size);
    sample->values[at].number = its_hash;
    sample->values[k + at].number = row;
    return elements;
}

static enum bq_answer cook(struct bq_call *call)
{
    const struct bq_block *in = call->in;
    const size_t k = (size_t)call->params[K].i, columns = (size_t)in->extent[1];
    struct sample *sample = call->acc;
    sample->columns = columns;
    for (uint64_t row = 0; row < in->extent[0]; row += TABLE_ROWS) {
        const uint64_t left = in->extent[0] - row;
        const size_t n_rows = left < TABLE_ROWS ? (size_t)left : TABLE_ROWS;
        bool is_finite[TABLE_ROWS];
        table_check(in, row, n_rows, is_finite);
        for (size_t r = 0; r < n_rows; r++) {
            const uint64_t number = in->offset[0] + row + r;
            sample->skipped += !is_finite[r];
            double *to = is_finite[r] ? place(sample, k,
                                              hash(number, (uint64_t)call->params[SEED].i), number)
                                      : NULL;
            for (size_t c = 0; to && c < columns; c++)
                to[c] = 0;
            if (to)
                table_add(in, row + r, 1, columns, to);
        }
    }
    return BQ_DONE;
}

static void combine(const union bq_value *values, void *into, const void *next)
{
    struct sample *a = into;
    const struct sample *b = next;
    const size_t k = (size_t)values[K].i, columns = (size_t)b->columns;
    a->skipped += b->skipped;
    if (b->columns)
        a->columns = b->columns;
    for (size_t i = 0; i < b->n; i++) {
        double *to = place(a, k, b->values[i].number, b->values[k + i].number);
        if (to)
            memcpy(to, &b->values[2 * k + i * columns], columns * sizeof *to);
    }
}

static void present(const union bq_value *values, const void *acc, struct bq_sink *sink)
{
    const struct sample *sample = acc;
    const size_t k = (size_t)values[K].i, n = (size_t)sample->n;
    uint64_t rows[MAX_K];
    for (size_t i = 0; i < n; i++)
        rows[i] = sample->values[k + i].number;
    sink->reals(sink, "centres", &sample->values[2 * k].real, n * (size_t)sample->columns);
    sink->series(sink, "rows", rows, n);
    sink->integer(sink, "skipped", sample->skipped);
}

const struct bq_kernel bq_kernel_kmeans_start = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_READS,
    .name = "kmeans_start",
    .summary = "draws k rows of a table, the same in any order: the first centres of kmeans",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
    .combine = combine,
    .present = present,
};
