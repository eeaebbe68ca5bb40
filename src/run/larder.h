/* The larder: the coordinator's side of serving input to kitchens that cannot see the file. Threads
 * read stored chunks, still compressed, into a fixed number of parcels; what is asked for beyond
 * that waits in line. The coordinator's thread calls everything here. */
#ifndef BQ_RUN_LARDER_H
#define BQ_RUN_LARDER_H

#include "adapters/store.h"
#include "adapters/transport.h"
#include "core/recipe.h"
#include "core/window.h"

struct bq_larder;

/* bell: rung when bq_larder_serve has something to do. recipe and input must outlive it. Nothing is
 * allocated until a kitchen asks. */
struct bq_larder *bq_larder_create(const struct bq_recipe *recipe, struct bq_input *input,
                                   uint32_t step, int bell, struct bq_error *err);

/* Rank `to` asks for the stored bytes of a part. */
int bq_larder_ask(struct bq_larder *larder, uint32_t to, struct bq_part part, struct bq_error *err);

/* Sends what is ready and begins what can be begun. */
int bq_larder_serve(struct bq_larder *larder, struct bq_transport *transport, struct bq_error *err);

/* Waits for its threads; nothing more is read. */
void bq_larder_stop(struct bq_larder *larder);

/* The transport has none of its parcels: it may be destroyed. */
bool bq_larder_is_settled(struct bq_larder *larder);
void bq_larder_destroy(struct bq_larder *larder);

#endif
