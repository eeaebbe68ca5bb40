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

#include "base/path.h"
#include "run/resume_internal.h"
#include "run/scratch.h"

/* "PID HASH HOST SCRATCH", the last perhaps missing. */
static void read_holder(int fd, struct resume_holder *holder)
{
    char text[BQ_MAX_PATH + 200];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    *holder = (struct resume_holder){0};
    text[n > 0 ? n : 0] = 0;
    sscanf(text, "%u %32s %63s %1023[^\n]", &holder->pid, holder->job, holder->host,
           holder->scratch);
}

static void write_holder(const struct bq_resume *resume, const char *scratch)
{
    char text[BQ_MAX_PATH + 200], host[64] = "?";
    gethostname(host, sizeof host - 1);
    int n = snprintf(text, sizeof text, "%u %s %s %s\n", (unsigned)getpid(), resume->job, host,
                     scratch);
    if (ftruncate(resume->lock, 0) == 0 && n < (int)sizeof text)
        (void)!pwrite(resume->lock, text, (size_t)n, 0);
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
    if (holder->scratch[0] && strcmp(host, holder->host) == 0)
        bq_scratch_remove(holder->scratch); /* that run was killed */
    write_holder(resume, "");
    return 0;
}

void bq_resume_scratch(struct bq_resume *resume, const char *folder)
{
    char *whole = resume && resume->lock >= 0 ? realpath(folder, NULL) : NULL;
    if (whole)
        write_holder(resume, whole);
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
