#include "check/check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/internal.h"

#define MOST_SAMPLES 12
#define N_THREADS 4
#define THREAD_TURNS 6

static const unsigned char garbage[3] = {0x5a, 0xa7, 0x00};

/* Some of the chunks of a cut, each cooked. */
struct sample {
    const struct round *round;
    struct cut cut;
    size_t n;
    uint64_t id[MOST_SAMPLES];
    struct dish dish[MOST_SAMPLES];
};

static void sample_take(struct sample *s, const struct round *round, struct dice *dice)
{
    memset(s, 0, sizeof *s);
    s->round = round;
    cut_roll(round, &s->cut, dice);
    s->n = s->cut.n < MOST_SAMPLES ? (size_t)s->cut.n : MOST_SAMPLES;
    for (size_t i = 0; i < s->n; i++) {
        s->id[i] = s->cut.n <= MOST_SAMPLES ? i : roll_below(dice, s->cut.n);
        if (s->cut.n > MOST_SAMPLES && i < 2) /* the first and the last: corners */
            s->id[i] = i ? s->cut.n - 1 : 0;
    }
}

static void sample_free(struct sample *s)
{
    for (size_t i = 0; i < s->n; i++)
        dish_free(&s->dish[i]);
}

static void compare(const struct sample *s, size_t i, unsigned char mine, unsigned n_parts,
                    enum claim claim)
{
    char how[200];
    const unsigned char both[2] = {garbage[0], mine};
    struct dish dish = cook_chunk(s->round, &s->cut, s->id[i], mine, n_parts);
    const char *differ = dishes_differ(s->round, &s->dish[i], &dish, both, how, sizeof how);
    tried(claim);
    if (differ)
        failed(claim, s->round, "chunk %llu: %s", (unsigned long long)s->id[i], differ);
    dish_free(&dish);
}

/* Each chunk, at once again, and once more when the others are done. */
static bool check_repeats(struct sample *s)
{
    bool has_finished = false;
    for (size_t i = 0; i < s->n; i++) {
        note_progress();
        s->dish[i] = cook_chunk(s->round, &s->cut, s->id[i], garbage[0], 1);
        has_finished |= s->dish[i].answer == BQ_DONE;
        compare(s, i, garbage[1], 1, REPEATS);
    }
    for (size_t i = 0; i < s->n; i++) {
        note_progress();
        compare(s, i, garbage[2], 1, REPEATS);
    }
    return has_finished;
}

static void check_parts(const struct sample *s)
{
    for (size_t i = 0; i < s->n && !s->round->setup.acc_size; i++) {
        note_progress();
        compare(s, i, garbage[1], 3, PARTS);
    }
}

/* -- threads ------------------------------------------------------------------------------ */

struct worker {
    const struct sample *sample;
    pthread_barrier_t *start;
    size_t first;
};

static void *work(void *arg)
{
    const struct worker *w = arg;
    const struct sample *s = w->sample;
    pthread_barrier_wait(w->start);
    for (size_t turn = 0; turn < THREAD_TURNS; turn++) {
        for (size_t i = 0; i < s->n; i++) {

            compare(s, (i + w->first) % s->n, garbage[1 + turn % 2], 1, REENTRANT);
            note_progress();
        }
    }
    return NULL;
}

