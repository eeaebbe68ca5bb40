/* Inner loops compiled twice, for any processor and for one with AVX2; which one runs is decided
 * when the program starts. Both give the same bits: neither has a fused multiply-add, no loop here
 * leaves the order of its additions to the compiler, and a vector rounds like a scalar.
 *
 * It needs a C library with indirect functions; sanitizers do not survive those, as the choice is
 * made before they are set up. Of clang, versions are about that give the clones of a static
 * function names that other files see, where they collide; it compiles the plain loop.
 */
#ifndef BQ_KERNELS_CLONES_H
#define BQ_KERNELS_CLONES_H

#include <stdint.h> /* __GLIBC__ */

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) &&       \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CLONES __attribute__((target_clones("avx2", "default")))
#else
#define CLONES
#endif

/* Four doubles that are computed at once, at any address: two registers of the plainest processor,
 * one of AVX2. For sums over a window that shall stay in registers: compilers unroll short loops
 * over lanes instead. */
typedef double lanes4 __attribute__((vector_size(32), aligned(8), may_alias));
typedef int64_t whole4 __attribute__((vector_size(32), aligned(8), may_alias)); /* and masks */

#endif
