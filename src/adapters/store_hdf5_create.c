/* Making the dataset of an output in its work file: type, layout, filters, fill value, and what it
 * inherits from its input.
 */
#include "adapters/store_work_driver.h"

#include <string.h>

#define ALIGNED_FROM (64u << 10) /* bytes of a stored chunk */
#define PAGE 4096

/* A stored number's type. */
static hid_t number_type(const struct bq_number *number)
{
    hid_t type;
    if (number->is_float && number->size == 2) {
        type = H5Tcopy(H5T_IEEE_F32LE); /* and made a half of it: fields first, then the size */
        H5Tset_fields(type, 15, 10, 5, 0, 10);
        H5Tset_precision(type, 16);
        H5Tset_ebias(type, 15);
        H5Tset_size(type, 2);
    } else if (number->is_float) {
        type = H5Tcopy(number->size == 4 ? H5T_IEEE_F32LE : H5T_IEEE_F64LE);
    } else {
        type = H5Tcopy(number->is_signed ? H5T_STD_I64LE : H5T_STD_U64LE);
        H5Tset_precision(type, 8u * number->size);
        H5Tset_size(type, number->size);
    }
    H5Tset_order(type, number->is_big_endian ? H5T_ORDER_BE : H5T_ORDER_LE);
    return type;
}

/* The type in the file: as the input stores it when kernels see both alike. An enum (booleans are
 * one) says which values there are, so it is kept only where no new ones appear. */
