/* Job files: what they say, and what is said about wrong ones. Each message stands here literally.
 */
#include "core/job.h"

#include "core/step.h"
#include "kernels/kernels.h"

#include <math.h>

#include "job_kernels.h"

/* -- right ones --------------------------------------------------------------------------- */

static void small_job(void)
{
    struct bq_job *job = read_good("kernel: brighten\ninput: photo.h5:/photo\n");
    const struct bq_step *step = job->steps;
    CHECK_TEXT(job->file, JOB_FILE);
    CU_ASSERT_EQUAL(job->n_steps, 1);
    CHECK_TEXT(step->name, "step 1");
    CU_ASSERT_PTR_EQUAL(step->kernel, &brighten);
    CU_ASSERT_EQUAL(step->params[0].r, 1.2);
    CU_ASSERT_EQUAL(step->params[2].i, 7);
    CU_ASSERT_EQUAL(step->param_line[0], 0);
    CHECK_TEXT(step->input.file, "photo.h5");
    CHECK_TEXT(step->input.dataset, "/photo");
    CU_ASSERT_EQUAL(step->input.line, 2);
    CU_ASSERT_PTR_NULL(step->output.file);
    CU_ASSERT_EQUAL(step->chunk_rank, 0);
    CU_ASSERT_EQUAL(step->schedule.policy, BQ_GUIDED);
    CU_ASSERT_EQUAL(step->schedule.block, 0);
    CU_ASSERT_EQUAL(step->cooks, 0);
    CU_ASSERT_EQUAL(step->open, 1);
    CU_ASSERT_FALSE(step->is_team);
    CU_ASSERT_EQUAL(step->delivery, BQ_DELIVERY_AUTO);
    CU_ASSERT_EQUAL(step->memory, 0);
    CU_ASSERT_EQUAL(step->on_error, BQ_ON_ERROR_STOP);
    CU_ASSERT_PTR_NULL(bq_output_wish_given(&step->wish));
    CU_ASSERT_EQUAL(step->line, 1);
    CU_ASSERT_EQUAL(step->kernel_line, 1);
    bq_job_destroy(job);
}

static void full_job(void)
{
    struct bq_job *job = read_good("# a comment\n"
                                   "name: first\n"
                                   "kernel: brighten\n"
                                   "params:\n"
                                   "  gain: 1.5\n"
                                   "  offset: -.inf\n"
                                   "  steps: 1e6\n"
                                   "input:\n"
                                   "  file: a:/b/photo.h5\n"
                                   "  dataset: group/photo\n"
                                   "output: out.h5:/photo\n"
                                   "chunk: [512, 256]\n"
                                   "schedule: {policy: dynamic, block: 4}\n"
                                   "cooks: 3\n"
                                   "open: 4096\n"
                                   "team: false\n"
                                   "delivery: shared\n"
                                   "memory: 1.5 GiB\n"
                                   "on_error: skip\n");
    const struct bq_step *step = job->steps;
    CHECK_TEXT(step->name, "first");
    CU_ASSERT_EQUAL(step->params[0].r, 1.5);
    CU_ASSERT_EQUAL(step->params[1].r, -INFINITY);
    CU_ASSERT_EQUAL(step->params[2].i, 1000000);
    CU_ASSERT_EQUAL(step->param_line[2], 7);
    CHECK_TEXT(step->input.file, "a:/b/photo.h5");
    CHECK_TEXT(step->input.dataset, "/group/photo");
    CU_ASSERT_EQUAL(step->input.line, 8);
    CHECK_TEXT(step->output.file, "out.h5");
    CU_ASSERT_EQUAL(step->output.line, 11);
    CU_ASSERT_EQUAL_FATAL(step->chunk_rank, 2);
    CU_ASSERT_EQUAL(step->chunk[0], 512);
    CU_ASSERT_EQUAL(step->chunk[1], 256);
    CU_ASSERT_EQUAL(step->chunk_line, 12);
    CU_ASSERT_EQUAL(step->schedule.policy, BQ_DYNAMIC);
    CU_ASSERT_EQUAL(step->schedule.block, 4);
    CU_ASSERT_EQUAL(step->cooks, 3);
    CU_ASSERT_EQUAL(step->open, 4096);
    CU_ASSERT_EQUAL(step->delivery, BQ_DELIVERY_SHARED);
    CU_ASSERT_EQUAL(step->memory, 3 * (UINT64_C(1) << 29));
    CU_ASSERT_EQUAL(step->memory_line, 18);
    CU_ASSERT_EQUAL(step->on_error, BQ_ON_ERROR_SKIP);
    CU_ASSERT_EQUAL(step->line, 2);
    CU_ASSERT_EQUAL(step->kernel_line, 3);
    bq_job_destroy(job);
}

