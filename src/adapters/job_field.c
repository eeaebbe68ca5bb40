#include "adapters/job_field.h"

#include "base/heap.h"
#include "base/hint.h"
#include "core/step.h"

#include <stdio.h>
#include <stdlib.h>
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

#define MAX_PARTS 6

/* A map of texts under known names; a text that is not there stays NULL. */
struct parts {
    const char *const *names;
    size_t n;
    const char *texts[MAX_PARTS];
    int lines[MAX_PARTS];
};

static int part_find(const struct parts *parts, const char *name)
{
    for (size_t i = 0; i < parts->n; i++) {
        if (strcmp(name, parts->names[i]) == 0)
            return (int)i;
    }
    return -1;
}

static int parts_read(struct bq_yaml *yaml, const struct bq_yaml_pair *field, struct parts *parts,
                      struct bq_error *err)
{
    struct bq_yaml_pair pairs[BQ_YAML_MAX_KEYS];
    size_t n;
    if (bq_yaml_map(yaml, &field->value, pairs, &n, err))
        return -1;
    for (size_t i = 0; i < n; i++) {
        int at = part_find(parts, pairs[i].key);
        if (at < 0) {
            char quote[BQ_QUOTE], hint[MAX_HINT];
            bq_fail(err, BQ_EXIT_USAGE, "%s has no key %s%s", field->key,
                    bq_quote(pairs[i].key, quote, sizeof quote),
                    bq_hint(pairs[i].key, parts->names, parts->n, hint, sizeof hint));
            return bq_yaml_at(yaml, pairs[i].line, err);
        }
        if (pairs[i].value.kind != BQ_YAML_TEXT)
            return bq_job_field_wrong(yaml, parts->names[at], "a text", &pairs[i].value, err);
        parts->texts[at] = bq_yaml_text(yaml, &pairs[i].value, err);
        if (!parts->texts[at])
            return -1;
        parts->lines[at] = pairs[i].line;
    }
    return 0;
}

/* The first two parts. */
static int place_read(struct bq_yaml *yaml, struct bq_place *place, const struct bq_yaml_pair *pair,
                      struct parts *parts, struct bq_error *err)
{
    if (parts_read(yaml, pair, parts, err))
        return -1;
    const char *file = parts->texts[0], *dataset = parts->texts[1];
    if (!file || !dataset) {
        bq_fail(err, BQ_EXIT_USAGE, "%s names no %s; write {file: FILE, dataset: /dataset}",
                pair->key, parts->names[file ? 1 : 0]);
        return bq_yaml_at(yaml, pair->line, err);
    }
    if (bq_place_set(place, pair->key, file, dataset, err))
        return bq_yaml_at(yaml, parts->lines[*file ? 1 : 0], err);
    place->line = pair->line;
    return 0;
}

static int input_read(struct bq_yaml *yaml, struct bq_step *step, const struct bq_yaml_pair *pair,
                      struct bq_error *err)
{
    static const char *const names[] = {"file", "dataset"};
    struct parts parts = {.names = names, .n = 2};
    return place_read(yaml, &step->input, pair, &parts, err);
}

static int output_read(struct bq_yaml *yaml, struct bq_step *step, const struct bq_yaml_pair *pair,
                       struct bq_error *err)
{
    static const char *const names[] = {"file", "dataset",
#define PART_NAME(code, key) key,
                                        BQ_OUTPUT_PARTS(PART_NAME)
#undef PART_NAME
    };
    struct parts parts = {.names = names, .n = 2 + BQ_N_OUTPUT_PARTS};
    _Static_assert(2 + BQ_N_OUTPUT_PARTS <= MAX_PARTS, "parts have room");
    if (place_read(yaml, &step->output, pair, &parts, err))
        return -1;
    for (size_t i = 2; i < parts.n; i++) {
        if (parts.texts[i] &&
            bq_output_wish_set(&step->wish, names[i], parts.texts[i], parts.lines[i], err))
            return bq_yaml_at(yaml, parts.lines[i], err);
    }
    return 0;
}

