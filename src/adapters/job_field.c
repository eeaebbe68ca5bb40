#include "adapters/job_field.h"

#include "base/hint.h"
#include "core/step.h"

#include <stdio.h>
#include <string.h>

#define MAX_HINT 128

int bq_job_field_wrong(struct bq_yaml *yaml, const char *what, const char *wants,
                       const struct bq_yaml_value *value, struct bq_error *err)
{
    char quote[BQ_QUOTE];
    const char *got = value->kind == BQ_YAML_LIST ? "a list" : "a map";
    if (value->kind == BQ_YAML_TEXT) {
        const char *text = bq_yaml_text(yaml, value, err);
        if (!text)
            return -1;
        got = bq_quote(text, quote, sizeof quote);
    }
    bq_fail(err, BQ_EXIT_USAGE, "%s must be %s, not %s", what, wants, got);
    return bq_yaml_at(yaml, value->line, err);
}

static int text_read(struct bq_yaml *yaml, struct bq_step *step, const char *key,
                     const struct bq_yaml_pair *pair, struct bq_error *err)
{
    const char *text = bq_yaml_text(yaml, &pair->value, err);
    if (!text)
        return -1;
    if (bq_step_set(step, key, text, pair->line, err))
        return bq_yaml_at(yaml, pair->line, err);
    return 0;
}

/* A map of two texts, in the order of names; a text that is not there stays NULL. */
static int parts_read(struct bq_yaml *yaml, const struct bq_yaml_pair *field,
                      const char *const names[2], const char *texts[2], int lines[2],
                      struct bq_error *err)
{
    struct bq_yaml_pair pairs[BQ_YAML_MAX_KEYS];
    size_t n;
    if (bq_yaml_map(yaml, &field->value, pairs, &n, err))
        return -1;
    for (size_t i = 0; i < n; i++) {
        size_t at = strcmp(pairs[i].key, names[0]) == 0 ? 0 : 1;
        if (strcmp(pairs[i].key, names[at]) != 0) {
            char quote[BQ_QUOTE], hint[MAX_HINT];
            bq_fail(err, BQ_EXIT_USAGE, "%s has no key %s%s", field->key,
                    bq_quote(pairs[i].key, quote, sizeof quote),
                    bq_hint(pairs[i].key, names, 2, hint, sizeof hint));
            return bq_yaml_at(yaml, pairs[i].line, err);
        }
        if (pairs[i].value.kind != BQ_YAML_TEXT)
            return bq_job_field_wrong(yaml, names[at], "a text", &pairs[i].value, err);
        texts[at] = bq_yaml_text(yaml, &pairs[i].value, err);
        if (!texts[at])
            return -1;
        lines[at] = pairs[i].line;
    }
    return 0;
}

static int place_read(struct bq_yaml *yaml, struct bq_place *place, const struct bq_yaml_pair *pair,
                      struct bq_error *err)
{
    static const char *const names[] = {"file", "dataset"};
    const char *texts[2] = {NULL, NULL};
    int lines[2] = {0};
    if (parts_read(yaml, pair, names, texts, lines, err))
        return -1;
    if (!texts[0] || !texts[1]) {
        bq_fail(err, BQ_EXIT_USAGE, "%s names no %s; write {file: FILE, dataset: /dataset}",
                pair->key, names[texts[0] ? 1 : 0]);
        return bq_yaml_at(yaml, pair->line, err);
    }
    if (bq_place_set(place, pair->key, texts[0], texts[1], err))
        return bq_yaml_at(yaml, lines[*texts[0] ? 1 : 0], err);
    place->line = pair->line;
    return 0;
}