static void short_and_long(void)
{
    struct bq_job *a =
        read_good("kernel: zeros\noutput: o.h5:/x\nchunk: 8x4\nschedule: cyclic:2\n");
    struct bq_job *b = read_good("{kernel: zeros, output: {dataset: x, file: o.h5},"
                                 " chunk: [8, 4], schedule: {block: '2', policy: cyclic}}");
    CHECK_TEXT(a->steps->output.file, b->steps->output.file);
    CHECK_TEXT(a->steps->output.dataset, b->steps->output.dataset);
    CU_ASSERT_EQUAL(a->steps->chunk_rank, b->steps->chunk_rank);
    CU_ASSERT_EQUAL(memcmp(a->steps->chunk, b->steps->chunk, sizeof a->steps->chunk), 0);
    CU_ASSERT_EQUAL(a->steps->schedule.policy, BQ_CYCLIC);
    CU_ASSERT_EQUAL(b->steps->schedule.policy, BQ_CYCLIC);
    CU_ASSERT_EQUAL(a->steps->schedule.block, 2);
    CU_ASSERT_EQUAL(b->steps->schedule.block, 2);
    bq_job_destroy(a);
    bq_job_destroy(b);
}

static void several_steps(void)
{
    struct bq_job *job = read_good("steps:\n"
                                   "  - name: light\n"
                                   "    kernel: brighten\n"
                                   "    input: a.h5:/x\n"
                                   "    output: b.h5:/x\n"
                                   "  - {kernel: stats, input: b.h5:/x, params: }\n"
                                   "  - kernel: oven\n"
                                   "    team: True\n");
    CU_ASSERT_EQUAL_FATAL(job->n_steps, 3);
    CHECK_TEXT(job->steps[0].name, "light");
    CHECK_TEXT(job->steps[1].name, "step 2");
    CHECK_TEXT(job->steps[2].name, "step 3");
    CU_ASSERT_EQUAL(job->steps[0].line, 2);
    CU_ASSERT_EQUAL(job->steps[1].line, 6);
    CU_ASSERT_EQUAL(job->steps[2].line, 7);
    CU_ASSERT(job->steps[2].is_team);
    bq_job_destroy(job);
}

static void aliases_and_merges(void)
{
    struct bq_job *job = read_good("steps:\n"
                                   "  - &first\n"
                                   "    name: one\n"
                                   "    kernel: brighten\n"
                                   "    params: &p {gain: 2, steps: 5}\n"
                                   "    input: &in a.h5:/x\n"
                                   "    cooks: 2\n"
                                   "  - <<: *first\n"
                                   "    name: two\n"
                                   "    cooks: 4\n"
                                   "    params: {steps: 6, <<: *p}\n"
                                   "  - {<<: [{cooks: 9}, *first], name: three, input: *in}\n");
    CU_ASSERT_EQUAL_FATAL(job->n_steps, 3);
    CU_ASSERT_EQUAL(job->steps[1].cooks, 4);
    CU_ASSERT_EQUAL(job->steps[1].params[0].r, 2);
    CU_ASSERT_EQUAL(job->steps[1].params[2].i, 6);
    CHECK_TEXT(job->steps[1].input.file, "a.h5");
    CU_ASSERT_EQUAL(job->steps[2].cooks, 9);
    CU_ASSERT_EQUAL(job->steps[2].params[2].i, 5);
    bq_job_destroy(job);
}

