/* The board: four made-up runs look like the chapter's picture, column for column. */
#include "core/board.h"

#include "core/timeline.h"

#include "cunit.h"
#include "made_report.h"

static struct page page;

/* Three orders, each 2 units in the oven and 1 of cooking; a unit is 100 ms. */
static void make_four(struct bq_report four[4])
{
    make_report(&four[0], 1, 1, 900 * MS);
    for (uint32_t i = 0; i < 3; i++) {
        spend(&four[0], 0, 0, BQ_OVEN, i * 300, i * 300 + 200);
        spend(&four[0], 0, 0, BQ_COOKING, i * 300 + 200, i * 300 + 300);
        keep_open(&four[0], 0, 0, i * 300, i * 300 + 300);
    }
    make_report(&four[1], 1, 1, 500 * MS); /* the oven overlaps itself */
    for (uint32_t i = 0; i < 3; i++) {
        spend(&four[1], 0, 0, BQ_OVEN, 0, 200);
        spend(&four[1], 0, 0, BQ_COOKING, 200 + i * 100, 300 + i * 100);
        keep_open(&four[1], 0, 0, 0, 300 + i * 100);
    }
    make_report(&four[2], 1, 3, 720 * MS); /* 40 ms of three cooks: a team */
    for (uint32_t i = 0; i < 3; i++) {
        spend(&four[2], 0, 0, BQ_OVEN, i * 240, i * 240 + 200);
        keep_open(&four[2], 0, 0, i * 240, i * 240 + 240);
        for (uint32_t c = 0; c < 3; c++)
            spend(&four[2], 0, c, BQ_COOKING, i * 240 + 200, i * 240 + 240);
    }
    make_report(&four[3], 3, 1, 300 * MS); /* three kitchens are merged */
    for (uint32_t k = 0; k < 3; k++) {
        spend(&four[3], k, 0, BQ_OVEN, 0, 200);
        spend(&four[3], k, 0, BQ_COOKING, 200, 300);
        keep_open(&four[3], k, 0, 0, 300);
    }
}

static void the_four_panels_look_like_the_chapter_s(void)
{
    struct bq_report four[4];
    make_four(four);
    const struct bq_board_panel panels[] = {{"A One at a time", &four[0], 9},
                                            {"B Concurrent, not parallel", &four[1], 5},
                                            {"C Parallel, not concurrent", &four[2], 7},
                                            {"D Concurrent AND parallel", &four[3], 3}};
    memset(&page, 0, sizeof page);
    bq_board(panels, 4, 100 * MS, put_on_page, &page);
    CHECK_TEXT(page.text,
               "A One at a time\n"
               "   cooks 1  done at 9.0 (model 9)  open max 1  cooking max 1\n"
               "   cook 1  |..........#####..........#####..........#####|\n"
               "   open    |111111111111111111111111111111111111111111111| <- concurrency\n"
               "   cooking |          11111          11111          11111| <- parallelism\n"
               "            0    1    2    3    4    5    6    7    8    9\n"
               "B Concurrent, not parallel\n"
               "   cooks 1  done at 5.0 (model 5)  open max 3  cooking max 1\n"
               "   cook 1  |..........###############                    |\n"
               "   open    |3333333333333332222211111                    | <- concurrency\n"
               "   cooking |          111111111111111                    | <- parallelism\n"
               "            0    1    2    3    4    5    6    7    8    9\n"
               "C Parallel, not concurrent\n"
               "   cooks 3  done at 7.2 (model 7)  open max 1  cooking max 3\n"
               "   cook 1  |..........##..........##..........##         |\n"
               "   cook 2  |          ##          ##          ##         |\n"
               "   cook 3  |          ##          ##          ##         |\n"
               "   open    |111111111111111111111111111111111111         | <- concurrency\n"
               "   cooking |          33          33          33         | <- parallelism\n"
               "            0    1    2    3    4    5    6    7    8    9\n"
               "D Concurrent AND parallel\n"
               "   cooks 3  done at 3.0 (model 3)  open max 3  cooking max 3\n"
               "   cook 1  |..........#####                              |\n"
               "   cook 2  |..........#####                              |\n"
               "   cook 3  |..........#####                              |\n"
               "   open    |333333333333333                              | <- concurrency\n"
               "   cooking |          33333                              | <- parallelism\n"
               "            0    1    2    3    4    5    6    7    8    9\n"
               "  ## cooking on a core   .. in the oven (waiting)   -- ready, no core free\n");
    for (int i = 0; i < 4; i++)
        bq_report_free(&four[i]);
}

static void short_titles_share_the_line_with_the_numbers(void)
{
    struct bq_report four[4];
    make_four(four);
    const struct bq_board_panel panels[] = {{"A One at a time", &four[0], 9},
                                            {"D All at once", &four[3], 0}};
    memset(&page, 0, sizeof page);
    bq_board(panels, 2, 100 * MS, put_on_page, &page);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(page.text,
               "A One at a time   cooks 1  done at 9.0 (model 9)  open max 1  cooking max 1\n"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(page.text, "D All at once     cooks 3  done at 3.0  open max 3  cooking max 3\n"));
    for (int i = 0; i < 4; i++)
        bq_report_free(&four[i]);
}

static void any_unit_fits_80_columns(void)
{
    struct bq_report four[4];
    make_four(four);
    const struct bq_board_panel panel = {"A One at a time", &four[0], 9};
    for (uint64_t unit = 1; unit < 100000 * MS; unit = unit * 3 + 1) {
        memset(&page, 0, sizeof page);
        bq_board(&panel, 1, unit, put_on_page, &page);
        CU_ASSERT(page.widest <= 80);
        CU_ASSERT(page.n_lines >= 6);
    }
    for (int i = 0; i < 4; i++)
        bq_report_free(&four[i]);
}