/* The policy is set alone first, so that each error has its own line. */
static int schedule_read(struct bq_yaml *yaml, struct bq_schedule *schedule,
                         const struct bq_yaml_pair *pair, struct bq_error *err)
{
    static const char *const names[] = {"policy", "block"};
    struct parts parts = {.names = names, .n = 2};
    if (parts_read(yaml, pair, &parts, err))
        return -1;
    const char *policy = parts.texts[0], *block = parts.texts[1];
    if (!policy) {
        bq_fail(err, BQ_EXIT_USAGE, "schedule names no policy; write {policy: dynamic, block: 4}");
        return bq_yaml_at(yaml, pair->line, err);
    }
    if (bq_schedule_set(schedule, policy, NULL, err))
        return bq_yaml_at(yaml, parts.lines[0], err);
    if (bq_schedule_set(schedule, policy, block, err))
        return bq_yaml_at(yaml, parts.lines[1], err);
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

/* The texts of a list, and of lists in it (the rows of a matrix), as one text. */
static int list_join(struct bq_yaml *yaml, const struct bq_yaml_value *list, FILE *into,
                     unsigned depth, struct bq_error *err)
{
    size_t n;
    if (bq_yaml_list(yaml, list, NULL, 0, &n, err))
        return -1;
    struct bq_yaml_value *items = bq_alloc(n + 1, sizeof *items);
    int rc = items ? bq_yaml_list(yaml, list, items, n, &n, err)
                   : bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const char *text;
        if (items[i].kind == BQ_YAML_LIST && depth < BQ_MAX_RANK)
            rc = list_join(yaml, &items[i], into, depth + 1, err);
        else if (items[i].kind != BQ_YAML_TEXT)
            rc = bq_job_field_wrong(yaml, "a list's value", "a number", &items[i], err);
        else if ((text = bq_yaml_text(yaml, &items[i], err)))
            fprintf(into, "%s,", *text ? text : "''");
        else
            rc = -1;
    }
    bq_free(items);
    return rc;
}

static int list_read(struct bq_yaml *yaml, struct bq_step *step, const char *key,
                     const struct bq_yaml_pair *pair, struct bq_error *err)
{
    char *text = NULL;
    size_t size;
    FILE *into = open_memstream(&text, &size);
    if (!into)
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    int rc = list_join(yaml, &pair->value, into, 0, err);
    if (fclose(into) && rc == 0)
        rc = bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    if (rc == 0 && bq_step_set(step, key, text, pair->line, err))
        rc = bq_yaml_at(yaml, pair->line, err);
    free(text);
    return rc;
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
        int at = bq_kernel_param(step->kernel, pairs[i].key);
        bool is_list = at >= 0 && step->kernel->params[at].kind == BQ_LIST;
        if (is_list && pairs[i].value.kind == BQ_YAML_LIST) {
            if (list_read(yaml, step, key, &pairs[i], err))
                return -1;
            continue;
        }
        if (pairs[i].value.kind != BQ_YAML_TEXT)
            return bq_job_field_wrong(yaml, key, is_list ? "a list of numbers" : "one value",
                                      &pairs[i].value, err);
        if (text_read(yaml, step, key, &pairs[i], err))
            return -1;
    }
    return 0;
}

/* The threads of each stage, as bq_pipeline_set wants them. */
static int pipeline_read(struct bq_yaml *yaml, struct bq_step *step,
                         const struct bq_yaml_pair *field, struct bq_error *err)
{
    struct bq_yaml_pair pairs[BQ_YAML_MAX_KEYS];
    char text[BQ_YAML_MAX_KEYS * 8] = "";
    size_t n, used = 0;
    if (bq_yaml_map(yaml, &field->value, pairs, &n, err))
        return -1;
    for (size_t i = 0; i < n; i++) {
        const char *threads =
            pairs[i].value.kind == BQ_YAML_TEXT ? bq_yaml_text(yaml, &pairs[i].value, err) : NULL;
        if (!threads)
            return bq_job_field_wrong(yaml, pairs[i].key, "a number of threads", &pairs[i].value,
                                      err);
        if (used < sizeof text)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s:%s", i ? "," : "",
                                     pairs[i].key, threads);
    }
    if (bq_step_set(step, "pipeline", used < sizeof text ? text : "", field->line, err))
        return bq_yaml_at(yaml, field->line, err);
    return 0;
}

