/* The kernels that may be named: the built-in ones and those of a program that links banquet. */
#ifndef BQ_RUN_REGISTRY_H
#define BQ_RUN_REGISTRY_H

#include <stddef.h>

#include "banquet/kernel.h"

struct bq_registry {
    const struct bq_kernel *const *kernels;
    size_t n_kernels;
};

/* NULL when the name is none. */
const struct bq_kernel *bq_registry_find(const struct bq_registry *registry, const char *name);

#endif
