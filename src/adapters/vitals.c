#include "adapters/vitals_internal.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/heap.h"

struct seen {
    uint64_t count, since;
};

struct bq_vitals {
    int fd;
    struct bq_vitals_page *page;
    struct seen *seen; /* of each entry, when it was looked at last */
};

struct bq_vitals_page *bq_vitals_map(int fd)
{
    void *page =
        mmap(NULL, sizeof(struct bq_vitals_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return page == MAP_FAILED ? NULL : page;
}

struct bq_vitals *bq_vitals_create(struct bq_error *err)
{
    struct bq_vitals *v = bq_alloc(1, sizeof *v);
    if (v) {
        v->fd = memfd_create("banquet-vitals", MFD_CLOEXEC);
        v->seen = bq_alloc(BQ_VITALS_THREADS, sizeof *v->seen);
        if (v->fd >= 0 && v->seen && ftruncate(v->fd, sizeof(struct bq_vitals_page)) == 0 &&
            (v->page = bq_vitals_map(v->fd)))
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
    memset(v->page->entry, 0,
           (n < BQ_VITALS_THREADS ? n : BQ_VITALS_THREADS) * sizeof(struct bq_vital));
    memset(v->seen, 0, BQ_VITALS_THREADS * sizeof *v->seen);
    atomic_store(&v->page->n_entries, 0);
}

static uint32_t n_entries(const struct bq_vitals *v)
{
    uint32_t n = atomic_load(&v->page->n_entries);
    return n < BQ_VITALS_THREADS ? n : BQ_VITALS_THREADS;
}

static bool is_suspect(const struct bq_vitals_page *page, const struct bq_at *at)
{
    return bq_vitals_find_suspect(page, at) < bq_vitals_n_suspects(page);
}

/* False: it was one already. */
static bool suspect(struct bq_vitals_page *page, const struct bq_at *at)
{
    uint32_t n = bq_vitals_n_suspects(page);
    if (is_suspect(page, at))
        return false;
    if (n == BQ_MAX_SUSPECTS) { /* the oldest has been tried by now */
        memmove(page->suspect, page->suspect + 1, (n - 1) * sizeof *page->suspect);
        n--;
    }
    page->suspect[n] = *at;
    atomic_store(&page->n_suspects, n + 1);
    return true;
}

/* How it ended, in words. */
static void describe(const struct bq_vitals_page *page, int status, char *why, size_t size)
{
    bool is_said = atomic_load(&page->last.is_said) == 2;
    char where[64] = "";
    if (is_said && page->last.blame == BQ_BLAME_BETWEEN && page->last.doing[0])
        snprintf(where, sizeof where, " in its %.15s", page->last.doing);
    else if (is_said && page->last.blame == BQ_BLAME_BETWEEN)
        snprintf(where, sizeof where, " outside of any chunk");
    int number = is_said ? page->last.signal : WIFSIGNALED(status) ? WTERMSIG(status) : BQ_BY_EXIT;
    if (number == SIGKILL)
        snprintf(why, size, "the kernel's process was killed (by hand, or memory ran out)");
    else if (number > 0 && is_said && page->last.address != BQ_NOWHERE)
        snprintf(why, size, "the kernel crashed%s: %s at address 0x%llx", where, strsignal(number),
                 (unsigned long long)page->last.address);
    else if (number > 0)
        snprintf(why, size, "the kernel crashed%s: %s", where, strsignal(number));
    else if (number == BQ_BY_THREAD_EXIT)
        snprintf(why, size, "the kernel ended its thread (pthread_exit)");
    else
        snprintf(why, size, "the kernel ended its process%s with exit code %d", where,
                 WIFEXITED(status) ? WEXITSTATUS(status) : 0);
}

enum bq_blame bq_vitals_verdict(struct bq_vitals *v, int status, struct bq_at *at, char *why,
                                size_t size)
{
    struct bq_vitals_page *page = v->page;
    describe(page, status, why, size);
    if (atomic_load(&page->last.is_said) == 2 && page->last.blame != BQ_BLAME_NOBODY) {
        *at = page->last.at;
        return page->last.blame == BQ_BLAME_CHUNK ? BQ_BLAME_CHUNK : BQ_BLAME_BETWEEN;
    }
    bool is_said = atomic_load(&page->last.is_said) == 2, is_news = false;
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_entries(v); i++) {
        const struct bq_vital *e = &page->entry[i];
        struct bq_at here = {atomic_load(&e->step), atomic_load(&e->chunk)};
        bool is_another = n == 0 || here.step != at->step || here.chunk != at->chunk;
        if (atomic_load(&e->count) % 2 == 0 || !is_another)
            continue;
        *at = here;
        n++;
    }
    /* What nobody has said may have come from outside: kill -9, or memory that ran out. It does not
     * come twice, each time while the same chunk is cooked alone. */
    if (n == 1 && (is_said || is_suspect(page, at)))
        return BQ_BLAME_CHUNK;
    for (uint32_t i = 0; i < n_entries(v); i++) {
        const struct bq_vital *e = &page->entry[i];
        struct bq_at here = {atomic_load(&e->step), atomic_load(&e->chunk)};
        if (atomic_load(&e->count) % 2 && suspect(page, &here))
            is_news = true;
    }
    return is_news ? BQ_BLAME_SUSPECTS : BQ_BLAME_NOBODY;
}

bool bq_vitals_is_dying(const struct bq_vitals *v)
{
    return atomic_load(&v->page->last.is_said) == 2;
}

uint64_t bq_vitals_overdue(struct bq_vitals *v, uint64_t now, struct bq_at *at)
{
    for (uint32_t i = 0; i < n_entries(v); i++) {
        const struct bq_vital *e = &v->page->entry[i];
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
