/* The ledger against two arrays of flags, over random histories. */
#include "core/ledger.h"

#include "cunit.h"
#include "random.h"

#define MOST 400

static bool is_done[MOST + 1], is_held[MOST + 1];

static bool is_free(uint64_t i)
{
    return !is_done[i] && !is_held[i];
}

static uint64_t count_if_done(uint64_t first, uint64_t count)
{
    uint64_t n = 0;
    for (uint64_t i = first; i < first + count; i++)
        n += is_done[i];
    return n;
}

/* The model's answer to bq_ledger_next_free. */
static uint64_t next_free(uint64_t n_chunks, uint64_t from, uint64_t most, uint64_t *first)
{
    uint64_t n = 0;
    while (from < n_chunks && !is_free(from))
        from++;
    *first = from;
    while (n < most && from + n < n_chunks && is_free(from + n))
        n++;
    return n;
}

static bool agrees(const struct bq_ledger *ledger, uint64_t n)
{
    uint64_t n_free = 0;
    for (uint64_t i = 0; i < n; i++)
        n_free += is_free(i);
    if (bq_ledger_n_chunks(ledger) != n || bq_ledger_n_free(ledger) != n_free ||
        bq_ledger_n_done(ledger) != count_if_done(0, n))
        return false;
    uint64_t from = random_below(n + 2), got = 77, want;
    uint64_t most = random_below(3) ? random_below(n + 2) : UINT64_MAX;
    uint64_t length = next_free(n, from, most, &want);
    if (bq_ledger_next_free(ledger, from, most, &got) != length || (length && got != want))
        return false;
    uint64_t open;
    for (want = from; want < n && (is_done[want] || !is_held[want]); want++)
        ;
    if (bq_ledger_next_open(ledger, from, &open) != (want < n) || (want < n && open != want))
        return false;
    uint64_t first = random_below(n + 1), count = random_below(n - first + 1);
    return bq_ledger_count_done(ledger, first, count) == count_if_done(first, count);
}

/* A range: mostly short ones, and now and then to a border of words. */
static void random_range(uint64_t n, uint64_t *first, uint64_t *count)
{
    *first = random_below(n + 1);
    if (random_below(4) == 0)
        *first = *first / 64 * 64;
    uint64_t most = n - *first;
    *count = random_below((random_below(3) ? most / 8 : most) + 1);
}

static void random_histories_agree_with_an_array_of_flags(void)
{
    random_start(31);
    static const uint64_t sizes[] = {0, 1, 2, 63, 64, 65, 127, 128, 129, 192, 256};
    for (int round = 0; round < 400; round++) {
        uint64_t n = round < 33 ? sizes[round % 11] : random_below(MOST);
        struct bq_ledger *ledger = bq_ledger_create(n);
        memset(is_done, 0, sizeof is_done);
        memset(is_held, 0, sizeof is_held);
        for (int step = 0; step < 60; step++) {
            uint64_t first, count, fresh;
            random_range(n, &first, &count);
            switch (random_below(5)) {
            case 0:
            case 1:
                bq_ledger_hold(ledger, first, count);
                memset(is_held + first, true, count);
                break;
            case 2:
                bq_ledger_release(ledger, first, count);
                memset(is_held + first, false, count);
                break;
            case 3:
                bq_ledger_undo(ledger, first, count);
                memset(is_done + first, false, count);
                break;
            default:
                count = count > 10 && random_below(4) ? count / 10 : count;
                fresh = count - count_if_done(first, count);
                CU_ASSERT_EQUAL(bq_ledger_done(ledger, first, count), fresh);
                memset(is_done + first, true, count);
                break;
            }
            if (!agrees(ledger, n)) {
                printf("\n    round %d, step %d, %llu chunks\n", round, step,
                       (unsigned long long)n);
                CU_FAIL("the ledger and the flags differ");
                bq_ledger_destroy(ledger);
                return;
            }
        }
        bq_ledger_destroy(ledger);
    }
}

