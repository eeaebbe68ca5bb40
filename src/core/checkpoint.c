#include "core/checkpoint.h"

#include <string.h>

#include "base/heap.h"
#include "core/number.h"

static const char magic[8] = "bqcheck2";

void bq_checkpoint_step_free(struct bq_checkpoint_step *step)
{
    for (size_t r = 0; step->results && r < step->n_results; r++) {
        bq_free(step->results[r].series);
        bq_free(step->results[r].reals);
    }
    bq_free(step->results);
    bq_free(step->given_up);
    *step = (struct bq_checkpoint_step){0};
}

void bq_checkpoint_free(struct bq_checkpoint *checkpoint)
{
    for (size_t i = 0; i < BQ_MAX_STEPS; i++)
        bq_checkpoint_step_free(&checkpoint->steps[i]);
}

/* -- writing ------------------------------------------------------------------------------ */

static size_t step_bytes(const struct bq_checkpoint_step *step)
{
    size_t n = 2 * BQ_MAX_STATE_NAME + 40 * BQ_MAX_RANK;
    for (size_t r = 0; r < step->n_results; r++)
        n += 100 + 8 * step->results[r].n_series;
    return n + step->n_given_up * (sizeof(struct bq_given_up) + 16);
}

size_t bq_checkpoint_bytes(const struct bq_checkpoint *checkpoint)
{
    size_t n = 512 + 16 * checkpoint->n_steps;
    for (size_t i = 0; i < checkpoint->n_steps; i++)
        n += step_bytes(&checkpoint->steps[i]);
    return n;
}

static void put_result(struct bq_writer *w, const struct bq_result *result)
{
    bq_put_text(w, result->name);
    bq_put_u8(w, (uint8_t)result->kind);
    bq_put_u64(w, result->integer);
    bq_put_real(w, result->real);
    bq_put_u64(w, result->n_series);
    for (size_t i = 0; i < result->n_series; i++) {
        if (result->kind == BQ_RESULT_REALS)
            bq_put_real(w, result->reals[i]);
        else
            bq_put_u64(w, result->series[i]);
    }
}

static void put_step(struct bq_writer *w, const struct bq_checkpoint_step *step)
{
    bq_put_u8(w, (uint8_t)(step->is_kept | step->is_done << 1));
    bq_put_u64(w, step->out_size);
    bq_put_u64(w, step->out_ns);
    if (!step->is_kept)
        return;
    bq_put_text(w, step->digest);
    bq_put_u32(w, (uint32_t)step->n_results);
    for (size_t r = 0; r < step->n_results; r++)
        put_result(w, &step->results[r]);
    bq_put_u64(w, step->n_given_up_total);
    bq_put_u32(w, (uint32_t)step->n_given_up);
    for (size_t g = 0; g < step->n_given_up; g++) {
        bq_put_u64(w, step->given_up[g].chunk);
        bq_put_text(w, step->given_up[g].why);
    }
    bq_put_text(w, step->state);
    if (!step->state[0])
        return;
    bq_put_bytes(w, step->state_hash.bytes, sizeof step->state_hash.bytes);
    bq_put_u8(w, (uint8_t)bq_number_native(&step->layout.number));
    bq_put_u8(w, (uint8_t)step->layout.space.rank);
    for (int i = 0; i < step->layout.space.rank; i++) {
        bq_put_u64(w, step->layout.space.extent[i]);
        bq_put_u64(w, step->layout.chunk.extent[i]);
    }
    bq_put_u32(w, (uint32_t)(step->like + 1));
}

void bq_checkpoint_put(struct bq_writer *w, const struct bq_checkpoint *c)
{
    bq_put_bytes(w, magic, sizeof magic);
    bq_put_bytes(w, c->of.job.bytes, sizeof c->of.job.bytes);
    bq_put_bytes(w, c->of.kernels.bytes, sizeof c->of.kernels.bytes);
    bq_put_bytes(w, c->of.inputs.bytes, sizeof c->of.inputs.bytes);
    bq_put_u32(w, (uint32_t)c->n_steps);
    for (size_t i = 0; i < c->n_steps; i++) {
        bq_put_u64(w, c->round[i]);
        bq_put_u64(w, c->spent_ns[i]);
        bq_put_u8(w, (uint8_t)c->end[i]);
        put_step(w, &c->steps[i]);
    }
}

/* -- reading ------------------------------------------------------------------------------ */

static int get_result(struct bq_reader *r, struct bq_result *result)
{
    bq_get_text(r, result->name, sizeof result->name);
    unsigned kind = bq_get_u8(r);
    result->integer = bq_get_u64(r);
    result->real = bq_get_real(r);
    uint64_t n = bq_get_u64(r);
    bool is_series = kind == BQ_RESULT_SERIES || kind == BQ_RESULT_REALS;
    if (r->is_bad || kind > BQ_RESULT_REALS || (n && !is_series) ||
        n > (size_t)(r->end - r->at) / 8)
        return -1;
    result->kind = (enum bq_result_kind)kind;
    if (!is_series)
        return 0;
    result->n_series = (size_t)n;
    void *values = bq_alloc((size_t)n + 1, 8);
    if (kind == BQ_RESULT_REALS)
        result->reals = values;
    else
        result->series = values;
    for (size_t i = 0; values && i < n; i++) {
        if (kind == BQ_RESULT_REALS)
            result->reals[i] = bq_get_real(r);
        else
            result->series[i] = bq_get_u64(r);
    }
    return values ? 0 : -1;
}

