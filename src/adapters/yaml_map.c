/* Maps with merge keys: `<<: *other` adds the pairs of another map that this one has not got
 * itself. A map that merges itself, or a thousand others, ends in an error. */
#include "adapters/yaml_internal.h"

#include "base/hint.h"

#include <stdbool.h>
#include <string.h>

#define MAX_SEEN 1000 /* pairs and maps visited for one map */
#define MAX_DEPTH 8

struct merge {
    struct bq_yaml *yaml;
    struct bq_yaml_pair *pairs;
    size_t n, n_seen;
};

static const struct bq_yaml_pair *merge_find(const struct merge *merge, const char *key)
{
    for (size_t i = 0; i < merge->n; i++) {
        if (strcmp(merge->pairs[i].key, key) == 0)
            return &merge->pairs[i];
    }
    return NULL;
}

static int merge_map(struct merge *merge, const struct bq_yaml_value *map, int depth,
                     struct bq_error *err);

/* The value of a merge key: a map, or a list of maps of which the first wins. */
static int merge_value(struct merge *merge, const struct bq_yaml_value *value, int depth,
                       struct bq_error *err)
{
    if (depth == MAX_DEPTH || ++merge->n_seen > MAX_SEEN) {
        bq_fail(err, BQ_EXIT_USAGE, "'<<' merges too much");
        return bq_yaml_at(merge->yaml, value->line, err);
    }
    if (value->kind == BQ_YAML_MAP)
        return merge_map(merge, value, depth + 1, err);
    if (value->kind == BQ_YAML_LIST) {
        void *at = NULL;
        struct fy_node *node;
        while ((node = fy_node_sequence_iterate(value->node, &at))) {
            struct bq_yaml_value item;
            if (bq_yaml_value_of(merge->yaml, node, bq_yaml_node_line(node, value->line), &item,
                                 err) ||
                merge_value(merge, &item, depth + 1, err))
                return -1;
        }
        return 0;
    }
    bq_fail(err, BQ_EXIT_USAGE, "'<<' must name a map or a list of maps");
    return bq_yaml_at(merge->yaml, value->line, err);
}

static bool is_merge_key(struct fy_node *key, const char *text)
{
    return strcmp(text, "<<") == 0 && fy_node_get_style(key) == FYNS_PLAIN;
}

/* Adds one pair; what is there already stays. first: where this map's own pairs begin. */
static int merge_pair(struct merge *merge, const struct bq_yaml_pair *pair, size_t first,
                      struct bq_error *err)
{
    const struct bq_yaml_pair *old = merge_find(merge, pair->key);
    if (++merge->n_seen > MAX_SEEN || (!old && merge->n == BQ_YAML_MAX_KEYS)) {
        bq_fail(err, BQ_EXIT_USAGE, "a map has too many keys");
        return bq_yaml_at(merge->yaml, pair->line, err);
    }
    if (old && old >= merge->pairs + first) {
        char quote[BQ_QUOTE];
        bq_fail(err, BQ_EXIT_USAGE, "key %s is given twice, here and on line %d",
                bq_quote(pair->key, quote, sizeof quote), old->line);
        return bq_yaml_at(merge->yaml, pair->line, err);
    }
    if (!old)
        merge->pairs[merge->n++] = *pair;
    return 0;
}

static int merge_map(struct merge *merge, const struct bq_yaml_value *map, int depth,
                     struct bq_error *err)
{
    struct bq_yaml_value later = {0};
    struct fy_node_pair *pair;
    size_t first = merge->n;
    void *at = NULL;
    while ((pair = fy_node_mapping_iterate(map->node, &at))) {
        struct fy_node *node = fy_node_pair_key(pair);
        struct bq_yaml_pair next = {.line = bq_yaml_node_line(node, map->line)};
        struct bq_yaml_value key;
        if (bq_yaml_value_of(merge->yaml, node, next.line, &key, err))
            return -1;
        if (key.kind != BQ_YAML_TEXT) {
            bq_fail(err, BQ_EXIT_USAGE, "a key must be text, not a list or a map");
            return bq_yaml_at(merge->yaml, next.line, err);
        }
        next.key = bq_yaml_text(merge->yaml, &key, err);
        if (!next.key ||
            bq_yaml_value_of(merge->yaml, fy_node_pair_value(pair), next.line, &next.value, err))
            return -1;
        if (key.node && is_merge_key(key.node, next.key) && !later.line)
            later = next.value;
        else if (merge_pair(merge, &next, first, err))
            return -1;
    }
    return later.line ? merge_value(merge, &later, depth, err) : 0;
}

int bq_yaml_map(struct bq_yaml *yaml, const struct bq_yaml_value *map,
                struct bq_yaml_pair pairs[BQ_YAML_MAX_KEYS], size_t *n, struct bq_error *err)
{
    struct merge merge = {.yaml = yaml, .pairs = pairs};
    if (merge_map(&merge, map, 0, err))
        return -1;
    *n = merge.n;
    return 0;
}
