/* Who of the kitchens is here: START to and HELLO from every kitchen at the beginning, silence and
 * loss on the way, BYE to and from every kitchen at the end. The coordinator's side.
 *
 * A guest's seat is VACANT at first; who joins is EXPECTED, and its seat VACANT again when it is
 * gone. Who has given back what it had and leaves is PARTING.
 *
 *     EXPECTED --HELLO--> HERE --its process ended--> GONE      (also after BYE, or silence)
 *                          |\--REFUSED: it cannot work, and waits for BYE--> OUT
 *                          ^ \--LOST: its cooks' process crashed--> RETURNING --HELLO--> HERE
 *
 * At the end whoever is here is EXPECTED once more, to say BYE, and then has LEFT.
 */
#ifndef BQ_RUN_GREETING_H
#define BQ_RUN_GREETING_H

#include <stdatomic.h>
#include <stdbool.h>

#include "adapters/transport.h"
#include "base/error.h"
#include "core/wire.h"

/* Before PARTING: it works or will; from OUT on: nothing is expected of it. */
enum bq_presence {
    BQ_EXPECTED,
    BQ_HERE,
    BQ_RETURNING,
    BQ_PARTING,
    BQ_OUT,
    BQ_GONE,
    BQ_VACANT,
    BQ_LEFT /* its BYE has come: its process may end */
};

/* What is known of a kitchen. */
struct bq_hello {
    char host[64];
    uint32_t n_cores;   /* its share */
    uint32_t n_machine; /* of its machine */
    uint32_t pid;
    enum bq_presence presence;
    bool is_leaving;    /* it takes no more work */
    bool is_guest;      /* or a guest's seat */
    bool is_elsewhere;  /* a guest on a machine that may see other files */
    bool is_dismissed;  /* BYE was sent to it */
    bool is_busy;       /* it said that it will be silent, for files */
    uint64_t silence;   /* ns that the coordinator listened and heard nothing */
    uint32_t n_crashes; /* of its cooks' process */
    char why[200];      /* it is gone or out, or crashed last */
};

struct bq_greeting {
    atomic_int *stop;    /* non-zero: asked to stop */
    bool isolates;       /* kitchens cook in processes of their own */
    uint64_t silence_ns; /* who is silent for longer is taken for dead */
};

/* The seats of guests, from this one on, are vacant. */
void bq_hello_seats(struct bq_hello *hello, uint32_t first, uint32_t n);

/* Waits until every kitchen has said HELLO, or is gone. -1: none is left, or not of this build. */
int bq_greet(struct bq_transport *transport, struct bq_hello *hello,
             const struct bq_greeting *greeting, struct bq_error *err);

/* Notes a HELLO. -1: it is of another build. */
int bq_hello_take(struct bq_hello *hello, uint32_t rank, const struct bq_message *message,
                  struct bq_error *err);

/* It cannot work, but answers BYE. */
void bq_hello_out(struct bq_hello *hello, uint32_t rank, const char *why);

/* It is gone for good: its rank is abandoned. A guest's seat is vacant. */
void bq_hello_gone(struct bq_hello *hello, uint32_t rank, struct bq_transport *transport,
                   const char *why);

/* Whether somebody is here, or will be. */
bool bq_hello_any(const struct bq_hello *hello, uint32_t n);

/* Cores that the first n_asked kitchens and all guests that are here may use, each counted once.
 * n: all that may be here. */
uint32_t bq_greeting_cores(const struct bq_hello *hello, uint32_t n_asked, uint32_t n);

/* Tells every kitchen that is here to leave, discards what still comes, and waits for their BYEs,
 * not longer for each than its silence may last. */
void bq_bye(struct bq_transport *transport, struct bq_hello *hello, uint64_t silence_ns,
            int exit_code);

#endif
