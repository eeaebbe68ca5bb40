/* stats of integers: exact sums of x and of x * x, 65536 elements at a time.
 *
 * x = h 2^32 + l, and |x| likewise, so every product fits 64 bits; it is summed in two halves, so
 * 65536 of them fit too. Types of up to 32 bits have no h in |x|, and the compiler drops its sums.
 */
#include "stats.h"
#include "wide.h"

#define HALF ((uint64_t)UINT32_MAX)
#define UNSIGNED_SIZE(v) ((uint64_t)(v))
#define SIGNED_SIZE(v) ((v) < 0 ? 0 - (uint64_t)(v) : (uint64_t)(v))

struct sums {
    int64_t h;
    uint64_t l;
    uint64_t hh_h, hh_l, hl_h, hl_l, ll_h, ll_l; /* of products, in halves */
};

static bq_u128 both(uint64_t high, uint64_t low)
{
    return ((bq_u128)high << 32) + low;
}

static void flush(struct stats *s, const struct sums *sums)
{
    uint64_t *sum = s->words, *squares = s->words + STATS_SUM;
    if (sums->h < 0)
        wide_subtract(sum, STATS_SUM, 32, (uint64_t)-sums->h);
    else
        wide_add(sum, STATS_SUM, 32, (uint64_t)sums->h);
    wide_add(sum, STATS_SUM, 0, sums->l);
    wide_add(squares, STATS_SQUARES, 64, both(sums->hh_h, sums->hh_l));
    wide_add(squares, STATS_SQUARES, 33, both(sums->hl_h, sums->hl_l)); /* h l comes twice */
    wide_add(squares, STATS_SQUARES, 0, both(sums->ll_h, sums->ll_l));
}

#define ADD(ctype, wide, size_of_v, member)                                                        \
    static void add_##ctype(struct stats *s, const ctype *x, size_t n)                             \
    {                                                                                              \
        ctype min = x[0], max = x[0];                                                              \
        for (size_t done = 0; done < n;) {                                                         \
            size_t end = n - done < 65536 ? n : done + 65536;                                      \
            struct sums sums = {0};                                                                \
            for (; done < end; done++) {                                                           \
                const wide v = x[done];                                                            \
                const uint64_t a = size_of_v(v), l = a & HALF;                                     \
                const uint64_t h = sizeof(ctype) == 8 ? a >> 32 : 0;                               \
                min = x[done] < min ? x[done] : min;                                               \
                max = x[done] > max ? x[done] : max;                                               \
                sums.h += (int64_t)(v >> 32); /* rounds down, so that l is never negative */       \
                sums.l += (uint64_t)v & HALF;                                                      \
                sums.hh_h += (h * h) >> 32;                                                        \
                sums.hh_l += (h * h) & HALF;                                                       \
                sums.hl_h += (h * l) >> 32;                                                        \
                sums.hl_l += (h * l) & HALF;                                                       \
                sums.ll_h += (l * l) >> 32;                                                        \
                sums.ll_l += (l * l) & HALF;                                                       \
            }                                                                                      \
            flush(s, &sums);                                                                       \
        }                                                                                          \
        s->min.member = min;                                                                       \
        s->max.member = max;                                                                       \
    }

ADD(uint8_t, uint64_t, UNSIGNED_SIZE, u)
ADD(uint16_t, uint64_t, UNSIGNED_SIZE, u)
ADD(uint32_t, uint64_t, UNSIGNED_SIZE, u)
ADD(uint64_t, uint64_t, UNSIGNED_SIZE, u)
ADD(int8_t, int64_t, SIGNED_SIZE, i)
ADD(int16_t, int64_t, SIGNED_SIZE, i)
ADD(int32_t, int64_t, SIGNED_SIZE, i)
ADD(int64_t, int64_t, SIGNED_SIZE, i)

void stats_integers(struct stats *s, enum bq_type type, const void *x, size_t n)
{
    s->count = n;
    if (n == 0)
        return;
    switch (type) {
#define CASE(code, ctype)                                                                          \
    case code:                                                                                     \
        add_##ctype(s, x, n);                                                                      \
        break;
        CASE(BQ_U8, uint8_t)
        CASE(BQ_I8, int8_t)
        CASE(BQ_U16, uint16_t)
        CASE(BQ_I16, int16_t)
        CASE(BQ_U32, uint32_t)
        CASE(BQ_I32, int32_t)
        CASE(BQ_U64, uint64_t)
        CASE(BQ_I64, int64_t)
    case BQ_F32:
    case BQ_F64:
    case BQ_N_TYPES:
        break;
    }
}
