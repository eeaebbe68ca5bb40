#include "core/value.h"

#include "base/hint.h"
#include "base/text.h"
#include "core/job.h"

#include <string.h>

#define MAX_HINT 96

int bq_value_wrong(const char *key, const char *wants, const char *text, struct bq_error *err)
{
    char quote[BQ_QUOTE];
    return bq_fail(err, BQ_EXIT_USAGE, "%s must be %s, not %s", key, wants,
                   bq_quote(text, quote, sizeof quote));
}

int bq_value_word(const char *key, const char *wants, const char *const *words, size_t n,
                  const char *text, struct bq_error *err)
{
    char quote[BQ_QUOTE], hint[MAX_HINT];
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, words[i]) == 0)
            return (int)i;
    }
    return bq_fail(err, BQ_EXIT_USAGE, "%s must be %s, not %s%s", key, wants,
                   bq_quote(text, quote, sizeof quote),
                   bq_text_suggest(text, words, n, hint, sizeof hint));
}

int bq_value_number(unsigned *number, const char *key, const char *text, unsigned min, unsigned max,
                    struct bq_error *err)
{
    struct bq_param rule = {.name = key, .kind = BQ_INT, .min = min, .max = max};
    union bq_value value;
    if (bq_param_parse(&rule, text, &value, err))
        return -1;
    *number = (unsigned)value.i;
    return 0;
}

int bq_value_bool(bool *is, const char *key, const char *text, struct bq_error *err)
{
    struct bq_param rule = {.name = key, .kind = BQ_BOOL};
    union bq_value value;
    if (bq_param_parse(&rule, text, &value, err))
        return -1;
    *is = value.b;
    return 0;
}

int bq_value_size(uint64_t *bytes, const char *key, const char *wants, const char *text,
                  struct bq_error *err)
{
    uint64_t size = 0;
    bool is_auto = strcmp(text, "auto") == 0;
    /* 0 means auto; a trifle such as 0.0001 KiB, which is 0 bytes too, does not. */
    if (!is_auto &&
        (bq_text_size(text, &size) || (size == 0 && strpbrk(text, "123456789") != NULL)))
        return bq_value_wrong(key, wants, text, err);
    *bytes = size;
    return 0;
}
