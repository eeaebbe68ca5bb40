/* The door and who comes in: honest guests, slow ones, liars and crowds. One process plays all. */
#include "adapters/door.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapters/door_file.h"
#include "adapters/knock.h"
#include "adapters/transport_guests.h"
#include "cunit.h"
#include "random.h"

#define WIRE 7u

static char path[] = "/tmp/banquet-test-door-XXXXXX";
static struct bq_door *door;
static struct bq_door_file file;
static uint64_t now; /* the door's, and no clock's */

static void open_door(void)
{
    struct bq_error err = {0};
    now = 1;
    unlink(path);
    door = bq_door_open(path, NULL, WIRE, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(door);
    CU_ASSERT_EQUAL_FATAL(bq_door_file_read(path, &file, &err), 0);
    CU_ASSERT_EQUAL(file.wire, WIRE);
    CU_ASSERT_FALSE(bq_door_is_wide(door));
}

static void close_door(void)
{
    bq_door_destroy(door);
    door = NULL;
    CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
}

/* -- a guest by hand ---------------------------------------------------------------------- */

static int connect_to_door(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(file.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static struct bq_door_guest guest;

/* The door looks until something has come, or nobody stands there with something to say. */
static int look(void)
{
    struct pollfd event = {.fd = bq_door_fd(door), .events = POLLIN};
    int rc = 0;
    while (rc == 0 && poll(&event, 1, 0) > 0)
        rc = bq_door_poll(door, now, &guest);
    return rc ? rc : bq_door_poll(door, now, &guest);
}

/* On loopback what was sent is there, but who is woken may need a moment. */
static int look_until(int rc)
{
    struct pollfd event = {.fd = bq_door_fd(door), .events = POLLIN};
    for (int i = 0; i < 100; i++) {
        int got = look();
        if (got == rc)
            return got;
        poll(&event, 1, 100);
    }
    return -1;
}

/* Whether the door has closed the connection, having said at most `most` bytes. */
static bool is_closed(int fd, size_t most)
{
    unsigned char bytes[4096];
    size_t all = 0;
    for (int i = 0; i < 100; i++) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        look();
        if (poll(&one, 1, 20) <= 0)
            continue;
        ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n <= 0)
            return all <= most;
        all += (size_t)n;
    }
    return false;
}

static void hear_challenge(int fd, struct bq_door_talk *talk)
{
    look();
    *talk = (struct bq_door_talk){.key = file.key};
    CU_ASSERT_EQUAL_FATAL(recv(fd, talk->of_door, BQ_DOOR_RANDOM, MSG_WAITALL), BQ_DOOR_RANDOM);
    randombytes_buf(talk->of_guest, sizeof talk->of_guest);
}

static void make_reply(struct bq_door_talk *talk, unsigned char bytes[BQ_DOOR_REPLY])
{
    struct bq_door_reply reply = {.wire = WIRE};
    bq_door_machine(file.key, reply.machine);
    bq_door_put_reply(talk, &reply, bytes);
}

/* -- stories of the door ------------------------------------------------------------------ */

static void who_knows_the_key_comes_in(void)
{
    unsigned char reply[BQ_DOOR_REPLY], verdict[BQ_DOOR_VERDICT];
    struct bq_door_talk talk;
    struct bq_door_verdict heard;
    open_door();
    int fd = connect_to_door();
    hear_challenge(fd, &talk);
    make_reply(&talk, reply);
    CU_ASSERT_EQUAL(send(fd, reply, sizeof reply, 0), sizeof reply);
    CU_ASSERT_EQUAL_FATAL(look_until(1), 1);
    CU_ASSERT(guest.is_here);
    int in = bq_door_let_in(&guest, 5, 9);
    CU_ASSERT_FATAL(in >= 0);
    CU_ASSERT_EQUAL(recv(fd, verdict, sizeof verdict, MSG_WAITALL), sizeof verdict);
    CU_ASSERT(bq_door_get_verdict(&talk, verdict, &heard));
    CU_ASSERT_EQUAL(heard.verdict, BQ_DOOR_COME_IN);
    CU_ASSERT_EQUAL(heard.rank, 5);
    CU_ASSERT_EQUAL(heard.n_ranks, 9);
    verdict[4] ^= 1;
    CU_ASSERT_FALSE(bq_door_get_verdict(&talk, verdict, &heard));
    close(in);
    close(fd);
    close_door();
}

static void one_bit_is_enough_to_be_nobody(void)
{
    unsigned char reply[BQ_DOOR_REPLY];
    open_door();
    for (size_t bit = 0; bit < 8 * sizeof reply; bit += 7) {
        struct bq_door_talk talk;
        int fd = connect_to_door();
        hear_challenge(fd, &talk);
        make_reply(&talk, reply);
        reply[bit / 8] ^= (unsigned char)(1 << bit % 8);
        CU_ASSERT_EQUAL(send(fd, reply, sizeof reply, 0), sizeof reply);
        CU_ASSERT(is_closed(fd, 0));
        close(fd);
    }
    close_door();
}

static void a_reply_serves_once(void)
{
    unsigned char reply[BQ_DOOR_REPLY];
    struct bq_door_talk talk;
    open_door();
    int fd = connect_to_door();
    hear_challenge(fd, &talk);
    make_reply(&talk, reply);
    close(fd);
    fd = connect_to_door();
    hear_challenge(fd, &talk);
    CU_ASSERT_EQUAL(send(fd, reply, sizeof reply, 0), sizeof reply);
    CU_ASSERT(is_closed(fd, 0));
    close(fd);
    close_door();
}

static void a_verdict_is_no_reply(void)
{
    unsigned char reply[BQ_DOOR_REPLY] = {0}, verdict[BQ_DOOR_VERDICT];
    struct bq_door_talk talk = {.key = file.key};
    struct bq_door_reply heard;
    bq_door_put_verdict(&talk, &(struct bq_door_verdict){0}, verdict);
    memcpy(reply + BQ_DOOR_REPLY - BQ_DOOR_PROOF, verdict + BQ_DOOR_VERDICT - BQ_DOOR_PROOF,
           BQ_DOOR_PROOF);
    CU_ASSERT_FALSE(bq_door_get_reply(&talk, reply, &heard));
}

static void a_torn_reply_is_heard_when_it_is_whole(void)
{
    unsigned char reply[BQ_DOOR_REPLY];
    struct bq_door_talk talk;
    open_door();
    int fd = connect_to_door();
    hear_challenge(fd, &talk);
    make_reply(&talk, reply);
    for (size_t i = 0; i < sizeof reply; i++) {
        CU_ASSERT_EQUAL(look(), 0);
        CU_ASSERT_EQUAL(send(fd, reply + i, 1, 0), 1);
    }
    CU_ASSERT_EQUAL_FATAL(look_until(1), 1);
    bq_door_send_away(&guest, BQ_DOOR_IS_FULL);
    close(fd);
    close_door();
}

static void who_is_slow_has_to_go(void)
{
    unsigned char reply[BQ_DOOR_REPLY];
    struct bq_door_talk talk;
    open_door();
    int silent = connect_to_door(), slow = connect_to_door();
    hear_challenge(silent, &talk);
    hear_challenge(slow, &talk);
    make_reply(&talk, reply);
    CU_ASSERT_EQUAL(send(slow, reply, sizeof reply - 1, 0), sizeof reply - 1);
    now += BQ_DOOR_LIMIT_NS;
    CU_ASSERT_EQUAL(look(), 0);
    struct pollfd one = {.fd = silent, .events = POLLIN};
    CU_ASSERT_EQUAL(poll(&one, 1, 0), 0);
    now += 1;
    CU_ASSERT(is_closed(silent, 0));
    CU_ASSERT(is_closed(slow, 0));
    close(silent);
    close(slow);
    close_door();
}

static void who_was_not_listened_to_is_not_slow(void)
{
    unsigned char reply[BQ_DOOR_REPLY];
    struct bq_door_talk talk;
    open_door();
    int fd = connect_to_door();
    hear_challenge(fd, &talk);
    make_reply(&talk, reply);
    CU_ASSERT_EQUAL(send(fd, reply, sizeof reply, 0), sizeof reply);
    struct pollfd event = {.fd = bq_door_fd(door), .events = POLLIN};
    poll(&event, 1, 1000);
    now += 100 * BQ_DOOR_LIMIT_NS;
    CU_ASSERT_EQUAL(bq_door_poll(door, now, &guest), 1);
    bq_door_send_away(&guest, BQ_DOOR_IS_FULL);
    close(fd);
    close_door();
}

static void a_crowd_keeps_nobody_out(void)
{
    enum { CROWD = 60 };
    unsigned char reply[BQ_DOOR_REPLY];
    struct bq_door_talk talk;
    int crowd[CROWD];
    open_door();
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = connect_to_door();
        now++;
        look();
    }
    int fd = connect_to_door();
    now++;
    hear_challenge(fd, &talk);
    make_reply(&talk, reply);
    CU_ASSERT_EQUAL(send(fd, reply, sizeof reply, 0), sizeof reply);
    CU_ASSERT_EQUAL_FATAL(look_until(1), 1);
    bq_door_send_away(&guest, BQ_DOOR_IS_FULL);
    int n_left = 0;
    for (int i = 0; i < CROWD; i++) {
        unsigned char bytes[64];
        n_left += recv(crowd[i], bytes, 32, MSG_WAITALL) == 32 &&
                  recv(crowd[i], bytes, 1, MSG_DONTWAIT) < 0;
        close(crowd[i]);
    }
    CU_ASSERT(n_left < BQ_DOOR_MOST);
    close(fd);
    close_door();
}

