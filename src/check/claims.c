/* What was found so far, and the handlers that say it when a kernel does not come back. */
#include "check/internal.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The process is about one kernel, and a signal handler can reach nothing else. The lock guards
 * everything here but where: that is the main thread's, and only read in a crash. */
static struct {
    pthread_mutex_t lock;
    unsigned long n[N_CLAIMS];
    char why[N_CLAIMS][500];
    const struct round *where;
    unsigned limit_s;
    atomic_ulong progress;
} found = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const char *const sentences[] = {
#define CLAIM_SENTENCE(code, sentence) sentence,
    BQ_CLAIMS(CLAIM_SENTENCE)
#undef CLAIM_SENTENCE
};

void *need(size_t size)
{
    void *p = calloc(1, size ? size : 1);
    if (!p) {
        fprintf(stderr, "out of memory\n");
        _exit(1);
    }
    return p;
}

/* "round 7: float32, 3 x 17, halo 1": enough to know what the kernel was given. */
static void describe(const struct round *round, char *out, size_t size)
{
    const struct bq_setup *setup = &round->setup;
    int n = snprintf(out, size, "round %u: %s", round->number,
                     setup->has_input ? bq_type_name(setup->in_type) : "no input");
    for (int i = 0; i < setup->space.rank && i < BQ_MAX_RANK && n < (int)size; i++)
        n += snprintf(out + n, size - (size_t)n, "%s%llu", i ? " x " : ", ",
                      (unsigned long long)setup->space.extent[i]);
    if (!setup->has_output && (round->kernel->flags & BQ_WRITES) && n < (int)size)
        snprintf(out + n, size - (size_t)n, ", no output");
}

void tried(enum claim claim)
{
    pthread_mutex_lock(&found.lock);
    found.n[claim]++;
    pthread_mutex_unlock(&found.lock);
}

void failed(enum claim claim, const struct round *round, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    pthread_mutex_lock(&found.lock);
    char *why = found.why[claim];
    found.n[claim]++;
    if (!*why) {
        int n = vsnprintf(why, 300, format, args);
        size_t used = n < 300 ? (size_t)n : 299;
        if (round) {
            used += (size_t)snprintf(why + used, 4, " (");
            describe(round, why + used, sizeof found.why[claim] - used - 2);
            strcat(why, ")");
        }
    }
    pthread_mutex_unlock(&found.lock);
    va_end(args);
}

int print_claims(void)
{
    int rc = 0;
    for (int i = 0; i < N_CLAIMS; i++) {
        if (found.why[i][0])
            printf("  FAIL  %s:\n        %s\n", sentences[i], found.why[i]);
        else if (found.n[i])
            printf("  pass  %s\n", sentences[i]);
        rc |= found.why[i][0] != 0;
    }
    fflush(stdout);
    return rc;
}

/* -- signals ------------------------------------------------------------------------------ */

void note_round(const struct round *round)
{
    found.where = round;
}

void note_progress(void)
{
    atomic_fetch_add(&found.progress, 1);
}

/* Ends the process when nothing goes on for too long. A thread and not an alarm: under a sanitizer
 * the handler of a signal waits for the kernel to call something, which an endless loop never does.
 */
static void *watch_the_clock(void *unused)
{
    const struct timespec nap = {0, 100000000};
    unsigned long seen = 0;
    struct timespec since, now;
    (void)unused;
    clock_gettime(CLOCK_MONOTONIC, &since);
    for (;;) {
        nanosleep(&nap, NULL);
        unsigned long progress = atomic_load(&found.progress);
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (progress != seen) {
            seen = progress;
            since = now;
        } else if (now.tv_sec - since.tv_sec > (long)found.limit_s) {
            printf("  FAIL  it comes to an end:\n        a call took more than %u s\n",
                   found.limit_s);
            fflush(stdout);
            _exit(1);
        }
    }
    return NULL;
}

/* The process ends here, so the handler may use what a handler must otherwise not: the kernel holds
 * no lock of stdio that it did not take itself. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    char text[900], where[200] = "", what[200];
    (void)context;
    if (found.where)
        describe(found.where, where, sizeof where);
    const char *guarded = number == SIGSEGV || number == SIGBUS
                              ? guard_explain(info->si_addr, what, sizeof what)
                              : NULL;
    int n;
    if (guarded)
        n = snprintf(text, sizeof text, "  FAIL  %s:\n        it touches %s", sentences[INSIDE],
                     guarded);
    else
        n = snprintf(text, sizeof text,
                     "  FAIL  it does not crash:\n        signal %d (%s) at address %p", number,
                     strsignal(number), info->si_addr);
    if (n < 0 || n > 600)
        n = 600;
    n += snprintf(text + n, sizeof text - (size_t)n, " (%s)\n", where);
    ssize_t written = write(STDOUT_FILENO, text, (size_t)n);
    (void)written;
    _exit(1);
}

void watch_signals(unsigned limit_s)
{
    /* A sanitizer has its own handlers, which know more. */
    static const int ours[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    size_t n = BQ_IS_SANITIZED ? 0 : sizeof ours / sizeof *ours;
    static char stack[1 << 16]; /* a kernel may have used up its own */
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    found.limit_s = limit_s;
    sigaltstack(&alternate, NULL);
    for (size_t i = 0; i < n; i++)
        sigaction(ours[i], &action, NULL);
    pthread_t clock;
    if (pthread_create(&clock, NULL, watch_the_clock, NULL) == 0)
        pthread_detach(clock);
}
