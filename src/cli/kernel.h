/* What `banquet kernel` does: kernel_new.c, kernel_check.c; cmd_kernel.c has the command lines. */
#ifndef BQ_CLI_KERNEL_H
#define BQ_CLI_KERNEL_H

#include "check/check.h"
#include "cli/cli.h"

/* Writes the skeleton of a kernel into a folder, which is made when it is missing, and prints the
 * names of its files. A file that is there already stays, and then none is written: exit 2. */
int bq_kernel_new(const char *name, const char *folder, struct bq_error *err);

/* Tries out the kernels that a text names (own_kernel.h), in processes of their own, and prints
 * what was found. The exit code: 0, 1 when something was found, 2 with a message on stderr. */
int bq_kernel_check(const char *text, const struct bq_check_options *options);

/* The same for the kernel of a library, in this process. */
int bq_kernel_check_here(const char *text, const struct bq_check_options *options);

#endif
