#include "core/recipe.h"

#include "base/heap.h"
#include "core/number.h"

#include <string.h>

/* -- layouts ------------------------------------------------------------------------------ */

static void put_layout(struct bq_writer *w, const struct bq_layout *layout)
{
    const struct bq_number *number = &layout->number;
    bq_put_u8(w, (uint8_t)layout->storage);
    bq_put_u8(w, (uint8_t)(number->is_float | number->is_big_endian << 1 | number->is_signed << 2));
    bq_put_u8(w, number->size);
    bq_put_u8(w, layout->has_raw_edges);
    bq_put_bytes(w, layout->fill, sizeof layout->fill);
    bq_put_u8(w, (uint8_t)layout->chunk.rank);
    for (int i = 0; i < layout->chunk.rank; i++)
        bq_put_u64(w, layout->chunk.extent[i]);
    bq_put_u8(w, (uint8_t)layout->filters.n);
    for (uint32_t i = 0; i < layout->filters.n; i++) {
        const struct bq_filter *filter = &layout->filters.list[i];
        bq_put_u32(w, filter->id);
        bq_put_u8(w, (uint8_t)filter->n_values);
        for (uint32_t k = 0; k < filter->n_values; k++)
            bq_put_u32(w, filter->values[k]);
    }
}

static bool number_is_possible(const struct bq_number *number)
{
    return number->is_float ? number->size == 2 || number->size == 4 || number->size == 8
                            : number->size >= 1 && number->size <= 8;
}

/* space and type: of the dataset. -1 when the bytes are no layout of it. */
static int get_layout(struct bq_reader *r, const struct bq_space *space, enum bq_type type,
                      struct bq_layout *layout)
{
    *layout = (struct bq_layout){.space = *space};
    unsigned storage = bq_get_u8(r), form = bq_get_u8(r);
    layout->number = (struct bq_number){.is_float = form & 1,
                                        .is_big_endian = (form & 2) != 0,
                                        .is_signed = (form & 4) != 0,
                                        .size = bq_get_u8(r)};
    layout->has_raw_edges = bq_get_u8(r) != 0;
    const void *fill = bq_get_bytes(r, sizeof layout->fill);
    int rank = bq_get_u8(r);
    if (!fill || storage > BQ_STORAGE_CHUNKED || (rank != 0 && rank != space->rank))
        return -1;
    memcpy(layout->fill, fill, sizeof layout->fill);
    layout->storage = (enum bq_storage)storage;
    layout->chunk.rank = rank;
    for (int i = 0; i < rank; i++) {
        layout->chunk.extent[i] = bq_get_u64(r);
        if (layout->chunk.extent[i] == 0)
            return -1;
    }
    layout->filters.n = bq_get_u8(r);
    if (layout->filters.n > BQ_MAX_FILTERS)
        return -1;
    for (uint32_t i = 0; i < layout->filters.n; i++) {
        struct bq_filter *filter = &layout->filters.list[i];
        filter->id = bq_get_u32(r);
        filter->n_values = bq_get_u8(r);
        if (r->is_bad || filter->n_values > BQ_MAX_FILTER_VALUES)
            return -1;
        for (uint32_t k = 0; k < filter->n_values; k++)
            filter->values[k] = bq_get_u32(r);
    }
    bool is_known = layout->storage != BQ_STORAGE_OTHER;
    if (r->is_bad || (is_known && (!number_is_possible(&layout->number) ||
                                   bq_number_native(&layout->number) != type)))
        return -1;
    /* HDF5 keeps a stored chunk below 4 GiB; the product below is taken on trust afterwards. */
    uint64_t n = bq_space_elements(&layout->chunk);
    return layout->storage == BQ_STORAGE_CHUNKED && (rank == 0 || n > UINT32_MAX) ? -1 : 0;
}

/* -- parameters --------------------------------------------------------------------------- */

static void put_params(struct bq_writer *w, const struct bq_recipe *recipe)
{
    bq_put_u32(w, recipe->n_params);
    for (uint32_t i = 0; i < recipe->n_params; i++) {
        const union bq_value *value = &recipe->params[i];
        uint64_t bits;
        bq_put_u8(w, recipe->kinds[i]);
        if (recipe->kinds[i] == BQ_TEXT) {
            bq_put_u32(w, (uint32_t)strlen(value->text));
            bq_put_bytes(w, value->text, strlen(value->text));
        } else if (recipe->kinds[i] == BQ_LIST) {
            size_t n = value->list ? value->list->n : 0;
            bq_put_u32(w, (uint32_t)n);
            for (size_t k = 0; k < n; k++) {
                memcpy(&bits, &value->list->at[k], sizeof bits);
                bq_put_u64(w, bits);
            }
        } else {
            memcpy(&bits, value, sizeof bits);
            bq_put_u64(w, bits);
        }
    }
}

