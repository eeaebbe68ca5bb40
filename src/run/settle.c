#include "run/settle.h"

#include <stdio.h>
#include <string.h>

#include "adapters/codec.h"
#include "core/number.h"

/* Whether blocks of the plan are made of whole stored chunks of this shape. */
static bool is_made_of(const struct bq_plan *plan, const struct bq_space *chunk)
{
    for (int i = 0; i < plan->space.rank; i++) {
        if (plan->chunk[i] % chunk->extent[i] != 0 && plan->chunk[i] < plan->space.extent[i])
            return false;
    }
    return true;
}

static struct bq_space chunk_of_plan(const struct bq_plan *plan)
{
    struct bq_space chunk = {.rank = plan->space.rank};
    memcpy(chunk.extent, plan->chunk, sizeof chunk.extent);
    return chunk;
}

/* Every shard is as large as the dataset is now, and no chunk may reach beyond. */
static void clip(struct bq_space *chunk, const struct bq_space *space)
{
    for (int i = 0; i < chunk->rank; i++) {
        if (chunk->extent[i] > space->extent[i])
            chunk->extent[i] = space->extent[i];
    }
}

static void add(struct bq_filters *filters, enum bq_filter_id id, uint32_t n_values, uint32_t value)
{
    filters->list[filters->n++] =
        (struct bq_filter){.id = id, .n_values = n_values, .values = {value}};
}

/* The filters that were wished; element: bytes of a stored number. */
static struct bq_filters filters_of(const struct bq_output_wish *wish, enum bq_compress compress,
                                    size_t element)
{
    struct bq_filters filters = {0};
    bool wants_shuffle = wish->shuffle == BQ_CHOICE_YES ||
                         (wish->shuffle == BQ_CHOICE_AUTO && compress != BQ_COMPRESS_NONE);
    if (wants_shuffle && element > 1)
        add(&filters, BQ_FILTER_SHUFFLE, 1, (uint32_t)element);
    switch (compress) {
    case BQ_COMPRESS_GZIP:
        add(&filters, BQ_FILTER_DEFLATE, 1, wish->level ? wish->level : 1);
        break;
    case BQ_COMPRESS_ZSTD:
        add(&filters, BQ_FILTER_ZSTD, 1, wish->level);
        break;
    case BQ_COMPRESS_LZ4:
        add(&filters, BQ_FILTER_LZ4, 1, 0);
        break;
    case BQ_COMPRESS_LZF:
        add(&filters, BQ_FILTER_LZF, 0, 0);
        break;
    case BQ_COMPRESS_AUTO:
    case BQ_COMPRESS_NONE:
    case BQ_N_COMPRESSIONS:
        break;
    }
    return filters;
}

static int set_names(struct bq_recipe *recipe, const struct bq_output_spec *spec,
                     struct bq_error *err)
{
    if (snprintf(recipe->output.file, sizeof recipe->output.file, "%s", spec->file) >=
            (int)sizeof recipe->output.file ||
        snprintf(recipe->output.dataset, sizeof recipe->output.dataset, "%s", spec->dataset) >=
            (int)sizeof recipe->output.dataset)
        return bq_fail(err, BQ_EXIT_USAGE, "%.40s...: the name is too long", spec->file);
    return 0;
}

/* Chunks of the plan, native: the next step reads them as they were made. */
static int settle_scratch(struct bq_resolved *r, const struct bq_step *step, struct bq_error *err)
{
    struct bq_recipe *recipe = &r->recipe;
    r->output = (struct bq_output_spec){.file = step->output.file,
                                        .dataset = step->output.dataset,
                                        .type = recipe->out_type,
                                        .space = recipe->plan.space,
                                        .chunk = chunk_of_plan(&recipe->plan),
                                        .how = BQ_OUTPUT_DIRECT,
                                        .is_scratch = true};
    recipe->has_output = recipe->output.is_scratch = true;
    recipe->output.how = BQ_OUTPUT_DIRECT;
    recipe->output.layout = (struct bq_layout){.storage = BQ_STORAGE_CHUNKED,
                                               .space = recipe->plan.space,
                                               .number = bq_number_of(recipe->out_type),
                                               .chunk = r->output.chunk};
    return set_names(recipe, &r->output, err);
}

