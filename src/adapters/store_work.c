/* The work file: a private file beside the final name, which gets that name when it is complete.
 *
 *     create ".out.h5.banquet-x7Qd2a" (0600) -> written -> sync -> mode -> rename to "out.h5"
 *
 * Beside it is its log (store_log.h), where there is one, which goes when the work file does.
 *
 * One rule: at no instant does the final name show anything but the old file or the complete new
 * one. No HDF5 in here, and no lock: each output has its own.
 */
#include "adapters/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "adapters/store_log.h"
#include "adapters/whole_file.h"
#include "base/heap.h"
#include "base/path.h"

/* The folder as a path of its own; NULL when there is no memory. */
static char *folder_of(const char *name)
{
    size_t n = bq_path_folder(name);
    char *folder = bq_strdup(n ? name : ".");
    if (folder && n)
        folder[n > 1 ? n - 1 : 1] = 0;
    return folder;
}

static int check_folder(const char *name, struct bq_error *err)
{
    struct stat st;
    char *folder = folder_of(name);
    int rc = 0;
    if (!folder)
        rc = bq_fail(err, BQ_EXIT_FAILED, "%s: out of memory", name);
    else if (stat(folder, &st) != 0 && errno == ENOENT)
        rc = bq_fail(err, BQ_EXIT_USAGE, "%s: the folder '%s' does not exist", name, folder);
    else if (stat(folder, &st) != 0)
        rc = bq_fail(err, BQ_EXIT_USAGE, "%s: the folder '%s': %s", name, folder, strerror(errno));
    else if (!S_ISDIR(st.st_mode))
        rc = bq_fail(err, BQ_EXIT_USAGE, "%s: '%s' is not a folder", name, folder);
    else if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) != 0)
        rc = bq_fail(err, BQ_EXIT_USAGE, "%s: cannot write into the folder '%s': %s", name, folder,
                     strerror(errno));
    bq_free(folder);
    return rc;
}

int store_work_check(const char *name, bool force, const struct bq_input *not_this,
                     struct bq_error *err)
{
    struct stat st;
    if (!name[bq_path_folder(name)])
        return bq_fail(err, BQ_EXIT_USAGE, "%s: names a folder, not a file", name[0] ? name : "''");
    if (check_folder(name, err) != 0)
        return -1;
    if (stat(name, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return bq_fail(err, BQ_EXIT_USAGE, "%s: is a folder; name a file in it", name);
        if (!S_ISREG(st.st_mode))
            return bq_fail(err, BQ_EXIT_USAGE, "%s: is not a regular file; it is left alone", name);
        if (not_this && bq_input_reads(not_this, name))
            return bq_fail(err, BQ_EXIT_USAGE, "%s: is the input; write to another file", name);
    }
    if (!force && lstat(name, &st) == 0)
        return bq_fail(err, BQ_EXIT_USAGE, "%s already exists; --force replaces it", name);
    return 0;
}

/* Takes over path, unless that fails. */
static int set_names(struct store_work *work, const char *name, bool force, char *path,
                     struct bq_error *err)
{
    work->force = force;
    work->name = bq_strdup(name);
    work->log = path ? store_log_path(path) : NULL;
    if (work->name && work->log) {
        work->path = path;
        return 0;
    }
    return bq_fail(err, BQ_EXIT_FAILED, "%s: out of memory", name);
}

int store_work_create(struct store_work *work, const char *name, bool force, const char *wanted,
                      struct bq_error *err)
{
    char *path = wanted ? bq_strdup(wanted) : bq_path_hidden(name);
    work->fd = !path    ? -1
               : wanted ? open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)
                        : mkostemp(path, O_CLOEXEC);
    if (path && work->fd < 0)
        bq_fail(err, BQ_EXIT_FAILED, "%s: cannot make a work file beside it: %s", name,
                strerror(errno));
    else if (set_names(work, name, force, path, err) == 0)
        return 0;
    else if (path)
        unlink(path);
    bq_free(path);
    return -1;
}

/* -- a work file that was left ------------------------------------------------------------ */

static bool is_ours(const struct stat *st)
{
    return S_ISREG(st->st_mode) && st->st_uid == geteuid();
}

static bool is_beside(const char *path, const char *name)
{
    struct stat one, other;
    char *folder = folder_of(path), *want = folder_of(name);
    bool is_same = folder && want && stat(folder, &one) == 0 && stat(want, &other) == 0 &&
                   one.st_dev == other.st_dev && one.st_ino == other.st_ino;
    bq_free(folder);
    bq_free(want);
    return is_same;
}

