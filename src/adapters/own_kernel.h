/* Kernels of the user's own, as a job or a command line names them: ./mine.c, ./mine.c:name,
 * ./libmine.so:name. Paths are relative to where the command runs, as those of inputs are. */
#ifndef BQ_ADAPTERS_OWN_KERNEL_H
#define BQ_ADAPTERS_OWN_KERNEL_H

#include "adapters/kernel_library.h"

/* Whether a text names a file, and not a kernel that the program has. */
bool bq_own_kernel_is_meant(const char *text);

/* The file and the name in it (NULL: none was given), cut from text; file has room for all of text.
 * -1 with err when the file is neither a .c nor a .so. */
int bq_own_kernel_parse(const char *text, char *file, size_t size, const char **name, bool *is_c,
                        struct bq_error *err);

/* Compiles what is a source, and loads it: the library, with *kernel. NULL with err (exit 2). */
struct bq_library *bq_own_kernel_open(const char *text, const struct bq_kernel **kernel,
                                      struct bq_error *err);

/* The same, with *kernel NULL when text names none of several. */
struct bq_library *bq_own_kernel_list(const char *text, const struct bq_kernel **kernel,
                                      struct bq_error *err);

/* The same for a step of a job, which holds the library until it is destroyed. */
const struct bq_kernel *bq_own_kernel_take(struct bq_job *job, const char *text,
                                           const struct bq_origin **origin, struct bq_error *err);

#endif
