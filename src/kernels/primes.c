/* primes: how many primes lie in [a, b), and the largest of them.
 *
 * Generate: the domain is the b - a numbers from a on, cut into chunks of `per_chunk`; element i is
 * the number a + i. With an output, it gets 1 for a prime and 0 for any other number (uint8).
 * Reduces to count and largest (0 when there is no prime).
 *
 * The segmented sieve of Eratosthenes over odd numbers (C. Bays, R. H. Hudson, BIT 17, 1977). Each
 * call sieves the primes up to sqrt(b) anew, on its stack, because a kernel keeps nothing between
 * calls: at most 500,000 odd numbers, as b is at most 10^12. There is nothing to overflow.
 */
#include "banquet/kernel.h"

#include <stdio.h>
#include <string.h>

enum { A, B, PER_CHUNK };

#define LIMIT 1000000000000u /* 10^12 */
#define ROOT 1000000u        /* its square root */
#define SEGMENT 65536u       /* odd numbers sieved at a time: they stay in cache */

static const struct bq_param params[] = {
    {"a", BQ_INT, {.i = 0}, 0, LIMIT, "", "first number"},
    {"b", BQ_INT, {.i = 10000000}, 1, LIMIT, "", "first number after the last"},
    {"per_chunk", BQ_INT, {.i = 100000}, 1, 1 << 30, "numbers", "numbers in a chunk"},
};

struct tally {
    uint64_t count, largest;
};

/* Whether 2 i + 1 is composite, one bit each, up to ROOT. */
struct small {
    uint64_t composite[ROOT / 2 / 64 + 1];
};

static bool is_composite(const struct small *small, uint64_t i)
{
    return small->composite[i / 64] >> (i % 64) & 1;
}

static void sieve_small(struct small *small, uint64_t end)
{
    memset(small, 0, sizeof *small);
    for (uint64_t p = 3; p * p < end; p += 2) {
        if (is_composite(small, p / 2))
            continue;
        for (uint64_t i = p * p / 2; i <= end / 2; i += p)
            small->composite[i / 64] |= (uint64_t)1 << (i % 64);
    }
}

/* Sets flag[i] to whether first + 2 i is prime; first is odd, n at most SEGMENT. */
static void sieve_segment(const struct small *small, uint64_t first, uint8_t *flag, uint64_t n)
{
    const uint64_t end = first + 2 * n;
    memset(flag, 1, (size_t)n);
    if (first == 1)
        flag[0] = 0;
    for (uint64_t p = 3; p * p < end; p += 2) {
        if (is_composite(small, p / 2))
            continue;
        uint64_t multiple = (first + p - 1) / p * p;
        multiple += multiple % 2 ? 0 : p;
        multiple = multiple < p * p ? p * p : multiple;
        for (uint64_t i = (multiple - first) / 2; i < n; i += p)
            flag[i] = 0;
    }
}

static void see(struct tally *tally, uint64_t number)
{
    tally->count++;
    tally->largest = number > tally->largest ? number : tally->largest;
}

static int prepare(struct bq_setup *setup)
{
    int64_t a = setup->params[A].i, b = setup->params[B].i;
    if (a >= b) {
        snprintf(setup->message, sizeof setup->message,
                 "a is %lld and b is %lld: a must be less than b", (long long)a, (long long)b);
        return -1;
    }
    setup->space = (struct bq_space){1, {(uint64_t)(b - a)}};
    setup->chunk = (struct bq_space){1, {(uint64_t)setup->params[PER_CHUNK].i}};
    setup->out_type = BQ_U8;
    setup->acc_size = sizeof(struct tally);
    return 0;
}

static enum bq_answer cook(struct bq_call *call)
{
    const struct bq_block *out = call->out;
    const uint64_t begin = (uint64_t)call->params[A].i + out->offset[0];
    const uint64_t end = begin + out->extent[0];
    struct tally *tally = call->acc;
    uint8_t *answer = out->data;
    struct small small;
    uint8_t flag[SEGMENT];

    if (answer)
        memset(answer, 0, (size_t)out->extent[0]);
    if (begin <= 2 && end > 2) {
        see(tally, 2);
        if (answer)
            answer[2 - begin] = 1;
    }
    uint64_t root = 1;
    while (root * root < end)
        root += 1 + root / 64; /* not less than the square root of end, and little more */
    sieve_small(&small, root < ROOT ? root : ROOT);
    for (uint64_t first = begin | 1; first < end; first += 2 * SEGMENT) {
        uint64_t left = (end - first + 1) / 2, n = left < SEGMENT ? left : SEGMENT;
        sieve_segment(&small, first, flag, n);
        for (uint64_t i = 0; i < n; i++) {
            if (flag[i])
                see(tally, first + 2 * i);
            if (answer)
                answer[first + 2 * i - begin] = flag[i];
        }
    }
    return BQ_DONE;
}

static void combine(const union bq_value *values, void *into, const void *next)
{
    (void)values;
    struct tally *a = into;
    const struct tally *b = next;
    a->count += b->count;
    a->largest = b->largest > a->largest ? b->largest : a->largest;
}

static void present(const union bq_value *values, const void *acc, struct bq_sink *sink)
{
    (void)values;
    const struct tally *tally = acc;
    sink->integer(sink, "count", tally->count);
    sink->integer(sink, "largest", tally->largest);
}

const struct bq_kernel bq_kernel_primes = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_WRITES,
    .name = "primes",
    .summary = "counts primes by a segmented sieve",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
    .combine = combine,
    .present = present,
};
