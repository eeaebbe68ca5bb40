/* What transport_mpi.c (messages) and mpi_meet.c (start-up) share. Nobody else includes it. */
#ifndef BQ_ADAPTERS_TRANSPORT_MPI_H
#define BQ_ADAPTERS_TRANSPORT_MPI_H

#include <mpi.h>

#include "adapters/transport.h"

#define N_RECEIVING BQ_TRANSPORT_RECEIVING

struct sending {
    MPI_Request request;
    struct bq_parcel *parcel;
};

struct receiving {
    MPI_Request request;
    uint32_t from;
    void *bytes;
    size_t size, room;
};

struct mpi {
    struct bq_transport base;
    MPI_Comm world;
    struct sending *sending;
    int n_sending, sending_room;
    struct receiving receiving[N_RECEIVING]; /* a ring: oldest at first_receiving */
    unsigned first_receiving, n_receiving;
    bool is_open;  /* the oldest was handed out */
    int door;      /* my socket, or -1 */
    int *bell;     /* sockets of the ranks of this machine that I send to, or -1 */
    bool all_ring; /* every rank that sends to me is on this machine */
    uint64_t nap;
};

/* Puts MPI's own words into err; returns -1. */
int bq_mpi_fail(struct bq_error *err, const char *what, int code);

/* Collective: who is on which machine, and the doorbells between ranks of one. */
int bq_mpi_meet(struct mpi *m, struct bq_error *err);

#endif
