/* A helper process that forks when asked. It is forked itself while the program has one thread and
 * knows nothing of MPI or HDF5, so that what it forks inherits no lock that somebody else holds and
 * no connection that is not its own.
 *
 *     program --fork at its start--> zygote --fork when asked--> child, one at a time
 *
 * When the program ends, however it ends, the zygote kills the child and leaves; when the zygote
 * ends, the system kills the child. What the child has started itself ends with it. One thread.
 */
#ifndef BQ_ADAPTERS_ZYGOTE_H
#define BQ_ADAPTERS_ZYGOTE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct bq_zygote;

#define BQ_MAX_SETUP 4096 /* bytes */

/* What runs in the zygote, before it starts its first child: what they would all have to do again
 * (NULL: nothing), without threads. And in each child, which ends with what it returns. */
struct bq_zygote_work {
    void (*prepare)(void *context);
    int (*child)(void *context, const int fds[2], const void *setup);
    void *context;
};
struct bq_zygote *bq_zygote_create(const struct bq_zygote_work *work, struct bq_error *err);
void bq_zygote_destroy(struct bq_zygote *zygote); /* and its child */

/* Starts a child with copies of two descriptors. The one before has ended. */
int bq_zygote_start(struct bq_zygote *zygote, const int fds[2], const void *setup, size_t n,
                    struct bq_error *err);

/* SIGKILL to the child, if there is one. */
void bq_zygote_kill(struct bq_zygote *zygote);

/* Readable when the child, or the zygote, has ended. */
int bq_zygote_fd(const struct bq_zygote *zygote);

/* 1: the child has ended, with *status as of wait(); 0: not yet; -1: the zygote itself is gone. */
int bq_zygote_ended(struct bq_zygote *zygote, int *status);

#endif
