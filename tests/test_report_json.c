/* The JSON report: it parses, every key is there, odd numbers survive, and the file is seen whole
 * or not at all. */
#include "adapters/report_json.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cunit.h"
#include "made_report.h"

static char folder[] = "/tmp/banquet-test-json-XXXXXX";
static char path[64];
static uint64_t series[] = {3, UINT64_MAX};

static struct bq_result results[] = {
    {.name = "mean", .kind = BQ_RESULT_REAL, .real = 0.1 + 0.2},
    {.name = "ratio", .kind = BQ_RESULT_REAL, .real = NAN},
    {.name = "most", .kind = BQ_RESULT_REAL, .real = INFINITY},
    {.name = "least", .kind = BQ_RESULT_REAL, .real = -INFINITY},
    {.name = "pixels", .kind = BQ_RESULT_INTEGER, .integer = 42},
    {.name = "hash", .kind = BQ_RESULT_INTEGER, .integer = UINT64_MAX},
    {.name = "histogram", .kind = BQ_RESULT_SERIES, .series = series, .n_series = 2},
    {.name = "nothing", .kind = BQ_RESULT_SERIES},
};
static struct bq_given_up given_up[] = {{7, "bad \"checksum\"\n"}};

static void make(struct bq_report *report)
{
    make_report(report, 2, 2, 600 * MS);
    report->results = results;
    report->n_results = sizeof results / sizeof *results;
    report->given_up = given_up;
    report->n_given_up = 1;
    report->n_given_up_total = 4;
    report->n_chunks = 100;
    report->coordinator_cpu = 0.25;
    strcpy(report->input, "caf\351.h5:/x"); /* Latin 1: not UTF-8 */
    for (uint32_t k = 0; k < 2; k++) {
        spend(report, k, 1, BQ_COOKING, 0, 400);
        spend(report, k, 1, BQ_OVEN, 0, 500);
        spend(report, k, 0, BQ_KNIFE, 100, 101);
        keep_open(report, k, 1, 0, 500);
        keep_open(report, k, 1, 0, 400);
    }
}

static void unmake(struct bq_report *report)
{
    report->results = NULL;
    report->given_up = NULL;
    bq_report_free(report);
}

static json_t *written(void)
{
    struct bq_report report;
    struct bq_error err = {0};
    json_error_t why = {0};
    make(&report);
    CU_ASSERT_EQUAL(bq_report_json(&report, path, &err), 0);
    CHECK_TEXT(err.text, "");
    unmake(&report);
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    CHECK_TEXT(why.text, "");
    return root;
}

static void check_keys(const json_t *object, const char *const *keys)
{
    size_t n = 0;
    for (; keys[n]; n++) {
        if (!json_object_get(object, keys[n]))
            printf("\n    no key '%s'\n", keys[n]);
        CU_ASSERT_PTR_NOT_NULL(json_object_get(object, keys[n]));
    }
    CU_ASSERT_EQUAL(json_object_size(object), n);
}

