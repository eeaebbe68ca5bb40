/* Frames: bytes of a process that may be damaged, as they come over a socket, in pieces of any
 * size; and messages that are sent through one, which come out as they went in.
 *
 * The input: how many pieces and, 2 bytes each, their sizes, which come round again; then the
 * bytes. */
#include "fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

#include "adapters/frames.h"
#include "base/bytes.h"

#define MOST_PIECES 255
#define MOST INT32_MAX /* bytes of a message */

const char *__asan_default_options(void);

/* A message that says it is larger than this finds no memory. */
const char *__asan_default_options(void)
{
    return "max_allocation_size_mb=64:allocator_may_return_null=1";
}

struct pieces {
    size_t size[MOST_PIECES];
    size_t n, turn;
};

static size_t next_piece(struct pieces *pieces, size_t most)
{
    size_t n = pieces->n ? pieces->size[pieces->turn++ % pieces->n] : most;
    return n < most ? n : most;
}

static void pair(int ends[2])
{
    int room = 4096;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    MUST(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0);
}

/* -- what is read ------------------------------------------------------------------------- */

/* What is to come: the message at `at`, if it is whole. */
struct want {
    const uint8_t *at, *end;
};

static bool is_next(struct want *want, const struct bq_parcel *parcel)
{
    uint32_t size;
    if ((size_t)(want->end - want->at) < sizeof size)
        return false;
    memcpy(&size, want->at, sizeof size);
    want->at += sizeof size;
    if (size > (size_t)(want->end - want->at) || parcel->size != size ||
        memcmp(parcel->bytes, want->at, size) != 0)
        return false;
    want->at += size;
    return true;
}

/* Nothing whole is left of what came, unless a message before it says that it is too large. */
static bool is_all(const struct want *want)
{
    uint32_t size;
    size_t n = (size_t)(want->end - want->at);
    if (n < sizeof size)
        return true;
    memcpy(&size, want->at, sizeof size);
    return size > MOST || size > n - sizeof size;
}

static int read_all(struct bq_frames *frames, struct want *want)
{
    struct bq_parcel *parcel;
    int rc;
    while ((rc = bq_frames_read(frames, &parcel)) > 0) {
        MUST(is_next(want, parcel));
        parcel->release(parcel);
    }
    return rc;
}

static void receive(struct pieces *pieces, const uint8_t *bytes, size_t n)
{
    int ends[2], rc = 0;
    pair(ends);
    struct bq_frames *frames = bq_frames_create(ends[1]);
    MUST(frames && bq_frames_fd(frames) == ends[1]);
    struct want want = {.at = bytes, .end = bytes};
    for (size_t done = 0; done < n && rc == 0;) {
        size_t most = next_piece(pieces, n - done);
        ssize_t put = send(ends[0], bytes + done, most ? most : 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        MUST(put > 0);
        done += (size_t)put;
        want.end = bytes + done;
        rc = read_all(frames, &want);
    }
    close(ends[0]);
    MUST(read_all(frames, &want) < 0 && is_all(&want));
    MUST(read_all(frames, &want) < 0);
    bq_frames_destroy(frames);
}

/* -- what is sent ------------------------------------------------------------------------- */

/* The same bytes as messages of those sizes, out of a socket with little room. */
static void send_and_receive(struct pieces *pieces, const uint8_t *bytes, size_t n)
{
    int ends[2], n_left = 0;
    pair(ends);
    struct bq_frames *out = bq_frames_create(ends[0]), *in = bq_frames_create(ends[1]);
    struct bq_parcel *parcel;
    size_t sent = 0, got = 0, n_sent = 0, n_got = 0;
    MUST(out && in);
    do {
        for (int i = 0; i < 5 && n_sent <= n; i++, n_sent++) {
            size_t size = next_piece(pieces, n - sent);
            parcel = bq_parcel_copy(bytes + sent, size);
            MUST(parcel);
            bq_frames_put(out, parcel);
            sent += size;
        }
        n_left = bq_frames_write(out);
        MUST(n_left >= 0);
        while (bq_frames_read(in, &parcel) > 0) {
            MUST(parcel->size <= sent - got &&
                 memcmp(parcel->bytes, bytes + got, parcel->size) == 0);
            got += parcel->size;
            n_got++;
            parcel->release(parcel);
        }
    } while (n_left || n_sent <= n);
    MUST(got == sent && n_got == n_sent);
    parcel = bq_parcel_copy(bytes, n);
    MUST(parcel);
    bq_frames_put(out, parcel); /* and never written */
    bq_frames_destroy(out);
    MUST(bq_frames_read(in, &parcel) < 0);
    bq_frames_destroy(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static struct pieces pieces;
    struct bq_reader r = bq_reader(bytes, n);
    pieces.turn = 0;
    pieces.n = bq_get_u8(&r);
    for (size_t i = 0; i < pieces.n; i++) {
        pieces.size[i] = bq_get_u8(&r);
        pieces.size[i] |= (size_t)bq_get_u8(&r) << 8;
    }
    if (r.is_bad)
        return 0;
    size_t n_left = (size_t)(r.end - r.at);
    uint8_t *rest = exact_copy(r.at, n_left);
    receive(&pieces, rest, n_left);
    pieces.turn = 0;
    send_and_receive(&pieces, rest, n_left);
    free(rest);
    return 0;
}
