#include "run/session.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapters/affinity.h"
#include "adapters/clock.h"
#include "adapters/transport_guests.h"
#include "adapters/vitals.h"
#include "base/heap.h"
#include "core/wire.h"
#include "run/coordinator.h"
#include "run/outcome.h"
#include "run/porter.h"
#include "run/resume.h"
#include "run/steps.h"

#define SILENCE_NS UINT64_C(20000000000)

struct bq_session {
    const struct bq_registry *registry;
    struct bq_transport *transport; /* the coordinator's, or this kitchen's */
    struct bq_transport *mpi;       /* of a world of one rank: kept to be finalized */
    struct bq_hello *hello;
    uint32_t n_kitchens; /* without guests */
    bool is_greeted;
    uint64_t silence_ns;
    bool is_wide;             /* the door can be reached from other machines */
    struct bq_zygote *zygote; /* NULL: none could be had */
    bool is_abrupt;           /* it was stopped, and kitchens are still at work */
    uint32_t step;
    /* the kitchen in this process */
    bool has_thread;
    pthread_t thread;
    struct bq_transport *kitchen_end;
    struct bq_error kitchen_error;
};

/* For the signal handler: whether it was asked to stop, when, and the files to remove if it is
 * asked again. A handler can reach nothing else. The coordinator looks at stop_asked between
 * messages. Atomic, and not sig_atomic_t, because the handler may run in any thread. */
static atomic_int stop_asked;
static _Atomic uint64_t stop_asked_at;
static _Atomic(const char *) work_files[BQ_MAX_STEPS]; /* of steps that are under way */
static _Atomic(const char *) door_file;

static void remove_work_files(void)
{
    for (int i = 0; i < BQ_MAX_STEPS; i++) {
        const char *file = work_files[i];
        if (file)
            unlink(file);
    }
}

static void on_signal(int signal)
{
    uint64_t now = bq_now();
    if (!stop_asked) {
        stop_asked_at = now;
        stop_asked = 1;
    } else if (now - stop_asked_at > 1000000000u) { /* launchers and timeout signal twice at once */
        remove_work_files();
        const char *door = door_file;
        if (door)
            unlink(door);
        _Exit(128 + signal);
    }
}

/* Asked to do no more than what is begun: a kitchen's rank. */
static atomic_int leave_asked;

static void on_leave(int signal)
{
    (void)signal;
    leave_asked = 1;
}

static void *kitchen_main(void *arg)
{
    struct bq_session *s = arg;
    bq_porter(s->kitchen_end, s->registry, s->zygote, &leave_asked, &s->kitchen_error);
    return NULL;
}

static int start_local(struct bq_session *s, struct bq_error *err)
{
    struct bq_transport *ends[2];
    if (bq_transport_local(ends, err) < 0)
        return -1;
    s->transport = ends[0];
    s->kitchen_end = ends[1];
    if (pthread_create(&s->thread, NULL, kitchen_main, s))
        return bq_fail(err, BQ_EXIT_FAILED, "the system allows no more threads (ulimit -u)");
    s->has_thread = true;
    return 0;
}

/* Copies that do not know of each other would all write the same output. */
static void fail_alone(struct bq_error *err)
{
    bq_fail(err, BQ_EXIT_USAGE,
            "%ld copies were started, but each is alone: srun needs --mpi=pmix, or the launcher "
            "belongs to another MPI",
            bq_mpi_expected_ranks());
}

struct bq_session *bq_session_create(const struct bq_registry *registry, struct bq_error *err)
{
    struct bq_session *s = bq_alloc(1, sizeof *s);
    if (!s) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return NULL;
    }
    s->registry = registry;
    s->silence_ns = SILENCE_NS;
    struct bq_error why = {0};
    if (!bq_mpi_is_launched())
        bq_affinity_cores_only(); /* before the zygote: its children are not under MPI either */
    s->zygote = bq_porter_zygote(registry, &why);
    if (bq_mpi_is_launched()) {
        s->mpi = bq_transport_mpi(err);
        if (!s->mpi)
            goto failed;
        if (s->mpi->n_ranks == 1 && bq_mpi_expected_ranks() > 1) {
            fail_alone(err);
            goto failed;
        }
        if (s->mpi->n_ranks > 1) {
            s->transport = s->mpi;
            s->mpi = NULL;
        }
    }
    if (!bq_mpi_is_launched() && bq_mpi_expected_ranks() > 1) {
        fail_alone(err);
        goto failed;
    }
    if (!s->transport && start_local(s, err) < 0)
        goto failed;
    s->hello = bq_alloc(s->transport->n_ranks, sizeof *s->hello);
    s->n_kitchens = s->transport->n_ranks - 1;
    if (s->hello)
        return s;
    bq_fail(err, BQ_EXIT_FAILED, "out of memory");
