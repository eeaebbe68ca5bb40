/* From a step of a job to a recipe: opens the input, asks the kernel, cuts the plan, checks the
 * output. Writes nothing. Used by `run`, `make` and `plan`. */
#ifndef BQ_RUN_RESOLVE_H
#define BQ_RUN_RESOLVE_H

#include "adapters/store.h"
#include "core/recipe.h"
#include "run/resume.h"

struct bq_resolved {
    struct bq_recipe recipe;
    const struct bq_kernel *kernel;
    struct bq_input *input;       /* NULL without one; owned */
    struct bq_input *like;        /* what an output takes after: the input, or the dataset that an
                                     input came from which was handed over; NULL: nothing; owned */
    struct bq_output_spec output; /* file NULL: none. Points into the job and to input */
};

/* Errors are "file:line: what" with exit 2. n_kitchens as it will be. */
int bq_resolve(struct bq_resolved *resolved, const struct bq_job *job, const struct bq_step *step,
               uint32_t n_kitchens, bool force, struct bq_error *err);
void bq_resolved_close(struct bq_resolved *resolved);

/* What can be told of all steps before the first begins: that each reads what is there or what
 * another writes, and that no output exists (unless force, or an earlier run that is resumed made
 * it) or is written twice. Exit 2. resume may be NULL. */
int bq_resolve_check(const struct bq_job *job, bool force, const struct bq_resume *resume,
                     struct bq_error *err);

#endif
