/* The codec and HDF5 agree: what H5Dwrite stores our decode reads, and what our encode makes
 * H5Dread reads. With HDF5's own filters, and with the plug-ins that are installed; those that are
 * not are skipped and say so. */
#define H5_USE_110_API 1
#include <dlfcn.h>
#include <glob.h>
#include <hdf5.h>
#include <lzf.h>
#include <zstd.h>

#include "codec_kit.h"

static struct bq_codec *codec;

/* -- plug-ins ----------------------------------------------------------------------------- */

/* Takes the filter out of a plug-in, without its "set local": Debian binds bitshuffle's to another
 * flavour of HDF5. So the tests give all values themselves. */
static bool take_from(const char *file, H5Z_filter_t id)
{
    void *plugin = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    void *symbol = plugin ? dlsym(plugin, "H5PLget_plugin_info") : NULL;
    const void *(*info)(void);
    memcpy(&info, &symbol, sizeof info);
    H5Z_class2_t class = {0};
    if (symbol)
        memcpy(&class, info(), sizeof class);
    class.set_local = NULL;
    return symbol && class.id == id && H5Zregister(&class) >= 0;
}

/* Debian's lzf plug-in counts on the program for liblzf. */
static unsigned (*volatile lzf_is_linked)(const void *, unsigned, void *, unsigned) = lzf_compress;

static bool find_plugin(H5Z_filter_t id, const char *names)
{
    const char *const folders[] = {
        "/usr/lib/x86_64-linux-gnu/hdf5/serial/plugins",
        "/usr/lib/python3/dist-packages/bitshuffle/plugin", /* Debian: bitshuffle */
        "/usr/lib/python3/dist-packages/hdf5plugin/plugins",
        getenv("HDF5_PLUGIN_PATH"),
    };
    bool is_found = false;
    for (size_t i = 0; i < sizeof folders / sizeof *folders && !is_found; i++) {
        char pattern[1000];
        glob_t files;
        snprintf(pattern, sizeof pattern, "%s/%s", folders[i] ? folders[i] : "", names);
        if (glob(pattern, 0, NULL, &files) != 0)
            continue;
        for (size_t f = 0; f < files.gl_pathc && !is_found; f++)
            is_found = take_from(files.gl_pathv[f], id);
        globfree(&files);
    }
    return is_found;
}

/* zstd: Debian has no plug-in. */
static size_t zstd_filter(unsigned flags, size_t n_values, const unsigned values[], size_t n,
                          size_t *size, void **buffer)
{
    bool is_reading = flags & H5Z_FLAG_REVERSE;
    unsigned long long room =
        is_reading ? ZSTD_getFrameContentSize(*buffer, n) : ZSTD_compressBound(n);
    void *out = room < 1 << 24 ? malloc((size_t)room) : NULL;
    if (!out)
        return 0;
    size_t got = is_reading ? ZSTD_decompress(out, (size_t)room, *buffer, n)
                            : ZSTD_compress(out, (size_t)room, *buffer, n,
                                            n_values ? (int)values[0] : ZSTD_CLEVEL_DEFAULT);
    if (ZSTD_isError(got)) {
        free(out);
        return 0;
    }
    free(*buffer);
    *buffer = out;
    *size = (size_t)room;
    return got;
}

static const H5Z_class2_t zstd_class = {H5Z_CLASS_T_VERS, BQ_FILTER_ZSTD, 1,    1,
                                        "zstd",           NULL,           NULL, zstd_filter};

/* -- one dataset, one stored chunk --------------------------------------------------------- */

static hid_t type_of(size_t element)
{
    switch (element) {
    case 1:
        return H5Tcopy(H5T_STD_U8LE);
    case 2:
        return H5Tcopy(H5T_STD_I16LE);
    case 4:
        return H5Tcopy(H5T_IEEE_F32LE);
    case 8:
        return H5Tcopy(H5T_STD_I64LE);
    default: {
        hid_t type = H5Tcreate(H5T_OPAQUE, element);
        H5Tset_tag(type, "test");
        return type;
    }
    }
}

struct dataset {
    hid_t file, type, space, creation, id;
    struct bq_filters filters; /* with the values that HDF5 made of ours */
};

static int add_filter(hid_t creation, const struct bq_filter *filter)
{
    switch (filter->id) {
    case BQ_FILTER_SHUFFLE:
        return H5Pset_shuffle(creation);
    case BQ_FILTER_FLETCHER32:
        return H5Pset_fletcher32(creation);
    default:
        return H5Pset_filter(creation, (H5Z_filter_t)filter->id, H5Z_FLAG_OPTIONAL,
                             filter->n_values, filter->values);
    }
}

