/* Checkpoints: noting what is finished, and going on from what an earlier run had. */
#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "run/job_shape.h"
#include "run/steps_internal.h"

/* -- noting ------------------------------------------------------------------------------- */

static int note(struct steps *s, size_t i, const struct bq_report *report, struct bq_error *err)
{
    struct past *past = &s->past[i];
    const struct bq_kept *kept = &s->kept[i];
    struct bq_report copy = {0};
    bq_checkpoint_step_free(&past->step);
    bq_free(past->state);
    past->state = NULL;
    past->step.like = -1;
    if (bq_report_copy_results(&copy, report->results, report->n_results) < 0) {
        bq_report_free(&copy);
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    }
    past->step.results = copy.results;
    past->step.n_results = copy.n_results;
    past->step.given_up = bq_alloc(report->n_given_up + 1, sizeof *past->step.given_up);
    past->state = kept->name[0] ? bq_strdup(kept->place.file) : NULL;
    if (!past->step.given_up || (kept->name[0] && !past->state))
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    if (report->n_given_up)
        memcpy(past->step.given_up, report->given_up,
               report->n_given_up * sizeof *report->given_up);
    past->step.n_given_up = report->n_given_up;
    past->step.n_given_up_total = report->n_given_up_total;
    memcpy(past->step.digest, report->digest, sizeof past->step.digest);
    past->step.layout = kept->layout;
    for (size_t k = 0; k < s->job->n_steps; k++) {
        if (kept->like.file && s->job->steps[k].input.file == kept->like.file)
            past->step.like = (int)k;
    }
    past->step.is_kept = true;
    return 0;
}

int recall_note(struct steps *s, const struct node *node, struct bq_error *err)
{
    if (!node->loop)
        return note(s, node->turn.i, &node->report, err);
    for (size_t k = 0; k < node->n; k++) {
        if (note(s, node->order[k], &node->reports[k], err) < 0)
            return -1;
    }
    return 0;
}

void recall_published(struct steps *s, size_t i)
{
    struct past *past = &s->past[i];
    bq_file_stamp(s->job->steps[i].output.file, &past->out_size, &past->out_ns);
    s->has_published = true;
}

/* -- saving ------------------------------------------------------------------------------- */

/* Whether somebody needs the output that step i hands over: the next round, who brings it to its
 * place, or a step that is not over. */
static bool is_needed(const struct steps *s, size_t i, uint64_t over)
{
    const struct bq_loop *loop = bq_graph_loop(s->job, i);
    if (loop && s->job->steps[i].output.file)
        return true;
    for (size_t k = 0; k < s->job->n_steps; k++) {
        const struct bq_step *step = &s->job->steps[k];
        bool is_within = loop && bq_graph_loop(s->job, k) == loop;
        for (size_t u = 0; u < step->n_uses && !(over & (UINT64_C(1) << k)); u++) {
            const struct bq_use *use = &step->uses[u];
            if (use->param == BQ_USE_INPUT && use->maker == (int)i && (use->is_next || !is_within))
                return true;
        }
    }
    return false;
}

/* One that handed over what somebody still needs is done again: that is in no file that stays. */
static bool is_lost(const struct steps *s, const struct node *node, uint64_t over)
{
    for (size_t k = 0; k < node->n; k++) {
        size_t i = node->order[k];
        if (!s->job->steps[i].output.file && s->past[i].state && is_needed(s, i, over))
            return true;
    }
    return false;
}

static void add_rounds(const struct node *node, struct bq_checkpoint *c)
{
    size_t first = node->loop->first;
    c->round[first] = node->round;
    c->spent_ns[first] = node->spent;
    c->end[first] = !node->has_ended ? BQ_LOOP_GOES_ON
                    : node->is_short ? BQ_LOOP_ENDED_SHORT
                                     : BQ_LOOP_ENDED;
}

static void add_over(const struct steps *s, const struct node *node, uint64_t over,
                     struct bq_checkpoint *c)
{
    if (is_lost(s, node, over))
        return;
    if (node->loop)
        add_rounds(node, c);
    for (size_t k = 0; k < node->n; k++) {
        c->steps[node->order[k]] = s->past[node->order[k]].step;
        c->steps[node->order[k]].is_done = true;
        c->steps[node->order[k]].state[0] = 0;
    }
}

