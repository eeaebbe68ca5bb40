#include "adapters/door_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/path.h"

#define MOST 1024 /* bytes of a file */

static int fail_exists(const char *path, struct bq_error *err)
{
    return bq_fail(err, BQ_EXIT_USAGE,
                   "--door: '%s' already exists; if no run uses it any more, remove it", path);
}

int bq_door_file_check(const char *path, struct bq_error *err)
{
    struct stat st;
    char folder[4096];
    size_t n = bq_path_folder(path);
    if (lstat(path, &st) == 0)
        return fail_exists(path, err);
    if (n >= sizeof folder)
        return bq_fail(err, BQ_EXIT_USAGE, "--door: the name is too long");
    snprintf(folder, sizeof folder, "%.*s", (int)n, path);
    if (access(n ? folder : ".", W_OK | X_OK) < 0)
        return bq_fail(err, BQ_EXIT_USAGE, "--door: '%s': cannot be made: %s", path,
                       strerror(errno));
    return 0;
}

/* A whole file under a name of its own, then under `path`, if that is free. Where the file system
 * has no links, under `path` at once: who reads it then waits for its last line. */
static int publish(const char *path, const char *text, size_t n)
{
    char *hidden = bq_path_hidden(path);
    int fd = hidden ? mkostemp(hidden, O_CLOEXEC) : -1; /* 0600 */
    int rc = -1, why = errno;
    if (fd >= 0) {
        bool is_written = write(fd, text, n) == (ssize_t)n;
        rc = is_written ? link(hidden, path) : -1;
        why = errno;
        close(fd);
        unlink(hidden);
        if (is_written && rc < 0 && why != EEXIST) {
            fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
            rc = fd >= 0 && write(fd, text, n) == (ssize_t)n ? 0 : -1;
            why = errno;
            if (fd >= 0)
                close(fd);
            if (fd >= 0 && rc < 0)
                unlink(path);
        }
    }
    bq_free(hidden);
    errno = why;
    return rc;
}

int bq_door_file_make(const char *path, const struct bq_door_file *file, struct bq_error *err)
{
    char text[MOST], key[2 * BQ_DOOR_KEY + 1];
    sodium_bin2hex(key, sizeof key, file->key, sizeof file->key);
    int n =
        snprintf(text, sizeof text, "banquet door 1\nwire %u\naddress %.255s\nport %u\nkey %s\n",
                 file->wire, file->address, (unsigned)file->port, key);
    int rc = publish(path, text, (size_t)n);
    int why = errno;
    sodium_memzero(text, sizeof text);
    sodium_memzero(key, sizeof key);
    if (rc == 0)
        return 0;
    return why == EEXIST ? fail_exists(path, err)
                         : bq_fail(err, BQ_EXIT_USAGE, "--door: '%s': cannot be made: %s", path,
                                   strerror(why));
}

/* -- reading ------------------------------------------------------------------------------ */

static int check_owner(int fd, const char *path, struct bq_error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return bq_fail(err, BQ_EXIT_USAGE, "'%s' is no file that `banquet run --door` made", path);
    if (st.st_uid != geteuid())
        return bq_fail(err, BQ_EXIT_USAGE, "'%s' belongs to somebody else", path);
    if (st.st_mode & 077)
        return bq_fail(err, BQ_EXIT_USAGE,
                       "'%s' can be read by others, who may have seen the key: refused (a copy "
                       "needs mode 600)",
                       path);
    return 0;
}

static int parse(const char *text, struct bq_door_file *file)
{
    char key[2 * BQ_DOOR_KEY + 2] = "";
    unsigned version = 0, port = 0;
    size_t n_key;
    int end = 0;
    int n = sscanf(text, "banquet door %u\nwire %u\naddress %255s\nport %u\nkey %65s\n%n", &version,
                   &file->wire, file->address, &port, key, &end);
    bool is =
        n == 5 && version == 1 && port > 0 && port < 65536 && text[end] == 0 &&
        strlen(key) == 2 * sizeof file->key &&
        sodium_hex2bin(file->key, sizeof file->key, key, strlen(key), NULL, &n_key, NULL) == 0 &&
        n_key == sizeof file->key;
    file->port = (uint16_t)port;
    sodium_memzero(key, sizeof key);
    return is ? 0 : -1;
}

int bq_door_file_read(const char *path, struct bq_door_file *file, struct bq_error *err)
{
    char text[MOST] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return bq_fail(err, BQ_EXIT_USAGE, "'%s': %s; the run that made it is over, or not begun",
                       path, strerror(errno));
    int rc = check_owner(fd, path, err);
    ssize_t n = 0;
    for (int i = 0; rc == 0 && i < 100; i++) { /* it may be just being written */
        n = pread(fd, text, sizeof text - 1, 0);
        if (n < 0 || (n > 0 && text[n - 1] == '\n'))
            break;
        usleep(10000);
    }
    close(fd);
    if (rc == 0 && (n <= 0 || parse(text, file) < 0))
        rc = bq_fail(err, BQ_EXIT_USAGE,
                     "'%s' is no file that this build's `banquet run --door` made", path);
    sodium_memzero(text, sizeof text);
    return rc;
}
