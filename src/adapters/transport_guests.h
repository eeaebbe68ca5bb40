/* The coordinator's transport, with a door and seats behind its ranks: who comes in by the door
 * takes a seat, is a rank from then on, and is told as joined; who is lost, and abandoned, leaves
 * the seat to the next. Guests are heard only while somebody asks who has joined.
 *
 *     ranks 0 .. n - 1 of the inner transport | n .. n + BQ_SEATS - 1: seats
 */
#ifndef BQ_ADAPTERS_TRANSPORT_GUESTS_H
#define BQ_ADAPTERS_TRANSPORT_GUESTS_H

#include "adapters/door.h"
#include "adapters/transport.h"

#define BQ_SEATS 16

/* Owns both; on failure (NULL) neither. n_machines grows with those that guests are on. */
struct bq_transport *bq_transport_guests(struct bq_transport *inner, struct bq_door *door,
                                         struct bq_error *err);

/* A guest's own transport, with the coordinator as its one peer. Owns the descriptor. */
struct bq_transport *bq_transport_guest(int fd, const struct bq_door_verdict *verdict,
                                        struct bq_error *err);

#endif