static void random_bytes_open_nothing(void)
{
    open_door();
    for (int i = 0; i < 200; i++) {
        unsigned char bytes[300];
        int fd = connect_to_door();
        size_t n = random_below(sizeof bytes);
        for (size_t k = 0; k < n; k++)
            bytes[k] = (unsigned char)random_next();
        if (n && send(fd, bytes, n, MSG_NOSIGNAL) < 0)
            n = 0;
        if (random_below(2))
            shutdown(fd, SHUT_WR);
        CU_ASSERT_EQUAL(look(), 0);
        close(fd);
    }
    CU_ASSERT_EQUAL(look(), 0);
    close_door();
}

/* -- the file ----------------------------------------------------------------------------- */

static void write_file(const char *text, mode_t mode)
{
    unlink(path);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs(text, f);
    fclose(f);
    chmod(path, mode);
}

static void only_a_whole_and_private_file_is_read(void)
{
    static const char *const bad[] = {
        "\n",
        "banquet door 1\n",
        "banquet door 2\nwire 7\naddress ::1\nport 5\nkey "
        "000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f\n",
        "banquet door 1\nwire 7\naddress ::1\nport 70000\nkey "
        "000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f\n",
        "banquet door 1\nwire 7\naddress ::1\nport 5\nkey 0001\n",
        "banquet door 1\nwire 7\naddress ::1\nport 5\nkey "
        "0001020304050607zz090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f\n",
        "banquet door 1\nwire 7\naddress ::1\nport 5\nkey "
        "000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f\nmore\n",
    };
    static const char good[] = "banquet door 1\nwire 7\naddress ::1\nport 5\nkey "
                               "000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f\n";
    struct bq_error err = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(bad[i], 0600);
        CU_ASSERT_EQUAL(bq_door_file_read(path, &file, &err), -1);
        CU_ASSERT_EQUAL(err.exit, BQ_EXIT_USAGE);
    }
    write_file(good, 0600);
    CU_ASSERT_EQUAL(bq_door_file_read(path, &file, &err), 0);
    CHECK_TEXT(file.address, "::1");
    CU_ASSERT_EQUAL(file.key[31], 15);
    for (mode_t mode = 1; mode < 0100; mode *= 2) {
        write_file(good, 0600 | mode);
        CU_ASSERT_EQUAL(bq_door_file_read(path, &file, &err), -1);
    }
    CU_ASSERT_PTR_NULL(bq_door_open(path, NULL, WIRE, &err));
    CU_ASSERT_EQUAL(err.exit, BQ_EXIT_USAGE);
    CU_ASSERT_EQUAL(access(path, F_OK), 0);
    unlink(path);
}

