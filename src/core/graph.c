#include "core/graph.h"

#include <stdio.h>
#include <string.h>

#include "base/hint.h"
#include "core/step.h"

const struct bq_loop *bq_graph_loop(const struct bq_job *job, size_t i)
{
    for (size_t l = 0; l < job->n_loops; l++) {
        if (i - job->loops[l].first < job->loops[l].n)
            return &job->loops[l];
    }
    return NULL;
}

static int at_line(const struct bq_job *job, int line, struct bq_error *err)
{
    return line > 0 ? bq_fail_in(err, "%s:%d", job->file, line) : bq_fail_in(err, "%s", job->file);
}

/* Index of a step by its name, or -1 with err: "step 'a' uses ...". */
static int find(const struct bq_job *job, const char *name, const char *who, int line,
                struct bq_error *err)
{
    const char *names[BQ_MAX_STEPS];
    char quote[BQ_QUOTE], hint[240];
    for (size_t i = 0; i < job->n_steps; i++) {
        names[i] = job->steps[i].name;
        if (strcmp(names[i], name) == 0)
            return (int)i;
    }
    bq_fail(err, BQ_EXIT_USAGE, "%s: no step is named %s%s", who,
            bq_quote(name, quote, sizeof quote),
            bq_hint(name, names, job->n_steps, hint, sizeof hint));
    return at_line(job, line, err);
}

int bq_graph_maker(const struct bq_job *job, size_t i)
{
    const struct bq_step *step = &job->steps[i];
    for (size_t u = 0; u < step->n_uses; u++) {
        if (step->uses[u].param == BQ_USE_INPUT && !step->uses[u].is_next)
            return step->uses[u].maker;
    }
    for (size_t j = 0; step->input.file && j < job->n_steps; j++) {
        const char *made = job->steps[j].output.file;
        if (j != i && made && strcmp(made, step->input.file) == 0)
            return (int)j;
    }
    return -1;
}

/* -- names -------------------------------------------------------------------------------- */

static int name_uses(struct bq_job *job, size_t i, struct bq_error *err)
{
    struct bq_step *step = &job->steps[i];
    char who[BQ_MAX_NAME + 16];
    snprintf(who, sizeof who, "step '%s'", step->name);
    for (size_t u = 0; u < step->n_uses; u++) {
        struct bq_use *use = &step->uses[u];
        const struct bq_loop *loop = bq_graph_loop(job, i);
        use->maker = find(job, use->step, who, use->line, err);
        if (use->maker < 0)
            return -1;
        const struct bq_step *maker = &job->steps[use->maker];
        if (use->param >= 0 && !use->is_next && step->param_line[use->param]) {
            bq_fail(err, BQ_EXIT_USAGE, "%s: '%s' is given by params and by uses", who,
                    step->kernel->params[use->param].name);
            return at_line(job, use->line, err);
        }
        if (use->is_next && (!loop || bq_graph_loop(job, (size_t)use->maker) != loop)) {
            bq_fail(err, BQ_EXIT_USAGE,
                    "%s: next takes from a step of the same loop, and '%s' is %s", who, use->step,
                    loop ? "outside of it" : "in none");
            return at_line(job, use->line, err);
        }
        if (use->param == BQ_USE_INPUT && !(maker->kernel->flags & BQ_WRITES)) {
            bq_fail(err, BQ_EXIT_USAGE, "%s: step '%s' writes nothing that could be its input", who,
                    use->step);
            return at_line(job, use->line, err);
        }
    }
    return 0;
}

static int name_until(struct bq_job *job, struct bq_loop *loop, struct bq_error *err)
{
    struct bq_until *until = &loop->until;
    char who[BQ_MAX_NAME + 16];
    snprintf(who, sizeof who, "loop '%s'", loop->name);
    if (!loop->repeat) {
        bq_fail(err, BQ_EXIT_USAGE,
                "%s has no limit; give `repeat`, the most rounds that it may take", who);
        return at_line(job, until->line ? until->line : loop->line, err);
    }
    if (!until->is_given)
        return 0;
    if (!until->step[0] && loop->n > 1) {
        bq_fail(err, BQ_EXIT_USAGE, "%s has several steps: until must say which, as in %s.%s", who,
                job->steps[loop->first].name, until->result);
        return at_line(job, until->line, err);
    }
    if (!until->step[0])
        snprintf(until->step, sizeof until->step, "%s", job->steps[loop->first].name);
    int step = find(job, until->step, who, until->line, err);
    if (step < 0)
        return -1;
    if (bq_graph_loop(job, (size_t)step) != loop) {
        bq_fail(err, BQ_EXIT_USAGE, "%s: step '%s' is not in it, so until would never change", who,
                until->step);
        return at_line(job, until->line, err);
    }
    bool has_next = false;
    for (size_t k = 0; k < loop->n; k++) {
        const struct bq_step *s = &job->steps[loop->first + k];
        for (size_t u = 0; u < s->n_uses; u++)
            has_next = has_next || s->uses[u].is_next;
    }
    if (!has_next) {
        bq_fail(err, BQ_EXIT_USAGE,
                "%s: nothing is taken from the round before, so until would never change; use "
                "`next`",
                who);
        return at_line(job, until->line, err);
    }
    return 0;
}

/* -- order -------------------------------------------------------------------------------- */

static uint64_t bit(int step)
{
    return step < 0 ? 0 : UINT64_C(1) << step;
}

static uint64_t needs_of(const struct bq_job *job, size_t i)
{
    const struct bq_step *step = &job->steps[i];
    uint64_t needs = bit(bq_graph_maker(job, i));
    for (size_t u = 0; u < step->n_uses; u++) {
        if (!step->uses[u].is_next)
            needs |= bit(step->uses[u].maker);
    }
    return needs;
}

