/* The meter: what one thread did, measured.
 *
 * A thread says which phase it enters; the meter splits each phase that should be on a core into
 * what the kernel's CPU clock says it was (cooking) and the rest. The rest of BUSY is time with
 * work and no core (ready); the rest of FILE is told apart by the run queue's own record
 * (/proc/thread-self/schedstat) where the system has it. Phases shorter than 20 us are taken to be
 * on a core, because asking costs 0.8 us; the next reading of the clock corrects that.
 *
 * One thread uses a meter; others read its track when that thread has ended.
 */
#ifndef BQ_ADAPTERS_METER_H
#define BQ_ADAPTERS_METER_H

#include "core/trace.h"

enum bq_phase {
    BQ_PHASE_IDLE, /* nothing to do */
    BQ_PHASE_BUSY, /* kernel, conversion: on a core if there is one */
    BQ_PHASE_FILE, /* reading a file */
    BQ_PHASE_LOCK, /* waiting for the file library's lock */
    BQ_PHASE_OVEN, /* every open chunk waits for its timer or descriptor */
    BQ_PHASE_PASS  /* waiting for the communication thread */
};

struct bq_meter {
    struct bq_track track;
    enum bq_phase phase;
    uint64_t epoch, since, cpu_at, queued_at;
    int schedstat; /* file descriptor, or -1 */
};

/* Called by the thread itself, around all that follows. */
void bq_meter_create(struct bq_meter *meter);
void bq_meter_destroy(struct bq_meter *meter);

/* epoch: the clock's value that counts as 0. May be started again: the track begins anew. */
void bq_meter_start(struct bq_meter *meter, uint64_t epoch);
void bq_meter_stop(struct bq_meter *meter);

/* Ends the phase and enters another. Returns the time. */
uint64_t bq_meter_enter(struct bq_meter *meter, enum bq_phase phase);

/* Books a phase that has lasted a millisecond or more, so that bins fill as time goes. */
void bq_meter_tick(struct bq_meter *meter, uint64_t now);

/* A chunk was open from `from` until `to`, in the clock's own time. */
void bq_meter_open(struct bq_meter *meter, uint64_t from, uint64_t to);

#endif