static int uses_read(struct bq_yaml *yaml, struct bq_step *step, const struct bq_yaml_pair *field,
                     bool is_next, struct bq_error *err)
{
    struct bq_yaml_pair pairs[BQ_YAML_MAX_KEYS];
    size_t n;
    if (bq_yaml_map(yaml, &field->value, pairs, &n, err))
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].value.kind != BQ_YAML_TEXT)
            return bq_job_field_wrong(yaml, field->key, "names of steps", &pairs[i].value, err);
        const char *from = bq_yaml_text(yaml, &pairs[i].value, err);
        if (!from)
            return -1;
        if (bq_step_use(step, pairs[i].key, from, is_next, pairs[i].line, err))
            return bq_yaml_at(yaml, pairs[i].line, err);
    }
    return 0;
}

int bq_job_loop_read(struct bq_yaml *yaml, struct bq_loop *loop, const struct bq_yaml_pair *pair,
                     struct bq_error *err)
{
    static const char *const names[] = {"reduction", "relation", "value"};
    if (pair->value.kind == BQ_YAML_MAP && strcmp(pair->key, "until") == 0) {
        struct parts parts = {.names = names, .n = 3};
        if (parts_read(yaml, pair, &parts, err))
            return -1;
        const char *missing = NULL;
        for (size_t i = parts.n; i-- > 0;)
            missing = parts.texts[i] ? missing : names[i];
        if (missing) {
            bq_fail(err, BQ_EXIT_USAGE,
                    "until names no %s; write {reduction: heat.change, relation: below, "
                    "value: 1e-4}",
                    missing);
            return bq_yaml_at(yaml, pair->line, err);
        }
        loop->until.line = pair->line;
        if (bq_until_set(&loop->until, parts.texts[0], parts.texts[1], parts.texts[2], err))
            return bq_yaml_at(yaml, pair->line, err);
        return 0;
    }
    if (pair->value.kind != BQ_YAML_TEXT)
        return bq_job_field_wrong(yaml, pair->key,
                                  bq_step_wants((enum bq_step_key)bq_step_key(pair->key)),
                                  &pair->value, err);
    const char *text = bq_yaml_text(yaml, &pair->value, err);
    if (!text)
        return -1;
    if (bq_loop_set(loop, pair->key, text, pair->line, err))
        return bq_yaml_at(yaml, pair->line, err);
    return 0;
}

int bq_job_field_read(struct bq_yaml *yaml, struct bq_step *step, const struct bq_yaml_pair *pair,
                      struct bq_error *err)
{
    enum bq_step_key key = (enum bq_step_key)bq_step_key(pair->key);
    enum bq_yaml_kind kind = pair->value.kind;
    if (key == BQ_KEY_KERNEL || key == BQ_KEY_REPEAT || key == BQ_KEY_UNTIL)
        return 0; /* step_read began with it; a loop's */
    if (key == BQ_KEY_PARAMS)
        return params_read(yaml, step, pair, err);
    if ((key == BQ_KEY_USES || key == BQ_KEY_NEXT) && kind == BQ_YAML_MAP)
        return uses_read(yaml, step, pair, key == BQ_KEY_NEXT, err);
    if (key == BQ_KEY_PIPELINE && kind == BQ_YAML_MAP)
        return pipeline_read(yaml, step, pair, err);
    if (kind == BQ_YAML_TEXT || key == BQ_KEY_STEPS)
        return text_read(yaml, step, pair->key, pair, err);
    if (key == BQ_KEY_INPUT && kind == BQ_YAML_MAP)
        return input_read(yaml, step, pair, err);
    if (key == BQ_KEY_OUTPUT && kind == BQ_YAML_MAP)
        return output_read(yaml, step, pair, err);
    if (key == BQ_KEY_SCHEDULE && kind == BQ_YAML_MAP)
        return schedule_read(yaml, &step->schedule, pair, err);
    if (key == BQ_KEY_CHUNK && kind == BQ_YAML_LIST)
        return chunk_read(yaml, step, pair, err);
    return bq_job_field_wrong(yaml, pair->key, bq_step_wants(key), &pair->value, err);
}
