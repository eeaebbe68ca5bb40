/* The log of a work file: a file and its log, as a run that was killed left them, are brought to
 * the newest state, and go on from there.
 *
 * The input: what is made right before (bits: the sums of marks; their inode; their boot; the sums
 * of records), 2 bytes for the size of the work file, its bytes, then those of the log. */
#include "folder.h"

#include "adapters/store_log_format.h"
#include "base/bytes.h"
#include "base/error.h"

enum { MARK_SUMS = 1, MARK_INODES = 2, MARK_BOOTS = 4, RECORD_SUMS = 8 };
enum { MOST_LOG = 1 << 20, MOST_RECORDS = 1000 };

/* -- checksums that are right --------------------------------------------------------------- */

static void put_u64(unsigned char *at, uint64_t value)
{
    struct bq_writer w = bq_writer(at, sizeof value);
    bq_put_u64(&w, value);
}

static uint64_t get_u64(const unsigned char *at)
{
    struct bq_reader r = bq_reader(at, sizeof(uint64_t));
    return bq_get_u64(&r);
}

static void seal_mark(unsigned char *mark, uint64_t inode, unsigned how)
{
    if (how & MARK_INODES)
        put_u64(mark + 8, inode);
    if (how & MARK_BOOTS)
        store_log_boot(mark + 48);
    if (how & MARK_SUMS)
        store_log_sum(mark + MARK_BYTES - SUM_BYTES,
                      XXH3_128bits_withSeed(mark, MARK_BYTES - SUM_BYTES, get_u64(mark + 8)));
}

/* Records from there on, one behind the other. */
static void seal_records(unsigned char *log, size_t n, uint64_t at, uint64_t inode)
{
    for (int i = 0; i < MOST_RECORDS && at <= n && n - at >= HEAD_BYTES; i++) {
        unsigned char *head = log + at;
        uint64_t n_bytes = get_u64(head + 24);
        if (n_bytes > n - at - HEAD_BYTES)
            return;
        XXH3_state_t state;
        XXH3_INITSTATE(&state);
        XXH3_128bits_reset_withSeed(&state, inode);
        XXH3_128bits_update(&state, head + HEAD_BYTES, (size_t)n_bytes);
        XXH3_128bits_update(&state, head, HEAD_BYTES - SUM_BYTES);
        store_log_sum(head + HEAD_BYTES - SUM_BYTES, XXH3_128bits_digest(&state));
        at += HEAD_BYTES + n_bytes;
    }
}

static void seal(unsigned char *log, size_t n, uint64_t inode, unsigned how)
{
    uint64_t ends[3] = {RECORDS_AT};
    for (size_t i = 0; i < 2; i++) {
        size_t at = MARKS_AT * (i + 1);
        if (n < at + MARK_BYTES)
            return;
        seal_mark(log + at, inode, how);
        ends[i + 1] = get_u64(log + at + 32);
    }
    for (size_t i = 0; i < 3 && (how & RECORD_SUMS); i++) {
        if (ends[i] >= RECORDS_AT)
            seal_records(log, n, ends[i], inode);
    }
}

/* -- the work file ------------------------------------------------------------------------ */

static void read_file(int fd, unsigned char *bytes, size_t n)
{
    struct stat st;
    MUST(fstat(fd, &st) == 0 && (size_t)st.st_size == n);
    MUST(pread(fd, bytes, n, 0) == (ssize_t)n);
}

static int replay(struct store_log *log, const char *path, int work)
{
    struct bq_error err = {0};
    int rc = store_log_replay(log, path, work, "out.h5", &err);
    MUST((rc == 0) == (err.text[0] == 0) && (rc == 0) == (log->fd >= 0) && !log->room == (rc != 0));
    return rc;
}

/* A new state is promised, and found. */
static void go_on(struct store_log *log, const char *path, int work, unsigned char *is, size_t n)
{
    struct store_overlay overlay = {0};
    struct store_log again;
    uint64_t state = log->state;
    unsigned char *now = exactly(n);
    for (size_t at = n / 3; at < n; at += 5) {
        is[at] ^= 0x55;
        MUST(store_overlay_put(&overlay, at, is + at, 1) == 0);
    }
    MUST(store_log_append(log, &overlay, n, false) == 0 && log->state == state + 1);
    store_overlay_clear(&overlay);
    MUST(replay(&again, path, work) == 0 && again.state == state + 1);
    read_file(work, now, n);
    MUST(memcmp(now, is, n) == 0);
    store_log_close(&again);
    free(now);
}

static void restore(const char *path, int work, const unsigned char *was, size_t n)
{
    struct store_log log, again;
    unsigned char *is = exactly(n), *now = exactly(n);
    int rc = replay(&log, path, work);
    read_file(work, is, n);
    if (rc < 0) { /* whoever is told that it is damaged finds it as it was */
        MUST(memcmp(is, was, n) == 0);
    } else {
        MUST(replay(&again, path, work) == 0 && again.state == log.state);
        read_file(work, now, n);
        MUST(memcmp(now, is, n) == 0);
        store_log_close(&log);
        go_on(&again, path, work, is, n);
        store_log_close(&again);
    }
    free(is);
    free(now);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct stat st;
    struct bq_reader r = bq_reader(bytes, n);
    unsigned how = bq_get_u8(&r);
    size_t n_work = bq_get_u8(&r);
    n_work |= (size_t)bq_get_u8(&r) << 8;
    const unsigned char *was = bq_get_bytes(&r, n_work);
    size_t n_log = (size_t)(r.end - r.at);
    if (r.is_bad || n_log > MOST_LOG)
        return 0;
    const char *path = in_fuzz_folder("work.log");
    int work = open(in_fuzz_folder("work"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(work >= 0 && write(work, was, n_work) == (ssize_t)n_work && fstat(work, &st) == 0);
    unsigned char *log = exact_copy(r.at, n_log);
    seal(log, n_log, st.st_ino, how);
    fuzz_put_file(path, log, n_log);
    free(log);
    restore(path, work, was, n_work);
    close(work);
    return 0;
}
