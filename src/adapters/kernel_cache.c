#include "adapters/kernel_cache.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "adapters/kernel_library.h"
#include "adapters/whole_file.h"

static int too_long(struct bq_error *err)
{
    return bq_fail(err, BQ_EXIT_USAGE,
                   "the cache of compiled kernels has too long a name; set XDG_CACHE_HOME");
}

int bq_cache_path(char path[BQ_CACHE_PATH], const char *folder, const char *name,
                  struct bq_error *err)
{
    int n = snprintf(path, BQ_CACHE_PATH, "%s/%s", folder, name);
    return n >= 0 && n < BQ_CACHE_PATH ? 0 : too_long(err);
}

static int make_folder(const char *path, struct bq_error *err)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return 0;
    return bq_fail(err, BQ_EXIT_USAGE,
                   "compiled kernels are kept in %s, which cannot be made: %s; set XDG_CACHE_HOME",
                   path, strerror(errno));
}

/* Who can write here, or move the folder away, can run code as this user. */
static int check_folder(const char *path, struct bq_error *err)
{
    struct stat is;
    const char *wrong = NULL;
    if (lstat(path, &is) < 0)
        wrong = strerror(errno);
    else if (!S_ISDIR(is.st_mode))
        wrong = "it is no folder";
    else if (is.st_uid != geteuid())
        wrong = "it belongs to another user";
    else if (is.st_mode & (S_IWGRP | S_IWOTH))
        wrong = "others may write to it (chmod go-w)";
    if (!wrong)
        return 0;
    return bq_fail(err, BQ_EXIT_USAGE,
                   "compiled kernels are kept in %s, which is not safe: %s; or set XDG_CACHE_HOME",
                   path, wrong);
}

int bq_cache_open(char folder[BQ_CACHE_PATH], struct bq_error *err)
{
    char base[BQ_CACHE_PATH], ours[BQ_CACHE_PATH];
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    /* The specification of XDG_CACHE_HOME wants a relative path to be ignored. */
    bool is_given = cache && *cache == '/';
    if (!is_given && !(home && *home == '/'))
        return bq_fail(err, BQ_EXIT_USAGE,
                       "where shall compiled kernels be kept? Set XDG_CACHE_HOME or HOME");
    if (is_given ? snprintf(base, sizeof base, "%s", cache) >= (int)sizeof base
                 : snprintf(base, sizeof base, "%s/.cache", home) >= (int)sizeof base)
        return too_long(err);
    if (bq_cache_path(ours, base, "banquet", err) < 0 ||
        bq_cache_path(folder, ours, "kernels", err) < 0 || make_folder(base, err) < 0 ||
        make_folder(ours, err) < 0 || check_folder(ours, err) < 0 || make_folder(folder, err) < 0)
        return -1;
    return check_folder(folder, err);
}

/* -- files that the program carries ------------------------------------------------------- */

void bq_sources_hash(const struct bq_source *sources, struct bq_hash *hash)
{
    XXH128_hash_t all = {0, 0};
    for (; sources->name; sources++) {
        all = XXH3_128bits_withSeed(sources->name, strlen(sources->name), all.low64 ^ all.high64);
        all = XXH3_128bits_withSeed(sources->text, sources->n, all.low64 ^ all.high64);
    }
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, all);
    memcpy(hash->bytes, canonical.digest, sizeof hash->bytes);
}

static bool is_same(const char *path, const struct bq_source *source)
{
    FILE *f = fopen(path, "rb");
    size_t i = 0;
    int c = EOF;
    while (f && (c = getc_unlocked(f)) != EOF && i < source->n && c == source->text[i])
        i++;
    if (f)
        fclose(f);
    return f && c == EOF && i == source->n;
}

static int write_source(const char *folder, const struct bq_source *source, struct bq_error *err)
{
    char path[BQ_CACHE_PATH], below[BQ_CACHE_PATH];
    const char *slash = strchr(source->name, '/');
    struct bq_whole_file file;
    if (bq_cache_path(path, folder, source->name, err) < 0)
        return -1;
    if (slash) {
        snprintf(below, sizeof below, "%.*s",
                 (int)(strlen(folder) + 1 + (size_t)(slash - source->name)), path);
        if (make_folder(below, err) < 0)
            return -1;
    }
    if (is_same(path, source))
        return 0;
    FILE *f = bq_whole_open(&file, path, err);
    if (!f)
        return -1;
    fwrite(source->text, 1, source->n, f);
    return bq_whole_commit(&file, err);
}

int bq_cache_sources(const char *folder, const char *kind, const struct bq_source *sources,
                     char path[BQ_CACHE_PATH], struct bq_error *err)
{
    struct bq_hash hash;
    char name[80], text[33];
    bq_sources_hash(sources, &hash);
    snprintf(name, sizeof name, "%s-%s", kind, bq_hash_text(&hash, text));
    if (bq_cache_path(path, folder, name, err) < 0 || make_folder(path, err) < 0)
        return -1;
    for (; sources->name; sources++) {
        if (write_source(path, sources, err) < 0)
            return -1;
    }
    return 0;
}

/* -- workshops ---------------------------------------------------------------------------- */

int bq_cache_workshop(const char *folder, char path[BQ_CACHE_PATH], struct bq_error *err)
{
    if (bq_cache_path(path, folder, "making-XXXXXX", err) < 0)
        return -1;
    if (!mkdtemp(path))
        return bq_fail(err, BQ_EXIT_FAILED, "%s: %s", path, strerror(errno));
    return 0;
}

void bq_cache_remove(const char *workshop)
{
    char path[BQ_CACHE_PATH];
    DIR *folder = opendir(workshop);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        if (bq_cache_path(path, workshop, entry->d_name, NULL) == 0)
            unlink(path); /* . and .. are no files */
    }
    if (folder)
        closedir(folder);
    rmdir(workshop);
}
