/* Resuming: the checkpoint of a job's run on the disk, a hidden file beside its first output (of a
 * job without one, in the current folder), and raw files with what loops hand to their next round.
 * All of it is written before it counts, and gone when the job is done. And the lock, which says
 * who is at work. A NULL resume is fine wherever something is asked or done while the job runs.
 *
 *     open -> found, or nothing -> begin -> { is_due -> save } -> finish | close
 *
 * The coordinator's, in one thread. */
#ifndef BQ_RUN_RESUME_H
#define BQ_RUN_RESUME_H

#include "core/checkpoint.h"

struct bq_resume;

struct bq_resume_options {
    const char *version; /* of the program */
    double every_s;      /* at most so often; 0: whenever something is finished; below 0: never */
    bool is_fresh;       /* what an earlier run left is not wanted */
};

/* Takes the lock, and looks for what an earlier run of this job left; of a job without parts
 * (bq_job_has_parts) there are only the lock and a journal. Errors (exit 2):
 * it is of another job, kernel or input by now, it is damaged, or that run is still under way. */
/* The job must stay until bq_resume_close. */
struct bq_resume *bq_resume_open(const struct bq_job *job, const struct bq_resume_options *options,
                                 struct bq_error *err);

/* What was left, with the paths of its states; NULL: nothing. */
const struct bq_checkpoint *bq_resume_found(const struct bq_resume *resume);
char *bq_resume_state(const struct bq_resume *resume, size_t step); /* for bq_free; NULL: memory */

/* Whether the output of a step is there, made by the earlier run, so that it may be replaced. */
bool bq_resume_has_output(const struct bq_resume *resume, size_t step);

/* The path of a step's journal (run/journal.h), for bq_free, and whose it is. NULL: none is kept.
 */
char *bq_resume_journal(const struct bq_resume *resume, size_t step);
const struct bq_checkpoint_of *bq_resume_of(const struct bq_resume *resume);

/* The first step has begun: what --fresh does not want goes. */
void bq_resume_begin(struct bq_resume *resume);

/* A work file or a private folder, which the next run removes if this one is killed. */
void bq_resume_note(struct bq_resume *resume, const char *path);

/* Whether it is time to save; has_published: an output was made since. */
bool bq_resume_is_due(const struct bq_resume *resume, bool has_published);

/* Fills in whose it is, copies the raw files at `states` (NULL: none of that step), writes the
 * checkpoint. A failure is told on stderr once, and the run goes on without. */
void bq_resume_save(struct bq_resume *resume, struct bq_checkpoint *checkpoint,
                    const char *const states[BQ_MAX_STEPS]);

/* Whether there is something to go on from. */
bool bq_resume_is_saved(const struct bq_resume *resume);

/* The job is done: nothing stays. */
void bq_resume_finish(struct bq_resume *resume);
void bq_resume_close(struct bq_resume *resume);

#endif
