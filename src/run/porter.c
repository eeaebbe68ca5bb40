#include "run/porter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adapters/affinity.h"
#include "adapters/clock.h"
#include "adapters/frames.h"
#include "adapters/memory.h"
#include "adapters/vitals.h"
#include "core/wire.h"
#include "run/kitchen.h"

#define PATIENCE_NS 100000000u
#define MOST_UNDER_WAY 8 /* messages to the coordinator; more wait in the child */
#define MOST_FRUITLESS 5 /* processes that end in a row without a result or a culprit */
#define MOST_SUSPECTING                                                                            \
    BQ_MAX_SUSPECTS          /* likewise, but each brings a suspect: that is progress              \
                              */
#define MOST_BETWEEN 5       /* that end outside of any chunk, results or not */
#define FLUSH_NS 2000000000u /* for the last messages of a process that has ended */
#define DEAF_NS 1000000000u  /* for the end of a process that cannot be heard any more */

/* What the child must know of this rank. */
struct setup {
    struct bq_transport like;
    uint64_t silence_ns;
    uint64_t taken; /* bytes */
};

struct porter {
    struct bq_transport *transport;
    struct bq_zygote *zygote;
    struct bq_vitals *vitals;
    struct bq_frames *frames; /* NULL: no child */
    atomic_int *leave;
    struct bq_error *err;
    uint64_t silence_ns, patience_ns;
    /* Its clock: the time that it was awake to look. When the machine or all of its processes were
     * stopped, nobody was late. */
    uint64_t clock, looked_at;
    uint64_t heard_at, deaf_at; /* a message came; it was first known that none will. 0: not */
    int events;                 /* an epoll: frames, zygote */
    int n_under_way;            /* messages that the transport still has */
    bool is_writing;            /* the child does not read fast enough */
    bool is_bye;                /* the coordinator said so */
    bool has_left;              /* the kitchen's BYE went to the coordinator */
    bool is_out;                /* no child is started any more; it or we said REFUSED */
    bool is_orphan;             /* the zygote is gone, and so is the child */
    bool has_passed_leave;
    unsigned n_fruitless, n_suspecting, n_between;
    struct bq_at killed_for; /* the child is being killed: it took too long for that chunk */
    char killed_why[100];    /* "": it is not */
    bool has_culprit;
};

/* -- the child ---------------------------------------------------------------------------- */

static int be_kitchen(void *registry, const int fds[2], const void *bytes)
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
    int rc = bq_kitchen(t, registry, setup.silence_ns, NULL, &err);
    bq_transport_destroy(t);
    return rc < 0 ? BQ_EXIT_FAILED : BQ_EXIT_OK;
}

/* Each kitchen has to know its cores. */
static void look_at_machine(void *registry)
{
    struct bq_place_on_machine place;
    (void)registry;
    bq_affinity_cores_only();
    bq_affinity_find(&place, 0, 1, NULL);
}

