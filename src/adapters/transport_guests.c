#include "adapters/transport_guests.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adapters/clock.h"
#include "adapters/frames.h"
#include "base/heap.h"

struct seat {
    struct bq_frames *frames; /* NULL: it is empty */
    bool has_joined;          /* and was told so */
    bool is_lost, is_told;
    bool is_writing; /* it does not read fast enough */
    bool is_elsewhere;
};

struct guests {
    struct bq_transport base;
    struct bq_transport_ops ops; /* the name is the inner one's */
    struct bq_transport *inner;
    struct bq_door *door;
    int events;           /* an epoll: the door, who sits here, and whom else wait is called with */
    bool is_asked;        /* who has joined, since we last waited */
    bool is_door_watched; /* the door is in the epoll */
    struct bq_parcel *open; /* received from a guest, not done with */
    uint32_t next;          /* seat to hear first: each in turn */
    struct seat seat[BQ_SEATS];
    unsigned char machine[BQ_SEATS][32]; /* where guests were, other than here */
    uint32_t n_elsewhere;
};

static struct seat *seat_of(struct guests *g, uint32_t rank)
{
    return rank >= g->inner->n_ranks && rank < g->base.n_ranks ? &g->seat[rank - g->inner->n_ranks]
                                                               : NULL;
}

static void watch(const struct guests *g, int fd, uint32_t events, int how)
{
    epoll_ctl(g->events, how, fd, &(struct epoll_event){.events = events});
}

/* Its end is told when somebody asks; until then it must not wake anybody. */
static void lose(const struct guests *g, struct seat *s)
{
    if (!s->is_lost)
        watch(g, bq_frames_fd(s->frames), 0, EPOLL_CTL_DEL);
    s->is_lost = true;
}

static int write_to(const struct guests *g, struct seat *s)
{
    int n = bq_frames_write(s->frames);
    if (n < 0) { /* what it has sent may still be there */
        n = 0;
        shutdown(bq_frames_fd(s->frames), SHUT_WR); /* no second try in the middle of a message */
        s->is_writing = false;
    } else if ((n > 0) != s->is_writing && !s->is_lost) {
        s->is_writing = n > 0;
        watch(g, bq_frames_fd(s->frames), s->is_writing ? EPOLLIN | EPOLLOUT : EPOLLIN,
              EPOLL_CTL_MOD);
    }
    return n;
}

static int guests_send(struct bq_transport *t, uint32_t to, struct bq_parcel *parcel,
                       struct bq_error *err)
{
    struct guests *g = (struct guests *)t;
    struct seat *s = seat_of(g, to);
    if (!s)
        return bq_transport_send(g->inner, to, parcel, err);
    if (!s->frames) {
        parcel->release(parcel);
        return 0;
    }
    bq_frames_put(s->frames, parcel);
    write_to(g, s);
    return 0;
}

static int guests_receive(struct bq_transport *t, uint32_t *from, void **bytes, size_t *size,
                          struct bq_error *err)
{
    struct guests *g = (struct guests *)t;
    int got = bq_transport_receive(g->inner, from, bytes, size, err);
    for (uint32_t i = 0; got == 0 && i < BQ_SEATS; i++) {
        uint32_t at = (g->next + i) % BQ_SEATS;
        struct seat *s = &g->seat[at];
        if (!s->has_joined || s->is_lost)
            continue;
        int rc = bq_frames_read(s->frames, &g->open);
        if (rc < 0)
            lose(g, s);
        if (rc <= 0)
            continue;
        *from = g->inner->n_ranks + at;
        *bytes = g->open->bytes;
        *size = g->open->size;
        g->next = (at + 1) % BQ_SEATS;
        got = 1;
    }
    return got;
}

static void guests_done_with(struct bq_transport *t)
{
    struct guests *g = (struct guests *)t;
    if (!g->open) {
        bq_transport_done_with(g->inner);
        return;
    }
    g->open->release(g->open);
    g->open = NULL;
}

static int guests_progress(struct bq_transport *t, struct bq_error *err)
{
    struct guests *g = (struct guests *)t;
    int n = bq_transport_progress(g->inner, err);
    for (int i = 0; n >= 0 && i < BQ_SEATS; i++) {
        if (g->seat[i].frames)
            n += write_to(g, &g->seat[i]);
    }
    return n;
}

static int guests_lost(struct bq_transport *t, uint32_t *rank)
{
    struct guests *g = (struct guests *)t;
    for (uint32_t i = 0; i < BQ_SEATS; i++) {
        struct seat *s = &g->seat[i];
        if (s->frames && s->is_lost && s->has_joined && !s->is_told) {
            s->is_told = true;
            *rank = g->inner->n_ranks + i;
            return 1;
        }
    }
    return bq_transport_lost(g->inner, rank);
}

static void guests_abandon(struct bq_transport *t, uint32_t rank, bool must_die)
{
    struct guests *g = (struct guests *)t;
    struct seat *s = seat_of(g, rank);
    if (!s) {
        bq_transport_abandon(g->inner, rank, must_die);
        return;
    }
    bq_frames_destroy(s->frames); /* closing it takes it out of the epoll, and ends the guest */
    *s = (struct seat){0};
}

