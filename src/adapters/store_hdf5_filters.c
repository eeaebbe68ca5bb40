/* Our codecs as filters of the HDF5 library, for those whose plug-in is not installed: so that a
 * dataset can be made with them, and read through the library where cooks cannot. */
#include "adapters/store_internal.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "adapters/codec.h"

/* Decoded bytes of a stored chunk, as it says itself; 0: it does not. */
static size_t decoded_size(const struct bq_filter *filter, const unsigned char *stored, size_t n)
{
    uint64_t size = 0;
    switch (filter->id) {
    case BQ_FILTER_ZSTD:
        size = ZSTD_getFrameContentSize(stored, n);
        return size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR ? 0
                                                                                  : (size_t)size;
    case BQ_FILTER_LZF:
        return filter->n_values > 2 ? filter->values[2] : 0;
    case BQ_FILTER_BITSHUFFLE:
        if (filter->n_values < 5 || filter->values[4] == 0)
            return n;
        break;
    default:
        break;
    }
    for (int i = 0; i < 8 && n >= 8; i++) /* lz4 and bitshuffle begin with it, big-endian */
        size = size << 8 | stored[i];
    return (size_t)size;
}

/* HDF5's filter function: 0 is failure; *buffer belongs to malloc. */
static size_t filter_bytes(unsigned id, unsigned flags, size_t n_values, const unsigned *values,
                           size_t n, size_t *room, void **buffer)
{
    struct bq_filters filters = {.n = 1};
    struct bq_filter *filter = &filters.list[0];
    if (n_values > BQ_MAX_FILTER_VALUES || n == 0)
        return 0;
    filter->id = id;
    filter->n_values = (uint32_t)n_values;
    if (n_values)
        memcpy(filter->values, values, n_values * sizeof *values);
    bool is_reading = flags & H5Z_FLAG_REVERSE;
    size_t size = is_reading ? decoded_size(filter, *buffer, n) : bq_codec_bound(&filters, n);
    if (size == 0 || size > UINT32_MAX) /* HDF5 keeps chunks below 4 GiB */
        return 0;
    struct bq_codec *codec = bq_codec_create(is_reading ? size : n, NULL);
    void *out = malloc(size);
    size_t made = size;
    uint32_t mask = 0;
    bool is_good =
        codec && out &&
        (is_reading
             ? bq_codec_decode(codec, &filters, 0, *buffer, n, out, size, NULL) == 0
             : bq_codec_encode(codec, &filters, *buffer, n, out, size, &made, &mask, NULL) == 0 &&
                   mask == 0);
    bq_codec_destroy(codec);
    if (!is_good) {
        free(out);
        return 0;
    }
    free(*buffer);
    *buffer = out;
    *room = size;
    return made;
}

#define FILTER_FUNCTION(id, name)                                                                  \
    static size_t name##_filter(unsigned flags, size_t n_values, const unsigned values[],          \
                                size_t n, size_t *room, void **buffer)                             \
    {                                                                                              \
        return filter_bytes(id, flags, n_values, values, n, room, buffer);                         \
    }
FILTER_FUNCTION(BQ_FILTER_LZF, lzf)
FILTER_FUNCTION(BQ_FILTER_LZ4, lz4)
FILTER_FUNCTION(BQ_FILTER_BITSHUFFLE, bitshuffle)
FILTER_FUNCTION(BQ_FILTER_ZSTD, zstd)

void store_want_filter(uint32_t id)
{
    static const H5Z_class2_t filters[] = {
        {H5Z_CLASS_T_VERS, BQ_FILTER_LZF, 1, 1, "lzf", NULL, NULL, lzf_filter},
        {H5Z_CLASS_T_VERS, BQ_FILTER_LZ4, 1, 1, "lz4", NULL, NULL, lz4_filter},
        {H5Z_CLASS_T_VERS, BQ_FILTER_BITSHUFFLE, 1, 1, "bitshuffle", NULL, NULL, bitshuffle_filter},
        {H5Z_CLASS_T_VERS, BQ_FILTER_ZSTD, 1, 1, "zstd", NULL, NULL, zstd_filter}};
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        if ((uint32_t)filters[i].id == id)
            H5Zregister(&filters[i]);
    }
}
