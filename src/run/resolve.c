#include "run/resolve.h"

#include <stdio.h>
#include <string.h>

#include "adapters/vitals.h"
#include "core/graph.h"
#include "core/number.h"
#include "base/text.h"
#include "run/execute.h"
#include "run/registry.h"
#include "run/settle.h"

#define MAX_CHUNKS (UINT64_C(1) << 39) /* what a lease can count */

const struct bq_kernel *bq_registry_find(const struct bq_registry *registry, const char *name)
{
    for (size_t i = 0; i < registry->n_kernels; i++) {
        if (strcmp(registry->kernels[i]->name, name) == 0)
            return registry->kernels[i];
    }
    return NULL;
}

/* Says where in the job an error lies; line 0 is the command line. */
static int fail_at(struct bq_error *err, const struct bq_job *job, int line)
{
    if (!job->file || line == 0)
        return -1;
    return bq_fail_in(err, "%s:%d", job->file, line);
}

static int set_path(char *out, const char *path, struct bq_error *err)
{
    if (strlen(path) >= BQ_MAX_PATH)
        return bq_fail(err, BQ_EXIT_USAGE, "the name '%.40s...' is longer than %d bytes", path,
                       BQ_MAX_PATH - 1);
    strcpy(out, path);
    return 0;
}

static int open_input(struct bq_resolved *r, const struct bq_step *step, struct bq_error *err)
{
    struct bq_recipe *recipe = &r->recipe;
    if (set_path(recipe->file, step->input.file, err) < 0 ||
        set_path(recipe->dataset, step->input.dataset, err) < 0)
        return -1;
    r->input = step->handed_over ? bq_raw_open(step->input.file, step->handed_over, err)
                                 : bq_input_open(step->input.file, step->input.dataset, err);
    if (!r->input)
        return -1;
    bool wants_like = step->output.file && !step->wish.is_scratch; /* opening it costs a round */
    r->like = !step->handed_over ? r->input
              : wants_like && step->like.file
                  ? bq_input_open(step->like.file, step->like.dataset, err)
                  : NULL;
    if (step->handed_over && wants_like && step->like.file && !r->like)
        return -1;
    recipe->is_handed_over = step->handed_over != NULL;
    const struct bq_input_info *info = bq_input_info(r->input);
    recipe->has_input = true;
    recipe->in_type = recipe->out_type = info->type;
    recipe->file_bytes = info->file_bytes;
    recipe->layout = *bq_input_layout(r->input);
    recipe->library_bytes = info->library_bytes;
    return bq_input_identity(r->input, recipe->identity, err);
}

static int ask_kernel(struct bq_resolved *r, const struct bq_step *step, struct bq_setup *setup,
                      struct bq_error *err)
{
    struct bq_recipe *recipe = &r->recipe;
    *setup = (struct bq_setup){.params = recipe->params,
                               .has_input = recipe->has_input,
                               .has_output = step->output.file != NULL,
                               .in_type = recipe->in_type,
                               .out_type = recipe->has_input ? recipe->in_type : BQ_U8};
    if (recipe->has_input)
        setup->space = bq_input_info(r->input)->space;
    if (step->border.is_given) {
        setup->border = step->border.border;
        setup->border_value = step->border.value;
    }
    bq_vitals_doing("prepare");
    int prepared = r->kernel->prepare ? r->kernel->prepare(setup) : 0;
    bq_vitals_doing(NULL);
    if (prepared < 0)
        return bq_fail(err, BQ_EXIT_USAGE, "kernel '%s': %s", r->kernel->name,
                       setup->message[0] ? setup->message : "it refuses this job");
    if (setup->acc_size > BQ_MAX_ACC || setup->out_type >= BQ_N_TYPES)
        return bq_fail(err, BQ_EXIT_USAGE,
                       "kernel '%s' asks for an accumulator of %zu bytes; %u at most",
                       r->kernel->name, setup->acc_size, BQ_MAX_ACC);
    if (setup->state_size > BQ_MAX_STATE)
        return bq_fail(err, BQ_EXIT_USAGE,
                       "kernel '%s' keeps %zu bytes for each open chunk; %u at most",
                       r->kernel->name, setup->state_size, BQ_MAX_STATE);
    if (setup->acc_size && (!r->kernel->combine || !r->kernel->present))
        return bq_fail(err, BQ_EXIT_USAGE, "kernel '%s' accumulates, but has no %s",
                       r->kernel->name, r->kernel->combine ? "present" : "combine");
    if (!setup->has_output && setup->acc_size == 0 && (r->kernel->flags & BQ_WRITES))
        return bq_fail(
            err, BQ_EXIT_USAGE,
            "kernel '%s' writes a dataset: the job needs `output: {file: .., dataset: ..}`",
            r->kernel->name);
    if (step->is_team && (!(r->kernel->flags & BQ_DIVISIBLE) || setup->acc_size))
        return bq_fail(err, BQ_EXIT_USAGE,
                       "kernel '%s' cannot share a chunk among cooks; leave out `team`",
                       r->kernel->name);
    recipe->acc_size = setup->acc_size;
    recipe->state_size = setup->state_size;
    recipe->out_type = setup->out_type;
    return 0;
}

