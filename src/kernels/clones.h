/* Inner loops compiled twice, for any processor and for one with AVX2; which one runs is decided
 * when the program starts. Both give the same bits: neither has a fused multiply-add, no loop here
 * leaves the order of its additions to the compiler, and a vector rounds like a scalar.
 *
 * It needs a C library with indirect functions; sanitizers do not survive those, as the choice is
 * made before they are set up.
 */
#ifndef BQ_KERNELS_CLONES_H
#define BQ_KERNELS_CLONES_H

#include <stdint.h> /* __GLIBC__ */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CLONES_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CLONES_SANITIZED
#endif

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(CLONES_SANITIZED)
#if __has_attribute(target_clones)
#define CLONES __attribute__((target_clones("avx2", "default")))
#endif
#endif
#ifndef CLONES
#define CLONES
#endif

#endif
