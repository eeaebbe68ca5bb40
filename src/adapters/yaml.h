/* A YAML file as maps, lists and texts that know their line. Made for files that people write and
 * that anybody may send: what is too large, too deep, not UTF-8, or no YAML ends in an error.
 *
 * Aliases are followed when they are met and never expanded, so a "billion laughs" costs nothing;
 * merge keys (<<) are understood by bq_yaml_map. Tags are ignored: the kind of a value is that of
 * its key. Errors begin with "file:line: ". One thread. */
#ifndef BQ_ADAPTERS_YAML_H
#define BQ_ADAPTERS_YAML_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define BQ_YAML_MAX_BYTES (1u << 20)
#define BQ_YAML_MAX_KEYS 64 /* of one map */

enum bq_yaml_kind { BQ_YAML_TEXT, BQ_YAML_LIST, BQ_YAML_MAP };

/* kind is that of what an alias stands for. Belongs to the bq_yaml. */
struct bq_yaml_value {
    struct fy_node *node; /* libfyaml's; NULL: an empty text */
    enum bq_yaml_kind kind;
    int line;
};

struct bq_yaml_pair {
    const char *key; /* belongs to the bq_yaml */
    int line;        /* of the key */
    struct bq_yaml_value value;
};

struct bq_yaml;

/* Reads a file of one document. NULL with err filled on failure. */
struct bq_yaml *bq_yaml_read(const char *path, struct bq_error *err);
void bq_yaml_destroy(struct bq_yaml *yaml);

int bq_yaml_root(struct bq_yaml *yaml, struct bq_yaml_value *root, struct bq_error *err);

/* Each has the kind it is for. Pairs are the map's own, then those of its merge keys. */
int bq_yaml_map(struct bq_yaml *yaml, const struct bq_yaml_value *map,
                struct bq_yaml_pair pairs[BQ_YAML_MAX_KEYS], size_t *n, struct bq_error *err);
/* At most max items; n is how many there are. */
int bq_yaml_list(struct bq_yaml *yaml, const struct bq_yaml_value *list,
                 struct bq_yaml_value *items, size_t max, size_t *n, struct bq_error *err);
/* NULL with err filled when it holds a NUL character. */
const char *bq_yaml_text(struct bq_yaml *yaml, const struct bq_yaml_value *text,
                         struct bq_error *err);

bool bq_yaml_is_empty(const struct bq_yaml_value *value);

/* Puts "file:line: " in front (line 0: "file: "), unless the machine is to blame. Returns -1. */
int bq_yaml_at(const struct bq_yaml *yaml, int line, struct bq_error *err);

#endif