/* The margins that the kernel asked for. */
static int set_halo(struct bq_resolved *r, const struct bq_step *step, const struct bq_setup *setup,
                    struct bq_error *err)
{
    struct bq_halo halo = {.border = setup->border};
    bool is_any = false;
    for (int i = 0; i < setup->space.rank; i++) {
        halo.width[i] = r->recipe.has_input ? setup->halo[i] : 0;
        is_any = is_any || halo.width[i];
    }
    if (step->border.is_given && !is_any)
        return bq_fail(err, BQ_EXIT_USAGE,
                       "kernel '%s' does not look beyond a chunk's edge; leave out `border`",
                       r->kernel->name);
    if (is_any && halo.border == BQ_CONSTANT &&
        bq_number_from(r->recipe.in_type, setup->border_value, halo.value) < 0)
        return bq_fail(err, BQ_EXIT_USAGE, "border: %g is no %s", setup->border_value,
                       bq_type_name(r->recipe.in_type));
    if (bq_plan_set_halo(&r->recipe.plan, &halo, err) < 0)
        return bq_fail_in(err, "kernel '%s' asks for more than there is", r->kernel->name);
    return 0;
}

/* `chunk: auto`, along the axes that may be cut; `element`: bytes. */
static int cut_auto(struct bq_plan *plan, const struct bq_setup *setup, const struct bq_space *file,
                    size_t element, struct bq_error *err)
{
    struct bq_space space = setup->space;
    uint64_t chunk[BQ_MAX_RANK], file_chunk[BQ_MAX_RANK];
    bool is_any = false;
    memcpy(file_chunk, file->extent, sizeof file_chunk);
    for (int i = 0; i < space.rank; i++) {
        if (!setup->is_whole[i])
            continue;
        is_any = true;
        if (space.extent[i] && __builtin_mul_overflow(element, space.extent[i], &element))
            element = BQ_PLAN_MAX_BYTES;
        space.extent[i] = file_chunk[i] = 1;
    }
    if (element > BQ_PLAN_MAX_BYTES)
        element = BQ_PLAN_MAX_BYTES;
    if (bq_plan_auto(plan, &space, file->rank ? file_chunk : NULL, element, err) < 0 || !is_any)
        return is_any ? -1 : 0;
    for (int i = 0; i < space.rank; i++)
        chunk[i] = !setup->is_whole[i]      ? plan->chunk[i]
                   : setup->space.extent[i] ? setup->space.extent[i]
                                            : 1;
    return bq_plan_make(plan, &setup->space, chunk, err);
}

static int check_whole(const struct bq_plan *plan, const struct bq_setup *setup, const char *kernel,
                       struct bq_error *err)
{
    for (int i = 0; i < plan->space.rank; i++) {
        if (setup->is_whole[i] && plan->grid[i] > 1)
            return bq_fail(err, BQ_EXIT_USAGE,
                           "kernel '%s' needs axis %d in one piece: make its chunk %llu", kernel, i,
                           (unsigned long long)plan->space.extent[i]);
    }
    return 0;
}

/* Says where the chunk's shape was given: in the job or on the command line. */
static int fail_chunk(struct bq_error *err, const struct bq_job *job, const struct bq_step *step)
{
    if (step->chunk_rank && step->chunk_line == 0)
        return bq_fail_in(err, "--chunk");
    return fail_at(err, job, step->chunk_line);
}

