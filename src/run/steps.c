/* Steps and loops: what is carried out when. One machine of states (node.state). */
#include "run/steps_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "core/step.h"

/* -- nodes -------------------------------------------------------------------------------- */

/* The place of what was finished, and no more memory for the turn. */
static int end_turn(struct steps *s, struct node *node, struct bq_error *err)
{
    const struct bq_step *given = &s->job->steps[node->turn.i];
    int rc = bq_keep_place(&s->kept[node->turn.i], &node->step.output, err);
    if (node->step.output.file != given->output.file) {
        bq_free(node->step.output.file);
        bq_free(node->step.output.dataset);
    }
    for (size_t p = 0; p < BQ_MAX_PARAMS; p++)
        bq_free(node->step.owned[p]);
    node->step = (struct bq_step){0};
    return rc;
}

static unsigned beside(const struct bq_job *job, const struct bq_graph *graph, size_t i,
                       unsigned at_once)
{
    unsigned n = bq_graph_beside(graph, job, i);
    return at_once && n > at_once ? at_once : n;
}

/* How its output lies, and where it came from in the end. */
static void note_made(struct steps *s, const struct node *node)
{
    struct bq_kept *kept = &s->kept[node->turn.i];
    kept->layout = node->made;
    kept->like = node->step.handed_over ? node->step.like : s->job->steps[node->turn.i].input;
}

static int expect(void *context, unsigned ticket, const struct bq_report *names,
                  struct bq_error *err)
{
    const struct steps *s = context;
    return turn_expect(s, s->nodes[ticket].turn.i, names, err);
}

/* 1: not begun, because it cannot follow its feeder. */
static int begin(struct steps *s, struct node *node, int feeder, struct bq_error *err)
{
    struct bq_kept *kept = &s->kept[node->turn.i];
    node->step.n_beside = beside(s->job, &s->graph, node->turn.i, s->driver->at_once);
    struct bq_begin how = {.ticket = (unsigned)(node - s->nodes),
                           .index = node->turn.i,
                           .feeder = feeder,
                           .step = &node->step,
                           .report = &node->report,
                           .context = s};
    if (node->state == PUBLISHING || node->turn.is_last)
        how.earlier = &node->reports[node->k];
    if (node->state == UNDER_WAY && node->turn.round == 0 && turn_is_named(s, node->turn.i))
        how.expect = expect;
    int rc = s->driver->begin(s->driver->run_context, &how, &node->made, err);
    if (rc != 0 || node->loop)
        return rc;
    /* Who feeds on it may look now. (In a loop, others still read the round before.) */
    note_made(s, node);
    return bq_keep_place(kept, &node->step.output, err);
}

/* The node's next step of this round. */
static int begin_turn(struct steps *s, struct node *node, int feeder, struct bq_error *err)
{
    const struct bq_loop *loop = node->loop;
    bool is_last = loop && !loop->until.is_given && node->round + 1 == loop->repeat;
    node->turn = (struct turn){
        .i = node->order[node->k], .round = node->round, .loop = loop, .is_last = is_last};
    node->step = s->job->steps[node->turn.i];
    memset(node->step.owned, 0, sizeof node->step.owned); /* what is added here */
    /* What kitchens keep for the next round is beside what the loop's other steps need. */
    bool is_kept = loop && loop->repeat > 1 && (loop->n == 1 || !node->step.memory);
    node->step.comes_again = is_kept ? (unsigned)node->turn.i + 1 : 0;
    node->step.input_stays = is_kept && !bq_step_uses_input(&node->step);
    node->state = UNDER_WAY;
    if (turn_take(s, &node->turn, &node->step, err) < 0 ||
        turn_set_output(s, &node->turn, &node->step, err) < 0)
        return -1;
    return begin(s, node, feeder, err);
}

