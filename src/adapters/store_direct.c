/* Writing numbers to their places in a work file, beside HDF5: by any kitchen that sees the file,
 * any thread, in any order. All space was allocated when the file was made, so a place is known
 * from the start; a block may be written twice, with the same bytes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "adapters/store_driver.h"
#include "base/heap.h"

struct bq_direct {
    struct bq_input *places; /* the same file, to ask where stored chunks lie */
    int fd;
    unsigned char *map; /* of a raw file that is in memory from end to end, or NULL */
    char *where;
};

static void map_raw(struct bq_direct *direct)
{
    if (direct->places->is_raw && !direct->map)
        direct->map = store_raw_map(direct->fd, direct->places->info.file_bytes);
}

struct bq_direct *bq_direct_open(const char *work, const char *file, const char *dataset,
                                 const struct bq_layout *layout, bool is_raw, struct bq_error *err)
{
    struct bq_direct *direct = bq_alloc(1, sizeof *direct);
    if (!direct || !(direct->where = store_where(file, dataset))) {
        bq_fail(err, BQ_EXIT_FAILED, "%s: out of memory", file);
        bq_free(direct);
        return NULL;
    }
    direct->fd = open(work, (is_raw ? O_RDWR : O_WRONLY) | O_CLOEXEC | O_NOFOLLOW);
    if (direct->fd < 0)
        bq_fail(err, BQ_EXIT_FAILED, "%s: cannot open the work file '%s': %s", file, work,
                strerror(errno));
    else
        direct->places =
            is_raw ? bq_raw_open(work, layout, err) : store_input_open(work, dataset, false, err);
    const struct bq_layout *there = direct->places ? bq_input_layout(direct->places) : NULL;
    if (there &&
        (there->storage != layout->storage || !bq_space_is_same(&there->space, &layout->space) ||
         !bq_space_is_same(&there->chunk, &layout->chunk) ||
         !bq_number_is_same(&there->number, &layout->number) || there->filters.n))
        bq_fail(err, BQ_EXIT_FAILED, "%s: the work file '%s' is not the coordinator's", file, work);
    else if (there) {
        map_raw(direct);
        return direct;
    }
    bq_direct_close(direct);
    return NULL;
}

bool bq_direct_again(struct bq_direct *direct, const char *work)
{
    bool is_same = bq_raw_is(direct->places, work);
    if (is_same)
        map_raw(direct);
    return is_same;
}

int bq_direct_sync(struct bq_direct *direct, struct bq_error *err)
{
    return fsync(direct->fd) == 0
               ? 0
               : bq_fail(err, BQ_EXIT_FAILED, "%s: what was written cannot be synced: %s",
                         direct->where, strerror(errno));
}

void bq_direct_close(struct bq_direct *direct)
{
    if (!direct)
        return;
    if (direct->map)
        munmap(direct->map, (size_t)direct->places->info.file_bytes);
    bq_input_close(direct->places);
    if (direct->fd >= 0)
        close(direct->fd);
    bq_free(direct->where);
    bq_free(direct);
}

static int fail(const struct bq_direct *direct, const struct bq_box *block, int number,
                struct bq_error *err)
{
    char at[180];
    bool is_full = number == ENOSPC || number == EDQUOT || number == EFBIG;
    return bq_fail(err, BQ_EXIT_FAILED, "%s: cannot write chunk at %s: %s%s", direct->where,
                   store_position(block->offset, block->rank, at, sizeof at), strerror(number),
                   is_full ? "; free some space there, or write the output somewhere else" : "");
}

static int write_pieces(const struct bq_direct *direct, const struct bq_box *block,
                        struct iovec *iov, int n, uint64_t address, struct bq_error *err)
{
    for (int i = 0; direct->map && i < n; i++) { /* as long as its layout says: bq_raw_open */
        memcpy(direct->map + address, iov[i].iov_base, iov[i].iov_len);
        address += iov[i].iov_len;
    }
    while (n > 0 && !direct->map) {
        ssize_t put = pwritev(direct->fd, iov, n, (off_t)address);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return fail(direct, block, put < 0 ? errno : ENOSPC, err);
        address += (uint64_t)put;
        store_walked(&iov, &n, (size_t)put);
    }
    return 0;
}

/* The pieces of one stored array that a block covers, as many as fit in one system call at once. */
static int write_part(struct store_walk *walk, const struct bq_direct *direct,
                      const struct bq_box *block, const void *stored, struct bq_error *err)
{
    struct iovec iov[STORE_BATCH];
    uint64_t address;
    int n;
    while ((n = store_walk_next(walk, (unsigned char *)(uintptr_t)stored, iov, &address)) > 0) {
        if (write_pieces(direct, block, iov, n, address, err) < 0)
            return -1;
    }
    return 0;
}

int bq_direct_write(struct bq_direct *direct, const struct bq_box *block, const void *stored,
                    struct bq_error *err)
{
    struct bq_input *places = direct->places;
    const struct bq_layout *layout = &places->layout;
    struct store_walk walk;
    if (layout->storage == BQ_STORAGE_CONTIGUOUS) {
        struct bq_box whole = store_whole(&layout->space);
        store_walk_begin(&walk, layout->number.size, block, &whole, whole.extent, places->address);
        return write_part(&walk, direct, block, stored, err);
    }
    uint64_t n_cells = bq_box_cells(block, layout->chunk.extent);
    for (uint64_t from = 0; from < n_cells; from += STORE_BATCH) {
        struct store_place place[STORE_BATCH];
        int n = n_cells - from < STORE_BATCH ? (int)(n_cells - from) : STORE_BATCH;
        if (store_locate(places, block, from, n, place, err) < 0)
            return -1;
        for (int k = 0; k < n; k++) {
            struct bq_box cell;
            bq_box_cell(block, &layout->space, layout->chunk.extent, from + (uint64_t)k, &cell);
            if (place[k].size != bq_layout_chunk_bytes(layout))
                return bq_fail(err, BQ_EXIT_FAILED, "%s: a stored chunk has no place in the file",
                               direct->where);
            store_walk_begin(&walk, layout->number.size, block, &cell, layout->chunk.extent,
                             place[k].address);
            if (write_part(&walk, direct, block, stored, err) < 0)
                return -1;
        }
    }
    return 0;
}
