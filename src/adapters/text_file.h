/* A whole text file in memory, checked to be text. */
#ifndef BQ_ADAPTERS_TEXT_FILE_H
#define BQ_ADAPTERS_TEXT_FILE_H

#include "base/error.h"

#include <stddef.h>

/* The file's bytes, with a NUL after them; NULL with "path: ..." or "path:line: ..." in err when it
 * cannot be read, is larger than max bytes, or is not UTF-8 text. To be given to bq_free. */
char *bq_text_file_read(const char *path, size_t max, size_t *n, struct bq_error *err);

#endif
