/* What is read is bit-equal to what H5Dread gives: a product over types, filters, layouts, shapes
 * and cuts, against files that the HDF5 library made. And each combination takes the way it should,
 * so that nothing falls back to the library unseen.
 *
 * In full over type x filters x chunk index, on one small shape; drawn by lot over everything else.
 */
#include "adapters/store_internal.h" /* store_want_filter */

#include <stdarg.h>

#include "adapters/chunk_cache.h"
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

/* -- reading and comparing ------------------------------------------------------------------ */

static struct {
    uint64_t datasets, blocks, at_once, waited, in_place, by_library, spoiled;
} tally;

struct check {
    const struct recipe *recipe;
    struct bq_input *input;
    const char *truth;         /* all of it, from H5Dread */
    size_t native;             /* bytes of an element */
    struct bq_decoder decoder; /* with a cache that is too small */
};

/* Buffers of exactly the sizes that are promised to be enough, for AddressSanitizer. */
struct buffers {
    struct bq_stored stored, sent;
    char *data, *want;
};

static void buffers_make(struct buffers *b, const struct check *check, const struct bq_plan *plan)
{
    const struct bq_layout *layout = bq_input_layout(check->input);
    size_t room = bq_stored_room(layout, plan, check->native);
    uint64_t pieces = bq_stored_pieces(layout, plan);
    *b = (struct buffers){.stored = {.bytes = malloc(room),
                                     .room = room,
                                     .pieces = calloc(pieces, sizeof(struct bq_piece))},
                          .sent = {.bytes = malloc(room),
                                   .room = room,
                                   .pieces = calloc(pieces, sizeof(struct bq_piece))},
                          .data = malloc((size_t)plan->max_elements * check->native),
                          .want = malloc((size_t)plan->max_elements * check->native)};
}

static void buffers_free(struct buffers *b)
{
    free(b->stored.bytes);
    free(b->stored.pieces);
    free(b->sent.bytes);
    free(b->sent.pieces);
    free(b->data);
    free(b->want);
}

/* As the coordinator sends it to a kitchen that cannot see the file. */
static bool send(const struct check *check, const struct bq_box *block, struct buffers *b)
{
    const struct bq_layout *layout = bq_input_layout(check->input);
    size_t head = bq_stored_head_size(b->stored.n_pieces), size = head + b->stored.n;
    unsigned char *bytes = malloc(size);
    struct bq_writer w = bq_writer(bytes, head);
    bq_stored_put(&w, &b->stored);
    memcpy(bytes + head, b->stored.bytes, b->stored.n);
    struct bq_reader r = bq_reader(bytes, size);
    b->sent.is_in_place = true; /* of an earlier chunk, perhaps */
    bool is_good = w.at == bytes + head &&
                   bq_stored_get(&r, layout, block, check->native, &b->sent) == 0 && r.at == r.end;
    free(bytes);
    return is_good;
}

/* A way: a bit for each thing that must not matter. */
enum { MAY_WAIT = 1, HAS_DATA = 2, WAS_IN_PLACE = 4, NO_CACHE = 8, LIBRARY = 16 };

/* Fetches and decodes a block. */
static const char *fetch(const struct check *check, const struct bq_box *block, struct buffers *b,
                         unsigned way, struct bq_error *err)
{
    const struct bq_layout *layout = bq_input_layout(check->input);
    const bool may_wait = way & MAY_WAIT, has_data = way & HAS_DATA;
    b->stored.is_in_place = way & WAS_IN_PLACE; /* whatever was there before */
    enum bq_fetch got =
        bq_input_fetch(check->input, block, may_wait, &b->stored, has_data ? b->data : NULL, err);
    if (got == BQ_FETCH_WOULD_WAIT && !may_wait) {
        tally.waited++;
        got = bq_input_fetch(check->input, block, true, &b->stored, has_data ? b->data : NULL, err);
    } else {
        tally.at_once += !may_wait;
    }
    if (got != BQ_FETCHED)
        return err->text;
    bool wants_in_place =
        has_data && b->stored.form != BQ_STORED_PIECES &&
        (b->stored.form == BQ_STORED_NATIVE || bq_number_is_native(&layout->number));
    if (b->stored.form != bq_stored_form(layout) || b->stored.is_in_place != wants_in_place)
        return "has another form than expected";
    tally.in_place += b->stored.is_in_place;
    if (!has_data && !send(check, block, b))
        return "does not survive a message";
    struct bq_decoder decoder = check->decoder;
    if (way & NO_CACHE)
        decoder.cache = NULL;
    if (bq_stored_decode(layout, block, has_data ? &b->stored : &b->sent, &decoder, b->data, err) !=
        0)
        return err->text;
    return NULL;
}

