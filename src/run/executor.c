/* An executor from its creation to its end: input and output, and as many cooks and chunks in
 * progress as fit into memory. */
#include <stdatomic.h>

#include "base/heap.h"
#include "run/execute_internal.h"

#define AHEAD 8 /* chunks that a cook may have in progress while it waits for a slow file */

/* -- creation ----------------------------------------------------------------------------- */

static uint64_t in_bytes(const struct bq_recipe *recipe)
{
    return recipe->has_input ? recipe->plan.max_window * bq_type_size(recipe->in_type) : 0;
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

static struct need need_of(const struct bq_recipe *recipe, bool is_served, bool is_direct,
                           bool has_plenty)
{
    struct bq_intake_memory in = bq_intake_memory(recipe, is_served, has_plenty);
    struct bq_outlet_memory out = bq_outlet_memory(recipe, is_direct);
    size_t result = bq_recipe_result_size(recipe);
    return (struct need){.slot = in.slot + in_bytes(recipe) + bq_recipe_result_size(recipe) +
                                 stack_bytes(recipe) + recipe->state_size + sizeof(struct bench) +
                                 5 * BQ_HEAP_EXTRA,
                         .cook = in.cook + out.cook + bq_pool_memory(recipe->open, result) +
                                 2 * result, /* and merged ones, waiting to be sent */
                         .fixed = in.fixed + out.fixed};
}

/* The largest number when it does not fit. */
static uint64_t total(struct need need, unsigned n_cooks, unsigned n_slots)
{
    unsigned __int128 cook = need.cook + (unsigned __int128)n_slots * need.slot;
    unsigned __int128 all = need.fixed + n_cooks * cook;
    return all < UINT64_MAX ? (uint64_t)all : UINT64_MAX;
}

uint64_t bq_executor_memory(const struct bq_recipe *recipe, unsigned n_cooks, unsigned n_slots)
{
    bool is_direct =
        recipe->output.how == BQ_OUTPUT_DIRECT || recipe->output.how == BQ_OUTPUT_SHARDED;
    return total(need_of(recipe, false, is_direct, false), n_cooks, n_slots);
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
    bench->in = x->recipe->has_input ? bq_room(1, in_bytes(x->recipe)) : NULL;
    bench->stack = has_runs ? bq_room(1, stack_bytes(x->recipe)) : NULL;
    bench->state = x->recipe->state_size ? bq_alloc(1, (size_t)x->recipe->state_size) : NULL;
    bench->box.rank = plan->space.rank;
    bench->in_block = (struct bq_block){.type = x->recipe->in_type,
                                        .rank = plan->space.rank,
                                        .extent = bench->window,
                                        .offset = bench->box.offset,
                                        .data = bench->in};
    bench->out_block = bench->in_block;
    bench->out_block.extent = bench->box.extent;
    bench->out_block.type = x->recipe->out_type;
    bench->out_block.data = NULL;
    bool is_missing = (x->recipe->has_input && !bench->in) || (has_runs && !bench->stack) ||
                      (x->recipe->state_size && !bench->state);
    return is_missing ? -1 : 0;
}

/* As many cooks as fit, then as many chunks in progress: what is fetched ahead helps only where a
 * cook would wait, and a cook that is not there helps nobody. */
static int fit(const struct bq_executor *x, unsigned *n_cooks, unsigned *n_slots, bool *has_plenty,
               uint64_t budget, struct bq_error *err)
{
    const struct bq_recipe *recipe = x->recipe;
    bool is_served = bq_executor_is_served(x), is_direct = bq_executor_is_direct(x);
    /* A kernel that waits keeps its output's place meanwhile: it has as many as the job says. */
    bool is_fixed = recipe->open > 1 || !recipe->has_input || (x->kernel->flags & BQ_WAITS);
    unsigned cooks = *n_cooks, least = is_fixed ? recipe->open : 1;
    struct need need = need_of(recipe, is_served, is_direct, true);
    *has_plenty = total(need, cooks, least) <= budget;
    if (!*has_plenty)
        need = need_of(recipe, is_served, is_direct, false);
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
    bool has_plenty;
    if (fit(x, n_cooks, n_slots, &has_plenty, budget, err) < 0)
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
    if (x->intake && bq_intake_prepare(x->intake, *n_cooks, *n_slots, has_plenty, err) < 0)
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

bool bq_executor_wants(struct bq_executor *x, struct bq_part *part)
{
    return x->intake && bq_intake_wanted(x->intake, part);
}

void bq_executor_supply(struct bq_executor *x, struct bq_part part, struct bq_reader *rest,
                        const char *why)
{
    if (x->intake)
        bq_intake_supply(x->intake, part, rest, why);
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
        bq_free(x->benches[i].state);
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
    for (unsigned i = 0; i < x->n_benches; i++)
        bq_abandon(x, &x->benches[i]);
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
