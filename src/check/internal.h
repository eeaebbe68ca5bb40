/* What the files of this room share. */
#ifndef BQ_CHECK_INTERNAL_H
#define BQ_CHECK_INTERNAL_H

#include "check/check.h"

/* Compiled with the kernel under a sanitizer: buffers come from its malloc, which watches their
 * ends to the byte, and crashes are its business. */
#ifndef BQ_IS_SANITIZED
#define BQ_IS_SANITIZED 0
#endif

/* -- what is checked: X(code, sentence) --------------------------------------------------- */

#define BQ_CLAIMS(X)                                                                               \
    X(ANSWERS, "prepare gives answers that make sense, the same each time")                        \
    X(FINISHES, "it finishes chunks, or says why not")                                             \
    X(INSIDE, "it stays inside its chunk, and leaves its input alone")                             \
    X(REPEATS, "deterministic: the same call gives the same bits, and writes every element")       \
    X(SHAPES, "the shape of the chunks does not show in what it writes")                           \
    X(REENTRANT, "re-entrant: the same bits from several threads at once")                         \
    X(PARTS, "the parts of a divided chunk make the whole")                                        \
    X(KEEPS, "every value that it writes is one of the input's, as its flag says")                 \
    X(COMBINES, "combine repeats, changes `into` alone, and `nothing` adds nothing")               \
    X(PRESENTS, "present repeats, and gives the same names, each once")                            \
    X(LETS_GO, "abandon lets go of what a waiting chunk holds")

enum claim {
#define CLAIM_CODE(code, sentence) code,
    BQ_CLAIMS(CLAIM_CODE)
#undef CLAIM_CODE
        N_CLAIMS
};

/* Notes that a claim was tried, or that it does not hold: the first reason is kept. Any thread.
 * where may be NULL. */
struct round;
void tried(enum claim claim);
void failed(enum claim claim, const struct round *round, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int print_claims(void); /* 0 or 1 */

/* Signals: what a crash or an endless call says. note_* tell them where the kernel is. */
void watch_signals(unsigned limit_s);
void note_round(const struct round *round);
void note_progress(void); /* the clock of the limit starts anew */

/* -- dice --------------------------------------------------------------------------------- */

struct dice {
    uint64_t state;
};
uint64_t roll(struct dice *dice);
uint64_t roll_below(struct dice *dice, uint64_t n); /* 0 .. n - 1; 0 when n is 0 */
double roll_real(struct dice *dice);                /* 0 .. 1 */

/* -- memory with a guard on either side --------------------------------------------------- */

struct guarded {
    const char *what;
    unsigned char *map, *data;
    size_t map_size, size;
};

/* size bytes (0 works: data is NULL), 64-byte aligned; at_end: as near to the guard behind as that
 * allows, else at the guard in front. */
struct guarded guard(const char *what, size_t size, bool at_end);
void guard_read_only(struct guarded *guarded);
bool guard_is_whole(const struct guarded *guarded); /* nothing beside data was written */
void guard_free(struct guarded *guarded);

/* The guarded memory of the call that this thread is in, for the signal handler; NULL: none. */
void guard_watch(const struct guarded *list, size_t n);
/* What an address is, in words, or NULL. */
const char *guard_explain(const void *address, char *out, size_t size);

/* -- a dataset and the kernel's answers --------------------------------------------------- */

struct round {
    unsigned number;
    const struct bq_kernel *kernel;
    union bq_value params[BQ_MAX_PARAMS];
    struct bq_setup setup;
    unsigned char *data; /* the input, or NULL */
    bool at_end;         /* for guard() */
};

/* Rolls type, shape, parameters and data, and asks prepare. false: the kernel refuses this one. */
bool round_begin(struct round *round, const struct bq_kernel *kernel, unsigned number,
                 struct dice *dice);
void round_end(struct round *round);

/* A way to cut the dataset. */
struct cut {
    uint64_t chunk[BQ_MAX_RANK], count[BQ_MAX_RANK], n;
};
void cut_roll(const struct round *round, struct cut *cut, struct dice *dice);
void cut_box(const struct round *round, const struct cut *cut, uint64_t id,
             uint64_t offset[BQ_MAX_RANK], uint64_t extent[BQ_MAX_RANK]);
/* The chunk that an element lies in. */
uint64_t cut_find(const struct round *round, const struct cut *cut, const uint64_t *element);

/* The box and its margins out of the dataset; beyond its edges as the border says. */
void copy_input(const struct round *round, const uint64_t *offset, const uint64_t *extent,
                unsigned char *to);

/* -- one chunk, cooked to its end --------------------------------------------------------- */

struct dish {
    enum bq_answer answer;
    uint64_t n; /* elements of the chunk */
    size_t out_size, acc_size;
    unsigned char *out, *acc; /* copies, to be given to dish_free; NULL when there is none */
    char message[121];
};

/* garbage: what the output, and the stack below, hold before. n_parts 1, or more for a kernel that
 * can be divided: they are cooked one after the other. Any thread. */
struct dish cook_chunk(const struct round *round, const struct cut *cut, uint64_t id,
                       unsigned char garbage, unsigned n_parts);
void dish_free(struct dish *dish);

/* Compares two dishes of the same chunk: NULL, or how they differ. garbage: of each. */
const char *dishes_differ(const struct round *round, const struct dish *a, const struct dish *b,
                          const unsigned char garbage[2], char *out, size_t size);

/* Begins a chunk, and abandons it when it waits. */
void abandon_chunk(const struct round *round, const struct cut *cut, uint64_t id);

/* -- accumulators ------------------------------------------------------------------------- */

void check_reduction(const struct round *round, struct dish *dishes, size_t n);

void *need(size_t size); /* memory, or the end of the process */

#endif
