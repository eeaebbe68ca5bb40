#include "run/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/heap.h"

#define ROOM (size_t)65536 /* bytes of records that are kept before they are written, about */

struct bq_journal {
    char *path;
    int fd;
    struct bq_journal_head head;
    size_t size;           /* of a record */
    uint64_t n, n_counted; /* records in the file and the buffer; those that count */
    uint64_t at;           /* the next to be read */
    unsigned char *buffer; /* n_room records */
    size_t n_room, n_used; /* read: from `at` - n_used on; or to be written */
    size_t taken;          /* of what was read */
};

static int fail(const struct bq_journal *j, const char *what, struct bq_error *err)
{
    return bq_fail(err, BQ_EXIT_FAILED, "%s: cannot %s: %s", j->path, what, strerror(errno));
}

static struct bq_journal *make(const char *path, struct bq_error *err)
{
    struct bq_journal *j = bq_alloc(1, sizeof *j);
    if (j) {
        j->fd = -1;
        j->path = bq_strdup(path);
        if (j->path)
            return j;
    }
    bq_free(j);
    bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    return NULL;
}

static int make_room(struct bq_journal *j, struct bq_error *err)
{
    j->n_room = j->size < ROOM ? ROOM / j->size : 1;
    j->buffer = bq_alloc(j->n_room, j->size);
    return j->buffer ? 0 : bq_fail(err, BQ_EXIT_FAILED, "out of memory");
}

/* All of it, or -1. */
static int put(const struct bq_journal *j, const unsigned char *bytes, size_t n, uint64_t at)
{
    while (n) {
        ssize_t put = pwrite(j->fd, bytes, n, (off_t)at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            errno = put == 0 ? ENOSPC : errno;
            return -1;
        }
        bytes += put;
        n -= (size_t)put;
        at += (uint64_t)put;
    }
    return 0;
}

static size_t get(const struct bq_journal *j, unsigned char *bytes, size_t n, uint64_t at)
{
    size_t got = 0;
    while (got < n) {
        ssize_t more = pread(j->fd, bytes + got, n - got, (off_t)(at + got));
        if (more < 0 && errno == EINTR)
            continue;
        if (more <= 0)
            break;
        got += (size_t)more;
    }
    return got;
}

static uint64_t place(const struct bq_journal *j, uint64_t number)
{
    return BQ_JOURNAL_HEAD + number * j->size;
}

struct bq_journal *bq_journal_create(const char *path, const struct bq_journal_head *head,
                                     struct bq_error *err)
{
    unsigned char bytes[BQ_JOURNAL_HEAD];
    struct bq_journal *j = make(path, err);
    if (!j)
        return NULL;
    j->head = *head;
    j->size = bq_record_bytes(head->result_size);
    bq_journal_head_put(bytes, head);
    unlink(path);
    j->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (j->fd < 0 || put(j, bytes, sizeof bytes, 0) < 0)
        fail(j, "be written", err);
    else if (make_room(j, err) == 0)
        return j;
    bq_journal_remove(j);
    return NULL;
}

int bq_journal_settle(struct bq_journal *j, bool needs_mark, struct bq_error *err)
{
    unsigned char bytes[BQ_JOURNAL_HEAD];
    if (j->head.needs_mark == needs_mark)
        return 0;
    j->head.needs_mark = needs_mark;
    bq_journal_head_put(bytes, &j->head);
    return put(j, bytes, sizeof bytes, 0) < 0 ? fail(j, "be written", err) : 0;
}

/* -- reading ------------------------------------------------------------------------------ */

/* The record of the number `at`, through the buffer. false: there is none. */
static bool read_record(struct bq_journal *j, const unsigned char **bytes)
{
    if (j->taken == j->n_used) {
        j->n_used = get(j, j->buffer, j->n_room * j->size, place(j, j->at)) / j->size;
        j->taken = 0;
    }
    if (j->taken == j->n_used)
        return false;
    *bytes = j->buffer + j->taken++ * j->size;
    j->at++;
    return true;
}

static void rewind_to_start(struct bq_journal *j)
{
    j->at = 0;
    j->n_used = j->taken = 0;
}

/* How many records are whole, and how many of them count. */
static void count(struct bq_journal *j)
{
    const unsigned char *bytes;
    struct bq_record record;
    rewind_to_start(j);
    while (read_record(j, &bytes)) {
        bool is_right = bq_record_get(bytes, j->at - 1, &j->head, &record) == 0;
        if (is_right && (record.is_mark || !j->head.needs_mark))
            j->n_counted = j->at;
    }
    j->n = j->at;
    rewind_to_start(j);
}

