/* Policies: every sequence of leases covers all chunks once; sizes are as in the literature. */
#include "core/policy.h"

#include "cunit.h"
#include "random.h"

#define MAX_CHUNKS 3000

static struct bq_schedule schedule_of(enum bq_policy policy, uint64_t block)
{
    return (struct bq_schedule){.policy = policy, .block = block};
}

/* Marks a range; false when a chunk of it is marked already or outside. */
static bool mark(unsigned char *seen, uint64_t n_chunks, uint64_t first, uint64_t count)
{
    if (first > n_chunks || count > n_chunks - first)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        if (seen[first + i]++)
            return false;
    }
    return true;
}

static void dealt_leases_cover_everything_once(void)
{
    static unsigned char seen[MAX_CHUNKS];
    random_start(21);
    for (int round = 0; round < 3000; round++) {
        uint64_t n = random_below(round % 2 ? 30 : MAX_CHUNKS), covered = 0;
        uint32_t n_kitchens = 1 + (uint32_t)random_below(40);
        struct bq_schedule schedule =
            schedule_of(round % 3 ? BQ_CYCLIC : BQ_STATIC, random_below(2) * random_below(50));
        memset(seen, 0, sizeof seen);
        for (uint32_t k = 0; k < n_kitchens; k++) {
            uint64_t first, count, of_first;
            bq_policy_first(&schedule, n, n_kitchens, k, &first, &of_first);
            for (uint64_t j = 0;; j++, covered += count) {
                bq_policy_dealt(&schedule, n, n_kitchens, k, j, &first, &count);
                CU_ASSERT(j || count == of_first);
                if (count == 0)
                    break;
                CU_ASSERT_FATAL(mark(seen, n, first, count));
            }
        }
        CU_ASSERT_EQUAL_FATAL(covered, n);
    }
}

static void leases_on_request_cover_everything_once(void)
{
    random_start(22);
    for (int round = 0; round < 3000; round++) {
        uint64_t n = random_below(MAX_CHUNKS), left = n;
        uint32_t n_kitchens = 1 + (uint32_t)random_below(40);
        enum bq_policy policy = (enum bq_policy)(BQ_DYNAMIC + random_below(3));
        struct bq_schedule schedule = schedule_of(policy, random_below(2) * random_below(50));
        struct bq_policy_round state = {0};
        uint64_t end = 0;
        for (uint32_t k = 0; k < n_kitchens; k++) {
            uint64_t first, count;
            bq_policy_first(&schedule, n, n_kitchens, k, &first, &count);
            CU_ASSERT(count == 0 || first == end);
            end += count;
            left -= count;
        }
        CU_ASSERT(end <= n);
        if (n >= 2 * n_kitchens)
            CU_ASSERT(end <= n / 2);
        uint64_t n_min = random_below(2) ? 1 : random_below(100);
        for (int steps = 0; left; steps++) {
            uint64_t size = bq_policy_next(&schedule, left, n_kitchens, n_min, &state);
            CU_ASSERT_FATAL(size >= 1 && size <= left && steps < MAX_CHUNKS);
            CU_ASSERT(size >= n_min || size == left || schedule.block);
            left -= size;
        }
        CU_ASSERT_EQUAL(bq_policy_next(&schedule, 0, n_kitchens, n_min, &state), 0);
    }
}

static void guided_leases_shrink_from_a_half_share_to_one(void)
{
    struct bq_schedule schedule = schedule_of(BQ_GUIDED, 0);
    struct bq_policy_round state = {0};
    uint64_t left = 10000, last = left, n_leases = 0;
    CU_ASSERT_EQUAL(bq_policy_next(&schedule, left, 5, 1, &state), 1000);
    for (; left; n_leases++) {
        uint64_t size = bq_policy_next(&schedule, left, 5, 1, &state);
        CU_ASSERT(size <= last);
        CU_ASSERT(size == 1 || size == left / 10);
        last = size;
        left -= size;
    }
    CU_ASSERT_EQUAL(last, 1);
    CU_ASSERT(n_leases < 100);
    CU_ASSERT_EQUAL(bq_policy_next(&schedule, 100, 5, 30, &state), 30);
    CU_ASSERT_EQUAL(bq_policy_next(&schedule, 20, 5, 30, &state), 20);
}

