/* LZ4 as the registered plug-in stores it: all bytes (8, big-endian), bytes of a block (4), then
 * per block its compressed size (4) and its stream; one that did not shrink is there as it was, and
 * told by its size. */
#include "adapters/codec_internal.h"

#include <limits.h>
#include <lz4.h>

#define HEADER 12
#define STANDARD_BLOCK (UINT32_C(1) << 30) /* the plug-in's */

int codec_lz4_unpack(struct codec_bytes in, struct codec_room *out, struct bq_error *err)
{
    if (in.n > INT_MAX || out->room > INT_MAX)
        return bq_fail(err, BQ_EXIT_FAILED, "a block of %zu bytes is too large for lz4", out->room);
    int n = LZ4_decompress_safe((const char *)in.at, (char *)out->at, (int)in.n, (int)out->room);
    if (n < 0)
        return bq_fail(err, BQ_EXIT_FAILED, "not a valid lz4 block");
    out->n = (size_t)n;
    return 0;
}

size_t codec_lz4_pack(struct codec_bytes in, unsigned char *out, size_t room)
{
    if (in.n > LZ4_MAX_INPUT_SIZE)
        return 0;
    int n = LZ4_compress_default((const char *)in.at, (char *)out, (int)in.n,
                                 room < INT_MAX ? (int)room : INT_MAX);
    return n > 0 ? (size_t)n : 0;
}

static int unpack_block(struct codec_bytes *in, struct codec_room *block, struct bq_error *err)
{
    if (in->n < 4)
        return bq_fail(err, BQ_EXIT_FAILED, "the stream ends before the size of a block");
    struct codec_bytes packed = {in->at + 4, codec_get_be32(in->at)};
    if (packed.n > in->n - 4)
        return bq_fail(err, BQ_EXIT_FAILED, "a block of %zu bytes, yet only %zu are left", packed.n,
                       in->n - 4);
    in->at += 4 + packed.n;
    in->n -= 4 + packed.n;
    if (packed.n == block->room) {
        memcpy(block->at, packed.at, packed.n);
        return 0;
    }
    if (codec_lz4_unpack(packed, block, err) < 0)
        return -1;
    if (block->n != block->room)
        return bq_fail(err, BQ_EXIT_FAILED, "a block gives %zu bytes, not %zu", block->n,
                       block->room);
    return 0;
}

int codec_lz4_undo(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes in,
                   struct codec_room *out, struct bq_error *err)
{
    (void)codec, (void)filter;
    if (in.n < HEADER)
        return bq_fail(err, BQ_EXIT_FAILED, "%zu bytes are too few for a header", in.n);
    uint64_t total = codec_get_be64(in.at);
    size_t block = codec_get_be32(in.at + 8);
    if (total > out->room)
        return bq_fail(err, BQ_EXIT_FAILED, "the header claims %llu bytes, more than %zu",
                       (unsigned long long)total, out->room);
    if (block == 0 && total > 0)
        return bq_fail(err, BQ_EXIT_FAILED, "the header claims blocks of 0 bytes");
    in.at += HEADER;
    in.n -= HEADER;
    for (size_t done = 0; done < total; done += block) {
        size_t left = (size_t)total - done;
        block = block < left ? block : left;
        struct codec_room to = {out->at + done, block, 0};
        if (unpack_block(&in, &to, err) < 0)
            return -1;
    }
    out->n = (size_t)total;
    return 0;
}

int codec_lz4_apply(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes in,
                    struct codec_room *out, struct bq_error *err)
{
    (void)codec, (void)err;
    size_t block = codec_value(filter, 0) ? codec_value(filter, 0) : STANDARD_BLOCK;
    size_t at = HEADER;
    block = block < in.n ? block : in.n;
    if (in.n == 0 || out->room < HEADER)
        return 0;
    codec_put_be64(out->at, in.n);
    codec_put_be32(out->at + 8, (uint32_t)block);
    for (size_t done = 0; done < in.n; done += block) {
        block = block < in.n - done ? block : in.n - done;
        if (out->room - at < 4)
            return 0;
        size_t room = out->room - at - 4, n;
        n = codec_lz4_pack((struct codec_bytes){in.at + done, block}, out->at + at + 4,
                           room < block ? room : block - 1);
        if (n == 0 && room < block)
            return 0;
        if (n == 0) {
            memcpy(out->at + at + 4, in.at + done, block);
            n = block;
        }
        codec_put_be32(out->at + at, (uint32_t)n);
        at += 4 + n;
    }
    out->n = at;
    return 0;
}
