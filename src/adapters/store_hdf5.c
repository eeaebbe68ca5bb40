/* Entering the serial HDF5 library: its lock, its errors, and what the files of the store share.
 *
 * One rule: HDF5 is entered by one thread at a time, through store_lock.
 */
#include "adapters/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/heap.h"

/* Guards the HDF5 library as a whole: its global tables, its caches and every object of every open
 * file, hence all hid_t fields here. (The one mutable global of the store: the library is one.) */
static pthread_mutex_t hdf5_lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_started; /* guarded by hdf5_lock */

void store_lock(void)
{
    pthread_mutex_lock(&hdf5_lock);
    if (!is_started) {
        /* Everything is closed by hand. HDF5's exit handler would run while cooks may still read,
         * and it crashes after a file could not be closed because the disk was full. */
        H5dont_atexit();
        H5open();
        /* A file must not make it run what happens to lie in HDF5's standard folder. */
        if (!getenv("HDF5_PLUGIN_PATH"))
            H5PLset_loading_state(0);
        is_started = true;
    }
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void store_unlock(void)
{
    pthread_mutex_unlock(&hdf5_lock);
}

void store_release(hid_t id)
{
    if (id >= 0)
        H5Idec_ref(id);
}

/* -- errors ------------------------------------------------------------------------------- */

struct reason {
    char text[200];
    int number; /* errno, 0 when HDF5 names none */
    bool is_lock;
};

/* The stack is walked from the innermost function outwards; the first that says something wins,
 * except the search for filter plug-ins, which only says in which folder it found none. */
static herr_t note_reason(unsigned depth, const H5E_error2_t *entry, void *data)
{
    struct reason *reason = data;
    (void)depth;
    if (reason->text[0] || entry->maj_num == H5E_PLUGIN || !entry->desc || !*entry->desc)
        return 0;
    const char *number = strstr(entry->desc, "errno = ");
    const char *message = strstr(entry->desc, "error message = '");
    if (number)
        sscanf(number, "errno = %d", &reason->number);
    reason->is_lock = strstr(entry->desc, "unable to lock file") != NULL;
    if (message) {
        message += strlen("error message = '");
        snprintf(reason->text, sizeof reason->text, "%.*s", (int)strcspn(message, "'"), message);
    } else {
        snprintf(reason->text, sizeof reason->text, "%s", entry->desc);
    }
    return 0;
}

int store_fail(struct bq_error *err, enum bq_exit exit, bool *full, const char *format, ...)
{
    struct reason reason = {.number = 0};
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, note_reason, &reason);
    char context[400];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    if (full)
        *full = reason.number == ENOSPC || reason.number == EDQUOT || reason.number == EFBIG;
    if (reason.is_lock)
        return bq_fail(err, exit,
                       "%s: the file cannot be locked: %s; does another program write it? (Where "
                       "there are no locks at all: HDF5_USE_FILE_LOCKING=FALSE)",
                       context, reason.text);
    return bq_fail(err, exit, "%s: %s", context,
                   reason.text[0] ? reason.text : "HDF5 does not say why");
}

/* -- helpers ------------------------------------------------------------------------------ */

hid_t store_memory_type(enum bq_type type)
{
    switch (type) {
    case BQ_U8:
        return H5T_NATIVE_UINT8;
    case BQ_I8:
        return H5T_NATIVE_INT8;
    case BQ_U16:
        return H5T_NATIVE_UINT16;
    case BQ_I16:
        return H5T_NATIVE_INT16;
    case BQ_U32:
        return H5T_NATIVE_UINT32;
    case BQ_I32:
        return H5T_NATIVE_INT32;
    case BQ_U64:
        return H5T_NATIVE_UINT64;
    case BQ_I64:
        return H5T_NATIVE_INT64;
    case BQ_F32:
        return H5T_NATIVE_FLOAT;
    case BQ_F64:
        return H5T_NATIVE_DOUBLE;
    case BQ_N_TYPES:
        break;
    }
    return -1;
}

const char *store_position(const uint64_t *offset, int rank, char *out, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%llu", i ? ", " : "(",
                                 (unsigned long long)offset[i]);
    if (used < size)
        snprintf(out + used, size - used, ")");
    return out;
}

char *store_where(const char *file, const char *dataset)
{
    size_t size = strlen(file) + strlen(dataset) + 3;
    char *where = bq_alloc(size, 1);
    if (where)
        snprintf(where, size, "%s:%s%s", file, dataset[0] == '/' ? "" : "/", dataset);
    return where;
}

hid_t store_select(hid_t space, const struct bq_space *whole, bool is_scalar,
                   const uint64_t *offset, const uint64_t *extent, const char *where,
                   struct bq_error *err)
{
    hsize_t start[BQ_MAX_RANK], count[BQ_MAX_RANK];
    for (int i = 0; i < whole->rank; i++) {
        if (offset[i] > whole->extent[i] || extent[i] > whole->extent[i] - offset[i])
            return bq_fail(err, BQ_EXIT_FAILED,
                           "%s: axis %d ends at %llu, but %llu from %llu on are asked for", where,
                           i, (unsigned long long)whole->extent[i], (unsigned long long)extent[i],
                           (unsigned long long)offset[i]);
        start[i] = offset[i];
        count[i] = extent[i];
    }
    if (is_scalar)
        return H5Screate(H5S_SCALAR);
    if (H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) < 0)
        return store_fail(err, BQ_EXIT_FAILED, NULL, "%s: cannot select a block", where);
    hid_t memory = H5Screate_simple(whole->rank, count, NULL);
    if (memory < 0)
        store_fail(err, BQ_EXIT_FAILED, NULL, "%s: cannot describe a block", where);
    return memory;
}

/* HDF5 keeps 1 MiB of decoded chunks, and a chunk that is larger not at all: each read of a part
 * of it would decode it again. Blocks are read in C order, so a chunk of the file is finished with
 * when one row of chunks (all axes but the first) is: keep that row, or 4 chunks when a row is
 * less, or 64 MiB when it is more, but one chunk always.
 *
 * The last number prefers to drop chunks that were read in full. It must be below 1: at 1 HDF5 1.10
 * drops no others, and the cache grows without bound when chunks are read in part. */
size_t store_set_cache(hid_t access, const struct bq_space *space, const struct bq_space *chunk,
                       size_t element)
{
    static const size_t slots[] = {521, 5209, 52081}; /* prime; about ten per chunk */
    const double least = 1 << 20, most = 64 << 20, hdf5_limit = 4294967295.;
    double bytes = (double)element, row = 1;
    for (int i = 0; i < chunk->rank; i++) {
        bytes *= (double)chunk->extent[i];
        if (i > 0)
            row *= (double)((space->extent[i] + chunk->extent[i] - 1) / chunk->extent[i]);
    }
    if (chunk->rank == 0 || bytes < 1 || bytes > hdf5_limit)
        return 0;
    double keep = bytes * (row > 4 ? row : 4);
    keep = keep > most ? most : keep < least ? least : keep;
    keep = keep < bytes ? bytes : keep;
    double n = keep / bytes;
    H5Pset_chunk_cache(access, slots[n < 50 ? 0 : n < 500 ? 1 : 2], (size_t)keep, 0.75);
    return (size_t)(keep + 3 * bytes); /* and while a chunk passes through its filters */
}
