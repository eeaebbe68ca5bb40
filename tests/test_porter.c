/* A porter from the coordinator's side: this test speaks the protocol to it; its kitchen is in a
 * process that crashes. */
#include "run/porter.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/heap.h"
#include "core/wire.h"
#include "cunit.h"
#include "no_reports.h"

#define N_CHUNKS 64
#define SILENCE_NS UINT64_C(20000000000)

/* -- a kernel that does what this test writes into memory that both see -------------------- */

enum mode { FINE, SEGV, EXIT, KILL_ZYGOTE, CLOSE_ALL, SLOW };
struct orders {
    _Atomic enum mode mode;
    _Atomic uint64_t at; /* N_CHUNKS: all */
};
static struct orders *orders;

static enum bq_answer cook(struct bq_call *call)
{
    uint64_t at = orders->at;
    *(uint64_t *)call->acc += call->chunk;
    if (at != N_CHUNKS && at != call->chunk)
        return BQ_DONE;
    switch ((enum mode)atomic_load(&orders->mode)) {
    case FINE:
        break;
    case SEGV:
        raise(SIGSEGV);
        break;
    case EXIT:
        _exit(9);
    case KILL_ZYGOTE:
        kill(getppid(), SIGKILL);
        pause();
        break;
    case CLOSE_ALL:
        for (int fd = 3; fd < 200; fd++)
            close(fd);
        break;
    case SLOW:
        poll(NULL, 0, 300);
        break;
    }
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

/* It closes what others use: on purpose. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:^cook$\n";
}

/* -- the coordinator that is this test ---------------------------------------------------- */

static struct bq_transport *end[2];
static struct bq_zygote *zygote;
static pthread_t thread;
static atomic_int leave_asked;
static int porter_rc;
static struct bq_error porter_err;
static uint64_t n_seen, sum;
static unsigned n_lost;

static void *run_porter(void *arg)
{
    (void)arg;
    porter_rc = bq_porter(end[1], &registry, zygote, &leave_asked, &porter_err);
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
        n_seen += bq_node_size(node);
    }
}

/* Waits for a message of one of these kinds. */
static struct bq_message await_any(enum bq_message_kind kind, enum bq_message_kind or_kind)
{
    for (;;) {
        uint32_t from;
        void *bytes;
        size_t size;
        struct bq_message m;
        if (bq_transport_receive(end[0], &from, &bytes, &size, NULL) != 1) {
            bq_transport_wait(end[0], 1000000000, -1);
            continue;
        }
        CU_ASSERT_EQUAL_FATAL(bq_wire_get(bytes, size, &m), 0);
        if (m.kind == BQ_RESULT)
            note_results(&m);
        n_lost += m.kind == BQ_LOST;
        bq_transport_done_with(end[0]);
        if (m.kind == kind || m.kind == or_kind)
            return m;
    }
}

static struct bq_message await(enum bq_message_kind kind)
{
    return await_any(kind, kind);
}

