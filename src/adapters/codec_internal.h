/* What the files of the codec share; nobody else includes it.
 *
 *     codec.c           a chunk's way through its filters, and the scratch memory between them
 *     codec_filter.c    the table of filters: which values each takes, how much room and memory
 *     codec_shuffle.c   bytes of equal significance side by side
 *     codec_bits.c      bitshuffle: bits of equal significance side by side
 *     codec_sum.c       fletcher32
 *     codec_deflate.c   libdeflate and ISA-L
 *     codec_zstd.c
 *     codec_lz4.c
 *     codec_lzf.c       our own: liblzf's table begins as whatever lies on the stack, so that its
 *                       streams differ from run to run
 *
 * All filters but the checksum have one shape, struct codec_bytes in and struct codec_room out:
 *     undo    puts at most `room` bytes there and says how many, or fails: the stored bytes may be
 *             anything
 *     apply   puts at most `room` bytes there and says how many; 0: it does not fit, or the filter
 *             cannot be applied to so many bytes
 */
#ifndef BQ_ADAPTERS_CODEC_INTERNAL_H
#define BQ_ADAPTERS_CODEC_INTERNAL_H

#include <libdeflate.h>
#include <string.h>
#include <zstd.h>

#include "adapters/codec.h"

#define CODEC_SUM 4            /* bytes of a fletcher32 */
#define CODEC_DEFLATE_LEVELS 9 /* 1 to 9 */
#define CODEC_LZF_LOG 14       /* entries of lzf's table, log2, at most */
#define CODEC_BITS_HEADER 12

struct codec_bytes {
    const unsigned char *at;
    size_t n;
};

struct codec_room {
    unsigned char *at;
    size_t room;
    size_t n; /* how many are there now */
};

/* Memory that only grows; what it held is lost then. */
struct codec_scratch {
    unsigned char *bytes;
    size_t size;
};

struct codec_isal; /* codec_deflate.c */

/* What is NULL is made when it is first needed. */
struct bq_codec {
    struct codec_scratch between[2]; /* the chunk between two filters */
    struct codec_scratch block;      /* bitshuffle: a block between two steps, twice */
    struct libdeflate_decompressor *inflate;
    struct libdeflate_compressor *deflate[CODEC_DEFLATE_LEVELS + 1];
    struct codec_isal *isal;
    ZSTD_DCtx *unzstd;
    ZSTD_CCtx *zstd;
    uint32_t *lzf;
};

/* -- codec.c ------------------------------------------------------------------------------ */

/* At least so many bytes; NULL: no memory. */
unsigned char *codec_scratch(struct codec_scratch *scratch, size_t size, struct bq_error *err);

int codec_no_memory(struct bq_error *err);

/* -- codec_filter.c ----------------------------------------------------------------------- */

enum codec_kind {
    CODEC_KEEPS_SIZE,
    CODEC_ADDS_SUM,   /* CODEC_SUM bytes at the end */
    CODEC_COMPRESSES, /* the size after it is not known */
};

struct codec_filter {
    const char *name;
    int (*undo)(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes in,
                struct codec_room *out, struct bq_error *err);
    int (*apply)(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes in,
                 struct codec_room *out, struct bq_error *err);
};

/* NULL: not known. The checksum has neither undo nor apply. */
const struct codec_filter *codec_filter(uint32_t id);
enum codec_kind codec_kind(const struct bq_filter *filter);

/* The i-th value; 0 when it is not given. */
static inline uint32_t codec_value(const struct bq_filter *filter, uint32_t i)
{
    return i < filter->n_values ? filter->values[i] : 0;
}

/* Bytes that a codec may need for a chunk between two filters. A compressor that feeds another may
 * have left more than the chunk has, yet not much more. */
size_t codec_most_between(size_t chunk_bytes);

/* -- the filters -------------------------------------------------------------------------- */

int codec_shuffle_undo(struct bq_codec *codec, const struct bq_filter *filter,
                       struct codec_bytes in, struct codec_room *out, struct bq_error *err);
int codec_shuffle_apply(struct bq_codec *codec, const struct bq_filter *filter,
                        struct codec_bytes in, struct codec_room *out, struct bq_error *err);
int codec_bits_undo(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes in,
                    struct codec_room *out, struct bq_error *err);
int codec_bits_apply(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes in,
                     struct codec_room *out, struct bq_error *err);
int codec_deflate_undo(struct bq_codec *codec, const struct bq_filter *filter,
                       struct codec_bytes in, struct codec_room *out, struct bq_error *err);
int codec_deflate_apply(struct bq_codec *codec, const struct bq_filter *filter,
                        struct codec_bytes in, struct codec_room *out, struct bq_error *err);
int codec_zstd_undo(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes in,
                    struct codec_room *out, struct bq_error *err);
int codec_zstd_apply(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes in,
                     struct codec_room *out, struct bq_error *err);
int codec_lz4_undo(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes in,
                   struct codec_room *out, struct bq_error *err);
int codec_lz4_apply(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes in,
                    struct codec_room *out, struct bq_error *err);
int codec_lzf_undo(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes in,
                   struct codec_room *out, struct bq_error *err);
int codec_lzf_apply(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes in,
                    struct codec_room *out, struct bq_error *err);

/* -- their parts -------------------------------------------------------------------------- */

/* codec_shuffle.c: n bytes, elements of so many bytes; what is left at the end is copied. */
void codec_shuffle(size_t element, const unsigned char *in, unsigned char *out, size_t n);
void codec_unshuffle(size_t element, const unsigned char *in, unsigned char *out, size_t n);

/* codec_bits.c: how many elements make a block. */
size_t codec_bits_block(const struct bq_filter *filter);

/* codec_sum.c */
uint32_t codec_sum(const unsigned char *bytes, size_t n);
int codec_sum_check(struct codec_bytes *in, struct bq_error *err); /* and takes it off */
void codec_sum_put(unsigned char *end, uint32_t sum);

/* codec_lz4.c, codec_zstd.c: one bare block. */
int codec_lz4_unpack(struct codec_bytes in, struct codec_room *out, struct bq_error *err);
size_t codec_lz4_pack(struct codec_bytes in, unsigned char *out, size_t room); /* 0: not */
int codec_zstd_unpack(struct bq_codec *codec, struct codec_bytes in, struct codec_room *out,
                      struct bq_error *err);
int codec_zstd_pack(struct bq_codec *codec, uint32_t level, struct codec_bytes in,
                    struct codec_room *out, struct bq_error *err);

/* Upper bounds of what contexts take, bytes. */
size_t codec_deflate_memory(uint32_t level);
size_t codec_zstd_memory(uint32_t level, size_t chunk_bytes);
void codec_deflate_destroy(struct bq_codec *codec);

/* Both streams of blocks have big-endian sizes in front. */
static inline uint32_t codec_get_be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t codec_get_be64(const unsigned char *p)
{
    return (uint64_t)codec_get_be32(p) << 32 | codec_get_be32(p + 4);
}

static inline void codec_put_be32(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(v >> (24 - 8 * i));
}

static inline void codec_put_be64(unsigned char *p, uint64_t v)
{
    codec_put_be32(p, (uint32_t)(v >> 32));
    codec_put_be32(p + 4, (uint32_t)v);
}

#endif
