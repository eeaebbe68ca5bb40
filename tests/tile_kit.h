/* Kernels on datasets of any shape, cut into chunks of any shape: it builds the margins that a
 * kernel asks for, from the border, one element at a time, so slowly that it is plainly right. */
#ifndef BQ_TESTS_TILE_KIT_H
#define BQ_TESTS_TILE_KIT_H

#include "kernel_kit.h"
#include "random.h"

/* Asks prepare about a dataset of this shape. */
static inline int set_up_space(struct kit *kit, enum bq_type type, struct bq_space space,
                               enum bq_border border, double border_value)
{
    struct bq_setup *s = &kit->setup;
    *s = (struct bq_setup){.params = kit->params, .has_input = true, .has_output = true};
    s->in_type = s->out_type = type;
    s->space = space;
    s->border = border;
    s->border_value = border_value;
    return kit->kernel->prepare ? kit->kernel->prepare(s) : 0;
}

static inline uint64_t n_of(const struct bq_space *space)
{
    uint64_t n = 1;
    for (int i = 0; i < space->rank; i++)
        n *= space->extent[i];
    return n;
}

static inline void put_number(enum bq_type type, void *to, double value)
{
    switch (type) {
#define PUT_NUMBER(code, name, ctype)                                                              \
    case code:                                                                                     \
        *(ctype *)to = (ctype)value;                                                               \
        break;
        BQ_TYPES(PUT_NUMBER)
    case BQ_N_TYPES:
        break;
    }
}

static inline double get_number(enum bq_type type, const void *data, uint64_t i)
{
    switch (type) {
#define GET_NUMBER(code, name, ctype)                                                              \
    case code:                                                                                     \
        return (double)((const ctype *)data)[i];
        BQ_TYPES(GET_NUMBER)
    case BQ_N_TYPES:
        break;
    }
    return 0;
}

/* Where the element at i of an axis lies inside it, or -1: a constant. */
static inline int64_t inside(enum bq_border border, int64_t i, int64_t extent)
{
    for (; i < 0 || i >= extent;) {
        switch (border) {
        case BQ_CLAMP:
            i = i < 0 ? 0 : extent - 1;
            break;
        case BQ_WRAP:
            i += i < 0 ? extent : -extent;
            break;
        case BQ_REFLECT:
            i = i < 0 ? -1 - i : 2 * extent - 1 - i;
            break;
        case BQ_CONSTANT:
        case BQ_N_BORDERS:
            return -1;
        }
    }
    return i;
}

/* The index that comes after `at` in a box; false when there is none. */
static inline bool step_index(uint64_t *at, const uint64_t *extent, int rank)
{
    for (int i = rank - 1; i >= 0; i--) {
        if (++at[i] < extent[i])
            return true;
        at[i] = 0;
    }
    return false;
}

/* The chunk at `offset` with its margins; to be freed. */
static inline void *window_of(const struct kit *kit, const void *data, const uint64_t *offset,
                              const uint64_t *extent)
{
    const struct bq_setup *s = &kit->setup;
    const size_t size = bq_type_size(s->in_type);
    uint64_t at[BQ_MAX_RANK] = {0}, n = 1;
    for (int i = 0; i < s->space.rank; i++)
        n *= extent[i];
    char *window = malloc((size_t)n * size + 1), *to = window;
    do {
        int64_t from = 0;
        for (int i = 0; i < s->space.rank && from >= 0; i++) {
            int64_t k = (int64_t)(offset[i] + at[i]) - (int64_t)s->halo[i];
            k = inside(s->border, k, (int64_t)s->space.extent[i]);
            from = k < 0 ? -1 : from * (int64_t)s->space.extent[i] + k;
        }
        if (from < 0)
            put_number(s->in_type, to, s->border_value);
        else
            memcpy(to, (const char *)data + (size_t)from * size, size);
        to += size;
    } while (step_index(at, extent, s->space.rank));
    return window;
}

