/* The journal: the results of chunks that were accepted, as bytes for a file that only grows, so
 * that what a killed run has finished need not be done again. Records have one size, and each has a
 * hash of itself and its number behind it: one that is damaged is known and skipped, the last may
 * be torn. What is read is hostile. Pure.
 *
 *     head | record | record | .. MARK .. | record
 *
 * A MARK says that the output of all records before it is in the work file. Where kitchens write
 * the output themselves, before they tell, none is needed.
 */
#ifndef BQ_CORE_JOURNAL_H
#define BQ_CORE_JOURNAL_H

#include "base/bytes.h"
#include "core/checkpoint.h"
#include "core/reduction.h"

#define BQ_JOURNAL_HEAD 512 /* bytes, always */

struct bq_journal_head {
    struct bq_checkpoint_of of; /* the job, whose step it is */
    uint32_t step;              /* index */
    uint64_t n_chunks, result_size;
    bool needs_mark; /* records after the last MARK do not count */
    char work[256];  /* name of the work file beside the output; "": none */
};

struct bq_record {
    bool is_mark;
    struct bq_node node;
    const void *result; /* result_size bytes; not of a MARK */
};

/* Bytes of a record. */
size_t bq_record_bytes(uint64_t result_size);

void bq_journal_head_put(unsigned char bytes[BQ_JOURNAL_HEAD], const struct bq_journal_head *head);

/* -1: these bytes are none. */
int bq_journal_head_get(const unsigned char bytes[BQ_JOURNAL_HEAD], struct bq_journal_head *head);

/* The record of that number, from 0; to and from bq_record_bytes. get: -1: it is damaged, torn, or
 * impossible in a plan of n_chunks; record->result points into the bytes. */
void bq_record_put(unsigned char *bytes, uint64_t number, uint64_t result_size,
                   const struct bq_record *record);
int bq_record_get(const unsigned char *bytes, uint64_t number, const struct bq_journal_head *head,
                  struct bq_record *record);

#endif
