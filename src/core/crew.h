/* The crew: every kitchen, what it holds, how fast it is, and who stands in line for work.
 * A part of the scheduler; nobody else uses it. */
#ifndef BQ_CORE_CREW_H
#define BQ_CORE_CREW_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ledger.h"

/* A lease from the coordinator's side. */
struct bq_held {
    uint64_t first, count, left; /* left: chunks not reported yet; set by bq_crew_give */
    uint64_t since, deadline;    /* ns */
    bool is_second;              /* of chunks that another kitchen holds too */
    uint64_t doubled;            /* from here on another kitchen has a second lease, or NEVER */
};

struct bq_crew;

struct bq_crew *bq_crew_create(uint32_t n_kitchens); /* NULL: no memory */
void bq_crew_destroy(struct bq_crew *crew);

void bq_crew_join(struct bq_crew *crew, uint32_t kitchen, uint32_t n_cooks, uint64_t in_progress,
                  uint64_t now);
/* Chunks that it can have in progress at once; 1 before it joined. */
uint64_t bq_crew_in_progress(const struct bq_crew *crew, uint32_t kitchen);
void bq_crew_lose(struct bq_crew *crew, uint32_t kitchen);
void bq_crew_return(struct bq_crew *crew, uint32_t kitchen); /* lost or closed no more */
bool bq_crew_close(struct bq_crew *crew, uint32_t kitchen);  /* false: it is lost, or is closed */
bool bq_crew_is_open(const struct bq_crew *crew, uint32_t kitchen); /* not lost, not closed */
uint32_t bq_crew_n_open(const struct bq_crew *crew);                /* joined or not */
uint32_t bq_crew_n_busy(const struct bq_crew *crew);                /* those that hold a lease */

/* Leases. give: the kitchen has room for it (see bq_crew_first_waiting). settle: the chunks are
 * reported, done or not; returns false when the kitchen held none of them; a lease is cut where the
 * report reaches its end. take_ended: removes, one at a time, the leases in which nothing is left.
 * take_back: likewise all of a kitchen that is lost or closed. hold_all: a kitchen holds this range
 * no more; marks in the ledger what others hold of it, who are alone with it now. */
void bq_crew_give(struct bq_crew *crew, uint32_t kitchen, const struct bq_held *held);
bool bq_crew_settle(struct bq_crew *crew, uint32_t kitchen, uint64_t first, uint64_t count);
bool bq_crew_take_ended(struct bq_crew *crew, uint32_t kitchen, struct bq_held *held);
bool bq_crew_take_back(struct bq_crew *crew, uint32_t kitchen, struct bq_held *held);
void bq_crew_hold_all(struct bq_crew *crew, struct bq_ledger *ledger, uint64_t first,
                      uint64_t count);

/* Whether another kitchen holds the chunk, reported or not. */
bool bq_crew_is_held_beside(const struct bq_crew *crew, uint32_t kitchen, uint64_t chunk);

/* The line: starving kitchens first, then in the order of asking. pass: look at the one behind
 * (false at the end of the line); restart_line: look at the first again. */
void bq_crew_ask(struct bq_crew *crew, uint32_t kitchen, uint64_t unstarted, uint64_t want,
                 double tau_ns);
uint64_t bq_crew_want(const struct bq_crew *crew, uint32_t kitchen); /* as it last asked */
void bq_crew_answered(struct bq_crew *crew, uint32_t kitchen);
bool bq_crew_first_waiting(const struct bq_crew *crew, uint32_t *kitchen);
bool bq_crew_pass(struct bq_crew *crew, uint32_t kitchen);
void bq_crew_restart_line(struct bq_crew *crew);
bool bq_crew_starves(const struct bq_crew *crew, uint32_t kitchen);

/* A dealt policy's turn of a kitchen: kept here, meant for the scheduler. */
uint64_t *bq_crew_turn(struct bq_crew *crew, uint32_t kitchen);

/* Speed. Times in ns, 0 when nothing is known. */
double bq_crew_mean_tau(const struct bq_crew *crew);
uint32_t bq_crew_mean_cooks(const struct bq_crew *crew);
double bq_crew_expected(const struct bq_crew *crew, uint32_t kitchen, uint64_t count);

/* The lease that will take longest from now, of another kitchen than `for_kitchen`, if that is more
 * than floor_ns and it pays to double it. It is marked as doubled: held->doubled and *count say
 * which chunks are worth a second lease. */
bool bq_crew_slowest(struct bq_crew *crew, const struct bq_ledger *ledger, uint64_t now,
                     uint32_t for_kitchen, uint64_t floor_ns, uint32_t *kitchen,
                     struct bq_held *held, uint64_t *count);

/* is_fed: chunks that were not fed yet are held by nobody. */
const char *bq_crew_check(const struct bq_crew *crew, const struct bq_ledger *ledger, bool is_fed);

#endif
