/* The codec: what it encodes it decodes, whatever the filters, sizes and bytes; each filter does
 * what its definition says. Bytes that lie are test_codec_hostile.c's, and what HDF5 itself makes
 * of the streams is test_codec_hdf5.c's. */
#include "codec_kit.h"

#include <lzf.h>

#include "base/heap.h"

static struct bq_codec *codec;

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static const size_t sizes[] = {0,   1,    2,    3,    7,    8,    9,    15,   16,   17,   31,
                               63,  64,   65,   100,  127,  255,  256,  257,  509,  510,  511,
                               513, 1021, 1024, 2047, 4096, 4099, 8191, 8192, 8200, 16411};
#define N_SIZES (sizeof sizes / sizeof *sizes)

/* -- there and back ----------------------------------------------------------------------- */

static void every_filter_alone_gives_back_what_it_got(void)
{
    random_start(1);
    const struct bq_filter filters[] = {
        DEFLATE(0),     DEFLATE(1),    DEFLATE(2),     DEFLATE(6),     FLETCHER,      LZF(0),
        LZ4(0),         LZ4(16),       LZ4(1000),      ZSTD(0),        ZSTD(1),       ZSTD(5),
        SHUFFLE(1),     SHUFFLE(2),    SHUFFLE(3),     SHUFFLE(4),     SHUFFLE(7),    SHUFFLE(8),
        SHUFFLE(12),    SHUFFLE(16),   SHUFFLE(300),   BITS(1, 0, 0),  BITS(2, 0, 0), BITS(3, 0, 0),
        BITS(4, 0, 0),  BITS(8, 0, 0), BITS(8, 8, 0),  BITS(40, 0, 0), BITS(1, 0, 2), BITS(4, 0, 2),
        BITS(4, 24, 2), BITS(8, 0, 2), BITS(16, 0, 2), BITS(4, 0, 3),  BITS(8, 64, 3)};
    for (size_t f = 0; f < sizeof filters / sizeof *filters; f++) {
        for (size_t s = 0; s < N_SIZES; s++) {
            for (int kind = 0; kind < DATA_KINDS; kind++)
                round_trip(codec, &FILTERS(filters[f]), (enum data_kind)kind, sizes[s]);
        }
    }
}

static void every_level_gives_back_what_it_got(void)
{
    random_start(2);
    for (uint32_t level = 0; level <= 9; level++)
        round_trip(codec, &FILTERS(SHUFFLE(4), DEFLATE(level)), DATA_SMOOTH, 20000 + level);
    for (uint32_t level = 0; level <= 22; level++)
        round_trip(codec, &FILTERS(SHUFFLE(4), ZSTD(level)), DATA_SMOOTH, 20000 + level);
}

static void large_chunks_come_back_too(void)
{
    random_start(3);
    const struct bq_filters large[] = {
        FILTERS(SHUFFLE(4), DEFLATE(1)), FILTERS(SHUFFLE(4), DEFLATE(2), FLETCHER),
        FILTERS(SHUFFLE(4), ZSTD(1)),    FILTERS(SHUFFLE(8), LZ4(0)),
        FILTERS(SHUFFLE(2), LZF(0)),     FILTERS(BITS(4, 0, 2)),
        FILTERS(BITS(8, 0, 3)),          FILTERS(BITS(4, 0, 0), ZSTD(3)),
        FILTERS(LZ4(4096), FLETCHER)};
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        round_trip(codec, &large[i], DATA_SMOOTH, MIB);
        round_trip(codec, &large[i], DATA_RANDOM, MIB + 13);
    }
}