/* The loop's next output from the scratch folder to where the job wants it, stored as it wants. */
static int begin_publishing(struct steps *s, struct node *node, struct bq_error *err)
{
    for (; node->k < node->n; node->k++) {
        const struct bq_step *given = &s->job->steps[node->order[node->k]];
        struct bq_kept *kept = &s->kept[node->order[node->k]];
        if (!given->output.file || !kept->name[0])
            continue;
        node->turn = (struct turn){.i = node->order[node->k]};
        node->step = *given;
        memset(node->step.owned, 0, sizeof node->step.owned);
        bq_step_start(&node->step, s->driver->copy);
        node->step.origin = NULL;
        node->step.made_by = given->kernel->name;
        node->step.schedule = given->schedule;
        node->step.n_uses = 0;
        node->step.is_team = false;
        node->step.border.is_given = false;
        bq_kept_as_input(kept, &node->step);
        node->step.from = given->name;
        node->state = PUBLISHING;
        return begin(s, node, -1, err);
    }
    node->state = OVER;
    return 0;
}

/* All rounds are over, and what they made is in its place. */
static int report_loop(struct steps *s, struct node *node, struct bq_error *err)
{
    int rc = 0;
    char resumed[48] = "";
    if (node->earlier)
        snprintf(resumed, sizeof resumed, ", resumed after round %llu",
                 (unsigned long long)node->earlier);
    for (size_t k = 0; rc == 0 && k < node->n; k++) {
        struct bq_report *report = &node->reports[k];
        snprintf(report->loop, sizeof report->loop,
                 "round %llu of at most %llu, %.3f s in all%s%s%.110s",
                 (unsigned long long)node->round, (unsigned long long)node->loop->repeat,
                 (double)node->spent * 1e-9, resumed, node->says[0] ? ": " : "", node->says);
        report->n_rounds = node->round;
        report->is_short = turn_is_short(s, node, node->order[k]);
        const struct bq_place *output = &s->job->steps[node->order[k]].output;
        if (output->file) /* it is there now, wherever the last round left it */
            snprintf(report->output, sizeof report->output, "%.300s:%.200s", output->file,
                     output->dataset);
        rc = s->driver->done(s->driver->done_context, report, err);
    }
    return rc;
}

/* A step of a loop is finished. */
static int go_on_loop(struct steps *s, struct node *node, struct bq_error *err)
{
    bq_report_carry(&node->reports[node->k], &node->report, node->round + 1);
    bq_report_free(&node->reports[node->k]);
    node->reports[node->k] = node->report;
    node->report = (struct bq_report){0};
    node->spent += node->reports[node->k].makespan_ns;
    if (++node->k < node->n)
        return begin_turn(s, node, -1, err);
    int is_true = turn_is_last(s, node->loop, node->round, node->says, err);
    if (is_true < 0)
        return -1;
    node->k = 0;
    node->round++;
    node->has_ended = is_true || node->round == node->loop->repeat;
    if (recall_note(s, node, err) < 0)
        return -1;
    if (!node->has_ended)
        return begin_turn(s, node, -1, err);
    for (size_t k = 0; k < node->n; k++) {
        if (s->driver->forget(s->driver->run_context, (unsigned)node->order[k] + 1, err) < 0)
            return -1;
    }
    node->is_short = node->loop->until.is_given && !is_true;
    s->is_short |= node->is_short;
    return begin_publishing(s, node, err);
}

