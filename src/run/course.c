#include "run/coordinator_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "adapters/affinity.h"
#include "adapters/clock.h"
#include "base/heap.h"
#include "run/outcome.h"

#define PARTING_NS 5000000000u /* for parcels that a kitchen does not take any more */

int course_send(struct course *c, uint32_t kitchen, const struct bq_message *message)
{
    unsigned char bytes[BQ_WIRE_FIXED];
    struct bq_writer w = bq_writer(bytes, sizeof bytes);
    bq_wire_put(&w, message);
    return bq_transport_send_copy(c->transport, kitchen + 1, bytes, (size_t)(w.at - bytes), c->err);
}

/* -- actions ------------------------------------------------------------------------------ */

/* Carries out what the scheduler asks for; ACCEPT and DISCARD are for whoever told DONE. */
int course_carry_out(struct course *c, uint64_t now)
{
    struct bq_action action;
    while (bq_scheduler_ask(c->scheduler, now, &action)) {
        struct bq_message m = {
            .step = c->options->number, .first = action.first, .count = action.count};
        switch (action.kind) {
        case BQ_ACTION_LEASE:
            m.kind = BQ_LEASE;
            break;
        case BQ_ACTION_REVOKE:
            m.kind = BQ_REVOKE;
            break;
        case BQ_ACTION_CLOSE:
            m.kind = BQ_CLOSE;
            break;
        case BQ_ACTION_GIVE_UP:
            if (bq_accept_nothing(c, action.first) < 0)
                return -1;
            c->last_accept = now;
            continue;
        case BQ_ACTION_ACCEPT:
        case BQ_ACTION_DISCARD:
            continue;
        }
        if (course_send(c, action.kitchen, &m) < 0)
            return -1;
    }
    return 0;
}

/* -- messages ----------------------------------------------------------------------------- */

static int on_report(struct course *c, uint32_t kitchen, struct bq_message *m)
{
    struct bq_kitchen_report *r = &c->report->kitchens[kitchen];
    if (c->with[kitchen] != WORKING)
        return 0;
    bq_free(r->cooks); /* of an earlier time that it was here */
    if (bq_wire_get_report(&m->rest, r) < 0)
        return bq_fail(c->err, BQ_EXIT_FAILED, "the report of kitchen %u cannot be read",
                       kitchen + 1);
    c->with[kitchen] = REPORTED;
    c->n_open--;
    return 0;
}

int course_handle(struct course *c, uint32_t kitchen, struct bq_message *m)
{
    uint64_t now = bq_now();
    c->n_messages++;
    if (c->with[kitchen] <= UNWILLING)
        return 0;
    struct bq_event event = {.kitchen = kitchen, .first = m->first, .count = m->count};
    switch (m->kind) {
    case BQ_RESULT:
        return bq_accept(c, kitchen, m);
    case BQ_REPORT:
        return on_report(c, kitchen, m);
    case BQ_JOIN: {
        uint64_t there_and_back = now - c->sent_at[kitchen];
        uint64_t error = there_and_back > m->time ? there_and_back - m->time : 0;
        if (c->transport->n_machines > 1 && error > c->report->clock_error_ns)
            c->report->clock_error_ns = error;
        event.kind = BQ_EVENT_JOIN;
        event.n_cooks = m->n;
        break;
    }
    case BQ_REQUEST:
        event.kind = BQ_EVENT_REQUEST;
        event.tau_ns = m->tau_ns;
        event.want = m->first;
        break;
    case BQ_DROPPED:
        event.kind = BQ_EVENT_DROPPED;
        break;
    case BQ_FAILED:
        event.kind = BQ_EVENT_FAILED;
        snprintf(c->why, sizeof c->why, "%.190s", m->text);
        c->by = m->n;
        break;
    case BQ_FETCH:
        return c->larder
                   ? bq_larder_ask(c->larder, kitchen + 1, (struct bq_part){m->first, m->n}, c->err)
                   : 0;
    case BQ_REFUSED:
        course_refused(c, kitchen, m->text);
        return 0;
    case BQ_HELLO:
    case BQ_STEP:
    case BQ_LEASE:
    case BQ_REVOKE:
    case BQ_CLOSE:
    case BQ_BYE:
    case BQ_STORED:
    case BQ_NOT_STORED:
    case BQ_FORGET:
    case BQ_START:
    case BQ_BEAT:
    case BQ_LEAVING:
    case BQ_LOST:
        return 0; /* not ours to get, or dealt with by receive_all */
    }
    bq_scheduler_tell(c->scheduler, now, &event);
    if (course_carry_out(c, now) < 0)
        return -1;
    if (m->kind == BQ_REQUEST) {
        double took = (double)(bq_now() - now) + 1000; /* and about as much in the transport */
        c->svc_ns = c->svc_ns > 0 ? c->svc_ns + (took - c->svc_ns) / 8 : took;
        bq_scheduler_tell(c->scheduler, now,
                          &(struct bq_event){.kind = BQ_EVENT_TICK, .svc_ns = c->svc_ns});
    }
    return 0;
}