static void add_loop(const struct steps *s, const struct node *node, uint64_t over,
                     struct bq_checkpoint *c, const char *states[BQ_MAX_STEPS])
{
    if (!s->past[*node->order].step.is_kept)
        return; /* no round is finished */
    add_rounds(node, c);
    for (size_t k = 0; k < node->n; k++) {
        size_t i = node->order[k];
        const struct past *past = &s->past[i];
        bool is_published = node->has_ended && past->out_ns;
        c->steps[i] = past->step;
        if (is_published || !past->state || !is_needed(s, i, over))
            c->steps[i].state[0] = 0;
        else if (!past->step.state[0]) /* else it lies beside the checkpoint already */
            states[i] = past->state;
    }
}

void recall_save(struct steps *s)
{
    const char *states[BQ_MAX_STEPS] = {NULL};
    struct bq_checkpoint *c = bq_alloc(1, sizeof *c); /* what it points to is ours */
    uint64_t over = 0;
    if (!c)
        return;
    c->n_steps = s->job->n_steps;
    for (size_t n = 0; n < s->n_nodes; n++)
        over |= s->nodes[n].state == OVER ? s->nodes[n].members : 0;
    for (size_t n = 0; n < s->n_nodes; n++) {
        const struct node *node = &s->nodes[n];
        if (node->state == OVER)
            add_over(s, node, over, c);
        else if (node->loop)
            add_loop(s, node, over, c, states);
    }
    bool is_any = false;
    for (size_t i = 0; i < c->n_steps; i++) {
        c->steps[i].out_size = s->past[i].out_size;
        c->steps[i].out_ns = s->past[i].out_ns;
        is_any = is_any || c->steps[i].is_kept || c->steps[i].out_ns;
    }
    s->has_published = false;
    if (is_any)
        s->driver->save(s->driver->run_context, c, states);
    for (size_t i = 0; is_any && i < c->n_steps; i++) {
        if (!states[i] || !c->steps[i].state[0])
            continue;
        struct bq_checkpoint_step *step = &s->past[i].step; /* not to be copied again */
        memcpy(step->state, c->steps[i].state, sizeof step->state);
        step->state_hash = c->steps[i].state_hash;
    }
    bq_free(c);
}

/* -- going on ----------------------------------------------------------------------------- */

/* What is known of a step, for who was told of all steps. */
static int remember(struct steps *s, size_t i, struct bq_report *report, struct bq_error *err)
{
    const struct bq_checkpoint_step *past = &s->driver->past->steps[i];
    const struct bq_step *step = &s->job->steps[i];
    *report = (struct bq_report){.is_earlier = true, .n_given_up_total = past->n_given_up_total};
    report->given_up = bq_alloc(BQ_MAX_NAMED, sizeof *report->given_up);
    if (!report->given_up || bq_report_copy_results(report, past->results, past->n_results) < 0)
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    memcpy(report->given_up, past->given_up, past->n_given_up * sizeof *past->given_up);
    report->n_given_up = past->n_given_up;
    memcpy(report->digest, past->digest, sizeof report->digest);
    snprintf(report->job, sizeof report->job, "%s", s->job->file ? s->job->file : "");
    snprintf(report->step, sizeof report->step, "%s", step->name);
    snprintf(report->kernel, sizeof report->kernel, "%s", step->kernel->name);
    if (step->input.file)
        snprintf(report->input, sizeof report->input, "%.300s:%.200s", step->input.file,
                 step->input.dataset);
    if (step->output.file)
        snprintf(report->output, sizeof report->output, "%.300s:%.200s", step->output.file,
                 step->output.dataset);
    return 0;
}

/* Results, and where the output is: in its place, or in a file beside the checkpoint. */
static int keep(struct steps *s, size_t i, const struct bq_report *report, struct bq_error *err)
{
    static char dataset[] = "/data";
    const struct bq_checkpoint_step *past = &s->driver->past->steps[i];
    struct bq_kept *kept = &s->kept[i];
    struct bq_place place = s->job->steps[i].output;
    char *state = NULL;
    if (past->state[0]) {
        state = s->driver->state(s->driver->run_context, i);
        place = (struct bq_place){.file = state, .dataset = dataset};
        snprintf(kept->name, sizeof kept->name, "earlier");
        kept->layout = past->layout;
        kept->like = past->like >= 0 ? s->job->steps[past->like].input : (struct bq_place){0};
    }
    int rc = past->state[0] && !state ? bq_fail(err, BQ_EXIT_FAILED, "out of memory")
                                      : bq_keep_place(kept, &place, err);
    bq_free(state);
    return rc < 0 ? -1 : bq_keep_results(kept, report, err);
}

