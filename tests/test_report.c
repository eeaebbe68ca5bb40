/* The report: the two headline numbers, percentages, what bounds a run, and the whole text. */
#include "core/report.h"

#include "base/heap.h"
#include "core/lines.h"
#include "core/report_table.h"
#include "core/report_text.h"
#include "core/report_verdict.h"

#include "cunit.h"
#include "made_report.h"

static struct bq_report report;
static struct page page;

static const char *text_of(const struct bq_report *is)
{
    memset(&page, 0, sizeof page);
    bq_report_text(is, put_on_page, &page);
    return page.text;
}

static void the_means_are_integrals_over_the_makespan(void)
{
    struct bq_at_once is;
    make_report(&report, 2, 1, 10 * MS);
    for (uint32_t k = 0; k < 2; k++) {
        spend(&report, k, 0, BQ_OVEN, 0, 5);
        spend(&report, k, 0, BQ_COOKING, 5, 5 + 3 * (k + 1) / 2); /* 1 and 3 ms */
        keep_open(&report, k, 0, 0, 8);
        keep_open(&report, k, 0, 2, 4);
    }
    bq_report_at_once(&report, &is);
    CU_ASSERT_DOUBLE_EQUAL(is.open_mean, 2.0, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(is.open_max, 4.0, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(is.cooking_mean, 0.4, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(is.cooking_max, 2.0, 1e-12);
    CU_ASSERT_EQUAL(is.bin_ns, MS);
    bq_report_free(&report);
}

static void a_run_shorter_than_a_bin_is_not_diluted_by_it(void)
{
    struct bq_at_once is;
    make_report(&report, 1, 1, MS / 4);
    bq_track_add(&report.kitchens[0].cooks[0].track, BQ_COOKING, 0, MS / 4, MS / 4);
    bq_report_at_once(&report, &is);
    CU_ASSERT_DOUBLE_EQUAL(is.cooking_max, 1.0, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(is.cooking_mean, 1.0, 1e-12);
    bq_report_free(&report);
}

static void work_after_the_last_result_does_not_count(void)
{
    struct bq_at_once is;
    make_report(&report, 1, 2, 10 * MS);
    spend(&report, 0, 0, BQ_COOKING, 0, 10);
    spend(&report, 0, 1, BQ_COOKING, 10, 200);
    keep_open(&report, 0, 1, 10, 200);
    bq_report_at_once(&report, &is);
    CU_ASSERT_DOUBLE_EQUAL(is.cooking_mean, 1.0, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(is.cooking_max, 1.0, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(is.open_max, 0.0, 1e-12);
    bq_report_free(&report);
}

static void percentages_always_add_up_to_100(void)
{
    uint64_t state = 88172645463325252u, part[BQ_N_STATES + 1];
    unsigned percent[BQ_N_SHARES];
    printf("seed %llu ", (unsigned long long)state);
    for (int i = 0; i < 20000; i++) {
        for (int s = 0; s <= BQ_N_STATES; s++) {
            state ^= state << 13; /* xorshift64 (Marsaglia 2003) */
            state ^= state >> 7;
            state ^= state << 17;
            part[s] = state >> (state % 64);
        }
        bq_report_percent(part, percent);
        CU_ASSERT_EQUAL(percent[0] + percent[1] + percent[2] + percent[3], 100);
    }
}

static void the_largest_remainder_gets_the_missing_per_cent(void)
{
    unsigned percent[BQ_N_SHARES];
    const uint64_t part[BQ_N_STATES + 1] = {[BQ_COOKING] = 1, [BQ_READY] = 2, [BQ_OVEN] = 3};
    bq_report_percent(part, percent); /* 16.67, 33.33, 50 */
    CU_ASSERT_EQUAL(percent[BQ_SHARE_COOKING], 17);
    CU_ASSERT_EQUAL(percent[BQ_SHARE_READY], 33);
    CU_ASSERT_EQUAL(percent[BQ_SHARE_WAITING], 50);
    const uint64_t none[BQ_N_STATES + 1] = {0};
    bq_report_percent(none, percent);
    CU_ASSERT_EQUAL(percent[BQ_SHARE_IDLE], 100);
}

/* -- what bounds it ----------------------------------------------------------------------- */

static void check_verdict(const char *want)
{
    char got[256];
    CHECK_TEXT(bq_report_verdict(&report, got, sizeof got), want);
    bq_report_free(&report);
}

/* Each of n cooks of one kitchen spends these ms, one after the other, in a run of 100 ms. */
static void one_kitchen(uint32_t n_cooks, uint64_t cooking, uint64_t ready, enum bq_state other,
                        uint64_t waiting)
{
    make_report(&report, 1, n_cooks, 100 * MS);
    report.n_chunks = 1000;
    for (uint32_t c = 0; c < n_cooks; c++) {
        spend(&report, 0, c, BQ_COOKING, 0, cooking);
        spend(&report, 0, c, BQ_READY, cooking, cooking + ready);
        spend(&report, 0, c, other, cooking + ready, cooking + ready + waiting);
    }
}

static void the_verdict_names_what_took_the_time(void)
{
    one_kitchen(2, 96, 0, BQ_OVEN, 4);
    check_verdict("mostly cooking (96 %): more cores would help");
    one_kitchen(1, 96, 0, BQ_OVEN, 4);
    check_verdict("mostly cooking (96 %), with 1 cook on 2 cores: more cooks would help");
    one_kitchen(4, 50, 48, BQ_OVEN, 2);
    check_verdict("cooks were ready but had no core (48 %): fewer cooks or more cores");
    one_kitchen(2, 25, 0, BQ_OVEN, 75);
    report.may_wait = true;
    check_verdict("mostly waiting (75 %): keep more chunks open (open: 4)");
    one_kitchen(8, 25, 0, BQ_OVEN, 75);
    check_verdict("the cores were full (cooks cooking 25 %): more cores would help");
    one_kitchen(2, 40, 0, BQ_KNIFE, 60);
    check_verdict("mostly waiting for the file library's lock (60 %): larger chunks, or more "
                  "kitchens with fewer cooks each");
    one_kitchen(2, 55, 0, BQ_PASS, 45);
    check_verdict("partly waiting for messages (45 %): larger chunks or larger leases (schedule)");
    make_report(&report, 1, 1, 0);
    check_verdict("nothing ran");
}

static void the_verdict_names_who_was_idle_and_why(void)
{
    make_report(&report, 3, 1, 100 * MS);
    report.n_chunks = 1000;
    for (uint32_t k = 0; k < 3; k++)
        spend(&report, k, 0, BQ_COOKING, 0, k == 1 ? 100 : 30);
    check_verdict("idle at the end (47 %): one kitchen was slow (k2 node2)");

    make_report(&report, 1, 4, 100 * MS);
    report.n_chunks = 5;
    spend(&report, 0, 0, BQ_COOKING, 0, 100);
    check_verdict("mostly idle (75 %): too few chunks for 4 cooks; smaller chunks share better");

    make_report(&report, 1, 1, 100 * MS);
    report.n_chunks = 1000;
    spend(&report, 0, 0, BQ_COOKING, 0, 10);
    spend(&report, 0, 0, BQ_COOKING, 90, 100);
    check_verdict("mostly idle (80 %): cooks had no work between leases; try larger leases");

    make_report(&report, 2, 1, 100 * MS);
    report.n_chunks = 1000;
    spend(&report, 0, 0, BQ_COOKING, 0, 40);
    spend(&report, 1, 0, BQ_COOKING, 0, 44);
    check_verdict("idle at the end (58 %): the last leases were too large; try factoring");
}

/* -- the whole text ----------------------------------------------------------------------- */

static uint64_t histogram[] = {1, 123, 7};
static uint64_t many[100] = {[17] = 5};
static struct bq_result results[] = {
    {.name = "mean", .kind = BQ_RESULT_REAL, .real = 12.5},
    {.name = "pixels", .kind = BQ_RESULT_INTEGER, .integer = 1234567},
    {.name = "brightness", .kind = BQ_RESULT_SERIES, .series = histogram, .n_series = 3},
    {.name = "many", .kind = BQ_RESULT_SERIES, .series = many, .n_series = 100},
    {.name = "least", .kind = BQ_RESULT_NEGATIVE, .integer = (uint64_t)-4611686018427387905},
};
static struct bq_given_up given_up[] = {{17, "the checksum of the stored bytes does not match"}};

static void borrow_results(struct bq_report *is)
{
    is->results = results;
    is->n_results = 5;
    is->given_up = given_up;
    is->n_given_up = 1;
    is->n_given_up_total = 3;
}

static void free_but_results(struct bq_report *is)
{
    is->results = NULL;
    is->given_up = NULL;
    bq_report_free(is);
}

static void a_small_report_reads_so(void)
{
    make_report(&report, 1, 2, 660 * MS);
    strcpy(report.step, "step 1");
    strcpy(report.input, "in.h5:/photo");
    strcpy(report.output, "out.h5:/photo");
    report.is_simulated = true;
    report.n_chunks = 12345;
    report.bytes_in = 1320ull << 20;
    report.n_discarded = 2;
    report.n_machines = 2;
    report.clock_error_ns = 12000;
    report.n_messages = 40;
    report.coordinator_cpu = 0.0125;
    report.svc_ns = 17000;
    borrow_results(&report);
    struct bq_kitchen_report *kitchen = report.kitchens;
    kitchen->n_chunks = 12345;
    kitchen->bytes_in = report.bytes_in;
    strcpy(kitchen->warning, "2 cooks share 1 core, because mpirun bound this rank to it; start it "
                             "with --bind-to none");
    kitchen->cooks[0].core = 3;
    kitchen->cooks[0].n_chunks = 12000;
    kitchen->cooks[1].n_chunks = 345;
    spend(&report, 0, 0, BQ_OVEN, 0, 100);
    spend(&report, 0, 0, BQ_COOKING, 100, 660);
    spend(&report, 0, 1, BQ_KNIFE, 0, 50);
    spend(&report, 0, 1, BQ_PASS, 50, 100);
    spend(&report, 0, 1, BQ_READY, 100, 200);
    spend(&report, 0, 1, BQ_COOKING, 200, 400);
    keep_open(&report, 0, 0, 0, 660);
    keep_open(&report, 0, 1, 100, 400);
    CHECK_TEXT(text_of(&report),
               "banquet 1.2.3\n"
               "  job      jobs/brighten.yaml\n"
               "  step     step 1\n"
               "  kernel   brighten   (waits are simulated)\n"
               "  input    in.h5:/photo\n"
               "  output   out.h5:/photo\n"
               "  schedule guided   transport local\n"
               "12,345 chunks in 660 ms (18,705 chunks/s, 1.95 GiB/s in)\n"
               "\n"
               "  concurrency  mean 1.45   max 2.00   chunks in progress at once\n"
               "  parallelism  mean 1.15   max 2.00   cooks on a core at once  (2 cores)\n"
               "  (max: the mean of the fullest bin; bins of 4 ms)\n"
               "\n"
               "results\n"
               "  mean        12.5\n"
               "  pixels      1,234,567\n"
               "  brightness  1 123 7\n"
               "  many        100 values, largest 5 at 17\n"
               "  least       -4,611,686,018,427,387,905\n"
               "\n"
               "  kitchen, cook          chunks  cooking  ready  waiting  idle     in/s    out/s\n"
               "  k1 node1               12,345      58%     7%      15%   20% 1.95 GiB        -\n"
               "    c0 on core 3         12,000      85%     0%      15%    0%\n"
               "    c1                      345      30%    15%      15%   40%\n"
               "\n"
               "  timeline   # cooking   - ready   . waiting   x lock   > message   blank idle\n"
               "  k1 c0     |..........########################################################|\n"
               "  k1 c1     |xxxxx>>>>>----------####################                          |\n"
               "  open      |111111111122222222222222222222222222222211111111111111111111111111|\n"
               "  cooking   |          11111111112222222222222222222211111111111111111111111111|\n"
               "  time, ms   0         100       200       300       400       500       600\n"
               "\n"
               "what bounds it: idle at the end (20 %): the last leases were too large; try\n"
               "                factoring\n"
               "coordinator: 40 messages, 12.5 ms of CPU\n"
               "discarded: 2 results of chunks that were already finished\n"
               "clocks of 2 machines agree within 12 us\n"
               "warning: k1 node1: 2 cooks share 1 core, because mpirun bound this rank to it;\n"
               "         start it with --bind-to none\n"
               "3 chunks given up:\n"
               "  chunk 17: the checksum of the stored bytes does not match\n"
               "  ... and 2 more\n"
               "digest 0123456789abcdef0123456789abcdef\n");
    free_but_results(&report);
}

static void any_number_of_kitchens_fits_80_columns_and_a_few_screens(void)
{
    static const uint32_t n_kitchens[] = {0, 1, 2, 10, 11, 32, 33, 200}, n_cooks[] = {0, 1, 2, 9};
    for (size_t i = 0; i < sizeof n_kitchens / sizeof *n_kitchens; i++) {
        for (size_t j = 0; j < sizeof n_cooks / sizeof *n_cooks; j++) {
            make_report(&report, n_kitchens[i], n_cooks[j], 77777 * MS);
            memset(report.job, 'j', sizeof report.job - 1);
            memset(report.step, 's', sizeof report.step - 1);
            memset(report.input, 'i', sizeof report.input - 1);
            report.n_chunks = report.bytes_in = report.bytes_out = UINT64_MAX;
            for (uint32_t k = 0; k < n_kitchens[i]; k++) {
                memset(report.kitchens[k].host, 'h', sizeof report.kitchens[k].host - 1);
                report.kitchens[k].n_chunks = 12345678901;
                for (uint32_t c = 0; c < n_cooks[j]; c++)
                    spend(&report, k, c, BQ_COOKING, k, 70000 + k);
            }
            text_of(&report);
            CU_ASSERT(page.widest <= BQ_COLUMNS);
            CU_ASSERT(page.n_lines <= 90);
            if (n_kitchens[i] == 200)
                CU_ASSERT_PTR_NOT_NULL(strstr(page.text, "  ... 176 more; below, the 8 slowest"));
            bq_report_free(&report);
        }
    }
}

static void the_slowest_kitchens_are_shown_in_order(void)
{
    make_report(&report, 50, 1, 100 * MS);
    for (uint32_t k = 0; k < 50; k++) {
        report.kitchens[k].n_chunks = k % 5 == 4 && k > 10 ? 1 : 100; /* k15, k20 .. k50 */
        spend(&report, k, 0, BQ_COOKING, 0, 100);
    }
    const char *at = text_of(&report);
    static const char *const shown[] = {"k15 ", "k16 ", " 26 more", "k20 ", "k25 ",
                                        "k30 ", "k35 ", "k40 ",     "k45 ", "k50 "};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        at = at ? strstr(at, shown[i]) : NULL;
        CU_ASSERT_PTR_NOT_NULL(at);
    }
    CU_ASSERT_PTR_NULL(strstr(page.text, "k21 "));
    bq_report_free(&report);
}

static void the_axis_has_the_unit_that_suits_the_run(void)
{
    static const struct {
        uint64_t ms;
        const char *label;
    } known[] = {{2, "  time, us   0 "},
                 {2999, "  time, ms   0 "},
                 {3210, "  time, s    0 "},
                 {3600000, "  time, min  0 "}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        make_report(&report, 1, 1, known[i].ms * MS);
        CU_ASSERT_PTR_NOT_NULL(strstr(text_of(&report), known[i].label));
        bq_report_free(&report);
    }
}

static void lose(uint32_t kitchen, uint32_t n, bool is_gone, bool has_cooks)
{
    struct bq_kitchen_report *k = &report.kitchens[kitchen];
    k->n_lost = n;
    k->is_gone = is_gone;
    if (has_cooks)
        return;
    bq_free(k->cooks);
    k->cooks = NULL;
    k->n_cooks = 0;
}

static void a_kitchen_that_was_lost_has_no_cooks_and_is_named(void)
{
    make_report(&report, 3, 1, 100 * MS);
    spend(&report, 0, 0, BQ_COOKING, 0, 30);
    lose(0, 3, false, true);
    lose(1, 1, false, false);
    lose(2, 1, true, false);
    const char *text = text_of(&report);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nkitchen 1 lost its cooks 3 times\n"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(text, "\nkitchen 2 lost its cooks once, the last time at the end\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nkitchen 3 was lost; others did its work\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, " lost        -"));
    char verdict[256];
    bq_report_verdict(&report, verdict, sizeof verdict);
    CHECK_TEXT(verdict, "mostly idle (70 %): cooks were lost, and the others or new ones went on");
    CU_ASSERT_PTR_NULL(strstr(text, "nan"));
    lose(0, 3, false, false);
    CU_ASSERT_PTR_NOT_NULL(strstr(text_of(&report), "not known: cooks were lost"));
    bq_report_free(&report);
}

static void a_strange_name_cannot_upset_the_terminal(void)
{
    make_report(&report, 1, 1, 10 * MS);
    strcpy(report.input, "evil\033[2J\n\r.h5:/x");
    strcpy(report.kitchens[0].warning, "bell \a \177");
    text_of(&report);
    CU_ASSERT_PTR_NOT_NULL(strstr(page.text, "  input    evil?[2J??.h5:/x\n"));
    CU_ASSERT_PTR_NULL(strchr(page.text, '\033'));
    CU_ASSERT_PTR_NULL(strpbrk(page.text, "\a\177"));
    bq_report_free(&report);
}

/* -- lines -------------------------------------------------------------------------------- */

static void lines_are_broken_at_blanks_and_count_utf_8_as_one_column(void)
{
    const struct bq_lines lines = {put_on_page, &page};
    char out[128];
    memset(&page, 0, sizeof page);
    bq_line(&lines, "%078d\303\244\303\266\303\274", 0); /* 81 columns */
    bq_line_wrap(&lines, "x: ", "");
    CHECK_TEXT(page.text,
               "0000000000000000000000000000000000000000000000000000000000000000000000000"
               "0000...\nx:\n");
    memset(&page, 0, sizeof page);
    bq_line_wrap(&lines, "why: ",
                 "a word and another that together are so long that they must be "
                 "broken at a blank");
    CHECK_TEXT(page.text, "why: a word and another that together are so long that they must be "
                          "broken at a\n     blank\n");
    CHECK_TEXT(bq_line_tail("/a/b/\303\244\303\244\303\244.h5", 9, out, sizeof out),
               "...\303\244\303\244\303\244.h5");
    CHECK_TEXT(bq_line_tail("short", 9, out, sizeof out), "short");
}

static const struct test tests[] = {
    {"the means are integrals over the makespan", the_means_are_integrals_over_the_makespan},
    {"a run shorter than a bin is not diluted by it",
     a_run_shorter_than_a_bin_is_not_diluted_by_it},
    {"work after the last result does not count", work_after_the_last_result_does_not_count},
    {"percentages always add up to 100", percentages_always_add_up_to_100},
    {"the largest remainder gets the missing per cent",
     the_largest_remainder_gets_the_missing_per_cent},
    {"the verdict names what took the time", the_verdict_names_what_took_the_time},
    {"the verdict names who was idle and why", the_verdict_names_who_was_idle_and_why},
    {"a small report reads so", a_small_report_reads_so},
    {"any number of kitchens fits 80 columns and a few screens",
     any_number_of_kitchens_fits_80_columns_and_a_few_screens},
    {"the slowest kitchens are shown in order", the_slowest_kitchens_are_shown_in_order},
    {"the axis has the unit that suits the run", the_axis_has_the_unit_that_suits_the_run},
    {"a kitchen that was lost has no cooks, and is named",
     a_kitchen_that_was_lost_has_no_cooks_and_is_named},
    {"a strange name cannot upset the terminal", a_strange_name_cannot_upset_the_terminal},
    {"lines are broken at blanks and count UTF-8 as one column",
     lines_are_broken_at_blanks_and_count_utf_8_as_one_column},
};

RUN_TESTS("report", tests)