static int get_text(struct bq_reader *r, union bq_value *value, void **owned)
{
    uint32_t n = bq_get_u32(r);
    const char *bytes = bq_get_bytes(r, n);
    char *text = bytes ? bq_alloc(1, (size_t)n + 1) : NULL;
    if (!text)
        return -1;
    memcpy(text, bytes, n);
    value->text = text;
    *owned = text;
    return 0;
}

static int get_list(struct bq_reader *r, union bq_value *value, void **owned)
{
    uint32_t n = bq_get_u32(r);
    if (r->is_bad || n > BQ_MAX_LIST || n > (size_t)(r->end - r->at) / 8)
        return -1;
    struct bq_list *list = bq_list_create(NULL, n);
    if (!list)
        return -1;
    double *at = (double *)(list + 1);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t bits = bq_get_u64(r);
        memcpy(&at[i], &bits, sizeof bits);
    }
    value->list = list;
    *owned = list;
    return 0;
}

static int get_params(struct bq_reader *r, struct bq_recipe *recipe)
{
    recipe->n_params = bq_get_u32(r);
    if (recipe->n_params > BQ_MAX_PARAMS) {
        recipe->n_params = 0;
        return -1;
    }
    for (uint32_t i = 0; i < recipe->n_params; i++) {
        unsigned kind = recipe->kinds[i] = bq_get_u8(r);
        union bq_value *value = &recipe->params[i];
        uint64_t bits;
        int rc = 0;
        if (kind == BQ_TEXT)
            rc = get_text(r, value, &recipe->owned[i]);
        else if (kind == BQ_LIST)
            rc = get_list(r, value, &recipe->owned[i]);
        else if (kind <= BQ_BOOL) {
            bits = bq_get_u64(r);
            memcpy(value, &bits, sizeof bits);
        } else
            rc = -1;
        if (rc < 0)
            return -1;
    }
    return 0;
}

void bq_recipe_free(struct bq_recipe *recipe)
{
    for (uint32_t i = 0; i < BQ_MAX_PARAMS; i++) {
        bq_free(recipe->owned[i]);
        recipe->owned[i] = NULL;
    }
}

size_t bq_recipe_bytes(const struct bq_recipe *recipe)
{
    size_t n = 8 * BQ_MAX_PATH; /* names, layouts and numbers */
    for (uint32_t i = 0; i < recipe->n_params; i++) {
        const union bq_value *value = &recipe->params[i];
        n += recipe->kinds[i] == BQ_TEXT ? strlen(value->text) : 0;
        n += recipe->kinds[i] == BQ_LIST && value->list ? 8 * value->list->n : 0;
    }
    return n;
}

/* -- recipes ------------------------------------------------------------------------------ */

void bq_recipe_put(struct bq_writer *w, const struct bq_recipe *recipe)
{
    bq_put_text(w, recipe->kernel);
    bq_put_text(w, recipe->library);
    bq_put_bytes(w, recipe->library_hash.bytes, sizeof recipe->library_hash.bytes);
    put_params(w, recipe);
    bq_put_u8(w, recipe->has_input);
    bq_put_u8(w, recipe->is_handed_over);
    bq_put_u8(w, recipe->is_fed);
    bq_put_u8(w, recipe->has_output);
    bq_put_text(w, recipe->file);
    bq_put_text(w, recipe->dataset);
    bq_put_u64(w, recipe->file_bytes);
    bq_put_u64(w, recipe->identity[0]);
    bq_put_u64(w, recipe->identity[1]);
    bq_put_u8(w, (uint8_t)recipe->in_type);
    bq_put_u8(w, (uint8_t)recipe->out_type);
    bq_put_u8(w, (uint8_t)recipe->plan.space.rank);
    for (int i = 0; i < recipe->plan.space.rank; i++) {
        bq_put_u64(w, recipe->plan.space.extent[i]);
        bq_put_u64(w, recipe->plan.chunk[i]);
        bq_put_u64(w, recipe->plan.halo.width[i]);
    }
    bq_put_u8(w, (uint8_t)recipe->plan.halo.border);
    bq_put_bytes(w, recipe->plan.halo.value, sizeof recipe->plan.halo.value);
    bq_put_u64(w, recipe->acc_size);
    bq_put_u64(w, recipe->state_size);
    bq_put_u8(w, (uint8_t)recipe->schedule.policy);
    bq_put_u64(w, recipe->schedule.block);
    bq_put_u32(w, recipe->n_kitchens);
    bq_put_u32(w, recipe->n_cooks);
    bq_put_u8(w, recipe->pipeline.is_on);
    bq_put_u8(w, recipe->pipeline.keeps_order);
    for (int i = 0; i < BQ_N_LINE_STAGES; i++)
        bq_put_u32(w, recipe->pipeline.threads[i]);
    bq_put_u32(w, recipe->open);
    bq_put_u8(w, recipe->is_team);
    bq_put_u8(w, recipe->is_bound);
    bq_put_u8(w, (uint8_t)recipe->delivery);
    bq_put_u8(w, (uint8_t)recipe->on_error);
    bq_put_u32(w, recipe->attempts);
    bq_put_u64(w, recipe->deadline_ns);
    bq_put_u64(w, recipe->memory);
    bq_put_u32(w, recipe->n_beside);
    bq_put_u64(w, recipe->library_bytes);
    bq_put_u32(w, recipe->comes_again);
    bq_put_u8(w, recipe->input_stays);
    if (recipe->has_input)
        put_layout(w, &recipe->layout);
    if (recipe->has_output) {
        bq_put_u8(w, (uint8_t)recipe->output.how);
        bq_put_u8(w, recipe->output.refuses_nan);
        bq_put_u8(w, recipe->output.is_scratch);
        bq_put_text(w, recipe->output.work);
        bq_put_text(w, recipe->output.file);
        bq_put_text(w, recipe->output.dataset);
        put_layout(w, &recipe->output.layout);
    }
}

