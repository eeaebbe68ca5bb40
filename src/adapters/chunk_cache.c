#include "adapters/chunk_cache.h"

#include <pthread.h>

#include "base/heap.h"

enum state { EMPTY, FILLING, FULL };

struct bq_cached_chunk {
    enum state state;
    uint64_t number, used; /* used: the cache's count of gets when it was last wanted */
    unsigned n_holders;
    void *data;
};

struct bq_chunk_cache {
    pthread_mutex_t lock; /* guards everything but the data, which belongs to the holders */
    pthread_cond_t changed;
    uint64_t n_gets;
    unsigned n;
    struct bq_cached_chunk *chunks;
};

struct bq_chunk_cache *bq_chunk_cache_create(unsigned n, size_t chunk_bytes)
{
    struct bq_chunk_cache *cache = bq_alloc(1, sizeof *cache);
    if (!cache)
        return NULL;
    pthread_mutex_init(&cache->lock, NULL);
    pthread_cond_init(&cache->changed, NULL);
    cache->chunks = bq_alloc(n, sizeof *cache->chunks);
    for (unsigned i = 0; i < n; i++) {
        if (!cache->chunks || !(cache->chunks[i].data = bq_room(1, chunk_bytes))) {
            bq_chunk_cache_destroy(cache);
            return NULL;
        }
        cache->n = i + 1;
    }
    return cache;
}

void bq_chunk_cache_destroy(struct bq_chunk_cache *cache)
{
    if (!cache)
        return;
    for (unsigned i = 0; i < cache->n; i++)
        bq_free(cache->chunks[i].data);
    bq_free(cache->chunks);
    pthread_cond_destroy(&cache->changed);
    pthread_mutex_destroy(&cache->lock);
    bq_free(cache);
}

size_t bq_chunk_cache_memory(unsigned n, size_t chunk_bytes)
{
    return n * (chunk_bytes + sizeof(struct bq_cached_chunk) + 128);
}

/* The chunk, or else the buffer that may be taken for it: empty, or unheld and used longest ago. */
static struct bq_cached_chunk *find(struct bq_chunk_cache *cache, uint64_t number)
{
    struct bq_cached_chunk *oldest = NULL;
    for (unsigned i = 0; i < cache->n; i++) {
        struct bq_cached_chunk *c = &cache->chunks[i];
        if (c->state != EMPTY && c->number == number)
            return c;
        if (c->n_holders == 0 && (!oldest || c->used < oldest->used))
            oldest = c;
    }
    return oldest;
}

/* With the lock held: the chunk, or NULL when it must be waited for. */
static struct bq_cached_chunk *take(struct bq_chunk_cache *cache, uint64_t number, bool *is_new)
{
    struct bq_cached_chunk *c = find(cache, number);
    bool is_there = c && c->state != EMPTY && c->number == number;
    if (!c || (is_there && c->state == FILLING))
        return NULL;
    *is_new = !is_there;
    c->number = number;
    c->used = ++cache->n_gets;
    c->n_holders++;
    c->state = is_there ? FULL : FILLING;
    return c;
}

struct bq_cached_chunk *bq_chunk_cache_get(struct bq_chunk_cache *cache, uint64_t number,
                                           bool *is_new)
{
    struct bq_cached_chunk *chunk;
    pthread_mutex_lock(&cache->lock);
    while (!(chunk = take(cache, number, is_new)))
        pthread_cond_wait(&cache->changed, &cache->lock);
    pthread_mutex_unlock(&cache->lock);
    return chunk;
}

struct bq_cached_chunk *bq_chunk_cache_try(struct bq_chunk_cache *cache, uint64_t number,
                                           bool *is_new)
{
    pthread_mutex_lock(&cache->lock);
    struct bq_cached_chunk *chunk = take(cache, number, is_new);
    pthread_mutex_unlock(&cache->lock);
    return chunk;
}

void *bq_cached_chunk_data(struct bq_cached_chunk *chunk)
{
    return chunk->data;
}

void bq_chunk_cache_filled(struct bq_chunk_cache *cache, struct bq_cached_chunk *chunk,
                           bool is_good)
{
    pthread_mutex_lock(&cache->lock);
    chunk->state = is_good ? FULL : EMPTY;
    pthread_cond_broadcast(&cache->changed);
    pthread_mutex_unlock(&cache->lock);
}

void bq_chunk_cache_put(struct bq_chunk_cache *cache, struct bq_cached_chunk *chunk)
{
    pthread_mutex_lock(&cache->lock);
    chunk->n_holders--;
    pthread_cond_broadcast(&cache->changed);
    pthread_mutex_unlock(&cache->lock);
}