static void begin(struct dataset *set, const struct bq_filters *filters, size_t element,
                  hsize_t count)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, 1 << 16, 0);
    set->file = H5Fcreate("test_codec_hdf5.h5", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Pclose(access);
    set->type = type_of(element);
    set->space = H5Screate_simple(1, &count, NULL);
    set->creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(set->creation, 1, &count);
    for (uint32_t i = 0; i < filters->n; i++)
        CU_ASSERT(add_filter(set->creation, &filters->list[i]) >= 0);
    set->id =
        H5Dcreate2(set->file, "x", set->type, set->space, H5P_DEFAULT, set->creation, H5P_DEFAULT);
    CU_ASSERT_FATAL(set->id >= 0);
    hid_t made = H5Dget_create_plist(set->id);
    set->filters = *filters;
    for (uint32_t i = 0; i < filters->n; i++) {
        struct bq_filter *filter = &set->filters.list[i];
        unsigned flags;
        size_t n = BQ_MAX_FILTER_VALUES;
        H5Z_filter_t id = H5Pget_filter2(made, i, &flags, &n, filter->values, 0, NULL, NULL);
        CU_ASSERT(id == (H5Z_filter_t)filter->id && n <= BQ_MAX_FILTER_VALUES);
        filter->n_values = (uint32_t)n;
        CU_ASSERT(bq_codec_can_decode(filter) && bq_codec_can_encode(filter));
    }
    H5Pclose(made);
}

static void end(struct dataset *set)
{
    CU_ASSERT(H5Dclose(set->id) >= 0 && H5Pclose(set->creation) >= 0);
    CU_ASSERT(H5Sclose(set->space) >= 0 && H5Tclose(set->type) >= 0 && H5Fclose(set->file) >= 0);
}

