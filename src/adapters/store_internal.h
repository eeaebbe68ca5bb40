/* What the files of the HDF5 store share; nobody else includes it.
 *
 *     store_hdf5.c         the lock, HDF5's error text, helpers
 *     store_hdf5_input.c   opening and reading a dataset
 *     store_hdf5_info.c    what a dataset is: type, layout, filters; which datasets a file has
 *     store_hdf5_behind.c  the files that it is read from
 *     store_hdf5_field.c   one field of records
 *     store_hdf5_layout.c  how it lies in the file, for those who read it without HDF5
 *     store_hdf5_filters.c our codecs as filters of the library
 *     store_driver.c       HDF5's way to the file; it hears where a stored chunk lies
 *     store_work_driver.c  HDF5's way to a work file, that stays whole when the process is killed:
 *     store_overlay.c      what it keeps in memory meanwhile (no HDF5 in it)
 *     store_log.c          the write-ahead log, and store_log_replay.c (no HDF5 in them)
 *     store_fetch.c        reading stored bytes, without HDF5
 *     store_walk.c         the pieces in which a block lies in the file and in memory
 *     store_direct.c       writing numbers to their places, without HDF5
 *     store_hdf5_output.c  an output from its creation to its commit
 *     store_hdf5_create.c  making its dataset
 *     store_hdf5_resume.c  syncing and leaving it, and finding it again
 *     store_hdf5_copy.c    attributes and dimension scales, from the input to the output
 *     store_shards.c       the folder of an output of many files
 *     store_raw.c          what steps hand over to each other (no HDF5 in it)
 *     store_work.c         the work file: private until it is complete (no HDF5 in it)
 *
 * The one rule: whoever calls HDF5 holds the lock. The functions of store.h take it; everything
 * declared in the HDF5 parts below expects it to be held.
 */
#ifndef BQ_ADAPTERS_STORE_INTERNAL_H
#define BQ_ADAPTERS_STORE_INTERNAL_H

#define H5_USE_110_API 1 /* newer libraries then offer the calls of 1.10 too */
#include <hdf5.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "adapters/store.h"

struct store_driver;
struct store_work_driver;

/* A file, and the folder that it lies in. */
struct store_file {
    dev_t device;
    ino_t inode;
    dev_t folder_device;
    ino_t folder_inode;
    uint64_t size, mtime_ns;
};

struct bq_input {
    char *file_name, *where;    /* where: "photo.h5:/photo", as messages begin */
    hid_t file, dataset, space; /* -1: not open */
    hid_t stored, memory;       /* types: of an element or its field, in the file and for H5Dread */
    bool is_field;              /* of records */
    bool is_scalar;             /* stored without a dimension */
    bool is_raw;                /* no HDF5 file, but what a step hands over (store_raw.c) */
    uint64_t raw_inode;
    const unsigned char *map; /* of a raw file in memory, or NULL */
    bool leaves_holes;        /* H5Dread does not touch what was never written */
    uint64_t raw_chunk_bytes; /* of a stored chunk, where there are no filters; else 0 */
    struct store_file *files; /* all that it is read from */
    size_t n_files;
    struct bq_input_info info;
    struct bq_layout layout;
    /* beside HDF5 */
    struct store_driver *driver;
    int fd;                    /* the driver's */
    uint64_t address;          /* contiguous: of the first element */
    atomic_bool cannot_ask;    /* this file system does not say whether a read would wait */
    _Atomic uint64_t fetch_ns; /* bq_input_latency */
};

struct store_work {
    char *name; /* final */
    char *path; /* of the work file; NULL when there is none (any more) */
    char *log;  /* path of its log, whether there is one or not */
    int fd;     /* -1: none */
    bool force;
};

struct bq_output {
    struct store_work work;
    char *where;                        /* "out.h5:/photo" */
    const char *path;                   /* "/photo", inside where */
    hid_t file, dataset, space, memory; /* memory: a predefined type, not to be released */
    bool is_scalar;
    bool joins; /* shards, that are there under their name when it gets its own */
    bool is_folder_synced;
    struct store_work_driver *driver; /* NULL: the file is not open */
    struct bq_space extent;
    enum bq_output_how how;
    struct bq_layout layout;
};

