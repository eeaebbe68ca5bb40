/* Messages, in both directions: a recipe and what a kitchen makes of it, then any messages in the
 * light of that recipe: what the scheduler is told, stored bytes, results, and what the coordinator
 * says of a report.
 *
 * The input: the bytes of the first message (2 bytes for their number), which is a STEP where the
 * others are to have a recipe; then the others, one behind the other. */
#include "fuzz.h"

#include "adapters/stored.h"
#include "base/heap.h"
#include "core/policy.h"
#include "core/report_text.h"
#include "core/report_verdict.h"
#include "core/scheduler.h"
#include "core/wire.h"
#include "run/execute.h"

#define BUDGET (UINT64_C(32) << 20) /* bytes that a kitchen is given */
#define MOST (UINT64_C(4) << 20)    /* bytes of anything that is allocated here */
#define MOST_PIECES (UINT64_C(1) << 16)
#define MOST_CHUNKS (UINT64_C(1) << 16)
#define MOST_KITCHENS 32

/* A sanitizer's; NULL without one. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t allocated(void)
{
    return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes() : 0;
}

/* -- a recipe ----------------------------------------------------------------------------- */

static struct bq_recipe recipe; /* large, so not on the stack; one input at a time */

/* What was read can be sent on, and is read as the same. */
static void send_on(const struct bq_recipe *first)
{
    static unsigned char bytes[2][sizeof(struct bq_recipe) + (1 << 20)];
    static struct bq_recipe second;
    struct bq_writer w = bq_writer(bytes[0], sizeof bytes[0]);
    bq_recipe_put(&w, first);
    size_t n = (size_t)(w.at - bytes[0]);
    struct bq_reader r = bq_reader(bytes[0], n);
    MUST(!w.is_bad && bq_recipe_get(&r, &second) == 0);
    w = bq_writer(bytes[1], sizeof bytes[1]);
    bq_recipe_put(&w, &second);
    MUST((size_t)(w.at - bytes[1]) == n && memcmp(bytes[0], bytes[1], n) == 0);
    bq_recipe_free(&second);
}

static void look_at_plan(const struct bq_recipe *step)
{
    const struct bq_plan *plan = &step->plan;
    uint64_t offset[BQ_MAX_RANK], extent[BQ_MAX_RANK], first, count;
    for (int i = 0; i < 3 && plan->n_chunks; i++) {
        uint64_t id = i == 0 ? 0 : i == 1 ? plan->n_chunks / 2 : plan->n_chunks - 1;
        uint64_t n = bq_plan_chunk(plan, id, offset, extent);
        MUST(n > 0 && n <= plan->max_elements);
        for (int k = 0; k < plan->space.rank; k++)
            MUST(offset[k] < plan->space.extent[k] &&
                 extent[k] <= plan->space.extent[k] - offset[k]);
    }
    for (uint32_t k = 0; k < 2; k++) {
        bq_policy_first(&step->schedule, plan->n_chunks, step->n_kitchens,
                        k * (step->n_kitchens - 1), &first, &count);
        MUST(count == 0 || (first < plan->n_chunks && count <= plan->n_chunks - first));
    }
}

/* As a kitchen gets ready that sees neither the input nor the work file. */
static void get_ready(struct bq_recipe *step)
{
    static const struct bq_kernel kernel = {.name = "fuzz"};
    struct bq_error err = {0};
    struct bq_fit fit;
    unsigned n_cooks = step->n_cooks ? step->n_cooks : 4;
    size_t before = allocated();
    step->delivery = BQ_DELIVERY_COORDINATOR;
    strcpy(step->output.work, "/dev/null/none");
    bq_executor_memory(step, n_cooks, step->open);
    struct bq_executor *executor = bq_executor_create(step, &kernel, 1, 1, &err);
    MUST(executor);
    if (bq_executor_prepare(executor, n_cooks, BUDGET, &fit, &err) == 0)
        MUST(fit.n_cooks > 0 && fit.n_slots > 0);
    else
        MUST(err.text[0]);
    MUST(allocated() <= before + BUDGET + BUDGET / 4);
    bq_executor_destroy(executor);
    MUST(allocated() <= before);
}

/* -- other messages ------------------------------------------------------------------- */