static void agree(const struct bq_filters *filters, size_t element, size_t count,
                  enum data_kind kind)
{
    size_t size = element * count;
    unsigned failures = CU_get_number_of_failures();
    unsigned char *data = exactly(size), *back = exactly(size);
    fill_data(kind, data, size);
    /* H5Dwrite, and we read. */
    struct dataset set;
    begin(&set, filters, element, count);
    CU_ASSERT(H5Dwrite(set.id, set.type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    hsize_t n = 0, zero = 0;
    CU_ASSERT(H5Dflush(set.id) >= 0 && H5Dget_chunk_storage_size(set.id, &zero, &n) >= 0);
    struct stored stored = {exactly((size_t)n), (size_t)n, 0};
    CU_ASSERT(H5Dread_chunk(set.id, H5P_DEFAULT, &zero, &stored.mask, stored.bytes) >= 0);
    CU_ASSERT(gives(codec, &set.filters, &stored, data, size));
    stored_free(&stored);
    end(&set);
    /* We write, and H5Dread. */
    begin(&set, filters, element, count);
    stored = encode(codec, &set.filters, data, size);
    CU_ASSERT(H5Dwrite_chunk(set.id, H5P_DEFAULT, stored.mask, &zero, stored.n, stored.bytes) >= 0);
    CU_ASSERT(H5Dclose(set.id) >= 0); /* HDF5 1.10.8 forgets the mask until then */
    set.id = H5Dopen2(set.file, "x", H5P_DEFAULT);
    CU_ASSERT(H5Dread(set.id, set.type, H5S_ALL, H5S_ALL, H5P_DEFAULT, back) >= 0);
    CU_ASSERT(memcmp(back, data, size) == 0);
    stored_free(&stored);
    end(&set);
    if (CU_get_number_of_failures() != failures) {
        describe(filters, size);
        printf("    elements of %zu bytes, data %d\n", element, (int)kind);
    }
    free(data);
    free(back);
}

/* Shuffle gets its element size from HDF5, see begin; bitshuffle here. */
static void agree_everywhere(const struct bq_filters *filters)
{
    static const uint32_t elements[] = {1, 2, 4, 8, 3, 16};
    static const size_t counts[] = {1, 7, 8, 130, 1021, 5000};
    for (size_t e = 0; e < 6; e++) {
        struct bq_filters some = *filters;
        for (uint32_t i = 0; i < some.n; i++) {
            if (some.list[i].id == BQ_FILTER_BITSHUFFLE)
                some.list[i].values[2] = elements[e];
        }
        for (size_t c = 0; c < 6; c++)
            agree(&some, elements[e], counts[c], (enum data_kind)random_below(DATA_KINDS));
    }
}

static void hdf5s_own_filters_agree(void)
{
    random_start(1);
    agree_everywhere(&FILTERS(SHUFFLE(0)));
    agree_everywhere(&FILTERS(FLETCHER));
    agree_everywhere(&FILTERS(DEFLATE(4)));
    agree_everywhere(&FILTERS(SHUFFLE(0), DEFLATE(1)));
    agree_everywhere(&FILTERS(SHUFFLE(0), DEFLATE(6), FLETCHER));
    agree_everywhere(&FILTERS(FLETCHER, SHUFFLE(0), DEFLATE(2)));
    agree_everywhere(&FILTERS(DEFLATE(3), FLETCHER, DEFLATE(1)));
}

static void every_level_of_deflate_agrees(void)
{
    random_start(2);
    for (uint32_t level = 0; level <= 9; level++) {
        agree(&FILTERS(SHUFFLE(0), DEFLATE(level)), 4, 9000, DATA_SMOOTH);
        agree(&FILTERS(DEFLATE(level)), 4, 9000, DATA_REPEATS);
    }
    agree(&FILTERS(SHUFFLE(0), DEFLATE(1), FLETCHER), 4, 1 << 18, DATA_SMOOTH);
}

static void zstd_agrees(void)
{
    random_start(3);
    CU_ASSERT_FATAL(H5Zregister(&zstd_class) >= 0);
    agree_everywhere(&FILTERS(ZSTD(3)));
    agree_everywhere(&FILTERS(SHUFFLE(0), ZSTD(1), FLETCHER));
    agree_everywhere(&FILTERS(SHUFFLE(0), ZSTD(0), DEFLATE(2)));
}

static void lzf_agrees(void)
{
    random_start(4);
    agree_everywhere(&FILTERS(LZF(80000)));
    agree_everywhere(&FILTERS(SHUFFLE(0), LZF(80000), FLETCHER));
    agree(&FILTERS(SHUFFLE(0), LZF(1 << 20)), 4, 1 << 18, DATA_SMOOTH);
}

static void lz4_agrees(void)
{
    random_start(5);
    agree_everywhere(&FILTERS(LZ4(0)));
    agree_everywhere(&FILTERS(SHUFFLE(0), LZ4(100), FLETCHER));
    agree_everywhere(&FILTERS(LZ4(1000), DEFLATE(2)));
    agree(&FILTERS(SHUFFLE(0), LZ4(0)), 4, 1 << 18, DATA_SMOOTH);
}

static void bitshuffle_agrees(void)
{
    random_start(6);
    agree_everywhere(&FILTERS(BITS(0, 0, 0)));
    agree_everywhere(&FILTERS(BITS(0, 0, 2)));
    agree_everywhere(&FILTERS(BITS(0, 64, 0), DEFLATE(2)));
    agree_everywhere(&FILTERS(BITS(0, 64, 2), FLETCHER));
    agree(&FILTERS(BITS(4, 0, 2)), 4, 1 << 18, DATA_SMOOTH);
}

int main(void)
{
    const struct {
        int filter; /* 0: HDF5 has what it needs */
        const char *plugin;
        struct test test;
    } all[] = {
        {0, NULL, {"HDF5's own filters agree", hdf5s_own_filters_agree}},
        {0, NULL, {"every level of deflate agrees", every_level_of_deflate_agrees}},
        {0, NULL, {"zstd agrees", zstd_agrees}},
        {BQ_FILTER_LZF, "*[lL][zZ][fF]*.so", {"lzf agrees", lzf_agrees}},
        {BQ_FILTER_LZ4, "libh5lz4*.so", {"lz4 agrees", lz4_agrees}},
        {BQ_FILTER_BITSHUFFLE, "libh5bshuf*.so", {"bitshuffle agrees", bitshuffle_agrees}},
    };
    struct test tests[sizeof all / sizeof *all];
    size_t n = 0;
    H5open();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    (void)lzf_is_linked;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i].filter && !find_plugin(all[i].filter, all[i].plugin))
            printf("skipped: 1 test, %s (no plug-in %s)\n", all[i].test.sentence, all[i].plugin);
        else
            tests[n++] = all[i].test;
    }
    codec = bq_codec_create((size_t)1 << 20, NULL);
    int rc = codec ? run_tests("codec, hdf5", tests, n) : 1;
    bq_codec_destroy(codec);
    return rc;
}
