#include "adapters/vitals.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/heap.h"

#define MAX_THREADS 8192
#define STACK_BYTES 65536 /* of a signal's handler, when the thread's own has no room */

/* One thread. count is odd while it is in a kernel's call. */
struct entry {
    atomic_uint is_taken, step;
    atomic_ullong chunk, count, deadline_ns;
};

struct page {
    struct {
        atomic_int is_said; /* 1: being written, 2: to be read */
        int signal;         /* 0: exit() */
        bool has_chunk;
        struct bq_at at;
        uint64_t address;
    } last;
    uint32_t n_suspects;
    struct bq_at suspect[BQ_MAX_SUSPECTS];
    atomic_uint n_entries; /* taken so far */
    struct entry entry[MAX_THREADS];
};

struct seen {
    uint64_t count, since;
};

struct bq_vitals {
    int fd;
    struct page *page;
    struct seen *seen; /* of each entry, when it was looked at last */
};

static struct page *map(int fd)
{
    void *page = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return page == MAP_FAILED ? NULL : page;
}

/* -- who watches -------------------------------------------------------------------------- */

struct bq_vitals *bq_vitals_create(struct bq_error *err)
{
    struct bq_vitals *v = bq_alloc(1, sizeof *v);
    if (v) {
        v->fd = memfd_create("banquet-vitals", MFD_CLOEXEC);
        v->seen = bq_alloc(MAX_THREADS, sizeof *v->seen);
        if (v->fd >= 0 && v->seen && ftruncate(v->fd, sizeof(struct page)) == 0 &&
            (v->page = map(v->fd)))
            return v;
    }
    bq_vitals_destroy(v);
    bq_fail(err, BQ_EXIT_FAILED, "no memory or file descriptor is left to watch over kernels");
    return NULL;
}

void bq_vitals_destroy(struct bq_vitals *v)
{
    if (!v)
        return;
    if (v->page)
        munmap(v->page, sizeof *v->page);
    if (v->fd >= 0)
        close(v->fd);
    bq_free(v->seen);
    bq_free(v);
}

int bq_vitals_fd(const struct bq_vitals *v)
{
    return v->fd;
}

void bq_vitals_renew(struct bq_vitals *v)
{
    uint32_t n = atomic_load(&v->page->n_entries);
    memset(&v->page->last, 0, sizeof v->page->last);
    memset(v->page->entry, 0, (n < MAX_THREADS ? n : MAX_THREADS) * sizeof(struct entry));
    memset(v->seen, 0, MAX_THREADS * sizeof *v->seen);
    atomic_store(&v->page->n_entries, 0);
}

static uint32_t n_entries(const struct bq_vitals *v)
{
    uint32_t n = atomic_load(&v->page->n_entries);
    return n < MAX_THREADS ? n : MAX_THREADS;
}

static void suspect(struct page *page, const struct bq_at *at)
{
    uint32_t n = page->n_suspects < BQ_MAX_SUSPECTS ? page->n_suspects : BQ_MAX_SUSPECTS;
    for (uint32_t i = 0; i < n; i++) {
        if (page->suspect[i].step == at->step && page->suspect[i].chunk == at->chunk)
            return;
    }
    if (n == BQ_MAX_SUSPECTS) { /* the oldest has been tried by now */
        memmove(page->suspect, page->suspect + 1, (n - 1) * sizeof *page->suspect);
        n--;
    }
    page->suspect[n] = *at;
    page->n_suspects = n + 1;
}

/* How it ended, in words. */
static void describe(const struct page *page, int status, char *why, size_t size)
{
    if (atomic_load(&page->last.is_said) == 2 && page->last.signal == SIGSEGV)
        snprintf(why, size, "the kernel crashed: %s at address 0x%llx", strsignal(SIGSEGV),
                 (unsigned long long)page->last.address);
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        snprintf(why, size, "the kernel's process was killed (by hand, or memory ran out)");
    else if (WIFSIGNALED(status))
        snprintf(why, size, "the kernel crashed: %s", strsignal(WTERMSIG(status)));
    else
        snprintf(why, size, "the kernel ended its process with exit code %d", WEXITSTATUS(status));
}

bool bq_vitals_verdict(struct bq_vitals *v, int status, struct bq_at *at, char *why, size_t size)
{
    struct page *page = v->page;
    describe(page, status, why, size);
    if (atomic_load(&page->last.is_said) == 2 && page->last.has_chunk) {
        *at = page->last.at;
        return true;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_entries(v); i++) {
        const struct entry *e = &page->entry[i];
        struct bq_at here = {atomic_load(&e->step), atomic_load(&e->chunk)};
        bool is_another = n == 0 || here.step != at->step || here.chunk != at->chunk;
        if (atomic_load(&e->count) % 2 == 0 || !is_another)
            continue;
        *at = here;
        n++;
    }
    for (uint32_t i = 0; n > 1 && i < n_entries(v); i++) {
        const struct entry *e = &page->entry[i];
        if (atomic_load(&e->count) % 2)
            suspect(page, &(struct bq_at){atomic_load(&e->step), atomic_load(&e->chunk)});
    }
    return n == 1;
}

