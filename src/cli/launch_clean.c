/* What a killed mpirun leaves: processes, its session folder, and shared memory of the ranks. */
#include <dirent.h>
#include <ftw.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/launch.h"

static long parent_of(const char *pid)
{
    char path[300], text[600];
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    const char *at = strrchr(text, ')'); /* then: state, parent */
    return at && strlen(at) > 4 ? strtol(at + 4, NULL, 10) : -1;
}

static void kill_children(void)
{
    DIR *processes = opendir("/proc");
    const struct dirent *entry;
    while (processes && (entry = readdir(processes))) {
        long pid = strtol(entry->d_name, NULL, 10);
        if (pid > 1 && parent_of(entry->d_name) == (long)getpid())
            kill((pid_t)pid, SIGKILL);
    }
    if (processes)
        closedir(processes);
}

/* A child that is ended leaves its own children to this process, so: again, until there are none.
 */
void bq_launch_end_children(void)
{
    for (int i = 0; i < 100; i++) {
        pid_t ended;
        while ((ended = waitpid(-1, NULL, WNOHANG)) > 0)
            ;
        if (ended < 0)
            return;
        kill_children();
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    remove(path);
    return 0;
}

static void remove_own(const char *pattern, bool is_folder)
{
    glob_t found;
    struct stat st;
    if (glob(pattern, GLOB_NOSORT, NULL, &found))
        return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i];
        if (lstat(path, &st) < 0 || st.st_uid != geteuid())
            continue;
        if (!is_folder)
            unlink(path);
        else if (S_ISDIR(st.st_mode))
            nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    }
    globfree(&found);
}

static void remove_empty(const char *pattern)
{
    glob_t found;
    if (glob(pattern, GLOB_NOSORT, NULL, &found))
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        rmdir(found.gl_pathv[i]);
    globfree(&found);
}

void bq_launch_clean(pid_t mpirun, unsigned long space)
{
    char pattern[400];
    const char *base = getenv("TMPDIR"), *memory = getenv("OMPI_MCA_btl_vader_backing_directory");
    base = base && *base ? base : "/tmp";
    memory = memory && *memory ? memory : "/dev/shm";
    snprintf(pattern, sizeof pattern, "%s/ompi.*.%ld/pid.%ld", base, (long)geteuid(), (long)mpirun);
    remove_own(pattern, true);
    snprintf(pattern, sizeof pattern, "%s/ompi.*.%ld", base, (long)geteuid());
    remove_empty(pattern); /* another run may use it: then it is not empty */
    if (!space)
        return;
    snprintf(pattern, sizeof pattern, "%s/vader_segment.*.%ld.%lx.*", memory, (long)geteuid(),
             space);
    remove_own(pattern, false);
    snprintf(pattern, sizeof pattern, "%s/banquet-%lu-??????", base, space);
    remove_own(pattern, true);
}