static void latest_anchor(void)
{
    struct bq_job *job = read_good("steps:\n"
                                   "  - {name: &x one, kernel: oven}\n"
                                   "  - {name: &x two, kernel: oven, open: &n 2}\n"
                                   "  - {name: three, kernel: oven, open: *n, cooks: &n 5}\n");
    CU_ASSERT_EQUAL(job->steps[2].open, 2);
    bq_job_destroy(job);
}

static void examples(void)
{
    static const char *const names[] = {"brighten",   "stats", "histogram", "primes",
                                        "mandelbrot", "oven",  "spin"};
    char here[] = __FILE__, path[600];
    char *slash = strrchr(here, '/');
    CU_ASSERT_PTR_NOT_NULL_FATAL(slash);
    *slash = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct bq_error err = {0};
        snprintf(path, sizeof path, "%s/../jobs/%s.yaml", here, names[i]);
        struct bq_job *job = bq_job_read(path, bq_kernels, bq_n_kernels, NULL, &err);
        CHECK_TEXT(err.text, "");
        CU_ASSERT_PTR_NOT_NULL_FATAL(job);
        CHECK_TEXT(job->steps->kernel->name, names[i]);
        bq_job_destroy(job);
    }
}

/* -- wrong ones --------------------------------------------------------------------------- */

static void wrong_files(void)
{
    static const struct wrong wrong[] = {
        {"", "job.yaml: is empty; a job names at least a kernel"},
        {"# only a comment\n", "job.yaml: is empty; a job names at least a kernel"},
        {"- kernel: oven\n",
         "job.yaml:1: a job must be a map of keys (kernel, input, ...), not a list"},
        {"\noven\n", "job.yaml:2: a job must be a map of keys (kernel, input, ...), not 'oven'"},
        {"kernel: oven\n---\nkernel: oven\n",
         "job.yaml:3: a second document begins; a job file holds one"},
    };
    CHECK_WRONG(wrong);
    struct bq_error err = {0};
    CU_ASSERT_PTR_NULL(bq_job_read("none.yaml", kernels, 4, NULL, &err));
    CHECK_TEXT(err.text, "none.yaml: cannot be read: No such file or directory");
    CU_ASSERT_EQUAL(err.exit, BQ_EXIT_USAGE);
    CU_ASSERT_PTR_NULL(bq_job_read(".", kernels, 4, NULL, &err));
    CHECK_TEXT(err.text, ".: cannot be read: Is a directory");
    CU_ASSERT_EQUAL(err.exit, BQ_EXIT_USAGE);
}

static void wrong_syntax(void)
{
    static const struct wrong wrong[] = {
        {"kernel: oven\nparams: {n: 3\n",
         "job.yaml:3: this is not YAML: missing comma in flow mapping"},
        {"kernel: oven\n cooks: 3\n", "job.yaml:1: this is not YAML: invalid multiline plain key"},
        {"kernel: oven\n...\n[\n",
         "job.yaml:4: this is not YAML: flow sequence without a closing bracket"},
        {"%YAML 9.9\n---\nkernel: oven\n",
         "job.yaml: this is not YAML: unsupport version number 9.9"},
        {"kernel: *oven\n", "job.yaml:1: alias 'oven' names no anchor"},
        {"a: &a {b: 1}\nkernel: *a/b\n", "job.yaml:2: alias 'a/b' names no anchor"},
    };
    CHECK_WRONG(wrong);
}

