/* Memory that runs out: whichever allocation of a creation fails, nothing crashes, nothing leaks
 * (LeakSanitizer looks) and the error has a text. */
#include "base/heap.h"

#include <stdlib.h>
#include <unistd.h>

#include "adapters/pool.h"
#include "adapters/transport.h"
#include "core/crew.h"
#include "core/reduction.h"
#include "core/scheduler.h"
#include "core/wire.h"
#include "cunit.h"
#include "run/execute.h"

/* Tries with the 1st, 2nd, .. allocation failing until it goes well; returns how often it failed.
 * attempt: true when it went well, and cleans up after itself. An err without text is a failure. */
static unsigned long fail_each(bool (*attempt)(struct bq_error *err), bool has_text)
{
    for (unsigned long n = 1;; n++) {
        struct bq_error err = {0};
        bq_heap_fail_at(n);
        bool is_well = attempt(&err);
        bq_heap_fail_at(0);
        if (is_well) {
            CU_ASSERT_STRING_EQUAL(err.text, "");
            return n - 1;
        }
        if (has_text && (!strstr(err.text, "memory") || err.exit != BQ_EXIT_FAILED))
            printf("\n    allocation %lu: '%s'\n", n, err.text);
        CU_ASSERT(!has_text || (strstr(err.text, "memory") && err.exit == BQ_EXIT_FAILED));
        CU_ASSERT_FATAL(n < 1000);
    }
}

static bool make_ledger(struct bq_error *err)
{
    (void)err;
    struct bq_ledger *ledger = bq_ledger_create(1000);
    bq_ledger_destroy(ledger);
    return ledger != NULL;
}

static bool make_crew(struct bq_error *err)
{
    (void)err;
    struct bq_crew *crew = bq_crew_create(7);
    bq_crew_destroy(crew);
    return crew != NULL;
}

static bool make_scheduler(struct bq_error *err)
{
    struct bq_scheduler_config config = {
        .n_chunks = 1000, .n_kitchens = 3, .schedule = {.policy = BQ_GUIDED}};
    struct bq_scheduler *s = bq_scheduler_create(&config, err);
    if (s) { /* and from here on it allocates nothing */
        struct bq_action action;
        bq_heap_fail_at(1);
        bq_scheduler_tell(s, 1, &(struct bq_event){.kind = BQ_EVENT_REQUEST});
        CU_ASSERT(bq_scheduler_ask(s, 1, &action));
        bq_scheduler_tell(s, 1, &(struct bq_event){.kind = BQ_EVENT_FAILED, .first = 5});
        bq_scheduler_tell(s, 1, &(struct bq_event){.kind = BQ_EVENT_LOST});
        CU_ASSERT_PTR_NULL(bq_scheduler_check(s));
        CU_ASSERT_PTR_NULL(bq_alloc(1, 1)); /* the failure is still to come */
    }
    bq_scheduler_destroy(s);
    return s != NULL;
}

static void the_core_survives_any_failed_allocation(void)
{
    CU_ASSERT_EQUAL(fail_each(make_ledger, false), 3);
    CU_ASSERT_EQUAL(fail_each(make_crew, false), 2);
    CU_ASSERT(fail_each(make_scheduler, true) >= 5);
}

static void sum(const void *context, void *into, const void *next)
{
    (void)context;
    *(uint64_t *)into += *(const uint64_t *)next;
}

/* Adds chunks so that the table grows several times. One that could not be added is added again:
 * what was there before must be there still. */
static bool grow_reduction(struct bq_error *err)
{
    (void)err;
    struct bq_combine combine = {.size = sizeof(uint64_t), .run = sum};
    struct bq_reduction *r = bq_reduction_create(&combine);
    bool is_well = r != NULL;
    for (uint64_t c = 0; r && c < 200; c++) {
        struct bq_node node = {.first = c < 100 ? 2 * c : 2 * (c - 100) + 1};
        if (bq_reduction_add(r, node, &c, false) < 0) {
            is_well = false;
            CU_ASSERT_EQUAL(bq_reduction_add(r, node, &c, false), 0);
        }
    }
    uint64_t total = 0;
    CU_ASSERT(!r || (bq_reduction_finish(r, 200, &total) && total == 199 * 200 / 2));
    bq_reduction_destroy(r);
    return is_well;
}

static void a_reduction_that_cannot_grow_keeps_what_it_has(void)
{
    CU_ASSERT(fail_each(grow_reduction, false) >= 3 + 2 * 4);
}

static bool read_report(struct bq_error *err)
{
    static struct bq_cook_report cooks[3];
    static unsigned char bytes[2000];
    struct bq_kitchen_report in = {.n_cooks = 3, .cooks = cooks}, out;
    (void)err;
    for (int i = 0; i < 3; i++)
        bq_track_init(&cooks[i].track);
    struct bq_writer w = bq_writer(bytes, sizeof bytes);
    bq_wire_put_report(&w, &in);
    CU_ASSERT_FALSE(w.is_bad);
    struct bq_reader r = bq_reader(bytes, (size_t)(w.at - bytes));
    int rc = bq_wire_get_report(&r, &out);
    CU_ASSERT(rc == 0 || !out.cooks);
    bq_free(out.cooks);
    return rc == 0;
}

