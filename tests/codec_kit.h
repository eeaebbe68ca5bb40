/* Filters, data and chunks for tests of the codec. Buffers are exactly as large as they must be, so
 * that AddressSanitizer sees a step too far. */
#ifndef BQ_TESTS_CODEC_KIT_H
#define BQ_TESTS_CODEC_KIT_H

#include "adapters/codec_internal.h"

#include "cunit.h"
#include "random.h"

#define DEFLATE(level) ((struct bq_filter){BQ_FILTER_DEFLATE, 1, {level}})
#define SHUFFLE(element) ((struct bq_filter){BQ_FILTER_SHUFFLE, 1, {element}})
#define FLETCHER ((struct bq_filter){BQ_FILTER_FLETCHER32, 0, {0}})
#define LZF(bytes) ((struct bq_filter){BQ_FILTER_LZF, 3, {4, 0x105, bytes}})
#define LZ4(block) ((struct bq_filter){BQ_FILTER_LZ4, 1, {block}})
#define ZSTD(level) ((struct bq_filter){BQ_FILTER_ZSTD, 1, {level}})
#define BITS(element, block, inner)                                                                \
    ((struct bq_filter){BQ_FILTER_BITSHUFFLE, 5, {0, 4, element, block, inner}})

#define FILTERS(...)                                                                               \
    ((struct bq_filters){.n =                                                                      \
                             sizeof((struct bq_filter[]){__VA_ARGS__}) / sizeof(struct bq_filter), \
                         .list = {__VA_ARGS__}})

static inline void *exactly(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p)
        CU_FAIL_FATAL("out of memory");
    return p;
}

enum data_kind { DATA_ZEROS, DATA_SMOOTH, DATA_REPEATS, DATA_RANDOM, DATA_KINDS };

static inline void fill_data(enum data_kind kind, unsigned char *data, size_t n)
{
    uint64_t word = 1000000, dice = 0;
    for (size_t i = 0; i < n; i++) {
        dice = i % 8 ? dice >> 8 : random_next();
        switch (kind) {
        case DATA_SMOOTH: /* 32-bit integers that wander */
            word += i % 4 == 0 ? dice % 8 : 0;
            data[i] = (unsigned char)(word >> 8 * (i % 4));
            break;
        case DATA_REPEATS:
            data[i] = dice % 16 || i < 40 ? (unsigned char)(i % 7) : data[i - 40];
            break;
        case DATA_RANDOM:
            data[i] = (unsigned char)dice;
            break;
        case DATA_ZEROS:
        case DATA_KINDS:
            data[i] = 0;
        }
    }
}

/* A stored chunk, in a buffer that fits. */
struct stored {
    unsigned char *bytes;
    size_t n;
    uint32_t mask;
};

static inline void stored_free(struct stored *stored)
{
    free(stored->bytes);
    *stored = (struct stored){0};
}

static inline struct stored stored_copy(const void *bytes, size_t n, uint32_t mask)
{
    struct stored stored = {exactly(n), n, mask};
    memcpy(stored.bytes, bytes, n);
    return stored;
}

static inline struct stored encode(struct bq_codec *codec, const struct bq_filters *filters,
                                   const void *data, size_t size)
{
    struct bq_error err = {0};
    size_t room = bq_codec_bound(filters, size), n = 0;
    uint32_t mask = 0;
    unsigned char *out = exactly(room);
    if (bq_codec_encode(codec, filters, data, size, out, room, &n, &mask, &err) < 0) {
        printf("\n    %s\n", err.text);
        CU_FAIL("encoding failed");
    }
    CU_ASSERT_FATAL(n <= room);
    struct stored stored = stored_copy(out, n, mask);
    free(out);
    return stored;
}

/* Whether decoding gives exactly the data. */
static inline bool gives(struct bq_codec *codec, const struct bq_filters *filters,
                         const struct stored *stored, const void *data, size_t size)
{
    struct bq_error err = {0};
    unsigned char *out = exactly(size);
    bool is_same = bq_codec_decode(codec, filters, stored->mask, stored->bytes, stored->n, out,
                                   size, &err) == 0;
    if (!is_same)
        printf("\n    %s\n", err.text);
    is_same = is_same && memcmp(out, data, size) == 0;
    free(out);
    return is_same;
}

static inline void describe(const struct bq_filters *filters, size_t size)
{
    printf("\n    %zu bytes through", size);
    for (uint32_t i = 0; i < filters->n; i++) {
        printf(" %u(", (unsigned)filters->list[i].id);
        for (uint32_t v = 0; v < filters->list[i].n_values; v++)
            printf("%s%u", v ? "," : "", (unsigned)filters->list[i].values[v]);
        printf(")");
    }
    printf("\n");
}

static inline void round_trip_data(struct bq_codec *codec, const struct bq_filters *filters,
                                   const void *data, size_t size)
{
    struct stored stored = encode(codec, filters, data, size);
    size_t most = bq_codec_bound(filters, size);
    for (uint32_t i = 0; i < filters->n; i++) {
        if (codec_kind(&filters->list[i]) == CODEC_COMPRESSES)
            most -= !(stored.mask >> i & 1); /* it shrank the chunk, by a byte or more */
    }
    if (stored.n > most || !gives(codec, filters, &stored, data, size)) {
        describe(filters, size);
        CU_FAIL("decoding does not give what was encoded, or it did not shrink");
    }
    stored_free(&stored);
}

static inline void round_trip(struct bq_codec *codec, const struct bq_filters *filters,
                              enum data_kind kind, size_t size)
{
    unsigned char *data = exactly(size);
    fill_data(kind, data, size);
    round_trip_data(codec, filters, data, size);
    free(data);
}

#endif
