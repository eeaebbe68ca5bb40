/* Making a dataset, in a work file that gets its name when the dataset is complete.
 *
 *     create -> write, note (any order, any thread) -> commit | discard
 *
 * One rule: an error on the way leaves nothing behind, neither the result nor the work file.
 */
#include "adapters/store_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/heap.h"

struct bq_output {
    struct store_work work;
    char *where;                        /* "out.h5:/photo" */
    const char *path;                   /* "/photo", inside where */
    hid_t file, dataset, space, memory; /* memory: a predefined type, not to be released */
    bool is_scalar;
    struct bq_space extent;
};

/* -- before anything is written ----------------------------------------------------------- */

static bool is_empty(const struct bq_space *space)
{
    for (int i = 0; i < space->rank; i++) {
        if (space->extent[i] == 0)
            return true;
    }
    return false;
}

int bq_output_check(const struct bq_output_spec *spec, struct bq_error *err)
{
    const char *file = spec->file, *path = spec->dataset;
    size_t length = strlen(path);
    if (strspn(path, "/") == length || path[length - 1] == '/')
        return bq_fail(err, BQ_EXIT_USAGE, "%s: '%s' does not name a dataset", file, path);
    if (spec->space.rank < 1 || spec->space.rank > BQ_MAX_RANK || bq_type_size(spec->type) == 0)
        return bq_fail(err, BQ_EXIT_USAGE, "%s: '%s' would have rank %d and type %s", file, path,
                       spec->space.rank, bq_type_name(spec->type));
    if (spec->chunk.rank != 0 && (spec->chunk.rank != spec->space.rank || is_empty(&spec->chunk)))
        return bq_fail(err, BQ_EXIT_USAGE,
                       "%s: '%s' has %d dimensions; its chunk needs as many, each at least 1", file,
                       path, spec->space.rank);
    if (spec->gzip > 9)
        return bq_fail(err, BQ_EXIT_USAGE, "%s: gzip level %u; the levels are 1 to 9", file,
                       spec->gzip);
    if (spec->gzip && spec->chunk.rank == 0)
        return bq_fail(err, BQ_EXIT_USAGE, "%s: gzip needs chunks; '%s' would have none", file,
                       path);
    return store_work_check(file, spec->force, spec->like, err);
}

/* -- creating ----------------------------------------------------------------------------- */

/* The type in the file: as the input stores it when kernels see both alike. */
static hid_t file_type(const struct bq_output_spec *spec, struct bq_error *err)
{
    if (spec->like && spec->like->info.type == spec->type) {
        hid_t stored = H5Dget_type(spec->like->dataset);
        hid_t type = store_number_type(stored, spec->like->where, err);
        store_release(stored);
        return type;
    }
    switch (spec->type) {
    case BQ_U8:
        return H5Tcopy(H5T_STD_U8LE);
    case BQ_I8:
        return H5Tcopy(H5T_STD_I8LE);
    case BQ_U16:
        return H5Tcopy(H5T_STD_U16LE);
    case BQ_I16:
        return H5Tcopy(H5T_STD_I16LE);
    case BQ_U32:
        return H5Tcopy(H5T_STD_U32LE);
    case BQ_I32:
        return H5Tcopy(H5T_STD_I32LE);
    case BQ_U64:
        return H5Tcopy(H5T_STD_U64LE);
    case BQ_I64:
        return H5Tcopy(H5T_STD_I64LE);
    case BQ_F32:
        return H5Tcopy(H5T_IEEE_F32LE);
    case BQ_F64:
        return H5Tcopy(H5T_IEEE_F64LE);
    case BQ_N_TYPES:
        break;
    }
    return -1;
}

/* The input's fill value marks elements that were never written, also in the output: a chunk that
 * was given up. It is kept when the output's type can hold it exactly. */
static int keep_fill_value(const struct bq_output_spec *spec, hid_t like_creation, hid_t creation)
{
    unsigned char there[8] = {0}, back[8] = {0}, here[8] = {0};
    H5D_fill_value_t state;
    hid_t from = store_memory_type(spec->like->info.type), to = store_memory_type(spec->type);
    if (H5Pfill_value_defined(like_creation, &state) < 0 || state != H5D_FILL_VALUE_USER_DEFINED)
        return 0;
    if (H5Pget_fill_value(like_creation, from, there) < 0)
        return -1;
    memcpy(here, there, sizeof here);
    if (H5Tconvert(from, to, 1, here, NULL, H5P_DEFAULT) < 0)
        return -1;
    memcpy(back, here, sizeof back);
    if (H5Tconvert(to, from, 1, back, NULL, H5P_DEFAULT) < 0)
        return -1;
    if (memcmp(there, back, bq_type_size(spec->like->info.type)) != 0)
        return 0;
    return H5Pset_fill_value(creation, to, here) < 0 ? -1 : 0;
}

