/* Vitals: who is to blame for the end of a process, who is tried alone, who takes too long. */
#include "adapters/vitals.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit.h"
#include "no_reports.h"

static struct bq_vitals *vitals;
static struct bq_at at;
static char why[200];

/* Runs a process that is watched, from its start to its end. */
static enum bq_blame verdict_of(void (*live)(void))
{
    bq_vitals_renew(vitals);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (bq_vitals_attach(bq_vitals_fd(vitals), NULL) < 0)
            _exit(99);
        live();
        _exit(55);
    }
    int status;
    CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
    at = (struct bq_at){0};
    return bq_vitals_verdict(vitals, status, &at, why, sizeof why);
}

static void begin(void)
{
    vitals = bq_vitals_create(NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(vitals);
}

static void finish(void)
{
    bq_vitals_destroy(vitals);
}

/* -- threads of a process that is watched -------------------------------------------------- */

static pthread_barrier_t barrier;
static void (*end_of_second)(void);

static void *second(void *arg)
{
    (void)arg;
    bq_vitals_begin(2, 20, 0);
    bq_vitals_end();
    bq_vitals_begin(2, 21, 0);
    pthread_barrier_wait(&barrier);
    end_of_second();
    bq_vitals_end();
    return NULL;
}

/* The first is at chunk 10 of step 1, the second at 21 of step 2, and ends the process. */
static void two(void)
{
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    bq_vitals_begin(1, 10, 0);
    pthread_create(&thread, NULL, second, NULL);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
}

static volatile uintptr_t nowhere = 24;
static volatile int depth = 1 << 30;

static void crash(void)
{
    *(volatile int *)nowhere = 1;
}

static void leave(void)
{
    exit(3);
}

static void leave_at_once(void)
{
    _exit(4);
}

static void end_thread(void)
{
    pthread_exit(NULL);
}

static int dive(volatile char *before)
{
    volatile char here[4096];
    here[0] = before[0];
    return depth-- ? dive(here) + here[0] : 0;
}

static void overflow(void)
{
    char first = 0;
    dive(&first);
}

static void who_crashes_in_a_call_is_named(void)
{
    static const struct {
        void (*end)(void);
        const char *why;
    } is[] = {{crash, "the kernel crashed: Segmentation fault at address 0x18"},
              {abort, "the kernel crashed: Aborted"},
              {leave, "the kernel ended its process with exit code 3"},
              {end_thread, "the kernel ended its thread (pthread_exit)"},
              {overflow, "the kernel crashed: Segmentation fault at address"}};
    begin();
    for (size_t i = 0; i < sizeof is / sizeof *is; i++) {
        end_of_second = is[i].end;
        CU_ASSERT_EQUAL(verdict_of(two), BQ_BLAME_CHUNK);
        CU_ASSERT(at.step == 2 && at.chunk == 21);
        if (strncmp(why, is[i].why, strlen(is[i].why)) != 0)
            printf("\n    got '%s'\n", why);
        CU_ASSERT_EQUAL(strncmp(why, is[i].why, strlen(is[i].why)), 0);
    }
    finish();
}

static void alone_10(void)
{
    bq_vitals_begin(1, 10, 0);
    _exit(6);
}

static void killed_at(uint64_t chunk)
{
    bq_vitals_begin(1, chunk, 0);
    kill(getpid(), SIGKILL);
    pause();
}

static void killed_at_11(void)
{
    killed_at(11);
}

/* As from outside: then 10 is cooked again, and then something kills in 11. */
static void killed_after_10(void)
{
    bq_vitals_begin(1, 10, 0);
    bq_vitals_end();
    bq_vitals_survived(1, 10);
    killed_at(11);
}

/* It was only one of the calls for 10. */
static void killed_between_calls(void)
{
    bq_vitals_begin(1, 10, 0);
    bq_vitals_end();
    killed_at(11);
}

static void who_is_alone_twice_is_named_without_last_words(void)
{
    begin();
    CU_ASSERT_EQUAL(verdict_of(alone_10), BQ_BLAME_SUSPECTS);
    for (int i = 0; i < 3; i++) { /* each attempt */
        CU_ASSERT_EQUAL(verdict_of(alone_10), BQ_BLAME_CHUNK);
        CU_ASSERT(at.step == 1 && at.chunk == 10);
        CHECK_TEXT(why, "the kernel ended its process with exit code 6");
    }
    finish();
}

static void who_is_killed_from_outside_once_is_not_to_blame(void)
{
    begin();
    CU_ASSERT_EQUAL(verdict_of(alone_10), BQ_BLAME_SUSPECTS);
    CU_ASSERT_EQUAL(verdict_of(killed_after_10), BQ_BLAME_SUSPECTS);
    CU_ASSERT_EQUAL(verdict_of(alone_10), BQ_BLAME_SUSPECTS); /* it had been cleared */
    CU_ASSERT_EQUAL(verdict_of(killed_between_calls), BQ_BLAME_CHUNK);
    CU_ASSERT_EQUAL(at.chunk, 11);
    CU_ASSERT_EQUAL(verdict_of(alone_10), BQ_BLAME_CHUNK); /* not cleared by one of its calls */
    CU_ASSERT_EQUAL(verdict_of(killed_at_11), BQ_BLAME_CHUNK);
    finish();
}

static void combine_crashes(void)
{
    bq_vitals_begin(1, 10, 0);
    bq_vitals_end();
    bq_vitals_doing("combine");
    crash();
}

static void outside_of_a_call_no_chunk_is_named(void)
{
    begin();
    CU_ASSERT_EQUAL(verdict_of(combine_crashes), BQ_BLAME_BETWEEN);
    CHECK_TEXT(why, "the kernel crashed in its combine: Segmentation fault at address 0x18");
    CU_ASSERT_EQUAL(verdict_of(crash), BQ_BLAME_BETWEEN); /* the manager's thread */
    CHECK_TEXT(why, "the kernel crashed outside of any chunk: Segmentation fault at address 0x18");
    CU_ASSERT_EQUAL(verdict_of(leave_at_once), BQ_BLAME_NOBODY);
    finish();
}

static void fork_and_leave(void)
{
    bq_vitals_begin(1, 10, 0);
    pid_t pid = fork();
    if (pid == 0)
        exit(1);
    waitpid(pid, NULL, 0);
    bq_vitals_end();
    bq_vitals_begin(1, 11, 0);
    crash();
}

static void a_process_that_the_kernel_forks_has_no_last_words(void)
{
    begin();
    CU_ASSERT_EQUAL(verdict_of(fork_and_leave), BQ_BLAME_CHUNK);
    CU_ASSERT_EQUAL(at.chunk, 11);
    finish();
}

/* -- suspects ----------------------------------------------------------------------------- */

static void *try_10(void *arg)
{
    bq_vitals_begin(1, 10, 0);
    if (arg)
        _exit(4);
    bq_vitals_end();
    return NULL;
}

/* One that nobody suspects is at work; the suspect waits for its end, and then is alone. */
static void try_suspect(void)
{
    pthread_t thread;
    bq_vitals_begin(1, 5, 0);
    pthread_create(&thread, NULL, try_10, &barrier);
    usleep(20000); /* it would have ended the process */
    bq_vitals_end();
    pthread_join(thread, NULL);
}

static void suspects_are_tried_alone(void)
{
    begin();
    end_of_second = leave_at_once;
    CU_ASSERT_EQUAL(verdict_of(two), BQ_BLAME_SUSPECTS);
    CHECK_TEXT(why, "the kernel ended its process with exit code 4");
    CU_ASSERT_EQUAL(verdict_of(try_suspect), BQ_BLAME_CHUNK);
    CU_ASSERT(at.step == 1 && at.chunk == 10);
    finish();
}

static void *be_at(void *arg)
{
    bq_vitals_begin(7, (uint64_t)(uintptr_t)arg, 0);
    pthread_barrier_wait(&barrier);
    pause();
    return NULL;
}

static void five_hundred(void)
{
    pthread_t thread;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 65536);
    pthread_barrier_init(&barrier, NULL, 501);
    for (uintptr_t i = 0; i < 500; i++)
        pthread_create(&thread, &attr, be_at, (void *)i);
    pthread_barrier_wait(&barrier);
    _exit(4);
}

