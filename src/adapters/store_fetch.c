/* Fetching: the stored bytes of a block, read from the file by whoever wants them, beside HDF5. The
 * library is asked for the places only, under its lock, a microsecond a chunk; reading is pread. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "adapters/clock.h"
#include "adapters/store_driver.h"

/* -- reading bytes ------------------------------------------------------------------------ */

static int fail(const struct bq_input *input, const struct bq_box *block, struct bq_error *err,
                const char *why)
{
    char at[180];
    bq_fail(err, BQ_EXIT_FAILED, "%s: cannot read chunk at %s: %s", input->where,
            store_position(block->offset, block->rank, at, sizeof at), why);
    return BQ_FETCH_FAILED;
}

/* Fills every piece of memory from consecutive bytes of the file. */
static int read_pieces(struct bq_input *input, const struct bq_box *block, struct iovec *iov, int n,
                       uint64_t address, bool may_wait, struct bq_error *err)
{
    if (address > INT64_MAX)
        return fail(input, block, err, "its address lies beyond every file");
    for (int i = 0; input->map && i < n; i++) { /* as long as its layout says: bq_raw_open */
        memcpy(iov[i].iov_base, input->map + address, iov[i].iov_len);
        address += iov[i].iov_len;
    }
    while (n > 0 && !input->map) {
        ssize_t got = preadv2(input->fd, iov, n, (off_t)address, may_wait ? 0 : RWF_NOWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && !may_wait && errno == EAGAIN)
            return BQ_FETCH_WOULD_WAIT;
        if (got < 0 && !may_wait && (errno == EOPNOTSUPP || errno == ENOSYS)) {
            atomic_store_explicit(&input->cannot_ask, true, memory_order_relaxed);
            may_wait = true; /* this once; next time what reading takes decides */
            continue;
        }
        if (got < 0)
            return fail(input, block, err, strerror(errno));
        if (got == 0)
            return fail(input, block, err,
                        "the file ends before it; is it truncated, or still being written?");
        address += (uint64_t)got;
        store_walked(&iov, &n, (size_t)got);
    }
    return BQ_FETCHED;
}

static int read_bytes(struct bq_input *input, const struct bq_box *block, void *to, size_t n,
                      uint64_t address, bool may_wait, struct bq_error *err)
{
    struct iovec iov = {to, n};
    return read_pieces(input, block, &iov, n > 0, address, may_wait, err);
}

/* -- where stored chunks lie -------------------------------------------------------------- */

int store_locate(struct bq_input *input, const struct bq_box *block, uint64_t from, int n,
                 struct store_place *places, struct bq_error *err)
{
    const struct bq_layout *layout = &input->layout;
    int rc = 0;
    for (int k = 0; k < n && input->is_raw; k++) {
        struct bq_box cell;
        bq_box_cell(block, &layout->space, layout->chunk.extent, from + (uint64_t)k, &cell);
        store_raw_locate(input, &cell, &places[k]);
    }
    if (input->is_raw)
        return 0;
    store_lock();
    for (int k = 0; k < n && rc == 0; k++) {
        struct bq_box cell;
        hsize_t offset[BQ_MAX_RANK];
        bq_box_cell(block, &layout->space, layout->chunk.extent, from + (uint64_t)k, &cell);
        for (int i = 0; i < cell.rank; i++)
            offset[i] = cell.offset[i];
        rc = store_driver_locate(input->driver, input->dataset, offset, &places[k].address,
                                 &places[k].size, &places[k].mask);
        if (rc < 0) {
            char at[180];
            store_fail(err, BQ_EXIT_FAILED, NULL, "%s: cannot find the stored chunk at %s",
                       input->where, store_position(cell.offset, cell.rank, at, sizeof at));
        }
    }
    store_unlock();
    return rc;
}

/* -- filtered chunks ---------------------------------------------------------------------- */

