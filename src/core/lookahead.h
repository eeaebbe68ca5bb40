/* When a kitchen asks for its next lease: early enough that its cooks never stand idle, late enough
 * that it does not hoard. With T cooks, chunks of tau ns and an answer that takes `wait` ns, it
 * asks when its unstarted chunks fall to 2 ceil(T wait / tau). One request is outstanding at a
 * time; it is repeated once when nothing is left, because starving kitchens are served first. */
#ifndef BQ_CORE_LOOKAHEAD_H
#define BQ_CORE_LOOKAHEAD_H

#include <stdbool.h>
#include <stdint.h>

struct bq_lookahead {
    double tau_ns;  /* a chunk's time on one cook; 0: not known yet */
    double wait_ns; /* from request to lease, moving mean */
    uint64_t asked; /* when; 0: no request is outstanding */
    bool asked_starving;
    uint64_t n_chunks, busy_ns; /* at the last measurement */
};

void bq_lookahead_init(struct bq_lookahead *l);

/* Totals over all cooks since the start of the step. */
void bq_lookahead_measure(struct bq_lookahead *l, uint64_t n_chunks, uint64_t busy_ns);
uint64_t bq_lookahead_low_water(const struct bq_lookahead *l, uint32_t n_cooks);

/* True when a request must be sent now; it then counts as sent. */
bool bq_lookahead_should_ask(struct bq_lookahead *l, uint64_t unstarted, uint32_t n_cooks,
                             uint64_t now);

/* A lease came. Returns how long it took, 0 if it was not asked for. */
uint64_t bq_lookahead_answered(struct bq_lookahead *l, uint64_t now);

#endif
