/* Numbers for tests that throw dice: the same everywhere for the same seed, which is printed.
 * BANQUET_SEED=n in the environment repeats a run. */
#ifndef BQ_TESTS_RANDOM_H
#define BQ_TESTS_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t random_state;

/* splitmix64 (Steele, Lea, Flood 2014). */
static inline uint64_t random_next(void)
{
    uint64_t z = (random_state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static inline uint64_t random_below(uint64_t n)
{
    return random_next() % n;
}

/* The seed: from the environment, or the test's own. */
static inline uint64_t random_start(uint64_t standard)
{
    const char *given = getenv("BANQUET_SEED");
    random_state = given ? strtoull(given, NULL, 0) : standard;
    printf("seed %llu ", (unsigned long long)random_state);
    return random_state;
}

#endif
