/* The task of every peer: what a chunk of the kernel `spin` does (src/kernels/spin.c; keep them
 * alike). It looks at the clock about every 0.1 us and ends at the first look past the end, late by
 * 0.05 to 0.15 us: efficiencies below 1 us are a little too low, for all peers alike. */
#ifndef BENCH_SPIN_H
#define BENCH_SPIN_H

#include <stdint.h>
#include <time.h>

static inline uint64_t spin_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* 0 us: returns at once, without a look at the clock. */
static inline void spin(double us)
{
    if (us <= 0)
        return;
    const uint64_t ns = (uint64_t)(us * 1e3), start = spin_clock_ns();
    volatile uint64_t kept; /* keeps the arithmetic from being left out */
    uint64_t x = 1;
    do {
        for (int i = 0; i < 64; i++)
            x = x * 6364136223846793005u + 1442695040888963407u;
        kept = x;
    } while (spin_clock_ns() - start < ns);
    (void)kept;
}

#endif