static void wrong_keys(void)
{
    static const struct wrong wrong[] = {
        {"kernel: oven\ncooks: 1\nopen: 1\ncooks: 2\n",
         "job.yaml:4: key 'cooks' is given twice, here and on line 2"},
        {"kernel: oven\nparams: {n: 1,\n  \"n\": 2}\n",
         "job.yaml:3: key 'n' is given twice, here and on line 2"},
        {"kernel: oven\ncook: 1\n", "job.yaml:2: key 'cook' is not known; did you mean 'cooks'?"},
        {"kernal: oven\n", "job.yaml:1: key 'kernal' is not known; did you mean 'kernel'?"},
        {"kernel: oven\ntemperature: 1\n",
         "job.yaml:2: key 'temperature' is not known; known: name, kernel, params, input, output, "
         "chunk, schedule, cooks, open, team, pipeline, delivery, memory, on_error, isolate, "
         "attempts, deadline, border, uses, "
         "next, "
         "repeat, until, steps"},
        {"kernel: oven\n[a]: 1\n", "job.yaml:2: a key must be text, not a list or a map"},
        {"kernel: stats\ninput:\n  fil: a.h5\n",
         "job.yaml:3: input has no key 'fil'; did you mean 'file'?"},
        {"kernel: stats\ninput: {file: a.h5, dataset: /x, axis: 1}\n",
         "job.yaml:2: input has no key 'axis'; known: file, dataset"},
        {"kernel: oven\nschedule:\n  policy: dynamic\n  blok: 1\n",
         "job.yaml:4: schedule has no key 'blok'; did you mean 'block'?"},
        {"kernel: oven\n<<: 3\n", "job.yaml:2: '<<' must name a map or a list of maps"},
        {"\"tab\\there\": 1\n",
         "job.yaml:1: key 'tab?here' is not known; known: name, kernel, params, input, output, "
         "chunk, schedule, cooks, open, team, pipeline, delivery, memory, on_error, isolate, "
         "attempts, deadline, border, uses, "
         "next, "
         "repeat, until, steps"},
    };
    CHECK_WRONG(wrong);
}

static void wrong_kernels(void)
{
    static const struct wrong wrong[] = {
        {"# one\n# two\nkernel: brightn\n",
         "job.yaml:3: kernel 'brightn' is not known; did you mean 'brighten'?"},
        {"kernel: sharpen\n",
         "job.yaml:1: kernel 'sharpen' is not known; known: brighten, stats, oven, zeros"},
        {"kernel:\n", "job.yaml:1: kernel must be the name of a kernel, not nothing"},
        {"kernel: [oven]\n", "job.yaml:1: kernel must be the name of a kernel, not a list"},
        {"cooks: 2\n", "job.yaml:1: step 1 has no kernel; write 'kernel: NAME'"},
        {"steps:\n  - kernel: oven\n  - cooks: 2\n",
         "job.yaml:3: step 2 has no kernel; write 'kernel: NAME'"},
    };
    CHECK_WRONG(wrong);
}

static void wrong_types(void)
{
    static const struct wrong wrong[] = {
        {"kernel: oven\ncooks: many\n", "job.yaml:2: cooks must be a whole number, not 'many'"},
        {"kernel: oven\ncooks: 1.5\n", "job.yaml:2: cooks must be a whole number, not '1.5'"},
        {"kernel: oven\ncooks:\n", "job.yaml:2: cooks must be a whole number, not nothing"},
        {"kernel: oven\ncooks: [1]\n", "job.yaml:2: cooks must be a whole number, not a list"},
        {"kernel: oven\ncooks: -1\n", "job.yaml:2: cooks must be from 0 to 4096, not '-1'"},
        {"kernel: oven\ncooks: 4097\n", "job.yaml:2: cooks must be from 0 to 4096, not '4097'"},
        {"kernel: oven\nopen: 0\n", "job.yaml:2: open must be from 1 to 4096, not '0'"},
        {"kernel: oven\nopen: 4097\n", "job.yaml:2: open must be from 1 to 4096, not '4097'"},
        {"kernel: oven\nteam: yes\n", "job.yaml:2: team must be true or false, not 'yes'"},
        {"kernel: oven\ndelivery: post\n",
         "job.yaml:2: delivery must be auto, shared or coordinator, not 'post'"},
        {"kernel: oven\ndelivery: cordinator\n",
         "job.yaml:2: delivery must be auto, shared or coordinator, not 'cordinator'; did you mean "
         "'coordinator'?"},
        {"kernel: oven\ndelivery: [auto]\n",
         "job.yaml:2: delivery must be auto, shared or coordinator, not a list"},
        {"kernel: oven\non_error: ignore\n",
         "job.yaml:2: on_error must be stop or skip, not 'ignore'"},
        {"kernel: oven\non_error:\n", "job.yaml:2: on_error must be stop or skip, not nothing"},
        {"kernel: oven\non_error: Skip\n",
         "job.yaml:2: on_error must be stop or skip, not 'Skip'; did you mean 'skip'?"},
        {"kernel: oven\non-error: skip\n",
         "job.yaml:2: key 'on-error' is not known; did you mean 'on_error'?"},
        {"kernel: oven\nname: {a: 1}\n", "job.yaml:2: name must be text, not a map"},
        {"kernel: oven\nname: a.b\n",
         "job.yaml:2: name must be 1 to 64 characters without . = : and /, not 'a.b'"},
        {"kernel: oven\nname: \"a\\nb\"\n",
         "job.yaml:2: name must be 1 to 64 characters without . = : and /, not 'a?b'"},
        {"kernel: oven\nname: \"a\\0b\"\n", "job.yaml:2: a text holds the character NUL"},
        {"kernel: oven\nparams: 3\n",
         "job.yaml:2: params must be a map such as {gain: 1.5}, not '3'"},
        {"kernel: oven\nparams: [3]\n",
         "job.yaml:2: params must be a map such as {gain: 1.5}, not a list"},
    };
    CHECK_WRONG(wrong);
}

