#include "run/execute.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "adapters/clock.h"
#include "base/heap.h"
#include "run/intake.h"
#include "run/merge.h"
#include "run/outlet.h"

#define AHEAD 8 /* chunks that a cook may have in progress while it waits for a slow file */

/* What one open chunk of one cook needs. */
struct bench {
    void *in;
    uint64_t chunk;
    struct bq_box box;
    struct bq_block in_block, out_block;
    bool is_fetching;     /* its input is on the way */
    unsigned stage;       /* of the kernel */
    uint64_t begun;       /* clock, when its input was there */
    unsigned char *stack; /* results of a run on their way up the tree */
};

struct bq_executor {
    const struct bq_recipe *recipe;
    const struct bq_kernel *kernel;
    struct bq_merge merge;
    struct bq_intake *intake; /* NULL when the step has no input */
    struct bq_outlet *outlet; /* NULL when it has no output */
    size_t result_size, stride;
    unsigned n_slots, n_benches;
    struct bench *benches;
    _Atomic uint64_t bytes_in, bytes_out;
};

/* -- creation ----------------------------------------------------------------------------- */

static uint64_t in_bytes(const struct bq_recipe *recipe)
{
    return recipe->has_input ? recipe->plan.max_elements * bq_type_size(recipe->in_type) : 0;
}

bool bq_executor_takes_runs(const struct bq_executor *x)
{
    return !(x->kernel->flags & BQ_WAITS) && !x->recipe->is_team &&
           (!x->outlet || bq_executor_is_direct(x)) && !bq_executor_is_served(x);
}

/* Results of a run on their way up the tree. */
static uint64_t stack_bytes(const struct bq_recipe *recipe)
{
    return (BQ_POOL_MAX_LEVEL + 2) * ((bq_recipe_result_size(recipe) + 63) / 64 * 64);
}

/* For each chunk in progress, for each cook, and once. */
struct need {
    uint64_t slot, cook, fixed;
};

static struct need need_of(const struct bq_recipe *recipe, bool is_served, bool is_direct)
{
    struct bq_intake_memory in = bq_intake_memory(recipe, is_served);
    struct bq_outlet_memory out = bq_outlet_memory(recipe, is_direct);
    return (struct need){.slot = in.slot + in_bytes(recipe) + bq_recipe_result_size(recipe) +
                                 stack_bytes(recipe),
                         .cook = in.cook + out.cook,
                         .fixed = in.fixed + out.fixed};
}

static uint64_t total(struct need need, unsigned n_cooks, unsigned n_slots)
{
    return need.fixed + n_cooks * (need.cook + n_slots * need.slot);
}

uint64_t bq_executor_memory(const struct bq_recipe *recipe, unsigned n_cooks, unsigned n_slots)
{
    bool is_direct =
        recipe->output.how == BQ_OUTPUT_DIRECT || recipe->output.how == BQ_OUTPUT_SHARDED;
    return total(need_of(recipe, false, is_direct), n_cooks, n_slots);
}

struct bq_executor *bq_executor_create(const struct bq_recipe *recipe,
                                       const struct bq_kernel *kernel, uint32_t step,
                                       uint32_t shard, struct bq_error *err)
{
    struct bq_executor *x = bq_alloc(1, sizeof *x);
    if (!x) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return NULL;
    }
    x->recipe = recipe;
    x->kernel = kernel;
    x->merge = (struct bq_merge){.recipe = recipe, .kernel = kernel};
    x->result_size = bq_recipe_result_size(recipe);
    x->stride = (x->result_size + 63) / 64 * 64;
    if (recipe->has_input)
        x->intake = bq_intake_create(recipe, err);
    if (recipe->has_output)
        x->outlet = bq_outlet_create(recipe, step, shard, err);
    if ((recipe->has_input && !x->intake) || (recipe->has_output && !x->outlet)) {
        bq_executor_destroy(x);
        return NULL;
    }
    return x;
}

