#include "core/step.h"

#include "base/heap.h"
#include "base/hint.h"
#include "base/text.h"
#include "core/recipe.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* A fixed place for the names of parameters, and for a text that is taken apart. */
#define MAX_TEXT 256

static const char *const key_names[] = {
#define KEY_NAME(code, key, wants) key,
    BQ_STEP_KEYS(KEY_NAME)
#undef KEY_NAME
};

int bq_step_key(const char *name)
{
    for (int i = 0; i < BQ_N_STEP_KEYS; i++) {
        if (strcmp(name, key_names[i]) == 0)
            return i;
    }
    return -1;
}

const char *bq_step_wants(enum bq_step_key key)
{
    static const char *const wants[] = {
#define KEY_WANTS(code, key, text) text,
        BQ_STEP_KEYS(KEY_WANTS)
#undef KEY_WANTS
    };
    return wants[key];
}

int bq_step_unknown(const struct bq_step *step, const char *key, struct bq_error *err)
{
    char quote[BQ_QUOTE], hint[MAX_TEXT];
    bq_quote(key, quote, sizeof quote);
    if (step && step->kernel && bq_kernel_param(step->kernel, key) >= 0)
        return bq_fail(err, BQ_EXIT_USAGE, "key %s is not known; did you mean 'params.%s'?", quote,
                       key);
    return bq_fail(err, BQ_EXIT_USAGE, "key %s is not known%s", quote,
                   bq_hint(key, key_names, BQ_N_STEP_KEYS, hint, sizeof hint));
}

void bq_step_start(struct bq_step *step, const struct bq_kernel *kernel)
{
    step->kernel = kernel;
    for (size_t i = 0; i < kernel->n_params; i++)
        step->params[i] = kernel->params[i].standard;
    step->schedule = (struct bq_schedule){.policy = BQ_GUIDED};
    step->open = 1;
}

/* A text that is not what the key wants. */
static int wrong(const char *key, const char *wants, const char *text, struct bq_error *err)
{
    char quote[BQ_QUOTE];
    return bq_fail(err, BQ_EXIT_USAGE, "%s must be %s, not %s", key, wants,
                   bq_quote(text, quote, sizeof quote));
}

static int replace(char **old, const char *text, struct bq_error *err)
{
    char *copy = bq_strdup(text);
    if (!copy)
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    bq_free(*old);
    *old = copy;
    return 0;
}

/* Names stand in "NAME.params.gain=1.5" and in reports, so they hold nothing that ends them. */
static int name_set(struct bq_step *step, const char *text, struct bq_error *err)
{
    size_t n = strlen(text);
    bool is_good = n > 0 && n <= BQ_MAX_NAME && !strpbrk(text, ".=:/");
    for (size_t i = 0; i < n; i++)
        is_good = is_good && !iscntrl((unsigned char)text[i]);
    if (!is_good)
        return wrong("name", "1 to 64 characters without . = : and /", text, err);
    return replace(&step->name, text, err);
}

int bq_place_set(struct bq_place *place, const char *what, const char *file, const char *dataset,
                 struct bq_error *err)
{
    bool is_absolute = *dataset == '/';
    if (!*file)
        return bq_fail(err, BQ_EXIT_USAGE, "%s has an empty file name", what);
    if (!dataset[is_absolute])
        return bq_fail(err, BQ_EXIT_USAGE, "%s must name a dataset such as /photo, not %s", what,
                       is_absolute ? "'/'" : "nothing");
    if (strlen(file) >= BQ_MAX_PATH || strlen(dataset) + 1 >= BQ_MAX_PATH)
        return bq_fail(err, BQ_EXIT_USAGE, "%s has a path of more than %d bytes", what,
                       BQ_MAX_PATH - 2);
    char path[BQ_MAX_PATH];
    snprintf(path, sizeof path, "%s%s", is_absolute ? "" : "/", dataset);
    struct bq_place next = {.file = bq_strdup(file), .dataset = bq_strdup(path)};
    if (!next.file || !next.dataset) {
        bq_free(next.file);
        bq_free(next.dataset);
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    }
    bq_free(place->file);
    bq_free(place->dataset);
    *place = next;
    return 0;
}