static bool check_block(const struct check *check, const struct bq_box *block, struct buffers *b,
                        unsigned way)
{
    const struct bq_input_info *info = bq_input_info(check->input);
    struct bq_error err = {.text = ""};
    size_t n = (size_t)bq_box_elements(block) * check->native;
    copy_block(&info->space, block->offset, block->extent, check->native,
               (char *)(uintptr_t)check->truth, b->want, false);
    memset(b->data, 0xa5, n); /* the chunk before */
    const char *why = NULL;
    if (way == LIBRARY) {
        if (bq_input_read(check->input, block->offset, block->extent, b->data, &err) != 0)
            why = err.text;
    } else {
        why = fetch(check, block, b, way, &err);
    }
    if (!why && memcmp(b->data, b->want, n) != 0)
        why = way == LIBRARY ? "read by the library is wrong" : "fetched and decoded is wrong";
    if (why)
        complain(check->recipe, why, block);
    tally.blocks++;
    return !why;
}

/* Some or all blocks of one cut. */
static bool check_cut(const struct check *check, const uint64_t *cut, uint64_t most)
{
    static unsigned turn;
    struct bq_plan plan;
    struct buffers b;
    bool is_good = bq_plan_make(&plan, &bq_input_info(check->input)->space, cut, NULL) == 0;
    buffers_make(&b, check, &plan);
    uint64_t n = plan.n_chunks < most ? plan.n_chunks : most;
    for (uint64_t i = 0; i < n && is_good; i++) {
        struct bq_box block = {.rank = plan.space.rank};
        uint64_t chunk = n < plan.n_chunks ? random_below(plan.n_chunks) : i;
        bq_plan_chunk(&plan, chunk, block.offset, block.extent);
        is_good = check_block(check, &block, &b, turn++ % LIBRARY);
        if (turn % 11 == 0)
            is_good &= check_block(check, &block, &b, LIBRARY);
    }
    buffers_free(&b);
    return is_good;
}

static bool check_cuts(const struct check *check)
{
    const struct bq_input_info *info = bq_input_info(check->input);
    const struct bq_space *space = &info->space;
    /* The blocks are the stored chunks, unions of them, cut them, are elements, are everything. */
    enum { CUTS = 6 };
    uint64_t cut[CUTS][BQ_MAX_RANK] = {{0}};
    const uint64_t most[CUTS] = {9, 6, 9, 9, 3, 1};
    for (int i = 0; i < space->rank; i++) {
        uint64_t extent = space->extent[i] ? space->extent[i] : 1;
        uint64_t stored = info->chunk.rank ? info->chunk.extent[i] : 1 + random_below(extent);
        cut[0][i] = stored;
        cut[1][i] = stored * (1 + random_below(3));
        cut[2][i] = 1 + (stored * 3 / 2 + (uint64_t)i) % (extent + 1);
        cut[3][i] = 1 + random_below(extent);
        cut[4][i] = 1;
        cut[5][i] = extent;
    }
    bool is_good = true;
    bool is_slow = bq_input_layout(check->input)->storage == BQ_STORAGE_OTHER;
    for (int i = 0; i < CUTS; i++)
        is_good &= check_cut(check, cut[i], is_slow ? 2 : most[i]);
    return is_good;
}

