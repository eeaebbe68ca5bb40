/* Reading, and reading back what was written: every type, byte order, layout and rank. */
#include "adapters/store.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>

#include "base/heap.h"
#include "store_fixture.h"

/* -- round trips -------------------------------------------------------------------------- */

struct trip {
    struct bq_input *input;
    struct bq_output *output;
    const struct bq_space *space;
    size_t size;
    char *whole, *block;
};

static void read_block(const uint64_t *offset, const uint64_t *extent, void *context)
{
    struct trip *trip = context;
    struct bq_error err = {.text = ""};
    CU_ASSERT_EQUAL(bq_input_read(trip->input, offset, extent, trip->block, &err), 0);
    CHECK_TEXT(err.text, "");
    copy_block(trip->space, offset, extent, trip->size, trip->whole, trip->block, true);
}

static void write_block(const uint64_t *offset, const uint64_t *extent, void *context)
{
    struct trip *trip = context;
    struct bq_error err = {.text = ""};
    copy_block(trip->space, offset, extent, trip->size, trip->whole, trip->block, false);
    CU_ASSERT_EQUAL(bq_output_write(trip->output, offset, extent, trip->block, &err), 0);
    CHECK_TEXT(err.text, "");
}

/* Reads a dataset by blocks; the caller frees the array. */
static char *read_all(const char *path, const struct bq_space *grid, char *stored,
                      enum bq_type type)
{
    struct bq_error err = {.text = ""};
    struct trip trip = {.input = bq_input_open(path, "data", &err)};
    CHECK_TEXT(err.text, "");
    CU_ASSERT_FATAL(trip.input != NULL);
    const struct bq_input_info *info = bq_input_info(trip.input);
    CU_ASSERT_EQUAL(info->type, type);
    strcpy(stored, info->stored);
    trip.space = &info->space;
    trip.size = bq_type_size(info->type);
    size_t n = n_elements(trip.space);
    trip.whole = calloc(n + 1, trip.size);
    trip.block = calloc(n + 1, trip.size);
    each_block(trip.space, grid, read_block, &trip);
    bq_input_close(trip.input);
    free(trip.block);
    return trip.whole;
}

/* Values that use every byte; the floats among them are exact and not NaN. */
static void fill(enum bq_type type, size_t n, char *data)
{
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < n; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        float f32 = (float)(int32_t)(state >> 40) / 64;
        double f64 = (double)(int64_t)state / 3;
        const void *value = type == BQ_F32 ? &f32 : type == BQ_F64 ? (const void *)&f64 : &state;
        memcpy(data + i * bq_type_size(type), value, bq_type_size(type));
    }
}

/* File -> store -> store -> file of the same kind, with blocks cut differently from its chunks. */
static void take_a_trip(enum bq_type type, hid_t stored, const struct bq_space *space,
                        const struct bq_space *chunk, const struct bq_space *grid, unsigned gzip)
{
    char was[96], is[96];
    struct bq_error err = {.text = ""};
    size_t n = n_elements(space), size = bq_type_size(type);
    char *data = calloc(n + 1, size);
    fill(type, n, data);
    make_input(in_folder("in.h5"), "data", stored, native_of(type), space, chunk, gzip, data);
    char *got = read_all(in_folder("in.h5"), grid, was, type);
    CU_ASSERT(memcmp(got, data, n * size) == 0);
    free(got);

    struct bq_input *like = bq_input_open(in_folder("in.h5"), "/data", &err);
    CU_ASSERT_FATAL(like != NULL);
    CU_ASSERT(memcmp(&bq_input_info(like)->space, space, sizeof *space) == 0);
    CU_ASSERT(memcmp(&bq_input_info(like)->chunk, chunk, sizeof *chunk) == 0);
    struct bq_output_spec spec = {.file = in_folder("out.h5"),
                                  .dataset = "data",
                                  .type = type,
                                  .space = *space,
                                  .chunk = *chunk,
                                  .filters = deflate_filter(gzip, size),
                                  .like = like};
    struct trip trip = {.output = bq_output_create(&spec, &err),
                        .space = space,
                        .size = size,
                        .whole = data,
                        .block = calloc(n + 1, size)};
    CHECK_TEXT(err.text, "");
    CU_ASSERT_FATAL(trip.output != NULL);
    each_block(space, grid, write_block, &trip);
    CU_ASSERT_EQUAL(bq_output_commit(trip.output, &err), 0);
    CHECK_TEXT(err.text, "");
    bq_input_close(like);
    got = read_all(in_folder("out.h5"), space, is, type);
    CU_ASSERT(memcmp(got, data, n * size) == 0);
    CHECK_TEXT(is, was);
    remove_file("in.h5");
    remove_file("out.h5");
    free(got);
    free(trip.block);
    free(data);
}