static void begin(enum mode mode, uint64_t at, uint64_t silence_ns)
{
    if (!orders)
        orders =
            mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_NOT_EQUAL_FATAL(orders, MAP_FAILED);
    orders->mode = mode;
    orders->at = at;
    n_seen = sum = n_lost = 0;
    leave_asked = 0;
    zygote = bq_porter_zygote(&registry, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(zygote);
    CU_ASSERT_EQUAL_FATAL(bq_transport_local(end, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, run_porter, NULL), 0);
    if (silence_ns)
        put(&(struct bq_message){.kind = BQ_START, .n = 1, .time = silence_ns}, NULL);
}

static void end_all(void)
{
    pthread_join(thread, NULL);
    bq_transport_destroy(end[0]);
    bq_transport_destroy(end[1]);
    bq_zygote_destroy(zygote);
}

static void finish(void)
{
    put(&(struct bq_message){.kind = BQ_BYE}, NULL);
    await(BQ_BYE);
    end_all();
    CU_ASSERT_EQUAL(porter_rc, 0);
}

/* A step for a kitchen that gets leases only when it is told. */
static void step(uint32_t number)
{
    struct bq_recipe r = {.n_kitchens = 2, .n_cooks = 2, .open = 1, .acc_size = sizeof(uint64_t)};
    strcpy(r.kernel, "ids");
    r.schedule.policy = BQ_GUIDED;
    CU_ASSERT_EQUAL(bq_plan_make(&r.plan, &(struct bq_space){1, {N_CHUNKS}}, (uint64_t[]){1}, NULL),
                    0);
    put(&(struct bq_message){.kind = BQ_STEP, .step = number, .n = 1}, &r);
}

static void lease(uint32_t number, uint64_t first, uint64_t count)
{
    put(&(struct bq_message){.kind = BQ_LEASE, .step = number, .first = first, .count = count},
        NULL);
}

/* -- stories ------------------------------------------------------------------------------ */

static void it_passes_everything_on(void)
{
    begin(FINE, 0, SILENCE_NS);
    struct bq_message hello = await(BQ_HELLO);
    CU_ASSERT_NOT_EQUAL(hello.pid, (uint32_t)getpid());
    step(1);
    CU_ASSERT_EQUAL(await(BQ_JOIN).n, 2);
    lease(1, 0, N_CHUNKS);
    while (n_seen < N_CHUNKS)
        await(BQ_RESULT);
    CU_ASSERT_EQUAL(sum, N_CHUNKS * (N_CHUNKS - 1) / 2);
    put(&(struct bq_message){.kind = BQ_CLOSE, .step = 1}, NULL);
    await(BQ_REPORT);
    finish();
    CU_ASSERT_EQUAL(n_lost, 0);
}

static void a_crash_is_told_with_its_chunk_and_another_kitchen_comes(void)
{
    begin(SEGV, 40, SILENCE_NS);
    uint32_t pid = await(BQ_HELLO).pid;
    step(5);
    await(BQ_JOIN);
    lease(5, 32, 16);
    struct bq_message lost = await(BQ_LOST);
    CU_ASSERT_EQUAL(lost.step, 5);
    CU_ASSERT_EQUAL(lost.first, 40);
    CHECK_TEXT(lost.text, "the kernel crashed: Segmentation fault");
    orders->mode = FINE;
    CU_ASSERT_NOT_EQUAL(await(BQ_HELLO).pid, pid);
    lease(5, 0, 1); /* it does not know the step any more */
    step(5);
    await(BQ_JOIN);
    n_seen = sum = 0;
    lease(5, 0, N_CHUNKS);
    while (n_seen < N_CHUNKS)
        await(BQ_RESULT);
    CU_ASSERT_EQUAL(sum, N_CHUNKS * (N_CHUNKS - 1) / 2);
    finish();
    CU_ASSERT_EQUAL(n_lost, 1);
}

/* Two cooks, and no last words: suspects are tried alone until one is left. */
static void one_that_ends_without_a_word_is_found(void)
{
    struct bq_message lost = {.first = BQ_NO_CHUNK};
    begin(EXIT, 7, SILENCE_NS);
    for (int i = 0; i < 5 && lost.first == BQ_NO_CHUNK; i++) {
        await(BQ_HELLO);
        step(1);
        await(BQ_JOIN);
        lease(1, 0, N_CHUNKS);
        lost = await_any(BQ_LOST, BQ_REFUSED);
    }
    CU_ASSERT_EQUAL(lost.kind, BQ_LOST);
    if (lost.first != 7)
        printf("\n    chunk %lld, %u lost: %s\n", (long long)lost.first, n_lost, lost.text);
    CU_ASSERT_EQUAL(lost.first, 7);
    await(BQ_HELLO);
    finish();
}

/* Each process ends without a word in a chunk that none was in before: all that is learnt is whom
 * to suspect, and that is enough to go on. */
static void suspects_are_progress(void)
{
    begin(EXIT, N_CHUNKS, SILENCE_NS);
    for (uint64_t chunk = 0; chunk < 12; chunk++) {
        CU_ASSERT_EQUAL_FATAL(await_any(BQ_HELLO, BQ_REFUSED).kind, BQ_HELLO);
        step(1);
        await(BQ_JOIN);
        lease(1, chunk % 11, 1);
        CU_ASSERT_EQUAL(await(BQ_LOST).first, chunk == 11 ? 0 : BQ_NO_CHUNK);
    }
    await(BQ_HELLO);
    finish();
}

static void it_gives_up_when_nothing_comes_of_it(void)
{
    begin(CLOSE_ALL, N_CHUNKS, SILENCE_NS);
    for (;;) {
        struct bq_message m = await_any(BQ_HELLO, BQ_REFUSED);
        if (m.kind == BQ_REFUSED) {
            CU_ASSERT_PTR_NOT_NULL(strstr(m.text, "times without a result"));
            break;
        }
        step(1);
        lease(1, 0, N_CHUNKS);
    }
    CU_ASSERT(n_lost >= 5); /* an end that makes a suspect is not fruitless */
    finish();
}

static void without_its_zygote_it_refuses_and_leaves_when_told(void)
{
    begin(KILL_ZYGOTE, 0, SILENCE_NS);
    await(BQ_HELLO);
    step(1);
    lease(1, 0, N_CHUNKS);
    CU_ASSERT_PTR_NOT_NULL(strstr(await(BQ_REFUSED).text, "was killed"));
    finish();
}

static void bye_before_the_beginning(void)
{
    begin(FINE, 0, 0);
    finish();
}

/* BYE comes at any moment of a crash and of a new start. */
static void bye_is_always_answered(void)
{
    unsigned seed = 4;
    printf("seed %u ", seed);
    for (int i = 0; i < 60; i++) {
        begin(i % 3 ? SEGV : KILL_ZYGOTE, N_CHUNKS, SILENCE_NS);
        await(BQ_HELLO);
        step(1);
        lease(1, 0, N_CHUNKS);
        poll(NULL, 0, rand_r(&seed) % 12);
        finish();
    }
}

static void leaving_is_passed_on_to_each_kitchen(void)
{
    begin(SEGV, 3, SILENCE_NS);
    await(BQ_HELLO);
    step(1);
    await(BQ_JOIN);
    leave_asked = 1;
    await(BQ_LEAVING);
    lease(1, 0, 8); /* it was on its way */
    CU_ASSERT_EQUAL(await(BQ_DROPPED).count, 8);
    finish();
    CU_ASSERT_EQUAL(n_lost, 0);
}

/* The signs of life of the kitchen stay in the transport while nobody takes them. */
static void who_is_not_listened_to_is_not_silent(void)
{
    begin(SLOW, 0, 400000000);
    await(BQ_HELLO);
    poll(NULL, 0, 1000);
    finish();
    CU_ASSERT_EQUAL(n_lost, 0);
}

static int n_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int n = 0;
    while (folder && readdir(folder))
        n++;
    if (folder)
        closedir(folder);
    return n;
}

