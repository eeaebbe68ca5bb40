/* Deflate with a zlib header: libdeflate, and for the fastest level ISA-L, which compresses more
 * than twice as fast as libdeflate's fastest. Decoding: libdeflate, the faster of the two there. */
#include "adapters/codec_internal.h"

#include <isa-l/igzip_lib.h>

#include "base/heap.h"

/* Our level to libdeflate's; level 1 is ISA-L's. codec.h tells what each is good for. */
static const int levels[CODEC_DEFLATE_LEVELS + 1] = {0, 0, 1, 2, 4, 5, 6, 8, 10, 12};

/* Its level 2 is as fast as its level 1, give or take some per cent, and 2 to 4 % denser. */
#define ISAL_LEVEL 2

struct codec_isal {
    struct isal_zstream stream;
    unsigned char work[ISAL_DEF_LVL2_LARGE];
};

int codec_deflate_undo(struct bq_codec *codec, const struct bq_filter *filter,
                       struct codec_bytes in, struct codec_room *out, struct bq_error *err)
{
    (void)filter;
    if (!codec->inflate && !(codec->inflate = libdeflate_alloc_decompressor()))
        return codec_no_memory(err);
    switch (libdeflate_zlib_decompress(codec->inflate, in.at, in.n, out->at, out->room, &out->n)) {
    case LIBDEFLATE_SUCCESS:
        return 0;
    case LIBDEFLATE_INSUFFICIENT_SPACE:
        return bq_fail(err, BQ_EXIT_FAILED, "gives more than %zu bytes", out->room);
    case LIBDEFLATE_BAD_DATA:
    case LIBDEFLATE_SHORT_OUTPUT:
        break;
    }
    return bq_fail(err, BQ_EXIT_FAILED, "not a valid zlib stream");
}

static int apply_isal(struct bq_codec *codec, struct codec_bytes in, struct codec_room *out,
                      struct bq_error *err)
{
    if (!codec->isal && !(codec->isal = bq_alloc(1, sizeof *codec->isal)))
        return codec_no_memory(err);
    struct isal_zstream *stream = &codec->isal->stream;
    isal_deflate_stateless_init(stream);
    stream->level = ISAL_LEVEL;
    stream->level_buf = codec->isal->work;
    stream->level_buf_size = sizeof codec->isal->work;
    stream->gzip_flag = IGZIP_ZLIB;
    stream->end_of_stream = 1;
    stream->next_in = (unsigned char *)in.at; /* it is only read */
    stream->avail_in = (uint32_t)in.n;
    stream->next_out = out->at;
    stream->avail_out = (uint32_t)out->room;
    int rc = isal_deflate_stateless(stream);
    if (rc != COMP_OK && rc != STATELESS_OVERFLOW)
        return bq_fail(err, BQ_EXIT_FAILED, "ISA-L fails with %d", rc);
    out->n = rc == COMP_OK ? stream->total_out : 0;
    return 0;
}

int codec_deflate_apply(struct bq_codec *codec, const struct bq_filter *filter,
                        struct codec_bytes in, struct codec_room *out, struct bq_error *err)
{
    uint32_t level = filter->values[0];
    if (level == 1 && in.n <= UINT32_MAX && out->room <= UINT32_MAX)
        return apply_isal(codec, in, out, err);
    level = level == 1 ? 2 : level;
    struct libdeflate_compressor **compressor = &codec->deflate[level];
    if (!*compressor && !(*compressor = libdeflate_alloc_compressor(levels[level])))
        return codec_no_memory(err);
    out->n = libdeflate_zlib_compress(*compressor, in.at, in.n, out->at, out->room);
    return 0;
}

/* Of libdeflate 1.14, which does not tell; with a margin. */
size_t codec_deflate_memory(uint32_t level)
{
    const size_t kib = 1024;
    size_t inflate = 128 * kib;
    if (level == 1)
        return inflate + sizeof(struct codec_isal) + 64;
    return inflate + (level >= 8 ? 10240 * kib : 768 * kib);
}

void codec_deflate_destroy(struct bq_codec *codec)
{
    libdeflate_free_decompressor(codec->inflate);
    for (int i = 0; i <= CODEC_DEFLATE_LEVELS; i++)
        libdeflate_free_compressor(codec->deflate[i]);
    bq_free(codec->isal);
}
