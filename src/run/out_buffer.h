/* Output buffers: a fixed number, so that what is under way is bounded; a cook waits for a free
 * one. A buffer is also the message that carries it: the head is built in front of the data, in
 * place. */
#ifndef BQ_RUN_OUT_BUFFER_H
#define BQ_RUN_OUT_BUFFER_H

#include <stdbool.h>

#include "adapters/meter.h"
#include "adapters/transport.h"

struct bq_out_pool;

struct bq_out_buffer {
    struct bq_parcel parcel; /* first; its release, from any thread, gives the buffer back */
    unsigned char *data;     /* head bytes of room for the message's head, then the output */
    struct bq_out_pool *pool;
    struct bq_out_buffer *next;
};

/* NULL: no memory. Destroy it when bq_out_is_settled. */
struct bq_out_pool *bq_out_pool_create(unsigned n, size_t head, size_t size);
void bq_out_pool_destroy(struct bq_out_pool *pool);

/* Waits for a free buffer; NULL when the pool was stopped and there is none. */
struct bq_out_buffer *bq_out_take(struct bq_out_pool *pool, struct bq_meter *meter);
void bq_out_stop(struct bq_out_pool *pool);

/* Every buffer is back. */
bool bq_out_is_settled(struct bq_out_pool *pool);

#endif
