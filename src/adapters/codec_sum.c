/* HDF5's fletcher32: two sums modulo 65535 over big-endian 16-bit words, little-endian at the end.
 *
 * HDF5 folds the sums as it goes. The folded sums are 0 only when all words are, else 1 to 65535,
 * so any other grouping that never folds a sum to 0 ends with the same bits. Ours takes blocks, and
 * with SSE2 has 8 lanes in a block. */
#include "adapters/codec_internal.h"

#define BLOCK 256 /* words; the largest sum of sums, 65535 * 256 * 257 / 2, fits 32 bits */

/* Of k words: their sum, and the sum of the sums after each. */
static void add_plain(const unsigned char *bytes, uint32_t k, uint32_t *sum, uint32_t *sums)
{
    uint32_t a = 0, b = 0;
    for (uint32_t i = 0; i < k; i++) {
        a += (uint32_t)bytes[2 * i] << 8 | bytes[2 * i + 1];
        b += a;
    }
    *sum = a;
    *sums = b;
}

#ifdef __SSE2__
#include <emmintrin.h>

/* Lane l takes the words l, l + 8, ...: their sum is in a, the sum of the lane's own sums in b. A
 * word in lane 0 is in 8 times as many sums of the block as of its lane, one in lane l in l fewer.
 */
static void add_block(const unsigned char *bytes, uint32_t *sum, uint32_t *sums)
{
    const __m128i zero = _mm_setzero_si128();
    __m128i a[2] = {zero, zero}, b[2] = {zero, zero};
    for (int i = 0; i < BLOCK; i += 8) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(bytes + 2 * i));
        v = _mm_or_si128(_mm_slli_epi16(v, 8), _mm_srli_epi16(v, 8)); /* swaps bytes */
        a[0] = _mm_add_epi32(a[0], _mm_unpacklo_epi16(v, zero));
        a[1] = _mm_add_epi32(a[1], _mm_unpackhi_epi16(v, zero));
        b[0] = _mm_add_epi32(b[0], a[0]);
        b[1] = _mm_add_epi32(b[1], a[1]);
    }
    uint32_t of_lane[8], sums_of_lane[8];
    memcpy(of_lane, a, sizeof a);
    memcpy(sums_of_lane, b, sizeof b);
    *sum = *sums = 0;
    for (uint32_t l = 0; l < 8; l++) {
        *sum += of_lane[l];
        *sums += 8 * sums_of_lane[l] - l * of_lane[l];
    }
}
#else
static void add_block(const unsigned char *bytes, uint32_t *sum, uint32_t *sums)
{
    add_plain(bytes, BLOCK, sum, sums);
}
#endif

static uint64_t fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

uint32_t codec_sum(const unsigned char *bytes, size_t n)
{
    uint64_t sum = 0, sums = 0;
    for (size_t words = n / 2; words > 0;) {
        uint32_t k = words < BLOCK ? (uint32_t)words : BLOCK, more, more_sums;
        if (k == BLOCK)
            add_block(bytes, &more, &more_sums);
        else
            add_plain(bytes, k, &more, &more_sums);
        sums = fold(sums + k * sum + more_sums);
        sum = fold(sum + more);
        bytes += 2 * k;
        words -= k;
    }
    if (n % 2) {
        sum = fold(sum + ((uint64_t)*bytes << 8));
        sums = fold(sums + sum);
    }
    return (uint32_t)(sums << 16 | sum);
}

int codec_sum_check(struct codec_bytes *in, struct bq_error *err)
{
    if (in->n < CODEC_SUM)
        return bq_fail(err, BQ_EXIT_FAILED, "%zu bytes are too few to end with a checksum", in->n);
    const unsigned char *end = in->at + in->n - CODEC_SUM;
    uint32_t stored =
        end[0] | (uint32_t)end[1] << 8 | (uint32_t)end[2] << 16 | (uint32_t)end[3] << 24;
    uint32_t sum = codec_sum(in->at, in->n - CODEC_SUM);
    /* HDF5 before 1.6.3 swapped the bytes of each half, and its successors still accept that. */
    uint32_t old = (sum & 0x00ff00ff) << 8 | (sum >> 8 & 0x00ff00ff);
    if (stored != sum && stored != old)
        return bq_fail(err, BQ_EXIT_FAILED, "the checksum is %08x, yet the bytes give %08x",
                       (unsigned)stored, (unsigned)sum);
    in->n -= CODEC_SUM;
    return 0;
}

void codec_sum_put(unsigned char *end, uint32_t sum)
{
    for (int i = 0; i < CODEC_SUM; i++)
        end[i] = (unsigned char)(sum >> 8 * i);
}