static struct bq_filter random_filter(void)
{
    static const uint32_t elements[] = {1, 2, 3, 4, 5, 8, 12, 16, 24};
    uint32_t element = elements[random_below(9)];
    switch (random_below(8)) {
    case 0:
        return DEFLATE((uint32_t)random_below(5));
    case 1:
        return FLETCHER;
    case 2:
        return LZF(0);
    case 3:
        return LZ4((uint32_t)random_below(2) * (uint32_t)(1 + random_below(3000)));
    case 4:
        return ZSTD((uint32_t)random_below(4));
    case 5:
        return BITS(element, 8 * (uint32_t)random_below(9), (uint32_t)random_below(2) * 2);
    case 6:
        return BITS(element, 8 * (uint32_t)random_below(9), 3);
    default:
        return SHUFFLE(element);
    }
}

static void any_filters_in_any_order_give_back_what_they_got(void)
{
    random_start(4);
    for (int round = 0; round < 3000; round++) {
        struct bq_filters filters = {.n = (uint32_t)random_below(BQ_MAX_FILTERS + 1)};
        for (uint32_t i = 0; i < filters.n; i++)
            filters.list[i] = random_filter();
        size_t size = random_below(2) ? sizes[random_below(N_SIZES)] : random_below(6000);
        round_trip(codec, &filters, (enum data_kind)random_below(DATA_KINDS), size);
    }
}

static void a_stored_chunk_may_lack_any_of_the_filters(void)
{
    random_start(5);
    const struct bq_filters all =
        FILTERS(SHUFFLE(4), FLETCHER, LZF(0), BITS(4, 0, 0), DEFLATE(2), FLETCHER);
    unsigned char data[2000];
    fill_data(DATA_SMOOTH, data, sizeof data);
    for (uint32_t mask = 0; mask < 64; mask++) {
        struct bq_filters some = {.n = 0};
        for (uint32_t i = 0; i < all.n; i++) {
            if (!(mask >> i & 1))
                some.list[some.n++] = all.list[i];
        }
        struct stored stored = encode(codec, &some, data, sizeof data);
        uint32_t left = mask, at = 0;
        for (uint32_t i = 0; i < all.n; i++) {
            if (!(mask >> i & 1))
                left |= (stored.mask >> at++ & 1) << i;
        }
        stored.mask = left | 0xffffffc0; /* bits of filters that there are not mean nothing */
        CU_ASSERT(gives(codec, &all, &stored, data, sizeof data));
        stored_free(&stored);
    }
}

static void what_does_not_shrink_is_stored_without_the_compressor(void)
{
    random_start(6);
    unsigned char data[3001];
    fill_data(DATA_RANDOM, data, sizeof data);
    const struct bq_filter compressors[] = {DEFLATE(0), DEFLATE(1), DEFLATE(5),    LZF(0),
                                            LZ4(0),     ZSTD(1),    BITS(1, 0, 2), BITS(1, 0, 3)};
    for (size_t i = 0; i < sizeof compressors / sizeof *compressors; i++) {
        struct stored stored = encode(codec, &FILTERS(compressors[i]), data, sizeof data);
        CU_ASSERT(stored.mask == 1 && stored.n == sizeof data);
        CU_ASSERT(memcmp(stored.bytes, data, sizeof data) == 0);
        stored_free(&stored);
        stored = encode(codec, &FILTERS(FLETCHER, compressors[i], SHUFFLE(4), FLETCHER), data,
                        sizeof data);
        CU_ASSERT(stored.mask == 2 && stored.n == sizeof data + 8);
        stored_free(&stored);
    }
    struct stored stored = encode(codec, &FILTERS(BITS(8, 0, 0)), data, sizeof data);
    CU_ASSERT(stored.mask == 1); /* 3001 is not a number of whole elements */
    stored_free(&stored);
}

static void a_stream_as_long_as_the_chunk_is_not_kept(void)
{
    random_start(21);
    const struct bq_filter lz[] = {LZF(0), LZ4(0), DEFLATE(1), DEFLATE(2), ZSTD(1)};
    for (size_t i = 0; i < sizeof lz / sizeof *lz; i++) {
        for (size_t literals = 3; literals < 120; literals++) {
            for (size_t again = 3; again < 9 && again <= literals; again++) {
                unsigned char data[130];
                fill_data(DATA_RANDOM, data, literals);
                memcpy(data + literals, data, again);
                round_trip_data(codec, &FILTERS(lz[i]), data, literals + again);
            }
        }
    }
}

