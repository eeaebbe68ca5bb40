/* The main of every CUnit program here: a table of tests, each named by a sentence. It fails when
 * a check fails and when there is nothing to run. */
#ifndef BQ_TESTS_CUNIT_H
#define BQ_TESTS_CUNIT_H

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

struct test {
    const char *sentence;
    void (*run)(void);
};

#define RUN_TESTS(suite_name, tests)                                                               \
    int main(void)                                                                                 \
    {                                                                                              \
        return run_tests(suite_name, tests, sizeof tests / sizeof *tests);                         \
    }

static inline int run_tests(const char *name, const struct test *tests, size_t n)
{
    if (n == 0 || CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    CU_pSuite suite = CU_add_suite(name, NULL, NULL);
    for (size_t i = 0; i < n; i++) {
        if (!suite || !CU_add_test(suite, tests[i].sentence, tests[i].run))
            return 1;
    }
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures() + CU_get_number_of_tests_failed();
    unsigned ran = CU_get_number_of_tests_run();
    CU_cleanup_registry();
    return failed || ran != n;
}

/* A check that shows both texts when they differ. */
#define CHECK_TEXT(got, want)                                                                      \
    do {                                                                                           \
        const char *got_ = (got), *want_ = (want);                                                 \
        if (strcmp(got_, want_) != 0)                                                              \
            printf("\n    got  '%s'\n    want '%s'\n", got_, want_);                               \
        CU_ASSERT_STRING_EQUAL(got_, want_);                                                       \
    } while (0)

#endif
