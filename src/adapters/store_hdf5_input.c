/* A dataset open for reading: opening it, and reading blocks of it through the library.
 */
#include "adapters/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "adapters/store_driver.h"
#include "base/heap.h"

/* -- opening and reading ------------------------------------------------------------------ */

/* What can be said about a file without HDF5, in better words than HDF5 has. */
static int look_at_file(struct bq_input *input, struct bq_error *err)
{
    const char *name = input->file_name;
    struct stat st;
    if (stat(name, &st) != 0)
        return bq_fail(err, BQ_EXIT_USAGE, "%s: cannot open: %s", name, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return bq_fail(err, BQ_EXIT_USAGE, "%s: is a folder, not an HDF5 file", name);
    if (!S_ISREG(st.st_mode))
        return bq_fail(err, BQ_EXIT_USAGE, "%s: is not a regular file", name);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return bq_fail(err, BQ_EXIT_USAGE, "%s: cannot open: %s", name, strerror(errno));
    char magic[3] = "";
    ssize_t n = read(fd, magic, sizeof magic);
    close(fd);
    if (n == 0)
        return bq_fail(err, BQ_EXIT_USAGE, "%s: is empty, not an HDF5 file", name);
    if (n == 3 && memcmp(magic, "CDF", 3) == 0)
        return bq_fail(
            err, BQ_EXIT_USAGE,
            "%s: is a classic netCDF file, not HDF5; `nccopy -k nc4 OLD NEW` converts it", name);
    return 0;
}

static int open_file(struct bq_input *input, bool wants_lock, struct bq_error *err)
{
    const char *name = input->file_name;
    if (H5Fis_hdf5(name) <= 0)
        return bq_fail(err, BQ_EXIT_USAGE, "%s: is not an HDF5 file", name);
    hid_t access = store_driver_access(wants_lock);
    input->file = H5Fopen(name, H5F_ACC_RDONLY, access);
    if (input->file < 0)
        store_fail(err, BQ_EXIT_USAGE, NULL, "%s: cannot open", name);
    store_release(access);
    if (input->file >= 0)
        return 0;
    if (err && strstr(err->text, "truncated file"))
        strncat(err->text, "; is the copy of it complete?",
                sizeof err->text - strlen(err->text) - 1);
    return -1;
}

/* The file in which the dataset lies: another one behind a link to it. */
static int find_driver(struct bq_input *input, struct bq_error *err)
{
    struct stat st;
    hid_t file = H5Iget_file_id(input->dataset);
    input->driver = file < 0 ? NULL : store_driver_of(file);
    store_release(file); /* stays open as long as the dataset */
    if (!input->driver)
        return bq_fail(err, BQ_EXIT_USAGE, "%s: its file was opened in another way", input->where);
    input->fd = store_driver_fd(input->driver);
    if (fstat(input->fd, &st) != 0)
        return bq_fail(err, BQ_EXIT_USAGE, "%s: cannot look at its file: %s", input->where,
                       strerror(errno));
    input->info.file_bytes = (uint64_t)st.st_size;
    input->info.file_mtime_ns = store_mtime(&st);
    return 0;
}

/* Whether the first element can be read: a chunk may have been stored without an optional filter.
 */
static bool can_read_first(const struct bq_input *input)
{
    const struct bq_space *space = &input->info.space;
    uint64_t offset[BQ_MAX_RANK] = {0}, extent[BQ_MAX_RANK], element[2];
    for (int i = 0; i < space->rank; i++) {
        extent[i] = 1;
        if (space->extent[i] == 0)
            return true;
    }
    hid_t memory =
        store_select(input->space, space, input->is_scalar, offset, extent, input->where, NULL);
    bool can = memory >= 0 && H5Dread(input->dataset, input->memory, memory, input->space,
                                      H5P_DEFAULT, element) >= 0;
    store_release(memory);
    return can;
}

/* Whatever the datasets behind a virtual one went through; they are opened when they are read. */
static void want_all_filters(void)
{
    static const uint32_t ids[] = {
#define FILTER_ID(code, id, name) id,
        BQ_FILTERS(FILTER_ID)
#undef FILTER_ID
    };
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        store_want_filter(ids[i]);
}

/* A filter that is not there would fail every chunk; better to say so at once. */
static int check_filters(const struct bq_input *input, struct bq_error *err)
{
    hid_t creation = H5Dget_create_plist(input->dataset);
    int n = creation < 0 ? 0 : H5Pget_nfilters(creation), rc = 0;
    if (H5Pget_layout(creation) == H5D_VIRTUAL)
        want_all_filters();
    for (int i = 0; i < n && rc == 0; i++) {
        char name[64] = "";
        unsigned flags;
        size_t n_values = 0;
        H5Z_filter_t id =
            H5Pget_filter2(creation, (unsigned)i, &flags, &n_values, NULL, sizeof name, name, NULL);
        name[sizeof name - 1] = 0;
        store_want_filter((uint32_t)id);
        if (id >= 0 && H5Zfilter_avail(id) <= 0 && !can_read_first(input))
            rc = bq_fail(
                err, BQ_EXIT_USAGE,
                "%s: is compressed with filter %d%s%s, which this HDF5 library does not "
                "have; install its plug-in and set HDF5_PLUGIN_PATH, or rewrite the dataset "
                "with gzip",
                input->where, (int)id, name[0] ? " " : "", name);
    }
    store_release(creation);
    return rc;
}

/* The types of what is read: of the elements, or of a field of them. */
static int choose_types(struct bq_input *input, const char *field, struct bq_error *err)
{
    hid_t whole = H5Dget_type(input->dataset);
    input->is_field = field != NULL;
    input->stored = store_field_type(whole, field, input->where, err);
    int rc = input->stored < 0 ? -1
                               : store_describe(input->dataset, input->stored, input->where,
                                                &input->info, &input->is_scalar, err);
    if (rc == 0) {
        hid_t native = store_memory_type(input->info.type);
        input->memory = field ? store_field_memory(whole, field, native) : H5Tcopy(native);
        if (input->memory < 0)
            rc = store_fail(err, BQ_EXIT_USAGE, NULL, "%s: cannot read its field", input->where);
    }
    store_release(whole);
    return rc;
}

/* The cache is made when a dataset is opened, and its size asks for a look at the dataset. */
static int open_again(struct bq_input *input, const char *path, struct bq_error *err)
{
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS), type = H5Dget_type(input->dataset);
    input->info.library_bytes =
        store_set_cache(access, &input->info.space, &input->info.chunk, H5Tget_size(type));
    store_release(type);
    store_release(input->dataset);
    input->dataset = H5Dopen2(input->file, path, access);
    if (input->dataset < 0)
        store_fail(err, BQ_EXIT_USAGE, NULL, "%s: cannot open", input->where);
    store_release(access);
    return input->dataset < 0 ? -1 : 0;
}

