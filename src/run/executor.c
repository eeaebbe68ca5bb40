/* An executor from its creation to its end: input and output, and as many cooks and chunks in
 * progress as fit into memory. */
#include <stdatomic.h>
#include <stdio.h>

#include "adapters/memory.h"
#include "base/heap.h"
#include "base/text.h"
#include "run/execute_internal.h"

#define AHEAD 8 /* chunks that a cook may have in progress while it waits for a slow file */
#define MOST_CACHED 4096
#define PROGRAM_BYTES (8u << 20) /* stacks, messages, results: what grows while a step runs */

/* -- creation ----------------------------------------------------------------------------- */

static uint64_t in_bytes(const struct bq_recipe *recipe)
{
    return recipe->has_input ? recipe->plan.max_window * bq_type_size(recipe->in_type) : 0;
}

bool bq_executor_takes_runs(const struct bq_executor *x)
{
    return !(x->kernel->flags & BQ_WAITS) && !x->recipe->is_team && !x->recipe->pipeline.is_on &&
           (!x->outlet || bq_executor_is_direct(x)) && !bq_executor_is_served(x);
}

/* Results of a run on their way up the tree. */
static uint64_t stack_bytes(const struct bq_recipe *recipe)
{
    return (BQ_POOL_MAX_LEVEL + 2) * ((bq_recipe_result_size(recipe) + 63) / 64 * 64);
}

/* For each chunk in progress, for each cook, for each decoded chunk that is kept, and once. */
struct need {
    uint64_t slot, cook, cached, fixed;
    unsigned row;     /* decoded chunks that should be kept */
    unsigned all;     /* those of the whole input, for the next round; 0: not wanted, or too many */
    bool is_long_row; /* and these are not all of them */
};

static struct need need_of(const struct bq_recipe *recipe, bool is_served, bool is_direct,
                           bool has_plenty)
{
    struct bq_intake_memory in = bq_intake_memory(recipe, is_served, has_plenty);
    struct bq_outlet_memory out = bq_outlet_memory(recipe, is_direct);
    size_t result = bq_recipe_result_size(recipe);
    unsigned n_workers = recipe->pipeline.is_on ? bq_pipeline_workers(&recipe->pipeline) : 0;
    return (struct need){.slot = in.slot + in_bytes(recipe) + bq_recipe_result_size(recipe) +
                                 stack_bytes(recipe) + recipe->state_size + sizeof(struct bench) +
                                 5 * BQ_HEAP_EXTRA,
                         .cook = in.cook + out.cook + bq_pool_memory(recipe->open, result) +
                                 2 * result, /* and merged ones, waiting to be sent */
                         .cached = in.cached,
                         .row = in.row < MOST_CACHED ? (unsigned)in.row : MOST_CACHED,
                         .is_long_row = in.row > MOST_CACHED,
                         .all = in.all <= MOST_CACHED ? (unsigned)in.all : 0,
                         .fixed = in.fixed + out.fixed + n_workers * out.worker};
}

/* The largest number when it does not fit. */
static uint64_t total(struct need need, unsigned n_cooks, unsigned n_slots, unsigned n_cached)
{
    unsigned __int128 cook = need.cook + (unsigned __int128)n_slots * need.slot;
    unsigned __int128 all = need.fixed + n_cooks * cook + (unsigned __int128)n_cached * need.cached;
    return all < UINT64_MAX ? (uint64_t)all : UINT64_MAX;
}

uint64_t bq_executor_memory(const struct bq_recipe *recipe, unsigned n_cooks, unsigned n_slots)
{
    bool is_direct =
        recipe->output.how == BQ_OUTPUT_DIRECT || recipe->output.how == BQ_OUTPUT_SHARDED;
    struct need need = need_of(recipe, false, is_direct, false);
    return total(need, n_cooks, n_slots, need.row ? n_cooks : 0);
}

/* Measured once, before the first step: later, buffers of the steps before are kept for the next,
 * and are no reason to refuse it. A fact about the process, so it may be kept by one. */