static int bench_create(struct bq_executor *x, struct bench *bench)
{
    const struct bq_plan *plan = &x->recipe->plan;
    bool has_runs = bq_executor_takes_runs(x);
    bench->in = x->recipe->has_input ? bq_alloc(1, in_bytes(x->recipe)) : NULL;
    bench->stack = has_runs ? bq_alloc(1, stack_bytes(x->recipe)) : NULL;
    bench->box.rank = plan->space.rank;
    bench->in_block = (struct bq_block){.type = x->recipe->in_type,
                                        .rank = plan->space.rank,
                                        .extent = bench->box.extent,
                                        .offset = bench->box.offset,
                                        .data = bench->in};
    bench->out_block = bench->in_block;
    bench->out_block.type = x->recipe->out_type;
    bench->out_block.data = NULL;
    return (x->recipe->has_input && !bench->in) || (has_runs && !bench->stack) ? -1 : 0;
}

/* As many cooks as fit, then as many chunks in progress: what is fetched ahead helps only where a
 * cook would wait, and a cook that is not there helps nobody. */
static int fit(const struct bq_executor *x, unsigned *n_cooks, unsigned *n_slots, uint64_t budget,
               struct bq_error *err)
{
    const struct bq_recipe *recipe = x->recipe;
    struct need need = need_of(recipe, bq_executor_is_served(x), bq_executor_is_direct(x));
    bool is_fixed = recipe->open > 1 || !recipe->has_input;
    unsigned cooks = *n_cooks, least = is_fixed ? recipe->open : 1;
    while (cooks > 1 && total(need, cooks, least) > budget)
        cooks--;
    if (total(need, cooks, least) > budget)
        return bq_fail(err, BQ_EXIT_USAGE,
                       "one cook needs %.1f MiB for its chunks, and `memory` leaves %.1f: give it "
                       "more, or choose a smaller `chunk`",
                       (double)total(need, 1, least) / (1 << 20), (double)budget / (1 << 20));
    unsigned slots = is_fixed ? recipe->open : AHEAD;
    while (slots > least && total(need, cooks, slots) > budget)
        slots--;
    *n_cooks = cooks;
    *n_slots = slots;
    return 0;
}

int bq_executor_prepare(struct bq_executor *x, unsigned *n_cooks, unsigned *n_slots,
                        uint64_t budget, struct bq_error *err)
{
    if (fit(x, n_cooks, n_slots, budget, err) < 0)
        return -1;
    unsigned n = *n_cooks * *n_slots;
    x->n_slots = *n_slots;
    x->benches = bq_alloc(n, sizeof *x->benches);
    for (unsigned i = 0; x->benches && i < n; i++) {
        x->n_benches = i + 1;
        if (bench_create(x, &x->benches[i]) < 0)
            return bq_fail(err, BQ_EXIT_FAILED, "out of memory for the chunks of %u cooks",
                           *n_cooks);
    }
    if (!x->benches)
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    if (x->intake && bq_intake_prepare(x->intake, *n_cooks, *n_slots, err) < 0)
        return -1;
    return x->outlet ? bq_outlet_prepare(x->outlet, *n_cooks, err) : 0;
}

bool bq_executor_is_served(const struct bq_executor *x)
{
    return x->intake && bq_intake_is_served(x->intake);
}

bool bq_executor_is_direct(const struct bq_executor *x)
{
    return x->outlet && bq_outlet_is_direct(x->outlet);
}

bool bq_executor_wants(struct bq_executor *x, uint64_t *chunk)
{
    return x->intake && bq_intake_wanted(x->intake, chunk);
}

void bq_executor_supply(struct bq_executor *x, uint64_t chunk, struct bq_reader *rest,
                        const char *why)
{
    if (x->intake)
        bq_intake_supply(x->intake, chunk, rest, why);
}

/* -- the end ------------------------------------------------------------------------------ */

void bq_executor_destroy(struct bq_executor *x)
{
    if (!x)
        return;
    bq_intake_destroy(x->intake); /* first: it may still be filling benches */
    bq_outlet_destroy(x->outlet);
    for (unsigned i = 0; i < x->n_benches; i++) {
        bq_free(x->benches[i].in);
        bq_free(x->benches[i].stack);
    }
    bq_free(x->benches);
    bq_free(x);
}

