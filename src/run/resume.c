#include "run/resume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "adapters/clock.h"
#include "adapters/kernel_library.h"
#include "adapters/whole_file.h"
#include "base/heap.h"
#include "base/path.h"
#include "run/job_shape.h"

#define SUFFIX ".banquet-resume"
#define MOST_BYTES (UINT64_C(1) << 30) /* of a checkpoint */
#define MOST_SHARE 20                  /* saving takes at most a 20th of the time */

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

/* -- names -------------------------------------------------------------------------------- */

/* "folder/.out.h5.banquet-resume". */
static char *path_of(const struct bq_job *job, size_t *folder)
{
    const char *beside = NULL;
    for (size_t i = 0; i < job->n_steps && !beside; i++)
        beside = job->steps[i].output.file;
    const char *named = beside ? beside : job->file ? job->file : "job";
    const char *name = named + bq_path_folder(named);
    *folder = beside ? bq_path_folder(beside) : 0;
    size_t size = *folder + strlen(name) + sizeof SUFFIX + 2;
    char *path = bq_alloc(size, 1);
    if (path)
        snprintf(path, size, "%.*s.%.200s" SUFFIX, (int)*folder, named, name);
    return path;
}

static char *beside(const struct bq_resume *resume, const char *name)
{
    size_t size = resume->folder + strlen(name) + 1;
    char *path = bq_alloc(size, 1);
    if (path)
        snprintf(path, size, "%.*s%s", (int)resume->folder, resume->path, name);
    return path;
}

char *bq_resume_state(const struct bq_resume *resume, size_t step)
{
    return beside(resume, resume->found->steps[step].state);
}

/* Removes states, all or those that a checkpoint does not name. */
static void sweep(const struct bq_resume *resume, const struct bq_checkpoint *keep)
{
    const char *name = resume->path + resume->folder;
    size_t n = strlen(name);
    char *folder = beside(resume, ".");
    DIR *dir = folder ? opendir(folder) : NULL;
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        bool is_kept = strncmp(entry->d_name, name, n) != 0 || entry->d_name[n] != '-';
        for (size_t i = 0; keep && i < keep->n_steps && !is_kept; i++)
            is_kept = strcmp(entry->d_name, keep->steps[i].state) == 0;
        if (!is_kept)
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir)
        closedir(dir);
    bq_free(folder);
}

/* -- who wrote it ------------------------------------------------------------------------- */

/* When a process began, as the system counts; 0: there is none. */
static uint64_t started(uint32_t pid)
{
    char path[48], text[1024];
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    const char *at = strrchr(text, ')'); /* the name may hold anything */
    if (at && strncmp(at, ") Z", 3) == 0)
        return 0; /* it has ended, and nobody has asked how */
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at, NULL, 10) : 0;
}

static void name_writer(struct bq_checkpoint_writer *writer)
{
    *writer = (struct bq_checkpoint_writer){.pid = (uint32_t)getpid()};
    gethostname(writer->host, sizeof writer->host - 1);
    writer->started = started(writer->pid);
}

static bool is_alive(const struct bq_checkpoint_writer *writer)
{
    struct bq_checkpoint_writer own;
    name_writer(&own);
    return strcmp(own.host, writer->host) == 0 && own.pid != writer->pid && writer->started != 0 &&
           started(writer->pid) == writer->started;
}

/* -- opening ------------------------------------------------------------------------------ */

