/* The steps of a job as a graph, and loops. */
#include "core/graph.h"

#include "base/heap.h"
#include "job_kernels.h"
#include "random.h"

static const struct bq_step *step_of(const struct bq_job *job, const struct bq_graph *g, size_t at)
{
    return &job->steps[g->order[at]];
}

static void a_step_comes_after_what_it_needs(void)
{
    struct bq_job *job = read_good("steps:\n"
                                   "- {name: last, kernel: brighten, uses: {gain: first.mean, "
                                   "input: middle}, output: 'c.h5:/x'}\n"
                                   "- {name: middle, kernel: brighten, input: 'b.h5:/x'}\n"
                                   "- {name: maker, kernel: zeros, output: 'b.h5:/x'}\n"
                                   "- {name: first, kernel: stats, input: 'a.h5:/x'}\n");
    struct bq_graph g;
    CU_ASSERT_EQUAL(bq_graph_make(&g, job, NULL), 0);
    CHECK_TEXT(step_of(job, &g, 0)->name, "maker");
    CHECK_TEXT(step_of(job, &g, 1)->name, "middle");
    CHECK_TEXT(step_of(job, &g, 2)->name, "first");
    CHECK_TEXT(step_of(job, &g, 3)->name, "last");
    CU_ASSERT_EQUAL(bq_graph_maker(job, 0), 1);
    CU_ASSERT_EQUAL(bq_graph_maker(job, 1), 2);
    CU_ASSERT_EQUAL(bq_graph_maker(job, 3), -1);
    CU_ASSERT_EQUAL(bq_graph_beside(&g, job, 0), 2); /* it follows middle chunk by chunk */
    CU_ASSERT_EQUAL(bq_graph_beside(&g, job, 1), 3);
    CU_ASSERT_EQUAL(bq_graph_beside(&g, job, 3), 3);
    bq_job_destroy(job);
}