failed:
    bq_session_destroy(s);
    return NULL;
}

bool bq_session_is_coordinator(const struct bq_session *s)
{
    return s->transport->rank == 0;
}

uint32_t bq_session_n_kitchens(const struct bq_session *s)
{
    return s->n_kitchens;
}

int bq_session_serve(struct bq_session *s, struct bq_error *err)
{
    /* The launcher passes signals on to all; when to stop, the coordinator decides. Signals to this
     * rank alone let it finish what it has begun. */
    struct sigaction leave = {.sa_handler = on_leave, .sa_flags = SA_RESTART};
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    bq_vitals_alone(NULL);
    sigaction(SIGTERM, &leave, NULL);
    sigaction(SIGUSR2, &leave, NULL);
    return bq_porter(s->transport, s->registry, s->zygote, &leave_asked, err) < 0 ? BQ_EXIT_FAILED
                                                                                  : BQ_EXIT_OK;
}

/* A step that is under way. */
struct under_way {
    bool is_used;
    struct bq_resolved resolved;
    struct bq_step_options options;
    const struct bq_report *report;
    struct bq_step_journal journal;
    char *journal_path; /* NULL: none is kept */
};

/* What is the same for all steps of a job. */
struct session_run {
    struct bq_session *session;
    const struct bq_job *job;
    const struct bq_session_options *options;
    struct bq_coordinator *coordinator; /* from the first step on */
    struct under_way *steps;            /* BQ_MAX_STEPS */
    bool is_partial;
    bool has_left; /* of a step that was under way, what is finished stays */
    struct bq_resume *resume;
};

static int greet(struct session_run *run, struct bq_error *err)
{
    struct bq_session *s = run->session;
    const struct bq_greeting greeting = {
        .stop = &stop_asked,
        .isolates = bq_job_isolates(run->job),
        .silence_ns = run->options->silence_ns ? run->options->silence_ns : SILENCE_NS};
    if (run->coordinator)
        return 0;
    s->silence_ns = greeting.silence_ns;
    if (!s->is_greeted && bq_greet(s->transport, s->hello, &greeting, err) < 0)
        return -1;
    s->is_greeted = true;
    struct bq_coordinator_options options = {.transport = s->transport,
                                             .hello = s->hello,
                                             .silence_ns = s->silence_ns,
                                             .isolates = bq_job_isolates(run->job),
                                             .stop = &stop_asked,
                                             .grace_ns = (uint64_t)(run->options->grace_s * 1e9),
                                             .is_abrupt = &s->is_abrupt,
                                             .is_terminal = run->options->is_terminal,
                                             .is_quiet = run->options->is_quiet};
    run->coordinator = bq_coordinator_create(&options, err);
    return run->coordinator ? 0 : -1;
}

/* What other steps take from this one must be among its results. */
static int check_names(const struct bq_begin *begin, const struct bq_resolved *resolved,
                       struct bq_error *err)
{
    const struct bq_merge merge = {.recipe = &resolved->recipe, .kernel = resolved->kernel};
    struct bq_report names = {0};
    int rc = bq_outcome_names(&names, &merge, err);
    if (rc == 0)
        rc = begin->expect(begin->context, begin->ticket, &names, err);
    bq_report_free(&names);
    return rc;
}

static struct bq_step_journal *journal_of(struct session_run *run, struct under_way *u,
                                          size_t index)
{
    u->journal_path = bq_resume_journal(run->resume, index);
    u->journal = (struct bq_step_journal){.path = u->journal_path,
                                          .of = run->resume ? bq_resume_of(run->resume) : NULL,
                                          .step = (uint32_t)index,
                                          .every_s = run->options->checkpoint_s,
                                          .is_fresh = run->options->is_fresh};
    return u->journal_path ? &u->journal : NULL;
}