static void factoring_leases_come_in_rounds_of_half_of_what_is_left(void)
{
    struct bq_schedule schedule = schedule_of(BQ_FACTORING, 0);
    struct bq_policy_round state = {0};
    static const uint64_t want[] = {100, 100, 100, 100, 50, 50, 50, 50, 25, 25, 25, 25, 12};
    uint64_t left = 800;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        uint64_t size = bq_policy_next(&schedule, left, 4, 1, &state);
        CU_ASSERT_EQUAL(size, want[i]);
        left -= size;
    }
}

static void dynamic_leases_are_the_block_or_the_least(void)
{
    struct bq_policy_round state = {0};
    struct bq_schedule seven = schedule_of(BQ_DYNAMIC, 7), chosen = schedule_of(BQ_DYNAMIC, 0);
    CU_ASSERT_EQUAL(bq_policy_next(&seven, 100, 4, 50, &state), 7);
    CU_ASSERT_EQUAL(bq_policy_next(&seven, 5, 4, 50, &state), 5);
    CU_ASSERT_EQUAL(bq_policy_next(&chosen, 100, 4, 11, &state), 11);
    CU_ASSERT_EQUAL(bq_policy_next(&chosen, 100, 4, 0, &state), 1);
}

static void static_blocks_differ_by_one_at_most(void)
{
    struct bq_schedule schedule = schedule_of(BQ_STATIC, 0);
    for (uint64_t n = 0; n < 100; n++) {
        for (uint32_t k = 0; k < 7; k++) {
            uint64_t first, count;
            bq_policy_first(&schedule, n, 7, k, &first, &count);
            CU_ASSERT(count == n / 7 || count == n / 7 + 1);
        }
    }
}

static void cyclic_blocks_are_dealt_in_turn(void)
{
    struct bq_schedule schedule = schedule_of(BQ_CYCLIC, 10);
    uint64_t first, count;
    bq_policy_dealt(&schedule, 95, 3, 1, 0, &first, &count);
    CU_ASSERT(first == 10 && count == 10);
    bq_policy_dealt(&schedule, 95, 3, 0, 3, &first, &count);
    CU_ASSERT(first == 90 && count == 5);
    bq_policy_dealt(&schedule, 95, 3, 1, 3, &first, &count);
    CU_ASSERT_EQUAL(count, 0);
}

static void the_least_lease_follows_its_formula(void)
{
    CU_ASSERT_EQUAL(bq_policy_min(10, 4, 5000, 1e6), 1);      /* 0.4 */
    CU_ASSERT_EQUAL(bq_policy_min(1000, 64, 5000, 1e6), 640); /* 2 x 1000 x 64 x 5 us / 1 ms */
    CU_ASSERT_EQUAL(bq_policy_min(3, 1, 1000, 4000), 2);      /* 1.5 */
    CU_ASSERT_EQUAL(bq_policy_min(2, 1, 1000, 1000), 4);
}

static void extreme_measurements_give_a_lease_between_one_and_very_many(void)
{
    double zero = 0, values[] = {0, -1, 1e-320, 1e308, 1 / zero, -1 / zero, zero / zero};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        for (size_t j = 0; j < sizeof values / sizeof *values; j++) {
            uint64_t n = bq_policy_min(UINT32_MAX, UINT32_MAX, values[i], values[j]);
            CU_ASSERT(n >= 1 && n <= UINT64_C(1000000000000001));
        }
    }
}