/* Whether H5Dread leaves elements that were never written as it finds them: without a value to put
 * there. Virtual: the datasets behind it decide. */
static bool leaves_holes(hid_t dataset)
{
    hid_t creation = H5Dget_create_plist(dataset);
    H5D_fill_value_t state = H5D_FILL_VALUE_UNDEFINED;
    H5D_fill_time_t time = H5D_FILL_TIME_NEVER;
    H5Pfill_value_defined(creation, &state);
    H5Pget_fill_time(creation, &time);
    bool is_virtual = H5Pget_layout(creation) == H5D_VIRTUAL;
    store_release(creation);
    return is_virtual || state == H5D_FILL_VALUE_UNDEFINED || time == H5D_FILL_TIME_NEVER;
}

/* Bytes of a stored chunk when it is stored as it is in memory; else 0. */
static uint64_t raw_chunk_bytes(const struct bq_input *input)
{
    hid_t creation = H5Dget_create_plist(input->dataset), type = H5Dget_type(input->dataset);
    uint64_t bytes = 0;
    bool is_raw = H5Pget_layout(creation) == H5D_CHUNKED && H5Pget_nfilters(creation) == 0 &&
                  input->info.chunk.rank > 0;
    if (is_raw &&
        __builtin_mul_overflow(bq_space_elements(&input->info.chunk), H5Tget_size(type), &bytes))
        bytes = UINT64_MAX;
    store_release(type);
    store_release(creation);
    return bytes;
}

/* path: of a dataset, or with a field behind it, which is cut off. */
static int open_dataset(struct bq_input *input, char *path, struct bq_error *err)
{
    H5O_info_t object;
    const char *field = NULL;
    if ((H5Oget_info_by_name2(input->file, path, &object, H5O_INFO_BASIC, H5P_DEFAULT) < 0 ||
         object.type != H5O_TYPE_DATASET) &&
        !(field = store_split_field(input->file, path)))
        return store_not_there(input->file, input->file_name, path, err);
    input->dataset = H5Dopen2(input->file, path, H5P_DEFAULT);
    if (input->dataset < 0)
        return store_fail(err, BQ_EXIT_USAGE, NULL, "%s: cannot open", input->where);
    if (choose_types(input, field, err) != 0 ||
        store_check_claims(input->dataset, &input->info, input->where, err) != 0 ||
        open_again(input, path, err) != 0 || find_driver(input, err) != 0)
        return -1;
    input->space = H5Dget_space(input->dataset);
    if (input->space < 0)
        return store_fail(err, BQ_EXIT_USAGE, NULL, "%s: cannot see its extent", input->where);
    input->leaves_holes = leaves_holes(input->dataset);
    input->raw_chunk_bytes = raw_chunk_bytes(input);
    store_describe_layout(input->dataset, input->stored, &input->info, &input->layout,
                          &input->address, input->info.by_library, sizeof input->info.by_library);
    if (input->layout.storage != BQ_STORAGE_OTHER)
        input->info.library_bytes = 0; /* nothing is read through the library */
    return check_filters(input, err);
}

