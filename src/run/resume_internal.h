/* What resume.c (opening), resume_save.c (saving) and resume_lock.c share. Nobody else includes it.
 */
#ifndef BQ_RUN_RESUME_INTERNAL_H
#define BQ_RUN_RESUME_INTERNAL_H

#include <sys/types.h>

#include "run/resume.h"

struct bq_resume {
    const struct bq_job *steps_of; /* the job */
    char *path;                    /* of the checkpoint */
    char *lock_path;               /* beside it */
    int lock;                      /* -1: not held */
    ssize_t n_lock;                /* bytes in it */
    size_t folder;                 /* length of its folder's part, with the slash */
    double every_s;
    struct bq_checkpoint_of of;
    char job[33];                /* of.job as text */
    struct bq_checkpoint *found; /* NULL: none */
    uint64_t saved_at, took;     /* clock, ns */
    bool is_saved;               /* there is a checkpoint, found or saved */
    bool has_parts;              /* else there is only the lock */
    bool has_begun;
    bool is_fresh; /* what is there is not wanted */
    bool is_off;   /* nothing is saved (any more) */
    bool is_aside; /* another run has the lock, or nobody can: no journal is kept */
};

/* resume_save.c. The path of a file beside the checkpoint, for bq_free. */
char *resume_beside(const struct bq_resume *resume, const char *name);

/* Removes states, all or those that a checkpoint does not name. */
void resume_sweep(const struct bq_resume *resume, const struct bq_checkpoint *keep);

void resume_hash(const void *bytes, size_t n, struct bq_hash *hash);

/* resume.c. The path of a step's journal, whether one is kept or not. */
char *resume_journal_path(const struct bq_resume *resume, size_t step);

/* resume_save.c. Removes all journals with their work files. */
void resume_remove_journals(const struct bq_resume *resume);

/* resume_lock.c. Who holds the lock, or held it until it ended. */
struct resume_holder {
    unsigned pid;
    char job[33], host[64];
};

/* 0: it is ours, and what a run that was killed has left is gone; 1: it is the holder's;
 * -1: there can be none here. */
int resume_lock(struct bq_resume *resume, struct resume_holder *holder);
void resume_unlock(struct bq_resume *resume);

#endif
