/* Getting ready for a step: the kernel, the cooks and what fits into memory, and what a person
 * should know about it. */
#include <stdio.h>

#include "adapters/clock.h"
#include "adapters/memory.h"
#include "run/execute.h"
#include "run/kitchen_internal.h"

#define MEASURED_NS UINT64_C(1000000000) /* looking into /proc and cgroups takes a millisecond */
#define PROGRAM_BYTES (8u << 20) /* stacks, messages, results: what grows while a step runs */

static void warn_about_binding(struct kitchen *k)
{
    unsigned n = k->place.n_allowed;
    if (!k->transport->is_bound)
        return;
    if (k->n_cooks > n)
        snprintf(k->warning, sizeof k->warning,
                 "the launcher bound %u cooks to %u core%s: start with --bind-to none or "
                 "--map-by slot:pe=%u",
                 k->n_cooks, n, n == 1 ? "" : "s", k->n_cooks);
    else if (n == 1 && k->place.n_machine > 1)
        snprintf(k->warning, sizeof k->warning,
                 "the launcher bound this kitchen to 1 of the machine's %u cores; if that is not "
                 "meant, start with --bind-to none",
                 k->place.n_machine);
}

const int *bq_kitchen_cores(const struct kitchen *k)
{
    bool is_bound = k->recipe.is_bound && k->place.is_exclusive && k->n_cooks <= k->place.n_share;
    return is_bound ? k->place.share : NULL;
}

/* The cooks and their chunks in progress that fit into the budget, which is the job's, or this
 * kitchen's share of what the machine has. What the program has taken by itself is counted. */
static int share_memory(struct kitchen *k, unsigned *n_slots, struct bq_error *why)
{
    unsigned wanted = k->n_cooks;
    if (!k->own) /* before the first step: later, buffers of steps before are kept for the next */
        k->own = bq_memory_resident() + PROGRAM_BYTES;
    uint64_t taken = k->own, now = bq_now();
    if (!k->measured || now - k->measured > MEASURED_NS) {
        k->share = bq_memory_share(bq_memory_available(""), k->transport->n_here);
        k->measured = now;
    }
    k->budget = k->recipe.memory ? k->recipe.memory : taken + k->share;
    uint64_t left = k->budget > taken ? k->budget - taken : 0;
    if (bq_executor_prepare(k->executor, &k->n_cooks, n_slots, left, why) < 0)
        return -1;
    if (k->n_cooks < wanted)
        snprintf(k->warning, sizeof k->warning,
                 "memory for %u of %u cooks: give it more `memory`, or choose a smaller `chunk`",
                 k->n_cooks, wanted);
    return 0;
}

/* Two file systems where one was expected cost time, and nobody asked for it. */
static void warn_about_sight(struct kitchen *k)
{
    bool is_served = bq_executor_is_served(k->executor),
         is_direct = bq_executor_is_direct(k->executor);
    if (k->warning[0])
        return;
    if (is_served && k->recipe.delivery == BQ_DELIVERY_AUTO)
        snprintf(k->warning, sizeof k->warning,
                 "does not see the coordinator's %.100s; the coordinator sends it", k->recipe.file);
    else if (k->recipe.has_output && !is_direct &&
             (k->recipe.output.how == BQ_OUTPUT_DIRECT ||
              k->recipe.output.how == BQ_OUTPUT_SHARDED))
        snprintf(k->warning, sizeof k->warning,
                 "does not see the output's folder; the coordinator writes for it");
}

/* A value is used as what the kernel says it is. */
static bool has_params(const struct bq_kernel *kernel, const struct bq_recipe *recipe)
{
    bool is_same = kernel->n_params == recipe->n_params;
    for (size_t i = 0; is_same && i < kernel->n_params; i++)
        is_same = recipe->kinds[i] == kernel->params[i].kind;
    return is_same;
}

int bq_kitchen_ready(struct kitchen *k, struct bq_error *why, uint64_t epoch)
{
    const struct bq_kernel *kernel = bq_registry_find(k->registry, k->recipe.kernel);
    if (!kernel || !has_params(kernel, &k->recipe))
        return bq_fail(
            why, BQ_EXIT_FAILED,
            "kernel '%s' is not the same in this kitchen's program: all ranks must run one build",
            k->recipe.kernel);
    k->merge = (struct bq_merge){.recipe = &k->recipe, .kernel = kernel};
    size_t result_size = bq_recipe_result_size(&k->recipe);
    k->n_cooks = k->recipe.n_cooks ? k->recipe.n_cooks : k->place.n_share;
    warn_about_binding(k);
    if (bq_sender_open(&k->sender, k->step, &k->merge, why) < 0)
        return -1;
    k->executor = bq_executor_create(&k->recipe, kernel, k->step, k->index + 1, why);
    unsigned n_slots;
    if (!k->executor || share_memory(k, &n_slots, why) < 0)
        return -1;
    struct bq_pool_config config = {.n_cooks = k->n_cooks,
                                    .open = n_slots,
                                    .is_team = k->recipe.is_team,
                                    .is_single = !bq_executor_takes_runs(k->executor),
                                    .result_size = result_size,
                                    .core = bq_kitchen_cores(k),
                                    .epoch = epoch,
                                    .bell = k->bell,
                                    .cook = bq_execute,
                                    .context = k->executor};
    warn_about_sight(k);
    k->pool = bq_pool_create(&config, why);
    return k->pool ? 0 : -1;
}

void bq_kitchen_clean_up(struct kitchen *k)
{
    bq_pool_destroy(k->pool);
    bq_executor_destroy(k->executor);
    bq_sender_close(&k->sender);
    bq_recipe_free(&k->recipe);
    k->pool = NULL;
    k->executor = NULL;
}