/* What depends on the plan. */
static int get_data(struct bq_reader *r, struct bq_recipe *recipe)
{
    const struct bq_space *space = &recipe->plan.space;
    if (recipe->has_input && get_layout(r, space, recipe->in_type, &recipe->layout) < 0)
        return -1;
    const struct bq_layout *layout = &recipe->layout;
    if (recipe->is_handed_over &&
        (!recipe->has_input || layout->storage != BQ_STORAGE_CHUNKED || layout->filters.n))
        return -1;
    if (recipe->has_output) {
        unsigned how = bq_get_u8(r);
        recipe->output.refuses_nan = bq_get_u8(r) != 0;
        recipe->output.is_scratch = bq_get_u8(r) != 0;
        bq_get_text(r, recipe->output.work, sizeof recipe->output.work);
        bq_get_text(r, recipe->output.file, sizeof recipe->output.file);
        bq_get_text(r, recipe->output.dataset, sizeof recipe->output.dataset);
        if (how >= BQ_N_OUTPUT_HOWS ||
            get_layout(r, space, recipe->out_type, &recipe->output.layout) < 0)
            return -1;
        recipe->output.how = (enum bq_output_how)how;
        enum bq_storage storage = recipe->output.layout.storage;
        bool is_encoded = how == BQ_OUTPUT_ENCODED || how == BQ_OUTPUT_SHARDED;
        if ((is_encoded && storage != BQ_STORAGE_CHUNKED) ||
            (how == BQ_OUTPUT_DIRECT && storage == BQ_STORAGE_OTHER) ||
            (recipe->output.is_scratch &&
             (how != BQ_OUTPUT_DIRECT || storage != BQ_STORAGE_CHUNKED)))
            return -1;
    }
    return r->is_bad ? -1 : 0;
}

