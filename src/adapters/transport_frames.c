/* The transport of a process that cooks for a rank: one peer, which passes everything on. */
#include <poll.h>
#include <time.h>

#include "adapters/frames.h"
#include "base/heap.h"

struct framed {
    struct bq_transport base;
    struct bq_frames *frames;
    struct bq_parcel *open; /* received, not done with */
    bool is_lost, is_told;
};

static int framed_send(struct bq_transport *t, uint32_t to, struct bq_parcel *parcel,
                       struct bq_error *err)
{
    struct framed *f = (struct framed *)t;
    (void)to;
    (void)err;
    bq_frames_put(f->frames, parcel);
    f->is_lost |= bq_frames_write(f->frames) < 0;
    return 0;
}

static int framed_receive(struct bq_transport *t, uint32_t *from, void **bytes, size_t *size,
                          struct bq_error *err)
{
    struct framed *f = (struct framed *)t;
    (void)err;
    int got = bq_frames_read(f->frames, &f->open);
    f->is_lost |= got < 0;
    if (got <= 0)
        return 0;
    *from = 0;
    *bytes = f->open->bytes;
    *size = f->open->size;
    return 1;
}

static void framed_done_with(struct bq_transport *t)
{
    struct framed *f = (struct framed *)t;
    if (f->open)
        f->open->release(f->open);
    f->open = NULL;
}

static int framed_progress(struct bq_transport *t, struct bq_error *err)
{
    struct framed *f = (struct framed *)t;
    (void)err;
    int n = bq_frames_write(f->frames);
    f->is_lost |= n < 0;
    return n < 0 ? 0 : n;
}

static int framed_lost(struct bq_transport *t, uint32_t *rank)
{
    struct framed *f = (struct framed *)t;
    bool is_new = f->is_lost && !f->is_told;
    f->is_told |= f->is_lost;
    *rank = 0;
    return is_new;
}

static void framed_wait(struct bq_transport *t, uint64_t timeout_ns, int fd)
{
    struct framed *f = (struct framed *)t;
    int events = bq_frames_write(f->frames) > 0 ? POLLIN | POLLOUT : POLLIN;
    struct pollfd fds[2] = {
        {.fd = f->is_lost ? -1 : bq_frames_fd(f->frames), .events = (short)events},
        {.fd = fd, .events = POLLIN}};
    struct timespec limit = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
                             .tv_nsec = (long)(timeout_ns % 1000000000u)};
    ppoll(fds, 2, &limit, NULL);
}

static void framed_destroy(struct bq_transport *t)
{
    struct framed *f = (struct framed *)t;
    framed_done_with(t);
    while (bq_frames_write(f->frames) > 0) {
        struct pollfd out = {.fd = bq_frames_fd(f->frames), .events = POLLOUT};
        ppoll(&out, 1, NULL, NULL);
    }
    bq_frames_destroy(f->frames);
    bq_free(f);
}

struct bq_transport *bq_transport_frames(int fd, const struct bq_transport *like,
                                         struct bq_error *err)
{
    static const struct bq_transport_ops ops = {
        .name = "frames",
        .send = framed_send,
        .receive = framed_receive,
        .done_with = framed_done_with,
        .progress = framed_progress,
        .lost = framed_lost,
        .wait = framed_wait,
        .destroy = framed_destroy,
    };
    struct framed *f = bq_alloc(1, sizeof *f);
    struct bq_frames *frames = bq_frames_create(fd);
    if (!f || !frames) {
        bq_frames_destroy(frames);
        bq_free(f);
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return NULL;
    }
    f->base = *like;
    f->base.ops = &ops;
    f->frames = frames;
    return &f->base;
}