static void more_suspects_than_there_is_room_for_do_no_harm(void)
{
    begin();
    CU_ASSERT_EQUAL(verdict_of(five_hundred), BQ_BLAME_SUSPECTS);
    CU_ASSERT_EQUAL(verdict_of(alone_10), BQ_BLAME_SUSPECTS);
    CU_ASSERT_EQUAL(verdict_of(alone_10), BQ_BLAME_CHUNK);
    finish();
}

static void *part_of_10(void *arg)
{
    (void)arg;
    bq_vitals_begin(1, 10, 0);
    pthread_barrier_wait(&barrier); /* all parts are in the call at once */
    bq_vitals_end();
    return NULL;
}

static void team_at_10(void)
{
    pthread_t part[3];
    pthread_barrier_init(&barrier, NULL, 3);
    for (int i = 0; i < 3; i++)
        pthread_create(&part[i], NULL, part_of_10, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(part[i], NULL);
    bq_vitals_survived(1, 10);
    _exit(0);
}

static void parts_of_a_team_are_alone_together(void)
{
    begin();
    CU_ASSERT_EQUAL(verdict_of(alone_10), BQ_BLAME_SUSPECTS);
    CU_ASSERT_EQUAL(verdict_of(team_at_10), BQ_BLAME_NOBODY); /* it does not hang */
    CU_ASSERT_EQUAL(verdict_of(alone_10), BQ_BLAME_SUSPECTS);
    finish();
}

/* Four threads, chunks 8 to 71, of which 10 and 21 are suspects: while one is in a call, nobody is
 * beside it; when both have survived, there is no gate any more. */
static atomic_int n_here, n_wrong;

static void *cook_some(void *arg)
{
    for (uint64_t chunk = 8 + (uint64_t)(uintptr_t)arg; chunk < 72; chunk += 4) {
        uint32_t step = chunk == 21 ? 2 : 1;
        bool is_alone = chunk == 10 || chunk == 21;
        bq_vitals_begin(step, chunk, 0);
        int n = atomic_fetch_add(&n_here, is_alone ? 100 : 1);
        sched_yield();
        if (is_alone ? n != 0 : n >= 100)
            atomic_fetch_add(&n_wrong, 1);
        atomic_fetch_sub(&n_here, is_alone ? 100 : 1);
        bq_vitals_end();
        bq_vitals_survived(step, chunk);
    }
    return NULL;
}

static void all_cook(void)
{
    pthread_t thread[4];
    for (uintptr_t i = 0; i < 4; i++)
        pthread_create(&thread[i], NULL, cook_some, (void *)i);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    _exit(atomic_load(&n_wrong) ? 8 : 9);
}

static void who_survives_is_no_suspect_any_more(void)
{
    begin();
    end_of_second = leave_at_once;
    CU_ASSERT_EQUAL(verdict_of(two), BQ_BLAME_SUSPECTS);
    CU_ASSERT_EQUAL(verdict_of(all_cook), BQ_BLAME_NOBODY);
    CHECK_TEXT(why, "the kernel ended its process with exit code 9");
    CU_ASSERT_EQUAL(verdict_of(two), BQ_BLAME_SUSPECTS); /* again, both */
    finish();
}

/* -- a program that nobody watches --------------------------------------------------------- */

static void a_program_of_its_own_ignores_broken_pipes_if_it_did(void)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGPIPE, SIG_IGN);
        bq_vitals_alone(NULL);
        raise(SIGPIPE);
        _exit(signal(SIGPIPE, SIG_DFL) == SIG_IGN ? 0 : 1);
    }
    CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
    CU_ASSERT_EQUAL(status, 0);
}

