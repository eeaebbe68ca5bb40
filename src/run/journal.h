/* The journal of a step on the disk: a hidden, private file. It is appended to in batches: what a
 * kill -9 may cost is what was not marked yet, what a power failure may cost is what was not marked
 * to_disk. The coordinator's, in one thread.
 *
 *     create -> { add .. mark } .. -> remove | close
 *     open -> next .. -> go_on -> { add .. mark } .. -> remove | close
 */
#ifndef BQ_RUN_JOURNAL_H
#define BQ_RUN_JOURNAL_H

#include "base/error.h"
#include "core/journal.h"

struct bq_journal;

/* A new one; one that has the name goes. NULL with err. */
struct bq_journal *bq_journal_create(const char *path, const struct bq_journal_head *head,
                                     struct bq_error *err);

/* Before the first record: whether they need a MARK is known now. */
int bq_journal_settle(struct bq_journal *journal, bool needs_mark, struct bq_error *err);

/* One that an earlier run left. NULL: with err->text empty there is none, or not even its head;
 * else it is damaged, or not ours. */
struct bq_journal *bq_journal_open(const char *path, struct bq_error *err);
const struct bq_journal_head *bq_journal_head(const struct bq_journal *journal);

/* The next record that counts; its result is valid until the next call. false: no more. */
bool bq_journal_next(struct bq_journal *journal, struct bq_record *record);

/* What does not count is cut off; new records follow. */
int bq_journal_go_on(struct bq_journal *journal, struct bq_error *err);

/* Results that were accepted; in memory until there are many, or mark. -1: it cannot be written,
 * and is of no more use. */
int bq_journal_add(struct bq_journal *journal, struct bq_node node, const void *result,
                   struct bq_error *err);

/* The output of all that was added is in the work file. */
int bq_journal_mark(struct bq_journal *journal, bool to_disk, struct bq_error *err);

bool bq_journal_is_empty(const struct bq_journal *journal); /* nothing in it counts */
void bq_journal_remove(struct bq_journal *journal);         /* and its file; NULL is fine */
void bq_journal_close(struct bq_journal *journal);          /* the file stays */

#endif
