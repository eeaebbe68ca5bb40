/* Trying out a kernel: random datasets, shapes, types and edges, guarded memory, several threads.
 *
 * This room sees banquet/kernel.h, the C library and POSIX, and nothing else, because it is used
 * twice: as a part of the program, for a kernel as it will run, and as source text that the
 * program carries and compiles together with a kernel's source under sanitizers. Either way it runs
 * in a process of its own, which a kernel may crash. */
#ifndef BQ_CHECK_CHECK_H
#define BQ_CHECK_CHECK_H

#include "banquet/kernel.h"

struct bq_check_options {
    uint64_t seed;
    unsigned rounds;  /* datasets */
    unsigned limit_s; /* seconds that a call may take, 1 or more */
};

/* Prints a line for each thing that was checked, "pass" or "FAIL" in front. 0 when all passed, else
 * 1. To be called once in a process: it takes over signals, and leaves by _exit when the kernel
 * crashes or does not come to an end. */
int bq_check(const struct bq_kernel *kernel, const struct bq_check_options *options);

#endif
