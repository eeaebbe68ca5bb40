/* One field of a step out of a job file: the long forms (maps and lists) taken apart, everything
 * else handed to bq_step_set as text. */
#ifndef BQ_ADAPTERS_JOB_FIELD_H
#define BQ_ADAPTERS_JOB_FIELD_H

#include "adapters/yaml.h"
#include "core/job.h"

/* Any key of a step but "kernel", which it passes over: the step has been started with it; and
 * "repeat" and "until", which are of a loop. */
int bq_job_field_read(struct bq_yaml *yaml, struct bq_step *step, const struct bq_yaml_pair *pair,
                      struct bq_error *err);

/* "repeat" or "until". */
int bq_job_loop_read(struct bq_yaml *yaml, struct bq_loop *loop, const struct bq_yaml_pair *pair,
                     struct bq_error *err);

/* Fails with "file:line: WHAT must be WANTS, not a list". */
int bq_job_field_wrong(struct bq_yaml *yaml, const char *what, const char *wants,
                       const struct bq_yaml_value *value, struct bq_error *err);

#endif