static int begin_step(void *context, const struct bq_begin *begin, struct bq_layout *made,
                      struct bq_error *err)
{
    struct session_run *run = context;
    const struct bq_session_options *o = run->options;
    const struct bq_step *step = begin->step;
    struct under_way *u = &run->steps[begin->ticket];
    uint32_t n = bq_session_n_kitchens(run->session);
    uint32_t feeder = begin->feeder < 0 ? 0 : run->steps[begin->feeder].options.number;
    if (o->max_kitchens && o->max_kitchens < n)
        n = o->max_kitchens;
    bool may_replace = o->force || bq_resume_has_output(run->resume, begin->index);
    if (bq_resolve(&u->resolved, run->job, step, n, may_replace, err) < 0)
        return -1;
    bq_resume_begin(run->resume);
    if (feeder && !bq_coordinator_can_feed(run->coordinator, feeder, &u->resolved.recipe)) {
        bq_resolved_close(&u->resolved);
        return 1;
    }
    u->is_used = true;
    u->report = begin->report;
    if (begin->expect && check_names(begin, &u->resolved, err) < 0)
        return -1;
    u->options =
        (struct bq_step_options){.number = ++run->session->step,
                                 .version = o->version,
                                 .job = run->job->file ? run->job->file : "make",
                                 .step_name = step->name,
                                 .kernel_name = step->made_by ? step->made_by : step->kernel->name,
                                 .earlier = begin->earlier,
                                 .is_bound = o->is_bound,
                                 .feeder = feeder,
                                 .input_from = step->from,
                                 .journal = journal_of(run, u, begin->index),
                                 .work_file = &work_files[begin->ticket]};
    if (greet(run, err) < 0 ||
        bq_coordinator_begin(run->coordinator, &u->resolved, &u->options, begin->report, err) < 0)
        return -1;
    if (u->resolved.recipe.has_output && !u->resolved.recipe.output.is_scratch)
        bq_resume_note(run->resume, u->resolved.recipe.output.work);
    *made = u->resolved.recipe.output.layout;
    return 0;
}

static void end_step(struct session_run *run, struct under_way *u)
{
    run->has_left |= u->journal_path && u->journal.is_left;
    bq_free(u->journal_path);
    u->journal_path = NULL;
    bq_resolved_close(&u->resolved);
    u->is_used = false;
}

static int wait_for_step(void *context, unsigned *ticket, struct bq_error *err)
{
    struct session_run *run = context;
    uint32_t number;
    if (bq_coordinator_wait(run->coordinator, &number, err) < 0)
        return -1;
    for (*ticket = 0; !run->steps[*ticket].is_used || run->steps[*ticket].options.number != number;)
        ++*ticket;
    run->is_partial |= run->steps[*ticket].report->n_given_up_total > 0;
    end_step(run, &run->steps[*ticket]);
    return 0;
}

static int forget_step(void *context, unsigned comes_again, struct bq_error *err)
{
    struct session_run *run = context;
    return bq_coordinator_forget(run->coordinator, comes_again, err);
}

static void note_scratch(void *context, const char *folder)
{
    struct session_run *run = context;
    bq_resume_note(run->resume, folder);
}

static bool is_due(void *context, bool has_published)
{
    struct session_run *run = context;
    return bq_resume_is_due(run->resume, has_published);
}

static void save(void *context, struct bq_checkpoint *checkpoint,
                 const char *const states[BQ_MAX_STEPS])
{
    struct session_run *run = context;
    bq_resume_save(run->resume, checkpoint, states);
}

static char *state_path(void *context, size_t step)
{
    struct session_run *run = context;
    return bq_resume_state(run->resume, step);
}

/* What an earlier run gave up is missing in this one, too. */
static void look_at_past(struct session_run *run)
{
    const struct bq_checkpoint *past = bq_resume_found(run->resume);
    size_t n_done = 0;
    for (size_t i = 0; past && i < past->n_steps; i++) {
        run->is_partial |= past->steps[i].n_given_up_total > 0;
        n_done += past->steps[i].is_done;
    }
    if (!past || run->options->is_quiet)
        return;
    fprintf(stderr, "resuming: %zu of %zu steps are done", n_done, past->n_steps);
    for (size_t l = 0; l < run->job->n_loops; l++) {
        const struct bq_loop *loop = &run->job->loops[l];
        if (past->round[loop->first])
            fprintf(stderr, "; '%s' has %llu rounds", loop->name,
                    (unsigned long long)past->round[loop->first]);
    }
    fprintf(stderr, "\n");
}

static void say_saved(struct bq_error *err)
{
    const struct bq_error why = *err;
    bq_fail(err, why.exit, "%.500s; the same command goes on from what is finished", why.text);
}

static void abandon_steps(void *context)
{
    struct session_run *run = context;
    for (size_t i = 0; run->coordinator && i < run->job->n_steps; i++) /* nobody rests for it */
        bq_coordinator_forget(run->coordinator, (uint32_t)i + 1, NULL);
    bq_coordinator_destroy(run->coordinator);
    run->coordinator = NULL;
    for (unsigned t = 0; t < BQ_MAX_STEPS; t++) {
        if (run->steps[t].is_used)
            end_step(run, &run->steps[t]);
    }
}