/* A file's time as struct bq_input_info has it. */
static inline uint64_t store_mtime(const struct stat *st)
{
    return (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec;
}

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
size_t store_set_cache(hid_t access, const struct bq_space *space, const struct bq_space *chunk,
                       size_t element);

/* "file:/dataset", to be given to bq_free. */
char *store_where(const char *file, const char *dataset);

/* -- store_hdf5_input.c ------------------------------------------------------------------- */

/* As bq_input_open; wants_lock false: a work file of ours, which its maker has locked. */
struct bq_input *store_input_open(const char *file, const char *dataset, bool wants_lock,
                                  struct bq_error *err);

/* -- store_raw.c -------------------------------------------------------------------------- */

struct store_place;

void store_raw_close(struct bq_input *input);

/* A raw file that lies in memory, to be written; NULL when it does not, or not all of it. */
void *store_raw_map(int fd, uint64_t bytes);

/* Where a chunk of a raw file lies. */
void store_raw_locate(const struct bq_input *input, const struct bq_box *cell,
                      struct store_place *place);

/* -- store_fetch.c ------------------------------------------------------------------------ */

enum { STORE_BATCH = 64 }; /* stored chunks that are located, pieces that are moved at once */

struct store_place {
    uint64_t address, size;
    uint32_t mask;
};

/* Where the stored chunks lie that are cells `from` .. `from + n - 1` of a block. Takes the lock.
 */
int store_locate(struct bq_input *input, const struct bq_box *block, uint64_t from, int n,
                 struct store_place *places, struct bq_error *err);

/* -- store_walk.c: wants no lock ---------------------------------------------------------- */

struct store_walk {
    uint64_t address; /* of the array in the file */
    size_t size;      /* bytes of an element */
    uint64_t length;  /* elements of a piece; 0: nothing in common */
    struct bq_runs file, memory;
    uint64_t run, done, piece; /* where it stands: run of the file, pieces of it, pieces in all */
};

/* The box of a whole space. */
struct bq_box store_whole(const struct bq_space *space);

/* The part that a block (dense in memory) and a cell (the first of an array of extents `array` in
 * the file, C order) have in common. */
void store_walk_begin(struct store_walk *walk, size_t size, const struct bq_box *block,
                      const struct bq_box *cell, const uint64_t *array, uint64_t address);

/* The next consecutive bytes of the file, and the STORE_BATCH or fewer pieces of the block in
 * memory that belong there. Returns how many, 0 at the end. */
int store_walk_next(struct store_walk *walk, unsigned char *block, struct iovec *iov,
                    uint64_t *address);

/* Of these pieces so many bytes were moved: what is left. */
void store_walked(struct iovec **iov, int *n, size_t bytes);

/* -- store_hdf5_info.c -------------------------------------------------------------------- */

/* A new identifier of the number type behind a stored type (an enum's base type), or -1 with err.
 */
hid_t store_number_type(hid_t stored, const char *where, struct bq_error *err);

/* Fills type, space, chunk and stored. stored: the type of an element, or of a field.
 */
int store_describe(hid_t dataset, hid_t stored, const char *where, struct bq_input_info *info,
                   bool *is_scalar, struct bq_error *err);

/* Fills a layout; when storage stays OTHER, `why` says what keeps cooks from reading it. address:
 * of a contiguous dataset's first element. */
void store_describe_layout(hid_t dataset, hid_t stored, const struct bq_input_info *info,
                           struct bq_layout *layout, uint64_t *address, char *why, size_t size);

/* The fill value that a creation list gives, as a native number (8 bytes); 0 when it gives none. */
void store_fill_value(hid_t creation, enum bq_type type, unsigned char *fill);
bool store_has_fill_value(hid_t creation);

/* Fails when a file says what cannot be and HDF5 1.10 believes: it would read or write outside of
 * its memory. */
int store_check_claims(hid_t dataset, const struct bq_input_info *info, const char *where,
                       struct bq_error *err);

/* The error for a path that is no dataset: says what is there, and the nearest right name. */
int store_not_there(hid_t file, const char *file_name, const char *path, struct bq_error *err);

/* -- store_hdf5_behind.c ------------------------------------------------------------------ */

/* Fills the list of files that the dataset is read from. -1 when a source of a virtual dataset is
 * not there. */
int store_find_files(struct bq_input *input, struct bq_error *err);

/* -- store_hdf5_field.c ------------------------------------------------------------------- */

/* When a path is a dataset's with a field behind it: cuts it there, and returns the field. */
const char *store_split_field(hid_t file, char *path);

/* The type of a field of a record (NULL: of the whole), to be released; -1 with the fields that are
 * there. */
hid_t store_field_type(hid_t record, const char *field, const char *where, struct bq_error *err);

/* A record in memory that has this field alone. */
hid_t store_field_memory(hid_t record, const char *field, hid_t native);

/* -- store_hdf5_filters.c ------------------------------------------------------------------- */

/* Makes sure that the library knows a filter, if we or a plug-in do. Ours takes the place of a
 * plug-in for the same: it stands up to hostile bytes. */
void store_want_filter(uint32_t id);

/* -- store_hdf5_copy.c -------------------------------------------------------------------- */

/* Attributes of one object to another, without those that point at other objects. */
int store_copy_attributes(hid_t from, hid_t to, bool same_type, struct bq_error *err);

/* Attributes of the file (of its root group): netCDF's global ones. */
int store_copy_file_attributes(hid_t from, hid_t to, struct bq_error *err);

/* Dimension scales of the input, into the file of the output and attached there. path: of the
 * output dataset in its file. */
int store_copy_scales(const struct bq_input *like, hid_t file, hid_t dataset, const char *path,
                      const struct bq_space *space, struct bq_error *err);

/* -- store_hdf5_output.c ------------------------------------------------------------------ */

/* An output that has nothing but names, or NULL. */
struct bq_output *store_new_output(const struct bq_output_spec *spec, struct bq_error *err);

/* As store_fail; when storage ran out, it also says what to do. */
int store_write_fail(const struct bq_output *output, struct bq_error *err, const char *what);

/* -- store_hdf5_create.c ------------------------------------------------------------------ */

/* Makes file and dataset; fills file, dataset, space, how and layout of an output whose work file
 * is there. */
int store_make_file(struct bq_output *output, const struct bq_output_spec *spec,
                    struct bq_error *err);

/* The dataset alone, in the file that is open. */
int store_make_dataset(struct bq_output *output, const struct bq_output_spec *spec,
                       struct bq_error *err);

/* How the dataset came out, and whether it can be written as was wished: fills how and layout. */
void store_settle_how(struct bq_output *output, const struct bq_output_spec *spec);

/* -- store_shards.c ----------------------------------------------------------------------- */

/* Whether a file that exists joins the shards in its folder "FILE.d". Takes the lock. */
bool store_has_shards(const char *file);

/* Removes what is ours of that folder, and the folder when it is then empty. */
void store_remove_shards(const char *file);

/* -- store_work.c: wants no lock ---------------------------------------------------------- */

int store_work_check(const char *name, bool force, const struct bq_input *not_this,
                     struct bq_error *err);
int store_work_create(struct store_work *work, const char *name, bool force, const char *wanted,
                      struct bq_error *err);

/* Opens one that was left, for this process alone. */
int store_work_resume(struct store_work *work, const char *name, bool force, const char *path,
                      struct bq_error *err);

/* So that its name, and its log's, survive a loss of power. */
int store_work_sync_folder(const struct store_work *work, struct bq_error *err);

/* Syncs the finished file and gives it its name. When another file has taken the name meanwhile
 * (and not force), the finished work file stays, and the error says where. */
int store_work_publish(struct store_work *work, struct bq_error *err);

/* Removes what is left and frees the strings. A zeroed struct with fd -1 is fine. */
void store_work_end(struct store_work *work);

/* The same, and the work file stays, with its log. */
void store_work_leave(struct store_work *work);

#endif
