/* A kernel that crashes in every way, for cli_crashes.sh: inverts bytes, sums them, counts rounds.
 */
#define _GNU_SOURCE
#include <banquet/kernel.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MODE, AT, EVERY, ROUND, WHEN, SLOW, N_PARAMS };
static const struct bq_param params[N_PARAMS] = {
    [MODE] = {"mode", BQ_TEXT, {.text = "none"}, 0, 0, "", "how"},
    [AT] = {"at", BQ_INT, {.i = -1}, -1, 1000000, "", "the chunk that is to blame"},
    [EVERY] = {"every", BQ_INT, {.i = 0}, 0, 1000000, "", "every so many chunks, the third first"},
    [ROUND] = {"round", BQ_INT, {.i = 1}, 0, 1000, "", "of a loop: next: {round: NAME.round}"},
    [WHEN] = {"when", BQ_INT, {.i = 0}, 0, 1000, "", "only in this round; 0: always"},
    [SLOW] = {"slow", BQ_INT, {.i = 0}, 0, 1000, "ms", "each call sleeps first"},
};

struct acc {
    uint64_t sum, n;
};

static volatile int has_cooked; /* by which the coordinator's process is told from a kitchen's */

static int deep(volatile char *before)
{
    volatile char here[4096];
    here[0] = before[0];
    return deep(here) + here[0];
}

static void *segv(void *arg)
{
    *(volatile int *)arg = 1;
    return NULL;
}

static void bus(void)
{
    int fd = memfd_create("bus", 0);
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    *(volatile char *)page = 1;
}

static void leak(void)
{
    for (;;) {
        char *more = malloc(1 << 20); /* nobody looks whether there was some */
        *(volatile char *)more = 1;
    }
}

static void crash(const char *mode)
{
    pthread_t thread;
    volatile int zero = 0;
    if (!strcmp(mode, "segv"))
        segv((void *)24);
    else if (!strcmp(mode, "bus"))
        bus();
    else if (!strcmp(mode, "fpe"))
        zero = 1 / zero, raise(SIGFPE);
    else if (!strcmp(mode, "ill"))
        __builtin_trap();
    else if (!strcmp(mode, "abort"))
        abort();
    else if (!strcmp(mode, "exit0"))
        exit(0);
    else if (!strcmp(mode, "exit7"))
        exit(7);
    else if (!strcmp(mode, "_exit"))
        _exit(5);
    else if (!strcmp(mode, "kill"))
        kill(getpid(), SIGKILL);
    else if (!strcmp(mode, "stack"))
        deep((volatile char *)mode);
    else if (!strcmp(mode, "loop"))
        for (;;)
            ;
    else if (!strcmp(mode, "thread")) /* of its own */
        pthread_create(&thread, NULL, segv, (void *)24), pause();
    else if (!strcmp(mode, "leave"))
        pthread_exit(NULL);
    else if (!strcmp(mode, "pipe")) {
        int ends[2];
        (void)!pipe(ends);
        close(ends[0]);
        (void)!write(ends[1], "", 1);
    } else if (!strcmp(mode, "close")) { /* everything, the porter's connection too */
        for (int fd = 3; fd < 1024; fd++)
            close(fd);
    } else if (!strcmp(mode, "leak"))
        leak();
}

/* What a kernel may do, and is not to be blamed for. */
static void be_odd(void)
{
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        exit(1);
    }
    waitpid(child, NULL, 0);
    (void)!system("exit 3");
}

static bool is_here(const struct bq_call *call)
{
    const union bq_value *p = call->params;
    int64_t chunk = (int64_t)call->chunk;
    bool is = chunk == p[AT].i || (p[EVERY].i && chunk % p[EVERY].i == 3);
    return is && (p[WHEN].i == 0 || p[WHEN].i == p[ROUND].i);
}

static enum bq_answer cook(struct bq_call *call)
{
    const unsigned char *in = call->in->data;
    unsigned char *out = call->out->data;
    struct acc *acc = call->acc;
    uint64_t from = call->out->n * call->part / call->n_parts;
    uint64_t to = call->out->n * (call->part + 1) / call->n_parts;
    has_cooked = 1;
    if (call->params[SLOW].i)
        usleep((useconds_t)call->params[SLOW].i * 1000);
    for (uint64_t i = from; out && i < to; i++)
        out[i] = 255 - in[i];
    if (!strcmp(call->params[MODE].text, "odd") && is_here(call))
        be_odd();
    else if (is_here(call))
        crash(call->params[MODE].text);
    for (uint64_t i = from; acc && i < to; i++)
        acc->sum += 255 - in[i];
    if (acc)
        acc->n++;
    return BQ_DONE;
}

/* Waits, and crashes when it is called again. */
static enum bq_answer cook_waiting(struct bq_call *call)
{
    if (call->stage == 0) {
        call->wait_ns = 2000000;
        return BQ_WAIT;
    }
    return cook(call);
}

static int prepare(struct bq_setup *setup)
{
    if (!strcmp(setup->params[MODE].text, "prepare"))
        abort();
    setup->acc_size = sizeof(struct acc);
    return 0;
}

static int prepare_map(struct bq_setup *setup)
{
    (void)setup;
    return 0;
}

static void combine(const union bq_value *p, void *into, const void *next)
{
    struct acc *a = into;
    const struct acc *b = next;
    if (!strcmp(p[MODE].text, "combine") && has_cooked)
        segv((void *)24);
    if (!strcmp(p[MODE].text, "combine0") && !has_cooked)
        abort();
    a->sum += b->sum;
    a->n += b->n;
}

static void present(const union bq_value *p, const void *acc, struct bq_sink *sink)
{
    const struct acc *a = acc;
    sink->integer(sink, "sum", a->sum);
    sink->integer(sink, "n", a->n);
    sink->integer(sink, "round", (uint64_t)p[ROUND].i + 1);
}

#define KERNEL(NAME, FLAGS, PREPARE, COOK)                                                         \
    BQ_KERNEL(NAME) = {.abi = BQ_KERNEL_ABI,                                                       \
                       .name = #NAME,                                                              \
                       .summary = "crashes",                                                       \
                       .params = params,                                                           \
                       .n_params = N_PARAMS,                                                       \
                       .flags = BQ_READS | BQ_WRITES | (FLAGS),                                    \
                       .prepare = (PREPARE),                                                       \
                       .cook = (COOK),                                                             \
                       .combine = combine,                                                         \
                       .present = present}
KERNEL(bad, 0, prepare, cook);
KERNEL(shared, BQ_DIVISIBLE, prepare_map, cook);
KERNEL(patient, BQ_WAITS, prepare, cook_waiting);
