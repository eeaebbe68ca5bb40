#include "run/out_buffer.h"

#include <pthread.h>

#include "base/heap.h"

struct bq_out_pool {
    pthread_mutex_t lock; /* guards free, n_free, is_stopping */
    pthread_cond_t freed;
    struct bq_out_buffer *free;
    unsigned n_free, n;
    bool is_stopping;
    struct bq_out_buffer *buffers;
};

static void give_back(struct bq_parcel *parcel)
{
    struct bq_out_buffer *buffer = (struct bq_out_buffer *)parcel;
    struct bq_out_pool *pool = buffer->pool;
    pthread_mutex_lock(&pool->lock);
    buffer->next = pool->free;
    pool->free = buffer;
    pool->n_free++;
    pthread_cond_signal(&pool->freed);
    pthread_mutex_unlock(&pool->lock);
}

struct bq_out_pool *bq_out_pool_create(unsigned n, size_t head, size_t size)
{
    struct bq_out_pool *pool = bq_alloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->freed, NULL);
    pool->buffers = bq_alloc(n, sizeof *pool->buffers);
    for (unsigned i = 0; i < n; i++) {
        struct bq_out_buffer *buffer = pool->buffers ? &pool->buffers[i] : NULL;
        if (!buffer || !(buffer->data = bq_room(1, head + size))) {
            bq_out_pool_destroy(pool);
            return NULL;
        }
        pool->n = i + 1;
        buffer->pool = pool;
        buffer->parcel.release = give_back;
        give_back(&buffer->parcel);
    }
    return pool;
}

void bq_out_pool_destroy(struct bq_out_pool *pool)
{
    if (!pool)
        return;
    for (unsigned i = 0; i < pool->n; i++)
        bq_free(pool->buffers[i].data);
    bq_free(pool->buffers);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->freed);
    bq_free(pool);
}

struct bq_out_buffer *bq_out_take(struct bq_out_pool *pool, struct bq_meter *meter)
{
    pthread_mutex_lock(&pool->lock);
    if (!pool->free && !pool->is_stopping) {
        bq_meter_enter(meter, BQ_PHASE_PASS);
        while (!pool->free && !pool->is_stopping)
            pthread_cond_wait(&pool->freed, &pool->lock);
        bq_meter_enter(meter, BQ_PHASE_BUSY);
    }
    struct bq_out_buffer *buffer = pool->free;
    if (buffer) {
        pool->free = buffer->next;
        pool->n_free--;
    }
    pthread_mutex_unlock(&pool->lock);
    return buffer;
}

void bq_out_stop(struct bq_out_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->is_stopping = true;
    pthread_cond_broadcast(&pool->freed);
    pthread_mutex_unlock(&pool->lock);
}

bool bq_out_is_settled(struct bq_out_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool is = pool->n_free == pool->n;
    pthread_mutex_unlock(&pool->lock);
    return is;
}
