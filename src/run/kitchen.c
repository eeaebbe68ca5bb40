/* See kitchen.h. A step in a kitchen:
 *
 *   STEP -> get ready -> JOIN -> { lease -> pool -> results merged -> RESULT, REQUEST } -> CLOSE ->
 * REPORT
 */
#include "run/kitchen_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "adapters/clock.h"
#include "adapters/memory.h"
#include "base/heap.h"
#include "core/wire.h"
#include "run/execute.h"

#define PATIENCE_NS 100000000u

/* -- asking for work ---------------------------------------------------------------------- */

static int ask(struct kitchen *k)
{
    uint64_t n_chunks, busy, now = bq_now();
    bq_pool_count(k->pool, &n_chunks, &busy);
    bq_lookahead_measure(&k->lookahead, n_chunks, busy / k->recipe.open);
    uint64_t low_water = bq_lookahead_low_water(&k->lookahead, k->n_cooks);
    uint64_t unstarted = bq_pool_unstarted(k->pool);
    bq_pool_low_water(k->pool, low_water);
    if (k->is_closed || !bq_lookahead_should_ask(&k->lookahead, unstarted, k->n_cooks, now))
        return 0;
    if (bq_sender_flush(&k->sender) < 0)
        return -1;
    k->n_requests++;
    struct bq_message request = {.kind = BQ_REQUEST,
                                 .first = low_water >= unstarted ? low_water + 1 - unstarted : 0,
                                 .count = unstarted,
                                 .tau_ns = k->lookahead.tau_ns,
                                 .wait_ns = k->lookahead.wait_ns};
    return bq_sender_message(&k->sender, &request);
}

/* -- the step ----------------------------------------------------------------------------- */

static void ignore(void *context, const struct bq_finished *finished)
{
    (void)context;
    if (finished->is_failed)
        bq_free(finished->payload);
    else if (finished->payload)
        ((struct bq_parcel *)finished->payload)->release(finished->payload);
}

static int report(struct kitchen *k)
{
    struct bq_kitchen_report r = {.rank = k->transport->rank,
                                  .pid = (uint32_t)getpid(),
                                  .n_cores = k->place.n_allowed,
                                  .n_leases = k->n_leases,
                                  .n_requests = k->n_requests,
                                  .n_open_max = bq_pool_open_max(k->pool),
                                  .budget = k->budget,
                                  .peak = bq_memory_peak(),
                                  .is_served = bq_executor_is_served(k->executor),
                                  .is_direct = bq_executor_is_direct(k->executor)};
    r.wait_ns = k->n_leases ? k->wait_total / k->n_leases : 0;
    gethostname(r.host, sizeof r.host - 1);
    memcpy(r.warning, k->warning, sizeof r.warning);
    bq_executor_bytes(k->executor, &r.bytes_in, &r.bytes_out);
    r.cooks = bq_alloc(k->n_cooks, sizeof *r.cooks);
    if (!r.cooks)
        return bq_fail(k->err, BQ_EXIT_FAILED, "out of memory for the report");
    r.n_cooks = k->n_cooks;
    const int *core = bq_kitchen_cores(k);
    for (uint32_t i = 0; i < k->n_cooks; i++) {
        r.cooks[i].core = core ? core[i] : -1;
        r.cooks[i].n_chunks = bq_pool_cook_chunks(k->pool, i);
        r.cooks[i].track = *bq_pool_track(k->pool, i);
        r.n_chunks += r.cooks[i].n_chunks;
    }
    size_t size = BQ_WIRE_FIXED + bq_wire_report_size(&r);
    unsigned char *bytes = bq_alloc(1, size);
    int rc = -1;
    if (bytes) {
        struct bq_writer w = bq_writer(bytes, size);
        bq_wire_put(&w, &(struct bq_message){.kind = BQ_REPORT, .step = k->step});
        bq_wire_put_report(&w, &r);
        rc = bq_transport_send_copy(k->transport, 0, bytes, (size_t)(w.at - bytes), k->err);
    } else {
        bq_fail(k->err, BQ_EXIT_FAILED, "out of memory for the report");
    }
    bq_free(bytes);
    bq_free(r.cooks);
    return rc;
}

static int handle(struct kitchen *k, struct bq_message *message)
{
    if (message->kind == BQ_BYE) {
        k->exit_code = (int)message->n;
        k->is_closed = true;
        return 0;
    }
    if (message->step != k->step)
        return 0;
    if (message->kind == BQ_CLOSE) {
        k->is_closed = true;
    } else if (!k->pool) {
        return 0; /* this kitchen refused the step; others may not know yet */
    } else if (message->kind == BQ_LEASE) {
        uint64_t n_chunks = k->recipe.plan.n_chunks;
        if (message->first >= n_chunks || message->count > n_chunks - message->first)
            return 0; /* no message is trusted */
        k->n_leases++;
        k->wait_total += bq_lookahead_answered(&k->lookahead, bq_now());
        if (!bq_pool_add(k->pool, message->first, message->count))
            return bq_sender_message(&k->sender, &(struct bq_message){.kind = BQ_DROPPED,
                                                                      .first = message->first,
                                                                      .count = message->count});
    } else if (message->kind == BQ_REVOKE) {
        uint64_t from, n = bq_pool_drop(k->pool, message->first, message->count, &from);
        if (n)
            return bq_sender_message(
                &k->sender, &(struct bq_message){.kind = BQ_DROPPED, .first = from, .count = n});
    } else if (message->kind == BQ_STORED || message->kind == BQ_NOT_STORED) {
        bq_executor_supply(k->executor, (struct bq_part){message->first, message->n},
                           &message->rest, message->kind == BQ_STORED ? NULL : message->text);
    }
    return 0;
}

