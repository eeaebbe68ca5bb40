/* Datasets of all kinds for test_read_product.c: number types, filters, and how one is made by the
 * HDF5 library, as a struct recipe says. */
#ifndef BQ_TESTS_PRODUCT_KIT_H
#define BQ_TESTS_PRODUCT_KIT_H

#include "adapters/store_internal.h" /* store_want_filter */

#include <stdarg.h>

#include "random.h"
#include "store_fixture.h"

enum { MOST_TYPES = 64, MOST_DATA = 20000 /* elements */, MOST_COMPACT = 60000 /* bytes */ };

/* -- types -------------------------------------------------------------------------------- */

static struct kind {
    char name[24];
    hid_t stored;
    enum bq_type native;
    bool is_plain; /* cooks can read it; else the library must */
} kinds[MOST_TYPES];
static unsigned n_kinds;

static void add_kind(hid_t stored, enum bq_type native, bool is_plain, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void add_kind(hid_t stored, enum bq_type native, bool is_plain, const char *format, ...)
{
    va_list args;
    if (stored < 0 || n_kinds == MOST_TYPES)
        abort();
    struct kind *kind = &kinds[n_kinds++];
    *kind = (struct kind){.stored = stored, .native = native, .is_plain = is_plain};
    va_start(args, format);
    vsnprintf(kind->name, sizeof kind->name, format, args);
    va_end(args);
}

static hid_t integer(size_t size, size_t precision, size_t offset, bool is_signed, bool is_big)
{
    hid_t type = H5Tcopy(is_signed ? H5T_STD_I64LE : H5T_STD_U64LE);
    H5Tset_order(type, is_big ? H5T_ORDER_BE : H5T_ORDER_LE);
    H5Tset_precision(type, precision);
    H5Tset_size(type, size);
    H5Tset_offset(type, offset);
    return type;
}

/* A float of 2 bytes: half precision, or the upper half of a float. */
static hid_t short_float(size_t exponent, bool is_big)
{
    hid_t type = H5Tcopy(is_big ? H5T_IEEE_F32BE : H5T_IEEE_F32LE);
    H5Tset_fields(type, 15, 15 - exponent, exponent, 0, 15 - exponent);
    H5Tset_precision(type, 16);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, exponent == 5 ? 15 : 127);
    return type;
}

static hid_t enumeration(hid_t base)
{
    hid_t type = H5Tenum_create(base);
    H5Tenum_insert(type, "NO", &(uint64_t){0});
    H5Tenum_insert(type, "ALL", &(uint64_t){UINT64_MAX});
    return type;
}

static void make_kinds(void)
{
    static const enum bq_type of_size[][2] = {{BQ_U8, BQ_I8},   {BQ_U8, BQ_I8},   {BQ_U16, BQ_I16},
                                              {BQ_U32, BQ_I32}, {BQ_U32, BQ_I32}, {BQ_U64, BQ_I64},
                                              {BQ_U64, BQ_I64}, {BQ_U64, BQ_I64}, {BQ_U64, BQ_I64}};
    for (unsigned size = 1; size <= 8; size++) {
        for (unsigned form = 0; form < 4; form++)
            add_kind(integer(size, 8 * size, 0, form & 1, form & 2), of_size[size][form & 1], true,
                     "%sint%u%s", form & 1 ? "" : "u", 8 * size, form & 2 ? "be" : "le");
    }
    for (int big = 0; big < 2; big++) {
        const char *order = big ? "be" : "le";
        add_kind(short_float(5, big), BQ_F32, true, "float16%s", order);
        add_kind(H5Tcopy(big ? H5T_IEEE_F32BE : H5T_IEEE_F32LE), BQ_F32, true, "float32%s", order);
        add_kind(H5Tcopy(big ? H5T_IEEE_F64BE : H5T_IEEE_F64LE), BQ_F64, true, "float64%s", order);
        add_kind(short_float(8, big), BQ_F32, false, "bfloat16%s", order);
    }
    add_kind(enumeration(H5T_STD_I8LE), BQ_I8, true, "enum-int8le");
    add_kind(enumeration(H5T_STD_U16BE), BQ_U16, true, "enum-uint16be");
    add_kind(integer(2, 12, 4, false, false), BQ_U16, false, "uint12in16le");
    add_kind(integer(4, 20, 3, true, true), BQ_I32, false, "int20in32be");
    add_kind(integer(8, 7, 0, true, false), BQ_I8, false, "int7in64le");
    add_kind(H5Tcopy(H5T_NATIVE_LDOUBLE), BQ_F64, false, "longdouble");
}

