/* Carrying out chunks: what a cook does from the first byte of the input to the last of the output.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "adapters/clock.h"
#include "adapters/transport.h"
#include "adapters/vitals.h"
#include "base/heap.h"
#include "core/number.h"
#include "run/execute_internal.h"

#define LONGEST_WAIT (UINT64_C(1) << 60) /* ns; a clock may be added to it */

/* -- the kernel --------------------------------------------------------------------------- */

/* A call of the kernel, by one cook or shared by a team; the answer is that of part 0, a failure
 * of any part is a failure. */
struct shared_call {
    const struct bq_kernel *kernel;
    uint32_t step;
    uint64_t deadline_ns;
    struct bq_call call;
    atomic_int has_failed;
    enum bq_answer answer; /* part 0, as the rest */
    uint64_t wait_ns;
    int wait_fd;
    short wait_events;
    char message[120];
};

static void call_part(void *arg, unsigned part, unsigned n_parts)
{
    struct shared_call *shared = arg;
    struct bq_call call = shared->call;
    call.part = part;
    call.n_parts = n_parts;
    bq_vitals_begin(shared->step, call.chunk, shared->deadline_ns);
    enum bq_answer answer = shared->kernel->cook(&call);
    bq_vitals_end();
    if (answer == BQ_FAIL && !atomic_exchange(&shared->has_failed, 1))
        memcpy(shared->message, call.message, sizeof shared->message);
    if (part == 0) {
        shared->answer = answer;
        shared->wait_ns = call.wait_ns;
        shared->wait_fd = call.wait_fd;
        shared->wait_events = call.wait_events;
    }
}

static enum bq_answer call_kernel(struct bq_executor *x, struct bench *bench, struct bq_unit *unit,
                                  void *acc, char *message)
{
    struct shared_call shared = {.kernel = x->kernel,
                                 .step = x->step,
                                 .deadline_ns = x->recipe->deadline_ns,
                                 .call = {.params = x->recipe->params,
                                          .space = &x->recipe->plan.space,
                                          .chunk = bench->chunk,
                                          .in = &bench->in_block,
                                          .out = &bench->out_block,
                                          .acc = acc,
                                          .halo = x->recipe->plan.halo.width,
                                          .state = bench->state,
                                          .stage = bench->stage,
                                          .wait_fd = -1}};
    if (bench->state && bench->stage == 0)
        memset(bench->state, 0, (size_t)x->recipe->state_size);
    bench->has_state = true;
    if (x->recipe->is_team)
        bq_pool_team(unit->pool, call_part, &shared);
    else
        call_part(&shared, 0, 1);
    unit->wait_ns = shared.wait_ns < LONGEST_WAIT ? shared.wait_ns : LONGEST_WAIT;
    if (shared.wait_fd >= 0 && shared.wait_ns == 0)
        unit->wait_ns = BQ_POOL_EVENT;
    unit->wait_fd = shared.wait_fd;
    unit->wait_events = shared.wait_events;
    memcpy(message, shared.message, sizeof shared.message);
    if (!atomic_load(&shared.has_failed) && shared.answer == BQ_DONE)
        bq_vitals_survived(x->step, bench->chunk);
    return atomic_load(&shared.has_failed) ? BQ_FAIL : shared.answer;
}

void bq_abandon(struct bq_executor *x, struct bench *bench)
{
    if (bench->has_state && bench->state && x->kernel->abandon) {
        bq_vitals_doing("abandon");
        x->kernel->abandon(bench->state);
        bq_vitals_doing(NULL);
    }
    bench->has_state = false;
}

/* -- one chunk ---------------------------------------------------------------------------- */

/* No memory for the reason is a reason too: the payload stays NULL. */
static enum bq_unit_answer refuse(struct bq_unit *unit, const char *why, enum bq_refused_by by)
{
    struct bq_refusal *refusal = bq_alloc(1, sizeof *refusal);
    if (refusal) {
        refusal->by = by;
        snprintf(refusal->why, sizeof refusal->why, "%.250s", why);
    }
    unit->payload = refusal;
    return BQ_UNIT_FAILED;
}

/* Lays out the bench and fetches the input. */
static enum bq_intake_answer begin(struct bq_executor *x, struct bench *bench, struct bq_unit *unit,
                                   uint64_t chunk, struct bq_error *err)
{
    bench->chunk = chunk;
    bench->stage = 0;
    bench->in_block.n = bench->out_block.n =
        bq_plan_chunk(&x->recipe->plan, chunk, bench->box.offset, bench->box.extent);
    memcpy(bench->window, bench->box.extent, sizeof bench->window);
    if (x->recipe->plan.halo.is_any) {
        bq_window_extent(&x->recipe->plan, chunk, bench->window);
        bench->in_block.n = 1;
        for (int i = 0; i < bench->box.rank; i++)
            bench->in_block.n *= bench->window[i];
    }
    if (!x->intake)
        return BQ_INTAKE_HERE;
    atomic_fetch_add_explicit(&x->bytes_in, bench->out_block.n * bq_type_size(x->recipe->in_type),
                              memory_order_relaxed);
    return bq_intake_begin(x->intake, unit, chunk, bench->in, unit->may_wait, err);
}

