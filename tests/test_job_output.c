/* What a person wishes of the output's storage, and the budget of memory: from a job file and from
 * the command line. Each message stands here literally. */
#include "core/job.h"

#include "core/step.h"

#include "job_kernels.h"

#define MIB (UINT64_C(1) << 20)
#define BRIGHTEN "kernel: brighten\ninput: a.h5:/x\n"
#define TWO_STEPS                                                                                  \
    "steps:\n"                                                                                     \
    "  - {name: light, kernel: brighten, input: a.h5:/x, output: b.h5:/x}\n"                       \
    "  - {name: sum, kernel: stats, input: b.h5:/x}\n"

static void every_wish(void)
{
    struct bq_job *job = read_good(BRIGHTEN "output:\n"
                                            "  layout: sharded\n"
                                            "  file: out.h5\n"
                                            "  compress: zstd:19\n"
                                            "  dataset: photo\n"
                                            "  shuffle: false\n");
    const struct bq_step *step = job->steps;
    CHECK_TEXT(step->output.file, "out.h5");
    CHECK_TEXT(step->output.dataset, "/photo");
    CU_ASSERT_EQUAL(step->output.line, 3);
    CU_ASSERT_EQUAL(step->wish.compress, BQ_COMPRESS_ZSTD);
    CU_ASSERT_EQUAL(step->wish.level, 19);
    CU_ASSERT_EQUAL(step->wish.compress_line, 6);
    CU_ASSERT_EQUAL(step->wish.shuffle, BQ_CHOICE_NO);
    CU_ASSERT_EQUAL(step->wish.shuffle_line, 8);
    CU_ASSERT_EQUAL(step->wish.layout, BQ_LAYOUT_SHARDED);
    CU_ASSERT_EQUAL(step->wish.layout_line, 4);
    bq_job_destroy(job);
}

static void no_wish(void)
{
    static const char *const outputs[] = {
        "output: b.h5:/x\n", "output: {file: b.h5, dataset: x}\n",
        "output: {file: b.h5, dataset: x, compress: auto, shuffle: auto, layout: single}\n"};
    for (size_t i = 0; i < 3; i++) {
        char text[200];
        snprintf(text, sizeof text, "%s%s", BRIGHTEN, outputs[i]);
        struct bq_job *job = read_good(text);
        const struct bq_output_wish *wish = &job->steps->wish;
        CHECK_TEXT(job->steps->output.dataset, "/x");
        CU_ASSERT_EQUAL(wish->compress, BQ_COMPRESS_AUTO);
        CU_ASSERT_EQUAL(wish->level, 0);
        CU_ASSERT_EQUAL(wish->shuffle, BQ_CHOICE_AUTO);
        CU_ASSERT_EQUAL(wish->layout, BQ_LAYOUT_SINGLE);
        CU_ASSERT_EQUAL(wish->compress_line, i == 2 ? 3 : 0);
        CU_ASSERT_PTR_NULL(bq_output_wish_given(wish));
        bq_job_destroy(job);
    }
}

static void compressions(void)
{
    static const struct {
        const char *text;
        enum bq_compress compress;
        unsigned level;
    } good[] = {
        {"auto", BQ_COMPRESS_AUTO, 0},   {"none", BQ_COMPRESS_NONE, 0},
        {"gzip", BQ_COMPRESS_GZIP, 1},   {"gzip:1", BQ_COMPRESS_GZIP, 1},
        {"gzip:9", BQ_COMPRESS_GZIP, 9}, {"zstd", BQ_COMPRESS_ZSTD, 3},
        {"zstd:1", BQ_COMPRESS_ZSTD, 1}, {"zstd:19", BQ_COMPRESS_ZSTD, 19},
        {"lz4", BQ_COMPRESS_LZ4, 0},     {"lzf", BQ_COMPRESS_LZF, 0},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct bq_output_wish wish = {.level = 7};
        struct bq_error err = {0};
        CU_ASSERT_EQUAL(bq_output_wish_set(&wish, "compress", good[i].text, 5, &err), 0);
        CU_ASSERT_EQUAL(wish.compress, good[i].compress);
        CU_ASSERT_EQUAL(wish.level, good[i].level);
        CU_ASSERT_EQUAL(wish.compress_line, 5);
        CU_ASSERT_EQUAL(strncmp(bq_compress_name(wish.compress), good[i].text, 3), 0);
    }
    static const struct {
        const char *text;
        enum bq_choice shuffle;
    } shuffles[] = {{"auto", BQ_CHOICE_AUTO}, {"true", BQ_CHOICE_YES}, {"False", BQ_CHOICE_NO}};
    for (size_t i = 0; i < 3; i++) {
        struct bq_output_wish wish = {0};
        CU_ASSERT_EQUAL(bq_output_wish_set(&wish, "shuffle", shuffles[i].text, 0, NULL), 0);
        CU_ASSERT_EQUAL(wish.shuffle, shuffles[i].shuffle);
    }
}

