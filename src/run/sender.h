/* What a kitchen sends: results, merged into as few nodes of the tree as their chunks allow, and
 * everything else. The kitchen's communication thread only. */
#ifndef BQ_RUN_SENDER_H
#define BQ_RUN_SENDER_H

#include "adapters/pool.h"
#include "adapters/transport.h"
#include "core/reduction.h"
#include "core/wire.h"
#include "run/merge.h"

struct bq_sender {
    struct bq_transport *transport;
    struct bq_error *err; /* of every failure */
    uint32_t step;        /* put into every message */
    bool has_failed;
    /* between open and close */
    size_t result_size;
    struct bq_reduction *pending; /* results that are not sent yet */
    void *result;                 /* room for one */
    unsigned char *out;           /* room for a message of results */
    size_t out_size;
    uint64_t pending_since; /* 0: nothing is pending */
};

/* Room for the results of a step. merge must outlive it. */
int bq_sender_open(struct bq_sender *sender, uint32_t step, const struct bq_merge *merge,
                   struct bq_error *why);
/* For another step with results of the same size; what is pending is not wanted. */
void bq_sender_again(struct bq_sender *sender, uint32_t step);

void bq_sender_close(struct bq_sender *sender);

/* Sends a message without results. */
int bq_sender_message(struct bq_sender *sender, struct bq_message *message);

/* For bq_pool_collect: an output and a failure are sent at once, a result is kept for flush. */
void bq_sender_take(void *sender, const struct bq_finished *finished);

/* Sends what is pending. due: when it should be, at the latest; UINT64_MAX if nothing is. */
int bq_sender_flush(struct bq_sender *sender);
uint64_t bq_sender_due(const struct bq_sender *sender);

#endif