bool bq_executor_is_settled(struct bq_executor *x)
{
    return !x->outlet || bq_outlet_is_settled(x->outlet);
}

void bq_executor_stop(struct bq_executor *x)
{
    bq_intake_stop(x->intake);
    if (x->outlet)
        bq_outlet_stop(x->outlet);
}

void bq_executor_abandon(struct bq_executor *x)
{
    if (x->outlet)
        bq_outlet_abandon(x->outlet);
}

int bq_executor_commit(struct bq_executor *x, struct bq_error *err)
{
    return x->outlet ? bq_outlet_commit(x->outlet, err) : 0;
}

void bq_executor_bytes(const struct bq_executor *x, uint64_t *in, uint64_t *out)
{
    *in = atomic_load(&x->bytes_in);
    *out = atomic_load(&x->bytes_out);
}

/* -- the kernel --------------------------------------------------------------------------- */

/* A call of the kernel, by one cook or shared by a team; the answer is that of part 0, a failure
 * of any part is a failure. */
struct shared_call {
    const struct bq_kernel *kernel;
    struct bq_call call;
    atomic_int has_failed;
    enum bq_answer answer; /* part 0 */
    uint64_t wait_ns;
    char message[120];
};

static void call_part(void *arg, unsigned part, unsigned n_parts)
{
    struct shared_call *shared = arg;
    struct bq_call call = shared->call;
    call.part = part;
    call.n_parts = n_parts;
    enum bq_answer answer = shared->kernel->cook(&call);
    if (answer == BQ_FAIL && !atomic_exchange(&shared->has_failed, 1))
        memcpy(shared->message, call.message, sizeof shared->message);
    if (part == 0) {
        shared->answer = answer;
        shared->wait_ns = call.wait_ns;
    }
}

static enum bq_answer call_kernel(struct bq_executor *x, struct bench *bench, struct bq_unit *unit,
                                  void *acc, char *message)
{
    struct shared_call shared = {.kernel = x->kernel,
                                 .call = {.params = x->recipe->params,
                                          .space = &x->recipe->plan.space,
                                          .chunk = bench->chunk,
                                          .in = &bench->in_block,
                                          .out = &bench->out_block,
                                          .acc = acc,
                                          .stage = bench->stage}};
    if (x->recipe->is_team)
        bq_pool_team(unit->pool, call_part, &shared);
    else
        call_part(&shared, 0, 1);
    unit->wait_ns = shared.wait_ns;
    memcpy(message, shared.message, sizeof shared.message);
    return atomic_load(&shared.has_failed) ? BQ_FAIL : shared.answer;
}

/* -- one chunk ---------------------------------------------------------------------------- */

/* No memory for the reason is a reason too: the payload stays NULL. */
static enum bq_unit_answer refuse(struct bq_unit *unit, const char *why, bool is_input)
{
    struct bq_refusal *refusal = bq_alloc(1, sizeof *refusal);
    if (refusal) {
        refusal->is_input = is_input;
        snprintf(refusal->why, sizeof refusal->why, "%.250s", why);
    }
    unit->payload = refusal;
    return BQ_UNIT_FAILED;
}

/* Lays out the bench and fetches the input. */
static enum bq_intake_answer begin(struct bq_executor *x, struct bench *bench, struct bq_unit *unit,
                                   uint64_t chunk, struct bq_error *err)
{
    bench->chunk = chunk;
    bench->stage = 0;
    bench->in_block.n = bench->out_block.n =
        bq_plan_chunk(&x->recipe->plan, chunk, bench->box.offset, bench->box.extent);
    if (!x->intake)
        return BQ_INTAKE_HERE;
    atomic_fetch_add_explicit(&x->bytes_in, bench->in_block.n * bq_type_size(x->recipe->in_type),
                              memory_order_relaxed);
    return bq_intake_begin(x->intake, unit, chunk, &bench->box, bench->in, unit->may_wait, err);
}

