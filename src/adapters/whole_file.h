/* A file that is seen whole or not at all: written to a private temporary beside it, then renamed.
 *
 *     struct bq_whole_file file;
 *     FILE *f = bq_whole_open(&file, path, err);      NULL: err says the path and why
 *     ... write to f ...
 *     return bq_whole_commit(&file, err);             or bq_whole_discard(&file)
 *
 * What cannot be renamed over (a device, a pipe) is written directly; "-" is stdout.
 */
#ifndef BQ_ADAPTERS_WHOLE_FILE_H
#define BQ_ADAPTERS_WHOLE_FILE_H

#include <stdio.h>
#include <sys/stat.h>

#include "base/error.h"

struct bq_whole_file {
    FILE *f;
    char *path, *temp; /* temp: NULL when written directly */
};

FILE *bq_whole_open(struct bq_whole_file *file, const char *path, struct bq_error *err);

/* Flushes, syncs, gives the mode that the umask allows (or that of the file that it replaces) and
 * renames. Afterwards the file is closed whether that worked or not; -1 leaves the old one alone.
 */
int bq_whole_commit(struct bq_whole_file *file, struct bq_error *err);
void bq_whole_discard(struct bq_whole_file *file);

/* The mode bits that new files of this process lack. */
mode_t bq_umask(void);

#endif
