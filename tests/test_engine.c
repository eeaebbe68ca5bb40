/* The whole program in this process, with kernels that misbehave. */
#include "banquet/banquet.h"

#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cunit.h"

/* -- kernels ------------------------------------------------------------------------------ */

static int hundred(struct bq_setup *setup)
{
    setup->space = (struct bq_space){1, {100}};
    setup->chunk = (struct bq_space){1, {1}};
    setup->acc_size = sizeof(uint64_t);
    return 0;
}

static enum bq_answer count_but_fail_on_seven(struct bq_call *call)
{
    if (call->chunk == 7) {
        snprintf(call->message, sizeof call->message, "seven is not served");
        return BQ_FAIL;
    }
    *(uint64_t *)call->acc += call->chunk;
    return BQ_DONE;
}

static enum bq_answer wait_without_saying_so(struct bq_call *call)
{
    return call->chunk == 3 ? BQ_WAIT : BQ_DONE;
}

static void add(const union bq_value *params, void *into, const void *next)
{
    (void)params;
    *(uint64_t *)into += *(const uint64_t *)next;
}

static void present(const union bq_value *params, const void *acc, struct bq_sink *sink)
{
    (void)params;
    sink->integer(sink, "sum", *(const uint64_t *)acc);
}

static int refuse(struct bq_setup *setup)
{
    snprintf(setup->message, sizeof setup->message, "not on Mondays");
    return -1;
}

static int nothing_at_all(struct bq_setup *setup)
{
    setup->space = (struct bq_space){2, {0, 5}};
    setup->acc_size = sizeof(uint64_t);
    return 0;
}

static const struct bq_kernel failing = {.abi = BQ_KERNEL_ABI,
                                         .name = "failing",
                                         .summary = "fails",
                                         .prepare = hundred,
                                         .cook = count_but_fail_on_seven,
                                         .combine = add,
                                         .present = present};
static const struct bq_kernel waiting = {.abi = BQ_KERNEL_ABI,
                                         .name = "waiting",
                                         .summary = "waits",
                                         .prepare = hundred,
                                         .cook = wait_without_saying_so,
                                         .combine = add,
                                         .present = present};
static const struct bq_kernel refusing = {.abi = BQ_KERNEL_ABI,
                                          .name = "refusing",
                                          .summary = "refuses",
                                          .prepare = refuse,
                                          .cook = wait_without_saying_so};
static const struct bq_kernel empty = {.abi = BQ_KERNEL_ABI,
                                       .name = "empty",
                                       .summary = "is empty",
                                       .prepare = nothing_at_all,
                                       .cook = wait_without_saying_so,
                                       .combine = add,
                                       .present = present};
static const struct bq_kernel stranger = {.abi = BQ_KERNEL_ABI + 1,
                                          .name = "stranger",
                                          .summary = "is of another version",
                                          .cook = wait_without_saying_so};

static int thousand_bytes(struct bq_setup *setup)
{
    setup->space = (struct bq_space){1, {1000}};
    setup->chunk = (struct bq_space){1, {10}};
    return 0;
}

/* Asks the program to stop while all its chunks wait and hold output buffers. */
static enum bq_answer wait_for_the_end(struct bq_call *call)
{
    if (call->chunk == 3)
        raise(SIGTERM);
    call->wait_ns = 3600000000000;
    return BQ_WAIT;
}

static const struct bq_kernel sleepy = {.abi = BQ_KERNEL_ABI,
                                        .flags = BQ_WRITES | BQ_WAITS,
                                        .name = "sleepy",
                                        .summary = "waits for an hour",
                                        .prepare = thousand_bytes,
                                        .cook = wait_for_the_end};

static enum bq_answer number(struct bq_call *call)
{
    memset(call->out->data, (int)call->chunk, (size_t)call->out->n);
    return BQ_DONE;
}

static const struct bq_kernel numbers = {.abi = BQ_KERNEL_ABI,
                                         .flags = BQ_WRITES,
                                         .name = "numbers",
                                         .summary = "writes the number of each chunk",
                                         .prepare = thousand_bytes,
                                         .cook = number};

/* Leaves its output half done while it waits, and sees whether it is still there. */
static enum bq_answer copy_and_wait(struct bq_call *call)
{
    if (call->stage == 0) {
        memcpy(call->out->data, call->in->data, (size_t)call->in->n);
        call->wait_ns = 200000;
        return BQ_WAIT;
    }
    return memcmp(call->out->data, call->in->data, (size_t)call->in->n) == 0 ? BQ_DONE : BQ_FAIL;
}

static const struct bq_kernel patient = {.abi = BQ_KERNEL_ABI,
                                         .flags = BQ_READS | BQ_WRITES | BQ_WAITS,
                                         .name = "patient",
                                         .summary = "copies, and waits in between",
                                         .cook = copy_and_wait};

/* -- running ------------------------------------------------------------------------------ */