/* The last ':' before a '/' that does not begin the "//" of an address. */
static const char *place_split(const char *text)
{
    const char *at = NULL;
    for (const char *p = text; (p = strstr(p, ":/")); p++) {
        if (p[2] != '/')
            at = p;
    }
    return at;
}

int bq_place_parse(struct bq_place *place, const char *what, const char *text, int line,
                   struct bq_error *err)
{
    const char *at = place_split(text);
    char file[BQ_MAX_PATH];
    if (!at || at == text)
        return wrong(what, "FILE:/dataset, such as photo.h5:/photo", text, err);
    if ((size_t)(at - text) >= sizeof file)
        return bq_fail(err, BQ_EXIT_USAGE, "%s has a path of more than %d bytes", what,
                       BQ_MAX_PATH - 2);
    snprintf(file, sizeof file, "%.*s", (int)(at - text), text);
    if (bq_place_set(place, what, file, at + 1, err))
        return -1;
    place->line = line;
    return 0;
}

int bq_schedule_set(struct bq_schedule *schedule, const char *policy, const char *block,
                    struct bq_error *err)
{
    static const char *const names[] = {
#define POLICY_NAME(code, name, is_dealt) name,
        BQ_POLICIES(POLICY_NAME)
#undef POLICY_NAME
    };
    struct bq_schedule next = {0};
    int found = bq_policy_find(policy);
    if (found < 0) {
        char quote[BQ_QUOTE], hint[MAX_TEXT];
        return bq_fail(err, BQ_EXIT_USAGE, "policy %s is not known%s",
                       bq_quote(policy, quote, sizeof quote),
                       bq_hint(policy, names, BQ_N_POLICIES, hint, sizeof hint));
    }
    next.policy = (enum bq_policy)found;
    if (block && next.policy != BQ_CYCLIC && next.policy != BQ_DYNAMIC)
        return bq_fail(err, BQ_EXIT_USAGE, "policy '%s' takes no block; only cyclic and dynamic do",
                       policy);
    if (block && bq_text_u64(block, &next.block))
        return wrong("block", "a whole number of chunks", block, err);
    *schedule = next;
    return 0;
}

static int schedule_parse(struct bq_schedule *schedule, const char *text, struct bq_error *err)
{
    const char *colon = strchr(text, ':');
    char policy[MAX_TEXT];
    snprintf(policy, sizeof policy, "%.*s",
             colon && colon - text < MAX_TEXT ? (int)(colon - text) : MAX_TEXT - 1, text);
    return bq_schedule_set(schedule, policy, colon ? colon + 1 : NULL, err);
}

int bq_step_chunk(struct bq_step *step, const char *const *sizes, size_t n, struct bq_error *err)
{
    uint64_t extent[BQ_MAX_RANK];
    if (n == 0 || n > BQ_MAX_RANK)
        return bq_fail(err, BQ_EXIT_USAGE, "chunk must have 1 to %d axes, not %zu", BQ_MAX_RANK, n);
    for (size_t i = 0; i < n; i++) {
        if (bq_text_u64(sizes[i], &extent[i]) || extent[i] == 0) {
            char what[32];
            snprintf(what, sizeof what, "chunk's axis %zu", i + 1);
            return wrong(what, "a whole number of at least 1", sizes[i], err);
        }
    }
    memcpy(step->chunk, extent, n * sizeof *extent);
    step->chunk_rank = (int)n;
    return 0;
}

/* "auto", or sizes with 'x' or ',' between them. */
static int chunk_parse(struct bq_step *step, const char *text, struct bq_error *err)
{
    char copy[MAX_TEXT];
    const char *sizes[BQ_MAX_RANK];
    size_t n = 1;
    if (strcmp(text, "auto") == 0) {
        step->chunk_rank = 0;
        return 0;
    }
    size_t length = strlen(text);
    if (length >= sizeof copy || !(isdigit((unsigned char)*text) || *text == '-'))
        return wrong("chunk", bq_step_wants(BQ_KEY_CHUNK), text, err);
    memcpy(copy, text, length + 1);
    sizes[0] = copy;
    for (char *p = copy; *p; p++) {
        if (!strchr("xX,", *p))
            continue;
        *p = 0;
        if (n < BQ_MAX_RANK)
            sizes[n] = p + 1;
        n++;
    }
    return bq_step_chunk(step, sizes, n, err);
}