static void it_parses_and_every_key_is_there(void)
{
    static const char *const top[] = {
        "version",     "job",        "step",          "kernel",      "policy",      "transport",
        "input",       "output",     "simulated",     "start_ns",    "makespan_s",  "n_chunks",
        "n_discarded", "bytes_in",   "bytes_out",     "concurrency", "parallelism", "bin_s",
        "n_cores",     "n_machines", "clock_error_s", "verdict",     "digest",      "results",
        "n_given_up",  "given_up",   "coordinator",   "kitchens",    NULL};
    static const char *const kitchen[] = {"rank",
                                          "host",
                                          "pid",
                                          "cooks",
                                          "cores",
                                          "chunks",
                                          "leases",
                                          "requests",
                                          "bytes_in",
                                          "bytes_out",
                                          "request_wait_us",
                                          "open_max",
                                          "memory",
                                          "memory_peak",
                                          "served",
                                          "writes",
                                          "lost",
                                          "gone",
                                          "warning",
                                          "cook",
                                          NULL};
    static const char *const cook[] = {"core", "chunks", "seconds", "overlapping_seconds",
                                       "bins", NULL};
    static const char *const seconds[] = {"cooking", "ready", "waiting", "lock",
                                          "message", "idle",  NULL};
    static const char *const bins[] = {"width_s", "cooking", "ready", "waiting",
                                       "lock",    "message", "open",  NULL};
    static const char *const mean_max[] = {"mean", "max", NULL};
    json_t *root = written();
    json_t *k = json_array_get(json_object_get(root, "kitchens"), 1);
    json_t *c = json_array_get(json_object_get(k, "cook"), 1);
    check_keys(root, top);
    check_keys(k, kitchen);
    check_keys(c, cook);
    check_keys(json_object_get(c, "seconds"), seconds);
    check_keys(json_object_get(c, "bins"), bins);
    check_keys(json_object_get(root, "concurrency"), mean_max);
    json_decref(root);
}

