#include "run/porter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adapters/clock.h"
#include "adapters/frames.h"
#include "adapters/memory.h"
#include "adapters/vitals.h"
#include "core/wire.h"
#include "run/kitchen.h"

#define PATIENCE_NS 100000000u
#define MOST_UNDER_WAY 8 /* messages to the coordinator; more wait in the child */
#define MOST_FRUITLESS                                                                             \
    5 /* processes that end, one after another, without a result or a culprit                      \
       */
#define FLUSH_NS 2000000000u /* for the last messages of a kitchen that has left */

/* What the child must know of this rank. */
struct setup {
    struct bq_transport like;
    uint64_t silence_ns, taken;
};

struct porter {
    struct bq_transport *transport;
    struct bq_zygote *zygote;
    struct bq_vitals *vitals;
    struct bq_frames *frames; /* NULL: no child */
    atomic_int *leave;
    struct bq_error *err;
    uint64_t silence_ns, heard_at;
    int events;      /* an epoll: frames, zygote */
    int n_under_way; /* messages that the transport still has */
    bool is_writing; /* the child does not read fast enough */
    bool is_bye;     /* the coordinator said so */
    bool has_left;   /* the kitchen's BYE went to the coordinator */
    bool is_out;     /* no child is started any more */
    bool has_passed_leave;
    unsigned n_fruitless;
    struct bq_at killed_for; /* the child is being killed: it took too long for that chunk */
    char killed_why[100];    /* "": it is not */
    bool has_culprit;
};

/* -- the child ---------------------------------------------------------------------------- */

int bq_porter_child(void *registry, const int fds[2], const void *bytes)
{
    struct setup setup;
    struct bq_error err = {0};
    memcpy(&setup, bytes, sizeof setup);
    if (bq_vitals_attach(fds[1], &err) < 0)
        return BQ_EXIT_FAILED;
    close(fds[1]);
    struct bq_transport *t = bq_transport_frames(fds[0], &setup.like, &err);
    if (!t)
        return BQ_EXIT_FAILED;
    bq_memory_add_beside(setup.taken);
    int rc = bq_kitchen(t, registry, NULL, &err);
    bq_transport_destroy(t);
    return rc < 0 ? BQ_EXIT_FAILED : BQ_EXIT_OK;
}

/* -- messages of its own ------------------------------------------------------------------ */

static int tell(struct porter *p, const struct bq_message *message)
{
    unsigned char bytes[BQ_WIRE_FIXED];
    struct bq_writer w = bq_writer(bytes, sizeof bytes);
    bq_wire_put(&w, message);
    return bq_transport_send_copy(p->transport, 0, bytes, (size_t)(w.at - bytes), p->err);
}

static int refuse(struct porter *p, const char *why)
{
    struct bq_message refused = {.kind = BQ_REFUSED};
    snprintf(refused.text, sizeof refused.text, "%.250s", why);
    p->is_out = true;
    return tell(p, &refused);
}

/* -- starting and ending a kitchen -------------------------------------------------------- */

static void watch(struct porter *p, int fd, uint32_t events, int how)
{
    epoll_ctl(p->events, how, fd, &(struct epoll_event){.events = events, .data.fd = fd});
}

static int start(struct porter *p, struct bq_error *err)
{
    int ends[2];
    struct setup setup = {
        .like = *p->transport, .silence_ns = p->silence_ns, .taken = bq_memory_resident()};
    setup.like.ops = NULL;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return bq_fail(err, BQ_EXIT_FAILED, "no file descriptor is left (ulimit -n)");
    bq_vitals_renew(p->vitals);
    int fds[2] = {ends[1], bq_vitals_fd(p->vitals)};
    int rc = bq_zygote_start(p->zygote, fds, &setup, sizeof setup, err);
    close(ends[1]);
    p->frames = bq_frames_create(ends[0]);
    if (rc < 0 || !p->frames)
        return rc < 0 ? -1 : bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    watch(p, ends[0], EPOLLIN, EPOLL_CTL_ADD);
    p->is_writing = p->has_culprit = p->has_passed_leave = false;
    p->killed_why[0] = 0;
    p->heard_at = bq_now();
    return 0;
}

static void drop_child(struct porter *p)
{
    if (p->frames) /* closing it takes it out of the epoll, too */
        bq_frames_destroy(p->frames);
    p->frames = NULL;
}

