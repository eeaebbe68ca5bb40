/* Gathering: the coordinator's side of a step's output, from the work file to its final name. The
 * coordinator's thread calls everything here. */
#ifndef BQ_RUN_GATHER_H
#define BQ_RUN_GATHER_H

#include "core/reduction.h"
#include "core/report.h"
#include "run/resolve.h"

struct bq_gather;

/* Makes the work file, or a folder for shards, and writes into the recipe what kitchens must know
 * of it. resolved must outlive it. Nothing is left behind by an error. */
struct bq_gather *bq_gather_create(struct bq_resolved *resolved, const char *work,
                                   struct bq_error *err);

/* The same with a work file that an earlier run left: bq_output_resume. */
struct bq_gather *bq_gather_resume(struct bq_resolved *resolved, const char *work,
                                   struct bq_error *err);

/* What was taken stays, whatever happens: bq_output_sync. Of one file, and not scratch. */
int bq_gather_sync(struct bq_gather *gather, bool to_disk, struct bq_error *err);

/* A block of what it has; -1: it cannot be read. Likewise. */
int bq_gather_read(struct bq_gather *gather, const uint64_t *offset, const uint64_t *extent,
                   void *data);

/* For the signal path that must unlink it; NULL: there is none. */
const char *bq_gather_work_file(const struct bq_gather *gather);

/* Chunks were accepted, with the output of one (`data`: what follows the nodes of a RESULT) or,
 * when the kitchen wrote it itself, into its shard if there are any, without: size 0. */
int bq_gather_take(struct bq_gather *gather, uint32_t kitchen, uint32_t shard, struct bq_node node,
                   struct bq_reader *data, uint64_t size, struct bq_error *err);

/* A shard is lost with its kitchen: chunks of which only it had the output are lost, too. */
void bq_gather_lose(struct bq_gather *gather, uint32_t shard,
                    void (*lost)(void *context, uint64_t first, uint64_t count), void *context);

/* A chunk was given up: the fill value takes its place. */
int bq_gather_nothing(struct bq_gather *gather, uint64_t chunk, struct bq_error *err);

/* Notes how it was made, and gives it its name. Destroys it in any case. */
int bq_gather_commit(struct bq_gather *gather, const struct bq_report *report,
                     const struct bq_report *earlier, struct bq_error *err);
void bq_gather_discard(struct bq_gather *gather);

/* Destroys it; the work file stays for bq_gather_resume. */
void bq_gather_leave(struct bq_gather *gather);

#endif