/* Layout, filters, fill value. No times: equal runs shall make equal files. */
static int set_creation(const struct bq_output_spec *spec, hid_t creation, struct bq_space *chunk)
{
    hsize_t extent[BQ_MAX_RANK];
    bool is_chunked = spec->chunk.rank > 0 && !is_empty(&spec->space);
    if (H5Pset_obj_track_times(creation, false) < 0)
        return -1;
    *chunk = spec->chunk;
    chunk->rank = is_chunked ? chunk->rank : 0;
    for (int i = 0; i < chunk->rank; i++) {
        if (chunk->extent[i] > spec->space.extent[i])
            chunk->extent[i] = spec->space.extent[i];
        extent[i] = chunk->extent[i];
    }
    if (is_chunked && H5Pset_chunk(creation, chunk->rank, extent) < 0)
        return -1;
    if (is_chunked && spec->gzip && bq_type_size(spec->type) > 1 && H5Pset_shuffle(creation) < 0)
        return -1;
    if (is_chunked && spec->gzip && H5Pset_deflate(creation, spec->gzip) < 0)
        return -1;
    if (!spec->like)
        return 0;
    hid_t like_creation = H5Dget_create_plist(spec->like->dataset);
    unsigned order = 0;
    int rc = keep_fill_value(spec, like_creation, creation);
    if (rc == 0 && H5Pget_attr_creation_order(like_creation, &order) >= 0 && order)
        rc = H5Pset_attr_creation_order(creation, order) < 0 ? -1 : 0;
    store_release(like_creation);
    return rc;
}

static hid_t make_space(const struct bq_output_spec *spec, bool is_scalar)
{
    hsize_t extent[BQ_MAX_RANK];
    for (int i = 0; i < spec->space.rank; i++)
        extent[i] = spec->space.extent[i];
    return is_scalar ? H5Screate(H5S_SCALAR) : H5Screate_simple(spec->space.rank, extent, NULL);
}

static int make_dataset(struct bq_output *output, const struct bq_output_spec *spec,
                        struct bq_error *err)
{
    int rc = -1;
    struct bq_space chunk;
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE), access = H5Pcreate(H5P_DATASET_ACCESS);
    hid_t links = H5Pcreate(H5P_LINK_CREATE), type = file_type(spec, err);
    if (type < 0)
        goto out;
    if (H5Pset_create_intermediate_group(links, 1) < 0 ||
        set_creation(spec, creation, &chunk) < 0) {
        store_fail(err, BQ_EXIT_FAILED, NULL, "%s: cannot be set up", output->where);
        goto out;
    }
    store_set_cache(access, &spec->space, &chunk, H5Tget_size(type));
    output->space = make_space(spec, output->is_scalar);
    output->dataset =
        H5Dcreate2(output->file, output->path, type, output->space, links, creation, access);
    if (output->dataset < 0) {
        store_fail(err, BQ_EXIT_FAILED, NULL, "%s: cannot create", output->where);
        goto out;
    }
    rc = 0;
out:
    store_release(type);
    store_release(links);
    store_release(access);
    store_release(creation);
    return rc;
}

