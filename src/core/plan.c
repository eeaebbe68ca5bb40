#include "core/plan.h"

#include <string.h>

#define MAX_CHUNKS (UINT64_C(1) << 62)

uint64_t bq_space_elements(const struct bq_space *space)
{
    uint64_t n = 1;
    bool is_empty = false, is_huge = false;
    for (int i = 0; i < space->rank; i++) {
        is_empty |= space->extent[i] == 0;
        is_huge |= __builtin_mul_overflow(n, space->extent[i], &n);
    }
    return is_empty ? 0 : is_huge ? UINT64_MAX : n;
}

int bq_plan_make(struct bq_plan *plan, const struct bq_space *space, const uint64_t *chunk,
                 struct bq_error *err)
{
    if (space->rank < 1 || space->rank > BQ_MAX_RANK)
        return bq_fail(err, BQ_EXIT_USAGE, "a dataset has 1 to %d dimensions, not %d", BQ_MAX_RANK,
                       space->rank);
    if (bq_space_elements(space) == UINT64_MAX)
        return bq_fail(err, BQ_EXIT_USAGE, "the dataset has more than 2^64 elements");
    /* Of an empty dataset the other axes do not count, however long: 0 stays 0. */
    struct bq_plan made = {.space = *space, .n_chunks = bq_space_elements(space) > 0};
    struct bq_space whole = {.rank = space->rank};
    for (int i = 0; i < space->rank; i++) {
        if (chunk[i] == 0)
            return bq_fail(err, BQ_EXIT_USAGE, "a chunk has at least one element along each axis");
        uint64_t extent = space->extent[i];
        uint64_t c = extent && chunk[i] > extent ? extent : chunk[i];
        made.chunk[i] = whole.extent[i] = c;
        made.grid[i] = extent / c + (extent % c != 0);
        if (__builtin_mul_overflow(made.n_chunks, made.grid[i], &made.n_chunks) ||
            made.n_chunks > MAX_CHUNKS)
            return bq_fail(err, BQ_EXIT_USAGE, "more than 2^62 chunks; choose a larger `chunk`");
    }
    made.max_elements = made.max_window = made.n_chunks ? bq_space_elements(&whole) : 0;
    *plan = made;
    return 0;
}

int bq_plan_set_halo(struct bq_plan *plan, const struct bq_halo *halo, struct bq_error *err)
{
    struct bq_space window = {.rank = plan->space.rank};
    bool is_any = false;
    for (int i = 0; i < plan->space.rank; i++) {
        uint64_t width = halo->width[i];
        if (width > BQ_MAX_HALO || (plan->n_chunks && width > plan->space.extent[i]))
            return bq_fail(err, BQ_EXIT_USAGE,
                           "a margin of %llu along axis %d, and the dataset's extent there is %llu",
                           (unsigned long long)width, i, (unsigned long long)plan->space.extent[i]);
        window.extent[i] = plan->chunk[i] + 2 * width;
        is_any = is_any || width > 0;
    }
    uint64_t n = plan->n_chunks ? bq_space_elements(&window) : 0;
    if (n == UINT64_MAX || (unsigned)halo->border >= BQ_N_BORDERS)
        return bq_fail(err, BQ_EXIT_USAGE, "a chunk with its margins has more than 2^64 elements");
    plan->halo = *halo;
    plan->halo.is_any = is_any;
    plan->max_window = n;
    return 0;
}

/* Doubles extents, fastest axis first, while the chunk has fewer than `least` elements: the merged
 * chunks are neighbours in the file. */
static void merge(uint64_t *chunk, const struct bq_space *space, uint64_t least)
{
    uint64_t n = 1;
    for (int i = 0; i < space->rank; i++)
        n *= chunk[i];
    for (int i = space->rank - 1; i >= 0; i--) {
        while (n < least && chunk[i] < space->extent[i]) {
            n /= chunk[i];
            chunk[i] = chunk[i] > space->extent[i] / 2 ? space->extent[i] : chunk[i] * 2;
            n *= chunk[i];
        }
    }
}

/* Halves extents, slowest axis first, while the chunk has more than `most` elements: what is left
 * is made of whole runs of the file. */
static void split(uint64_t *chunk, int rank, uint64_t most)
{
    double n = 1; /* may pass 64 bits before it is split */
    for (int i = 0; i < rank; i++)
        n *= (double)chunk[i];
    for (int i = 0; i < rank; i++) {
        while (n > (double)most && chunk[i] > 1) {
            n /= (double)chunk[i];
            chunk[i] = (chunk[i] + 1) / 2;
            n *= (double)chunk[i];
        }
    }
}

int bq_plan_auto(struct bq_plan *plan, const struct bq_space *space, const uint64_t *file_chunk,
                 size_t element, struct bq_error *err)
{
    uint64_t chunk[BQ_MAX_RANK] = {0};
    if (space->rank < 1 || space->rank > BQ_MAX_RANK)
        return bq_plan_make(plan, space, chunk, err); /* says why */
    for (int i = 0; i < space->rank; i++) {
        uint64_t extent = space->extent[i] ? space->extent[i] : 1;
        uint64_t c = file_chunk ? file_chunk[i] : 1;
        chunk[i] = c > extent ? extent : c ? c : 1;
    }
    split(chunk, space->rank, BQ_PLAN_MAX_BYTES / element);
    /* A contiguous dataset has no chunks to follow: aim between the two limits. */
    uint64_t least = file_chunk ? BQ_PLAN_MIN_BYTES : 4 * BQ_PLAN_MIN_BYTES;
    merge(chunk, space, least / element);
    return bq_plan_make(plan, space, chunk, err);
}

uint64_t bq_plan_chunk(const struct bq_plan *plan, uint64_t id, uint64_t *offset, uint64_t *extent)
{
    uint64_t n = 1;
    for (int i = plan->space.rank - 1; i >= 0; i--) {
        offset[i] = id % plan->grid[i] * plan->chunk[i];
        id /= plan->grid[i];
        uint64_t left = plan->space.extent[i] - offset[i];
        extent[i] = left < plan->chunk[i] ? left : plan->chunk[i];
        n *= extent[i];
    }
    return n;
}
