#define _POSIX_C_SOURCE 200809L
#include "fetch_list.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STRIDE 64 /* lines between two places that are remembered */
#define PIECE 65536

/* A list that was read once. It never changes, so whoever has found it needs no lock. */
struct list {
    struct list *next;
    char *path;
    int fd;
    struct stat stat;
    uint64_t n_lines;
    uint64_t *place; /* bytes before line 0, STRIDE, 2 STRIDE .. */
};

/* A kernel is given nothing between its calls but its parameters, and to read the list for each
 * chunk would be quadratic. So lists stay open for the process; the lock guards the chain. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list *lists;

static int complain(char *why, size_t size, const char *path, const char *what)
{
    snprintf(why, size, "%.60s: %s", path, what);
    return -1;
}

static int complain_at(char *why, size_t size, const char *path, uint64_t line, const char *what)
{
    snprintf(why, size, "%.50s:%llu: %s", path, (unsigned long long)line + 1, what);
    return -1;
}

/* -- reading it once ---------------------------------------------------------------------- */

static bool remember(struct list *list, uint64_t line, uint64_t at)
{
    uint64_t i = line / STRIDE;
    if (line % STRIDE)
        return true;
    if ((i & (i - 1)) == 0) { /* full at each power of two */
        size_t n = i ? (size_t)(2 * i) : 1;
        uint64_t *more = realloc(list->place, n * sizeof *more);
        if (!more)
            return false;
        list->place = more;
    }
    list->place[i] = at;
    return true;
}

/* What is wrong with a line, or NULL. */
static const char *fault(uint64_t length, bool has_nul)
{
    return has_nul                    ? "a byte that is zero: this is no text"
           : length == 0              ? "the line is empty"
           : length + 1 >= FETCH_LINE ? "the line is longer than 2046 bytes"
                                      : NULL;
}

static int scan(struct list *list, char *why, size_t size)
{
    static const char no_memory[] = "no memory for it";
    char piece[PIECE];
    uint64_t at = 0, begin = 0, line = 0;
    bool has_nul = false;
    ssize_t n;
    while ((n = pread(list->fd, piece, sizeof piece, (off_t)at)) > 0) {
        for (const char *p = piece, *end = piece + n; p < end;) {
            const char *newline = memchr(p, '\n', (size_t)(end - p)),
                       *stop = newline ? newline : end;
            has_nul |= memchr(p, 0, (size_t)(stop - p)) != NULL;
            uint64_t here = at + (uint64_t)(stop - piece);
            bool is_known = newline || has_nul || here - begin >= FETCH_LINE;
            const char *what = is_known ? fault(here - begin, has_nul) : NULL;
            if (what)
                return complain_at(why, size, list->path, line, what);
            p = stop + 1;
            if (!newline)
                break;
            if (!remember(list, line++, begin))
                return complain(why, size, list->path, no_memory);
            begin = here + 1;
        }
        at += (uint64_t)n;
    }
    if (n < 0)
        return complain(why, size, list->path, strerror(errno));
    if (at > begin) { /* the last line has no end */
        const char *what = fault(at - begin, has_nul);
        if (what)
            return complain_at(why, size, list->path, line, what);
        if (!remember(list, line++, begin))
            return complain(why, size, list->path, no_memory);
    }
    list->n_lines = line;
    return line ? 0 : complain(why, size, list->path, "the list is empty");
}

static void discard(struct list *list)
{
    if (list->fd >= 0)
        close(list->fd);
    free(list->place);
    free(list->path);
    free(list);
}

static struct list *read_list(const char *path, char *why, size_t size)
{
    struct list *list = calloc(1, sizeof *list);
    if (!list) {
        complain(why, size, path, "no memory for it");
        return NULL;
    }
    /* Non-blocking: to open a pipe would wait for somebody who writes. */
    list->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    list->path = strdup(path);
    if (list->fd < 0 || !list->path || fstat(list->fd, &list->stat) < 0) {
        complain(why, size, path, strerror(errno));
    } else if (!S_ISREG(list->stat.st_mode)) {
        complain(why, size, path, "the list is not a regular file");
    } else if (scan(list, why, size) == 0) {
        return list;
    }
    discard(list);
    return NULL;
}

/* -- finding it again --------------------------------------------------------------------- */

static bool is_as_it_was(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The newest of that name; with is_new, one that is as the file is now. */
static const struct list *find(const char *path, bool is_new, char *why, size_t size)
{
    struct stat now;
    pthread_mutex_lock(&lock);
    struct list *list = lists;
    while (list && strcmp(list->path, path))
        list = list->next;
    if (!list || (is_new && (stat(path, &now) < 0 || !is_as_it_was(&now, &list->stat)))) {
        list = read_list(path, why, size);
        if (list) {
            list->next = lists;
            lists = list;
        }
    }
    pthread_mutex_unlock(&lock);
    return list;
}

int fetch_list_count(const char *path, uint64_t *n_lines, char *why, size_t why_size)
{
    const struct list *list = find(path, true, why, why_size);
    if (!list)
        return -1;
    *n_lines = list->n_lines;
    return 0;
}

int fetch_list_line(const char *path, uint64_t n_lines, uint64_t i, char line[FETCH_LINE],
                    char *why, size_t why_size)
{
    char piece[8192];
    struct stat now;
    const struct list *list = find(path, false, why, why_size);
    if (!list)
        return -1;
    if (fstat(list->fd, &now) < 0 || !is_as_it_was(&now, &list->stat))
        return complain(why, why_size, path, "the list has changed since the job began");
    if (list->n_lines != n_lines || i >= n_lines) {
        snprintf(why, why_size, "%.40s: the list has %llu lines here, not %llu", path,
                 (unsigned long long)list->n_lines, (unsigned long long)n_lines);
        return -1;
    }
    uint64_t at = list->place[i / STRIDE], left = i % STRIDE;
    size_t length = 0;
    for (bool is_over = false; !is_over;) {
        ssize_t n = pread(list->fd, piece, sizeof piece, (off_t)at);
        if (n < 0)
            return complain(why, why_size, path, strerror(errno));
        is_over = n == 0;
        at += (uint64_t)n;
        for (ssize_t k = 0; k < n && !is_over; k++) {
            if (piece[k] == '\n')
                is_over = left-- == 0;
            else if (left == 0 && length + 1 < FETCH_LINE)
                line[length++] = piece[k];
        }
    }
    if (length && line[length - 1] == '\r') /* a list made on Windows */
        length--;
    line[length] = 0;
    return length ? 0 : complain_at(why, why_size, path, i, "the line is empty");
}
