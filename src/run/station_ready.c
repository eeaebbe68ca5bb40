/* Getting ready for a step: the kernel, the cooks and what fits into memory, and what a person
 * should know about it. */
#include <stdio.h>

#include "adapters/clock.h"
#include "adapters/memory.h"
#include "run/execute.h"
#include "run/kitchen_internal.h"

#define MEASURED_NS UINT64_C(1000000000) /* looking into /proc and cgroups takes a millisecond */

static void warn_about_binding(struct station *s)
{
    unsigned n = s->kitchen->place.n_allowed;
    if (!s->kitchen->transport->is_bound)
        return;
    if (s->n_cooks > n)
        snprintf(s->warning, sizeof s->warning,
                 "the launcher bound %u cooks to %u core%s: start with --bind-to none or "
                 "--map-by slot:pe=%u",
                 s->n_cooks, n, n == 1 ? "" : "s", s->n_cooks);
    else if (n == 1 && s->kitchen->place.n_machine > 1)
        snprintf(s->warning, sizeof s->warning,
                 "the launcher bound this kitchen to 1 of the machine's %u cores; if that is not "
                 "meant, start with --bind-to none",
                 s->kitchen->place.n_machine);
}

const int *station_cores(const struct station *s)
{
    bool is_bound = s->recipe.is_bound && s->kitchen->place.is_exclusive &&
                    !s->kitchen->transport->is_guest && s->n_cooks <= s->kitchen->place.n_share;
    return is_bound ? s->kitchen->place.share : NULL;
}

/* The cooks and their chunks in progress that fit into the budget, which is the job's, or this
 * kitchen's share of what the machine has. What the program has taken by itself is counted. */
static int share_memory(struct station *s, unsigned *n_slots, struct bq_error *why)
{
    unsigned wanted = s->n_cooks;
    if (!s->kitchen->own) /* before the first step: later, buffers of steps before are kept for the
                             next */
        s->kitchen->own = bq_executor_taken();
    uint64_t taken = s->kitchen->own, now = bq_now();
    if (!s->kitchen->measured || now - s->kitchen->measured > MEASURED_NS) {
        s->kitchen->share = bq_memory_share(bq_memory_available(""), s->kitchen->transport->n_here);
        s->kitchen->measured = now;
    }
    s->budget = s->recipe.memory ? s->recipe.memory : taken + s->kitchen->share;
    uint64_t left = s->budget > taken ? s->budget - taken : 0;
    left /= s->recipe.n_beside ? s->recipe.n_beside : 1;
    struct bq_fit fit;
    if (bq_executor_prepare(s->executor, wanted, left, &fit, why) < 0)
        return -1;
    s->n_cooks = fit.n_cooks;
    *n_slots = fit.n_slots;
    char advice[140];
    if (fit.repeats >= BQ_MANY_REPEATS)
        snprintf(s->warning, sizeof s->warning, "each stored chunk is decoded about %.0f times: %s",
                 fit.repeats, bq_executor_advice(&s->recipe, &fit, advice, sizeof advice));
    else if (s->n_cooks < wanted)
        snprintf(s->warning, sizeof s->warning,
                 "memory for %u of %u cooks: give it more `memory`, or choose a smaller `chunk`",
                 s->n_cooks, wanted);
    return 0;
}

/* Two file systems where one was expected cost time, and nobody asked for it. */
static void warn_about_sight(struct station *s)
{
    bool is_served = bq_executor_is_served(s->executor),
         is_direct = bq_executor_is_direct(s->executor);
    if (s->warning[0])
        return;
    if (is_served && s->recipe.delivery == BQ_DELIVERY_AUTO)
        snprintf(s->warning, sizeof s->warning,
                 "does not see the coordinator's %.100s; the coordinator sends it", s->recipe.file);
    else if (s->recipe.has_output && !is_direct &&
             (s->recipe.output.how == BQ_OUTPUT_DIRECT ||
              s->recipe.output.how == BQ_OUTPUT_SHARDED))
        snprintf(s->warning, sizeof s->warning,
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

/* A kernel of the user's own: the coordinator's file must be here, and be the same. */
static const struct bq_kernel *find_own(struct station *s, struct bq_error *why)
{
    s->library = bq_library_open(s->recipe.library, &s->recipe.library_hash, why);
    if (s->library)
        return bq_library_kernel(s->library, s->recipe.kernel, why);
    bq_fail_in(why, "this kitchen cannot use the kernel's library: put it (of a .c: the cache, "
                    "XDG_CACHE_HOME) where all machines see it");
    return NULL;
}

int station_ready(struct station *s, struct bq_error *why, uint64_t epoch)
{
    const struct bq_kernel *kernel = s->recipe.library[0]
                                         ? find_own(s, why)
                                         : bq_registry_find(s->kitchen->registry, s->recipe.kernel);
    if (!kernel && s->recipe.library[0])
        return -1;
    if (!kernel || !has_params(kernel, &s->recipe))
        return bq_fail(
            why, BQ_EXIT_FAILED,
            "kernel '%s' is not the same in this kitchen's program: all ranks must run one build",
            s->recipe.kernel);
    s->merge = (struct bq_merge){.recipe = &s->recipe, .kernel = kernel};
    size_t result_size = bq_recipe_result_size(&s->recipe);
    s->n_cooks = s->recipe.n_cooks ? s->recipe.n_cooks : s->kitchen->place.n_share;
    warn_about_binding(s);
    if (bq_sender_open(&s->sender, s->step, &s->merge, why) < 0)
        return -1;
    s->executor = bq_executor_create(&s->recipe, kernel, s->step, s->shard, why);
    unsigned n_slots;
    if (!s->executor || share_memory(s, &n_slots, why) < 0)
        return -1;
    struct bq_pool_config config = {.n_cooks = s->n_cooks,
                                    .open = n_slots,
                                    .is_team = s->recipe.is_team,
                                    .is_single = !bq_executor_takes_runs(s->executor),
                                    .result_size = result_size,
                                    .core = station_cores(s),
                                    .epoch = epoch,
                                    .bell = s->kitchen->bell,
                                    .cook = bq_execute,
                                    .context = s->executor};
    warn_about_sight(s);
    if (bq_executor_start(s->executor, epoch, why) < 0)
        return -1;
    s->pool = bq_pool_create(&config, why);
    return s->pool ? 0 : -1;
}