static enum bq_unit_answer finish(struct bq_executor *x, struct bench *bench, struct bq_unit *unit,
                                  void *result)
{
    struct bq_error err = {0};
    if (x->outlet) {
        size_t size = bench->out_block.n * bq_type_size(x->recipe->out_type);
        bq_merge_digest(bench->chunk, bench->out_block.data, size, result);
        if (bq_outlet_finish(x->outlet, unit, bench->chunk, &bench->box, result, &err) < 0)
            return refuse(unit, err.text, false);
        atomic_fetch_add_explicit(&x->bytes_out, size, memory_order_relaxed);
    }
    if (x->intake)
        bq_intake_cooked(x->intake, unit->cook, bq_now() - bench->begun);
    return BQ_UNIT_DONE;
}

/* Chunk `chunk` into `result`: begins it, or goes on where it waited. */
static enum bq_unit_answer execute_chunk(struct bq_executor *x, struct bench *bench,
                                         struct bq_unit *unit, uint64_t chunk, void *result)
{
    const struct bq_recipe *recipe = x->recipe;
    unsigned char *acc = (unsigned char *)result + (recipe->has_output ? BQ_DIGEST_SIZE : 0);
    struct bq_error err = {0};
    if (unit->stage == 0 || bench->is_fetching) {
        bench->begun = bq_now();
        enum bq_intake_answer here = unit->stage == 0 ? begin(x, bench, unit, chunk, &err)
                                                      : bq_intake_finish(x->intake, unit, &err);
        bench->is_fetching = here == BQ_INTAKE_LATER;
        if (here == BQ_INTAKE_LATER) {
            unit->wait_ns = BQ_POOL_EVENT;
            return BQ_UNIT_WAITS;
        }
        if (here == BQ_INTAKE_FAILED)
            return refuse(unit, err.text, true);
        if (x->result_size)
            bq_merge_nothing(&x->merge, result);
        if (x->outlet && !(bench->out_block.data = bq_outlet_begin(x->outlet, unit)))
            return refuse(unit, "stopped", false);
    }
    char message[120] = "";
    enum bq_answer answer = call_kernel(x, bench, unit, recipe->acc_size ? acc : NULL, message);
    if (answer == BQ_WAIT && (x->kernel->flags & BQ_WAITS)) {
        bench->stage++;
        return BQ_UNIT_WAITS;
    }
    if (answer == BQ_DONE)
        return finish(x, bench, unit, result);
    if (x->outlet)
        bq_outlet_drop(x->outlet, unit);
    message[sizeof message - 1] = 0;
    return refuse(unit,
                  message[0]          ? message
                  : answer == BQ_WAIT ? "the kernel waits, but its flags lack BQ_WAITS"
                                      : "the kernel gives no reason",
                  false);
}

enum bq_unit_answer bq_execute(void *context, struct bq_unit *unit)
{
    struct bq_executor *x = context;
    struct bench *bench = &x->benches[unit->cook * x->n_slots + unit->slot];
    if (unit->node.level == 0)
        return execute_chunk(x, bench, unit, unit->node.first, unit->result);
    /* A run: results climb the tree on a stack, siblings combined as soon as both are there. */
    struct bq_node top[BQ_POOL_MAX_LEVEL + 2];
    unsigned depth = 0;
    for (uint64_t i = 0; i < bq_node_size(unit->node); i++) {
        uint64_t chunk = unit->node.first + i;
        enum bq_unit_answer answer =
            execute_chunk(x, bench, unit, chunk, bench->stack + depth * x->stride);
        if (answer != BQ_UNIT_DONE) {
            if (answer == BQ_UNIT_FAILED)
                bq_free(unit->payload); /* each chunk is tried alone and says so itself */
            unit->payload = NULL;
            return BQ_UNIT_FAILED;
        }
        if (x->result_size == 0)
            continue;
        top[depth++] = (struct bq_node){.first = chunk, .level = 0};
        while (depth > 1 && bq_node_are_siblings(top[depth - 2], top[depth - 1])) {
            bq_merge_run(&x->merge, bench->stack + (depth - 2) * x->stride,
                         bench->stack + (depth - 1) * x->stride);
            depth--;
            top[depth - 1].level++;
        }
    }
    if (x->result_size)
        memcpy(unit->result, bench->stack, x->result_size);
    return BQ_UNIT_DONE;
}
