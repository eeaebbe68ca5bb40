#include "run/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "adapters/memory.h"
#include "base/heap.h"
#include "base/path.h"

#define IN_MEMORY "/dev/shm"
#define NAME ".banquet-XXXXXX" /* bq_path_is_hidden */

struct bq_scratch {
    char *folder;
};

/* Half of what is left at most: the rest is for the chunks in progress and for others. */
static bool fits_memory(uint64_t bytes)
{
    struct statvfs fs;
    if (bytes == 0 || statvfs(IN_MEMORY, &fs) != 0 || access(IN_MEMORY, W_OK | X_OK) != 0)
        return false;
    return bytes <= (uint64_t)fs.f_bavail * fs.f_frsize / 2 && bytes <= bq_memory_available("") / 2;
}

static char *joined(const char *folder, size_t n, const char *name)
{
    size_t size = n + strlen(name) + 2;
    char *path = bq_alloc(1, size);
    if (path)
        snprintf(path, size, "%.*s%s%s", (int)n, folder, n && folder[n - 1] != '/' ? "/" : "",
                 name);
    return path;
}

struct bq_scratch *bq_scratch_create(uint64_t bytes, const char *beside, bool is_one_machine,
                                     struct bq_error *err)
{
    struct bq_scratch *s = bq_alloc(1, sizeof *s);
    const char *named = getenv("BANQUET_SCRATCH");
    if (!s) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return NULL;
    }
    bool is_memory = !(named && *named) && is_one_machine && fits_memory(bytes);
    if (named && *named)
        s->folder = joined(named, strlen(named), NAME);
    else if (is_memory)
        s->folder = joined(IN_MEMORY, strlen(IN_MEMORY), NAME);
    else
        s->folder = joined(beside, bq_path_folder(beside), NAME);
    if (s->folder && mkdtemp(s->folder))
        return s;
    bq_fail(err, BQ_EXIT_FAILED, "cannot make a folder for what steps hand over: '%s': %s",
            s->folder ? s->folder : "", strerror(errno));
    bq_free(s->folder);
    bq_free(s);
    return NULL;
}

static void remove_all(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(fd, entry->d_name, 0);
    }
    if (dir)
        closedir(dir);
    rmdir(folder);
}

void bq_scratch_remove(const char *folder)
{
    struct stat st;
    if (bq_path_is_hidden(folder) && lstat(folder, &st) == 0 && S_ISDIR(st.st_mode) &&
        st.st_uid == geteuid() && (st.st_mode & 077) == 0)
        remove_all(folder);
}

const char *bq_scratch_folder(const struct bq_scratch *s)
{
    return s->folder;
}

void bq_scratch_destroy(struct bq_scratch *s)
{
    if (!s)
        return;
    remove_all(s->folder);
    bq_free(s->folder);
    bq_free(s);
}

char *bq_scratch_path(const struct bq_scratch *s, const char *name)
{
    return joined(s->folder, strlen(s->folder), name);
}