/* Digests and encodes a chunk; `by`: as for bq_outlet_encode. */
static int encode(struct bq_executor *x, struct bench *bench, struct bq_unit *unit, unsigned by,
                  struct bq_error *err)
{
    size_t size = bench->out_block.n * bq_type_size(x->recipe->out_type);
    bq_merge_digest(bench->chunk, bench->out_block.data, size, unit->result);
    return bq_outlet_encode(x->outlet, unit, by, &bench->box, err);
}

static int write_out(struct bq_executor *x, struct bench *bench, struct bq_unit *unit, unsigned by,
                     struct bq_error *err)
{
    if (bq_outlet_write(x->outlet, unit, by, bench->chunk, &bench->box, unit->result, err) < 0)
        return -1;
    atomic_fetch_add_explicit(&x->bytes_out, bench->out_block.n * bq_type_size(x->recipe->out_type),
                              memory_order_relaxed);
    return 0;
}

static enum bq_unit_answer finish(struct bq_executor *x, struct bench *bench, struct bq_unit *unit)
{
    struct bq_error err = {0};
    if (x->outlet && (encode(x, bench, unit, unit->cook, &err) < 0 ||
                      write_out(x, bench, unit, unit->cook, &err) < 0)) {
        bq_outlet_drop(x->outlet, unit);
        return refuse(unit, err.text, BQ_BY_OUTPUT);
    }
    if (x->intake)
        bq_intake_cooked(x->intake, unit->cook, bq_now() - bench->begun);
    return BQ_UNIT_DONE;
}

/* What the kernel needs beside the input. */
static int set_table(struct bq_executor *x, struct bench *bench, struct bq_unit *unit)
{
    if (x->result_size)
        bq_merge_nothing(&x->merge, unit->result);
    return x->outlet && !(bench->out_block.data = bq_outlet_begin(x->outlet, unit)) ? -1 : 0;
}

/* Where the job allows none in the output: whether there is a NaN, and then says where. */
static bool has_nan(const struct bq_executor *x, const struct bench *bench, char message[120])
{
    const struct bq_block *out = &bench->out_block;
    if (!x->recipe->output.refuses_nan || !out->data)
        return false;
    uint64_t at = bq_number_find_nan(out->type, out->data, out->n), place[BQ_MAX_RANK];
    if (at == out->n)
        return false;
    for (int i = out->rank; i-- > 0; at /= out->extent[i])
        place[i] = out->offset[i] + at % out->extent[i];
    int n = snprintf(message, 120, "it writes NaN where `nan: refuse` allows none, at ");
    for (int i = 0; i < out->rank && n < 120; i++)
        n += snprintf(message + n, 120 - (size_t)n, "%s%llu", i ? ", " : "[",
                      (unsigned long long)place[i]);
    if (n < 119)
        strcpy(message + n, "]");
    return true;
}

/* The kernel: BQ_UNIT_DONE when it has finished the chunk. */
static enum bq_unit_answer cook_chunk(struct bq_executor *x, struct bench *bench,
                                      struct bq_unit *unit)
{
    const struct bq_recipe *recipe = x->recipe;
    unsigned char *acc = (unsigned char *)unit->result + (recipe->has_output ? BQ_DIGEST_SIZE : 0);
    char message[120] = "";
    enum bq_answer answer = call_kernel(x, bench, unit, recipe->acc_size ? acc : NULL, message);
    bool is_closed = answer == BQ_WAIT && unit->wait_fd >= 0 && fcntl(unit->wait_fd, F_GETFD) < 0;
    if (answer == BQ_WAIT && (x->kernel->flags & BQ_WAITS) && !is_closed && !x->line) {
        bench->stage++;
        return BQ_UNIT_WAITS;
    }
    if (answer == BQ_DONE) {
        bench->has_state = false;
        if (!has_nan(x, bench, message))
            return BQ_UNIT_DONE;
    }
    bq_abandon(x, bench);
    if (x->outlet)
        bq_outlet_drop(x->outlet, unit);
    message[sizeof message - 1] = 0;
    return refuse(unit,
                  message[0]          ? message
                  : is_closed         ? "the kernel waits for a descriptor that is not open"
                  : answer == BQ_WAIT ? "the kernel waits, but its flags lack BQ_WAITS"
                                      : "the kernel gives no reason",
                  BQ_BY_KERNEL);
}