/* -- guests ------------------------------------------------------------------------------- */

static struct bq_transport *ends[2], *host;

static void open_house(void)
{
    struct bq_error err = {0};
    open_door();
    CU_ASSERT_EQUAL_FATAL(bq_transport_local(ends, &err), 0);
    host = bq_transport_guests(ends[0], door, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(host);
    CU_ASSERT_EQUAL(host->n_ranks, 2 + BQ_SEATS);
}

static void close_house(void)
{
    bq_transport_destroy(host);
    bq_transport_destroy(ends[1]);
    CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
}

struct visit {
    struct bq_transport *t;
    struct bq_error err;
};

static void *knock(void *arg)
{
    struct visit *v = arg;
    struct bq_door_verdict verdict;
    int fd = bq_knock(&file, NULL, WIRE, &verdict, &v->err);
    v->t = fd >= 0 ? bq_transport_guest(fd, &verdict, &v->err) : NULL;
    return NULL;
}

/* A guest comes; its rank, 0 when it was sent away. */
static uint32_t come(struct visit *v)
{
    pthread_t thread;
    uint32_t rank = 0;
    bool is_elsewhere;
    *v = (struct visit){0};
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, knock, v), 0);
    void *nothing;
    while (pthread_tryjoin_np(thread, &nothing) != 0) {
        if (!rank)
            bq_transport_joined(host, &rank, &is_elsewhere);
        bq_transport_wait(host, 1000000, -1);
    }
    if (!rank)
        bq_transport_joined(host, &rank, &is_elsewhere);
    CU_ASSERT_EQUAL(rank != 0, v->t != NULL);
    return rank;
}