/* Every bit pattern may come; for floats the odd ones do: NaNs that signal or carry something,
 * infinities, zeros with a sign, denormals, the largest. */
static void fill_raw(const struct kind *kind, size_t n, unsigned char *raw)
{
    static const uint64_t odd64[] = {0x7ff0000000000001, 0xfff8000000012345, 0x7ff0000000000000,
                                     0xfff0000000000000, 0x8000000000000000, 0x0000000000000001,
                                     0x800fffffffffffff, 0x7fefffffffffffff};
    static const uint64_t odd32[] = {0x7f800001, 0xffc12345, 0x7f800000, 0xff800000,
                                     0x80000000, 0x00000001, 0x807fffff, 0x7f7fffff};
    static const uint64_t odd16[] = {0x7c01, 0xfe23, 0x7c00, 0xfc00,
                                     0x8000, 0x0001, 0x83ff, 0x7bff};
    size_t size = H5Tget_size(kind->stored);
    bool is_float = H5Tget_class(kind->stored) == H5T_FLOAT && size <= 8;
    bool is_smooth = random_below(2); /* compresses */
    bool is_big = H5Tget_order(kind->stored) == H5T_ORDER_BE;
    uint64_t value = random_next();
    for (size_t i = 0; i < n; i++, raw += size) {
        value = is_smooth ? value + random_below(3) : random_next();
        uint64_t x = value;
        if (is_float && random_below(4) == 0) {
            const uint64_t *odd = size == 8 ? odd64 : size == 4 ? odd32 : odd16;
            x = odd[random_below(8)];
        }
        for (size_t k = 0; k < size; k++)
            raw[is_big ? size - 1 - k : k] = (unsigned char)(k < 8 ? x >> 8 * k : 0x3f);
    }
}

/* -- filters ------------------------------------------------------------------------------ */

enum { LZ4_SMALL = -4, BITS_BARE = -1, BITS_LZ4 = -2, BITS_ZSTD = -3, BZIP2 = 307 };

static const struct chain {
    const char *name;
    int filters[8];         /* 0: no more */
    const char *by_library; /* how the reason begins, when cooks cannot undo it */
} chains[] = {
    {"none", {0}, ""},
    {"deflate", {1}, ""},
    {"shuffle", {2}, ""},
    {"shuffle+deflate", {2, 1}, ""},
    {"fletcher32", {3}, ""},
    {"fletcher32+deflate", {3, 1}, ""},
    {"shuffle+deflate+fletcher32", {2, 1, 3}, ""},
    {"lzf", {BQ_FILTER_LZF}, ""},
    {"shuffle+lzf+fletcher32", {2, BQ_FILTER_LZF, 3}, ""},
    {"lz4", {BQ_FILTER_LZ4}, ""},
    {"shuffle+lz4 of small blocks", {2, LZ4_SMALL}, ""},
    {"zstd", {BQ_FILTER_ZSTD}, ""},
    {"shuffle+zstd+fletcher32", {2, BQ_FILTER_ZSTD, 3}, ""},
    {"bitshuffle", {BITS_BARE}, ""},
    {"bitshuffle with lz4", {BITS_LZ4}, ""},
    {"bitshuffle with zstd", {BITS_ZSTD}, ""},
    {"six filters", {3, 2, 1, BITS_BARE, BQ_FILTER_ZSTD, 3}, ""},
    {"seven filters", {3, 2, 1, BITS_BARE, BQ_FILTER_ZSTD, 3, 3}, "its filters are too many"},
    {"szip", {H5Z_FILTER_SZIP}, "filter 4 szip"},
    {"nbit", {H5Z_FILTER_NBIT}, "filter 5 nbit"},
    {"scaleoffset", {H5Z_FILTER_SCALEOFFSET}, "filter 6 scaleoffset"},
    {"bzip2", {BZIP2}, "filter 307 HDF5 bzip2 filter"},
};
enum { N_CHAINS = sizeof chains / sizeof *chains };

