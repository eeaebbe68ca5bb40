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

int bq_shards_publish(struct bq_shards *shards, struct bq_error *err)
{
    struct stat st;
    if (chmod(shards->work, 0777 & ~store_umask()) != 0)
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
    if (output && memcmp(&output->layout.chunk, &layout->chunk, sizeof layout->chunk) != 0) {
        bq_fail(err, BQ_EXIT_FAILED, "%s: its chunks are not the coordinator's", file);
        bq_output_discard(output);
        output = NULL;
    }
    bq_free(file);
    return output;
}
