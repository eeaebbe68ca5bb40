#include "run/execute.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "adapters/store.h"
#include "base/heap.h"
#include "core/wire.h"
#include "run/merge.h"
#include "run/out_buffer.h"

#define FIXED 17 /* bytes of a RESULT before its nodes */

/* What one open chunk of one cook needs. */
struct bench {
    void *in;
    struct bq_out_buffer *out;
    uint64_t offset[BQ_MAX_RANK], extent[BQ_MAX_RANK];
    struct bq_block in_block, out_block;
    unsigned char *stack; /* results of a run on their way up the tree */
};

struct bq_executor {
    const struct bq_recipe *recipe;
    const struct bq_kernel *kernel;
    struct bq_merge merge;
    uint32_t step;
    struct bq_input *input;
    pthread_mutex_t reading; /* guards input: one cook reads, the others compute */
    size_t result_size, stride;
    size_t header; /* bytes in front of the data in an out_buffer */
    unsigned n_benches;
    struct bench *benches;
    struct bq_out_pool *out; /* NULL when the step has no output */
    _Atomic uint64_t bytes_in, bytes_out;
};

/* -- creation ----------------------------------------------------------------------------- */

static uint64_t in_bytes(const struct bq_recipe *recipe)
{
    return recipe->has_input ? recipe->plan.max_elements * bq_type_size(recipe->in_type) : 0;
}

static uint64_t out_bytes(const struct bq_recipe *recipe)
{
    return recipe->has_output ? recipe->plan.max_elements * bq_type_size(recipe->out_type) : 0;
}

static unsigned n_buffers(const struct bq_recipe *recipe, unsigned n_cooks)
{
    return recipe->has_output ? n_cooks * (recipe->open + 1) + 1 : 0;
}

bool bq_executor_takes_runs(const struct bq_recipe *recipe, const struct bq_kernel *kernel)
{
    return !recipe->has_output && !(kernel->flags & BQ_WAITS) && recipe->open == 1 &&
           !recipe->is_team;
}

/* Results of a run on their way up the tree. */
static uint64_t stack_bytes(const struct bq_recipe *recipe)
{
    return (BQ_POOL_MAX_LEVEL + 2) * ((bq_recipe_result_size(recipe) + 63) / 64 * 64);
}

uint64_t bq_executor_memory(const struct bq_recipe *recipe, unsigned n_cooks)
{
    uint64_t benches = (uint64_t)n_cooks * recipe->open;
    uint64_t results = benches * bq_recipe_result_size(recipe);
    if (!recipe->has_output && recipe->open == 1)
        results += n_cooks * stack_bytes(recipe);
    return benches * in_bytes(recipe) + n_buffers(recipe, n_cooks) * out_bytes(recipe) + results;
}

static int bench_create(struct bq_executor *x, struct bench *bench)
{
    const struct bq_plan *plan = &x->recipe->plan;
    bench->in = x->recipe->has_input ? bq_alloc(1, in_bytes(x->recipe)) : NULL;
    bool has_runs = bq_executor_takes_runs(x->recipe, x->kernel);
    bench->stack = has_runs ? bq_alloc(1, stack_bytes(x->recipe)) : NULL;
    bench->in_block = (struct bq_block){.type = x->recipe->in_type,
                                        .rank = plan->space.rank,
                                        .extent = bench->extent,
                                        .offset = bench->offset,
                                        .data = bench->in};
    bench->out_block = bench->in_block;
    bench->out_block.type = x->recipe->out_type;
    bench->out_block.data = NULL;
    return (x->recipe->has_input && !bench->in) || (has_runs && !bench->stack) ? -1 : 0;
}

/* The coordinator's plan is for the file that it saw; another one here would give wrong numbers. */
static int check_input(const struct bq_executor *x, struct bq_error *err)
{
    const struct bq_input_info *info = bq_input_info(x->input);
    const struct bq_recipe *recipe = x->recipe;
    if (info->type == recipe->in_type && info->file_bytes == recipe->file_bytes &&
        info->file_mtime_ns == recipe->file_mtime_ns &&
        info->space.rank == recipe->plan.space.rank &&
        memcmp(info->space.extent, recipe->plan.space.extent,
               (size_t)info->space.rank * sizeof *info->space.extent) == 0)
        return 0;
    return bq_fail(err, BQ_EXIT_FAILED,
                   "%s is not the file that the coordinator sees (size, time or shape differ)",
                   recipe->file);
}

