#include "adapters/knock.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adapters/clock.h"

#define PATIENCE_NS UINT64_C(60000000000) /* a coordinator may be busy, a door crowded */
#define PAUSE_MS 50                       /* before another try */

void bq_knock_set_up(int fd)
{
    int yes = 1, idle_s = 15, every_s = 5, times = 3, most_ms = 60000;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof times);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &most_ms, sizeof most_ms);
}

/* Whether it is ready before the time is up. */
static bool await(int fd, short events, uint64_t limit)
{
    struct pollfd one = {.fd = fd, .events = events};
    for (;;) {
        uint64_t now = bq_now();
        int rc = now < limit ? poll(&one, 1, (int)((limit - now) / 1000000) + 1) : 0;
        if (rc >= 0 || errno != EINTR)
            return rc > 0;
    }
}

/* All n bytes; 0, or an errno: EPIPE when the other side has closed. */
static int take(int fd, unsigned char *to, size_t n, uint64_t limit)
{
    while (n) {
        ssize_t got = recv(fd, to, n, 0);
        if (got > 0) {
            to += got;
            n -= (size_t)got;
        } else if (got == 0) {
            return EPIPE;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!await(fd, POLLIN, limit))
                return ETIMEDOUT;
        } else if (errno != EINTR) {
            return errno == ECONNRESET ? EPIPE : errno;
        }
    }
    return 0;
}

/* A connection, or -1 with errno. */
static int reach(const struct addrinfo *all, uint64_t limit)
{
    int why = ECONNREFUSED;
    for (const struct addrinfo *a = all; a; a = a->ai_next) {
        int fd =
            socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
        if (fd < 0)
            return -1;
        int rc = connect(fd, a->ai_addr, a->ai_addrlen);
        why = rc < 0 ? errno : 0;
        if (rc < 0 && (why == EINPROGRESS || why == EINTR)) {
            socklen_t n = sizeof why;
            why = ETIMEDOUT;
            if (await(fd, POLLOUT, limit))
                getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &n);
        }
        if (why == 0)
            return fd;
        close(fd);
    }
    errno = why;
    return -1;
}

enum outcome { SPOKEN, CROWDED, WRONG_KEY, STRANGER, SILENT };

static enum outcome talk(int fd, const struct bq_door_file *file, uint32_t wire,
                         struct bq_door_verdict *verdict, uint64_t limit)
{
    struct bq_door_talk talk = {.key = file->key};
    struct bq_door_reply reply = {.wire = wire};
    unsigned char said[BQ_DOOR_REPLY], heard[BQ_DOOR_VERDICT];
    int rc = take(fd, talk.of_door, sizeof talk.of_door, limit);
    if (rc)
        return rc == EPIPE ? CROWDED : SILENT;
    randombytes_buf(talk.of_guest, sizeof talk.of_guest);
    bq_door_machine(file->key, reply.machine);
    bq_door_put_reply(&talk, &reply, said);
    if (send(fd, said, sizeof said, MSG_NOSIGNAL) != (ssize_t)sizeof said)
        return CROWDED;
    rc = take(fd, heard, sizeof heard, limit);
    if (rc)
        return rc == EPIPE ? WRONG_KEY : SILENT;
    return bq_door_get_verdict(&talk, heard, verdict) ? SPOKEN : STRANGER;
}

static int fail_outcome(enum outcome outcome, const char *where, struct bq_error *err)
{
    switch (outcome) {
    case CROWDED:
        return bq_fail(err, BQ_EXIT_FAILED, "the door at %s is too crowded; try again", where);
    case WRONG_KEY:
        return bq_fail(err, BQ_EXIT_FAILED,
                       "whoever listens at %s does not take the key: the file is of another run, "
                       "or that run is just over",
                       where);
    case STRANGER:
        return bq_fail(err, BQ_EXIT_FAILED,
                       "whoever listens at %s does not know the key: it is not the run that made "
                       "the file",
                       where);
    case SILENT:
    case SPOKEN:
        break;
    }
    return bq_fail(err, BQ_EXIT_FAILED, "whoever listens at %s does not answer", where);
}

static int judge(const struct bq_door_verdict *verdict, struct bq_error *err)
{
    if (verdict->verdict == BQ_DOOR_COME_IN && verdict->rank > 0 &&
        verdict->rank < verdict->n_ranks)
        return 0;
    if (verdict->verdict == BQ_DOOR_IS_FULL)
        return bq_fail(err, BQ_EXIT_FAILED, "the run has no place for another kitchen");
    return bq_fail(err, BQ_EXIT_USAGE,
                   "the run is of another build of banquet: both must be the same");
}

int bq_knock(const struct bq_door_file *file, const char *host, uint32_t wire,
             struct bq_door_verdict *verdict, struct bq_error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all = NULL;
    char where[300], port[8];
    const char *name = host ? host : file->address;
    uint64_t limit = bq_now() + PATIENCE_NS;
    snprintf(where, sizeof where, "%.255s port %u", name, (unsigned)file->port);
    snprintf(port, sizeof port, "%u", (unsigned)file->port);
    if (sodium_init() < 0)
        return bq_fail(err, BQ_EXIT_FAILED, "the system gives no random numbers");
    if (file->wire != wire)
        return bq_fail(err, BQ_EXIT_USAGE,
                       "the run speaks version %u of the protocol, this program version %u: both "
                       "must be of one build",
                       file->wire, wire);
    int rc = getaddrinfo(name, port, &hints, &all);
    if (rc)
        return bq_fail(err, BQ_EXIT_USAGE, "'%.255s': %s", name, gai_strerror(rc));
    enum outcome outcome = CROWDED;
    int fd = -1, n_closed = 0;
    while (outcome == CROWDED && bq_now() < limit) {
        fd = reach(all, limit);
        if (fd < 0)
            break;
        outcome = talk(fd, file, wire, verdict, limit);
        if (outcome != SPOKEN)
            close(fd);
        /* A crowd may push us away in the middle; the second time it is the key. */
        if (outcome == WRONG_KEY && n_closed++ == 0)
            outcome = CROWDED;
        if (outcome == CROWDED)
            poll(NULL, 0, PAUSE_MS);
    }
    int why = errno;
    freeaddrinfo(all);
    if (fd < 0)
        return bq_fail(err, BQ_EXIT_FAILED, "no run can be reached at %s: %s; it is over, or%s",
                       where, strerror(why),
                       host ? " not there" : " on another machine (--host NAME)");
    if (outcome != SPOKEN)
        return fail_outcome(outcome, where, err);
    if (judge(verdict, err) == 0) {
        bq_knock_set_up(fd);
        return fd;
    }
    close(fd);
    return -1;
}
