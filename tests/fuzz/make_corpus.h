/* What the two parts of make_corpus share. */
#ifndef BQ_TESTS_MAKE_CORPUS_H
#define BQ_TESTS_MAKE_CORPUS_H

#include "fuzz.h"

/* A seed of that target. */
void save(const char *what, const char *name, const void *bytes, size_t n);

/* Seeds of frames, job, journal and log. */
void make_left(void);

#endif
