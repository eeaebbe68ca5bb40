#include "adapters/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/heap.h"

#define PARTING_MS 2000

struct bq_zygote {
    int fd;
    pid_t pid;
    struct bq_zygote_work work;
    bool is_prepared;
};

enum order { START = 1, KILL, ENDED };

struct order_message {
    enum order order;
    int status;
    unsigned char setup[BQ_MAX_SETUP];
};

/* -- the child ---------------------------------------------------------------------------- */

/* When memory runs out, the system is to take this process and not the one that speaks MPI. */
static void offer_for_sacrifice(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = write(fd, "900", 3);
    (void)n;
    close(fd);
}

static void be_child(const struct bq_zygote *z, const struct order_message *m, const int fds[2],
                     pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    offer_for_sacrifice();
    int code = z->work.child(z->work.context, fds, m->setup);
    fflush(NULL);
    _exit(code);
}

/* -- the zygote --------------------------------------------------------------------------- */

/* An order with its two descriptors; false: the program has ended. */
static bool receive_order(int fd, struct order_message *m, int fds[2])
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct iovec piece = {m, sizeof *m};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t n;
    fds[0] = fds[1] = -1;
    do
        n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    struct cmsghdr *passed = CMSG_FIRSTHDR(&message);
    if (n > 0 && passed && passed->cmsg_type == SCM_RIGHTS &&
        passed->cmsg_len == CMSG_LEN(2 * sizeof(int)))
        memcpy(fds, CMSG_DATA(passed), 2 * sizeof(int));
    return n > 0;
}

/* What ended children have left behind comes to the zygote (PR_SET_CHILD_SUBREAPER); where the
 * system does not tell, it stays. */
static void kill_orphans(void)
{
    char list[4096];
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, list, sizeof list - 1);
    if (fd >= 0)
        close(fd);
    list[n > 0 ? n : 0] = 0;
    char *rest = list;
    for (long pid; (pid = strtol(rest, &rest, 10)) > 0;)
        kill((pid_t)pid, SIGKILL);
}

/* Whether the child has ended; orphans are buried. */
static bool reap(pid_t child, int *status)
{
    int is;
    bool has_ended = false;
    for (pid_t pid; (pid = waitpid(-1, &is, WNOHANG)) > 0;) {
        has_ended |= pid == child;
        *status = pid == child ? is : *status;
    }
    return has_ended;
}

static void say_ended(int fd, int status)
{
    struct order_message m = {.order = ENDED, .status = status};
    ssize_t n = send(fd, &m, sizeof m, MSG_NOSIGNAL);
    (void)n; /* then the program has ended */
}

static void obey(struct bq_zygote *z, const struct order_message *m, int fds[2], pid_t *child)
{
    if (m->order == KILL && *child > 0)
        kill(*child, SIGKILL);
    if (m->order == START && *child <= 0 && fds[0] >= 0) {
        pid_t parent = getpid();
        if (!z->is_prepared && z->work.prepare)
            z->work.prepare(z->work.context);
        z->is_prepared = true;
        *child = fork();
        if (*child == 0) {
            close(z->fd);
            be_child(z, m, fds, parent);
        }
        if (*child < 0)
            say_ended(z->fd, SIGKILL);
    }
    for (int i = 0; i < 2; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
}

/* Whoever stops the run stops the program; this process ends with it. */
static void ignore_stops(void)
{
    static const int stops[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++)
        signal(stops[i], SIG_IGN);
}

static void be_zygote(struct bq_zygote *z)
{
    sigset_t ends;
    pid_t child = -1;
    sigemptyset(&ends);
    sigaddset(&ends, SIGCHLD);
    ignore_stops();
    signal(SIGCHLD, SIG_DFL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    int end = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
    struct pollfd fds[2] = {{.fd = z->fd, .events = POLLIN}, {.fd = end, .events = POLLIN}};
    for (;;) {
        struct signalfd_siginfo info;
        struct order_message m;
        int passed[2], status = 0;
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        while (read(end, &info, sizeof info) > 0)
            ;
        if (reap(child, &status)) {
            child = -1;
            kill_orphans();
            say_ended(z->fd, status);
        }
        if (!fds[0].revents)
            continue;
        if (!receive_order(z->fd, &m, passed))
            break;
        obey(z, &m, passed, &child);
    }
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        kill_orphans();
    }
    _exit(0);
}

/* -- the program -------------------------------------------------------------------------- */

struct bq_zygote *bq_zygote_create(const struct bq_zygote_work *work, struct bq_error *err)
{
    struct bq_zygote *z = bq_alloc(1, sizeof *z);
    int ends[2];
    if (!z || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        bq_free(z);
        bq_fail(err, BQ_EXIT_FAILED, "no file descriptor or memory is left (ulimit -n)");
        return NULL;
    }
    *z = (struct bq_zygote){.fd = ends[1], .work = *work};
    fflush(NULL);
    z->pid = fork();
    if (z->pid == 0) {
        close(ends[0]);
        be_zygote(z);
    }
    close(ends[1]);
    z->fd = ends[0];
    if (z->pid > 0)
        return z;
    bq_zygote_destroy(z);
    bq_fail(err, BQ_EXIT_FAILED, "the system allows no more processes (ulimit -u)");
    return NULL;
}

void bq_zygote_destroy(struct bq_zygote *z)
{
    if (!z)
        return;
    close(z->fd);
    /* It leaves by itself, unless somebody has stopped it; then its child dies with it. */
    for (int i = 0; z->pid > 0 && waitpid(z->pid, NULL, WNOHANG) == 0; i++) {
        if (i == PARTING_MS)
            kill(z->pid, SIGKILL);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    bq_free(z);
}

int bq_zygote_start(struct bq_zygote *z, const int fds[2], const void *setup, size_t n,
                    struct bq_error *err)
{
    struct order_message m = {.order = START};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } control = {0};
    struct iovec piece = {&m, sizeof m};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *pass = CMSG_FIRSTHDR(&message);
    *pass = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(2 * sizeof(int))};
    memcpy(CMSG_DATA(pass), fds, 2 * sizeof(int));
    memcpy(m.setup, setup, n < BQ_MAX_SETUP ? n : BQ_MAX_SETUP);
    if (sendmsg(z->fd, &message, MSG_NOSIGNAL) < 0)
        return bq_fail(err, BQ_EXIT_FAILED, "the helper that starts cooks is gone: %s",
                       strerror(errno));
    return 0;
}

void bq_zygote_kill(struct bq_zygote *z)
{
    struct order_message m = {.order = KILL};
    ssize_t n = send(z->fd, &m, sizeof m, MSG_NOSIGNAL);
    (void)n; /* if it is gone, so is the child */
}

int bq_zygote_fd(const struct bq_zygote *z)
{
    return z->fd;
}

int bq_zygote_ended(struct bq_zygote *z, int *status)
{
    struct order_message m;
    ssize_t n = recv(z->fd, &m, sizeof m, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
    if (n == 0)
        return -1;
    *status = m.status;
    return 1;
}
