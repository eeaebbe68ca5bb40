#include "base/heap.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LINE 64 /* bytes of a cache line */

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

/* The system's own zeroed memory: what is large is not touched, so that it costs nothing until it
 * is used. The pointer to be freed stands in front of the aligned one. */
void *bq_alloc(size_t n, size_t size)
{
    if (must_fail() || (size && n > (SIZE_MAX - 2 * LINE) / size))
        return NULL;
    char *whole = calloc(1, n * size + 2 * LINE);
    if (!whole)
        return NULL;
    char *p = whole + 2 * LINE - (uintptr_t)whole % LINE;
    memcpy(p - sizeof whole, &whole, sizeof whole);
    return p;
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
