/* What the command line changes in a job, and parameters by themselves. */
#include "core/job.h"

#include "base/heap.h"
#include "base/hint.h"
#include "core/step.h"

#include <math.h>

#include "job_kernels.h"

#define TWO_STEPS                                                                                  \
    "steps:\n"                                                                                     \
    "  - {name: light, kernel: brighten, input: a.h5:/x}\n"                                        \
    "  - {name: sum, kernel: stats, input: b.h5:/x}\n"

static void input_from_outside(void)
{
    struct bq_error err;
    struct bq_override over = {.input = "d:/x.h5:/a/b", .output = "y.h5:/c"};
    struct bq_job *job = read_over("kernel: brighten\n", &over, &err);
    CHECK_TEXT(err.text, "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(job);
    CHECK_TEXT(job->steps->input.file, "d:/x.h5");
    CHECK_TEXT(job->steps->input.dataset, "/a/b");
    CU_ASSERT_EQUAL(job->steps->input.line, 0);
    CHECK_TEXT(job->steps->output.dataset, "/c");
    bq_job_destroy(job);
}

static void flags_win(void)
{
    static const char *const sets[] = {"params.gain=3", "team=false", "step 1.params.steps=-2e3",
                                       "params.gain=4"};
    struct bq_error err;
    struct bq_override over = {.chunk = "8x4",
                               .schedule = "dynamic:16",
                               .cooks = "5",
                               .open = "6",
                               .memory = "512MiB",
                               .sets = sets,
                               .n_sets = 4};
    struct bq_job *job = read_over(
        "kernel: brighten\ninput: a.h5:/x\nparams: {gain: 2}\nchunk: [2]\ncooks: 1\nmemory: 4GB\n",
        &over, &err);
    CHECK_TEXT(err.text, "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(job);
    const struct bq_step *step = job->steps;
    CU_ASSERT_EQUAL(step->chunk_rank, 2);
    CU_ASSERT_EQUAL(step->chunk[1], 4);
    CU_ASSERT_EQUAL(step->chunk_line, 0);
    CU_ASSERT_EQUAL(step->schedule.policy, BQ_DYNAMIC);
    CU_ASSERT_EQUAL(step->schedule.block, 16);
    CU_ASSERT_EQUAL(step->cooks, 5);
    CU_ASSERT_EQUAL(step->open, 6);
    CU_ASSERT_EQUAL(step->memory, UINT64_C(512) << 20);
    CU_ASSERT_EQUAL(step->memory_line, 0);
    CU_ASSERT_EQUAL(step->params[0].r, 4);
    CU_ASSERT_EQUAL(step->param_line[0], 0);
    CU_ASSERT_EQUAL(step->params[2].i, -2000);
    bq_job_destroy(job);
}

static void all_steps(void)
{
    struct bq_error err;
    struct bq_override over = {.schedule = "static", .cooks = "2", .open = "3", .memory = "1GiB"};
    struct bq_job *job = read_over(TWO_STEPS, &over, &err);
    CHECK_TEXT(err.text, "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(job);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(job->steps[i].schedule.policy, BQ_STATIC);
        CU_ASSERT_EQUAL(job->steps[i].cooks, 2);
        CU_ASSERT_EQUAL(job->steps[i].open, 3);
        CU_ASSERT_EQUAL(job->steps[i].memory, UINT64_C(1) << 30);
    }
    bq_job_destroy(job);
}

static void one_of_several(void)
{
    static const char *const sets[] = {"sum.params.exact=true", "sum.input=c.h5:/y",
                                       "light.cooks=7", "light.chunk=auto"};
    struct bq_error err;
    struct bq_override over = {.sets = sets, .n_sets = 4};
    struct bq_job *job = read_over(TWO_STEPS, &over, &err);
    CHECK_TEXT(err.text, "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(job);
    CU_ASSERT(job->steps[1].params[0].b);
    CHECK_TEXT(job->steps[1].input.file, "c.h5");
    CHECK_TEXT(job->steps[0].input.file, "a.h5");
    CU_ASSERT_EQUAL(job->steps[0].cooks, 7);
    CU_ASSERT_EQUAL(job->steps[1].cooks, 0);
    bq_job_destroy(job);
}

static void wrong_flags(void)
{
    static const struct {
        const char *text;
        struct bq_override over;
        const char *message;
    } wrong[] = {
        {"kernel: stats\n",
         {.input = "a.h5"},
         "--input a.h5: input must be FILE:/dataset, such as photo.h5:/photo, not 'a.h5'"},
        {"kernel: oven\n",
         {.input = "a.h5:/x"},
         "--input a.h5:/x: kernel 'oven' reads nothing; leave out 'input'"},
        {"kernel: stats\ninput: a.h5:/x\n",
         {.output = "b.h5:/x"},
         "--output b.h5:/x: kernel 'stats' writes nothing; leave out 'output'"},
        {"kernel: oven\n",
         {.cooks = "many"},
         "--cooks many: cooks must be a whole number, not 'many'"},
        {"kernel: oven\n",
         {.memory = "lots"},
         "--memory lots: memory must be a size such as 512MiB or 2GiB, or auto, not 'lots'"},
        {"kernel: oven\n", {.open = "0"}, "--open 0: open must be from 1 to 4096, not '0'"},
        {"kernel: oven\n",
         {.chunk = "0x5"},
         "--chunk 0x5: chunk's axis 1 must be a whole number of at least 1, not '0'"},
        {"kernel: oven\n",
         {.schedule = "dynmic:4"},
         "--schedule dynmic:4: policy 'dynmic' is not known; did you mean 'dynamic'?"},
        {"kernel: oven\n",
         {.schedule = "dynamic:x"},
         "--schedule dynamic:x: block must be a whole number of chunks, not 'x'"},
        {TWO_STEPS,
         {.input = "c.h5:/x"},
         "--input c.h5:/x: the job has 2 steps; say which with --set \"NAME.input=c.h5:/x\", NAME "
         "being one of light, sum"},
        {TWO_STEPS,
         {.chunk = "5"},
         "--chunk 5: the job has 2 steps; say which with --set \"NAME.chunk=5\", NAME being one of "
         "light, sum"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct bq_error err;
        CU_ASSERT_PTR_NULL(read_over(wrong[i].text, &wrong[i].over, &err));
        CHECK_TEXT(err.text, wrong[i].message);
        CU_ASSERT_EQUAL(err.exit, BQ_EXIT_USAGE);
    }
}

static void wrong_sets(void)
{
    static const char one[] = "kernel: brighten\ninput: a.h5:/x\n";
    static const struct {
        const char *text, *set, *message;
    } wrong[] = {
        {one, "params.gian=1.5",
         "--set params.gian=1.5: kernel 'brighten' has no parameter 'gian'; did you mean 'gain'?"},
        {one, "gain=1.5", "--set gain=1.5: key 'gain' is not known; did you mean 'params.gain'?"},
        {one, "step 1.gain=1.5",
         "--set step 1.gain=1.5: key 'gain' is not known; did you mean 'params.gain'?"},
        {one, "cook=2", "--set cook=2: key 'cook' is not known; did you mean 'cooks'?"},
        {one, "params.gain=big", "--set params.gain=big: gain must be a number, not 'big'"},
        {one, "params.gain=", "--set params.gain=: gain must be a number, not nothing"},
        {one, "param.gain=1",
         "--set param.gain=1: no step is named 'param'; did you mean "
         "'params'?"},
        {one, "params.gain", "--set params.gain: this is not KEY=VALUE, such as params.gain=1.5"},
        {one, "=1", "--set =1: this is not KEY=VALUE, such as params.gain=1.5"},
        {one, "kernel=oven", "--set kernel=oven: 'kernel' cannot be set here"},
        {one, "params=3", "--set params=3: params must be a map such as {gain: 1.5}, not '3'"},
        {TWO_STEPS, "params.gain=1",
         "--set params.gain=1: the job has 2 steps; say which with --set \"NAME.params.gain=1\", "
         "NAME being one of light, sum"},
        {TWO_STEPS, "lihgt.params.gain=1",
         "--set lihgt.params.gain=1: no step is named 'lihgt'; did you mean 'light'?"},
        {TWO_STEPS, "cellar.cooks=1",
         "--set cellar.cooks=1: no step is named 'cellar'; known: light, sum, params, output"},
        {TWO_STEPS, "sum.params.gain=1",
         "--set sum.params.gain=1: kernel 'stats' has no parameter 'gain'; known: exact"},
        {TWO_STEPS, "sum.name=light",
         "job.yaml:3: two steps are named 'light', here and on line 2"},
    };
    struct bq_error err;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_TEXT(set_message(wrong[i].text, wrong[i].set, &err), wrong[i].message);
    char set[400];
    memset(set, 'k', sizeof set);
    strcpy(set + 390, "=1");
    CU_ASSERT_PTR_NOT_NULL(strstr(set_message(one, set, &err), "longer than any key"));
}

static void from_a_kernel(void)
{
    struct bq_error err = {0};
    struct bq_job *job = bq_job_create(&brighten, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(job);
    CU_ASSERT_EQUAL(job->steps->params[0].r, 1.2);
    CU_ASSERT_EQUAL(job->steps->open, 1);
    CHECK_TEXT(job->steps->name, "step 1");
    CU_ASSERT_EQUAL(bq_job_check(job, &err), -1);
    CHECK_TEXT(err.text, "command line: kernel 'brighten' needs an input; write 'input: "
                         "FILE:/dataset' or give --input FILE:/dataset");
    struct bq_override over = {.input = "a.h5:/x"};
    CU_ASSERT_EQUAL(bq_job_override(job, &over, &err), 0);
    CU_ASSERT_EQUAL(bq_job_check(job, &err), 0);
    bq_job_destroy(job);
    bq_job_destroy(NULL);
}

static void failed_set_changes_nothing(void)
{
    struct bq_error err = {0};
    struct bq_job *job = bq_job_create(&oven, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(job);
    struct bq_step *step = job->steps, before = *step;
    CU_ASSERT_EQUAL(bq_step_set(step, "params.n", "0", 9, &err), -1);
    CU_ASSERT_EQUAL(bq_step_set(step, "schedule", "dynamic:x", 9, &err), -1);
    CU_ASSERT_EQUAL(bq_step_set(step, "chunk", "4x0", 9, &err), -1);
    CU_ASSERT_EQUAL(bq_step_set(step, "input", "a.h5", 9, &err), -1);
    CU_ASSERT_EQUAL(bq_step_set(step, "name", "", 9, &err), -1);
    CU_ASSERT_EQUAL(bq_step_set(step, "memory", "1 parsec", 9, &err), -1);
    CU_ASSERT_EQUAL(bq_step_set(step, "on_error", "", 9, &err), -1);
    CU_ASSERT_EQUAL(bq_step_set(step, "delivery", "", 9, &err), -1);
    CU_ASSERT_EQUAL(bq_step_set(step, "output.compress", "gzip:10", 9, &err), -1);
    CU_ASSERT_EQUAL(bq_step_set(step, "output.compress", "lz4:1", 9, &err), -1);
    CU_ASSERT_EQUAL(bq_step_set(step, "output.shuffle", "maybe", 9, &err), -1);
    CU_ASSERT_EQUAL(bq_step_set(step, "output.layout", "", 9, &err), -1);
    CU_ASSERT_EQUAL(bq_step_set(step, "output.", "", 9, &err), -1);
    CU_ASSERT_EQUAL(memcmp(step, &before, sizeof before), 0);
    bq_job_destroy(job);
}

static void texts_and_lists(void)
{
    static const struct bq_param weights = {"weights", BQ_LIST, {0}, -10, 10, "", ""};
    static const struct bq_param name = {"name", BQ_TEXT, {0}, 1, 0, "", ""};
    union bq_value value = bq_param_standard(&name);
    void *owned = NULL;
    struct bq_error err = {0};
    CHECK_TEXT(value.text, "");
    CU_ASSERT_EQUAL(bq_param_set(&name, "a = b", &value, &owned, &err), 0);
    CHECK_TEXT(value.text, "a = b");
    CU_ASSERT_EQUAL(bq_param_set(&weights, "[[1, -2.5],[1e1 0]]", &value, &owned, &err), 0);
    CU_ASSERT(value.list->n == 4 && value.list->at[1] == -2.5 && value.list->at[2] == 10);
    static const char *const bad[] = {
        "1,x", "11",  "1,2,nan",
        "''",  "1;2", "00000000000000000000000000000000000000000000000000000000000000000000001"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(bq_param_set(&weights, bad[i], &value, &owned, &err), -1);
    CU_ASSERT_EQUAL(value.list->n, 4);
    CU_ASSERT_EQUAL(bq_param_set(&weights, "", &value, &owned, &err), 0);
    CU_ASSERT_EQUAL(value.list->n, 0);
    bq_free(owned);
}

static void parameters(void)
{
    static const struct bq_param whole = {"n", BQ_INT, {0}, 1, 0, "", ""};
    static const struct bq_param real = {"x", BQ_REAL, {0}, 1, 0, "", ""};
    static const struct bq_param flag = {"b", BQ_BOOL, {0}, 1, 0, "", ""};
    static const struct bq_param edge = {"e", BQ_INT, {0}, -2, 2, "", ""};
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"1000", 1000},
                {"-7", -7},
                {"1e6", 1000000},
                {"2.5e1", 25},
                {"3.0", 3},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN},
                {"9007199254740992.0", 9007199254740992}};
    static const char *const bad[] = {"",     " 1",  "1 ",   "0x10", "1e-1",
                                      "1e16", "inf", ".nan", "+",    "9223372036854775808"};
    union bq_value value = {.i = 42};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CU_ASSERT_EQUAL(bq_param_parse(&whole, good[i].text, &value, NULL), 0);
        CU_ASSERT_EQUAL(value.i, good[i].value);
    }
    value.i = 42;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(bq_param_parse(&whole, bad[i], &value, NULL), -1);
    CU_ASSERT_EQUAL(value.i, 42);

    CU_ASSERT(!bq_param_parse(&real, ".inf", &value, NULL) && value.r == INFINITY);
    CU_ASSERT(!bq_param_parse(&real, "-.INF", &value, NULL) && value.r == -INFINITY);
    CU_ASSERT(!bq_param_parse(&real, "inf", &value, NULL) && value.r == INFINITY);
    CU_ASSERT(!bq_param_parse(&real, ".NaN", &value, NULL) && isnan(value.r));
    CU_ASSERT(!bq_param_parse(&real, ".5", &value, NULL) && value.r == 0.5);
    CU_ASSERT(bq_param_parse(&real, ".", &value, NULL));
    CU_ASSERT(bq_param_parse(&real, ".inff", &value, NULL));
    CU_ASSERT(bq_param_parse(&real, "1e999", &value, NULL));

    CU_ASSERT(!bq_param_parse(&flag, "TRUE", &value, NULL) && value.b);
    CU_ASSERT(!bq_param_parse(&flag, "False", &value, NULL) && !value.b);
    CU_ASSERT(bq_param_parse(&flag, "tRUE", &value, NULL));
    CU_ASSERT(!bq_param_parse(&edge, "2", &value, NULL) && value.i == 2);
    CU_ASSERT(!bq_param_parse(&edge, "-2", &value, NULL) && value.i == -2);
    CU_ASSERT(bq_param_parse(&edge, "3", &value, NULL));
    CU_ASSERT(bq_param_parse(&edge, "-3", &value, NULL));
}

static void quotes(void)
{
    static const char *const names[] = {"light", "sum"};
    char out[BQ_QUOTE], hint[80], tiny[12], word[200] = "";
    CHECK_TEXT(bq_quote("word", out, sizeof out), "'word'");
    CHECK_TEXT(bq_quote("", out, sizeof out), "nothing");
    CHECK_TEXT(bq_quote("a\n\x1b[31m\x7f\xc2\x9b", out, sizeof out), "'a\?\?[31m\?\?'");
    CHECK_TEXT(bq_quote("caf\xc3\xa9", out, sizeof out), "'caf\xc3\xa9'");
    memset(word, 'x', 59);
    strcpy(word + 59, "\xc3\xa9tail"); /* the cut would fall into the middle of the e acute */
    CU_ASSERT_EQUAL(strlen(bq_quote(word, out, sizeof out)), 2 + 59 + 3);
    CHECK_TEXT(out + 59, "x...'");
    CHECK_TEXT(bq_hint("lihgt", names, 2, hint, sizeof hint), "; did you mean 'light'?");
    CHECK_TEXT(bq_hint("cellar", names, 2, hint, sizeof hint), "; known: light, sum");
    CHECK_TEXT(bq_hint("cellar", names, 0, hint, sizeof hint), "");
    CHECK_TEXT(bq_hint("cellar", names, 2, tiny, sizeof tiny), "; known: li");
}

static void flags_on_one_line(void)
{
    struct bq_error err;
    struct bq_override over = {.cooks = "1\n\x1b[31m"};
    CU_ASSERT_PTR_NULL(read_over("kernel: oven\n", &over, &err));
    CHECK_TEXT(err.text, "--cooks 1\?\?[31m: cooks must be a whole number, not '1\?\?[31m'");
    over = (struct bq_override){.input = "a\rb.h5:/d\x7f"};
    CU_ASSERT_PTR_NULL(read_over("kernel: oven\n", &over, &err));
    CHECK_TEXT(err.text, "--input a\?b.h5:/d\?: kernel 'oven' reads nothing; leave out 'input'");
    over = (struct bq_override){.chunk = "4\x7f"};
    CU_ASSERT_PTR_NULL(read_over("steps: [{kernel: oven}, {kernel: oven}]\n", &over, &err));
    CHECK_TEXT(err.text, "--chunk 4\?: the job has 2 steps; say which with --set "
                         "\"NAME.chunk=4\?\", NAME being one of step 1, step 2");
}

static const struct test tests[] = {
    {"an input may come from the command line alone", input_from_outside},
    {"the command line wins over the file, and the last --set over the others", flags_win},
    {"schedule, cooks, open and memory go to all steps", all_steps},
    {"--set with a step's name changes that step alone", one_of_several},
    {"a wrong flag is told with the flag", wrong_flags},
    {"a wrong --set is told with the nearest right one", wrong_sets},
    {"a kernel alone makes a job of standard values", from_a_kernel},
    {"a value that is refused leaves the step as it was", failed_set_changes_nothing},
    {"whole numbers, reals and truth values are parsed exactly or refused", parameters},
    {"a text or a list is parsed as a whole or refused", texts_and_lists},
    {"a flag that is told is on one line", flags_on_one_line},
    {"a quoted word is short, on one line and whole characters", quotes},
};

int main(void)
{
    return run_tests_apart("job_override", tests, sizeof tests / sizeof *tests);
}
