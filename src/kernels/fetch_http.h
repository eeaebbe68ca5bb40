/* One transfer by libcurl that never blocks: it says which descriptor and how long it waits for.
 *
 * Its handles are kept for the next transfer of the same thread when it ends well, with the
 * connection in them.
 */
#ifndef BANQUET_KERNELS_FETCH_HTTP_H
#define BANQUET_KERNELS_FETCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fetch_transfer;

struct fetch_limits {
    uint64_t max_bytes, timeout_ms;
};

/* Is given the body, piece by piece. */
typedef void fetch_take(void *context, const void *bytes, size_t n);

/* Begins to fetch. NULL: no memory. */
struct fetch_transfer *fetch_begin(const char *url, const struct fetch_limits *limits,
                                   fetch_take *take, void *context);

enum fetch_news {
    FETCH_WAITS,
    FETCH_ANSWERED, /* status tells what */
    FETCH_FAILED,   /* might go better another time: why */
    FETCH_IMPOSSIBLE
};

struct fetch_state {
    int fd; /* WAITS: for this, or -1 */
    short events;
    uint64_t wait_ns; /* and no longer than this; 0 with a descriptor: without limit */
    long status;      /* ANSWERED: HTTP's, 0 for a file */
    const char *why;  /* FAILED, IMPOSSIBLE */
};

/* Goes on as far as that is possible without waiting. */
enum fetch_news fetch_go_on(struct fetch_transfer *transfer, struct fetch_state *state);

/* is_kept: it ended well, and this thread will fetch more. NULL is fine. */
void fetch_end(struct fetch_transfer *transfer, bool is_kept);

#endif
