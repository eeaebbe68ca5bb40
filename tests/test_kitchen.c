/* A kitchen from the coordinator's side: this test speaks the protocol to it. */
#include "run/kitchen.h"

#include <pthread.h>
#include <stdlib.h>

#include "adapters/transport.h"
#include "base/heap.h"
#include "core/wire.h"
#include "cunit.h"

/* -- a kernel that sums chunk ids --------------------------------------------------------- */

static enum bq_answer cook(struct bq_call *call)
{
    *(uint64_t *)call->acc += call->chunk;
    return BQ_DONE;
}

static void combine(const union bq_value *params, void *into, const void *next)
{
    (void)params;
    *(uint64_t *)into += *(const uint64_t *)next;
}

static const struct bq_kernel ids = {
    .abi = BQ_KERNEL_ABI, .name = "ids", .summary = "sums", .cook = cook, .combine = combine};
static const struct bq_kernel *const kernels[] = {&ids};
static const struct bq_registry registry = {kernels, 1};

/* -- the coordinator that is this test ---------------------------------------------------- */

#define N_CHUNKS 1000

static struct bq_transport *end[2];
static pthread_t thread;
static int kitchen_rc;
static unsigned char seen[N_CHUNKS];
static uint64_t n_seen, sum;

static void *run_kitchen(void *arg)
{
    (void)arg;
    struct bq_error err = {0};
    kitchen_rc = bq_kitchen(end[1], &registry, 20000000000u, NULL, &err);
    return NULL;
}

static void put(const struct bq_message *message, const struct bq_recipe *recipe)
{
    unsigned char bytes[8192];
    struct bq_writer w = bq_writer(bytes, sizeof bytes);
    bq_wire_put(&w, message);
    if (recipe)
        bq_recipe_put(&w, recipe);
    CU_ASSERT_FALSE_FATAL(w.is_bad);
    bq_transport_send_copy(end[0], 1, bytes, (size_t)(w.at - bytes), NULL);
}

static void note_results(struct bq_message *message)
{
    struct bq_node node;
    const void *result;
    uint64_t value;
    while (bq_wire_get_node(message, sizeof value, N_CHUNKS, &node, &result)) {
        memcpy(&value, result, sizeof value);
        sum += value;
        for (uint64_t i = 0; i < bq_node_size(node); i++)
            seen[node.first + i]++;
        n_seen += bq_node_size(node);
    }
    CU_ASSERT_FALSE(message->rest.is_bad);
}

/* Waits for a message of that kind, taking results and requests as they come. The message's own
 * text and numbers stay valid, what `rest` points to does not. */
static struct bq_message await(enum bq_message_kind kind)
{
    for (;;) {
        uint32_t from;
        void *bytes;
        size_t size;
        struct bq_message message;
        if (bq_transport_receive(end[0], &from, &bytes, &size, NULL) != 1) {
            bq_transport_wait(end[0], 1000000000, -1);
            continue;
        }
        CU_ASSERT_EQUAL_FATAL(bq_wire_get(bytes, size, &message), 0);
        if (message.kind == BQ_RESULT)
            note_results(&message);
        struct bq_kitchen_report report = {0};
        if (message.kind == BQ_REPORT) {
            CU_ASSERT_EQUAL(bq_wire_get_report(&message.rest, &report), 0);
            message.count = report.n_chunks;
            bq_free(report.cooks);
        }
        bq_transport_done_with(end[0]);
        if (message.kind == kind)
            return message;
        CU_ASSERT(message.kind == BQ_RESULT || message.kind == BQ_REQUEST ||
                  message.kind == BQ_BEAT || message.kind == BQ_LEAVING ||
                  message.kind == BQ_DROPPED); /* noise may ask it to leave */
    }
}

static struct bq_recipe recipe(const char *kernel)
{
    struct bq_recipe r = {.n_kitchens = 2, .n_cooks = 2, .open = 1, .acc_size = sizeof(uint64_t)};
    strcpy(r.kernel, kernel);
    r.schedule.policy = BQ_GUIDED;
    CU_ASSERT_EQUAL(bq_plan_make(&r.plan, &(struct bq_space){1, {N_CHUNKS}}, (uint64_t[]){1}, NULL),
                    0);
    return r;
}

static void begin(void)
{
    n_seen = sum = 0;
    memset(seen, 0, sizeof seen);
    CU_ASSERT_EQUAL_FATAL(bq_transport_local(end, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, run_kitchen, NULL), 0);
    struct bq_message hello = await(BQ_HELLO);
    CU_ASSERT_EQUAL(hello.n, BQ_WIRE_VERSION);
}