/* Bytes and, behind them, their hash. NULL with errno 0: there is no file. */
static unsigned char *read_bytes(const char *path, size_t *n, struct bq_error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) {
        errno = 0;
        return NULL;
    }
    bool is_ours = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                   st.st_uid == geteuid() && (uint64_t)st.st_size <= MOST_BYTES;
    unsigned char *bytes = is_ours ? bq_alloc((size_t)st.st_size + 1, 1) : NULL;
    *n = 0;
    for (ssize_t got; bytes && *n < (size_t)st.st_size; *n += (size_t)got) {
        got = read(fd, bytes + *n, (size_t)st.st_size - *n);
        if (got <= 0)
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

static void hash_bytes(const void *bytes, size_t n, struct bq_hash *hash)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, n));
    memcpy(hash->bytes, canonical.digest, sizeof hash->bytes);
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
        if (output && step->is_kept && step->out_ns) {
            bq_file_stamp(output, &size, &time_ns);
            if (size != step->out_size || time_ns != step->out_ns)
                return bq_fail(err, BQ_EXIT_USAGE,
                               "%s was changed since an earlier run of this job made it; --fresh "
                               "begins anew",
                               output);
        }
        if (!step->is_kept || !step->state[0])
            continue;
        char *path = bq_resume_state(resume, i);
        int rc = path ? bq_hash_file(path, &hash, NULL) : -1;
        if (rc < 0 || memcmp(&hash, &step->state_hash, sizeof hash) != 0)
            fail_damaged(path ? path : step->state, err);
        bq_free(path);
        if (rc < 0 || memcmp(&hash, &step->state_hash, sizeof hash) != 0)
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

/* The run that wrote it still goes on. The same job would make the same output twice; another one
 * may run beside it, but has no checkpoint of its own. */
static int stand_aside(struct bq_resume *resume, const struct bq_job *job, struct bq_error *err)
{
    const struct bq_checkpoint *found = resume->found;
    bool is_same = memcmp(&found->of, &resume->of, sizeof found->of) == 0, has_output = false;
    for (size_t i = 0; i < job->n_steps; i++)
        has_output = has_output || job->steps[i].output.file;
    if (is_same && has_output)
        return bq_fail(err, BQ_EXIT_USAGE, "this job is under way already, as process %u",
                       found->writer.pid);
    resume->is_off = true;
    forget(resume);
    return 0;
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

static int check(struct bq_resume *resume, const struct bq_job *job, struct bq_error *err)
{
    const struct bq_checkpoint *found = resume->found;
    const char *what = NULL;
    if (is_alive(&found->writer))
        return stand_aside(resume, job, err);
    if (memcmp(&found->of.job, &resume->of.job, sizeof found->of.job) != 0 ||
        found->n_steps != job->n_steps || is_past(job, found))
        what = "the job (or the program) is another now";
    else if (memcmp(&found->of.kernels, &resume->of.kernels, sizeof found->of.kernels) != 0)
        what = "a kernel of its own was changed since";
    else if (memcmp(&found->of.inputs, &resume->of.inputs, sizeof found->of.inputs) != 0)
        what = "an input was changed since";
    if (what)
        return bq_fail(err, BQ_EXIT_USAGE,
                       "%s: an earlier run that was stopped cannot be resumed: %s; --fresh begins "
                       "anew",
                       resume->path, what);
    return check_files(resume, job, err);
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
        hash_bytes(bytes, n - sizeof hash, &hash);
        rc = memcmp(&hash, bytes + n - sizeof hash, sizeof hash) == 0 ? 0 : -1;
    }
    struct bq_reader r = bq_reader(bytes, n > sizeof hash ? n - sizeof hash : 0);
    if (rc == 0)
        rc = bq_checkpoint_get(&r, resume->found);
    bq_free(bytes);
    return rc < 0 ? fail_damaged(resume->path, err) : 0;
}

/* Nothing stays of what an earlier run left, if it is over. */
static int clear(struct bq_resume *resume, const struct bq_job *job, struct bq_error *err)
{
    if (load(resume, NULL) == 0 && resume->found && is_alive(&resume->found->writer))
        return stand_aside(resume, job, err);
    unlink(resume->path);
    sweep(resume, NULL);
    forget(resume);
    return 0;
}

struct bq_resume *bq_resume_open(const struct bq_job *job, const struct bq_resume_options *options,
                                 struct bq_error *err)
{
    struct bq_resume *resume = bq_alloc(1, sizeof *resume);
    if (!resume || !(resume->path = path_of(job, &resume->folder))) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        bq_free(resume);
        return NULL;
    }
    resume->every_s = options->every_s;
    resume->saved_at = bq_now();
    bool is_good = bq_job_shape(job, options->version, &resume->of, err) == 0;
    if (is_good && options->is_fresh)
        is_good = clear(resume, job, err) == 0;
    else if (is_good)
        is_good = load(resume, err) == 0 && (!resume->found || check(resume, job, err) == 0);
    if (is_good) {
        resume->is_saved = resume->found != NULL;
        return resume;
    }
    bq_resume_close(resume);
    return NULL;
}

