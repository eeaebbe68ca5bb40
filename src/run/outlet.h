/* The outlet: how a chunk's output leaves a kitchen.
 *
 *     direct    its numbers go to their places in the work file; only the digest is sent
 *     sharded   its stored chunks are encoded here and put into this kitchen's own file
 *     encoded   its stored chunks are encoded here and sent, and the coordinator places them
 *     far       its native numbers are sent, and the coordinator writes them: through the HDF5
 *               library, or directly for a kitchen that does not see the work file
 */
#ifndef BQ_RUN_OUTLET_H
#define BQ_RUN_OUTLET_H

#include "adapters/pool.h"
#include "core/box.h"
#include "core/recipe.h"

struct bq_outlet;

/* Finds its way into the work file, or makes a shard of that number. recipe must outlive it. */
struct bq_outlet *bq_outlet_create(const struct bq_recipe *recipe, uint32_t step, uint32_t shard,
                                   struct bq_error *err);

/* Every parcel must be back: bq_outlet_is_settled. */
void bq_outlet_destroy(struct bq_outlet *outlet);

/* Allocates what so many cooks need, and threads that encode or write for them (run/line.h). */
int bq_outlet_prepare(struct bq_outlet *outlet, unsigned n_cooks, unsigned n_workers,
                      struct bq_error *err);

/* What that will be, at most, in bytes: for each cook, for each other thread, and once. */
struct bq_outlet_memory {
    uint64_t cook, worker, fixed;
};
struct bq_outlet_memory bq_outlet_memory(const struct bq_recipe *recipe, bool is_direct);

/* The recipe names the output of the next round now, of the same shape: as bq_intake_again. */
bool bq_outlet_again(struct bq_outlet *outlet, uint32_t step);

/* Whether a result travels alone, so that many can be merged on the way. */
bool bq_outlet_is_direct(const struct bq_outlet *outlet);

/* -- a cook's thread ---------------------------------------------------------------------- */

/* Where the kernel puts its output; may wait for a free buffer. NULL: stopped. */
void *bq_outlet_begin(struct bq_outlet *outlet, struct bq_unit *unit);

/* The kernel is done: the block in that place goes its way, in two parts, each in any thread: what
 * takes a core, then what takes the file. `by` is a cook's number, or n_cooks + that of another
 * thread (run/line.h); unit->meter is the thread's own. The second part takes the result (of
 * bq_recipe_result_size bytes, the digest included), and sets unit->payload where a parcel has to
 * be sent. After an error, bq_outlet_drop. */
int bq_outlet_encode(struct bq_outlet *outlet, struct bq_unit *unit, unsigned by,
                     const struct bq_box *block, struct bq_error *err);
int bq_outlet_write(struct bq_outlet *outlet, struct bq_unit *unit, unsigned by, uint64_t chunk,
                    const struct bq_box *block, const void *result, struct bq_error *err);

/* The kernel failed, or will not be called again. */
void bq_outlet_drop(struct bq_outlet *outlet, struct bq_unit *unit);

/* -- the manager's thread ----------------------------------------------------------------- */

void bq_outlet_stop(struct bq_outlet *outlet); /* cooks that wait for a buffer go on without */
/* After the pool has stopped: finishes this kitchen's own file, if it has one with something in it.
 */
int bq_outlet_commit(struct bq_outlet *outlet, struct bq_error *err);
void bq_outlet_abandon(struct bq_outlet *outlet); /* after the pool has stopped */
bool bq_outlet_is_settled(struct bq_outlet *outlet);

#endif
