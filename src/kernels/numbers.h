/* Numbers of any type as doubles and back, for kernels that compute every type in double.
 *
 * An integer beyond 2^53 is rounded to the nearest double first. Back, integers are clamped to the
 * range of their type and rounded to the nearest, halves to even; floats keep infinity, and what
 * is too large for float32 becomes infinity. A NaN becomes the positive quiet one, as processors
 * differ in which one an operation returns; in integers, where none should come, the smallest.
 */
#ifndef BQ_KERNELS_NUMBERS_H
#define BQ_KERNELS_NUMBERS_H

#include "banquet/kernel.h"

/* The range of an integer type as doubles; `end` is the first power of two beyond the largest. */
struct numbers_range {
    double min, end;
};

extern const struct numbers_range numbers_ranges[BQ_N_TYPES];

static inline bool numbers_is_float(enum bq_type type)
{
    return type == BQ_F32 || type == BQ_F64;
}

void numbers_load(enum bq_type type, const void *from, size_t n, double *to);
void numbers_store(enum bq_type type, const double *from, size_t n, void *to);

#endif