static void every_type_order_layout_and_rank_comes_back(void)
{
    const struct bq_space space[] = {{1, {101}},
                                     {2, {13, 17}},
                                     {3, {7, 5, 9}},
                                     {4, {3, 5, 4, 7}},
                                     {8, {2, 3, 1, 2, 3, 2, 1, 5}}};
    const struct bq_space chunk[] = {
        {1, {16}}, {2, {5, 8}}, {3, {7, 2, 4}}, {4, {2, 2, 4, 3}}, {8, {1, 2, 1, 2, 2, 1, 1, 3}}};
    const struct bq_space grid[] = {
        {1, {23}}, {2, {4, 17}}, {3, {3, 3, 3}}, {4, {3, 1, 3, 5}}, {8, {2, 2, 1, 1, 3, 2, 1, 2}}};
    const struct bq_space none = {0, {0}};
    for (int type = 0; type < BQ_N_TYPES; type++) {
        for (int rank = 0; rank < 5; rank++) {
            for (int layout = 0; layout < 3; layout++) {
                /* Rank 8 once, with one type. */
                for (int big = 0; big < 2 && (rank < 4 || type == BQ_I16); big++)
                    take_a_trip((enum bq_type)type, stored_as((enum bq_type)type, big),
                                &space[rank], layout ? &chunk[rank] : &none, &grid[rank],
                                layout == 2 ? 4 : 0);
            }
        }
    }
}

static void an_empty_dataset_is_read_and_written(void)
{
    const struct bq_space space = {2, {0, 4}}, none = {0, {0}}, chunk = {2, {2, 2}};
    struct bq_error err = {.text = ""};
    take_a_trip(BQ_U16, H5T_STD_U16BE, &space, &none, &space, 0);
    struct bq_output_spec spec = {.file = in_folder("empty.h5"),
                                  .dataset = "data",
                                  .type = BQ_F32,
                                  .space = space,
                                  .chunk = chunk,
                                  .filters = deflate_filter(4, 4)};
    struct bq_output *output = bq_output_create(&spec, &err);
    CU_ASSERT_FATAL(output != NULL);
    CU_ASSERT_EQUAL(bq_output_write(output, (uint64_t[]){0, 0}, (uint64_t[]){0, 4}, NULL, &err), 0);
    CU_ASSERT_EQUAL(bq_output_commit(output, &err), 0);
    CHECK_TEXT(err.text, "");
}

