/* A guest: this process as a kitchen of a run that another process has begun. */
#ifndef BQ_RUN_GUEST_H
#define BQ_RUN_GUEST_H

#include "run/registry.h"

#include "base/error.h"

/* Joins the run whose door made `file` (host: reached there instead, or NULL), and works until that
 * is over or this process is asked to leave: SIGINT, SIGTERM, SIGUSR2; a second one ends it at
 * once. Forks a helper, so there must be no other thread yet. Returns an exit code. */
int bq_guest(const char *file, const char *host, const struct bq_registry *registry,
             struct bq_error *err);

#endif