/* The step that makes the input of step i, when nothing else is taken from it, and neither is in a
 * loop. */
static uint64_t feeds_of(const struct bq_job *job, size_t i)
{
    const struct bq_step *step = &job->steps[i];
    uint64_t feeds = 0, others = 0;
    for (size_t u = 0; u < step->n_uses; u++) {
        const struct bq_use *use = &step->uses[u];
        bool is_input = use->param == BQ_USE_INPUT && !use->is_next;
        *(is_input ? &feeds : &others) |= bit(use->maker);
    }
    bool is_apart =
        feeds && !bq_graph_loop(job, i) && !bq_graph_loop(job, (size_t)__builtin_ctzll(feeds));
    return is_apart ? feeds & ~others : 0;
}

/* The steps that are carried out together: a loop's, or the one. */
static uint64_t group_of(const struct bq_job *job, size_t i)
{
    const struct bq_loop *loop = bq_graph_loop(job, i);
    uint64_t all = 0;
    for (size_t k = 0; loop && k < loop->n; k++)
        all |= bit((int)(loop->first + k));
    return loop ? all : bit((int)i);
}

/* What a group needs of others. */
static uint64_t group_needs(const struct bq_graph *g, uint64_t group)
{
    uint64_t needs = 0;
    for (size_t i = 0; i < g->n; i++)
        needs |= group & bit((int)i) ? g->needs[i] : 0;
    return needs & ~group;
}

/* Follows needs of steps that are not done until one comes again. */
static int fail_cycle(const struct bq_graph *g, const struct bq_job *job, uint64_t done,
                      struct bq_error *err)
{
    size_t path[BQ_MAX_STEPS + 1], n = 0, at = 0;
    uint64_t seen = 0;
    while (done & bit((int)at))
        at++;
    while (!(seen & bit((int)at))) {
        seen |= bit((int)at);
        path[n++] = at;
        uint64_t needs = g->needs[at] & ~done;
        if (!needs) /* what holds it up is another step of its loop */
            needs = group_needs(g, group_of(job, at)) & ~done;
        for (at = 0; at + 1 < g->n && !(needs & bit((int)at));)
            at++;
    }
    size_t from = 0;
    while (path[from] != at)
        from++;
    char names[480];
    size_t used = 0;
    for (size_t k = from; k <= n && used < sizeof names; k++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s'%s'",
                                 k > from ? " needs " : "", job->steps[k < n ? path[k] : at].name);
    bq_fail(err, BQ_EXIT_USAGE, "steps need each other in a circle: %s", names);
    return at_line(job, job->steps[at].line, err);
}

/* One step: those that may come now are tried in the order of the file. */
static bool take_one(struct bq_graph *g, const struct bq_job *job, uint64_t *done, size_t *n)
{
    for (size_t i = 0; i < g->n; i++) {
        uint64_t group = group_of(job, i);
        bool is_begun = *done & group;
        if ((*done & bit((int)i)) || (g->needs[i] & ~*done) ||
            (!is_begun && (group_needs(g, group) & ~*done)))
            continue;
        /* A loop that has begun is finished first. */
        bool is_other_open = false;
        for (size_t l = 0; l < job->n_loops; l++) {
            uint64_t loop = group_of(job, job->loops[l].first);
            is_other_open |= loop != group && (loop & *done) && (loop & ~*done);
        }
        if (is_other_open)
            continue;
        g->order[(*n)++] = i;
        *done |= bit((int)i);
        return true;
    }
    return false;
}

int bq_graph_link(struct bq_job *job, struct bq_error *err)
{
    for (size_t i = 0; i < job->n_steps; i++) {
        if (name_uses(job, i, err) < 0)
            return -1;
    }
    for (size_t l = 0; l < job->n_loops; l++) {
        if (name_until(job, &job->loops[l], err) < 0)
            return -1;
    }
    return 0;
}

int bq_graph_make(struct bq_graph *g, const struct bq_job *job, struct bq_error *err)
{
    uint64_t done = 0;
    size_t n = 0;
    *g = (struct bq_graph){.n = job->n_steps};
    for (size_t i = 0; i < g->n; i++) {
        g->needs[i] = needs_of(job, i);
        g->feeds[i] = feeds_of(job, i);
    }
    while (n < g->n) {
        if (!take_one(g, job, &done, &n))
            return fail_cycle(g, job, done, err);
    }
    return 0;
}

/* Some steps and all that they come after; a loop comes after what any step of it needs. */
static uint64_t with_all_before(const struct bq_graph *g, const struct bq_job *job, uint64_t all)
{
    uint64_t seen = 0;
    while (all & ~seen) {
        size_t k = (size_t)__builtin_ctzll(all & ~seen);
        seen |= bit((int)k);
        all |= group_of(job, k) | group_needs(g, group_of(job, k));
    }
    return all;
}

/* What is over when step i begins: not a step that it follows chunk by chunk. */
static uint64_t before(const struct bq_graph *g, const struct bq_job *job, size_t i)
{
    uint64_t group = group_of(job, i), feeds = g->feeds[i];
    uint64_t all = with_all_before(g, job, group_needs(g, group) & ~feeds);
    for (; feeds; feeds &= feeds - 1)
        all |= before(g, job, (size_t)__builtin_ctzll(feeds));
    return all;
}

unsigned bq_graph_beside(const struct bq_graph *g, const struct bq_job *job, size_t i)
{
    uint64_t group = group_of(job, i), earlier = before(g, job, i), counted = 0;
    unsigned n = 1;
    for (size_t k = 0; k < g->n; k++) {
        uint64_t other = group_of(job, k);
        if ((other & group) || (other & earlier) || (other & counted) ||
            (before(g, job, k) & group))
            continue;
        counted |= other;
        n++;
    }
    return n;
}
