/* What resume.c (opening) and resume_save.c (saving) share. Nobody else includes it. */
#ifndef BQ_RUN_RESUME_INTERNAL_H
#define BQ_RUN_RESUME_INTERNAL_H

#include "run/resume.h"

struct bq_resume {
    char *path;    /* of the checkpoint */
    size_t folder; /* length of its folder's part, with the slash */
    double every_s;
    struct bq_checkpoint_of of;
    struct bq_checkpoint *found; /* NULL: none */
    uint64_t saved_at, took;     /* clock, ns */
    bool is_saved;
    bool is_off; /* nothing is saved (any more) */
};

/* resume_save.c. The path of a file beside the checkpoint, for bq_free. */
char *resume_beside(const struct bq_resume *resume, const char *name);

/* Removes states, all or those that a checkpoint does not name. */
void resume_sweep(const struct bq_resume *resume, const struct bq_checkpoint *keep);

void resume_hash(const void *bytes, size_t n, struct bq_hash *hash);

/* resume.c. This process. */
void resume_name_writer(struct bq_checkpoint_writer *writer);

#endif
