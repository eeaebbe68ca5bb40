#include "adapters/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/path.h"

/* Closes and forgets everything but keeps errno. */
static void drop(struct bq_whole_file *file)
{
    int saved = errno;
    if (file->f && file->f != stdout)
        fclose(file->f);
    if (file->temp)
        unlink(file->temp);
    bq_free(file->temp);
    bq_free(file->path);
    memset(file, 0, sizeof *file);
    errno = saved;
}

FILE *bq_whole_open(struct bq_whole_file *file, const char *path, struct bq_error *err)
{
    memset(file, 0, sizeof *file);
    file->path = bq_strdup(path);
    if (!file->path) {
        bq_fail(err, BQ_EXIT_FAILED, "%s: out of memory", path);
        return NULL;
    }
    struct stat is;
    if (strcmp(path, "-") == 0) {
        file->f = stdout;
    } else if (stat(path, &is) == 0 && !S_ISREG(is.st_mode)) {
        file->f = fopen(path, "wb"); /* a folder fails here, with the right words */
    } else {
        errno = ENOMEM; /* for bq_path_hidden; mkstemp has its own */
        file->temp = bq_path_hidden(path);
        int fd = file->temp ? mkstemp(file->temp) : -1; /* 0600, O_EXCL */
        if (fd < 0 && file->temp) {
            bq_free(file->temp); /* nothing to unlink: the name may be somebody else's */
            file->temp = NULL;
        }
        file->f = fd < 0 ? NULL : fdopen(fd, "wb");
        if (fd >= 0 && !file->f)
            close(fd);
    }
    if (!file->f) {
        bq_fail(err, BQ_EXIT_FAILED, "%s: cannot be written: %s", path, strerror(errno));
        drop(file);
        return NULL;
    }
    return file->f;
}

/* Where /proc does not say, umask has to be set to be read; another thread that makes a file at
 * that instant makes it private. */
mode_t bq_umask(void)
{
    unsigned mask = 0;
    bool is_known = false;
    char line[128];
    FILE *status = fopen("/proc/self/status", "re");
    while (status && !is_known && fgets(line, sizeof line, status))
        is_known = sscanf(line, "Umask: %o", &mask) == 1;
    if (status)
        fclose(status);
    if (is_known)
        return (mode_t)mask;
    mode_t old = umask(077);
    umask(old);
    return old;
}

/* mkstemp's 0600 is for the time of writing. */
static mode_t final_mode(const char *path)
{
    struct stat is;
    return stat(path, &is) == 0 ? is.st_mode & 0777 : 0666 & ~bq_umask();
}

int bq_whole_commit(struct bq_whole_file *file, struct bq_error *err)
{
    int rc = -1;
    if (!ferror(file->f)) /* else the errno of the write that failed is the reason */
        errno = 0;
    if (fflush(file->f) != 0 || ferror(file->f))
        goto out;
    if (file->temp) {
        int fd = fileno(file->f);
        if (fsync(fd) != 0 || fchmod(fd, final_mode(file->path)) != 0)
            goto out;
    }
    if (file->f != stdout) {
        FILE *f = file->f;
        file->f = NULL;
        if (fclose(f) != 0)
            goto out;
    }
    if (file->temp) {
        if (rename(file->temp, file->path) != 0)
            goto out;
        bq_free(file->temp); /* it is gone: drop() must not unlink it */
        file->temp = NULL;
    }
    rc = 0;
out:
    if (rc != 0)
        bq_fail(err, BQ_EXIT_FAILED, "%s: writing failed: %s", file->path,
                errno ? strerror(errno) : "an earlier write to it failed");
    drop(file);
    return rc;
}

void bq_whole_discard(struct bq_whole_file *file)
{
    drop(file);
}
