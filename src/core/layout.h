/* How a dataset lies in its file: as much of it as a cook needs to make numbers of stored bytes,
 * and stored bytes of numbers, without the HDF5 library. Plain data; it travels in the recipe, so
 * that a kitchen can also decode what it cannot see.
 *
 * A "stored chunk" is the file's own piece, compressed by itself; a chunk is the job's. */
#ifndef BQ_CORE_LAYOUT_H
#define BQ_CORE_LAYOUT_H

#include "banquet/kernel.h"

#define BQ_MAX_FILTERS 6
#define BQ_MAX_FILTER_VALUES 8

/* The numbers that The HDF Group registered. X(code, id, name) */
#define BQ_FILTERS(X)                                                                              \
    X(BQ_FILTER_DEFLATE, 1, "deflate")                                                             \
    X(BQ_FILTER_SHUFFLE, 2, "shuffle")                                                             \
    X(BQ_FILTER_FLETCHER32, 3, "fletcher32")                                                       \
    X(BQ_FILTER_LZF, 32000, "lzf")                                                                 \
    X(BQ_FILTER_LZ4, 32004, "lz4")                                                                 \
    X(BQ_FILTER_BITSHUFFLE, 32008, "bitshuffle")                                                   \
    X(BQ_FILTER_ZSTD, 32015, "zstd")

enum bq_filter_id {
#define BQ_FILTER_CODE(code, id, name) code = (id),
    BQ_FILTERS(BQ_FILTER_CODE)
#undef BQ_FILTER_CODE
};

/* "deflate"; "?" for one that we do not know. */
static inline const char *bq_filter_name(uint32_t id)
{
    switch (id) {
#define BQ_FILTER_NAME(code, number, name)                                                         \
    case number:                                                                                   \
        return name;
        BQ_FILTERS(BQ_FILTER_NAME)
#undef BQ_FILTER_NAME
    default:
        return "?";
    }
}

struct bq_filter {
    uint32_t id; /* an enum bq_filter_id, or one that we do not know */
    uint32_t n_values;
    uint32_t values[BQ_MAX_FILTER_VALUES]; /* HDF5's "client data" */
};

/* In the order in which they are applied when writing. */
struct bq_filters {
    uint32_t n;
    struct bq_filter list[BQ_MAX_FILTERS];
};

/* One stored number: an IEEE float of 2, 4 or 8 bytes, or an integer of 1 to 8 whole bytes. */
struct bq_number {
    bool is_float, is_big_endian, is_signed;
    uint8_t size; /* bytes */
};

enum bq_storage {
    BQ_STORAGE_OTHER,      /* the HDF5 library must read it */
    BQ_STORAGE_CONTIGUOUS, /* all elements in C order, somewhere in the file */
    BQ_STORAGE_CHUNKED
};

struct bq_layout {
    enum bq_storage storage; /* what follows space is set when it is not OTHER */
    struct bq_space space;
    struct bq_number number;
    struct bq_space chunk; /* CHUNKED: of the stored chunks, not clipped at the edge */
    struct bq_filters filters;
    bool has_raw_edges;    /* stored chunks that the dataset's edge clips went through no filter */
    unsigned char fill[8]; /* of elements that were never written: one native number */
};

/* Field by field: what lies between the fields may be anything. */
static inline bool bq_space_is_same(const struct bq_space *a, const struct bq_space *b)
{
    bool is_same = a->rank == b->rank;
    for (int i = 0; i < a->rank && is_same; i++)
        is_same = a->extent[i] == b->extent[i];
    return is_same;
}

static inline bool bq_number_is_same(const struct bq_number *a, const struct bq_number *b)
{
    return a->is_float == b->is_float && a->is_big_endian == b->is_big_endian &&
           a->is_signed == b->is_signed && a->size == b->size;
}

#endif