/* What was under way is finished. */
static int go_on(struct steps *s, struct node *node, struct bq_error *err)
{
    size_t i = node->turn.i;
    int rc;
    if (!node->step.wish.is_scratch && node->step.output.file)
        recall_published(s, i);
    if (node->state == PUBLISHING) {
        bq_report_free(&node->report);
        node->report = (struct bq_report){0};
        s->kept[i].name[0] = 0;
        node->k++;
        rc = end_turn(s, node, err) < 0 ? -1 : begin_publishing(s, node, err);
    } else if (end_turn(s, node, err) < 0 || bq_keep_results(&s->kept[i], &node->report, err) < 0) {
        rc = -1;
    } else if (node->loop) {
        rc = go_on_loop(s, node, err);
    } else {
        node->state = OVER;
        rc = recall_note(s, node, err) < 0
                 ? -1
                 : s->driver->done(s->driver->done_context, &node->report, err);
        bq_report_free(&node->report);
        node->report = (struct bq_report){0};
    }
    if (rc == 0 && node->state == OVER && node->loop)
        rc = report_loop(s, node, err);
    return rc;
}

/* -- all of them -------------------------------------------------------------------------- */

static int make_nodes(struct steps *s, struct bq_error *err)
{
    for (size_t at = 0; at < s->graph.n;) {
        struct node *node = &s->nodes[s->n_nodes++];
        node->order = &s->graph.order[at];
        node->loop = bq_graph_loop(s->job, *node->order);
        node->n = node->loop ? node->loop->n : 1;
        for (size_t k = 0; k < node->n; k++) {
            node->members |= UINT64_C(1) << node->order[k];
            node->needs |= s->graph.needs[node->order[k]];
        }
        node->needs &= ~node->members;
        if (node->loop && !(node->reports = bq_alloc(node->n, sizeof *node->reports)))
            return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        at += node->n;
    }
    return 0;
}

/* The node that makes what a node still needs, if it can be followed chunk by chunk; -1: none. */
static int feeder_of(const struct steps *s, const struct node *node, uint64_t missing)
{
    if (node->loop || !s->driver->is_one_machine || missing & ~s->graph.feeds[*node->order])
        return -1;
    for (size_t i = 0; i < s->n_nodes; i++) {
        const struct node *maker = &s->nodes[i];
        if (maker->members == missing && maker->state == UNDER_WAY && maker->is_new &&
            s->kept[*maker->order].name[0])
            return (int)i;
    }
    return -1;
}

/* 1: it cannot begin yet; 2: it is over. */
static int try_to_begin(struct steps *s, struct node *node, uint64_t over, struct bq_error *err)
{
    uint64_t missing = node->needs & ~over;
    int feeder = missing ? feeder_of(s, node, missing) : -1;
    if (node->state != WAITING || (missing && feeder < 0))
        return 1;
    if (node->has_ended) { /* in an earlier run */
        if (begin_publishing(s, node, err) < 0)
            return -1;
        return node->state == OVER ? report_loop(s, node, err) < 0 ? -1 : 2 : 0;
    }
    int rc = begin_turn(s, node, feeder, err);
    node->is_new = true;
    if (rc > 0) {
        node->state = WAITING;
        s->kept[node->turn.i].name[0] = 0;
        if (end_turn(s, node, err) < 0)
            return -1;
    }
    return rc;
}

/* Begins all that can be. Returns how many are under way, or -1. */
static int begin_all(struct steps *s, struct bq_error *err)
{
    uint64_t over = 0;
    int n = 0, most = s->driver->at_once ? (int)s->driver->at_once : BQ_MAX_STEPS;
    bool has_ended_one = false;
    for (size_t i = 0; i < s->n_nodes; i++) {
        n += s->nodes[i].state == UNDER_WAY || s->nodes[i].state == PUBLISHING;
        over |= s->nodes[i].state == OVER ? s->nodes[i].members : 0;
        s->nodes[i].is_new = false;
    }
    /* In the order of the graph, so that a feeder comes before those that it feeds. */
    for (size_t i = 0; i < s->n_nodes && n < most; i++) {
        int rc = try_to_begin(s, &s->nodes[i], over, err);
        if (rc < 0)
            return -1;
        n += rc == 0;
        has_ended_one |= rc == 2;
    }
    /* Whoever needed it may begin now, and nothing else would bring us here again. */
    return has_ended_one && n == 0 ? begin_all(s, err) : n;
}

