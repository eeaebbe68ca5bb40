/* What the files of the HDF5 store share; nobody else includes it.
 *
 *     store_hdf5.c         the lock, HDF5's error text, opening and reading
 *     store_hdf5_info.c    what a dataset is: type, layout, filters; which datasets a file has
 *     store_hdf5_output.c  making a dataset
 *     store_hdf5_copy.c    attributes and dimension scales, from the input to the output
 *     store_work.c         the work file: private until it is complete (no HDF5 in it)
 *
 * The one rule: whoever calls HDF5 holds the lock. The functions of store.h take it; everything
 * declared in the HDF5 parts below expects it to be held.
 */
#ifndef BQ_ADAPTERS_STORE_INTERNAL_H
#define BQ_ADAPTERS_STORE_INTERNAL_H

#define H5_USE_110_API 1 /* newer libraries then offer the calls of 1.10 too */
#include <hdf5.h>
#include <sys/stat.h>

#include "adapters/store.h"

struct bq_input {
    char *file_name, *where;    /* where: "photo.h5:/photo", as messages begin */
    hid_t file, dataset, space; /* -1: not open */
    bool is_scalar;             /* stored without a dimension */
    dev_t device;
    ino_t inode;
    struct bq_input_info info;
};

/* -- store_hdf5.c ------------------------------------------------------------------------- */

/* Also turns off HDF5's own printing of errors, which is a setting of each thread. */
void store_lock(void);
void store_unlock(void);

/* Fails with the text, ": " and the reason that HDF5 gives for the call that failed just before
 * (no other HDF5 call in between). full, when not NULL: set to whether storage ran out. */
int store_fail(struct bq_error *err, enum bq_exit exit, bool *full, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Closes an identifier of any kind; -1 is fine. */
void store_release(hid_t id);

/* HDF5's own description of a native type; not to be released. */
hid_t store_memory_type(enum bq_type type);

/* Selects a block in a dataset's space; returns the dense space in memory to go with it, or -1. */
hid_t store_select(hid_t space, const struct bq_space *whole, bool is_scalar,
                   const uint64_t *offset, const uint64_t *extent, const char *where,
                   struct bq_error *err);

/* "(512, 0)" into out. Returns out. */
const char *store_position(const uint64_t *offset, int rank, char *out, size_t size);

/* Sizes the chunk cache in a dataset access list for datasets that are cut differently by the job
 * than in the file. */
void store_set_cache(hid_t access, const struct bq_space *space, const struct bq_space *chunk,
                     size_t element);

/* "file:/dataset", to be given to bq_free. */
char *store_where(const char *file, const char *dataset);

/* -- store_hdf5_info.c -------------------------------------------------------------------- */

/* A new identifier of the number type behind a stored type (an enum's base type), or -1 with err.
 */
hid_t store_number_type(hid_t stored, const char *where, struct bq_error *err);

/* Fills type, space, chunk, stored and stored_bytes. */
int store_describe(hid_t dataset, const char *where, struct bq_input_info *info, bool *is_scalar,
                   struct bq_error *err);

/* The error for a path that is no dataset: says what is there, and the nearest right name. */
int store_not_there(hid_t file, const char *file_name, const char *path, struct bq_error *err);

/* -- store_hdf5_copy.c -------------------------------------------------------------------- */

/* Attributes of one object to another, without those that point at other objects. */
int store_copy_attributes(hid_t from, hid_t to, bool same_type, struct bq_error *err);

/* Dimension scales of the input, into the file of the output and attached there. path: of the
 * output dataset in its file. */
int store_copy_scales(const struct bq_input *like, hid_t file, hid_t dataset, const char *path,
                      const struct bq_space *space, struct bq_error *err);

/* -- store_work.c: wants no lock ---------------------------------------------------------- */

struct store_work {
    char *name; /* final */
    char *path; /* of the work file; NULL when there is none (any more) */
    int fd;     /* -1: none */
    bool force;
};

int store_work_check(const char *name, bool force, const struct bq_input *not_this,
                     struct bq_error *err);
int store_work_create(struct store_work *work, const char *name, bool force, struct bq_error *err);

/* Syncs the finished file and gives it its name. When another file has taken the name meanwhile
 * (and not force), the finished work file stays, and the error says where. */
int store_work_publish(struct store_work *work, struct bq_error *err);

/* Removes what is left and frees the strings. A zeroed struct with fd -1 is fine. */
void store_work_end(struct store_work *work);

#endif