struct bq_executor *bq_executor_create(const struct bq_recipe *recipe,
                                       const struct bq_kernel *kernel, uint32_t step,
                                       unsigned n_cooks, struct bq_error *err)
{
    struct bq_executor *x = bq_alloc(1, sizeof *x);
    if (!x) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return NULL;
    }
    x->recipe = recipe;
    x->kernel = kernel;
    x->merge = (struct bq_merge){.recipe = recipe, .kernel = kernel};
    x->step = step;
    x->result_size = bq_recipe_result_size(recipe);
    x->stride = (x->result_size + 63) / 64 * 64;
    x->header = (FIXED + bq_wire_node_size(x->result_size) + 63) / 64 * 64;
    pthread_mutex_init(&x->reading, NULL);
    if (recipe->has_input) {
        x->input = bq_input_open(recipe->file, recipe->dataset, err);
        if (!x->input || check_input(x, err) < 0)
            goto failed;
    }
    x->benches = bq_alloc((size_t)n_cooks * recipe->open, sizeof *x->benches);
    for (unsigned i = 0; x->benches && i < n_cooks * recipe->open; i++) {
        x->n_benches = i + 1;
        if (bench_create(x, &x->benches[i]) < 0)
            goto no_memory;
    }
    if (recipe->has_output)
        x->out = bq_out_pool_create(n_buffers(recipe, n_cooks), x->header, out_bytes(recipe));
    if (!x->benches || (recipe->has_output && !x->out))
        goto no_memory;
    return x;

no_memory:
    bq_fail(err, BQ_EXIT_FAILED,
            "out of memory: %u cooks need %llu MiB for their chunks; use fewer cooks or a smaller "
            "`chunk`",
            n_cooks, (unsigned long long)(bq_executor_memory(recipe, n_cooks) >> 20));
failed:
    bq_executor_destroy(x);
    return NULL;
}

void bq_executor_destroy(struct bq_executor *x)
{
    if (!x)
        return;
    for (unsigned i = 0; i < x->n_benches; i++) {
        bq_free(x->benches[i].in);
        bq_free(x->benches[i].stack);
    }
    bq_out_pool_destroy(x->out);
    bq_free(x->benches);
    bq_input_close(x->input);
    pthread_mutex_destroy(&x->reading);
    bq_free(x);
}

bool bq_executor_is_settled(struct bq_executor *x)
{
    return !x->out || bq_out_is_settled(x->out);
}

void bq_executor_stop(struct bq_executor *x)
{
    if (x->out)
        bq_out_stop(x->out);
}

void bq_executor_abandon(struct bq_executor *x)
{
    for (unsigned i = 0; i < x->n_benches; i++) {
        struct bq_out_buffer *out = x->benches[i].out;
        x->benches[i].out = NULL;
        if (out)
            out->parcel.release(&out->parcel);
    }
}

void bq_executor_bytes(const struct bq_executor *x, uint64_t *in, uint64_t *out)
{
    *in = atomic_load(&x->bytes_in);
    *out = atomic_load(&x->bytes_out);
}

/* -- one chunk ---------------------------------------------------------------------------- */

static enum bq_unit_answer refuse(struct bq_unit *unit, const char *why)
{
    unit->payload = bq_strdup(why);
    return BQ_UNIT_FAILED;
}

static int read_chunk(struct bq_executor *x, struct bench *bench, struct bq_meter *meter,
                      struct bq_error *err)
{
    if (pthread_mutex_trylock(&x->reading)) {
        bq_meter_enter(meter, BQ_PHASE_LOCK);
        pthread_mutex_lock(&x->reading);
    }
    bq_meter_enter(meter, BQ_PHASE_FILE);
    int rc = bq_input_read(x->input, bench->offset, bench->extent, bench->in, err);
    pthread_mutex_unlock(&x->reading);
    bq_meter_enter(meter, BQ_PHASE_BUSY);
    atomic_fetch_add_explicit(&x->bytes_in, bench->in_block.n * bq_type_size(x->recipe->in_type),
                              memory_order_relaxed);
    return rc;
}

/* A call of the kernel, by one cook or shared by a team; the answer is that of part 0, a failure
 * of any part is a failure. */
struct shared_call {
    const struct bq_kernel *kernel;
    struct bq_call call;
    atomic_int has_failed;
    enum bq_answer answer; /* part 0 */
    uint64_t wait_ns;
    char message[120];
};

static void call_part(void *arg, unsigned part, unsigned n_parts)
{
    struct shared_call *shared = arg;
    struct bq_call call = shared->call;
    call.part = part;
    call.n_parts = n_parts;
    enum bq_answer answer = shared->kernel->cook(&call);
    if (answer == BQ_FAIL && !atomic_exchange(&shared->has_failed, 1))
        memcpy(shared->message, call.message, sizeof shared->message);
    if (part == 0) {
        shared->answer = answer;
        shared->wait_ns = call.wait_ns;
    }
}

static enum bq_answer call_kernel(struct bq_executor *x, struct bench *bench, struct bq_unit *unit,
                                  uint64_t chunk, void *acc, char *message)
{
    struct shared_call shared = {.kernel = x->kernel,
                                 .call = {.params = x->recipe->params,
                                          .space = &x->recipe->plan.space,
                                          .chunk = chunk,
                                          .in = &bench->in_block,
                                          .out = &bench->out_block,
                                          .acc = acc,
                                          .stage = unit->stage}};
    if (x->recipe->is_team)
        bq_pool_team(unit->pool, call_part, &shared);
    else
        call_part(&shared, 0, 1);
    unit->wait_ns = shared.wait_ns;
    memcpy(message, shared.message, sizeof shared.message);
    return atomic_load(&shared.has_failed) ? BQ_FAIL : shared.answer;
}