/* Runs the kernel and returns the exit code; *report: the JSON, to be given to json_decref. */
static int run(const struct bq_kernel *kernel, json_t **report)
{
    char folder[] = "/tmp/banquet-engine-XXXXXX", job[64], out[64];
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(job, sizeof job, "%s/job.yaml", folder);
    snprintf(out, sizeof out, "%s/out.json", folder);
    FILE *file = fopen(job, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fprintf(file, "kernel: %s\nopen: 4\ncooks: 2\n", kernel->name);
    if (kernel->flags & BQ_WRITES)
        fprintf(file, "output: %s/out.h5:/x\n", folder);
    fclose(file);
    char program[] = "banquet", command[] = "run", json[] = "--json", quiet[] = "--quiet";
    char *argv[] = {program, command, job, json, out, quiet, NULL};
    fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    CU_ASSERT_PTR_NOT_NULL_FATAL(freopen("/dev/null", "w", stdout));
    int code = bq_program(6, argv, &kernel, 1);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    *report = json_load_file(out, 0, NULL);
    unlink(out);
    unlink(job);
    CU_ASSERT_EQUAL(rmdir(folder), 0); /* nothing else was left in it */
    return code;
}

static int64_t integer(const json_t *report, const char *group, const char *key)
{
    const json_t *object = group ? json_object_get(report, group) : report;
    return json_integer_value(json_object_get(object, key));
}

static void a_chunk_that_fails_is_given_up_and_named_and_the_rest_is_right(void)
{
    json_t *report;
    CU_ASSERT_EQUAL(run(&failing, &report), 3);
    CU_ASSERT_EQUAL(integer(report, NULL, "n_given_up"), 1);
    const json_t *given_up = json_array_get(json_object_get(report, "given_up"), 0);
    CU_ASSERT_EQUAL(integer(given_up, NULL, "chunk"), 7);
    CHECK_TEXT(json_string_value(json_object_get(given_up, "why")), "seven is not served");
    CU_ASSERT_EQUAL(integer(report, "results", "sum"), 99 * 100 / 2 - 7);
    json_decref(report);
}

static void a_kernel_that_waits_without_the_flag_fails_that_chunk(void)
{
    json_t *report;
    CU_ASSERT_EQUAL(run(&waiting, &report), 3);
    const json_t *given_up = json_array_get(json_object_get(report, "given_up"), 0);
    CHECK_TEXT(json_string_value(json_object_get(given_up, "why")),
               "the kernel waits, but its flags lack BQ_WAITS");
    json_decref(report);
}

static void a_kernel_may_refuse_a_job(void)
{
    json_t *report;
    CU_ASSERT_EQUAL(run(&refusing, &report), 2);
    CU_ASSERT_PTR_NULL(report);
}

static void an_empty_domain_has_the_result_of_nothing(void)
{
    json_t *report;
    CU_ASSERT_EQUAL(run(&empty, &report), 0);
    CU_ASSERT_EQUAL(integer(report, NULL, "n_chunks"), 0);
    CU_ASSERT_EQUAL(integer(report, "results", "sum"), 0);
    json_decref(report);
}

static void a_kernel_of_another_interface_version_is_refused(void)
{
    json_t *report;
    CU_ASSERT_EQUAL(run(&stranger, &report), 2);
    CU_ASSERT_PTR_NULL(report);
}

static void a_stop_ends_chunks_that_wait_and_leaves_no_file(void)
{
    json_t *report;
    CU_ASSERT_EQUAL(run(&sleepy, &report), 75);
    CU_ASSERT_PTR_NULL(report);
}

static void a_kernel_that_waits_keeps_its_output_whatever_is_open(void)
{
    const struct bq_kernel *kernels[] = {&numbers, &patient};
    for (int open = 1; open <= 4; open += 3) {
        char folder[] = "/tmp/banquet-engine-XXXXXX", path[64], command[120];
        CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
        snprintf(path, sizeof path, "%s/job.yaml", folder);
        FILE *file = fopen(path, "w");
        CU_ASSERT_PTR_NOT_NULL_FATAL(file);
        fprintf(file,
                "steps:\n- {name: a, kernel: numbers, output: '%s/a.h5:/x'}\n"
                "- {name: b, kernel: patient, open: %d, cooks: 1, chunk: [10], "
                "input: '%s/a.h5:/x', output: '%s/b.h5:/x'}\n",
                folder, open, folder, folder);
        fclose(file);
        char program[] = "banquet", run_it[] = "run", quiet[] = "--quiet";
        char *argv[] = {program, run_it, path, quiet, NULL};
        fflush(stdout);
        int kept = dup(STDOUT_FILENO);
        CU_ASSERT_PTR_NOT_NULL_FATAL(freopen("/dev/null", "w", stdout));
        CU_ASSERT_EQUAL(bq_program(4, argv, kernels, 2), 0);
        fflush(stdout);
        dup2(kept, STDOUT_FILENO);
        close(kept);
        snprintf(command, sizeof command, "rm -r %s", folder);
        CU_ASSERT_EQUAL(system(command), 0);
    }
}

static const struct test tests[] = {
    {"a kernel that waits keeps its output, whatever is open",
     a_kernel_that_waits_keeps_its_output_whatever_is_open},
    {"a stop ends chunks that wait and leaves no file",
     a_stop_ends_chunks_that_wait_and_leaves_no_file},
    {"a chunk that fails is given up and named, and the rest is right",
     a_chunk_that_fails_is_given_up_and_named_and_the_rest_is_right},
    {"a kernel that waits without the flag fails that chunk",
     a_kernel_that_waits_without_the_flag_fails_that_chunk},
    {"a kernel may refuse a job", a_kernel_may_refuse_a_job},
    {"an empty domain has the result of nothing", an_empty_domain_has_the_result_of_nothing},
    {"a kernel of another interface version is refused",
     a_kernel_of_another_interface_version_is_refused},
};

RUN_TESTS("engine", tests)