static double number_at(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void the_numbers_are_those_of_the_report(void)
{
    json_t *root = written();
    CU_ASSERT_DOUBLE_EQUAL(number_at(root, "makespan_s"), 0.6, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(number_at(json_object_get(root, "concurrency"), "mean"), 3.0, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(number_at(json_object_get(root, "coordinator"), "cpu_s"), 0.25, 1e-12);
    CHECK_TEXT(json_string_value(json_object_get(root, "input")), "caf?.h5:/x");
    json_t *c = json_array_get(
        json_object_get(json_array_get(json_object_get(root, "kitchens"), 0), "cook"), 1);
    /* The oven overlaps cooking: the one list is without, the other as it was recorded. */
    CU_ASSERT_DOUBLE_EQUAL(number_at(json_object_get(c, "seconds"), "waiting"), 0.1, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(number_at(json_object_get(c, "seconds"), "idle"), 0.1, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(number_at(json_object_get(c, "overlapping_seconds"), "waiting"), 0.5,
                           1e-12);
    json_t *bins = json_object_get(json_object_get(c, "bins"), "open"), *bin;
    json_int_t sum = 0;
    size_t i;
    json_array_foreach(bins, i, bin) sum += json_integer_value(bin);
    CU_ASSERT_EQUAL(sum, 900 * (json_int_t)MS);
    json_decref(root);
}

static void numbers_that_json_has_not_are_strings(void)
{
    json_t *root = written();
    json_t *is = json_object_get(root, "results");
    CU_ASSERT_EQUAL(json_object_size(is), sizeof results / sizeof *results);
    CU_ASSERT_EQUAL(number_at(is, "mean"), 0.1 + 0.2); /* exactly: 17 digits */
    CHECK_TEXT(json_string_value(json_object_get(is, "ratio")), "nan");
    CHECK_TEXT(json_string_value(json_object_get(is, "most")), "inf");
    CHECK_TEXT(json_string_value(json_object_get(is, "least")), "-inf");
    CHECK_TEXT(json_string_value(json_object_get(is, "hash")), "18446744073709551615");
    CU_ASSERT_EQUAL(number_at(is, "pixels"), 42);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(is, "histogram")), 2);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(is, "nothing")), 0);
    json_t *lost = json_array_get(json_object_get(root, "given_up"), 0);
    CHECK_TEXT(json_string_value(json_object_get(lost, "why")), "bad \"checksum\"\n");
    json_decref(root);
}

static unsigned n_files(void)
{
    unsigned n = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        n += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    if (dir)
        closedir(dir);
    return n;
}

static void it_replaces_the_old_file_and_leaves_nothing_else(void)
{
    struct stat is;
    umask(022);
    unlink(path);
    json_decref(written());
    CU_ASSERT_EQUAL(n_files(), 1);
    CU_ASSERT_EQUAL(stat(path, &is), 0);
    CU_ASSERT_EQUAL(is.st_mode & 0777, 0644);
    chmod(path, 0640);
    json_decref(written());
    CU_ASSERT_EQUAL(stat(path, &is), 0);
    CU_ASSERT_EQUAL(is.st_mode & 0777, 0640);
    CU_ASSERT_EQUAL(n_files(), 1);
}

static void an_error_says_the_path_and_why(void)
{
    struct bq_report report;
    struct bq_error err = {0};
    make(&report);
    CU_ASSERT_EQUAL(bq_report_json(&report, "/nowhere/x.json", &err), -1);
    CHECK_TEXT(err.text, "/nowhere/x.json: cannot be written: No such file or directory");
    CU_ASSERT_EQUAL(err.exit, BQ_EXIT_FAILED);
    CU_ASSERT_EQUAL(bq_report_json(&report, folder, &err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, ": cannot be written: Is a directory"));
    CU_ASSERT_EQUAL(bq_report_json(&report, "/dev/null", &err), 0);
    if (access("/dev/full", W_OK) == 0) {
        CU_ASSERT_EQUAL(bq_report_json(&report, "/dev/full", &err), -1);
        CHECK_TEXT(err.text, "/dev/full: writing failed: No space left on device");
    }
    unmake(&report);
}

/* jansson's memory: the n-th request fails. */
static unsigned long left, n_requests;

static void *scarce(size_t size)
{
    n_requests++;
    if (left && --left == 0)
        return NULL;
    return malloc(size);
}

/* The whole file, which is small; the caller frees it. */
static char *contents(void)
{
    enum { MOST = 1 << 20 };
    char *bytes = bq_alloc(MOST, 1);
    FILE *f = fopen(path, "rb");
    CU_ASSERT(bytes && f && fread(bytes, 1, MOST - 1, f) > 0);
    if (f)
        fclose(f);
    return bytes;
}

/* Whether it fails or not, the file is the one report, whole, and alone. */
static void without_memory_it_says_so_and_leaves_the_old_file(void)
{
    struct bq_report report;
    make(&report);
    json_decref(written());
    char *whole = contents();
    json_set_alloc_funcs(scarce, free);
    n_requests = left = 0;
    CU_ASSERT_EQUAL(bq_report_json(&report, path, NULL), 0);
    unsigned long most = n_requests;
    for (unsigned long n = 1; n <= most; n += n < 200 || n > most - 100 ? 1 : 17) {
        struct bq_error err = {0};
        left = n;
        int rc = bq_report_json(&report, path, &err);
        CU_ASSERT(rc == 0 ? err.text[0] == 0 : strstr(err.text, "out of memory") != NULL);
        CU_ASSERT_EQUAL(n_files(), 1);
        char *now = contents();
        CU_ASSERT(strcmp(now, whole) == 0);
        bq_free(now);
    }
    json_set_alloc_funcs(malloc, free);
    for (unsigned long n = 1; n < 3; n++) {
        struct bq_error err = {0};
        bq_heap_fail_at(n);
        CU_ASSERT_EQUAL(bq_report_json(&report, path, &err), -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "emory"));
        bq_heap_fail_at(0);
    }
    bq_free(whole);
    unmake(&report);
}

static const struct test tests[] = {
    {"it parses and every key is there", it_parses_and_every_key_is_there},
    {"the numbers are those of the report", the_numbers_are_those_of_the_report},
    {"numbers that JSON has not are strings", numbers_that_json_has_not_are_strings},
    {"it replaces the old file and leaves nothing else",
     it_replaces_the_old_file_and_leaves_nothing_else},
    {"an error says the path and why", an_error_says_the_path_and_why},
    {"without memory it says so and leaves the old file",
     without_memory_it_says_so_and_leaves_the_old_file},
};

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/report.json", folder);
    int rc = run_tests("report_json", tests, sizeof tests / sizeof *tests);
    unlink(path);
    rmdir(folder);
    return rc;
}