/* The child has ended, and all that it had sent was passed on. */
static int mourn(struct porter *p, int status)
{
    struct bq_message lost = {.kind = BQ_LOST, .first = BQ_NO_CHUNK, .n = 1};
    struct bq_at at = {0};
    drop_child(p);
    if (p->has_left)
        return 0;
    if (p->is_bye) { /* it died on its way out */
        p->has_left = true;
        return tell(p, &(struct bq_message){.kind = BQ_BYE});
    }
    bool is_known = bq_vitals_verdict(p->vitals, status, &at, lost.text, sizeof lost.text);
    if (p->killed_why[0]) {
        snprintf(lost.text, sizeof lost.text, "%s", p->killed_why);
        is_known = p->has_culprit;
        at = p->killed_for;
    }
    p->n_fruitless = is_known ? 0 : p->n_fruitless + 1;
    if (is_known) {
        lost.step = at.step;
        lost.first = at.chunk;
    }
    if (tell(p, &lost) < 0)
        return -1;
    struct bq_error why = {0};
    if (p->n_fruitless < MOST_FRUITLESS)
        return start(p, &why) < 0 ? refuse(p, why.text) : 0;
    char text[300];
    snprintf(text, sizeof text, "its cooks' process ended %u times without a result: %.200s",
             p->n_fruitless, lost.text);
    return refuse(p, text);
}

/* -- passing on --------------------------------------------------------------------------- */

static enum bq_message_kind kind_of(const struct bq_parcel *parcel)
{
    return parcel->size ? *(const unsigned char *)parcel->bytes : 0;
}

/* From the child, as many as the transport may have under way. -1: nothing can go on. */
static int pass_up(struct porter *p, bool *is_over)
{
    struct bq_parcel *parcel;
    *is_over = false;
    while (p->frames && (p->n_under_way = bq_transport_progress(p->transport, p->err)) >= 0 &&
           p->n_under_way < MOST_UNDER_WAY) {
        int got = bq_frames_read(p->frames, &parcel);
        *is_over = got < 0;
        if (got <= 0)
            return 0;
        enum bq_message_kind kind = kind_of(parcel);
        p->heard_at = bq_now();
        p->has_left |= kind == BQ_BYE;
        if (kind == BQ_RESULT)
            p->n_fruitless = 0;
        if (bq_transport_send(p->transport, 0, parcel, p->err) < 0)
            return -1;
    }
    return p->n_under_way < 0 ? -1 : 0;
}

static int take_message(struct porter *p, const void *bytes, size_t size)
{
    struct bq_message m;
    bool is_bye = bq_wire_get(bytes, size, &m) == 0 && m.kind == BQ_BYE;
    if (is_bye) {
        p->is_bye = true;
        if (m.count)
            bq_transport_is_broken(p->transport);
    }
    if (!p->frames) {
        if (!is_bye)
            return 0;
        p->has_left = true;
        return tell(p, &(struct bq_message){.kind = BQ_BYE});
    }
    struct bq_parcel *copy = bq_parcel_copy(bytes, size);
    if (!copy)
        return bq_fail(p->err, BQ_EXIT_FAILED, "out of memory for a message");
    bq_frames_put(p->frames, copy);
    return 0;
}

static int pass_down(struct porter *p)
{
    uint32_t from;
    void *bytes;
    size_t size;
    int got, rc = 0;
    while (rc == 0 && (got = bq_transport_receive(p->transport, &from, &bytes, &size, p->err))) {
        if (got < 0)
            return -1;
        rc = take_message(p, bytes, size);
        bq_transport_done_with(p->transport);
    }
    if (rc == 0 && p->frames && *p->leave && !p->has_passed_leave) {
        unsigned char bytes_out[BQ_WIRE_FIXED];
        struct bq_writer w = bq_writer(bytes_out, sizeof bytes_out);
        bq_wire_put(&w, &(struct bq_message){.kind = BQ_LEAVING});
        struct bq_parcel *copy = bq_parcel_copy(bytes_out, (size_t)(w.at - bytes_out));
        if (copy)
            bq_frames_put(p->frames, copy);
        p->has_passed_leave = true;
    }
    int n_left = p->frames ? bq_frames_write(p->frames) : 0; /* -1: its end will be heard of */
    if (p->frames && (n_left > 0) != p->is_writing) {
        p->is_writing = n_left > 0;
        watch(p, bq_frames_fd(p->frames), p->is_writing ? EPOLLIN | EPOLLOUT : EPOLLIN,
              EPOLL_CTL_MOD);
    }
    return rc;
}

/* -- watching ----------------------------------------------------------------------------- */

static void kill_for(struct porter *p, const char *why, const struct bq_at *at)
{
    snprintf(p->killed_why, sizeof p->killed_why, "%s", why);
    p->has_culprit = at != NULL;
    if (at)
        p->killed_for = *at;
    bq_zygote_kill(p->zygote);
}

