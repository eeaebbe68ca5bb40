/* The files that a dataset is read from besides the one that was named: the one behind an external
 * link, the sources of a virtual dataset, raw files outside of HDF5.
 *
 * HDF5 reads a virtual dataset whose source is not there as if it held the fill value, and says
 * nothing; here that is an error. Names are looked for as H5F_prefix_open_file of HDF5 1.10 does.
 */
#include "adapters/store_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/heap.h"
#include "base/path.h"

#define MAX_NAME 4096
#define MAX_DEPTH 16 /* of virtual datasets made of virtual datasets */

/* -- the list ----------------------------------------------------------------------------- */

static bool is_same_file(const struct stat *a, const struct store_file *b)
{
    return a->st_dev == b->device && a->st_ino == b->inode;
}

/* Adds a file that is there, once. */
static int add_file(struct bq_input *input, const char *name)
{
    struct stat st, folder = {0};
    char parent[MAX_NAME];
    if (stat(name, &st) != 0)
        return 0;
    for (size_t i = 0; i < input->n_files; i++) {
        if (is_same_file(&st, &input->files[i]))
            return 0;
    }
    if ((input->n_files & (input->n_files - 1)) == 0) { /* full at every power of two */
        struct store_file *more = bq_alloc(2 * input->n_files + 1, sizeof *more);
        if (!more)
            return -1;
        if (input->n_files)
            memcpy(more, input->files, input->n_files * sizeof *more);
        bq_free(input->files);
        input->files = more;
    }
    size_t n = bq_path_folder(name);
    snprintf(parent, sizeof parent, "%.*s", n ? (int)n : 1, n ? name : ".");
    (void)!stat(parent, &folder);
    input->files[input->n_files++] = (struct store_file){
        st.st_dev, st.st_ino, folder.st_dev, folder.st_ino, (uint64_t)st.st_size, store_mtime(&st)};
    return 0;
}

/* The name under which HDF5 opened the file that an object lies in; "" when it cannot tell. */
static void name_of(hid_t object, char *name, size_t size)
{
    ssize_t n = H5Fget_name(object, name, size);
    if (n < 0 || (size_t)n >= size)
        name[0] = 0;
}

static int add_file_of(struct bq_input *input, hid_t object)
{
    char name[MAX_NAME];
    name_of(object, name, sizeof name);
    return add_file(input, name);
}

void bq_input_stamp(const struct bq_input *input, uint64_t *size, uint64_t *time_ns)
{
    *size = *time_ns = 0;
    for (size_t i = 0; i < input->n_files; i++) {
        *size += input->files[i].size;
        *time_ns += input->files[i].mtime_ns;
    }
}

bool bq_input_reads(const struct bq_input *input, const char *path)
{
    struct stat st;
    bool is = false;
    if (stat(path, &st) != 0)
        return false;
    for (size_t i = 0; i < input->n_files && !is; i++)
        is = is_same_file(&st, &input->files[i]);
    return is;
}

bool bq_input_reads_in(const struct bq_input *input, const char *folder)
{
    struct stat st;
    bool is = false;
    if (stat(folder, &st) != 0)
        return false;
    for (size_t i = 0; i < input->n_files && !is; i++)
        is =
            st.st_dev == input->files[i].folder_device && st.st_ino == input->files[i].folder_inode;
    return is;
}

/* -- sources of a virtual dataset --------------------------------------------------------- */

struct looking {
    struct bq_input *input;
    uint64_t *seen; /* hashes of sources: a table with a free place in two */
    size_t n_seen, room;
    struct bq_error *err;
};

/* Whether a source was looked at before: datasets of many parts name the same ones over and over,
 * and hostile ones each other. */
static int was_seen(struct looking *l, uint64_t hash, bool *was)
{
    hash |= 1; /* 0 is a free place */
    if (2 * l->n_seen >= l->room) {
        size_t room = l->room ? 2 * l->room : 64;
        uint64_t *table = bq_alloc(room, sizeof *table);
        if (!table)
            return bq_fail(l->err, BQ_EXIT_FAILED, "%s: out of memory", l->input->file_name);
        for (size_t i = 0; i < l->room; i++) {
            size_t at = (size_t)l->seen[i] & (room - 1);
            while (l->seen[i] && table[at])
                at = (at + 1) & (room - 1);
            if (l->seen[i])
                table[at] = l->seen[i];
        }
        bq_free(l->seen);
        l->seen = table;
        l->room = room;
    }
    size_t at = (size_t)hash & (l->room - 1);
    while (l->seen[at] && l->seen[at] != hash)
        at = (at + 1) & (l->room - 1);
    *was = l->seen[at] == hash;
    l->n_seen += !*was;
    l->seen[at] = hash;
    return 0;
}

