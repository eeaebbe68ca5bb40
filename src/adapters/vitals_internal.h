/* What vitals.c (who watches) and vitals_cook.c (who is watched) share. Nobody else includes it. */
#ifndef BQ_ADAPTERS_VITALS_INTERNAL_H
#define BQ_ADAPTERS_VITALS_INTERNAL_H

#include <stdatomic.h>

#include "adapters/vitals.h"

#define BQ_VITALS_THREADS 8192
#define BQ_NOWHERE UINT64_MAX

enum { BQ_BY_EXIT = 0, BQ_BY_THREAD_EXIT = -1 };

/* One thread, in a cache line of its own. count is odd while it is in a kernel's call. */
struct bq_vital {
    _Alignas(64) atomic_uint is_taken;
    atomic_uint step;
    atomic_ullong chunk, count, deadline_ns;
};

/* The memory that both see. Who is watched may write anything into it. */
struct bq_vitals_page {
    struct {
        atomic_int is_said; /* 1: being written, 2: to be read */
        int signal;         /* or one of the ends above */
        enum bq_blame blame;
        struct bq_at at;
        uint64_t address; /* BQ_NOWHERE: none */
        char doing[16];   /* a function of the kernel's, or "" */
    } last;
    atomic_uint n_suspects; /* of a process that lives: only ever fewer */
    struct bq_at suspect[BQ_MAX_SUSPECTS];
    atomic_uint n_entries; /* taken so far */
    struct bq_vital entry[BQ_VITALS_THREADS];
};

struct bq_vitals_page *bq_vitals_map(int fd); /* NULL: no memory */

static inline uint32_t bq_vitals_n_suspects(const struct bq_vitals_page *page)
{
    uint32_t n = atomic_load_explicit(&page->n_suspects, memory_order_relaxed);
    return n < BQ_MAX_SUSPECTS ? n : BQ_MAX_SUSPECTS;
}

/* Its place among the suspects; as many as there are: it is none. */
static inline uint32_t bq_vitals_find_suspect(const struct bq_vitals_page *page,
                                              const struct bq_at *at)
{
    uint32_t i = 0, n = bq_vitals_n_suspects(page);
    while (i < n && (page->suspect[i].step != at->step || page->suspect[i].chunk != at->chunk))
        i++;
    return i;
}

#endif
