/* One chunk, from its box to a copy of what came out, in guarded memory. */
#include "check/internal.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_STAGES 100000
#define LONGEST_NAP 20000000 /* ns: a wait of the kernel's is not waited for longer */
#define STACK 16384

enum { IN, OUT, ACC, STATE, N_GUARDED };

struct bench {
    struct guarded memory[N_GUARDED];
    uint64_t offset[BQ_MAX_RANK], extent[BQ_MAX_RANK], in_extent[BQ_MAX_RANK];
    struct bq_block in, out;
    struct bq_call call;
    unsigned char *input; /* as it was */
};

/* What a function finds in variables that it does not set is what the last one left there. */
static void __attribute__((noinline)) scribble(unsigned char garbage)
{
    volatile unsigned char stack[STACK];
    for (size_t i = 0; i < sizeof stack; i++)
        stack[i] = garbage;
}

static void lay_out(struct bench *b, const struct round *round, const struct cut *cut, uint64_t id,
                    unsigned char garbage)
{
    const struct bq_setup *s = &round->setup;
    uint64_t n = 1, n_in = 1;
    memset(b, 0, sizeof *b);
    cut_box(round, cut, id, b->offset, b->extent);
    for (int i = 0; i < s->space.rank; i++) {
        b->in_extent[i] = b->extent[i] + (s->has_input ? 2 * s->halo[i] : 0);
        n *= b->extent[i];
        n_in *= b->in_extent[i];
    }
    size_t in_size = s->has_input ? n_in * bq_type_size(s->in_type) : 0;
    b->memory[IN] = guard("its input", in_size, round->at_end);
    b->memory[OUT] =
        guard("its output", s->has_output ? n * bq_type_size(s->out_type) : 0, round->at_end);
    b->memory[ACC] = guard("its accumulator", s->acc_size, round->at_end);
    b->memory[STATE] = guard("its state", s->state_size, round->at_end);
    if (in_size) {
        copy_input(round, b->offset, b->extent, b->memory[IN].data);
        b->input = need(in_size);
        memcpy(b->input, b->memory[IN].data, in_size);
    }
    if (b->memory[OUT].data)
        memset(b->memory[OUT].data, garbage, b->memory[OUT].size);
    guard_watch(b->memory, N_GUARDED);
    if (round->kernel->init && s->acc_size)
        round->kernel->init(round->params, b->memory[ACC].data);
    guard_read_only(&b->memory[IN]);
    b->in = (struct bq_block){.type = s->has_input ? s->in_type : BQ_U8,
                              .rank = s->space.rank,
                              .extent = b->in_extent,
                              .offset = b->offset,
                              .n = n_in,
                              .data = b->memory[IN].data};
    b->out = (struct bq_block){.type = s->out_type,
                               .rank = s->space.rank,
                               .extent = b->extent,
                               .offset = b->offset,
                               .n = n,
                               .data = b->memory[OUT].data};
    b->call = (struct bq_call){.params = round->params,
                               .space = &s->space,
                               .chunk = id,
                               .in = &b->in,
                               .out = &b->out,
                               .acc = b->memory[ACC].data,
                               .halo = s->halo,
                               .state = b->memory[STATE].data,
                               .n_parts = 1,
                               .wait_fd = -1};
}

/* The ends of what it was given, and the input itself. */
static void inspect(const struct bench *b, const struct round *round)
{
    tried(INSIDE);
    for (size_t i = 0; i < N_GUARDED; i++) {
        if (!guard_is_whole(&b->memory[i]))
            failed(INSIDE, round, "it writes beside %s, chunk %llu", b->memory[i].what,
                   (unsigned long long)b->call.chunk);
    }
    if (b->input && memcmp(b->input, b->memory[IN].data, b->memory[IN].size) != 0)
        failed(INSIDE, round, "it changes its input, chunk %llu",
               (unsigned long long)b->call.chunk);
}

static void clear(struct bench *b)
{
    guard_watch(NULL, 0);
    for (size_t i = 0; i < N_GUARDED; i++)
        guard_free(&b->memory[i]);
    free(b->input);
}

/* As long as the kernel wants, but not much longer than an instant: it has to do with being called
 * early. A descriptor is waited for. */
static void wait_for(const struct bq_call *call)
{
    uint64_t ns = call->wait_ns < LONGEST_NAP ? call->wait_ns : LONGEST_NAP;
    struct timespec nap = {0, (long)ns};
    if (call->wait_fd >= 0) {
        struct pollfd on = {.fd = call->wait_fd, .events = call->wait_events};
        uint64_t ms = call->wait_ns / 1000000;
        poll(&on, 1, ms && ms < 10000 ? (int)ms : 10000); /* 0 is without limit */
    } else if (ns) {
        nanosleep(&nap, NULL);
    }
}

