#include "adapters/store_log_format.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"

/* How many there are; fewer at the end of the file. */
static size_t read_at(int fd, void *bytes, size_t n, uint64_t address)
{
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(fd, (char *)bytes + done, n - done, (off_t)(address + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

static bool is_this_boot(const struct mark *mark)
{
    unsigned char boot[BOOT_BYTES], unknown[BOOT_BYTES] = {0};
    store_log_boot(boot);
    return memcmp(boot, unknown, BOOT_BYTES) != 0 && memcmp(boot, mark->boot, BOOT_BYTES) == 0;
}

/* -- marks and records --------------------------------------------------------------------- */

/* is_other: it is whole, but of another file. */
static bool read_mark(const struct store_log *log, int which, struct mark *mark, bool *is_other)
{
    unsigned char bytes[MARK_BYTES], sum[SUM_BYTES];
    if (read_at(log->fd, bytes, sizeof bytes, (uint64_t)MARKS_AT * (1 + (unsigned)which)) <
        sizeof bytes)
        return false;
    struct bq_reader r = bq_reader(bytes, sizeof bytes);
    bool is_mark = bq_get_u64(&r) == MARK_MAGIC;
    uint64_t inode = bq_get_u64(&r);
    mark->turn = bq_get_u64(&r);
    mark->state = bq_get_u64(&r);
    mark->end = bq_get_u64(&r);
    mark->flags = bq_get_u64(&r);
    memcpy(mark->boot, bq_get_bytes(&r, BOOT_BYTES), BOOT_BYTES);
    store_log_sum(sum, XXH3_128bits_withSeed(bytes, MARK_BYTES - SUM_BYTES, inode));
    is_mark &= memcmp(sum, r.at, SUM_BYTES) == 0;
    *is_other |= is_mark && inode != log->inode;
    bool is_possible = mark->end >= RECORDS_AT && mark->end <= INT64_MAX &&
                       mark->state <= INT64_MAX && mark->turn <= INT64_MAX &&
                       mark->turn % 2 == (unsigned)which;
    return is_mark && inode == log->inode && is_possible;
}

static void get_head(const unsigned char *head, struct record *record, bool *is_record)
{
    struct bq_reader r = bq_reader(head, HEAD_BYTES);
    *is_record = bq_get_u64(&r) == RECORD_MAGIC;
    record->flags = bq_get_u64(&r);
    record->state = bq_get_u64(&r);
    record->n_bytes = bq_get_u64(&r);
    record->end = bq_get_u64(&r);
}

/* Whether a whole record lies there, of that state. size: of the log. */
static bool read_record(struct store_log *log, uint64_t address, uint64_t size, uint64_t state,
                        struct record *record)
{
    unsigned char head[HEAD_BYTES], sum[SUM_BYTES];
    bool is_record = false;
    if (read_at(log->fd, head, sizeof head, address) == sizeof head)
        get_head(head, record, &is_record);
    if (!is_record || record->state != state || record->n_bytes > size - address - HEAD_BYTES)
        return false;
    XXH3_128bits_reset_withSeed(&log->room->hash, log->inode);
    for (uint64_t done = 0; done < record->n_bytes;) {
        size_t n = record->n_bytes - done < BATCH ? (size_t)(record->n_bytes - done) : BATCH;
        if (read_at(log->fd, log->room->bytes, n, address + HEAD_BYTES + done) < n)
            return false;
        XXH3_128bits_update(&log->room->hash, log->room->bytes, n);
        done += n;
    }
    XXH3_128bits_update(&log->room->hash, head, HEAD_BYTES - SUM_BYTES);
    store_log_sum(sum, XXH3_128bits_digest(&log->room->hash));
    return memcmp(sum, head + HEAD_BYTES - SUM_BYTES, SUM_BYTES) == 0;
}

/* Its runs into the file, or, not do_apply, whether they can be: EINVAL. file_bytes: of the file.
 */
static int apply(struct store_log *log, uint64_t address, const struct record *record,
                 uint64_t file_bytes, bool do_apply)
{
    uint64_t at = address + HEAD_BYTES, end = at + record->n_bytes;
    errno = EINVAL;
    if (record->end > file_bytes)
        return -1;
    while (at < end) {
        size_t most = RUN_HEAD + STORE_OVERLAY_PAGE;
        size_t there = end - at < most ? (size_t)(end - at) : most;
        if (read_at(log->fd, log->room->bytes, there, at) < there)
            return -1;
        struct bq_reader r = bq_reader(log->room->bytes, there);
        uint64_t to = bq_get_u64(&r);
        uint32_t n = bq_get_u32(&r);
        const void *bytes = r.is_bad || n == 0 ? NULL : bq_get_bytes(&r, n);
        errno = EINVAL;
        if (!bytes || to > record->end || n > record->end - to)
            return -1;
        if (do_apply && store_write_at(log->work, bytes, n, to) < 0)
            return -1;
        at += RUN_HEAD + n;
    }
    return 0;
}

/* -- bringing the file to its newest state -------------------------------------------------- */

static int damaged(const char *file, const char *path, struct bq_error *err)
{
    return bq_fail(err, BQ_EXIT_FAILED,
                   "%s: the log '%s' of its work file is damaged; it has to be made anew", file,
                   path);
}

/* The newest mark. */
static int find_mark(struct store_log *log, struct mark *mark, const char *path, const char *file,
                     struct bq_error *err)
{
    bool is_there = false, is_other = false;
    for (int i = 0; i < 2; i++) {
        struct mark one;
        if (read_mark(log, i, &one, &is_other) && (!is_there || one.turn > mark->turn)) {
            *mark = one;
            is_there = true;
        }
    }
    if (is_there)
        return 0;
    if (is_other)
        return bq_fail(err, BQ_EXIT_FAILED,
                       "%s: '%s' is the log of another file than its work "
                       "file; it has to be made anew",
                       file, path);
    return damaged(file, path, err);
}

/* The records that count after the mark; none of them is applied. */
static int find_records(struct store_log *log, const struct mark *mark, uint64_t size,
                        uint64_t *n_records)
{
    struct record record;
    uint64_t n = 0, n_durable = 0, at = mark->end;
    while (at <= size && size - at >= HEAD_BYTES &&
           read_record(log, at, size, mark->state + n + 1, &record)) {
        at += HEAD_BYTES + record.n_bytes;
        n++;
        n_durable = record.flags & IS_DURABLE ? n : n_durable;
    }
    bool is_this = is_this_boot(mark);
    *n_records = is_this ? n : n_durable;
    return is_this || n_durable || mark->flags & IS_DURABLE ? 0 : -1;
}

static int apply_records(struct store_log *log, const struct mark *mark, uint64_t n_records,
                         uint64_t file_bytes, bool do_apply)
{
    uint64_t at = mark->end;
    for (uint64_t i = 0; i < n_records; i++) {
        unsigned char head[HEAD_BYTES];
        struct record record;
        bool is_record = false;
        if (read_at(log->fd, head, sizeof head, at) == sizeof head)
            get_head(head, &record, &is_record);
        if (!is_record || apply(log, at, &record, file_bytes, do_apply) < 0)
            return -1;
        at += HEAD_BYTES + record.n_bytes;
    }
    return 0;
}

static int replay(struct store_log *log, const char *path, uint64_t file_bytes, const char *file,
                  struct bq_error *err)
{
    struct stat st;
    struct mark mark;
    uint64_t n_records;
    log->fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (log->fd < 0 && errno == ENOENT)
        return bq_fail(err, BQ_EXIT_FAILED,
                       "%s: its work file was never synced; it has to be made anew", file);
    if (log->fd < 0)
        return bq_fail(err, BQ_EXIT_FAILED, "%s: cannot open '%s', the log of its work file: %s",
                       file, path, strerror(errno));
    if (fstat(log->fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
        st.st_nlink != 1)
        return bq_fail(err, BQ_EXIT_FAILED,
                       "%s: '%s' is no log of ours; the work file has to be made anew", file, path);
    if (find_mark(log, &mark, path, file, err) < 0)
        return -1;
    if (find_records(log, &mark, (uint64_t)st.st_size, &n_records) < 0)
        return bq_fail(err, BQ_EXIT_FAILED,
                       "%s: its work file was made before this machine was started, and not synced "
                       "to the disk; it has to be made anew",
                       file);
    if (apply_records(log, &mark, n_records, file_bytes, false) < 0)
        return damaged(file, path, err);
    log->state = mark.state + n_records;
    log->turn = mark.turn;
    log->is_durable = true; /* from here on */
    if (apply_records(log, &mark, n_records, file_bytes, true) < 0 || fdatasync(log->work) < 0 ||
        store_log_mark(log, true) < 0)
        return bq_fail(err, BQ_EXIT_FAILED, "%s: cannot write its work file: %s", file,
                       strerror(errno));
    return 0;
}

int store_log_replay(struct store_log *log, const char *path, int work, const char *file,
                     struct bq_error *err)
{
    struct stat st;
    int rc = store_log_ready(log, work, &st) < 0
                 ? bq_fail(err, BQ_EXIT_FAILED, "%s: %s", file, strerror(errno))
                 : replay(log, path, (uint64_t)st.st_size, file, err);
    if (rc < 0)
        store_log_close(log);
    return rc;
}
