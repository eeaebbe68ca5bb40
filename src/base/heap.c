#include "base/heap.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LINE 64         /* bytes of a cache line */
#define KEPT (32 << 20) /* larger buffers are the system's: malloc's own limit */

/* Only tests write it, before they create the threads that read it. */
static atomic_ulong fail_at;

void bq_heap_fail_at(unsigned long n)
{
    atomic_store(&fail_at, n);
}

static int must_fail(void)
{
    unsigned long n = atomic_load_explicit(&fail_at, memory_order_relaxed);
    if (n == 0)
        return 0;
    atomic_store(&fail_at, n - 1);
    return n == 1;
}

/* The pointer to be freed stands in front of the aligned one. */
static void *aligned(char *whole)
{
    if (!whole)
        return NULL;
    char *p = whole + 2 * LINE - (uintptr_t)whole % LINE;
    memcpy(p - sizeof whole, &whole, sizeof whole);
    return p;
}

/* The system's own zeroed memory: what is large is not touched, so that it costs nothing until it
 * is used. */
void *bq_alloc(size_t n, size_t size)
{
    if (must_fail() || (size && n > (SIZE_MAX - 2 * LINE) / size))
        return NULL;
    return aligned(calloc(1, n * size + 2 * LINE));
}

/* The standard settings give every freed buffer back to the system, and each touch of a fresh page
 * costs a fault: at rounds of milliseconds, more than the round. */
static void keep_freed(void)
{
#ifdef M_TRIM_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, KEPT);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
}

void *bq_room(size_t n, size_t size)
{
    static atomic_flag is_set = ATOMIC_FLAG_INIT;
    if (must_fail() || (size && n > (SIZE_MAX - 2 * LINE) / size))
        return NULL;
    if (!atomic_flag_test_and_set(&is_set))
        keep_freed();
    return aligned(malloc(n * size + 2 * LINE));
}

char *bq_strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = bq_alloc(n, 1);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}

void bq_free(void *p)
{
    char *whole;
    if (!p)
        return;
    memcpy(&whole, (char *)p - sizeof whole, sizeof whole);
    free(whole);
}
