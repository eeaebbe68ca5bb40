/* When a kitchen asks: early enough, once, and once more when it starves. */
#include "core/lookahead.h"

#include "cunit.h"

#define MS UINT64_C(1000000)

static struct bq_lookahead l;

static void it_asks_when_what_is_left_falls_to_the_low_water(void)
{
    bq_lookahead_init(&l);
    CU_ASSERT_EQUAL(bq_lookahead_low_water(&l, 4), 4); /* nothing measured: one chunk a cook */
    bq_lookahead_measure(&l, 10, 10 * 50000);          /* 50 us a chunk; an answer takes 100 us */
    CU_ASSERT_EQUAL(bq_lookahead_low_water(&l, 4), 2 * 8);
    CU_ASSERT_FALSE(bq_lookahead_should_ask(&l, 17, 4, MS));
    CU_ASSERT(bq_lookahead_should_ask(&l, 16, 4, MS));
}

static void it_asks_once_and_once_more_when_it_starves(void)
{
    bq_lookahead_init(&l);
    CU_ASSERT(bq_lookahead_should_ask(&l, 2, 4, MS));
    CU_ASSERT_FALSE(bq_lookahead_should_ask(&l, 1, 4, 2 * MS));
    CU_ASSERT(bq_lookahead_should_ask(&l, 0, 4, 3 * MS));
    CU_ASSERT_FALSE(bq_lookahead_should_ask(&l, 0, 4, 4 * MS));
    CU_ASSERT_EQUAL(bq_lookahead_answered(&l, 5 * MS), 4 * MS); /* since it asked first */
    CU_ASSERT(bq_lookahead_should_ask(&l, 0, 4, 6 * MS));
    CU_ASSERT_FALSE(bq_lookahead_should_ask(&l, 0, 4, 7 * MS));
}

static void a_lease_that_was_not_asked_for_teaches_nothing(void)
{
    bq_lookahead_init(&l);
    double before = l.wait_ns;
    CU_ASSERT_EQUAL(bq_lookahead_answered(&l, 5 * MS), 0);
    CU_ASSERT(l.wait_ns >= before && l.wait_ns <= before);
}

static void slow_answers_make_it_ask_earlier(void)
{
    bq_lookahead_init(&l);
    bq_lookahead_measure(&l, 1, MS);
    uint64_t before = bq_lookahead_low_water(&l, 4);
    bq_lookahead_should_ask(&l, 0, 4, MS);
    bq_lookahead_answered(&l, 41 * MS);
    CU_ASSERT(bq_lookahead_low_water(&l, 4) > 10 * before);
}

static void extreme_measurements_stay_within_bounds(void)
{
    bq_lookahead_init(&l);
    bq_lookahead_measure(&l, 0, 0);
    bq_lookahead_measure(&l, UINT64_MAX, 1);                  /* chunks of no time at all */
    CU_ASSERT(bq_lookahead_should_ask(&l, 5, UINT32_MAX, 0)); /* at time 0 */
    CU_ASSERT_FALSE(bq_lookahead_should_ask(&l, 5, UINT32_MAX, 0));
    bq_lookahead_answered(&l, UINT64_MAX);
    CU_ASSERT(bq_lookahead_low_water(&l, UINT32_MAX) <= UINT64_C(2000000000002));
    CU_ASSERT_EQUAL(bq_lookahead_low_water(&l, 0), 0);
}

static const struct test tests[] = {
    {"it asks when what is left falls to the low water",
     it_asks_when_what_is_left_falls_to_the_low_water},
    {"it asks once, and once more when it starves", it_asks_once_and_once_more_when_it_starves},
    {"a lease that was not asked for teaches nothing",
     a_lease_that_was_not_asked_for_teaches_nothing},
    {"slow answers make it ask earlier", slow_answers_make_it_ask_earlier},
    {"extreme measurements stay within bounds", extreme_measurements_stay_within_bounds},
};

RUN_TESTS("lookahead", tests)