static hid_t file_type(const struct bq_output_spec *spec, struct bq_error *err)
{
    if (spec->number)
        return number_type(spec->number);
    if (spec->like && spec->like->info.type == spec->type) {
        hid_t stored = spec->like->stored;
        hid_t type = spec->keeps_values && H5Tget_class(stored) == H5T_ENUM
                         ? H5Tcopy(stored)
                         : store_number_type(stored, spec->like->where, err);
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
    if (spec->like->is_field || H5Pfill_value_defined(like_creation, &state) < 0 ||
        state != H5D_FILL_VALUE_USER_DEFINED)
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

/* How far the dataset may grow: as its input. What is neither chunked nor virtual cannot. */
static void set_most(const struct bq_output_spec *spec, bool can_grow, hsize_t *most)
{
    for (int i = 0; i < spec->space.rank; i++)
        most[i] = spec->space.extent[i];
    if (can_grow && spec->like && !spec->like->is_scalar &&
        spec->like->info.space.rank == spec->space.rank &&
        memcmp(spec->like->info.space.extent, spec->space.extent,
               (size_t)spec->space.rank * sizeof *spec->space.extent) == 0)
        H5Sget_simple_extent_dims(spec->like->space, NULL, most);
}

/* Not when an axis is and stays empty: HDF5 wants chunks that fit in. */
static bool is_chunked(const struct bq_output_spec *spec)
{
    hsize_t most[BQ_MAX_RANK];
    bool is_possible = spec->chunk.rank > 0;
    set_most(spec, true, most);
    for (int i = 0; i < spec->chunk.rank; i++)
        is_possible &= most[i] > 0;
    return is_possible;
}

static hid_t make_space(const struct bq_output_spec *spec, bool is_scalar)
{
    hsize_t extent[BQ_MAX_RANK], most[BQ_MAX_RANK];
    for (int i = 0; i < spec->space.rank; i++)
        extent[i] = spec->space.extent[i];
    set_most(spec, is_chunked(spec) || spec->parts, most);
    return is_scalar ? H5Screate(H5S_SCALAR) : H5Screate_simple(spec->space.rank, extent, most);
}

/* A virtual dataset of boxes, each in the same place of the dataset of a shard. */
static int set_parts(const struct bq_output_spec *spec, hid_t creation)
{
    hid_t space = make_space(spec, false);
    int rc = space < 0 ? -1 : 0;
    for (size_t i = 0; i < spec->n_parts && rc == 0; i++) {
        const struct bq_shard_part *part = &spec->parts[i];
        hsize_t start[BQ_MAX_RANK], count[BQ_MAX_RANK];
        char file[BQ_SHARD_NAME];
        for (int k = 0; k < part->box.rank; k++) {
            start[k] = part->box.offset[k];
            count[k] = part->box.extent[k];
        }
        bq_shard_name(spec->file, part->shard, file, sizeof file);
        if (H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) < 0 ||
            H5Pset_virtual(creation, space, file, spec->dataset, space) < 0)
            rc = -1;
    }
    store_release(space);
    return rc;
}

/* Values that HDF5 and plug-ins fill in when a dataset is created; ours do not. bytes: of a stored
 * chunk before the filters. */
static void complete(struct bq_filter *filter, uint64_t bytes)
{
    if (filter->id == BQ_FILTER_SHUFFLE) {
        filter->n_values = 0;
    } else if (filter->id == BQ_FILTER_LZF && filter->n_values == 0 && bytes <= UINT32_MAX) {
        /* Versions of h5py's filter and of the format, and what a reader needs room for. */
        filter->n_values = 3;
        filter->values[0] = 4;
        filter->values[1] = 0x105;
        filter->values[2] = (uint32_t)bytes;
    }
}

static int set_filters(const struct bq_filters *filters, uint64_t bytes, hid_t creation)
{
    for (uint32_t i = 0; i < filters->n; i++) {
        struct bq_filter filter = filters->list[i];
        store_want_filter(filter.id);
        complete(&filter, bytes);
        /* As HDF5 has it: a chunk may go without compression, and not without its checksum. */
        bool must = filter.id == BQ_FILTER_FLETCHER32;
        if (H5Pset_filter(creation, (H5Z_filter_t)filter.id,
                          must ? H5Z_FLAG_MANDATORY : H5Z_FLAG_OPTIONAL, filter.n_values,
                          filter.values) < 0)
            return -1;
    }
    return 0;
}

/* Layout, filters, fill value. No times: equal runs shall make equal files. */
static int set_creation(const struct bq_output_spec *spec, hid_t type, hid_t creation,
                        struct bq_space *chunk)
{
    hsize_t extent[BQ_MAX_RANK], most[BQ_MAX_RANK];
    if (H5Pset_obj_track_times(creation, false) < 0)
        return -1;
    *chunk = spec->chunk;
    chunk->rank = is_chunked(spec) ? chunk->rank : 0;
    set_most(spec, is_chunked(spec), most);
    for (int i = 0; i < chunk->rank; i++) {
        if (chunk->extent[i] > most[i]) /* H5S_UNLIMITED is the largest of all */
            chunk->extent[i] = most[i];
        extent[i] = chunk->extent[i];
    }
    if (is_chunked(spec) && H5Pset_chunk(creation, chunk->rank, extent) < 0)
        return -1;
    if (is_chunked(spec) &&
        set_filters(&spec->filters, bq_space_elements(chunk) * H5Tget_size(type), creation) < 0)
        return -1;
    if (spec->fill && H5Pset_fill_value(creation, store_memory_type(spec->type), spec->fill) < 0)
        return -1;
    if (spec->parts && set_parts(spec, creation) < 0)
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

/* Space for everything at once, and nothing written there: every number will be. HDF5 would write
 * the fill value, zero if none is given, everywhere first; and has to where the dataset may grow:
 * then what lies behind its edge, and new chunks, must hold that value. */
static int set_allocation(const struct bq_output_spec *spec, hid_t creation)
{
    hsize_t most[BQ_MAX_RANK];
    bool may_grow = false;
    if (spec->how != BQ_OUTPUT_DIRECT)
        return 0;
    set_most(spec, is_chunked(spec), most);
    for (int i = 0; i < spec->space.rank; i++)
        may_grow |= most[i] > spec->space.extent[i];
    return H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY) < 0 ||
                   (!may_grow && H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER) < 0)
               ? -1
               : 0;
}

