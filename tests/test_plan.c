/* Plans: every element lies in exactly one chunk, whatever the shape; impossible shapes are refused
 * by a text that says so. */
#include "core/plan.h"

#include "cunit.h"
#include "random.h"

#define MAX_CELLS 4096
#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)

#define SPACE(...)                                                                                 \
    ((struct bq_space){.rank = sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t),               \
                       .extent = {__VA_ARGS__}})
#define SHAPE(...) ((uint64_t[BQ_MAX_RANK]){__VA_ARGS__})

/* Counts each cell of each chunk; true when every element is covered once and nothing else is. */
static bool covers_exactly(const struct bq_plan *plan)
{
    static unsigned char seen[MAX_CELLS];
    int rank = plan->space.rank;
    uint64_t total = bq_space_elements(&plan->space), most = 0, sum = 0;
    memset(seen, 0, sizeof seen);
    for (uint64_t id = 0; id < plan->n_chunks; id++) {
        uint64_t offset[BQ_MAX_RANK], extent[BQ_MAX_RANK], product = 1;
        uint64_t n = bq_plan_chunk(plan, id, offset, extent);
        for (int i = 0; i < rank; i++) {
            product *= extent[i];
            if (extent[i] == 0 || offset[i] + extent[i] > plan->space.extent[i])
                return false;
        }
        if (product != n)
            return false;
        most = n > most ? n : most;
        sum += n;
        for (uint64_t cell = 0; cell < n; cell++) {
            uint64_t rest = cell, at = 0, stride = 1;
            for (int i = rank - 1; i >= 0; i--) {
                at += (offset[i] + rest % extent[i]) * stride;
                rest /= extent[i];
                stride *= plan->space.extent[i];
            }
            if (at >= total || seen[at]++)
                return false;
        }
    }
    return sum == total && most == plan->max_elements;
}

static struct bq_space random_space(uint64_t most)
{
    for (;;) {
        struct bq_space space = {.rank = 1 + (int)random_below(BQ_MAX_RANK)};
        uint64_t longest = space.rank <= 2 ? 60 : space.rank <= 4 ? 9 : 4;
        bool is_empty = random_below(40) == 0;
        for (int i = 0; i < space.rank; i++)
            space.extent[i] = 1 + random_below(longest);
        if (is_empty)
            space.extent[random_below((uint64_t)space.rank)] = 0;
        if (bq_space_elements(&space) <= most)
            return space;
    }
}

static void every_element_lies_in_one_chunk_of_any_shape(void)
{
    random_start(11);
    for (int round = 0; round < 3000; round++) {
        struct bq_space space = random_space(MAX_CELLS);
        uint64_t chunk[BQ_MAX_RANK];
        for (int i = 0; i < space.rank; i++)
            chunk[i] = random_below(20) ? 1 + random_below(space.extent[i] + 2) : UINT64_MAX;
        struct bq_plan plan;
        CU_ASSERT_EQUAL(bq_plan_make(&plan, &space, chunk, NULL), 0);
        if (!covers_exactly(&plan)) {
            printf("\n    round %d, rank %d\n", round, space.rank);
            CU_FAIL("an element is covered twice or not at all");
            return;
        }
    }
}

static void an_automatic_plan_covers_every_element_once(void)
{
    random_start(12);
    for (int round = 0; round < 3000; round++) {
        struct bq_space space = random_space(MAX_CELLS);
        uint64_t file_chunk[BQ_MAX_RANK];
        size_t element = (size_t)1 << random_below(24); /* huge elements make tiny spaces split */
        for (int i = 0; i < space.rank; i++)
            file_chunk[i] = 1 + random_below(2 * space.extent[i] + 1);
        struct bq_plan plan;
        const uint64_t *follow = random_below(4) ? file_chunk : NULL;
        CU_ASSERT_EQUAL(bq_plan_auto(&plan, &space, follow, element, NULL), 0);
        uint64_t bytes = plan.max_elements * element;
        CU_ASSERT(bytes <= BQ_PLAN_MAX_BYTES || plan.max_elements <= 1);
        CU_ASSERT(plan.n_chunks <= 1 || 2 * bytes > BQ_PLAN_MIN_BYTES ||
                  element > BQ_PLAN_MAX_BYTES);
        if (!covers_exactly(&plan)) {
            printf("\n    round %d, rank %d\n", round, space.rank);
            CU_FAIL("an element is covered twice or not at all");
            return;
        }
    }
}

static void ids_run_in_c_order(void)
{
    struct bq_plan plan;
    struct bq_space space = SPACE(10, 7);
    uint64_t offset[BQ_MAX_RANK], extent[BQ_MAX_RANK];
    CU_ASSERT_EQUAL_FATAL(bq_plan_make(&plan, &space, SHAPE(4, 3), NULL), 0);
    CU_ASSERT_EQUAL(plan.n_chunks, 9);
    CU_ASSERT_EQUAL(plan.max_elements, 12);
    CU_ASSERT_EQUAL(bq_plan_chunk(&plan, 1, offset, extent), 12);
    CU_ASSERT(offset[0] == 0 && offset[1] == 3);
    CU_ASSERT_EQUAL(bq_plan_chunk(&plan, 3, offset, extent), 12);
    CU_ASSERT(offset[0] == 4 && offset[1] == 0);
    CU_ASSERT_EQUAL(bq_plan_chunk(&plan, 8, offset, extent), 2);
    CU_ASSERT(offset[0] == 8 && offset[1] == 6 && extent[0] == 2 && extent[1] == 1);
}

