/* Checkpoints in bytes: what is put is got; nothing else is. */
#include "core/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "core/number.h"
#include "cunit.h"
#include "random.h"

static uint64_t counts[3] = {1, 0, UINT64_MAX};
static double centres[2] = {-1e300, 0.5};
static struct bq_result results[] = {
    {.name = "count", .kind = BQ_RESULT_INTEGER, .integer = 77},
    {.name = "least", .kind = BQ_RESULT_NEGATIVE, .integer = UINT64_MAX},
    {.name = "mean", .kind = BQ_RESULT_REAL, .real = -0.25},
    {.name = "counts", .kind = BQ_RESULT_SERIES, .series = counts, .n_series = 3},
    {.name = "centres", .kind = BQ_RESULT_REALS, .reals = centres, .n_series = 2}};
static struct bq_given_up given_up[] = {{4, "round 2: a reason"}, {9, ""}};

/* A step that was not begun, one that is done, and one of a loop. Its results are not to be freed.
 */
static struct bq_checkpoint example(void)
{
    struct bq_checkpoint c = {.of = {{{1, 2}}, {{3}}, {{4, [15] = 255}}},
                              .n_steps = 3,
                              .round = {0, 0, 41},
                              .spent_ns = {0, 0, 5},
                              .end = {0, 0, BQ_LOOP_ENDED_SHORT}};
    c.steps[1] = (struct bq_checkpoint_step){.is_kept = true,
                                             .is_done = true,
                                             .digest = "0123456789abcdef0123456789abcdef",
                                             .out_size = 1234,
                                             .out_ns = UINT64_MAX,
                                             .n_results = 5,
                                             .results = results,
                                             .like = -1};
    c.steps[2] = (struct bq_checkpoint_step){.is_kept = true,
                                             .n_given_up_total = 1000,
                                             .n_given_up = 2,
                                             .given_up = given_up,
                                             .state = ".out.h5.banquet-resume-2-ff-1",
                                             .state_hash = {{9, 8, 7}},
                                             .layout = {.storage = BQ_STORAGE_CHUNKED,
                                                        .space = {2, {300, 257}},
                                                        .number = bq_number_of(BQ_F32),
                                                        .chunk = {2, {50, 70}}},
                                             .like = 1};
    return c;
}

static unsigned char bytes[20000];

static size_t put(const struct bq_checkpoint *c)
{
    CU_ASSERT_FATAL(bq_checkpoint_bytes(c) <= sizeof bytes);
    struct bq_writer w = bq_writer(bytes, bq_checkpoint_bytes(c));
    bq_checkpoint_put(&w, c);
    CU_ASSERT_FALSE_FATAL(w.is_bad);
    return (size_t)(w.at - bytes);
}

static int get(size_t n, struct bq_checkpoint *c)
{
    struct bq_reader r = bq_reader(bytes, n);
    return bq_checkpoint_get(&r, c);
}

static void what_is_put_is_got(void)
{
    struct bq_checkpoint in = example(), out;
    CU_ASSERT_EQUAL_FATAL(get(put(&in), &out), 0);
    CU_ASSERT_EQUAL(memcmp(&in.of, &out.of, sizeof in.of), 0);
    CU_ASSERT_EQUAL(out.n_steps, 3);
    CU_ASSERT(out.round[2] == 41 && out.spent_ns[2] == 5 && out.end[2] == BQ_LOOP_ENDED_SHORT);
    CU_ASSERT(!out.steps[0].is_kept && out.steps[1].is_done && !out.steps[2].is_done);
    const struct bq_checkpoint_step *a = &out.steps[1], *b = &out.steps[2];
    CU_ASSERT_STRING_EQUAL(a->digest, in.steps[1].digest);
    CU_ASSERT(a->out_size == 1234 && a->out_ns == UINT64_MAX && a->n_results == 5);
    for (size_t r = 0; r < 3; r++)
        CU_ASSERT(strcmp(a->results[r].name, results[r].name) == 0 &&
                  a->results[r].kind == results[r].kind &&
                  a->results[r].integer == results[r].integer &&
                  a->results[r].real == results[r].real);
    CU_ASSERT(a->results[3].n_series == 3 && a->results[3].series[2] == UINT64_MAX);
    CU_ASSERT(a->results[4].n_series == 2 && a->results[4].reals[0] == -1e300);
    CU_ASSERT(b->n_given_up == 2 && b->n_given_up_total == 1000 && b->given_up[0].chunk == 4);
    CU_ASSERT_STRING_EQUAL(b->given_up[0].why, "round 2: a reason");
    CU_ASSERT_STRING_EQUAL(b->state, in.steps[2].state);
    CU_ASSERT(b->state_hash.bytes[1] == 8 && b->like == 1 && a->like == -1);
    CU_ASSERT(bq_space_is_same(&b->layout.space, &in.steps[2].layout.space));
    CU_ASSERT(bq_space_is_same(&b->layout.chunk, &in.steps[2].layout.chunk));
    CU_ASSERT(bq_number_is_same(&b->layout.number, &in.steps[2].layout.number));
    bq_checkpoint_free(&out);
}

static void nothing_shorter_or_longer_is_a_checkpoint(void)
{
    struct bq_checkpoint in = example(), out;
    size_t n = put(&in);
    for (size_t i = 0; i < n; i++) {
        CU_ASSERT_EQUAL(get(i, &out), -1);
        bq_checkpoint_free(&out);
    }
    CU_ASSERT_EQUAL(get(n + 1, &out), -1);
    bq_checkpoint_free(&out);
}

static void a_state_is_a_name_beside_it(void)
{
    static const char *const bad[] = {"../x", "/etc/passwd", "..", ".", "a/b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct bq_checkpoint in = example(), out;
        strcpy(in.steps[2].state, bad[i]);
        CU_ASSERT_EQUAL(get(put(&in), &out), -1);
        bq_checkpoint_free(&out);
    }
}

static void hostile_bytes_crash_nothing(void)
{
    struct bq_checkpoint in = example(), out;
    random_start(20261123);
    size_t n = put(&in);
    unsigned char *good = bq_alloc(n, 1);
    memcpy(good, bytes, n);
    for (int i = 0; i < 20000; i++) {
        memcpy(bytes, good, n);
        for (uint64_t k = random_below(4) + 1; k > 0; k--)
            bytes[random_below(n)] = (unsigned char)random_next();
        get(n, &out);
        bq_checkpoint_free(&out);
    }
    bq_free(good);
}

static const struct test tests[] = {
    {"what is put is got", what_is_put_is_got},
    {"nothing shorter or longer is a checkpoint", nothing_shorter_or_longer_is_a_checkpoint},
    {"a state is a name beside it", a_state_is_a_name_beside_it},
    {"hostile bytes crash nothing", hostile_bytes_crash_nothing},
};

RUN_TESTS("checkpoint", tests)