/* Ours is used where the library knows none. */
static int filter_id(int filter)
{
    return filter == LZ4_SMALL ? BQ_FILTER_LZ4 : filter < 0 ? BQ_FILTER_BITSHUFFLE : filter;
}

static bool is_installed(const struct chain *chain)
{
    for (int i = 0; i < 8 && chain->filters[i]; i++) {
        int id = filter_id(chain->filters[i]);
        store_lock();
        store_want_filter((uint32_t)id);
        store_unlock();
        if (H5Zfilter_avail(id) <= 0)
            return false;
    }
    return true;
}

static herr_t add_filter(hid_t creation, int filter, size_t element, size_t chunk_bytes)
{
    const unsigned lzf[] = {4, 0x105, (unsigned)chunk_bytes}, lz4[] = {24}, zstd[] = {3};
    unsigned bits[] = {0, 4, (unsigned)element, 0, 0};
    hid_t made = creation;
    switch (filter) {
    case H5Z_FILTER_DEFLATE:
        return H5Pset_deflate(made, 1 + (unsigned)random_below(9));
    case H5Z_FILTER_SHUFFLE:
        return H5Pset_shuffle(made);
    case H5Z_FILTER_FLETCHER32:
        return H5Pset_fletcher32(made);
    case H5Z_FILTER_SZIP:
        return H5Pset_szip(made, H5_SZIP_NN_OPTION_MASK, 4);
    case H5Z_FILTER_NBIT:
        return H5Pset_nbit(made);
    case H5Z_FILTER_SCALEOFFSET:
        return H5Pset_scaleoffset(made, H5Z_SO_INT, H5Z_SO_INT_MINBITS_DEFAULT);
    case BQ_FILTER_LZF:
        return H5Pset_filter(made, BQ_FILTER_LZF, H5Z_FLAG_OPTIONAL, 3, lzf);
    case BQ_FILTER_LZ4:
        return H5Pset_filter(made, BQ_FILTER_LZ4, H5Z_FLAG_OPTIONAL, 0, NULL);
    case LZ4_SMALL:
        return H5Pset_filter(made, BQ_FILTER_LZ4, H5Z_FLAG_OPTIONAL, 1, lz4);
    case BQ_FILTER_ZSTD:
        return H5Pset_filter(made, BQ_FILTER_ZSTD, H5Z_FLAG_OPTIONAL, 1, zstd);
    case BITS_ZSTD:
        bits[4] = 3;
        return H5Pset_filter(made, BQ_FILTER_BITSHUFFLE, H5Z_FLAG_OPTIONAL, 5, bits);
    case BITS_LZ4:
        bits[4] = 2;
        return H5Pset_filter(made, BQ_FILTER_BITSHUFFLE, H5Z_FLAG_OPTIONAL, 5, bits);
    case BITS_BARE:
        return H5Pset_filter(made, BQ_FILTER_BITSHUFFLE, H5Z_FLAG_OPTIONAL, 3, bits);
    default:
        return H5Pset_filter(made, filter, H5Z_FLAG_OPTIONAL, 1, (unsigned[]){9});
    }
}

/* -- how a dataset is made ------------------------------------------------------------------ */

enum place { CHUNKED, CONTIGUOUS, UNWRITTEN, COMPACT, EXTERNAL, VIRTUAL, N_PLACES };
static const char *const place_name[] = {"chunked", "contiguous", "unwritten",
                                         "compact", "external",   "virtual"};

enum fill {
    FILL_STANDARD,
    FILL_USER,
    FILL_USER_AT_ONCE,
    FILL_USER_NEVER,
    FILL_NEVER,
    FILL_UNDEFINED,
    N_FILLS
};
static const char *const fill_name[] = {"standard",   "user",  "user, at once",
                                        "user never", "never", "undefined"};

struct recipe {
    const struct kind *kind;
    const struct chain *chain;
    enum place place;
    struct bq_space space, chunk, most; /* most: UINT64_MAX is unlimited */
    struct bq_space first;              /* extent when it is written; grows to space then */
    enum fill fill;
    bool is_early, has_raw_edges, has_holes, is_scalar;
    bool is_bare; /* not written when it is made */
    /* for messages */
    char name[160];
};

static unsigned n_messages; /* messages, kept short */