uint64_t bq_executor_taken(void)
{
    static _Atomic uint64_t taken;
    uint64_t none = 0;
    if (atomic_load(&taken) == 0)
        atomic_compare_exchange_strong(&taken, &none, bq_memory_resident() + PROGRAM_BYTES);
    return atomic_load(&taken);
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
    x->step = step;
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

/* Decoded chunks that are enough for so many cooks: a row, and what they hold while they pass from
 * one to the next. */
static unsigned enough(struct need need, unsigned n_cooks)
{
    return need.row ? need.row + 2 * n_cooks : 0;
}

/* The most cooks that fit, each with the least of everything, and with all decoded chunks of a row
 * or one each; 0: not even one. */
static unsigned most_cooks(struct need need, unsigned wanted, unsigned n_slots, bool has_row,
                           uint64_t budget)
{
    unsigned cooks = wanted;
    while (cooks > 0 && total(need, cooks, n_slots,
                              has_row    ? enough(need, cooks)
                              : need.row ? cooks
                                         : 0) > budget)
        cooks--;
    return cooks;
}

/* As many cooks as fit, then as many chunks in progress: what is fetched ahead helps only where a
 * cook would wait, and a cook that is not there helps nobody. But where chunks cut the file's so
 * that each stored one is decoded over and over, fewer cooks that keep what they decode are faster
 * than more that do not. */
int bq_executor_fit(const struct bq_recipe *recipe, const struct bq_kernel *kernel, bool is_served,
                    bool is_direct, unsigned n_cooks, uint64_t budget, struct bq_fit *fit,
                    struct bq_error *err)
{
    /* A kernel that waits keeps its output's place meanwhile: it has as many as the job says. */
    bool is_fixed = recipe->open > 1 || !recipe->has_input || (kernel->flags & BQ_WAITS);
    unsigned least = is_fixed ? recipe->open : 1;
    double repeats = recipe->has_input ? bq_stored_repeats(&recipe->layout, &recipe->plan) : 1;
    struct need need = need_of(recipe, is_served, is_direct, true);
    *fit = (struct bq_fit){.repeats = repeats};
    fit->has_plenty = total(need, n_cooks, least, enough(need, n_cooks)) <= budget;
    if (!fit->has_plenty)
        need = need_of(recipe, is_served, is_direct, false);
    /* All of the input, where half of the memory is enough for that. */
    fit->keeps_all = need.all && total(need, n_cooks, least, need.all + 2 * n_cooks) <= budget / 2;
    if (fit->keeps_all) {
        need.row = need.all;
        need.is_long_row = false;
    }
    fit->least_for_row = need.is_long_row ? UINT64_MAX : total(need, 1, least, enough(need, 1));
    unsigned thin = most_cooks(need, n_cooks, least, false, budget);
    unsigned keeping = need.is_long_row ? 0 : most_cooks(need, n_cooks, least, true, budget);
    if (thin == 0)
        return bq_fail(err, BQ_EXIT_USAGE,
                       "one cook needs %.1f MiB for its chunks, and `memory` leaves %.1f: give it "
                       "more, or choose a smaller `chunk`",
                       (double)total(need, 1, least, need.row ? 1 : 0) / (1 << 20),
                       (double)budget / (1 << 20));
    bool is_keeping = keeping * repeats >= thin;
    fit->n_cooks = is_keeping ? keeping : thin;
    unsigned cached = need.row ? fit->n_cooks : 0, most = enough(need, fit->n_cooks);
    if (is_keeping) {
        cached = most;
        fit->repeats = 1;
    } else if (need.cached) {
        uint64_t more = (budget - total(need, fit->n_cooks, least, cached)) / need.cached;
        cached = more < most - cached ? cached + (unsigned)more : most;
    }
    fit->n_slots = is_fixed ? recipe->open : AHEAD;
    while (fit->n_slots > least && total(need, fit->n_cooks, fit->n_slots, cached) > budget)
        fit->n_slots--;
    fit->n_cached = cached;
    fit->bytes = total(need, fit->n_cooks, fit->n_slots, cached);
    return 0;
}

const char *bq_executor_advice(const struct bq_recipe *recipe, const struct bq_fit *fit, char *out,
                               size_t size)
{
    const struct bq_space *stored = &recipe->layout.chunk;
    char chunk[120], memory[48] = "";
    if (fit->least_for_row < UINT64_MAX)
        snprintf(memory, sizeof memory, ", or `memory` of %llu MiB",
                 (unsigned long long)((fit->least_for_row + bq_executor_taken()) >> 20) + 1);
    snprintf(out, size, "choose a `chunk` of whole stored ones (%s)%s",
             bq_text_extent(stored->extent, stored->rank, chunk, sizeof chunk), memory);
    return out;
}

int bq_executor_prepare(struct bq_executor *x, unsigned n_cooks, uint64_t budget,
                        struct bq_fit *fit, struct bq_error *err)
{
    if (bq_executor_fit(x->recipe, x->kernel, bq_executor_is_served(x), bq_executor_is_direct(x),
                        n_cooks, budget, fit, err) < 0)
        return -1;
    unsigned n = fit->n_cooks * fit->n_slots;
    x->n_slots = fit->n_slots;
    x->benches = bq_alloc(n, sizeof *x->benches);
    for (unsigned i = 0; x->benches && i < n; i++) {
        x->n_benches = i + 1;
        if (bench_create(x, &x->benches[i]) < 0)
            return bq_fail(err, BQ_EXIT_FAILED, "out of memory for the chunks of %u cooks",
                           fit->n_cooks);
    }
    if (!x->benches)
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    if (x->intake && bq_intake_prepare(x->intake, fit->n_cooks, fit->n_slots, fit->n_cached,
                                       fit->keeps_all, fit->has_plenty, err) < 0)
        return -1;
    x->n_cooks = fit->n_cooks;
    unsigned n_workers = x->recipe->pipeline.is_on ? bq_pipeline_workers(&x->recipe->pipeline) : 0;
    return x->outlet ? bq_outlet_prepare(x->outlet, fit->n_cooks, n_workers, err) : 0;
}

int bq_executor_start(struct bq_executor *x, uint64_t epoch, struct bq_error *err)
{
    struct bq_line_config config = {
        .pipeline = x->recipe->pipeline, .epoch = epoch, .work = bq_execute_stage, .context = x};
    if (!config.pipeline.is_on)
        return 0;
    x->line = bq_line_create(&config, err);
    return x->line ? 0 : -1;
}

const struct bq_track *bq_executor_track(const struct bq_executor *x, unsigned worker,
                                         enum bq_line_stage *stage, uint64_t *n_chunks)
{
    return x->line && worker < bq_pipeline_workers(&x->recipe->pipeline)
               ? bq_line_track(x->line, worker, stage, n_chunks)
               : NULL;
}

bool bq_executor_is_served(const struct bq_executor *x)
{
    return x->intake && bq_intake_is_served(x->intake);
}

bool bq_executor_is_direct(const struct bq_executor *x)
{
    return x->outlet && bq_outlet_is_direct(x->outlet);
}

bool bq_executor_may_rest(const struct bq_executor *x)
{
    bool is_kept = !x->outlet || (bq_executor_is_direct(x) && x->recipe->output.is_scratch);
    return is_kept && !x->line && !x->recipe->is_team && !bq_executor_is_served(x);
}

bool bq_executor_again(struct bq_executor *x, uint32_t step)
{
    x->step = step;
    atomic_store(&x->bytes_in, 0);
    atomic_store(&x->bytes_out, 0);
    return (!x->intake || bq_intake_again(x->intake)) &&
           (!x->outlet || bq_outlet_again(x->outlet, step));
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
    bq_line_destroy(x->line);
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
    bq_line_stop(x->line);
}

void bq_executor_abandon(struct bq_executor *x)
{
    for (unsigned i = 0; i < x->n_benches; i++) {
        bq_abandon(x, &x->benches[i]);
        bq_drop_on_line(&x->benches[i]);
    }
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
