/* What is said at the door. Neither side believes, or reads further than the fixed size of,
 * anything before the other has proven that it knows the key; nothing that is said tells the key,
 * and no answer can be used twice.
 *
 *     door -> guest   CHALLENGE  random
 *     guest -> door   REPLY      random, who I am, proof of both randoms and all of this
 *     door -> guest   VERDICT    your rank, or why not; proof of both randoms and all of this
 *
 * A proof is crypto_auth (HMAC-SHA-512-256) under the key, compared in constant time. */
#ifndef BQ_ADAPTERS_DOOR_WORDS_H
#define BQ_ADAPTERS_DOOR_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#define BQ_DOOR_RANDOM 32
#define BQ_DOOR_PROOF 32
#define BQ_DOOR_REPLY (BQ_DOOR_RANDOM + 32 + 4 + BQ_DOOR_PROOF)
#define BQ_DOOR_VERDICT (4 * 4 + BQ_DOOR_PROOF)

/* What both know in the end. */
struct bq_door_talk {
    const unsigned char *key;
    unsigned char of_door[BQ_DOOR_RANDOM], of_guest[BQ_DOOR_RANDOM];
};

enum bq_verdict { BQ_DOOR_COME_IN, BQ_DOOR_IS_FULL, BQ_DOOR_OTHER_BUILD };

/* The guest. machine: a keyed hash of its machine's name and boot. */
struct bq_door_reply {
    unsigned char machine[32];
    uint32_t wire;
};

struct bq_door_verdict {
    uint32_t verdict; /* enum bq_verdict */
    uint32_t rank, n_ranks;
    uint32_t is_here; /* the guest is on the coordinator's machine */
};

/* This machine, as who has the key would call it. */
void bq_door_machine(const unsigned char *key, unsigned char machine[32]);

/* get: false: it is not from who knows the key. A REPLY's random is taken into the talk. */
void bq_door_put_reply(const struct bq_door_talk *talk, const struct bq_door_reply *reply,
                       unsigned char bytes[BQ_DOOR_REPLY]);
bool bq_door_get_reply(struct bq_door_talk *talk, const unsigned char bytes[BQ_DOOR_REPLY],
                       struct bq_door_reply *reply);
void bq_door_put_verdict(const struct bq_door_talk *talk, const struct bq_door_verdict *verdict,
                         unsigned char bytes[BQ_DOOR_VERDICT]);
bool bq_door_get_verdict(const struct bq_door_talk *talk,
                         const unsigned char bytes[BQ_DOOR_VERDICT],
                         struct bq_door_verdict *verdict);

#endif
