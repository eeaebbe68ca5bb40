/* oven: n dishes that first wait in the oven and then need a cook.
 *
 *     stage 0: waits wait_ms (BQ_WAIT: no core is used, a cook may start other chunks meanwhile)
 *     stage 1: burns cook_ms of thread CPU time; shared by k cooks, cook_ms / k each
 *
 * It shows the difference between open chunks (concurrency) and cooking ones (parallelism). CPU
 * time (CLOCK_THREAD_CPUTIME_ID) is honest when there are more cooks than cores: four dishes on one
 * core then take four times as long, instead of looking busy together.
 */
#define _POSIX_C_SOURCE 200809L
#include "banquet/kernel.h"

#include <time.h>

enum { N, WAIT_MS, COOK_MS };

static const struct bq_param params[] = {
    {"n", BQ_INT, {.i = 3}, 1, 1e12, "elements", "dishes: chunks of one element each"},
    {"wait_ms", BQ_REAL, {.r = 200}, 0, 1e7, "ms", "time in the oven, without a core"},
    {"cook_ms", BQ_REAL, {.r = 100}, 0, 1e7, "ms", "work after that, on a core"},
};

static int prepare(struct bq_setup *setup)
{
    setup->space = (struct bq_space){1, {(uint64_t)setup->params[N].i}};
    setup->chunk = (struct bq_space){1, {1}};
    return 0;
}

static uint64_t cpu_nanoseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* About 10 us between looks at the clock, which take 0.8 us. Volatile keeps the arithmetic. */
static void burn(uint64_t ns)
{
    volatile uint64_t kept;
    uint64_t x = 1, start = cpu_nanoseconds();
    while (cpu_nanoseconds() - start < ns) {
        for (int i = 0; i < 8192; i++)
            x = x * 6364136223846793005u + 1442695040888963407u;
        kept = x;
        (void)kept;
    }
}

static enum bq_answer cook(struct bq_call *call)
{
    if (call->stage == 0) {
        call->wait_ns = (uint64_t)(call->params[WAIT_MS].r * 1e6);
        return BQ_WAIT;
    }
    burn((uint64_t)(call->params[COOK_MS].r * 1e6) / call->n_parts);
    return BQ_DONE;
}

const struct bq_kernel bq_kernel_oven = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_SIMULATED | BQ_DIVISIBLE | BQ_WAITS,
    .name = "oven",
    .summary = "waits without a core, then works on one (simulated)",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
};
