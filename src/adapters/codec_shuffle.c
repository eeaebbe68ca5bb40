/* Shuffle: the first bytes of all elements, then their second bytes, and so on; what does not fill
 * an element stays at the end.
 *
 * With SSE2, 16 elements of E = 2^e bytes are E registers. Call e + 4 bits the place of a byte in
 * them: which register, then where in it. Interleaving the bytes of register i with those of
 * register i + E/2 moves each byte from place p to p rotated left by one bit. Plane k, element i is
 * the place (k, i) in the planes and (i, k) in the elements: e rotations lead from the planes to
 * the elements, 4 more and the circle is closed, so 4 lead from the elements to the planes. */
#include "adapters/codec_internal.h"

#ifdef __SSE2__
#include <emmintrin.h>

#define LANES 16 /* elements at a time */
#define MOST 16  /* registers: the largest element, bytes */

static inline __attribute__((always_inline)) void rotate(__m128i *v, int element, int times)
{
    for (int t = 0; t < times; t++) {
        __m128i next[MOST];
        for (int i = 0; i < element / 2; i++) {
            next[2 * i] = _mm_unpacklo_epi8(v[i], v[i + element / 2]);
            next[2 * i + 1] = _mm_unpackhi_epi8(v[i], v[i + element / 2]);
        }
        for (int i = 0; i < element; i++)
            v[i] = next[i];
    }
}

static inline __m128i load(const unsigned char *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static inline void store(unsigned char *p, __m128i v)
{
    _mm_storeu_si128((__m128i *)(void *)p, v);
}

/* Both return how many of the n elements are done. */
static inline __attribute__((always_inline)) size_t to_planes(int element, const unsigned char *in,
                                                              unsigned char *out, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        __m128i v[MOST];
        for (int k = 0; k < element; k++)
            v[k] = load(in + i * (size_t)element + LANES * (size_t)k);
        rotate(v, element, 4);
        for (int k = 0; k < element; k++)
            store(out + (size_t)k * n + i, v[k]);
    }
    return i;
}

static inline __attribute__((always_inline)) size_t
from_planes(int element, int log, const unsigned char *in, unsigned char *out, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        __m128i v[MOST];
        for (int k = 0; k < element; k++)
            v[k] = load(in + (size_t)k * n + i);
        rotate(v, element, log);
        for (int k = 0; k < element; k++)
            store(out + i * (size_t)element + LANES * (size_t)k, v[k]);
    }
    return i;
}

static size_t shuffle_most(size_t element, const unsigned char *in, unsigned char *out, size_t n)
{
    switch (element) { /* constants, so that the compiler unrolls */
    case 2:
        return to_planes(2, in, out, n);
    case 4:
        return to_planes(4, in, out, n);
    case 8:
        return to_planes(8, in, out, n);
    case 16:
        return to_planes(16, in, out, n);
    default:
        return 0;
    }
}

static size_t unshuffle_most(size_t element, const unsigned char *in, unsigned char *out, size_t n)
{
    switch (element) {
    case 2:
        return from_planes(2, 1, in, out, n);
    case 4:
        return from_planes(4, 2, in, out, n);
    case 8:
        return from_planes(8, 3, in, out, n);
    case 16:
        return from_planes(16, 4, in, out, n);
    default:
        return 0;
    }
}

#else

static size_t shuffle_most(size_t element, const unsigned char *in, unsigned char *out, size_t n)
{
    (void)element, (void)in, (void)out, (void)n;
    return 0;
}

static size_t unshuffle_most(size_t element, const unsigned char *in, unsigned char *out, size_t n)
{
    (void)element, (void)in, (void)out, (void)n;
    return 0;
}

#endif

/* Element by element, for any size: in tiles, so that what is far apart in one array stays in the
 * first cache until its neighbours are there too. */
#define TILE 64

void codec_shuffle(size_t element, const unsigned char *in, unsigned char *out, size_t n)
{
    size_t count = n / element;
    for (size_t tile = shuffle_most(element, in, out, count); tile < count; tile += TILE) {
        size_t end = count - tile < TILE ? count : tile + TILE;
        for (size_t k = 0; k < element; k++) {
            for (size_t i = tile; i < end; i++)
                out[k * count + i] = in[i * element + k];
        }
    }
    if (n % element)
        memcpy(out + count * element, in + count * element, n % element);
}

void codec_unshuffle(size_t element, const unsigned char *in, unsigned char *out, size_t n)
{
    size_t count = n / element;
    for (size_t tile = unshuffle_most(element, in, out, count); tile < count; tile += TILE) {
        size_t end = count - tile < TILE ? count : tile + TILE;
        for (size_t k = 0; k < element; k++) {
            for (size_t i = tile; i < end; i++)
                out[i * element + k] = in[k * count + i];
        }
    }
    if (n % element)
        memcpy(out + count * element, in + count * element, n % element);
}

/* -- the filter --------------------------------------------------------------------------- */

int codec_shuffle_undo(struct bq_codec *codec, const struct bq_filter *filter,
                       struct codec_bytes in, struct codec_room *out, struct bq_error *err)
{
    (void)codec;
    if (in.n > out->room)
        return bq_fail(err, BQ_EXIT_FAILED, "%zu bytes, more than %zu", in.n, out->room);
    codec_unshuffle(filter->values[0], in.at, out->at, in.n);
    out->n = in.n;
    return 0;
}

int codec_shuffle_apply(struct bq_codec *codec, const struct bq_filter *filter,
                        struct codec_bytes in, struct codec_room *out, struct bq_error *err)
{
    (void)codec, (void)err;
    if (in.n <= out->room) {
        codec_shuffle(filter->values[0], in.at, out->at, in.n);
        out->n = in.n;
    }
    return 0;
}