static void check_threads(const struct sample *s)
{
    pthread_t threads[N_THREADS];
    struct worker workers[N_THREADS];
    pthread_barrier_t start;
    if (s->n == 0)
        return;
    note_progress();
    pthread_barrier_init(&start, NULL, N_THREADS);
    for (size_t i = 0; i < N_THREADS; i++) {
        workers[i] = (struct worker){.sample = s, .start = &start, .first = i * s->n / N_THREADS};
        if (pthread_create(&threads[i], NULL, work, &workers[i])) {
            fprintf(stderr, "the system allows no more threads (ulimit -u)\n");
            exit(1);
        }
    }
    for (size_t i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
}

/* -- shapes ------------------------------------------------------------------------------- */

/* Where an element of the dataset lies in a chunk. */
static uint64_t place(const struct round *round, const struct cut *cut, uint64_t id,
                      const uint64_t *element)
{
    uint64_t offset[BQ_MAX_RANK], extent[BQ_MAX_RANK], at = 0;
    cut_box(round, cut, id, offset, extent);
    for (int i = 0; i < round->setup.space.rank; i++)
        at = at * extent[i] + element[i] - offset[i];
    return at;
}

/* Cuts the dataset in another way and compares what comes out for the elements of one chunk. */
static void check_shape(const struct sample *s, size_t which, struct dice *dice)
{
    const struct round *round = s->round;
    const struct bq_setup *setup = &round->setup;
    size_t size = bq_type_size(setup->out_type);
    uint64_t offset[BQ_MAX_RANK], extent[BQ_MAX_RANK], element[BQ_MAX_RANK];
    struct cut other;
    cut_roll(round, &other, dice);
    cut_box(round, &s->cut, s->id[which], offset, extent);
    for (int i = 0; i < setup->space.rank; i++)
        element[i] = offset[i] + roll_below(dice, extent[i]);
    uint64_t id = cut_find(round, &other, element);
    note_progress();
    struct dish dish = cook_chunk(round, &other, id, garbage[1], 1);
    const struct dish *mine = &s->dish[which];
    tried(SHAPES);
    for (uint64_t e = 0; e < mine->n && mine->answer == BQ_DONE && dish.answer == BQ_DONE; e++) {
        uint64_t rest = e, theirs[BQ_MAX_RANK], their_extent[BQ_MAX_RANK];
        for (int i = setup->space.rank; i-- > 0; rest /= extent[i])
            element[i] = offset[i] + rest % extent[i];
        cut_box(round, &other, id, theirs, their_extent);
        bool is_in_both = true;
        for (int i = 0; i < setup->space.rank; i++)
            is_in_both &= element[i] >= theirs[i] && element[i] - theirs[i] < their_extent[i];
        if (is_in_both && memcmp(mine->out + e * size,
                                 dish.out + place(round, &other, id, element) * size, size) != 0) {
            failed(SHAPES, round,
                   "element %llu of chunk %llu comes out differently when the dataset is cut "
                   "otherwise",
                   (unsigned long long)e, (unsigned long long)s->id[which]);
            break;
        }
    }
    dish_free(&dish);
}

/* -- the flag BQ_KEEPS -------------------------------------------------------------------- */

static void check_keeps(const struct sample *s, size_t which)
{
    const struct round *round = s->round;
    const struct dish *dish = &s->dish[which];
    size_t size = bq_type_size(round->setup.in_type);
    uint64_t offset[BQ_MAX_RANK], extent[BQ_MAX_RANK], n = 1;
    cut_box(round, &s->cut, s->id[which], offset, extent);
    for (int i = 0; i < round->setup.space.rank; i++)
        n *= extent[i] + 2 * round->setup.halo[i];
    unsigned char *in = need(n * size);
    copy_input(round, offset, extent, in);
    tried(KEEPS);
    for (size_t i = 0; i < dish->out_size && dish->answer == BQ_DONE; i += size) {
        uint64_t k = 0;
        while (k < n && memcmp(in + k * size, dish->out + i, size) != 0)
            k++;
        if (k == n) {
            failed(KEEPS, round, "element %zu of chunk %llu is no value of the input", i / size,
                   (unsigned long long)s->id[which]);
            break;
        }
    }
    free(in);
}

/* -- all of it ---------------------------------------------------------------------------- */

static void check_round(const struct round *round, struct dice *dice, bool *has_finished,
                        char *last_message, size_t size)
{
    const struct bq_setup *setup = &round->setup;
    struct sample s;
    sample_take(&s, round, dice);
    *has_finished |= check_repeats(&s);
    for (size_t i = 0; i < s.n; i++) {
        if (s.dish[i].answer == BQ_FAIL)
            snprintf(last_message, size, "%s", s.dish[i].message);
    }
    tried(FINISHES);
    check_threads(&s);
    if (round->kernel->flags & BQ_DIVISIBLE)
        check_parts(&s);
    for (size_t i = 0; setup->has_output && i < s.n && i < 4; i++)
        check_shape(&s, roll_below(dice, s.n), dice);
    if ((round->kernel->flags & BQ_KEEPS) && setup->has_output && setup->has_input &&
        setup->in_type == setup->out_type && s.n)
        check_keeps(&s, 0);
    if ((round->kernel->flags & BQ_WAITS) && s.n)
        abandon_chunk(round, &s.cut, s.id[0]);
    note_progress();
    if (setup->acc_size)
        check_reduction(round, s.dish, s.n);
    sample_free(&s);
}

int bq_check(const struct bq_kernel *kernel, const struct bq_check_options *options)
{
    struct dice dice = {.state = options->seed};
    struct round round;
    bool has_finished = false;
    unsigned n_accepted = 0;
    char refusal[sizeof round.setup.message] = "", message[121] = "";
    watch_signals(options->limit_s);
    for (unsigned i = 0; i < options->rounds; i++) {
        note_progress();
        if (round_begin(&round, kernel, i, &dice)) {
            n_accepted++;
            check_round(&round, &dice, &has_finished, message, sizeof message);
        } else if (round.setup.message[0]) {
            memcpy(refusal, round.setup.message, sizeof refusal);
        }
        round_end(&round);
    }
    if (n_accepted == 0)
        failed(ANSWERS, NULL, "prepare refuses everything; the last time it says: %.200s", refusal);
    else if (!has_finished)
        failed(FINISHES, NULL, "it never finishes a chunk; the last time it says: %.200s", message);
    printf("  %u of %u datasets were what the kernel accepts\n", n_accepted, options->rounds);
    return print_claims();
}
