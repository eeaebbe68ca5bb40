/* The lock of a job's run: a hidden file that says who works on it. The system lets go of it when
 * the process ends, however it ends; what that leaves is known by what the file says. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapters/store.h"
#include "base/heap.h"
#include "base/path.h"
#include "run/journal.h"
#include "run/resume_internal.h"
#include "run/scratch.h"

enum { MOST = 1 << 16 }; /* bytes of such a file */

/* "PID HASH HOST", and in each further line a path that the run has made for itself. */
static void read_holder(int fd, struct resume_holder *holder)
{
    char text[200];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    *holder = (struct resume_holder){0};
    text[n > 0 ? n : 0] = 0;
    sscanf(text, "%u %32s %63s", &holder->pid, holder->job, holder->host);
}

static void write_holder(struct bq_resume *resume)
{
    char text[200], host[64] = "?";
    gethostname(host, sizeof host - 1);
    int n = snprintf(text, sizeof text, "%u %s %s\n", (unsigned)getpid(), resume->job, host);
    resume->n_lock = ftruncate(resume->lock, 0) == 0 ? pwrite(resume->lock, text, (size_t)n, 0) : 0;
}

/* The work file of a journal is what the next run goes on with. */
static bool is_wanted(const struct bq_resume *resume, const char *path)
{
    bool is = false;
    for (size_t i = 0; !is && i < BQ_MAX_STEPS; i++) {
        char *name = bq_resume_journal(resume, i);
        struct bq_journal *journal = name ? bq_journal_open(name, NULL) : NULL;
        is = journal && !bq_journal_is_empty(journal) &&
             strcmp(bq_journal_head(journal)->work, path + bq_path_folder(path)) == 0;
        bq_journal_close(journal);
        bq_free(name);
    }
    return is;
}

/* What the run that held the lock has left, as it was killed. */
static void remove_left(const struct bq_resume *resume, int fd)
{
    char *text = bq_alloc(MOST + 1, 1), *rest = text, *line;
    ssize_t n = text ? pread(fd, text, MOST, 0) : 0;
    for (bool is_first = true; n > 0 && (line = strsep(&rest, "\n")); is_first = false) {
        if (is_first || line[0] != '/' || is_wanted(resume, line))
            continue;
        if (!bq_output_remove_left(line))
            bq_scratch_remove(line);
    }
    bq_free(text);
}

/* Opens the file and locks it; -1 with errno EWOULDBLOCK: somebody else holds it. */
static int take(const char *path, struct resume_holder *holder)
{
    for (;;) {
        struct stat own, named;
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (fd < 0)
            return -1;
        bool is_ours = fstat(fd, &own) == 0 && S_ISREG(own.st_mode) && own.st_uid == geteuid();
        read_holder(fd, holder);
        if (!is_ours || flock(fd, LOCK_EX | LOCK_NB) < 0) {
            int why = is_ours ? errno : EPERM;
            close(fd);
            errno = why;
            return -1;
        }
        /* Whoever held it may have removed it meanwhile: then another may lock a new one. */
        if (stat(path, &named) == 0 && named.st_ino == own.st_ino && named.st_dev == own.st_dev) {
            read_holder(fd, holder);
            return fd;
        }
        close(fd);
    }
}

int resume_lock(struct bq_resume *resume, struct resume_holder *holder)
{
    resume->lock = take(resume->lock_path, holder);
    if (resume->lock < 0)
        return errno == EWOULDBLOCK ? 1 : -1;
    char host[64] = "";
    gethostname(host, sizeof host - 1);
    if (strcmp(host, holder->host) == 0) /* else its memory, and its paths, are another's */
        remove_left(resume, resume->lock);
    write_holder(resume);
    return 0;
}

void bq_resume_note(struct bq_resume *resume, const char *path)
{
    char *whole = resume && path && resume->lock >= 0 ? realpath(path, NULL) : NULL;
    size_t n = whole ? strlen(whole) : 0;
    if (n && !strchr(whole, '\n') && resume->n_lock + (ssize_t)n < MOST) {
        whole[n] = '\n'; /* instead of its end */
        ssize_t put = pwrite(resume->lock, whole, n + 1, resume->n_lock);
        resume->n_lock += put > 0 ? put : 0;
    }
    free(whole);
}

void resume_unlock(struct bq_resume *resume)
{
    if (resume->lock < 0)
        return;
    unlink(resume->lock_path);
    close(resume->lock);
    resume->lock = -1;
}