static void ranges_outside_of_the_plan_are_known_as_such(void)
{
    struct bq_ledger *ledger = bq_ledger_create(100);
    CU_ASSERT(bq_ledger_has(ledger, 0, 100));
    CU_ASSERT(bq_ledger_has(ledger, 100, 0));
    CU_ASSERT_FALSE(bq_ledger_has(ledger, 0, 101));
    CU_ASSERT_FALSE(bq_ledger_has(ledger, 101, 0));
    CU_ASSERT_FALSE(bq_ledger_has(ledger, 99, UINT64_MAX));
    CU_ASSERT_FALSE(bq_ledger_has(ledger, UINT64_MAX, 2));
    bq_ledger_destroy(ledger);
}

static void what_is_undone_is_free_unless_somebody_holds_it(void)
{
    struct bq_ledger *ledger = bq_ledger_create(200);
    uint64_t first;
    bq_ledger_done(ledger, 0, 200);
    bq_ledger_hold(ledger, 60, 10);
    bq_ledger_undo(ledger, 50, 100);
    CU_ASSERT_EQUAL(bq_ledger_n_done(ledger), 100);
    CU_ASSERT_EQUAL(bq_ledger_n_free(ledger), 90);
    CU_ASSERT_EQUAL(bq_ledger_next_free(ledger, 0, UINT64_MAX, &first), 10);
    CU_ASSERT_EQUAL(first, 50);
    CU_ASSERT(bq_ledger_next_open(ledger, 0, &first));
    CU_ASSERT_EQUAL(first, 60);
    bq_ledger_release(ledger, 60, 10);
    CU_ASSERT_EQUAL(bq_ledger_next_free(ledger, 0, UINT64_MAX, &first), 100);
    bq_ledger_undo(ledger, 0, 200); /* and what was not done stays as it was */
    CU_ASSERT_EQUAL(bq_ledger_n_free(ledger), 200);
    bq_ledger_undo(ledger, 200, 0);
    CU_ASSERT_EQUAL(bq_ledger_n_done(ledger), 0);
    CU_ASSERT_EQUAL(bq_ledger_next_free(ledger, 0, UINT64_MAX, &first), 200);
    CU_ASSERT_EQUAL(bq_ledger_done(ledger, 0, 200), 200);
    bq_ledger_destroy(ledger);
}

static void a_million_chunks_are_handled_as_one_range(void)
{
    struct bq_ledger *ledger = bq_ledger_create(1000000);
    uint64_t first;
    CU_ASSERT_EQUAL(bq_ledger_next_free(ledger, 0, UINT64_MAX, &first), 1000000);
    bq_ledger_hold(ledger, 1, 999998);
    CU_ASSERT_EQUAL(bq_ledger_n_free(ledger), 2);
    CU_ASSERT_EQUAL(bq_ledger_next_free(ledger, 1, 10, &first), 1);
    CU_ASSERT_EQUAL(first, 999999);
    CU_ASSERT_EQUAL(bq_ledger_done(ledger, 0, 1000000), 1000000);
    CU_ASSERT_EQUAL(bq_ledger_n_free(ledger), 0);
    bq_ledger_release(ledger, 0, 1000000);
    CU_ASSERT_EQUAL(bq_ledger_n_free(ledger), 0);
    bq_ledger_destroy(ledger);
    bq_ledger_destroy(NULL);
}

static const struct test tests[] = {
    {"random histories agree with an array of flags",
     random_histories_agree_with_an_array_of_flags},
    {"ranges outside of the plan are known as such", ranges_outside_of_the_plan_are_known_as_such},
    {"what is undone is free, unless somebody holds it",
     what_is_undone_is_free_unless_somebody_holds_it},
    {"a million chunks are handled as one range", a_million_chunks_are_handled_as_one_range},
};

RUN_TESTS("ledger", tests)
