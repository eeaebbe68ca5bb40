/* Bytes that belong into a file and are kept in memory for now: pages, each with a bit for every
 * byte that is there. Whoever reads the file lays them over what it read. One owner, no lock. */
#ifndef BQ_ADAPTERS_STORE_OVERLAY_H
#define BQ_ADAPTERS_STORE_OVERLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STORE_OVERLAY_PAGE = 4096 };

struct store_overlay_page;

struct store_overlay { /* zeroed: empty */
    struct store_overlay_page **pages;
    size_t n, room; /* room: a power of two, or 0; at most half of it is used */
};

/* -1: no memory; some of the bytes may be there. */
int store_overlay_put(struct store_overlay *overlay, uint64_t address, const void *bytes, size_t n);

/* Lays what is there over n bytes that were read at that address. */
void store_overlay_get(const struct store_overlay *overlay, uint64_t address, void *bytes,
                       size_t n);

/* Calls visit for each run of consecutive bytes, none longer than a page, in no order. Ends with
 * the first that does not return 0, and returns that. */
int store_overlay_each(const struct store_overlay *overlay,
                       int (*visit)(void *context, uint64_t address, const void *bytes, size_t n),
                       void *context);

void store_overlay_clear(struct store_overlay *overlay);

#endif
