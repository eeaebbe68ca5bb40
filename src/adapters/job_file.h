/* Job files: YAML in, a checked struct bq_job out. The only room that includes libfyaml. */
#ifndef BQ_ADAPTERS_JOB_FILE_H
#define BQ_ADAPTERS_JOB_FILE_H

#include "core/job.h"

/* Reads and checks a job file, then applies the overrides (NULL: none). Errors are
 * "file:line: what; did you mean ...?" with exit 2. kernels: those that may be named.
 * NULL with err filled on failure. */
struct bq_job *bq_job_read(const char *path, const struct bq_kernel *const *kernels,
                           size_t n_kernels, const struct bq_override *over, struct bq_error *err);

#endif