static int make_file(struct bq_output *output, const struct bq_output_spec *spec,
                     struct bq_error *err)
{
    struct bq_input *like = spec->like;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    output->file = H5Fcreate(output->work.path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (output->file < 0)
        store_fail(err, BQ_EXIT_FAILED, NULL, "%s: cannot create", spec->file);
    store_release(access);
    if (output->file < 0 || make_dataset(output, spec, err) != 0)
        return -1;
    if (!like)
        return 0;
    /* Scales first: H5DS 1.10 leaks identifiers where a dataset has another CLASS attribute. */
    if (store_copy_scales(like, output->file, output->dataset, output->path, &spec->space, err) !=
            0 ||
        store_copy_attributes(like->dataset, output->dataset, like->info.type == spec->type, err) !=
            0)
        return bq_fail_in(err, "%s: cannot copy from %s", output->where, like->where);
    return 0;
}

struct bq_output *bq_output_create(const struct bq_output_spec *spec, struct bq_error *err)
{
    if (bq_output_check(spec, err) != 0)
        return NULL;
    struct bq_output *output = bq_alloc(1, sizeof *output);
    if (!output) {
        bq_fail(err, BQ_EXIT_FAILED, "%s: out of memory", spec->file);
        return NULL;
    }
    output->work.fd = -1;
    output->file = output->dataset = output->space = -1;
    output->extent = spec->space;
    output->is_scalar = spec->like && spec->like->is_scalar && spec->space.rank == 1 &&
                        spec->space.extent[0] == 1 && spec->chunk.rank == 0;
    output->where = store_where(spec->file, spec->dataset);
    if (!output->where) {
        bq_fail(err, BQ_EXIT_FAILED, "%s: out of memory", spec->file);
        goto failed;
    }
    output->path = output->where + strlen(spec->file) + 1;
    if (store_work_create(&output->work, spec->file, spec->force, err) != 0)
        goto failed;
    store_lock();
    output->memory = store_memory_type(spec->type);
    int rc = make_file(output, spec, err);
    store_unlock();
    if (rc == 0)
        return output;
failed:
    bq_output_discard(output);
    return NULL;
}

/* -- writing ------------------------------------------------------------------------------ */

/* As store_fail; when storage ran out, it also says what to do. */
static int write_fail(const struct bq_output *output, struct bq_error *err, const char *what)
{
    bool is_full;
    store_fail(err, BQ_EXIT_FAILED, &is_full, "%s: cannot %s", output->where, what);
    if (err && is_full) {
        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof err->text - used,
                 "; free some space there, or write the output somewhere else");
    }
    return -1;
}

int bq_output_write(struct bq_output *output, const uint64_t *offset, const uint64_t *extent,
                    const void *data, struct bq_error *err)
{
    int rc = 0;
    store_lock();
    hid_t memory = store_select(output->space, &output->extent, output->is_scalar, offset, extent,
                                output->where, err);
    if (memory < 0) {
        rc = -1;
    } else if (H5Sget_simple_extent_npoints(memory) > 0 &&
               H5Dwrite(output->dataset, output->memory, memory, output->space, H5P_DEFAULT, data) <
                   0) {
        char what[220] = "write chunk at ";
        size_t used = strlen(what);
        store_position(offset, output->extent.rank, what + used, sizeof what - used);
        rc = write_fail(output, err, what);
    }
    store_release(memory);
    store_unlock();
    return rc;
}

int bq_output_note(struct bq_output *output, const char *name, const char *text,
                   struct bq_error *err)
{
    int rc = 0;
    store_lock();
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR), attribute = -1;
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    if (H5Aexists(output->dataset, name) > 0) /* from the input, which we may have made too */
        H5Adelete(output->dataset, name);
    attribute = H5Acreate2(output->dataset, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute < 0 || H5Awrite(attribute, type, &text) < 0)
        rc = write_fail(output, err, "write an attribute");
    store_release(attribute);
    store_release(space);
    store_release(type);
    store_unlock();
    return rc;
}

const char *bq_output_work_path(const struct bq_output *output)
{
    return output->work.path;
}

/* -- the end ------------------------------------------------------------------------------ */

/* Closes the file in HDF5, whether that works or not: after a failed H5Fclose its parts are closed
 * and the identifier must not be used again. */
static int close_file(struct bq_output *output, struct bq_error *err)
{
    int rc = 0;
    store_lock();
    if (output->dataset >= 0 && H5Dclose(output->dataset) < 0)
        rc = write_fail(output, err, "finish the dataset");
    store_release(output->space);
    if (output->file >= 0 && H5Fclose(output->file) < 0 && rc == 0)
        rc = write_fail(output, err, "finish the file");
    output->dataset = output->space = output->file = -1;
    store_unlock();
    return rc;
}

int bq_output_commit(struct bq_output *output, struct bq_error *err)
{
    int rc = close_file(output, err);
    if (rc == 0)
        rc = store_work_publish(&output->work, err);
    bq_output_discard(output);
    return rc;
}

void bq_output_discard(struct bq_output *output)
{
    if (!output)
        return;
    if (output->file >= 0)
        close_file(output, NULL);
    store_work_end(&output->work);
    bq_free(output->where);
    bq_free(output);
}
