#include "run/kitchen_internal.h"

#include <stdio.h>
#include <unistd.h>

#include "adapters/clock.h"
#include "base/heap.h"

#define PATIENCE_NS 100000000u
#define MOST_BEAT_NS 1000000000u /* between signs of life */
#define BEATS 10                 /* in the time after which it is taken for dead */

/* -- messages ----------------------------------------------------------------------------- */

static struct station *station_find(struct kitchen *k, uint32_t step)
{
    struct station *s = k->stations;
    while (s && s->step != step)
        s = s->next;
    return s;
}

static int leave(struct kitchen *k)
{
    int rc = 0;
    k->is_leaving = true;
    for (struct station *s = k->stations; rc == 0 && s; s = s->next)
        rc = station_leave(s);
    return rc;
}

static int handle(struct kitchen *k, struct bq_message *message)
{
    struct station *s = station_find(k, message->step);
    if (message->kind == BQ_BYE) {
        k->exit_code = (int)message->n;
        if (message->count)
            bq_transport_is_broken(k->transport);
        for (s = k->stations; s; s = s->next)
            s->is_closed = true;
        return 0;
    }
    if (message->kind == BQ_FORGET) {
        station_forget(k, message->n);
        return 0;
    }
    if (message->kind == BQ_LEAVING)
        return leave(k);
    if (message->kind == BQ_STEP)
        return message->pid && message->pid != (uint32_t)getpid()
                   ? 0 /* meant for a process that was here before */
               : s && !s->is_closed ? 0
                                    : station_open(k, message);
    return s ? station_handle(s, message) : 0;
}

