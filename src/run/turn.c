/* One step of one round: what it takes from others, where its output goes, and whether it was the
 * last. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "adapters/store.h"
#include "base/heap.h"
#include "run/steps_internal.h"

static int at_line(const struct bq_job *job, int line, struct bq_error *err)
{
    return line > 0 ? bq_fail_in(err, "%s:%d", job->file, line) : -1;
}

/* `next` of a later round comes before `uses`. */
static bool applies(const struct bq_step *step, const struct bq_use *use, uint64_t round)
{
    if (use->is_next)
        return round > 0;
    for (size_t u = 0; u < step->n_uses && round > 0; u++) {
        if (step->uses[u].is_next && step->uses[u].param == use->param)
            return false;
    }
    return true;
}

int turn_take(struct steps *s, const struct turn *turn, struct bq_step *step, struct bq_error *err)
{
    for (size_t u = 0; u < step->n_uses; u++) {
        const struct bq_use *use = &step->uses[u];
        if (!applies(step, use, turn->round))
            continue;
        struct bq_kept *kept = &s->kept[use->maker];
        if (use->param == BQ_USE_INPUT) {
            bq_kept_as_input(kept, step);
            step->from = kept->name[0] ? use->step : NULL;
            step->input.line = use->line;
            continue;
        }
        const char *name = use->result ? use->result : step->kernel->params[use->param].name;
        const struct bq_result *result = bq_kept_result(kept, name);
        if (!result) {
            bq_kept_fail(kept, use->step, name, err);
            return at_line(s->job, use->line, err);
        }
        if (bq_kept_as_param(step, use->param, result, err) < 0) {
            bq_fail_in(err, "from step '%s'", use->step);
            return at_line(s->job, use->line, err);
        }
    }
    /* A file that a step of a loop makes is not there yet. */
    int maker = bq_graph_maker(s->job, turn->i);
    if (maker >= 0 && step->input.file == s->job->steps[turn->i].input.file && step->input.file &&
        s->kept[maker].name[0]) {
        bq_kept_as_input(&s->kept[maker], step);
        step->from = s->job->steps[maker].name;
    }
    return 0;
}

/* -- outputs ------------------------------------------------------------------------------ */

/* Bytes that scratch files of steps like this one may take: two rounds of each. */
static uint64_t scratch_bytes(const struct steps *s, const struct bq_step *step)
{
    struct bq_input *input =
        step->handed_over  ? bq_raw_open(step->input.file, step->handed_over, NULL)
        : step->input.file ? bq_input_open(step->input.file, step->input.dataset, NULL)
                           : NULL;
    if (!input)
        return 0;
    struct bq_space space = bq_input_info(input)->space;
    size_t size = bq_type_size(bq_input_info(input)->type);
    uint64_t bytes;
    bq_input_close(input);
    return __builtin_mul_overflow(bq_space_elements(&space), 2 * size * s->job->n_steps, &bytes)
               ? UINT64_MAX
               : bytes + 1;
}

/* A place in the scratch folder for the output of this turn; it takes that of the round before
 * last.
 */
static int scratch_output(struct steps *s, const struct turn *turn, struct bq_step *step,
                          struct bq_error *err)
{
    const struct bq_step *given = &s->job->steps[turn->i];
    const char *beside = given->output.file ? given->output.file
                         : step->input.file ? step->input.file
                                            : "";
    struct bq_kept *kept = &s->kept[turn->i];
    char name[32];
    if (!s->scratch) {
        s->scratch =
            bq_scratch_create(scratch_bytes(s, step), beside, s->driver->is_one_machine, err);
        if (s->scratch)
            s->driver->scratch(s->driver->run_context, bq_scratch_folder(s->scratch));
    }
    if (!s->scratch)
        return -1;
    snprintf(name, sizeof name, "%zu-%d", turn->i, (int)(turn->round % 2));
    char *path = bq_scratch_path(s->scratch, name);
    step->output = (struct bq_place){0};
    int rc = path ? bq_place_set(&step->output, "output", path,
                                 given->output.dataset ? given->output.dataset : "/data", err)
                  : bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    bq_free(path);
    if (rc == 0) {
        step->wish = (struct bq_output_wish){.compress = BQ_COMPRESS_NONE,
                                             .refuses_nan = given->wish.refuses_nan,
                                             .is_scratch = true};
        snprintf(kept->name, sizeof kept->name, "%s", name);
    }
    return rc;
}

