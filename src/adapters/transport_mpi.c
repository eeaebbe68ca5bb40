/* The MPI transport: point to point after start-up, never blocking, never spinning.
 *
 * Waiting: MPI has no way to sleep until a message comes. Between ranks of one machine a datagram
 * socket (the doorbell) is rung after each send, and the receiver sleeps in poll. The socket's name
 * is private (a 0700 folder) and gone before the first message, so that nothing is left behind and
 * no stranger can ring. Between machines the receiver naps, longer and longer, up to a millisecond.
 *
 * Receiving: messages are matched at once; a large one is received in the background while the next
 * are matched. The order is kept for each rank, not among them: a message may stay half received
 * for long, because its sender was stopped or the network between was cut, and only what comes
 * behind it from the same rank has to wait. Nor may one rank's fill all places: while N_HELD of a
 * rank wait, no more of it are matched.
 */
#include "adapters/transport_mpi.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "adapters/clock.h"
#include "base/heap.h"

#define NAP_LEAST 20000   /* ns */
#define NAP_MOST 1000000  /* ns, while a message may come from another machine */
#define NAP_BELL 50000000 /* ns, when every message rings */
#define NAP_ENDED 5000000 /* while the last of a rank that is gone may come */
#define NAP_MOVING 200000 /* ns, while large messages are under way */

#define MOST_PROBES 64 /* at a time, where ranks are asked one by one */

/* -- sending ------------------------------------------------------------------------------ */