static void wrong_wishes(void)
{
    static const struct wrong wrong[] = {
        {BRIGHTEN "output: {file: b.h5, dataset: /x,\n  compress: gzp}\n",
         "job.yaml:4: compress must be auto, none, gzip[:1..9], zstd[:1..19], lz4 or lzf, not "
         "'gzp'; did you mean 'gzip'?"},
        {BRIGHTEN "output: {file: b.h5, dataset: /x, compress: brotli}\n",
         "job.yaml:3: compress must be auto, none, gzip[:1..9], zstd[:1..19], lz4 or lzf, not "
         "'brotli'"},
        {BRIGHTEN "output: {file: b.h5, dataset: /x, compress: }\n",
         "job.yaml:3: compress must be auto, none, gzip[:1..9], zstd[:1..19], lz4 or lzf, not "
         "nothing"},
        {BRIGHTEN "output: {file: b.h5, dataset: /x, compress: [gzip]}\n",
         "job.yaml:3: compress must be a text, not a list"},
        {BRIGHTEN "output: {file: b.h5, dataset: /x, compress: 'gzip:0'}\n",
         "job.yaml:3: gzip's level must be from 1 to 9, not '0'"},
        {BRIGHTEN "output: {file: b.h5, dataset: /x, compress: 'gzip:10'}\n",
         "job.yaml:3: gzip's level must be from 1 to 9, not '10'"},
        {BRIGHTEN "output: {file: b.h5, dataset: /x, compress: 'gzip:'}\n",
         "job.yaml:3: gzip's level must be a whole number, not nothing"},
        {BRIGHTEN "output: {file: b.h5, dataset: /x, compress: 'zstd:20'}\n",
         "job.yaml:3: zstd's level must be from 1 to 19, not '20'"},
        {BRIGHTEN "output: {file: b.h5, dataset: /x, compress: 'zstd:best'}\n",
         "job.yaml:3: zstd's level must be a whole number, not 'best'"},
        {BRIGHTEN "output: {file: b.h5, dataset: /x, compress: 'lz4:3'}\n",
         "job.yaml:3: compress 'lz4' takes no level; only gzip and zstd do"},
        {BRIGHTEN "output: {file: b.h5, dataset: /x, compress: 'none:1'}\n",
         "job.yaml:3: compress 'none' takes no level; only gzip and zstd do"},
        {BRIGHTEN "output: {file: b.h5, dataset: /x, shuffle: yes}\n",
         "job.yaml:3: shuffle must be true, false or auto, not 'yes'"},
        {BRIGHTEN "output:\n  file: b.h5\n  dataset: /x\n  layout: singel\n",
         "job.yaml:6: layout must be single or sharded, not 'singel'; did you mean 'single'?"},
        {BRIGHTEN "output: {file: b.h5, dataset: /x, compres: gzip}\n",
         "job.yaml:3: output has no key 'compres'; did you mean 'compress'?"},
        {BRIGHTEN "output: {file: b.h5, dataset: /x, colour: red}\n",
         "job.yaml:3: output has no key 'colour'; known: file, dataset, compress, shuffle, layout, "
         "nan"},
        {BRIGHTEN "output: {compress: gzip}\n",
         "job.yaml:3: output names no file; write {file: FILE, dataset: /dataset}"},
        {"kernel: brighten\ninput: {file: a.h5, dataset: /x, compress: gzip}\n",
         "job.yaml:2: input has no key 'compress'; known: file, dataset"},
        {BRIGHTEN "output: b.h5:/x\ncompress: gzip\n",
         "job.yaml:4: key 'compress' is not known here; it is a part of 'output'"},
        {BRIGHTEN "output.compress: gzip\n",
         "job.yaml:3: key 'output.compress' is not known; known: name, kernel, params, input, "
         "output, chunk, schedule, cooks, open, team, pipeline, delivery, memory, on_error, "
         "isolate, attempts, deadline, border, uses, "
         "next, repeat, until, steps"},
        {"kernel: stats\ninput: a.h5:/x\noutput: {file: b.h5, dataset: /x, compress: gzip}\n",
         "job.yaml:3: kernel 'stats' writes nothing; leave out 'output'"},
    };
    CHECK_WRONG(wrong);
    char text[6000];
    strcpy(text, BRIGHTEN "output: {file: b.h5, dataset: /x, compress: '");
    size_t n = strlen(text);
    memset(text + n, 'z', 5000);
    strcpy(text + n + 5000, ":4'}\n");
    struct bq_error err;
    CU_ASSERT_PTR_NULL(read_text(text, &err));
    CHECK_TEXT(err.text,
               "job.yaml:3: compress must be auto, none, gzip[:1..9], zstd[:1..19], lz4 or lzf, "
               "not 'zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz...'");
}

