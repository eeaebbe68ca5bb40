/* What an output inherits from its input besides the elements: attributes and dimension scales.
 *
 * A dimension scale (H5DS, and so netCDF-4) is a dataset with the coordinates of an axis. Dataset
 * and scale point at each other by attributes that hold object references, which mean nothing in
 * another file. So the one rule: references are never copied; the links are made anew.
 */
#include "adapters/store_internal.h"

#include <hdf5_hl.h>
#include <string.h>

#include "base/heap.h"

/* -- attributes --------------------------------------------------------------------------- */

struct copying {
    hid_t to;
    bool same_type, is_scale_to_array; /* CLASS and NAME of a scale are made anew */
    bool loses_axes;                   /* not every axis has the input's scales */
    struct bq_error *err;
    bool has_failed;
};

static bool is_dropped(const struct copying *copying, const char *name)
{
    if (copying->is_scale_to_array && (strcmp(name, "CLASS") == 0 || strcmp(name, "NAME") == 0))
        return true;
    if (strcmp(name, "_NCProperties") == 0) /* which netCDF library wrote the file: none did */
        return true;
    /* netCDF's numbers of the dimensions: it refuses a file that has some without the scales. */
    if (copying->loses_axes &&
        (strcmp(name, "_Netcdf4Coordinates") == 0 || strcmp(name, "_Netcdf4Dimid") == 0))
        return true;
    /* netCDF wants this one to have the type of its variable. */
    return !copying->same_type && strcmp(name, "_FillValue") == 0;
}

