/* Accumulators: combined along a tree, and presented. */
#include "check/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- what present says -------------------------------------------------------------------- */

enum { MOST_NAMES = 64 }; /* core/report.h: BQ_MAX_RESULTS */

struct line {
    char name[96];
    double value;
};

/* sink is first: the kernel gives it back. */
struct speech {
    struct bq_sink sink;
    const struct round *round;
    struct line *lines;
    size_t n, room;
    char names[MOST_NAMES][96];
    size_t n_names;
};

static void say(struct bq_sink *sink, const char *name, double value)
{
    struct speech *s = (struct speech *)(void *)sink;
    if (s->n == s->room) {
        s->room = 2 * s->room + 16;
        struct line *more = realloc(s->lines, s->room * sizeof *more);
        if (!more)
            need(SIZE_MAX / 2); /* which says so */
        s->lines = more;
    }
    snprintf(s->lines[s->n].name, sizeof s->lines[s->n].name, "%s", name ? name : "");
    s->lines[s->n++].value = value;
}

/* A series counts as one name, with its numbers behind it. */
static void say_name(struct bq_sink *sink, const char *name)
{
    struct speech *s = (struct speech *)(void *)sink;
    if (!name || !*name)
        failed(PRESENTS, s->round, "it presents something without a name");
    for (size_t i = 0; name && i < s->n_names; i++) {
        if (strcmp(s->names[i], name) == 0)
            failed(PRESENTS, s->round, "it presents '%.60s' twice", name);
    }
    if (s->n_names == MOST_NAMES)
        failed(PRESENTS, s->round, "it presents more than %d results", MOST_NAMES);
    else
        snprintf(s->names[s->n_names++], sizeof *s->names, "%s", name ? name : "");
}

static void say_integer(struct bq_sink *sink, const char *name, uint64_t value)
{
    say_name(sink, name);
    say(sink, name, (double)value);
}

static void say_negative(struct bq_sink *sink, const char *name, int64_t value)
{
    say_name(sink, name);
    if (value >= 0)
        failed(PRESENTS, ((struct speech *)(void *)sink)->round,
               "it presents '%.60s' as negative, which it is not", name);
    say(sink, name, (double)value);
}

static void say_real(struct bq_sink *sink, const char *name, double value)
{
    say_name(sink, name);
    say(sink, name, value);
}

static void say_series(struct bq_sink *sink, const char *name, const uint64_t *values, size_t n)
{
    say_name(sink, name);
    for (size_t i = 0; i < n; i++)
        say(sink, name, (double)values[i]);
}

static void say_reals(struct bq_sink *sink, const char *name, const double *values, size_t n)
{
    say_name(sink, name);
    for (size_t i = 0; i < n; i++)
        say(sink, name, values[i]);
}

static struct speech speech_of(const struct round *round, const unsigned char *acc)
{
    struct speech s = {.sink = {say_integer, say_real, say_series, say_negative, say_reals},
                       .round = round};
    struct guarded copy = guard("the accumulator that it presents", round->setup.acc_size, true);
    memcpy(copy.data, acc, copy.size);
    guard_read_only(&copy);
    guard_watch(&copy, 1);
    round->kernel->present(round->params, copy.data, &s.sink);
    guard_watch(NULL, 0);
    if (memcmp(copy.data, acc, copy.size) != 0)
        failed(PRESENTS, round, "it changes the accumulator");
    guard_free(&copy);
    tried(PRESENTS);
    return s;
}

/* A name that one has and the other has not, or NULL. */
static const char *names_differ(const struct speech *a, const struct speech *b)
{
    for (size_t i = 0; i < a->n_names || i < b->n_names; i++) {
        if (i >= a->n_names || i >= b->n_names || strcmp(a->names[i], b->names[i]) != 0)
            return i < a->n_names ? a->names[i] : b->names[i];
    }
    return NULL;
}

/* NaN is NaN, 0 is -0; exact: else the last digits may differ. NULL, or the name that does. */
static const char *speeches_differ(const struct speech *a, const struct speech *b, bool is_exact)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        double x = a->lines[i].value, y = b->lines[i].value;
        bool is_same = x == y || (isnan(x) && isnan(y)) ||
                       (!is_exact && fabs(x - y) <= 1e-9 * (fabs(x) + fabs(y)));
        if (!is_same || strcmp(a->lines[i].name, b->lines[i].name) != 0)
            return a->lines[i].name;
    }
    return a->n == b->n ? NULL : "the number of results";
}

