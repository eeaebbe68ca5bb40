#include "core/output_wish.h"

#include "base/hint.h"
#include "core/value.h"

#include <stdio.h>
#include <string.h>

#define MAX_HINT 96
#define MAX_TEXT 64 /* longer than any compression with its level */

static const struct compression {
    const char *name;
    unsigned level, max;
} compressions[] = {
#define COMPRESSION(code, name, level, max) {name, level, max},
    BQ_COMPRESSIONS(COMPRESSION)
#undef COMPRESSION
};

static const char *const part_names[] = {
#define PART_NAME(code, key) key,
    BQ_OUTPUT_PARTS(PART_NAME)
#undef PART_NAME
};

const char *bq_compress_name(enum bq_compress compress)
{
    return compressions[compress].name;
}

int bq_output_part(const char *name)
{
    for (int i = 0; i < BQ_N_OUTPUT_PARTS; i++) {
        if (strcmp(name, part_names[i]) == 0)
            return i;
    }
    return -1;
}

/* "gzip" or "gzip:4". A text that is cut here is longer than any that is right. */
static int compress_set(struct bq_output_wish *wish, const char *text, struct bq_error *err)
{
    static const char wants[] = "auto, none, gzip[:1..9], zstd[:1..19], lz4 or lzf";
    static const char *const names[] = {
#define COMPRESSION_NAME(code, name, level, max) name,
        BQ_COMPRESSIONS(COMPRESSION_NAME)
#undef COMPRESSION_NAME
    };
    char name[MAX_TEXT], what[MAX_TEXT + 8];
    const char *colon = strchr(text, ':');
    snprintf(name, sizeof name, "%.*s", (int)strcspn(text, ":"), text);
    int found = bq_value_word("compress", wants, names, BQ_N_COMPRESSIONS, name, err);
    if (found < 0)
        return -1;
    unsigned level = compressions[found].level;
    if (colon && level == 0)
        return bq_fail(err, BQ_EXIT_USAGE, "compress '%s' takes no level; only gzip and zstd do",
                       name);
    snprintf(what, sizeof what, "%s's level", name);
    if (colon && bq_value_number(&level, what, colon + 1, 1, compressions[found].max, err))
        return -1;
    wish->compress = (enum bq_compress)found;
    wish->level = level;
    return 0;
}

static int shuffle_set(struct bq_output_wish *wish, const char *text, struct bq_error *err)
{
    bool is = false, is_auto = strcmp(text, "auto") == 0;
    if (!is_auto && bq_value_bool(&is, "shuffle", text, NULL))
        return bq_value_wrong("shuffle", "true, false or auto", text, err);
    wish->shuffle = is_auto ? BQ_CHOICE_AUTO : is ? BQ_CHOICE_YES : BQ_CHOICE_NO;
    return 0;
}

static int layout_set(struct bq_output_wish *wish, const char *text, struct bq_error *err)
{
    static const char *const names[] = {
#define LAYOUT_NAME(code, name) name,
        BQ_OUTPUT_LAYOUTS(LAYOUT_NAME)
#undef LAYOUT_NAME
    };
    int found = bq_value_word("layout", "single or sharded", names, BQ_N_OUTPUT_LAYOUTS, text, err);
    if (found < 0)
        return -1;
    wish->layout = (enum bq_output_layout)found;
    return 0;
}

static int nan_set(struct bq_output_wish *wish, const char *text, struct bq_error *err)
{
    static const char *const names[] = {"allow", "refuse"};
    int found = bq_value_word("nan", "allow or refuse", names, 2, text, err);
    if (found < 0)
        return -1;
    wish->refuses_nan = found == 1;
    return 0;
}

int bq_output_wish_set(struct bq_output_wish *wish, const char *part, const char *text, int line,
                       struct bq_error *err)
{
    const struct {
        int (*set)(struct bq_output_wish *wish, const char *text, struct bq_error *err);
        int *line;
    } rules[] = {
        [BQ_PART_COMPRESS] = {compress_set, &wish->compress_line},
        [BQ_PART_SHUFFLE] = {shuffle_set, &wish->shuffle_line},
        [BQ_PART_LAYOUT] = {layout_set, &wish->layout_line},
        [BQ_PART_NAN] = {nan_set, &wish->nan_line},
    };
    int code = bq_output_part(part);
    if (code < 0) {
        char quote[BQ_QUOTE], hint[MAX_HINT];
        bool is_place = strcmp(part, "file") == 0 || strcmp(part, "dataset") == 0;
        if (is_place)
            return bq_fail(err, BQ_EXIT_USAGE, "'%s' cannot be set alone; set output=FILE:/dataset",
                           part);
        return bq_fail(err, BQ_EXIT_USAGE, "output has no key %s%s",
                       bq_quote(part, quote, sizeof quote),
                       bq_hint(part, part_names, BQ_N_OUTPUT_PARTS, hint, sizeof hint));
    }
    if (rules[code].set(wish, text, err))
        return -1;
    *rules[code].line = line;
    return 0;
}

const char *bq_output_wish_given(const struct bq_output_wish *wish)
{
    if (wish->compress != BQ_COMPRESS_AUTO)
        return part_names[BQ_PART_COMPRESS];
    if (wish->shuffle != BQ_CHOICE_AUTO)
        return part_names[BQ_PART_SHUFFLE];
    if (wish->refuses_nan)
        return part_names[BQ_PART_NAN];
    return wish->layout != BQ_LAYOUT_SINGLE ? part_names[BQ_PART_LAYOUT] : NULL;
}
