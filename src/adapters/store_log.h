/* The write-ahead log of a work file: what changes in parts that an earlier state of the file needs
 * is written here first, as one record, and into the file when that is complete.
 *
 *     0      nothing
 *     512    mark  "all up to state s is in the file; the next record lies at p", two of them
 *     1024   mark  written by turns, so that one of them is always whole
 *     4096   record  state s + 1: runs of bytes and their addresses
 *            record  state s + 2 ..
 *
 * All have checksums seeded with the file's inode. A record that is torn was never promised: the
 * file is then as at the state before. Records that are there are applied again, which changes
 * nothing where they were applied already: what is written since then into the file itself lies
 * behind the end of every state (store_work_driver.c).
 *
 * What survives kill -9 may be lost with the power. Marks and records say whether they were synced
 * to the disk, and marks in which boot of the machine they were made: in another one, only what was
 * synced counts. No HDF5 in here; errors are errno unless there is an err. */
#ifndef BQ_ADAPTERS_STORE_LOG_H
#define BQ_ADAPTERS_STORE_LOG_H

#include "adapters/store_overlay.h"
#include "base/error.h"

struct store_log {
    int fd;             /* -1: there is none */
    int work;           /* the file that it belongs to; not its own */
    uint64_t inode;     /* of that file */
    uint64_t state;     /* the newest that is promised; the first is 1 */
    uint64_t turn, end; /* of the marks; of the records */
    bool is_durable;    /* a state was promised that outlives a loss of power */
    struct store_log_room *room;
};

/* The path, to be given to bq_free; NULL: no memory. */
char *store_log_path(const char *work_path);

/* Makes it (0600, O_EXCL), which promises the file as it is: state 1. */
int store_log_create(struct store_log *log, const char *path, int work, bool to_disk);

/* Promises the file together with what is over it: a new state. end: of what it uses. */
int store_log_append(struct store_log *log, const struct store_overlay *overlay, uint64_t end,
                     bool to_disk);

/* What is over the file was written into it, and synced if the log is durable. restart: no record
 * is needed any more, the next is the first again. */
int store_log_mark(struct store_log *log, bool restart);

/* Opens the log of a work file that was left and brings the file to its newest state, on the disk,
 * too. file: for messages. */
int store_log_replay(struct store_log *log, const char *path, int work, const char *file,
                     struct bq_error *err);

/* -1: none, is fine. */
void store_log_close(struct store_log *log);

/* All of it, also where the system writes less at once. */
int store_write_at(int fd, const void *bytes, size_t n, uint64_t address);

#endif
