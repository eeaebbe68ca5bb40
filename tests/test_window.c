/* Windows against a definition that looks every element up in the whole dataset. */
#include "core/window.h"

#include <stdlib.h>
#include <string.h>

#include "cunit.h"
#include "random.h"

enum { ROUNDS = 600 };

/* Where element `at` along an axis comes from; -1: a constant. */
static int64_t source(enum bq_border border, int64_t at, int64_t n)
{
    if (at >= 0 && at < n)
        return at;
    switch (border) {
    case BQ_CLAMP:
        return at < 0 ? 0 : n - 1;
    case BQ_WRAP:
        return at < 0 ? at + n : at - n;
    case BQ_REFLECT:
        return at < 0 ? -1 - at : 2 * n - 1 - at;
    case BQ_CONSTANT:
    case BQ_N_BORDERS:
        break;
    }
    return -1;
}

/* Element i of a chunk's window, by definition. Element k of the dataset is k + 1. */
static uint16_t expected(const struct bq_plan *plan, const uint64_t *offset, const uint64_t *window,
                         uint64_t i)
{
    uint64_t at[BQ_MAX_RANK], k = 0;
    for (int a = plan->space.rank - 1; a >= 0; a--) {
        at[a] = i % window[a];
        i /= window[a];
    }
    for (int a = 0; a < plan->space.rank; a++) {
        int64_t n = (int64_t)plan->space.extent[a];
        int64_t from = source(plan->halo.border,
                              (int64_t)(offset[a] + at[a]) - (int64_t)plan->halo.width[a], n);
        if (from < 0)
            return 9999;
        k = k * plan->space.extent[a] + (uint64_t)from;
    }
    return (uint16_t)(k + 1);
}

static void read_box(const struct bq_plan *plan, const struct bq_box *box, uint16_t *to)
{
    for (uint64_t i = 0; i < bq_box_elements(box); i++) {
        uint64_t rest = i, k = 0, stride = 1;
        for (int a = plan->space.rank - 1; a >= 0; a--) {
            CU_ASSERT_FATAL(box->offset[a] + rest % box->extent[a] < plan->space.extent[a]);
            k += (box->offset[a] + rest % box->extent[a]) * stride;
            stride *= plan->space.extent[a];
            rest /= box->extent[a];
        }
        to[i] = (uint16_t)(k + 1);
    }
}

static bool window_is_right(const struct bq_plan *plan, uint64_t chunk)
{
    uint64_t offset[BQ_MAX_RANK], extent[BQ_MAX_RANK], window[BQ_MAX_RANK], at[BQ_MAX_RANK], n = 1;
    struct bq_box box;
    bq_plan_chunk(plan, chunk, offset, extent);
    bq_window_extent(plan, chunk, window);
    for (int a = 0; a < plan->space.rank; a++)
        n *= window[a];
    CU_ASSERT_FATAL(n <= plan->max_window);
    uint16_t *data = malloc(n * sizeof *data), *strip = malloc(n * sizeof *strip);
    unsigned n_parts = bq_window_parts(plan, chunk);
    for (unsigned part = 0; part < n_parts; part++) {
        bq_window_part(plan, chunk, part, &box, at);
        CU_ASSERT_FATAL(bq_box_elements(&box) <= n);
        read_box(plan, &box, part == 0 ? data : strip);
        if (part == 0)
            bq_window_spread(plan, chunk, sizeof *data, data);
        else
            bq_window_put(plan, chunk, part, sizeof *data, strip, data);
    }
    bq_window_border(plan, chunk, sizeof *data, data);
    bool is_right = true;
    for (uint64_t i = 0; is_right && i < n; i++)
        is_right = data[i] == expected(plan, offset, window, i);
    free(data);
    free(strip);
    return is_right;
}

static void every_window_is_what_its_border_says(void)
{
    random_start(7);
    for (int round = 0; round < ROUNDS; round++) {
        struct bq_space space = {.rank = 1 + (int)random_below(4)};
        struct bq_halo halo = {.border = (enum bq_border)random_below(BQ_N_BORDERS)};
        uint64_t chunk[BQ_MAX_RANK];
        struct bq_plan plan;
        static const uint16_t constant = 9999;
        memcpy(halo.value, &constant, sizeof constant);
        for (int a = 0; a < space.rank; a++) {
            space.extent[a] = 1 + random_below(space.rank == 1 ? 60 : 9);
            chunk[a] = 1 + random_below(space.extent[a] + 1);
            halo.width[a] = random_below(space.extent[a] + 1);
        }
        CU_ASSERT_EQUAL_FATAL(bq_plan_make(&plan, &space, chunk, NULL), 0);
        CU_ASSERT_EQUAL_FATAL(bq_plan_set_halo(&plan, &halo, NULL), 0);
        for (uint64_t c = 0; c < plan.n_chunks; c++)
            CU_ASSERT(window_is_right(&plan, c));
    }
}

static void a_margin_wider_than_the_dataset_is_refused(void)
{
    struct bq_space space = {.rank = 2, .extent = {5, 7}};
    struct bq_plan plan, before;
    struct bq_error err = {0};
    CU_ASSERT_EQUAL(bq_plan_make(&plan, &space, (uint64_t[]){2, 7}, NULL), 0);
    before = plan;
    CU_ASSERT_EQUAL(bq_plan_set_halo(&plan, &(struct bq_halo){.width = {6, 0}}, &err), -1);
    CHECK_TEXT(err.text, "a margin of 6 along axis 0, and the dataset's extent there is 5");
    CU_ASSERT(plan.max_window == before.max_window && !plan.halo.is_any);
    CU_ASSERT_EQUAL(bq_plan_set_halo(&plan, &(struct bq_halo){.width = {5, 7}}, &err), 0);
    CU_ASSERT(plan.halo.is_any && plan.max_window == 12 * 21);
    CU_ASSERT_EQUAL(bq_plan_set_halo(&plan, &(struct bq_halo){.width = {0, 0}}, &err), 0);
    CU_ASSERT(!plan.halo.is_any && plan.max_window == 14);
}

static const struct test tests[] = {
    {"every element of a window is what the border says", every_window_is_what_its_border_says},
    {"a margin wider than the dataset is refused", a_margin_wider_than_the_dataset_is_refused},
};

int main(void)
{
    return run_tests("window", tests, sizeof tests / sizeof *tests);
}
