/* Stored bytes that lie: cut, changed, of another size, with headers that promise too much.
 * Whatever they hold, decoding fails with a text or gives exactly as many bytes as it was asked
 * for; AddressSanitizer sees the rest. */
#include "codec_kit.h"

static struct bq_codec *codec;

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* Decodes; an error must have a text, and anything else fill `size` bytes exactly. */
static bool is_refused(const struct bq_filters *filters, const void *bytes, size_t n, size_t size)
{
    struct stored stored = stored_copy(bytes, n, 0);
    struct bq_error err = {0};
    unsigned char *out = exactly(size);
    int rc = bq_codec_decode(codec, filters, 0, stored.bytes, n, out, size, &err);
    CU_ASSERT(rc == 0 || (rc == -1 && err.exit == BQ_EXIT_FAILED && err.text[0]));
    free(out);
    stored_free(&stored);
    return rc == -1;
}

static const struct bq_filters targets[] = {
    {1, {{BQ_FILTER_SHUFFLE, 1, {4}}}},
    {1, {{BQ_FILTER_FLETCHER32, 0, {0}}}},
    {1, {{BQ_FILTER_DEFLATE, 1, {4}}}},
    {1, {{BQ_FILTER_LZF, 0, {0}}}},
    {1, {{BQ_FILTER_LZ4, 1, {0}}}},
    {1, {{BQ_FILTER_LZ4, 1, {100}}}},
    {1, {{BQ_FILTER_ZSTD, 0, {0}}}},
    {1, {{BQ_FILTER_BITSHUFFLE, 5, {0, 4, 4, 0, 0}}}},
    {1, {{BQ_FILTER_BITSHUFFLE, 5, {0, 4, 4, 64, 2}}}},
    {1, {{BQ_FILTER_BITSHUFFLE, 5, {0, 4, 4, 128, 3}}}},
    {2, {{BQ_FILTER_SHUFFLE, 1, {4}}, {BQ_FILTER_DEFLATE, 1, {2}}}},
    {2, {{BQ_FILTER_LZF, 0, {0}}, {BQ_FILTER_LZ4, 0, {0}}}},
    {2, {{BQ_FILTER_BITSHUFFLE, 5, {0, 4, 8, 0, 2}}, {BQ_FILTER_ZSTD, 0, {0}}}},
    {3, {{BQ_FILTER_DEFLATE, 1, {2}}, {BQ_FILTER_SHUFFLE, 1, {3}}, {BQ_FILTER_ZSTD, 0, {0}}}},
};
#define N_TARGETS (sizeof targets / sizeof *targets)
#define VICTIM 1200 /* bytes */

static struct stored victim(const struct bq_filters *filters)
{
    unsigned char data[VICTIM];
    fill_data(DATA_SMOOTH, data, sizeof data);
    return encode(codec, filters, data, sizeof data);
}

static void a_stream_cut_anywhere_is_refused(void)
{
    random_start(13);
    for (size_t t = 0; t < N_TARGETS; t++) {
        struct stored whole = victim(&targets[t]);
        for (size_t n = 0; n < whole.n && whole.mask == 0; n++)
            CU_ASSERT(is_refused(&targets[t], whole.bytes, n, VICTIM));
        stored_free(&whole);
    }
}

static void a_chunk_of_another_size_is_refused(void)
{
    random_start(14);
    for (size_t t = 0; t < N_TARGETS; t++) {
        struct stored whole = victim(&targets[t]);
        if (whole.mask == 0) {
            CU_ASSERT(!is_refused(&targets[t], whole.bytes, whole.n, VICTIM));
            for (size_t size = 0; size < 2 * VICTIM; size += 97)
                CU_ASSERT(is_refused(&targets[t], whole.bytes, whole.n, size));
            CU_ASSERT(is_refused(&targets[t], whole.bytes, whole.n, VICTIM - 1));
            CU_ASSERT(is_refused(&targets[t], whole.bytes, whole.n, VICTIM + 1));
        }
        stored_free(&whole);
    }
}