static void ring(const struct mpi *m, uint32_t to)
{
    if (m->bell[to] >= 0) {
        ssize_t n = send(m->bell[to], "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)n; /* a full queue wakes its reader too */
    }
}

static int mpi_send(struct bq_transport *t, uint32_t to, struct bq_parcel *parcel,
                    struct bq_error *err)
{
    struct mpi *m = (struct mpi *)t;
    if (m->peers[to].state != PEER_THERE) {
        parcel->release(parcel);
        return 0;
    }
    if (parcel->size > INT32_MAX) {
        size_t size = parcel->size;
        parcel->release(parcel);
        return bq_fail(err, BQ_EXIT_FAILED, "a message of %zu bytes is too large", size);
    }
    if (m->n_sending == m->sending_room) {
        int room = m->sending_room ? 2 * m->sending_room : 64;
        struct sending *grown = realloc(m->sending, (size_t)room * sizeof *grown);
        if (!grown) {
            parcel->release(parcel);
            return bq_fail(err, BQ_EXIT_FAILED, "out of memory for messages");
        }
        m->sending = grown;
        m->sending_room = room;
    }
    struct sending *s = &m->sending[m->n_sending];
    int code = WATCHED(
        m, CALL_SEND,
        MPI_Isend(parcel->bytes, (int)parcel->size, MPI_BYTE, (int)to, TAG, m->world, &s->request));
    if (code != MPI_SUCCESS) {
        parcel->release(parcel);
        return bq_mpi_fail(err, "cannot send", code);
    }
    s->parcel = parcel;
    s->to = to;
    m->n_sending++;
    ring(m, to);
    m->nap = 0;
    return 0;
}

static int mpi_progress(struct bq_transport *t, struct bq_error *err)
{
    struct mpi *m = (struct mpi *)t;
    for (int i = m->n_sending; i-- > 0;) {
        int is_done;
        int code =
            WATCHED(m, CALL_TEST, MPI_Test(&m->sending[i].request, &is_done, MPI_STATUS_IGNORE));
        if (code != MPI_SUCCESS)
            return bq_mpi_fail(err, "cannot send", code);
        if (!is_done)
            continue;
        m->sending[i].parcel->release(m->sending[i].parcel);
        m->sending[i] = m->sending[--m->n_sending];
    }
    return m->n_sending;
}

/* -- receiving ---------------------------------------------------------------------------- */

/* Whether N_HELD of its messages wait: the oldest is there in part, the others are behind it. */
static bool is_held(const struct mpi *m, uint32_t rank)
{
    unsigned n = 0;
    for (unsigned i = 0; i < m->n_receiving; i++) {
        const struct receiving *r = &m->receiving[i];
        if (r->from == rank && !r->is_dropped && (n || r->request != MPI_REQUEST_NULL))
            n++;
    }
    return n >= N_HELD;
}

static bool is_any_held(const struct mpi *m)
{
    bool is_any = false;
    for (unsigned i = 0; i < m->n_receiving && !is_any; i++)
        is_any = is_held(m, m->receiving[i].from);
    return is_any;
}

/* The next message of anybody who is not held. MPI cannot leave one rank out: then the others are
 * asked one by one, in turn, and of very many ranks only some. */
static int probe(struct mpi *m, int *is_there, MPI_Message *message, MPI_Status *status)
{
    if (!is_any_held(m))
        return WATCHED(m, CALL_PROBE,
                       MPI_Improbe(MPI_ANY_SOURCE, TAG, m->world, is_there, message, status));
    uint32_t n = m->base.n_ranks < MOST_PROBES ? m->base.n_ranks : MOST_PROBES;
    int code = MPI_SUCCESS;
    *is_there = 0;
    while (n-- > 0 && !*is_there && code == MPI_SUCCESS) {
        uint32_t rank = m->next_source;
        m->next_source = (rank + 1) % m->base.n_ranks;
        if (!is_held(m, rank))
            code = WATCHED(m, CALL_PROBE,
                           MPI_Improbe((int)rank, TAG, m->world, is_there, message, status));
    }
    return code;
}

/* Matches the next message, if there is one, and starts to receive it. 1, 0 or -1. */
static int match(struct mpi *m, struct bq_error *err)
{
    int is_there, is_done, size;
    MPI_Message message;
    MPI_Status status;
    int code = probe(m, &is_there, &message, &status);
    if (code != MPI_SUCCESS)
        return bq_mpi_fail(err, "cannot receive", code);
    if (!is_there)
        return 0;
    MPI_Get_count(&status, MPI_BYTE, &size);
    struct receiving *r = &m->receiving[m->n_receiving];
    if ((size_t)size > r->room) {
        free(r->bytes);
        r->room = ((size_t)size + 4095) / 4096 * 4096;
        r->bytes = malloc(r->room);
        if (!r->bytes) {
            r->room = 0;
            return bq_fail(err, BQ_EXIT_FAILED, "out of memory for a message of %d bytes", size);
        }
    }
    r->from = (uint32_t)status.MPI_SOURCE;
    r->size = (size_t)size;
    r->is_dropped = false;
    code = WATCHED(m, CALL_RECEIVE, MPI_Imrecv(r->bytes, size, MPI_BYTE, &message, &r->request));
    if (code != MPI_SUCCESS)
        return bq_mpi_fail(err, "cannot receive", code);
    if (m->peers[r->from].state == PEER_GONE) {
        bq_mpi_drop_receiving(m, r); /* it was silent too long, and now it speaks */
        return 1;
    }
    m->n_receiving++;
    /* A small one is there now: it is not held against its sender. */
    code = WATCHED(m, CALL_TEST, MPI_Test(&r->request, &is_done, MPI_STATUS_IGNORE));
    return code == MPI_SUCCESS ? 1 : bq_mpi_fail(err, "cannot receive", code);
}

/* Its place is the last of the free ones, with its bytes for another message. */
static void forget(struct mpi *m, struct receiving *r)
{
    struct receiving free_one = *r;
    struct receiving *last = &m->receiving[--m->n_receiving];
    memmove(r, r + 1, (size_t)(last - r) * sizeof *r);
    *last = free_one;
}

static void forget_dropped(struct mpi *m)
{
    for (unsigned i = m->n_receiving; i-- > 0;) {
        if (m->receiving[i].is_dropped)
            forget(m, &m->receiving[i]);
    }
}

/* The first that is whole, and that none of the same rank has to come before. 1, 0 or -1. */
static int open_next(struct mpi *m, struct bq_error *err)
{
    for (unsigned i = 0; i < m->n_receiving; i++) {
        struct receiving *r = &m->receiving[i];
        bool is_behind = false;
        for (unsigned j = 0; j < i && !is_behind; j++) /* what is older and was not taken */
            is_behind = m->receiving[j].from == r->from;
        if (is_behind)
            continue;
        int is_done;
        int code = WATCHED(m, CALL_TEST, MPI_Test(&r->request, &is_done, MPI_STATUS_IGNORE));
        if (code != MPI_SUCCESS)
            return bq_mpi_fail(err, "cannot receive", code);
        if (is_done) {
            m->open = r;
            return 1;
        }
    }
    return 0;
}

static int mpi_receive(struct bq_transport *t, uint32_t *from, void **bytes, size_t *size,
                       struct bq_error *err)
{
    struct mpi *m = (struct mpi *)t;
    int found = m->open != NULL;
    if (!m->open)
        forget_dropped(m);
    /* Twice: the first look may only move the message into MPI's own queue. */
    for (int look = 0; look < 2 && !found; look++) {
        int matched = 1;
        while (m->n_receiving < N_RECEIVING && (matched = match(m, err)) > 0)
            m->nap = 0;
        found = matched < 0 ? -1 : open_next(m, err);
    }
    if (found <= 0)
        return found;
    *from = m->open->from;
    *bytes = m->open->bytes;
    *size = m->open->size;
    return 1;
}

static void mpi_done_with(struct bq_transport *t)
{
    struct mpi *m = (struct mpi *)t;
    if (!m->open)
        return;
    forget(m, m->open);
    m->open = NULL;
}

static void mpi_wait(struct bq_transport *t, uint64_t timeout_ns, int fd)
{
    struct mpi *m = (struct mpi *)t;
    bool is_moving = m->n_sending || m->n_receiving;
    uint64_t most = is_moving     ? NAP_MOVING
                    : m->n_ended  ? NAP_ENDED
                    : m->all_ring ? NAP_BELL
                                  : NAP_MOST;
    if (m->all_ring && !is_moving)
        m->nap = NAP_BELL;
    else
        m->nap = m->nap ? 2 * m->nap : NAP_LEAST;
    m->nap = m->nap < most ? m->nap : most;
    uint64_t ns = timeout_ns < m->nap ? timeout_ns : m->nap;
    struct pollfd fds[3] = {{.fd = m->door, .events = POLLIN},
                            {.fd = fd, .events = POLLIN},
                            {.fd = m->ended, .events = POLLIN}};
    struct timespec limit = {.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};
    if (ppoll(fds, 3, &limit, NULL) <= 0)
        return;
    if (fds[2].revents)
        bq_mpi_see_ended(m);
    char rings[64];
    while (m->door >= 0 && fds[0].revents && recv(m->door, rings, sizeof rings, MSG_DONTWAIT) > 0)
        ;
}

/* -- the watchdog ------------------------------------------------------------------------- */

/* A process has one MPI and leaves once: what its end has to know is the process's own. */
static _Atomic int due_code = BQ_EXIT_FAILED;
static bool must_leave;

bool bq_mpi_must_leave(void)
{
    return must_leave;
}

void bq_mpi_is_due(int exit_code)
{
    due_code = exit_code;
}

/* In the watchdog's thread: the other one is inside MPI, and nothing can be done about it. */
static void late(void *context, unsigned kind)
{
    static const char *const names[] = {[CALL_SEND] = "MPI_Isend",
                                        [CALL_PROBE] = "MPI_Improbe",
                                        [CALL_RECEIVE] = "MPI_Imrecv",
                                        [CALL_TEST] = "MPI_Test"};
    const struct mpi *m = context;
    unsigned s = m->watchdog.limit[kind] * BQ_WATCHDOG_TICK_MS / 1000;
    char text[200];
    int n = 0;
    if (kind == CALL_END) /* the work is done */
        _exit(due_code);
    if (kind == CALL_START)
        n = snprintf(text, sizeof text,
                     "banquet: MPI does not start: after %u s some rank is not there (it died on "
                     "its way, or its machine does not answer)\n",
                     s);
    else
        n = snprintf(text, sizeof text,
                     "banquet: rank %u stands still in %s since %u s: a rank that it talks to is "
                     "gone\n",
                     m->base.rank, names[kind], s);
    ssize_t written = write(STDERR_FILENO, text, (size_t)n);
    (void)written;
    _exit(BQ_EXIT_FAILED);
}

#define LIMIT_S 10
#define LIMIT_START_S 60

/* A hundred ranks on two cores take 20 s alone, and more than 80 beside other work. */
static unsigned start_limit_s(long n_ranks)
{
    const char *given = getenv("BANQUET_START_SECONDS");
    unsigned long s = given ? strtoul(given, NULL, 10) : 0;
    return s > 0 && s < 100000 ? (unsigned)s : LIMIT_START_S + (unsigned)n_ranks;
}

static int start_watchdog(struct mpi *m, long n_ranks, struct bq_error *err)
{
    const unsigned second = 1000 / BQ_WATCHDOG_TICK_MS;
    if (m->is_watched || n_ranks < 2)
        return 0;
    for (unsigned i = 0; i < BQ_WATCHDOG_KINDS; i++)
        m->watchdog.limit[i] = LIMIT_S * second;
    m->watchdog.limit[CALL_START] = start_limit_s(n_ranks) * second;
    m->watchdog.late = late;
    m->watchdog.context = m;
    m->is_watched = bq_watchdog_start(&m->watchdog, err) == 0;
    return m->is_watched ? 0 : -1;
}

/* -- start and end ------------------------------------------------------------------------ */

#define PARTING_NS 5000000000u /* for the last messages, when somebody is gone */
#define LAST_NS 30000000u      /* for what MPI says it has sent and holds still, without its end */

/* Where MPI_Finalize is left out, nothing else moves the last bytes on. */
static void move_on(struct mpi *m)
{
    uint64_t begun = bq_now();
    int is_there;
    while (bq_now() - begun < LAST_NS) {
        WATCHED(m, CALL_PROBE,
                MPI_Iprobe(MPI_ANY_SOURCE, TAG, m->world, &is_there, MPI_STATUS_IGNORE));
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* The last messages go out, but not to who is gone. */
static void part(struct mpi *m)
{
    struct bq_transport *t = &m->base;
    uint64_t begun = bq_now();
    while (m->n_sending && mpi_progress(t, NULL) > 0) {
        bool is_broken = t->is_broken || m->n_gone;
        if (is_broken && bq_now() - begun > PARTING_NS)
            return;
        mpi_wait(t, NAP_MOVING, -1);
        for (uint32_t i = 0; m->n_ended && i < t->n_ranks; i++) {
            if (m->peers[i].state == PEER_ENDED)
                bq_mpi_drop_sends(m, i);
        }
    }
}

static void mpi_destroy(struct bq_transport *t)
{
    struct mpi *m = (struct mpi *)t;
    mpi_done_with(t);
    part(m);
    /* A peer that ended and was not told said good-bye: it may be through with MPI_Finalize. */
    must_leave = t->is_broken || m->n_gone;
    if (must_leave)
        move_on(m);
    for (int i = 0; i < N_RECEIVING && !must_leave; i++) /* else MPI may still write to them */
        free(m->receiving[i].bytes);
    if (m->door >= 0)
        close(m->door);
    for (uint32_t i = 0; m->bell && i < t->n_ranks; i++) {
        if (m->bell[i] >= 0)
            close(m->bell[i]);
    }
    bq_mpi_forget_peers(m);
    if (!must_leave)
        WATCHED(m, CALL_END, MPI_Finalize());
    if (m->is_watched)
        bq_watchdog_stop(&m->watchdog);
    free(m->sending);
    bq_free(m->bell);
    bq_free(m->peers);
    bq_free(m);
}

int bq_mpi_is_launched(void)
{
    static const char *const signs[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        if (getenv(signs[i]))
            return 1;
    }
    return 0;
}

long bq_mpi_expected_ranks(void)
{
    /* A step's tasks count only inside srun: a batch script has SLURM_NTASKS too, and is alone. */
    static const char *const signs[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        const char *n = getenv(signs[i]);
        if (n)
            return strtol(n, NULL, 10);
    }
    return 1;
}

struct bq_transport *bq_transport_mpi(struct bq_error *err)
{
    static const struct bq_transport_ops ops = {
        .name = "mpi",
        .send = mpi_send,
        .receive = mpi_receive,
        .done_with = mpi_done_with,
        .progress = mpi_progress,
        .lost = bq_mpi_lost,
        .abandon = bq_mpi_abandon,
        .wait = mpi_wait,
        .destroy = mpi_destroy,
    };
    struct mpi *m = bq_alloc(1, sizeof *m);
    int provided, rank, size;
    if (!m || start_watchdog(m, bq_mpi_expected_ranks(), err) < 0) {
        bq_free(m);
        if (!m)
            bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return NULL;
    }
    signal(SIGPIPE, SIG_IGN); /* of a socket whose other side is gone */
    bq_watchdog_enter(&m->watchdog, CALL_START);
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS) {
        if (m->is_watched)
            bq_watchdog_stop(&m->watchdog);
        bq_free(m);
        bq_fail(err, BQ_EXIT_FAILED, "MPI does not start");
        return NULL;
    }
    m->world = MPI_COMM_WORLD;
    MPI_Comm_set_errhandler(m->world, MPI_ERRORS_RETURN);
    MPI_Comm_rank(m->world, &rank);
    MPI_Comm_size(m->world, &size);
    m->base = (struct bq_transport){.ops = &ops, .rank = (uint32_t)rank, .n_ranks = (uint32_t)size};
    m->door = m->ended = -1;
    for (int i = 0; i < N_RECEIVING; i++)
        m->receiving[i].request = MPI_REQUEST_NULL;
    int rc = -1;
    if (provided < MPI_THREAD_FUNNELED)
        bq_fail(err, BQ_EXIT_FAILED,
                "this MPI was built without threads (MPI_THREAD_FUNNELED is needed)");
    else if (start_watchdog(m, size, err) == 0)
        rc = bq_mpi_meet(m, err);
    bq_watchdog_leave(&m->watchdog);
    if (rc == 0)
        return &m->base;
    mpi_destroy(&m->base);
    return NULL;
}
