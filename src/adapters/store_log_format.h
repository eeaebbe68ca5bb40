/* What lies in the log of a work file: shared by who writes it (store_log.c) and who reads it
 * (store_log_replay.c); nobody else includes it. */
#ifndef BQ_ADAPTERS_STORE_LOG_FORMAT_H
#define BQ_ADAPTERS_STORE_LOG_FORMAT_H

#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "adapters/store_log.h"

#define MARK_MAGIC UINT64_C(0x314b52414d515142)   /* "BQQMARK1" */
#define RECORD_MAGIC UINT64_C(0x31434552474f4c51) /* "QLOGREC1" */

enum {
    MARKS_AT = 512,
    MARK_BYTES = 80,
    RECORDS_AT = 4096,
    HEAD_BYTES = 56,
    SUM_BYTES = 16,
    BOOT_BYTES = 16,
    RUN_HEAD = 12, /* address, length */
    BATCH = 1 << 16
};
#define IS_DURABLE UINT64_C(1)

struct store_log_room {
    XXH3_state_t hash;
    unsigned char bytes[BATCH];
};

struct mark {
    uint64_t turn, state, end, flags;
    unsigned char boot[BOOT_BYTES];
};

struct record {
    uint64_t flags, state, n_bytes, end; /* n_bytes: of all runs; end: of the file then */
};

void store_log_sum(unsigned char *out, XXH128_hash_t hash);

/* Which boot of which machine this is; zeros where the system does not say. */
void store_log_boot(unsigned char *boot);

/* Sets a log up for that file, whose status it returns. */
int store_log_ready(struct store_log *log, int work, struct stat *st);

#endif