static void a_report_without_memory_is_refused(void)
{
    CU_ASSERT_EQUAL(fail_each(read_report, false), 1);
}

static bool make_transport(struct bq_error *err)
{
    struct bq_transport *ends[2] = {NULL, NULL};
    if (bq_transport_local(ends, err) < 0) {
        CU_ASSERT(!ends[0] && !ends[1]);
        return false;
    }
    bool is_well = bq_transport_send_copy(ends[0], 1, "abc", 3, err) == 0;
    bq_transport_destroy(ends[0]);
    bq_transport_destroy(ends[1]);
    return is_well;
}

static void a_transport_survives_any_failed_allocation(void)
{
    CU_ASSERT(fail_each(make_transport, true) >= 3);
}

static enum bq_unit_answer do_nothing(void *context, struct bq_unit *unit)
{
    (void)context;
    (void)unit;
    return BQ_UNIT_DONE;
}

static int bell;

static bool make_pool(struct bq_error *err)
{
    struct bq_pool_config config = {
        .n_cooks = 3, .open = 2, .result_size = 100, .bell = bell, .cook = do_nothing};
    struct bq_pool *pool = bq_pool_create(&config, err);
    bq_pool_destroy(pool);
    return pool != NULL;
}

static void a_pool_survives_any_failed_allocation(void)
{
    bell = bq_bell_create();
    CU_ASSERT(fail_each(make_pool, true) >= 2 + 3 * 3);
    close(bell);
}

static const struct bq_kernel kernel = {.abi = BQ_KERNEL_ABI, .name = "none"};

static bool make_executor(struct bq_error *err)
{
    static struct bq_recipe recipe;
    recipe = (struct bq_recipe){
        .has_output = true, .open = 2, .out_type = BQ_F32, .acc_size = 40, .n_kitchens = 1};
    struct bq_space space = {.rank = 2, .extent = {100, 100}};
    CU_ASSERT_EQUAL(bq_plan_make(&recipe.plan, &space, (uint64_t[]){10, 10}, NULL), 0);
    struct bq_executor *x = bq_executor_create(&recipe, &kernel, 1, 1, err);
    struct bq_fit fit;
    bool is_made = x && bq_executor_prepare(x, 3, 1 << 20, &fit, err) == 0;
    CU_ASSERT(!x || bq_executor_is_settled(x));
    bq_executor_destroy(x);
    return is_made;
}

static void an_executor_survives_any_failed_allocation(void)
{
    CU_ASSERT(fail_each(make_executor, true) >= 2 + 2 + 10);
}

static void absurd_sizes_are_refused_and_nothing_is_something(void)
{
    CU_ASSERT_PTR_NULL(bq_alloc(SIZE_MAX, 2));
    CU_ASSERT_PTR_NULL(bq_alloc(2, SIZE_MAX));
    CU_ASSERT_PTR_NULL(bq_alloc(SIZE_MAX, 1));
    CU_ASSERT_PTR_NULL(bq_alloc(SIZE_MAX / 8, 16));
    void *nothing = bq_alloc(0, 100), *empty = bq_alloc(100, 0);
    CU_ASSERT(nothing && empty);
    bq_free(nothing);
    bq_free(empty);
    bq_free(NULL);
}

static void memory_is_zeroed_and_begins_at_a_cache_line(void)
{
    for (size_t n = 1; n < 300; n += 7) {
        unsigned char *p = bq_alloc(n, 1);
        CU_ASSERT_EQUAL((uintptr_t)p % 64, 0);
        for (size_t i = 0; i < n; i++)
            CU_ASSERT_EQUAL(p[i], 0);
        memset(p, 0xff, n);
        bq_free(p);
    }
}

static void only_the_allocation_that_is_named_fails(void)
{
    bq_heap_fail_at(2);
    void *first = bq_alloc(1, 1);
    CU_ASSERT(first && !bq_strdup("second"));
    char *third = bq_strdup("third");
    CHECK_TEXT(third, "third");
    bq_free(first);
    bq_free(third);
}

static const struct test tests[] = {
    {"the core survives any failed allocation", the_core_survives_any_failed_allocation},
    {"a reduction that cannot grow keeps what it has",
     a_reduction_that_cannot_grow_keeps_what_it_has},
    {"a report without memory is refused", a_report_without_memory_is_refused},
    {"a transport survives any failed allocation", a_transport_survives_any_failed_allocation},
    {"a pool survives any failed allocation", a_pool_survives_any_failed_allocation},
    {"an executor survives any failed allocation", an_executor_survives_any_failed_allocation},
    {"absurd sizes are refused, and nothing is something",
     absurd_sizes_are_refused_and_nothing_is_something},
    {"memory is zeroed and begins at a cache line", memory_is_zeroed_and_begins_at_a_cache_line},
    {"only the allocation that is named fails", only_the_allocation_that_is_named_fails},
};

RUN_TESTS("memory", tests)