int bq_recipe_get(struct bq_reader *r, struct bq_recipe *recipe)
{
    *recipe = (struct bq_recipe){0};
    bq_get_text(r, recipe->kernel, sizeof recipe->kernel);
    bq_get_text(r, recipe->library, sizeof recipe->library);
    const void *hash = bq_get_bytes(r, sizeof recipe->library_hash.bytes);
    if (!hash)
        return -1;
    memcpy(recipe->library_hash.bytes, hash, sizeof recipe->library_hash.bytes);
    if (get_params(r, recipe) < 0)
        return -1;
    recipe->has_input = bq_get_u8(r) != 0;
    recipe->is_handed_over = bq_get_u8(r) != 0;
    recipe->is_fed = bq_get_u8(r) != 0;
    recipe->has_output = bq_get_u8(r) != 0;
    bq_get_text(r, recipe->file, sizeof recipe->file);
    bq_get_text(r, recipe->dataset, sizeof recipe->dataset);
    recipe->file_bytes = bq_get_u64(r);
    recipe->identity[0] = bq_get_u64(r);
    recipe->identity[1] = bq_get_u64(r);
    unsigned in_type = bq_get_u8(r), out_type = bq_get_u8(r);
    struct bq_space space = {.rank = bq_get_u8(r)};
    uint64_t chunk[BQ_MAX_RANK];
    struct bq_halo halo = {0};
    if (r->is_bad || space.rank < 1 || space.rank > BQ_MAX_RANK)
        return -1;
    for (int i = 0; i < space.rank; i++) {
        space.extent[i] = bq_get_u64(r);
        chunk[i] = bq_get_u64(r);
        halo.width[i] = bq_get_u64(r);
    }
    unsigned border = bq_get_u8(r);
    const void *value = bq_get_bytes(r, sizeof halo.value);
    if (!value || border >= BQ_N_BORDERS)
        return -1;
    halo.border = (enum bq_border)border;
    memcpy(halo.value, value, sizeof halo.value);
    recipe->acc_size = bq_get_u64(r);
    recipe->state_size = bq_get_u64(r);
    unsigned policy = bq_get_u8(r);
    recipe->schedule.block = bq_get_u64(r);
    recipe->n_kitchens = bq_get_u32(r);
    recipe->n_cooks = bq_get_u32(r);
    recipe->pipeline.is_on = bq_get_u8(r) != 0;
    recipe->pipeline.keeps_order = bq_get_u8(r) != 0;
    for (int i = 0; i < BQ_N_LINE_STAGES; i++) {
        uint32_t n = recipe->pipeline.threads[i] = bq_get_u32(r);
        if (n > BQ_PIPELINE_MAX || (recipe->pipeline.is_on && n == 0))
            return -1;
    }
    recipe->open = bq_get_u32(r);
    recipe->is_team = bq_get_u8(r) != 0;
    recipe->is_bound = bq_get_u8(r) != 0;
    unsigned delivery = bq_get_u8(r), on_error = bq_get_u8(r);
    recipe->attempts = bq_get_u32(r);
    recipe->deadline_ns = bq_get_u64(r);
    recipe->memory = bq_get_u64(r);
    recipe->n_beside = bq_get_u32(r);
    recipe->library_bytes = bq_get_u64(r);
    recipe->comes_again = bq_get_u32(r);
    recipe->input_stays = bq_get_u8(r) != 0;
    if (delivery >= BQ_N_DELIVERIES || on_error >= BQ_N_ON_ERRORS)
        return -1;
    recipe->delivery = (enum bq_delivery)delivery;
    recipe->on_error = (enum bq_on_error)on_error;
    if (r->is_bad || in_type >= BQ_N_TYPES || out_type >= BQ_N_TYPES || policy >= BQ_N_POLICIES ||
        recipe->acc_size > BQ_MAX_ACC || recipe->state_size > BQ_MAX_STATE ||
        recipe->n_kitchens == 0 || recipe->open == 0 || recipe->open > BQ_MAX_OPEN ||
        recipe->n_cooks > BQ_MAX_COOKS)
        return -1;
    recipe->in_type = (enum bq_type)in_type;
    recipe->out_type = (enum bq_type)out_type;
    recipe->schedule.policy = (enum bq_policy)policy;
    if (bq_plan_make(&recipe->plan, &space, chunk, NULL) < 0 ||
        bq_plan_set_halo(&recipe->plan, &halo, NULL) < 0)
        return -1;
    bool has_bytes = recipe->has_input || recipe->has_output;
    if (has_bytes && recipe->plan.max_window > BQ_MAX_CHUNK_BYTES / 8)
        return -1;
    return get_data(r, recipe);
}

/* -- the next round ----------------------------------------------------------------------- */

/* Writes it without what may differ; bytes: 8 * BQ_MAX_PATH. */
static size_t put_shape(const struct bq_recipe *recipe, unsigned char *bytes)
{
    struct bq_recipe shape = *recipe;
    struct bq_writer w = bq_writer(bytes, 8 * BQ_MAX_PATH);
    shape.n_params = 0; /* and kinds, which belong to the kernel */
    shape.file[0] = shape.dataset[0] = 0;
    shape.file_bytes = shape.identity[0] = shape.identity[1] = 0;
    shape.output.work[0] = shape.output.file[0] = shape.output.dataset[0] = 0;
    bq_recipe_put(&w, &shape);
    return w.is_bad ? 0 : (size_t)(w.at - bytes);
}

bool bq_recipe_is_alike(const struct bq_recipe *a, const struct bq_recipe *b)
{
    unsigned char of_a[8 * BQ_MAX_PATH], of_b[8 * BQ_MAX_PATH];
    size_t n = put_shape(a, of_a);
    return n > 0 && n == put_shape(b, of_b) && memcmp(of_a, of_b, n) == 0;
}
