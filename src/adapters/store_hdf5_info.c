/* What a dataset is, in our words: its number type, extent, layout and filters; and which datasets
 * a file has, for the message about one that it has not. Nothing here changes a file.
 */
#include "adapters/store_internal.h"

#include <hdf5_hl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "base/text.h"

#define MOST_BYTES 32 /* of a stored number; real ones have 16 at most */

/* -- types -------------------------------------------------------------------------------- */

/* What a dataset that is not numeric holds; NULL for a numeric one. */
static const char *not_numbers(H5T_class_t class)
{
    switch (class) {
    case H5T_INTEGER:
    case H5T_FLOAT:
    case H5T_ENUM:
        return NULL;
    case H5T_STRING:
        return "text";
    case H5T_BITFIELD:
        return "bit fields";
    case H5T_OPAQUE:
        return "opaque bytes";
    case H5T_COMPOUND:
        return "records (a compound type)";
    case H5T_REFERENCE:
        return "references to other objects";
    case H5T_VLEN:
        return "lists of varying length";
    case H5T_ARRAY:
        return "a small array in each element";
    case H5T_TIME:
        return "times";
    case H5T_NO_CLASS:
    case H5T_NCLASSES:
        break;
    }
    return "an unknown type";
}

/* Names the first fields, as they would be written. */
static int fail_records(hid_t record, const char *where, struct bq_error *err)
{
    char list[240] = "";
    size_t w = 0;
    const char *path = strstr(where, ":/");
    int n = H5Tget_nmembers(record);
    for (int i = 0; i < n && i < 3 && w < sizeof list; i++) {
        char *name = H5Tget_member_name(record, (unsigned)i);
        w += (size_t)snprintf(list + w, sizeof list - w, "%s%s.%s", i ? ", " : "",
                              path ? path + 1 : "", name ? name : "?");
        H5free_memory(name);
    }
    return bq_fail(err, BQ_EXIT_USAGE,
                   "%s: holds records (a compound type); name a field of them: %s%s", where, list,
                   n > 3 ? ", .." : "");
}

hid_t store_number_type(hid_t stored, const char *where, struct bq_error *err)
{
    H5T_class_t class = H5Tget_class(stored);
    const char *what = not_numbers(class);
    if (class == H5T_COMPOUND)
        return fail_records(stored, where, err);
    if (what)
        return bq_fail(err, BQ_EXIT_USAGE,
                       "%s: holds %s; kernels work on integers and floating point", where, what);
    hid_t type = class == H5T_ENUM ? H5Tget_super(stored) : H5Tcopy(stored);
    if (type < 0)
        return store_fail(err, BQ_EXIT_USAGE, NULL, "%s: cannot see its type", where);
    if (H5Tget_size(type) == H5Tget_size(stored))
        return type;
    store_release(type);
    return bq_fail(err, BQ_EXIT_USAGE,
                   "%s: the file is damaged: its enum differs in size from its numbers", where);
}

/* Whether all bits of a number lie inside of it. HDF5 1.10 does not look, and would reach for those
 * that do not. */
static bool is_sound(hid_t number)
{
    size_t sign, exponent, exponent_size, mantissa, mantissa_size;
    size_t size = H5Tget_size(number), bits = H5Tget_precision(number);
    int offset = H5Tget_offset(number);
    if (size == 0 || size > MOST_BYTES || bits == 0 || bits > 8 * size || offset < 0 ||
        (size_t)offset > 8 * size - bits)
        return false;
    return H5Tget_class(number) != H5T_FLOAT ||
           (H5Tget_fields(number, &sign, &exponent, &exponent_size, &mantissa, &mantissa_size) >=
                0 &&
            sign < bits && exponent < bits && exponent_size > 0 &&
            exponent_size <= bits - exponent && mantissa < bits && mantissa_size > 0 &&
            mantissa_size <= bits - mantissa);
}

/* The type in memory: the narrowest that holds every value of the stored one (long double: double).
 */
static int native_type(hid_t number, const char *where, enum bq_type *type, struct bq_error *err)
{
    if (!is_sound(number))
        return bq_fail(err, BQ_EXIT_USAGE,
                       "%s: the file is damaged: its numbers have bits outside of their bytes",
                       where);
    if (H5Tget_class(number) == H5T_FLOAT) {
        *type = H5Tget_size(number) <= 4 ? BQ_F32 : BQ_F64;
        return 0;
    }
    static const enum bq_type integer[4][2] = {
        {BQ_U8, BQ_I8}, {BQ_U16, BQ_I16}, {BQ_U32, BQ_I32}, {BQ_U64, BQ_I64}};
    size_t bits = H5Tget_precision(number);
    if (bits == 0 || bits > 64)
        return bq_fail(err, BQ_EXIT_USAGE,
                       "%s: holds integers of %zu bits; kernels take at most 64", where, bits);
    *type = integer[bits <= 8    ? 0
                    : bits <= 16 ? 1
                    : bits <= 32 ? 2
                                 : 3][H5Tget_sign(number) == H5T_SGN_2];
    return 0;
}

