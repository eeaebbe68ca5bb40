/* spin: n chunks, each of which keeps a core busy for `us` microseconds.
 *
 * For measuring the engine: with us = 0 a chunk returns at once and what is left is the engine.
 * The time is wall time (CLOCK_MONOTONIC) spent in arithmetic, not thread CPU time: reading that
 * one costs 0.8 us, this one 0.03. So a cook that loses its core does less arithmetic; `oven`
 * counts CPU time. The result, being nothing, does not depend on the clock.
 */
#define _POSIX_C_SOURCE 200809L
#include "banquet/kernel.h"

#include <time.h>

enum { N, US };

static const struct bq_param params[] = {
    {"n", BQ_INT, {.i = 1000}, 1, 1e12, "elements", "chunks, of one element each"},
    {"us", BQ_REAL, {.r = 0}, 0, 1e9, "us", "time that each chunk takes on a core"},
};

static int prepare(struct bq_setup *setup)
{
    setup->space = (struct bq_space){1, {(uint64_t)setup->params[N].i}};
    setup->chunk = (struct bq_space){1, {1}};
    return 0;
}

static uint64_t nanoseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* About 0.1 us between looks at the clock. Volatile keeps the arithmetic from being left out. */
static void burn(uint64_t ns)
{
    volatile uint64_t kept;
    uint64_t x = 1, start = nanoseconds();
    do {
        for (int i = 0; i < 64; i++)
            x = x * 6364136223846793005u + 1442695040888963407u;
        kept = x;
    } while (nanoseconds() - start < ns);
    (void)kept;
}

static enum bq_answer cook(struct bq_call *call)
{
    double us = call->params[US].r;
    if (us > 0)
        burn((uint64_t)(us * 1e3));
    return BQ_DONE;
}

const struct bq_kernel bq_kernel_spin = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_SIMULATED,
    .name = "spin",
    .summary = "keeps a core busy for a given time per chunk (simulated work)",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
};