static enum bq_answer cook(const struct round *round, struct bench *b, unsigned char garbage)
{
    const struct bq_kernel *kernel = round->kernel;
    for (;;) {
        b->call.wait_ns = 0;
        b->call.wait_fd = -1;
        b->call.wait_events = 0;
        scribble(garbage);
        enum bq_answer answer = kernel->cook(&b->call);
        if (answer != BQ_WAIT)
            return answer;
        if (!(kernel->flags & BQ_WAITS)) {
            failed(FINISHES, round, "it answers BQ_WAIT, but its flags lack BQ_WAITS");
            return BQ_FAIL;
        }
        if (b->call.stage++ > MOST_STAGES) {
            failed(FINISHES, round, "it waits without an end");
            return BQ_FAIL;
        }
        wait_for(&b->call);
    }
}

static void take_copy(unsigned char **copy, size_t *size, const struct guarded *from)
{
    *size = from->size;
    *copy = from->size ? need(from->size) : NULL;
    if (*copy)
        memcpy(*copy, from->data, from->size);
}

struct dish cook_chunk(const struct round *round, const struct cut *cut, uint64_t id,
                       unsigned char garbage, unsigned n_parts)
{
    struct bench b;
    struct dish dish = {.answer = BQ_DONE};
    lay_out(&b, round, cut, id, garbage);
    b.call.n_parts = n_parts;
    for (unsigned part = 0; part < n_parts; part++) {
        b.call.part = part;
        enum bq_answer answer = cook(round, &b, garbage);
        if (answer != BQ_DONE)
            dish.answer = answer;
    }
    if (dish.answer == BQ_FAIL && round->kernel->abandon && b.call.state) {
        round->kernel->abandon(b.call.state);
        tried(LETS_GO);
    }
    inspect(&b, round);
    b.call.message[sizeof b.call.message - 1] = 0;
    snprintf(dish.message, sizeof dish.message, "%s", b.call.message);
    if (dish.answer != BQ_DONE && dish.answer != BQ_FAIL)
        failed(FINISHES, round, "it answers %d, which is no answer", (int)dish.answer);
    if (dish.answer == BQ_FAIL && !dish.message[0])
        failed(FINISHES, round, "it fails chunk %llu without a message", (unsigned long long)id);
    dish.n = b.out.n;
    take_copy(&dish.out, &dish.out_size, &b.memory[OUT]);
    take_copy(&dish.acc, &dish.acc_size, &b.memory[ACC]);
    clear(&b);
    return dish;
}

void dish_free(struct dish *dish)
{
    free(dish->out);
    free(dish->acc);
    *dish = (struct dish){0};
}

void abandon_chunk(const struct round *round, const struct cut *cut, uint64_t id)
{
    struct bench b;
    lay_out(&b, round, cut, id, 0);
    if (round->kernel->cook(&b.call) == BQ_WAIT && round->kernel->abandon) {
        round->kernel->abandon(b.call.state);
        tried(LETS_GO);
    }
    inspect(&b, round);
    clear(&b);
}

/* -- comparing ---------------------------------------------------------------------------- */

static bool is_all(const unsigned char *at, size_t n, unsigned char value)
{
    for (size_t i = 0; i < n; i++) {
        if (at[i] != value)
            return false;
    }
    return true;
}

const char *dishes_differ(const struct round *round, const struct dish *a, const struct dish *b,
                          const unsigned char garbage[2], char *out, size_t size)
{
    size_t element = bq_type_size(round->setup.out_type);
    if (a->answer != b->answer) {
        snprintf(out, size, "once it answers %d and once %d", (int)a->answer, (int)b->answer);
        return out;
    }
    if (a->answer != BQ_DONE)
        return NULL;
    for (size_t i = 0; i < a->out_size; i += element) {
        if (memcmp(a->out + i, b->out + i, element) == 0)
            continue;
        bool is_unwritten = garbage[0] != garbage[1] && is_all(a->out + i, element, garbage[0]) &&
                            is_all(b->out + i, element, garbage[1]);
        snprintf(out, size,
                 is_unwritten
                     ? "it does not write element %zu of %llu of its output"
                     : "element %zu of %llu of the output differs: a mutable global, rand(), a "
                       "clock, or memory that was not set",
                 i / element, (unsigned long long)a->n);
        return out;
    }
    if (a->acc_size && memcmp(a->acc, b->acc, a->acc_size) != 0) {
        size_t i = 0;
        while (a->acc[i] == b->acc[i])
            i++;
        snprintf(
            out, size,
            "byte %zu of %zu of the accumulator differs: a mutable global, rand(), a clock, or "
            "memory that was not set (padding of a struct counts)",
            i, a->acc_size);
        return out;
    }
    return NULL;
}