static void wrong_params(void)
{
    static const struct wrong wrong[] = {
        {"kernel: brighten\nparams:\n  gian: 1\n",
         "job.yaml:3: kernel 'brighten' has no parameter 'gian'; did you mean 'gain'?"},
        {"kernel: oven\nparams: {temperature: 1}\n",
         "job.yaml:2: kernel 'oven' has no parameter 'temperature'; known: n, wait_ms, heat, "
         "frost"},
        {"kernel: zeros\nparams: {n: 1}\n", "job.yaml:2: kernel 'zeros' has no parameter 'n'"},
        {"kernel: oven\nparams: {n: 0}\n",
         "job.yaml:2: n must be from 1 to 1000000000000 dishes, not '0'"},
        {"kernel: oven\nparams: {n: 1.5}\n", "job.yaml:2: n must be a whole number, not '1.5'"},
        {"kernel: oven\nparams: {n: 1_000}\n", "job.yaml:2: n must be a whole number, not '1_000'"},
        {"kernel: oven\nparams: {n: 99999999999999999999}\n",
         "job.yaml:2: n must be a whole number, not '99999999999999999999'"},
        {"kernel: oven\nparams: {wait_ms: -1}\n",
         "job.yaml:2: wait_ms must be from 0 to 10000000 ms, not '-1'"},
        {"kernel: oven\nparams: {wait_ms: .nan}\n",
         "job.yaml:2: wait_ms must be from 0 to 10000000 ms, not '.nan'"},
        {"kernel: oven\nparams: {heat: 19}\n", "job.yaml:2: heat must be at least 20 C, not '19'"},
        {"kernel: oven\nparams: {frost: 5}\n", "job.yaml:2: frost must be at most 4 C, not '5'"},
        {"kernel: oven\nparams: {wait_ms: long}\n",
         "job.yaml:2: wait_ms must be a number, not 'long'"},
        {"kernel: brighten\nparams: {gain: inf}\n",
         "job.yaml:2: gain must be a finite number, not 'inf'"},
        {"kernel: stats\nparams: {exact: 1}\n", "job.yaml:2: exact must be true or false, not '1'"},
        {"kernel: oven\nparams:\n  n: [1]\n", "job.yaml:3: params.n must be one value, not a list"},
    };
    CHECK_WRONG(wrong);
}

