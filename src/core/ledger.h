/* The ledger: for each chunk, whether somebody holds it and whether it is done.
 *
 * Two bits a chunk, worked on by whole words, so a range of a million chunks is marked in
 * microseconds and nothing is ever allocated after creation. Both are given and taken back. A chunk
 * that is neither is free.
 */
#ifndef BQ_CORE_LEDGER_H
#define BQ_CORE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

struct bq_ledger;

struct bq_ledger *bq_ledger_create(uint64_t n_chunks); /* NULL: no memory */
void bq_ledger_destroy(struct bq_ledger *ledger);

uint64_t bq_ledger_n_chunks(const struct bq_ledger *ledger);
uint64_t bq_ledger_n_done(const struct bq_ledger *ledger);
uint64_t bq_ledger_n_free(const struct bq_ledger *ledger);

/* Ranges must lie inside [0, n_chunks): see bq_ledger_has. */
bool bq_ledger_has(const struct bq_ledger *ledger, uint64_t first, uint64_t count);
void bq_ledger_hold(struct bq_ledger *ledger, uint64_t first, uint64_t count);
void bq_ledger_release(struct bq_ledger *ledger, uint64_t first, uint64_t count);

/* Done no more; whether somebody holds them stays. */
void bq_ledger_undo(struct bq_ledger *ledger, uint64_t first, uint64_t count);

/* Marks as done; returns how many were not done before. */
uint64_t bq_ledger_done(struct bq_ledger *ledger, uint64_t first, uint64_t count);
uint64_t bq_ledger_count_done(const struct bq_ledger *ledger, uint64_t first, uint64_t count);

/* The first run of free chunks at or after `from`, cut at `most`. Returns its length, 0: none. */
uint64_t bq_ledger_next_free(const struct bq_ledger *ledger, uint64_t from, uint64_t most,
                             uint64_t *first);

/* The first chunk at or after `from` that is held and not done; false: none. */
bool bq_ledger_next_open(const struct bq_ledger *ledger, uint64_t from, uint64_t *first);

#endif
