/* The file that lets another kitchen into a running job: where the run listens, and the key with
 * which both sides prove themselves. Who can read it may join, so only its owner can. */
#ifndef BQ_ADAPTERS_DOOR_FILE_H
#define BQ_ADAPTERS_DOOR_FILE_H

#include <stdint.h>

#include "base/error.h"

#define BQ_DOOR_KEY 32 /* bytes */

struct bq_door_file {
    uint32_t wire; /* BQ_WIRE_VERSION of the run */
    char address[256];
    uint16_t port;
    unsigned char key[BQ_DOOR_KEY];
};

/* Whether such a file could be made: nothing has that name, and its folder is there. -1, exit 2. */
int bq_door_file_check(const char *path, struct bq_error *err);

/* Makes it, whole at once and readable by its owner alone; what has that name stays. */
int bq_door_file_make(const char *path, const struct bq_door_file *file, struct bq_error *err);

/* Refuses one that belongs to somebody else, or that others can read (exit 2). */
int bq_door_file_read(const char *path, struct bq_door_file *file, struct bq_error *err);

#endif
