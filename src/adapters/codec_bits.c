/* Bitshuffle: all lowest bits of the elements side by side, then the next, and so on, block by
 * block of some KiB, each block perhaps compressed by itself. As in the plug-in, the last block has
 * a multiple of 8 elements, and those that are left (at most 7) are copied.
 *
 *     with an inner codec:  chunk bytes (8, big-endian), block bytes (4), then per block its
 *                           compressed size (4) and its stream, then the elements left
 *     without:              blocks, then the elements left
 *
 * Values: version (2), bytes of an element, elements in a block (0: the plug-in's choice), inner
 * codec, its level. */
#include "adapters/codec_internal.h"

#include <endian.h>

#define STEP 8 /* elements: a byte holds one bit of each */

enum { INNER_NONE = 0, INNER_LZ4 = 2, INNER_ZSTD = 3 };

size_t codec_bits_block(const struct bq_filter *filter)
{
    size_t element = filter->values[2], block = codec_value(filter, 3);
    if (block)
        return block;
    block = 8192 / element / STEP * STEP;
    return block > 128 ? block : 128;
}

/* -- one block ---------------------------------------------------------------------------- */

/* x is 8 rows of 8 bits, the lowest bit first; turns rows into columns by swapping ever larger
 * squares across the diagonal (Warren, Hacker's Delight, 7-3). */
#define SWAP(x, shift, mask)                                                                       \
    do {                                                                                           \
        t = ((x) ^ (x) >> (shift)) & UINT64_C(mask);                                               \
        (x) ^= t ^ t << (shift);                                                                   \
    } while (0)

#define TRANSPOSE(x)                                                                               \
    do {                                                                                           \
        SWAP(x, 7, 0x00aa00aa00aa00aa);                                                            \
        SWAP(x, 14, 0x0000cccc0000cccc);                                                           \
        SWAP(x, 28, 0x00000000f0f0f0f0);                                                           \
    } while (0)

#ifdef __SSE2__
/* The compiler makes one instruction of an operation on all; it does not find that out alone. */
typedef uint64_t words __attribute__((vector_size(16), aligned(1), may_alias));

static size_t transpose_most(unsigned char *bytes, size_t n)
{
    size_t i = 0;
    for (; i + sizeof(words) <= n; i += sizeof(words)) {
        words *at = (words *)(void *)(bytes + i), x = *at, t;
        TRANSPOSE(x);
        *at = x;
    }
    return i;
}
#else
static size_t transpose_most(unsigned char *bytes, size_t n)
{
    (void)bytes, (void)n;
    return 0;
}
#endif

static void transpose_bits(unsigned char *bytes, size_t n)
{
    for (size_t i = transpose_most(bytes, n); i < n; i += 8) {
        uint64_t x, t;
        memcpy(&x, bytes + i, 8);
        x = le64toh(x);
        TRANSPOSE(x);
        x = htole64(x);
        memcpy(bytes + i, &x, 8);
    }
}

/* Bytes of equal significance side by side; in each such plane, 8 bytes become 8 bits each of 8
 * rows; then the bytes of each row side by side. */
static void to_bits(size_t element, const unsigned char *in, unsigned char *work,
                    unsigned char *out, size_t count)
{
    codec_shuffle(element, in, work, count * element);
    transpose_bits(work, count * element);
    for (size_t k = 0; k < element; k++)
        codec_shuffle(8, work + k * count, out + k * count, count);
}

static void from_bits(size_t element, const unsigned char *in, unsigned char *work,
                      unsigned char *out, size_t count)
{
    for (size_t k = 0; k < element; k++)
        codec_unshuffle(8, in + k * count, work + k * count, count);
    transpose_bits(work, count * element);
    codec_unshuffle(element, work, out, count * element);
}

/* -- undo --------------------------------------------------------------------------------- */

static int unpack(struct bq_codec *codec, uint32_t inner, struct codec_bytes *in,
                  struct codec_room *block, struct bq_error *err)
{
    if (in->n < 4)
        return bq_fail(err, BQ_EXIT_FAILED, "the stream ends before the size of a block");
    struct codec_bytes packed = {in->at + 4, codec_get_be32(in->at)};
    if (packed.n > in->n - 4)
        return bq_fail(err, BQ_EXIT_FAILED, "a block of %zu bytes, yet only %zu are left", packed.n,
                       in->n - 4);
    in->at += 4 + packed.n;
    in->n -= 4 + packed.n;
    int rc = inner == INNER_LZ4 ? codec_lz4_unpack(packed, block, err)
                                : codec_zstd_unpack(codec, packed, block, err);
    if (rc == 0 && block->n != block->room)
        return bq_fail(err, BQ_EXIT_FAILED, "a block gives %zu bytes, not %zu", block->n,
                       block->room);
    return rc;
}

