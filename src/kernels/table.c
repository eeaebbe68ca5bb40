#include "table.h"
#include "clones.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

int table_prepare(struct bq_setup *setup, uint64_t least)
{
    if (setup->space.rank != 2 || (setup->in_type != BQ_F32 && setup->in_type != BQ_F64)) {
        snprintf(setup->message, sizeof setup->message,
                 "the dataset is of %s and rank %d; a table is of float32 or float64 and rank 2: a "
                 "row for each sample, a column for each feature",
                 bq_type_name(setup->in_type), setup->space.rank);
        return -1;
    }
    if (setup->space.extent[1] < least) {
        snprintf(setup->message, sizeof setup->message, "the table has %llu columns, not %llu",
                 (unsigned long long)setup->space.extent[1], (unsigned long long)least);
        return -1;
    }
    setup->is_whole[1] = true;
    return 0;
}

#define TURN(ctype)                                                                                \
    CLONES static void turn_##ctype(const ctype *x, size_t columns, size_t n_rows,                 \
                                    struct table_part *part)                                       \
    {                                                                                              \
        for (size_t r = 0; r < n_rows; r++) {                                                      \
            for (size_t c = 0; c < part->n; c++)                                                   \
                part->at[c][r] = (double)x[r * columns + c];                                       \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    /* 0 times a number is 0, and NaN otherwise. */                                                \
    CLONES static void check_##ctype(const ctype *x, size_t columns, size_t n_rows, bool *flag)    \
    {                                                                                              \
        for (size_t r = 0; r < n_rows; r++) {                                                      \
            ctype odd[8] = {0};                                                                    \
            const ctype *row = x + r * columns;                                                    \
            size_t c = 0;                                                                          \
            for (; c + 8 <= columns; c += 8) {                                                     \
                for (size_t l = 0; l < 8; l++)                                                     \
                    odd[l] += 0 * row[c + l];                                                      \
            }                                                                                      \
            for (; c < columns; c++)                                                               \
                odd[0] += 0 * row[c];                                                              \
            for (size_t l = 1; l < 8; l++)                                                         \
                odd[0] += odd[l];                                                                  \
            flag[r] = odd[0] == odd[0];                                                            \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    CLONES static void add_##ctype(const ctype *x, double factor, size_t n, double *to)            \
    {                                                                                              \
        for (size_t c = 0; c < n; c++)                                                             \
            to[c] += factor * (double)x[c];                                                        \
    }                                                                                              \
                                                                                                   \
    CLONES static void add_to_##ctype(const ctype *x, size_t columns, size_t n_rows,               \
                                      const int64_t *which, double *to)                            \
    {                                                                                              \
        for (size_t r = 0; r < n_rows; r++) {                                                      \
            double *sums = to + (size_t)(which[r] < 0 ? 0 : which[r]) * columns;                   \
            for (size_t c = 0; which[r] >= 0 && c < columns; c++)                                  \
                sums[c] += (double)x[r * columns + c];                                             \
        }                                                                                          \
    }

TURN(float)
TURN(double)

void table_load(const struct bq_block *in, uint64_t row, size_t n_rows, size_t first,
                struct table_part *part)
{
    const size_t columns = (size_t)in->extent[1], at = (size_t)row * columns + first;
    part->first = first;
    part->n = columns - first < TABLE_COLUMNS ? columns - first : TABLE_COLUMNS;
    if (n_rows < TABLE_ROWS)
        memset(part->at, 0, sizeof part->at);
    if (in->type == BQ_F32)
        turn_float((const float *)in->data + at, columns, n_rows, part);
    else
        turn_double((const double *)in->data + at, columns, n_rows, part);
}

void table_check(const struct bq_block *in, uint64_t row, size_t n_rows, bool is_finite[TABLE_ROWS])
{
    const size_t columns = (size_t)in->extent[1];
    if (in->type == BQ_F32)
        check_float((const float *)in->data + row * columns, columns, n_rows, is_finite);
    else
        check_double((const double *)in->data + row * columns, columns, n_rows, is_finite);
}

bool table_is_finite(const struct bq_block *in, uint64_t row)
{
    bool is_finite[TABLE_ROWS];
    table_check(in, row, 1, is_finite);
    return is_finite[0];
}

void table_add_to(const struct bq_block *in, uint64_t row, size_t n_rows, const int64_t *which,
                  double *to)
{
    const size_t columns = (size_t)in->extent[1];
    if (in->type == BQ_F32)
        add_to_float((const float *)in->data + row * columns, columns, n_rows, which, to);
    else
        add_to_double((const double *)in->data + row * columns, columns, n_rows, which, to);
}

void table_add(const struct bq_block *in, uint64_t row, double factor, size_t n, double *to)
{
    const size_t columns = (size_t)in->extent[1];
    if (in->type == BQ_F32)
        add_float((const float *)in->data + row * columns, factor, n, to);
    else
        add_double((const double *)in->data + row * columns, factor, n, to);
}