static hid_t open_in(const char *folder, size_t n, const char *name, hid_t access)
{
    char path[2 * MAX_NAME];
    bool has_slash = n && folder[n - 1] == '/';
    if (n + strlen(name) + 2 > sizeof path)
        return -1;
    snprintf(path, sizeof path, "%.*s%s%s", (int)n, folder, n && !has_slash ? "/" : "", name);
    return H5Fopen(path, H5F_ACC_RDONLY, access);
}

/* In each folder of HDF5_VDS_PREFIX; "${ORIGIN}" there is the folder of the virtual dataset. */
static hid_t open_in_prefixes(const char *origin, size_t n_origin, const char *name, hid_t access)
{
    static const char token[] = "${ORIGIN}";
    const char *prefix = getenv("HDF5_VDS_PREFIX");
    hid_t file = -1;
    while (prefix && *prefix && file < 0) {
        size_t n = strcspn(prefix, ":");
        char folder[MAX_NAME];
        bool is_origin = strncmp(prefix, token, sizeof token - 1) == 0;
        size_t cut = is_origin ? sizeof token - 1 : 0;
        if (n >= cut)
            snprintf(folder, sizeof folder, "%.*s%.*s", is_origin ? (int)n_origin : 0, origin,
                     (int)(n - cut), prefix + cut);
        if (n > 0)
            file = open_in(folder, strlen(folder), name, access);
        prefix += n + (prefix[n] == ':');
    }
    return file;
}

/* The file of a source, as HDF5 finds it from the file of the virtual dataset; -1: not there. */
static hid_t open_source(hid_t dataset, const char *name)
{
    hid_t here = H5Iget_file_id(dataset);
    if (strcmp(name, ".") == 0)
        return here;
    hid_t access = H5Fget_access_plist(here), file = -1;
    char origin[MAX_NAME], resolved[PATH_MAX];
    name_of(dataset, origin, sizeof origin);
    const char *last = name;
    if (name[0] == '/') {
        file = H5Fopen(name, H5F_ACC_RDONLY, access);
        last = name + bq_path_folder(name);
    }
    size_t n = bq_path_folder(origin);
    if (file < 0)
        file = open_in_prefixes(n ? origin : "./", n ? n : 2, last, access);
    if (file < 0)
        file = open_in(origin, n, last, access);
    if (file < 0)
        file = H5Fopen(last, H5F_ACC_RDONLY, access);
    if (file < 0 && realpath(origin, resolved))
        file = open_in(resolved, bq_path_folder(resolved), last, access);
    store_release(access);
    store_release(here);
    return file;
}

/* One name for each block, "part-%b.h5", made up as the dataset grows: HDF5 reads those that are
 * there, and that is what is meant. */
static bool is_pattern(const char *name)
{
    for (; *name; name++) {
        if (name[0] == '%' && name[1] == '%')
            name++;
        else if (name[0] == '%' && name[1 + strspn(name + 1, "0123456789")] == 'b')
            return true;
    }
    return false;
}

/* The name of block `b`; "%%" is a percent sign. */
static void expand(const char *name, unsigned b, char *out, size_t size)
{
    size_t w = 0;
    while (*name && w + 1 < size) {
        size_t digits = name[0] == '%' ? strspn(name + 1, "0123456789") : 0;
        if (name[0] == '%' && name[1] == '%') {
            out[w++] = '%';
            name += 2;
        } else if (name[0] == '%' && name[1 + digits] == 'b') {
            int n = snprintf(out + w, size - w, "%u", b);
            w += n > 0 ? (size_t)n : 0;
            name += 2 + digits;
        } else {
            out[w++] = *name++;
        }
    }
    out[w < size ? w : size - 1] = 0;
}

static int look_behind(struct looking *l, hid_t dataset, int depth);

static int fail_missing(struct looking *l, const char *file, const char *dataset, bool has_file)
{
    if (has_file && strcmp(file, ".") == 0)
        return bq_fail(l->err, BQ_EXIT_USAGE,
                       "%s: is a virtual dataset, and its source '%s' is not in that file: HDF5 "
                       "would read the fill value in its place",
                       l->input->where, dataset);
    if (has_file)
        return bq_fail(l->err, BQ_EXIT_USAGE,
                       "%s: is a virtual dataset, and its source '%s' has no dataset '%s': HDF5 "
                       "would read the fill value in its place",
                       l->input->where, file, dataset);
    return bq_fail(l->err, BQ_EXIT_USAGE,
                   "%s: is a virtual dataset, and its source '%s' is missing or cannot be opened: "
                   "HDF5 would read the fill value in its place. Put it there (relative to the "
                   "folder of the virtual dataset), or name its folder in HDF5_VDS_PREFIX",
                   l->input->where, file);
}