static int cut(struct bq_resolved *r, const struct bq_job *job, const struct bq_step *step,
               const struct bq_setup *setup, struct bq_error *err)
{
    struct bq_recipe *recipe = &r->recipe;
    struct bq_plan *plan = &recipe->plan;
    size_t in = recipe->has_input ? bq_type_size(recipe->in_type) : 1;
    size_t out = bq_type_size(recipe->out_type);
    size_t element = in > out ? in : out;
    const struct bq_space *file =
        recipe->has_input ? &bq_input_info(r->input)->chunk : &setup->chunk;
    int rc;
    if (step->chunk_rank && step->chunk_rank != setup->space.rank) {
        bool is_scalar = r->input && bq_input_info(r->input)->is_scalar;
        int rank = is_scalar ? 0 : setup->space.rank;
        bq_fail(err, BQ_EXIT_USAGE, "chunk has %d extent%s, the dataset has %d dimension%s",
                step->chunk_rank, step->chunk_rank == 1 ? "" : "s", rank, rank == 1 ? "" : "s");
        return fail_chunk(err, job, step);
    }
    if (step->chunk_rank)
        rc = bq_plan_make(plan, &setup->space, step->chunk, err);
    else if (!recipe->has_input && setup->chunk.rank)
        rc = bq_plan_make(plan, &setup->space, setup->chunk.extent, err);
    else
        rc = cut_auto(plan, setup, file, element, err);
    if (rc == 0)
        rc = check_whole(plan, setup, r->kernel->name, err);
    if (rc == 0 && plan->n_chunks > MAX_CHUNKS)
        rc = bq_fail(err, BQ_EXIT_USAGE, "%llu chunks; at most 2^39: choose a larger `chunk`",
                     (unsigned long long)plan->n_chunks);
    if (rc < 0)
        return fail_chunk(err, job, step);
    if (set_halo(r, step, setup, err) < 0)
        return fail_at(err, job, step->border_line ? step->border_line : step->kernel_line);
    bool has_bytes = recipe->has_input || step->output.file;
    if (has_bytes && plan->max_window > BQ_MAX_CHUNK_BYTES / 8) {
        bq_fail(err, BQ_EXIT_USAGE,
                "a chunk would have %llu elements; 2^27 at most: choose a smaller `chunk`",
                (unsigned long long)plan->max_window);
        return fail_chunk(err, job, step);
    }
    return 0;
}

/* Memory that is too little for one cook with the least in progress is better refused before a
 * kitchen does. */
static int check_memory(const struct bq_recipe *recipe, int line, struct bq_error *err)
{
    unsigned n = recipe->n_beside ? recipe->n_beside : 1;
    uint64_t own = bq_executor_memory(recipe, 1, recipe->open), least = bq_executor_taken() + own;
    char a[64];
    if (!recipe->memory || recipe->memory >= bq_executor_taken() + n * own)
        return 0;
    if (recipe->memory >= least)
        return bq_fail(err, BQ_EXIT_USAGE,
                       "%s of %s is too little for %u steps at the same time: give it %llu MiB, or "
                       "run with --at-once 1",
                       line ? "memory" : "--memory", bq_text_bytes(recipe->memory, a, sizeof a), n,
                       (unsigned long long)((bq_executor_taken() + n * own) >> 20) + 1);
    return bq_fail(err, BQ_EXIT_USAGE,
                   "%s of %s is too little: one cook and the program need %llu MiB; give it more, "
                   "or choose a smaller `chunk`",
                   line ? "memory" : "--memory", bq_text_bytes(recipe->memory, a, sizeof a),
                   (unsigned long long)(least >> 20) + 1);
}

