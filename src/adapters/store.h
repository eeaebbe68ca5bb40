/* The store: datasets in files. The only room that includes hdf5.h is behind this header.
 *
 * HDF5 is not thread-safe here, so every call takes one process-wide lock inside; callers may call
 * from any thread. HDF5's own error text ends up in ours.
 */
#ifndef BQ_ADAPTERS_STORE_H
#define BQ_ADAPTERS_STORE_H

#include "adapters/stored.h"
#include "banquet/kernel.h"
#include "base/error.h"
#include "core/recipe.h"
#include "core/shard_map.h"

struct bq_input;  /* a dataset open for reading */
struct bq_output; /* a dataset being made, in a work file that is not visible under its name yet */
struct bq_direct; /* a way into that work file beside HDF5 */
struct bq_shards; /* a folder of work files, one a kitchen */

struct bq_input_info {
    enum bq_type type;      /* as elements arrive in memory */
    struct bq_space space;  /* a scalar dataset is one of rank 1, extent 1 */
    struct bq_space chunk;  /* of the file's layout; rank 0: contiguous or compact */
    char stored[96];        /* for people: "float32 big-endian, shuffle + deflate 4" */
    uint64_t library_bytes; /* of memory, when only the library can read it */
    bool is_scalar, is_compressed;
    bool has_checksum;                  /* fletcher32 */
    char by_library[80];                /* why only the HDF5 library can read it; "": cooks can */
    uint64_t file_bytes, file_mtime_ns; /* to see whether two kitchens open the same file */
};

/* Opens for reading. Errors (exit 2): file missing or not HDF5, dataset missing (with the nearest
 * name that is there), not numeric, more than BQ_MAX_RANK dimensions, a virtual dataset whose
 * source is missing. */
struct bq_input *bq_input_open(const char *file, const char *dataset, struct bq_error *err);
const struct bq_input_info *bq_input_info(const struct bq_input *input);
const char *bq_input_name(const struct bq_input *input); /* "photo.h5:/photo" */

/* Bytes that its elements take in the file. Asks HDF5 for every stored chunk. */
uint64_t bq_input_stored_bytes(const struct bq_input *input);

/* How it lies in the file; storage is OTHER when only the library can read it. */
const struct bq_layout *bq_input_layout(const struct bq_input *input);

/* Reads a block into `data` (dense, native type) through the library. Any thread. */
int bq_input_read(struct bq_input *input, const uint64_t *offset, const uint64_t *extent,
                  void *data, struct bq_error *err);

/* Fetches a block's stored bytes, to be decoded (bq_stored_decode) where and when it suits. Numbers
 * that need no decoding go to `data` at once, unless it is NULL. Any thread; only a dataset that
 * the library must read is read under its lock. may_wait: false asks for what is in memory already.
 * stored: bytes, room and pieces are set, with room for any block of the plan. */
enum bq_fetch { BQ_FETCHED, BQ_FETCH_WOULD_WAIT, BQ_FETCH_FAILED };
enum bq_fetch bq_input_fetch(struct bq_input *input, const struct bq_box *block, bool may_wait,
                             struct bq_stored *stored, void *data, struct bq_error *err);

/* Whether a path is of a file that it is read from: the one that was named, or one behind a link,
 * a source of a virtual dataset, a raw file. By device and inode. _in: whether one of them lies in
 * that folder. */
bool bq_input_reads(const struct bq_input *input, const char *path);
bool bq_input_reads_in(const struct bq_input *input, const char *folder);

/* Sizes and times of these files, added up. */
void bq_input_stamp(const struct bq_input *input, uint64_t *size, uint64_t *time_ns);

/* What tells this file from another with the same name on another machine: its size, its time and
 * samples of its contents, hashed. */
int bq_input_identity(const struct bq_input *input, uint64_t identity[2], struct bq_error *err);

/* What a fetch that could wait took lately, ns; 0 when there was none. */
uint64_t bq_input_latency(const struct bq_input *input);

/* What one step hands to another is in a raw file: chunks of `layout` (chunked, no filters, native
 * numbers), which both sides know. create makes it, or makes do with one that is there; open is for
 * reading, and by the owner alone. */
int bq_raw_create(const char *file, const struct bq_layout *layout, struct bq_error *err);
struct bq_input *bq_raw_open(const char *file, const struct bq_layout *layout,
                             struct bq_error *err);
bool bq_raw_is(const struct bq_input *input, const char *file); /* still that file */

/* After the last read: -1 when the file was changed since it was opened. */
int bq_input_check_unchanged(const struct bq_input *input, struct bq_error *err);
void bq_input_close(struct bq_input *input);

struct bq_output_spec {
    const char *file, *dataset;
    enum bq_type type;
    struct bq_space space;
    struct bq_space chunk;     /* rank 0: contiguous */
    struct bq_filters filters; /* need chunk */
    enum bq_output_how how;    /* wished; see bq_output_layout */
    struct bq_input *like;     /* NULL, or: its attributes, dimension scales and, when the native
                                  types agree, its byte order are kept */
    bool keeps_values;         /* the kernel makes no value that the input's type does not name */
    bool is_scratch;           /* a raw file (bq_raw_create), only for another step of the run */
    bool force;                /* replace a file that exists */
    const char *work;          /* path of the work file that is to be made, or NULL: any */
    /* a shard: what it cannot take from `like`, because that is not to be seen; else NULL */
    const struct bq_number *number;
    const void *fill; /* one native number */
    /* a dataset that joins shards; else NULL */
    const struct bq_shard_part *parts;
    size_t n_parts;
};

/* Checks without writing anything: parent folder exists and is writable, file does not exist
 * (unless force), is not the input. exit 2. */
int bq_output_check(const struct bq_output_spec *spec, struct bq_error *err);

