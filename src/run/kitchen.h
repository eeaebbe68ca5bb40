/* A kitchen: follows the coordinator's messages, keeps its pool of cooks supplied, sends results.
 * One thread of a rank, the only one there that speaks to the transport. */
#ifndef BQ_RUN_KITCHEN_H
#define BQ_RUN_KITCHEN_H

#include <stdatomic.h>

#include "adapters/transport.h"
#include "run/registry.h"

/* Works until the coordinator says BYE, with signs of life several times in silence_ns. leave:
 * NULL, or non-zero when it is to do no more than what its cooks have begun (the message LEAVING
 * says the same). -1 with err when it cannot work; the coordinator was told. */
int bq_kitchen(struct bq_transport *transport, const struct bq_registry *registry,
               uint64_t silence_ns, atomic_int *leave, struct bq_error *err);

#endif
