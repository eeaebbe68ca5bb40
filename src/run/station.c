/* One step in a kitchen: see kitchen_internal.h. */
#include "run/kitchen_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "adapters/clock.h"
#include "adapters/memory.h"
#include "base/heap.h"
#include "run/execute.h"

/* -- asking for work ---------------------------------------------------------------------- */

static int ask(struct station *s)
{
    uint64_t n_chunks, busy, now = bq_now();
    bq_pool_count(s->pool, &n_chunks, &busy);
    bq_lookahead_measure(&s->lookahead, n_chunks, busy / s->recipe.open);
    uint64_t low_water = bq_lookahead_low_water(&s->lookahead, s->n_cooks);
    uint64_t unstarted = bq_pool_unstarted(s->pool);
    bq_pool_low_water(s->pool, low_water);
    if (s->is_closed || s->kitchen->is_leaving ||
        !bq_lookahead_should_ask(&s->lookahead, unstarted, s->n_cooks, now))
        return 0;
    if (bq_sender_flush(&s->sender) < 0)
        return -1;
    s->n_requests++;
    struct bq_message request = {.kind = BQ_REQUEST,
                                 .first = low_water >= unstarted ? low_water + 1 - unstarted : 0,
                                 .count = unstarted,
                                 .tau_ns = s->lookahead.tau_ns,
                                 .wait_ns = s->lookahead.wait_ns};
    return bq_sender_message(&s->sender, &request);
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

static int report(struct station *s)
{
    struct bq_kitchen_report r = {.rank = s->kitchen->transport->rank,
                                  .pid = (uint32_t)getpid(),
                                  .n_cores = s->kitchen->place.n_allowed,
                                  .n_leases = s->n_leases,
                                  .n_requests = s->n_requests,
                                  .n_open_max = bq_pool_open_max(s->pool),
                                  .budget = s->budget,
                                  .peak = bq_memory_peak(),
                                  .is_served = bq_executor_is_served(s->executor),
                                  .is_direct = bq_executor_is_direct(s->executor)};
    r.wait_ns = s->n_leases ? s->wait_total / s->n_leases : 0;
    gethostname(r.host, sizeof r.host - 1);
    memcpy(r.warning, s->warning, sizeof r.warning);
    bq_executor_bytes(s->executor, &r.bytes_in, &r.bytes_out);
    uint32_t n_workers = s->recipe.pipeline.is_on ? bq_pipeline_workers(&s->recipe.pipeline) : 0;
    r.cooks = bq_alloc(s->n_cooks + n_workers, sizeof *r.cooks);
    if (!r.cooks)
        return bq_fail(s->kitchen->err, BQ_EXIT_FAILED, "out of memory for the report");
    r.n_cooks = s->n_cooks;
    const int *core = station_cores(s);
    for (uint32_t i = 0; i < s->n_cooks; i++) {
        r.cooks[i].core = core ? core[i] : -1;
        r.cooks[i].n_chunks = bq_pool_cook_chunks(s->pool, i);
        r.cooks[i].track = *bq_pool_track(s->pool, i);
        r.n_chunks += r.cooks[i].n_chunks;
        r.cooks[i].stage = n_workers ? BQ_LINE_READ + 1 : 0;
    }
    for (uint32_t i = 0; i < n_workers; i++) {
        struct bq_cook_report *cook = &r.cooks[r.n_cooks++];
        enum bq_line_stage stage;
        cook->track = *bq_executor_track(s->executor, i, &stage, &cook->n_chunks);
        cook->stage = (uint8_t)(stage + 1);
        cook->core = -1;
    }
    size_t size = BQ_WIRE_FIXED + bq_wire_report_size(&r);
    unsigned char *bytes = bq_alloc(1, size);
    int rc = -1;
    if (bytes) {
        struct bq_writer w = bq_writer(bytes, size);
        bq_wire_put(&w, &(struct bq_message){.kind = BQ_REPORT, .step = s->step});
        bq_wire_put_report(&w, &r);
        rc = bq_transport_send_copy(s->kitchen->transport, 0, bytes, (size_t)(w.at - bytes),
                                    s->kitchen->err);
    } else {
        bq_fail(s->kitchen->err, BQ_EXIT_FAILED, "out of memory for the report");
    }
    bq_free(bytes);
    bq_free(r.cooks);
    return rc;
}

int station_handle(struct station *s, struct bq_message *message)
{
    if (message->kind == BQ_CLOSE) {
        s->is_closed = true;
    } else if (!s->pool || s->is_resting) {
        return 0; /* this kitchen refused the step, or is done with it; others may not know yet */
    } else if (message->kind == BQ_LEASE) {
        uint64_t n_chunks = s->recipe.plan.n_chunks;
        if (message->first >= n_chunks || message->count > n_chunks - message->first)
            return 0; /* no message is trusted */
        s->n_leases++;
        s->wait_total += bq_lookahead_answered(&s->lookahead, bq_now());
        if (s->kitchen->is_leaving || !bq_pool_add(s->pool, message->first, message->count))
            return bq_sender_message(&s->sender, &(struct bq_message){.kind = BQ_DROPPED,
                                                                      .first = message->first,
                                                                      .count = message->count});
    } else if (message->kind == BQ_REVOKE) {
        uint64_t from, n = bq_pool_drop(s->pool, message->first, message->count, &from);
        if (n)
            return bq_sender_message(
                &s->sender, &(struct bq_message){.kind = BQ_DROPPED, .first = from, .count = n});
    } else if (message->kind == BQ_STORED || message->kind == BQ_NOT_STORED) {
        bq_executor_supply(s->executor, (struct bq_part){message->first, message->n},
                           &message->rest, message->kind == BQ_STORED ? NULL : message->text);
    }
    return 0;
}

int station_leave(struct station *s)
{
    uint64_t from, n;
    while (s->pool && !s->is_reported &&
           (n = bq_pool_drop(s->pool, 0, s->recipe.plan.n_chunks, &from))) {
        if (bq_sender_message(&s->sender, &(struct bq_message){
                                              .kind = BQ_DROPPED, .first = from, .count = n}) < 0)
            return -1;
    }
    return 0;
}

/* Passes on what the cooks want of the coordinator. */
static int fetch(struct station *s)
{
    struct bq_part part;
    while (!s->is_closed && bq_executor_wants(s->executor, &part)) {
        if (bq_sender_message(
                &s->sender,
                &(struct bq_message){.kind = BQ_FETCH, .n = part.number, .first = part.chunk}) < 0)
            return -1;
    }
    return 0;
}

/* -- from its STEP to its end -------------------------------------------------------------- */

static int refuse(struct station *s, const struct bq_error *why)
{
    struct bq_message refused = {.kind = BQ_REFUSED};
    snprintf(refused.text, sizeof refused.text, "%.250s", why->text);
    return bq_sender_message(&s->sender, &refused);
}

/* The first lease is known without a message. */
static void take_first(struct station *s)
{
    uint64_t first, count;
    if (s->recipe.is_fed)
        return;
    bq_policy_first(&s->recipe.schedule, s->recipe.plan.n_chunks, s->recipe.n_kitchens, s->index,
                    &first, &count);
    if (count) {
        s->n_leases++;
        bq_pool_add(s->pool, first, count);
    }
}

static void clean_up(struct station *s)
{
    if (s->executor)
        bq_executor_stop(s->executor); /* first: whoever fetches may still tell the pool */
    bq_pool_destroy(s->pool);
    bq_executor_destroy(s->executor);
    bq_sender_close(&s->sender);
    s->pool = NULL;
    s->executor = NULL;
}

/* -- again -------------------------------------------------------------------------------- */

void station_forget(struct kitchen *k, uint32_t comes_again)
{
    for (struct station *s = k->stations; s; s = s->next) {
        if (s->is_resting && s->recipe.comes_again == comes_again)
            s->is_resting = false; /* it is over then */
    }
}

/* The next round of its step: only the recipe's own memory is exchanged, so that who points to the
 * recipe finds the new one. */
static bool wake(struct station *s, struct bq_recipe *recipe, uint32_t step)
{
    struct bq_recipe before = s->recipe;
    s->recipe = *recipe;
    if (!bq_executor_again(s->executor, step)) {
        s->recipe = before;
        return false;
    }
    bq_recipe_free(&before);
    bq_sender_again(&s->sender, step);
    bq_lookahead_init(&s->lookahead);
    s->step = step;
    s->n_leases = s->n_requests = s->wait_total = 0;
    s->is_closed = s->is_reported = s->is_resting = false;
    return true;
}

/* The station that rests for this step, awake; NULL when there is none that can serve it. */
static struct station *find_resting(struct kitchen *k, struct bq_recipe *recipe, uint32_t step)
{
    struct station *s = k->stations;
    while (s && !(s->is_resting && s->recipe.comes_again == recipe->comes_again))
        s = s->next;
    if (s && bq_recipe_is_alike(&s->recipe, recipe) && wake(s, recipe, step))
        return s;
    if (s)
        s->is_resting = false;
    return NULL;
}

/* A new one, which owns the recipe. NULL: without memory. */
static struct station *create(struct kitchen *k, const struct bq_recipe *recipe, uint32_t step)
{
    struct station *s = bq_alloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->kitchen = k;
    s->step = step;
    s->recipe = *recipe;
    s->sender = (struct bq_sender){.transport = k->transport, .err = k->err, .step = step};
    s->index = k->transport->rank - 1;
    s->next = k->stations;
    k->stations = s;
    bq_lookahead_init(&s->lookahead);
    return s;
}

int station_open(struct kitchen *k, struct bq_message *message)
{
    uint64_t arrived = bq_now();
    /* Ranks of one machine share a clock; from another machine, the message's way is the error. */
    uint64_t epoch = k->transport->n_machines == 1 ? message->time
                     : message->count < arrived    ? arrived - message->count
                                                   : 0;
    struct bq_error why = {0};
    struct bq_recipe recipe;
    int rc = bq_recipe_get(&message->rest, &recipe);
    bool comes_again = rc == 0 && recipe.comes_again != 0;
    struct station *s = comes_again ? find_resting(k, &recipe, message->step) : NULL;
    bool is_again = s != NULL;
    if (!s && !(s = create(k, &recipe, message->step))) {
        bq_recipe_free(&recipe);
        return bq_fail(k->err, BQ_EXIT_FAILED, "out of memory");
    }
    s->shard = (uint32_t)message->first;
    if (rc < 0 || (message->n == 0 && s->index >= s->recipe.n_kitchens))
        bq_fail(&why, BQ_EXIT_FAILED, "the coordinator's message cannot be read");
    if (rc < 0 || why.text[0] ||
        (!is_again && (kitchen_is_busy(k) < 0 || station_ready(s, &why, epoch) < 0))) {
        clean_up(s);
        return refuse(s, &why);
    }
    struct bq_message join = {.kind = BQ_JOIN,
                              .n = s->n_cooks,
                              .count = (uint64_t)s->n_cooks * s->recipe.open,
                              .time = bq_now() - arrived};
    if (bq_sender_message(&s->sender, &join) < 0)
        return -1;
    bq_affinity_answer_fast(); /* cooks have their own setting */
    if (message->n == 0)
        take_first(s);
    if (k->is_leaving && station_leave(s) < 0)
        return -1;
    if (is_again)
        bq_pool_resume(s->pool, epoch);
    return 0;
}

/* -- the end ------------------------------------------------------------------------------ */

/* False: not yet, some cook is at a chunk. Meanwhile the kitchen must not be silent. */
static bool stop(struct station *s)
{
    if (!s->is_stopping) {
        bq_executor_stop(s->executor);
        bq_pool_stop_begin(s->pool);
    }
    s->is_stopping = true;
    if (s->kitchen->exit_code < 0 && !bq_pool_has_stopped(s->pool))
        return false;
    bq_pool_stop(s->pool);
    bq_executor_abandon(s->executor);
    bq_pool_collect(s->pool, ignore, NULL);
    return true;
}

/* Whether the cooks can stay for the next round; then they rest. */
static bool rest(struct station *s)
{
    if (!s->recipe.comes_again || !bq_executor_may_rest(s->executor))
        return false;
    bq_pool_collect(s->pool, ignore, NULL);
    if (!bq_pool_is_idle(s->pool))
        return false; /* somebody is at a chunk that others have done */
    bq_pool_rest(s->pool);
    return true;
}

/* After CLOSE: the cooks stop, and the coordinator hears what they did. */
static int finish(struct station *s)
{
    struct bq_error why = {0};
    bool is_heard = s->kitchen->exit_code < 0;
    s->is_resting = is_heard && !s->is_stopping && rest(s);
    if (!s->is_resting && !stop(s))
        return 0;
    s->is_reported = true;
    if (!is_heard)
        return 0;
    if (kitchen_is_busy(s->kitchen) < 0)
        return -1;
    return bq_executor_commit(s->executor, &why) < 0 ? refuse(s, &why) : report(s);
}

int station_turn(struct station *s, uint64_t *due)
{
    *due = UINT64_MAX;
    if (s->is_resting && s->kitchen->exit_code >= 0) {
        s->is_resting = false;
        bq_pool_stop(s->pool);
    }
    if (!s->pool || s->is_reported)
        return 0;
    if (s->is_closed)
        return finish(s);
    bq_pool_collect(s->pool, bq_sender_take, &s->sender);
    if (s->sender.has_failed || fetch(s) < 0 || ask(s) < 0)
        return -1;
    if ((bq_pool_is_idle(s->pool) || bq_sender_due(&s->sender) <= bq_now()) &&
        bq_sender_flush(&s->sender) < 0)
        return -1;
    *due = bq_sender_due(&s->sender);
    return 0;
}

bool station_is_over(struct station *s)
{
    /* Output under way is still read by the transport; it was counted or is not wanted. */
    return s->is_closed && !s->is_resting &&
           (!s->pool || (s->is_reported && bq_executor_is_settled(s->executor)));
}

void station_destroy(struct station *s)
{
    clean_up(s);
    bq_recipe_free(&s->recipe);
    bq_library_close(s->library); /* last: nobody may be in the kernel any more */
    bq_free(s);
}
