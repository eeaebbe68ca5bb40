/* What yaml.c and yaml_map.c share. */
#ifndef BQ_ADAPTERS_YAML_INTERNAL_H
#define BQ_ADAPTERS_YAML_INTERNAL_H

#include "adapters/yaml.h"

#include <libfyaml.h>

/* The line of a node, or of the first text in it; otherwise: when it has neither. */
int bq_yaml_node_line(struct fy_node *node, int otherwise);

/* What a node is, behind its alias if it is one. */
int bq_yaml_value_of(struct bq_yaml *yaml, struct fy_node *node, int line,
                     struct bq_yaml_value *value, struct bq_error *err);

#endif
