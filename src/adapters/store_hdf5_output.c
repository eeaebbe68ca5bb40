/* Making a dataset, in a work file that gets its name when the dataset is complete.
 *
 *     create | resume -> write, note, sync (any order, any thread) -> commit | discard | leave
 *
 * One rule: an error on the way leaves nothing behind, neither the result nor the work file.
 */
#include "adapters/store_work_driver.h"

#include <stdio.h>
#include <string.h>

#include "base/heap.h"

/* -- before anything is written ----------------------------------------------------------- */

int bq_output_check(const struct bq_output_spec *spec, struct bq_error *err)
{
    const char *file = spec->file, *path = spec->dataset;
    size_t length = strlen(path);
    if (strspn(path, "/") == length || path[length - 1] == '/')
        return bq_fail(err, BQ_EXIT_USAGE, "%s: '%s' does not name a dataset", file, path);
    if (spec->space.rank < 1 || spec->space.rank > BQ_MAX_RANK || bq_type_size(spec->type) == 0)
        return bq_fail(err, BQ_EXIT_USAGE, "%s: '%s' would have rank %d and type %s", file, path,
                       spec->space.rank, bq_type_name(spec->type));
    if (spec->chunk.rank != 0 &&
        (spec->chunk.rank != spec->space.rank || bq_space_elements(&spec->chunk) == 0))
        return bq_fail(err, BQ_EXIT_USAGE,
                       "%s: '%s' has %d dimensions; its chunk needs as many, each at least 1", file,
                       path, spec->space.rank);
    if (spec->filters.n && spec->chunk.rank == 0)
        return bq_fail(err, BQ_EXIT_USAGE, "%s: compression needs chunks; '%s' would have none",
                       file, path);
    return store_work_check(file, spec->force, spec->like, err);
}

struct bq_output *store_new_output(const struct bq_output_spec *spec, struct bq_error *err)
{
    struct bq_output *output = bq_alloc(1, sizeof *output);
    char *where = output ? store_where(spec->file, spec->dataset) : NULL;
    if (!where) {
        bq_fail(err, BQ_EXIT_FAILED, "%s: out of memory", spec->file);
        bq_free(output);
        return NULL;
    }
    output->work.fd = -1;
    output->file = output->dataset = output->space = -1;
    output->extent = spec->space;
    output->is_scalar = spec->like && spec->like->is_scalar && spec->space.rank == 1 &&
                        spec->space.extent[0] == 1 && spec->chunk.rank == 0;
    output->joins = spec->n_parts > 0;
    output->where = where;
    output->path = where + strlen(spec->file) + 1;
    return output;
}

struct bq_output *bq_output_create(const struct bq_output_spec *spec, struct bq_error *err)
{
    if (bq_output_check(spec, err) != 0)
        return NULL;
    struct bq_output *output = store_new_output(spec, err);
    if (!output)
        return NULL;
    int rc = store_work_create(&output->work, spec->file, spec->force, spec->work, err);
    if (rc == 0) {
        store_lock();
        output->memory = store_memory_type(spec->type);
        rc = store_make_file(output, spec, err);
        store_unlock();
    }
    if (rc == 0)
        return output;
    bq_output_discard(output);
    return NULL;
}

/* -- writing ------------------------------------------------------------------------------ */

int store_write_fail(const struct bq_output *output, struct bq_error *err, const char *what)
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

/* Between the dataset and memory. to: NULL when `from` is written. */
static int transfer(struct bq_output *output, const uint64_t *offset, const uint64_t *extent,
                    const void *from, void *to, struct bq_error *err)
{
    int rc = 0;
    store_lock();
    hid_t memory = store_select(output->space, &output->extent, output->is_scalar, offset, extent,
                                output->where, err);
    if (memory < 0) {
        rc = -1;
    } else if (H5Sget_simple_extent_npoints(memory) > 0 &&
               (to ? H5Dread(output->dataset, output->memory, memory, output->space, H5P_DEFAULT,
                             to)
                   : H5Dwrite(output->dataset, output->memory, memory, output->space, H5P_DEFAULT,
                              from)) < 0) {
        char what[220];
        snprintf(what, sizeof what, "%s chunk at ", to ? "read" : "write");
        size_t used = strlen(what);
        store_position(offset, output->extent.rank, what + used, sizeof what - used);
        rc = store_write_fail(output, err, what);
    }
    store_release(memory);
    store_unlock();
    return rc;
}