uint64_t bq_vitals_overdue(struct bq_vitals *v, uint64_t now, struct bq_at *at)
{
    for (uint32_t i = 0; i < n_entries(v); i++) {
        const struct entry *e = &v->page->entry[i];
        uint64_t count = atomic_load(&e->count), limit_ns = atomic_load(&e->deadline_ns);
        if (v->seen[i].count != count)
            v->seen[i] = (struct seen){count, now};
        if (count % 2 == 0 || limit_ns == 0 || now - v->seen[i].since <= limit_ns)
            continue;
        *at = (struct bq_at){atomic_load(&e->step), atomic_load(&e->chunk)};
        if (atomic_load(&e->count) == count)
            return limit_ns;
    }
    return 0;
}

/* -- the process that cooks --------------------------------------------------------------- */

static struct page *own;  /* NULL: nobody watches */
static bool has_suspects; /* some chunks are cooked alone */
/* Held for writing while a suspect is cooked; who wants to write does not starve. */
static pthread_rwlock_t alone = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
static pthread_once_t is_first = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* to know when a thread ends */

struct thread {
    struct entry *entry;
    void *stack; /* for signals */
    int depth;   /* a team's part 0 runs in the thread that called */
};
static _Thread_local struct thread self;

/* The last words: the first thread that dies says them. Only what a signal's handler may do. */
static void say(int signal, uint64_t address)
{
    int nobody = 0;
    if (!atomic_compare_exchange_strong(&own->last.is_said, &nobody, 1))
        return;
    const struct entry *e = self.entry;
    own->last.signal = signal;
    own->last.address = address;
    own->last.has_chunk = e && atomic_load(&e->count) % 2;
    if (own->last.has_chunk)
        own->last.at = (struct bq_at){atomic_load(&e->step), atomic_load(&e->chunk)};
    atomic_store(&own->last.is_said, 2);
}

static void on_death(int number, siginfo_t *info, void *context)
{
    (void)context;
    say(number, (uint64_t)(uintptr_t)info->si_addr);
    signal(number, SIG_DFL);
    raise(number); /* when this handler returns */
}

/* exit() in a kernel: the other threads are still at work, so what libraries do at the end must not
 * be done. */
static void on_exit_called(int status, void *context)
{
    (void)context;
    if (!self.entry || atomic_load(&self.entry->count) % 2 == 0)
        return;
    say(0, 0);
    _exit(status);
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
    stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL);
    free(self.stack);
    atomic_store(&self.entry->is_taken, 0);
    self = (struct thread){0};
}

/* A place for this thread, that of one which has ended where there is one. */
static void enter(void)
{
    for (uint32_t i = 0; i < MAX_THREADS && !self.entry; i++) {
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
    self.stack = malloc(STACK_BYTES);
    if (self.stack)
        sigaltstack(&(stack_t){.ss_sp = self.stack, .ss_size = STACK_BYTES}, NULL);
}

int bq_vitals_attach(int fd, struct bq_error *err)
{
    static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE,  SIGILL,
                                 SIGABRT, SIGSYS, SIGTRAP, SIGXCPU};
    struct sigaction action = {.sa_sigaction = on_death, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    own = map(fd);
    if (!own || pthread_key_create(&key, thread_ends) != 0)
        return bq_fail(err, BQ_EXIT_FAILED, "no memory is left to watch over kernels");
    has_suspects = own->n_suspects > 0;
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
        sigaction(deadly[i], &action, NULL);
    return 0;
}

static bool is_suspect(uint32_t step, uint64_t chunk)
{
    uint32_t n = own->n_suspects < BQ_MAX_SUSPECTS ? own->n_suspects : BQ_MAX_SUSPECTS;
    for (uint32_t i = 0; i < n; i++) {
        if (own->suspect[i].step == step && own->suspect[i].chunk == chunk)
            return true;
    }
    return false;
}

void bq_vitals_begin(uint32_t step, uint64_t chunk, uint64_t deadline_ns)
{
    if (!own)
        return;
    if (!self.entry)
        enter();
    struct entry *e = self.entry;
    if (!e || self.depth++)
        return;
    if (has_suspects && is_suspect(step, chunk))
        pthread_rwlock_wrlock(&alone);
    else if (has_suspects)
        pthread_rwlock_rdlock(&alone);
    atomic_store_explicit(&e->step, step, memory_order_relaxed);
    atomic_store_explicit(&e->chunk, chunk, memory_order_relaxed);
    atomic_store_explicit(&e->deadline_ns, deadline_ns, memory_order_relaxed);
    uint64_t count = atomic_load_explicit(&e->count, memory_order_relaxed);
    atomic_store_explicit(&e->count, count + 1, memory_order_release);
}

void bq_vitals_end(void)
{
    struct entry *e = self.entry;
    if (!own || !e || --self.depth)
        return;
    uint64_t count = atomic_load_explicit(&e->count, memory_order_relaxed);
    atomic_store_explicit(&e->count, count + 1, memory_order_release);
    if (has_suspects)
        pthread_rwlock_unlock(&alone);
}
