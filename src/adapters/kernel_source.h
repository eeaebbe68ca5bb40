/* Files that the program carries within itself (cmake/Embed.cmake): what a kernel is compiled
 * against is this very program's, wherever it is installed. */
#ifndef BQ_ADAPTERS_KERNEL_SOURCE_H
#define BQ_ADAPTERS_KERNEL_SOURCE_H

#include <stddef.h>

/* A table ends with one that has no name. */
struct bq_source {
    const char *name; /* "banquet/kernel.h" */
    const unsigned char *text;
    size_t n;
};

extern const struct bq_source bq_header_sources[];   /* include/banquet/kernel.h */
extern const struct bq_source bq_checker_sources[];  /* src/check, and its main */
extern const struct bq_source bq_skeleton_sources[]; /* what `banquet kernel new` writes */

#endif
