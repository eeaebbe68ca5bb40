/* Saving what a run has finished, so that it counts, and removing it. */
#include "run/resume_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "adapters/clock.h"
#include "adapters/kernel_library.h"
#include "adapters/store.h"
#include "adapters/whole_file.h"
#include "base/heap.h"
#include "base/path.h"
#include "run/journal.h"

#define MOST_SHARE 20 /* saving takes at most a 20th of the time */

char *resume_beside(const struct bq_resume *resume, const char *name)
{
    size_t size = resume->folder + strlen(name) + 1;
    char *path = bq_alloc(size, 1);
    if (path)
        snprintf(path, size, "%.*s%s", (int)resume->folder, resume->path, name);
    return path;
}

/* Whether a name in the folder is that of a state, or of a file that a killed save has left. */
static bool is_ours(const struct bq_resume *resume, const char *name)
{
    const char *own = resume->path + resume->folder, *lock = resume->lock_path + resume->folder;
    size_t n = strlen(own);
    bool is_state = strncmp(name, own, n) == 0 && name[n] == '-' && strcmp(name, lock) != 0;
    bool is_temporary = *name == '.' && strncmp(name + 1, own, n) == 0 && name[n + 1] == '.';
    return is_state || is_temporary;
}

void resume_sweep(const struct bq_resume *resume, const struct bq_checkpoint *keep)
{
    char *folder = resume_beside(resume, ".");
    DIR *dir = folder ? opendir(folder) : NULL;
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        bool is_kept = !is_ours(resume, entry->d_name);
        for (size_t i = 0; keep && i < keep->n_steps && !is_kept; i++)
            is_kept = strcmp(entry->d_name, keep->steps[i].state) == 0;
        if (!is_kept)
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir)
        closedir(dir);
    bq_free(folder);
}

void resume_hash(const void *bytes, size_t n, struct bq_hash *hash)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, n));
    memcpy(hash->bytes, canonical.digest, sizeof hash->bytes);
}

/* -- saving ------------------------------------------------------------------------------- */

bool bq_resume_is_due(const struct bq_resume *resume, bool has_published)
{
    if (!resume || resume->every_s < 0 || resume->is_off)
        return false;
    uint64_t since = bq_now() - resume->saved_at;
    /* An output that no checkpoint knows of would be in the way of a run that goes on. */
    if (resume->every_s == 0 || has_published)
        return true;
    return (double)since >= resume->every_s * 1e9 && since >= resume->took * MOST_SHARE;
}

static int copy_bytes(int from, int to)
{
    static const size_t size = 1 << 20;
    char *buffer = bq_alloc(size, 1);
    ssize_t got = buffer ? 1 : -1;
    while (got > 0 && ((got = read(from, buffer, size)) > 0 || (got < 0 && errno == EINTR))) {
        for (ssize_t put = 0, n; put < got; put += n) {
            n = write(to, buffer + put, (size_t)(got - put));
            if (n < 0 && errno == EINTR) {
                n = 0;
            } else if (n < 0) {
                got = -1;
                break;
            }
        }
    }
    bq_free(buffer);
    return got < 0 ? -1 : 0;
}

/* A raw file to beside the checkpoint, durably. */
static int copy_state(const struct bq_resume *resume, const char *from,
                      struct bq_checkpoint_step *step, struct bq_error *err)
{
    char *path = resume_beside(resume, step->state);
    int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), out = -1, rc = -1;
    if (path && in >= 0) {
        unlink(path); /* of a run that was killed while it wrote it */
        out = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    }
    if (out >= 0 && copy_bytes(in, out) == 0 && bq_hash_fd(out, &step->state_hash) == 0 &&
        fsync(out) == 0)
        rc = 0;
    if (rc < 0)
        bq_fail(err, BQ_EXIT_FAILED, "%s: %s", path ? path : step->state, strerror(errno));
    if (rc < 0 && out >= 0)
        unlink(path);
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    bq_free(path);
    return rc;
}

static void sync_folder(const struct bq_resume *resume)
{
    char *folder = resume_beside(resume, ".");
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    bq_free(folder);
}

