/* The folder of a sharded output: one file a kitchen, and beside it the dataset that joins them.
 *
 *     create ".out.h5.d.banquet-x7Qd2a/" (0700) -> shards are made in it -> publish: "out.h5.d/"
 *
 * As with a work file, the final name shows nothing before all is there; the joining file is
 * renamed last, so whoever finds it finds the shards. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapters/store_internal.h"
#include "adapters/whole_file.h"
#include "base/heap.h"
#include "base/path.h"

struct bq_shards {
    char *name; /* "out.h5.d" */
    char *work; /* NULL when it has its name */
    char *old;  /* what it replaced, until the end */
    bool force, is_published, is_kept;
};

void bq_shard_name(const char *file, uint32_t shard, char *out, size_t size)
{
    snprintf(out, size, "%s.d/%u.h5", file + bq_path_folder(file), shard);
}

static char *joined(const char *a, const char *b)
{
    size_t size = strlen(a) + strlen(b) + 1;
    char *out = bq_alloc(size, 1);
    if (out)
        snprintf(out, size, "%s%s", a, b);
    return out;
}

/* A private folder beside `name`, hidden. */
static char *private_beside(const char *name)
{
    char *path = bq_path_hidden(name);
    if (path && mkdtemp(path))
        return path;
    bq_free(path);
    return NULL;
}

int bq_shards_check(const char *file, bool force, struct bq_error *err)
{
    struct stat st;
    char *name = joined(file, ".d");
    int rc = name ? 0 : bq_fail(err, BQ_EXIT_FAILED, "%s: out of memory", file);
    if (rc == 0 && strlen(name + bq_path_folder(name)) + 24 > BQ_SHARD_NAME)
        rc = bq_fail(err, BQ_EXIT_USAGE, "%s: the name is too long for a folder of shards", file);
    if (rc == 0 && lstat(name, &st) == 0 && !S_ISDIR(st.st_mode))
        rc = bq_fail(err, BQ_EXIT_USAGE, "%s: is in the way: the shards of '%s' go into a folder",
                     name, file);
    else if (rc == 0 && lstat(name, &st) == 0 && !force)
        rc = bq_fail(err, BQ_EXIT_USAGE, "%s already exists; --force replaces it", name);
    bq_free(name);
    return rc;
}

struct bq_shards *bq_shards_create(const char *file, bool force, struct bq_error *err)
{
    struct bq_shards *shards = NULL;
    if (bq_shards_check(file, force, err) < 0)
        return NULL;
    shards = bq_alloc(1, sizeof *shards);
    if (shards) {
        shards->force = force;
        shards->name = joined(file, ".d");
        shards->work = shards->name ? private_beside(shards->name) : NULL;
    }
    if (!shards || !shards->work) {
        bq_fail(err, BQ_EXIT_FAILED, "%s: cannot make a folder for its shards: %s", file,
                strerror(errno));
        bq_shards_discard(shards);
        return NULL;
    }
    return shards;
}

const char *bq_shards_folder(const struct bq_shards *shards)
{
    return shards->work;
}

/* Removes the files that only_shards calls ours, and the folder when it is then empty. */
static void remove_folder(const char *folder, bool only_shards)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        size_t digits = strspn(entry->d_name, "0123456789");
        bool is_shard = digits && strcmp(entry->d_name + digits, ".h5") == 0;
        if (entry->d_name[0] != 0 && (is_shard || !only_shards) &&
            strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir)
        closedir(dir);
    rmdir(folder);
}

/* What kitchens that were lost had begun. */
static void remove_begun(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        if (bq_path_is_hidden(entry->d_name))
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir)
        closedir(dir);
}

int bq_shards_publish(struct bq_shards *shards, struct bq_error *err)
{
    struct stat st;
    remove_begun(shards->work);
    if (chmod(shards->work, 0777 & ~bq_umask()) != 0)
        return bq_fail(err, BQ_EXIT_FAILED, "%s: cannot set its mode: %s", shards->name,
                       strerror(errno));
    if (shards->force && lstat(shards->name, &st) == 0) {
        shards->old = private_beside(shards->name);
        if (!shards->old || rename(shards->name, shards->old) != 0)
            return bq_fail(err, BQ_EXIT_FAILED, "%s: cannot be moved out of the way: %s",
                           shards->name, strerror(errno));
    }
    if (rename(shards->work, shards->name) != 0)
        return bq_fail(err, BQ_EXIT_FAILED, "%s: cannot rename '%s' to it: %s", shards->name,
                       shards->work, strerror(errno));
    bq_free(shards->work);
    shards->work = NULL;
    shards->is_published = true;
    return 0;
}

