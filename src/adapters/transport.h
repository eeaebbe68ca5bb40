/* Moving messages between ranks. Two kinds with one face: mpi, and local (two threads of a
 * process). Behind either there may be guests (transport_guests.h).
 *
 * A transport belongs to one thread. Sending never blocks: a parcel is on its way when send
 * returns, and is released when its bytes are not needed any more (in the receiver's thread when
 * local).
 */
#ifndef BQ_ADAPTERS_TRANSPORT_H
#define BQ_ADAPTERS_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct bq_parcel {
    void *bytes;
    size_t size;
    void (*release)(struct bq_parcel *parcel); /* must be callable from any thread */
    struct bq_parcel *next;                    /* the transport's own */
};

struct bq_transport;

/* Messages that are received at once, at most: their bytes are a rank's memory. */
#define BQ_TRANSPORT_RECEIVING 8

struct bq_transport_ops {
    const char *name;
    int (*send)(struct bq_transport *t, uint32_t to, struct bq_parcel *parcel,
                struct bq_error *err);
    int (*receive)(struct bq_transport *t, uint32_t *from, void **bytes, size_t *size,
                   struct bq_error *err);
    void (*done_with)(struct bq_transport *t);
    int (*progress)(struct bq_transport *t, struct bq_error *err);
    int (*lost)(struct bq_transport *t, uint32_t *rank);                       /* may be NULL */
    void (*abandon)(struct bq_transport *t, uint32_t rank, bool must_die);     /* may be NULL */
    int (*joined)(struct bq_transport *t, uint32_t *rank, bool *is_elsewhere); /* may be NULL */
    void (*wait)(struct bq_transport *t, uint64_t timeout_ns, int fd);
    void (*destroy)(struct bq_transport *t);
};

/* What every kind begins with. */
struct bq_transport {
    const struct bq_transport_ops *ops;
    uint32_t rank, n_ranks; /* rank 0 is the coordinator */
    uint32_t n_machines;
    /* Among the kitchens of this machine that may use the same cores as this rank. */
    uint32_t machine_rank, machine_ranks;
    uint32_t n_here; /* kitchens of this machine, whatever cores they may use */
    bool is_bound;   /* the launcher gave the ranks of this machine different cores */
    bool is_broken;  /* see bq_transport_is_broken */
    bool is_guest;   /* came later, and knows nothing of others on this machine */
};

/* Takes the parcel over, also on failure. */
int bq_transport_send(struct bq_transport *t, uint32_t to, struct bq_parcel *parcel,
                      struct bq_error *err);

/* A parcel with a copy of these bytes, that frees itself. NULL: no memory. */
struct bq_parcel *bq_parcel_copy(const void *bytes, size_t size);

/* Sends a copy of a small message. */
int bq_transport_send_copy(struct bq_transport *t, uint32_t to, const void *bytes, size_t size,
                           struct bq_error *err);

/* 1: a message, its bytes valid until done_with; 0: none; -1: broken. */
int bq_transport_receive(struct bq_transport *t, uint32_t *from, void **bytes, size_t *size,
                         struct bq_error *err);
void bq_transport_done_with(struct bq_transport *t);

/* Parcels that are not released yet; it also moves them on. -1: broken. */
int bq_transport_progress(struct bq_transport *t, struct bq_error *err);

/* Ranks that are gone: 1 with one of them, told once and after all that came from it whole; 0: none
 * that was not told. A transport that cannot know tells nobody. */
int bq_transport_lost(struct bq_transport *t, uint32_t *rank);

/* That rank is gone, or shall be (must_die: its process is ended, where that can be done): what is
 * under way to and from it is dropped, and so is what is sent to it later. */
void bq_transport_abandon(struct bq_transport *t, uint32_t rank, bool must_die);

/* Ranks that have come since: 1 with one of them, told once and before any message of it, and
 * whether it is on a machine that none of the others was on when they began; 0: nobody else. */
int bq_transport_joined(struct bq_transport *t, uint32_t *rank, bool *is_elsewhere);

/* Somebody of the job is gone: whatever at the end needs all ranks is left out. */
void bq_transport_is_broken(struct bq_transport *t);

/* Sleeps until a message may be there, a rank is gone, `fd` is readable (-1: none), or the time is
 * up. May return early. Burns no core. */
void bq_transport_wait(struct bq_transport *t, uint64_t timeout_ns, int fd);

void bq_transport_destroy(struct bq_transport *t);

/* Two ends, rank 0 and rank 1, of an in-process connection. */
int bq_transport_local(struct bq_transport *ends[2], struct bq_error *err);

/* Whether a launcher started this process as one of several ranks. */
int bq_mpi_is_launched(void);

/* How many ranks the launcher says that it started; 1 when it does not say. */
long bq_mpi_expected_ranks(void);

/* Starts MPI (FUNNELED: the calling thread is the only one that may use it). All ranks. */
struct bq_transport *bq_transport_mpi(struct bq_error *err);

/* After the transport's end: MPI was left without its own, because somebody is gone. The process
 * has to end by _exit. */
bool bq_mpi_must_leave(void);

/* The exit code with which the process will end, before the transport does: an MPI that does not
 * let go is left with it. */
void bq_mpi_is_due(int exit_code);

/* A unique file descriptor's worth of waking: a counter that any thread can ring. */
int bq_bell_create(void); /* -1: no descriptor */
void bq_bell_ring(int bell);
void bq_bell_reset(int bell);

#endif
