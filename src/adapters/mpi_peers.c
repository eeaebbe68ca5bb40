/* Ranks that are gone. MPI reports none: no call returns an error because its other side has died.
 * What tells is the system: a pidfd becomes readable when its process ends. Rank 0 has one of every
 * rank of its machine, and those have one of rank 0; of ranks on other machines nothing is known
 * here, and who misses them abandons them.
 *
 * Bytes that a process sent before it ended may still come: out of its shared memory, out of the
 * system's socket buffers. So a rank is told as lost when for a while many looks found nothing more
 * of it that is whole. The second half of a large message never comes; it is dropped, and so
 * is what follows it.
 */
#include "adapters/transport_mpi.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "adapters/clock.h"

#define LOOKS 100 /* each moves MPI on: some microseconds together */
/* Over TCP MPI looks at its sockets every 10 ms only, in bad times. */
#define PATIENCE_NS 50000000

/* -- who is who --------------------------------------------------------------------------- */

static int open_pid(uint64_t pid)
{
#ifdef SYS_pidfd_open
    return (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
#else
    (void)pid;
    errno = ENOSYS;
    return -1;
#endif
}

static void kill_pid(int pidfd)
{
#ifdef SYS_pidfd_send_signal
    syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
#else
    (void)pidfd;
#endif
}

/* When a process began, in the kernel's ticks; 0: not known. */
static uint64_t when_began(uint64_t pid)
{
    char path[48], text[1024];
    snprintf(path, sizeof path, "/proc/%llu/stat", (unsigned long long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    /* Field 22; the second is a name in parentheses that may hold anything. */
    const char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at, NULL, 10) : 0;
}

struct identity bq_mpi_identity(void)
{
    struct stat st;
    uint64_t pid = (uint64_t)getpid();
    bool knows = stat("/proc/self/ns/pid", &st) == 0;
    return (struct identity){
        .pid = pid, .began = when_began(pid), .pid_space = knows ? (uint64_t)st.st_ino : 0};
}

static void see_end(struct mpi *m, uint32_t rank)
{
    struct peer *p = &m->peers[rank];
    if (p->pidfd >= 0) {
        epoll_ctl(m->ended, EPOLL_CTL_DEL, p->pidfd, NULL);
        close(p->pidfd);
        p->pidfd = -1;
    }
    if (p->state == PEER_THERE) {
        p->state = PEER_ENDED;
        p->last_whole = bq_now();
        m->n_ended++;
    }
}

void bq_mpi_watch_peer(struct mpi *m, uint32_t rank, const struct identity *me,
                       const struct identity *of)
{
    if (!me->pid_space || me->pid_space != of->pid_space || !of->began || m->ended < 0)
        return;
    int pidfd = open_pid(of->pid);
    bool is_gone = pidfd < 0 && errno == ESRCH;
    struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = rank}};
    /* After it was opened: what has the number now keeps it. */
    if (pidfd >= 0 && when_began(of->pid) != of->began)
        is_gone = true;
    m->peers[rank].pidfd = pidfd;
    if (is_gone) {
        see_end(m, rank);
    } else if (pidfd >= 0 && epoll_ctl(m->ended, EPOLL_CTL_ADD, pidfd, &event) < 0) {
        close(pidfd);
        m->peers[rank].pidfd = -1;
    }
}

void bq_mpi_see_ended(struct mpi *m)
{
    struct epoll_event events[64];
    int n = epoll_wait(m->ended, events, 64, 0);
    for (int i = 0; i < n; i++)
        see_end(m, events[i].data.u32);
}

/* -- dropping ----------------------------------------------------------------------------- */

void bq_mpi_drop_receiving(struct mpi *m, struct receiving *r)
{
    int is_done = 0;
    r->is_dropped = true;
    if (r->request == MPI_REQUEST_NULL)
        return;
    int code = WATCHED(m, CALL_TEST, MPI_Test(&r->request, &is_done, MPI_STATUS_IGNORE));
    if (code == MPI_SUCCESS && is_done)
        return;
    if (r->request != MPI_REQUEST_NULL)
        WATCHED(m, CALL_TEST, MPI_Request_free(&r->request));
    r->bytes = NULL;
    r->room = 0;
}