/* Cooks one chunk, in one part or in several, and puts its output where it belongs. */
static inline void cook_tile(const struct kit *kit, const void *data, const uint64_t *offset,
                             const uint64_t *extent, void *out, void *acc, unsigned n_parts)
{
    const struct bq_setup *s = &kit->setup;
    const int rank = s->space.rank;
    const size_t size = bq_type_size(s->out_type);
    uint64_t in_extent[BQ_MAX_RANK], at[BQ_MAX_RANK] = {0};
    struct bq_block in = {s->in_type, rank, in_extent, offset, 1, NULL};
    struct bq_block result = {s->out_type, rank, extent, offset, 1, NULL};
    for (int i = 0; i < rank; i++) {
        in_extent[i] = extent[i] + 2 * s->halo[i];
        in.n *= in_extent[i];
        result.n *= extent[i];
    }
    in.data = s->has_input ? window_of(kit, data, offset, in_extent) : NULL;
    result.data = out ? malloc((size_t)result.n * size + 1) : NULL;
    if (out) /* no output may be left to chance */
        memset(result.data, 0xa5, (size_t)result.n * size + 1);
    for (unsigned part = 0; part < n_parts; part++) {
        struct bq_call call = {.params = kit->params, .space = &s->space, .n_parts = n_parts};
        call.in = &in;
        call.out = &result;
        call.acc = s->acc_size ? acc : NULL;
        call.halo = s->halo;
        call.part = part;
        CU_ASSERT_EQUAL(kit->kernel->cook(&call), BQ_DONE);
    }
    for (char *from = result.data; out;) {
        uint64_t to = 0;
        for (int i = 0; i < rank; i++)
            to = to * s->space.extent[i] + offset[i] + at[i];
        memcpy((char *)out + to * size, from, size);
        from += size;
        if (!step_index(at, extent, rank))
            break;
    }
    free(in.data);
    free(result.data);
}

/* Runs a kernel that was set up over the whole dataset in chunks of this shape; presents what it
 * reduced. out may be NULL. */
static inline void run_tiles(const struct kit *kit, const void *data, const uint64_t *chunk,
                             void *out, unsigned n_parts)
{
    const struct bq_space *space = &kit->setup.space;
    uint64_t cells[BQ_MAX_RANK] = {0}, at[BQ_MAX_RANK] = {0};
    void *all = new_acc(kit);
    for (int i = 0; i < space->rank; i++)
        cells[i] = (space->extent[i] + chunk[i] - 1) / chunk[i];
    do {
        uint64_t offset[BQ_MAX_RANK], extent[BQ_MAX_RANK];
        for (int i = 0; i < space->rank; i++) {
            offset[i] = at[i] * chunk[i];
            uint64_t left = space->extent[i] - offset[i];
            extent[i] = left < chunk[i] ? left : chunk[i];
        }
        void *acc = new_acc(kit);
        cook_tile(kit, data, offset, extent, out, acc, n_parts);
        if (kit->kernel->combine)
            kit->kernel->combine(kit->params, all, acc);
        free(acc);
    } while (step_index(at, cells, space->rank));
    if (kit->kernel->present)
        present(kit, all);
    free(all);
}

/* The element of a dataset at an index that may lie beyond its edge. */
static inline double peek(const struct kit *kit, const void *data, const int64_t *at)
{
    const struct bq_setup *s = &kit->setup;
    int64_t from = 0;
    for (int i = 0; i < s->space.rank; i++) {
        int64_t k = inside(s->border, at[i], (int64_t)s->space.extent[i]);
        if (k < 0)
            return s->border_value;
        from = from * (int64_t)s->space.extent[i] + k;
    }
    return get_number(s->in_type, data, (uint64_t)from);
}

static inline bool has_sign(enum bq_type type)
{
    return type != BQ_U8 && type != BQ_U16 && type != BQ_U32 && type != BQ_U64;
}

/* Random numbers of a type: small ones, so that sums of them stay exact, or of all bits. */
static inline void *dice_of(enum bq_type type, uint64_t n, bool is_small)
{
    const size_t size = bq_type_size(type);
    char *data = malloc((size_t)n * size + 1);
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t bits = random_next();
        if (is_small)
            put_number(type, data + i * size, (double)(bits % 100) - (has_sign(type) ? 50 : 0));
        else if (type == BQ_F32 || type == BQ_F64)
            put_number(type, data + i * size, (double)(int64_t)bits * 0x1p-60);
        else
            memcpy(data + i * size, &bits, size);
    }
    return data;
}

/* The same bits in chunks of any shape and in several parts: runs the dataset in one chunk, which
 * stays in `out`, then cut in `n_tries` random ways. */
static inline void same_in_any_chunks(const struct kit *kit, const void *data, void *out,
                                      int n_tries)
{
    const struct bq_space *space = &kit->setup.space;
    const size_t bytes = (size_t)n_of(space) * bq_type_size(kit->setup.out_type);
    void *again = malloc(bytes + 1);
    run_tiles(kit, data, space->extent, out, 1);
    for (int i = 0; i < n_tries; i++) {
        uint64_t chunk[BQ_MAX_RANK];
        for (int k = 0; k < space->rank; k++)
            chunk[k] =
                kit->setup.is_whole[k] ? space->extent[k] : 1 + random_below(space->extent[k]);
        bool is_shared = kit->kernel->flags & BQ_DIVISIBLE;
        memset(again, 0x5a, bytes);
        run_tiles(kit, data, chunk, again, is_shared ? 1 + (unsigned)random_below(4) : 1);
        CU_ASSERT_EQUAL(memcmp(out, again, bytes), 0);
    }
    free(again);
}

#endif
