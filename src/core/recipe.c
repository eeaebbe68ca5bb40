#include "core/recipe.h"

#include <string.h>

void bq_recipe_put(struct bq_writer *w, const struct bq_recipe *recipe)
{
    bq_put_text(w, recipe->kernel);
    bq_put_u32(w, recipe->n_params);
    for (uint32_t i = 0; i < recipe->n_params; i++) {
        uint64_t bits;
        memcpy(&bits, &recipe->params[i], sizeof bits);
        bq_put_u64(w, bits);
    }
    bq_put_u8(w, recipe->has_input);
    bq_put_u8(w, recipe->has_output);
    bq_put_text(w, recipe->file);
    bq_put_text(w, recipe->dataset);
    bq_put_u64(w, recipe->file_bytes);
    bq_put_u64(w, recipe->file_mtime_ns);
    bq_put_u8(w, (uint8_t)recipe->in_type);
    bq_put_u8(w, (uint8_t)recipe->out_type);
    bq_put_u8(w, (uint8_t)recipe->plan.space.rank);
    for (int i = 0; i < recipe->plan.space.rank; i++) {
        bq_put_u64(w, recipe->plan.space.extent[i]);
        bq_put_u64(w, recipe->plan.chunk[i]);
    }
    bq_put_u64(w, recipe->acc_size);
    bq_put_u8(w, (uint8_t)recipe->schedule.policy);
    bq_put_u64(w, recipe->schedule.block);
    bq_put_u32(w, recipe->n_kitchens);
    bq_put_u32(w, recipe->n_cooks);
    bq_put_u32(w, recipe->open);
    bq_put_u8(w, recipe->is_team);
    bq_put_u8(w, recipe->is_bound);
}

int bq_recipe_get(struct bq_reader *r, struct bq_recipe *recipe)
{
    *recipe = (struct bq_recipe){0};
    bq_get_text(r, recipe->kernel, sizeof recipe->kernel);
    recipe->n_params = bq_get_u32(r);
    if (recipe->n_params > BQ_MAX_PARAMS)
        return -1;
    for (uint32_t i = 0; i < recipe->n_params; i++) {
        uint64_t bits = bq_get_u64(r);
        memcpy(&recipe->params[i], &bits, sizeof bits);
    }
    recipe->has_input = bq_get_u8(r) != 0;
    recipe->has_output = bq_get_u8(r) != 0;
    bq_get_text(r, recipe->file, sizeof recipe->file);
    bq_get_text(r, recipe->dataset, sizeof recipe->dataset);
    recipe->file_bytes = bq_get_u64(r);
    recipe->file_mtime_ns = bq_get_u64(r);
    unsigned in_type = bq_get_u8(r), out_type = bq_get_u8(r);
    struct bq_space space = {.rank = bq_get_u8(r)};
    uint64_t chunk[BQ_MAX_RANK];
    if (r->is_bad || space.rank < 1 || space.rank > BQ_MAX_RANK)
        return -1;
    for (int i = 0; i < space.rank; i++) {
        space.extent[i] = bq_get_u64(r);
        chunk[i] = bq_get_u64(r);
    }
    recipe->acc_size = bq_get_u64(r);
    unsigned policy = bq_get_u8(r);
    recipe->schedule.block = bq_get_u64(r);
    recipe->n_kitchens = bq_get_u32(r);
    recipe->n_cooks = bq_get_u32(r);
    recipe->open = bq_get_u32(r);
    recipe->is_team = bq_get_u8(r) != 0;
    recipe->is_bound = bq_get_u8(r) != 0;
    if (r->is_bad || in_type >= BQ_N_TYPES || out_type >= BQ_N_TYPES || policy >= BQ_N_POLICIES ||
        recipe->acc_size > BQ_MAX_ACC || recipe->n_kitchens == 0 || recipe->open == 0 ||
        recipe->open > BQ_MAX_OPEN || recipe->n_cooks > BQ_MAX_COOKS)
        return -1;
    recipe->in_type = (enum bq_type)in_type;
    recipe->out_type = (enum bq_type)out_type;
    recipe->schedule.policy = (enum bq_policy)policy;
    if (bq_plan_make(&recipe->plan, &space, chunk, NULL) < 0)
        return -1;
    bool has_bytes = recipe->has_input || recipe->has_output;
    return has_bytes && recipe->plan.max_elements > BQ_MAX_CHUNK_BYTES / 8 ? -1 : 0;
}