/* Reads what stands before the blocks: sets how many bytes they give, and elements in a block. */
static int begin_undo(const struct bq_filter *filter, struct codec_bytes *in, size_t room,
                      size_t *total, size_t *block, struct bq_error *err)
{
    size_t element = filter->values[2];
    uint64_t claim = in->n;
    *block = codec_bits_block(filter);
    if (codec_value(filter, 4) != INNER_NONE) {
        if (in->n < CODEC_BITS_HEADER)
            return bq_fail(err, BQ_EXIT_FAILED, "%zu bytes are too few for a header", in->n);
        claim = codec_get_be64(in->at);
        *block = codec_get_be32(in->at + 8) / element;
        in->at += CODEC_BITS_HEADER;
        in->n -= CODEC_BITS_HEADER;
    }
    if (claim > room || claim % element)
        return bq_fail(err, BQ_EXIT_FAILED,
                       "%llu bytes, which is more than %zu or not a number of whole elements",
                       (unsigned long long)claim, room);
    if (*block == 0 || *block % STEP)
        return bq_fail(err, BQ_EXIT_FAILED, "blocks of %zu elements, not a multiple of %d", *block,
                       STEP);
    *total = (size_t)claim;
    return 0;
}

int codec_bits_undo(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes in,
                    struct codec_room *out, struct bq_error *err)
{
    size_t element = filter->values[2], total = 0, block = 0;
    uint32_t inner = codec_value(filter, 4);
    if (begin_undo(filter, &in, out->room, &total, &block, err) < 0)
        return -1;
    size_t left = total / element / STEP * STEP; /* elements in blocks */
    block = block < left ? block : left;
    unsigned char *work = codec_scratch(&codec->block, 2 * block * element, err);
    if (!work)
        return -1;
    unsigned char *to = out->at;
    for (; left > 0; left -= block) {
        block = block < left ? block : left;
        size_t n = block * element;
        struct codec_room bits = {work + n, n, 0};
        if (inner == INNER_NONE) {
            from_bits(element, in.at, work, to, block);
            in.at += n;
            in.n -= n;
        } else {
            if (unpack(codec, inner, &in, &bits, err) < 0)
                return -1;
            from_bits(element, bits.at, work, to, block);
        }
        to += n;
    }
    size_t rest = total / element % STEP * element;
    if (rest > in.n)
        return bq_fail(err, BQ_EXIT_FAILED, "the last %zu bytes are not there", rest);
    if (rest)
        memcpy(to, in.at, rest);
    out->n = total;
    return 0;
}

/* -- apply -------------------------------------------------------------------------------- */

/* Adds a block to out; false when it does not fit or, with err set, for another reason. */
static int pack(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes bits,
                struct codec_room *out, bool *fits, struct bq_error *err)
{
    size_t left = out->room - out->n;
    *fits = false;
    if (left < 4)
        return 0;
    struct codec_room packed = {out->at + out->n + 4, left - 4, 0};
    if (codec_value(filter, 4) == INNER_LZ4)
        packed.n = codec_lz4_pack(bits, packed.at, packed.room);
    else if (codec_zstd_pack(codec, codec_value(filter, 5), bits, &packed, err) < 0)
        return -1;
    if (packed.n == 0)
        return 0;
    codec_put_be32(out->at + out->n, (uint32_t)packed.n);
    out->n += 4 + packed.n;
    *fits = true;
    return 0;
}

int codec_bits_apply(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes in,
                     struct codec_room *out, struct bq_error *err)
{
    size_t element = filter->values[2], block = codec_bits_block(filter);
    uint32_t inner = codec_value(filter, 4);
    size_t count = in.n / element, rest = count % STEP * element, n = 0;
    bool fits =
        in.n % element == 0 && out->room >= (inner == INNER_NONE ? in.n : CODEC_BITS_HEADER + rest);
    if (!fits)
        return 0;
    if (inner != INNER_NONE) {
        codec_put_be64(out->at, in.n);
        codec_put_be32(out->at + 8, (uint32_t)(block * element));
        out->n = CODEC_BITS_HEADER;
    }
    size_t most = block < count ? block : count;
    unsigned char *work = codec_scratch(&codec->block, 2 * most * element, err);
    if (!work)
        return -1;
    for (size_t left = count - count % STEP; left > 0 && fits; left -= block) {
        block = block < left ? block : left;
        n = block * element;
        if (inner == INNER_NONE) {
            to_bits(element, in.at, work, out->at + out->n, block);
            out->n += n;
        } else {
            to_bits(element, in.at, work, work + n, block);
            if (pack(codec, filter, (struct codec_bytes){work + n, n}, out, &fits, err) < 0)
                return -1;
        }
        in.at += n;
    }
    if (!fits || rest > out->room - out->n) {
        out->n = 0;
        return 0;
    }
    if (rest)
        memcpy(out->at + out->n, in.at, rest);
    out->n += rest;
    return 0;
}