/* A process that is stopped or stuck is killed: its end is then heard of. */
static void look(struct porter *p)
{
    uint64_t now = bq_now();
    struct bq_at at;
    char why[100];
    if (!p->frames || p->killed_why[0])
        return;
    uint64_t limit_ns = bq_vitals_overdue(p->vitals, now, &at);
    if (limit_ns) {
        snprintf(why, sizeof why, "the kernel took longer than its deadline of %g s",
                 (double)limit_ns / 1e9);
        kill_for(p, why, &at);
    } else if (now - p->heard_at > p->silence_ns / 2) {
        kill_for(p, "nothing was heard of the kernel's process, so it was killed", NULL);
    }
}

/* Whether the child has ended; first everything that it sent is passed on. */
static int look_for_end(struct porter *p, bool is_over)
{
    int status;
    int ended = bq_zygote_ended(p->zygote, &status);
    if (ended == 0)
        return 0;
    if (ended < 0) {
        drop_child(p);
        return p->is_out || p->has_left ? 0 : refuse(p, "the helper that starts its cooks is gone");
    }
    for (uint64_t limit = bq_now() + FLUSH_NS; !is_over && p->frames && bq_now() < limit;) {
        if (pass_up(p, &is_over) < 0)
            return -1;
        if (!is_over)
            bq_transport_wait(p->transport, 1000000, -1);
    }
    return mourn(p, status);
}

static int serve(struct porter *p)
{
    while (!p->has_left || p->frames) {
        bool is_over;
        uint32_t rank;
        if (pass_down(p) < 0 || pass_up(p, &is_over) < 0 || look_for_end(p, is_over) < 0)
            return -1;
        look(p);
        if (!p->has_left && bq_transport_lost(p->transport, &rank))
            return bq_fail(p->err, BQ_EXIT_FAILED, "the coordinator is gone");
        if (p->has_left && !p->frames)
            break;
        bool is_full = p->n_under_way >= MOST_UNDER_WAY; /* then the child can wait */
        bq_transport_wait(p->transport, is_full || is_over ? 1000000 : PATIENCE_NS,
                          is_full || is_over ? -1 : p->events);
    }
    return 0;
}

static int isolate(struct porter *p)
{
    struct bq_error why = {0};
    p->events = epoll_create1(EPOLL_CLOEXEC);
    p->vitals = bq_vitals_create(&why);
    if (!p->zygote)
        bq_fail(&why, BQ_EXIT_FAILED, "there is no helper process to start cooks");
    int rc = 0;
    if (p->zygote && p->events >= 0)
        watch(p, bq_zygote_fd(p->zygote), EPOLLIN, EPOLL_CTL_ADD);
    if (!p->vitals || !p->zygote || p->events < 0 || start(p, &why) < 0)
        rc = refuse(p, why.text[0] ? why.text : "no file descriptor is left (ulimit -n)");
    if (rc == 0)
        rc = serve(p);
    drop_child(p);
    bq_vitals_destroy(p->vitals);
    if (p->events >= 0)
        close(p->events);
    return rc;
}

/* ----------------------------------------------------------------------------------------- */

/* Waits for START. 1: it came; 0: BYE did. */
static int await_start(struct bq_transport *t, struct bq_message *start, struct bq_error *err)
{
    for (;;) {
        uint32_t from, rank;
        void *bytes;
        size_t size;
        int got = bq_transport_receive(t, &from, &bytes, &size, err);
        if (got < 0)
            return -1;
        if (got == 0) {
            if (bq_transport_lost(t, &rank))
                return bq_fail(err, BQ_EXIT_FAILED, "the coordinator is gone");
            bq_transport_wait(t, PATIENCE_NS, -1);
            continue;
        }
        bool is_message = bq_wire_get(bytes, size, start) == 0;
        bq_transport_done_with(t);
        if (is_message && start->kind == BQ_START)
            return 1;
        if (is_message && start->kind == BQ_BYE) {
            if (start->count)
                bq_transport_is_broken(t);
            return 0;
        }
    }
}

int bq_porter(struct bq_transport *transport, const struct bq_registry *registry,
              struct bq_zygote *zygote, atomic_int *leave, struct bq_error *err)
{
    struct bq_message start;
    struct porter p = {
        .transport = transport, .zygote = zygote, .leave = leave, .err = err, .events = -1};
    int rc = await_start(transport, &start, err);
    if (rc < 0)
        return -1;
    if (rc == 0)
        return tell(&p, &(struct bq_message){.kind = BQ_BYE});
    p.silence_ns = start.time;
    return start.n ? isolate(&p) : bq_kitchen(transport, registry, leave, err);
}