/* -- the text for people ------------------------------------------------------------------ */

struct text {
    char *at;
    size_t left;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text->at, text->left, format, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n < text->left ? (size_t)n : text->left - 1;
    text->at += used;
    text->left -= used;
}

static void add_type(struct text *text, hid_t stored, hid_t number)
{
    H5T_order_t order = H5Tget_order(number);
    bool is_float = H5Tget_class(number) == H5T_FLOAT;
    add(text, "%s%s%zu", H5Tget_class(stored) == H5T_ENUM ? "enum of " : "",
        is_float                              ? "float"
        : H5Tget_sign(number) == H5T_SGN_NONE ? "uint"
                                              : "int",
        H5Tget_precision(number));
    if (H5Tget_size(number) > 1)
        add(text, "%s",
            order == H5T_ORDER_BE   ? " big-endian"
            : order == H5T_ORDER_LE ? " little-endian"
                                    : "");
}

static void add_filters(struct text *text, hid_t creation)
{
    int n = H5Pget_nfilters(creation);
    for (int i = 0; i < n; i++) {
        unsigned flags, config, values[8] = {0};
        size_t n_values = sizeof values / sizeof *values;
        char name[32] = "";
        H5Z_filter_t id = H5Pget_filter2(creation, (unsigned)i, &flags, &n_values, values,
                                         sizeof name, name, &config);
        name[sizeof name - 1] = 0;
        add(text, "%s", i ? " + " : ", ");
        if (id == H5Z_FILTER_DEFLATE)
            add(text, "deflate %u", values[0]);
        else if (name[0])
            add(text, "%s", name);
        else
            add(text, "filter %d", (int)id);
    }
}

/* Whether there is a filter that may make data smaller, and one that guards it. */
static void look_at_filters(hid_t creation, struct bq_input_info *info)
{
    int n = H5Pget_nfilters(creation);
    for (int i = 0; i < n; i++) {
        unsigned flags;
        size_t n_values = 0;
        H5Z_filter_t id =
            H5Pget_filter2(creation, (unsigned)i, &flags, &n_values, NULL, 0, NULL, NULL);
        info->has_checksum |= id == H5Z_FILTER_FLETCHER32;
        info->is_compressed |= id != H5Z_FILTER_SHUFFLE && id != H5Z_FILTER_FLETCHER32;
    }
}

/* Fills chunk, is_compressed, has_checksum and stored. */
static void describe_layout(hid_t dataset, hid_t stored, hid_t number, struct bq_input_info *info)
{
    struct text text = {info->stored, sizeof info->stored};
    char extent[180];
    hsize_t chunk[BQ_MAX_RANK];
    hid_t creation = H5Dget_create_plist(dataset);
    H5D_layout_t layout = H5Pget_layout(creation);
    add_type(&text, stored, number);
    if (layout == H5D_CHUNKED) {
        int rank = H5Pget_chunk(creation, BQ_MAX_RANK, chunk);
        for (int i = 0; i < rank && i < info->space.rank; i++)
            info->chunk.extent[i] = chunk[i];
        info->chunk.rank = rank == info->space.rank ? rank : 0;
        look_at_filters(creation, info);
        add(&text, ", chunked %s",
            bq_text_extent(info->chunk.extent, info->chunk.rank, extent, sizeof extent));
        add_filters(&text, creation);
    } else {
        bool is_external = layout == H5D_CONTIGUOUS && H5Pget_external_count(creation) > 0;
        add(&text, "%s",
            is_external                ? ", in external files"
            : layout == H5D_CONTIGUOUS ? ", contiguous"
            : layout == H5D_COMPACT    ? ", compact"
                                       : ", virtual (parts of other datasets)");
    }
    store_release(creation);
}

static int describe_space(hid_t space, const char *where, struct bq_input_info *info,
                          bool *is_scalar, struct bq_error *err)
{
    H5S_class_t class = H5Sget_simple_extent_type(space);
    int rank = H5Sget_simple_extent_ndims(space);
    hsize_t extent[BQ_MAX_RANK];
    if (class == H5S_NULL)
        return bq_fail(err, BQ_EXIT_USAGE, "%s: holds no elements at all (a null dataspace)",
                       where);
    if (class != H5S_SCALAR && (class != H5S_SIMPLE || rank < 0))
        return store_fail(err, BQ_EXIT_USAGE, NULL, "%s: cannot see its extent", where);
    if (rank > BQ_MAX_RANK)
        return bq_fail(err, BQ_EXIT_USAGE, "%s: has %d dimensions; at most %d are supported", where,
                       rank, BQ_MAX_RANK);
    *is_scalar = rank == 0;
    info->space.rank = *is_scalar ? 1 : rank;
    info->space.extent[0] = 1;
    if (!*is_scalar)
        H5Sget_simple_extent_dims(space, extent, NULL);
    for (int i = 0; i < rank; i++)
        info->space.extent[i] = extent[i];
    return 0;
}

