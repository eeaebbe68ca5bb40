/* The live line: what it says, when it speaks, and when it is silent. */
#include "core/progress.h"

#include "cunit.h"

#define MS 1000000ull
#define S (1000 * MS)

static struct bq_progress progress;
static char line[128];

static bool at(uint64_t now, uint64_t done, uint64_t total)
{
    return bq_progress_line(&progress, now, done, total, line, sizeof line);
}

static void a_steady_run_says_how_far_how_fast_and_how_long(void)
{
    bq_progress_init(&progress, 0, 0, true);
    for (uint64_t t = 0; t < 4000; t += 100)
        at(t * MS, t * 310 / 1000, 2900);
    CU_ASSERT(at(4 * S, 1240, 2900));
    CHECK_TEXT(line, "banquet  42 %  1,240 of 2,900 chunks  310/s  about 6 s left");
}

static void nothing_is_said_about_the_time_before_there_is_evidence(void)
{
    bq_progress_init(&progress, 0, 0, true);
    at(900 * MS, 49, 1000);
    CHECK_TEXT(line, "banquet  4 %  49 of 1,000 chunks");
    at(900 * MS, 50, 1000); /* 5 % */
    CHECK_TEXT(line, "banquet  5 %  50 of 1,000 chunks  56/s  about 20 s left");
    bq_progress_init(&progress, 0, 0, true);
    at(999 * MS, 1, 1000);
    CHECK_TEXT(line, "banquet  0 %  1 of 1,000 chunks");
    at(1000 * MS, 1, 1000);
    CHECK_TEXT(line, "banquet  0 %  1 of 1,000 chunks  1.0/s  about 17 min left");
    bq_progress_init(&progress, 0, 0, true);
    at(60 * S, 0, 1000);
    CHECK_TEXT(line, "banquet  0 %  0 of 1,000 chunks");
}

static void chunks_of_an_earlier_run_say_nothing_about_the_rate(void)
{
    bq_progress_init(&progress, 0, 500, true);
    at(500 * MS, 500, 1000);
    CHECK_TEXT(line, "banquet  50 %  500 of 1,000 chunks");
    at(500 * MS, 525, 1000); /* 5 % of what was left */
    CHECK_TEXT(line, "banquet  52 %  525 of 1,000 chunks  50/s  about 10 s left");
    bq_progress_init(&progress, 0, 500, true);
    at(10 * S, 510, 1000);
    CHECK_TEXT(line, "banquet  51 %  510 of 1,000 chunks  1.0/s  about 9 min left");
}

static void the_rate_is_a_recent_one(void)
{
    bq_progress_init(&progress, 0, 0, true);
    uint64_t t = 0, done = 0;
    for (; t < 10 * S; t += 100 * MS)
        at(t, done += 100, 100000); /* 1000/s */
    for (; t < 20 * S; t += 100 * MS)
        at(t, done += 10, 100000); /* 100/s */
    CU_ASSERT_PTR_NOT_NULL(strstr(line, "  100/s  "));
}

static void slow_chunks_widen_the_window_instead_of_shaking_it(void)
{
    bq_progress_init(&progress, 0, 0, true);
    for (uint64_t t = 0; t <= 2400; t++) { /* one in 20 s */
        at(t * S, t / 20, 1000);
        if (t > 400)
            CU_ASSERT_PTR_NOT_NULL(strstr(line, "  3/min  "));
    }
}

static void a_long_run_remembers_more_than_its_start(void)
{
    bq_progress_init(&progress, 0, 0, true);
    uint64_t t = 0, done = 0;
    for (; t < 7200; t++)
        at(t * S, done += t % 20 == 0, 10000); /* three a minute */
    for (; t < 10800; t++)
        at(t * S, done += t % 5 == 0, 10000); /* twelve */
    CU_ASSERT_PTR_NOT_NULL(strstr(line, "  12/min  "));
}

static void a_stalled_run_has_ever_more_time_left(void)
{
    bq_progress_init(&progress, 0, 0, true);
    uint64_t t = 0, done = 0;
    for (; t < 10 * S; t += 100 * MS)
        at(t, done += 10, 2000);
    CHECK_TEXT(line, "banquet  50 %  1,000 of 2,000 chunks  100/s  about 10 s left");
    for (; t < 110 * S; t += 100 * MS)
        at(t, done, 2000);
    CU_ASSERT_PTR_NOT_NULL(strstr(line, "min left"));
}

