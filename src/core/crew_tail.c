/* The tail: which lease holds everybody up, and which of its chunks are worth doing twice. */
#include "core/crew_internal.h"

#include <stddef.h>

bool bq_crew_overlaps(const struct kitchen *k, const struct bq_held *held)
{
    for (uint32_t i = 0; i < k->n_held; i++) {
        const struct bq_held *h = &k->held[i];
        if (h->first < held->first + held->count && held->first < h->first + h->count)
            return true;
    }
    return false;
}

static uint64_t undone(const struct bq_ledger *ledger, uint64_t first, uint64_t end)
{
    return end - first - bq_ledger_count_done(ledger, first, end - first);
}

/* The last place in [first, end] from which on at least n chunks are not done. */
static uint64_t last_undone(const struct bq_ledger *ledger, uint64_t first, uint64_t end,
                            uint64_t n)
{
    uint64_t low = first, high = end;
    while (low < high) {
        uint64_t middle = high - (high - low) / 2;
        if (undone(ledger, middle, end) >= n)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* How long the lease will take; 0 when it would not help to double it. */
static double pays(const struct bq_crew *crew, const struct bq_ledger *ledger, uint64_t now,
                   uint32_t kitchen, const struct bq_held *h, uint64_t floor_ns)
{
    uint64_t end = h->first + h->count;
    /* One helper at a time: until what the second lease is for is done, or given back. */
    if (h->is_second || (h->doubled < end && undone(ledger, h->doubled, end) > 0))
        return 0;
    /* Chunks beyond those on its cooks wait for nothing but time; the last ones count only when
     * they take far longer than chunks do: the kitchen is stuck. */
    uint64_t age = now > h->since ? now - h->since : 0;
    bool is_overdue =
        crew->tau_ns > 0 && (double)age > 8 * crew->tau_ns +
                                              4 * bq_crew_expected(crew, kitchen, h->count) +
                                              (double)floor_ns;
    if (h->left <= crew->kitchen[kitchen].n_cooks && !is_overdue)
        return 0;
    if (undone(ledger, h->first, end) == 0)
        return 0;
    return bq_crew_expected(crew, kitchen, h->left) + (is_overdue ? (double)age : 0);
}

bool bq_crew_slowest(struct bq_crew *crew, const struct bq_ledger *ledger, uint64_t now,
                     uint32_t for_kitchen, uint64_t floor_ns, uint32_t *kitchen,
                     struct bq_held *held, uint64_t *count)
{
    struct bq_held *worst = NULL;
    double most = (double)floor_ns;
    for (uint32_t i = 0; i < crew->n_kitchens; i++) {
        struct kitchen *k = &crew->kitchen[i];
        for (uint32_t j = 0; j < k->n_held && i != for_kitchen; j++) {
            double ahead = pays(crew, ledger, now, i, &k->held[j], floor_ns);
            if (ahead > most && !bq_crew_overlaps(&crew->kitchen[for_kitchen], &k->held[j])) {
                most = ahead;
                worst = &k->held[j];
                *kitchen = i;
            }
        }
    }
    if (!worst)
        return false;
    /* Chunks are started in order, so most of the undone ones are at the end: the last half. */
    uint64_t end = worst->first + worst->count, n = undone(ledger, worst->first, end);
    worst->doubled = last_undone(ledger, worst->first, end, n > 1 ? n / 2 : 1);
    *count = last_undone(ledger, worst->doubled, end, 1) + 1 - worst->doubled;
    *held = *worst;
    return true;
}
