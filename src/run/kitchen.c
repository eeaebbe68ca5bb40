#include "run/kitchen_internal.h"

#include <stdio.h>
#include <unistd.h>

#include "adapters/clock.h"
#include "base/heap.h"

#define PATIENCE_NS 100000000u

/* -- messages ----------------------------------------------------------------------------- */

static struct station *station_find(struct kitchen *k, uint32_t step)
{
    struct station *s = k->stations;
    while (s && s->step != step)
        s = s->next;
    return s;
}

static int handle(struct kitchen *k, struct bq_message *message)
{
    struct station *s = station_find(k, message->step);
    if (message->kind == BQ_BYE) {
        k->exit_code = (int)message->n;
        for (s = k->stations; s; s = s->next)
            s->is_closed = true;
        return 0;
    }
    if (message->kind == BQ_FORGET) {
        station_forget(k, message->n);
        return 0;
    }
    if (message->kind == BQ_STEP)
        return s ? 0 : station_open(k, message);
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
            bq_transport_progress(k->transport, k->err) < 0)
            return -1;
        if (k->exit_code >= 0 && !k->stations)
            break;
        bool is_parting = k->exit_code >= 0; /* nobody rings when a parcel is taken */
        for (struct station *s = k->stations; s; s = s->next)
            is_parting = is_parting || (s->is_reported && !s->is_resting);
        uint64_t now = bq_now(), most = is_parting ? 1000000 : PATIENCE_NS;
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

int bq_kitchen(struct bq_transport *transport, const struct bq_registry *registry,
               struct bq_error *err)
{
    struct kitchen *k = bq_alloc(1, sizeof *k);
    if (!k)
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    *k = (struct kitchen){.transport = transport,
                          .registry = registry,
                          .err = err,
                          .exit_code = -1,
                          .bell = bq_bell_create(),
                          .sender = {.transport = transport, .err = err}};
    int rc = work(k);
    if (rc < 0) { /* the coordinator must know; it may be out of reach */
        struct bq_message refused = {.kind = BQ_REFUSED};
        snprintf(refused.text, sizeof refused.text, "%.250s", err->text);
        k->sender.err = NULL;
        bq_sender_message(&k->sender, &refused);
        k->exit_code = BQ_EXIT_FAILED;
        uint64_t due;
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
