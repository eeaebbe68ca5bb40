#include "core/loop.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "core/value.h"

static const struct {
    const char *sign, *name;
} relations[] = {
#define RELATION_ROW(code, sign, name) {sign, name},
    BQ_RELATIONS(RELATION_ROW)
#undef RELATION_ROW
};

const char *bq_relation_sign(enum bq_relation relation)
{
    return relations[relation].sign;
}

bool bq_relation_holds(enum bq_relation relation, double number, double value)
{
    switch (relation) {
    case BQ_BELOW:
        return number < value;
    case BQ_AT_MOST:
        return number <= value;
    case BQ_ABOVE:
        return number > value;
    case BQ_AT_LEAST:
        return number >= value;
    case BQ_EQUAL:
        return number == value;
    case BQ_N_RELATIONS:
        break;
    }
    return false;
}

static int relation_find(const char *text)
{
    for (int i = 0; i < BQ_N_RELATIONS; i++) {
        if (strcmp(text, relations[i].sign) == 0 || strcmp(text, relations[i].name) == 0)
            return i;
    }
    return -1;
}

int bq_until_set(struct bq_until *until, const char *reduction, const char *relation,
                 const char *value, struct bq_error *err)
{
    struct bq_until next = {.is_given = true, .line = until->line};
    const char *dot = strchr(reduction, '.');
    size_t n = dot ? (size_t)(dot - reduction) : 0;
    const char *result = dot ? dot + 1 : reduction;
    int found = relation_find(relation);
    if (!*result || n >= sizeof next.step || strlen(result) >= sizeof next.result ||
        (dot && n == 0))
        return bq_value_wrong("until's reduction", "STEP.RESULT, such as heat.change", reduction,
                              err);
    if (found < 0)
        return bq_value_wrong("until's relation", "<, <=, >, >= or ==", relation, err);
    if (bq_text_real(value, &next.value) || next.value != next.value) /* nothing is below NaN */
        return bq_value_wrong("until's value", "a number", value, err);
    memcpy(next.step, reduction, n);
    memcpy(next.result, result, strlen(result) + 1);
    next.relation = (enum bq_relation)found;
    *until = next;
    return 0;
}

/* "heat.change < 1e-4", blanks or not. */
static int until_parse(struct bq_until *until, const char *text, struct bq_error *err)
{
    char part[3][80];
    size_t at = strspn(text, " \t"), name = strcspn(text + at, "<>= \t");
    size_t sign = at + name + strspn(text + at + name, " \t");
    size_t n_sign = strspn(text + sign, "<>="), value = sign + n_sign;
    value += strspn(text + value, " \t");
    if (name == 0 || name >= sizeof part[0] || n_sign == 0 || n_sign >= sizeof part[1] ||
        strlen(text + value) >= sizeof part[2])
        return bq_value_wrong("until", "STEP.RESULT < NUMBER, such as heat.change < 1e-4", text,
                              err);
    snprintf(part[0], sizeof part[0], "%.*s", (int)name, text + at);
    snprintf(part[1], sizeof part[1], "%.*s", (int)n_sign, text + sign);
    snprintf(part[2], sizeof part[2], "%s", text + value);
    for (size_t end = strlen(part[2]); end && strchr(" \t", part[2][end - 1]); end--)
        part[2][end - 1] = 0;
    return bq_until_set(until, part[0], part[1], part[2], err);
}

int bq_loop_set(struct bq_loop *loop, const char *key, const char *text, int line,
                struct bq_error *err)
{
    if (strcmp(key, "until") == 0) {
        if (until_parse(&loop->until, text, err))
            return -1;
        loop->until.line = line;
        return 0;
    }
    uint64_t rounds;
    if (bq_text_u64(text, &rounds) || rounds == 0 || rounds > BQ_MAX_ROUNDS)
        return bq_value_wrong("repeat", "a number of rounds from 1 to 1000000000", text, err);
    loop->repeat = rounds;
    return 0;
}
