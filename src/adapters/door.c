#include "adapters/door.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adapters/door_file.h"
#include "adapters/knock.h"
#include "base/heap.h"

#define MOST_AT_ONCE 64 /* that are looked at in one poll, so that a crowd cannot hold us */

struct standing {
    int fd;         /* -1: nobody */
    uint64_t since; /* it came */
    size_t got;
    unsigned char said[BQ_DOOR_REPLY];
    unsigned char random[BQ_DOOR_RANDOM]; /* our challenge */
};

struct bq_door {
    int listening, events; /* events: an epoll of it and all who stand there */
    uint32_t wire;
    bool is_wide;
    char *path; /* NULL: the file was not made */
    unsigned char key[BQ_DOOR_KEY];
    struct standing standing[BQ_DOOR_MOST];
};

/* -- opening and closing ------------------------------------------------------------------ */

static int listen_at(const char *address, int *fd, struct bq_error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *all = NULL;
    const char *name = address ? address : "127.0.0.1";
    int rc = getaddrinfo(name, "0", &hints, &all);
    if (rc)
        return bq_fail(err, BQ_EXIT_USAGE, "--door-address: '%.100s': %s", name, gai_strerror(rc));
    int why = 0;
    *fd = -1;
    for (struct addrinfo *a = all; a && *fd < 0; a = a->ai_next) {
        *fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
        if (*fd >= 0 && bind(*fd, a->ai_addr, a->ai_addrlen) == 0 && listen(*fd, 64) == 0)
            break;
        why = errno;
        if (*fd >= 0)
            close(*fd);
        *fd = -1;
    }
    freeaddrinfo(all);
    return *fd >= 0 ? 0
                    : bq_fail(err, BQ_EXIT_USAGE, "--door-address: cannot listen at '%.100s': %s",
                              name, strerror(why));
}

/* What guests are told: the address, or this machine's name where it listens at all of them. */
static int describe(struct bq_door *door, struct bq_door_file *file, struct bq_error *err)
{
    struct sockaddr_storage at;
    socklen_t n = sizeof at;
    char port[8];
    bool is_any = false, is_loopback = false;
    if (getsockname(door->listening, (struct sockaddr *)&at, &n) < 0 ||
        getnameinfo((struct sockaddr *)&at, n, file->address, sizeof file->address, port,
                    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV))
        return bq_fail(err, BQ_EXIT_FAILED, "--door: cannot tell its own address");
    if (at.ss_family == AF_INET) {
        uint32_t v4 = ntohl(((struct sockaddr_in *)&at)->sin_addr.s_addr);
        is_any = v4 == INADDR_ANY;
        is_loopback = v4 >> 24 == 127;
    } else if (at.ss_family == AF_INET6) {
        const struct in6_addr *v6 = &((struct sockaddr_in6 *)&at)->sin6_addr;
        is_any = IN6_IS_ADDR_UNSPECIFIED(v6);
        is_loopback = IN6_IS_ADDR_LOOPBACK(v6);
    }
    door->is_wide = !is_loopback;
    if (is_any)
        gethostname(file->address, sizeof file->address - 1);
    file->port = (uint16_t)strtoul(port, NULL, 10);
    return 0;
}

static int make(struct bq_door *door, const char *path, const char *address, struct bq_error *err)
{
    struct bq_door_file file = {.wire = door->wire};
    size_t size = strlen(path) + 1;
    if (sodium_init() < 0)
        return bq_fail(err, BQ_EXIT_FAILED, "the system gives no random numbers");
    if (bq_door_file_check(path, err) < 0 || listen_at(address, &door->listening, err) < 0 ||
        describe(door, &file, err) < 0)
        return -1;
    door->events = epoll_create1(EPOLL_CLOEXEC);
    char *own = bq_alloc(1, size);
    struct epoll_event event = {.events = EPOLLIN};
    if (!own || door->events < 0 ||
        epoll_ctl(door->events, EPOLL_CTL_ADD, door->listening, &event) < 0) {
        bq_free(own);
        return bq_fail(err, BQ_EXIT_FAILED, "no file descriptor or memory is left");
    }
    memcpy(own, path, size);
    randombytes_buf(door->key, sizeof door->key);
    memcpy(file.key, door->key, sizeof file.key);
    int rc = bq_door_file_make(path, &file, err);
    sodium_memzero(&file, sizeof file);
    if (rc == 0)
        door->path = own;
    else
        bq_free(own);
    return rc;
}

struct bq_door *bq_door_open(const char *path, const char *address, uint32_t wire,
                             struct bq_error *err)
{
    struct bq_door *door = bq_alloc(1, sizeof *door);
    if (!door) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return NULL;
    }
    door->listening = door->events = -1;
    door->wire = wire;
    for (int i = 0; i < BQ_DOOR_MOST; i++)
        door->standing[i].fd = -1;
    if (make(door, path, address, err) == 0)
        return door;
    bq_door_destroy(door);
    return NULL;
}

