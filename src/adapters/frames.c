#include "adapters/frames.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/heap.h"

#define ROOM 65536u    /* small messages are read many at a time */
#define MOST INT32_MAX /* bytes of a message */
#define MOST_PIECES 64 /* of one call */

struct bq_frames {
    int fd;
    bool is_over;                  /* no more can be read */
    struct bq_parcel *head, *tail; /* to be written */
    size_t written;                /* of the head, its size included */
    int n_left;
    unsigned char buffer[ROOM]; /* read, from `begin` to `end` */
    size_t begin, end;
    struct bq_parcel *large; /* being read straight to its place: `got` bytes are there */
    size_t got;
};

struct bq_frames *bq_frames_create(int fd)
{
    struct bq_frames *f = bq_alloc(1, sizeof *f);
    if (f)
        f->fd = fd;
    else
        close(fd);
    return f;
}

static void release_all(struct bq_frames *f)
{
    while (f->head) {
        struct bq_parcel *parcel = f->head;
        f->head = parcel->next;
        parcel->release(parcel);
    }
    f->tail = NULL;
    f->n_left = 0;
}

void bq_frames_destroy(struct bq_frames *f)
{
    if (!f)
        return;
    release_all(f);
    free(f->large);
    close(f->fd);
    bq_free(f);
}

int bq_frames_fd(const struct bq_frames *f)
{
    return f->fd;
}

/* -- writing ------------------------------------------------------------------------------ */

void bq_frames_put(struct bq_frames *f, struct bq_parcel *parcel)
{
    parcel->next = NULL;
    if (f->tail)
        f->tail->next = parcel;
    else
        f->head = parcel;
    f->tail = parcel;
    f->n_left++;
}

/* What is left of the first parcels, as pieces for one call. */
static int pieces(struct bq_frames *f, struct iovec *piece, uint32_t *sizes, int most)
{
    int n = 0, i = 0;
    size_t skip = f->written;
    for (struct bq_parcel *p = f->head; p && n + 2 <= most; p = p->next, i++) {
        sizes[i] = htole32((uint32_t)p->size);
        if (skip < sizeof sizes[i])
            piece[n++] = (struct iovec){(char *)&sizes[i] + skip, sizeof sizes[i] - skip};
        size_t into = skip > sizeof sizes[i] ? skip - sizeof sizes[i] : 0;
        if (p->size > into)
            piece[n++] = (struct iovec){(char *)p->bytes + into, p->size - into};
        skip = 0;
    }
    return n;
}

static void advance(struct bq_frames *f, size_t n)
{
    f->written += n;
    while (f->head && f->written >= sizeof(uint32_t) + f->head->size) {
        struct bq_parcel *parcel = f->head;
        f->written -= sizeof(uint32_t) + parcel->size;
        f->head = parcel->next;
        f->n_left--;
        parcel->release(parcel);
    }
    if (!f->head)
        f->tail = NULL;
}

int bq_frames_write(struct bq_frames *f)
{
    while (f->head) {
        struct iovec piece[MOST_PIECES];
        uint32_t sizes[MOST_PIECES]; /* an empty parcel is one piece */
        struct msghdr message = {.msg_iov = piece};
        message.msg_iovlen = (size_t)pieces(f, piece, sizes, MOST_PIECES);
        ssize_t n = sendmsg(f->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS))
            return f->n_left;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            release_all(f);
            return -1;
        }
        advance(f, (size_t)n);
    }
    return f->n_left;
}

/* -- reading ------------------------------------------------------------------------------ */

static void free_parcel(struct bq_parcel *parcel)
{
    free(parcel);
}

static struct bq_parcel *parcel_of(size_t size)
{
    struct bq_parcel *parcel = malloc(sizeof *parcel + size);
    if (parcel)
        *parcel = (struct bq_parcel){.bytes = parcel + 1, .size = size, .release = free_parcel};
    return parcel;
}

/* 1: bytes came; 0: none are there; -1: none will come. */
static int read_some(struct bq_frames *f, void *to, size_t most, size_t *got)
{
    for (;;) {
        ssize_t n = recv(f->fd, to, most, MSG_DONTWAIT);
        if (n > 0) {
            *got += (size_t)n;
            return 1;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        return -1;
    }
}

/* A message that is whole in the buffer, or the beginning of one that does not fit into it. */
static int from_buffer(struct bq_frames *f, struct bq_parcel **parcel)
{
    uint32_t size;
    size_t n = f->end - f->begin;
    if (n < sizeof size)
        return 0;
    memcpy(&size, f->buffer + f->begin, sizeof size);
    size = le32toh(size);
    if (size > MOST)
        return -1;
    bool is_whole = n - sizeof size >= size;
    if (!is_whole && size + sizeof size <= ROOM)
        return 0;
    struct bq_parcel *p = parcel_of(size);
    if (!p)
        return -1;
    size_t take = is_whole ? size : n - sizeof size;
    memcpy(p->bytes, f->buffer + f->begin + sizeof size, take);
    f->begin += sizeof size + take;
    if (is_whole) {
        *parcel = p;
        return 1;
    }
    f->large = p;
    f->got = take;
    return 0;
}

int bq_frames_read(struct bq_frames *f, struct bq_parcel **parcel)
{
    while (!f->is_over) {
        int rc;
        if (f->large && f->got == f->large->size) {
            *parcel = f->large;
            f->large = NULL;
            return 1;
        }
        if (!f->large && (rc = from_buffer(f, parcel))) {
            f->is_over = rc < 0;
            return rc;
        }
        if (f->large) {
            rc = read_some(f, (char *)f->large->bytes + f->got, f->large->size - f->got, &f->got);
        } else {
            memmove(f->buffer, f->buffer + f->begin, f->end - f->begin);
            f->end -= f->begin;
            f->begin = 0;
            rc = read_some(f, f->buffer + f->end, ROOM - f->end, &f->end);
        }
        if (rc == 0)
            return 0;
        f->is_over = rc < 0;
    }
    return -1;
}