const struct bq_checkpoint *bq_resume_found(const struct bq_resume *resume)
{
    return resume->found;
}

bool bq_resume_has_output(const struct bq_resume *resume, size_t step)
{
    const struct bq_checkpoint_step *past = resume->found ? &resume->found->steps[step] : NULL;
    return past && past->is_kept && past->out_ns;
}

/* -- saving ------------------------------------------------------------------------------- */

bool bq_resume_is_due(const struct bq_resume *resume)
{
    uint64_t since = bq_now() - resume->saved_at;
    return resume->every_s >= 0 && !resume->is_off && (double)since >= resume->every_s * 1e9 &&
           since >= resume->took * (resume->every_s > 0 ? MOST_SHARE : 0);
}

static int copy_bytes(int from, int to)
{
    static const size_t size = 1 << 20;
    char *buffer = bq_alloc(size, 1);
    ssize_t got = buffer ? 1 : -1;
    while (got > 0 && (got = read(from, buffer, size)) > 0) {
        for (ssize_t put = 0, n; put < got; put += n) {
            n = write(to, buffer + put, (size_t)(got - put));
            if (n < 0) {
                bq_free(buffer);
                return -1;
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
    char *path = beside(resume, step->state);
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
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    bq_free(path);
    return rc;
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
    hash_bytes(bytes, (size_t)(w.at - bytes), &hash);
    FILE *f = bq_whole_open(&file, resume->path, err);
    if (f) {
        fwrite(bytes, 1, (size_t)(w.at - bytes), f);
        fwrite(&hash, 1, sizeof hash, f);
    }
    bq_free(bytes);
    return f ? bq_whole_commit(&file, err) : -1;
}

void bq_resume_save(struct bq_resume *resume, struct bq_checkpoint *checkpoint,
                    const char *const states[BQ_MAX_STEPS], bool is_last)
{
    struct bq_error err = {0};
    uint64_t begun = bq_now();
    int rc = 0;
    if (resume->every_s < 0 || resume->is_off)
        return;
    checkpoint->of = resume->of;
    name_writer(&checkpoint->writer);
    for (size_t i = 0; i < checkpoint->n_steps && rc == 0; i++) {
        struct bq_checkpoint_step *step = &checkpoint->steps[i];
        if (!states[i])
            continue;
        /* The process's own name: what the checkpoint that is there names stays until this one is
         * written. */
        snprintf(step->state, sizeof step->state, "%s-%zu-%llx-%x", resume->path + resume->folder,
                 i, (unsigned long long)begun, checkpoint->writer.pid);
        rc = copy_state(resume, states[i], step, &err);
    }
    if (is_last)
        checkpoint->writer.started = 0;
    if (rc == 0)
        rc = write_checkpoint(resume, checkpoint, &err);
    if (rc < 0) {
        fprintf(stderr, "banquet: no checkpoint can be written, and the run goes on without: %s\n",
                err.text);
        resume->is_off = true;
        return;
    }
    sweep(resume, checkpoint);
    resume->is_saved = true;
    resume->saved_at = bq_now();
    resume->took = resume->saved_at - begun;
}

bool bq_resume_is_saved(const struct bq_resume *resume)
{
    return resume->is_saved;
}

/* -- the end ------------------------------------------------------------------------------ */

void bq_resume_finish(struct bq_resume *resume)
{
    if (!resume->is_saved)
        return;
    unlink(resume->path);
    sweep(resume, NULL);
    resume->is_saved = false;
}

void bq_resume_close(struct bq_resume *resume)
{
    if (!resume)
        return;
    forget(resume);
    bq_free(resume->path);
    bq_free(resume);
}