static int serve_input(struct course *c)
{
    return c->larder ? bq_larder_serve(c->larder, c->transport, c->err) : 0;
}

/* No kitchen may wait for a parcel that is not sent yet, and no parcel may be under way when its
 * memory goes. */
static void end_input(struct course *c, int bell)
{
    uint64_t limit = bq_now() + PARTING_NS;
    bool is_settled = true;
    bq_larder_stop(c->larder);
    while (c->larder && !(is_settled = bq_larder_is_settled(c->larder)) && bq_now() < limit &&
           bq_transport_progress(c->transport, NULL) >= 0) {
        bq_transport_wait(c->transport, 1000000, bell);
        bq_bell_reset(bell);
    }
    if (!is_settled)
        return; /* a kitchen left without its parcels: their memory stays with the transport */
    bq_larder_destroy(c->larder);
}

/* left: the work file of an earlier run, or NULL. 1: that is of no use. */
static int create(struct course *c, const char *left, int bell)
{
    struct bq_error why = {0};
    c->n_seats = c->n_shards = c->transport->n_ranks - 1;
    struct bq_scheduler_config config = {.n_chunks = c->recipe->plan.n_chunks,
                                         .n_kitchens = c->n_seats,
                                         .n_guests = c->n_seats - c->recipe->n_kitchens,
                                         .schedule = c->recipe->schedule,
                                         .is_fed = c->recipe->is_fed,
                                         .is_resumed = c->is_resumed,
                                         .attempts = c->recipe->attempts};
    struct bq_combine combine = {
        .size = bq_recipe_result_size(c->recipe), .run = bq_merge_run, .context = &c->merge};
    c->scheduler = bq_scheduler_create(&config, c->err);
    if (!c->scheduler)
        return -1;
    c->reduction = bq_reduction_create(&combine);
    c->report->kitchens = bq_alloc(config.n_kitchens, sizeof *c->report->kitchens);
    c->report->given_up = bq_alloc(BQ_MAX_NAMED, sizeof *c->report->given_up);
    c->with = bq_alloc(config.n_kitchens, sizeof *c->with);
    c->n_crashes = bq_alloc(config.n_kitchens, sizeof *c->n_crashes);
    c->shard = bq_alloc(config.n_kitchens, sizeof *c->shard);
    c->sent_at = bq_alloc(config.n_kitchens, sizeof *c->sent_at);
    if (!c->reduction || !c->report->kitchens || !c->report->given_up || !c->with ||
        !c->n_crashes || !c->shard || !c->sent_at)
        return bq_fail(c->err, BQ_EXIT_FAILED, "out of memory");
    c->report->n_kitchens = config.n_kitchens;
    char *work = course_begin_journal(c);
    if (c->recipe->has_output)
        c->gather = left ? bq_gather_resume(c->resolved, left, &why)
                         : bq_gather_create(c->resolved, work, c->err);
    bq_free(work);
    c->resolved->output.work = NULL;
    if (c->recipe->has_output) {
        if (!c->gather && left) {
            fprintf(stderr, "banquet: what an earlier run has finished is done again: %s\n",
                    why.text);
            return 1;
        }
        if (!c->gather)
            return -1;
    }
    course_settle_journal(c);
    if (c->gather && !c->journal)
        *c->options->work_file = bq_gather_work_file(c->gather);
    if (c->recipe->has_input) {
        c->larder =
            bq_larder_create(c->recipe, c->resolved->input, c->options->number, bell, c->err);
        if (!c->larder)
            return -1;
    }
    return 0;
}

static void destroy_parts(struct course *c)
{
    bq_gather_discard(c->gather);
    bq_reduction_destroy(c->reduction);
    bq_scheduler_destroy(c->scheduler);
    bq_free(c->with);
    bq_free(c->n_crashes);
    bq_free(c->shard);
    bq_free(c->sent_at);
    c->gather = NULL;
    c->reduction = NULL;
    c->scheduler = NULL;
    c->with = NULL;
    c->n_crashes = NULL;
    c->shard = NULL;
    c->sent_at = NULL;
}

/* Seats in which nobody took part are left out. */
static void describe_kitchens(struct course *c, const struct bq_hello *hello)
{
    struct bq_report *r = c->report;
    size_t n = 0;
    for (size_t k = 0; k < r->n_kitchens; k++) {
        struct bq_kitchen_report *report = &r->kitchens[k];
        if (k < c->recipe->n_kitchens && !report->rank) { /* it was lost */
            report->rank = (uint32_t)k + 1;
            report->pid = hello[k].pid;
            snprintf(report->host, sizeof report->host, "%s", hello[k].host);
        }
        if (k < c->n_seats) {
            report->n_lost = c->n_crashes[k];
            report->is_gone = k < c->recipe->n_kitchens && hello[k].presence >= BQ_OUT;
        }
        r->bytes_in += report->bytes_in;
        r->bytes_out += report->bytes_out;
        if (report->rank)
            r->kitchens[n++] = *report;
    }
    r->n_kitchens = n;
    uint32_t n_cores = bq_greeting_cores(hello, c->recipe->n_kitchens, c->n_seats);
    r->n_cores = n_cores > r->n_cores ? n_cores : r->n_cores;
}

