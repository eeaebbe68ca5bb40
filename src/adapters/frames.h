/* Messages over a stream socket between two processes: a size (4 bytes, the lowest first), then the
 * bytes. Both ends are ours; still, what is read is checked, as the other process may have been
 * damaged by the kernel that it runs. One thread. */
#ifndef BQ_ADAPTERS_FRAMES_H
#define BQ_ADAPTERS_FRAMES_H

#include "adapters/transport.h"

struct bq_frames;

/* Owns the descriptor, also on failure (NULL). */
struct bq_frames *bq_frames_create(int fd);
void bq_frames_destroy(struct bq_frames *frames); /* releases what is not written */
int bq_frames_fd(const struct bq_frames *frames);

/* Takes the parcel over; it is released when it is written. */
void bq_frames_put(struct bq_frames *frames, struct bq_parcel *parcel);

/* Writes what goes without waiting. Returns the parcels that are left; -1: the other end is gone,
 * nothing will be written any more. */
int bq_frames_write(struct bq_frames *frames);

/* The next message as a parcel to be released, *parcel; 1. 0: none is there. -1: the other end is
 * gone, and all that it sent whole was read; or no memory. */
int bq_frames_read(struct bq_frames *frames, struct bq_parcel **parcel);

/* A transport with one peer, rank 0, over such a socket, which it owns; `like` says who and where
 * this rank is. When the peer is gone, that is told as lost. */
struct bq_transport *bq_transport_frames(int fd, const struct bq_transport *like,
                                         struct bq_error *err);

#endif