static void finish(void)
{
    put(&(struct bq_message){.kind = BQ_BYE}, NULL);
    await(BQ_BYE);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(kitchen_rc, 0);
    bq_transport_destroy(end[0]);
    bq_transport_destroy(end[1]);
}

/* -- stories ------------------------------------------------------------------------------ */

static void it_cooks_its_first_lease_unasked_and_then_what_it_is_given(void)
{
    struct bq_recipe r = recipe("ids");
    begin();
    put(&(struct bq_message){.kind = BQ_STEP, .step = 1}, &r);
    CU_ASSERT_EQUAL(await(BQ_JOIN).n, 2);
    await(BQ_REQUEST);
    put(&(struct bq_message){.kind = BQ_LEASE, .step = 1, .first = 250, .count = 750}, NULL);
    while (n_seen < N_CHUNKS)
        await(BQ_RESULT);
    CU_ASSERT_EQUAL(sum, (uint64_t)N_CHUNKS * (N_CHUNKS - 1) / 2);
    for (unsigned i = 0; i < N_CHUNKS; i++)
        CU_ASSERT_EQUAL_FATAL(seen[i], 1);
    put(&(struct bq_message){.kind = BQ_CLOSE, .step = 1}, NULL);
    CU_ASSERT_EQUAL(await(BQ_REPORT).count, N_CHUNKS);
    finish();
}

static void one_session_has_many_steps(void)
{
    struct bq_recipe r = recipe("ids");
    begin();
    for (uint32_t step = 1; step <= 3; step++) {
        put(&(struct bq_message){.kind = BQ_STEP, .step = step}, &r);
        await(BQ_JOIN);
        put(&(struct bq_message){.kind = BQ_LEASE, .step = step - 1, .first = 0, .count = 9}, NULL);
        put(&(struct bq_message){.kind = BQ_CLOSE, .step = step}, NULL);
        await(BQ_REPORT);
    }
    finish();
}

static void it_refuses_what_it_does_not_know_and_stays_polite(void)
{
    struct bq_recipe r = recipe("soup");
    begin();
    put(&(struct bq_message){.kind = BQ_STEP, .step = 1}, &r);
    CU_ASSERT_PTR_NOT_NULL(strstr(await(BQ_REFUSED).text, "kernel 'soup' is not the same"));
    put(&(struct bq_message){.kind = BQ_REVOKE, .step = 1, .first = 250, .count = 250}, NULL);
    put(&(struct bq_message){.kind = BQ_LEASE, .step = 1, .first = 500, .count = 10}, NULL);
    finish();
}

static void leases_outside_reason_and_noise_do_no_harm(void)
{
    struct bq_recipe r = recipe("ids");
    unsigned seed = 11;
    begin();
    put(&(struct bq_message){.kind = BQ_STEP, .step = 1}, &r);
    await(BQ_JOIN);
    for (int i = 0; i < 2000; i++) {
        unsigned char noise[64];
        size_t n = (size_t)rand_r(&seed) % sizeof noise;
        for (size_t j = 0; j < n; j++)
            noise[j] = (unsigned char)rand_r(&seed);
        if (n > 0 && ((noise[0] >= BQ_HELLO && noise[0] <= BQ_BYE) || noise[0] == BQ_LEAVING))
            noise[0] = 0;
        bq_transport_send_copy(end[0], 1, noise, n, NULL);
    }
    put(&(struct bq_message){.kind = BQ_LEASE, .step = 1, .first = 5000, .count = 10}, NULL);
    put(&(struct bq_message){.kind = BQ_LEASE, .step = 1, .first = 0, .count = UINT64_MAX}, NULL);
    put(&(struct bq_message){.kind = BQ_REVOKE, .step = 1, .first = UINT64_MAX, .count = 2}, NULL);
    put(&(struct bq_message){.kind = BQ_CLOSE, .step = 1}, NULL);
    await(BQ_REPORT);
    finish();
}

static void an_unreadable_recipe_is_refused(void)
{
    begin();
    put(&(struct bq_message){.kind = BQ_STEP, .step = 1}, NULL);
    CHECK_TEXT(await(BQ_REFUSED).text, "the coordinator's message cannot be read");
    finish();
}

static const struct test tests[] = {
    {"it cooks its first lease unasked and then what it is given",
     it_cooks_its_first_lease_unasked_and_then_what_it_is_given},
    {"one session has many steps", one_session_has_many_steps},
    {"it refuses what it does not know and stays polite",
     it_refuses_what_it_does_not_know_and_stays_polite},
    {"leases outside reason and noise do no harm", leases_outside_reason_and_noise_do_no_harm},
    {"an unreadable recipe is refused", an_unreadable_recipe_is_refused},
};

RUN_TESTS("kitchen", tests)