static int look_at_source(struct looking *l, hid_t dataset, const char *file, const char *path,
                          bool may_miss, bool *is_there, int depth)
{
    hid_t source = open_source(dataset, file);
    hid_t there = source < 0 ? -1 : H5Dopen2(source, path, H5P_DEFAULT);
    int rc = 0;
    *is_there = there >= 0;
    if (there < 0 && !may_miss)
        rc = fail_missing(l, file, path, source >= 0);
    else if (there >= 0 && (add_file_of(l->input, source) < 0 || add_file_of(l->input, there) < 0))
        rc = bq_fail(l->err, BQ_EXIT_FAILED, "%s: out of memory", l->input->file_name);
    else if (there >= 0)
        rc = look_behind(l, there, depth + 1);
    store_release(there);
    store_release(source);
    return rc;
}

static int look_at_mapping(struct looking *l, hid_t dataset, hid_t creation, size_t i, int depth)
{
    char file[MAX_NAME], path[MAX_NAME], own[MAX_NAME];
    char a[MAX_NAME], b[MAX_NAME];
    ssize_t n = H5Pget_virtual_filename(creation, i, file, sizeof file);
    ssize_t m = H5Pget_virtual_dsetname(creation, i, path, sizeof path);
    if (n < 0 || m < 0 || (size_t)n >= sizeof file || (size_t)m >= sizeof path)
        return bq_fail(l->err, BQ_EXIT_USAGE, "%s: the name of a source of it cannot be read",
                       l->input->where);
    name_of(dataset, own, sizeof own);
    bool was = false, is_open = is_pattern(file) || is_pattern(path), is_there = true;
    XXH64_hash_t hash = XXH64(file, (size_t)n, XXH64(own, strlen(own), 0));
    if (was_seen(l, XXH64(path, (size_t)m, hash), &was) < 0)
        return -1;
    int rc = 0;
    for (unsigned block = 0; rc == 0 && !was && is_there; block++) {
        expand(file, block, a, sizeof a);
        expand(path, block, b, sizeof b);
        rc = look_at_source(l, dataset, a, b, is_open, &is_there, depth);
        if (!is_open)
            break;
    }
    return rc;
}

/* Files of bare numbers; HDF5 says itself when one of them is not there. */
static int look_at_raw(struct looking *l, hid_t dataset, hid_t creation)
{
    const char *prefix = getenv("HDF5_EXTFILE_PREFIX");
    int n = H5Pget_external_count(creation);
    for (int i = 0; i < n; i++) {
        char name[MAX_NAME], origin[MAX_NAME], path[3 * MAX_NAME];
        off_t offset;
        hsize_t size;
        if (H5Pget_external(creation, (unsigned)i, sizeof name, name, &offset, &size) < 0)
            continue;
        name[sizeof name - 1] = 0;
        name_of(dataset, origin, sizeof origin);
        bool is_origin = prefix && strncmp(prefix, "${ORIGIN}", 9) == 0;
        size_t folder = bq_path_folder(origin);
        if (name[0] == '/' || !prefix || !*prefix)
            snprintf(path, sizeof path, "%s", name);
        else
            snprintf(path, sizeof path, "%.*s%.*s/%s", is_origin ? (int)folder : 0, origin,
                     MAX_NAME, is_origin ? prefix + 9 : prefix, name);
        if (add_file(l->input, path) < 0)
            return bq_fail(l->err, BQ_EXIT_FAILED, "%s: out of memory", l->input->file_name);
    }
    return 0;
}

static int look_behind(struct looking *l, hid_t dataset, int depth)
{
    hid_t creation = H5Dget_create_plist(dataset);
    size_t n = 0;
    int rc = look_at_raw(l, dataset, creation);
    if (H5Pget_layout(creation) == H5D_VIRTUAL && H5Pget_virtual_count(creation, &n) < 0)
        n = 0;
    for (size_t i = 0; i < n && rc == 0 && depth < MAX_DEPTH; i++)
        rc = look_at_mapping(l, dataset, creation, i, depth);
    store_release(creation);
    return rc;
}

int store_find_files(struct bq_input *input, struct bq_error *err)
{
    struct looking l = {.input = input, .err = err};
    int rc = add_file(input, input->file_name) < 0 || add_file_of(input, input->dataset) < 0
                 ? bq_fail(err, BQ_EXIT_FAILED, "%s: out of memory", input->file_name)
                 : look_behind(&l, input->dataset, 0);
    bq_free(l.seen);
    return rc;
}
