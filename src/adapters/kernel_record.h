/* What a compiled kernel was made from, as a small text file beside it: the compiler, and every
 * file that it read with the hash of its contents. As long as all of them are the same, the library
 * is what compiling again would give. */
#ifndef BQ_ADAPTERS_KERNEL_RECORD_H
#define BQ_ADAPTERS_KERNEL_RECORD_H

#include <time.h>

#include "adapters/kernel_cache.h"

/* The library that `record` tells of, if what it was made from is unchanged; false when it has to
 * be compiled. compiler: the word that starts it. Where there is no compiler at all, that of the
 * record will do: a login node compiles, a compute node runs. */
bool bq_record_find(const char *record, const char *folder, const char *compiler,
                    char library[BQ_CACHE_PATH]);

/* Writes a record. depends: what the compiler wrote with -MD. A file that changed after `since`
 * makes no record, as nobody knows which of its contents the compiler saw: it will be compiled
 * again. */
int bq_record_write(const char *record, const char *library_name, const char *compiler,
                    const char *depends, struct timespec since, struct bq_error *err);

#endif
