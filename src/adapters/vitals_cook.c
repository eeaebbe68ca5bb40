/* The process that is watched: which chunk each of its threads is at, and the last words of one
 * that crashes. One that nobody watches says them on stderr. */
#include "adapters/vitals_internal.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STACK_BYTES 65536 /* of a signal's handler, when the thread's own has no room */

static struct bq_vitals_page *own;   /* NULL: nobody watches */
static void (*alone_clean_up)(void); /* then: before the program ends */
static pid_t own_pid; /* 0: nothing is caught. A kernel may fork: what happens there is not ours */

/* While there are suspects: each is cooked while no other chunk is. What a team's parts do is one
 * chunk. Who waits to be alone is let in first. */
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER; /* guards gate and the suspects */
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static struct {
    unsigned n_beside, n_alone, n_waiting; /* threads in ordinary calls, in at's, before it */
    struct bq_at at;
} gate;

static pthread_once_t is_first = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* to know when a thread ends */

struct thread {
    struct bq_vital *entry;
    void *stack;       /* for signals */
    int depth;         /* a team's part 0 runs in the thread that called */
    uint64_t chunk;    /* where nobody watches: one more than that of the call */
    const char *doing; /* the kernel's function outside of any chunk, or NULL */
    bool is_manager;
    enum { UNCOUNTED, BESIDE, ALONE } passed; /* the gate */
};
static _Thread_local struct thread self;

/* The last only kills in a kitchen's own process: transports ignore it where they write. */
static const int deadly[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL, SIGABRT,
                             SIGSYS,  SIGTRAP, SIGXCPU, SIGPIPE};
#define N_DEADLY (sizeof deadly / sizeof *deadly)
static struct sigaction before[N_DEADLY]; /* what was done about them: a sanitizer's report */

/* -- last words: only what a signal's handler may do -------------------------------------- */

/* To whoever watches. The first thread that dies says them. */
static void say(int signal, uint64_t address)
{
    int nobody = 0;
    if (!atomic_compare_exchange_strong(&own->last.is_said, &nobody, 1))
        return;
    const struct bq_vital *e = self.entry;
    bool has_chunk = e && atomic_load(&e->count) % 2;
    bool is_ours = e || self.is_manager || self.doing;
    own->last.signal = signal;
    own->last.address = address;
    own->last.blame = has_chunk ? BQ_BLAME_CHUNK : is_ours ? BQ_BLAME_BETWEEN : BQ_BLAME_NOBODY;
    if (has_chunk)
        own->last.at = (struct bq_at){atomic_load(&e->step), atomic_load(&e->chunk)};
    for (size_t i = 0; self.doing && self.doing[i] && i + 1 < sizeof own->last.doing; i++)
        own->last.doing[i] = self.doing[i];
    atomic_store(&own->last.is_said, 2);
}

static size_t put(char *line, size_t n, const char *text)
{
    while (*text)
        line[n++] = *text++;
    return n;
}

static size_t put_number(char *line, size_t n, uint64_t value)
{
    char digits[24];
    size_t first = sizeof digits;
    do
        digits[--first] = (char)('0' + value % 10);
    while (value /= 10);
    while (first < sizeof digits)
        line[n++] = digits[first++];
    return n;
}

static const char *name_of(int signal)
{
    switch (signal) {
    case BQ_BY_EXIT:
        return "it called exit()";
    case SIGSEGV:
        return "Segmentation fault";
    case SIGBUS:
        return "Bus error";
    case SIGFPE:
        return "Floating point exception";
    case SIGILL:
        return "Illegal instruction";
    case SIGABRT:
        return "Aborted";
    default:
        return "a signal";
    }
}

/* To a person. False: it was not in a kernel. */
static bool say_alone(int signal)
{
    char line[300];
    if (!self.doing && !self.chunk)
        return false;
    size_t n = put(line, 0, "\nbanquet: the kernel's ");
    n = put(line, n, self.doing ? self.doing : "cook function");
    n = put(line, n, " crashed the program");
    if (!self.doing) {
        n = put(line, n, " in chunk ");
        n = put_number(line, n, self.chunk - 1);
    }
    n = put(line, n, ": ");
    n = put(line, n, name_of(signal));
    n = put(line, n,
            self.doing ? "; `banquet kernel check` may tell why\n"
                       : "; with `isolate: process` the other chunks would be done\n");
    ssize_t written = write(STDERR_FILENO, line, n);
    (void)written;
    if (alone_clean_up)
        alone_clean_up();
    return true;
}

static void on_death(int number, siginfo_t *info, void *context)
{
    (void)context;
    bool has_address = (number == SIGSEGV || number == SIGBUS) && info->si_code > 0;
    bool is_sent = info->si_code == SI_USER || info->si_code == SI_QUEUE; /* to any thread */
    bool is_ours = getpid() == own_pid && !is_sent;
    if (is_ours && own)
        say(number, has_address ? (uint64_t)(uintptr_t)info->si_addr : BQ_NOWHERE);
    else if (is_ours && say_alone(number) && self.doing)
        _exit(BQ_EXIT_FAILED);
    for (size_t i = 0; i < N_DEADLY; i++) {
        if (deadly[i] == number)
            sigaction(number, &before[i], NULL);
    }
    if (info->si_code <= 0)
        raise(number); /* when this handler returns; else the instruction comes again */
}

/* exit() in a kernel: the other threads are still at work, so what libraries do at the end must not
 * be done. */
static void on_exit_called(int status, void *context)
{
    (void)context;
    if (getpid() != own_pid && !own)
        return;
    if (getpid() != own_pid) /* forked by the kernel: what libraries hold is not its own */
        _exit(status);
    if (own)
        say(BQ_BY_EXIT, BQ_NOWHERE);
    else if (!say_alone(BQ_BY_EXIT))
        return;
    _exit(own || !self.doing ? status : BQ_EXIT_FAILED);
}

