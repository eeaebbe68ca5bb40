#include "core/pipeline.h"

#include <stdio.h>
#include <string.h>

#include "core/value.h"

#define WANTS "off or threads of stages such as {read: 1, kernel: 2, encode: 1, write: 1}"

static const char *const names[] = {
#define STAGE_NAME(code, name) name,
    BQ_LINE_STAGES(STAGE_NAME)
#undef STAGE_NAME
};

static const char *const orders[] = {"any", "kept"};

const char *bq_line_stage_name(enum bq_line_stage stage)
{
    return names[stage];
}

unsigned bq_pipeline_workers(const struct bq_pipeline *pipeline)
{
    unsigned n = 0;
    for (int i = BQ_LINE_READ + 1; i < BQ_N_LINE_STAGES; i++)
        n += pipeline->threads[i];
    return n;
}

int bq_pipeline_set(struct bq_pipeline *pipeline, const char *text, struct bq_error *err)
{
    struct bq_pipeline next = {.is_on = true, .threads = {1, 1, 1, 1}};
    bool is_given[BQ_N_LINE_STAGES] = {false}, has_order = false;
    if (strcmp(text, "off") == 0 || strcmp(text, "false") == 0) {
        *pipeline = (struct bq_pipeline){0};
        return 0;
    }
    for (const char *at = text; *at;) {
        char name[32], number[32], what[64];
        size_t n_name = strcspn(at, ":,"),
               n_number = at[n_name] == ':' ? strcspn(at + n_name + 1, ",") : 0;
        if (at[n_name] != ':' || n_name >= sizeof name || n_number >= sizeof number)
            return bq_value_wrong("pipeline", WANTS, text, err);
        snprintf(name, sizeof name, "%.*s", (int)n_name, at);
        snprintf(number, sizeof number, "%.*s", (int)n_number, at + n_name + 1);
        at += n_name + 1 + n_number;
        at += *at == ',';
        if (strcmp(name, "order") == 0) {
            if (has_order)
                return bq_fail(err, BQ_EXIT_USAGE, "pipeline's order is given twice");
            int order = bq_value_word("pipeline's order", "any or kept", orders, 2, number, err);
            if (order < 0)
                return -1;
            has_order = true;
            next.keeps_order = order == 1;
            continue;
        }
        int stage = bq_value_word("pipeline's stage", "read, kernel, encode or write", names,
                                  BQ_N_LINE_STAGES, name, err);
        if (stage < 0)
            return -1;
        snprintf(what, sizeof what, "pipeline's %s", name);
        if (is_given[stage])
            return bq_fail(err, BQ_EXIT_USAGE, "%s is given twice", what);
        is_given[stage] = true;
        if (bq_value_number(&next.threads[stage], what, number, 1, BQ_PIPELINE_MAX, err))
            return -1;
    }
    if (next.keeps_order && (next.threads[BQ_LINE_READ] > 1 || next.threads[BQ_LINE_WRITE] > 1))
        return bq_fail(err, BQ_EXIT_USAGE,
                       "pipeline's order can be kept by one thread that reads and one that writes");
    if (!*text)
        return bq_value_wrong("pipeline", WANTS, text, err);
    *pipeline = next;
    return 0;
}