int bq_settle_output(struct bq_resolved *r, const struct bq_step *step, bool force,
                     struct bq_error *err)
{
    struct bq_recipe *recipe = &r->recipe;
    const struct bq_plan *plan = &recipe->plan;
    recipe->output.refuses_nan = step->wish.refuses_nan;
    if (step->wish.is_scratch)
        return settle_scratch(r, step, err);
    const struct bq_input_info *info = r->like ? bq_input_info(r->like) : NULL;
    enum bq_compress compress = step->wish.compress;
    bool is_like = info && info->type == recipe->out_type;
    if (compress == BQ_COMPRESS_AUTO)
        compress = info && info->is_compressed ? BQ_COMPRESS_GZIP : BQ_COMPRESS_NONE;
    if (compress == BQ_COMPRESS_NONE && step->wish.shuffle == BQ_CHOICE_YES)
        return bq_fail(err, BQ_EXIT_USAGE,
                       "shuffle: true without compression makes nothing smaller; add `compress: "
                       "gzip:1`, or leave out `shuffle`");
    /* The numbers of an output of the input's type are stored as the input's are. */
    size_t element = is_like && bq_input_layout(r->like)->storage != BQ_STORAGE_OTHER
                         ? bq_input_layout(r->like)->number.size
                         : bq_type_size(recipe->out_type);
    struct bq_output_spec *spec = &r->output;
    *spec = (struct bq_output_spec){.file = step->output.file,
                                    .dataset = step->output.dataset,
                                    .type = recipe->out_type,
                                    .space = plan->space,
                                    .filters = filters_of(&step->wish, compress, element),
                                    .like = r->like,
                                    .keeps_values = (r->kernel->flags & BQ_KEEPS) != 0,
                                    .force = force};
    /* The output is cut as its input is in the file; what has no input is cut as it is cooked. */
    spec->chunk = info ? info->chunk : chunk_of_plan(plan);
    /* What guards the input's chunks guards the output's, after what compresses them. */
    if (info && info->has_checksum && spec->chunk.rank && !step->wish.is_scratch)
        add(&spec->filters, BQ_FILTER_FLETCHER32, 0, 0);
    bool is_scalar = info && info->is_scalar;
    if (plan->n_chunks == 0 || is_scalar)
        spec->filters.n = 0; /* nothing to compress, and no chunks */
    /* A cook encodes whole stored chunks. */
    bool is_sharded = step->wish.layout == BQ_LAYOUT_SHARDED && plan->n_chunks && !is_scalar;
    if ((spec->filters.n || is_sharded) &&
        (spec->chunk.rank == 0 || !is_made_of(plan, &spec->chunk)))
        spec->chunk = chunk_of_plan(plan);
    if (is_sharded)
        clip(&spec->chunk, &plan->space);
    spec->how = is_sharded        ? BQ_OUTPUT_SHARDED
                : spec->filters.n ? BQ_OUTPUT_ENCODED
                                  : BQ_OUTPUT_DIRECT;
    if (is_sharded && bq_shards_check(spec->file, force, err) < 0)
        return -1;
    recipe->has_output = true;
    recipe->output.how = spec->how;
    recipe->output.layout =
        (struct bq_layout){.storage = spec->chunk.rank ? BQ_STORAGE_CHUNKED : BQ_STORAGE_CONTIGUOUS,
                           .space = plan->space,
                           .number = {.size = (uint8_t)element},
                           .chunk = spec->chunk,
                           .filters = spec->filters};
    return set_names(recipe, spec, err);
}