static int get_results(struct bq_reader *r, struct bq_checkpoint_step *step)
{
    uint32_t n = bq_get_u32(r);
    if (r->is_bad || n > BQ_MAX_RESULTS)
        return -1;
    step->results = bq_alloc((size_t)n + 1, sizeof *step->results);
    for (uint32_t i = 0; step->results && i < n; i++) {
        step->n_results = i + 1;
        if (get_result(r, &step->results[i]) < 0)
            return -1;
    }
    return step->results ? 0 : -1;
}

static int get_given_up(struct bq_reader *r, struct bq_checkpoint_step *step)
{
    step->n_given_up_total = bq_get_u64(r);
    uint32_t n = bq_get_u32(r);
    if (r->is_bad || n > BQ_MAX_NAMED || n > step->n_given_up_total)
        return -1;
    step->given_up = bq_alloc((size_t)n + 1, sizeof *step->given_up);
    for (uint32_t i = 0; step->given_up && i < n; i++) {
        step->given_up[i].chunk = bq_get_u64(r);
        bq_get_text(r, step->given_up[i].why, sizeof step->given_up[i].why);
    }
    step->n_given_up = n;
    return step->given_up ? 0 : -1;
}

/* A name in the checkpoint's folder, and nowhere else. */
static bool is_plain_name(const char *name)
{
    return !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int get_state(struct bq_reader *r, size_t n_steps, struct bq_checkpoint_step *step)
{
    const void *hash = bq_get_bytes(r, sizeof step->state_hash.bytes);
    unsigned type = bq_get_u8(r);
    int rank = bq_get_u8(r);
    if (!hash || type >= BQ_N_TYPES || rank < 1 || rank > BQ_MAX_RANK ||
        !is_plain_name(step->state))
        return -1;
    memcpy(step->state_hash.bytes, hash, sizeof step->state_hash.bytes);
    step->layout = (struct bq_layout){.storage = BQ_STORAGE_CHUNKED,
                                      .space.rank = rank,
                                      .number = bq_number_of((enum bq_type)type),
                                      .chunk.rank = rank};
    for (int i = 0; i < rank; i++) {
        step->layout.space.extent[i] = bq_get_u64(r);
        step->layout.chunk.extent[i] = bq_get_u64(r);
        if (step->layout.chunk.extent[i] == 0)
            return -1;
    }
    uint32_t like = bq_get_u32(r);
    if (r->is_bad || like > n_steps)
        return -1;
    step->like = (int)like - 1;
    return 0;
}

static int get_step(struct bq_reader *r, size_t n_steps, struct bq_checkpoint_step *step)
{
    unsigned flags = bq_get_u8(r);
    step->is_kept = flags & 1;
    step->is_done = (flags & 2) != 0;
    step->like = -1;
    step->out_size = bq_get_u64(r);
    step->out_ns = bq_get_u64(r);
    if (r->is_bad || flags > 3 || flags == 2)
        return -1;
    if (!step->is_kept)
        return 0;
    bq_get_text(r, step->digest, sizeof step->digest);
    if (get_results(r, step) < 0 || get_given_up(r, step) < 0)
        return -1;
    bq_get_text(r, step->state, sizeof step->state);
    if (r->is_bad)
        return -1;
    return step->state[0] ? get_state(r, n_steps, step) : 0;
}

int bq_checkpoint_get(struct bq_reader *r, struct bq_checkpoint *c)
{
    *c = (struct bq_checkpoint){0};
    const void *begin = bq_get_bytes(r, sizeof magic);
    const void *hashes[3];
    for (int i = 0; i < 3; i++)
        hashes[i] = bq_get_bytes(r, sizeof c->of.job.bytes);
    if (!begin || memcmp(begin, magic, sizeof magic) != 0 || !hashes[2])
        return -1;
    memcpy(c->of.job.bytes, hashes[0], sizeof c->of.job.bytes);
    memcpy(c->of.kernels.bytes, hashes[1], sizeof c->of.kernels.bytes);
    memcpy(c->of.inputs.bytes, hashes[2], sizeof c->of.inputs.bytes);
    uint32_t n = bq_get_u32(r);
    if (r->is_bad || n > BQ_MAX_STEPS)
        return -1;
    c->n_steps = n;
    for (uint32_t i = 0; i < n; i++) {
        c->round[i] = bq_get_u64(r);
        c->spent_ns[i] = bq_get_u64(r);
        unsigned end = bq_get_u8(r);
        c->end[i] = (enum bq_checkpoint_end)end;
        if (end > BQ_LOOP_ENDED_SHORT || c->round[i] > BQ_MAX_ROUNDS ||
            get_step(r, n, &c->steps[i]) < 0)
            return -1;
    }
    return r->is_bad || r->at != r->end ? -1 : 0;
}
