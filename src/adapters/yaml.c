/* What libfyaml 0.7.12 leaves to us, each measured:
 *
 *   - it ends a text silently at a NUL or a byte that is not UTF-8: bq_text_file_read refuses both;
 *   - a tab after the ':' of a "? key" makes it free a block twice: bq_text_file_read refuses tabs;
 *   - resolving a document copies what each alias stands for, without a limit: we do not resolve;
 *   - its check for double keys takes a minute for 1 MiB of keys: it is off, bq_yaml_map has one;
 *   - 50,000 anchors take 10 s: MAX_ANCHORS;
 *   - an alias may hold a path (*a/b), whose reader has had several overruns: refused.
 *
 * Its depth limit (64) and its messages are used as they are. */
#include "adapters/yaml.h"

#include "adapters/text_file.h"
#include "adapters/yaml_internal.h"
#include "base/heap.h"
#include "base/hint.h"

#include <libfyaml.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAX_ANCHORS 1000

struct bq_yaml {
    char *path, *text;
    struct fy_diag *diag;
    struct fy_parser *parser;
    struct fy_document *document;
    char message[200]; /* the first one that libfyaml would print */
};

int bq_yaml_at(const struct bq_yaml *yaml, int line, struct bq_error *err)
{
    if (err && err->exit == BQ_EXIT_FAILED)
        return -1;
    return line > 0 ? bq_fail_in(err, "%s:%d", yaml->path, line)
                    : bq_fail_in(err, "%s", yaml->path);
}

/* -- parsing ------------------------------------------------------------------------------ */

static void keep_message(struct fy_diag *diag, void *user, const char *text, size_t n)
{
    struct bq_yaml *yaml = user;
    (void)diag;
    if (yaml->message[0])
        return;
    const char *end = memchr(text, '\n', n), *colon = memchr(text, ':', n);
    n = end ? (size_t)(end - text) : n;
    size_t skip = colon && *text == '[' && colon < text + n ? (size_t)(colon - text) + 1 : 0;
    snprintf(yaml->message, sizeof yaml->message, "%.*s", (int)(n - skip), text + skip);
}

static int syntax_fail(struct bq_yaml *yaml, struct bq_error *err)
{
    void *at = NULL;
    const struct fy_diag_error *found = fy_diag_errors_iterate(yaml->diag, &at);
    const char *text = found ? found->msg : yaml->message;
    bq_fail(err, BQ_EXIT_USAGE, "this is not YAML: %s",
            *text ? text + strspn(text, " ") : "libfyaml does not say why");
    return bq_yaml_at(yaml, found ? found->line : 0, err);
}

static int parser_start(struct bq_yaml *yaml, size_t n, struct bq_error *err)
{
    struct fy_diag_cfg diag;
    fy_diag_cfg_default(&diag);
    diag.fp = NULL;
    diag.output_fn = keep_message;
    diag.user = yaml;
    diag.colorize = false;
    yaml->diag = fy_diag_create(&diag);
    if (!yaml->diag)
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    fy_diag_set_collect_errors(yaml->diag, true);
    struct fy_parse_cfg config = {
        .flags = FYPCF_QUIET | FYPCF_ALLOW_DUPLICATE_KEYS | FYPCF_JSON_NONE, .diag = yaml->diag};
    yaml->parser = fy_parser_create(&config);
    if (!yaml->parser || fy_parser_set_string(yaml->parser, yaml->text, n))
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    return 0;
}

int bq_yaml_node_line(struct fy_node *node, int otherwise)
{
    for (int depth = 0; node && depth < 64; depth++) {
        void *at = NULL;
        struct fy_token *token = fy_node_get_scalar_token(node);
        const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
        if (mark)
            return mark->line + 1;
        if (fy_node_is_mapping(node))
            node = fy_node_pair_key(fy_node_mapping_iterate(node, &at));
        else if (fy_node_is_sequence(node))
            node = fy_node_sequence_iterate(node, &at);
        else
            break;
    }
    return otherwise;
}

