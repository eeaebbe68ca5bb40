/* What transport_mpi.c (messages), mpi_meet.c (start-up) and mpi_peers.c (ranks that are gone)
 * share. Nobody else includes it. */
#ifndef BQ_ADAPTERS_TRANSPORT_MPI_H
#define BQ_ADAPTERS_TRANSPORT_MPI_H

#include <mpi.h>

#include "adapters/transport.h"
#include "adapters/watchdog.h"

#define TAG 7
#define N_RECEIVING BQ_TRANSPORT_RECEIVING
#define N_HELD (N_RECEIVING / 2) /* messages of one rank that wait for the rest of its oldest */

struct sending {
    MPI_Request request;
    struct bq_parcel *parcel;
    uint32_t to;
};

struct receiving {
    MPI_Request request;
    uint32_t from;
    void *bytes;
    size_t size, room;
    bool is_dropped; /* its sender is gone: nobody gets it */
};

/* What is known of another rank. */
enum peer_state {
    PEER_THERE,
    PEER_ENDED, /* its process is gone; what came from it whole is still to be received */
    PEER_GONE   /* told, or abandoned: nothing goes to it or comes from it any more */
};

struct peer {
    enum peer_state state;
    int pidfd;           /* -1: the end of its process is not seen */
    uint64_t last_whole; /* when a message of it was last complete, or its end was seen */
};

/* Who a rank is to the others of its machine. A pid alone can be another process's by now, or mean
 * another one in another container. */
struct identity {
    uint64_t leader; /* the first rank of its machine */
    uint64_t cores;  /* differs when the cores do that it may use */
    uint64_t pid, began, pid_space;
};

/* Kinds of calls, for the watchdog. */
enum { CALL_NONE, CALL_START, CALL_SEND, CALL_PROBE, CALL_RECEIVE, CALL_TEST, CALL_END };

struct mpi {
    struct bq_transport base;
    MPI_Comm world;
    struct sending *sending;
    int n_sending, sending_room;
    struct receiving receiving[N_RECEIVING]; /* the oldest first */
    unsigned n_receiving;
    struct receiving *open; /* what was handed out, or NULL */
    uint32_t next_source;   /* whose turn it is where ranks are matched one by one */
    int door;               /* my socket, or -1 */
    int *bell;              /* sockets of the ranks of this machine that I send to, or -1 */
    bool all_ring;          /* every rank that sends to me is on this machine */
    uint64_t nap;
    struct peer *peers;
    int ended;                /* an epoll of the peers' pidfds, or -1 */
    uint32_t n_ended, n_gone; /* peers in that state */
    struct bq_watchdog watchdog;
    bool is_watched;
};

/* A call into MPI under the watchdog's eyes: WATCHED(m, CALL_TEST, MPI_Test(..)) is its code. */
#define WATCHED(m, kind, call)                                                                     \
    (bq_watchdog_enter(&(m)->watchdog, kind), bq_mpi_left(&(m)->watchdog, call))
static inline int bq_mpi_left(struct bq_watchdog *w, int code)
{
    bq_watchdog_leave(w);
    return code;
}

/* Puts MPI's own words into err; returns -1. */
int bq_mpi_fail(struct bq_error *err, const char *what, int code);

/* Collective: who is on which machine, and the doorbells between ranks of one. */
int bq_mpi_meet(struct mpi *m, struct bq_error *err);

/* -- mpi_peers.c -- */

struct identity bq_mpi_identity(void);

/* From now on the end of that rank's process is seen, where the system can tell. */
void bq_mpi_watch_peer(struct mpi *m, uint32_t rank, const struct identity *me,
                       const struct identity *of);

/* m->ended is readable: notes who it is. */
void bq_mpi_see_ended(struct mpi *m);

int bq_mpi_lost(struct bq_transport *t, uint32_t *rank);
void bq_mpi_abandon(struct bq_transport *t, uint32_t rank, bool must_die);

/* Drops what was started: it is not waited for. MPI cannot take a transfer back whose other side is
 * gone, and may still look at the bytes; so they are leaked, on purpose. */
void bq_mpi_drop_receiving(struct mpi *m, struct receiving *r);
void bq_mpi_drop_sends(struct mpi *m, uint32_t to);

void bq_mpi_forget_peers(struct mpi *m);

#endif
