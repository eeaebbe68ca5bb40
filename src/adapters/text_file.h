/* A whole text file in memory, checked to be UTF-8 text without tabs: YAML has no good use for
 * them, and "? a\n  :\tb" makes libfyaml 0.7.12 free a block twice (its issue 57). */
#ifndef BQ_ADAPTERS_TEXT_FILE_H
#define BQ_ADAPTERS_TEXT_FILE_H

#include "base/error.h"

#include <stddef.h>

/* The file's bytes, with a NUL after them; NULL with "path: ..." or "path:line: ..." in err when it
 * cannot be read, is larger than max bytes, or is not UTF-8 text. To be given to bq_free. */
char *bq_text_file_read(const char *path, size_t max, size_t *n, struct bq_error *err);

#endif
