/* The line of a pipeline, with stages that take random times; also built with ThreadSanitizer. */
#include "run/line.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "adapters/clock.h"
#include "cunit.h"
#include "random.h"

enum { N = 400, PLACES = 12 };

struct item {
    struct bq_on_line on_line; /* first */
    unsigned chunk;
    unsigned delay_us[BQ_N_LINE_STAGES];
    bool leaves; /* behind the kernel */
    atomic_bool is_free;
};

struct world {
    struct bq_line *line;
    struct item items[PLACES];
    unsigned written[N];
    atomic_uint n_written, n_left;
};

static bool work(void *context, enum bq_line_stage stage, unsigned worker, struct bq_meter *meter,
                 struct bq_on_line *chunk)
{
    struct world *w = context;
    struct item *item = (struct item *)chunk;
    (void)worker;
    (void)meter;
    if (item->delay_us[stage])
        usleep(item->delay_us[stage]);
    bool is_over = stage == BQ_LINE_WRITE || (stage == BQ_LINE_KERNEL && item->leaves);
    if (!is_over)
        return true;
    if (stage == BQ_LINE_WRITE)
        w->written[atomic_fetch_add(&w->n_written, 1)] = item->chunk;
    else
        atomic_fetch_add(&w->n_left, 1);
    bq_line_leave(w->line, chunk);
    atomic_store(&item->is_free, true);
    return false;
}

static struct item *find_free(struct world *w)
{
    for (;;) {
        for (unsigned i = 0; i < PLACES; i++) {
            if (atomic_exchange(&w->items[i].is_free, false))
                return &w->items[i];
        }
        usleep(20);
    }
}

/* N chunks through the line; some leave behind the kernel. Returns whether the others came out in
 * the order in which they went in. */
static bool run(const char *pipeline)
{
    static struct world world;
    struct world *w = &world;
    struct bq_line_config config = {.epoch = bq_now(), .work = work, .context = w};
    struct bq_meter meter;
    memset(w, 0, sizeof *w);
    CU_ASSERT_EQUAL_FATAL(bq_pipeline_set(&config.pipeline, pipeline, NULL), 0);
    for (unsigned i = 0; i < PLACES; i++)
        atomic_store(&w->items[i].is_free, true);
    w->line = bq_line_create(&config, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(w->line);
    bq_meter_create(&meter);
    bq_meter_start(&meter, config.epoch);
    for (unsigned chunk = 0; chunk < N; chunk++) {
        struct item *item = find_free(w);
        item->chunk = chunk;
        item->leaves = random_below(10) == 0;
        for (int s = 0; s < BQ_N_LINE_STAGES; s++)
            item->delay_us[s] = random_below(4) ? 0 : (unsigned)random_below(400);
        CU_ASSERT(bq_line_put(w->line, &meter, &item->on_line));
    }
    while (atomic_load(&w->n_written) + atomic_load(&w->n_left) < N)
        usleep(100);
    bq_meter_stop(&meter);
    bq_meter_destroy(&meter);
    bq_line_destroy(w->line);
    bool is_in_order = true;
    bool is_written[N] = {false};
    for (unsigned i = 0; i < w->n_written; i++) {
        CU_ASSERT_FALSE(is_written[w->written[i]]);
        is_written[w->written[i]] = true;
        is_in_order = is_in_order && (i == 0 || w->written[i] > w->written[i - 1]);
    }
    return is_in_order;
}

static void everything_comes_out_once(void)
{
    random_start(7);
    run("read:1,kernel:3,encode:2,write:2");
    run("kernel:1");
}

static void an_order_that_is_kept_is_that_of_reading(void)
{
    random_start(8);
    for (int i = 0; i < 3; i++)
        CU_ASSERT(run("read:1,kernel:4,encode:3,write:1,order:kept"));
    bool is_ever_mixed = false; /* else this test would prove nothing */
    for (int i = 0; i < 20 && !is_ever_mixed; i++)
        is_ever_mixed = !run("read:1,kernel:4,encode:3,write:1,order:any");
    CU_ASSERT(is_ever_mixed);
}

static const struct test tests[] = {
    {"everything comes out once", everything_comes_out_once},
    {"an order that is kept is that of reading", an_order_that_is_kept_is_that_of_reading},
};

RUN_TESTS("line", tests)