static void complain(const struct recipe *recipe, const char *what, const struct bq_box *box)
{
    char at[180] = "", extent[180] = "", chunk[180], space[180];
    if (n_messages++ > 12)
        return;
    if (box) {
        store_position(box->offset, box->rank, at, sizeof at);
        store_position(box->extent, box->rank, extent, sizeof extent);
    }
    printf("\n    %s (%s, fill %s%s%s%s%s) of %s stored in %s: %s", recipe->name,
           place_name[recipe->place], fill_name[recipe->fill], recipe->is_early ? ", early" : "",
           recipe->has_raw_edges ? ", raw edges" : "", recipe->has_holes ? ", holes" : "",
           recipe->first.rank ? ", grown" : "",
           store_position(recipe->space.extent, recipe->space.rank, space, sizeof space),
           store_position(recipe->chunk.extent, recipe->chunk.rank, chunk, sizeof chunk), what);
    if (box)
        printf(", block at %s of %s", at, extent);
    printf("\n");
}

static void set_fill(const struct recipe *recipe, hid_t creation)
{
    unsigned char value[16];
    fill_raw(recipe->kind, 1, value);
    switch (recipe->fill) {
    case FILL_USER_NEVER:
        H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
        H5Pset_fill_value(creation, recipe->kind->stored, value);
        break;
    case FILL_USER_AT_ONCE:
        H5Pset_fill_time(creation, H5D_FILL_TIME_ALLOC);
        H5Pset_fill_value(creation, recipe->kind->stored, value);
        break;
    case FILL_USER:
        H5Pset_fill_value(creation, recipe->kind->stored, value);
        break;
    case FILL_NEVER:
        H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
        break;
    case FILL_UNDEFINED:
        H5Pset_fill_value(creation, H5I_INVALID_HID, NULL);
        break;
    case FILL_STANDARD:
    case N_FILLS:
        break;
    }
}

static void to_hsize(const struct bq_space *space, hsize_t *out)
{
    for (int i = 0; i < space->rank; i++)
        out[i] = space->extent[i] == UINT64_MAX ? H5S_UNLIMITED : space->extent[i];
}

static hid_t make_space(const struct recipe *recipe, const struct bq_space *space)
{
    hsize_t extent[BQ_MAX_RANK], most[BQ_MAX_RANK];
    to_hsize(space, extent);
    to_hsize(&recipe->most, most);
    return recipe->is_scalar
               ? H5Screate(H5S_SCALAR)
               : H5Screate_simple(space->rank, extent, recipe->place == CHUNKED ? most : NULL);
}

/* -1 when the library refuses such filters for such a type. */
static hid_t make_creation(const struct recipe *recipe)
{
    hsize_t chunk[BQ_MAX_RANK];
    size_t size = H5Tget_size(recipe->kind->stored);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    bool is_good = true;
    set_fill(recipe, creation);
    if (recipe->is_early)
        H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
    if (recipe->place == COMPACT)
        H5Pset_layout(creation, H5D_COMPACT);
    if (recipe->place == EXTERNAL)
        H5Pset_external(creation, in_folder("outside"), 512, H5F_UNLIMITED);
    if (recipe->place == CHUNKED) {
        to_hsize(&recipe->chunk, chunk);
        H5Pset_chunk(creation, recipe->chunk.rank, chunk);
        if (recipe->has_raw_edges)
            H5Pset_chunk_opts(creation, H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS);
        /* Of numbers that are not 1, 2, 4 or 8 whole bytes, HDF5 1.10 cannot read what szip wrote.
         */
        if (recipe->chain->filters[0] == H5Z_FILTER_SZIP)
            is_good = recipe->kind->is_plain && (size & (size - 1)) == 0;
        for (int i = 0; i < 8 && recipe->chain->filters[i] && is_good; i++)
            is_good &= add_filter(creation, recipe->chain->filters[i], size,
                                  size * n_elements(&recipe->chunk)) >= 0;
    }
    if (is_good)
        return creation;
    H5Pclose(creation);
    return -1;
}