/* A run that ends a little late, as real ones do, gets no tenth unit. */
static void a_late_end_does_not_squeeze_the_picture(void)
{
    struct bq_report report;
    make_report(&report, 1, 1, 905 * MS);
    spend(&report, 0, 0, BQ_COOKING, 0, 905);
    const struct bq_board_panel panel = {"A", &report, 9};
    memset(&page, 0, sizeof page);
    bq_board(&panel, 1, 100 * MS, put_on_page, &page);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(page.text, "   cook 1  |#############################################|\n"));
    bq_report_free(&report);
}

static void a_short_run_gets_no_wide_columns(void)
{
    struct bq_report report;
    make_report(&report, 1, 1, 300 * MS);
    spend(&report, 0, 0, BQ_COOKING, 0, 300);
    const struct bq_board_panel panel = {"D", &report, 3};
    memset(&page, 0, sizeof page);
    bq_board(&panel, 1, 100 * MS, put_on_page, &page);
    CU_ASSERT_PTR_NOT_NULL(strstr(page.text, "   cook 1  |###############|\n"));
    bq_report_free(&report);
}

static void a_column_shows_the_state_with_most_time_in_it(void)
{
    static struct bq_track track;
    struct bq_timeline timeline;
    char row[BQ_TIMELINE_MAX + 2];
    bq_track_init(&track);
    bq_track_add(&track, BQ_COOKING, 0, 4 * MS, 4 * MS);
    bq_track_add(&track, BQ_READY, 4 * MS, 10 * MS, 6 * MS);  /* 4 : 6 */
    bq_track_add(&track, BQ_KNIFE, 10 * MS, 15 * MS, 5 * MS); /* 5 : 5 idle */
    bq_track_add(&track, BQ_PASS, 20 * MS, 24 * MS, 4 * MS);  /* 4 : 6 idle */
    bq_track_open(&track, 0, 2 * MS);
    for (int i = 0; i < 12; i++)
        bq_track_open(&track, 30 * MS, 40 * MS);
    bq_timeline_init(&timeline, 40 * MS, 4);
    bq_timeline_add(&timeline, &track, 40 * MS);
    CHECK_TEXT(bq_timeline_marks(&timeline, row), "-x  ");
    CHECK_TEXT(bq_timeline_open(&timeline, row), "0  +");
    CHECK_TEXT(bq_timeline_cooking(&timeline, row), "0   ");
}

static void idle_after_the_last_bin_counts_too(void)
{
    static struct bq_track track;
    struct bq_timeline timeline;
    char row[BQ_TIMELINE_MAX + 2];
    bq_track_init(&track);
    bq_track_add(&track, BQ_COOKING, 0, 14 * MS, 14 * MS);
    for (int i = 0; i < 9; i++)
        bq_track_open(&track, 0, 10 * MS);
    bq_timeline_init(&timeline, 20 * MS, 2);
    bq_timeline_add(&timeline, &track, 20 * MS); /* 4 : 6 */
    CHECK_TEXT(bq_timeline_marks(&timeline, row), "# ");
    CHECK_TEXT(bq_timeline_open(&timeline, row), "9 ");
}

static void fewer_bins_than_columns_are_stretched(void)
{
    static struct bq_track track;
    struct bq_timeline timeline;
    char row[BQ_TIMELINE_MAX + 2];
    bq_track_init(&track);
    bq_track_add(&track, BQ_COOKING, 0, MS, MS);
    bq_track_add(&track, BQ_OVEN, MS, 2 * MS, MS);
    bq_track_open(&track, 0, 2 * MS);
    bq_timeline_init(&timeline, 3 * MS, 12);
    bq_timeline_add(&timeline, &track, 3 * MS);
    CHECK_TEXT(bq_timeline_marks(&timeline, row), "####....    ");
    CHECK_TEXT(bq_timeline_open(&timeline, row), "11111111    ");
}

static void the_axis_has_round_numbers_at_their_columns(void)
{
    struct bq_timeline timeline;
    char row[BQ_TIMELINE_MAX + 2];
    bq_timeline_init(&timeline, 1600 * MS, 64);
    CHECK_TEXT(bq_timeline_axis(&timeline, 1e9, 0, row),
               "0                   0.5                 1                   1.5  ");
    bq_timeline_init(&timeline, 4 * MS, 20);
    CHECK_TEXT(bq_timeline_axis(&timeline, 1e6, 1, row), "0    1    2    3    4");
    bq_timeline_init(&timeline, 12 * MS, 12); /* no room for each number */
    CHECK_TEXT(bq_timeline_axis(&timeline, 1e6, 1, row), "0 2 4 6 8 10 ");
}

static const struct test tests[] = {
    {"the four panels look like the chapter's", the_four_panels_look_like_the_chapter_s},
    {"short titles share the line with the numbers", short_titles_share_the_line_with_the_numbers},
    {"any unit fits 80 columns", any_unit_fits_80_columns},
    {"a late end does not squeeze the picture", a_late_end_does_not_squeeze_the_picture},
    {"a short run gets no wide columns", a_short_run_gets_no_wide_columns},
    {"a column shows the state with most time in it",
     a_column_shows_the_state_with_most_time_in_it},
    {"idle after the last bin counts too", idle_after_the_last_bin_counts_too},
    {"fewer bins than columns are stretched", fewer_bins_than_columns_are_stretched},
    {"the axis has round numbers at their columns", the_axis_has_round_numbers_at_their_columns},
};

RUN_TESTS("board", tests)