/* The policy is set alone first, so that each error has its own line. */
static int schedule_read(struct bq_yaml *yaml, struct bq_schedule *schedule,
                         const struct bq_yaml_pair *pair, struct bq_error *err)
{
    static const char *const names[] = {"policy", "block"};
    const char *texts[2] = {NULL, NULL};
    int lines[2] = {0};
    if (parts_read(yaml, pair, names, texts, lines, err))
        return -1;
    if (!texts[0]) {
        bq_fail(err, BQ_EXIT_USAGE, "schedule names no policy; write {policy: dynamic, block: 4}");
        return bq_yaml_at(yaml, pair->line, err);
    }
    if (bq_schedule_set(schedule, texts[0], NULL, err))
        return bq_yaml_at(yaml, lines[0], err);
    if (bq_schedule_set(schedule, texts[0], texts[1], err))
        return bq_yaml_at(yaml, lines[1], err);
    return 0;
}

static int chunk_read(struct bq_yaml *yaml, struct bq_step *step, const struct bq_yaml_pair *pair,
                      struct bq_error *err)
{
    struct bq_yaml_value items[BQ_MAX_RANK];
    const char *sizes[BQ_MAX_RANK];
    size_t n;
    if (bq_yaml_list(yaml, &pair->value, items, BQ_MAX_RANK, &n, err))
        return -1;
    for (size_t i = 0; i < n && i < BQ_MAX_RANK; i++) {
        if (items[i].kind != BQ_YAML_TEXT)
            return bq_job_field_wrong(yaml, "chunk", bq_step_wants(BQ_KEY_CHUNK), &items[i], err);
        sizes[i] = bq_yaml_text(yaml, &items[i], err);
        if (!sizes[i])
            return -1;
    }
    if (bq_step_chunk(step, sizes, n, err))
        return bq_yaml_at(yaml, pair->line, err);
    step->chunk_line = pair->line;
    return 0;
}

static int params_read(struct bq_yaml *yaml, struct bq_step *step, const struct bq_yaml_pair *field,
                       struct bq_error *err)
{
    struct bq_yaml_pair pairs[BQ_YAML_MAX_KEYS];
    size_t n;
    if (field->value.kind != BQ_YAML_MAP)
        return bq_yaml_is_empty(&field->value)
                   ? 0
                   : bq_job_field_wrong(yaml, field->key, bq_step_wants(BQ_KEY_PARAMS),
                                        &field->value, err);
    if (bq_yaml_map(yaml, &field->value, pairs, &n, err))
        return -1;
    for (size_t i = 0; i < n; i++) {
        char key[BQ_MAX_NAME + 80];
        snprintf(key, sizeof key, "params.%s", pairs[i].key);
        if (pairs[i].value.kind != BQ_YAML_TEXT)
            return bq_job_field_wrong(yaml, key, "one value", &pairs[i].value, err);
        if (text_read(yaml, step, key, &pairs[i], err))
            return -1;
    }
    return 0;
}

int bq_job_field_read(struct bq_yaml *yaml, struct bq_step *step, const struct bq_yaml_pair *pair,
                      struct bq_error *err)
{
    enum bq_step_key key = (enum bq_step_key)bq_step_key(pair->key);
    enum bq_yaml_kind kind = pair->value.kind;
    if (key == BQ_KEY_KERNEL)
        return 0; /* step_read began with it */
    if (key == BQ_KEY_PARAMS)
        return params_read(yaml, step, pair, err);
    if (kind == BQ_YAML_TEXT || key == BQ_KEY_STEPS)
        return text_read(yaml, step, pair->key, pair, err);
    if (key == BQ_KEY_INPUT && kind == BQ_YAML_MAP)
        return place_read(yaml, &step->input, pair, err);
    if (key == BQ_KEY_OUTPUT && kind == BQ_YAML_MAP)
        return place_read(yaml, &step->output, pair, err);
    if (key == BQ_KEY_SCHEDULE && kind == BQ_YAML_MAP)
        return schedule_read(yaml, &step->schedule, pair, err);
    if (key == BQ_KEY_CHUNK && kind == BQ_YAML_LIST)
        return chunk_read(yaml, step, pair, err);
    return bq_job_field_wrong(yaml, pair->key, bq_step_wants(key), &pair->value, err);
}
