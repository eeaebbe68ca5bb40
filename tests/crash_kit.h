/* Being killed at a chosen instruction, and losing power: for a child process of a test.
 *
 * What writes to files is counted here, on its way to the system, in the place of libc's own
 * functions. The process ends at the n-th: in the middle of a write, or before the system hears of
 * the others. With loss of power the files also get back what they were at their last fdatasync,
 * with any part of what was written since, in sectors of 512 bytes and in no order; and the machine
 * has another boot id. */
#ifndef BQ_TESTS_CRASH_KIT_H
#define BQ_TESTS_CRASH_KIT_H

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "random.h"

enum { SECTOR = 512, CRASH_FILES = 8 };

static uint64_t crash_left;   /* steps until the end; 0: no end */
static bool crash_with_power; /* is lost */
static unsigned crash_boot;   /* 0: the machine's own */

struct crash_change {
    struct crash_change *next;
    bool is_cut;
    uint64_t offset, n; /* is_cut: the new size in offset */
    unsigned char bytes[];
};

static struct crash_file {
    ino_t inode;
    int fd;
    unsigned char *bytes; /* on the disk */
    uint64_t n;
    struct crash_change *first, **last; /* not on the disk */
} crash_files[CRASH_FILES];

static void crash_load(struct crash_file *file)
{
    struct stat st;
    if (fstat(file->fd, &st) != 0)
        abort();
    file->n = (uint64_t)st.st_size;
    free(file->bytes);
    file->bytes = malloc(file->n + 1);
    if (!file->bytes || pread(file->fd, file->bytes, file->n, 0) != (ssize_t)file->n)
        abort();
    while (file->first) {
        struct crash_change *change = file->first;
        file->first = change->next;
        free(change);
    }
    file->last = &file->first;
}

/* NULL: power is not lost, or it is no file. */
static struct crash_file *crash_file(int fd)
{
    struct stat st;
    if (!crash_with_power || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return NULL;
    for (int i = 0; i < CRASH_FILES; i++) {
        struct crash_file *file = &crash_files[i];
        if (file->inode == st.st_ino)
            return file;
        if (file->inode == 0) {
            file->inode = st.st_ino;
            file->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
            char path[40]; /* which may be read, too */
            snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
            close(file->fd);
            file->fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
            crash_load(file);
            return file;
        }
    }
    abort();
}

static void crash_note(struct crash_file *file, bool is_cut, const void *bytes, uint64_t n,
                       uint64_t offset)
{
    struct crash_change *change = malloc(sizeof *change + n);
    if (!change)
        abort();
    *change = (struct crash_change){.is_cut = is_cut, .offset = offset, .n = n};
    if (n)
        memcpy(change->bytes, bytes, n);
    *file->last = change;
    file->last = &change->next;
}

static void crash_resize(struct crash_file *file, uint64_t n)
{
    file->bytes = realloc(file->bytes, n + 1);
    if (!file->bytes)
        abort();
    if (n > file->n)
        memset(file->bytes + file->n, 0, n - file->n);
    file->n = n;
}

static void crash_lose(struct crash_file *file)
{
    uint64_t percent = random_below(3) * 50;
    for (struct crash_change *change = file->first; change; change = change->next) {
        if (change->is_cut && random_below(2))
            crash_resize(file, change->offset);
        for (uint64_t at = 0, n; at < change->n; at += n) {
            uint64_t to = change->offset + at;
            n = SECTOR - to % SECTOR;
            n = n < change->n - at ? n : change->n - at;
            if (random_below(100) >= percent)
                continue;
            if (to + n > file->n)
                crash_resize(file, to + n);
            memcpy(file->bytes + to, change->bytes + at, n);
        }
    }
    if (syscall(SYS_ftruncate, file->fd, 0) != 0 ||
        syscall(SYS_pwrite64, file->fd, file->bytes, file->n, 0) != (long)file->n)
        abort();
}

static void crash_now(void)
{
    for (int i = 0; i < CRASH_FILES && crash_files[i].inode; i++)
        crash_lose(&crash_files[i]);
    kill(getpid(), SIGKILL);
}

static bool crash_is_here(void)
{
    return crash_left && --crash_left == 0;
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
    struct crash_file *file = crash_file(fd);
    bool is_here = crash_is_here();
    n = is_here ? random_below(n + 1) : n;
    if (file)
        crash_note(file, false, bytes, n, (uint64_t)offset);
    ssize_t put = syscall(SYS_pwrite64, fd, bytes, n, offset);
    if (is_here)
        crash_now();
    return put;
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
    ssize_t put = pwrite(fd, iov[0].iov_base, iov[0].iov_len, offset);
    (void)n; /* less than was asked for: the caller goes on */
    return put;
}

int ftruncate(int fd, off_t size)
{
    struct crash_file *file = crash_file(fd);
    if (crash_is_here())
        crash_now();
    if (file)
        crash_note(file, true, NULL, 0, (uint64_t)size);
    return (int)syscall(SYS_ftruncate, fd, size);
}

int fdatasync(int fd)
{
    struct crash_file *file = crash_file(fd);
    if (crash_is_here())
        crash_now();
    if (file)
        crash_load(file);
    return 0;
}

int fsync(int fd)
{
    return fdatasync(fd);
}

int unlink(const char *path)
{
    if (crash_is_here())
        crash_now();
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    if (crash_is_here())
        crash_now();
    return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    if (crash_boot && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) {
        int fd = (int)syscall(SYS_memfd_create, "boot", 0);
        char text[20];
        int n = snprintf(text, sizeof text, "boot %u\n", crash_boot);
        if (syscall(SYS_write, fd, text, n) != n || lseek(fd, 0, SEEK_SET) != 0)
            abort();
        return fd;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#endif