/* Builds the message in front of the data. */
static void wrap(struct bq_executor *x, struct bq_out_buffer *out, uint64_t chunk,
                 const void *result, size_t data_size)
{
    size_t head = FIXED + bq_wire_node_size(x->result_size);
    unsigned char *begin = out->data + x->header - head;
    struct bq_writer w = bq_writer(begin, head);
    bq_wire_put(&w, &(struct bq_message){
                        .kind = BQ_RESULT, .step = x->step, .n = 1, .data_size = data_size});
    bq_wire_put_node(&w, (struct bq_node){.first = chunk, .level = 0}, result, x->result_size);
    out->parcel.bytes = begin;
    out->parcel.size = head + data_size;
}

/* Chunk `chunk` into `result`; stage 0 begins it, later ones go on. */
static enum bq_unit_answer execute_chunk(struct bq_executor *x, struct bench *bench,
                                         struct bq_unit *unit, uint64_t chunk, void *result)
{
    const struct bq_recipe *recipe = x->recipe;
    unsigned char *acc = (unsigned char *)result + (recipe->has_output ? BQ_DIGEST_SIZE : 0);
    struct bq_error err = {0};
    if (unit->stage == 0) {
        uint64_t n = bq_plan_chunk(&recipe->plan, chunk, bench->offset, bench->extent);
        bench->in_block.n = bench->out_block.n = n;
        if (x->result_size)
            bq_merge_nothing(&x->merge, result);
        if (recipe->has_input && read_chunk(x, bench, unit->meter, &err) < 0)
            return refuse(unit, err.text);
        if (recipe->has_output) {
            bench->out = bq_out_take(x->out, unit->meter);
            if (!bench->out)
                return refuse(unit, "stopped");
            bench->out_block.data = bench->out->data + x->header;
        }
    }
    char message[120] = "";
    enum bq_answer answer =
        call_kernel(x, bench, unit, chunk, recipe->acc_size ? acc : NULL, message);
    if (answer == BQ_WAIT && (x->kernel->flags & BQ_WAITS))
        return BQ_UNIT_WAITS;
    if (answer != BQ_DONE) {
        if (bench->out)
            bench->out->parcel.release(&bench->out->parcel);
        bench->out = NULL;
        message[sizeof message - 1] = 0;
        return refuse(unit, message[0]          ? message
                            : answer == BQ_WAIT ? "the kernel waits, but its flags lack BQ_WAITS"
                                                : "the kernel gives no reason");
    }
    if (recipe->has_output) {
        size_t size = bench->out_block.n * bq_type_size(recipe->out_type);
        bq_merge_digest(chunk, bench->out_block.data, size, result);
        wrap(x, bench->out, chunk, result, size);
        atomic_fetch_add_explicit(&x->bytes_out, size, memory_order_relaxed);
        unit->payload = &bench->out->parcel;
        bench->out = NULL;
    }
    return BQ_UNIT_DONE;
}

enum bq_unit_answer bq_execute(void *context, struct bq_unit *unit)
{
    struct bq_executor *x = context;
    struct bench *bench = &x->benches[unit->cook * x->recipe->open + unit->slot];
    if (unit->node.level == 0)
        return execute_chunk(x, bench, unit, unit->node.first, unit->result);
    /* A run: results climb the tree on a stack, siblings combined as soon as both are there. */
    struct bq_node top[BQ_POOL_MAX_LEVEL + 2];
    unsigned depth = 0;
    for (uint64_t i = 0; i < bq_node_size(unit->node); i++) {
        uint64_t chunk = unit->node.first + i;
        enum bq_unit_answer answer =
            execute_chunk(x, bench, unit, chunk, bench->stack + depth * x->stride);
        if (answer != BQ_UNIT_DONE) {
            if (answer == BQ_UNIT_FAILED)
                bq_free(unit->payload); /* each chunk is tried alone and says so itself */
            unit->payload = NULL;
            return BQ_UNIT_FAILED;
        }
        if (x->result_size == 0)
            continue;
        top[depth++] = (struct bq_node){.first = chunk, .level = 0};
        while (depth > 1 && bq_node_are_siblings(top[depth - 2], top[depth - 1])) {
            bq_merge_run(&x->merge, bench->stack + (depth - 2) * x->stride,
                         bench->stack + (depth - 1) * x->stride);
            depth--;
            top[depth - 1].level++;
        }
    }
    if (x->result_size)
        memcpy(unit->result, bench->stack, x->result_size);
    return BQ_UNIT_DONE;
}