/* From now on, guests may come. */
static int open_door(struct bq_session *s, const struct bq_session_options *options,
                     struct bq_error *err)
{
    uint32_t n = s->n_kitchens + BQ_SEATS;
    struct bq_hello *hello = bq_alloc(n + 1, sizeof *hello);
    struct bq_door *door =
        hello ? bq_door_open(options->door, options->door_address, BQ_WIRE_VERSION, err) : NULL;
    struct bq_transport *t = door ? bq_transport_guests(s->transport, door, err) : NULL;
    if (!t) {
        bq_door_destroy(door);
        bq_free(hello);
        return hello ? -1 : bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    }
    bq_hello_seats(hello, s->n_kitchens, n);
    bq_free(s->hello);
    s->hello = hello;
    s->transport = t;
    s->is_wide = bq_door_is_wide(door);
    door_file = bq_door_path(door);
    return 0;
}

int bq_session_run(struct bq_session *s, const struct bq_job *job,
                   const struct bq_session_options *options,
                   int (*done)(void *context, struct bq_report *report, struct bq_error *err),
                   void *context, struct bq_error *err)
{
    struct session_run run = {.session = s, .job = job, .options = options};
    bq_vitals_alone(remove_work_files);
    if (options->door && open_door(s, options, err) < 0)
        return (int)err->exit;
    struct bq_steps_driver driver = {.begin = begin_step,
                                     .wait = wait_for_step,
                                     .forget = forget_step,
                                     .scratch = note_scratch,
                                     .is_due = is_due,
                                     .save = save,
                                     .state = state_path,
                                     .abandon = abandon_steps,
                                     .at_once = options->at_once,
                                     .run_context = &run,
                                     .done = done,
                                     .done_context = context,
                                     .copy = bq_registry_find(s->registry, "copy"),
                                     .is_one_machine =
                                         s->transport->n_machines == 1 && !s->is_wide};
    struct sigaction action = {.sa_handler = on_signal}, old_int, old_term, old_hup, old_usr1;
    run.steps = bq_alloc(BQ_MAX_STEPS, sizeof *run.steps);
    if (!run.steps) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return BQ_EXIT_FAILED;
    }
    struct bq_resume_options resume = {.version = options->version,
                                       .every_s = options->checkpoint_s,
                                       .is_fresh = options->is_fresh};
    if (options->is_resumable && !(run.resume = bq_resume_open(job, &resume, err))) {
        bq_free(run.steps);
        return (int)err->exit;
    }
    driver.past = bq_resume_found(run.resume);
    look_at_past(&run);
    stop_asked = 0;
    sigaction(SIGINT, &action, &old_int);
    sigaction(SIGTERM, &action, &old_term);
    sigaction(SIGUSR1, &action, &old_usr1); /* of a batch system whose time is nearly over */
    sigaction(SIGHUP, &action, &old_hup);
    if (old_hup.sa_handler == SIG_IGN) /* nohup: the run shall outlive the terminal */
        sigaction(SIGHUP, &old_hup, NULL);
    int rc = bq_job_has_parts(job) ? bq_resolve_check(job, options->force, run.resume, err) : 0;
    if (rc == 0)
        rc = bq_steps_run(job, &driver, err);
    if (rc >= 0)
        bq_resume_finish(run.resume);
    else if (run.has_left || (err->exit == BQ_EXIT_STOPPED && bq_resume_is_saved(run.resume)))
        say_saved(err);
    bq_resume_close(run.resume);
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGTERM, &old_term, NULL);
    sigaction(SIGUSR1, &old_usr1, NULL);
    sigaction(SIGHUP, &old_hup, NULL);
    bq_coordinator_destroy(run.coordinator);
    bq_free(run.steps);
    if (rc < 0)
        return err->exit ? (int)err->exit : BQ_EXIT_FAILED;
    return rc > 0 || run.is_partial ? BQ_EXIT_PARTIAL : BQ_EXIT_OK;
}

void bq_session_destroy(struct bq_session *s)
{
    if (!s)
        return;
    if (s->is_abrupt) {
        fflush(NULL);
        _exit(BQ_EXIT_STOPPED);
    }
    if (s->transport && s->hello && s->transport->rank == 0 && (s->has_thread || !s->kitchen_end))
        bq_bye(s->transport, s->hello, s->silence_ns, BQ_EXIT_OK);
    if (s->has_thread)
        pthread_join(s->thread, NULL);
    door_file = NULL;
    bq_transport_destroy(s->transport);
    bq_transport_destroy(s->kitchen_end);
    bq_transport_destroy(s->mpi);
    bq_zygote_destroy(s->zygote);
    bq_free(s->hello);
    bq_free(s);
}
