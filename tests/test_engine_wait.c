/* The whole program in this process, with kernels that wait for descriptors and keep a state. */
#include "banquet/banquet.h"

#include <dirent.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "cunit.h"

#define N 200

/* -- a kernel that counts what it was given and what it gave back ------------------------- */

struct state {
    int fd, other; /* one more than the descriptor: 0 is none */
    uint64_t chunk;
    unsigned char rest[1000];
};

static struct {
    atomic_uint n_begun, n_done, n_failed, n_abandoned, n_dirty, n_wrong;
    atomic_int n_held;      /* states that hold something */
    atomic_uint ended[N];   /* times that a chunk was done, failed or abandoned */
    bool stops, is_refused; /* what the kernel is to do */
} seen;

static int hundreds(struct bq_setup *setup)
{
    setup->space = (struct bq_space){1, {N}};
    setup->chunk = (struct bq_space){1, {1}};
    setup->acc_size = sizeof(uint64_t);
    setup->state_size = seen.is_refused ? BQ_MAX_STATE + 1 : sizeof(struct state);
    return 0;
}

static void give_back(struct state *state)
{
    if (state->fd)
        close(state->fd - 1);
    if (state->other)
        close(state->other - 1);
    state->fd = state->other = 0;
    atomic_fetch_sub(&seen.n_held, 1);
}

static enum bq_answer fail(struct bq_call *call)
{
    snprintf(call->message, sizeof call->message, "chunk %u does not like it",
             (unsigned)call->chunk);
    atomic_fetch_add(&seen.n_failed, 1);
    return BQ_FAIL;
}

/* A pipe with something in it, a timer, an event that a timer's end must stand in for, and nothing
 * but a time. */
static enum bq_answer begin(struct bq_call *call, struct state *state)
{
    int ends[2];
    struct itimerspec soon = {.it_value = {.tv_nsec = 2000000}};
    state->chunk = call->chunk;
    memset(state->rest, 0xa5, sizeof state->rest);
    atomic_fetch_add(&seen.n_held, 1);
    call->wait_events = POLLIN;
    switch (call->chunk % 4) {
    case 0:
        if (pipe(ends) < 0 || write(ends[1], "x", 1) != 1)
            return fail(call);
        state->fd = ends[0] + 1;
        state->other = ends[1] + 1;
        break;
    case 1:
        state->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK) + 1;
        timerfd_settime(state->fd - 1, 0, &soon, NULL);
        break;
    case 2:
        state->fd = eventfd(0, EFD_NONBLOCK) + 1;
        call->wait_ns = 3000000;
        break;
    default:
        call->wait_ns = 1000000;
    }
    if (seen.stops) { /* until the end of all days */
        call->wait_events = 0;
        call->wait_ns = call->chunk % 4 == 3 ? 3600000000000 : 0;
        if (call->chunk == 37)
            raise(SIGTERM);
    }
    if (call->chunk == 11)
        return fail(call); /* at once, with its hands full */
    call->wait_fd = state->fd - 1;
    return BQ_WAIT;
}

static enum bq_answer wait_and_count(struct bq_call *call)
{
    static const struct state nothing;
    struct state *state = call->state;
    char byte[8];
    if (call->stage == 0) {
        atomic_fetch_add(&seen.n_begun, 1);
        atomic_fetch_add(&seen.n_dirty, memcmp(state, &nothing, sizeof nothing) != 0);
        return begin(call, state);
    }
    if (state->chunk != call->chunk || state->rest[999] != 0xa5)
        atomic_fetch_add(&seen.n_wrong, 1);
    if (call->stage == 1 && call->chunk % 4 < 2 && read(state->fd - 1, byte, sizeof byte) <= 0)
        atomic_fetch_add(&seen.n_wrong, 1);
    if (call->stage == 1 && call->chunk % 5 == 0) { /* waits once more, for a time */
        call->wait_ns = 500000;
        return BQ_WAIT;
    }
    if (call->chunk == 12)
        return fail(call);
    give_back(state);
    memset(state->rest, 0xff, sizeof state->rest); /* nobody else may see it */
    *(uint64_t *)call->acc += call->chunk;
    atomic_fetch_add(&seen.n_done, 1);
    atomic_fetch_add(&seen.ended[call->chunk], 1);
    return BQ_DONE;
}

static void abandon(void *at)
{
    struct state *state = at;
    atomic_fetch_add(&seen.ended[state->chunk], 1);
    atomic_fetch_add(&seen.n_abandoned, 1);
    give_back(state);
}

static void add(const union bq_value *params, void *into, const void *next)
{
    (void)params;
    *(uint64_t *)into += *(const uint64_t *)next;
}

static void present(const union bq_value *params, const void *acc, struct bq_sink *sink)
{
    (void)params;
    sink->integer(sink, "sum", *(const uint64_t *)acc);
}

static const struct bq_kernel keeper = {.abi = BQ_KERNEL_ABI,
                                        .flags = BQ_WAITS,
                                        .name = "keeper",
                                        .summary = "keeps a state and waits for descriptors",
                                        .prepare = hundreds,
                                        .cook = wait_and_count,
                                        .abandon = abandon,
                                        .combine = add,
                                        .present = present};