struct bq_zygote *bq_porter_zygote(const struct bq_registry *registry, struct bq_error *err)
{
    return bq_zygote_create(&(struct bq_zygote_work){.prepare = look_at_machine,
                                                     .child = be_kitchen,
                                                     .context = (void *)(uintptr_t)registry},
                            err);
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

static void drop_child(struct porter *p)
{
    if (p->frames) {
        watch(p, bq_frames_fd(p->frames), 0, EPOLL_CTL_DEL);
        bq_frames_destroy(p->frames);
    }
    p->frames = NULL;
}

static int start(struct porter *p, struct bq_error *err)
{
    int ends[2];
    struct setup setup = {.like = *p->transport,
                          .silence_ns = p->silence_ns / 2, /* we are to tell of its loss in time */
                          .taken = bq_memory_resident()};
    setup.like.ops = NULL;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return bq_fail(err, BQ_EXIT_FAILED, "no file descriptor is left (ulimit -n)");
    bq_vitals_renew(p->vitals);
    int fds[2] = {ends[1], bq_vitals_fd(p->vitals)};
    p->frames = bq_frames_create(ends[0]);
    int rc = p->frames ? bq_zygote_start(p->zygote, fds, &setup, sizeof setup, err)
                       : bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    close(ends[1]);
    if (rc < 0) {
        drop_child(p);
        return -1;
    }
    watch(p, ends[0], EPOLLIN, EPOLL_CTL_ADD);
    p->is_writing = p->has_culprit = p->has_passed_leave = false;
    p->killed_why[0] = 0;
    p->heard_at = p->clock;
    p->deaf_at = 0;
    return 0;
}

/* Without a child, there is nobody else to say it. */
static int say_bye(struct porter *p)
{
    p->has_left = true;
    return tell(p, &(struct bq_message){.kind = BQ_BYE});
}

/* Why the child has ended, and which chunk is to blame, into LOST. */
static void find_cause(struct porter *p, int status, struct bq_message *lost)
{
    struct bq_at at = p->killed_for;
    enum bq_blame blame = p->has_culprit ? BQ_BLAME_CHUNK : BQ_BLAME_NOBODY;
    bool was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (p->killed_why[0] && was_killed && !bq_vitals_is_dying(p->vitals))
        snprintf(lost->text, sizeof lost->text, "%s", p->killed_why);
    else
        blame = bq_vitals_verdict(p->vitals, status, &at, lost->text, sizeof lost->text);
    if (blame == BQ_BLAME_CHUNK)
        p->n_fruitless = p->n_suspecting = 0;
    else if (blame == BQ_BLAME_SUSPECTS)
        p->n_suspecting++;
    else
        p->n_fruitless++;
    p->n_between += blame == BQ_BLAME_BETWEEN;
    if (blame == BQ_BLAME_CHUNK) {
        lost->step = at.step;
        lost->first = at.chunk;
    }
}

/* The child has ended, and all that it had sent was passed on. */
static int mourn(struct porter *p, int status)
{
    struct bq_message lost = {.kind = BQ_LOST, .first = BQ_NO_CHUNK, .n = 1};
    drop_child(p);
    if (p->has_left || p->is_bye) /* on its way out */
        return p->has_left ? 0 : say_bye(p);
    if (p->is_out) /* it had said that it cannot work */
        return 0;
    find_cause(p, status, &lost);
    if (tell(p, &lost) < 0)
        return -1;
    struct bq_error why = {0};
    if (p->n_fruitless < MOST_FRUITLESS && p->n_suspecting < MOST_SUSPECTING &&
        p->n_between < MOST_BETWEEN)
        return start(p, &why) < 0 ? refuse(p, why.text) : 0;
    char text[300];
    snprintf(text, sizeof text, "its cooks' process ended %u times %s: %.200s",
             p->n_between < MOST_BETWEEN ? p->n_fruitless + p->n_suspecting : p->n_between,
             p->n_between < MOST_BETWEEN ? "without a result" : "outside of any chunk", lost.text);
    return refuse(p, text);
}

/* -- passing on --------------------------------------------------------------------------- */

static enum bq_message_kind kind_of(const struct bq_parcel *parcel)
{
    return parcel->size ? *(const unsigned char *)parcel->bytes : 0;
}

/* What a message of the child means for its porter. */
static void note(struct porter *p, const struct bq_parcel *parcel)
{
    struct bq_message m;
    enum bq_message_kind kind = kind_of(parcel);
    p->heard_at = p->clock;
    p->has_left |= kind == BQ_BYE;
    if (kind == BQ_RESULT)
        p->n_fruitless = p->n_suspecting = 0;
    if (kind == BQ_REFUSED && bq_wire_get(parcel->bytes, parcel->size, &m) == 0 && m.step == 0)
        p->is_out = true; /* it does nothing any more but wait for BYE */
}

enum passed { PASSED_ALL, PASSED_SOME, PASSED_LAST };

/* From the child, as many as the transport may have under way. SOME: there may be more; LAST: none
 * will come any more. -1: nothing can go on. */
static int pass_up(struct porter *p)
{
    struct bq_parcel *parcel;
    while (p->frames && (p->n_under_way = bq_transport_progress(p->transport, p->err)) >= 0) {
        if (p->n_under_way >= MOST_UNDER_WAY) {
            p->heard_at = p->clock; /* as far as we listen */
            return PASSED_SOME;
        }
        int got = bq_frames_read(p->frames, &parcel);
        if (got <= 0)
            return got < 0 ? PASSED_LAST : PASSED_ALL;
        note(p, parcel);
        if (bq_transport_send(p->transport, 0, parcel, p->err) < 0)
            return -1;
    }
    return p->n_under_way < 0 ? -1 : PASSED_ALL;
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
    if (!p->frames)
        return is_bye && !p->has_left ? say_bye(p) : 0;
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
static void look(struct porter *p, bool is_deaf)
{
    uint64_t now = bq_now(), slept = now - p->looked_at;
    struct bq_at at;
    char why[100];
    p->looked_at = now;
    p->clock += slept < 2 * p->patience_ns ? slept : 2 * p->patience_ns;
    if (!p->frames || p->killed_why[0])
        return;
    p->deaf_at = !is_deaf ? 0 : p->deaf_at ? p->deaf_at : p->clock;
    bool is_dying = bq_vitals_is_dying(p->vitals);
    uint64_t limit_ns = is_dying ? 0 : bq_vitals_overdue(p->vitals, p->clock, &at);
    uint64_t silent_ns = p->clock - p->heard_at;
    if (limit_ns) {
        snprintf(why, sizeof why, "the kernel took longer than its deadline of %g s",
                 (double)limit_ns / 1e9);
        kill_for(p, why, &at);
    } else if (p->deaf_at && !is_dying && p->clock - p->deaf_at > DEAF_NS) {
        kill_for(p, "the kernel closed the connection of its process, so that was killed", NULL);
    } else if (silent_ns > p->silence_ns / 2 && !p->is_out) {
        kill_for(p, "nothing was heard of the kernel's process, so it was killed", NULL);
    }
}

/* Whether the child has ended; first everything that it sent is passed on. */
static int look_for_end(struct porter *p)
{
    int status, passed;
    int ended = p->is_orphan ? 0 : bq_zygote_ended(p->zygote, &status);
    if (ended == 0)
        return 0;
    /* What it has sent is there. A process that the kernel has forked may keep the socket open. */
    for (uint64_t limit = bq_now() + FLUSH_NS; (passed = pass_up(p)) == PASSED_SOME;) {
        if (bq_now() > limit)
            break;
        bq_transport_wait(p->transport, 1000000, -1);
    }
    if (passed < 0)
        return -1;
    if (ended > 0)
        return mourn(p, status);
    p->is_orphan = true;
    watch(p, bq_zygote_fd(p->zygote), 0, EPOLL_CTL_DEL);
    drop_child(p);
    if (p->has_left || p->is_bye)
        return p->has_left ? 0 : say_bye(p);
    return p->is_out ? 0 : refuse(p, "the helper that starts its cooks' process was killed");
}

static int serve(struct porter *p)
{
    p->looked_at = bq_now();
    p->patience_ns = p->silence_ns / 20 < PATIENCE_NS ? p->silence_ns / 20 : PATIENCE_NS;
    while (!p->has_left || p->frames) {
        int passed;
        uint32_t rank;
        if (pass_down(p) < 0 || (passed = pass_up(p)) < 0 || look_for_end(p) < 0)
            return -1;
        look(p, passed == PASSED_LAST);
        if (!p->has_left && bq_transport_lost(p->transport, &rank))
            return bq_fail(p->err, BQ_EXIT_FAILED, "the coordinator is gone");
        if (p->has_left && !p->frames)
            break;
        /* What cannot be passed on, or has ended, is no reason to wake up. */
        bool is_blind = p->frames && passed != PASSED_ALL;
        bq_transport_wait(p->transport, is_blind ? 1000000 : p->patience_ns,
                          is_blind ? -1 : p->events);
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
    return start.n ? isolate(&p) : bq_kitchen(transport, registry, p.silence_ns, leave, err);
}
