/* Syncing an output, and finding it again in the work file of a run that was killed.
 *
 * One rule: what is resumed is the dataset that would be made now, or nothing.
 */
#include "adapters/store_work_driver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/heap.h"

/* -- syncing ------------------------------------------------------------------------------ */

static int sync_fail(const struct bq_output *output, int number, struct bq_error *err)
{
    bool is_full = number == ENOSPC || number == EDQUOT || number == EFBIG;
    return bq_fail(err, BQ_EXIT_FAILED, "%s: cannot sync its work file: %s%s", output->where,
                   strerror(number),
                   is_full ? "; free some space there, or write the output somewhere else" : "");
}

static void tell_places(struct bq_output *output)
{
    haddr_t address = H5Dget_offset(output->dataset); /* of a contiguous one that has its space */
    if (address != HADDR_UNDEF)
        store_work_driver_set_in_place(output->driver, address,
                                       H5Dget_storage_size(output->dataset));
}

int bq_output_sync(struct bq_output *output, bool to_disk, struct bq_error *err)
{
    int rc = 0;
    /* Most of it while others may use the library. An error is reported once, so not again below.
     */
    if (to_disk && fdatasync(output->work.fd) < 0)
        return sync_fail(output, errno, err);
    store_lock();
    if (H5Fflush(output->file, H5F_SCOPE_LOCAL) < 0) {
        rc = store_write_fail(output, err, "sync its work file");
    } else {
        tell_places(output);
        if (store_work_driver_sync(output->driver, output->work.log, to_disk) < 0)
            rc = sync_fail(output, errno, err);
    }
    store_unlock();
    if (rc == 0 && to_disk && !output->is_folder_synced) {
        rc = store_work_sync_folder(&output->work, err);
        output->is_folder_synced = rc == 0;
    }
    return rc;
}

uint64_t bq_output_state(const struct bq_output *output)
{
    store_lock();
    uint64_t state = output->driver ? store_work_driver_state(output->driver) : 0;
    store_unlock();
    return state;
}

/* -- whether it is what would be made ----------------------------------------------------- */

static bool has_same_filters(hid_t a, hid_t b)
{
    enum { MOST = 32 };
    int n = H5Pget_nfilters(a);
    bool is_same = n == H5Pget_nfilters(b);
    for (int i = 0; i < n && is_same; i++) {
        unsigned flags[2], values[2][MOST] = {{0}};
        size_t n_values[2] = {MOST, MOST};
        is_same =
            H5Pget_filter2(a, (unsigned)i, &flags[0], &n_values[0], values[0], 0, NULL, NULL) ==
                H5Pget_filter2(b, (unsigned)i, &flags[1], &n_values[1], values[1], 0, NULL, NULL) &&
            flags[0] == flags[1] && n_values[0] == n_values[1] &&
            memcmp(values[0], values[1], sizeof values[0]) == 0;
    }
    return is_same;
}

static bool has_same_chunk(hid_t a, hid_t b)
{
    hsize_t extent[2][H5S_MAX_RANK] = {{0}};
    H5D_layout_t layout = H5Pget_layout(a);
    if (layout != H5Pget_layout(b))
        return false;
    return layout != H5D_CHUNKED ||
           (H5Pget_chunk(a, H5S_MAX_RANK, extent[0]) == H5Pget_chunk(b, H5S_MAX_RANK, extent[1]) &&
            memcmp(extent[0], extent[1], sizeof extent[0]) == 0);
}

static bool has_same_fill(hid_t a, hid_t b, enum bq_type type)
{
    unsigned char fill[2][8] = {{0}};
    store_fill_value(a, type, fill[0]);
    store_fill_value(b, type, fill[1]);
    return memcmp(fill[0], fill[1], sizeof fill[0]) == 0;
}

/* What differs; NULL: nothing. */
static const char *difference(const struct bq_output *output, const struct bq_output *twin,
                              enum bq_type type)
{
    hid_t types[] = {H5Dget_type(output->dataset), H5Dget_type(twin->dataset)};
    hid_t spaces[] = {H5Dget_space(output->dataset), H5Dget_space(twin->dataset)};
    hid_t lists[] = {H5Dget_create_plist(output->dataset), H5Dget_create_plist(twin->dataset)};
    const char *what = H5Tequal(types[0], types[1]) <= 0            ? "type"
                       : H5Sextent_equal(spaces[0], spaces[1]) <= 0 ? "shape"
                       : !has_same_chunk(lists[0], lists[1])        ? "chunk shape"
                       : !has_same_filters(lists[0], lists[1])      ? "compression"
                       : !has_same_fill(lists[0], lists[1], type)   ? "fill value"
                                                                    : NULL;
    for (int i = 0; i < 2; i++) {
        store_release(types[i]);
        store_release(spaces[i]);
        store_release(lists[i]);
    }
    return what;
}