/* -- combining ---------------------------------------------------------------------------- */

/* into := into followed by next, in guarded memory. */
static void combine(const struct round *round, unsigned char *into, const unsigned char *next)
{
    size_t size = round->setup.acc_size;
    struct guarded two[2] = {guard("`into` of combine", size, round->at_end),
                             guard("`next` of combine", size, round->at_end)};
    memcpy(two[0].data, into, size);
    memcpy(two[1].data, next, size);
    guard_read_only(&two[1]);
    guard_watch(two, 2);
    round->kernel->combine(round->params, two[0].data, two[1].data);
    guard_watch(NULL, 0);
    tried(COMBINES);
    if (!guard_is_whole(&two[0]))
        failed(COMBINES, round, "it writes beside `into`");
    if (memcmp(two[1].data, next, size) != 0)
        failed(COMBINES, round, "it changes `next`");
    memcpy(into, two[0].data, size);
    guard_free(&two[0]);
    guard_free(&two[1]);
}

/* As the engine does: neighbours first, then pairs of pairs. */
static unsigned char *climb(const struct round *round, const struct dish *dishes, size_t n)
{
    size_t size = round->setup.acc_size;
    unsigned char *all = need(n * size);
    for (size_t i = 0; i < n; i++)
        memcpy(all + i * size, dishes[i].acc, size);
    for (size_t step = 1; step < n; step *= 2) {
        for (size_t i = 0; i + step < n; i += 2 * step)
            combine(round, all + i * size, all + (i + step) * size);
    }
    return all; /* the first is the result */
}

static unsigned char *nothing(const struct round *round)
{
    struct guarded g = guard("the accumulator of init", round->setup.acc_size, round->at_end);
    unsigned char *copy = need(g.size);
    guard_watch(&g, 1);
    if (round->kernel->init)
        round->kernel->init(round->params, g.data);
    guard_watch(NULL, 0);
    if (!guard_is_whole(&g))
        failed(INSIDE, round, "init writes beside the accumulator");
    memcpy(copy, g.data, g.size);
    guard_free(&g);
    return copy;
}

/* x and nothing, in both orders, present as x does. A chunk that was skipped leaves a nothing. */
static void check_nothing(const struct round *round, const unsigned char *x)
{
    struct speech want = speech_of(round, x);
    for (int order = 0; order < 2; order++) {
        unsigned char *none = nothing(round), *copy = need(round->setup.acc_size);
        memcpy(copy, x, round->setup.acc_size);
        unsigned char *into = order ? copy : none;
        struct speech of_none = speech_of(round, none);
        const char *other = names_differ(&want, &of_none);
        if (other)
            failed(PRESENTS, round, "'%.60s' is presented or not, by what was seen", other);
        free(of_none.lines);
        combine(round, into, order ? none : copy);
        struct speech got = speech_of(round, into);
        const char *name = speeches_differ(&want, &got, false);
        if (name)
            failed(COMBINES, round, "what init sets, combined with a result, changes '%.60s'",
                   name);
        free(got.lines);
        free(none);
        free(copy);
    }
    free(want.lines);
}

void check_reduction(const struct round *round, struct dish *dishes, size_t n)
{
    size_t n_done = 0;
    for (size_t i = 0; i < n; i++) {
        if (dishes[i].answer == BQ_DONE)
            dishes[n_done++] = dishes[i];
        else
            dish_free(&dishes[i]);
    }
    for (size_t i = n_done; i < n; i++)
        dishes[i] = (struct dish){0};
    if (n_done == 0)
        return;
    unsigned char *once = climb(round, dishes, n_done), *again = climb(round, dishes, n_done);
    if (memcmp(once, again, round->setup.acc_size) != 0)
        failed(COMBINES, round, "the same results, combined again, give other bits");
    struct speech a = speech_of(round, once), b = speech_of(round, once);
    const char *name = speeches_differ(&a, &b, true);
    if (name)
        failed(PRESENTS, round, "presented again, '%.60s' differs", name);
    free(a.lines);
    free(b.lines);
    check_nothing(round, once);
    free(once);
    free(again);
}
