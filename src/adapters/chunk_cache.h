/* Decoded stored chunks that several blocks share: where a job's chunks cut the file's, each is
 * decoded once by whoever comes first, and the others wait for it or find it. A fixed number of
 * buffers; the one that was used longest ago is taken for the next. Any thread. */
#ifndef BQ_ADAPTERS_CHUNK_CACHE_H
#define BQ_ADAPTERS_CHUNK_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bq_chunk_cache;
struct bq_cached_chunk;

/* n buffers of so many bytes; NULL: no memory. Every thread may hold one chunk at a time, so there
 * must be at least as many as threads. */
struct bq_chunk_cache *bq_chunk_cache_create(unsigned n, size_t chunk_bytes);
void bq_chunk_cache_destroy(struct bq_chunk_cache *cache);

/* Bytes that it takes. */
size_t bq_chunk_cache_memory(unsigned n, size_t chunk_bytes);

/* A chunk by its number, held until put. *is_new: its buffer must be filled first, and then told:
 * bq_chunk_cache_filled; who else wants it waits for that. Never NULL. */
struct bq_cached_chunk *bq_chunk_cache_get(struct bq_chunk_cache *cache, uint64_t number,
                                           bool *is_new);
/* The same without waiting: NULL when another thread fills it, or no buffer is free. */
struct bq_cached_chunk *bq_chunk_cache_try(struct bq_chunk_cache *cache, uint64_t number,
                                           bool *is_new);
void *bq_cached_chunk_data(struct bq_cached_chunk *chunk);

/* is_good false: it could not be decoded; the next who wants it will try again. */
void bq_chunk_cache_filled(struct bq_chunk_cache *cache, struct bq_cached_chunk *chunk,
                           bool is_good);
void bq_chunk_cache_put(struct bq_chunk_cache *cache, struct bq_cached_chunk *chunk);

#endif
