/* A chunk's way through its filters, forwards and backwards.
 *
 * Sizes: before the first filter (in writing order) the chunk has `size` bytes, and shuffles and
 * checksums say what they make of it. Behind a compressor the size is not known until the first
 * known one again, that of the stored bytes; reading, a compressor must give exactly the known
 * size, or at most codec_most_between.
 *
 * Copies: each filter reads one buffer and writes another, the last one the caller's; a checksum
 * only reads. */
#include "adapters/codec_internal.h"

#include "base/heap.h"

#define UNKNOWN SIZE_MAX

struct bq_codec *bq_codec_create(size_t chunk_bytes, struct bq_error *err)
{
    struct bq_codec *codec = bq_alloc(1, sizeof *codec);
    size_t size = chunk_bytes + CODEC_SUM * BQ_MAX_FILTERS;
    if (codec && size > chunk_bytes && codec_scratch(&codec->between[0], size, err))
        return codec;
    bq_codec_destroy(codec);
    codec_no_memory(err);
    return NULL;
}

void bq_codec_destroy(struct bq_codec *codec)
{
    if (!codec)
        return;
    codec_deflate_destroy(codec);
    ZSTD_freeDCtx(codec->unzstd);
    ZSTD_freeCCtx(codec->zstd);
    bq_free(codec->between[0].bytes);
    bq_free(codec->between[1].bytes);
    bq_free(codec->block.bytes);
    bq_free(codec->lzf);
    bq_free(codec);
}

int codec_no_memory(struct bq_error *err)
{
    return bq_fail(err, BQ_EXIT_FAILED, "out of memory for the codec");
}

unsigned char *codec_scratch(struct codec_scratch *scratch, size_t size, struct bq_error *err)
{
    if (scratch->bytes && scratch->size >= size)
        return scratch->bytes;
    bq_free(scratch->bytes);
    scratch->bytes = bq_room(size, 1);
    scratch->size = scratch->bytes ? size : 0;
    if (!scratch->bytes)
        codec_no_memory(err);
    return scratch->bytes;
}

static bool is_skipped(uint32_t mask, uint32_t i)
{
    return mask >> i & 1;
}

/* "deflate (filter 2 of 2): what happened" */
static int fail_in(struct bq_error *err, const struct bq_filters *filters, uint32_t i)
{
    return bq_fail_in(err, "%s (filter %u of %u)", codec_filter(filters->list[i].id)->name,
                      (unsigned)i + 1, (unsigned)filters->n);
}

static int check(const struct bq_filters *filters, uint32_t mask,
                 bool (*is_known)(const struct bq_filter *filter), size_t size,
                 struct bq_error *err)
{
    if (filters->n > BQ_MAX_FILTERS || size > SIZE_MAX / 4)
        return bq_fail(err, BQ_EXIT_FAILED, "%u filters over %zu bytes are too many",
                       (unsigned)filters->n, size);
    for (uint32_t i = 0; i < filters->n; i++) {
        if (!is_skipped(mask, i) && !is_known(&filters->list[i]))
            return bq_fail(err, BQ_EXIT_FAILED, "filter %u is not known, or not with its values",
                           (unsigned)filters->list[i].id);
    }
    return 0;
}

/* -- decoding ----------------------------------------------------------------------------- */

/* sizes[i]: before filter i, in writing order. Returns the first filter that is not a checksum,
 * which is the last one to write when reading, or filters->n. */
static uint32_t plan(const struct bq_filters *filters, uint32_t mask, size_t size, size_t *sizes)
{
    uint32_t last = filters->n;
    for (uint32_t i = 0; i < filters->n; i++) {
        sizes[i] = size;
        if (is_skipped(mask, i))
            continue;
        enum codec_kind kind = codec_kind(&filters->list[i]);
        if (kind == CODEC_COMPRESSES)
            size = UNKNOWN;
        if (kind == CODEC_ADDS_SUM && size != UNKNOWN)
            size += CODEC_SUM;
        if (kind != CODEC_ADDS_SUM && last == filters->n)
            last = i;
    }
    return last;
}

/* to->at NULL: into the scratch buffer where the chunk is not. */
static int undo(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes *chunk,
                struct codec_room *to, size_t want, struct bq_error *err)
{
    if (codec_kind(filter) == CODEC_ADDS_SUM) {
        if (codec_sum_check(chunk, err) < 0)
            return -1;
    } else {
        bool is_in_first = chunk->at == codec->between[0].bytes;
        if (!to->at)
            to->at = codec_scratch(&codec->between[is_in_first], to->room, err);
        if (!to->at || codec_filter(filter->id)->undo(codec, filter, *chunk, to, err) < 0)
            return -1;
        *chunk = (struct codec_bytes){to->at, to->n};
    }
    if (want != UNKNOWN && chunk->n != want)
        return bq_fail(err, BQ_EXIT_FAILED, "gives %zu bytes, not %zu", chunk->n, want);
    return 0;
}

