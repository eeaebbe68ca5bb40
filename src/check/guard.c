/* Memory that notices who touches what lies beside it. A page on either side may not be touched at
 * all; the few bytes that alignment leaves between hold a pattern. */
#include "check/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALIGN 64 /* as the engine's buffers are */

static _Thread_local const struct guarded *watched;
static _Thread_local size_t n_watched;

static unsigned char canary(size_t i)
{
    return (unsigned char)(0xc5 ^ i * 29);
}

static size_t page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

#if BQ_IS_SANITIZED
struct guarded guard(const char *what, size_t size, bool at_end)
{
    struct guarded g = {.what = what, .size = size};
    (void)at_end;
    if (size && posix_memalign((void **)&g.data, ALIGN, size))
        need(SIZE_MAX / 2); /* which says so */
    if (size)
        memset(g.data, 0, size);
    return g;
}

void guard_read_only(struct guarded *g)
{
    (void)g;
}

bool guard_is_whole(const struct guarded *g)
{
    (void)g;
    return true;
}

void guard_free(struct guarded *g)
{
    free(g->data);
    *g = (struct guarded){0};
}
#else
struct guarded guard(const char *what, size_t size, bool at_end)
{
    struct guarded g = {.what = what, .size = size};
    size_t room = (size + page() - 1) / page() * page();
    if (size == 0)
        return g;
    g.map_size = room + 2 * page();
    g.map = mmap(NULL, g.map_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g.map == MAP_FAILED || mprotect(g.map + page(), room, PROT_READ | PROT_WRITE))
        need(SIZE_MAX / 2); /* which says so */
    g.data = g.map + page() + (at_end ? (room - size) / ALIGN * ALIGN : 0);
    for (size_t i = 0; i < room; i++)
        g.map[page() + i] = canary(i);
    memset(g.data, 0, size);
    return g;
}

void guard_read_only(struct guarded *g)
{
    if (g->map)
        mprotect(g->map + page(), g->map_size - 2 * page(), PROT_READ);
}

bool guard_is_whole(const struct guarded *g)
{
    size_t room = g->map ? g->map_size - 2 * page() : 0;
    for (size_t i = 0; i < room; i++) {
        const unsigned char *at = g->map + page() + i;
        if ((at < g->data || at >= g->data + g->size) && *at != canary(i))
            return false;
    }
    return true;
}

void guard_free(struct guarded *g)
{
    if (g->map)
        munmap(g->map, g->map_size);
    *g = (struct guarded){0};
}
#endif

void guard_watch(const struct guarded *list, size_t n)
{
    watched = list;
    n_watched = n;
}

const char *guard_explain(const void *address, char *out, size_t size)
{
    const unsigned char *at = address;
    for (size_t i = 0; i < n_watched; i++) {
        const struct guarded *g = &watched[i];
        if (!g->map || at < g->map || at >= g->map + g->map_size)
            continue;
        if (at < g->data)
            snprintf(out, size, "memory %zu bytes before %s", (size_t)(g->data - at), g->what);
        else if (at >= g->data + g->size)
            snprintf(out, size, "memory %zu bytes behind the end of %s",
                     (size_t)(at - g->data) - g->size, g->what);
        else
            snprintf(out, size, "%s, to write there", g->what);
        return out;
    }
    return NULL;
}
