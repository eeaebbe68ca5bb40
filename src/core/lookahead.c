#include "core/lookahead.h"

#define FIRST_WAIT 100000.0 /* ns, until one is measured */
#define MOST 1e12           /* chunks */

void bq_lookahead_init(struct bq_lookahead *l)
{
    *l = (struct bq_lookahead){.wait_ns = FIRST_WAIT};
}

void bq_lookahead_measure(struct bq_lookahead *l, uint64_t n_chunks, uint64_t busy_ns)
{
    if (n_chunks <= l->n_chunks)
        return;
    double tau = (double)(busy_ns - l->busy_ns) / (double)(n_chunks - l->n_chunks);
    tau = tau > 1 ? tau : 1;
    l->tau_ns = l->tau_ns > 0 ? l->tau_ns + (tau - l->tau_ns) / 2 : tau;
    l->n_chunks = n_chunks;
    l->busy_ns = busy_ns;
}

uint64_t bq_lookahead_low_water(const struct bq_lookahead *l, uint32_t n_cooks)
{
    if (!(l->tau_ns > 0))
        return n_cooks;
    double n = n_cooks * l->wait_ns / l->tau_ns;
    if (n > MOST)
        n = MOST;
    uint64_t whole = (uint64_t)n;
    return 2 * (whole + (n > (double)whole));
}

bool bq_lookahead_should_ask(struct bq_lookahead *l, uint64_t unstarted, uint32_t n_cooks,
                             uint64_t now)
{
    bool starves = unstarted == 0;
    if (l->asked ? !starves || l->asked_starving : unstarted > bq_lookahead_low_water(l, n_cooks))
        return false;
    if (!l->asked)
        l->asked = now ? now : 1;
    l->asked_starving = starves;
    return true;
}

uint64_t bq_lookahead_answered(struct bq_lookahead *l, uint64_t now)
{
    uint64_t wait = l->asked && now > l->asked ? now - l->asked : 0;
    if (l->asked)
        l->wait_ns += ((double)wait - l->wait_ns) / 4;
    l->asked = 0;
    l->asked_starving = false;
    return wait;
}