/* The coordinator's answer to FETCH: unpacked and decoded as a cook does it. */
static void take_stored(struct bq_message *m)
{
    const struct bq_layout *layout = &recipe.layout;
    const struct bq_plan *plan = &recipe.plan;
    size_t native = bq_type_size(recipe.in_type), chunk = bq_layout_chunk_bytes(layout);
    size_t room = bq_stored_room(layout, plan, native);
    uint64_t n_pieces = bq_stored_pieces(layout, plan), data_bytes = plan->max_elements * native;
    if (!recipe.has_input || plan->n_chunks == 0 || room > MOST || chunk > MOST ||
        data_bytes > MOST || n_pieces > MOST_PIECES)
        return;
    struct bq_box block = {.rank = plan->space.rank};
    uint64_t n = bq_plan_chunk(plan, m->first % plan->n_chunks, block.offset, block.extent);
    struct bq_stored stored = {.bytes = exactly(room),
                               .room = room,
                               .pieces = exactly((size_t)n_pieces * sizeof *stored.pieces)};
    if (bq_stored_get(&m->rest, layout, &block, native, &stored) == 0) {
        struct bq_error err = {0};
        unsigned n_shared = bq_stored_row(layout, plan) ? 2 : 0;
        struct bq_decoder decoder = {.codec = bq_codec_create(chunk, NULL),
                                     .scratch = exactly(chunk),
                                     .cache =
                                         n_shared ? bq_chunk_cache_create(n_shared, chunk) : NULL};
        unsigned char *data = exactly((size_t)n * native);
        MUST(decoder.codec && stored.n_pieces <= n_pieces);
        int rc = bq_stored_decode(layout, &block, &stored, &decoder, data, &err);
        MUST(rc == 0 || err.text[0]);
        free(data);
        free(decoder.scratch);
        bq_codec_destroy(decoder.codec);
        bq_chunk_cache_destroy(decoder.cache);
    }
    free(stored.bytes);
    free(stored.pieces);
}

static void take_result(struct bq_message *m, size_t result_size, uint64_t n_chunks)
{
    struct bq_node node;
    const void *result;
    while (bq_wire_get_node(m, result_size, n_chunks, &node, &result)) {
        MUST(node.first < n_chunks && bq_node_size(node) <= n_chunks - node.first);
        MUST(result || result_size == 0);
    }
}

static void count_line(void *context, const char *line)
{
    *(size_t *)context += strlen(line);
}

/* What the coordinator says at the end of a run whose kitchen sent this. */
static void take_report(struct bq_message *m)
{
    struct bq_kitchen_report kitchen;
    if (bq_wire_get_report(&m->rest, &kitchen) < 0)
        return;
    size_t size = bq_wire_report_size(&kitchen), n_text = 0;
    unsigned char *bytes = exactly(size);
    struct bq_writer w = bq_writer(bytes, size);
    bq_wire_put_report(&w, &kitchen);
    MUST(!w.is_bad);
    free(bytes);
    char verdict[200];
    struct bq_report report = {.version = "0",
                               .makespan_ns = m->time + kitchen.wait_ns,
                               .n_chunks = kitchen.n_chunks,
                               .n_machines = 1,
                               .n_cores = kitchen.n_cores,
                               .n_kitchens = 1,
                               .kitchens = &kitchen};
    struct bq_at_once at_once;
    bq_report_at_once(&report, &at_once);
    bq_report_verdict(&report, verdict, sizeof verdict);
    bq_report_text(&report, count_line, &n_text);
    MUST(n_text > 0);
    bq_free(kitchen.cooks);
}

/* What was read of it can be written, and is read as the same. */
static void put_again(const struct bq_message *m)
{
    unsigned char bytes[2][BQ_WIRE_FIXED];
    struct bq_message again;
    struct bq_writer w = bq_writer(bytes[0], sizeof bytes[0]);
    bq_wire_put(&w, m);
    size_t n = (size_t)(w.at - bytes[0]);
    MUST(!w.is_bad && bq_wire_get(bytes[0], n, &again) == 0);
    w = bq_writer(bytes[1], sizeof bytes[1]);
    bq_wire_put(&w, &again);
    MUST((size_t)(w.at - bytes[1]) == n && memcmp(bytes[0], bytes[1], n) == 0);
}

/* A step that goes on from an earlier run begins with what that has done: NOT_STORED. */
static struct bq_scheduler *start(bool is_resumed)
{
    struct bq_scheduler_config config = {.n_chunks = recipe.plan.n_chunks,
                                         .n_kitchens = recipe.n_kitchens,
                                         .schedule = recipe.schedule,
                                         .is_resumed = is_resumed};
    if (config.n_chunks == 0 || config.n_chunks > MOST_CHUNKS || config.n_kitchens > MOST_KITCHENS)
        return NULL;
    struct bq_scheduler *scheduler = bq_scheduler_create(&config, NULL);
    MUST(scheduler);
    return scheduler;
}

static bool is_given_up[MOST_CHUNKS];

static bool has_given_up(uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < MOST_CHUNKS && i - first < count; i++) {
        if (is_given_up[i])
            return true;
    }
    return false;
}