/* Why the library has to read it; "": it has not. */
static const char *expected_reason(const struct recipe *recipe)
{
    switch (recipe->place) {
    case COMPACT:
        return "its layout is compact";
    case VIRTUAL:
        return "its layout is virtual";
    case EXTERNAL:
        return "it lies in external files";
    case CHUNKED:
    case CONTIGUOUS:
    case UNWRITTEN:
    case N_PLACES:
        break;
    }
    bool is_there =
        n_elements(&recipe->space) > 0 && (recipe->place != UNWRITTEN || recipe->is_early);
    return !recipe->kind->is_plain    ? "its numbers are of an unusual form"
           : recipe->place == CHUNKED ? recipe->chain->by_library
           : is_there                 ? ""
                                      : "nothing of it was written";
}

static bool check_way(const struct recipe *recipe, struct bq_input *input)
{
    const struct bq_input_info *info = bq_input_info(input);
    const struct bq_layout *layout = bq_input_layout(input);
    const char *reason = expected_reason(recipe);
    enum bq_storage storage = reason[0]                  ? BQ_STORAGE_OTHER
                              : recipe->place == CHUNKED ? BQ_STORAGE_CHUNKED
                                                         : BQ_STORAGE_CONTIGUOUS;
    bool is_good = layout->storage == storage && info->type == recipe->kind->native &&
                   (reason[0] ? strncmp(info->by_library, reason, strlen(reason)) == 0
                              : info->by_library[0] == 0);
    if (!is_good)
        complain(recipe, info->by_library[0] ? info->by_library : "takes another way", NULL);
    tally.by_library += storage == BQ_STORAGE_OTHER;
    return is_good;
}