static uint32_t await(struct bq_transport *t, uint32_t *from)
{
    void *bytes;
    size_t size;
    uint32_t value = 0;
    for (int i = 0; i < 1000; i++) {
        if (bq_transport_receive(t, from, &bytes, &size, NULL) == 1) {
            CU_ASSERT_EQUAL(size, sizeof value);
            memcpy(&value, bytes, sizeof value);
            bq_transport_done_with(t);
            return value;
        }
        bq_transport_wait(t, 10000000, -1);
    }
    return 0;
}

static bool await_lost(uint32_t want)
{
    uint32_t rank, from;
    void *bytes;
    size_t size;
    for (int i = 0; i < 1000; i++) {
        if (bq_transport_receive(host, &from, &bytes, &size, NULL) == 1)
            bq_transport_done_with(host);
        if (bq_transport_lost(host, &rank))
            return rank == want;
        bq_transport_wait(host, 10000000, -1);
    }
    return false;
}

static void send_u32(struct bq_transport *t, uint32_t to, uint32_t value)
{
    CU_ASSERT_EQUAL(bq_transport_send_copy(t, to, &value, sizeof value, NULL), 0);
}

static void guests_and_others_talk(void)
{
    struct visit a, b;
    uint32_t from;
    open_house();
    CU_ASSERT_EQUAL(come(&a), 2);
    CU_ASSERT_EQUAL(come(&b), 3);
    CU_ASSERT_EQUAL(a.t->rank, 2);
    CU_ASSERT_EQUAL(a.t->n_machines, 1);
    CU_ASSERT_EQUAL(host->n_machines, 1);
    send_u32(a.t, 0, 100);
    CU_ASSERT_EQUAL(await(host, &from), 100);
    CU_ASSERT_EQUAL(from, 2);
    send_u32(b.t, 0, 101);
    CU_ASSERT_EQUAL(await(host, &from), 101);
    CU_ASSERT_EQUAL(from, 3);
    send_u32(ends[1], 0, 102);
    CU_ASSERT_EQUAL(await(host, &from), 102);
    CU_ASSERT_EQUAL(from, 1);
    send_u32(host, 3, 103);
    CU_ASSERT_EQUAL(await(b.t, &from), 103);
    send_u32(host, 9, 104); /* an empty seat */
    CU_ASSERT_EQUAL(bq_transport_progress(host, NULL), 0);
    bq_transport_destroy(a.t);
    bq_transport_destroy(b.t);
    close_house();
}

static void a_seat_that_was_left_is_taken_again(void)
{
    struct visit a, b;
    uint32_t from, rank;
    open_house();
    CU_ASSERT_EQUAL(come(&a), 2);
    send_u32(a.t, 0, 7);
    bq_transport_destroy(a.t);
    CU_ASSERT_EQUAL(await(host, &from), 7); /* what it sent whole comes before its end */
    CU_ASSERT(await_lost(2));
    CU_ASSERT_EQUAL(bq_transport_lost(host, &rank), 0);
    send_u32(host, 2, 8);
    bq_transport_abandon(host, 2, true);
    CU_ASSERT_EQUAL(come(&b), 2);
    send_u32(host, 2, 9);
    CU_ASSERT_EQUAL(await(b.t, &from), 9);
    bq_transport_destroy(b.t);
    close_house();
}

static void a_full_house_says_so(void)
{
    struct visit all[BQ_SEATS + 1];
    open_house();
    for (uint32_t i = 0; i < BQ_SEATS; i++)
        CU_ASSERT_EQUAL(come(&all[i]), 2 + i);
    CU_ASSERT_EQUAL(come(&all[BQ_SEATS]), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(all[BQ_SEATS].err.text, "no place"));
    for (uint32_t i = 0; i < BQ_SEATS; i++)
        bq_transport_destroy(all[i].t);
    close_house();
}

/* An inner transport that does not wait, and says what would have woken it. */
static bool is_woken;

static void see(struct bq_transport *t, uint64_t timeout_ns, int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    (void)t;
    (void)timeout_ns;
    is_woken = poll(&one, 1, 0) > 0;
}

static void end_nothing(struct bq_transport *t)
{
    (void)t;
}