int store_describe(hid_t dataset, hid_t stored, const char *where, struct bq_input_info *info,
                   bool *is_scalar, struct bq_error *err)
{
    int rc = -1;
    hid_t number = -1, space = H5Dget_space(dataset);
    number = store_number_type(stored, where, err);
    if (number < 0 || native_type(number, where, &info->type, err) != 0 ||
        describe_space(space, where, info, is_scalar, err) != 0)
        goto out;
    describe_layout(dataset, stored, number, info);
    info->is_scalar = *is_scalar;
    rc = 0;
out:
    store_release(number);
    store_release(space);
    return rc;
}

/* -- which datasets a file has ------------------------------------------------------------ */

enum { MOST_NAMES = 1000, MOST_OBJECTS = 10000, MOST_LISTED = 5 };

struct names {
    const char *below; /* only those in this group, "/" for all */
    size_t n, n_objects;
    char *name[MOST_NAMES];
};

static herr_t note_name(hid_t file, const char *name, const H5O_info_t *object, void *data)
{
    struct names *names = data;
    (void)file;
    if (names->n == MOST_NAMES)
        names->n_objects = MOST_OBJECTS;
    if (++names->n_objects > MOST_OBJECTS)
        return 1; /* enough */
    size_t size = strlen(name) + 2, prefix = strlen(names->below);
    if (object->type != H5O_TYPE_DATASET)
        return 0;
    char *path = bq_alloc(size, 1);
    if (!path)
        return 1;
    snprintf(path, size, "/%s", name);
    bool is_below = strcmp(names->below, "/") == 0 ||
                    (strncmp(path, names->below, prefix) == 0 && path[prefix] == '/');
    if (is_below)
        names->name[names->n++] = path;
    else
        bq_free(path);
    return 0;
}

/* "it has /a, /b and 3 more"; opening: "it has" */
static void list_names(const struct names *names, const char *opening, char *out, size_t size)
{
    struct text text = {out, size};
    size_t shown = names->n <= MOST_LISTED + 1 ? names->n : MOST_LISTED;
    if (names->n == 0)
        add(&text, "%s no dataset", opening);
    for (size_t i = 0; i < shown; i++) {
        if (i == 0)
            add(&text, "%s ", opening);
        add(&text, "%s%s", i == 0 ? "" : i + 1 == names->n ? " and " : ", ", names->name[i]);
    }
    if (shown < names->n)
        add(&text, " and %s%zu more", names->n_objects > MOST_OBJECTS ? "at least " : "",
            names->n - shown);
}

static int say_not_there(hid_t file, const char *file_name, const char *path, struct names *names,
                         struct bq_error *err)
{
    char list[360], hint[120];
    H5O_info_t object;
    names->below = "/";
    if (H5Oget_info_by_name2(file, path, &object, H5O_INFO_BASIC, H5P_DEFAULT) >= 0) {
        if (object.type != H5O_TYPE_GROUP)
            return bq_fail(err, BQ_EXIT_USAGE, "%s:%s: is a named type, not a dataset", file_name,
                           path);
        names->below = path;
        H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_NATIVE, note_name, names, H5O_INFO_BASIC);
        list_names(names, "it holds", list, sizeof list);
        return bq_fail(err, BQ_EXIT_USAGE, "%s:%s: is a group, not a dataset; %s", file_name, path,
                       list);
    }
    if (H5LTpath_valid(file, path, true) > 0) {
        /* Again, for its reason. */
        H5Oget_info_by_name2(file, path, &object, H5O_INFO_BASIC, H5P_DEFAULT);
        return store_fail(err, BQ_EXIT_USAGE, NULL, "%s:%s: cannot open", file_name, path);
    }
    if (H5LTpath_valid(file, path, false) > 0)
        return bq_fail(err, BQ_EXIT_USAGE, "%s:%s: is a link to something that is not there",
                       file_name, path);
    H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_NATIVE, note_name, names, H5O_INFO_BASIC);
    bq_text_suggest(path, (const char *const *)names->name, names->n, hint, sizeof hint);
    list_names(names, hint[0] ? " It has" : "; it has", list, sizeof list);
    return bq_fail(err, BQ_EXIT_USAGE, "%s: no dataset '%s'%s%s", file_name, path, hint, list);
}

int store_not_there(hid_t file, const char *file_name, const char *path, struct bq_error *err)
{
    struct names *names = bq_alloc(1, sizeof *names);
    if (!names)
        return bq_fail(err, BQ_EXIT_FAILED, "%s: out of memory", file_name);
    say_not_there(file, file_name, path, names, err);
    for (size_t i = 0; i < names->n; i++)
        bq_free(names->name[i]);
    bq_free(names);
    return -1;
}