static void a_scalar_is_one_element_and_stays_a_scalar(void)
{
    const struct bq_space scalar = {0, {0}}, one = {1, {1}}, none = {0, {0}};
    double value = 2.5, got = 0, twice = 5, again = 0;
    struct bq_error err = {.text = ""};
    make_input(in_folder("scalar.h5"), "data", H5T_IEEE_F64BE, H5T_NATIVE_DOUBLE, &scalar, NULL, 0,
               &value);
    struct bq_input *input = bq_input_open(in_folder("scalar.h5"), "data", &err);
    CU_ASSERT_FATAL(input != NULL);
    CU_ASSERT(memcmp(&bq_input_info(input)->space, &one, sizeof one) == 0);
    CU_ASSERT_EQUAL(bq_input_read(input, (uint64_t[]){0}, (uint64_t[]){1}, &got, &err), 0);
    CU_ASSERT_EQUAL(got, value);
    struct bq_output_spec spec = {.file = in_folder("scalar-out.h5"),
                                  .dataset = "data",
                                  .type = BQ_F64,
                                  .space = one,
                                  .chunk = none,
                                  .like = input};
    struct bq_output *output = bq_output_create(&spec, &err);
    CU_ASSERT_FATAL(output != NULL);
    CU_ASSERT_EQUAL(bq_output_write(output, (uint64_t[]){0}, (uint64_t[]){1}, &twice, &err), 0);
    CU_ASSERT_EQUAL(bq_output_commit(output, &err), 0);
    bq_input_close(input);
    CHECK_TEXT(err.text, "");

    hid_t file = H5Fopen(in_folder("scalar-out.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t dataset = H5Dopen2(file, "data", H5P_DEFAULT), space = H5Dget_space(dataset);
    CU_ASSERT_EQUAL(H5Sget_simple_extent_type(space), H5S_SCALAR);
    CU_ASSERT(H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, &again) >= 0);
    CU_ASSERT_EQUAL(again, twice);
    H5Sclose(space);
    H5Dclose(dataset);
    H5Fclose(file);
}

/* -- types that no kernel has ------------------------------------------------------------- */

static hid_t float16(bool is_big)
{
    hid_t type = H5Tcopy(is_big ? H5T_IEEE_F32BE : H5T_IEEE_F32LE);
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    return type;
}

static hid_t integer(hid_t base, size_t precision, size_t size)
{
    hid_t type = H5Tcopy(base);
    H5Tset_precision(type, precision);
    H5Tset_size(type, size);
    return type;
}

static hid_t boolean(void)
{
    hid_t type = H5Tenum_create(H5T_STD_I8LE);
    H5Tenum_insert(type, "FALSE", &(int8_t){0});
    H5Tenum_insert(type, "TRUE", &(int8_t){1});
    return type;
}

static void odd_types_arrive_in_the_next_native_one_and_are_stored_as_they_were(void)
{
    const struct bq_space space = {1, {4}}, none = {0, {0}};
    const double values[4] = {0, 1, 5, 100};
    const struct {
        hid_t stored;
        enum bq_type type;
        const char *in_words, *out_words;
    } row[] = {
        {float16(false), BQ_F32, "float16 little-endian, contiguous", NULL},
        {float16(true), BQ_F32, "float16 big-endian, contiguous", NULL},
        {H5Tcopy(H5T_NATIVE_LDOUBLE), BQ_F64, NULL, NULL},
        {integer(H5T_STD_U16BE, 12, 2), BQ_U16, "uint12 big-endian, contiguous", NULL},
        {integer(H5T_STD_I32LE, 24, 3), BQ_I32, "int24 little-endian, contiguous", NULL},
        {integer(H5T_STD_U64LE, 40, 8), BQ_U64, "uint40 little-endian, contiguous", NULL},
        {boolean(), BQ_I8, "enum of int8, contiguous", "int8, contiguous"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct bq_error err = {.text = ""};
        double data[4], got[4];
        memcpy(data, values, sizeof data);
        if (row[i].type == BQ_I8)
            data[2] = data[3] = 1;
        char raw[4 * 16] = {0};
        memcpy(raw, data, sizeof data);
        if (row[i].type == BQ_I8)
            memcpy(raw, (char[]){0, 1, 1, 1}, 4);
        else
            H5Tconvert(H5T_NATIVE_DOUBLE, row[i].stored, 4, raw, NULL, H5P_DEFAULT);
        make_input(in_folder("odd.h5"), "data", row[i].stored, row[i].stored, &space, NULL, 0, raw);
        struct bq_input *input = bq_input_open(in_folder("odd.h5"), "data", &err);
        CHECK_TEXT(err.text, "");
        CU_ASSERT_FATAL(input != NULL);
        const struct bq_input_info *info = bq_input_info(input);
        CU_ASSERT_EQUAL(info->type, row[i].type);
        if (row[i].in_words)
            CHECK_TEXT(info->stored, row[i].in_words);
        CU_ASSERT_EQUAL(bq_input_read(input, (uint64_t[]){0}, (uint64_t[]){4}, got, &err), 0);

        struct bq_output_spec spec = {.file = in_folder("odd-out.h5"),
                                      .dataset = "data",
                                      .type = info->type,
                                      .space = space,
                                      .chunk = none,
                                      .like = input,
                                      .force = true};
        struct bq_output *output = bq_output_create(&spec, &err);
        CHECK_TEXT(err.text, "");
        CU_ASSERT_FATAL(output != NULL);
        CU_ASSERT_EQUAL(bq_output_write(output, (uint64_t[]){0}, (uint64_t[]){4}, got, &err), 0);
        CU_ASSERT_EQUAL(bq_output_commit(output, &err), 0);
        CHECK_TEXT(err.text, "");
        H5Tconvert(native_of(info->type), H5T_NATIVE_DOUBLE, 4, got, NULL, H5P_DEFAULT);
        CU_ASSERT(memcmp(got, data, sizeof data) == 0);

        char words[96];
        char *again = read_all(in_folder("odd-out.h5"), &space, words, info->type);
        CHECK_TEXT(words, row[i].out_words ? row[i].out_words : info->stored);
        free(again);
        bq_input_close(input);
        H5Tclose(row[i].stored);
    }
}

static void the_layout_is_told_in_words(void)
{
    const struct bq_space space = {2, {600, 700}}, chunk = {2, {512, 512}};
    struct bq_error err = {.text = ""};
    struct stat st;
    make_input(in_folder("words.h5"), "data", H5T_STD_U16BE, H5T_NATIVE_UINT16, &space, &chunk, 4,
               NULL);
    struct bq_input *input = bq_input_open(in_folder("words.h5"), "data", &err);
    CU_ASSERT_FATAL(input != NULL);
    const struct bq_input_info *info = bq_input_info(input);
    CHECK_TEXT(info->stored, "uint16 big-endian, chunked 512 x 512, shuffle + deflate 4");
    stat(in_folder("words.h5"), &st);
    CU_ASSERT_EQUAL(info->file_bytes, (uint64_t)st.st_size);
    CU_ASSERT_EQUAL(info->file_mtime_ns / 1000000000u, (uint64_t)st.st_mtim.tv_sec);
    CU_ASSERT_EQUAL(bq_input_stored_bytes(input), 0);
    bq_input_close(input);
}

/* -- errors ------------------------------------------------------------------------------- */

static void expect_refusal(const char *file, const char *dataset, const char *text)
{
    struct bq_error err = {.text = ""};
    CU_ASSERT_PTR_NULL(bq_input_open(in_folder(file), dataset, &err));
    CHECK_TEXT(message(&err), text);
    CU_ASSERT_EQUAL(err.exit, BQ_EXIT_USAGE);
}

static void a_file_that_cannot_be_used_is_refused_with_its_reason(void)
{
    const struct bq_space space = {1, {1000}};
    char data[1000] = "";
    expect_refusal("gone.h5", "data", "gone.h5: cannot open: No such file or directory");
    mkdir(in_folder("dir"), 0755);
    expect_refusal("dir", "data", "dir: is a folder, not an HDF5 file");
    mkfifo(in_folder("fifo"), 0600);
    expect_refusal("fifo", "data", "fifo: is not a regular file");
    put_file(in_folder("text.h5"), "hello", 5);
    expect_refusal("text.h5", "data", "text.h5: is not an HDF5 file");
    put_file(in_folder("empty"), "", 0);
    expect_refusal("empty", "data", "empty: is empty, not an HDF5 file");
    put_file(in_folder("old.nc"), "CDF\002abcdefgh", 12);
    expect_refusal(
        "old.nc", "data",
        "old.nc: is a classic netCDF file, not HDF5; `nccopy -k nc4 OLD NEW` converts it");
    make_input(in_folder("cut.h5"), "data", H5T_STD_U8LE, H5T_NATIVE_UINT8, &space, NULL, 0, data);
    CU_ASSERT_EQUAL(truncate(in_folder("cut.h5"), 1500), 0);
    expect_refusal("cut.h5", "data",
                   "cut.h5: cannot open: truncated file: eof = 1500, sblock->base_addr = 0, "
                   "stored_eof = 3048; is the copy of it complete?");
}

static void a_file_that_is_locked_is_refused_with_advice(void)
{
    const struct bq_space space = {1, {4}};
    make_input(in_folder("busy.h5"), "data", H5T_STD_U8LE, H5T_NATIVE_UINT8, &space, NULL, 0,
               "abc");
    int fd = open(in_folder("busy.h5"), O_RDONLY);
    CU_ASSERT_EQUAL(flock(fd, LOCK_EX), 0);
    expect_refusal("busy.h5", "data",
                   "busy.h5: cannot open: the file cannot be locked: Resource temporarily "
                   "unavailable; does another program write it? (Where there are no locks at all: "
                   "HDF5_USE_FILE_LOCKING=FALSE)");
    close(fd);
}

static void add_dataset(hid_t file, const char *name, hid_t type, hid_t space)
{
    hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    CU_ASSERT(dataset >= 0);
    H5Dclose(dataset);
}

/* /photo, /maps/heat, and what cannot be computed with. */
static void make_menagerie(const char *path, int n_more)
{
    const hsize_t extent[9] = {2, 2, 2, 2, 2, 2, 2, 2, 2};
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t one = H5Screate_simple(1, extent, NULL), nine = H5Screate_simple(9, extent, NULL);
    hid_t null = H5Screate(H5S_NULL), text = H5Tcopy(H5T_C_S1);
    hid_t record = H5Tcreate(H5T_COMPOUND, 8), big = integer(H5T_STD_I64LE, 64, 16);
    hid_t group = H5Gcreate2(file, "maps", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Tset_precision(big, 128);
    H5Tset_size(text, 4);
    H5Tinsert(record, "x", 0, H5T_STD_I32LE);
    H5Tinsert(record, "y", 4, H5T_STD_I32LE);
    add_dataset(file, "photo", H5T_STD_U8LE, one);
    add_dataset(file, "maps/heat", H5T_STD_U8LE, one);
    for (int i = 0; i < n_more; i++) {
        char name[20];
        snprintf(name, sizeof name, "more%04d", i);
        add_dataset(file, name, H5T_STD_U8LE, one);
    }
    if (n_more == 0) {
        add_dataset(file, "names", text, one);
        add_dataset(file, "records", record, one);
        add_dataset(file, "links", H5T_STD_REF_OBJ, one);
        add_dataset(file, "bits", H5T_STD_B8LE, one);
        add_dataset(file, "huge", big, one);
        add_dataset(file, "nine", H5T_STD_U8LE, nine);
        add_dataset(file, "nothing", H5T_STD_U8LE, null);
        H5Lcreate_soft("/nowhere", file, "dangling", H5P_DEFAULT, H5P_DEFAULT);
        H5Lcreate_soft("/maps/heat", file, "alias", H5P_DEFAULT, H5P_DEFAULT);
        hid_t named = H5Tcopy(H5T_STD_U8LE);
        H5Tcommit2(file, "named", named, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        H5Tclose(named);
    }
    H5Gclose(group);
    H5Tclose(big);
    H5Tclose(record);
    H5Tclose(text);
    H5Sclose(null);
    H5Sclose(nine);
    H5Sclose(one);
    CU_ASSERT(H5Fclose(file) >= 0);
}

static void a_dataset_that_is_not_there_gets_the_nearest_name(void)
{
    hid_t file = H5Fcreate(in_folder("none.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    expect_refusal("none.h5", "x", "none.h5: no dataset '/x'; it has no dataset");
    make_menagerie(in_folder("two.h5"), 1);
    expect_refusal("two.h5", "/foto",
                   "two.h5: no dataset '/foto'; did you mean '/photo'? "
                   "It has /maps/heat, /more0000 and /photo");
    expect_refusal("two.h5", "photo/x",
                   "two.h5: no dataset '/photo/x'; did you mean '/photo'? "
                   "It has /maps/heat, /more0000 and /photo");
    expect_refusal("two.h5", "/temperature",
                   "two.h5: no dataset '/temperature'; it has /maps/heat, /more0000 and /photo");
    expect_refusal("two.h5", "maps",
                   "two.h5:/maps: is a group, not a dataset; it holds /maps/heat");
    make_menagerie(in_folder("many.h5"), 1200);
    expect_refusal("many.h5", "/zebra",
                   "many.h5: no dataset '/zebra'; it has /maps/heat, /more0000, /more0001, "
                   "/more0002, /more0003 and at least 995 more");
}

/* Changes the first number of 8 bytes in a file that is `from`. */
static void change_number(const char *path, uint64_t from, uint64_t to)
{
    static unsigned char bytes[1 << 16];
    FILE *file = fopen(path, "rb");
    CU_ASSERT_FATAL(file != NULL);
    size_t n = fread(bytes, 1, sizeof bytes, file), at = 0;
    fclose(file);
    while (at + 8 < n && memcmp(bytes + at, &from, 8) != 0)
        at++;
    memcpy(bytes + at, &to, 8);
    put_file(path, bytes, n);
}

/* HDF5 1.10 would read what lies behind them. */
static void more_elements_than_bytes_are_refused(void)
{
    const hsize_t extent = 1234;
    static const unsigned char data[1234];
    for (int is_compact = 0; is_compact < 2; is_compact++) {
        const char *path = in_folder("liar.h5");
        struct bq_error err = {.text = ""};
        hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        hid_t space = H5Screate_simple(1, &extent, NULL), creation = H5Pcreate(H5P_DATASET_CREATE);
        H5Pset_layout(creation, is_compact ? H5D_COMPACT : H5D_CONTIGUOUS);
        hid_t dataset =
            H5Dcreate2(file, "data", H5T_STD_U8LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
        CU_ASSERT(H5Dwrite(dataset, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
        H5Dclose(dataset);
        H5Pclose(creation);
        H5Sclose(space);
        H5Fclose(file);
        change_number(path, extent, 5000);
        CU_ASSERT_PTR_NULL(bq_input_open(path, "data", &err));
        CU_ASSERT_EQUAL(err.exit, BQ_EXIT_USAGE);
        CHECK_TEXT(message(&err), "liar.h5:/data: the file is damaged: it has 1234 bytes for 5000 "
                                  "elements of 1");
    }
}

static void a_dataset_that_is_not_numeric_is_refused(void)
{
    struct bq_error err = {.text = ""};
    make_menagerie(in_folder("zoo.h5"), 0);
    expect_refusal("zoo.h5", "names",
                   "zoo.h5:/names: holds text; kernels work on integers and floating point");
    expect_refusal("zoo.h5", "records",
                   "zoo.h5:/records: holds records (a compound type); name a field of them: "
                   "/records.x, /records.y");
    expect_refusal("zoo.h5", "links",
                   "zoo.h5:/links: holds references to other objects; kernels work on integers and "
                   "floating point");
    expect_refusal("zoo.h5", "bits",
                   "zoo.h5:/bits: holds bit fields; kernels work on integers and floating point");
    expect_refusal("zoo.h5", "huge",
                   "zoo.h5:/huge: holds integers of 128 bits; kernels take at most 64");
    expect_refusal("zoo.h5", "nine", "zoo.h5:/nine: has 9 dimensions; at most 8 are supported");
    expect_refusal("zoo.h5", "nothing",
                   "zoo.h5:/nothing: holds no elements at all (a null dataspace)");
    expect_refusal("zoo.h5", "dangling",
                   "zoo.h5:/dangling: is a link to something that is not there");
    expect_refusal("zoo.h5", "named", "zoo.h5:/named: is a named type, not a dataset");
    struct bq_input *input = bq_input_open(in_folder("zoo.h5"), "alias", &err);
    CU_ASSERT_PTR_NOT_NULL(input);
    bq_input_close(input);
}

static void a_damaged_chunk_is_named_with_the_reason(void)
{
    const struct bq_space space = {2, {1024, 64}}, chunk = {2, {512, 64}};
    struct bq_error err = {.text = ""};
    unsigned char *data = calloc(1024, 64);
    fill(BQ_U8, 1024 * 64, (char *)data);
    make_input(in_folder("photo.h5"), "photo", H5T_STD_U8LE, H5T_NATIVE_UINT8, &space, &chunk, 1,
               data);
    hid_t file = H5Fopen(in_folder("photo.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t dataset = H5Dopen2(file, "photo", H5P_DEFAULT);
    unsigned filters;
    haddr_t address;
    hsize_t bytes;
    H5Dget_chunk_info_by_coord(dataset, (hsize_t[]){512, 0}, &filters, &address, &bytes);
    H5Dclose(dataset);
    H5Fclose(file);
    FILE *damage = fopen(in_folder("photo.h5"), "r+b");
    fseek(damage, (long)address, SEEK_SET);
    fputs("this is no deflate stream", damage);
    fclose(damage);

    struct bq_input *input = bq_input_open(in_folder("photo.h5"), "photo", &err);
    CU_ASSERT_FATAL(input != NULL);
    const uint64_t extent[2] = {512, 64};
    CU_ASSERT_EQUAL(bq_input_read(input, (uint64_t[]){0, 0}, extent, data, &err), 0);
    CU_ASSERT_EQUAL(bq_input_read(input, (uint64_t[]){512, 0}, extent, data, &err), -1);
    CHECK_TEXT(message(&err), "photo.h5:/photo: cannot read chunk at (512, 0): inflate() failed");
    CU_ASSERT_EQUAL(err.exit, BQ_EXIT_FAILED);
    CU_ASSERT_EQUAL(bq_input_read(input, (uint64_t[]){600, 0}, extent, data, &err), -1);
    CHECK_TEXT(message(&err),
               "photo.h5:/photo: axis 0 ends at 1024, but 512 from 600 on are asked for");
    bq_input_close(input);
    free(data);
}

/* -- filters, threads, memory ------------------------------------------------------------- */

enum { COUNTING_FILTER = 300 };
static unsigned n_decoded;

static size_t count_decoding(unsigned flags, size_t n, const unsigned *values, size_t n_bytes,
                             size_t *size, void **buffer)
{
    (void)n, (void)values, (void)size, (void)buffer;
    n_decoded += (flags & H5Z_FLAG_REVERSE) != 0;
    return n_bytes;
}

/* Two chunks wide, n high; each is larger than HDF5's own cache of 1 MiB. */
enum { COUNTED = 1500 };

static void make_counted(const char *path, hsize_t n)
{
    const hsize_t chunk = COUNTED;
    hsize_t extent[2] = {n * chunk, 2 * chunk}, piece[2] = {chunk, chunk};
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, extent, NULL);
    H5Pset_chunk(creation, 2, piece);
    H5Pset_filter(creation, COUNTING_FILTER, 0, 0, NULL);
    H5Pset_deflate(creation, 1);
    hid_t dataset =
        H5Dcreate2(file, "data", H5T_STD_U8LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    unsigned char *data = calloc(2 * n * chunk, chunk);
    CU_ASSERT(H5Dwrite(dataset, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    free(data);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Pclose(creation);
    H5Fclose(file);
}

static void a_large_chunk_of_the_file_that_is_read_in_parts_is_decoded_once(void)
{
    const H5Z_class2_t filter = {H5Z_CLASS_T_VERS, COUNTING_FILTER, 1, 1, "counting", NULL, NULL,
                                 count_decoding};
    const struct bq_space grid = {2, {500, 500}};
    char words[96];
    CU_ASSERT(H5Zregister(&filter) >= 0);
    make_counted(in_folder("counted.h5"), 2);
    n_decoded = 0;
    free(read_all(in_folder("counted.h5"), &grid, words, BQ_U8));
    CU_ASSERT_EQUAL(n_decoded, 4);
    CHECK_TEXT(words, "uint8, chunked 1500 x 1500, counting + deflate 1");
}

static void decoded_chunks_are_dropped_when_there_are_too_many(void)
{
    const unsigned n = 20; /* 40 chunks of 2.15 MiB, more than 64 MiB */
    struct bq_error err = {.text = ""};
    make_counted(in_folder("counted-long.h5"), n);
    struct bq_input *input = bq_input_open(in_folder("counted-long.h5"), "data", &err);
    CU_ASSERT_FATAL(input != NULL);
    n_decoded = 0;
    for (uint64_t i = 0; i < 2 * n + 1; i++) { /* one element of each, and of the first again */
        char element;
        uint64_t offset[2] = {i / 2 % n * COUNTED, i % 2 * COUNTED};
        CU_ASSERT_EQUAL(bq_input_read(input, offset, (uint64_t[]){1, 1}, &element, &err), 0);
    }
    CU_ASSERT_EQUAL(n_decoded, 2 * n + 1);
    bq_input_close(input);
}

static void a_filter_that_is_missing_is_named(void)
{
    struct bq_error err = {.text = ""};
    CU_ASSERT(H5Zunregister(COUNTING_FILTER) >= 0);
    CU_ASSERT_PTR_NULL(bq_input_open(in_folder("counted.h5"), "data", &err));
    CU_ASSERT_EQUAL(err.exit, BQ_EXIT_USAGE);
    CHECK_TEXT(
        message(&err),
        "counted.h5:/data: is compressed with filter 300 counting, which "
        "this HDF5 library does not "
        "have; install its plug-in and set HDF5_PLUGIN_PATH, or rewrite the dataset with gzip");
}

struct reader {
    struct bq_input *input;
    unsigned first, n_wrong;
};

/* Rows first, first + 2, ... of 200 x 100, again and again; element = row + column. */
static void *read_rows(void *data)
{
    struct reader *reader = data;
    uint16_t row[100];
    for (unsigned i = 0; i < 2000; i++) {
        unsigned y = (reader->first + 2 * i) % 200;
        struct bq_error err;
        uint64_t bad[2] = {200, 0};
        if (bq_input_read(reader->input, (uint64_t[]){y, 0}, (uint64_t[]){1, 100}, row, &err) != 0)
            reader->n_wrong++;
        for (unsigned x = 0; x < 100; x++)
            reader->n_wrong += row[x] != y + x;
        reader->n_wrong += bq_input_read(reader->input, bad, (uint64_t[]){1, 100}, row, &err) != -1;
    }
    return NULL;
}

static void two_threads_may_read_at_once(void)
{
    const struct bq_space space = {2, {200, 100}}, chunk = {2, {7, 9}};
    struct bq_error err = {.text = ""};
    uint16_t *data = calloc(200 * 100, sizeof *data);
    for (unsigned i = 0; i < 200 * 100; i++)
        data[i] = (uint16_t)(i / 100 + i % 100);
    make_input(in_folder("threads.h5"), "data", H5T_STD_U16BE, H5T_NATIVE_UINT16, &space, &chunk, 1,
               data);
    struct bq_input *input = bq_input_open(in_folder("threads.h5"), "data", &err);
    struct bq_input *again = bq_input_open(in_folder("threads.h5"), "data", &err);
    CU_ASSERT_FATAL(input != NULL && again != NULL);
    struct reader reader[3] = {{input, 0, 0}, {input, 1, 0}, {again, 0, 0}};
    pthread_t thread[3];
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, read_rows, &reader[i]), 0);
    for (int i = 0; i < 3; i++) {
        pthread_join(thread[i], NULL);
        CU_ASSERT_EQUAL(reader[i].n_wrong, 0);
    }
    bq_input_close(input);
    bq_input_close(again);
    free(data);
}

static void no_memory_is_an_error_and_leaks_nothing(void)
{
    const struct bq_space space = {1, {4}}, none = {0, {0}};
    make_input(in_folder("little.h5"), "data", H5T_STD_U16BE, H5T_NATIVE_UINT16, &space, NULL, 0,
               "12345678");
    struct bq_error err;
    bool was_opened = false;
    for (unsigned long n = 1; n < 50 && !was_opened; n++) {
        bq_heap_fail_at(n);
        struct bq_input *input = bq_input_open(in_folder("little.h5"), "data", &err);
        bq_heap_fail_at(0);
        was_opened = input != NULL;
        if (!was_opened)
            CHECK_TEXT(message(&err), "little.h5: out of memory");
        bq_input_close(input);
    }
    CU_ASSERT(was_opened);
    struct bq_input *input = bq_input_open(in_folder("little.h5"), "data", &err);
    bool was_made = false;
    for (unsigned long n = 1; n < 50 && !was_made; n++) {
        struct bq_output_spec spec = {.file = in_folder("little-out.h5"),
                                      .dataset = "data",
                                      .type = BQ_U16,
                                      .space = space,
                                      .chunk = none,
                                      .like = input};
        bq_heap_fail_at(n);
        struct bq_output *output = bq_output_create(&spec, &err);
        bq_heap_fail_at(0);
        was_made = output != NULL;
        if (!was_made)
            CHECK_TEXT(message(&err), "little-out.h5: out of memory");
        bq_output_discard(output);
        CU_ASSERT_EQUAL(n_files(".little-out"), 0);
    }
    CU_ASSERT(was_made);
    bq_input_close(input);
    bq_input_close(NULL);
    bq_output_discard(NULL);
}

int main(void)
{
    const struct test tests[] = {
        {"every type, order, layout and rank comes back",
         every_type_order_layout_and_rank_comes_back},
        {"an empty dataset is read and written", an_empty_dataset_is_read_and_written},
        {"a scalar is one element and stays a scalar", a_scalar_is_one_element_and_stays_a_scalar},
        {"odd types arrive in the next native one and are stored as they were",
         odd_types_arrive_in_the_next_native_one_and_are_stored_as_they_were},
        {"the layout is told in words", the_layout_is_told_in_words},
        {"a file that cannot be used is refused with its reason",
         a_file_that_cannot_be_used_is_refused_with_its_reason},
        {"a file that is locked is refused with advice",
         a_file_that_is_locked_is_refused_with_advice},
        {"a dataset that is not there gets the nearest name",
         a_dataset_that_is_not_there_gets_the_nearest_name},
        {"more elements than bytes are refused", more_elements_than_bytes_are_refused},
        {"a dataset that is not numeric is refused", a_dataset_that_is_not_numeric_is_refused},
        {"a damaged chunk is named with the reason", a_damaged_chunk_is_named_with_the_reason},
        {"a large chunk of the file that is read in parts is decoded once",
         a_large_chunk_of_the_file_that_is_read_in_parts_is_decoded_once},
        {"decoded chunks are dropped when there are too many",
         decoded_chunks_are_dropped_when_there_are_too_many},
        {"a filter that is missing is named", a_filter_that_is_missing_is_named},
        {"two threads may read at once", two_threads_may_read_at_once},
        {"no memory is an error and leaks nothing", no_memory_is_an_error_and_leaks_nothing},
        {"nothing is left open in HDF5", nothing_is_left_open_in_hdf5},
    };
    fixture_begin();
    int rc = run_tests("store", tests, sizeof tests / sizeof *tests);
    fixture_end();
    return rc;
}