static int receive_all(struct kitchen *k)
{
    uint32_t from;
    void *bytes;
    size_t size;
    int got;
    while (k->exit_code < 0 &&
           (got = bq_transport_receive(k->transport, &from, &bytes, &size, k->err))) {
        struct bq_message message;
        if (got < 0)
            return -1;
        int rc = bq_wire_get(bytes, size, &message) == 0 ? handle(k, &message) : 0;
        bq_transport_done_with(k->transport);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* -- stations ----------------------------------------------------------------------------- */

int kitchen_is_busy(struct kitchen *k)
{
    return bq_sender_message(&k->sender, &(struct bq_message){.kind = BQ_BEAT, .n = 1});
}

/* A sign of life; and whether there is one of the coordinator. When everything is done or given
 * back, it hears that this kitchen leaves. */
static int look_around(struct kitchen *k)
{
    uint32_t rank;
    uint64_t now = bq_now();
    if (bq_transport_lost(k->transport, &rank)) {
        k->exit_code = BQ_EXIT_FAILED; /* nobody will say BYE */
        return bq_fail(k->err, BQ_EXIT_FAILED, "the coordinator is gone");
    }
    if (k->leave && *k->leave && !k->is_leaving && leave(k) < 0)
        return -1;
    bool is_idle = k->is_leaving && !k->has_left;
    for (struct station *s = k->stations; is_idle && s; s = s->next)
        is_idle = !s->pool || s->is_reported || bq_pool_is_idle(s->pool);
    if (is_idle) {
        k->has_left = true;
        for (struct station *s = k->stations; s; s = s->next) {
            if (s->pool && !s->is_reported && bq_sender_flush(&s->sender) < 0)
                return -1;
        }
        return bq_sender_message(&k->sender, &(struct bq_message){.kind = BQ_LEAVING});
    }
    if (now < k->beat_at)
        return 0;
    k->beat_at = now + k->beat_ns;
    return bq_sender_message(&k->sender, &(struct bq_message){.kind = BQ_BEAT});
}

/* What each has to do; those that are over are removed. */
static int turn_all(struct kitchen *k, uint64_t *due)
{
    *due = UINT64_MAX;
    for (struct station **at = &k->stations; *at;) {
        struct station *s = *at;
        uint64_t own;
        if (station_turn(s, &own) < 0)
            return -1;
        *due = own < *due ? own : *due;
        if (station_is_over(s)) {
            *at = s->next;
            station_destroy(s);
        } else {
            at = &s->next;
        }
    }
    return 0;
}

static int serve(struct kitchen *k)
{
    while (k->exit_code < 0 || k->stations) {
        uint64_t due;
        if (receive_all(k) < 0 || turn_all(k, &due) < 0 ||
            bq_transport_progress(k->transport, k->err) < 0 ||
            (k->exit_code < 0 && look_around(k) < 0))
            return -1;
        if (k->exit_code >= 0 && !k->stations)
            break;
        bool is_parting = k->exit_code >= 0; /* nobody rings when a parcel is taken */
        for (struct station *s = k->stations; s; s = s->next)
            is_parting = is_parting || (s->is_reported && !s->is_resting);
        uint64_t now = bq_now(), patience = k->beat_ns < PATIENCE_NS ? k->beat_ns : PATIENCE_NS;
        uint64_t most = is_parting ? 1000000 : patience;
        uint64_t wait = due <= now ? 0 : due - now < most ? due - now : most;
        bq_transport_wait(k->transport, wait, k->bell);
        bq_bell_reset(k->bell);
    }
    return 0;
}

/* From HELLO to BYE. Returns 0, or -1 with k->err. */
static int work(struct kitchen *k)
{
    struct bq_transport *t = k->transport;
    struct bq_message hello = {.kind = BQ_HELLO, .n = BQ_WIRE_VERSION, .pid = (uint32_t)getpid()};
    if (k->bell < 0)
        return bq_fail(k->err, BQ_EXIT_FAILED, "no file descriptor is left (ulimit -n)");
    if (bq_affinity_find(&k->place, t->machine_rank, t->machine_ranks, k->err) < 0)
        return -1;
    hello.n_cores = k->place.n_share;
    hello.count = k->place.n_machine;
    gethostname(hello.text, 63);
    return bq_sender_message(&k->sender, &hello) < 0 ? -1 : serve(k);
}

/* A kitchen that cannot work stays until all leave: the others go on. */
static void await_bye(struct kitchen *k)
{
    while (k->exit_code < 0) {
        uint32_t from, rank;
        void *bytes;
        size_t size;
        struct bq_message m;
        int got = bq_transport_receive(k->transport, &from, &bytes, &size, NULL);
        if (got < 0 || bq_transport_lost(k->transport, &rank))
            k->exit_code = BQ_EXIT_FAILED;
        if (got == 0)
            bq_transport_wait(k->transport, PATIENCE_NS, -1);
        if (got <= 0)
            continue;
        if (bq_wire_get(bytes, size, &m) == 0 && m.kind == BQ_BYE)
            handle(k, &m);
        bq_transport_done_with(k->transport);
    }
}

int bq_kitchen(struct bq_transport *transport, const struct bq_registry *registry,
               uint64_t silence_ns, atomic_int *leave_asked, struct bq_error *err)
{
    struct kitchen *k = bq_alloc(1, sizeof *k);
    if (!k)
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    *k = (struct kitchen){.transport = transport,
                          .registry = registry,
                          .err = err,
                          .exit_code = -1,
                          .leave = leave_asked,
                          .beat_ns =
                              silence_ns / BEATS < MOST_BEAT_NS ? silence_ns / BEATS : MOST_BEAT_NS,
                          .bell = bq_bell_create(),
                          .sender = {.transport = transport, .err = err}};
    int rc = work(k);
    if (rc < 0) { /* the coordinator must know; it may be out of reach */
        struct bq_message refused = {.kind = BQ_REFUSED};
        snprintf(refused.text, sizeof refused.text, "%.250s", err->text);
        k->sender.err = NULL;
        bq_sender_message(&k->sender, &refused);
        uint64_t due;
        await_bye(k);
        for (struct station *s = k->stations; s; s = s->next) {
            s->is_closed = true;
            station_turn(s, &due); /* its cooks stop */
        }
    }
    if (bq_sender_message(&k->sender, &(struct bq_message){.kind = BQ_BYE}) < 0)
        rc = -1;
    if (k->bell >= 0)
        close(k->bell);
    if (!k->stations) /* else the transport may still read parcels of theirs */
        bq_free(k);
    return rc;
}
