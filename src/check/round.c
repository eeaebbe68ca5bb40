/* Random datasets: every type, one to four dimensions, extents of one and primes, values that are
 * special; cut in random ways. */
#include "check/internal.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ELEMENTS 3000 /* of a dataset */
#define MOST_OF_CHUNK 4000 /* of a chunk of a domain, which may be large */
#define MOST_PLANNED 40    /* chunks that a dataset is cut into, about */

/* -- dice: splitmix64 --------------------------------------------------------------------- */

uint64_t roll(struct dice *dice)
{
    uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t roll_below(struct dice *dice, uint64_t n)
{
    return n ? roll(dice) % n : 0;
}

double roll_real(struct dice *dice)
{
    return (double)(roll(dice) >> 11) / 0x1p53;
}

/* -- values ------------------------------------------------------------------------------- */

static double special(struct dice *dice)
{
    static const double values[] = {0,       -0.0,     1,         -1,      0.5,      -2.5,
                                    NAN,     INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, FLT_MIN,
                                    DBL_MAX, -DBL_MAX, DBL_MIN,   5e-324,  1e-40,    255.5};
    return values[roll_below(dice, sizeof values / sizeof *values)];
}

static void put_value(enum bq_type type, unsigned char *to, struct dice *dice, bool is_wild)
{
    uint64_t bits = roll(dice), kind = roll_below(dice, 8);
    size_t size = bq_type_size(type);
    if (type == BQ_F32 || type == BQ_F64) {
        double v = is_wild && kind == 0 ? special(dice) : (roll_real(dice) - 0.25) * 1000;
        float narrow = fabs(v) > FLT_MAX && isfinite(v) ? (v < 0 ? -FLT_MAX : FLT_MAX) : (float)v;
        memcpy(to, type == BQ_F32 ? (const void *)&narrow : (const void *)&v, size);
        return;
    }
    if (is_wild && kind == 0)
        bits = 0;
    else if (is_wild && kind == 1)
        bits = UINT64_MAX; /* the largest, or -1 */
    else if (is_wild && kind == 2)
        bits = UINT64_C(1) << (8 * size - 1); /* the smallest, or the middle */
    else if (is_wild && kind == 3)
        bits = (UINT64_C(1) << (8 * size - 1)) - 1;
    else if (!is_wild)
        bits %= 100;
    unsigned char bytes[8];
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(bits >> 8 * i);
    const uint16_t one = 1;
    bool is_little = *(const unsigned char *)&one == 1;
    for (size_t i = 0; i < size; i++)
        to[i] = bytes[is_little ? i : size - 1 - i];
}

/* -- parameters --------------------------------------------------------------------------- */

/* Near the standard value: a parameter may be the size of the work, and its largest too large. */
static double near_standard(const struct bq_param *p, double standard, struct dice *dice)
{
    double v = standard * (roll_real(dice) * 3 - 1) + roll_real(dice) * 2 - 1;
    if (!isfinite(v))
        return standard;
    if (p->min <= p->max)
        v = v < p->min ? p->min : v > p->max ? p->max : v;
    return v;
}

static union bq_value roll_param(const struct bq_param *p, struct dice *dice)
{
    union bq_value value = p->standard;
    if (p->kind == BQ_TEXT && !value.text)
        value.text = "";
    if (p->kind == BQ_BOOL)
        value.b = roll(dice) & 1;
    else if (p->kind == BQ_REAL)
        value.r = near_standard(p, value.r, dice);
    else if (p->kind == BQ_INT) {
        double v = trunc(near_standard(p, (double)value.i, dice));
        if (fabs(v) < 0x1p53 && (!(p->min <= p->max) || (v >= p->min && v <= p->max)))
            value.i = (int64_t)v;
    }
    return value;
}

/* -- shapes ------------------------------------------------------------------------------- */

static uint64_t product(const uint64_t *extent, int rank)
{
    uint64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= extent[i];
    return n;
}

static struct bq_space roll_space(struct dice *dice)
{
    static const uint64_t extents[] = {1, 1, 2, 3, 5, 7, 8, 11, 13, 16, 31, 61, 127, 256, 1009};
    struct bq_space space = {.rank = 1 + (int)roll_below(dice, 4)};
    for (int i = 0; i < space.rank; i++)
        space.extent[i] = extents[roll_below(dice, sizeof extents / sizeof *extents)];
    while (product(space.extent, space.rank) > MOST_ELEMENTS) {
        int axis = (int)roll_below(dice, (uint64_t)space.rank);
        space.extent[axis] = space.extent[axis] / 2 + 1;
        if (space.extent[axis] == 2)
            space.extent[axis] = 1;
    }
    return space;
}

/* -- asking ------------------------------------------------------------------------------- */

static const char *wrong_answer(const struct round *round)
{
    const struct bq_setup *s = &round->setup;
    const struct bq_kernel *k = round->kernel;
    if (s->space.rank < 1 || s->space.rank > BQ_MAX_RANK)
        return "the space has no 1 to 8 dimensions";
    for (int i = 0; i < s->space.rank; i++) {
        if (s->space.extent[i] == 0)
            return "an extent of the space is 0";
        if (s->halo[i] > BQ_MAX_HALO)
            return "a halo is wider than BQ_MAX_HALO";
    }
    if (s->chunk.rank && s->chunk.rank != s->space.rank)
        return "the chunk's rank is not the space's";
    if ((unsigned)s->out_type >= BQ_N_TYPES)
        return "out_type is no type";
    if (s->acc_size > BQ_MAX_ACC || s->state_size > BQ_MAX_STATE)
        return "acc_size or state_size is larger than the interface allows";
    if (s->acc_size && (!k->combine || !k->present))
        return "it accumulates, but has no combine or no present";
    if ((unsigned)s->border >= BQ_N_BORDERS)
        return "the border is none";
    return NULL;
}

/* prepare, twice. 0, or -1 when it refuses or answers nonsense. */
static int ask(struct round *round, const struct bq_setup *told)
{
    struct bq_setup again;
    memcpy(&again, told, sizeof again); /* with padding */
    memcpy(&round->setup, told, sizeof again);
    if (!round->kernel->prepare)
        return 0;
    int rc = round->kernel->prepare(&round->setup), rc_again = round->kernel->prepare(&again);
    round->setup.message[sizeof round->setup.message - 1] = 0;
    if (rc != rc_again || (rc == 0 && memcmp(&again, &round->setup, sizeof again) != 0))
        failed(ANSWERS, round, "asked twice, it answers differently");
    if (rc < 0) {
        if (!round->setup.message[0])
            failed(ANSWERS, round, "it refuses without a message");
        return -1;
    }
    const char *wrong = wrong_answer(round);
    if (wrong)
        failed(ANSWERS, round, "%s", wrong);
    else
        tried(ANSWERS);
    return wrong ? -1 : 0;
}

bool round_begin(struct round *round, const struct bq_kernel *kernel, unsigned number,
                 struct dice *dice)
{
    bool reads = kernel->flags & BQ_READS;
    *round = (struct round){.number = number, .kernel = kernel, .at_end = roll_below(dice, 4) > 0};
    struct bq_setup told;
    memset(&told, 0, sizeof told); /* to be compared with padding */
    told.params = round->params;
    told.has_input = reads;
    told.has_output = kernel->flags & BQ_WRITES;
    told.in_type = (enum bq_type)(number % BQ_N_TYPES);
    told.out_type = reads ? told.in_type : BQ_U8;
    if (reads)
        told.space = roll_space(dice);
    for (size_t i = 0; i < kernel->n_params; i++) {
        round->params[i] = kernel->params[i].standard;
        if (kernel->params[i].kind == BQ_TEXT && !round->params[i].text)
            round->params[i].text = "";
        if (number >= BQ_N_TYPES && roll(dice) & 1)
            round->params[i] = roll_param(&kernel->params[i], dice);
    }
    note_round(round);
    if (ask(round, &told) < 0)
        return false;
    if (round->setup.acc_size && told.has_output && roll_below(dice, 3) == 0) {
        struct bq_setup with_output = round->setup;
        told.has_output = false; /* a job may leave the output out */
        if (ask(round, &told) < 0 || !round->setup.acc_size)
            round->setup = with_output;
    }
    if (!reads)
        return true;
    size_t size = bq_type_size(told.in_type);
    uint64_t n = product(told.space.extent, told.space.rank);
    bool is_wild = roll_below(dice, 3) > 0;
    round->data = need(n * size);
    for (uint64_t i = 0; i < n; i++)
        put_value(told.in_type, round->data + i * size, dice, is_wild);
    return true;
}

void round_end(struct round *round)
{
    note_round(NULL);
    free(round->data);
    round->data = NULL;
}

/* -- cutting ------------------------------------------------------------------------------ */

void cut_roll(const struct round *round, struct cut *cut, struct dice *dice)
{
    const struct bq_setup *s = &round->setup;
    int rank = s->space.rank;
    bool is_one = roll_below(dice, 5) == 0; /* all of it */
    uint64_t limit = round->data ? MOST_ELEMENTS : MOST_OF_CHUNK;
    for (int i = 0; i < rank; i++) {
        uint64_t extent = s->space.extent[i], most = extent < limit ? extent : limit;
        cut->chunk[i] = s->is_whole[i] ? extent : is_one ? most : 1 + roll_below(dice, most);
    }
    for (int i = 0; product(cut->chunk, rank) > limit && i < 64 * rank; i++) {
        int axis = i % rank;
        if (!s->is_whole[axis])
            cut->chunk[axis] = (cut->chunk[axis] + 1) / 2;
    }
    for (;;) {
        int thin = -1;
        cut->n = 1;
        for (int i = 0; i < rank; i++) {
            cut->count[i] = (s->space.extent[i] - 1) / cut->chunk[i] + 1;
            cut->n *= cut->count[i];
            if (thin < 0 || cut->count[i] > cut->count[thin])
                thin = i;
        }
        if (!round->data || cut->n <= MOST_PLANNED)
            return;
        uint64_t wider = 2 * cut->chunk[thin] + 1, extent = s->space.extent[thin];
        cut->chunk[thin] = wider < extent ? wider : extent;
    }
}

void cut_box(const struct round *round, const struct cut *cut, uint64_t id,
             uint64_t offset[BQ_MAX_RANK], uint64_t extent[BQ_MAX_RANK])
{
    for (int i = round->setup.space.rank; i-- > 0; id /= cut->count[i]) {
        uint64_t all = round->setup.space.extent[i];
        offset[i] = id % cut->count[i] * cut->chunk[i];
        extent[i] = all - offset[i] < cut->chunk[i] ? all - offset[i] : cut->chunk[i];
    }
}

uint64_t cut_find(const struct round *round, const struct cut *cut, const uint64_t *element)
{
    uint64_t id = 0;
    for (int i = 0; i < round->setup.space.rank; i++)
        id = id * cut->count[i] + element[i] / cut->chunk[i];
    return id;
}

/* -- the input, with margins -------------------------------------------------------------- */

/* Where a coordinate beyond the edge is taken from; -1: it is the constant. */
static int64_t fold(int64_t at, int64_t n, enum bq_border border)
{
    if (at >= 0 && at < n)
        return at;
    if (border == BQ_CONSTANT)
        return -1;
    if (border == BQ_WRAP)
        return (at % n + n) % n;
    if (border == BQ_REFLECT) { /* b a | a b c | c b */
        at = (at % (2 * n) + 2 * n) % (2 * n);
        return at < n ? at : 2 * n - 1 - at;
    }
    return at < 0 ? 0 : n - 1;
}

/* Out of its range, a conversion to an integer would be undefined. */
static void put_constant(enum bq_type type, double v, unsigned char *to)
{
    switch (type) {
#define PUT_WHOLE(code, ctype, low, high)                                                          \
    case code: {                                                                                   \
        ctype whole = !(v > (double)(low)) ? (low) : v >= (double)(high) ? (high) : (ctype)v;      \
        memcpy(to, &whole, sizeof whole);                                                          \
        break;                                                                                     \
    }
        PUT_WHOLE(BQ_U8, uint8_t, 0, UINT8_MAX)
        PUT_WHOLE(BQ_I8, int8_t, INT8_MIN, INT8_MAX)
        PUT_WHOLE(BQ_U16, uint16_t, 0, UINT16_MAX)
        PUT_WHOLE(BQ_I16, int16_t, INT16_MIN, INT16_MAX)
        PUT_WHOLE(BQ_U32, uint32_t, 0, UINT32_MAX)
        PUT_WHOLE(BQ_I32, int32_t, INT32_MIN, INT32_MAX)
        PUT_WHOLE(BQ_U64, uint64_t, 0, UINT64_MAX)
        PUT_WHOLE(BQ_I64, int64_t, INT64_MIN, INT64_MAX)
#undef PUT_WHOLE
    case BQ_F32: {
        float narrow = (float)v;
        memcpy(to, &narrow, sizeof narrow);
        break;
    }
    case BQ_F64:
        memcpy(to, &v, sizeof v);
        break;
    case BQ_N_TYPES:
        break;
    }
}

void copy_input(const struct round *round, const uint64_t *offset, const uint64_t *extent,
                unsigned char *to)
{
    const struct bq_setup *s = &round->setup;
    size_t size = bq_type_size(s->in_type);
    uint64_t wide[BQ_MAX_RANK], n = 1;
    for (int i = 0; i < s->space.rank; i++)
        n *= wide[i] = extent[i] + 2 * s->halo[i];
    for (uint64_t e = 0; e < n; e++) {
        uint64_t rest = e, from = 0, stride = 1;
        bool is_constant = false;
        for (int i = s->space.rank; i-- > 0; rest /= wide[i]) {
            int64_t at = (int64_t)(rest % wide[i] + offset[i]) - (int64_t)s->halo[i];
            at = fold(at, (int64_t)s->space.extent[i], s->border);
            is_constant |= at < 0;
            from += (uint64_t)(at < 0 ? 0 : at) * stride;
            stride *= s->space.extent[i];
        }
        if (is_constant)
            put_constant(s->in_type, s->border_value, to + e * size);
        else
            memcpy(to + e * size, round->data + from * size, size);
    }
}