/* Onto the line; for the pool the chunk waits. */
static enum bq_unit_answer put_on_line(struct bq_executor *x, struct bench *bench,
                                       struct bq_unit *unit)
{
    bench->unit = *unit;
    bench->is_on_line = true;
    unit->wait_ns = BQ_POOL_EVENT;
    if (bq_line_put(x->line, unit->meter, &bench->on_line))
        return BQ_UNIT_WAITS;
    bench->is_on_line = false;
    return refuse(unit, "stopped", BQ_BY_KERNEL);
}

/* The chunk of a unit: begins it, or goes on where it waited. */
static enum bq_unit_answer execute_chunk(struct bq_executor *x, struct bench *bench,
                                         struct bq_unit *unit, uint64_t chunk)
{
    struct bq_error err = {0};
    if (bench->is_on_line && unit->stage > 0) {
        bench->is_on_line = false;
        unit->payload = bench->unit.payload;
        return bench->answer;
    }
    if (unit->stage == 0 || bench->is_fetching) {
        bench->begun = bq_now();
        enum bq_intake_answer here = unit->stage == 0 ? begin(x, bench, unit, chunk, &err)
                                                      : bq_intake_finish(x->intake, unit, &err);
        bench->is_fetching = here == BQ_INTAKE_LATER;
        if (here == BQ_INTAKE_LATER) {
            unit->wait_ns = BQ_POOL_EVENT;
            return BQ_UNIT_WAITS;
        }
        if (here == BQ_INTAKE_FAILED)
            return refuse(unit, err.text, BQ_BY_INPUT);
        if (x->line)
            return put_on_line(x, bench, unit);
        if (set_table(x, bench, unit) < 0)
            return refuse(unit, "stopped", BQ_BY_KERNEL);
    }
    enum bq_unit_answer answer = cook_chunk(x, bench, unit);
    return answer == BQ_UNIT_DONE ? finish(x, bench, unit) : answer;
}

/* -- stages of a pipeline ----------------------------------------------------------------- */

void bq_drop_on_line(struct bench *bench)
{
    void *payload = bench->is_on_line ? bench->unit.payload : NULL;
    bench->is_on_line = false;
    if (payload && bench->answer == BQ_UNIT_FAILED)
        bq_free(payload);
    else if (payload)
        ((struct bq_parcel *)payload)->release(payload);
}

/* Off the line: the cook that read it takes it from here. */
static bool leave(struct bq_executor *x, struct bench *bench, enum bq_unit_answer answer)
{
    bench->answer = answer;
    bq_line_leave(x->line, &bench->on_line);
    bq_pool_ready(bench->unit.pool, bench->unit.cook, bench->unit.slot);
    return false;
}

bool bq_execute_stage(void *context, enum bq_line_stage stage, unsigned worker,
                      struct bq_meter *meter, struct bq_on_line *chunk)
{
    struct bq_executor *x = context;
    struct bench *bench = (struct bench *)chunk;
    struct bq_unit *unit = &bench->unit;
    struct bq_error err = {0};
    unit->meter = meter;
    if (stage == BQ_LINE_KERNEL) {
        if (set_table(x, bench, unit) < 0)
            return leave(x, bench, refuse(unit, "stopped", BQ_BY_KERNEL));
        enum bq_unit_answer answer = cook_chunk(x, bench, unit);
        return (answer == BQ_UNIT_DONE && x->outlet) || leave(x, bench, answer);
    }
    bool is_write = stage == BQ_LINE_WRITE;
    unsigned by = x->n_cooks + worker;
    if ((is_write ? write_out : encode)(x, bench, unit, by, &err) < 0) {
        bq_outlet_drop(x->outlet, unit);
        return leave(x, bench, refuse(unit, err.text, BQ_BY_OUTPUT));
    }
    return !is_write || leave(x, bench, BQ_UNIT_DONE);
}

/* ----------------------------------------------------------------------------------------- */

enum bq_unit_answer bq_execute(void *context, struct bq_unit *unit)
{
    struct bq_executor *x = context;
    struct bench *bench = &x->benches[unit->cook * x->n_slots + unit->slot];
    if (unit->node.level == 0)
        return execute_chunk(x, bench, unit, unit->node.first);
    /* A run: results climb the tree on a stack, siblings combined as soon as both are there. */
    struct bq_node top[BQ_POOL_MAX_LEVEL + 2];
    unsigned depth = 0;
    void *result = unit->result;
    for (uint64_t i = 0; i < bq_node_size(unit->node); i++) {
        uint64_t chunk = unit->node.first + i;
        unit->result = bench->stack + depth * x->stride;
        enum bq_unit_answer answer = execute_chunk(x, bench, unit, chunk);
        unit->result = result;
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
