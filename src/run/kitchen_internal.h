/* What kitchen.c (messages), station.c (a step) and station_ready.c (before its first lease) share.
 * Nobody else includes it. */
#ifndef BQ_RUN_KITCHEN_INTERNAL_H
#define BQ_RUN_KITCHEN_INTERNAL_H

#include "adapters/affinity.h"
#include "adapters/kernel_library.h"
#include "adapters/pool.h"
#include "core/lookahead.h"
#include "core/wire.h"
#include "run/kitchen.h"
#include "run/merge.h"
#include "run/sender.h"

struct kitchen {
    struct bq_transport *transport;
    const struct bq_registry *registry;
    struct bq_error *err;
    struct bq_place_on_machine place;
    struct bq_sender sender; /* of what belongs to no step */
    int bell;
    int exit_code; /* from BYE, -1 before */
    atomic_int *leave;
    bool is_leaving, has_left; /* it asks for no more work; all that it had is done */
    uint64_t beat_ns, beat_at; /* how often the coordinator has to hear of it; when again */
    uint64_t own;              /* bytes that the program takes without a step */
    uint64_t share, measured;  /* of what the machine has free, bytes; the clock then, 0: never */
    struct station *stations;
};

/* A station: a step that is being worked on.
 *
 *   STEP -> open -> JOIN -> { lease -> pool -> results merged -> RESULT, REQUEST } -> CLOSE ->
 * REPORT
 *        -> refused -> REFUSED ................................................... -> CLOSE
 *
 * The station of a loop's step rests after its REPORT: cooks, buffers and files stay for the STEP
 * of the next round, until FORGET.
 */
struct station {
    struct kitchen *kitchen;
    struct station *next;
    uint32_t step, index, n_cooks;
    uint32_t shard; /* that it writes, where kitchens do */
    struct bq_recipe recipe;
    struct bq_library *library; /* of a kernel of the user's own, or NULL */
    struct bq_executor *executor;
    struct bq_pool *pool; /* NULL: it was refused */
    struct bq_merge merge;
    struct bq_sender sender;
    uint64_t budget; /* bytes */
    uint64_t n_leases, n_requests, wait_total;
    struct bq_lookahead lookahead;
    bool is_closed;   /* the coordinator said so */
    bool is_stopping; /* its cooks were told; they may still be at a chunk */
    bool is_reported; /* only parcels that are under way keep it */
    bool is_resting;  /* and that its step may come again */
    char warning[200];
};

/* Tells the coordinator that files keep this thread for as long as they take. */
int kitchen_is_busy(struct kitchen *k);

/* From a STEP message; a station that cannot work tells the coordinator. -1 with the kitchen's err.
 */
int station_open(struct kitchen *k, struct bq_message *message);

/* Gives back what no cook has begun, and asks for no more. */
int station_leave(struct station *s);

/* The step will not come again: nobody rests for it. */
void station_forget(struct kitchen *k, uint32_t comes_again);

/* A message of its step. */
int station_handle(struct station *s, struct bq_message *message);

/* What there is to do now; *due: when next, at the latest. */
int station_turn(struct station *s, uint64_t *due);

/* Nothing of it is needed any more. */
bool station_is_over(struct station *s);

/* Its cooks stop where they are, and nobody is told. */
void station_destroy(struct station *s);

/* station_ready.c: makes executor and pool for s->recipe; -1 with why when it cannot. */
int station_ready(struct station *s, struct bq_error *why, uint64_t epoch);

/* The cores to pin the cooks to, or NULL: only where the kitchen has enough to itself. */
const int *station_cores(const struct station *s);

#endif
