/* What a process that cooks shows to the one that watches over it, in memory that both see: what
 * each of its threads is at, and, when it crashes, its last words. The process may die at any
 * instruction, so there is no lock in it.
 *
 * Of a crash, the chunk is known when a signal or exit() comes in the thread that runs the kernel.
 * When it comes in one that cooks or manages, but is in no chunk (in combine, say), no chunk is to
 * blame. Else (killed, out of memory, _exit, a thread of the kernel's own) all chunks that kernels
 * were at are suspects, even a single one, as what kills may come from outside: each of them is
 * tried alone in the next process, until one ends that again, alone.
 */
#ifndef BQ_ADAPTERS_VITALS_H
#define BQ_ADAPTERS_VITALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct bq_vitals;

/* A chunk of a step. */
struct bq_at {
    uint32_t step;
    uint64_t chunk;
};

#define BQ_MAX_SUSPECTS 256

/* -- who watches -------------------------------------------------------------------------- */

struct bq_vitals *bq_vitals_create(struct bq_error *err); /* NULL: no memory or descriptor */
void bq_vitals_destroy(struct bq_vitals *vitals);
int bq_vitals_fd(const struct bq_vitals *vitals); /* to be passed to bq_vitals_attach */

/* For the next process: nothing was said, nobody is at anything. Suspects stay. */
void bq_vitals_renew(struct bq_vitals *vitals);

enum bq_blame {
    BQ_BLAME_NOBODY,   /* it is not known */
    BQ_BLAME_SUSPECTS, /* neither, but some chunk is suspected that was not before */
    BQ_BLAME_CHUNK,    /* *at */
    BQ_BLAME_BETWEEN,  /* the kernel, but outside of any chunk */
};

/* After its end (status: of wait): why, in words, and who is to blame. */
enum bq_blame bq_vitals_verdict(struct bq_vitals *vitals, int status, struct bq_at *at, char *why,
                                size_t size);

/* Whether it has said its last words, and only has to end, which may take long (a core dump). */
bool bq_vitals_is_dying(const struct bq_vitals *vitals);

/* Whether some thread has been in one call of a kernel for longer than its deadline, by the clock
 * of the one who looks, who looks often: then that deadline, ns, and the chunk, *at. Else 0. */
uint64_t bq_vitals_overdue(struct bq_vitals *vitals, uint64_t now, struct bq_at *at);

/* -- the process that cooks --------------------------------------------------------------- */

/* Maps what was passed, and catches what kills; once, in the thread that manages. */
int bq_vitals_attach(int fd, struct bq_error *err);

/* Around each call of a kernel, in any thread. They cost nanoseconds, and nothing where nobody
 * watches. deadline_ns 0: it may take as long as it likes. */
void bq_vitals_begin(uint32_t step, uint64_t chunk, uint64_t deadline_ns);
void bq_vitals_end(void);

/* After the last call for a chunk, all parts of it: it is a suspect no more. */
void bq_vitals_survived(uint32_t step, uint64_t chunk);

/* Around calls of a kernel's other functions, by name; NULL: that was it. */
void bq_vitals_doing(const char *function);

/* In a program that nobody watches: when a kernel crashes it, that is said on stderr, in words;
 * clean_up runs, in a signal's handler, and the program ends. Once, where it cooks or combines. */
void bq_vitals_alone(void (*clean_up)(void));

#endif
