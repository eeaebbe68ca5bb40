/* Parameters of a kernel: found by name, parsed by kind, checked against their range. */
#include "core/job.h"

#include "base/heap.h"
#include "base/hint.h"
#include "base/text.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

/* Whole numbers above this are not exact when written as 1e16. */
#define MAX_EXACT 9007199254740992.0

int bq_kernel_param(const struct bq_kernel *kernel, const char *name)
{
    for (size_t i = 0; i < kernel->n_params; i++) {
        if (strcmp(kernel->params[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

/* As bq_text_real, and YAML's .inf and .nan. */
static int real_parse(const char *text, double *value)
{
    size_t sign = *text == '-' || *text == '+';
    const char *word = text + sign;
    if (word[0] != '.' || !strchr("iInN", word[1]) || strlen(word) != 4)
        return bq_text_real(text, value);
    char plain[8];
    snprintf(plain, sizeof plain, "%.*s%s", (int)sign, text, word + 1);
    return bq_text_real(plain, value);
}

static int int_parse(const char *text, int64_t *value)
{
    double real;
    if (bq_text_i64(text, value) == 0)
        return 0;
    if (bq_text_real(text, &real) || !(real >= -MAX_EXACT && real <= MAX_EXACT))
        return -1;
    int64_t whole = (int64_t)real;
    if ((double)whole != real)
        return -1;
    *value = whole;
    return 0;
}

static int bool_parse(const char *text, bool *value)
{
    static const char *const words[] = {"false", "False", "FALSE", "true", "True", "TRUE"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(text, words[i]) == 0) {
            *value = i >= 3;
            return 0;
        }
    }
    return -1;
}

static bool is_in_range(const struct bq_param *param, double value)
{
    return !(param->min <= param->max) || (value >= param->min && value <= param->max);
}

static int range_fail(const struct bq_param *param, const char *text, struct bq_error *err)
{
    char quote[BQ_QUOTE], range[80];
    bool has_min = param->min > -DBL_MAX, has_max = param->max < DBL_MAX;
    const char *unit = param->unit ? param->unit : "", *space = *unit ? " " : "";
    if (has_min && has_max)
        snprintf(range, sizeof range, "from %.15g to %.15g", param->min, param->max);
    else if (has_min)
        snprintf(range, sizeof range, "at least %.15g", param->min);
    else if (has_max)
        snprintf(range, sizeof range, "at most %.15g", param->max);
    else
        snprintf(range, sizeof range, "a finite number");
    return bq_fail(err, BQ_EXIT_USAGE, "%s must be %s%s%s, not %s", param->name, range, space, unit,
                   bq_quote(text, quote, sizeof quote));
}

int bq_param_parse(const struct bq_param *param, const char *text, union bq_value *value,
                   struct bq_error *err)
{
    static const char *const wants[] = {[BQ_INT] = "a whole number",
                                        [BQ_REAL] = "a number",
                                        [BQ_BOOL] = "true or false",
                                        [BQ_TEXT] = "a text",
                                        [BQ_LIST] = "a list of numbers such as [1, 2, 1]"};
    union bq_value got = {0};
    double size = 0;
    int rc = -1;
    switch (param->kind) {
    case BQ_INT:
        rc = int_parse(text, &got.i);
        size = (double)got.i;
        break;
    case BQ_REAL:
        rc = real_parse(text, &got.r);
        size = got.r;
        break;
    case BQ_BOOL:
        rc = bool_parse(text, &got.b);
        break;
    case BQ_TEXT:
    case BQ_LIST:
        break; /* bq_param_set's */
    }
    if (rc) {
        char quote[BQ_QUOTE];
        return bq_fail(err, BQ_EXIT_USAGE, "%s must be %s, not %s", param->name, wants[param->kind],
                       bq_quote(text, quote, sizeof quote));
    }
    if (param->kind != BQ_BOOL && !is_in_range(param, size))
        return range_fail(param, text, err);
    *value = got;
    return 0;
}

/* -- texts and lists ---------------------------------------------------------------------- */

struct bq_list *bq_list_create(const double *at, size_t n)
{
    struct bq_list *list = n <= BQ_MAX_LIST ? bq_alloc(1, sizeof *list + n * sizeof *at) : NULL;
    if (!list)
        return NULL;
    double *own = (double *)(list + 1);
    if (at && n)
        memcpy(own, at, n * sizeof *at);
    *list = (struct bq_list){.n = n, .at = own};
    return list;
}

/* The next number of a list, from *text on; false at its end. word: room for one, "" when it is too
 * long for a number. */
static bool next_word(const char **text, char word[64])
{
    const char *from = *text + strspn(*text, " \t\n,[]");
    size_t n = strcspn(from, " \t\n,[]");
    *text = from + n;
    snprintf(word, 64, "%.*s", n < 64 ? (int)n : 0, from);
    return n > 0;
}

static struct bq_list *list_parse(const struct bq_param *param, const char *text,
                                  struct bq_error *err)
{
    char word[64];
    size_t n = 0;
    for (const char *at = text; next_word(&at, word);)
        n++;
    if (n > BQ_MAX_LIST) {
        bq_fail(err, BQ_EXIT_USAGE, "%s has %zu numbers; %u at most", param->name, n, BQ_MAX_LIST);
        return NULL;
    }
    struct bq_list *list = bq_list_create(NULL, n);
    double *number = (double *)(list + 1);
    if (!list)
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    for (const char *at = text; list && next_word(&at, word); number++) {
        struct bq_param one = *param;
        union bq_value value;
        one.kind = BQ_REAL;
        if (bq_param_parse(&one, word, &value, err) < 0) {
            bq_free(list);
            return NULL;
        }
        *number = value.r;
    }
    return list;
}

int bq_param_set(const struct bq_param *param, const char *text, union bq_value *value,
                 void **owned, struct bq_error *err)
{
    if (param->kind != BQ_TEXT && param->kind != BQ_LIST)
        return bq_param_parse(param, text, value, err);
    union bq_value got;
    void *block;
    if (param->kind == BQ_LIST) {
        struct bq_list *list = list_parse(param, text, err);
        if (!list)
            return -1;
        got.list = block = list;
    } else {
        char *copy = bq_strdup(text);
        if (!copy)
            return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        got.text = block = copy;
    }
    bq_free(*owned);
    *owned = block;
    *value = got;
    return 0;
}
