/* Cores: which this process may use, how ranks of a machine share them, and binding threads. */
#ifndef BQ_ADAPTERS_AFFINITY_H
#define BQ_ADAPTERS_AFFINITY_H

#include <pthread.h>
#include <stdint.h>

#include "base/error.h"

#define BQ_MAX_CORES 4096

/* A kitchen's place on its machine. Cores are the operating system's numbers of hardware threads,
 * in hwloc's logical order: neighbours share caches. */
struct bq_place_on_machine {
    unsigned n_allowed;      /* hardware threads that this process may run on */
    unsigned n_machine;      /* of the whole machine */
    unsigned n_share;        /* that this kitchen should use: its fair share, at least 1 */
    int share[BQ_MAX_CORES]; /* which; n_share of them */
    int is_exclusive;        /* no other kitchen's share has any of these */
};

/* The cores that this process may use, dealt in equal runs to the machine_ranks kitchens that may
 * use the same ones; this is number machine_rank of them. What the first call in a process sees
 * holds for the others, and for those that it forks. */
int bq_affinity_find(struct bq_place_on_machine *place, unsigned machine_rank,
                     unsigned machine_ranks, struct bq_error *err);

/* Keeps hwloc from loading its plug-ins, which look for graphics cards: 8 ms of a start of 30. It
 * sets the environment, so only before the process has other threads, and not where MPI is started,
 * whose own hwloc may want them. */
void bq_affinity_cores_only(void);

/* For a thread that sleeps most of the time and must answer at once when it wakes: exact timers,
 * and short slices, so that it takes the core from a thread that computes without waiting for the
 * end of that one's slice. Needs no privilege; where the system does not know it, nothing changes.
 */
void bq_affinity_answer_fast(void);

/* For a thread that computes: the usual slices, whatever the thread that made it has. */
void bq_affinity_compute(void);

/* Threads created with this attribute run on this core alone. */
void bq_affinity_attr(pthread_attr_t *attr, int core);

#endif