static void describe(struct course *c, const struct bq_hello *hello)
{
    struct bq_report *r = c->report;
    r->version = c->options->version;
    snprintf(r->job, sizeof r->job, "%s", c->options->job);
    snprintf(r->step, sizeof r->step, "%s", c->options->step_name);
    snprintf(r->kernel, sizeof r->kernel, "%s", c->options->kernel_name);
    snprintf(r->policy, sizeof r->policy, "%s", bq_policy_name(c->recipe->schedule.policy));
    snprintf(r->transport, sizeof r->transport, "%s", c->transport->ops->name);
    if (c->recipe->is_handed_over)
        snprintf(r->input, sizeof r->input, "what '%.100s' hands over",
                 c->options->input_from ? c->options->input_from : "");
    else if (c->recipe->has_input)
        snprintf(r->input, sizeof r->input, "%.300s:%.200s", c->recipe->file, c->recipe->dataset);
    if (c->recipe->output.is_scratch)
        snprintf(r->output, sizeof r->output, "handed over");
    else if (c->recipe->has_output)
        snprintf(r->output, sizeof r->output, "%.300s:%.200s", c->resolved->output.file,
                 c->resolved->output.dataset);
    r->may_wait = (c->resolved->kernel->flags & BQ_WAITS) != 0;
    r->is_simulated = (c->resolved->kernel->flags & BQ_SIMULATED) != 0;
    r->n_chunks = c->recipe->plan.n_chunks;
    r->n_machines = c->transport->n_machines;
    r->makespan_ns = c->last_accept - c->epoch;
    r->coordinator_cpu = (double)(bq_now_cpu() - c->cpu_at) / 1e9;
    r->n_messages = c->n_messages;
    r->svc_ns = c->svc_ns;
    describe_kitchens(c, hello);
}

/* -- from its beginning to its end -------------------------------------------------------- */

int course_open(struct course *c, int bell)
{
    *c->report = (struct bq_report){0};
    c->resolved->recipe.is_bound = c->options->is_bound;
    char *left = course_find_journal(c);
    int rc = create(c, left, bell);
    bq_free(left);
    if (rc > 0) {
        course_forget_journal(c);
        destroy_parts(c);
        bq_report_free(c->report);
        *c->report = (struct bq_report){0};
        rc = create(c, NULL, bell);
    }
    return rc < 0 || course_recall(c) < 0 ? -1 : course_send_all(c);
}

int course_turn(struct course *c, uint64_t *wake)
{
    *wake = UINT64_MAX;
    if (serve_input(c) < 0)
        return -1;
    course_mark(c);
    if (bq_scheduler_done(c->scheduler))
        return 0;
    if (course_carry_out(c, bq_now()) < 0)
        return -1;
    if (bq_scheduler_is_stranded(c->scheduler) && !course_is_awaited(c))
        return course_fail_stranded(c);
    *wake = bq_scheduler_wake(c->scheduler);
    return 0;
}

void course_stop(struct course *c)
{
    bq_scheduler_tell(c->scheduler, bq_now(), &(struct bq_event){.kind = BQ_EVENT_STOP});
}

bool course_is_done(const struct course *c)
{
    return bq_scheduler_done(c->scheduler) && c->n_open == 0;
}

int course_finish(struct course *c, const struct bq_hello *hello)
{
    describe(c, hello);
    if (c->resolved->input && !c->recipe->is_handed_over &&
        bq_input_check_unchanged(c->resolved->input, c->err) < 0) {
        bq_journal_remove(c->journal); /* what it has is a mixture */
        c->journal = NULL;
        return -1;
    }
    if (bq_outcome(c->report, c->reduction, &c->merge, c->err) < 0)
        return -1;
    if (!c->gather) {
        bq_journal_remove(c->journal);
        c->journal = NULL;
        return 0;
    }
    struct bq_gather *gather = c->gather;
    c->gather = NULL;
    *c->options->work_file = NULL;
    int rc = bq_gather_commit(gather, c->report, c->options->earlier, c->err);
    bq_journal_remove(c->journal); /* its work file has its name, or is gone */
    c->journal = NULL;
    return rc;
}

void course_end(struct course *c, int bell)
{
    *c->options->work_file = NULL;
    end_input(c, bell);
    if (course_leave_journal(c) && c->gather) {
        bq_gather_leave(c->gather);
        c->gather = NULL;
    }
    destroy_parts(c);
    bq_feed_destroy(c->feed);
    bq_free(c);
}