static void a_terminal_is_redrawn_at_most_five_times_a_second(void)
{
    unsigned n = 0;
    bq_progress_init(&progress, 7 * S, 0, true);
    for (uint64_t t = 0; t <= 10000; t++)
        n += at(7 * S + t * MS, t / 100, 1000);
    CU_ASSERT_EQUAL(n, 50);
}

static void a_log_gets_a_line_a_second_and_only_news(void)
{
    unsigned n = 0;
    bq_progress_init(&progress, 0, 0, false);
    for (uint64_t t = 0; t <= 10000; t++)
        n += at(t * MS, t < 5000 ? t / 100 : 50, 1000);
    CU_ASSERT_EQUAL(n, 5);
}

static void the_last_line_comes_at_once_and_once(void)
{
    bq_progress_init(&progress, 0, 0, false);
    CU_ASSERT(at(1000 * MS, 5, 10));
    CU_ASSERT(at(1001 * MS, 10, 10));
    CHECK_TEXT(line, "banquet  100 %  10 of 10 chunks  10.0/s");
    CU_ASSERT(!at(1002 * MS, 10, 10));
    CU_ASSERT(!at(5000 * MS, 10, 10));
}

static void a_short_run_is_silent(void)
{
    bq_progress_init(&progress, 0, 0, true);
    CU_ASSERT(!at(0, 0, 10));
    CU_ASSERT(!at(100 * MS, 6, 10));
    CU_ASSERT(!at(150 * MS, 10, 10));
}

static void a_hundred_per_cent_means_finished(void)
{
    bq_progress_init(&progress, 0, 0, true);
    at(S / 2, 999999999, 1000000000);
    CU_ASSERT_PTR_NOT_NULL(strstr(line, "banquet  99 %"));
    at(S / 2, UINT64_MAX - 1, UINT64_MAX);
    CU_ASSERT_PTR_NOT_NULL(strstr(line, "banquet  99 %"));
    at(S / 2, 0, 0);
    CHECK_TEXT(line, "banquet  100 %  0 of 0 chunks");
}

static void no_number_makes_it_wider_than_80_columns(void)
{
    bq_progress_init(&progress, 0, 0, true);
    for (uint64_t t = 1; t < UINT64_MAX / 3; t *= 3) {
        at(t, t / 2, UINT64_MAX);
        CU_ASSERT(strlen(line) <= 80);
        at(t, t / 1000, 1000000000000);
        CU_ASSERT(strlen(line) <= 80);
    }
}

static void a_clock_that_steps_back_does_no_harm(void)
{
    bq_progress_init(&progress, 10 * S, 0, true);
    at(12 * S, 20, 100);
    CU_ASSERT(!at(5 * S, 30, 100));
    CHECK_TEXT(line, "banquet  30 %  30 of 100 chunks  15/s  about 5 s left");
}

static const struct test tests[] = {
    {"a steady run says how far, how fast and how long",
     a_steady_run_says_how_far_how_fast_and_how_long},
    {"nothing is said about the time before there is evidence",
     nothing_is_said_about_the_time_before_there_is_evidence},
    {"chunks of an earlier run say nothing about the rate",
     chunks_of_an_earlier_run_say_nothing_about_the_rate},
    {"the rate is a recent one", the_rate_is_a_recent_one},
    {"slow chunks widen the window instead of shaking it",
     slow_chunks_widen_the_window_instead_of_shaking_it},
    {"a long run remembers more than its start", a_long_run_remembers_more_than_its_start},
    {"a stalled run has ever more time left", a_stalled_run_has_ever_more_time_left},
    {"a terminal is redrawn at most five times a second",
     a_terminal_is_redrawn_at_most_five_times_a_second},
    {"a log gets a line a second, and only news", a_log_gets_a_line_a_second_and_only_news},
    {"the last line comes at once, and once", the_last_line_comes_at_once_and_once},
    {"a short run is silent", a_short_run_is_silent},
    {"100 % means finished", a_hundred_per_cent_means_finished},
    {"no number makes it wider than 80 columns", no_number_makes_it_wider_than_80_columns},
    {"a clock that steps back does no harm", a_clock_that_steps_back_does_no_harm},
};

RUN_TESTS("progress", tests)