static void nobody_at_the_door_wakes_who_does_not_ask(void)
{
    static const struct bq_transport_ops ops = {
        .name = "seeing", .wait = see, .destroy = end_nothing};
    struct bq_transport inner = {.ops = &ops, .n_ranks = 1, .n_machines = 1};
    uint32_t rank;
    bool is_elsewhere;
    open_door();
    host = bq_transport_guests(&inner, door, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(host);
    int fd = connect_to_door();
    struct pollfd event = {.fd = bq_door_fd(door), .events = POLLIN};
    CU_ASSERT_EQUAL(poll(&event, 1, 10000), 1);
    bq_transport_wait(host, 0, -1);
    CU_ASSERT_FALSE(is_woken);
    CU_ASSERT_EQUAL(bq_transport_joined(host, &rank, &is_elsewhere), 0); /* it stands there now */
    close(fd);
    CU_ASSERT_EQUAL(poll(&event, 1, 10000), 1);
    bq_transport_wait(host, 0, -1);
    CU_ASSERT(is_woken);
    bq_transport_wait(host, 0, -1);
    CU_ASSERT_FALSE(is_woken);
    bq_transport_destroy(host);
}

static void who_waits_is_woken_by_all(void)
{
    int bell = bq_bell_create();
    struct visit a;
    uint32_t from;
    open_house();
    CU_ASSERT_EQUAL(come(&a), 2);
    bq_bell_ring(bell);
    bq_transport_wait(host, UINT64_C(100000000000), bell); /* would be a test that hangs */
    bq_bell_reset(bell);
    send_u32(a.t, 0, 5);
    bq_transport_wait(host, UINT64_C(100000000000), bell);
    CU_ASSERT_EQUAL(await(host, &from), 5);
    close(bell);
    bell = bq_bell_create(); /* often the same number */
    bq_bell_ring(bell);
    bq_transport_wait(host, UINT64_C(100000000000), bell);
    close(bell);
    bq_transport_destroy(a.t);
    bq_transport_wait(host, UINT64_C(100000000000), -1);
    CU_ASSERT(await_lost(2));
    close_house();
}

static void large_messages_pass_and_no_reader_holds_the_host(void)
{
    enum { LARGE = 8 << 20 };
    static unsigned char bytes[LARGE];
    struct visit a;
    uint32_t from;
    void *got;
    size_t size = 0;
    open_house();
    CU_ASSERT_EQUAL(come(&a), 2);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251);
    CU_ASSERT_EQUAL(bq_transport_send_copy(host, 2, bytes, sizeof bytes, NULL), 0);
    CU_ASSERT_EQUAL(bq_transport_progress(host, NULL), 1); /* and it returned */
    while (bq_transport_receive(a.t, &from, &got, &size, NULL) == 0)
        bq_transport_progress(host, NULL);
    CU_ASSERT_EQUAL_FATAL(size, sizeof bytes);
    CU_ASSERT_EQUAL(memcmp(got, bytes, size), 0);
    bq_transport_done_with(a.t);
    CU_ASSERT_EQUAL(bq_transport_progress(host, NULL), 0);
    CU_ASSERT_EQUAL(bq_transport_send_copy(host, 2, bytes, sizeof bytes, NULL), 0);
    bq_transport_destroy(a.t); /* in the middle */
    CU_ASSERT(await_lost(2));
    bq_transport_abandon(host, 2, false);
    CU_ASSERT_EQUAL(bq_transport_progress(host, NULL), 0);
    close_house();
}

static const struct test tests[] = {
    {"who knows the key comes in", who_knows_the_key_comes_in},
    {"one bit is enough to be nobody", one_bit_is_enough_to_be_nobody},
    {"a reply serves once", a_reply_serves_once},
    {"a verdict is no reply", a_verdict_is_no_reply},
    {"a torn reply is heard when it is whole", a_torn_reply_is_heard_when_it_is_whole},
    {"who is slow has to go", who_is_slow_has_to_go},
    {"who was not listened to is not slow", who_was_not_listened_to_is_not_slow},
    {"a crowd keeps nobody out", a_crowd_keeps_nobody_out},
    {"random bytes open nothing", random_bytes_open_nothing},
    {"only a whole and private file is read", only_a_whole_and_private_file_is_read},
    {"guests and others talk", guests_and_others_talk},
    {"a seat that was left is taken again", a_seat_that_was_left_is_taken_again},
    {"a full house says so", a_full_house_says_so},
    {"nobody at the door wakes who does not ask", nobody_at_the_door_wakes_who_does_not_ask},
    {"who waits is woken by all", who_waits_is_woken_by_all},
    {"large messages pass, and no reader holds the host",
     large_messages_pass_and_no_reader_holds_the_host},
};

int main(void)
{
    int fd = mkstemp(path);
    if (fd < 0 || sodium_init() < 0)
        return 1;
    close(fd);
    random_start(1);
    return run_tests("door", tests, sizeof tests / sizeof *tests);
}