static void wrong_places(void)
{
    static const struct wrong wrong[] = {
        {"# first\nkernel: brighten\n", "job.yaml:2: kernel 'brighten' needs an input; write "
                                        "'input: FILE:/dataset' or give --input "
                                        "FILE:/dataset"},
        {"kernel: oven\ninput: a.h5:/x\n",
         "job.yaml:2: kernel 'oven' reads nothing; leave out 'input'"},
        {"kernel: stats\ninput: a.h5:/x\noutput: b.h5:/x\n",
         "job.yaml:3: kernel 'stats' writes nothing; leave out 'output'"},
        {"kernel: stats\ninput: a.h5\n",
         "job.yaml:2: input must be FILE:/dataset, such as photo.h5:/photo, not 'a.h5'"},
        {"kernel: stats\ninput: https://host/a.h5\n",
         "job.yaml:2: input must be FILE:/dataset, such as photo.h5:/photo, not "
         "'https://host/a.h5'"},
        {"kernel: stats\ninput: :/x\n",
         "job.yaml:2: input must be FILE:/dataset, such as photo.h5:/photo, not ':/x'"},
        {"kernel: stats\ninput: a.h5:/\n",
         "job.yaml:2: input must name a dataset such as /photo, not '/'"},
        {"kernel: stats\ninput: [a.h5]\n",
         "job.yaml:2: input must be FILE:/dataset or {file: FILE, dataset: /dataset}, not a list"},
        {"kernel: stats\ninput:\n  file: a.h5\n",
         "job.yaml:2: input names no dataset; write {file: FILE, dataset: /dataset}"},
        {"kernel: stats\ninput: {dataset: /x}\n",
         "job.yaml:2: input names no file; write {file: FILE, dataset: /dataset}"},
        {"kernel: stats\ninput:\n  file: a.h5\n  dataset:\n",
         "job.yaml:4: input must name a dataset such as /photo, not nothing"},
        {"kernel: stats\ninput:\n  file: ''\n  dataset: /x\n",
         "job.yaml:3: input has an empty file name"},
        {"kernel: stats\ninput:\n  file: [a]\n", "job.yaml:3: file must be a text, not a list"},
    };
    CHECK_WRONG(wrong);
}

static void wrong_chunks(void)
{
    static const struct wrong wrong[] = {
        {"kernel: oven\nchunk: [512, 0]\n",
         "job.yaml:2: chunk's axis 2 must be a whole number of at least 1, not '0'"},
        {"kernel: oven\nchunk: [-3]\n",
         "job.yaml:2: chunk's axis 1 must be a whole number of at least 1, not '-3'"},
        {"kernel: oven\nchunk: [5x5, 2]\n",
         "job.yaml:2: chunk's axis 1 must be a whole number of at least 1, not '5x5'"},
        {"kernel: oven\nchunk: 8x\n",
         "job.yaml:2: chunk's axis 2 must be a whole number of at least 1, not nothing"},
        {"kernel: oven\nchunk: []\n", "job.yaml:2: chunk must have 1 to 8 axes, not 0"},
        {"kernel: oven\nchunk: [1,1,1,1,1,1,1,1,1]\n",
         "job.yaml:2: chunk must have 1 to 8 axes, not 9"},
        {"kernel: oven\nchunk: 1x1x1x1x1x1x1x1x1x1\n",
         "job.yaml:2: chunk must have 1 to 8 axes, not 10"},
        {"kernel: oven\nchunk: big\n",
         "job.yaml:2: chunk must be auto or a list of sizes such as [512, 512], not 'big'"},
        {"kernel: oven\nchunk: {a: 1}\n",
         "job.yaml:2: chunk must be auto or a list of sizes such as [512, 512], not a map"},
        {"kernel: oven\nchunk: [[1]]\n",
         "job.yaml:2: chunk must be auto or a list of sizes such as [512, 512], not a list"},
    };
    CHECK_WRONG(wrong);
}

