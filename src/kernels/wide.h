/* Exact sums for stats and sum: integers as wide as they have to be, so that no addition rounds.
 *
 * A wide is n 64-bit words, the lowest first, in two's complement. A sum of doubles is one whose
 * unit is 2^-1074, the smallest double. Being exact, additions may come in any order and grouping:
 * this is what makes a sum independent of the shape of chunks. (The idea is Kulisch's long
 * accumulator; R. M. Neal, "Fast exact summation using small and large superaccumulators", 2015,
 * arXiv:1505.05571, has faster forms of it.)
 */
#ifndef BQ_KERNELS_WIDE_H
#define BQ_KERNELS_WIDE_H

#include "banquet/kernel.h"

__extension__ typedef unsigned __int128 bq_u128;

#define WIDE_MAX 70 /* words that wide_variance can work on */

/* w += value << shift, w -= value << shift, w += v. What leaves the top word is lost. */
void wide_add(uint64_t *w, size_t n, unsigned shift, bq_u128 value);
void wide_subtract(uint64_t *w, size_t n, unsigned shift, bq_u128 value);
void wide_add_wide(uint64_t *w, const uint64_t *v, size_t n);

/* The nearest number with 53 bits, halves to even, as m * 2^exponent; returns m, 0 for w = 0. */
double wide_nearest(const uint64_t *w, size_t n, int *exponent);

/* Presents w: as an integer where 64 bits hold it, signed or not, else as the nearest double. */
void wide_present(struct bq_sink *sink, const char *name, const uint64_t *w, size_t n);

/* (squares / count) - (sum / count)^2 from exact sums, in units of sum's unit squared, times
 * 2^scale. The numerator count * squares - sum^2 is exact and rounded once; two divisions by count
 * follow. count >= 1; 2 * n_sum and n_squares + 1 are at most WIDE_MAX. */
double wide_variance(const uint64_t *sum, size_t n_sum, const uint64_t *squares, size_t n_squares,
                     uint64_t count, int scale);

#endif
