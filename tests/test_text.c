/* Sizes in bytes as people write them. */
#include "base/text.h"

#include "cunit.h"

#include <math.h>

static void sizes(void)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"1", 1},
        {"4096", 4096},
        {"1e9", 1000000000},
        {"2.5E8", 250000000},
        {"4096B", 4096},
        {"4096 b", 4096},
        {"18446744073709551615", UINT64_MAX},
        {"1KiB", 1024},
        {"1kB", 1000},
        {"1 K", 1024},
        {"512MiB", UINT64_C(512) << 20},
        {"512mib", UINT64_C(512) << 20},
        {"800MB", 800000000},
        {"2GiB", UINT64_C(2) << 30},
        {"2G", UINT64_C(2) << 30},
        {"2gb", 2000000000},
        {"1.5 GiB", UINT64_C(3) << 29},
        {"0.5T", UINT64_C(1) << 39},
        {"1PiB", UINT64_C(1) << 50},
        {"15.5EiB", (UINT64_C(31) << 59)},
        {"18EB", UINT64_C(18000000000000000000)},
        {"0.7kB", 700},
        {"0.29 kB", 290},
        {"1.001kB", 1001},
        {"0.1KiB", 102},
        {"0.999999999999999999KiB", 1023},
        {"1.000000000999 GB", 1000000000},
        {"1.000000001 GB", 1000000001},
        {"00012KiB", 12288},
    };
    static const char *const bad[] = {"",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1  KiB",
                                      "MiB",
                                      "lots",
                                      "1.5",
                                      "1.5B",
                                      "1.",
                                      "1.KB",
                                      ".5GiB",
                                      "1..5GB",
                                      "1.5.5GB",
                                      "1e-9",
                                      "1.5e0",
                                      "1e17",
                                      "1e9 MiB",
                                      "0x10",
                                      "1KiBs",
                                      "1Ki",
                                      "1Kb s",
                                      "1bib",
                                      "1iB",
                                      "1KiB\n",
                                      "1\tKiB",
                                      "1 KiB ",
                                      "1,5GiB",
                                      "inf",
                                      "nan",
                                      "1ZB",
                                      "1XiB",
                                      "16EiB",
                                      "18.5EB",
                                      "18446744073709551616",
                                      "99999999999999999999KiB",
                                      "17179869184GiB"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint64_t bytes = 42;
        int rc = bq_text_size(good[i].text, &bytes);
        if (rc || bytes != good[i].bytes)
            printf("\n    '%s': %d, %llu\n", good[i].text, rc, (unsigned long long)bytes);
        CU_ASSERT(rc == 0 && bytes == good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t bytes = 42;
        int rc = bq_text_size(bad[i], &bytes);
        if (rc != -1 || bytes != 42)
            printf("\n    '%s': %d, %llu\n", bad[i], rc, (unsigned long long)bytes);
        CU_ASSERT(rc == -1 && bytes == 42);
    }
}

static void any_real_has_a_whole_number(void)
{
    CU_ASSERT(bq_text_whole(0) == 0 && bq_text_whole(0.99) == 0 && bq_text_whole(7.5) == 7);
    CU_ASSERT(bq_text_whole(-1) == 0 && bq_text_whole(-INFINITY) == 0 && bq_text_whole(NAN) == 0);
    CU_ASSERT(bq_text_whole(0x1.fffffffffffffp63) == UINT64_MAX - 2047);
    CU_ASSERT(bq_text_whole(0x1p64) == UINT64_MAX && bq_text_whole(INFINITY) == UINT64_MAX);
}

static const struct test tests[] = {
    {"any real has a whole number", any_real_has_a_whole_number},
    {"a size is exact, or refused", sizes},
};

RUN_TESTS("text", tests)