void bq_mpi_drop_sends(struct mpi *m, uint32_t to)
{
    for (int i = m->n_sending; i-- > 0;) {
        struct sending *s = &m->sending[i];
        int is_done = 0;
        if (s->to != to)
            continue;
        WATCHED(m, CALL_TEST, MPI_Test(&s->request, &is_done, MPI_STATUS_IGNORE));
        if (is_done)
            s->parcel->release(s->parcel);
        else if (s->request != MPI_REQUEST_NULL)
            WATCHED(m, CALL_TEST, MPI_Request_free(&s->request));
        *s = m->sending[--m->n_sending];
    }
}

/* The i-th of what is being received; NULL: it is in its reader's hands, dropped, or not from that
 * rank. */
static struct receiving *from(struct mpi *m, unsigned i, uint32_t rank)
{
    struct receiving *r = &m->receiving[i];
    return r->from != rank || r->is_dropped || r == m->open ? NULL : r;
}

static void drop_received(struct mpi *m, uint32_t rank)
{
    for (unsigned i = 0; i < m->n_receiving; i++) {
        struct receiving *r = from(m, i, rank);
        if (r)
            bq_mpi_drop_receiving(m, r);
    }
}

static void part_with(struct mpi *m, uint32_t rank)
{
    struct peer *p = &m->peers[rank];
    see_end(m, rank);
    m->n_ended -= p->state == PEER_ENDED;
    m->n_gone += p->state != PEER_GONE;
    p->state = PEER_GONE;
    drop_received(m, rank);
    bq_mpi_drop_sends(m, rank);
}

/* -- lost --------------------------------------------------------------------------------- */

/* What is being received of it: whether the oldest is whole, or there in part. */
static void look_at_received(struct mpi *m, uint32_t rank, bool *is_whole, bool *is_part)
{
    *is_whole = m->open && m->open->from == rank;
    *is_part = false;
    for (unsigned i = 0; i < m->n_receiving && !*is_whole && !*is_part; i++) {
        struct receiving *r = from(m, i, rank);
        int is_done = 0;
        if (!r)
            continue;
        WATCHED(m, CALL_TEST, MPI_Test(&r->request, &is_done, MPI_STATUS_IGNORE));
        *is_whole = is_done;
        *is_part = !is_done;
    }
}

/* Whether something whole is there, or may come, of a rank whose process has ended. Nothing is
 * received behind a message that stays in parts: its reader would miss one in the middle. */
static bool more_comes(struct mpi *m, uint32_t rank)
{
    struct peer *p = &m->peers[rank];
    int is_there = 0;
    bool is_whole = false, is_part = false;
    for (int look = 0; look < LOOKS && !is_whole; look++) {
        WATCHED(m, CALL_PROBE, MPI_Iprobe((int)rank, TAG, m->world, &is_there, MPI_STATUS_IGNORE));
        look_at_received(m, rank, &is_whole, &is_part);
    }
    if (is_whole)
        p->last_whole = bq_now();
    bool is_quiet = bq_now() - p->last_whole >= PATIENCE_NS;
    return !is_quiet || (is_there && !is_part);
}

int bq_mpi_lost(struct bq_transport *t, uint32_t *rank)
{
    struct mpi *m = (struct mpi *)t;
    for (uint32_t i = 0; m->n_ended && i < t->n_ranks; i++) {
        if (m->peers[i].state != PEER_ENDED || more_comes(m, i))
            continue;
        part_with(m, i);
        *rank = i;
        return 1;
    }
    return 0;
}

void bq_mpi_abandon(struct bq_transport *t, uint32_t rank, bool must_die)
{
    struct mpi *m = (struct mpi *)t;
    if (rank == t->rank || rank >= t->n_ranks)
        return;
    if (must_die && m->peers[rank].pidfd >= 0)
        kill_pid(m->peers[rank].pidfd);
    part_with(m, rank);
}

void bq_mpi_forget_peers(struct mpi *m)
{
    for (uint32_t i = 0; m->peers && i < m->base.n_ranks; i++) {
        if (m->peers[i].pidfd >= 0)
            close(m->peers[i].pidfd);
    }
    if (m->ended >= 0)
        close(m->ended);
}