static int fetch_pieces(struct bq_input *input, const struct bq_box *block, bool may_wait,
                        struct bq_stored *stored, struct bq_error *err)
{
    const size_t most = bq_stored_piece_room(&input->layout);
    struct store_place places[STORE_BATCH];
    uint64_t n_cells = bq_box_cells(block, input->layout.chunk.extent);
    stored->n_pieces = n_cells;
    stored->n = 0;
    for (uint64_t from = 0; from < n_cells; from += STORE_BATCH) {
        int n = n_cells - from < STORE_BATCH ? (int)(n_cells - from) : STORE_BATCH;
        int rc =
            store_locate(input, block, from, n, places, err) < 0 ? BQ_FETCH_FAILED : BQ_FETCHED;
        for (int k = 0, next; k < n && rc == BQ_FETCHED; k = next) {
            /* Neighbours in the file are read together. */
            size_t bytes = 0;
            for (next = k; next < n && places[next].address == places[k].address + bytes; next++) {
                if (places[next].size > most ||
                    places[next].size > stored->room - stored->n - bytes)
                    return fail(input, block, err,
                                "a stored chunk says that it is far larger than its numbers");
                stored->pieces[from + (uint64_t)next] =
                    (struct bq_piece){places[next].size, places[next].mask};
                bytes += (size_t)places[next].size;
                if (places[next].size == 0 && next == k) {
                    next++;
                    break;
                }
            }
            rc = read_bytes(input, block, stored->bytes + stored->n, bytes, places[k].address,
                            may_wait, err);
            stored->n += bytes;
        }
        if (rc != BQ_FETCHED)
            return rc;
    }
    return BQ_FETCHED;
}

/* -- numbers without filters -------------------------------------------------------------- */

/* -- many short pieces -------------------------------------------------------------------- */

enum { SPAN = 1 << 16, SHORT = 1024, CLOSE = 2048 };

/* Short runs, close to each other: the left or right margin of a window in a stored chunk. A system
 * call for each costs more than all that lies between them. */
static bool is_dotted(const struct store_walk *walk)
{
    const struct bq_runs *file = &walk->file;
    return walk->length && file->n > 4 && file->rank > 0 && file->length * walk->size < SHORT &&
           file->stride[0] * walk->size <= CLOSE;
}

static uint64_t array_bytes(const struct store_walk *walk, int rank, const uint64_t *array)
{
    uint64_t bytes = walk->size;
    for (int i = 0; i < rank; i++)
        bytes *= array[i];
    return bytes;
}

/* Reads spans of the array, which ends at `end`, and picks the pieces out. */
static int fetch_dotted(struct bq_input *input, const struct bq_box *block, struct store_walk *walk,
                        uint64_t end, bool may_wait, unsigned char *to, struct bq_error *err)
{
    unsigned char span[SPAN];
    struct iovec iov[STORE_BATCH];
    uint64_t address, from = 0, n_span = 0;
    int n;
    while ((n = store_walk_next(walk, to, iov, &address)) > 0) {
        for (int i = 0; i < n; i++) {
            size_t size = iov[i].iov_len;
            if (n_span == 0 || address < from || address + size > from + n_span) {
                from = address;
                n_span = end - address < SPAN ? end - address : SPAN;
                int rc = read_bytes(input, block, span, (size_t)n_span, from, may_wait, err);
                if (rc != BQ_FETCHED)
                    return rc;
            }
            memcpy(iov[i].iov_base, span + (address - from), size);
            address += size;
        }
    }
    return BQ_FETCHED;
}

static int fetch_part(struct bq_input *input, const struct bq_box *block, const struct bq_box *cell,
                      const uint64_t *array, uint64_t address, bool may_wait, unsigned char *to,
                      struct bq_error *err)
{
    struct store_walk walk;
    struct iovec iov[STORE_BATCH];
    int n, rc = BQ_FETCHED;
    store_walk_begin(&walk, input->layout.number.size, block, cell, array, address);
    if (is_dotted(&walk) && !input->map)
        return fetch_dotted(input, block, &walk, address + array_bytes(&walk, cell->rank, array),
                            may_wait, to, err);
    while (rc == BQ_FETCHED && (n = store_walk_next(&walk, to, iov, &address)) > 0)
        rc = read_pieces(input, block, iov, n, address, may_wait, err);
    return rc;
}

/* Elements that were never written, as numbers of the form that `to` holds. */
static void fill_part(const struct bq_input *input, const struct bq_box *block,
                      const struct bq_box *cell, unsigned char *to)
{
    const struct bq_number *number = &input->layout.number;
    unsigned char value[8];
    struct bq_box part;
    if (!bq_box_overlap(block, cell, &part))
        return;
    for (int i = 0; i < part.rank; i++)
        part.offset[i] -= block->offset[i];
    bq_number_write(number, input->layout.fill, value, 1);
    bq_box_fill(&part, block->extent, value, number->size, to);
}

