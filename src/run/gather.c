#include "run/gather.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "core/shard_map.h"
#include "run/outcome.h"

#define MOST_SHARDED (UINT64_C(1) << 28) /* chunks; 4 bytes each are kept */

struct bq_gather {
    struct bq_resolved *resolved;
    const struct bq_recipe *recipe;
    struct bq_output *output; /* sharded: the coordinator's own shard, number 0 */
    struct bq_direct *direct; /* into it, for kitchens that do not see it */
    void *stored;             /* a block's numbers as they are stored */
    struct bq_shards *shards; /* NULL when it is one file */
    struct bq_shard_map map;
    bool has_own_shard; /* something is in it */
    uint64_t *nothing;  /* chunks that were given up, n_nothing */
    size_t n_nothing, nothing_room;
};

/* Kitchens may have been started in other folders. */
static int absolute(const char *path, char *out)
{
    char *whole = realpath(path, NULL);
    int n = whole ? snprintf(out, BQ_MAX_PATH, "%s", whole) : -1;
    free(whole);
    return n < 0 || n >= BQ_MAX_PATH ? -1 : 0;
}

static int create_shards(struct bq_gather *g, struct bq_error *err)
{
    struct bq_output_spec *spec = &g->resolved->output;
    if (g->recipe->plan.n_chunks > MOST_SHARDED)
        return bq_fail(err, BQ_EXIT_USAGE, "%s: %llu chunks are too many for shards; 2^28 at most",
                       spec->file, (unsigned long long)g->recipe->plan.n_chunks);
    g->shards = bq_shards_create(spec->file, spec->force, err);
    if (!g->shards)
        return -1;
    if (bq_shard_map_create(&g->map, g->recipe->plan.n_chunks) < 0)
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    /* The coordinator's own shard is made with the input at hand, and shows how all will be. */
    struct bq_output_spec own = *spec;
    char *file = bq_shard_path(g->shards, 0);
    own.file = file;
    g->output = file ? bq_output_create(&own, err) : NULL;
    bq_free(file);
    return g->output ? 0 : -1;
}

static int create(struct bq_gather *g, const char *left, struct bq_error *err)
{
    struct bq_recipe *recipe = &g->resolved->recipe;
    struct bq_output_spec *spec = &g->resolved->output;
    if (spec->is_scratch)
        return bq_raw_create(spec->file, &recipe->output.layout, err) < 0 ? -1
               : absolute(spec->file, recipe->output.work) < 0
                   ? bq_fail(err, BQ_EXIT_FAILED, "%s: cannot find its folder", spec->file)
                   : 0;
    if (spec->how == BQ_OUTPUT_SHARDED) {
        if (create_shards(g, err) < 0)
            return -1;
    } else if (!(g->output =
                     left ? bq_output_resume(spec, left, err) : bq_output_create(spec, err))) {
        return -1;
    }
    recipe->output.layout = *bq_output_layout(g->output, &recipe->output.how);
    if (g->shards && recipe->output.how != BQ_OUTPUT_SHARDED)
        return bq_fail(err, BQ_EXIT_USAGE,
                       "%s: only the HDF5 library can write such numbers, into one file: choose "
                       "`layout: single`",
                       spec->file);
    const char *work = g->shards ? bq_shards_folder(g->shards) : bq_output_work_path(g->output);
    return absolute(work, recipe->output.work) < 0
               ? bq_fail(err, BQ_EXIT_FAILED, "%s: cannot find its folder", spec->file)
               : 0;
}

static struct bq_gather *make(struct bq_resolved *resolved, const char *left, struct bq_error *err)
{
    struct bq_gather *g = bq_alloc(1, sizeof *g);
    if (!g) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return NULL;
    }
    g->resolved = resolved;
    g->recipe = &resolved->recipe;
    if (create(g, left, err) == 0)
        return g;
    bq_gather_discard(g);
    return NULL;
}

struct bq_gather *bq_gather_create(struct bq_resolved *resolved, const char *work,
                                   struct bq_error *err)
{
    resolved->output.work = work;
    return make(resolved, NULL, err);
}