static void equal_chunks_make_equal_streams(void)
{
    random_start(7);
    unsigned char data[40000], other[40000];
    for (int round = 0; round < 40; round++) {
        struct bq_filters filters = FILTERS(random_filter(), random_filter());
        size_t size = 1 + random_below(sizeof data);
        fill_data((enum data_kind)random_below(DATA_KINDS), data, size);
        fill_data((enum data_kind)random_below(DATA_KINDS), other, sizeof other);
        struct bq_codec *fresh = bq_codec_create(size, NULL);
        struct stored a = encode(fresh, &filters, data, size), b;
        b = encode(codec, &filters, other, sizeof other); /* leaves its traces */
        stored_free(&b);
        b = encode(codec, &filters, data, size);
        CU_ASSERT(a.n == b.n && a.mask == b.mask && memcmp(a.bytes, b.bytes, a.n) == 0);
        stored_free(&a);
        stored_free(&b);
        bq_codec_destroy(fresh);
    }
}

/* -- definitions -------------------------------------------------------------------------- */

static void shuffle_puts_bytes_of_equal_significance_side_by_side(void)
{
    for (size_t element = 1; element < 20; element++) {
        for (size_t size = 0; size < 700; size += 1 + size / 9) {
            unsigned char data[700], out[700];
            size_t n = size / element;
            fill_data(DATA_RANDOM, data, size);
            codec_shuffle(element, data, out, size);
            for (size_t i = 0; i < n * element; i++)
                CU_ASSERT_FATAL(out[i % element * n + i / element] == data[i]);
            CU_ASSERT(memcmp(out + n * element, data + n * element, size % element) == 0);
        }
    }
}

/* Bit b of byte j of element i is bit i % 8 of byte i / 8 in row 8 j + b, block by block. */
static void bits_by_definition(size_t element, size_t block, const unsigned char *in,
                               unsigned char *out, size_t count)
{
    for (size_t left = count / 8 * 8; left > 0; left -= block) {
        block = block < left ? block : left;
        memset(out, 0, block * element);
        for (size_t i = 0; i < block * element * 8; i++) {
            size_t e = i / 8 / element, row = i % (8 * element);
            out[row * (block / 8) + e / 8] |= (unsigned char)((in[i / 8] >> i % 8 & 1) << e % 8);
        }
        in += block * element;
        out += block * element;
    }
    memcpy(out, in, count % 8 * element);
}

static void bitshuffle_puts_bits_of_equal_significance_side_by_side(void)
{
    random_start(8);
    for (int round = 0; round < 300; round++) {
        uint32_t element = (uint32_t)(1 + random_below(random_below(5) ? 9 : 140));
        uint32_t block = random_below(2) ? 0 : 8 * (uint32_t)random_below(60);
        size_t count = random_below(40000) / element, size = count * element;
        unsigned char *data = exactly(size), *want = exactly(size);
        fill_data(DATA_RANDOM, data, size);
        size_t standard = 8192 / element / 8 * 8;
        standard = standard > 128 ? standard : 128;
        bits_by_definition(element, block ? block : standard, data, want, count);
        struct stored stored = encode(codec, &FILTERS(BITS(element, block, 0)), data, size);
        CU_ASSERT(stored.n == size && memcmp(stored.bytes, want, size) == 0);
        stored_free(&stored);
        free(data);
        free(want);
    }
}

/* HDF5's H5_checksum_fletcher32, word by word. */
static uint32_t sum_by_definition(const unsigned char *data, size_t n)
{
    uint64_t sum = 0, sums = 0;
    for (size_t i = 0; i < n; i += 2) {
        sum += (uint64_t)data[i] << 8 | (i + 1 < n ? data[i + 1] : 0);
        sum = sum > 65535 ? sum - 65535 : sum;
        sums += sum;
        sums = sums > 65535 ? sums - 65535 : sums;
    }
    return (uint32_t)(sums << 16 | sum);
}

