/* One run of mpirun, with its parent looking after it.
 *
 * mpirun has a process group of its own: Ctrl-C reaches only us, and we ask rank 0 to stop, which
 * then ends the others in order. mpirun itself gets SIGTERM once at most, because a second one
 * makes it leave before its ranks have. Whoever is left without a parent becomes our child.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adapters/clock.h"
#include "cli/launch.h"

#define SECOND 1000000000u
#define LOOK 500000000u      /* ns, between looks whether rank 0 is stopped */
#define TICK_MS 100          /* between looks at the status file */
#define PARTING (5 * SECOND) /* between rank 0's end, SIGTERM and SIGKILL */
#define AGAIN SECOND         /* launchers and timeout signal twice at once */

struct run {
    pid_t mpirun, rank0; /* rank0: 0 until it is known */
    int rank0_fd;        /* its pidfd, or -1 */
    unsigned long space; /* PMIx's name of the run */
    int status_fd, signals, said;
    char folder[BQ_STATUS_PATH];
    struct bq_words words;
    struct bq_launched *end;
    bool is_over, was_asked; /* mpirun is; rank 0 was */
    uint64_t stop_at, rank0_ended_at, term_at, kill_at;
    double silence_s;
    uint64_t looked_at;
    unsigned n_stopped; /* looks in a row that found rank 0 stopped */
};

/* -- start -------------------------------------------------------------------------------- */

static int open_status(struct run *r, struct bq_error *err)
{
    const char *base = getenv("TMPDIR");
    char path[BQ_STATUS_PATH + 8];
    int n =
        snprintf(r->folder, sizeof r->folder, "%s/banquet-XXXXXX", base && *base ? base : "/tmp");
    if (n >= (int)sizeof r->folder - 8 || !mkdtemp(r->folder)) {
        r->folder[0] = 0;
        return bq_fail(err, BQ_EXIT_FAILED, "no folder can be made in %.200s (TMPDIR): %s",
                       base && *base ? base : "/tmp", strerror(errno));
    }
    snprintf(path, sizeof path, "%s/status", r->folder);
    r->status_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (r->status_fd < 0)
        return bq_fail(err, BQ_EXIT_FAILED, "%s: %s", path, strerror(errno));
    setenv("BANQUET_STATUS", path, 1);
    return 0;
}

static void close_status(struct run *r)
{
    char path[BQ_STATUS_PATH + 8];
    if (r->status_fd >= 0)
        close(r->status_fd);
    if (!r->folder[0])
        return;
    snprintf(path, sizeof path, "%s/status", r->folder);
    unlink(path); /* rank 0 has done this, if it came so far */
    rmdir(r->folder);
}

static void become(char **argv, const sigset_t *mask, pid_t parent, int said, int failed)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(BQ_EXIT_FAILED);
    dup2(said, STDERR_FILENO);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(argv[0], argv);
    int why = errno;
    ssize_t n = write(failed, &why, sizeof why);
    (void)n;
    _exit(BQ_EXIT_FAILED);
}

static int start(struct run *r, char **argv, const sigset_t *mask, struct bq_error *err)
{
    int said[2], failed[2], why;
    pid_t parent = getpid();
    if (pipe2(said, O_CLOEXEC) < 0)
        return bq_fail(err, BQ_EXIT_FAILED, "no pipe: %s", strerror(errno));
    r->said = said[0];
    if (pipe2(failed, O_CLOEXEC) < 0) {
        close(said[1]);
        return bq_fail(err, BQ_EXIT_FAILED, "no pipe: %s", strerror(errno));
    }
    r->mpirun = fork();
    if (r->mpirun == 0)
        become(argv, mask, parent, said[1], failed[1]);
    close(said[1]);
    close(failed[1]);
    bool is_wrong = r->mpirun < 0 || read(failed[0], &why, sizeof why) == sizeof why;
    why = r->mpirun < 0 ? errno : why;
    close(failed[0]);
    if (!is_wrong) {
        fcntl(r->said, F_SETFL, O_NONBLOCK);
        bq_words_begin(&r->words, r->mpirun);
        return 0;
    }
    if (r->mpirun > 0)
        waitpid(r->mpirun, NULL, 0);
    return bq_fail(err, BQ_EXIT_FAILED,
                   "cannot start mpirun: %s; install Open MPI (Debian: openmpi-bin)",
                   strerror(why));
}