int bq_resolve(struct bq_resolved *r, const struct bq_job *job, const struct bq_step *step,
               uint32_t n_kitchens, bool force, struct bq_error *err)
{
    *r = (struct bq_resolved){.kernel = step->kernel};
    struct bq_recipe *recipe = &r->recipe;
    struct bq_setup setup;
    snprintf(recipe->kernel, sizeof recipe->kernel, "%s", step->kernel->name);
    if (step->origin) {
        if (set_path(recipe->library, step->origin->path, err) < 0)
            return fail_at(err, job, step->kernel_line);
        recipe->library_hash = step->origin->hash;
    }
    recipe->n_params = (uint32_t)step->kernel->n_params;
    memcpy(recipe->params, step->params, recipe->n_params * sizeof *step->params);
    for (uint32_t i = 0; i < recipe->n_params; i++)
        recipe->kinds[i] = (uint8_t)step->kernel->params[i].kind;
    recipe->schedule = step->schedule;
    recipe->n_kitchens = n_kitchens;
    recipe->n_cooks = step->cooks;
    /* A kernel that never waits has one chunk open a cook, whatever the job says. */
    recipe->open = (step->kernel->flags & BQ_WAITS) && step->open ? step->open : 1;
    recipe->is_team = step->is_team;
    recipe->pipeline = step->pipeline;
    if (step->pipeline.is_on) {
        /* Each thread has a chunk, and two more before it. */
        uint32_t readers = step->pipeline.threads[BQ_LINE_READ];
        recipe->n_cooks = readers;
        recipe->open = 2 + (3 * bq_pipeline_workers(&step->pipeline) + readers - 1) / readers;
    }
    recipe->delivery = step->delivery;
    recipe->on_error = step->on_error;
    recipe->attempts = step->attempts;
    recipe->deadline_ns = step->deadline_ns;
    recipe->memory = step->memory;
    recipe->n_beside = step->n_beside;
    recipe->comes_again = step->comes_again;
    recipe->input_stays = step->input_stays;
    int line = step->kernel_line;
    if (step->input.file) {
        line = step->input.line;
        if (open_input(r, step, err) < 0)
            goto failed;
        line = step->kernel_line;
    }
    if (ask_kernel(r, step, &setup, err) < 0)
        goto failed;
    line = 0; /* cut says where itself */
    if (cut(r, job, step, &setup, err) < 0)
        goto failed;
    if (step->output.file) {
        line = step->output.line;
        if (bq_settle_output(r, step, force, err) < 0 ||
            (!r->output.is_scratch && bq_output_check(&r->output, err) < 0))
            goto failed;
    }
    line = step->memory_line;
    if (check_memory(recipe, line, err) < 0)
        goto failed;
    return 0;

failed:
    fail_at(err, job, line);
    bq_resolved_close(r);
    return -1;
}

void bq_resolved_close(struct bq_resolved *r)
{
    bq_recipe_free(&r->recipe);
    if (r->like != r->input)
        bq_input_close(r->like);
    bq_input_close(r->input);
    r->input = r->like = NULL;
}

static int check_input(const struct bq_job *job, size_t i, struct bq_error *err)
{
    const struct bq_place *place = &job->steps[i].input;
    int at = bq_graph_maker(job, i);
    const struct bq_step *maker = at < 0 ? NULL : &job->steps[at];
    if (maker && place->file && strcmp(maker->output.dataset, place->dataset)) {
        bq_fail(err, BQ_EXIT_USAGE, "step '%s' writes %s into %s, not %s", maker->name,
                maker->output.dataset, place->file, place->dataset);
        return fail_at(err, job, place->line);
    }
    if (!place->file || maker)
        return 0;
    struct bq_input *input = bq_input_open(place->file, place->dataset, err);
    bq_input_close(input);
    return input ? 0 : fail_at(err, job, place->line);
}

static int check_output(const struct bq_job *job, size_t i, bool force, struct bq_error *err)
{
    const struct bq_place *place = &job->steps[i].output;
    for (size_t j = 0; place->file && j < i; j++) {
        const char *other = job->steps[j].output.file;
        if (other && strcmp(other, place->file) == 0) {
            bq_fail(err, BQ_EXIT_USAGE,
                    "steps '%s' and '%s' both write %s: each output needs a file of its own",
                    job->steps[j].name, job->steps[i].name, place->file);
            return fail_at(err, job, place->line);
        }
    }
    struct bq_output_spec spec = {.file = place->file,
                                  .dataset = place->dataset,
                                  .type = BQ_U8,
                                  .space = {1, {1}},
                                  .force = force};
    return place->file && bq_output_check(&spec, err) < 0 ? fail_at(err, job, place->line) : 0;
}

int bq_resolve_check(const struct bq_job *job, bool force, const struct bq_resume *resume,
                     struct bq_error *err)
{
    for (size_t i = 0; i < job->n_steps; i++) {
        bool is_there = resume && bq_resume_has_output(resume, i);
        if (check_input(job, i, err) < 0 || check_output(job, i, force || is_there, err) < 0)
            return -1;
    }
    return 0;
}