/* Makes the work file beside the final name: private (0600, O_EXCL), hidden, removed by discard. */
struct bq_output *bq_output_create(const struct bq_output_spec *spec, struct bq_error *err);

/* How it lies in its file, and how it is to be written: as wished, or through the library where
 * the numbers are of a form that only it can write. */
const struct bq_layout *bq_output_layout(const struct bq_output *output, enum bq_output_how *how);

/* BQ_OUTPUT_LIBRARY: a block of native numbers. */
int bq_output_write(struct bq_output *output, const uint64_t *offset, const uint64_t *extent,
                    const void *data, struct bq_error *err);

/* A block of what it has, native, through the library; -1: it cannot be read. */
int bq_output_read(struct bq_output *output, const uint64_t *offset, const uint64_t *extent,
                   void *data, struct bq_error *err);

/* BQ_OUTPUT_ENCODED: the stored chunk whose first element is at `offset`. mask: filters that were
 * skipped. */
int bq_output_place(struct bq_output *output, const uint64_t *offset, uint32_t mask,
                    const void *stored, size_t n, struct bq_error *err);

/* All stored chunks of a block: for each its size (8 bytes), its mask (4), then its bytes. A size
 * that does not fit is an error. */
int bq_output_place_all(struct bq_output *output, const struct bq_layout *layout,
                        const struct bq_box *block, struct bq_reader *pieces, struct bq_error *err);

/* BQ_OUTPUT_DIRECT: `work` is the path of the work file (bq_output_work_path), `file` the final
 * name for messages; the layout that the coordinator sees must be found there. Any process, any
 * thread; a block's numbers are given as they are stored (bq_number_write). */
struct bq_direct *bq_direct_open(const char *work, const char *file, const char *dataset,
                                 const struct bq_layout *layout, bool is_raw, struct bq_error *err);
int bq_direct_write(struct bq_direct *direct, const struct bq_box *block, const void *stored,
                    struct bq_error *err);
/* Whether it is the way into this raw file still, which may have been written from end to end since
 * it was opened: then it lies in memory, and what follows costs no system calls. */
bool bq_direct_again(struct bq_direct *direct, const char *work);
/* After the last write, before the result is told: what a network file system kept back is written,
 * or its error known. */
int bq_direct_sync(struct bq_direct *direct, struct bq_error *err);
void bq_direct_close(struct bq_direct *direct);

/* BQ_OUTPUT_SHARDED: a private folder, published as "FILE.d" before the dataset that joins what is
 * in it. create: exit 2 when that is there already (unless force). discard: without keep all is as
 * it was before, also after publish; with keep, what was replaced is removed. */
struct bq_shards *bq_shards_create(const char *file, bool force, struct bq_error *err);
int bq_shards_check(const char *file, bool force, struct bq_error *err);
const char *bq_shards_folder(const struct bq_shards *shards);
char *bq_shard_path(const struct bq_shards *shards, uint32_t shard); /* to be given to bq_free */
int bq_shards_publish(struct bq_shards *shards, struct bq_error *err);
/* Whoever made that shard is gone, and did not finish it. */
void bq_shards_lose(struct bq_shards *shards, uint32_t shard);
void bq_shards_keep(struct bq_shards *shards); /* the dataset that joins them has its name */
void bq_shards_discard(struct bq_shards *shards);

/* A kitchen's own file there: bq_output_place, from any of its threads, then bq_output_commit. */
struct bq_output *bq_shard_create(const char *folder, uint32_t shard, const char *dataset,
                                  enum bq_type type, const struct bq_layout *layout,
                                  struct bq_error *err);

/* The name by which the joined dataset finds a shard, beside it. */
#define BQ_SHARD_NAME 280
void bq_shard_name(const char *file, uint32_t shard, char *out, size_t size);

/* A text attribute of the dataset: how it was made. */
int bq_output_note(struct bq_output *output, const char *name, const char *text,
                   struct bq_error *err);

/* Promises what was placed, written and noted so far: bq_output_resume finds it, at whatever
 * instruction this process is killed later; with to_disk also after a loss of power. What
 * bq_direct_write of other machines wrote must have been synced before. When it fails, what was
 * promised before still is, and it may be tried again. Each makes a new state of the file. */
int bq_output_sync(struct bq_output *output, bool to_disk, struct bq_error *err);

/* The number of the newest state: of the last sync, also after resume; 0: it was never synced. A
 * loss of power goes back to the last state that was synced to the disk. */
uint64_t bq_output_state(const struct bq_output *output);

/* Opens the work file of a run that was killed, or left it, at its newest state. What was placed
 * later is not in it; what was written later of a dataset whose places are fixed (DIRECT) may be.
 * spec: as for bq_output_create, of one file; a dataset that would be made otherwise now is an
 * error, and so is a file that is not ours, is used by another process, was never synced or is
 * damaged. After an error the work file is still there (bq_output_remove_left). */
struct bq_output *bq_output_resume(const struct bq_output_spec *spec, const char *work,
                                   struct bq_error *err);

/* Lets go of an output at its newest state: the work file stays, to be resumed. */
void bq_output_leave(struct bq_output *output);

/* Removes the work file of a run that was killed, and its log, if their names and owner say that
 * they can be nothing else. Returns whether the work file was there. */
bool bq_output_remove_left(const char *work);

/* Closes, syncs, gives the mode that the umask allows or that of the file that is replaced, renames
 * to the final name. Shards that belonged to a file which is replaced go with it. The output is
 * destroyed whether that works or not. */
int bq_output_commit(struct bq_output *output, struct bq_error *err);
void bq_output_discard(struct bq_output *output);

/* The path of the work file, for the signal path that must unlink it. */
const char *bq_output_work_path(const struct bq_output *output);

#endif
