/* A small table of kernels that do nothing, and job files made from text: for the tests of jobs. */
#ifndef BQ_TESTS_JOB_KERNELS_H
#define BQ_TESTS_JOB_KERNELS_H

#include "adapters/job_file.h"
#include "cunit.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct bq_param brighten_params[] = {
    {"gain", BQ_REAL, {.r = 1.2}, -DBL_MAX, DBL_MAX, "", ""},
    {"offset", BQ_REAL, {.r = 0}, 1, 0, "", ""},
    {"steps", BQ_INT, {.i = 7}, 1, 0, "", ""},
};
static const struct bq_param stats_params[] = {{"exact", BQ_BOOL, {.b = false}, 1, 0, "", ""}};
static const struct bq_param oven_params[] = {
    {"n", BQ_INT, {.i = 3}, 1, 1e12, "dishes", ""},
    {"wait_ms", BQ_REAL, {.r = 200}, 0, 1e7, "ms", ""},
    {"heat", BQ_REAL, {.r = 180}, 20, DBL_MAX, "C", ""},
    {"frost", BQ_REAL, {.r = 0}, -DBL_MAX, 4, "C", ""},
};

static const struct bq_kernel brighten = {.abi = BQ_KERNEL_ABI,
                                          .flags = BQ_READS | BQ_WRITES,
                                          .name = "brighten",
                                          .params = brighten_params,
                                          .n_params = 3};
static const struct bq_kernel stats = {.abi = BQ_KERNEL_ABI,
                                       .flags = BQ_READS,
                                       .name = "stats",
                                       .params = stats_params,
                                       .n_params = 1};
static const struct bq_kernel oven = {.abi = BQ_KERNEL_ABI,
                                      .flags = BQ_SIMULATED | BQ_DIVISIBLE,
                                      .name = "oven",
                                      .params = oven_params,
                                      .n_params = 4};
static const struct bq_kernel zeros = {
    .abi = BQ_KERNEL_ABI, .flags = BQ_WRITES | BQ_MAKES, .name = "zeros"};
static const struct bq_kernel *const kernels[] = {&brighten, &stats, &oven, &zeros};

/* The job file of every test: messages begin with this name. */
#define JOB_FILE "job.yaml"

/* Runs the tests in a new directory of their own, so that JOB_FILE is short and nobody else's. */
static inline int run_tests_apart(const char *name, const struct test *tests, size_t n)
{
    char path[] = "/tmp/bq_test_job_XXXXXX";
    if (!mkdtemp(path) || chdir(path))
        return 1;
    int rc = run_tests(name, tests, n);
    unlink(JOB_FILE);
    return chdir("/") || rmdir(path) || rc;
}

static inline struct bq_job *read_bytes(const char *text, size_t n, const struct bq_override *over,
                                        struct bq_error *err)
{
    FILE *f = fopen(JOB_FILE, "wb");
    if (!f || fwrite(text, 1, n, f) != n || fclose(f)) {
        perror(JOB_FILE);
        exit(1);
    }
    *err = (struct bq_error){0};
    return bq_job_read(JOB_FILE, kernels, sizeof kernels / sizeof *kernels, over, err);
}

static inline struct bq_job *read_text(const char *text, struct bq_error *err)
{
    return read_bytes(text, strlen(text), NULL, err);
}

/* Jobs that are wrong, and what is said about each. */
struct wrong {
    const char *text, *message;
};

static inline void check_wrong(const struct wrong *wrong, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct bq_error err;
        struct bq_job *job = read_text(wrong[i].text, &err);
        CU_ASSERT_PTR_NULL(job);
        CHECK_TEXT(err.text, wrong[i].message);
        CU_ASSERT_EQUAL(err.exit, BQ_EXIT_USAGE);
        bq_job_destroy(job);
    }
}
#define CHECK_WRONG(table) check_wrong(table, sizeof table / sizeof *table)

/* Reads a job that is right. */
static inline struct bq_job *read_good(const char *text)
{
    struct bq_error err;
    struct bq_job *job = read_text(text, &err);
    CHECK_TEXT(err.text, "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(job);
    return job;
}

static inline struct bq_job *read_over(const char *text, const struct bq_override *over,
                                       struct bq_error *err)
{
    return read_bytes(text, strlen(text), over, err);
}

/* The message when --set is refused, or "". */
static inline const char *set_message(const char *text, const char *set, struct bq_error *err)
{
    struct bq_override over = {.sets = &set, .n_sets = 1};
    struct bq_job *job = read_over(text, &over, err);
    CU_ASSERT(job || err->exit == BQ_EXIT_USAGE);
    bq_job_destroy(job);
    return err->text;
}

#endif