struct bq_gather *bq_gather_resume(struct bq_resolved *resolved, const char *work,
                                   struct bq_error *err)
{
    return make(resolved, work, err);
}

int bq_gather_sync(struct bq_gather *g, bool to_disk, struct bq_error *err)
{
    return bq_output_sync(g->output, to_disk, err);
}

int bq_gather_read(struct bq_gather *g, const uint64_t *offset, const uint64_t *extent, void *data)
{
    return bq_output_read(g->output, offset, extent, data, NULL);
}

const char *bq_gather_work_file(const struct bq_gather *g)
{
    return g->shards || !g->output ? NULL : bq_output_work_path(g->output);
}

/* -- while the step runs ------------------------------------------------------------------ */

/* Numbers of a chunk, native, to their places. */
static int write_directly(struct bq_gather *g, const struct bq_box *block, const void *native,
                          struct bq_error *err)
{
    const struct bq_recipe *recipe = g->recipe;
    const struct bq_number *number = &recipe->output.layout.number;
    if (!g->direct)
        g->direct = bq_direct_open(recipe->output.work, recipe->output.file, recipe->output.dataset,
                                   &recipe->output.layout, recipe->output.is_scratch, err);
    if (!g->direct)
        return -1;
    if (!g->stored && !(g->stored = bq_alloc(recipe->plan.max_elements, number->size)))
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    bq_number_write(number, native, g->stored, (size_t)bq_box_elements(block));
    return bq_direct_write(g->direct, block, g->stored, err);
}

static int write_chunk(struct bq_gather *g, uint64_t chunk, struct bq_reader *data, uint64_t size,
                       struct bq_error *err)
{
    const struct bq_recipe *recipe = g->recipe;
    struct bq_box block = {.rank = recipe->plan.space.rank};
    uint64_t n = bq_plan_chunk(&recipe->plan, chunk, block.offset, block.extent);
    if (recipe->output.how == BQ_OUTPUT_ENCODED || g->shards)
        return bq_output_place_all(g->output, &recipe->output.layout, &block, data, err);
    const void *native =
        size == n * bq_type_size(recipe->out_type) ? bq_get_bytes(data, (size_t)size) : NULL;
    if (!native)
        return bq_fail(err, BQ_EXIT_FAILED, "the result of chunk %llu has the wrong size",
                       (unsigned long long)chunk);
    return recipe->output.how == BQ_OUTPUT_DIRECT
               ? write_directly(g, &block, native, err)
               : bq_output_write(g->output, block.offset, block.extent, native, err);
}

int bq_gather_take(struct bq_gather *g, uint32_t kitchen, uint32_t shard, struct bq_node node,
                   struct bq_reader *data, uint64_t size, struct bq_error *err)
{
    bool is_there = g->recipe->output.how == BQ_OUTPUT_DIRECT || g->shards;
    if (size == 0 && !is_there)
        return bq_fail(err, BQ_EXIT_FAILED, "kitchen %u sent a result without its output",
                       kitchen + 1);
    if (size > 0 && node.level > 0)
        return bq_fail(err, BQ_EXIT_FAILED, "kitchen %u sent output of several chunks",
                       kitchen + 1);
    if (g->shards) {
        g->has_own_shard |= size > 0;
        bq_shard_map_set(&g->map, node.first, bq_node_size(node), size > 0 ? 0 : shard);
    }
    return size > 0 ? write_chunk(g, node.first, data, size, err) : 0;
}

void bq_gather_lose(struct bq_gather *g, uint32_t shard,
                    void (*lost)(void *context, uint64_t first, uint64_t count), void *context)
{
    if (!g->shards)
        return;
    bq_shards_lose(g->shards, shard);
    bq_shard_map_lose(&g->map, shard, lost, context);
}