int turn_set_output(struct steps *s, const struct turn *turn, struct bq_step *step,
                    struct bq_error *err)
{
    bool is_wanted = s->is_taken[turn->i] || (turn->loop && step->output.file);
    bool is_final = step->output.file && (!turn->loop || turn->is_last);
    s->kept[turn->i].name[0] = 0;
    if (!is_wanted || is_final)
        return 0;
    return scratch_output(s, turn, step, err);
}

/* -- names and conditions ----------------------------------------------------------------- */

static int expect_result(const struct steps *s, const struct bq_kept *seen, const char *step,
                         const char *name, int line, struct bq_error *err)
{
    if (bq_kept_result(seen, name))
        return 0;
    bq_kept_fail(seen, step, name, err);
    return at_line(s->job, line, err);
}

bool turn_is_named(const struct steps *s, size_t i)
{
    const struct bq_loop *loop = bq_graph_loop(s->job, i);
    if (loop && loop->until.is_given && strcmp(loop->until.step, s->job->steps[i].name) == 0)
        return true;
    for (size_t k = 0; k < s->job->n_steps; k++) {
        const struct bq_step *step = &s->job->steps[k];
        for (size_t u = 0; u < step->n_uses; u++) {
            if (step->uses[u].maker == (int)i && step->uses[u].param != BQ_USE_INPUT)
                return true;
        }
    }
    return false;
}

int turn_expect(const struct steps *s, size_t i, const struct bq_report *names,
                struct bq_error *err)
{
    const struct bq_kept seen = {.n_results = names->n_results, .results = names->results};
    for (size_t k = 0; k < s->job->n_steps; k++) {
        const struct bq_step *step = &s->job->steps[k];
        for (size_t u = 0; u < step->n_uses; u++) {
            const struct bq_use *use = &step->uses[u];
            if (use->maker != (int)i || use->param == BQ_USE_INPUT)
                continue;
            const char *name = use->result ? use->result : step->kernel->params[use->param].name;
            if (expect_result(s, &seen, use->step, name, use->line, err) < 0)
                return -1;
        }
    }
    const struct bq_loop *loop = bq_graph_loop(s->job, i);
    const struct bq_until *until = loop ? &loop->until : NULL;
    return until && until->is_given && strcmp(until->step, s->job->steps[i].name) == 0
               ? expect_result(s, &seen, until->step, until->result, until->line, err)
               : 0;
}

bool turn_is_short(const struct steps *s, const struct node *node, size_t i)
{
    return node->is_short && strcmp(node->loop->until.step, s->job->steps[i].name) == 0;
}

int turn_is_last(struct steps *s, const struct bq_loop *loop, uint64_t round, char says[200],
                 struct bq_error *err)
{
    const struct bq_until *until = &loop->until;
    double number = 0;
    says[0] = 0;
    if (!until->is_given)
        return 0;
    size_t i = loop->first;
    while (strcmp(s->job->steps[i].name, until->step) != 0)
        i++;
    const struct bq_result *result = bq_kept_result(&s->kept[i], until->result);
    if (!result) {
        bq_kept_fail(&s->kept[i], until->step, until->result, err);
        return at_line(s->job, until->line, err);
    }
    if (!bq_kept_number(result, &number)) {
        bq_fail(err, BQ_EXIT_USAGE, "until: '%s' is not one number", until->result);
        return at_line(s->job, until->line, err);
    }
    if (isnan(number)) {
        bq_fail(err, BQ_EXIT_FAILED,
                "until: %s.%s is not a number after round %llu: it would never "
                "come true",
                until->step, until->result, (unsigned long long)round + 1);
        return at_line(s->job, until->line, err);
    }
    bool holds = bq_relation_holds(until->relation, number, until->value);
    snprintf(says, 200, "%.40s.%.40s is %.6g, %s %s %.6g", until->step, until->result, number,
             holds ? "which is" : "not yet", bq_relation_sign(until->relation), until->value);
    return holds;
}
