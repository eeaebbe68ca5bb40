/* A kitchen: follows the coordinator's messages, keeps its pool of cooks supplied, sends results.
 * One thread of a rank, the only one there that speaks to the transport. */
#ifndef BQ_RUN_KITCHEN_H
#define BQ_RUN_KITCHEN_H

#include "adapters/transport.h"
#include "run/registry.h"

/* Works until the coordinator says BYE. -1 with err when it cannot; the coordinator was told. */
int bq_kitchen(struct bq_transport *transport, const struct bq_registry *registry,
               struct bq_error *err);

#endif
