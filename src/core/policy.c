#include "core/policy.h"

#include <string.h>

const char *bq_policy_name(enum bq_policy policy)
{
    static const char *const name[] = {
#define BQ_POLICY_NAME(code, text, is_dealt) text,
        BQ_POLICIES(BQ_POLICY_NAME)
#undef BQ_POLICY_NAME
    };
    return (unsigned)policy < BQ_N_POLICIES ? name[policy] : "?";
}

bool bq_policy_is_dealt(enum bq_policy policy)
{
    static const bool is[] = {
#define BQ_POLICY_DEALT(code, text, is_dealt) is_dealt,
        BQ_POLICIES(BQ_POLICY_DEALT)
#undef BQ_POLICY_DEALT
    };
    return (unsigned)policy < BQ_N_POLICIES && is[policy];
}

int bq_policy_find(const char *name)
{
    for (int i = 0; i < BQ_N_POLICIES; i++) {
        if (strcmp(name, bq_policy_name((enum bq_policy)i)) == 0)
            return i;
    }
    return -1;
}

static uint64_t at_least(uint64_t n, uint64_t least)
{
    return n < least ? least : n;
}

uint64_t bq_policy_next(const struct bq_schedule *schedule, uint64_t left, uint32_t n_kitchens,
                        uint64_t n_min, struct bq_policy_round *round)
{
    if (left == 0)
        return 0;
    uint64_t half_share = at_least(left / 2 / n_kitchens, 1);
    uint64_t n = half_share;
    if (schedule->policy == BQ_DYNAMIC) {
        n = schedule->block ? schedule->block : n_min;
    } else if (schedule->policy == BQ_FACTORING) {
        if (round->n_left == 0)
            *round = (struct bq_policy_round){.n_left = n_kitchens, .size = half_share};
        round->n_left--;
        n = at_least(round->size, n_min);
    } else {
        n = at_least(half_share, n_min);
    }
    return n < left ? at_least(n, 1) : left;
}

uint64_t bq_policy_min(uint32_t n_kitchens, uint32_t n_cooks, double svc, double tau)
{
    if (!(tau > 0) || !(svc > 0))
        return 1;
    double n = 2.0 * n_kitchens * n_cooks * svc / tau;
    if (!(n < 1e15)) /* or not a number: both were infinite */
        n = 1e15;
    return at_least((uint64_t)n + (n > (double)(uint64_t)n), 1);
}

static uint64_t share(uint64_t n_chunks, uint32_t k, uint32_t n_kitchens)
{
    return (uint64_t)((unsigned __int128)n_chunks * k / n_kitchens);
}

/* About 16 turns each when the job does not say. */
static uint64_t cyclic_block(const struct bq_schedule *schedule, uint64_t n_chunks, uint32_t k)
{
    return schedule->block ? schedule->block : at_least(n_chunks / k / 16, 1);
}

static void clip(uint64_t n_chunks, unsigned __int128 from, uint64_t size, uint64_t *first,
                 uint64_t *count)
{
    *first = from < n_chunks ? (uint64_t)from : n_chunks;
    *count = size < n_chunks - *first ? size : n_chunks - *first;
}

void bq_policy_dealt(const struct bq_schedule *schedule, uint64_t n_chunks, uint32_t n_kitchens,
                     uint32_t kitchen, uint64_t j, uint64_t *first, uint64_t *count)
{
    *first = n_chunks;
    *count = 0;
    if (schedule->policy == BQ_STATIC && j == 0) {
        *first = share(n_chunks, kitchen, n_kitchens);
        *count = share(n_chunks, kitchen + 1, n_kitchens) - *first;
    } else if (schedule->policy == BQ_CYCLIC) {
        uint64_t block = cyclic_block(schedule, n_chunks, n_kitchens);
        unsigned __int128 turn = (unsigned __int128)j * n_kitchens + kitchen;
        if (turn < n_chunks) /* else past the end, and the product might wrap */
            clip(n_chunks, turn * block, block, first, count);
    }
}

void bq_policy_first(const struct bq_schedule *schedule, uint64_t n_chunks, uint32_t n_kitchens,
                     uint32_t kitchen, uint64_t *first, uint64_t *count)
{
    if (bq_policy_is_dealt(schedule->policy)) {
        bq_policy_dealt(schedule, n_chunks, n_kitchens, kitchen, 0, first, count);
        return;
    }
    uint64_t size = n_chunks / 2 / n_kitchens;
    if (schedule->policy == BQ_DYNAMIC) {
        uint64_t block = schedule->block ? schedule->block : n_chunks / n_kitchens / 64;
        size = block < size ? block : size;
    }
    size = at_least(size, 1);
    clip(n_chunks, (unsigned __int128)kitchen * size, size, first, count);
}