/* -- deadlines ---------------------------------------------------------------------------- */

static void who_takes_too_long_is_told_by_the_clock_of_who_looks(void)
{
    int told[2], go[2];
    char byte;
    begin();
    bq_vitals_renew(vitals);
    CU_ASSERT_EQUAL_FATAL(pipe(told) | pipe(go), 0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        bool is_fine = bq_vitals_attach(bq_vitals_fd(vitals), NULL) == 0;
        for (uint64_t chunk = 40; is_fine && chunk < 43; chunk++) { /* 40 has no deadline */
            bq_vitals_begin(3, chunk, chunk == 40 ? 0 : 1000);
            is_fine = write(told[1], "", 1) == 1 && read(go[0], &byte, 1) == 1;
            bq_vitals_end();
        }
        _exit(0);
    }
    for (uint64_t chunk = 40, now = 5000; chunk < 43; chunk++, now += 5000) {
        CU_ASSERT_EQUAL_FATAL(read(told[0], &byte, 1), 1);
        CU_ASSERT_EQUAL(bq_vitals_overdue(vitals, now, &at), 0); /* seen for the first time */
        CU_ASSERT_EQUAL(bq_vitals_overdue(vitals, now + 1000, &at), 0);
        CU_ASSERT_EQUAL(bq_vitals_overdue(vitals, now + 1001, &at), chunk == 40 ? 0 : 1000);
        if (chunk > 40)
            CU_ASSERT(at.step == 3 && at.chunk == chunk);
        CU_ASSERT_EQUAL(write(go[1], "", 1), 1);
    }
    waitpid(pid, NULL, 0);
    CU_ASSERT_EQUAL(bq_vitals_overdue(vitals, 1000000, &at), 0);
    for (int i = 0; i < 2; i++) {
        close(told[i]);
        close(go[i]);
    }
    finish();
}

static void where_nobody_watches_nothing_happens(void)
{
    bq_vitals_begin(1, 1, 1);
    bq_vitals_doing("combine");
    bq_vitals_doing(NULL);
    bq_vitals_end();
    bq_vitals_end();
}

static const struct test tests[] = {
    {"who crashes in a call is named", who_crashes_in_a_call_is_named},
    {"who is alone twice is named without last words",
     who_is_alone_twice_is_named_without_last_words},
    {"who is killed from outside once is not to blame",
     who_is_killed_from_outside_once_is_not_to_blame},
    {"outside of a call no chunk is named", outside_of_a_call_no_chunk_is_named},
    {"a process that the kernel forks has no last words",
     a_process_that_the_kernel_forks_has_no_last_words},
    {"suspects are tried alone", suspects_are_tried_alone},
    {"more suspects than there is room for do no harm",
     more_suspects_than_there_is_room_for_do_no_harm},
    {"parts of a team are alone together", parts_of_a_team_are_alone_together},
    {"who survives is no suspect any more", who_survives_is_no_suspect_any_more},
    {"a program of its own ignores broken pipes if it did",
     a_program_of_its_own_ignores_broken_pipes_if_it_did},
    {"who takes too long is told by the clock of who looks",
     who_takes_too_long_is_told_by_the_clock_of_who_looks},
    {"where nobody watches nothing happens", where_nobody_watches_nothing_happens},
};
RUN_TESTS("vitals", tests)
