/* What crew.c and crew_tail.c share. */
#ifndef BQ_CORE_CREW_INTERNAL_H
#define BQ_CORE_CREW_INTERNAL_H

#include "core/crew.h"
#include "core/scheduler.h"

#define NOBODY UINT32_MAX

struct kitchen {
    bool is_lost, is_closed, has_joined, is_waiting, is_starving;
    uint32_t n_cooks, n_held;
    uint64_t in_progress; /* chunks that it can have open at once */
    uint64_t turn, want;
    double tau_ns;
    uint32_t next, prev; /* in the line */
    struct bq_held held[BQ_MAX_LEASES];
};

struct line {
    uint32_t head, tail;
};

struct bq_crew {
    uint32_t n_kitchens, n_lost, n_closed, n_busy, n_joined;
    uint64_t n_cooks;
    double tau_ns; /* moving mean over requests */
    struct line starving, ahead;
    uint32_t looking_at; /* NOBODY: at the first */
    struct kitchen *kitchen;
};

/* Whether the kitchen holds a chunk of that lease. */
bool bq_crew_overlaps(const struct kitchen *k, const struct bq_held *held);

#endif
