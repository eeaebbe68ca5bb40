/* What an earlier run left: finding it, and whether it is this job's. */
#include "run/resume_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapters/clock.h"
#include "adapters/kernel_library.h"
#include "base/heap.h"
#include "base/path.h"
#include "run/job_shape.h"
#include "run/journal.h"

#define SUFFIX ".banquet-resume"
#define MOST_BYTES (UINT64_C(1) << 30) /* of a checkpoint */

/* -- names -------------------------------------------------------------------------------- */

/* "folder/.out.h5.banquet-resume" and suffix. */
static char *path_of(const struct bq_job *job, size_t *folder, const char *suffix)
{
    const char *beside = NULL;
    for (size_t i = 0; i < job->n_steps && !beside; i++)
        beside = job->steps[i].output.file;
    const char *named = beside ? beside : job->file ? job->file : "job";
    const char *name = named + bq_path_folder(named);
    *folder = beside ? bq_path_folder(beside) : 0;
    size_t size = *folder + strlen(name) + sizeof SUFFIX + strlen(suffix) + 2;
    char *path = bq_alloc(size, 1);
    if (path)
        snprintf(path, size, "%.*s.%.200s" SUFFIX "%s", (int)*folder, named, name, suffix);
    return path;
}

char *bq_resume_state(const struct bq_resume *resume, size_t step)
{
    return resume_beside(resume, resume->found->steps[step].state);
}

/* -- opening ------------------------------------------------------------------------------ */

/* Bytes and, behind them, their hash. NULL with errno 0: there is no file. */
static unsigned char *read_bytes(const char *path, size_t *n, struct bq_error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        errno = 0;
        return NULL;
    }
    bool is_ours = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                   st.st_uid == geteuid() && (uint64_t)st.st_size <= MOST_BYTES;
    unsigned char *bytes = is_ours ? bq_alloc((size_t)st.st_size + 1, 1) : NULL;
    *n = 0;
    for (ssize_t got; bytes && *n < (size_t)st.st_size; *n += (size_t)got) {
        got = pread(fd, bytes + *n, (size_t)st.st_size - *n, (off_t)*n);
        if (got < 0 && errno == EINTR)
            got = 0;
        else if (got <= 0)
            break;
    }
    if (!bytes) {
        errno = errno ? errno : EINVAL;
        bq_fail(err, BQ_EXIT_USAGE,
                "%s: cannot be read as what an earlier run left: %s; --fresh begins anew", path,
                is_ours ? "out of memory" : "it is not a file of yours");
    }
    if (fd >= 0)
        close(fd);
    return bytes;
}

static int fail_damaged(const char *path, struct bq_error *err)
{
    return bq_fail(err, BQ_EXIT_USAGE,
                   "%s: what an earlier run of this job left is damaged; --fresh begins anew",
                   path);
}

/* Everything is as it was when the checkpoint was written. */
static int check_files(struct bq_resume *resume, const struct bq_job *job, struct bq_error *err)
{
    const struct bq_checkpoint *found = resume->found;
    for (size_t i = 0; i < found->n_steps; i++) {
        const struct bq_checkpoint_step *step = &found->steps[i];
        uint64_t size, time_ns;
        struct bq_hash hash;
        const char *output = job->steps[i].output.file;
        if (output && step->out_ns) {
            bq_file_stamp(output, &size, &time_ns);
            if (time_ns == 0)
                return bq_fail(err, BQ_EXIT_USAGE,
                               "%s, which an earlier run of this job made, is gone; --fresh begins "
                               "anew",
                               output);
            if (size != step->out_size || time_ns != step->out_ns)
                return bq_fail(err, BQ_EXIT_USAGE,
                               "%s was changed since an earlier run of this job made it; --fresh "
                               "begins anew",
                               output);
        }
        if (!step->is_kept || !step->state[0])
            continue;
        char *path = bq_resume_state(resume, i);
        bool is_whole = path && bq_hash_file(path, &hash, NULL) == 0 &&
                        memcmp(&hash, &step->state_hash, sizeof hash) == 0;
        if (!is_whole)
            fail_damaged(path ? path : step->state, err);
        bq_free(path);
        if (!is_whole)
            return -1;
    }
    return 0;
}

static void forget(struct bq_resume *resume)
{
    if (resume->found)
        bq_checkpoint_free(resume->found);
    bq_free(resume->found);
    resume->found = NULL;
}

static bool has_output(const struct bq_job *job)
{
    for (size_t i = 0; i < job->n_steps; i++) {
        if (job->steps[i].output.file)
            return true;
    }
    return false;
}

/* Another run goes on. The same job would make the same output twice; another one may run beside
 * it, but saves nothing. */
static int stand_aside(struct bq_resume *resume, const struct bq_job *job,
                       const struct resume_holder *holder, struct bq_error *err)
{
    if (strcmp(holder->job, resume->job) == 0 && has_output(job))
        return bq_fail(err, BQ_EXIT_USAGE, "this job is under way already, as process %u of %s",
                       holder->pid, holder->host);
    resume->is_off = resume->is_aside = true;
    return 0;
}

char *bq_resume_journal(const struct bq_resume *resume, size_t step)
{
    return !resume || resume->is_aside || resume->every_s < 0 ? NULL
                                                              : resume_journal_path(resume, step);
}

char *resume_journal_path(const struct bq_resume *resume, size_t step)
{
    size_t n = strlen(resume->path) - strlen(SUFFIX), size = n + 64;
    char *path = bq_alloc(size, 1);
    if (path)
        snprintf(path, size, "%.*s.banquet-journal-%zu", (int)n, resume->path, step);
    return path;
}