/* Makes the dataset in memory, without space for its numbers, and compares. */
static int compare(const struct bq_output *output, const struct bq_output_spec *spec,
                   struct bq_error *err)
{
    struct bq_output twin = *output;
    struct bq_output_spec like = *spec;
    like.how = BQ_OUTPUT_LIBRARY;
    twin.dataset = twin.space = -1;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, 1 << 16, false);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    twin.file = H5Fcreate(output->work.path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    store_release(access);
    int rc = twin.file < 0 ? store_fail(err, BQ_EXIT_FAILED, NULL, "%s: cannot set up", twin.where)
                           : store_make_dataset(&twin, &like, err);
    const char *what = rc < 0 ? NULL : difference(output, &twin, spec->type);
    if (what)
        rc = bq_fail(err, BQ_EXIT_FAILED,
                     "%s: its work file '%s' was made for another %s; it has to be made anew",
                     output->where, output->work.path, what);
    store_release(twin.dataset);
    store_release(twin.space);
    if (twin.file >= 0)
        H5Fclose(twin.file);
    return rc;
}

/* -- finding it --------------------------------------------------------------------------- */

/* Opens it once more where it is to have another cache. */
static int open_dataset(struct bq_output *output, const struct bq_output_spec *spec)
{
    output->dataset = H5Dopen2(output->file, output->path, H5P_DEFAULT);
    if (output->dataset < 0)
        return -1;
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS), type = H5Dget_type(output->dataset);
    if (store_set_cache(access, &spec->space, &spec->chunk, H5Tget_size(type)) > 0) {
        store_release(output->dataset);
        output->dataset = H5Dopen2(output->file, output->path, access);
    }
    store_release(type);
    store_release(access);
    output->space = output->dataset < 0 ? -1 : H5Dget_space(output->dataset);
    return output->space < 0 ? -1 : 0;
}

static int find_file(struct bq_output *output, const struct bq_output_spec *spec,
                     struct store_log *log, struct bq_error *err)
{
    hid_t access = store_work_driver_access(output->work.fd);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    output->file = H5Fopen(output->work.path, H5F_ACC_RDWR, access);
    if (output->file >= 0)
        output->driver = store_work_driver_of(output->file);
    if (output->file < 0 || open_dataset(output, spec) < 0) {
        store_fail(err, BQ_EXIT_FAILED, NULL,
                   "%s: its work file '%s' is damaged, and has to be made anew", output->where,
                   output->work.path);
        store_release(access);
        return -1;
    }
    store_release(access);
    if (store_work_driver_resumed(output->driver, log) < 0)
        return sync_fail(output, errno, err);
    if (compare(output, spec, err) < 0)
        return -1;
    store_settle_how(output, spec);
    tell_places(output);
    return 0;
}

struct bq_output *bq_output_resume(const struct bq_output_spec *spec, const char *work,
                                   struct bq_error *err)
{
    struct store_log log = {.fd = -1};
    if (spec->n_parts || spec->how == BQ_OUTPUT_SHARDED || spec->is_scratch) {
        bq_fail(err, BQ_EXIT_FAILED, "%s: only an output of one file can be resumed", spec->file);
        return NULL;
    }
    if (bq_output_check(spec, err) != 0)
        return NULL;
    struct bq_output *output = store_new_output(spec, err);
    if (!output)
        return NULL;
    int rc = store_work_resume(&output->work, spec->file, spec->force, work, err);
    if (rc == 0)
        rc = store_log_replay(&log, output->work.log, output->work.fd, spec->file, err);
    if (rc == 0) {
        store_lock();
        output->memory = store_memory_type(spec->type);
        rc = find_file(output, spec, &log, err);
        store_unlock();
    }
    store_log_close(&log);
    if (rc == 0)
        return output;
    bq_output_leave(output);
    return NULL;
}
