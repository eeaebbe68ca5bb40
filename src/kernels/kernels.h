/* The built-in kernels, in the order in which `banquet kernels` lists them. */
#ifndef BQ_KERNELS_KERNELS_H
#define BQ_KERNELS_KERNELS_H

#include "banquet/kernel.h"

extern const struct bq_kernel *const bq_kernels[];
extern const size_t bq_n_kernels;

#endif