int store_make_dataset(struct bq_output *output, const struct bq_output_spec *spec,
                       struct bq_error *err)
{
    int rc = -1;
    struct bq_space chunk;
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE), access = H5Pcreate(H5P_DATASET_ACCESS);
    hid_t links = H5Pcreate(H5P_LINK_CREATE), type = file_type(spec, err);
    if (type < 0)
        goto out;
    if (H5Pset_create_intermediate_group(links, 1) < 0 ||
        set_creation(spec, type, creation, &chunk) < 0 || set_allocation(spec, creation) < 0) {
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

void store_settle_how(struct bq_output *output, const struct bq_output_spec *spec)
{
    struct bq_input_info info = {.type = spec->type, .space = spec->space};
    char why[80];
    hid_t creation = H5Dget_create_plist(output->dataset);
    hsize_t extent[BQ_MAX_RANK];
    if (H5Pget_layout(creation) == H5D_CHUNKED &&
        H5Pget_chunk(creation, BQ_MAX_RANK, extent) == spec->space.rank) {
        info.chunk.rank = spec->space.rank;
        for (int i = 0; i < info.chunk.rank; i++)
            info.chunk.extent[i] = extent[i];
    }
    uint64_t address = 0;
    hid_t type = H5Dget_type(output->dataset);
    store_describe_layout(output->dataset, type, &info, &output->layout, &address, why, sizeof why);
    store_fill_value(creation, spec->type, output->layout.fill); /* whenever HDF5 would write it */
    store_release(creation);
    store_release(type);
    output->how = output->layout.storage == BQ_STORAGE_OTHER ||
                          (spec->how == BQ_OUTPUT_DIRECT && output->layout.filters.n) ||
                          (spec->how == BQ_OUTPUT_ENCODED && !output->layout.filters.n)
                      ? BQ_OUTPUT_LIBRARY
                      : spec->how;
}

static int keep_of_input(struct bq_output *output, const struct bq_output_spec *spec,
                         struct bq_error *err)
{
    const struct bq_input *like = spec->like;
    /* Scales first: H5DS 1.10 leaks identifiers where a dataset has another CLASS attribute. */
    if (store_copy_scales(like, output->file, output->dataset, output->path, &spec->space, err) !=
            0 ||
        store_copy_attributes(like->dataset, output->dataset, like->info.type == spec->type, err) !=
            0 ||
        store_copy_file_attributes(like->file, output->file, err) != 0)
        return bq_fail_in(err, "%s: cannot copy from %s", output->where, like->where);
    return 0;
}

/* The order of attributes and links is kept where the input's file keeps it: netCDF wants that. */
static void keep_order(const struct bq_input *like, hid_t creation)
{
    unsigned order = 0;
    hid_t root = like ? H5Gopen2(like->file, "/", H5P_DEFAULT) : -1;
    hid_t theirs = root < 0 ? -1 : H5Gget_create_plist(root);
    if (theirs >= 0 && H5Pget_attr_creation_order(theirs, &order) >= 0 && order)
        H5Pset_attr_creation_order(creation, order);
    if (theirs >= 0 && H5Pget_link_creation_order(theirs, &order) >= 0 && order)
        H5Pset_link_creation_order(creation, order);
    store_release(theirs);
    store_release(root);
}

int store_make_file(struct bq_output *output, const struct bq_output_spec *spec,
                    struct bq_error *err)
{
    struct bq_input *like = spec->like;
    hid_t creation = H5Pcreate(H5P_FILE_CREATE);
    keep_order(like, creation);
    hid_t access = store_work_driver_access(output->work.fd);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    /* Stored chunks begin with a page: two machines never write into the same one. */
    if (spec->how == BQ_OUTPUT_DIRECT)
        H5Pset_alignment(access, ALIGNED_FROM, PAGE);
    output->file = H5Fcreate(output->work.path, H5F_ACC_TRUNC, creation, access);
    if (output->file < 0)
        store_fail(err, BQ_EXIT_FAILED, NULL, "%s: cannot create", spec->file);
    else
        output->driver = store_work_driver_of(output->file);
    store_release(access);
    store_release(creation);
    if (output->file < 0 || store_make_dataset(output, spec, err) != 0)
        return -1;
    store_settle_how(output, spec);
    if (like && spec->how != BQ_OUTPUT_SHARDED && keep_of_input(output, spec, err) != 0)
        return -1;
    /* Whoever writes directly looks into the file by itself. */
    if (output->how == BQ_OUTPUT_DIRECT && H5Fflush(output->file, H5F_SCOPE_LOCAL) < 0)
        return store_fail(err, BQ_EXIT_FAILED, NULL, "%s: cannot write", output->where);
    return 0;
}
