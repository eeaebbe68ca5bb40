#include "adapters/store_log_format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/heap.h"

#define SUFFIX ".log"

char *store_log_path(const char *work_path)
{
    size_t size = strlen(work_path) + sizeof SUFFIX;
    char *path = bq_alloc(size, 1);
    if (path)
        snprintf(path, size, "%s" SUFFIX, work_path);
    return path;
}

/* -- bytes -------------------------------------------------------------------------------- */

int store_write_at(int fd, const void *bytes, size_t n, uint64_t address)
{
    const char *at = bytes;
    while (n) {
        ssize_t put = pwrite(fd, at, n, (off_t)address);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            errno = put < 0 ? errno : ENOSPC;
            return -1;
        }
        at += put;
        address += (uint64_t)put;
        n -= (size_t)put;
    }
    return 0;
}

void store_log_sum(unsigned char *out, XXH128_hash_t hash)
{
    XXH128_canonical_t sum;
    XXH128_canonicalFromHash(&sum, hash);
    memcpy(out, sum.digest, SUM_BYTES);
}

void store_log_boot(unsigned char *boot)
{
    char text[64];
    memset(boot, 0, BOOT_BYTES);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);
    if (n > 0)
        store_log_sum(boot, XXH3_128bits(text, (size_t)n));
    if (fd >= 0)
        close(fd);
}

/* -- marks -------------------------------------------------------------------------------- */

static int write_mark(struct store_log *log, uint64_t end)
{
    unsigned char bytes[MARK_BYTES], boot[BOOT_BYTES];
    struct bq_writer w = bq_writer(bytes, sizeof bytes);
    store_log_boot(boot);
    bq_put_u64(&w, MARK_MAGIC);
    bq_put_u64(&w, log->inode);
    bq_put_u64(&w, log->turn + 1);
    bq_put_u64(&w, log->state);
    bq_put_u64(&w, end);
    bq_put_u64(&w, log->is_durable ? IS_DURABLE : 0);
    bq_put_bytes(&w, boot, BOOT_BYTES);
    store_log_sum(w.at, XXH3_128bits_withSeed(bytes, MARK_BYTES - SUM_BYTES, log->inode));
    if (store_write_at(log->fd, bytes, sizeof bytes, MARKS_AT * (1 + (log->turn + 1) % 2)) < 0)
        return -1;
    log->turn++;
    return 0;
}

int store_log_mark(struct store_log *log, bool restart)
{
    if (write_mark(log, restart ? RECORDS_AT : log->end) < 0)
        return -1;
    if (!restart)
        return 0;
    /* Before its place is used again it must be known that the old records are not needed. */
    if (log->is_durable && fdatasync(log->fd) < 0)
        return -1;
    if (ftruncate(log->fd, RECORDS_AT) < 0)
        return -1;
    log->end = RECORDS_AT;
    return 0;
}

/* -- records ------------------------------------------------------------------------------ */

struct out {
    struct store_log *log;
    uint64_t address, n_bytes;
    size_t used;
};

static int put_out(struct out *out)
{
    struct store_log_room *room = out->log->room;
    XXH3_128bits_update(&room->hash, room->bytes, out->used);
    if (store_write_at(out->log->fd, room->bytes, out->used, out->address) < 0)
        return -1;
    out->address += out->used;
    out->n_bytes += out->used;
    out->used = 0;
    return 0;
}

static int put_run(void *context, uint64_t address, const void *bytes, size_t n)
{
    struct out *out = context;
    if (BATCH - out->used < RUN_HEAD + n && put_out(out) < 0)
        return -1;
    struct bq_writer w = bq_writer(out->log->room->bytes + out->used, BATCH - out->used);
    bq_put_u64(&w, address);
    bq_put_u32(&w, (uint32_t)n);
    bq_put_bytes(&w, bytes, n);
    out->used += RUN_HEAD + n;
    return 0;
}

/* Runs first, then the head in front of them, whose sum covers both. */
static int write_record(struct store_log *log, const struct store_overlay *overlay, uint64_t end,
                        bool to_disk, uint64_t *n_bytes)
{
    unsigned char head[HEAD_BYTES];
    struct out out = {.log = log, .address = log->end + HEAD_BYTES};
    XXH3_128bits_reset_withSeed(&log->room->hash, log->inode);
    if (store_overlay_each(overlay, put_run, &out) < 0 || put_out(&out) < 0)
        return -1;
    struct bq_writer w = bq_writer(head, sizeof head);
    bq_put_u64(&w, RECORD_MAGIC);
    bq_put_u64(&w, to_disk ? IS_DURABLE : 0);
    bq_put_u64(&w, log->state + 1);
    bq_put_u64(&w, out.n_bytes);
    bq_put_u64(&w, end);
    XXH3_128bits_update(&log->room->hash, head, HEAD_BYTES - SUM_BYTES);
    store_log_sum(w.at, XXH3_128bits_digest(&log->room->hash));
    *n_bytes = HEAD_BYTES + out.n_bytes;
    return store_write_at(log->fd, head, sizeof head, log->end);
}

int store_log_append(struct store_log *log, const struct store_overlay *overlay, uint64_t end,
                     bool to_disk)
{
    uint64_t n_bytes;
    if (write_record(log, overlay, end, to_disk, &n_bytes) < 0 ||
        (to_disk && fdatasync(log->fd) < 0)) {
        int why = errno;
        if (ftruncate(log->fd, (off_t)log->end) < 0) /* else the next is written over it */
            errno = why;
        errno = why;
        return -1;
    }
    log->end += n_bytes;
    log->state++;
    log->is_durable |= to_disk;
    return 0;
}

/* -- opening and closing ------------------------------------------------------------------ */

int store_log_ready(struct store_log *log, int work, struct stat *st)
{
    *log = (struct store_log){.fd = -1, .work = work, .end = RECORDS_AT};
    if (fstat(work, st) < 0)
        return -1;
    log->inode = st->st_ino;
    log->room = bq_room(1, sizeof *log->room);
    errno = log->room ? 0 : ENOMEM;
    if (!log->room)
        return -1;
    XXH3_INITSTATE(&log->room->hash); /* else its first seed may be taken for the one it has */
    return 0;
}

int store_log_create(struct store_log *log, const char *path, int work, bool to_disk)
{
    struct stat st;
    if (store_log_ready(log, work, &st) < 0)
        return -1;
    log->state = 1;
    log->is_durable = to_disk;
    log->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (log->fd >= 0 && ftruncate(log->fd, RECORDS_AT) == 0 && write_mark(log, RECORDS_AT) == 0 &&
        (!to_disk || fsync(log->fd) == 0))
        return 0;
    int why = errno;
    if (log->fd >= 0)
        unlink(path);
    store_log_close(log);
    errno = why;
    return -1;
}

void store_log_close(struct store_log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
    bq_free(log->room);
    log->room = NULL;
}