static bool is_over(const struct steps *s)
{
    for (size_t i = 0; i < s->n_nodes; i++) {
        if (s->nodes[i].state != OVER)
            return false;
    }
    return true;
}

static int run(struct steps *s, struct bq_error *err)
{
    int n;
    while ((n = begin_all(s, err)) > 0) {
        unsigned ticket;
        if (s->driver->wait(s->driver->run_context, &ticket, err) < 0)
            return -1;
        struct node *node = &s->nodes[ticket];
        if (node->state == UNDER_WAY && node->loop)
            note_made(s, node);
        if (go_on(s, node, err) < 0)
            return -1;
        if (s->driver->is_due(s->driver->run_context, s->has_published) && !is_over(s))
            recall_save(s);
    }
    return n;
}

static void destroy(struct steps *s)
{
    for (size_t i = 0; i < s->n_nodes; i++) {
        struct node *node = &s->nodes[i];
        bq_report_free(&node->report);
        for (size_t k = 0; node->reports && k < node->n; k++)
            bq_report_free(&node->reports[k]);
        bq_free(node->reports);
        if (node->step.kernel)
            end_turn(s, node, NULL);
    }
    for (size_t i = 0; i < s->job->n_steps; i++) {
        bq_kept_forget(&s->kept[i]);
        bq_free(s->kept[i].place.file);
        bq_free(s->kept[i].place.dataset);
        bq_checkpoint_step_free(&s->past[i].step);
        bq_free(s->past[i].state);
    }
    bq_scratch_destroy(s->scratch);
    bq_free(s);
}

static bool is_taken(const struct bq_job *job, size_t maker)
{
    for (size_t i = 0; i < job->n_steps; i++) {
        for (size_t u = 0; u < job->steps[i].n_uses; u++) {
            const struct bq_use *use = &job->steps[i].uses[u];
            if (use->param == BQ_USE_INPUT && use->maker == (int)maker)
                return true;
        }
    }
    return false;
}

struct bq_step bq_steps_preview(const struct bq_job *job, const struct bq_graph *graph, size_t i,
                                unsigned at_once)
{
    static char file[] = "./handed-over.h5", dataset[] = "/data";
    struct bq_step step = job->steps[i];
    step.n_beside = beside(job, graph, i, at_once);
    if (!step.output.file && is_taken(job, i)) {
        step.output = (struct bq_place){.file = file, .dataset = dataset};
        step.wish = (struct bq_output_wish){.compress = BQ_COMPRESS_NONE, .is_scratch = true};
    }
    return step;
}

/* Chunks alone would not tell how far a loop has come. */
static void say_rounds(const struct steps *s, struct bq_error *err)
{
    for (size_t i = 0; i < s->n_nodes; i++) {
        const struct node *node = &s->nodes[i];
        const struct bq_error why = *err;
        if (node->loop && node->state != WAITING && node->state != OVER)
            bq_fail(err, why.exit, "%.450s in round %llu of '%s'", why.text,
                    (unsigned long long)node->round + 1, node->loop->name);
    }
}

int bq_steps_run(const struct bq_job *job, const struct bq_steps_driver *driver,
                 struct bq_error *err)
{
    struct steps *s = bq_alloc(1, sizeof *s);
    if (!s)
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    s->job = job;
    s->driver = driver;
    for (size_t i = 0; i < job->n_steps; i++)
        s->is_taken[i] = is_taken(job, i);
    int rc =
        bq_graph_make(&s->graph, job, err) < 0 || make_nodes(s, err) < 0 || recall_begin(s, err) < 0
            ? -1
            : run(s, err);
    if (rc < 0 && err->exit == BQ_EXIT_STOPPED) {
        recall_save(s);
        say_rounds(s, err);
    }
    if (rc < 0)
        driver->abandon(driver->run_context);
    else
        rc = s->is_short;
    destroy(s);
    return rc;
}
