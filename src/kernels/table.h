/* Tables, for the kernels that learn: rows are samples, columns are features, floats. Chunks hold
 * whole rows. A block of rows is turned round, so that a loop over its rows is a loop over lanes of
 * a vector, while the sum over columns keeps its order.
 */
#ifndef BQ_KERNELS_TABLE_H
#define BQ_KERNELS_TABLE_H

#include "banquet/kernel.h"

enum { TABLE_ROWS = 32, TABLE_COLUMNS = 64 };

/* A part of a table: `at[c][r]` is column first + c of row r of the block. Rows that there are not
 * are zeros. */
struct table_part {
    size_t first, n; /* columns */
    double at[TABLE_COLUMNS][TABLE_ROWS];
};

/* Answers prepare: no chunk may cut the columns. Refuses what is no table of floats, or one of less
 * than `least` columns. */
int table_prepare(struct bq_setup *setup, uint64_t least);

/* Loads columns first .. of n_rows <= TABLE_ROWS rows from `row` of a chunk on. */
void table_load(const struct bq_block *in, uint64_t row, size_t n_rows, size_t first,
                struct table_part *part);

/* Which rows of a block have neither NaN nor infinity. */
void table_check(const struct bq_block *in, uint64_t row, size_t n_rows,
                 bool is_finite[TABLE_ROWS]);

bool table_is_finite(const struct bq_block *in, uint64_t row);

/* to[which[r]][c] += the element in column c of row r, row by row; none where which[r] < 0. `to`
 * has as many columns as the table. */
void table_add_to(const struct bq_block *in, uint64_t row, size_t n_rows, const int64_t *which,
                  double *to);

/* to[c] += factor * the element in column c of a row, for the first n columns. */
void table_add(const struct bq_block *in, uint64_t row, double factor, size_t n, double *to);

#endif