/* A file that has no whole record yet says how large one would be: no memory is asked for that. */
static int look_through(struct bq_journal *j, uint64_t file_bytes, struct bq_error *err)
{
    j->size = bq_record_bytes(j->head.result_size);
    if (file_bytes < place(j, 1))
        return 0;
    if (make_room(j, err) < 0)
        return -1;
    count(j);
    return 0;
}

/* 1: it is read; 0: there is none; -1. A kill may come before the head is written, a failure of the
 * power before it is on the disk: then there is no record either. */
static int read_file(struct bq_journal *j, struct bq_error *err)
{
    unsigned char bytes[BQ_JOURNAL_HEAD];
    struct stat st;
    j->fd = open(j->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (j->fd < 0)
        return errno == ENOENT ? 0 : fail(j, "be read as what an earlier run left", err);
    if (fstat(j->fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid())
        return bq_fail(err, BQ_EXIT_USAGE, "%s: is not a file of yours; it is not read", j->path);
    if (st.st_size < BQ_JOURNAL_HEAD)
        return 0;
    if (get(j, bytes, sizeof bytes, 0) < sizeof bytes || bq_journal_head_get(bytes, &j->head) < 0)
        return bq_fail(err, BQ_EXIT_USAGE, "%s: what an earlier run of this job left is damaged",
                       j->path);
    return look_through(j, (uint64_t)st.st_size, err) < 0 ? -1 : 1;
}

struct bq_journal *bq_journal_open(const char *path, struct bq_error *err)
{
    struct bq_journal *j = make(path, err);
    if (j && read_file(j, err) > 0)
        return j;
    bq_journal_close(j);
    return NULL;
}

const struct bq_journal_head *bq_journal_head(const struct bq_journal *j)
{
    return &j->head;
}

bool bq_journal_is_empty(const struct bq_journal *j)
{
    return j->n_counted == 0;
}

bool bq_journal_next(struct bq_journal *j, struct bq_record *record)
{
    const unsigned char *bytes;
    while (j->at < j->n_counted && read_record(j, &bytes)) {
        if (bq_record_get(bytes, j->at - 1, &j->head, record) == 0 && !record->is_mark)
            return true;
    }
    return false;
}

int bq_journal_go_on(struct bq_journal *j, struct bq_error *err)
{
    if (!j->buffer && make_room(j, err) < 0)
        return -1;
    rewind_to_start(j);
    j->n = j->n_counted;
    if (ftruncate(j->fd, (off_t)place(j, j->n)) != 0)
        return fail(j, "be cut", err);
    return 0;
}

/* -- writing ------------------------------------------------------------------------------ */

static int flush(struct bq_journal *j, struct bq_error *err)
{
    if (j->n_used && put(j, j->buffer, j->n_used * j->size, place(j, j->n - j->n_used)) < 0)
        return fail(j, "be written", err);
    j->n_used = 0;
    return 0;
}

static int add(struct bq_journal *j, const struct bq_record *record, struct bq_error *err)
{
    if (j->n_used == j->n_room && flush(j, err) < 0)
        return -1;
    bq_record_put(j->buffer + j->n_used++ * j->size, j->n++, j->head.result_size, record);
    return 0;
}

int bq_journal_add(struct bq_journal *j, struct bq_node node, const void *result,
                   struct bq_error *err)
{
    return add(j, &(struct bq_record){.node = node, .result = result}, err);
}

int bq_journal_mark(struct bq_journal *j, bool to_disk, struct bq_error *err)
{
    if (j->n_counted < j->n && j->head.needs_mark &&
        add(j, &(struct bq_record){.is_mark = true}, err) < 0)
        return -1;
    if (flush(j, err) < 0)
        return -1;
    j->n_counted = j->n;
    return to_disk && fdatasync(j->fd) != 0 ? fail(j, "be synced to the disk", err) : 0;
}

/* -- the end ------------------------------------------------------------------------------ */

void bq_journal_remove(struct bq_journal *j)
{
    if (j)
        unlink(j->path);
    bq_journal_close(j);
}

void bq_journal_close(struct bq_journal *j)
{
    if (!j)
        return;
    if (j->fd >= 0)
        close(j->fd);
    bq_free(j->buffer);
    bq_free(j->path);
    bq_free(j);
}
