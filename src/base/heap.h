/* Memory for objects that live long. Zeroed, overflow-checked, and able to fail on purpose: a test
 * makes the n-th allocation fail, for every n, and sees that nothing leaks and nothing crashes. */
#ifndef BQ_BASE_HEAP_H
#define BQ_BASE_HEAP_H

#include <stddef.h>

/* n * size zeroed bytes, 64-byte aligned (a cache line); NULL when there is no memory. n = 0 works.
 */
void *bq_alloc(size_t n, size_t size);

/* The same, not zeroed: buffers that are written before they are read. What a step gives back the
 * next one gets again, so that the rounds of a loop do not pay for fresh pages. */
void *bq_room(size_t n, size_t size);

/* Bytes that it takes beside those: for who counts many small ones. */
#define BQ_HEAP_EXTRA 144

/* A copy of a string, to be given to bq_free. */
char *bq_strdup(const char *text);

void bq_free(void *p);

/* Tests only: the n-th allocation from now on fails (1 = the next); 0 switches it off. */
void bq_heap_fail_at(unsigned long n);

#endif