static void fletcher32_is_the_sum_that_hdf5_takes(void)
{
    random_start(9);
    unsigned char data[5000];
    for (int round = 0; round < 400; round++) {
        size_t n = random_below(sizeof data);
        fill_data((enum data_kind)random_below(DATA_KINDS), data, n);
        if (random_below(8) == 0)
            memset(data, 0xff, n); /* words that are 0 modulo 65535 */
        CU_ASSERT_EQUAL(codec_sum(data, n), sum_by_definition(data, n));
    }
}

static void fletcher32_sees_a_changed_bit_and_takes_the_order_of_old_libraries(void)
{
    random_start(10);
    const struct bq_filters filters = FILTERS(FLETCHER);
    unsigned char data[333], out[333];
    fill_data(DATA_SMOOTH, data, sizeof data);
    struct stored stored = encode(codec, &filters, data, sizeof data);
    for (size_t bit = 0; bit < 8 * stored.n; bit++) {
        stored.bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        struct bq_error err = {0};
        CU_ASSERT_EQUAL(
            bq_codec_decode(codec, &filters, 0, stored.bytes, stored.n, out, sizeof out, &err), -1);
        CU_ASSERT(err.exit == BQ_EXIT_FAILED && strstr(err.text, "fletcher32 (filter 1 of 1)"));
        stored.bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    unsigned char *sum = stored.bytes + sizeof data, old[4] = {sum[1], sum[0], sum[3], sum[2]};
    memcpy(sum, old, 4);
    CU_ASSERT(gives(codec, &filters, &stored, data, sizeof data));
    stored_free(&stored);
}

static void lzf_and_liblzf_understand_each_other(void)
{
    random_start(11);
    const struct bq_filters filters = FILTERS(LZF(0));
    unsigned char data[20000], out[20000];
    for (int round = 0; round < 300; round++) {
        size_t n = 1 + random_below(random_below(2) ? 100 : sizeof data);
        fill_data((enum data_kind)random_below(DATA_RANDOM), data, n);
        struct stored stored = encode(codec, &filters, data, n);
        if (stored.mask == 0) {
            CU_ASSERT_EQUAL(lzf_decompress(stored.bytes, (unsigned)stored.n, out, (unsigned)n), n);
            CU_ASSERT(memcmp(out, data, n) == 0);
        }
        stored_free(&stored);
        size_t theirs = lzf_compress(data, (unsigned)n, out, (unsigned)n);
        if (theirs) {
            stored = stored_copy(out, theirs, 0);
            CU_ASSERT(gives(codec, &filters, &stored, data, n));
            stored_free(&stored);
        }
    }
}

static void a_zstd_frame_need_not_tell_its_size(void)
{
    random_start(12);
    unsigned char data[9000], out[9000];
    fill_data(DATA_SMOOTH, data, sizeof data);
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_contentSizeFlag, 0);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
    size_t n = ZSTD_compress2(zstd, out, sizeof out, data, sizeof data);
    ZSTD_freeCCtx(zstd);
    CU_ASSERT_FATAL(!ZSTD_isError(n));
    struct stored stored = stored_copy(out, n, 0);
    CU_ASSERT(gives(codec, &FILTERS(ZSTD(3)), &stored, data, sizeof data));
    stored_free(&stored);
}