static void a_dataset_without_elements_has_no_chunks(void)
{
    struct bq_plan plan;
    CU_ASSERT_EQUAL(bq_plan_make(&plan, &SPACE(0), SHAPE(5), NULL), 0);
    CU_ASSERT(plan.n_chunks == 0 && plan.max_elements == 0 && plan.chunk[0] == 5);
    CU_ASSERT_EQUAL(bq_plan_auto(&plan, &SPACE(3, 0, 4), NULL, 8, NULL), 0);
    CU_ASSERT(plan.n_chunks == 0 && plan.max_elements == 0);
    for (int i = 0; i < 3; i++)
        CU_ASSERT(plan.chunk[i] >= 1);
}

static void an_empty_dataset_is_empty_however_long_its_other_axes_are(void)
{
    struct bq_plan plan;
    struct bq_space space[] = {SPACE(0, UINT64_C(1) << 40, UINT64_C(1) << 40),
                               SPACE(UINT64_C(1) << 40, 0, UINT64_C(1) << 40),
                               SPACE(UINT64_C(1) << 40, UINT64_C(1) << 40, 0)};
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(bq_space_elements(&space[i]), 0);
        CU_ASSERT_EQUAL(bq_plan_make(&plan, &space[i], SHAPE(1, 1, 1), NULL), 0);
        CU_ASSERT_EQUAL(plan.n_chunks, 0);
        CU_ASSERT_EQUAL(bq_plan_auto(&plan, &space[i], NULL, 4, NULL), 0);
        CU_ASSERT_EQUAL(plan.n_chunks, 0);
    }
}

static void one_element_is_one_chunk(void)
{
    struct bq_plan plan;
    struct bq_space space = SPACE(1, 1, 1, 1, 1, 1, 1, 1);
    CU_ASSERT_EQUAL(bq_plan_auto(&plan, &space, NULL, 8, NULL), 0);
    CU_ASSERT(plan.n_chunks == 1 && plan.max_elements == 1);
    CU_ASSERT(covers_exactly(&plan));
}

static void auto_follows_the_chunks_of_the_file(void)
{
    struct bq_plan plan;
    CU_ASSERT_EQUAL(bq_plan_auto(&plan, &SPACE(5000, 5000), SHAPE(512, 512), 4, NULL), 0);
    CU_ASSERT(plan.chunk[0] == 512 && plan.chunk[1] == 512);
    CU_ASSERT_EQUAL(plan.n_chunks, 100);
}

static void auto_merges_small_chunks_along_the_fastest_axis_first(void)
{
    struct bq_plan plan;
    CU_ASSERT_EQUAL(bq_plan_auto(&plan, &SPACE(4096, 4096), SHAPE(16, 16), 4, NULL), 0);
    CU_ASSERT(plan.chunk[0] == 16 && plan.chunk[1] == 4096);
    CU_ASSERT_EQUAL(plan.max_elements * 4, BQ_PLAN_MIN_BYTES);
    /* Short rows: whole rows first, then several of them. */
    CU_ASSERT_EQUAL(bq_plan_auto(&plan, &SPACE(1 << 20, 3), SHAPE(1, 1), 4, NULL), 0);
    CU_ASSERT(plan.chunk[0] == 32768 && plan.chunk[1] == 3);
}

static void auto_splits_huge_chunks_along_the_slowest_axis_first(void)
{
    struct bq_plan plan;
    CU_ASSERT_EQUAL(bq_plan_auto(&plan, &SPACE(4096, 4096), SHAPE(4096, 4096), 4, NULL), 0);
    CU_ASSERT(plan.chunk[0] == 512 && plan.chunk[1] == 4096);
    CU_ASSERT_EQUAL(plan.max_elements * 4, BQ_PLAN_MAX_BYTES);
    uint64_t big = UINT64_C(1) << 62;
    CU_ASSERT_EQUAL(bq_plan_auto(&plan, &SPACE(1, big), SHAPE(1, big), 1, NULL), 0);
    CU_ASSERT_EQUAL(plan.max_elements, BQ_PLAN_MAX_BYTES);
}

static void auto_cuts_a_contiguous_dataset_into_whole_rows_of_about_a_mebibyte(void)
{
    struct bq_plan plan;
    CU_ASSERT_EQUAL(bq_plan_auto(&plan, &SPACE(100000, 1000), NULL, 4, NULL), 0);
    CU_ASSERT_EQUAL(plan.chunk[1], 1000);
    CU_ASSERT(plan.max_elements * 4 >= MIB && plan.max_elements * 4 < 2 * MIB);
    CU_ASSERT_EQUAL(bq_plan_auto(&plan, &SPACE(10, 10), NULL, 8, NULL), 0);
    CU_ASSERT_EQUAL(plan.n_chunks, 1);
}

