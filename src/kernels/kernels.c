/* The table of built-in kernels. A new kernel is one file here, which defines
 * `const struct bq_kernel bq_kernel_NAME`, and one line below. */
#include "kernels.h"

#define KERNELS(X)                                                                                 \
    X(brighten)                                                                                    \
    X(copy)                                                                                        \
    X(gamma)                                                                                       \
    X(equalize)                                                                                    \
    X(zscore)                                                                                      \
    X(blur)                                                                                        \
    X(sobel)                                                                                       \
    X(median)                                                                                      \
    X(convolve)                                                                                    \
    X(heat)                                                                                        \
    X(stencil3d)                                                                                   \
    X(life)                                                                                        \
    X(stats)                                                                                       \
    X(sum)                                                                                         \
    X(histogram)                                                                                   \
    X(kmeans_start)                                                                                \
    X(kmeans)                                                                                      \
    X(logistic)                                                                                    \
    X(primes)                                                                                      \
    X(mandelbrot)                                                                                  \
    X(render)                                                                                      \
    X(photo)                                                                                       \
    X(clusters)                                                                                    \
    X(cells)                                                                                       \
    X(field)                                                                                       \
    X(fetch)                                                                                       \
    X(spin)                                                                                        \
    X(oven)

#define DECLARE(name) extern const struct bq_kernel bq_kernel_##name;
KERNELS(DECLARE)

#define ADDRESS(name) &bq_kernel_##name,
const struct bq_kernel *const bq_kernels[] = {KERNELS(ADDRESS)};
const size_t bq_n_kernels = sizeof bq_kernels / sizeof *bq_kernels;
