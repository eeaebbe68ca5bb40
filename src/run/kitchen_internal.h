/* What kitchen.c (messages) and kitchen_ready.c (before the first lease) share. Nobody else
 * includes it. */
#ifndef BQ_RUN_KITCHEN_INTERNAL_H
#define BQ_RUN_KITCHEN_INTERNAL_H

#include "adapters/affinity.h"
#include "adapters/pool.h"
#include "core/lookahead.h"
#include "run/kitchen.h"
#include "run/merge.h"
#include "run/sender.h"

struct kitchen {
    struct bq_transport *transport;
    const struct bq_registry *registry;
    struct bq_error *err;
    struct bq_place_on_machine place;
    int bell;
    int exit_code;            /* from BYE, -1 before */
    uint64_t own;             /* bytes that the program takes without a step */
    uint64_t share, measured; /* of what the machine has free, bytes; the clock then, 0: never */
    /* of the step */
    uint32_t step, index, n_cooks;
    struct bq_recipe recipe;
    struct bq_executor *executor;
    struct bq_pool *pool;
    struct bq_merge merge;
    struct bq_sender sender;
    uint64_t budget; /* bytes */
    uint64_t n_leases, n_requests, wait_total;
    struct bq_lookahead lookahead;
    bool is_closed;
    char warning[200];
};

/* Makes executor and pool for k->recipe; -1 with why when this kitchen cannot. */
int bq_kitchen_ready(struct kitchen *k, struct bq_error *why, uint64_t epoch);
void bq_kitchen_clean_up(struct kitchen *k);

/* The cores to pin the cooks to, or NULL: only where the kitchen has enough to itself. */
const int *bq_kitchen_cores(const struct kitchen *k);

#endif
