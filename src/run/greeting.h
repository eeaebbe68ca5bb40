/* The beginning and the end of a session: HELLO from every kitchen, BYE to and from every kitchen.
 * The coordinator's side. */
#ifndef BQ_RUN_GREETING_H
#define BQ_RUN_GREETING_H

#include <stdatomic.h>

#include "adapters/transport.h"
#include "base/error.h"

/* Where the kitchens are: told by their HELLOs, once, before the first step. */
struct bq_hello {
    char host[64];
    uint32_t n_cores;   /* its share */
    uint32_t n_machine; /* of its machine */
};
int bq_greet(struct bq_transport *transport, struct bq_hello *hello, atomic_int *stop,
             struct bq_error *err);

/* Cores that the first n kitchens may use, each counted once. */
uint32_t bq_greeting_cores(const struct bq_hello *hello, uint32_t n);

/* Tells every kitchen to leave, discards what still comes, and waits for their BYEs. */
void bq_bye(struct bq_transport *transport, int exit_code);

#endif