static void extreme_plans_do_not_overflow(void)
{
    uint64_t n = UINT64_C(1) << 62, first, count, next, none;
    uint32_t most = UINT32_MAX;
    for (int policy = 0; policy < BQ_N_POLICIES; policy++) {
        struct bq_schedule schedule = schedule_of((enum bq_policy)policy, 0);
        uint64_t end = 0;
        static const uint32_t kitchens[] = {
            0, 1, 2, UINT32_MAX / 2, UINT32_MAX - 2, UINT32_MAX - 1};
        for (size_t i = 0; i < 6; i++) {
            bq_policy_first(&schedule, n, most, kitchens[i], &first, &count);
            CU_ASSERT(first >= end && first < n && count >= 1 && count <= n - first);
            end = first + count;
            if (kitchens[i] + 1 < most) {
                bq_policy_first(&schedule, n, most, kitchens[i] + 1, &next, &none);
                CU_ASSERT_EQUAL(next, end);
            }
        }
        struct bq_policy_round state = {0};
        count = bq_policy_next(&schedule, n, most, UINT64_MAX, &state);
        CU_ASSERT(count >= 1 && count <= n);
    }
    struct bq_schedule whole = schedule_of(BQ_STATIC, 0);
    bq_policy_first(&whole, n, most, most - 1, &first, &count);
    CU_ASSERT_EQUAL(first + count, n);
}

static void turns_far_past_the_end_hold_nothing(void)
{
    static const uint64_t big[] = {UINT64_C(1) << 33, UINT64_C(1) << 62, UINT64_C(1) << 63,
                                   (UINT64_C(1) << 63) + 1, UINT64_MAX};
    for (size_t b = 0; b < 5; b++) {
        struct bq_schedule schedule = schedule_of(BQ_CYCLIC, big[b]);
        for (size_t j = 0; j < 5; j++) {
            for (uint32_t n = 1; n; n *= 2) { /* kitchens; powers of two may wrap to 0 */
                uint64_t first, count;
                bq_policy_dealt(&schedule, 1000, n, 0, big[j], &first, &count);
                CU_ASSERT_EQUAL(count, 0);
            }
        }
    }
}

static void policies_are_found_by_name(void)
{
    for (int i = 0; i < BQ_N_POLICIES; i++)
        CU_ASSERT_EQUAL(bq_policy_find(bq_policy_name((enum bq_policy)i)), i);
    CU_ASSERT_EQUAL(bq_policy_find("statik"), -1);
    CU_ASSERT_EQUAL(bq_policy_find(""), -1);
    CHECK_TEXT(bq_policy_name((enum bq_policy)77), "?");
    CU_ASSERT(bq_policy_is_dealt(BQ_STATIC) && bq_policy_is_dealt(BQ_CYCLIC));
    CU_ASSERT_FALSE(bq_policy_is_dealt(BQ_GUIDED));
}

static const struct test tests[] = {
    {"dealt leases cover everything once", dealt_leases_cover_everything_once},
    {"leases on request cover everything once, the first ones at most half",
     leases_on_request_cover_everything_once},
    {"guided leases shrink from a half share to one",
     guided_leases_shrink_from_a_half_share_to_one},
    {"factoring leases come in rounds of half of what is left",
     factoring_leases_come_in_rounds_of_half_of_what_is_left},
    {"dynamic leases are the block or the least", dynamic_leases_are_the_block_or_the_least},
    {"static blocks differ by one at most", static_blocks_differ_by_one_at_most},
    {"cyclic blocks are dealt in turn", cyclic_blocks_are_dealt_in_turn},
    {"the least lease follows its formula", the_least_lease_follows_its_formula},
    {"extreme measurements give a lease between one and very many",
     extreme_measurements_give_a_lease_between_one_and_very_many},
    {"extreme plans do not overflow", extreme_plans_do_not_overflow},
    {"turns far past the end hold nothing", turns_far_past_the_end_hold_nothing},
    {"policies are found by name", policies_are_found_by_name},
};

RUN_TESTS("policy", tests)
