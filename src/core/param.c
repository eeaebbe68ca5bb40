/* Parameters of a kernel: found by name, parsed by kind, checked against their range. */
#include "core/job.h"

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
    static const char *const wants[] = {
        [BQ_INT] = "a whole number", [BQ_REAL] = "a number", [BQ_BOOL] = "true or false"};
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
    }
    if (rc) {
        char quote[BQ_QUOTE];
        return bq_fail(err, BQ_EXIT_USAGE, "%s must be %s, not %s", param->name, wants[param->kind],
                       bq_quote(text, quote, sizeof quote));
    }
    bool is_ranged = param->kind != BQ_BOOL && param->min <= param->max;
    if (is_ranged && !(size >= param->min && size <= param->max))
        return range_fail(param, text, err);
    *value = got;
    return 0;
}
