/* The in-process transport: a queue and a bell for each direction. */
#include "adapters/transport.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/heap.h"

struct queue {
    pthread_mutex_t lock; /* guards head and tail */
    struct bq_parcel *head, *tail;
    int bell; /* rings when the queue becomes non-empty */
};

struct shared {
    struct queue queue[2]; /* [i]: towards end i */
    atomic_uint n_ends;
    atomic_int n_under_way[2]; /* parcels of end i that are not released */
};

struct local {
    struct bq_transport base;
    struct shared *shared;
    struct bq_parcel *open; /* received, not done with */
};

static int local_send(struct bq_transport *t, uint32_t to, struct bq_parcel *parcel,
                      struct bq_error *err)
{
    struct local *end = (struct local *)t;
    (void)err;
    struct queue *q = &end->shared->queue[to];
    parcel->next = NULL;
    atomic_fetch_add(&end->shared->n_under_way[t->rank], 1);
    pthread_mutex_lock(&q->lock);
    int was_empty = !q->head;
    if (was_empty)
        q->head = parcel;
    else
        q->tail->next = parcel;
    q->tail = parcel;
    pthread_mutex_unlock(&q->lock);
    if (was_empty)
        bq_bell_ring(q->bell);
    return 0;
}

static int local_receive(struct bq_transport *t, uint32_t *from, void **bytes, size_t *size,
                         struct bq_error *err)
{
    struct local *end = (struct local *)t;
    (void)err;
    struct queue *q = &end->shared->queue[t->rank];
    pthread_mutex_lock(&q->lock);
    end->open = q->head;
    if (end->open)
        q->head = end->open->next;
    pthread_mutex_unlock(&q->lock);
    if (!end->open)
        return 0;
    *from = 1 - t->rank;
    *bytes = end->open->bytes;
    *size = end->open->size;
    return 1;
}

static void local_done_with(struct bq_transport *t)
{
    struct local *end = (struct local *)t;
    if (!end->open)
        return;
    end->open->release(end->open);
    end->open = NULL;
    atomic_fetch_sub(&end->shared->n_under_way[1 - t->rank], 1);
}

static int local_progress(struct bq_transport *t, struct bq_error *err)
{
    struct local *end = (struct local *)t;
    (void)err;
    return atomic_load(&end->shared->n_under_way[t->rank]);
}

static void local_wait(struct bq_transport *t, uint64_t timeout_ns, int fd)
{
    struct local *end = (struct local *)t;
    int bell = end->shared->queue[t->rank].bell;
    struct pollfd fds[2] = {{.fd = bell, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    struct timespec limit = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
                             .tv_nsec = (long)(timeout_ns % 1000000000u)};
    if (ppoll(fds, fd >= 0 ? 2 : 1, &limit, NULL) <= 0)
        return;
    if (fds[0].revents)
        bq_bell_reset(bell);
}

static void shared_destroy(struct shared *shared)
{
    for (int i = 0; i < 2; i++) {
        struct queue *q = &shared->queue[i];
        while (q->head) {
            struct bq_parcel *parcel = q->head;
            q->head = parcel->next;
            parcel->release(parcel);
        }
        if (q->bell >= 0)
            close(q->bell);
        pthread_mutex_destroy(&q->lock);
    }
    bq_free(shared);
}

static void local_destroy(struct bq_transport *t)
{
    struct local *end = (struct local *)t;
    local_done_with(t);
    if (atomic_fetch_sub(&end->shared->n_ends, 1) == 1)
        shared_destroy(end->shared);
    bq_free(end);
}

int bq_transport_local(struct bq_transport *ends[2], struct bq_error *err)
{
    static const struct bq_transport_ops ops = {
        .name = "local",
        .send = local_send,
        .receive = local_receive,
        .done_with = local_done_with,
        .progress = local_progress,
        .wait = local_wait,
        .destroy = local_destroy,
    };
    struct shared *shared = bq_alloc(1, sizeof *shared);
    struct local *end[2] = {bq_alloc(1, sizeof **end), bq_alloc(1, sizeof **end)};
    if (!shared || !end[0] || !end[1]) {
        bq_free(shared);
        bq_free(end[0]);
        bq_free(end[1]);
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    }
    atomic_init(&shared->n_ends, 2);
    for (uint32_t i = 0; i < 2; i++) {
        pthread_mutex_init(&shared->queue[i].lock, NULL);
        shared->queue[i].bell = bq_bell_create();
        end[i]->shared = shared;
        end[i]->base = (struct bq_transport){
            .ops = &ops, .rank = i, .n_ranks = 2, .machine_ranks = 1, .n_here = 1, .n_machines = 1};
    }
    if (shared->queue[0].bell < 0 || shared->queue[1].bell < 0) {
        shared_destroy(shared);
        bq_free(end[0]);
        bq_free(end[1]);
        return bq_fail(err, BQ_EXIT_FAILED, "no file descriptor is left (ulimit -n)");
    }
    ends[0] = &end[0]->base;
    ends[1] = &end[1]->base;
    return 0;
}