static void values_that_make_no_sense_are_not_known(void)
{
    const struct bq_filter no[] = {{305, 0, {0}},
                                   {BQ_FILTER_DEFLATE, 0, {0}},
                                   DEFLATE(10),
                                   {BQ_FILTER_SHUFFLE, 0, {0}},
                                   SHUFFLE(0),
                                   {BQ_FILTER_ZSTD, 9, {0}},
                                   {BQ_FILTER_BITSHUFFLE, 2, {0, 4}},
                                   BITS(0, 0, 0),
                                   BITS(4, 7, 0),
                                   BITS(4, 0, 1),
                                   BITS(4, 0, 4)};
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        CU_ASSERT(!bq_codec_can_decode(&no[i]) && !bq_codec_can_encode(&no[i]));
    const struct bq_filter only_decode[] = {ZSTD(23), ZSTD(0xffffffff), BITS(1000, 1u << 31, 2)};
    for (size_t i = 0; i < sizeof only_decode / sizeof *only_decode; i++)
        CU_ASSERT(bq_codec_can_decode(&only_decode[i]) && !bq_codec_can_encode(&only_decode[i]));
    const struct bq_filter yes[] = {{BQ_FILTER_ZSTD, 0, {0}},
                                    {BQ_FILTER_LZ4, 0, {0}},
                                    {BQ_FILTER_LZF, 0, {0}},
                                    {BQ_FILTER_BITSHUFFLE, 3, {0, 4, 4}}};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        CU_ASSERT(bq_codec_can_decode(&yes[i]) && bq_codec_can_encode(&yes[i]));
        round_trip(codec, &FILTERS(yes[i]), DATA_SMOOTH, 4000);
    }
}

/* -- memory ------------------------------------------------------------------------------- */

/* Without the libraries' contexts. */
static size_t scratch_of(const struct bq_codec *one)
{
    return sizeof *one + one->between[0].size + one->between[1].size + one->block.size +
           (one->lzf ? sizeof *one->lzf << CODEC_LZF_LOG : 0);
}

static void a_codec_takes_no_more_memory_than_it_says(void)
{
    random_start(18);
    const struct bq_filters deep[] = {FILTERS(SHUFFLE(4), SHUFFLE(2), LZ4(0)),
                                      FILTERS(FLETCHER, SHUFFLE(4), LZF(0)),
                                      FILTERS(LZF(0), LZ4(0)), FILTERS(LZ4(0), SHUFFLE(2), LZ4(0)),
                                      FILTERS(BITS(4, 1 << 17, 2), LZ4(0))};
    for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
        struct bq_codec *one = bq_codec_create(MIB, NULL);
        round_trip(one, &deep[i], DATA_SMOOTH, MIB);
        CU_ASSERT(scratch_of(one) <= bq_codec_memory(MIB, &deep[i]));
        bq_codec_destroy(one);
    }
    CU_ASSERT(bq_codec_memory(SIZE_MAX / 4, &FILTERS(DEFLATE(9), ZSTD(22))) >= SIZE_MAX / 4);
    CU_ASSERT(bq_codec_create(SIZE_MAX - 3, NULL) == NULL);
}

static void a_zstd_context_takes_no_more_memory_than_it_says(void)
{
    random_start(20);
    static const size_t chunks[] = {1000, 16 * KIB, 65 * KIB, MIB / 2 + 1, MIB};
    for (uint32_t level = 0; level <= 19; level += 1 + level / 6) {
        for (size_t i = 0; i < (level > 9 ? 3 : 5); i++) {
            struct bq_codec *one = bq_codec_create(chunks[i], NULL);
            const struct bq_filters filters = FILTERS(ZSTD(level));
            round_trip(one, &filters, DATA_SMOOTH, chunks[i]);
            size_t contexts = ZSTD_sizeof_CCtx(one->zstd) + ZSTD_sizeof_DCtx(one->unzstd);
            CU_ASSERT(contexts + scratch_of(one) <= bq_codec_memory(chunks[i], &filters));
            bq_codec_destroy(one);
        }
    }
}