struct bq_input *bq_input_open(const char *file, const char *dataset, struct bq_error *err)
{
    return store_input_open(file, dataset, true, err);
}

struct bq_input *store_input_open(const char *file, const char *dataset, bool wants_lock,
                                  struct bq_error *err)
{
    struct bq_input *input = bq_alloc(1, sizeof *input);
    if (!input) {
        bq_fail(err, BQ_EXIT_FAILED, "%s: out of memory", file);
        return NULL;
    }
    input->file = input->dataset = input->space = input->stored = input->memory = -1;
    input->file_name = bq_strdup(file);
    input->where = store_where(file, dataset);
    int rc = -1;
    if (!input->file_name || !input->where) {
        bq_fail(err, BQ_EXIT_FAILED, "%s: out of memory", file);
    } else if (look_at_file(input, err) == 0) {
        char *path = bq_strdup(input->where + strlen(file) + 1);
        store_lock();
        rc = path && open_file(input, wants_lock, err) == 0 ? open_dataset(input, path, err) : -1;
        if (rc == 0 && wants_lock) /* a work file of ours has nothing behind it */
            rc = store_find_files(input, err);
        store_unlock();
        if (!path)
            bq_fail(err, BQ_EXIT_FAILED, "%s: out of memory", file);
        bq_free(path);
    }
    if (rc != 0) {
        bq_input_close(input);
        return NULL;
    }
    return input;
}

const char *bq_input_name(const struct bq_input *input)
{
    return input->where;
}

const struct bq_input_info *bq_input_info(const struct bq_input *input)
{
    return &input->info;
}

uint64_t bq_input_stored_bytes(const struct bq_input *input)
{
    if (input->is_raw)
        return input->info.file_bytes;
    store_lock();
    uint64_t bytes = H5Dget_storage_size(input->dataset);
    store_unlock();
    return bytes;
}

const struct bq_layout *bq_input_layout(const struct bq_input *input)
{
    return &input->layout;
}

/* Whether the stored chunks of a block, where there is no filter, have the size of their numbers.
 * HDF5 1.10 does not look, and reads beyond those that are shorter. */
static int check_chunks(struct bq_input *input, const uint64_t *offset, const uint64_t *extent,
                        struct bq_error *err)
{
    const struct bq_space *space = &input->info.space, *chunk = &input->info.chunk;
    struct bq_box block = {.rank = space->rank}, cell;
    if (input->raw_chunk_bytes == 0)
        return 0;
    memcpy(block.offset, offset, (size_t)space->rank * sizeof *offset);
    memcpy(block.extent, extent, (size_t)space->rank * sizeof *extent);
    uint64_t n = bq_box_cells(&block, chunk->extent);
    for (uint64_t i = 0; i < n; i++) {
        hsize_t first[BQ_MAX_RANK];
        uint64_t address, size;
        uint32_t mask;
        char at[180];
        bq_box_cell(&block, space, chunk->extent, i, &cell);
        for (int k = 0; k < cell.rank; k++)
            first[k] = cell.offset[k];
        if (store_driver_locate(input->driver, input->dataset, first, &address, &size, &mask) < 0 ||
            (size != 0 && size != input->raw_chunk_bytes))
            return bq_fail(err, BQ_EXIT_FAILED,
                           "%s: the stored chunk at %s has not the size of its numbers",
                           input->where, store_position(cell.offset, cell.rank, at, sizeof at));
    }
    return 0;
}

int bq_input_read(struct bq_input *input, const uint64_t *offset, const uint64_t *extent,
                  void *data, struct bq_error *err)
{
    const struct bq_space *space = &input->info.space;
    int rc = 0;
    store_lock();
    hid_t memory =
        store_select(input->space, space, input->is_scalar, offset, extent, input->where, err);
    if (memory >= 0 && input->leaves_holes) /* and not what the buffer held before */
        memset(data, 0,
               (size_t)H5Sget_simple_extent_npoints(memory) * bq_type_size(input->info.type));
    if (memory < 0 || check_chunks(input, offset, extent, err) < 0) {
        rc = -1;
    } else if (H5Sget_simple_extent_npoints(memory) > 0 &&
               H5Dread(input->dataset, input->memory, memory, input->space, H5P_DEFAULT, data) <
                   0) {
        char at[180];
        rc = store_fail(err, BQ_EXIT_FAILED, NULL, "%s: cannot read chunk at %s", input->where,
                        store_position(offset, space->rank, at, sizeof at));
    }
    store_release(memory);
    store_unlock();
    return rc;
}

void bq_input_close(struct bq_input *input)
{
    if (!input)
        return;
    if (input->file >= 0) {
        store_lock();
        store_release(input->space);
        store_release(input->memory);
        store_release(input->stored);
        store_release(input->dataset);
        store_release(input->file);
        store_unlock();
    }
    if (input->is_raw)
        store_raw_close(input);
    bq_free(input->files);
    bq_free(input->file_name);
    bq_free(input->where);
    bq_free(input);
}