const struct bq_checkpoint_of *bq_resume_of(const struct bq_resume *resume)
{
    return &resume->of;
}

/* Fewer rounds are wanted than were made. */
static bool is_past(const struct bq_job *job, const struct bq_checkpoint *found)
{
    for (size_t l = 0; l < job->n_loops; l++) {
        if (found->round[job->loops[l].first] > job->loops[l].repeat)
            return true;
    }
    return false;
}

/* Whether what is there is of another job, kernel or input by now. */
static int check_of(const struct bq_resume *resume, const char *path,
                    const struct bq_checkpoint_of *of, bool is_another, struct bq_error *err)
{
    const char *what = NULL;
    if (is_another || memcmp(&of->job, &resume->of.job, sizeof of->job) != 0)
        what = "the job (or the program) is another now";
    else if (memcmp(&of->kernels, &resume->of.kernels, sizeof of->kernels) != 0)
        what = "a kernel of its own was changed since";
    else if (memcmp(&of->inputs, &resume->of.inputs, sizeof of->inputs) != 0)
        what = "an input was changed since";
    return !what ? 0
                 : bq_fail(err, BQ_EXIT_USAGE,
                           "%s: an earlier run that was stopped cannot be resumed: %s; --fresh "
                           "begins anew",
                           path, what);
}

static int check(struct bq_resume *resume, const struct bq_job *job, struct bq_error *err)
{
    const struct bq_checkpoint *found = resume->found;
    bool is_another = found->n_steps != job->n_steps || is_past(job, found);
    return check_of(resume, resume->path, &found->of, is_another, err) < 0
               ? -1
               : check_files(resume, job, err);
}

/* Journals of steps that were under way. */
static int check_journals(const struct bq_resume *resume, struct bq_error *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < BQ_MAX_STEPS; i++) {
        struct bq_error why = {0};
        char *path = bq_resume_journal(resume, i);
        struct bq_journal *journal = path ? bq_journal_open(path, &why) : NULL;
        if (why.text[0])
            rc = bq_fail(err, why.exit, "%.500s; --fresh begins anew", why.text);
        else if (journal && !bq_journal_is_empty(journal))
            rc = check_of(resume, path, &bq_journal_head(journal)->of, false, err);
        bq_journal_close(journal);
        bq_free(path);
    }
    return rc;
}

static int load(struct bq_resume *resume, struct bq_error *err)
{
    size_t n;
    unsigned char *bytes = read_bytes(resume->path, &n, err);
    struct bq_hash hash;
    if (!bytes)
        return errno ? -1 : 0;
    resume->found = bq_alloc(1, sizeof *resume->found);
    int rc = resume->found && n > sizeof hash ? 0 : -1;
    if (rc == 0) {
        resume_hash(bytes, n - sizeof hash, &hash);
        rc = memcmp(&hash, bytes + n - sizeof hash, sizeof hash) == 0 ? 0 : -1;
    }
    struct bq_reader r = bq_reader(bytes, n > sizeof hash ? n - sizeof hash : 0);
    if (rc == 0)
        rc = bq_checkpoint_get(&r, resume->found);
    bq_free(bytes);
    return rc < 0 ? fail_damaged(resume->path, err) : 0;
}

static int find(struct bq_resume *resume, const struct bq_job *job, struct bq_error *err)
{
    struct resume_holder holder;
    int locked = resume_lock(resume, &holder);
    if (locked > 0)
        return stand_aside(resume, job, &holder, err);
    resume->is_aside = locked < 0;
    if (resume->is_fresh)
        return 0;
    if (check_journals(resume, err) < 0)
        return -1;
    if (!resume->has_parts)
        return 0;
    if (load(resume, err) < 0 || (resume->found && check(resume, job, err) < 0))
        return -1;
    resume->is_saved = resume->found != NULL;
    return 0;
}

struct bq_resume *bq_resume_open(const struct bq_job *job, const struct bq_resume_options *options,
                                 struct bq_error *err)
{
    struct bq_resume *resume = bq_alloc(1, sizeof *resume);
    if (!resume) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return NULL;
    }
    resume->lock = -1;
    resume->steps_of = job;
    resume->every_s = options->every_s;
    resume->is_fresh = options->is_fresh;
    resume->has_parts = bq_job_has_parts(job);
    resume->is_off = !resume->has_parts;
    resume->saved_at = bq_now();
    resume->path = path_of(job, &resume->folder, "");
    resume->lock_path = path_of(job, &resume->folder, "-lock");
    if (!resume->path || !resume->lock_path) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    } else if (bq_job_shape(job, options->version, &resume->of, err) == 0) {
        bq_hash_text(&resume->of.job, resume->job);
        if (find(resume, job, err) == 0)
            return resume;
    }
    bq_resume_close(resume);
    return NULL;
}

void bq_resume_begin(struct bq_resume *resume)
{
    if (!resume || resume->lock < 0 || resume->has_begun)
        return;
    resume->has_begun = true;
    if (resume->is_fresh)
        resume_remove_journals(resume);
    if (!resume->has_parts)
        return;
    if (resume->is_fresh)
        unlink(resume->path);
    resume_sweep(resume, resume->found);
}

const struct bq_checkpoint *bq_resume_found(const struct bq_resume *resume)
{
    return resume ? resume->found : NULL;
}

bool bq_resume_has_output(const struct bq_resume *resume, size_t step)
{
    return resume && resume->found && resume->found->steps[step].out_ns;
}

void bq_resume_close(struct bq_resume *resume)
{
    if (!resume)
        return;
    forget(resume);
    resume_unlock(resume);
    bq_free(resume->lock_path);
    bq_free(resume->path);
    bq_free(resume);
}
