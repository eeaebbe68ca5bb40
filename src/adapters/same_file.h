/* Whether two names are of one file: whatever they look like, and also before it exists. */
#ifndef BQ_ADAPTERS_SAME_FILE_H
#define BQ_ADAPTERS_SAME_FILE_H

#include <stdbool.h>

/* By device and inode; of what does not exist yet, the same name in the same folder, after symbolic
 * links. */
bool bq_is_same_file(const char *a, const char *b);

#endif
