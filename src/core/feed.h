/* Feeding: one step makes a dataset, another takes it, and a chunk of the second may be cooked when
 * the chunks of the first are there that its window touches. Pure. */
#ifndef BQ_CORE_FEED_H
#define BQ_CORE_FEED_H

#include "core/plan.h"

struct bq_feed;

/* Whether it can be done: both plans are of one space, and no window wraps, which needs the other
 * end of the dataset. */
bool bq_feed_can(const struct bq_plan *maker, const struct bq_plan *taker);

/* The plans must outlive it. NULL: no memory, or it cannot be done. */
struct bq_feed *bq_feed_create(const struct bq_plan *maker, const struct bq_plan *taker);
void bq_feed_destroy(struct bq_feed *feed);

/* Chunks of the maker are there; calls ready for each chunk of the taker that was waiting for the
 * last of them, once in the feed's life. */
void bq_feed_made(struct bq_feed *feed, uint64_t first, uint64_t count,
                  void (*ready)(void *context, uint64_t chunk), void *context);

#endif