static void wishes_from_outside(void)
{
    static const char *const sets[] = {"output.compress=gzip:9", "step 1.output.compress=zstd",
                                       "output.layout=sharded"};
    struct bq_override over = {.output = "c.h5:/z", .sets = sets, .n_sets = 3};
    struct bq_error err;
    struct bq_job *job = read_over(
        BRIGHTEN "output: {file: b.h5, dataset: /x, compress: lzf, shuffle: true}\n", &over, &err);
    CHECK_TEXT(err.text, "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(job);
    CHECK_TEXT(job->steps->output.file, "c.h5");
    CU_ASSERT_EQUAL(job->steps->wish.compress, BQ_COMPRESS_ZSTD);
    CU_ASSERT_EQUAL(job->steps->wish.level, 3);
    CU_ASSERT_EQUAL(job->steps->wish.compress_line, 0);
    CU_ASSERT_EQUAL(job->steps->wish.shuffle, BQ_CHOICE_YES);
    CU_ASSERT_EQUAL(job->steps->wish.shuffle_line, 3);
    CU_ASSERT_EQUAL(job->steps->wish.layout, BQ_LAYOUT_SHARDED);
    bq_job_destroy(job);

    static const char *const named[] = {"light.output.compress=lz4", "memory=1GiB",
                                        "sum.memory=2GiB", "light.on_error=skip",
                                        "light.delivery=coordinator"};
    over = (struct bq_override){.sets = named, .n_sets = 5};
    job = read_over(TWO_STEPS, &over, &err);
    CHECK_TEXT(err.text, "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(job);
    CU_ASSERT_EQUAL(job->steps[0].wish.compress, BQ_COMPRESS_LZ4);
    CU_ASSERT_EQUAL(job->steps[1].wish.compress, BQ_COMPRESS_AUTO);
    CU_ASSERT_EQUAL(job->steps[0].memory, 1024 * MIB);
    CU_ASSERT_EQUAL(job->steps[1].memory, 2048 * MIB);
    CU_ASSERT_EQUAL(job->steps[0].on_error, BQ_ON_ERROR_SKIP);
    CU_ASSERT_EQUAL(job->steps[1].on_error, BQ_ON_ERROR_STOP);
    CU_ASSERT_EQUAL(job->steps[0].delivery, BQ_DELIVERY_COORDINATOR);
    CU_ASSERT_EQUAL(job->steps[1].delivery, BQ_DELIVERY_AUTO);
    bq_job_destroy(job);
}

/* A step may have the name of a key: its name wins. */
static void steps_named_like_keys(void)
{
    static const char job_text[] =
        "steps:\n"
        "  - {name: output, kernel: brighten, input: a.h5:/x, output: b.h5:/x}\n"
        "  - {name: params, kernel: brighten, input: a.h5:/x, output: c.h5:/x}\n";
    static const char *const sets[] = {"output.cooks=2", "output.output.compress=lzf",
                                       "params.output.layout=sharded", "params.params.gain=4"};
    struct bq_override over = {.sets = sets, .n_sets = 4};
    struct bq_error err;
    struct bq_job *job = read_over(job_text, &over, &err);
    CHECK_TEXT(err.text, "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(job);
    CU_ASSERT_EQUAL(job->steps[0].cooks, 2);
    CU_ASSERT_EQUAL(job->steps[0].wish.compress, BQ_COMPRESS_LZF);
    CU_ASSERT_EQUAL(job->steps[1].wish.compress, BQ_COMPRESS_AUTO);
    CU_ASSERT_EQUAL(job->steps[1].wish.layout, BQ_LAYOUT_SHARDED);
    CU_ASSERT_EQUAL(job->steps[1].params[0].r, 4);
    bq_job_destroy(job);
    CHECK_TEXT(set_message(job_text, "output.compress=lzf", &err),
               "--set output.compress=lzf: key 'compress' is not known here; it is a part of "
               "'output'");
}

static void wrong_sets(void)
{
    static const char one[] = BRIGHTEN "output: b.h5:/x\n", none[] = BRIGHTEN,
                      stats_job[] = "kernel: stats\ninput: a.h5:/x\n";
    static const struct {
        const char *text, *set, *message;
    } wrong[] = {
        {one, "output.compress=gz",
         "--set output.compress=gz: compress must be auto, none, gzip[:1..9], zstd[:1..19], lz4 or "
         "lzf, not 'gz'"},
        {one, "output.compress=zstd:0",
         "--set output.compress=zstd:0: zstd's level must be from 1 to 19, not '0'"},
        {one, "output.compres=gzip",
         "--set output.compres=gzip: output has no key 'compres'; did you mean 'compress'?"},
        {one, "output.colour=red",
         "--set output.colour=red: output has no key 'colour'; known: compress, shuffle, layout, "
         "nan"},
        {one, "output.=red",
         "--set output.=red: output has no key nothing; known: compress, shuffle, layout, nan"},
        {one, "output.file=c.h5",
         "--set output.file=c.h5: 'file' cannot be set alone; set output=FILE:/dataset"},
        {one, "output.dataset=/y",
         "--set output.dataset=/y: 'dataset' cannot be set alone; set output=FILE:/dataset"},
        {one, "compress=gzip",
         "--set compress=gzip: key 'compress' is not known here; it is a part of 'output'"},
        {one, "outptu.compress=gzip",
         "--set outptu.compress=gzip: no step is named 'outptu'; did you mean 'output'?"},
        {one, "delivery=post",
         "--set delivery=post: delivery must be auto, shared or coordinator, not 'post'"},
        {one, "on_error=stpo",
         "--set on_error=stpo: on_error must be stop or skip, not 'stpo'; did you mean 'stop'?"},
        {one, "memory=-1",
         "--set memory=-1: memory must be a size such as 512MiB or 2GiB, or auto, not '-1'"},
        {TWO_STEPS, "output.compress=gzip",
         "--set output.compress=gzip: the job has 2 steps; say which with --set "
         "\"NAME.output.compress=gzip\", NAME being one of light, sum"},
        {TWO_STEPS, "sum.output.compress=gzip",
         "--set output.compress: kernel 'stats' writes nothing"},
        {stats_job, "output.layout=sharded", "--set output.layout: kernel 'stats' writes nothing"},
        {none, "output.shuffle=true",
         "--set output.shuffle: there is no output; give --output FILE:/dataset too"},
    };
    struct bq_error err;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_TEXT(set_message(wrong[i].text, wrong[i].set, &err), wrong[i].message);
}

static void budgets(void)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"512MiB", 512 * MIB},
                {"1.5 GiB", 1536 * MIB},
                {"800MB", 800000000},
                {"1", 1},
                {"'65536'", 65536},
                {"1e9", 1000000000},
                {"0", 0},
                {"auto", 0}};
    char text[100];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(text, sizeof text, "kernel: oven\nmemory: %s\n", good[i].text);
        struct bq_job *job = read_good(text);
        CU_ASSERT_EQUAL(job->steps->memory, good[i].bytes);
        CU_ASSERT_EQUAL(job->steps->memory_line, 2);
        bq_job_destroy(job);
    }
    static const char *const bad[] = {"-5",       "-1GiB", "lots", "1.5",  "20EiB",
                                      "1 parsec", "1GiBx", ".inf", "1e-9", "0.0001KiB"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char want[120];
        struct bq_error err;
        snprintf(text, sizeof text, "kernel: oven\nmemory: %s\n", bad[i]);
        snprintf(want, sizeof want,
                 "job.yaml:2: memory must be a size such as 512MiB or 2GiB, or auto, not '%s'",
                 bad[i]);
        CU_ASSERT_PTR_NULL(read_text(text, &err));
        CHECK_TEXT(err.text, want);
    }
    static const struct wrong wrong[] = {
        {"kernel: oven\nmemory:\n",
         "job.yaml:2: memory must be a size such as 512MiB or 2GiB, or auto, not nothing"},
        {"kernel: oven\nmemory: [1GiB]\n",
         "job.yaml:2: memory must be a size such as 512MiB or 2GiB, or auto, not a list"},
        {"kernel: oven\nmemory: {size: 1GiB}\n",
         "job.yaml:2: memory must be a size such as 512MiB or 2GiB, or auto, not a map"},
        {"kernel: oven\nmemroy: 1GiB\n",
         "job.yaml:2: key 'memroy' is not known; did you mean 'memory'?"},
    };
    CHECK_WRONG(wrong);
}

static const struct test tests[] = {
    {"every wish arrives, with its line", every_wish},
    {"an output without wishes has standard ones", no_wish},
    {"each compression has its own levels", compressions},
    {"a wrong wish is told with its line and the nearest right one", wrong_wishes},
    {"the command line wishes too", wishes_from_outside},
    {"a step's name wins over a key's", steps_named_like_keys},
    {"a wrong wish of the command line is told with its flag", wrong_sets},
    {"a budget of memory is a size, or auto", budgets},
};

int main(void)
{
    return run_tests_apart("job_output", tests, sizeof tests / sizeof *tests);
}