/* file: as any program opens it. */
static bool check_dataset(const struct recipe *recipe, hid_t file, const char *path)
{
    struct bq_error err = {.text = ""};
    size_t native = bq_type_size(recipe->kind->native);
    uint64_t n = recipe->is_scalar ? 1 : n_elements(&recipe->space);
    char *truth = calloc((size_t)n + 1, native);
    hid_t dataset = H5Dopen2(file, recipe->name, H5P_DEFAULT);
    herr_t rc =
        H5Dread(dataset, native_of(recipe->kind->native), H5S_ALL, H5S_ALL, H5P_DEFAULT, truth);
    H5Dclose(dataset);
    tally.datasets++;
    /* HDF5 1.10 spoils chunks that are at the edge no more when a filter is skipped there. */
    if (rc < 0 && recipe->first.rank && recipe->has_raw_edges) {
        tally.spoiled++;
        free(truth);
        return true;
    }
    struct bq_input *input = bq_input_open(path, recipe->name, &err);
    bool is_good = rc >= 0 && input;
    if (!is_good)
        complain(recipe, rc < 0 ? "H5Dread fails" : err.text, NULL);
    if (input) {
        size_t chunk = bq_layout_chunk_bytes(bq_input_layout(input));
        struct check check = {.recipe = recipe,
                              .input = input,
                              .truth = truth,
                              .native = native,
                              .decoder = {.codec = bq_codec_create(chunk, NULL),
                                          .scratch = malloc(chunk),
                                          .cache = bq_chunk_cache_create(2, chunk)}};
        is_good = check_way(recipe, input) && check_cuts(&check) && is_good;
        if (bq_input_check_unchanged(input, &err) != 0) {
            complain(recipe, err.text, NULL);
            is_good = false;
        }
        bq_chunk_cache_destroy(check.decoder.cache);
        free(check.decoder.scratch);
        bq_codec_destroy(check.decoder.codec);
    }
    bq_input_close(input);
    free(truth);
    return is_good;
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

static void show_tally(void)
{
    printf("%llu datasets, %llu by the library; %llu blocks, %llu in place, %llu at once, "
           "%llu had to wait, %llu spoiled by HDF5 ",
           (unsigned long long)tally.datasets, (unsigned long long)tally.by_library,
           (unsigned long long)tally.blocks, (unsigned long long)tally.in_place,
           (unsigned long long)tally.at_once, (unsigned long long)tally.waited,
           (unsigned long long)tally.spoiled);
    memset(&tally, 0, sizeof tally);
}

/* -- the product -------------------------------------------------------------------------- */

static const struct {
    const char *name;
    H5D_chunk_index_t index;
    bool is_latest;
} indexes[] = {
    {"v1 B-tree", H5D_CHUNK_IDX_BTREE, false},        {"single chunk", H5D_CHUNK_IDX_SINGLE, true},
    {"implicit", H5D_CHUNK_IDX_NONE, true},           {"fixed array", H5D_CHUNK_IDX_FARRAY, true},
    {"extensible array", H5D_CHUNK_IDX_EARRAY, true}, {"v2 B-tree", H5D_CHUNK_IDX_BT2, true},
};
enum { N_INDEXES = sizeof indexes / sizeof *indexes };

/* 13 x 11 in chunks of 5 x 4: clipped at both edges. What does not matter here is drawn by lot. */
static struct recipe in_product(const struct kind *kind, const struct chain *chain, unsigned index)
{
    struct recipe recipe = {.kind = kind,
                            .chain = chain,
                            .space = {2, {13, 11}},
                            .chunk = {2, {5, 4}},
                            .most = {2, {13, 11}},
                            .fill = random_below(2) ? FILL_STANDARD : FILL_USER,
                            .is_early = indexes[index].index == H5D_CHUNK_IDX_NONE,
                            .has_raw_edges = indexes[index].is_latest && random_below(4) == 0,
                            .has_holes = random_below(3) == 0};
    if (indexes[index].index == H5D_CHUNK_IDX_SINGLE)
        recipe.chunk = recipe.space;
    if (indexes[index].index == H5D_CHUNK_IDX_EARRAY)
        recipe.most.extent[random_below(2)] = UINT64_MAX;
    if (indexes[index].index == H5D_CHUNK_IDX_BT2)
        recipe.most.extent[0] = recipe.most.extent[1] = UINT64_MAX;
    snprintf(recipe.name, sizeof recipe.name, "%s, %s, %s", kind->name, chain->name,
             indexes[index].name);
    return recipe;
}

static bool check_index(hid_t file, const struct recipe *recipe, unsigned index)
{
    bool is_right = true;
    H5D_chunk_index_t is = H5D_CHUNK_IDX_NTYPES;
    hid_t dataset = H5Dopen2(file, recipe->name, H5P_DEFAULT);
    if (H5Dget_chunk_index_type(dataset, &is) < 0 || is != indexes[index].index) {
        complain(recipe, "has another chunk index than this test thinks", NULL);
        is_right = false;
    }
    H5Dclose(dataset);
    return is_right;
}

static void check_kind(const struct kind *kind, bool is_latest, unsigned *n_refused)
{
    static struct recipe recipes[N_CHAINS * N_INDEXES];
    static unsigned of[N_CHAINS * N_INDEXES];
    const char *path = in_folder("product.h5");
    unsigned n = 0, n_wrong = 0;
    hid_t file = create_file(path, is_latest, 0, false);
    for (unsigned c = 0; c < N_CHAINS; c++) {
        for (unsigned i = 0; i < N_INDEXES && is_installed(&chains[c]); i++) {
            if (indexes[i].is_latest != is_latest ||
                (indexes[i].index == H5D_CHUNK_IDX_NONE && c > 0))
                continue;
            recipes[n] = in_product(kind, &chains[c], i);
            of[n] = i;
            if (make_dataset(&recipes[n], file))
                n++;
            else if (chains[c].by_library[0])
                ++*n_refused;
            else
                CU_FAIL("a dataset cannot be made");
        }
    }
    H5Fclose(file);
    file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    for (unsigned k = 0; k < n; k++) {
        n_wrong +=
            !check_index(file, &recipes[k], of[k]) || !check_dataset(&recipes[k], file, path);
    }
    H5Fclose(file);
    CU_ASSERT_EQUAL(n_wrong, 0);
}

static void every_type_through_every_filter_and_chunk_index(void)
{
    unsigned n_refused = 0;
    random_start(11);
    n_messages = 0;
    for (unsigned k = 0; k < n_kinds; k++) {
        check_kind(&kinds[k], false, &n_refused);
        check_kind(&kinds[k], true, &n_refused);
    }
    for (unsigned c = 0; c < N_CHAINS; c++) {
        if (!is_installed(&chains[c]))
            printf("(SKIPPED %s: not installed) ", chains[c].name);
    }
    printf("(%u that HDF5 does not make) ", n_refused);
    show_tally();
}

/* -- by lot -------------------------------------------------------------------------------- */

static void draw_shape(struct recipe *recipe)
{
    static const uint64_t primes[] = {2, 3, 5, 7, 11, 13, 17, 31, 67, 131};
    uint64_t left = MOST_DATA;
    int rank = 1 + (int)random_below(5);
    recipe->space.rank = recipe->chunk.rank = recipe->most.rank = rank;
    for (int i = 0; i < rank; i++) {
        uint64_t extent = primes[random_below(rank < 3 ? 10 : 6)];
        extent = extent > left ? 1 : extent;
        left /= extent;
        recipe->space.extent[i] = recipe->most.extent[i] = extent;
        /* Small chunks, one, or a chunk that reaches beyond the dataset. */
        uint64_t chunk = random_below(8) ? 1 + random_below(extent) : extent + random_below(4);
        recipe->chunk.extent[i] = chunk;
        if (chunk > extent)
            recipe->most.extent[i] = random_below(2) ? UINT64_MAX : chunk;
        else if (random_below(4) == 0)
            recipe->most.extent[i] = random_below(2) ? UINT64_MAX : 2 * extent;
    }
    if (random_below(40) == 0)
        recipe->space.extent[random_below((uint64_t)rank)] = 0;
}

static void draw_growth(struct recipe *recipe)
{
    recipe->first = recipe->space;
    bool can_grow = false;
    for (int i = 0; i < recipe->space.rank; i++) {
        can_grow |= recipe->most.extent[i] > recipe->space.extent[i];
        recipe->first.extent[i] = 1 + random_below(recipe->space.extent[i]);
    }
    if (!can_grow)
        recipe->first.rank = 0;
}

static struct recipe draw(bool is_latest)
{
    static const enum place lots[] = {CHUNKED,    CHUNKED,   CHUNKED, CHUNKED,  CHUNKED, CHUNKED,
                                      CONTIGUOUS, UNWRITTEN, COMPACT, EXTERNAL, VIRTUAL};
    struct recipe recipe = {.kind = &kinds[random_below(n_kinds)],
                            .chain = &chains[random_below(N_CHAINS)],
                            .place = lots[random_below(sizeof lots / sizeof *lots)],
                            .fill = (enum fill)random_below(N_FILLS),
                            .is_early = random_below(5) == 0,
                            .has_raw_edges = is_latest && random_below(3) == 0};
    draw_shape(&recipe);
    if (!recipe.kind->is_plain && random_below(2))
        recipe.kind = &kinds[random_below(2 * 4 * 4)];
    if (recipe.chain->by_library[0] && random_below(2))
        recipe.chain = &chains[random_below(8)];
    if (!is_installed(recipe.chain) || recipe.place == VIRTUAL)
        recipe.chain = &chains[0];
    bool is_empty = n_elements(&recipe.space) == 0;
    if (recipe.place != CHUNKED && recipe.place != VIRTUAL && random_below(10) == 0) {
        recipe.is_scalar = true;
        recipe.space = (struct bq_space){1, {1}};
    }
    if (is_empty && (recipe.place == VIRTUAL || recipe.place == EXTERNAL))
        recipe.place = CONTIGUOUS;
    if (recipe.place == COMPACT &&
        n_elements(&recipe.space) * H5Tget_size(recipe.kind->stored) > MOST_COMPACT)
        recipe.place = CONTIGUOUS;
    if (recipe.place == EXTERNAL || recipe.place == COMPACT) /* HDF5: never early; always early */
        recipe.is_early = false;
    recipe.has_holes =
        !is_empty && !recipe.is_scalar && recipe.place != VIRTUAL && random_below(3) == 0;
    /* Of what was allocated and never filled nobody knows what it holds. */
    if (recipe.fill == FILL_USER_NEVER || recipe.fill == FILL_NEVER ||
        recipe.fill == FILL_UNDEFINED)
        recipe.is_early = false;
    /* H5Dread fails where there is neither space nor a value for it. */
    if (recipe.place == UNWRITTEN && recipe.fill == FILL_UNDEFINED)
        recipe.fill = FILL_NEVER;
    if (recipe.place == CHUNKED && !is_empty && random_below(3) == 0)
        draw_growth(&recipe);
    snprintf(recipe.name, sizeof recipe.name, "%s, %s", recipe.kind->name, recipe.chain->name);
    return recipe;
}

static bool is_unlimited(const struct bq_space *most)
{
    bool is = false;
    for (int i = 0; i < most->rank; i++)
        is |= most->extent[i] == UINT64_MAX;
    return is;
}

static void whatever_the_lot_says(void)
{
    const char *given = getenv("BANQUET_CASES");
    unsigned n = given ? (unsigned)strtoul(given, NULL, 0) : 1000, n_wrong = 0;
    random_start(12);
    n_messages = 0;
    for (unsigned i = 0; i < n; i++) {
        static const hsize_t user_block[] = {0, 0, 512, 2048};
        bool is_latest = random_below(2);
        struct recipe recipe = draw(is_latest);
        const char *path = in_folder("lot.h5");
        unlink(in_folder("outside"));
        hid_t file = create_file(path, is_latest, user_block[random_below(4)],
                                 !is_unlimited(&recipe.most) && random_below(4) == 0);
        bool is_there = make_dataset(&recipe, file);
        H5Fclose(file);
        if (!is_there && !recipe.chain->by_library[0]) {
            complain(&recipe, "cannot be made", NULL);
            CU_FAIL("cannot be made");
        }
        if (!is_there)
            continue;
        file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
        n_wrong += !check_dataset(&recipe, file, path);
        H5Fclose(file);
    }
    CU_ASSERT_EQUAL(n_wrong, 0);
    show_tally();
}

/* -- filters that were skipped ---------------------------------------------------------------- */

/* One stored chunk, through the filters that the mask leaves. */
static void place_chunk(hid_t dataset, const struct bq_filters *filters, const hsize_t *offset,
                        const void *raw, size_t size, struct bq_codec *codec)
{
    uint32_t skipped = (uint32_t)random_below(1u << filters->n), mask = skipped, also;
    struct bq_filters rest = {0};
    unsigned at[BQ_MAX_FILTERS];
    size_t n, room = bq_codec_bound(filters, size);
    unsigned char *bytes = malloc(room);
    for (unsigned i = 0; i < filters->n; i++) {
        at[rest.n] = i;
        if (!(skipped >> i & 1))
            rest.list[rest.n++] = filters->list[i];
    }
    CU_ASSERT(bq_codec_encode(codec, &rest, raw, size, bytes, room, &n, &also, NULL) == 0);
    for (unsigned i = 0; i < rest.n; i++)
        mask |= (also >> i & 1) << at[i];
    CU_ASSERT(H5Dwrite_chunk(dataset, H5P_DEFAULT, mask, offset, n, bytes) >= 0);
    free(bytes);
}

static void place_chunks(const struct recipe *recipe, hid_t file, const struct bq_filters *filters)
{
    size_t size = n_elements(&recipe->chunk) * H5Tget_size(recipe->kind->stored);
    unsigned char *raw = malloc(size);
    struct bq_codec *codec = bq_codec_create(size, NULL);
    hid_t dataset = H5Dopen2(file, recipe->name, H5P_DEFAULT);
    for (hsize_t y = 0; y < recipe->space.extent[0]; y += recipe->chunk.extent[0]) {
        for (hsize_t x = 0; x < recipe->space.extent[1]; x += recipe->chunk.extent[1]) {
            fill_raw(recipe->kind, n_elements(&recipe->chunk), raw);
            place_chunk(dataset, filters, (hsize_t[]){y, x}, raw, size, codec);
        }
    }
    H5Dclose(dataset);
    bq_codec_destroy(codec);
    free(raw);
}

static void every_chunk_may_skip_other_filters(void)
{
    unsigned n_wrong = 0;
    random_start(13);
    n_messages = 0;
    for (unsigned c = 1; c < N_CHAINS; c++) {
        for (unsigned i = 0; i < N_INDEXES; i++) {
            const char *path = in_folder("masks.h5");
            struct recipe recipe = in_product(&kinds[random_below(32)], &chains[c], i);
            if (chains[c].by_library[0] || !is_installed(&chains[c]) || recipe.is_early)
                continue;
            recipe.has_holes = recipe.has_raw_edges = false;
            /* H5Dwrite_chunk of HDF5 1.10 forgets the mask when it replaces as many bytes. */
            recipe.is_bare = true;
            hid_t file = create_file(path, indexes[i].is_latest, 0, false);
            CU_ASSERT(make_dataset(&recipe, file));
            H5Fclose(file);
            struct bq_input *input = bq_input_open(path, recipe.name, NULL);
            CU_ASSERT_FATAL(input != NULL);
            struct bq_filters filters = bq_input_layout(input)->filters;
            bq_input_close(input);
            file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
            place_chunks(&recipe, file, &filters);
            H5Fclose(file);
            file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
            n_wrong += !check_dataset(&recipe, file, path);
            H5Fclose(file);
        }
    }
    CU_ASSERT_EQUAL(n_wrong, 0);
    show_tally();
}

/* -- links -------------------------------------------------------------------------------- */

static void a_link_to_another_file_is_followed_to_its_bytes(void)
{
    unsigned n_wrong = 0;
    random_start(14);
    n_messages = 0;
    for (unsigned turn = 0; turn < 12; turn++) {
        struct recipe recipe = in_product(&kinds[random_below(32)], &chains[turn % 4], 0);
        recipe.place = turn < 8 ? CHUNKED : CONTIGUOUS;
        hid_t file = create_file(in_folder("there.h5"), false, turn % 2 ? 512 : 0, false);
        /* So that the same place holds something else here. */
        for (unsigned i = 0; i < 3; i++) {
            struct recipe other = recipe;
            snprintf(other.name, sizeof other.name, "%u", i);
            CU_ASSERT(make_dataset(&other, file));
        }
        CU_ASSERT(make_dataset(&recipe, file));
        H5Fclose(file);
        file = create_file(in_folder("here.h5"), false, 0, false);
        CU_ASSERT(H5Lcreate_external("there.h5", recipe.name, file, recipe.name, H5P_DEFAULT,
                                     H5P_DEFAULT) >= 0);
        for (unsigned i = 0; i < 3; i++) {
            struct recipe other = recipe;
            snprintf(other.name, sizeof other.name, "%u", i);
            CU_ASSERT(make_dataset(&other, file));
        }
        H5Fclose(file);
        file = H5Fopen(in_folder("here.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
        n_wrong += !check_dataset(&recipe, file, in_folder("here.h5"));
        H5Fclose(file);
    }
    CU_ASSERT_EQUAL(n_wrong, 0);
    show_tally();
}

static void nothing_is_left_open(void)
{
    for (unsigned i = 0; i < n_kinds; i++)
        H5Tclose(kinds[i].stored);
    nothing_is_left_open_in_hdf5();
}

int main(void)
{
    const struct test tests[] = {
        {"every type through every filter and chunk index",
         every_type_through_every_filter_and_chunk_index},
        {"whatever the lot says", whatever_the_lot_says},
        {"every chunk may skip other filters", every_chunk_may_skip_other_filters},
        {"a link to another file is followed to its bytes",
         a_link_to_another_file_is_followed_to_its_bytes},
        {"nothing is left open in HDF5", nothing_is_left_open},
    };
    fixture_begin();
    make_kinds();
    int rc = run_tests("read product", tests, sizeof tests / sizeof *tests);
    fixture_end();
    return rc;
}