static int receive_all(struct kitchen *k)
{
    uint32_t from;
    void *bytes;
    size_t size;
    int got;
    while (!k->is_closed &&
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

/* Passes on what the cooks want of the coordinator. */
static int fetch(struct kitchen *k)
{
    struct bq_part part;
    while (!k->is_closed && bq_executor_wants(k->executor, &part)) {
        if (bq_sender_message(
                &k->sender,
                &(struct bq_message){.kind = BQ_FETCH, .n = part.number, .first = part.chunk}) < 0)
            return -1;
    }
    return 0;
}

static int serve(struct kitchen *k)
{
    uint64_t first, count;
    bq_policy_first(&k->recipe.schedule, k->recipe.plan.n_chunks, k->recipe.n_kitchens, k->index,
                    &first, &count);
    if (count) {
        k->n_leases++;
        bq_pool_add(k->pool, first, count);
    }
    while (!k->is_closed) {
        if (receive_all(k) < 0)
            return -1;
        bq_pool_collect(k->pool, bq_sender_take, &k->sender);
        if (k->sender.has_failed || fetch(k) < 0 || ask(k) < 0)
            return -1;
        if ((bq_pool_is_idle(k->pool) || bq_sender_due(&k->sender) <= bq_now()) &&
            bq_sender_flush(&k->sender) < 0)
            return -1;
        if (bq_transport_progress(k->transport, k->err) < 0)
            return -1;
        if (k->is_closed)
            break;
        uint64_t now = bq_now(), due = bq_sender_due(&k->sender);
        uint64_t wait = due <= now ? 0 : due - now < PATIENCE_NS ? due - now : PATIENCE_NS;
        bq_transport_wait(k->transport, wait, k->bell);
    }
    return 0;
}

/* Waits for the coordinator's CLOSE after a REFUSED. */
static int wait_for_close(struct kitchen *k)
{
    while (!k->is_closed) {
        if (receive_all(k) < 0 || bq_transport_progress(k->transport, k->err) < 0)
            return -1;
        if (!k->is_closed)
            bq_transport_wait(k->transport, PATIENCE_NS, -1);
    }
    return 0;
}

static int run_step(struct kitchen *k, struct bq_message *message)
{
    uint64_t arrived = bq_now();
    /* Ranks of one machine share a clock; from another machine, the message's way is the error. */
    uint64_t epoch = k->transport->n_machines == 1 ? message->time : arrived;
    struct bq_error why = {0};
    k->step = k->sender.step = message->step;
    k->is_closed = false;
    k->warning[0] = 0;
    k->n_leases = k->n_requests = k->wait_total = 0;
    k->index = k->transport->rank - 1;
    bq_lookahead_init(&k->lookahead);
    int rc = bq_recipe_get(&message->rest, &k->recipe);
    bq_transport_done_with(k->transport);
    if (rc < 0 || k->index >= k->recipe.n_kitchens)
        bq_fail(&why, BQ_EXIT_FAILED, "the coordinator's message cannot be read");
    if (rc < 0 || why.text[0] || bq_kitchen_ready(k, &why, epoch) < 0) {
        struct bq_message refused = {.kind = BQ_REFUSED};
        snprintf(refused.text, sizeof refused.text, "%.250s", why.text);
        bq_kitchen_clean_up(k);
        return bq_sender_message(&k->sender, &refused) < 0 ? -1 : wait_for_close(k);
    }
    rc = bq_sender_message(&k->sender,
                           &(struct bq_message){.kind = BQ_JOIN,
                                                .n = k->n_cooks,
                                                .count = (uint64_t)k->n_cooks * k->recipe.open,
                                                .time = bq_now() - arrived});
    bq_affinity_answer_fast(); /* after the cooks were created: they must not inherit it */
    if (rc == 0)
        rc = serve(k);
    bq_executor_stop(k->executor);
    bq_pool_stop(k->pool);
    bq_executor_abandon(k->executor);
    bq_pool_collect(k->pool, ignore, NULL);
    if (rc == 0 && k->exit_code < 0 && bq_executor_commit(k->executor, &why) < 0) {
        struct bq_message refused = {.kind = BQ_REFUSED};
        snprintf(refused.text, sizeof refused.text, "%.250s", why.text);
        rc = bq_sender_message(&k->sender, &refused);
    } else if (rc == 0 && k->exit_code < 0) {
        rc = report(k);
    }
    /* Output under way is still read by the transport; it was counted or is not wanted. */
    while (rc == 0 && !bq_executor_is_settled(k->executor)) {
        rc = bq_transport_progress(k->transport, k->err) < 0 ? -1 : 0;
        bq_transport_wait(k->transport, 1000000, -1);
    }
    if (rc == 0)
        bq_kitchen_clean_up(k);
    return rc;
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
    if (bq_sender_message(&k->sender, &hello) < 0)
        return -1;
    while (k->exit_code < 0) {
        uint32_t from;
        void *bytes;
        size_t size;
        struct bq_message message;
        int got = bq_transport_receive(t, &from, &bytes, &size, k->err);
        if (got < 0 || bq_transport_progress(t, k->err) < 0)
            return -1;
        if (got == 0) {
            bq_transport_wait(t, PATIENCE_NS, -1);
            continue;
        }
        int is_message = bq_wire_get(bytes, size, &message) == 0;
        if (is_message && message.kind == BQ_STEP) {
            if (run_step(k, &message) < 0)
                return -1;
            continue;
        }
        if (is_message)
            handle(k, &message);
        bq_transport_done_with(t);
    }
    return 0;
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
    }
    if (bq_sender_message(&k->sender, &(struct bq_message){.kind = BQ_BYE}) < 0)
        rc = -1;
    if (k->bell >= 0)
        close(k->bell);
    bq_free(k);
    return rc;
}
