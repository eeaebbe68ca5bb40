#include "base/heap.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

void *bq_alloc(size_t n, size_t size)
{
    if (must_fail() || (size && n > (SIZE_MAX - 64) / size))
        return NULL;
    size_t bytes = (n * size + 63) / 64 * 64;
    void *p = aligned_alloc(64, bytes ? bytes : 64);
    if (p)
        memset(p, 0, bytes ? bytes : 64);
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
    free(p);
}