static int fetch_dense(struct bq_input *input, const struct bq_box *block, bool may_wait,
                       unsigned char *to, struct bq_error *err)
{
    const struct bq_layout *layout = &input->layout;
    if (layout->storage == BQ_STORAGE_CONTIGUOUS) {
        struct bq_box whole = store_whole(&layout->space);
        return fetch_part(input, block, &whole, whole.extent, input->address, may_wait, to, err);
    }
    struct store_place places[STORE_BATCH];
    uint64_t n_cells = bq_box_cells(block, layout->chunk.extent);
    for (uint64_t from = 0; from < n_cells; from += STORE_BATCH) {
        int n = n_cells - from < STORE_BATCH ? (int)(n_cells - from) : STORE_BATCH;
        int rc =
            store_locate(input, block, from, n, places, err) < 0 ? BQ_FETCH_FAILED : BQ_FETCHED;
        for (int k = 0; k < n && rc == BQ_FETCHED; k++) {
            struct bq_box cell;
            bq_box_cell(block, &layout->space, layout->chunk.extent, from + (uint64_t)k, &cell);
            if (places[k].size == 0)
                fill_part(input, block, &cell, to);
            else if (places[k].size != bq_layout_chunk_bytes(layout))
                rc = fail(input, block, err, "a stored chunk has not the size of its numbers");
            else
                rc = fetch_part(input, block, &cell, layout->chunk.extent, places[k].address,
                                may_wait, to, err);
        }
        if (rc != BQ_FETCHED)
            return rc;
    }
    return BQ_FETCHED;
}

/* ----------------------------------------------------------------------------------------- */

#define SLOW_NS 300000u /* a fetch that takes longer is worth another thread */

/* What fetching took lately; a race loses one measurement. */
static void measure(struct bq_input *input, uint64_t took)
{
    uint64_t mean = atomic_load_explicit(&input->fetch_ns, memory_order_relaxed);
    mean = mean ? mean - mean / 8 + took / 8 : took;
    atomic_store_explicit(&input->fetch_ns, mean, memory_order_relaxed);
}

enum bq_fetch bq_input_fetch(struct bq_input *input, const struct bq_box *block, bool may_wait,
                             struct bq_stored *stored, void *data, struct bq_error *err)
{
    const struct bq_layout *layout = &input->layout;
    uint64_t begin = bq_now();
    int rc;
    if (!may_wait && atomic_load_explicit(&input->cannot_ask, memory_order_relaxed)) {
        if (atomic_load_explicit(&input->fetch_ns, memory_order_relaxed) > SLOW_NS)
            return BQ_FETCH_WOULD_WAIT;
        may_wait = true;
    }
    stored->form = bq_stored_form(layout);
    stored->n_pieces = 0;
    stored->n = 0;
    stored->is_in_place = false;
    if (stored->form == BQ_STORED_PIECES) {
        rc = fetch_pieces(input, block, may_wait, stored, err);
    } else {
        size_t native = bq_type_size(input->info.type);
        bool is_native = stored->form == BQ_STORED_NATIVE || bq_number_is_native(&layout->number);
        unsigned char *to = is_native && data ? data : stored->bytes;
        if (stored->form == BQ_STORED_DENSE) {
            stored->n = (size_t)bq_box_elements(block) * layout->number.size;
            rc = fetch_dense(input, block, may_wait, to, err);
        } else {
            stored->n = (size_t)bq_box_elements(block) * native;
            rc = bq_input_read(input, block->offset, block->extent, to, err) < 0 ? BQ_FETCH_FAILED
                                                                                 : BQ_FETCHED;
        }
        stored->is_in_place = to == data;
    }
    if (may_wait && rc == BQ_FETCHED)
        measure(input, bq_now() - begin);
    return (enum bq_fetch)rc;
}

uint64_t bq_input_latency(const struct bq_input *input)
{
    return atomic_load_explicit(&((struct bq_input *)input)->fetch_ns, memory_order_relaxed);
}

int bq_input_check_unchanged(const struct bq_input *input, struct bq_error *err)
{
    struct stat st;
    if (fstat(input->fd, &st) != 0)
        return bq_fail(err, BQ_EXIT_FAILED, "%s: cannot look at the file again: %s", input->where,
                       strerror(errno));
    if ((uint64_t)st.st_size == input->info.file_bytes &&
        store_mtime(&st) == input->info.file_mtime_ns)
        return 0;
    return bq_fail(err, BQ_EXIT_FAILED,
                   "%s: the file was changed while it was read; the result would be a mixture",
                   input->where);
}