/* Through memory, in native types: variable-length text lives in a heap of its file. */
static int copy_values(hid_t attribute, hid_t stored, hid_t space, hid_t to, const char *name)
{
    int rc = -1;
    void *values = NULL;
    hid_t type = H5Tcopy(stored); /* a named type of another file becomes a plain one */
    hid_t memory = H5Tget_native_type(stored, H5T_DIR_DEFAULT);
    hid_t copy = H5Acreate2(to, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    size_t stored_size = H5Tget_size(stored), size = memory < 0 ? 0 : H5Tget_size(memory);
    if (copy < 0 || memory < 0 || n < 0)
        goto out;
    if (n > 0) {
        values = bq_alloc((size_t)n, size > stored_size ? size : stored_size);
        if (!values || H5Aread(attribute, memory, values) < 0)
            goto out;
        rc = H5Awrite(copy, memory, values) < 0 ? -1 : 0;
        H5Dvlen_reclaim(memory, space, H5P_DEFAULT, values);
    } else {
        rc = 0;
    }
out:
    bq_free(values);
    store_release(copy);
    store_release(memory);
    store_release(type);
    return rc;
}

static herr_t copy_attribute(hid_t from, const char *name, const H5A_info_t *info, void *data)
{
    struct copying *copying = data;
    (void)info;
    if (is_dropped(copying, name))
        return 0;
    hid_t attribute = H5Aopen(from, name, H5P_DEFAULT);
    hid_t stored = H5Aget_type(attribute), space = H5Aget_space(attribute);
    if (attribute < 0 || stored < 0 || space < 0 ||
        (H5Tdetect_class(stored, H5T_REFERENCE) <= 0 &&
         copy_values(attribute, stored, space, copying->to, name) != 0)) {
        bq_fail(copying->err, BQ_EXIT_FAILED, "attribute '%s'", name);
        copying->has_failed = true;
    }
    store_release(space);
    store_release(stored);
    store_release(attribute);
    return copying->has_failed ? -1 : 0;
}

static int copy_attributes(hid_t from, struct copying *copying)
{
    /* In the order of creation where the input knows it: netCDF shows them so. */
    unsigned order = 0;
    hsize_t at = 0;
    hid_t creation = H5Iget_type(from) == H5I_DATASET ? H5Dget_create_plist(from)
                     : H5Iget_type(from) == H5I_GROUP ? H5Gget_create_plist(from)
                                                      : -1;
    if (creation >= 0)
        H5Pget_attr_creation_order(creation, &order);
    store_release(creation);
    H5_index_t index = order & H5P_CRT_ORDER_TRACKED ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
    if (H5Aiterate2(from, index, H5_ITER_INC, &at, copy_attribute, copying) >= 0)
        return 0;
    if (!copying->has_failed)
        store_fail(copying->err, BQ_EXIT_FAILED, NULL, "its attributes");
    return -1;
}

/* Whether a dataset of the input is a scale. Not by H5DSis_scale: in 1.10 it leaves the attribute
 * open when that is not what it expects (CLASS of an image), and the input's file with it. */
static bool is_scale(hid_t dataset)
{
    char text[sizeof "DIMENSION_SCALE" + 1] = "";
    bool is_it = false;
    if (H5Aexists(dataset, "CLASS") <= 0)
        return false;
    hid_t attribute = H5Aopen(dataset, "CLASS", H5P_DEFAULT), type = H5Aget_type(attribute);
    hid_t space = H5Aget_space(attribute);
    if (H5Sget_simple_extent_npoints(space) == 1 && H5Tget_class(type) == H5T_STRING &&
        H5Tis_variable_str(type) <= 0 && H5Tget_size(type) == sizeof "DIMENSION_SCALE" &&
        H5Aread(attribute, type, text) >= 0)
        is_it = strcmp(text, "DIMENSION_SCALE") == 0;
    store_release(space);
    store_release(type);
    store_release(attribute);
    return is_it;
}

/* Whether an axis of the input has scales that the output has not, or none at all. */
static bool loses_axes(hid_t from, hid_t to)
{
    hid_t space = H5Dget_space(from), other = H5Dget_space(to);
    int rank = H5Sget_simple_extent_ndims(space);
    bool loses = rank != H5Sget_simple_extent_ndims(other);
    for (int axis = 0; axis < rank && !loses; axis++) {
        int n = H5DSget_num_scales(from, (unsigned)axis);
        loses = n <= 0 || n != H5DSget_num_scales(to, (unsigned)axis);
    }
    store_release(other);
    store_release(space);
    return loses;
}

int store_copy_attributes(hid_t from, hid_t to, bool same_type, struct bq_error *err)
{
    struct copying copying = {to, same_type, is_scale(from), loses_axes(from, to), err, false};
    char name[1024] = "";
    if (copying.is_scale_to_array && H5DSget_scale_name(from, name, sizeof name) < 0)
        name[0] = 0;
    name[sizeof name - 1] = 0;
    if (copying.is_scale_to_array && H5DSset_scale(to, name[0] ? name : NULL) < 0)
        return store_fail(err, BQ_EXIT_FAILED, NULL, "that it is a dimension scale");
    return copy_attributes(from, &copying);
}

int store_copy_file_attributes(hid_t from, hid_t to, struct bq_error *err)
{
    hid_t root = H5Gopen2(from, "/", H5P_DEFAULT), copy = H5Gopen2(to, "/", H5P_DEFAULT);
    struct copying copying = {copy, true, false, false, err, false};
    int rc = root < 0 || copy < 0
                 ? store_fail(err, BQ_EXIT_FAILED, NULL, "the attributes of the file")
                 : copy_attributes(root, &copying);
    store_release(copy);
    store_release(root);
    return rc;
}

/* -- dimension scales --------------------------------------------------------------------- */

struct attaching {
    hid_t file, dataset;
    const char *path; /* of the dataset */
    struct bq_error *err;
    bool has_failed;
};

/* The scale in the output's file: the one that is there, or a copy of the input's. -1 when the
 * path is taken by something else; attaching->has_failed when the copying failed. */
static hid_t scale_in_output(struct attaching *attaching, hid_t scale, const char *path)
{
    if (H5LTpath_valid(attaching->file, path, true) > 0) {
        H5O_info_t object;
        if (H5Oget_info_by_name2(attaching->file, path, &object, H5O_INFO_BASIC, H5P_DEFAULT) < 0 ||
            object.type != H5O_TYPE_DATASET)
            return -1;
        return H5Dopen2(attaching->file, path, H5P_DEFAULT);
    }
    hid_t links = H5Pcreate(H5P_LINK_CREATE), how = H5Pcreate(H5P_OBJECT_COPY), copy = -1;
    H5Pset_create_intermediate_group(links, 1);
    H5Pset_copy_object(how, H5O_COPY_WITHOUT_ATTR_FLAG);
    struct copying copying = {-1, true, false, false, attaching->err, false};
    if (H5Ocopy(scale, ".", attaching->file, path, how, links) < 0 ||
        (copy = H5Dopen2(attaching->file, path, H5P_DEFAULT)) < 0) {
        store_fail(attaching->err, BQ_EXIT_FAILED, NULL, "dimension scale '%s'", path);
        attaching->has_failed = true;
    } else {
        copying.to = copy;
        attaching->has_failed = copy_attributes(scale, &copying) != 0;
    }
    store_release(how);
    store_release(links);
    return copy;
}

static uint64_t length_of(hid_t scale)
{
    hsize_t own[H5S_MAX_RANK] = {0};
    hid_t space = H5Dget_space(scale);
    int rank = space < 0 ? -1 : H5Sget_simple_extent_dims(space, own, NULL);
    store_release(space);
    return rank > 0 ? own[0] : 0; /* a scale of text may have the letters as second axis */
}

static herr_t attach_scale(hid_t input, unsigned axis, hid_t scale, void *data)
{
    struct attaching *attaching = data;
    char path[1024];
    size_t own = strlen(attaching->path);
    ssize_t length = H5Iget_name(scale, path, sizeof path);
    (void)input;
    if (length <= 0 || (size_t)length >= sizeof path)
        return 0;
    /* Where the output itself is, or would have to be a group, no scale can be. */
    if (strncmp(path, attaching->path, own) == 0 && (path[own] == 0 || path[own] == '/'))
        return 0;
    hid_t copy = scale_in_output(attaching, scale, path);
    if (copy >= 0 && !attaching->has_failed && is_scale(copy) &&
        length_of(copy) == length_of(scale) &&
        H5DSattach_scale(attaching->dataset, copy, axis) < 0) {
        store_fail(attaching->err, BQ_EXIT_FAILED, NULL, "dimension scale '%s'", path);
        attaching->has_failed = true;
    }
    store_release(copy);
    return attaching->has_failed ? -1 : 0;
}

int store_copy_scales(const struct bq_input *like, hid_t file, hid_t dataset, const char *path,
                      const struct bq_space *space, struct bq_error *err)
{
    struct attaching attaching = {file, dataset, path, err, false};
    if (like->is_scalar || like->info.space.rank != space->rank)
        return 0;
    for (int axis = 0; axis < space->rank && !attaching.has_failed; axis++) {
        /* Its scales fit an axis that has the length of the input's; they may be longer themselves:
         * netCDF's unlimited ones. One that cannot be found (it was deleted) is passed over. */
        if (space->extent[axis] == like->info.space.extent[axis] &&
            H5DSget_num_scales(like->dataset, (unsigned)axis) > 0)
            H5DSiterate_scales(like->dataset, (unsigned)axis, NULL, attach_scale, &attaching);
    }
    return attaching.has_failed ? -1 : 0;
}