static enum bq_answer wait_for_nothing(struct bq_call *call)
{
    if (call->stage == 0 && call->chunk == 3) {
        call->wait_fd = 1 << 20; /* no such descriptor */
        return BQ_WAIT;
    }
    return BQ_DONE;
}

static const struct bq_kernel confused = {.abi = BQ_KERNEL_ABI,
                                          .flags = BQ_WAITS,
                                          .name = "confused",
                                          .summary = "waits for what is not there",
                                          .prepare = hundreds,
                                          .cook = wait_for_nothing,
                                          .combine = add,
                                          .present = present};

/* -- running ------------------------------------------------------------------------------ */

static unsigned open_descriptors(void)
{
    unsigned n = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        n++;
    if (folder)
        closedir(folder);
    return n;
}

/* Returns the exit code; *report: the JSON or NULL, to be given to json_decref. */
static int run(const struct bq_kernel *kernel, unsigned cooks, unsigned open, json_t **report)
{
    char folder[] = "/tmp/banquet-wait-XXXXXX", job[64], out[64];
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(job, sizeof job, "%s/job.yaml", folder);
    snprintf(out, sizeof out, "%s/out.json", folder);
    FILE *file = fopen(job, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fprintf(file, "kernel: %s\nopen: %u\ncooks: %u\n", kernel->name, open, cooks);
    fclose(file);
    char program[] = "banquet", command[] = "run", json[] = "--json", quiet[] = "--quiet";
    char *argv[] = {program, command, job, json, out, quiet, NULL};
    fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    CU_ASSERT_PTR_NOT_NULL_FATAL(freopen("/dev/null", "w", stdout));
    int code = bq_program(6, argv, &kernel, 1);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    *report = json_load_file(out, 0, NULL);
    unlink(out);
    unlink(job);
    CU_ASSERT_EQUAL(rmdir(folder), 0);
    return code;
}

static int64_t sum(const json_t *report)
{
    return json_integer_value(json_object_get(json_object_get(report, "results"), "sum"));
}

static void forget(void)
{
    memset(&seen, 0, sizeof seen);
}

/* Chunks that fail are tried again before they are given up; each time is an end. */
static bool has_each_ended_once(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < N; i++) {
        unsigned times = atomic_load(&seen.ended[i]);
        if (times > 1 && i != 11 && i != 12)
            return false;
        n += times;
    }
    return n == seen.n_begun && n == seen.n_done + seen.n_abandoned;
}

static void a_state_is_new_for_each_chunk_and_given_back_once(void)
{
    static const unsigned open[] = {1, 8, 500};
    for (unsigned cooks = 1; cooks <= 3; cooks++) {
        for (unsigned i = 0; i < 3; i++) {
            json_t *report;
            forget();
            unsigned before = open_descriptors();
            CU_ASSERT_EQUAL(run(&keeper, cooks, open[i], &report), 3); /* 11 and 12 fail */
            CU_ASSERT_EQUAL(sum(report), N * (N - 1) / 2 - 11 - 12);
            CU_ASSERT_EQUAL(seen.n_done, N - 2);
            CU_ASSERT(seen.n_failed >= 2);
            CU_ASSERT_EQUAL(seen.n_abandoned, seen.n_failed);
            CU_ASSERT(has_each_ended_once());
            CU_ASSERT(seen.n_dirty == 0 && seen.n_wrong == 0 && seen.n_held == 0);
            CU_ASSERT_EQUAL(open_descriptors(), before);
            json_decref(report);
        }
    }
}

static void a_stop_abandons_every_chunk_that_waits_once(void)
{
    json_t *report;
    forget();
    seen.stops = true;
    unsigned before = open_descriptors();
    CU_ASSERT_EQUAL(run(&keeper, 1, 64, &report), 75); /* so that chunk 37 is begun */
    CU_ASSERT(seen.n_abandoned >= 37);
    CU_ASSERT(has_each_ended_once());
    CU_ASSERT_EQUAL(seen.n_held, 0);
    CU_ASSERT_EQUAL(open_descriptors(), before);
    CU_ASSERT_PTR_NULL(report);
}

static void waiting_for_what_is_not_open_fails_that_chunk(void)
{
    json_t *report;
    forget();
    CU_ASSERT_EQUAL(run(&confused, 2, 4, &report), 3);
    const json_t *given_up = json_object_get(report, "given_up");
    CU_ASSERT_EQUAL(json_array_size(given_up), 1);
    CHECK_TEXT(json_string_value(json_object_get(json_array_get(given_up, 0), "why")),
               "the kernel waits for a descriptor that is not open");
    json_decref(report);
}

static void a_state_too_large_is_refused(void)
{
    json_t *report;
    forget();
    seen.is_refused = true;
    CU_ASSERT_EQUAL(run(&keeper, 1, 1, &report), 2);
    CU_ASSERT_PTR_NULL(report);
}

static const struct test tests[] = {
    {"a state is new for each chunk, and given back once",
     a_state_is_new_for_each_chunk_and_given_back_once},
    {"a stop abandons every chunk that waits, once", a_stop_abandons_every_chunk_that_waits_once},
    {"waiting for what is not open fails that chunk",
     waiting_for_what_is_not_open_fails_that_chunk},
    {"a state too large is refused", a_state_too_large_is_refused},
};

RUN_TESTS("engine_wait", tests)