/* Whether a loop of an earlier run has nothing more to do: more rounds may be wanted now. */
static bool has_ended(const struct steps *s, const struct node *node)
{
    const struct bq_checkpoint *past = s->driver->past;
    size_t first = node->loop->first;
    bool was_true = past->end[first] == BQ_LOOP_ENDED && node->loop->until.is_given;
    return was_true || past->round[first] >= node->loop->repeat;
}

static void recall_rounds(struct steps *s, struct node *node)
{
    const struct bq_checkpoint *past = s->driver->past;
    size_t first = node->loop->first;
    node->round = node->earlier = past->round[first];
    node->spent = past->spent_ns[first];
    node->has_ended = has_ended(s, node);
    node->is_short =
        node->has_ended && node->loop->until.is_given && past->end[first] != BQ_LOOP_ENDED;
    s->is_short |= node->is_short;
}

/* 1: nothing of it is known, or a loop that was over shall have more rounds, whose beginning is not
 * there any more: it begins anew. */
static int begin_over(struct steps *s, struct node *node, struct bq_error *err)
{
    const struct bq_checkpoint *past = s->driver->past;
    for (size_t k = 0; k < node->n; k++) {
        if (!past->steps[node->order[k]].is_done)
            return 1;
    }
    if (node->loop && !has_ended(s, node))
        return 1;
    if (node->loop)
        recall_rounds(s, node);
    for (size_t k = 0; k < node->n; k++) {
        struct bq_report report;
        size_t i = node->order[k];
        int rc = remember(s, i, &report, err) < 0 || keep(s, i, &report, err) < 0 ||
                         note(s, i, &report, err) < 0
                     ? -1
                     : 0;
        if (node->loop) {
            report.n_rounds = node->round;
            report.is_short = turn_is_short(s, node, i);
            snprintf(report.loop, sizeof report.loop, "round %llu of at most %llu",
                     (unsigned long long)node->round, (unsigned long long)node->loop->repeat);
        }
        rc = rc < 0 ? -1 : s->driver->done(s->driver->done_context, &report, err);
        bq_report_free(&report);
        if (rc < 0)
            return -1;
    }
    node->state = OVER;
    return 0;
}

static int begin_loop(struct steps *s, struct node *node, struct bq_error *err)
{
    const struct bq_checkpoint *past = s->driver->past;
    size_t first = node->loop->first;
    bool has_round = past->round[first] > 0;
    for (size_t k = 0; k < node->n; k++) {
        const struct bq_checkpoint_step *step = &past->steps[node->order[k]];
        has_round = has_round && step->is_kept && !step->is_done;
    }
    if (!has_round)
        return 0;
    recall_rounds(s, node);
    for (size_t k = 0; k < node->n; k++) {
        size_t i = node->order[k];
        if (remember(s, i, &node->reports[k], err) < 0 || keep(s, i, &node->reports[k], err) < 0 ||
            note(s, i, &node->reports[k], err) < 0)
            return -1;
        memcpy(s->past[i].step.state, past->steps[i].state, sizeof past->steps[i].state);
        s->past[i].step.state_hash = past->steps[i].state_hash;
    }
    return 0;
}

int recall_begin(struct steps *s, struct bq_error *err)
{
    for (size_t i = 0; s->driver->past && i < s->job->n_steps; i++) {
        s->past[i].out_size = s->driver->past->steps[i].out_size;
        s->past[i].out_ns = s->driver->past->steps[i].out_ns;
    }
    for (size_t n = 0; s->driver->past && n < s->n_nodes; n++) {
        struct node *node = &s->nodes[n];
        int rc = begin_over(s, node, err);
        if (rc > 0 && node->loop)
            rc = begin_loop(s, node, err);
        if (rc < 0)
            return -1;
    }
    return 0;
}
