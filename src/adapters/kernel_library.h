/* A shared library with kernels, loaded: every `const struct bq_kernel bq_kernel_NAME` that it
 * exports is one. A library is code of the user's and runs with the user's rights; what is checked
 * here is that it is the one that was meant, that it was made for this interface, and that its
 * tables make sense, because a mistake there would surface far away. Any thread. */
#ifndef BQ_ADAPTERS_KERNEL_LIBRARY_H
#define BQ_ADAPTERS_KERNEL_LIBRARY_H

#include "core/job.h"

struct bq_library;

/* The file must belong to this user or to root, and others must not be able to write to it.
 * expected: what its contents must be, or NULL. NULL with err (exit 2) on failure. */
struct bq_library *bq_library_open(const char *path, const struct bq_hash *expected,
                                   struct bq_error *err);

/* The kernel of a name, or the only one when name is NULL; checked. NULL with err (exit 2). It
 * belongs to the library. */
const struct bq_kernel *bq_library_kernel(const struct bq_library *library, const char *name,
                                          struct bq_error *err);

/* How many it has, and their names. */
size_t bq_library_n_kernels(const struct bq_library *library);
const char *bq_library_name(const struct bq_library *library, size_t i);

/* Where it lies (absolute) and what is in it. Belongs to the library. */
const struct bq_origin *bq_library_origin(const struct bq_library *library);

void bq_library_close(struct bq_library *library);

/* Hash of a file's contents; -1 with err. */
int bq_hash_file(const char *path, struct bq_hash *hash, struct bq_error *err);

/* The same of an open file, from its beginning. */
int bq_hash_fd(int fd, struct bq_hash *hash);

/* 32 hexadecimal digits and a NUL. Returns out. */
const char *bq_hash_text(const struct bq_hash *hash, char out[33]);

/* Whether a kernel's table makes sense: its strings, parameters and functions lie in the memory of
 * what is loaded, are ended, unique and in their ranges. name: what it must call itself. */
int bq_kernel_is_sane(const struct bq_kernel *kernel, const char *name, struct bq_error *err);

#endif
