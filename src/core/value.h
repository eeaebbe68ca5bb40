/* One value of a job from text, by kind. A text that is no such value fails with "KEY must be
 * WANTS, not 'TEXT'"; the caller puts the place in front. Outputs are set only on success. */
#ifndef BQ_CORE_VALUE_H
#define BQ_CORE_VALUE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fails with those words. Returns -1. */
int bq_value_wrong(const char *key, const char *wants, const char *text, struct bq_error *err);

/* One of n words: its index; -1 with "; did you mean ..?" in err when one is near. */
int bq_value_word(const char *key, const char *wants, const char *const *words, size_t n,
                  const char *text, struct bq_error *err);

int bq_value_number(unsigned *number, const char *key, const char *text, unsigned min, unsigned max,
                    struct bq_error *err);
int bq_value_bool(bool *is, const char *key, const char *text, struct bq_error *err);

/* Bytes, as bq_text_size has them; 0 and "auto" are 0. */
int bq_value_size(uint64_t *bytes, const char *key, const char *wants, const char *text,
                  struct bq_error *err);

#endif
