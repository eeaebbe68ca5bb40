/* Zstandard: a bare frame, alone. */
#include "adapters/codec_internal.h"

#include <endian.h>
#include <zstd_errors.h>

#define STANDARD_LEVEL 3

int codec_zstd_unpack(struct bq_codec *codec, struct codec_bytes in, struct codec_room *out,
                      struct bq_error *err)
{
    /* The library would also take older formats, by way of code that is hardly tested today and
     * allocates, and several frames. The plug-in writes one. */
    uint32_t magic = 0;
    if (in.n >= sizeof magic)
        memcpy(&magic, in.at, sizeof magic);
    if (le32toh(magic) != ZSTD_MAGICNUMBER)
        return bq_fail(err, BQ_EXIT_FAILED, "not a zstd frame");
    size_t n = ZSTD_findFrameCompressedSize(in.at, in.n);
    if (!ZSTD_isError(n) && n != in.n)
        return bq_fail(err, BQ_EXIT_FAILED, "the frame ends after %zu of %zu bytes", n, in.n);
    if (!codec->unzstd && !(codec->unzstd = ZSTD_createDCtx()))
        return codec_no_memory(err);
    if (!ZSTD_isError(n))
        n = ZSTD_decompressDCtx(codec->unzstd, out->at, out->room, in.at, in.n);
    if (ZSTD_isError(n) && ZSTD_getErrorCode(n) == ZSTD_error_dstSize_tooSmall)
        return bq_fail(err, BQ_EXIT_FAILED, "gives more than %zu bytes", out->room);
    if (ZSTD_isError(n))
        return bq_fail(err, BQ_EXIT_FAILED, "%s", ZSTD_getErrorName(n));
    out->n = n;
    return 0;
}

int codec_zstd_pack(struct bq_codec *codec, uint32_t level, struct codec_bytes in,
                    struct codec_room *out, struct bq_error *err)
{
    if (!codec->zstd && !(codec->zstd = ZSTD_createCCtx()))
        return codec_no_memory(err);
    size_t n = ZSTD_compressCCtx(codec->zstd, out->at, out->room, in.at, in.n,
                                 level ? (int)level : STANDARD_LEVEL);
    if (ZSTD_isError(n) && ZSTD_getErrorCode(n) != ZSTD_error_dstSize_tooSmall)
        return bq_fail(err, BQ_EXIT_FAILED, "%s", ZSTD_getErrorName(n));
    out->n = ZSTD_isError(n) ? 0 : n;
    return 0;
}

int codec_zstd_undo(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes in,
                    struct codec_room *out, struct bq_error *err)
{
    (void)filter;
    return codec_zstd_unpack(codec, in, out, err);
}

int codec_zstd_apply(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes in,
                     struct codec_room *out, struct bq_error *err)
{
    return codec_zstd_pack(codec, codec_value(filter, 0), in, out, err);
}

/* Measured with 1.5.4 (test_codec.c looks again): tables of up to 20 bytes per byte of the input,
 * rounded up to a power of two; for fast levels they stop growing early. */
size_t codec_zstd_memory(uint32_t level, size_t chunk_bytes)
{
    const size_t mib = (size_t)1 << 20;
    size_t most = level <= 4 ? 3 * mib : level <= 8 ? 7 * mib : level <= 12 ? 49 * mib : 1024 * mib;
    size_t power = 1;
    while (power < chunk_bytes && 24 * power < most)
        power *= 2;
    return mib + (24 * power < most ? 24 * power : most);
}
