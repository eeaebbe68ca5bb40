/* The list of kernel fetch: any line of it, without the list in memory. */
#include "kernels/fetch_list.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cunit.h"
#include "random.h"

#define N 1000

static char path[] = "/tmp/banquet-list-XXXXXX";
static char why[200], line[FETCH_LINE];

static void write_list(const char *bytes, size_t n)
{
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

static void every_line_is_found(void)
{
    static char text[N * FETCH_LINE], *at = text;
    static size_t begin[N + 1];
    uint64_t n;
    random_start(64);
    for (size_t i = 0; i < N; i++) {
        begin[i] = (size_t)(at - text);
        size_t length = 1 + (size_t)random_below(random_below(20) ? 80 : FETCH_LINE - 2);
        for (size_t k = 0; k < length; k++)
            *at++ = (char)('a' + random_below(26));
        *at++ = '\n';
    }
    begin[N] = (size_t)(at - text);
    write_list(text, begin[N]);
    CU_ASSERT_EQUAL(fetch_list_count(path, &n, why, sizeof why), 0);
    CU_ASSERT_EQUAL(n, N);
    for (unsigned i = 0; i < 3 * N; i++) {
        size_t k = i < N ? i : (size_t)random_below(N), length = begin[k + 1] - begin[k] - 1;
        CU_ASSERT_EQUAL(fetch_list_line(path, N, k, line, why, sizeof why), 0);
        CU_ASSERT(strlen(line) == length && memcmp(line, text + begin[k], length) == 0);
    }
    CU_ASSERT_EQUAL(fetch_list_line(path, N, N, line, why, sizeof why), -1);
}

static void another_length_here_than_there_is_refused(void)
{
    uint64_t n;
    write_list("a\nb\nc", 5);
    CU_ASSERT_EQUAL(fetch_list_count(path, &n, why, sizeof why), 0);
    CU_ASSERT_EQUAL(n, 3);
    CU_ASSERT_EQUAL(fetch_list_line(path, 4, 0, line, why, sizeof why), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "3 lines here, not 4"));
}

static void a_list_that_changes_is_refused_until_the_next_job(void)
{
    uint64_t n;
    write_list("a\nb\n", 4);
    CU_ASSERT_EQUAL(fetch_list_count(path, &n, why, sizeof why), 0);
    CU_ASSERT_EQUAL(fetch_list_line(path, 2, 1, line, why, sizeof why), 0);
    CHECK_TEXT(line, "b");
    write_list("a\nbb\n", 5);
    CU_ASSERT_EQUAL(fetch_list_line(path, 2, 1, line, why, sizeof why), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "has changed"));
    CU_ASSERT_EQUAL(fetch_list_count(path, &n, why, sizeof why), 0);
    CU_ASSERT_EQUAL(fetch_list_line(path, 2, 1, line, why, sizeof why), 0);
    CHECK_TEXT(line, "bb");
    unlink(path);
    CU_ASSERT_EQUAL(fetch_list_count(path, &n, why, sizeof why), -1);
}

static void lines_may_be_as_long_as_is_said_and_no_longer(void)
{
    static char text[FETCH_LINE + 1];
    uint64_t n;
    memset(text, 'x', sizeof text);
    text[FETCH_LINE - 2] = '\n';
    write_list(text, FETCH_LINE - 1);
    CU_ASSERT_EQUAL(fetch_list_count(path, &n, why, sizeof why), 0);
    CU_ASSERT_EQUAL(fetch_list_line(path, 1, 0, line, why, sizeof why), 0);
    CU_ASSERT_EQUAL(strlen(line), FETCH_LINE - 2);
    memset(text, 'x', sizeof text);
    for (size_t longer = FETCH_LINE - 1; longer <= FETCH_LINE; longer++) {
        write_list(text, longer); /* without its end */
        CU_ASSERT_EQUAL(fetch_list_count(path, &n, why, sizeof why), -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(why, "longer than 2046"));
    }
    unlink(path);
}

static void the_place_is_ours(void)
{
    int fd = mkstemp(path);
    CU_ASSERT(fd >= 0);
    close(fd);
}

static const struct test tests[] = {
    {"the place is ours", the_place_is_ours},
    {"every line is found", every_line_is_found},
    {"another length here than there is refused", another_length_here_than_there_is_refused},
    {"a list that changes is refused until the next job",
     a_list_that_changes_is_refused_until_the_next_job},
    {"lines may be as long as is said and no longer",
     lines_may_be_as_long_as_is_said_and_no_longer},
};

RUN_TESTS("fetch_list", tests)
