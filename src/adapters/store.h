/* The store: datasets in files. The only room that includes hdf5.h is behind this header.
 *
 * HDF5 is not thread-safe here, so every call takes one process-wide lock inside; callers may call
 * from any thread. HDF5's own error text ends up in ours.
 */
#ifndef BQ_ADAPTERS_STORE_H
#define BQ_ADAPTERS_STORE_H

#include "banquet/kernel.h"
#include "base/error.h"

struct bq_input;  /* a dataset open for reading */
struct bq_output; /* a dataset being made, in a work file that is not visible under its name yet */

struct bq_input_info {
    enum bq_type type;                  /* as elements arrive in memory */
    struct bq_space space;              /* a scalar dataset is one of rank 1, extent 1 */
    struct bq_space chunk;              /* of the file's layout; rank 0: contiguous or compact */
    char stored[96];                    /* for people: "float32 big-endian, shuffle + deflate 4" */
    uint64_t stored_bytes;              /* in the file */
    uint64_t file_bytes, file_mtime_ns; /* to see whether two kitchens open the same file */
};

/* Opens for reading. Errors (exit 2): file missing or not HDF5, dataset missing (with the nearest
 * name that is there), not numeric, more than BQ_MAX_RANK dimensions. */
struct bq_input *bq_input_open(const char *file, const char *dataset, struct bq_error *err);
const struct bq_input_info *bq_input_info(const struct bq_input *input);

/* Reads a block into `data` (dense, native type). Any thread. */
int bq_input_read(struct bq_input *input, const uint64_t *offset, const uint64_t *extent,
                  void *data, struct bq_error *err);
void bq_input_close(struct bq_input *input);

struct bq_output_spec {
    const char *file, *dataset;
    enum bq_type type;
    struct bq_space space;
    struct bq_space chunk; /* rank 0: contiguous */
    unsigned gzip;         /* deflate level 1..9, 0: none; needs chunk */
    struct bq_input *like; /* NULL, or: its attributes, dimension scales and, when the native
                              types agree, its byte order are kept */
    bool force;            /* replace a file that exists */
};

/* Checks without writing anything: parent folder exists and is writable, file does not exist
 * (unless force), is not the input. exit 2. */
int bq_output_check(const struct bq_output_spec *spec, struct bq_error *err);

/* Makes the work file beside the final name: private (0600, O_EXCL), hidden, removed by discard. */
struct bq_output *bq_output_create(const struct bq_output_spec *spec, struct bq_error *err);
int bq_output_write(struct bq_output *output, const uint64_t *offset, const uint64_t *extent,
                    const void *data, struct bq_error *err);

/* A text attribute of the dataset: how it was made. */
int bq_output_note(struct bq_output *output, const char *name, const char *text,
                   struct bq_error *err);

/* Closes, syncs, gives the mode that the umask allows, renames to the final name. The output is
 * destroyed whether that works or not. */
int bq_output_commit(struct bq_output *output, struct bq_error *err);
void bq_output_discard(struct bq_output *output);

/* The path of the work file, for the signal path that must unlink it. */
const char *bq_output_work_path(const struct bq_output *output);

#endif
