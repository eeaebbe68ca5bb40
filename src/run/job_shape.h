/* What the results of a job depend on, as hashes, so that a run is resumed by the same job alone.
 */
#ifndef BQ_RUN_JOB_SHAPE_H
#define BQ_RUN_JOB_SHAPE_H

#include "core/checkpoint.h"

/* Steps, kernels, parameters, places, chunks, loops: not what changes speed alone (cooks, schedule,
 * memory), nor how often a loop may be repeated. -1: no memory. */
int bq_job_shape(const struct bq_job *job, const char *version, struct bq_checkpoint_of *of,
                 struct bq_error *err);

/* Size and time of a file, and of those in the folder FILE.d that belongs to it, added up; both 0
 * when there is none. */
void bq_file_stamp(const char *path, uint64_t *size, uint64_t *time_ns);

#endif
