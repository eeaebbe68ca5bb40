/* Exact sums: schoolbook arithmetic on words. */
#include "wide.h"

#include <math.h>
#include <string.h>

/* The words that value << shift touches: three, from word shift / 64 on. */
static void spread(bq_u128 value, unsigned shift, uint64_t part[3])
{
    unsigned s = shift % 64;
    bq_u128 low = value << s;
    part[0] = (uint64_t)low;
    part[1] = (uint64_t)(low >> 64);
    part[2] = s ? (uint64_t)(value >> (128 - s)) : 0;
}

void wide_add(uint64_t *w, size_t n, unsigned shift, bq_u128 value)
{
    uint64_t part[3];
    spread(value, shift, part);
    uint64_t carry = 0;
    for (size_t i = shift / 64, k = 0; i < n && (k < 3 || carry); i++, k++) {
        bq_u128 t = (bq_u128)w[i] + (k < 3 ? part[k] : 0) + carry;
        w[i] = (uint64_t)t;
        carry = (uint64_t)(t >> 64);
    }
}

void wide_subtract(uint64_t *w, size_t n, unsigned shift, bq_u128 value)
{
    uint64_t part[3];
    spread(value, shift, part);
    uint64_t borrow = 0;
    for (size_t i = shift / 64, k = 0; i < n && (k < 3 || borrow); i++, k++) {
        bq_u128 t = (bq_u128)w[i] - (k < 3 ? part[k] : 0) - borrow;
        w[i] = (uint64_t)t;
        borrow = (uint64_t)(t >> 64) & 1;
    }
}

void wide_add_wide(uint64_t *w, const uint64_t *v, size_t n)
{
    uint64_t carry = 0;
    for (size_t i = 0; i < n; i++) {
        bq_u128 t = (bq_u128)w[i] + v[i] + carry;
        w[i] = (uint64_t)t;
        carry = (uint64_t)(t >> 64);
    }
}

/* m := |w|; returns whether w is negative. */
static bool magnitude(uint64_t *m, const uint64_t *w, size_t n)
{
    bool is_negative = n && w[n - 1] >> 63;
    uint64_t flip = is_negative ? UINT64_MAX : 0, carry = is_negative;
    for (size_t i = 0; i < n; i++) {
        m[i] = (w[i] ^ flip) + carry;
        carry = carry && m[i] == 0;
    }
    return is_negative;
}

double wide_nearest(const uint64_t *w, size_t n, int *exponent)
{
    uint64_t m[WIDE_MAX];
    bool is_negative = magnitude(m, w, n);
    size_t top = n;
    while (top && m[top - 1] == 0)
        top--;
    *exponent = 0;
    if (top == 0)
        return 0;

    /* The leading 64 bits; if anything is left below them, the last one says so. The conversion to
     * double then rounds as if it saw all bits. */
    int s = __builtin_clzll(m[top - 1]);
    uint64_t lead = m[top - 1] << s, below = 0;
    if (top > 1) {
        lead |= s ? m[top - 2] >> (64 - s) : 0;
        below = m[top - 2] << s;
    }
    for (size_t i = 0; i + 2 < top; i++)
        below |= m[i];
    lead |= below != 0;
    *exponent = (int)(64 * (top - 1)) - s;
    return is_negative ? -(double)lead : (double)lead;
}

void wide_present(struct bq_sink *sink, const char *name, const uint64_t *w, size_t n)
{
    const bool is_negative = w[n - 1] >> 63;
    bool is_short = !is_negative || w[0] >> 63; /* all words but the first are copies of the sign */
    for (size_t i = 1; i < n; i++)
        is_short = is_short && w[i] == (is_negative ? UINT64_MAX : 0);
    int exponent;
    double m = wide_nearest(w, n, &exponent);
    if (!is_short)
        sink->real(sink, name, ldexp(m, exponent));
    else if (is_negative)
        sink->negative(sink, name, -(int64_t)~w[0] - 1);
    else
        sink->integer(sink, name, w[0]);
}

double wide_variance(const uint64_t *sum, size_t n_sum, const uint64_t *squares, size_t n_squares,
                     uint64_t count, int scale)
{
    uint64_t s[WIDE_MAX], numerator[WIDE_MAX] = {0};
    size_t n = 2 * n_sum > n_squares + 1 ? 2 * n_sum : n_squares + 1;

    bq_u128 carry = 0;
    for (size_t i = 0; i < n_squares; i++) {
        carry += (bq_u128)squares[i] * count;
        numerator[i] = (uint64_t)carry;
        carry >>= 64;
    }
    numerator[n_squares] = (uint64_t)carry;

    magnitude(s, sum, n_sum);
    for (size_t i = 0; i < n_sum; i++) {
        for (size_t k = 0; k < n_sum && s[i]; k++)
            wide_subtract(numerator, n, (unsigned)(64 * (i + k)), (bq_u128)s[i] * s[k]);
    }

    int exponent;
    double m = wide_nearest(numerator, n, &exponent);
    return ldexp(m / (double)count / (double)count, exponent + scale);
}
