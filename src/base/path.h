/* Parts of a path, as text. */
#ifndef BQ_BASE_PATH_H
#define BQ_BASE_PATH_H

#include <stdbool.h>
#include <stddef.h>

/* The length of the folder part, with its slash; 0 for a bare name. */
size_t bq_path_folder(const char *path);

/* For mkstemp and mkdtemp: "folder/.name.banquet-XXXXXX", hidden beside "folder/name" (cut where it
 * would pass 255 bytes). NULL: no memory. To be given to bq_free. */
char *bq_path_hidden(const char *path);

/* Puts these six letters or digits in the place of its X. */
void bq_path_fill(char *hidden, const char six[6]);

/* Whether a path ends in such a name, of a file or of a folder. */
bool bq_path_is_hidden(const char *path);

#endif
