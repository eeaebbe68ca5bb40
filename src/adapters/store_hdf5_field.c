/* A field of a dataset of records (a compound type), read as if it were a dataset: "/table.temp",
 * or
 * "/table.wind.speed" for a record within the record. */
#include <stdio.h>
#include <string.h>

#include "adapters/store_internal.h"
#include "base/heap.h"
#include "base/text.h"

enum { MOST_FIELDS = 200 };

const char *store_split_field(hid_t file, char *path)
{
    char *slash = strrchr(path, '/');
    /* The longest name that is a dataset: names of datasets may have dots too. */
    for (char *dot = path + strlen(path); dot > slash; dot--) {
        H5O_info_t object;
        if (*dot != '.')
            continue;
        *dot = 0;
        if (H5Oget_info_by_name2(file, path, &object, H5O_INFO_BASIC, H5P_DEFAULT) >= 0 &&
            object.type == H5O_TYPE_DATASET)
            return dot + 1;
        *dot = '.';
    }
    return NULL;
}

/* The member that a field begins with; *rest: what follows its dot, or NULL. */
static int find_member(hid_t record, const char *field, const char **rest)
{
    int n = H5Tget_nmembers(record), found = -1;
    for (int i = 0; i < n && found < 0; i++) {
        char *name = H5Tget_member_name(record, (unsigned)i);
        size_t length = name ? strlen(name) : 0;
        if (name && strncmp(field, name, length) == 0 &&
            (field[length] == 0 || field[length] == '.')) {
            *rest = field[length] ? field + length + 1 : NULL;
            found = i;
        }
        H5free_memory(name);
    }
    return found;
}

static int no_such_field(hid_t record, const char *field, const char *where, struct bq_error *err)
{
    const char *names[MOST_FIELDS];
    char *own[MOST_FIELDS], hint[120], list[300] = "";
    int n = H5Tget_nmembers(record), shown = n < MOST_FIELDS ? n : MOST_FIELDS;
    size_t used = 0;
    for (int i = 0; i < shown; i++) {
        own[i] = H5Tget_member_name(record, (unsigned)i);
        names[i] = own[i] ? own[i] : "?";
        if (used < sizeof list)
            used +=
                (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    bq_text_suggest(field, names, (size_t)shown, hint, sizeof hint);
    bq_fail(err, BQ_EXIT_USAGE, "%s: has no field '%s'%s%s %s", where, field, hint,
            hint[0] ? " It has" : "; it has", list);
    for (int i = 0; i < shown; i++)
        H5free_memory(own[i]);
    return -1;
}

hid_t store_field_type(hid_t record, const char *field, const char *where, struct bq_error *err)
{
    hid_t type = H5Tcopy(record);
    while (field) {
        const char *rest = NULL;
        if (H5Tget_class(type) != H5T_COMPOUND) {
            store_release(type);
            return bq_fail(err, BQ_EXIT_USAGE, "%s: holds no records, so it has no field '%s'",
                           where, field);
        }
        int member = find_member(type, field, &rest);
        if (member < 0) {
            no_such_field(type, field, where, err);
            store_release(type);
            return -1;
        }
        hid_t inner = H5Tget_member_type(type, (unsigned)member);
        size_t at = H5Tget_member_offset(type, (unsigned)member), record_size = H5Tget_size(type);
        bool is_inside = at <= record_size && H5Tget_size(inner) <= record_size - at;
        store_release(type);
        if (!is_inside) { /* HDF5 1.10 does not look */
            store_release(inner);
            return bq_fail(err, BQ_EXIT_USAGE,
                           "%s: the file is damaged: field '%s' lies outside of its records", where,
                           field);
        }
        type = inner;
        field = rest;
    }
    return type;
}

hid_t store_field_memory(hid_t record, const char *field, hid_t native)
{
    const char *rest = NULL;
    int member = find_member(record, field, &rest);
    hid_t inner = member < 0 ? -1 : H5Tget_member_type(record, (unsigned)member), type = -1;
    char *name = member < 0 ? NULL : H5Tget_member_name(record, (unsigned)member);
    hid_t content = rest ? store_field_memory(inner, rest, native) : H5Tcopy(native);
    if (name && content >= 0) {
        type = H5Tcreate(H5T_COMPOUND, H5Tget_size(native));
        if (type >= 0 && H5Tinsert(type, name, 0, content) < 0) {
            store_release(type);
            type = -1;
        }
    }
    store_release(content);
    store_release(inner);
    H5free_memory(name);
    return type;
}