/* -- rank 0 ------------------------------------------------------------------------------- */

/* The parent of a process, 0 when there is none of that pid; *state: what it is at, 'T' is stopped.
 */
static long parent_of(pid_t pid, char *state)
{
    char path[48], text[600];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    const char *at = strrchr(text, ')');
    bool is_there = at && strlen(at) > 4;
    *state = is_there ? at[2] : 0;
    return is_there ? strtol(at + 4, NULL, 10) : 0;
}

/* A pid of this machine, of this run, and still rank 0's: else it is another machine's. */
static bool is_child_of(pid_t pid, pid_t parent)
{
    char state;
    return parent_of(pid, &state) == (long)parent;
}

static void find_rank0(struct run *r, long pid)
{
    r->rank0 = (pid_t)pid;
#ifdef SYS_pidfd_open
    r->rank0_fd = (int)syscall(SYS_pidfd_open, r->rank0, 0);
    if (r->rank0_fd < 0)
        return;
    fcntl(r->rank0_fd, F_SETFD, FD_CLOEXEC);
    if (!is_child_of(r->rank0, r->mpirun)) {
        close(r->rank0_fd);
        r->rank0_fd = -1;
    }
#endif
}

static void read_status(struct run *r)
{
    char text[256];
    long pid;
    ssize_t n = pread(r->status_fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    if (!r->end->has_begun && strchr(text, '\n') &&
        sscanf(text, "began %ld %lu", &pid, &r->space) >= 1) {
        r->end->has_begun = true;
        find_rank0(r, pid);
    }
    const char *code = strstr(text, "\ncode ");
    if (r->end->has_begun && !r->end->has_code && code && strchr(code + 1, '\n')) {
        r->end->has_code = true;
        r->end->code = (int)strtol(code + 6, NULL, 10);
        r->rank0_ended_at = bq_now();
    }
}

/* Not by its pid: that may be another process's by now. A system that cannot do this cannot open a
 * pidfd either. */
static void signal_rank0(const struct run *r, int number)
{
#ifdef SYS_pidfd_send_signal
    syscall(SYS_pidfd_send_signal, r->rank0_fd, number, NULL, 0);
#else
    (void)r, (void)number;
#endif
}

static void ask_rank0(struct run *r)
{
    if (r->was_asked || !r->end->has_begun)
        return;
    r->was_asked = true;
    if (r->rank0_fd >= 0)
        signal_rank0(r, SIGTERM);
    else if (is_child_of(r->rank0, r->mpirun))
        kill(r->rank0, SIGTERM);
    else /* of another machine */
        r->end->is_forced = true;
}

static void see_rank0_end(struct run *r)
{
    close(r->rank0_fd);
    r->rank0_fd = -1;
    read_status(r);
    if (r->end->has_code)
        return;
    r->end->was_first = true; /* the others may wait for it for ever */
    r->rank0_ended_at = bq_now();
}

/* -- until all is over -------------------------------------------------------------------- */

static void on_signals(struct run *r)
{
    struct signalfd_siginfo info;
    while (read(r->signals, &info, sizeof info) == sizeof info) {
        int signal = (int)info.ssi_signo;
        if (signal == SIGCHLD)
            continue;
        if (!r->end->stop) {
            r->end->stop = signal;
            r->stop_at = bq_now();
        } else if (bq_now() - r->stop_at > AGAIN) {
            r->end->is_forced = true;
        }
    }
}

static void pass_words(struct run *r)
{
    char text[4096];
    ssize_t n;
    while ((n = read(r->said, text, sizeof text)) > 0)
        bq_words_pass(&r->words, text, (size_t)n, STDERR_FILENO);
    if (n == 0) { /* mpirun will end */
        close(r->said);
        r->said = -1;
    }
}

/* Counted in looks, so that a whole run that was stopped and goes on is left alone. */
static void see_rank0_stopped(struct run *r)
{
    char state;
    uint64_t now = bq_now();
    if (r->rank0_fd < 0 || now - r->looked_at < LOOK)
        return;
    r->looked_at = now;
    r->n_stopped = parent_of(r->rank0, &state) && state == 'T' ? r->n_stopped + 1 : 0;
    if (r->n_stopped * (LOOK / 1e9) <= r->silence_s)
        return;
    fprintf(stderr, "banquet: rank 0 is stopped since %g s, and is killed\n", r->silence_s);
    signal_rank0(r, SIGKILL);
    r->n_stopped = 0;
}

/* SIGTERM when it is time, and SIGKILL when that did not help. */
static void see_to_the_end(struct run *r)
{
    uint64_t now = bq_now();
    bool is_late = r->rank0_ended_at && now - r->rank0_ended_at > PARTING;
    if (r->end->stop)
        ask_rank0(r);
    /* Stopped before it was known: nothing is lost. */
    bool is_early = r->end->stop && !r->end->has_begun && now - r->stop_at > PARTING;
    if (!r->term_at && (is_late || is_early || r->end->is_forced || r->end->was_first)) {
        r->term_at = now;
        kill(r->mpirun, SIGTERM);
    } else if (r->term_at && !r->kill_at && now - r->term_at > PARTING) {
        r->kill_at = now;
        kill(r->mpirun, SIGKILL);
    }
}

static void watch(struct run *r)
{
    while (!r->is_over) {
        struct pollfd fds[3] = {{.fd = r->signals, .events = POLLIN},
                                {.fd = r->said, .events = POLLIN},
                                {.fd = r->rank0_fd, .events = POLLIN}};
        poll(fds, 3, TICK_MS);
        on_signals(r);
        if (fds[1].revents)
            pass_words(r);
        if (fds[2].revents)
            see_rank0_end(r);
        read_status(r);
        r->is_over = waitpid(r->mpirun, &r->end->status, WNOHANG) == r->mpirun;
        if (!r->is_over) {
            see_rank0_stopped(r);
            see_to_the_end(r);
        }
    }
    read_status(r);
    bq_launch_end_children();
    if (r->said >= 0)
        pass_words(r);
    bq_words_end(&r->words, STDERR_FILENO);
    bq_launch_clean(r->mpirun, r->space);
}

int bq_launch_run(char **argv, double silence_s, struct bq_launched *end, struct bq_error *err)
{
    static const int stops[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
    struct run r = {
        .rank0_fd = -1, .status_fd = -1, .said = -1, .end = end, .silence_s = silence_s};
    struct sigaction hup;
    sigset_t mask, old;
    int rc = -1;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaction(SIGHUP, NULL, &hup);
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        if (stops[i] != SIGHUP ||
            hup.sa_handler != SIG_IGN) /* nohup: it shall outlive the terminal */
            sigaddset(&mask, stops[i]);
    }
    sigprocmask(SIG_BLOCK, &mask, &old);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    r.signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    *end = (struct bq_launched){0};
    if (r.signals < 0)
        bq_fail(err, BQ_EXIT_FAILED, "no file descriptor is left (ulimit -n)");
    else if (open_status(&r, err) == 0 && start(&r, argv, &old, err) == 0) {
        watch(&r);
        rc = 0;
    }
    close_status(&r);
    if (r.said >= 0)
        close(r.said);
    if (r.rank0_fd >= 0)
        close(r.rank0_fd);
    if (r.signals >= 0)
        close(r.signals);
    return rc;
}