static int number_set(unsigned *field, const char *key, const char *text, unsigned min,
                      unsigned max, struct bq_error *err)
{
    struct bq_param rule = {.name = key, .kind = BQ_INT, .min = min, .max = max};
    union bq_value value;
    if (bq_param_parse(&rule, text, &value, err))
        return -1;
    *field = (unsigned)value.i;
    return 0;
}

static int team_set(struct bq_step *step, const char *text, struct bq_error *err)
{
    struct bq_param rule = {.name = "team", .kind = BQ_BOOL};
    union bq_value value;
    if (bq_param_parse(&rule, text, &value, err))
        return -1;
    step->is_team = value.b;
    return 0;
}

static int delivery_set(struct bq_step *step, const char *text, struct bq_error *err)
{
    bool is_shared = strcmp(text, "shared") == 0;
    if (!is_shared && strcmp(text, "auto") != 0)
        return wrong("delivery", bq_step_wants(BQ_KEY_DELIVERY), text, err);
    step->delivery = is_shared ? BQ_DELIVERY_SHARED : BQ_DELIVERY_AUTO;
    return 0;
}

static int param_set(struct bq_step *step, const char *name, const char *text, int line,
                     struct bq_error *err)
{
    const struct bq_kernel *kernel = step->kernel;
    int at = bq_kernel_param(kernel, name);
    if (at < 0) {
        const char *names[BQ_MAX_PARAMS];
        char quote[BQ_QUOTE], hint[MAX_TEXT];
        for (size_t i = 0; i < kernel->n_params; i++)
            names[i] = kernel->params[i].name;
        return bq_fail(err, BQ_EXIT_USAGE, "kernel '%s' has no parameter %s%s", kernel->name,
                       bq_quote(name, quote, sizeof quote),
                       bq_hint(name, names, kernel->n_params, hint, sizeof hint));
    }
    if (bq_param_parse(&kernel->params[at], text, &step->params[at], err))
        return -1;
    step->param_line[at] = line;
    return 0;
}

int bq_step_set(struct bq_step *step, const char *key, const char *text, int line,
                struct bq_error *err)
{
    if (strncmp(key, "params.", 7) == 0)
        return param_set(step, key + 7, text, line, err);
    int code = bq_step_key(key);
    if (code < 0)
        return bq_step_unknown(step, key, err);
    switch ((enum bq_step_key)code) {
    case BQ_KEY_NAME:
        return name_set(step, text, err);
    case BQ_KEY_INPUT:
        return bq_place_parse(&step->input, key, text, line, err);
    case BQ_KEY_OUTPUT:
        return bq_place_parse(&step->output, key, text, line, err);
    case BQ_KEY_CHUNK:
        if (chunk_parse(step, text, err))
            return -1;
        step->chunk_line = line;
        return 0;
    case BQ_KEY_SCHEDULE:
        return schedule_parse(&step->schedule, text, err);
    case BQ_KEY_COOKS:
        return number_set(&step->cooks, key, text, 0, BQ_MAX_COOKS, err);
    case BQ_KEY_OPEN:
        return number_set(&step->open, key, text, 1, BQ_MAX_OPEN, err);
    case BQ_KEY_TEAM:
        return team_set(step, text, err);
    case BQ_KEY_DELIVERY:
        return delivery_set(step, text, err);
    case BQ_KEY_PARAMS:
        return wrong(key, bq_step_wants(BQ_KEY_PARAMS), text, err);
    case BQ_KEY_KERNEL:
    case BQ_KEY_STEPS:
    case BQ_N_STEP_KEYS:
        break;
    }
    return bq_fail(err, BQ_EXIT_USAGE, "'%s' cannot be set here", key);
}
