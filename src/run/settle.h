/* Settling how an output is stored: from what the job wishes, what the input is like and how the
 * work is cut, to chunks, filters and a way of writing. Reads and writes nothing. */
#ifndef BQ_RUN_SETTLE_H
#define BQ_RUN_SETTLE_H

#include "run/resolve.h"

/* Fills resolved->output and recipe.output from recipe.plan, in_type, out_type and the input. Exit
 * 2 when the wishes cannot be met. */
int bq_settle_output(struct bq_resolved *resolved, const struct bq_step *step, bool force,
                     struct bq_error *err);

#endif
