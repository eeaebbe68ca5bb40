/* The guest's side of a door (door.h): finds the run that a file names, and proves itself. */
#ifndef BQ_ADAPTERS_KNOCK_H
#define BQ_ADAPTERS_KNOCK_H

#include "adapters/door_file.h"
#include "adapters/door_words.h"
#include "base/error.h"

/* A connected descriptor, with what the door has said. host: instead of the file's address, or
 * NULL. Waits a minute at most. -1: err says why. */
int bq_knock(const struct bq_door_file *file, const char *host, uint32_t wire,
             struct bq_door_verdict *verdict, struct bq_error *err);

/* For small messages at once, and to hear of a machine that is gone. */
void bq_knock_set_up(int fd);

#endif