int bq_gather_nothing(struct bq_gather *g, uint64_t chunk, struct bq_error *err)
{
    if (g->shards)
        bq_shard_map_set(&g->map, chunk, 1, BQ_SHARD_GIVEN_UP);
    /* Where space was not allocated at once, HDF5 sees to it by itself. */
    if (g->recipe->output.how != BQ_OUTPUT_DIRECT)
        return 0;
    if (g->n_nothing == g->nothing_room) {
        size_t room = g->nothing_room ? 2 * g->nothing_room : 64;
        uint64_t *grown = bq_alloc(room, sizeof *grown);
        if (!grown)
            return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        if (g->n_nothing)
            memcpy(grown, g->nothing, g->n_nothing * sizeof *grown);
        bq_free(g->nothing);
        g->nothing = grown;
        g->nothing_room = room;
    }
    g->nothing[g->n_nothing++] = chunk;
    return 0;
}

/* -- the end ------------------------------------------------------------------------------ */

/* The fill value in the places of chunks that were given up: at the end, when no kitchen that was
 * given such a chunk, too, can write any more. */
static int write_nothing(struct bq_gather *g, struct bq_error *err)
{
    const struct bq_recipe *recipe = g->recipe;
    struct bq_box block = {.rank = recipe->plan.space.rank}, whole = block;
    size_t size = bq_type_size(recipe->out_type);
    void *native = g->n_nothing ? bq_alloc((size_t)recipe->plan.max_elements, size) : NULL;
    int rc = g->n_nothing && !native ? bq_fail(err, BQ_EXIT_FAILED, "out of memory") : 0;
    for (size_t i = 0; i < g->n_nothing && rc == 0; i++) {
        bq_plan_chunk(&recipe->plan, g->nothing[i], block.offset, block.extent);
        memcpy(whole.extent, block.extent, sizeof whole.extent);
        bq_box_fill(&whole, block.extent, recipe->output.layout.fill, size, native);
        rc = write_directly(g, &block, native, err);
    }
    bq_free(native);
    return rc;
}

/* Finishes the own shard and makes the dataset that joins all. */
static struct bq_output *join(struct bq_gather *g, struct bq_error *err)
{
    struct bq_output_spec spec = g->resolved->output;
    struct bq_output *own = g->output;
    bool is_bad;
    g->output = NULL;
    if (!g->has_own_shard)
        bq_output_discard(own);
    else if (bq_output_commit(own, err) < 0)
        return NULL;
    struct bq_shard_part *parts =
        bq_shard_map_parts(&g->map, &g->recipe->plan, &spec.n_parts, &is_bad);
    if (is_bad) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return NULL;
    }
    spec.parts = parts;
    spec.how = BQ_OUTPUT_LIBRARY;
    spec.chunk.rank = 0;
    spec.filters.n = 0;
    struct bq_output *joined = bq_output_create(&spec, err);
    bq_free(parts);
    return joined;
}

int bq_gather_commit(struct bq_gather *g, const struct bq_report *report,
                     const struct bq_report *earlier, struct bq_error *err)
{
    int rc = write_nothing(g, err);
    struct bq_output *output = NULL;
    if (g->recipe->output.is_scratch) {
        bq_gather_discard(g);
        return rc;
    }
    if (rc == 0) {
        output = g->shards ? join(g, err) : g->output;
        g->output = NULL;
        rc = output ? bq_outcome_note(output, report, earlier, &g->recipe->plan, err) : -1;
    }
    if (rc == 0 && g->shards)
        rc = bq_shards_publish(g->shards, err);
    if (rc == 0)
        rc = bq_output_commit(output, err);
    else
        bq_output_discard(output);
    if (rc == 0 && g->shards)
        bq_shards_keep(g->shards);
    bq_gather_discard(g);
    return rc;
}

void bq_gather_leave(struct bq_gather *g)
{
    bq_output_leave(g->output);
    g->output = NULL;
    bq_gather_discard(g);
}

void bq_gather_discard(struct bq_gather *g)
{
    if (!g)
        return;
    bq_direct_close(g->direct);
    bq_output_discard(g->output);
    bq_shards_discard(g->shards);
    bq_shard_map_destroy(&g->map);
    bq_free(g->nothing);
    bq_free(g->stored);
    bq_free(g);
}