static void loops_are_read_and_stand_together(void)
{
    struct bq_job *job =
        read_good("steps:\n"
                  "- {name: after, kernel: brighten, uses: {gain: a.mean}, input: 'x.h5:/x', "
                  "output: 'y.h5:/x'}\n"
                  "- name: train\n"
                  "  repeat: 7\n"
                  "  until: {reduction: b.change, relation: at least, value: -1.5}\n"
                  "  steps:\n"
                  "  - {name: b, kernel: brighten, uses: {input: a}, next: {gain: b.mean}}\n"
                  "  - {name: a, kernel: brighten, input: 'x.h5:/x', next: {input: b}}\n"
                  "- {name: alone, kernel: brighten, input: 'x.h5:/x', output: 'z.h5:/x', "
                  "next: {gain: alone.mean}, repeat: 3, until: mean<=1e-3}\n");
    struct bq_graph g;
    CU_ASSERT_EQUAL_FATAL(job->n_loops, 2);
    const struct bq_loop *train = &job->loops[0], *alone = &job->loops[1];
    CHECK_TEXT(train->name, "train");
    CU_ASSERT(train->first == 1 && train->n == 2 && train->repeat == 7);
    CU_ASSERT(train->until.relation == BQ_AT_LEAST && train->until.value == -1.5);
    CHECK_TEXT(alone->name, "alone");
    CHECK_TEXT(alone->until.step, "alone");
    CHECK_TEXT(alone->until.result, "mean");
    CU_ASSERT(alone->repeat == 3 && alone->until.relation == BQ_AT_MOST &&
              alone->until.value == 1e-3);
    CU_ASSERT_EQUAL(bq_graph_make(&g, job, NULL), 0);
    CHECK_TEXT(step_of(job, &g, 0)->name, "a");
    CHECK_TEXT(step_of(job, &g, 1)->name, "b");
    CHECK_TEXT(step_of(job, &g, 2)->name, "after");
    CU_ASSERT_EQUAL(bq_graph_beside(&g, job, 3), 3); /* alone, train, after */
    CU_ASSERT_EQUAL(bq_graph_beside(&g, job, 0), 2);
    bq_job_destroy(job);

    const char *text = "{kernel: brighten, input: 'x.h5:/x', output: 'y.h5:/x', "
                       "next: {gain: s}, repeat: 3, name: s}";
    const char *sets[] = {"repeat=9", "until=mean > 2", "s.repeat=8"};
    struct bq_error err;
    job = read_over(text, &(struct bq_override){.sets = sets, .n_sets = 3}, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(job);
    CU_ASSERT(job->loops[0].repeat == 8 && job->loops[0].until.value == 2);
    bq_job_destroy(job);
}

static void what_is_wrong_is_told(void)
{
    static const struct wrong wrong[] = {
        {"steps:\n- {name: a, kernel: brighten, uses: {input: b}}\n"
         "- {name: b, kernel: brighten, uses: {input: a}, output: 'x.h5:/x'}\n",
         "job.yaml:2: steps need each other in a circle: 'a' needs 'b' needs 'a'"},
        {"{name: a, kernel: brighten, uses: {gain: a}, input: 'i.h5:/x', output: 'x.h5:/x'}",
         "job.yaml:1: steps need each other in a circle: 'a' needs 'a'"},
        {"{name: a, kernel: brighten, uses: {gain: q}, input: 'i.h5:/x', output: 'x.h5:/x'}",
         "job.yaml:1: step 'a': no step is named 'q'; did you mean 'a'?"},
        {"{name: a, kernel: brighten, uses: {gian: a}, input: 'i.h5:/x', output: 'x.h5:/x'}",
         "job.yaml:1: kernel 'brighten' has no parameter 'gian'; did you mean 'gain'?"},
        {"steps:\n- {name: a, kernel: stats, input: 'i.h5:/x'}\n"
         "- {name: b, kernel: brighten, uses: {input: a}, output: 'x.h5:/x'}\n",
         "job.yaml:3: step 'b': step 'a' writes nothing that could be its input"},
        {"{name: a, kernel: brighten, next: {input: a}, input: 'i.h5:/x', output: 'x.h5:/x'}",
         "job.yaml:1: step 'a': next takes from a step of the same loop, and 'a' is in none"},
        {"{kernel: stats, input: 'x.h5:/x', until: mean < 1}",
         "job.yaml:1: loop 'step 1' has no limit; give `repeat`, the most rounds that it may take"},
        {"{kernel: stats, input: 'x.h5:/x', repeat: 0}",
         "job.yaml:1: repeat must be a number of rounds from 1 to 1000000000, not '0'"},
        {"{kernel: stats, input: 'x.h5:/x', repeat: 2, until: mean is 1}",
         "job.yaml:1: until must be STEP.RESULT < NUMBER, such as heat.change < 1e-4, not 'mean is "
         "1'"},
        {"{kernel: stats, input: 'x.h5:/x', repeat: 2, until: {reduction: a, value: 1}}",
         "job.yaml:1: until names no relation; write {reduction: heat.change, relation: below, "
         "value: 1e-4}"},
        {"steps:\n- name: l\n  repeat: 2\n  steps:\n"
         "  - {kernel: stats, input: 'x.h5:/x', repeat: 2}\n",
         "job.yaml:5: a loop inside a loop is not supported"},
        {"steps:\n- name: l\n  repeat: 2\n  until: mean < 1\n  steps:\n"
         "  - {name: a, kernel: stats, input: 'x.h5:/x'}\n"
         "  - {name: b, kernel: stats, input: 'x.h5:/x'}\n",
         "job.yaml:4: loop 'l' has several steps: until must say which, as in a.mean"},
        {"{name: l, kernel: stats, input: 'x.h5:/x', repeat: 2, until: mean < 1}",
         "job.yaml:1: loop 'l': nothing is taken from the round before, so until would never "
         "change; use `next`"},
        {"{kernel: brighten, uses: {input: a, gain: }, output: 'x.h5:/x'}",
         "job.yaml:1: gain must be STEP or STEP.RESULT, not nothing"},
        {"steps:\n- {name: a, kernel: zeros, output: 'a.h5:/x'}\n"
         "- {kernel: brighten, uses: {input: a}, input: 'i.h5:/x', output: 'x.h5:/x'}\n",
         "job.yaml:3: the input is given twice: by 'input' and by 'uses'"},
    };
    CHECK_WRONG(wrong);
}

/* Any steps that need only later ones of a secret order can be put in order, and one need against
 * it that closes a circle cannot. */
static void random_graphs_are_ordered_or_have_a_circle(void)
{
    random_start(11);
    for (int round = 0; round < 300; round++) {
        size_t n = 2 + random_below(BQ_MAX_STEPS - 1), secret[BQ_MAX_STEPS];
        struct bq_job job = {.file = (char *)"job.yaml", .n_steps = n};
        struct bq_graph g;
        struct bq_error err = {0};
        job.steps = bq_alloc(n, sizeof *job.steps);
        char names[BQ_MAX_STEPS][8];
        for (size_t i = 0; i < n; i++) {
            snprintf(names[i], sizeof names[i], "s%zu", i);
            job.steps[i].name = names[i];
            job.steps[i].kernel = &zeros;
            secret[i] = i;
        }
        for (size_t i = n - 1; i > 0; i--) {
            size_t k = random_below(i + 1), swap = secret[i];
            secret[i] = secret[k];
            secret[k] = swap;
        }
        for (size_t i = 1; i < n; i++) {
            struct bq_step *step = &job.steps[secret[i]];
            for (uint64_t u = random_below(4); u > 0; u--)
                step->uses[step->n_uses++] = (struct bq_use){.maker = (int)secret[random_below(i)]};
        }
        CU_ASSERT_EQUAL_FATAL(bq_graph_make(&g, &job, &err), 0);
        uint64_t done = 0;
        for (size_t at = 0; at < n; at++) {
            CU_ASSERT_EQUAL(g.needs[g.order[at]] & ~done, 0);
            done |= UINT64_C(1) << g.order[at];
            CU_ASSERT(bq_graph_beside(&g, &job, at) >= 1 && bq_graph_beside(&g, &job, at) <= n);
        }
        struct bq_step *first = &job.steps[secret[0]], *last = &job.steps[secret[n - 1]];
        last->uses[last->n_uses++] = (struct bq_use){.maker = (int)secret[0]};
        first->uses[first->n_uses++] = (struct bq_use){.maker = (int)secret[n - 1]};
        CU_ASSERT_EQUAL(bq_graph_make(&g, &job, &err), -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "in a circle"));
        bq_free(job.steps);
    }
}

static const struct test tests[] = {
    {"a step comes after what it needs", a_step_comes_after_what_it_needs},
    {"loops are read and stand together", loops_are_read_and_stand_together},
    {"what is wrong with a graph or a loop is told", what_is_wrong_is_told},
    {"random graphs are ordered, or have a circle", random_graphs_are_ordered_or_have_a_circle},
};

int main(void)
{
    return run_tests_apart("graph", tests, sizeof tests / sizeof *tests);
}
