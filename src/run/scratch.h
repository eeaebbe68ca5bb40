/* Scratch: a private folder for outputs that only other steps read. In memory (/dev/shm) where they
 * fit and all kitchens are on this machine; else beside the data. */
#ifndef BQ_RUN_SCRATCH_H
#define BQ_RUN_SCRATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct bq_scratch;

/* bytes: what will lie in it at once, 0 when nobody knows; beside: a file whose folder is used
 * where memory is not. $BANQUET_SCRATCH names another folder than either. */
struct bq_scratch *bq_scratch_create(uint64_t bytes, const char *beside, bool is_one_machine,
                                     struct bq_error *err);

const char *bq_scratch_folder(const struct bq_scratch *scratch);

/* Removes such a folder, or one of shards, of a run that was killed; nothing that could be anything
 * else: hidden, private and ours, of a name that only we give. */
void bq_scratch_remove(const char *folder);

/* Removes what is in it. NULL is fine. */
void bq_scratch_destroy(struct bq_scratch *scratch);

/* The path of file `name` in it, for bq_free; NULL: no memory. */
char *bq_scratch_path(const struct bq_scratch *scratch, const char *name);

#endif