void bq_door_destroy(struct bq_door *door)
{
    if (!door)
        return;
    if (door->path)
        unlink(door->path);
    for (int i = 0; i < BQ_DOOR_MOST; i++) {
        if (door->standing[i].fd >= 0)
            close(door->standing[i].fd);
    }
    if (door->events >= 0)
        close(door->events);
    if (door->listening >= 0)
        close(door->listening);
    sodium_memzero(door->key, sizeof door->key);
    bq_free(door->path);
    bq_free(door);
}

int bq_door_fd(const struct bq_door *door)
{
    return door->events;
}

bool bq_door_is_wide(const struct bq_door *door)
{
    return door->is_wide;
}

const char *bq_door_path(const struct bq_door *door)
{
    return door->path;
}

/* -- those who stand there ---------------------------------------------------------------- */

static void leave(struct standing *s)
{
    close(s->fd); /* which takes it out of the epoll */
    s->fd = -1;
}

static struct standing *place(struct bq_door *door)
{
    struct standing *oldest = &door->standing[0];
    for (int i = 0; i < BQ_DOOR_MOST; i++) {
        struct standing *s = &door->standing[i];
        if (s->fd < 0)
            return s;
        if (s->since < oldest->since)
            oldest = s;
    }
    leave(oldest);
    return oldest;
}

static void come(struct bq_door *door, int fd, uint64_t now)
{
    struct standing *s = place(door);
    struct epoll_event event = {.events = EPOLLIN};
    *s = (struct standing){.fd = fd, .since = now};
    randombytes_buf(s->random, sizeof s->random);
    /* A new connection has room for so little, else it is a strange one. */
    if (epoll_ctl(door->events, EPOLL_CTL_ADD, fd, &event) < 0 ||
        send(fd, s->random, sizeof s->random, MSG_NOSIGNAL | MSG_DONTWAIT) !=
            (ssize_t)sizeof s->random)
        leave(s);
}

/* 1: it is *guest, and stands there no more. */
static int hear(struct bq_door *door, struct standing *s, struct bq_door_guest *guest)
{
    ssize_t n = recv(s->fd, s->said + s->got, sizeof s->said - s->got, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return 0;
    if (n <= 0) {
        leave(s);
        return 0;
    }
    s->got += (size_t)n;
    if (s->got < sizeof s->said)
        return 0;
    struct bq_door_reply reply;
    *guest = (struct bq_door_guest){.fd = s->fd, .talk = {.key = door->key}};
    memcpy(guest->talk.of_door, s->random, sizeof s->random);
    if (!bq_door_get_reply(&guest->talk, s->said, &reply)) {
        leave(s);
        return 0;
    }
    epoll_ctl(door->events, EPOLL_CTL_DEL, s->fd, NULL);
    s->fd = -1;
    if (reply.wire != door->wire) {
        bq_door_send_away(guest, BQ_DOOR_OTHER_BUILD);
        return 0;
    }
    unsigned char here[32];
    bq_door_machine(door->key, here);
    memcpy(guest->machine, reply.machine, sizeof here);
    guest->is_here = memcmp(here, reply.machine, sizeof here) == 0;
    return 1;
}

int bq_door_poll(struct bq_door *door, uint64_t now, struct bq_door_guest *guest)
{
    struct epoll_event event;
    int fd;
    /* Who has waited for us, and not we for it, is heard before its time is up. */
    bool is_any = epoll_wait(door->events, &event, 1, 0) > 0;
    for (int i = 0; i < BQ_DOOR_MOST; i++) {
        struct standing *s = &door->standing[i];
        if (s->fd >= 0 && is_any && hear(door, s, guest))
            return 1;
        if (s->fd >= 0 && now - s->since > BQ_DOOR_LIMIT_NS)
            leave(s);
    }
    for (int i = 0; is_any && i < MOST_AT_ONCE; i++) {
        fd = accept4(door->listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            break;
        come(door, fd, now);
    }
    return 0;
}

/* -- the verdict -------------------------------------------------------------------------- */

static int say(const struct bq_door_guest *guest, const struct bq_door_verdict *verdict)
{
    unsigned char bytes[BQ_DOOR_VERDICT];
    bq_door_put_verdict(&guest->talk, verdict, bytes);
    return send(guest->fd, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT) ==
                   (ssize_t)sizeof bytes
               ? 0
               : -1;
}

int bq_door_let_in(const struct bq_door_guest *guest, uint32_t rank, uint32_t n_ranks)
{
    struct bq_door_verdict verdict = {
        .verdict = BQ_DOOR_COME_IN, .rank = rank, .n_ranks = n_ranks, .is_here = guest->is_here};
    bq_knock_set_up(guest->fd);
    if (say(guest, &verdict) == 0)
        return guest->fd;
    close(guest->fd);
    return -1;
}

void bq_door_send_away(const struct bq_door_guest *guest, enum bq_verdict why)
{
    say(guest, &(struct bq_door_verdict){.verdict = why});
    close(guest->fd);
}
