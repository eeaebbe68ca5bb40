#include "adapters/door_words.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"

_Static_assert(BQ_DOOR_PROOF == crypto_auth_BYTES, "a proof is what crypto_auth makes");

#define MOST 128 /* bytes of what is said, without its proof */

/* What a proof is of. Who speaks is part of it, so that no side's words can be given back to it. */
static size_t all_of(const char speaker[8], const struct bq_door_talk *talk,
                     const unsigned char *said, size_t n, unsigned char *out)
{
    struct bq_writer w = bq_writer(out, 8 + 2 * BQ_DOOR_RANDOM + MOST);
    bq_put_bytes(&w, speaker, 8);
    bq_put_bytes(&w, talk->of_door, BQ_DOOR_RANDOM);
    bq_put_bytes(&w, talk->of_guest, BQ_DOOR_RANDOM);
    bq_put_bytes(&w, said, n);
    return (size_t)(w.at - out);
}

static void prove(const char speaker[8], const struct bq_door_talk *talk, unsigned char *said,
                  size_t n)
{
    unsigned char all[8 + 2 * BQ_DOOR_RANDOM + MOST];
    size_t size = all_of(speaker, talk, said, n, all);
    crypto_auth(said + n, all, size, talk->key);
}

static bool is_proven(const char speaker[8], const struct bq_door_talk *talk,
                      const unsigned char *said, size_t n)
{
    unsigned char all[8 + 2 * BQ_DOOR_RANDOM + MOST];
    size_t size = all_of(speaker, talk, said, n, all);
    return crypto_auth_verify(said + n, all, size, talk->key) == 0;
}

static const char guest[8] = "bq-guest", door[8] = "bq-door1";

void bq_door_machine(const unsigned char *key, unsigned char machine[32])
{
    char text[200] = "bq-here ";
    size_t n = strlen(text);
    gethostname(text + n, 64);
    text[n + 64] = 0;
    n = strlen(text);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text + n, 64) : 0;
    if (fd >= 0)
        close(fd);
    crypto_auth(machine, (unsigned char *)text, n + (got > 0 ? (size_t)got : 0), key);
}

void bq_door_put_reply(const struct bq_door_talk *talk, const struct bq_door_reply *reply,
                       unsigned char bytes[BQ_DOOR_REPLY])
{
    struct bq_writer w = bq_writer(bytes, BQ_DOOR_REPLY);
    bq_put_bytes(&w, talk->of_guest, BQ_DOOR_RANDOM);
    bq_put_bytes(&w, reply->machine, sizeof reply->machine);
    bq_put_u32(&w, reply->wire);
    prove(guest, talk, bytes, BQ_DOOR_REPLY - BQ_DOOR_PROOF);
}

bool bq_door_get_reply(struct bq_door_talk *talk, const unsigned char bytes[BQ_DOOR_REPLY],
                       struct bq_door_reply *reply)
{
    memcpy(talk->of_guest, bytes, BQ_DOOR_RANDOM);
    if (!is_proven(guest, talk, bytes, BQ_DOOR_REPLY - BQ_DOOR_PROOF))
        return false;
    struct bq_reader r = bq_reader(bytes + BQ_DOOR_RANDOM, BQ_DOOR_REPLY - BQ_DOOR_RANDOM);
    memcpy(reply->machine, bq_get_bytes(&r, sizeof reply->machine), sizeof reply->machine);
    reply->wire = bq_get_u32(&r);
    return true;
}

void bq_door_put_verdict(const struct bq_door_talk *talk, const struct bq_door_verdict *verdict,
                         unsigned char bytes[BQ_DOOR_VERDICT])
{
    struct bq_writer w = bq_writer(bytes, BQ_DOOR_VERDICT);
    bq_put_u32(&w, verdict->verdict);
    bq_put_u32(&w, verdict->rank);
    bq_put_u32(&w, verdict->n_ranks);
    bq_put_u32(&w, verdict->is_here);
    prove(door, talk, bytes, BQ_DOOR_VERDICT - BQ_DOOR_PROOF);
}

bool bq_door_get_verdict(const struct bq_door_talk *talk,
                         const unsigned char bytes[BQ_DOOR_VERDICT],
                         struct bq_door_verdict *verdict)
{
    if (!is_proven(door, talk, bytes, BQ_DOOR_VERDICT - BQ_DOOR_PROOF))
        return false;
    struct bq_reader r = bq_reader(bytes, BQ_DOOR_VERDICT);
    verdict->verdict = bq_get_u32(&r);
    verdict->rank = bq_get_u32(&r);
    verdict->n_ranks = bq_get_u32(&r);
    verdict->is_here = bq_get_u32(&r);
    return true;
}