static void an_error_names_the_filter_and_both_sizes(void)
{
    struct bq_error err = {0};
    unsigned char data[100] = {0}, out[200];
    const struct bq_filters filters = FILTERS(SHUFFLE(4), DEFLATE(2));
    struct stored stored = encode(codec, &filters, data, sizeof data);
    CU_ASSERT_EQUAL(bq_codec_decode(codec, &filters, 0, stored.bytes, stored.n, out, 200, &err),
                    -1);
    CHECK_TEXT(err.text, "deflate (filter 2 of 2): gives 100 bytes, not 200");
    CU_ASSERT_EQUAL(bq_codec_decode(codec, &filters, 0, stored.bytes, stored.n, out, 50, &err), -1);
    CHECK_TEXT(err.text, "deflate (filter 2 of 2): gives more than 50 bytes");
    CU_ASSERT_EQUAL(bq_codec_decode(codec, &filters, 3, stored.bytes, 20, out, 50, &err), -1);
    CHECK_TEXT(err.text, "20 bytes are stored without a filter, not 50");
    CU_ASSERT_EQUAL(bq_codec_decode(codec, &FILTERS(SHUFFLE(0)), 0, data, 9, out, 9, &err), -1);
    CHECK_TEXT(err.text, "filter 2 is not known, or not with its values");
    CU_ASSERT_EQUAL(bq_codec_decode(codec, &FILTERS(ZSTD(1)), 0, data, 9, out, 9, &err), -1);
    CHECK_TEXT(err.text, "zstd (filter 1 of 1): not a zstd frame");
    data[7] = 9;
    CU_ASSERT_EQUAL(bq_codec_decode(codec, &FILTERS(LZ4(0)), 0, data, 20, out, 9, &err), -1);
    CHECK_TEXT(err.text, "lz4 (filter 1 of 1): the header claims blocks of 0 bytes");
    size_t n;
    uint32_t mask;
    CU_ASSERT_EQUAL(
        bq_codec_encode(codec, &FILTERS(FLETCHER), data, 100, out, 103, &n, &mask, &err), -1);
    CHECK_TEXT(err.text, "encoding needs room for 104 bytes, not 103");
    stored_free(&stored);
}

static void changed_bytes_do_no_harm(void)
{
    random_start(15);
    for (size_t t = 0; t < N_TARGETS; t++) {
        struct stored whole = victim(&targets[t]);
        unsigned char bytes[2 * VICTIM];
        for (int round = 0; round < 2500; round++) {
            memcpy(bytes, whole.bytes, whole.n);
            for (uint64_t flips = 1 + random_below(4); flips > 0; flips--) {
                size_t most = random_below(2) ? whole.n : whole.n < 24 ? whole.n : 24;
                bytes[random_below(most)] = (unsigned char)random_next();
            }
            is_refused(&targets[t], bytes, whole.n, VICTIM);
        }
        stored_free(&whole);
    }
}

static void random_bytes_do_no_harm(void)
{
    random_start(16);
    for (int round = 0; round < 20000; round++) {
        unsigned char bytes[600];
        size_t n = random_below(sizeof bytes);
        fill_data(DATA_RANDOM, bytes, n);
        if (random_below(2) && n > 12) { /* past the first checks */
            static const unsigned char begins[][4] = {{0x78, 0x9c, 0, 0}, {0x28, 0xb5, 0x2f, 0xfd}};
            memcpy(bytes, begins[random_below(2)], random_below(2) ? 2 : 4);
            if (random_below(2)) {
                memset(bytes, 0, 12);
                bytes[6] = bytes[10] = (unsigned char)random_below(3);
                bytes[7] = bytes[11] = (unsigned char)random_next();
            }
        }
        is_refused(&targets[random_below(N_TARGETS)], bytes, n, random_below(1000));
    }
}