int bq_codec_decode(struct bq_codec *codec, const struct bq_filters *filters, uint32_t mask,
                    const void *stored, size_t n, void *out, size_t size, struct bq_error *err)
{
    if (check(filters, mask, bq_codec_can_decode, size, err) < 0)
        return -1;
    size_t sizes[BQ_MAX_FILTERS];
    uint32_t last = plan(filters, mask, size, sizes);
    struct codec_bytes chunk = {stored, n};
    for (uint32_t i = filters->n; i-- > 0;) {
        if (is_skipped(mask, i))
            continue;
        struct codec_room to = {NULL, sizes[i], 0};
        if (sizes[i] == UNKNOWN)
            to.room = codec_most_between(size);
        else if (i == last && sizes[i] == size)
            to.at = out;
        if (undo(codec, &filters->list[i], &chunk, &to, sizes[i], err) < 0)
            return fail_in(err, filters, i);
    }
    if (chunk.n != size)
        return bq_fail(err, BQ_EXIT_FAILED, "%zu bytes are stored without a filter, not %zu",
                       chunk.n, size);
    if (chunk.at != out && size > 0)
        memcpy(out, chunk.at, size);
    return 0;
}

/* -- encoding ----------------------------------------------------------------------------- */

/* Where the next filter may write: `out` when as many are left (this one included) as make the last
 * one end there, unless the chunk is there now. */
static int room_for(struct bq_codec *codec, struct codec_bytes chunk, unsigned n_left,
                    struct codec_room *out, struct codec_room *to, struct bq_error *err)
{
    *to = (struct codec_room){codec_scratch(&codec->between[0], out->room, err), out->room, 0};
    if (!to->at)
        return -1;
    if (chunk.at == to->at || (n_left % 2 && chunk.at != out->at))
        to->at = out->at;
    return 0;
}

static int apply(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes *chunk,
                 struct codec_room *to, struct bq_error *err)
{
    if (codec_kind(filter) == CODEC_COMPRESSES) {
        if (chunk->n < 2)
            return 0;
        to->room = chunk->n - 1;
    }
    if (codec_filter(filter->id)->apply(codec, filter, *chunk, to, err) < 0)
        return -1;
    if (to->n)
        *chunk = (struct codec_bytes){to->at, to->n};
    return 0;
}

/* Behind the chunk, which gets a copy with room behind it while it is still the caller's. */
static void append_sum(struct codec_bytes *chunk, const void *data, struct codec_room *to)
{
    if (chunk->at == data) {
        if (chunk->n)
            memcpy(to->at, data, chunk->n);
        chunk->at = to->at;
    }
    codec_sum_put((unsigned char *)chunk->at + chunk->n, codec_sum(chunk->at, chunk->n));
    chunk->n += CODEC_SUM;
}

int bq_codec_encode(struct bq_codec *codec, const struct bq_filters *filters, const void *data,
                    size_t size, void *out, size_t room, size_t *n, uint32_t *mask,
                    struct bq_error *err)
{
    if (check(filters, 0, bq_codec_can_encode, size, err) < 0)
        return -1;
    size_t bound = bq_codec_bound(filters, size);
    if (room < bound)
        return bq_fail(err, BQ_EXIT_FAILED, "encoding needs room for %zu bytes, not %zu", bound,
                       room);
    struct codec_bytes chunk = {data, size};
    struct codec_room end = {out, bound, 0};
    uint32_t skipped = 0;
    unsigned n_left = 0;
    for (uint32_t i = 0; i < filters->n; i++)
        n_left += codec_kind(&filters->list[i]) != CODEC_ADDS_SUM;
    for (uint32_t i = 0; i < filters->n; i++) {
        const struct bq_filter *filter = &filters->list[i];
        bool is_sum = codec_kind(filter) == CODEC_ADDS_SUM;
        struct codec_room to;
        if (room_for(codec, chunk, n_left + is_sum, &end, &to, err) < 0)
            return fail_in(err, filters, i);
        if (is_sum) {
            append_sum(&chunk, data, &to);
            continue;
        }
        if (apply(codec, filter, &chunk, &to, err) < 0)
            return fail_in(err, filters, i);
        skipped |= to.n ? 0 : UINT32_C(1) << i;
        n_left--;
    }
    if (chunk.at != out && chunk.n > 0)
        memcpy(out, chunk.at, chunk.n);
    *n = chunk.n;
    *mask = skipped;
    return 0;
}