/* Writes everything, or (has_holes) some rectangles of it. */
static void write_data(const struct recipe *recipe, hid_t dataset, const struct bq_space *written)
{
    hid_t type = recipe->kind->stored, file = H5Dget_space(dataset);
    unsigned char *raw = malloc(n_elements(written) * H5Tget_size(type) + 1);
    fill_raw(recipe->kind, n_elements(written), raw);
    if (!recipe->has_holes) {
        CU_ASSERT(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw) >= 0);
    } else {
        for (unsigned n = 1 + (unsigned)random_below(3); n > 0; n--) {
            hsize_t start[BQ_MAX_RANK], count[BQ_MAX_RANK];
            for (int i = 0; i < written->rank; i++) {
                start[i] = random_below(written->extent[i]);
                count[i] = 1 + random_below(written->extent[i] - start[i]);
            }
            hid_t memory = H5Screate_simple(written->rank, count, NULL);
            H5Sselect_hyperslab(file, H5S_SELECT_SET, start, NULL, count, NULL);
            CU_ASSERT(H5Dwrite(dataset, type, memory, file, H5P_DEFAULT, raw) >= 0);
            H5Sclose(memory);
        }
    }
    free(raw);
    H5Sclose(file);
}

/* A dataset that is a view of another in the same file. */
static hid_t make_virtual(const struct recipe *recipe, hid_t file)
{
    struct recipe real = *recipe;
    real.place = CHUNKED;
    hid_t creation = make_creation(&real), growing = make_space(&real, &recipe->space);
    hid_t space = make_space(recipe, &recipe->space), source = H5Scopy(space);
    hid_t made = H5Dcreate2(file, "source", recipe->kind->stored, growing, H5P_DEFAULT, creation,
                            H5P_DEFAULT);
    H5Sclose(growing);
    CU_ASSERT_FATAL(made >= 0);
    write_data(&real, made, &recipe->space);
    H5Dclose(made);
    H5Pclose(creation);
    creation = H5Pcreate(H5P_DATASET_CREATE);
    set_fill(recipe, creation);
    if (random_below(2)) { /* a part of it */
        hsize_t start[BQ_MAX_RANK], count[BQ_MAX_RANK];
        for (int i = 0; i < recipe->space.rank; i++) {
            start[i] = random_below(recipe->space.extent[i]);
            count[i] = 1 + random_below(recipe->space.extent[i] - start[i]);
        }
        H5Sselect_hyperslab(source, H5S_SELECT_SET, start, NULL, count, NULL);
    }
    CU_ASSERT(H5Pset_virtual(creation, source, ".", "source", source) >= 0);
    made = H5Dcreate2(file, recipe->name, recipe->kind->stored, space, H5P_DEFAULT, creation,
                      H5P_DEFAULT);
    H5Sclose(source);
    H5Sclose(space);
    H5Pclose(creation);
    return made;
}

/* False when the library refuses such a dataset. */
static bool make_dataset(const struct recipe *recipe, hid_t file)
{
    const struct bq_space *first = recipe->first.rank ? &recipe->first : &recipe->space;
    hid_t dataset, creation = -1, space = -1;
    if (recipe->place == VIRTUAL) {
        dataset = make_virtual(recipe, file);
    } else {
        creation = make_creation(recipe);
        space = make_space(recipe, first);
        dataset = creation < 0 ? -1
                               : H5Dcreate2(file, recipe->name, recipe->kind->stored, space,
                                            H5P_DEFAULT, creation, H5P_DEFAULT);
        if (dataset >= 0 && recipe->place != UNWRITTEN && !recipe->is_bare && n_elements(first) > 0)
            write_data(recipe, dataset, first);
        if (dataset >= 0 && recipe->first.rank) {
            hsize_t extent[BQ_MAX_RANK];
            to_hsize(&recipe->space, extent);
            CU_ASSERT(H5Dset_extent(dataset, extent) >= 0);
        }
        H5Sclose(space);
        store_release(creation);
    }
    bool is_there = dataset >= 0;
    store_release(dataset);
    return is_there;
}

/* is_small: addresses of 4 bytes; HDF5 1.10 then forgets that an axis is unlimited. */
static hid_t create_file(const char *path, bool is_latest, hsize_t user_block, bool is_small)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_FILE_CREATE);
    if (is_small)
        H5Pset_sizes(creation, 4, 4);
    if (is_latest && user_block == 0 && random_below(4) == 0)
        H5Pset_file_space_strategy(creation, H5F_FSPACE_STRATEGY_PAGE, true, 1);
    if (is_latest)
        H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    H5Pset_userblock(creation, user_block);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
    CU_ASSERT_FATAL(file >= 0);
    H5Pclose(access);
    H5Pclose(creation);
    return file;
}

#endif