static void headers_that_lie_are_refused(void)
{
    static const unsigned char all[8] = {255, 255, 255, 255, 255, 255, 255, 255};
    unsigned char bytes[64] = {0};
    for (int bits = 0; bits < 2; bits++) {
        const struct bq_filters filters = FILTERS(bits ? BITS(4, 0, 2) : LZ4(0));
        memset(bytes, 0, sizeof bytes);
        memcpy(bytes, all, 8); /* 2^64 - 1 bytes */
        CU_ASSERT(is_refused(&filters, bytes, sizeof bytes, 512));
        bytes[7] = 0xf8; /* whole elements */
        CU_ASSERT(is_refused(&filters, bytes, sizeof bytes, 512));
        memset(bytes, 0, 8);
        bytes[6] = 2; /* 512 bytes in blocks of 0 */
        CU_ASSERT(is_refused(&filters, bytes, sizeof bytes, 512));
        memcpy(bytes + 8, all, 4); /* of 2^32 - 1 */
        CU_ASSERT(is_refused(&filters, bytes, sizeof bytes, 512));
        bytes[11] = 0xe0;
        CU_ASSERT(is_refused(&filters, bytes, sizeof bytes, 512));
        memcpy(bytes + 12, all, 4); /* and a block that takes as many in the file */
        CU_ASSERT(is_refused(&filters, bytes, sizeof bytes, 512));
        memset(bytes + 8, 0, 8);
        bytes[11] = 2; /* blocks of 2 bytes, less than 8 elements */
        CU_ASSERT(is_refused(&filters, bytes, sizeof bytes, 512));
    }
    /* A frame whose header claims 2^40 bytes. */
    static const unsigned char frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0,
                                          0,    0,    1,    0,    0,    1, 0, 0};
    CU_ASSERT(is_refused(&FILTERS(ZSTD(3)), frame, sizeof frame, 512));
    /* Nothing stored at all, yet nothing is what a chunk without elements has. */
    for (size_t t = 0; t < N_TARGETS; t++)
        CU_ASSERT(is_refused(&targets[t], bytes, 0, 512));
}

/* Appends one block of an lz4 or bitshuffle stream: n literal bytes, at least 15. */
static size_t put_block(unsigned char *to, unsigned char n)
{
    codec_put_be32(to, n + 2u);
    to[4] = 0xf0;
    to[5] = (unsigned char)(n - 15);
    memset(to + 6, 0x5a, n);
    return n + 6u;
}

static size_t put_stream(unsigned char *to, size_t total, uint32_t block, unsigned char n_given)
{
    size_t at = 12;
    codec_put_be64(to, total);
    codec_put_be32(to + 8, block);
    for (size_t done = 0; done < total; done += block) {
        size_t left = total - done;
        at += put_block(to + at, (unsigned char)(left < n_given ? left : n_given));
    }
    return at;
}

static void blocks_that_do_not_fit_the_chunk_are_refused(void)
{
    unsigned char bytes[2000];
    for (int bits = 0; bits < 2; bits++) {
        const struct bq_filters filters = FILTERS(bits ? BITS(4, 0, 2) : LZ4(0));
        CU_ASSERT(!is_refused(&filters, bytes, put_stream(bytes, 512, 64, 64), 512));
        CU_ASSERT(is_refused(&filters, bytes, put_stream(bytes, 512, 64, 63), 512));
        CU_ASSERT(is_refused(&filters, bytes, put_stream(bytes, 512, 64, 65), 512));
        CU_ASSERT(is_refused(&filters, bytes, put_stream(bytes, 512, 64, 64), 511));
        CU_ASSERT(is_refused(&filters, bytes, put_stream(bytes, 512, 64, 64), 576));
    }
    /* bitshuffle: blocks of 12 elements, and a part of an element */
    CU_ASSERT(is_refused(&FILTERS(BITS(4, 0, 2)), bytes, put_stream(bytes, 480, 48, 48), 480));
    CU_ASSERT(is_refused(&FILTERS(BITS(4, 0, 0)), bytes, 510, 510));
}

