/* stats of floats, fast: blocks of 2048 elements, each in two passes of 8 lanes while it is in the
 * first-level cache. Element i of a block belongs to lane i mod 8, and lanes are added in a fixed
 * order: compilers may use vectors of any width and get the same bits. */
#include "stats.h"

#include <float.h>
#include <math.h>

_Static_assert(FLT_EVAL_METHOD == 0, "double must be computed in its own width");

enum { LANES = 8, BLOCK = 2048 };

void stats_join(struct moments *into, uint64_t n_into, const struct moments *next, uint64_t n_next)
{
    double a = (double)n_into, b = (double)n_next, d = next->mean - into->mean;
    if (n_next == 0)
        return;
    if (n_into == 0) {
        *into = *next;
        return;
    }
    into->sum += next->sum;
    into->mean += d * (b / (a + b));
    into->m2 += next->m2 + d * d * (a / (a + b) * b);
}

static double lanes_sum(double lane[LANES])
{
    for (unsigned width = LANES / 2; width; width /= 2) {
        for (unsigned k = 0; k < width; k++)
            lane[k] += lane[k + width];
    }
    return lane[0];
}

/* The corrected two-pass algorithm: without rounding, `rest` would be 0. The second pass is where
 * the block has its mean, so nothing cancels. */
#define MOMENTS(ctype)                                                                             \
    static double sum_##ctype(const ctype *x, size_t n, double *min, double *max)                  \
    {                                                                                              \
        double sum[LANES] = {0};                                                                   \
        ctype lo[LANES], hi[LANES];                                                                \
        size_t whole = n - n % LANES;                                                              \
        for (unsigned k = 0; k < LANES; k++)                                                       \
            lo[k] = hi[k] = x[0];                                                                  \
        for (size_t i = 0; i < whole; i += LANES) {                                                \
            for (unsigned k = 0; k < LANES; k++) {                                                 \
                sum[k] += (double)x[i + k];                                                        \
                lo[k] = x[i + k] < lo[k] ? x[i + k] : lo[k];                                       \
                hi[k] = x[i + k] > hi[k] ? x[i + k] : hi[k];                                       \
            }                                                                                      \
        }                                                                                          \
        for (size_t k = 0; k < n - whole; k++) {                                                   \
            sum[k] += (double)x[whole + k];                                                        \
            lo[k] = x[whole + k] < lo[k] ? x[whole + k] : lo[k];                                   \
            hi[k] = x[whole + k] > hi[k] ? x[whole + k] : hi[k];                                   \
        }                                                                                          \
        for (unsigned k = 1; k < LANES; k++) {                                                     \
            lo[0] = lo[k] < lo[0] ? lo[k] : lo[0];                                                 \
            hi[0] = hi[k] > hi[0] ? hi[k] : hi[0];                                                 \
        }                                                                                          \
        *min = (double)lo[0];                                                                      \
        *max = (double)hi[0];                                                                      \
        return lanes_sum(sum);                                                                     \
    }                                                                                              \
                                                                                                   \
    static struct moments moments_##ctype(const ctype *x, size_t n, double sum)                    \
    {                                                                                              \
        double rest[LANES] = {0}, m2[LANES] = {0};                                                 \
        const double mean = sum / (double)n;                                                       \
        size_t whole = n - n % LANES;                                                              \
        for (size_t i = 0; i < whole; i += LANES) {                                                \
            for (unsigned k = 0; k < LANES; k++) {                                                 \
                double d = (double)x[i + k] - mean;                                                \
                rest[k] += d;                                                                      \
                m2[k] += d * d;                                                                    \
            }                                                                                      \
        }                                                                                          \
        for (size_t k = 0; k < n - whole; k++) {                                                   \
            double d = (double)x[whole + k] - mean;                                                \
            rest[k] += d;                                                                          \
            m2[k] += d * d;                                                                        \
        }                                                                                          \
        double r = lanes_sum(rest), squares = lanes_sum(m2) - r * r / (double)n;                   \
        return (struct moments){sum, mean + r / (double)n, squares < 0 ? 0 : squares};             \
    }                                                                                              \
                                                                                                   \
    /* A block whose sum is finite has finite elements only. Of another one, those that are not    \
     * finite are counted and taken out. */                                                        \
    static void block_##ctype(struct stats *s, const ctype *x, size_t n)                           \
    {                                                                                              \
        ctype kept[BLOCK];                                                                         \
        double min, max, sum = sum_##ctype(x, n, &min, &max);                                      \
        if (!isfinite(sum)) {                                                                      \
            size_t n_kept = 0;                                                                     \
            for (size_t i = 0; i < n; i++) {                                                       \
                bool is_odd = !isfinite(x[i]);                                                     \
                if (is_odd)                                                                        \
                    stats_odd(s, (double)x[i]);                                                    \
                kept[n_kept] = x[i];                                                               \
                n_kept += !is_odd;                                                                 \
            }                                                                                      \
            if (n_kept == 0)                                                                       \
                return;                                                                            \
            x = kept;                                                                              \
            n = n_kept;                                                                            \
            sum = sum_##ctype(x, n, &min, &max);                                                   \
        }                                                                                          \
        struct moments m = moments_##ctype(x, n, sum);                                             \
        stats_range(s, min, max);                                                                  \
        stats_join(stats_moments(s), s->count, &m, n);                                             \
        s->count += n;                                                                             \
    }

MOMENTS(float)
MOMENTS(double)

void stats_fast(struct stats *s, enum bq_type type, const void *x, size_t n)
{
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t size = n - i < BLOCK ? n - i : BLOCK;
        if (type == BQ_F32)
            block_float(s, (const float *)x + i, size);
        else
            block_double(s, (const double *)x + i, size);
    }
}
