/* Frames: messages of any size over a socket that takes little at a time. */
#include "adapters/frames.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/heap.h"
#include "cunit.h"

#define N_MESSAGES 300
#define LARGEST 400000u

static struct bq_frames *end[2];
static int fd[2];
static unsigned seed = 20261123;

struct counted {
    struct bq_parcel parcel;
    int n_released;
    unsigned char bytes[];
};
static struct counted *sent[N_MESSAGES];

static void count_release(struct bq_parcel *parcel)
{
    ((struct counted *)parcel)->n_released++;
}

static void connect_ends(bool has_second)
{
    int small = 2048;
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    for (int i = 0; i < 2; i++)
        setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    end[0] = bq_frames_create(fd[0]);
    end[1] = has_second ? bq_frames_create(fd[1]) : NULL;
}

static struct counted *make(size_t size, unsigned char first)
{
    struct counted *c = calloc(1, sizeof *c + size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    for (size_t i = 0; i < size; i++)
        c->bytes[i] = (unsigned char)(first + i * 7);
    c->parcel = (struct bq_parcel){.bytes = c->bytes, .size = size, .release = count_release};
    return c;
}

static size_t random_size(void)
{
    switch (rand_r(&seed) % 4) {
    case 0:
        return (size_t)rand_r(&seed) % 5;
    case 1:
        return 65536 - 8 + (size_t)rand_r(&seed) % 16; /* about what is read at once */
    case 2:
        return (size_t)rand_r(&seed) % LARGEST;
    default:
        return (size_t)rand_r(&seed) % 300;
    }
}

static void check_got(const struct bq_parcel *got, const struct counted *want)
{
    CU_ASSERT_EQUAL_FATAL(got->size, want->parcel.size);
    CU_ASSERT_EQUAL(memcmp(got->bytes, want->bytes, got->size), 0);
}

static void any_sizes_arrive_in_order_and_are_released_once(void)
{
    struct bq_parcel *got;
    printf("seed %u ", seed);
    connect_ends(true);
    for (int i = 0; i < N_MESSAGES; i++) {
        sent[i] = make(random_size(), (unsigned char)i);
        bq_frames_put(end[0], &sent[i]->parcel);
    }
    CU_ASSERT(bq_frames_write(end[0]) > 0);
    for (int i = 0; i < N_MESSAGES;) {
        CU_ASSERT_FATAL(bq_frames_write(end[0]) >= 0);
        int is = bq_frames_read(end[1], &got);
        CU_ASSERT_FATAL(is >= 0);
        if (!is)
            continue;
        check_got(got, sent[i++]);
        got->release(got);
    }
    CU_ASSERT_EQUAL(bq_frames_write(end[0]), 0);
    for (int i = 0; i < N_MESSAGES; i++) {
        CU_ASSERT_EQUAL(sent[i]->n_released, 1);
        free(sent[i]);
    }
    CU_ASSERT_EQUAL(bq_frames_read(end[1], &got), 0);
    bq_frames_destroy(end[0]);
    CU_ASSERT_EQUAL(bq_frames_read(end[1], &got), -1);
    bq_frames_destroy(end[1]);
}

static void what_the_other_sent_whole_is_read_after_its_end(void)
{
    struct bq_parcel *got;
    connect_ends(true);
    struct counted *whole = make(100, 1), *cut = make(100000, 2);
    bq_frames_put(end[0], &whole->parcel);
    bq_frames_put(end[0], &cut->parcel);
    CU_ASSERT_EQUAL(bq_frames_write(end[0]), 1);
    bq_frames_destroy(end[0]);
    CU_ASSERT_EQUAL(whole->n_released, 1);
    CU_ASSERT_EQUAL(cut->n_released, 1);
    CU_ASSERT_EQUAL_FATAL(bq_frames_read(end[1], &got), 1);
    check_got(got, whole);
    got->release(got);
    CU_ASSERT_EQUAL(bq_frames_read(end[1], &got), -1);
    CU_ASSERT_EQUAL(bq_frames_read(end[1], &got), -1);
    bq_frames_destroy(end[1]);
    free(whole);
    free(cut);
}

static void what_cannot_be_written_is_released(void)
{
    struct bq_parcel *got;
    connect_ends(false);
    close(fd[1]);
    for (int i = 0; i < 3; i++) {
        sent[i] = make(10, 0);
        bq_frames_put(end[0], &sent[i]->parcel);
    }
    CU_ASSERT_EQUAL(bq_frames_read(end[0], &got), -1);
    CU_ASSERT_EQUAL(bq_frames_write(end[0]), -1);
    sent[3] = make(10, 0);
    bq_frames_put(end[0], &sent[3]->parcel);
    CU_ASSERT_EQUAL(bq_frames_write(end[0]), -1);
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(sent[i]->n_released, 1);
        free(sent[i]);
    }
    bq_frames_destroy(end[0]);
}

static void a_size_that_is_a_lie_ends_the_reading(void)
{
    struct bq_parcel *got;
    uint32_t lie = 0xfffffff0u;
    connect_ends(false);
    CU_ASSERT_EQUAL(write(fd[1], &lie, sizeof lie), sizeof lie);
    CU_ASSERT_EQUAL(bq_frames_read(end[0], &got), -1);
    bq_frames_destroy(end[0]);
    close(fd[1]);
}

static void noise_does_no_harm(void)
{
    printf("seed %u ", seed);
    for (int round = 0; round < 200; round++) {
        unsigned char noise[1500];
        struct bq_parcel *got;
        connect_ends(false);
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = rand_r(&seed) % 3 ? 0 : (unsigned char)rand_r(&seed);
        CU_ASSERT_EQUAL(write(fd[1], noise, sizeof noise), sizeof noise);
        close(fd[1]);
        int is;
        while ((is = bq_frames_read(end[0], &got)) > 0)
            got->release(got);
        CU_ASSERT_EQUAL(is, -1);
        bq_frames_destroy(end[0]);
    }
}

static void the_transport_tells_once_that_its_peer_is_gone(void)
{
    struct bq_transport like = {.rank = 3, .n_ranks = 4};
    uint32_t rank, from;
    void *bytes;
    size_t size;
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct bq_transport *t = bq_transport_frames(fd[0], &like, NULL);
    CU_ASSERT_EQUAL(t->rank, 3);
    CU_ASSERT_EQUAL(bq_transport_receive(t, &from, &bytes, &size, NULL), 0);
    CU_ASSERT_EQUAL(bq_transport_lost(t, &rank), 0);
    close(fd[1]);
    CU_ASSERT_EQUAL(bq_transport_receive(t, &from, &bytes, &size, NULL), 0);
    CU_ASSERT_EQUAL(bq_transport_lost(t, &rank), 1);
    CU_ASSERT_EQUAL(bq_transport_lost(t, &rank), 0);
    CU_ASSERT_EQUAL(bq_transport_send_copy(t, 0, "x", 1, NULL), 0);
    CU_ASSERT_EQUAL(bq_transport_progress(t, NULL), 0);
    bq_transport_destroy(t);
}

static const struct test tests[] = {
    {"any sizes arrive in order and are released once",
     any_sizes_arrive_in_order_and_are_released_once},
    {"what the other sent whole is read after its end",
     what_the_other_sent_whole_is_read_after_its_end},
    {"what cannot be written is released", what_cannot_be_written_is_released},
    {"a size that is a lie ends the reading", a_size_that_is_a_lie_ends_the_reading},
    {"noise does no harm", noise_does_no_harm},
    {"the transport tells once that its peer is gone",
     the_transport_tells_once_that_its_peer_is_gone},
};
RUN_TESTS("frames", tests)
