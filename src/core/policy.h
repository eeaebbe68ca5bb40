/* Policies: how big the next lease is. A table of pure functions; names as in the literature.
 *
 *   static     each kitchen one block of N/K, settled at the start
 *   cyclic     blocks of `block` chunks dealt in turn: 0, 1, .. K-1, 0, 1 ..
 *   dynamic    `block` chunks to whoever asks (self-scheduling; 0: chosen from what was measured)
 *   guided     R/(2K): large leases first, small ones at the end (Polychronopoulos and Kuck 1987)
 *   factoring  rounds of K equal leases, each round half of what is left (Hummel et al. 1992)
 */
#ifndef BQ_CORE_POLICY_H
#define BQ_CORE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* X(code, name, is_dealt: a chunk's first kitchen is settled before the start) */
#define BQ_POLICIES(X)                                                                             \
    X(BQ_STATIC, "static", true)                                                                   \
    X(BQ_CYCLIC, "cyclic", true)                                                                   \
    X(BQ_DYNAMIC, "dynamic", false)                                                                \
    X(BQ_GUIDED, "guided", false)                                                                  \
    X(BQ_FACTORING, "factoring", false)

enum bq_policy {
#define BQ_POLICY_CODE(code, name, is_dealt) code,
    BQ_POLICIES(BQ_POLICY_CODE)
#undef BQ_POLICY_CODE
        BQ_N_POLICIES
};

struct bq_schedule {
    enum bq_policy policy;
    uint64_t block; /* chunks, for cyclic and dynamic; 0: chosen */
};

/* Factoring's round: leases left in it and their size. */
struct bq_policy_round {
    uint64_t n_left, size;
};

const char *bq_policy_name(enum bq_policy policy);
bool bq_policy_is_dealt(enum bq_policy policy);

/* -1 when the name is none. */
int bq_policy_find(const char *name);

/* The size of the next lease, for the policies that are not dealt: at least 1 when left > 0.
 * left: chunks not handed out; n_min: see bq_policy_min; round: factoring's state, kept by the
 * caller, zero at the start. */
uint64_t bq_policy_next(const struct bq_schedule *schedule, uint64_t left, uint32_t n_kitchens,
                        uint64_t n_min, struct bq_policy_round *round);

/* The least lease that keeps the coordinator less than half busy: ceil(2 K T svc / tau).
 * svc: its time per request, tau: a chunk's, both in ns and measured as the job runs. */
uint64_t bq_policy_min(uint32_t n_kitchens, uint32_t n_cooks, double svc, double tau);

/* A kitchen's first lease, computed by both sides without a message: at most half of the work for
 * the policies that are not dealt. */
void bq_policy_first(const struct bq_schedule *schedule, uint64_t n_chunks, uint32_t n_kitchens,
                     uint32_t kitchen, uint64_t *first, uint64_t *count);

/* Dealt policies: the j-th lease (j = 0 is bq_policy_first) of a kitchen; count 0 when it has no
 * more. */
void bq_policy_dealt(const struct bq_schedule *schedule, uint64_t n_chunks, uint32_t n_kitchens,
                     uint32_t kitchen, uint64_t j, uint64_t *first, uint64_t *count);

#endif