void bq_shards_keep(struct bq_shards *shards)
{
    shards->is_kept = true;
}

void bq_shards_discard(struct bq_shards *shards)
{
    if (!shards)
        return;
    if (shards->work)
        remove_folder(shards->work, false);
    if (shards->is_published && !shards->is_kept)
        remove_folder(shards->name, true);
    if (shards->old && shards->is_kept)
        remove_folder(shards->old, true); /* what is not ours stays, in a hidden folder */
    else if (shards->old)
        (void)!rename(shards->old, shards->name); /* as it was */
    bq_free(shards->name);
    bq_free(shards->work);
    bq_free(shards->old);
    bq_free(shards);
}

/* -- shards of a file that is replaced ---------------------------------------------------- */

/* One virtual dataset with a source there is enough. */
static herr_t find_shard(hid_t group, const char *name, const H5O_info_t *info, void *context)
{
    const char *prefix = context;
    char source[BQ_SHARD_NAME + 8] = "";
    size_t n = 0;
    if (info->type != H5O_TYPE_DATASET)
        return 0;
    hid_t dataset = H5Dopen2(group, name, H5P_DEFAULT);
    hid_t creation = dataset < 0 ? -1 : H5Dget_create_plist(dataset);
    if (creation >= 0 && H5Pget_layout(creation) == H5D_VIRTUAL &&
        H5Pget_virtual_count(creation, &n) >= 0 && n > 0)
        H5Pget_virtual_filename(creation, 0, source, sizeof source);
    store_release(creation);
    store_release(dataset);
    source[sizeof source - 1] = 0;
    return strncmp(source, prefix, strlen(prefix)) == 0;
}

bool store_has_shards(const char *file)
{
    struct stat st;
    char *folder = joined(file, ".d"), prefix[BQ_SHARD_NAME];
    bool has = folder && lstat(folder, &st) == 0 && S_ISDIR(st.st_mode);
    bq_free(folder);
    snprintf(prefix, sizeof prefix, "%.250s.d/", file + bq_path_folder(file));
    if (!has)
        return false;
    store_lock();
    hid_t old = H5Fopen(file, H5F_ACC_RDONLY, H5P_DEFAULT);
    has = old >= 0 &&
          H5Ovisit2(old, H5_INDEX_NAME, H5_ITER_NATIVE, find_shard, prefix, H5O_INFO_BASIC) > 0;
    store_release(old);
    store_unlock();
    return has;
}

void store_remove_shards(const char *file)
{
    char *folder = joined(file, ".d");
    if (folder)
        remove_folder(folder, true);
    bq_free(folder);
}

/* -- a kitchen's shard -------------------------------------------------------------------- */

static char *path_in(const char *folder, uint32_t shard)
{
    char name[64];
    snprintf(name, sizeof name, "/%u.h5", shard);
    return joined(folder, name);
}

char *bq_shard_path(const struct bq_shards *shards, uint32_t shard)
{
    return path_in(shards->work, shard);
}

struct bq_output *bq_shard_create(const char *folder, uint32_t shard, const char *dataset,
                                  enum bq_type type, const struct bq_layout *layout,
                                  struct bq_error *err)
{
    char *file = path_in(folder, shard);
    if (!file) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return NULL;
    }
    struct bq_output_spec spec = {.file = file,
                                  .dataset = dataset,
                                  .type = type,
                                  .space = layout->space,
                                  .chunk = layout->chunk,
                                  .filters = layout->filters,
                                  .how = BQ_OUTPUT_SHARDED,
                                  .number = &layout->number,
                                  .fill = layout->fill};
    struct bq_output *output = bq_output_create(&spec, err);
    /* What was encoded for another shape would be placed all the same. */
    if (output && !bq_space_is_same(&output->layout.chunk, &layout->chunk)) {
        bq_fail(err, BQ_EXIT_FAILED, "%s: its chunks are not the coordinator's", file);
        bq_output_discard(output);
        output = NULL;
    }
    bq_free(file);
    return output;
}
