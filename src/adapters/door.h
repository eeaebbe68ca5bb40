/* The door of a running job: a listening socket, and those who stand before it until they have
 * proven that they know the key (door_words.h). The coordinator's thread; nothing here waits.
 *
 * Whoever is there for longer than LIMIT, or says anything wrong, finds the connection closed. When
 * MOST stand there and another comes, who stands there longest has to go: those who know the key
 * need an instant, so that a crowd of strangers cannot keep them out.
 *
 * What is said after the handshake is not encrypted, as MPI's own TCP is not. */
#ifndef BQ_ADAPTERS_DOOR_H
#define BQ_ADAPTERS_DOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "adapters/door_words.h"
#include "base/error.h"

#define BQ_DOOR_MOST 8 /* that stand before it */
#define BQ_DOOR_LIMIT_NS UINT64_C(5000000000)

struct bq_door;

/* Listens at `address` (a name, IPv4 or IPv6; NULL: only this machine can reach it) and makes the
 * file, which is removed by bq_door_destroy. wire: a number that guests must have, too. */
struct bq_door *bq_door_open(const char *path, const char *address, uint32_t wire,
                             struct bq_error *err);
void bq_door_destroy(struct bq_door *door);

/* Readable when bq_door_poll may have something to do. */
int bq_door_fd(const struct bq_door *door);

/* Whether it can be reached from other machines. */
bool bq_door_is_wide(const struct bq_door *door);

/* Its file: for a signal handler that unlinks it. */
const char *bq_door_path(const struct bq_door *door);

struct bq_door_guest {
    int fd;
    bool is_here; /* on this machine */
    unsigned char machine[32];
    struct bq_door_talk talk;
};

/* Hears those who stand there. 1: *guest has proven itself, and is to be let in or sent away; 0:
 * nobody. */
int bq_door_poll(struct bq_door *door, uint64_t now, struct bq_door_guest *guest);

/* The verdict. let_in: the descriptor, non-blocking, is the caller's; -1: the guest is gone. */
int bq_door_let_in(const struct bq_door_guest *guest, uint32_t rank, uint32_t n_ranks);
void bq_door_send_away(const struct bq_door_guest *guest, enum bq_verdict why);

#endif
