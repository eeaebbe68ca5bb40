/* No file that a job reads, the job file included, may be one that is written: not by another name,
 * not behind a link, not as a part of what is read. Reads only. */
#ifndef BQ_RUN_GUARD_H
#define BQ_RUN_GUARD_H

#include "base/error.h"
#include "core/job.h"

/* The outputs of a job: each against the job file, the other outputs, and what its own step and
 * others read. A step that reads another's output by the same name comes after it, and may. Exit
 * 2. */
int bq_guard_outputs(const struct bq_job *job, struct bq_error *err);

/* Another file that is written, such as a report; what: for the message ("--json"). It must be
 * none of the job file, the inputs and the outputs. Exit 2. */
int bq_guard_file(const struct bq_job *job, const char *what, const char *path,
                  struct bq_error *err);

#endif
