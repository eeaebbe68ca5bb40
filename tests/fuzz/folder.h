/* A private folder for the files of a fuzz target, in memory where there is such a place: what
 * syncs them does not wait for a disk then. It goes when the process ends, unless that crashes. */
#ifndef BQ_TESTS_FUZZ_FOLDER_H
#define BQ_TESTS_FUZZ_FOLDER_H

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

static char fuzz_folder[60];

static inline void fuzz_empty_folder(void)
{
    DIR *dir = opendir(fuzz_folder);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir)
        closedir(dir);
}

static inline void fuzz_remove_folder(void)
{
    fuzz_empty_folder();
    rmdir(fuzz_folder);
}

/* The path of a name in it; the eight newest stay valid. */
static inline const char *in_fuzz_folder(const char *name)
{
    static char path[8][100];
    static unsigned turn;
    if (!fuzz_folder[0]) {
        bool has_memory = access("/dev/shm", W_OK | X_OK) == 0;
        snprintf(fuzz_folder, sizeof fuzz_folder, "%s/banquet-fuzz-XXXXXX",
                 has_memory ? "/dev/shm" : P_tmpdir);
        MUST(mkdtemp(fuzz_folder) && atexit(fuzz_remove_folder) == 0);
    }
    char *out = path[turn++ % 8];
    snprintf(out, sizeof path[0], "%s/%s", fuzz_folder, name);
    return out;
}

static inline void fuzz_put_file(const char *path, const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);
}

#endif
