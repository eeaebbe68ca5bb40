/* Exponential and logarithm that are the same on every machine, which those of C libraries are
 * not. Double, no fused multiply-add, no branch: loops around them can be vectors.
 *
 * The methods are those of fdlibm (K. C. Ng, Sun Microsystems, 1993: e_exp.c, e_log.c), whose
 * polynomials these are: x = k ln 2 + r, and exp(r) by a rational function of r^2; x = 2^k (1 + f),
 * and log(1 + f) by a series in s = f / (2 + f). Both are within 1 unit in the last place, which
 * tests/test_kernels_points.c measures.
 */
#ifndef BQ_KERNELS_ELEMENTARY_H
#define BQ_KERNELS_ELEMENTARY_H

#include <float.h>
#include <stdint.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0, "double must be computed in its own width");

static inline uint64_t elementary_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double elementary_double(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* e^x for x <= 0. What would be below e^-708 (3e-308) is 0, and so is that of a NaN. */
static inline double elementary_exp(double x)
{
    const double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
    const double kept = x > -708 ? x : -708;
    const double shifted = kept * 1.44269504088896338700e+00 + 0x1.8p52; /* k in the low bits */
    const double k = shifted - 0x1.8p52;
    const double high = kept - k * ln2_high, low = k * ln2_low;
    const double r = high - low, t = r * r;
    const double c =
        r - t * (1.66666666666666019037e-01 +
                 t * (-2.77777777770155933842e-03 +
                      t * (6.61375632143793436117e-05 +
                           t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08))));
    const double y = 1 - ((low - (r * c) / (2 - c)) - high);
    const double power = elementary_double((elementary_bits(shifted) + 1023) << 52);
    return x > -708 ? y * power : 0;
}

/* The natural logarithm of an x > 0 that is finite and not subnormal. */
static inline double elementary_log(double x)
{
    const double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
    const uint64_t half_root =
        UINT64_C(0x3fe6a09e667f3bcd); /* of 1/2: 1 + f is in [that, 2 that) */
    const uint64_t bits = elementary_bits(x) + (UINT64_C(0x3ff0000000000000) - half_root);
    const double k = elementary_double((bits >> 52) + UINT64_C(0x4330000000000000)) - 0x1p52 - 1023;
    const double f = elementary_double((bits & UINT64_C(0xfffffffffffff)) + half_root) - 1;
    const double s = f / (2 + f), z = s * s, w = z * z, half = 0.5 * f * f;
    const double odd = z * (6.666666666666735130e-01 +
                            w * (2.857142874366239149e-01 +
                                 w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    const double even = w * (3.999999999940941908e-01 +
                             w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    return k * ln2_high - ((half - (s * (half + (odd + even)) + k * ln2_low)) - f);
}

#endif