static void crashes_leave_no_descriptor(void)
{
    begin(SEGV, N_CHUNKS, SILENCE_NS);
    await(BQ_HELLO);
    int before = n_descriptors();
    for (int i = 0; i < 50; i++) {
        step(1);
        lease(1, 0, N_CHUNKS);
        CU_ASSERT_NOT_EQUAL(await(BQ_LOST).first, BQ_NO_CHUNK);
        await(BQ_HELLO);
    }
    CU_ASSERT_EQUAL(n_descriptors(), before);
    finish();
}

static const struct test tests[] = {
    {"it passes everything on", it_passes_everything_on},
    {"a crash is told with its chunk, and another kitchen comes",
     a_crash_is_told_with_its_chunk_and_another_kitchen_comes},
    {"one that ends without a word is found", one_that_ends_without_a_word_is_found},
    {"suspects are progress", suspects_are_progress},
    {"it gives up when nothing comes of it", it_gives_up_when_nothing_comes_of_it},
    {"without its zygote it refuses, and leaves when told",
     without_its_zygote_it_refuses_and_leaves_when_told},
    {"BYE before the beginning", bye_before_the_beginning},
    {"BYE is always answered", bye_is_always_answered},
    {"leaving is passed on to each kitchen", leaving_is_passed_on_to_each_kitchen},
    {"who is not listened to is not silent", who_is_not_listened_to_is_not_silent},
    {"crashes leave no descriptor", crashes_leave_no_descriptor},
};
RUN_TESTS("porter", tests)