int store_work_resume(struct store_work *work, const char *name, bool force, const char *path,
                      struct bq_error *err)
{
    struct stat st;
    if (!bq_path_is_hidden(path) || !is_beside(path, name))
        return bq_fail(err, BQ_EXIT_FAILED, "%s: '%s' is no name of a work file of it", name, path);
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno != ELOOP)
        return bq_fail(err, BQ_EXIT_FAILED, "%s: cannot open its work file '%s': %s", name, path,
                       strerror(errno));
    /* One with a second name may be a result that was published already. */
    if (fd < 0 || fstat(fd, &st) < 0 || !is_ours(&st) || st.st_nlink != 1) {
        if (fd >= 0)
            close(fd);
        return bq_fail(err, BQ_EXIT_FAILED, "%s: '%s' is no work file of ours", name, path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
        close(fd);
        return bq_fail(err, BQ_EXIT_FAILED, "%s: another process uses its work file '%s'", name,
                       path);
    }
    work->fd = fd;
    char *own = bq_strdup(path);
    int rc = set_names(work, name, force, own, err);
    if (rc < 0)
        bq_free(own);
    return rc;
}

/* The log first: what is left if this is killed in between has a name that is noted. */
bool bq_output_remove_left(const char *path)
{
    struct stat st;
    char *log = bq_path_is_hidden(path) ? store_log_path(path) : NULL;
    bool is_hidden = log != NULL;
    if (log && lstat(log, &st) == 0 && is_ours(&st))
        unlink(log);
    bq_free(log);
    return is_hidden && lstat(path, &st) == 0 && is_ours(&st) && unlink(path) == 0;
}

/* -- publishing --------------------------------------------------------------------------- */

/* 0, or -1 with errno; EEXIST when the new name is taken. */
static int rename_to_free_name(const char *from, const char *to)
{
#ifdef RENAME_NOREPLACE
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
#endif
    if (link(from, to) == 0)
        return unlink(from);
    if (errno == EEXIST)
        return -1;
    /* A file system with neither: look, then rename. Whoever makes the file in between loses it. */
    struct stat st;
    if (lstat(to, &st) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(from, to);
}

/* Makes the new name survive a power failure, where the file system can do that for folders. */
static int sync_folder(const char *name, struct bq_error *err)
{
    char *folder = folder_of(name);
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int rc = 0;
    if (fd >= 0 && fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP)
        rc = bq_fail(err, BQ_EXIT_FAILED, "%s: is written, but its folder cannot be synced: %s",
                     name, strerror(errno));
    if (fd >= 0)
        close(fd);
    bq_free(folder);
    return rc;
}

int store_work_sync_folder(const struct store_work *work, struct bq_error *err)
{
    return sync_folder(work->path, err);
}

int store_work_publish(struct store_work *work, struct bq_error *err)
{
    if (fsync(work->fd) != 0)
        return bq_fail(err, BQ_EXIT_FAILED, "%s: cannot be synced to the disk: %s", work->name,
                       strerror(errno));
    struct stat old;
    bool is_replacing = work->force && lstat(work->name, &old) == 0 && S_ISREG(old.st_mode);
    /* What is replaced keeps its owner, where that may be given, and its mode. */
    if (is_replacing && geteuid() == 0 && fchown(work->fd, old.st_uid, old.st_gid) != 0)
        is_replacing = false;
    mode_t mode = is_replacing ? old.st_mode & 0777 : 0666 & ~bq_umask();
    if (fchmod(work->fd, mode) != 0)
        return bq_fail(err, BQ_EXIT_FAILED, "%s: cannot set its mode: %s", work->name,
                       strerror(errno));
    int rc =
        work->force ? rename(work->path, work->name) : rename_to_free_name(work->path, work->name);
    if (rc != 0 && errno == EEXIST)
        bq_fail(err, BQ_EXIT_FAILED,
                "%s: something else made this file meanwhile; the finished result is kept as '%s'",
                work->name, work->path);
    else if (rc != 0)
        return bq_fail(err, BQ_EXIT_FAILED, "%s: cannot rename '%s' to it: %s", work->name,
                       work->path, strerror(errno));
    bq_free(work->path); /* it has its name, or stays: nothing to remove */
    work->path = NULL;
    return rc == 0 ? sync_folder(work->name, err) : -1;
}

void store_work_leave(struct store_work *work)
{
    bq_free(work->path);
    bq_free(work->log);
    work->path = work->log = NULL;
    store_work_end(work);
}

void store_work_end(struct store_work *work)
{
    if (work->log)
        unlink(work->log);
    if (work->path)
        unlink(work->path);
    if (work->fd >= 0)
        close(work->fd);
    bq_free(work->log);
    bq_free(work->path);
    bq_free(work->name);
    work->log = work->path = work->name = NULL;
    work->fd = -1;
}
