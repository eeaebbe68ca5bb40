/* What both kinds of transport share. */
#include "adapters/transport.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int bq_transport_send(struct bq_transport *t, uint32_t to, struct bq_parcel *parcel,
                      struct bq_error *err)
{
    return t->ops->send(t, to, parcel, err);
}

static void free_copy(struct bq_parcel *parcel)
{
    free(parcel);
}

struct bq_parcel *bq_parcel_copy(const void *bytes, size_t size)
{
    struct bq_parcel *parcel = malloc(sizeof *parcel + size);
    if (!parcel)
        return NULL;
    *parcel = (struct bq_parcel){.bytes = parcel + 1, .size = size, .release = free_copy};
    memcpy(parcel->bytes, bytes, size);
    return parcel;
}

int bq_transport_send_copy(struct bq_transport *t, uint32_t to, const void *bytes, size_t size,
                           struct bq_error *err)
{
    struct bq_parcel *parcel = bq_parcel_copy(bytes, size);
    if (!parcel)
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory for a message of %zu bytes", size);
    return t->ops->send(t, to, parcel, err);
}

int bq_transport_receive(struct bq_transport *t, uint32_t *from, void **bytes, size_t *size,
                         struct bq_error *err)
{
    return t->ops->receive(t, from, bytes, size, err);
}

void bq_transport_done_with(struct bq_transport *t)
{
    t->ops->done_with(t);
}

int bq_transport_progress(struct bq_transport *t, struct bq_error *err)
{
    return t->ops->progress(t, err);
}

int bq_transport_lost(struct bq_transport *t, uint32_t *rank)
{
    return t->ops->lost ? t->ops->lost(t, rank) : 0;
}

void bq_transport_abandon(struct bq_transport *t, uint32_t rank, bool must_die)
{
    if (t->ops->abandon)
        t->ops->abandon(t, rank, must_die);
}

int bq_transport_joined(struct bq_transport *t, uint32_t *rank, bool *is_elsewhere)
{
    return t->ops->joined ? t->ops->joined(t, rank, is_elsewhere) : 0;
}

void bq_transport_is_broken(struct bq_transport *t)
{
    t->is_broken = true;
}

void bq_transport_wait(struct bq_transport *t, uint64_t timeout_ns, int fd)
{
    t->ops->wait(t, timeout_ns, fd);
}

void bq_transport_destroy(struct bq_transport *t)
{
    if (t)
        t->ops->destroy(t);
}

int bq_bell_create(void)
{
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void bq_bell_ring(int bell)
{
    uint64_t one = 1;
    ssize_t n = write(bell, &one, sizeof one);
    (void)n; /* a full counter rings too */
}

void bq_bell_reset(int bell)
{
    uint64_t count;
    ssize_t n = read(bell, &count, sizeof count);
    (void)n;
}