static int documents_load(struct bq_yaml *yaml, struct bq_error *err)
{
    size_t n_anchors = 0;
    for (const char *p = yaml->text; (p = strchr(p, '&')); p++)
        n_anchors++;
    if (n_anchors > MAX_ANCHORS) {
        bq_fail(err, BQ_EXIT_USAGE, "has more than %d anchors (&)", MAX_ANCHORS);
        return bq_yaml_at(yaml, 0, err);
    }
    yaml->document = fy_parse_load_document(yaml->parser);
    if (fy_parser_get_stream_error(yaml->parser))
        return syntax_fail(yaml, err);
    if (!yaml->document || !fy_document_root(yaml->document)) {
        bq_fail(err, BQ_EXIT_USAGE, "is empty; a job names at least a kernel");
        return bq_yaml_at(yaml, 0, err);
    }
    struct fy_document *second = fy_parse_load_document(yaml->parser);
    if (second) {
        int line = bq_yaml_node_line(fy_document_root(second), 0);
        fy_parse_document_destroy(yaml->parser, second);
        bq_fail(err, BQ_EXIT_USAGE, "a second document begins; a job file holds one");
        return bq_yaml_at(yaml, line, err);
    }
    return fy_parser_get_stream_error(yaml->parser) ? syntax_fail(yaml, err) : 0;
}

struct bq_yaml *bq_yaml_read(const char *path, struct bq_error *err)
{
    size_t n = 0;
    struct bq_yaml *yaml = bq_alloc(1, sizeof *yaml);
    if (!yaml || !(yaml->path = bq_strdup(path))) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        goto fail;
    }
    yaml->text = bq_text_file_read(path, BQ_YAML_MAX_BYTES, &n, err);
    if (!yaml->text || parser_start(yaml, n, err) || documents_load(yaml, err))
        goto fail;
    return yaml;
fail:
    bq_yaml_destroy(yaml);
    return NULL;
}

void bq_yaml_destroy(struct bq_yaml *yaml)
{
    if (!yaml)
        return;
    if (yaml->document)
        fy_parse_document_destroy(yaml->parser, yaml->document);
    if (yaml->parser)
        fy_parser_destroy(yaml->parser);
    if (yaml->diag)
        fy_diag_destroy(yaml->diag);
    bq_free(yaml->text);
    bq_free(yaml->path);
    bq_free(yaml);
}

/* -- values ------------------------------------------------------------------------------- */

int bq_yaml_value_of(struct bq_yaml *yaml, struct fy_node *node, int line,
                     struct bq_yaml_value *value, struct bq_error *err)
{
    if (node && fy_node_is_alias(node)) {
        const char *name = fy_node_get_scalar0(node);
        struct fy_node *target = name && !strchr(name, '/') ? fy_node_resolve_alias(node) : NULL;
        if (!target) {
            char quote[BQ_QUOTE];
            bq_fail(err, BQ_EXIT_USAGE, "alias %s names no anchor",
                    bq_quote(name ? name : "", quote, sizeof quote));
            return bq_yaml_at(yaml, bq_yaml_node_line(node, line), err);
        }
        node = target;
    }
    value->node = node;
    value->line = line;
    value->kind = node && fy_node_is_mapping(node)    ? BQ_YAML_MAP
                  : node && fy_node_is_sequence(node) ? BQ_YAML_LIST
                                                      : BQ_YAML_TEXT;
    return 0;
}

int bq_yaml_root(struct bq_yaml *yaml, struct bq_yaml_value *root, struct bq_error *err)
{
    struct fy_node *node = fy_document_root(yaml->document);
    return bq_yaml_value_of(yaml, node, bq_yaml_node_line(node, 1), root, err);
}

bool bq_yaml_is_empty(const struct bq_yaml_value *value)
{
    return value->kind == BQ_YAML_TEXT && (!value->node || !fy_node_get_scalar_length(value->node));
}

const char *bq_yaml_text(struct bq_yaml *yaml, const struct bq_yaml_value *text,
                         struct bq_error *err)
{
    if (!text->node || text->kind != BQ_YAML_TEXT || bq_yaml_is_empty(text))
        return "";
    const char *copy = fy_node_get_scalar0(text->node);
    if (!copy) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return NULL;
    }
    if (strlen(copy) != fy_node_get_scalar_length(text->node)) {
        bq_fail(err, BQ_EXIT_USAGE, "a text holds the character NUL");
        bq_yaml_at(yaml, text->line, err);
        return NULL;
    }
    return copy;
}

int bq_yaml_list(struct bq_yaml *yaml, const struct bq_yaml_value *list,
                 struct bq_yaml_value *items, size_t max, size_t *n, struct bq_error *err)
{
    void *at = NULL;
    struct fy_node *node;
    *n = 0;
    while ((node = fy_node_sequence_iterate(list->node, &at))) {
        if (*n < max &&
            bq_yaml_value_of(yaml, node, bq_yaml_node_line(node, list->line), &items[*n], err))
            return -1;
        ++*n;
    }
    return 0;
}
