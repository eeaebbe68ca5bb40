/* The zygote: children on request, their ends, and its own. */
#include "adapters/zygote.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit.h"

enum what { LEAVE_WITH, LEAVE_ORPHAN, BE_KILLED, WAIT_FOR_EVER, KILL_ZYGOTE, ANSWER };
struct setup {
    enum what what;
    int code;
};

static int n_prepared; /* in the zygote */

static void prepare(void *context)
{
    n_prepared += strcmp(context, "context") == 0;
}

static int child(void *context, const int fds[2], const void *bytes)
{
    struct setup setup;
    pid_t pid = getpid();
    memcpy(&setup, bytes, sizeof setup);
    if (write(fds[1], &pid, sizeof pid) != sizeof pid)
        return 99;
    switch (setup.what) {
    case LEAVE_WITH:
        break;
    case LEAVE_ORPHAN:
        pid = fork();
        if (pid == 0)
            for (;;)
                pause();
        return write(fds[1], &pid, sizeof pid) == sizeof pid ? 0 : 1;
    case BE_KILLED:
        kill(pid, SIGKILL);
        break;
    case KILL_ZYGOTE:
        kill(getppid(), SIGKILL);
        /* fall through */
    case WAIT_FOR_EVER:
        for (;;)
            pause();
    case ANSWER:
        return strcmp(context, "context") == 0 && n_prepared == 1 && write(fds[0], "!", 1) == 1 ? 0
                                                                                                : 1;
    }
    return setup.code;
}

static struct bq_zygote *zygote;
static int ends[2];

