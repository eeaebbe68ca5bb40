/* The intake: how a chunk's input gets into a kitchen and becomes numbers.
 *
 *     begin -> here                              the file's pages were in memory
 *           -> later ... (cook turns to others) ... ready -> finish -> here
 *
 * "Later" is a thread that waits for the file, or the coordinator, who sends the stored bytes to a
 * kitchen that cannot see the file. How many chunks a cook keeps under way follows what fetching
 * and cooking take, measured.
 */
#ifndef BQ_RUN_INTAKE_H
#define BQ_RUN_INTAKE_H

#include "adapters/pool.h"
#include "adapters/stored.h"
#include "core/recipe.h"
#include "core/window.h"

struct bq_intake;

/* Opens the input, or finds that the coordinator must send it: the job says so, or (auto) the file
 * is not to be seen from here. recipe must outlive it. */
struct bq_intake *bq_intake_create(const struct bq_recipe *recipe, struct bq_error *err);

/* After bq_intake_stop, or when no cook ever ran. */
void bq_intake_destroy(struct bq_intake *intake);

/* The recipe names the input of the next round now, of the same shape: opens it, or keeps it. false
 * when that cannot be (it is gone, was changed, or is not seen from here): only to be destroyed. */
bool bq_intake_again(struct bq_intake *intake);

bool bq_intake_is_served(const struct bq_intake *intake);

/* Allocates what so many cooks need; n_slots: chunks that each may have in progress; n_cached:
 * decoded chunks that are kept for other blocks, one a cook at least where `row` is not 0, or with
 * keeps_all for the next round;
 * has_plenty: whether thin blocks are fetched together (band.h), which takes memory. */
int bq_intake_prepare(struct bq_intake *intake, unsigned n_cooks, unsigned n_slots,
                      unsigned n_cached, bool keeps_all, bool has_plenty, struct bq_error *err);

/* What that will be, at most, in bytes: for each chunk in progress, for each cook, for each decoded
 * chunk that is kept, and once. row: how many of these there should be (bq_stored_row); all: how
 * many there are, of a step that comes again with the same input, else 0. */
struct bq_intake_memory {
    uint64_t slot, cook, cached, fixed, row, all;
};
struct bq_intake_memory bq_intake_memory(const struct bq_recipe *recipe, bool is_served,
                                         bool has_plenty);

/* -- a cook's thread ---------------------------------------------------------------------- */

enum bq_intake_answer { BQ_INTAKE_HERE, BQ_INTAKE_LATER, BQ_INTAKE_FAILED };

/* The window of a chunk (core/window.h) into `data`. may_leave: the cook can turn to something else
 * (the unit is a single chunk); LATER then means that the pool is told when to call finish, which
 * may say LATER again. data must stay until then. */
enum bq_intake_answer bq_intake_begin(struct bq_intake *intake, struct bq_unit *unit,
                                      uint64_t chunk, void *data, bool may_leave,
                                      struct bq_error *err);
enum bq_intake_answer bq_intake_finish(struct bq_intake *intake, struct bq_unit *unit,
                                       struct bq_error *err);

/* What a cook needed for a chunk from when its input was there. */
void bq_intake_cooked(struct bq_intake *intake, unsigned cook, uint64_t took_ns);

/* -- the manager's thread ----------------------------------------------------------------- */

/* The next part whose stored bytes the coordinator is to send. */
bool bq_intake_wanted(struct bq_intake *intake, struct bq_part *part);

/* They came: the rest of a STORED message. Or they will not: why is not NULL. Unknown parts and
 * malformed messages are answered like failures or ignored; nothing is trusted. */
void bq_intake_supply(struct bq_intake *intake, struct bq_part part, struct bq_reader *rest,
                      const char *why);

/* Nothing is fetched any more when it returns; cooks that wait are not told. */
void bq_intake_stop(struct bq_intake *intake);

#endif