/* The coordinator's own events, which it tells as it may. */
static bool may_tell(const struct bq_event *event, bool is_first)
{
    if (event->kind == BQ_EVENT_RECALLED)
        return is_first;
    return event->kind != BQ_EVENT_UNDO || !has_given_up(event->first, event->count);
}

/* is_first: nothing but RECALLED was told yet. */
static void tell(struct bq_scheduler *scheduler, const struct bq_message *m, uint64_t now,
                 bool *is_first)
{
    static const struct {
        enum bq_message_kind message;
        enum bq_event_kind event;
    } events[] = {{BQ_JOIN, BQ_EVENT_JOIN},       {BQ_REQUEST, BQ_EVENT_REQUEST},
                  {BQ_DROPPED, BQ_EVENT_DROPPED}, {BQ_FAILED, BQ_EVENT_FAILED},
                  {BQ_LOST, BQ_EVENT_LOST},       {BQ_HELLO, BQ_EVENT_BACK},
                  {BQ_REVOKE, BQ_EVENT_UNDO},     {BQ_NOT_STORED, BQ_EVENT_RECALLED},
                  {BQ_BYE, BQ_EVENT_LOST},        {BQ_CLOSE, BQ_EVENT_STOP},
                  {BQ_LEASE, BQ_EVENT_DONE} /* of results */};
    struct bq_event event = {.kind = BQ_EVENT_TICK,
                             .kitchen = m->step % recipe.n_kitchens,
                             .first = m->first,
                             .count = m->kind == BQ_NOT_STORED ? m->n : m->count,
                             .want = m->first,
                             .n_cooks = m->n,
                             .tau_ns = m->tau_ns,
                             .svc_ns = m->wait_ns};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        if (events[i].message == m->kind)
            event.kind = events[i].event;
    }
    if (!may_tell(&event, *is_first))
        return;
    *is_first &= event.kind == BQ_EVENT_RECALLED;
    struct bq_action action;
    bq_scheduler_tell(scheduler, now, &event);
    for (unsigned i = 0; bq_scheduler_ask(scheduler, now, &action); i++) {
        MUST(i < 1000);
        if (action.kind == BQ_ACTION_GIVE_UP)
            is_given_up[action.first] = true;
    }
    bq_scheduler_wake(scheduler);
    const char *broken = bq_scheduler_check(scheduler);
    if (broken)
        fprintf(stderr, "%s\n", broken);
    MUST(!broken);
    MUST(bq_scheduler_n_given_up(scheduler) <= bq_scheduler_n_done(scheduler));
}

/* One message behind the other; the kitchen that sent one is what it says is its step. */
static void take_rest(const unsigned char *bytes, size_t n, bool has_recipe)
{
    struct bq_message m;
    bool is_first = true, is_resumed = bq_wire_get(bytes, n, &m) == 0 && m.kind == BQ_NOT_STORED;
    struct bq_scheduler *scheduler = has_recipe ? start(is_resumed) : NULL;
    uint64_t now = 0;
    memset(is_given_up, 0, sizeof is_given_up);
    for (size_t used = 0; bq_wire_get(bytes + used, n - used, &m) == 0;) {
        put_again(&m);
        now += m.step;
        if (scheduler)
            tell(scheduler, &m, now, &is_first);
        if (m.kind == BQ_RESULT)
            take_result(&m, has_recipe ? bq_recipe_result_size(&recipe) : BQ_DIGEST_SIZE,
                        has_recipe ? recipe.plan.n_chunks : 1000);
        else if (m.kind == BQ_REPORT)
            take_report(&m);
        else if (m.kind == BQ_STORED && has_recipe)
            take_stored(&m);
        MUST(m.rest.at >= bytes + used && m.rest.at <= bytes + n);
        used = (size_t)(m.rest.at - bytes);
    }
    bq_scheduler_destroy(scheduler);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n < 2)
        return 0;
    size_t n_first = (size_t)bytes[0] | (size_t)bytes[1] << 8;
    n_first = n_first < n - 2 ? n_first : n - 2;
    unsigned char *first = exact_copy(bytes + 2, n_first);
    unsigned char *rest = exact_copy(bytes + 2 + n_first, n - 2 - n_first);
    struct bq_message step;
    bool has_recipe = bq_wire_get(first, n_first, &step) == 0 && step.kind == BQ_STEP &&
                      bq_recipe_get(&step.rest, &recipe) == 0;
    if (has_recipe) {
        send_on(&recipe);
        look_at_plan(&recipe);
        get_ready(&recipe);
    }
    take_rest(rest, n - 2 - n_first, has_recipe);
    bq_recipe_free(&recipe);
    free(first);
    free(rest);
    return 0;
}