static void begin(void)
{
    static char context[] = "context";
    const struct bq_zygote_work work = {prepare, child, context};
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    zygote = bq_zygote_create(&work, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(zygote);
}

static void finish(void)
{
    bq_zygote_destroy(zygote);
    close(ends[0]);
    close(ends[1]);
}

/* Returns the child's pid. */
static pid_t start(enum what what, int code)
{
    struct setup setup = {what, code};
    const int fds[2] = {ends[0], ends[1]};
    pid_t pid = -1;
    CU_ASSERT_EQUAL_FATAL(bq_zygote_start(zygote, fds, &setup, sizeof setup, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(read(ends[0], &pid, sizeof pid), sizeof pid);
    return pid;
}

static int await_end(int *status)
{
    struct pollfd is = {.fd = bq_zygote_fd(zygote), .events = POLLIN};
    int ended;
    while ((ended = bq_zygote_ended(zygote, status)) == 0)
        poll(&is, 1, 1000);
    return ended;
}

/* It is gone, or a zombie of somebody else's. */
static bool is_dead(pid_t pid)
{
    char path[64], line[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    bool has = f && fgets(line, sizeof line, f);
    if (f)
        fclose(f);
    const char *state = has ? strrchr(line, ')') : NULL;
    return !state || state[2] == 'Z' || state[2] == 'X';
}

static void await_death(pid_t pid)
{
    for (int i = 0; i < 1000 && !is_dead(pid); i++)
        poll(NULL, 0, 10);
    CU_ASSERT(is_dead(pid));
}

static void how_a_child_ended_is_told(void)
{
    int status;
    begin();
    CU_ASSERT_EQUAL(bq_zygote_ended(zygote, &status), 0);
    start(LEAVE_WITH, 7);
    CU_ASSERT_EQUAL(await_end(&status), 1);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    start(BE_KILLED, 0);
    CU_ASSERT_EQUAL(await_end(&status), 1);
    CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    CU_ASSERT_EQUAL(bq_zygote_ended(zygote, &status), 0);
    finish();
}

static void a_child_has_the_context_and_both_descriptors(void)
{
    int status;
    char byte = 0;
    begin();
    start(LEAVE_WITH, 0);
    CU_ASSERT_EQUAL(await_end(&status), 1);
    start(ANSWER, 0);
    CU_ASSERT_EQUAL(await_end(&status), 1);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CU_ASSERT_EQUAL(read(ends[1], &byte, 1), 1);
    CU_ASSERT_EQUAL(byte, '!');
    finish();
}

static void a_child_is_killed_when_asked(void)
{
    int status;
    begin();
    bq_zygote_kill(zygote); /* there is none */
    pid_t pid = start(WAIT_FOR_EVER, 0);
    CU_ASSERT_EQUAL(bq_zygote_ended(zygote, &status), 0);
    bq_zygote_kill(zygote);
    CU_ASSERT_EQUAL(await_end(&status), 1);
    CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    CU_ASSERT(is_dead(pid));
    finish();
}

static void with_the_zygote_its_child_ends(void)
{
    int status;
    const int fds[2] = {ends[0], ends[1]};
    begin();
    await_death(start(KILL_ZYGOTE, 0));
    CU_ASSERT_EQUAL(await_end(&status), -1);
    CU_ASSERT_EQUAL(bq_zygote_ended(zygote, &status), -1);
    bq_zygote_kill(zygote);
    struct bq_error err = {0};
    CU_ASSERT_EQUAL(bq_zygote_start(zygote, fds, &status, sizeof status, &err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "is gone"));
    finish();
}

static void with_the_program_both_end(void)
{
    int pipes[2];
    pid_t pid = -1;
    CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
    pid_t program = fork();
    if (program == 0) {
        begin();
        pid = start(WAIT_FOR_EVER, 0);
        _exit(write(pipes[1], &pid, sizeof pid) == sizeof pid && kill(getpid(), SIGKILL));
    }
    CU_ASSERT_EQUAL_FATAL(read(pipes[0], &pid, sizeof pid), sizeof pid);
    waitpid(program, NULL, 0);
    await_death(pid);
    close(pipes[0]);
    close(pipes[1]);
}

static int n_descriptors(const char *who)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/fd", who);
    DIR *folder = opendir(path);
    int n = 0;
    while (folder && readdir(folder))
        n++;
    if (folder)
        closedir(folder);
    return n;
}

static void two_hundred_children_leave_no_descriptor(void)
{
    int status, n_own = 0, n_zygote = 0;
    char who[32];
    begin();
    for (int i = 0; i < 200; i++) {
        pid_t pid = start(WAIT_FOR_EVER, 0);
        char path[64], line[256] = "";
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        FILE *f = fopen(path, "r");
        CU_ASSERT_FATAL(f && fgets(line, sizeof line, f));
        fclose(f);
        int parent = atoi(strrchr(line, ')') + 4);
        snprintf(who, sizeof who, "%d", parent);
        bq_zygote_kill(zygote);
        CU_ASSERT_EQUAL(await_end(&status), 1);
        if (i == 0) {
            n_own = n_descriptors("self");
            n_zygote = n_descriptors(who);
        }
    }
    CU_ASSERT_EQUAL(n_descriptors("self"), n_own);
    CU_ASSERT_EQUAL(n_descriptors(who), n_zygote);
    CU_ASSERT(n_zygote > 2);
    finish();
}

static void what_a_child_has_started_ends_with_it(void)
{
    int status;
    pid_t orphan = -1;
    begin();
    start(LEAVE_ORPHAN, 0);
    CU_ASSERT_EQUAL(await_end(&status), 1);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CU_ASSERT_EQUAL(read(ends[0], &orphan, sizeof orphan), sizeof orphan);
    await_death(orphan);
    start(LEAVE_WITH, 3); /* and another is as ever */
    CU_ASSERT_EQUAL(await_end(&status), 1);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    finish();
}

static const struct test tests[] = {
    {"what a child has started ends with it", what_a_child_has_started_ends_with_it},
    {"how a child ended is told", how_a_child_ended_is_told},
    {"a child has the context and both descriptors", a_child_has_the_context_and_both_descriptors},
    {"a child is killed when asked", a_child_is_killed_when_asked},
    {"with the zygote its child ends", with_the_zygote_its_child_ends},
    {"with the program both end", with_the_program_both_end},
    {"two hundred children leave no descriptor", two_hundred_children_leave_no_descriptor},
};
RUN_TESTS("zygote", tests)