static void nothing_is_allocated_once_the_largest_chunk_has_passed(void)
{
    random_start(19);
    const struct bq_filters some[] = {
        FILTERS(SHUFFLE(4), DEFLATE(1)), FILTERS(SHUFFLE(4), DEFLATE(5), FLETCHER),
        FILTERS(BITS(4, 0, 2)),          FILTERS(LZF(0), LZ4(0)),
        FILTERS(DEFLATE(2), ZSTD(1)),    FILTERS(SHUFFLE(4), SHUFFLE(2), LZ4(0))};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        struct bq_codec *one = bq_codec_create(30000, NULL);
        round_trip(one, &some[i], DATA_SMOOTH, 30000);
        bq_heap_fail_at(1);
        round_trip(one, &some[i], DATA_SMOOTH, 29996);
        round_trip(one, &some[i], DATA_SMOOTH, 30000);
        bq_heap_fail_at(0);
        bq_codec_destroy(one);
    }
}

static void running_out_of_memory_is_an_error(void)
{
    struct bq_error err = {0};
    unsigned char data[4000], out[4100], back[4000];
    fill_data(DATA_SMOOTH, data, sizeof data);
    const struct bq_filters filters =
        FILTERS(SHUFFLE(4), BITS(4, 0, 2), LZF(0), DEFLATE(1), SHUFFLE(2), ZSTD(1));
    bool has_failed = true;
    for (unsigned long n = 1; has_failed; n++) {
        size_t stored = 0;
        uint32_t mask = 0;
        bq_heap_fail_at(n);
        struct bq_codec *poor = bq_codec_create(sizeof data, &err);
        has_failed =
            !poor ||
            bq_codec_encode(poor, &filters, data, sizeof data, out, sizeof out, &stored, &mask,
                            &err) < 0 ||
            bq_codec_decode(poor, &filters, mask, out, stored, back, sizeof back, &err) < 0;
        bq_heap_fail_at(0);
        CU_ASSERT(!has_failed || strstr(err.text, "out of memory") != NULL);
        CU_ASSERT(has_failed || memcmp(back, data, sizeof data) == 0);
        bq_codec_destroy(poor);
        CU_ASSERT_FATAL(n < 30);
    }
}

static const struct test tests[] = {
    {"every filter alone gives back what it got", every_filter_alone_gives_back_what_it_got},
    {"every level gives back what it got", every_level_gives_back_what_it_got},
    {"large chunks come back too", large_chunks_come_back_too},
    {"any filters in any order give back what they got",
     any_filters_in_any_order_give_back_what_they_got},
    {"a stored chunk may lack any of the filters", a_stored_chunk_may_lack_any_of_the_filters},
    {"what does not shrink is stored without the compressor",
     what_does_not_shrink_is_stored_without_the_compressor},
    {"a stream as long as the chunk is not kept", a_stream_as_long_as_the_chunk_is_not_kept},
    {"equal chunks make equal streams", equal_chunks_make_equal_streams},
    {"shuffle puts bytes of equal significance side by side",
     shuffle_puts_bytes_of_equal_significance_side_by_side},
    {"bitshuffle puts bits of equal significance side by side",
     bitshuffle_puts_bits_of_equal_significance_side_by_side},
    {"fletcher32 is the sum that HDF5 takes", fletcher32_is_the_sum_that_hdf5_takes},
    {"fletcher32 sees a changed bit and takes the order of old libraries",
     fletcher32_sees_a_changed_bit_and_takes_the_order_of_old_libraries},
    {"lzf and liblzf understand each other", lzf_and_liblzf_understand_each_other},
    {"a zstd frame need not tell its size", a_zstd_frame_need_not_tell_its_size},
    {"values that make no sense are not known", values_that_make_no_sense_are_not_known},
    {"a codec takes no more memory than it says", a_codec_takes_no_more_memory_than_it_says},
    {"a zstd context takes no more memory than it says",
     a_zstd_context_takes_no_more_memory_than_it_says},
    {"nothing is allocated once the largest chunk has passed",
     nothing_is_allocated_once_the_largest_chunk_has_passed},
    {"running out of memory is an error", running_out_of_memory_is_an_error},
};

int main(void)
{
    codec = bq_codec_create(4096, NULL); /* it must also grow */
    int rc = codec ? run_tests("codec", tests, sizeof tests / sizeof *tests) : 1;
    bq_codec_destroy(codec);
    return rc;
}