int bq_output_write(struct bq_output *output, const uint64_t *offset, const uint64_t *extent,
                    const void *data, struct bq_error *err)
{
    return transfer(output, offset, extent, data, NULL, err);
}

int bq_output_read(struct bq_output *output, const uint64_t *offset, const uint64_t *extent,
                   void *data, struct bq_error *err)
{
    return transfer(output, offset, extent, NULL, data, err);
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
        rc = store_write_fail(output, err, "write an attribute");
    store_release(attribute);
    store_release(space);
    store_release(type);
    store_unlock();
    return rc;
}

const struct bq_layout *bq_output_layout(const struct bq_output *output, enum bq_output_how *how)
{
    *how = output->how;
    return &output->layout;
}

int bq_output_place(struct bq_output *output, const uint64_t *offset, uint32_t mask,
                    const void *stored, size_t n, struct bq_error *err)
{
    hsize_t at[BQ_MAX_RANK];
    int rc = 0;
    for (int i = 0; i < output->extent.rank; i++)
        at[i] = offset[i];
    store_lock();
    if (H5Dwrite_chunk(output->dataset, H5P_DEFAULT, mask, at, n, stored) < 0) {
        char what[220] = "write chunk at ";
        size_t used = strlen(what);
        store_position(offset, output->extent.rank, what + used, sizeof what - used);
        rc = store_write_fail(output, err, what);
    }
    store_unlock();
    return rc;
}

int bq_output_place_all(struct bq_output *output, const struct bq_layout *layout,
                        const struct bq_box *block, struct bq_reader *pieces, struct bq_error *err)
{
    uint64_t n_cells = bq_box_cells(block, layout->chunk.extent);
    for (uint64_t i = 0; i < n_cells; i++) {
        struct bq_box cell;
        bq_box_cell(block, &layout->space, layout->chunk.extent, i, &cell);
        uint64_t n = bq_get_u64(pieces);
        uint32_t mask = bq_get_u32(pieces);
        const void *stored = pieces->is_bad ? NULL : bq_get_bytes(pieces, (size_t)n);
        if (!stored)
            return bq_fail(err, BQ_EXIT_FAILED, "%s: a chunk's encoded output is incomplete",
                           output->where);
        if (bq_output_place(output, cell.offset, mask, stored, (size_t)n, err) < 0)
            return -1;
    }
    return 0;
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
        rc = store_write_fail(output, err, "finish the dataset");
    store_release(output->space);
    if (output->file >= 0 && H5Fclose(output->file) < 0 && rc == 0)
        rc = store_write_fail(output, err, "finish the file");
    output->dataset = output->space = output->file = -1;
    output->driver = NULL; /* closed with the file */
    store_unlock();
    return rc;
}

int bq_output_commit(struct bq_output *output, struct bq_error *err)
{
    int rc = close_file(output, err);
    bool leaves_shards =
        rc == 0 && output->work.force && !output->joins && store_has_shards(output->work.name);
    if (rc == 0)
        rc = store_work_publish(&output->work, err);
    if (rc == 0 && leaves_shards)
        store_remove_shards(output->work.name);
    bq_output_discard(output);
    return rc;
}

/* Nothing more gets into the work file. */
static void let_go(struct bq_output *output, void (*end)(struct store_work *))
{
    if (!output)
        return;
    if (output->driver)
        store_work_driver_leave(output->driver);
    if (output->file >= 0)
        close_file(output, NULL);
    end(&output->work);
    bq_free(output->where);
    bq_free(output);
}

void bq_output_discard(struct bq_output *output)
{
    let_go(output, store_work_end);
}

void bq_output_leave(struct bq_output *output)
{
    let_go(output, store_work_leave);
}