/* The last that is registered is called first: when the first kernel is called, libraries have
 * registered theirs. */
static void be_first_at_exit(void)
{
    on_exit(on_exit_called, NULL);
}

static void thread_ends(void *arg)
{
    (void)arg;
    if (atomic_load(&self.entry->count) % 2) { /* nobody would ever finish its chunk */
        say(BQ_BY_THREAD_EXIT, BQ_NOWHERE);
        _exit(1);
    }
    stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL);
    free(self.stack);
    atomic_store(&self.entry->is_taken, 0);
    self = (struct thread){0};
}

static void use_own_stack(void)
{
    self.stack = malloc(STACK_BYTES);
    if (self.stack)
        sigaltstack(&(stack_t){.ss_sp = self.stack, .ss_size = STACK_BYTES}, NULL);
}

/* A place for this thread, that of one which has ended where there is one. */
static void enter(void)
{
    for (uint32_t i = 0; i < BQ_VITALS_THREADS && !self.entry; i++) {
        unsigned nobody = 0;
        if (!atomic_compare_exchange_strong(&own->entry[i].is_taken, &nobody, 1))
            continue;
        self.entry = &own->entry[i];
        unsigned n = atomic_load(&own->n_entries);
        while (n < i + 1 && !atomic_compare_exchange_weak(&own->n_entries, &n, i + 1))
            ;
    }
    if (!self.entry)
        return;
    pthread_once(&is_first, be_first_at_exit);
    pthread_setspecific(key, self.entry);
    use_own_stack();
}

static void catch_first(size_t n_signals)
{
    struct sigaction action = {.sa_sigaction = on_death, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    own_pid = getpid();
    use_own_stack();
    for (size_t i = 0; i < n_signals; i++)
        sigaction(deadly[i], &action, &before[i]);
}

void bq_vitals_alone(void (*clean_up)(void))
{
    if (own_pid)
        return;
    alone_clean_up = clean_up;
    pthread_once(&is_first, be_first_at_exit);
    catch_first(N_DEADLY - 1);
}

int bq_vitals_attach(int fd, struct bq_error *err)
{
    own = bq_vitals_map(fd);
    if (!own || pthread_key_create(&key, thread_ends) != 0)
        return bq_fail(err, BQ_EXIT_FAILED, "no memory is left to watch over kernels");
    self.is_manager = true;
    catch_first(N_DEADLY);
    return 0;
}

static void pass_gate(struct bq_at at)
{
    pthread_mutex_lock(&gate_lock);
    if (bq_vitals_find_suspect(own, &at) < bq_vitals_n_suspects(own)) {
        gate.n_waiting++;
        while (gate.n_beside ||
               (gate.n_alone && (gate.at.step != at.step || gate.at.chunk != at.chunk)))
            pthread_cond_wait(&gate_moved, &gate_lock);
        gate.n_waiting--;
        gate.n_alone++;
        gate.at = at;
        self.passed = ALONE;
    } else {
        while (gate.n_alone || gate.n_waiting)
            pthread_cond_wait(&gate_moved, &gate_lock);
        gate.n_beside++;
        self.passed = BESIDE;
    }
    pthread_mutex_unlock(&gate_lock);
}

static void leave_gate(void)
{
    pthread_mutex_lock(&gate_lock);
    unsigned *n = self.passed == ALONE ? &gate.n_alone : &gate.n_beside;
    if (--*n == 0)
        pthread_cond_broadcast(&gate_moved);
    self.passed = UNCOUNTED;
    pthread_mutex_unlock(&gate_lock);
}

void bq_vitals_survived(uint32_t step, uint64_t chunk)
{
    if (!own || bq_vitals_n_suspects(own) == 0)
        return;
    pthread_mutex_lock(&gate_lock);
    uint32_t i = bq_vitals_find_suspect(own, &(struct bq_at){step, chunk});
    uint32_t n = bq_vitals_n_suspects(own);
    if (i < n) { /* in between, one may be there twice: no harm */
        memmove(&own->suspect[i], &own->suspect[i + 1], (n - i - 1) * sizeof *own->suspect);
        atomic_store(&own->n_suspects, n - 1);
    }
    pthread_mutex_unlock(&gate_lock);
}

void bq_vitals_begin(uint32_t step, uint64_t chunk, uint64_t deadline_ns)
{
    if (!own) {
        self.chunk = chunk + 1;
        return;
    }
    if (!self.entry)
        enter();
    struct bq_vital *e = self.entry;
    if (!e || self.depth++)
        return;
    if (bq_vitals_n_suspects(own)) /* none: none will come, nobody waits to be alone */
        pass_gate((struct bq_at){step, chunk});
    atomic_store_explicit(&e->step, step, memory_order_relaxed);
    atomic_store_explicit(&e->chunk, chunk, memory_order_relaxed);
    atomic_store_explicit(&e->deadline_ns, deadline_ns, memory_order_relaxed);
    uint64_t count = atomic_load_explicit(&e->count, memory_order_relaxed);
    atomic_store_explicit(&e->count, count + 1, memory_order_release);
}

void bq_vitals_end(void)
{
    struct bq_vital *e = self.entry;
    self.chunk = 0;
    if (!own || !e || --self.depth)
        return;
    uint64_t count = atomic_load_explicit(&e->count, memory_order_relaxed);
    atomic_store_explicit(&e->count, count + 1, memory_order_release);
    if (self.passed != UNCOUNTED)
        leave_gate();
}

void bq_vitals_doing(const char *function)
{
    self.doing = function;
}