static void elements_larger_than_the_largest_chunk_come_one_by_one(void)
{
    struct bq_plan plan;
    CU_ASSERT_EQUAL(bq_plan_auto(&plan, &SPACE(3, 2), SHAPE(3, 2), 16 * MIB, NULL), 0);
    CU_ASSERT(plan.n_chunks == 6 && plan.max_elements == 1);
}

/* Expects a refusal whose text contains `word`, and the plan as it was. */
static void refused(const struct bq_space *space, const uint64_t *chunk, const char *word)
{
    struct bq_plan plan;
    memset(&plan, 0x5a, sizeof plan);
    struct bq_plan before = plan;
    struct bq_error err = {0};
    CU_ASSERT_EQUAL(bq_plan_make(&plan, space, chunk, &err), -1);
    CU_ASSERT_EQUAL(err.exit, BQ_EXIT_USAGE);
    CU_ASSERT(strstr(err.text, word) != NULL);
    CU_ASSERT(memcmp(&plan, &before, sizeof plan) == 0);
    CU_ASSERT_EQUAL(bq_plan_make(&plan, space, chunk, NULL), -1);
}

static void impossible_shapes_are_refused_by_name(void)
{
    uint64_t big = UINT64_C(1) << 40, bigger = UINT64_C(1) << 63;
    refused(&SPACE(big, big), SHAPE(1, 1), "2^64");
    refused(&SPACE(big, big), SHAPE(big, big), "2^64");
    refused(&SPACE(bigger), SHAPE(1), "2^62 chunks");
    refused(&SPACE(UINT64_MAX), SHAPE(UINT64_MAX), "2^64");
    refused(&SPACE(10, 10), SHAPE(5, 0), "at least one");
    struct bq_space none = {.rank = 0}, nine = {.rank = 9}, less = {.rank = -1};
    refused(&none, SHAPE(1), "dimensions");
    refused(&nine, SHAPE(1), "not 9");
    refused(&less, SHAPE(1), "not -1");
    struct bq_error err = {0};
    struct bq_plan plan;
    CU_ASSERT_EQUAL(bq_plan_auto(&plan, &nine, NULL, 4, &err), -1);
    CU_ASSERT(strstr(err.text, "not 9") != NULL);
    CU_ASSERT_EQUAL(bq_plan_auto(&plan, &SPACE(big, big), NULL, 4, &err), -1);
    CU_ASSERT(strstr(err.text, "2^64") != NULL);
}

static void the_largest_plans_that_are_allowed_do_not_overflow(void)
{
    struct bq_plan plan;
    uint64_t big = UINT64_C(1) << 62, offset[BQ_MAX_RANK], extent[BQ_MAX_RANK];
    CU_ASSERT_EQUAL(bq_plan_make(&plan, &SPACE(big), SHAPE(1), NULL), 0);
    CU_ASSERT_EQUAL(plan.n_chunks, big);
    CU_ASSERT_EQUAL(bq_plan_chunk(&plan, big - 1, offset, extent), 1);
    CU_ASSERT_EQUAL(offset[0], big - 1);
    CU_ASSERT_EQUAL(bq_plan_make(&plan, &SPACE(UINT64_MAX - 1), SHAPE(UINT64_MAX - 2), NULL), 0);
    CU_ASSERT_EQUAL(plan.n_chunks, 2);
    CU_ASSERT_EQUAL(bq_plan_chunk(&plan, 1, offset, extent), 1);
    CU_ASSERT_EQUAL(offset[0], UINT64_MAX - 2);
}

static const struct test tests[] = {
    {"every element lies in one chunk of any shape", every_element_lies_in_one_chunk_of_any_shape},
    {"an automatic plan covers every element once", an_automatic_plan_covers_every_element_once},
    {"ids run in C order", ids_run_in_c_order},
    {"a dataset without elements has no chunks", a_dataset_without_elements_has_no_chunks},
    {"an empty dataset is empty however long its other axes are",
     an_empty_dataset_is_empty_however_long_its_other_axes_are},
    {"one element is one chunk", one_element_is_one_chunk},
    {"auto follows the chunks of the file", auto_follows_the_chunks_of_the_file},
    {"auto merges small chunks along the fastest axis first",
     auto_merges_small_chunks_along_the_fastest_axis_first},
    {"auto splits huge chunks along the slowest axis first",
     auto_splits_huge_chunks_along_the_slowest_axis_first},
    {"auto cuts a contiguous dataset into whole rows of about a mebibyte",
     auto_cuts_a_contiguous_dataset_into_whole_rows_of_about_a_mebibyte},
    {"elements larger than the largest chunk come one by one",
     elements_larger_than_the_largest_chunk_come_one_by_one},
    {"impossible shapes are refused by name", impossible_shapes_are_refused_by_name},
    {"the largest plans that are allowed do not overflow",
     the_largest_plans_that_are_allowed_do_not_overflow},
};

RUN_TESTS("plan", tests)
