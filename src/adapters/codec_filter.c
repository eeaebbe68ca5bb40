#include "adapters/codec_internal.h"

#define MOST_ZSTD_LEVEL 22

const struct codec_filter *codec_filter(uint32_t id)
{
    static const struct codec_filter deflate = {"deflate", codec_deflate_undo, codec_deflate_apply};
    static const struct codec_filter shuffle = {"shuffle", codec_shuffle_undo, codec_shuffle_apply};
    static const struct codec_filter sum = {"fletcher32", NULL, NULL};
    static const struct codec_filter lzf = {"lzf", codec_lzf_undo, codec_lzf_apply};
    static const struct codec_filter lz4 = {"lz4", codec_lz4_undo, codec_lz4_apply};
    static const struct codec_filter bits = {"bitshuffle", codec_bits_undo, codec_bits_apply};
    static const struct codec_filter zstd = {"zstd", codec_zstd_undo, codec_zstd_apply};
    switch (id) {
    case BQ_FILTER_DEFLATE:
        return &deflate;
    case BQ_FILTER_SHUFFLE:
        return &shuffle;
    case BQ_FILTER_FLETCHER32:
        return &sum;
    case BQ_FILTER_LZF:
        return &lzf;
    case BQ_FILTER_LZ4:
        return &lz4;
    case BQ_FILTER_BITSHUFFLE:
        return &bits;
    case BQ_FILTER_ZSTD:
        return &zstd;
    default:
        return NULL;
    }
}

enum codec_kind codec_kind(const struct bq_filter *filter)
{
    switch (filter->id) {
    case BQ_FILTER_SHUFFLE:
        return CODEC_KEEPS_SIZE;
    case BQ_FILTER_FLETCHER32:
        return CODEC_ADDS_SUM;
    case BQ_FILTER_BITSHUFFLE:
        return codec_value(filter, 4) ? CODEC_COMPRESSES : CODEC_KEEPS_SIZE;
    default:
        return CODEC_COMPRESSES;
    }
}

bool bq_codec_can_decode(const struct bq_filter *filter)
{
    if (!codec_filter(filter->id) || filter->n_values > BQ_MAX_FILTER_VALUES)
        return false;
    switch (filter->id) {
    case BQ_FILTER_DEFLATE: /* as HDF5 asks it, although the level does not matter */
        return filter->n_values >= 1 && filter->values[0] <= CODEC_DEFLATE_LEVELS;
    case BQ_FILTER_SHUFFLE:
        return filter->n_values >= 1 && filter->values[0] >= 1;
    case BQ_FILTER_BITSHUFFLE:
        return filter->n_values >= 3 && filter->values[2] >= 1 && codec_value(filter, 3) % 8 == 0 &&
               (codec_value(filter, 4) == 0 || codec_value(filter, 4) == 2 ||
                codec_value(filter, 4) == 3);
    default:
        return true;
    }
}

bool bq_codec_can_encode(const struct bq_filter *filter)
{
    if (!bq_codec_can_decode(filter))
        return false;
    switch (filter->id) {
    case BQ_FILTER_ZSTD:
        return codec_value(filter, 0) <= MOST_ZSTD_LEVEL;
    case BQ_FILTER_BITSHUFFLE: /* its header has 32 bits for the bytes of a block */
        return codec_value(filter, 4) == 0 ||
               (codec_bits_block(filter) <= INT32_MAX / filter->values[2] &&
                codec_value(filter, 5) <= MOST_ZSTD_LEVEL);
    default:
        return true;
    }
}

size_t bq_codec_bound(const struct bq_filters *filters, size_t size)
{
    for (uint32_t i = 0; i < filters->n; i++)
        size += codec_kind(&filters->list[i]) == CODEC_ADDS_SUM ? CODEC_SUM : 0;
    return size;
}

size_t codec_most_between(size_t chunk_bytes)
{
    return 2 * chunk_bytes + ((size_t)64 << 10);
}

/* Whether a filter gets bytes whose number is not known: there is a compressor before it. */
static bool has_unknown(const struct bq_filters *filters)
{
    bool is_compressed = false;
    for (uint32_t i = 0; i < filters->n; i++) {
        enum codec_kind kind = codec_kind(&filters->list[i]);
        if (is_compressed && kind != CODEC_ADDS_SUM)
            return true;
        is_compressed |= kind == CODEC_COMPRESSES;
    }
    return false;
}

size_t bq_codec_memory(size_t chunk_bytes, const struct bq_filters *filters)
{
    if (chunk_bytes > SIZE_MAX / 64)
        return SIZE_MAX / 4;
    size_t contexts = 0, between = chunk_bytes + CODEC_SUM * BQ_MAX_FILTERS;
    if (has_unknown(filters))
        between = codec_most_between(chunk_bytes);
    for (uint32_t i = 0; i < filters->n; i++) {
        const struct bq_filter *filter = &filters->list[i];
        switch (filter->id) {
        case BQ_FILTER_DEFLATE:
            contexts += codec_deflate_memory(codec_value(filter, 0));
            break;
        case BQ_FILTER_LZF:
            contexts += sizeof(uint32_t) << CODEC_LZF_LOG;
            break;
        case BQ_FILTER_BITSHUFFLE: /* a foreign stream may be one block */
            contexts += 2 * between;
            if (codec_value(filter, 4) == 3)
                contexts += codec_zstd_memory(codec_value(filter, 5), chunk_bytes);
            break;
        case BQ_FILTER_ZSTD:
            contexts += codec_zstd_memory(codec_value(filter, 0), chunk_bytes);
            break;
        default:
            break;
        }
    }
    return sizeof(struct bq_codec) + contexts + (filters->n > 2 ? 2 : 1) * (between + 64) + 1024;
}
