/* The codec: stored bytes of a chunk, and the filters that a file says they went through.
 *
 * The input, little-endian: how many filters; each one's place in `ids` (or, 7 and more, its number
 * in 4 bytes), how many values, and the values; the mask, the decoded size, then the bytes. They
 * are decoded as stored bytes, and encoded as a chunk's. */
#include "fuzz.h"

#include "adapters/codec_internal.h"
#include "base/bytes.h"

#define MOST (1u << 20) /* bytes of a chunk */

static const uint32_t ids[] = {BQ_FILTER_DEFLATE, BQ_FILTER_SHUFFLE, BQ_FILTER_FLETCHER32,
                               BQ_FILTER_LZF,     BQ_FILTER_LZ4,     BQ_FILTER_BITSHUFFLE,
                               BQ_FILTER_ZSTD};
#define N_IDS (sizeof ids / sizeof *ids)

static void get_filters(struct bq_reader *r, struct bq_filters *filters)
{
    *filters = (struct bq_filters){.n = bq_get_u8(r) % (BQ_MAX_FILTERS + 2)};
    for (uint32_t i = 0; i < filters->n; i++) {
        struct bq_filter filter = {0};
        uint8_t which = bq_get_u8(r);
        filter.id = which < N_IDS ? ids[which] : bq_get_u32(r);
        filter.n_values = bq_get_u8(r) % (BQ_MAX_FILTER_VALUES + 1);
        for (uint32_t k = 0; k < filter.n_values; k++)
            filter.values[k] = bq_get_u32(r);
        if (i < BQ_MAX_FILTERS)
            filters->list[i] = filter;
    }
}

/* What the codec keeps between chunks; zstd's and deflate's contexts are not seen. */
static size_t scratch_of(const struct bq_codec *codec)
{
    return codec->between[0].size + codec->between[1].size + codec->block.size;
}

/* Twice, into memory that differs: every byte is written, and nothing depends on the last time. */
static void decode(struct bq_codec *codec, const struct bq_filters *filters, uint32_t mask,
                   const void *stored, size_t n, size_t size)
{
    unsigned char *out[2] = {exactly(size), exactly(size)};
    int rc[2];
    for (int i = 0; i < 2; i++) {
        struct bq_error err = {0};
        memset(out[i], i ? 0x55 : 0xaa, size);
        rc[i] = bq_codec_decode(codec, filters, mask, stored, n, out[i], size, &err);
        MUST((rc[i] == 0) == (err.text[0] == 0));
    }
    MUST(rc[0] == rc[1]);
    MUST(rc[0] < 0 || memcmp(out[0], out[1], size) == 0);
    free(out[0]);
    free(out[1]);
}

static void round_trip(struct bq_codec *codec, const struct bq_filters *filters, const void *data,
                       size_t size)
{
    struct bq_error err = {0};
    size_t room = bq_codec_bound(filters, size), n = 0;
    uint32_t mask = 0;
    unsigned char *stored = exactly(room), *out = exactly(size);
    bool can = true;
    for (uint32_t i = 0; i < filters->n; i++)
        can = can && bq_codec_can_encode(&filters->list[i]);
    int rc = bq_codec_encode(codec, filters, data, size, stored, room, &n, &mask, &err);
    MUST((rc == 0) == can);
    if (rc == 0) {
        MUST(n <= room);
        unsigned char *exact = exact_copy(stored, n);
        MUST(bq_codec_decode(codec, filters, mask, exact, n, out, size, &err) == 0);
        MUST(memcmp(out, data, size) == 0);
        free(exact);
    }
    free(stored);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct bq_reader r = bq_reader(bytes, n);
    struct bq_filters filters;
    get_filters(&r, &filters);
    uint32_t mask = bq_get_u32(&r);
    size_t size = bq_get_u32(&r) % (MOST + 1), n_left = (size_t)(r.end - r.at);
    if (r.is_bad)
        return 0;
    struct bq_codec *codec = bq_codec_create(size, NULL);
    MUST(codec);
    void *stored = exact_copy(r.at, n_left);
    decode(codec, &filters, mask, stored, n_left, size);
    MUST(filters.n > BQ_MAX_FILTERS || scratch_of(codec) <= bq_codec_memory(size, &filters));
    bq_codec_destroy(codec);
    if (filters.n <= BQ_MAX_FILTERS) {
        codec = bq_codec_create(n_left, NULL);
        MUST(codec);
        round_trip(codec, &filters, stored, n_left);
        MUST(scratch_of(codec) <= bq_codec_memory(n_left, &filters));
        bq_codec_destroy(codec);
    }
    free(stored);
    return 0;
}