static int write_checkpoint(const struct bq_resume *resume, const struct bq_checkpoint *checkpoint,
                            struct bq_error *err)
{
    size_t size = bq_checkpoint_bytes(checkpoint);
    unsigned char *bytes = bq_alloc(size, 1);
    struct bq_writer w = bq_writer(bytes, bytes ? size : 0);
    struct bq_whole_file file;
    struct bq_hash hash;
    if (!bytes)
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    bq_checkpoint_put(&w, checkpoint);
    resume_hash(bytes, (size_t)(w.at - bytes), &hash);
    FILE *f = bq_whole_open(&file, resume->path, err);
    if (f) {
        fwrite(bytes, 1, (size_t)(w.at - bytes), f);
        fwrite(&hash, 1, sizeof hash, f);
    }
    bool is_bad = w.is_bad;
    bq_free(bytes);
    if (f && is_bad) {
        bq_whole_discard(&file);
        return bq_fail(err, BQ_EXIT_FAILED, "%s: it is larger than was thought", resume->path);
    }
    if (!f || bq_whole_commit(&file, err) < 0)
        return -1;
    sync_folder(resume); /* before what the older one names goes */
    return 0;
}

/* What was saved must not be in the way of the output. What this run goes on from is in use. */
static void make_room(struct bq_resume *resume)
{
    unlink(resume->path);
    resume_sweep(resume, resume->found);
    resume->is_saved = false;
}

void bq_resume_save(struct bq_resume *resume, struct bq_checkpoint *checkpoint,
                    const char *const states[BQ_MAX_STEPS])
{
    struct bq_error err = {0};
    uint64_t begun = bq_now();
    int rc = 0;
    if (!resume || resume->every_s < 0 || resume->is_off)
        return;
    checkpoint->of = resume->of;
    for (size_t i = 0; i < checkpoint->n_steps && rc == 0; i++) {
        struct bq_checkpoint_step *step = &checkpoint->steps[i];
        if (!states[i])
            continue;
        /* The process's own name: what the checkpoint that is there names stays until this one is
         * written. */
        snprintf(step->state, sizeof step->state, "%s-%zu-%llx-%x", resume->path + resume->folder,
                 i, (unsigned long long)begun, (unsigned)getpid());
        rc = copy_state(resume, states[i], step, &err);
    }
    if (rc == 0)
        rc = write_checkpoint(resume, checkpoint, &err);
    for (size_t i = 0; rc < 0 && i < checkpoint->n_steps; i++) {
        char *copy = states[i] ? resume_beside(resume, checkpoint->steps[i].state) : NULL;
        if (copy && checkpoint->steps[i].state[0])
            unlink(copy);
        bq_free(copy);
    }
    if (rc < 0) {
        fprintf(stderr, "banquet: no checkpoint can be written, and the run goes on without: %s\n",
                err.text);
        resume->is_off = true;
        make_room(resume);
        return;
    }
    resume_sweep(resume, checkpoint);
    resume->is_saved = true;
    resume->saved_at = bq_now();
    resume->took = resume->saved_at - begun;
}

bool bq_resume_is_saved(const struct bq_resume *resume)
{
    return resume && resume->is_saved;
}

/* -- the end ------------------------------------------------------------------------------ */

void resume_remove_journals(const struct bq_resume *resume)
{
    for (size_t i = 0; i < BQ_MAX_STEPS; i++) {
        char *path = resume_journal_path(resume, i);
        struct bq_journal *journal = path ? bq_journal_open(path, NULL) : NULL;
        const char *work = journal ? bq_journal_head(journal)->work : "";
        const char *output =
            i < resume->steps_of->n_steps ? resume->steps_of->steps[i].output.file : NULL;
        size_t folder = output ? bq_path_folder(output) : resume->folder;
        char *left = bq_alloc(folder + strlen(work) + 1, 1);
        if (left && work[0]) {
            sprintf(left, "%.*s%s", (int)folder, output ? output : resume->path, work);
            bq_output_remove_left(left);
        }
        if (path && resume->lock >= 0)
            unlink(path);
        bq_journal_close(journal);
        bq_free(left);
        bq_free(path);
    }
}

void bq_resume_finish(struct bq_resume *resume)
{
    if (resume && resume->lock >= 0)
        resume_remove_journals(resume);
    if (!resume || !resume->has_parts || (resume->lock < 0 && !resume->is_saved))
        return; /* what is there is another job's, or another run's */
    unlink(resume->path);
    resume_sweep(resume, NULL);
    resume->is_saved = false;
}