static void wrong_schedules(void)
{
    static const struct wrong wrong[] = {
        {"kernel: oven\nschedule: guidd\n",
         "job.yaml:2: policy 'guidd' is not known; did you mean 'guided'?"},
        {"kernel: oven\nschedule: random\n",
         "job.yaml:2: policy 'random' is not known; known: static, cyclic, dynamic, guided, "
         "factoring"},
        {"kernel: oven\nschedule:\n  policy: dinamic\n  block: 4\n",
         "job.yaml:3: policy 'dinamic' is not known; did you mean 'dynamic'?"},
        {"kernel: oven\nschedule:\n  policy: guided\n  block: 4\n",
         "job.yaml:4: policy 'guided' takes no block; only cyclic and dynamic do"},
        {"kernel: oven\nschedule: static:2\n",
         "job.yaml:2: policy 'static' takes no block; only cyclic and dynamic do"},
        {"kernel: oven\nschedule: factoring:2\n",
         "job.yaml:2: policy 'factoring' takes no block; only cyclic and dynamic do"},
        {"kernel: oven\nschedule: {policy: dynamic, block: -4}\n",
         "job.yaml:2: block must be a whole number of chunks, not '-4'"},
        {"kernel: oven\nschedule: {block: 4}\n",
         "job.yaml:2: schedule names no policy; write {policy: dynamic, block: 4}"},
        {"kernel: oven\nschedule: [dynamic]\n",
         "job.yaml:2: schedule must be a policy or {policy: dynamic, block: 4}, not a list"},
    };
    CHECK_WRONG(wrong);
}

static void wrong_steps(void)
{
    static const struct wrong wrong[] = {
        {"steps: []\n", "job.yaml:1: a job has 1 to 64 steps, not 0"},
        {"steps:\n", "job.yaml:1: steps must be a list of steps, not nothing"},
        {"steps: {kernel: oven}\n", "job.yaml:1: steps must be a list of steps, not a map"},
        {"steps:\n  - oven\n",
         "job.yaml:2: a step must be a map of keys (kernel, input, ...), not 'oven'"},
        {"steps:\n  - {kernel: oven, steps: []}\n",
         "job.yaml:2: 'kernel' must stand inside a step, not beside 'steps'"},
        {"cooks: 2\nsteps:\n  - kernel: oven\n",
         "job.yaml:1: 'cooks' must stand inside a step, as the job has 'steps'"},
        {"steps:\n  - kernel: oven\nkernel: oven\n",
         "job.yaml:3: 'kernel' must stand inside a step, as the job has 'steps'"},
        {"steps:\n  - {name: a, kernel: oven}\n  - {name: b, kernel: oven}\n"
         "  - {name: a, kernel: oven}\n",
         "job.yaml:4: two steps are named 'a', here and on line 2"},
        {"steps:\n  - {name: step 2, kernel: oven}\n  - {kernel: oven}\n",
         "job.yaml:3: two steps are named 'step 2', here and on line 2"},
        {"kernel: stats\ninput: a.h5:/x\nteam: true\n",
         "job.yaml:1: kernel 'stats' cannot share a chunk between cooks; leave out 'team'"},
    };
    CHECK_WRONG(wrong);
    char text[64 * 20 + 100] = "steps:\n";
    for (int i = 0; i < 64; i++)
        strcat(text, "- kernel: oven\n");
    bq_job_destroy(read_good(text));
    strcat(text, "- kernel: oven\n");
    struct bq_error err;
    CU_ASSERT_PTR_NULL(read_text(text, &err));
    CHECK_TEXT(err.text, "job.yaml:1: a job has 1 to 64 steps, not 65");
}

static const struct test tests[] = {
    {"a kernel and an input are a job; the rest has standard values", small_job},
    {"every key arrives, with its line", full_job},
    {"the short and the long forms mean the same", short_and_long},
    {"steps keep their order, names and lines", several_steps},
    {"aliases and merge keys are understood", aliases_and_merges},
    {"an alias means the anchor before it", latest_anchor},
    {"the example jobs suit the built-in kernels", examples},
    {"a file that is missing, empty, double or no map is refused", wrong_files},
    {"a syntax error is told in libfyaml's words with its line", wrong_syntax},
    {"a key that is unknown or given twice is refused", wrong_keys},
    {"a kernel that is missing or unknown is refused", wrong_kernels},
    {"a value of the wrong type is refused", wrong_types},
    {"a parameter that is unknown, wrong or out of range is refused", wrong_params},
    {"an input or output that is missing, useless or unclear is refused", wrong_places},
    {"a chunk that is no shape is refused", wrong_chunks},
    {"a schedule that is no policy is refused", wrong_schedules},
    {"steps that are too many, too few or of one name are refused", wrong_steps},
};

int main(void)
{
    return run_tests_apart("job", tests, sizeof tests / sizeof *tests);
}
