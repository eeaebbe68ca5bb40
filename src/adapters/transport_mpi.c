/* The MPI transport: point to point after start-up, never blocking, never spinning.
 *
 * Waiting: MPI has no way to sleep until a message comes. Between ranks of one machine a datagram
 * socket (the doorbell) is rung after each send, and the receiver sleeps in poll. The socket's name
 * is private (a 0700 folder) and gone before the first message, so that nothing is left behind and
 * no stranger can ring. Between machines the receiver naps, longer and longer, up to a millisecond.
 *
 * Receiving: messages are matched at once and delivered in order of arrival; a large one is
 * received in the background while the next are matched.
 */
#include "adapters/transport_mpi.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/heap.h"

#define TAG 7
#define NAP_LEAST 20000   /* ns */
#define NAP_MOST 1000000  /* ns, while a message may come from another machine */
#define NAP_BELL 50000000 /* ns, when every message rings */
#define NAP_MOVING 200000 /* ns, while large messages are under way */

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
    int code =
        MPI_Isend(parcel->bytes, (int)parcel->size, MPI_BYTE, (int)to, TAG, m->world, &s->request);
    if (code != MPI_SUCCESS) {
        parcel->release(parcel);
        return bq_mpi_fail(err, "cannot send", code);
    }
    s->parcel = parcel;
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
        int code = MPI_Test(&m->sending[i].request, &is_done, MPI_STATUS_IGNORE);
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

/* Matches the next message, if there is one, and starts to receive it. 1, 0 or -1. */
static int match(struct mpi *m, struct bq_error *err)
{
    int is_there;
    MPI_Message message;
    MPI_Status status;
    int code = MPI_Improbe(MPI_ANY_SOURCE, TAG, m->world, &is_there, &message, &status);
    if (code != MPI_SUCCESS)
        return bq_mpi_fail(err, "cannot receive", code);
    if (!is_there)
        return 0;
    int size;
    MPI_Get_count(&status, MPI_BYTE, &size);
    struct receiving *r = &m->receiving[(m->first_receiving + m->n_receiving) % N_RECEIVING];
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
    code = MPI_Imrecv(r->bytes, size, MPI_BYTE, &message, &r->request);
    if (code != MPI_SUCCESS)
        return bq_mpi_fail(err, "cannot receive", code);
    m->n_receiving++;
    return 1;
}

static int mpi_receive(struct bq_transport *t, uint32_t *from, void **bytes, size_t *size,
                       struct bq_error *err)
{
    struct mpi *m = (struct mpi *)t;
    int found = 1;
    /* Twice: the first look may only move the message into MPI's own queue. */
    for (int look = 0; look < 2 && m->n_receiving < N_RECEIVING; look++) {
        while (m->n_receiving < N_RECEIVING && (found = match(m, err)) > 0)
            m->nap = 0;
        if (found < 0)
            return -1;
        if (m->n_receiving)
            break;
    }
    if (m->n_receiving == 0)
        return 0;
    struct receiving *r = &m->receiving[m->first_receiving];
    int is_done;
    int code = MPI_Test(&r->request, &is_done, MPI_STATUS_IGNORE);
    if (code != MPI_SUCCESS)
        return bq_mpi_fail(err, "cannot receive", code);
    if (!is_done)
        return 0;
    m->is_open = true;
    *from = r->from;
    *bytes = r->bytes;
    *size = r->size;
    return 1;
}

static void mpi_done_with(struct bq_transport *t)
{
    struct mpi *m = (struct mpi *)t;
    if (!m->is_open)
        return;
    m->is_open = false;
    m->first_receiving = (m->first_receiving + 1) % N_RECEIVING;
    m->n_receiving--;
}

static void mpi_wait(struct bq_transport *t, uint64_t timeout_ns, int fd)
{
    struct mpi *m = (struct mpi *)t;
    uint64_t most = m->n_sending || m->n_receiving ? NAP_MOVING : m->all_ring ? NAP_BELL : NAP_MOST;
    if (m->all_ring && !m->n_sending && !m->n_receiving)
        m->nap = NAP_BELL;
    else
        m->nap = m->nap ? 2 * m->nap : NAP_LEAST;
    m->nap = m->nap < most ? m->nap : most;
    uint64_t ns = timeout_ns < m->nap ? timeout_ns : m->nap;
    struct pollfd fds[2] = {{.fd = m->door, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    struct timespec limit = {.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};
    if (ppoll(fds, 2, &limit, NULL) <= 0)
        return;
    char rings[64];
    while (m->door >= 0 && fds[0].revents && recv(m->door, rings, sizeof rings, MSG_DONTWAIT) > 0)
        ;
}

/* -- start and end ------------------------------------------------------------------------ */

static void mpi_destroy(struct bq_transport *t)
{
    struct mpi *m = (struct mpi *)t;
    mpi_done_with(t);
    while (m->n_sending && mpi_progress(t, NULL) > 0)
        mpi_wait(t, NAP_MOVING, -1);
    for (int i = 0; i < N_RECEIVING; i++)
        free(m->receiving[i].bytes);
    if (m->door >= 0)
        close(m->door);
    for (uint32_t i = 0; m->bell && i < t->n_ranks; i++) {
        if (m->bell[i] >= 0)
            close(m->bell[i]);
    }
    free(m->sending);
    bq_free(m->bell);
    bq_free(m);
    MPI_Finalize();
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
        .wait = mpi_wait,
        .destroy = mpi_destroy,
    };
    struct mpi *m = bq_alloc(1, sizeof *m);
    int provided;
    if (!m || MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS) {
        bq_free(m);
        bq_fail(err, BQ_EXIT_FAILED, "MPI does not start");
        return NULL;
    }
    m->world = MPI_COMM_WORLD;
    MPI_Comm_set_errhandler(m->world, MPI_ERRORS_RETURN);
    int rank, size;
    MPI_Comm_rank(m->world, &rank);
    MPI_Comm_size(m->world, &size);
    m->base = (struct bq_transport){.ops = &ops, .rank = (uint32_t)rank, .n_ranks = (uint32_t)size};
    m->door = -1;
    if (provided < MPI_THREAD_FUNNELED)
        bq_fail(err, BQ_EXIT_FAILED,
                "this MPI was built without threads (MPI_THREAD_FUNNELED is needed)");
    else if (bq_mpi_meet(m, err) == 0)
        return &m->base;
    mpi_destroy(&m->base);
    return NULL;
}
