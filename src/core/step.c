#include "core/step.h"

#include "base/heap.h"
#include "base/hint.h"
#include "base/text.h"
#include "core/value.h"

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
    if (bq_output_part(key) >= 0)
        return bq_fail(err, BQ_EXIT_USAGE, "key %s is not known here; it is a part of 'output'",
                       quote);
    return bq_fail(err, BQ_EXIT_USAGE, "key %s is not known%s", quote,
                   bq_hint(key, key_names, BQ_N_STEP_KEYS, hint, sizeof hint));
}

void bq_step_start(struct bq_step *step, const struct bq_kernel *kernel)
{
    step->kernel = kernel;
    for (size_t i = 0; i < kernel->n_params; i++)
        step->params[i] = bq_param_standard(&kernel->params[i]);
    step->schedule = (struct bq_schedule){.policy = BQ_GUIDED};
    step->open = 1;
    step->attempts = 3;
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
        return bq_value_wrong("name", "1 to 64 characters without . = : and /", text, err);
    return replace(&step->name, text, err);
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
        return bq_value_wrong("block", "a whole number of chunks", block, err);
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
            return bq_value_wrong(what, "a whole number of at least 1", sizes[i], err);
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
        return bq_value_wrong("chunk", bq_step_wants(BQ_KEY_CHUNK), text, err);
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

static int delivery_set(struct bq_step *step, const char *text, struct bq_error *err)
{
    static const char *const names[] = {
#define DELIVERY_NAME(code, name) name,
        BQ_DELIVERIES(DELIVERY_NAME)
#undef DELIVERY_NAME
    };
    int found = bq_value_word("delivery", bq_step_wants(BQ_KEY_DELIVERY), names, BQ_N_DELIVERIES,
                              text, err);
    if (found < 0)
        return -1;
    step->delivery = (enum bq_delivery)found;
    return 0;
}

static int on_error_set(struct bq_step *step, const char *text, struct bq_error *err)
{
    static const char *const names[] = {
#define ON_ERROR_NAME(code, name) name,
        BQ_ON_ERRORS(ON_ERROR_NAME)
#undef ON_ERROR_NAME
    };
    int found =
        bq_value_word("on_error", bq_step_wants(BQ_KEY_ON_ERROR), names, BQ_N_ON_ERRORS, text, err);
    if (found < 0)
        return -1;
    step->on_error = (enum bq_on_error)found;
    return 0;
}

static int isolate_set(struct bq_step *step, const char *text, struct bq_error *err)
{
    static const char *const names[] = {
#define ISOLATE_NAME(code, name) name,
        BQ_ISOLATES(ISOLATE_NAME)
#undef ISOLATE_NAME
    };
    int found =
        bq_value_word("isolate", bq_step_wants(BQ_KEY_ISOLATE), names, BQ_N_ISOLATES, text, err);
    if (found < 0)
        return -1;
    step->isolate = (enum bq_isolate)found;
    return 0;
}

static int deadline_set(struct bq_step *step, const char *text, struct bq_error *err)
{
    double s = 0;
    if (strcmp(text, "off") != 0 &&
        (bq_text_real(text, &s) || !(s >= 1e-3 && s <= BQ_MAX_DEADLINE)))
        return bq_value_wrong("deadline", bq_step_wants(BQ_KEY_DEADLINE), text, err);
    step->deadline_ns = (uint64_t)(s * 1e9);
    return 0;
}

static int border_set(struct bq_step *step, const char *text, int line, struct bq_error *err)
{
    static const char *const names[] = {
#define BORDER_NAME(code, name) name,
        BQ_BORDERS(BORDER_NAME)
#undef BORDER_NAME
    };
    const char *wants = bq_step_wants(BQ_KEY_BORDER), *colon = strchr(text, ':');
    static const struct bq_param number = {"border's number", BQ_REAL, {0}, 1, 0, "", ""};
    char name[MAX_TEXT];
    union bq_value value = {.r = 0};
    snprintf(name, sizeof name, "%.*s", (int)strcspn(text, ":"), text);
    int found = bq_value_word("border", wants, names, BQ_N_BORDERS, name, err);
    if (found < 0)
        return -1;
    if (colon && found != BQ_CONSTANT)
        return bq_fail(err, BQ_EXIT_USAGE, "border '%s' takes no number; only constant does", name);
    if (colon && bq_param_parse(&number, colon + 1, &value, err) < 0)
        return -1;
    step->border = (struct bq_border_wish){true, (enum bq_border)found, value.r};
    step->border_line = line;
    return 0;
}

/* Index of a parameter, or -1 with err. */
static int param_find(const struct bq_kernel *kernel, const char *name, struct bq_error *err)
{
    const char *names[BQ_MAX_PARAMS];
    char quote[BQ_QUOTE], hint[MAX_TEXT];
    int at = bq_kernel_param(kernel, name);
    if (at >= 0)
        return at;
    for (size_t i = 0; i < kernel->n_params; i++)
        names[i] = kernel->params[i].name;
    return bq_fail(err, BQ_EXIT_USAGE, "kernel '%s' has no parameter %s%s", kernel->name,
                   bq_quote(name, quote, sizeof quote),
                   bq_hint(name, names, kernel->n_params, hint, sizeof hint));
}

bool bq_step_takes_input(const struct bq_step *step)
{
    for (size_t i = 0; i < step->n_uses; i++) {
        if (step->uses[i].param == BQ_USE_INPUT && !step->uses[i].is_next)
            return true;
    }
    return false;
}

bool bq_step_uses_input(const struct bq_step *step)
{
    for (size_t i = 0; i < step->n_uses; i++) {
        if (step->uses[i].param == BQ_USE_INPUT)
            return true;
    }
    return false;
}

int bq_step_use(struct bq_step *step, const char *what, const char *from, bool is_next, int line,
                struct bq_error *err)
{
    const char *key = is_next ? "next" : "uses", *dot = strchr(from, '.');
    struct bq_use use = {.param = BQ_USE_INPUT, .is_next = is_next, .maker = -1, .line = line};
    if (strcmp(what, "input") != 0 && (use.param = param_find(step->kernel, what, err)) < 0)
        return -1;
    if (use.param == BQ_USE_INPUT && dot)
        return bq_fail(err, BQ_EXIT_USAGE, "%s: the input is a step's output: write {input: %.*s}",
                       key, (int)(dot - from), from);
    if (!*from || dot == from || (dot && !dot[1]))
        return bq_value_wrong(what, "STEP or STEP.RESULT", from, err);
    for (size_t i = 0; i < step->n_uses; i++) {
        if (step->uses[i].param == use.param && step->uses[i].is_next == is_next)
            return bq_fail(err, BQ_EXIT_USAGE, "%s: '%s' is given twice", key, what);
    }
    use.step = bq_strdup(from);
    use.result = dot ? bq_strdup(dot + 1) : NULL;
    if (!use.step || (dot && !use.result)) {
        bq_free(use.step);
        bq_free(use.result);
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    }
    if (dot)
        use.step[dot - from] = 0;
    step->uses[step->n_uses++] = use;
    return 0;
}

static int param_set(struct bq_step *step, const char *name, const char *text, int line,
                     struct bq_error *err)
{
    const struct bq_kernel *kernel = step->kernel;
    int at = param_find(kernel, name, err);
    if (at < 0)
        return -1;
    if (bq_param_set(&kernel->params[at], text, &step->params[at], &step->owned[at], err))
        return -1;
    step->param_line[at] = line;
    return 0;
}

int bq_step_set(struct bq_step *step, const char *key, const char *text, int line,
                struct bq_error *err)
{
    if (strncmp(key, "params.", 7) == 0)
        return param_set(step, key + 7, text, line, err);
    if (strncmp(key, "output.", 7) == 0)
        return bq_output_wish_set(&step->wish, key + 7, text, line, err);
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
        return bq_value_number(&step->cooks, key, text, 0, BQ_MAX_COOKS, err);
    case BQ_KEY_OPEN:
        return bq_value_number(&step->open, key, text, 1, BQ_MAX_OPEN, err);
    case BQ_KEY_TEAM:
        return bq_value_bool(&step->is_team, key, text, err);
    case BQ_KEY_PIPELINE:
        if (bq_pipeline_set(&step->pipeline, text, err))
            return -1;
        step->pipeline_line = line;
        return 0;
    case BQ_KEY_DELIVERY:
        return delivery_set(step, text, err);
    case BQ_KEY_MEMORY:
        if (bq_value_size(&step->memory, key, bq_step_wants(BQ_KEY_MEMORY), text, err))
            return -1;
        step->memory_line = line;
        return 0;
    case BQ_KEY_ON_ERROR:
        return on_error_set(step, text, err);
    case BQ_KEY_ISOLATE:
        return isolate_set(step, text, err);
    case BQ_KEY_ATTEMPTS:
        return bq_value_number(&step->attempts, key, text, 1, BQ_MAX_ATTEMPTS, err);
    case BQ_KEY_DEADLINE:
        return deadline_set(step, text, err);
    case BQ_KEY_BORDER:
        return border_set(step, text, line, err);
    case BQ_KEY_PARAMS:
        return bq_value_wrong(key, bq_step_wants(BQ_KEY_PARAMS), text, err);
    case BQ_KEY_USES:
    case BQ_KEY_NEXT:
        return bq_value_wrong(key, bq_step_wants((enum bq_step_key)code), text, err);
    case BQ_KEY_REPEAT: /* the job's: they are of loops */
    case BQ_KEY_UNTIL:
    case BQ_KEY_KERNEL:
    case BQ_KEY_STEPS:
    case BQ_N_STEP_KEYS:
        break;
    }
    return bq_fail(err, BQ_EXIT_USAGE, "'%s' cannot be set here", key);
}