/* -- the door ----------------------------------------------------------------------------- */

static bool note_machine(struct guests *g, const struct bq_door_guest *guest)
{
    if (guest->is_here)
        return false;
    for (uint32_t i = 0; i < g->n_elsewhere; i++) {
        if (memcmp(g->machine[i], guest->machine, sizeof guest->machine) == 0)
            return true;
    }
    if (g->n_elsewhere < BQ_SEATS)
        memcpy(g->machine[g->n_elsewhere++], guest->machine, sizeof guest->machine);
    g->base.n_machines = g->inner->n_machines + g->n_elsewhere;
    return true;
}

static void let_in(struct guests *g, const struct bq_door_guest *guest)
{
    uint32_t i = 0;
    while (i < BQ_SEATS && g->seat[i].frames)
        i++;
    if (i == BQ_SEATS) {
        bq_door_send_away(guest, BQ_DOOR_IS_FULL);
        return;
    }
    int fd = bq_door_let_in(guest, g->inner->n_ranks + i, g->base.n_ranks);
    struct bq_frames *frames = fd >= 0 ? bq_frames_create(fd) : NULL;
    if (!frames)
        return;
    g->seat[i] = (struct seat){.frames = frames, .is_elsewhere = note_machine(g, guest)};
    watch(g, fd, EPOLLIN, EPOLL_CTL_ADD);
}

static int guests_joined(struct bq_transport *t, uint32_t *rank, bool *is_elsewhere)
{
    struct guests *g = (struct guests *)t;
    struct bq_door_guest guest;
    g->is_asked = true;
    while (bq_door_poll(g->door, bq_now(), &guest))
        let_in(g, &guest);
    for (uint32_t i = 0; i < BQ_SEATS; i++) {
        struct seat *s = &g->seat[i];
        if (s->frames && !s->has_joined) {
            s->has_joined = true;
            *rank = g->inner->n_ranks + i;
            *is_elsewhere = s->is_elsewhere;
            return 1;
        }
    }
    return 0;
}

/* -- waiting ------------------------------------------------------------------------------ */

static void guests_wait(struct bq_transport *t, uint64_t timeout_ns, int fd)
{
    struct guests *g = (struct guests *)t;
    if (g->is_asked != g->is_door_watched) { /* where nobody asks, it must not wake us */
        g->is_door_watched = g->is_asked;
        watch(g, bq_door_fd(g->door), EPOLLIN, g->is_asked ? EPOLL_CTL_ADD : EPOLL_CTL_DEL);
    }
    g->is_asked = false;
    /* For this time only: the descriptor may be closed, and its number be another's, by the next.
     */
    if (fd >= 0)
        watch(g, fd, EPOLLIN, EPOLL_CTL_ADD);
    bq_transport_wait(g->inner, timeout_ns, g->events);
    if (fd >= 0)
        watch(g, fd, 0, EPOLL_CTL_DEL);
}

/* -- beginning and end -------------------------------------------------------------------- */

static void guests_destroy(struct bq_transport *t)
{
    struct guests *g = (struct guests *)t;
    if (g->open)
        g->open->release(g->open);
    for (int i = 0; i < BQ_SEATS; i++)
        bq_frames_destroy(g->seat[i].frames);
    bq_door_destroy(g->door);
    close(g->events);
    g->inner->is_broken |= g->base.is_broken;
    bq_transport_destroy(g->inner);
    bq_free(g);
}

struct bq_transport *bq_transport_guests(struct bq_transport *inner, struct bq_door *door,
                                         struct bq_error *err)
{
    struct guests *g = bq_alloc(1, sizeof *g);
    int events = epoll_create1(EPOLL_CLOEXEC);
    if (!g || events < 0) {
        if (events >= 0)
            close(events);
        bq_free(g);
        bq_fail(err, BQ_EXIT_FAILED, "no file descriptor or memory is left");
        return NULL;
    }
    g->ops = (struct bq_transport_ops){.name = inner->ops->name,
                                       .send = guests_send,
                                       .receive = guests_receive,
                                       .done_with = guests_done_with,
                                       .progress = guests_progress,
                                       .lost = guests_lost,
                                       .abandon = guests_abandon,
                                       .joined = guests_joined,
                                       .wait = guests_wait,
                                       .destroy = guests_destroy};
    g->base = *inner;
    g->base.ops = &g->ops;
    g->base.n_ranks += BQ_SEATS;
    g->inner = inner;
    g->door = door;
    g->events = events;
    return &g->base;
}

struct bq_transport *bq_transport_guest(int fd, const struct bq_door_verdict *verdict,
                                        struct bq_error *err)
{
    /* Which cores others of this machine use is not known here: all are shared, none is bound to.
     * Clocks are the same on one machine. */
    const struct bq_transport like = {.rank = verdict->rank,
                                      .n_ranks = verdict->n_ranks,
                                      .n_machines = verdict->is_here ? 1 : 2,
                                      .machine_ranks = 1,
                                      .n_here = 1,
                                      .is_guest = true};
    return bq_transport_frames(fd, &like, err);
}