static void a_zstd_frame_must_be_alone(void)
{
    random_start(20);
    static const unsigned char skippable[] = {0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0};
    const struct bq_filters filters = FILTERS(ZSTD(3));
    unsigned char bytes[VICTIM];
    struct stored one = victim(&filters);
    CU_ASSERT_FATAL(one.mask == 0 && one.n + sizeof skippable < sizeof bytes);
    memcpy(bytes, one.bytes, one.n);
    memcpy(bytes + one.n, skippable, sizeof skippable);
    CU_ASSERT(!is_refused(&filters, bytes, one.n, VICTIM));
    CU_ASSERT(is_refused(&filters, bytes, one.n + 1, VICTIM));
    CU_ASSERT(is_refused(&filters, bytes, one.n + sizeof skippable, VICTIM));
    stored_free(&one);
}

static void bombs_do_not_go_off(void)
{
    /* 64 MiB of zeros in some KiB, twice compressed: within a chunk of 1 KiB neither the chunk nor
     * what lies between the two may grow to that. */
    const size_t size = 64 * MIB;
    const struct bq_filters both[] = {FILTERS(ZSTD(1), DEFLATE(2)), FILTERS(DEFLATE(2), ZSTD(1)),
                                      FILTERS(LZ4(0), ZSTD(1)), FILTERS(BITS(4, 0, 2), ZSTD(1)),
                                      FILTERS(LZF(0), ZSTD(1))};
    unsigned char *zeros = calloc(size, 1);
    for (size_t i = 0; zeros && i < sizeof both / sizeof *both; i++) {
        struct bq_filters inner = {.n = 1, .list = {both[i].list[1]}};
        struct stored bomb = encode(codec, &inner, zeros, size);
        CU_ASSERT(bomb.n < size / 100);
        struct bq_codec *small = bq_codec_create(KIB, NULL);
        unsigned char out[KIB];
        struct bq_error err = {0};
        CU_ASSERT_EQUAL(
            bq_codec_decode(small, &both[i], 0, bomb.bytes, bomb.n, out, sizeof out, &err), -1);
        CU_ASSERT(strstr(err.text, "gives more than 67584 bytes") != NULL);
        CU_ASSERT(small->between[0].size <= codec_most_between(KIB));
        CU_ASSERT(bq_codec_decode(small, &inner, 0, bomb.bytes, bomb.n, out, sizeof out, &err) < 0);
        bq_codec_destroy(small);
        stored_free(&bomb);
    }
    free(zeros);
}

static void what_follows_a_complete_stream_is_ignored_as_hdf5_does(void)
{
    random_start(17);
    unsigned char data[VICTIM], bytes[2 * VICTIM];
    fill_data(DATA_SMOOTH, data, sizeof data);
    const struct bq_filter tolerant[] = {DEFLATE(3), LZ4(0), BITS(4, 0, 2)};
    for (size_t i = 0; i < 3; i++) {
        struct stored stored = encode(codec, &FILTERS(tolerant[i]), data, sizeof data);
        memset(bytes, 0x55, sizeof bytes);
        memcpy(bytes, stored.bytes, stored.n);
        CU_ASSERT(!is_refused(&FILTERS(tolerant[i]), bytes, stored.n + 9, sizeof data));
        stored_free(&stored);
    }
}

static const struct test tests[] = {
    {"a stream cut anywhere is refused", a_stream_cut_anywhere_is_refused},
    {"a chunk of another size is refused", a_chunk_of_another_size_is_refused},
    {"an error names the filter and both sizes", an_error_names_the_filter_and_both_sizes},
    {"changed bytes do no harm", changed_bytes_do_no_harm},
    {"random bytes do no harm", random_bytes_do_no_harm},
    {"headers that lie are refused", headers_that_lie_are_refused},
    {"blocks that do not fit the chunk are refused", blocks_that_do_not_fit_the_chunk_are_refused},
    {"a zstd frame must be alone", a_zstd_frame_must_be_alone},
    {"bombs do not go off", bombs_do_not_go_off},
    {"what follows a complete stream is ignored, as HDF5 does",
     what_follows_a_complete_stream_is_ignored_as_hdf5_does},
};

int main(void)
{
    codec = bq_codec_create(4096, NULL);
    int rc = codec ? run_tests("codec, hostile", tests, sizeof tests / sizeof *tests) : 1;
    bq_codec_destroy(codec);
    return rc;
}
