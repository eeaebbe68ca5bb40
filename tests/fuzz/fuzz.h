/* What the fuzz targets share. A target is a function of bytes; with libFuzzer (BANQUET_FUZZ, see
 * `./run fuzz`) it is called with ever new ones, with replay.c with those of the corpus.
 *
 * A target does what the program does with such bytes. A sanitizer says when that goes wrong, and
 * MUST when the answer is wrong. */
#ifndef BQ_TESTS_FUZZ_H
#define BQ_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define MUST(claim)                                                                                \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #claim);                  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A buffer in which AddressSanitizer sees a step too far. */
static inline void *exactly(size_t n)
{
    void *p = malloc(n ? n : 1);
    MUST(p);
    return p;
}

static inline void *exact_copy(const void *bytes, size_t n)
{
    void *p = exactly(n);
    if (n)
        memcpy(p, bytes, n);
    return p;
}

#endif
