/* What a kernel is: the one header that a kernel is compiled against.
 *
 * A kernel is a C function that is applied to every chunk of a dataset. The engine calls it from
 * many threads at once, for different chunks, in any order, on any machine, and sometimes twice
 * for the same chunk (the first result wins). So the one rule of a kernel: its result depends on
 * its arguments alone. No mutable globals, no rand(), no clock in the result.
 *
 * A kernel may read a chunk, write one, and fill an accumulator; which of these it does makes
 * its kind:
 *
 *     map       reads and writes                 reduce    reads and accumulates
 *     both      reads, writes, accumulates       generate  reads nothing
 *
 * This header needs the C library alone and may be included from C++.
 */
#ifndef BANQUET_KERNEL_H
#define BANQUET_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BQ_KERNEL_ABI 2u
#define BQ_MAX_RANK 8           /* dimensions of a dataset */
#define BQ_MAX_PARAMS 16        /* parameters of a kernel */
#define BQ_MAX_ACC (1u << 20)   /* bytes of an accumulator */
#define BQ_MAX_STATE (1u << 20) /* bytes that a kernel which waits keeps for an open chunk */
#define BQ_MAX_HALO 4096u       /* elements of margin along an axis */
#define BQ_MAX_LIST (1u << 20)  /* numbers of a list */

/* Element types as a kernel sees them: always in the machine's own byte order. */
#define BQ_TYPES(X)                                                                                \
    X(BQ_U8, "uint8", uint8_t)                                                                     \
    X(BQ_I8, "int8", int8_t)                                                                       \
    X(BQ_U16, "uint16", uint16_t)                                                                  \
    X(BQ_I16, "int16", int16_t)                                                                    \
    X(BQ_U32, "uint32", uint32_t)                                                                  \
    X(BQ_I32, "int32", int32_t)                                                                    \
    X(BQ_U64, "uint64", uint64_t)                                                                  \
    X(BQ_I64, "int64", int64_t)                                                                    \
    X(BQ_F32, "float32", float)                                                                    \
    X(BQ_F64, "float64", double)

enum bq_type {
#define BQ_TYPE_CODE(code, name, ctype) code,
    BQ_TYPES(BQ_TYPE_CODE)
#undef BQ_TYPE_CODE
        BQ_N_TYPES
};

/* Bytes of one element; 0 for a value that is no type. */
static inline size_t bq_type_size(enum bq_type type)
{
    static const size_t size[] = {
#define BQ_TYPE_SIZE(code, name, ctype) sizeof(ctype),
        BQ_TYPES(BQ_TYPE_SIZE)
#undef BQ_TYPE_SIZE
    };
    return (unsigned)type < BQ_N_TYPES ? size[type] : 0;
}

static inline const char *bq_type_name(enum bq_type type)
{
    static const char *const name[] = {
#define BQ_TYPE_NAME(code, text, ctype) text,
        BQ_TYPES(BQ_TYPE_NAME)
#undef BQ_TYPE_NAME
    };
    return (unsigned)type < BQ_N_TYPES ? name[type] : "?";
}

/* The extent of a dataset or of a chunk; axis 0 varies slowest (C order). */
struct bq_space {
    int rank; /* 1 .. BQ_MAX_RANK */
    uint64_t extent[BQ_MAX_RANK];
};

/* -- parameters --------------------------------------------------------------------------- */

enum bq_param_kind {
    BQ_INT,
    BQ_REAL,
    BQ_BOOL,
    BQ_TEXT, /* the name of a file, a pattern */
    BQ_LIST  /* of numbers: weights, centres, the counts of a histogram */
};

struct bq_list {
    size_t n; /* at most BQ_MAX_LIST */
    const double *at;
};

union bq_value {
    int64_t i;
    double r;
    bool b;
    const char *text;           /* never NULL; "" when nothing is given and nothing is standard */
    const struct bq_list *list; /* NULL when nothing is given and nothing is standard */
};

/* One parameter. The engine checks kind and range before the kernel sees a value. A parameter
 * whose range is empty (min > max) may have any value of its kind. Each number of a list has to
 * lie in the range; a kernel's prepare checks how many there are. */
struct bq_param {
    const char *name;
    enum bq_param_kind kind;
    union bq_value standard; /* the value when the job gives none */
    double min, max;         /* both allowed; not of bools and texts */
    const char *unit;        /* "" when it has none */
    const char *help;        /* one line */
};

/* -- what the engine asks once, before the first chunk ------------------------------------ */

/* What a kernel sees beyond the edge of a dataset. X(code, name) */
#define BQ_BORDERS(X)                                                                              \
    X(BQ_CLAMP, "clamp")       /* the nearest element: a a | a b c | c c */                        \
    X(BQ_WRAP, "wrap")         /* the other end:       b c | a b c | a b */                        \
    X(BQ_REFLECT, "reflect")   /* a mirror at the edge: b a | a b c | c b */                       \
    X(BQ_CONSTANT, "constant") /* a number: border_value */

enum bq_border {
#define BQ_BORDER_CODE(code, name) code,
    BQ_BORDERS(BQ_BORDER_CODE)
#undef BQ_BORDER_CODE
        BQ_N_BORDERS
};

struct bq_setup {
    /* told */
    const union bq_value *params; /* in the order of bq_kernel.params */
    bool has_input, has_output;   /* what the job names */
    enum bq_type in_type;         /* valid when has_input */
    struct bq_space space;        /* has_input: the input's extent; else to be filled */
    /* answered; preset: out_type = in_type (BQ_U8 without input), the job's border (BQ_CLAMP when
     * it names none), all else 0 */
    enum bq_type out_type;
    size_t acc_size;            /* bytes of the accumulator of a chunk, at most BQ_MAX_ACC */
    size_t state_size;          /* BQ_WAITS: bytes that it keeps while a chunk is open */
    struct bq_space chunk;      /* generate: the shape that suits; rank 0 leaves it to the engine */
    bool is_whole[BQ_MAX_RANK]; /* axes that no chunk may cut: the columns of a table */
    uint64_t halo[BQ_MAX_RANK]; /* margin of the input that a chunk needs, on either side */
    enum bq_border border;
    double border_value; /* CONSTANT, converted to in_type */
    char message[200];   /* why it cannot be done, when prepare returns -1 */
};

/* -- one chunk ---------------------------------------------------------------------------- */

/* A dense, C-ordered array in memory: a chunk of a dataset. */
struct bq_block {
    enum bq_type type;
    int rank;
    const uint64_t *extent; /* of this chunk, clipped at the dataset's edge; of an input with a
                               halo: of the chunk and its margins, 2 halo[i] more along axis i */
    const uint64_t *offset; /* in the dataset, of the chunk's first element, margins not counted */
    uint64_t n;             /* elements: the product of extent */
    void *data;
};

enum bq_answer {
    BQ_DONE, /* the chunk is finished */
    BQ_WAIT, /* it waits, for wait_ns or for wait_fd: call again then, with stage one higher; other
                chunks may run meanwhile */
    BQ_FAIL  /* it cannot be done: message says why */
};

struct bq_call {
    const union bq_value *params;
    const struct bq_space *space; /* of the whole dataset or domain */
    uint64_t chunk;               /* id, 0 .. chunks - 1 */
    const struct bq_block *in;    /* data is NULL without input; the rest is valid always */
    const struct bq_block *out;   /* data is NULL without output */
    void *acc;                    /* acc_size bytes set by init, 16-byte aligned; NULL if 0 */
    const uint64_t *halo;   /* as prepare answered: in's element [i + halo[0], j + halo[1], ..] lies
                               where out's element [i, j, ..] does */
    void *state;            /* state_size bytes, 16-byte aligned, all zero at stage 0; NULL if 0 */
    unsigned stage;         /* 0, then one more after each BQ_WAIT */
    unsigned part, n_parts; /* divisible kernels: do this share of the work */
    uint64_t wait_ns;       /* to be set with BQ_WAIT, nanoseconds; with wait_fd the longest wait,
                               0: without limit */
    int wait_fd;       /* preset -1; a descriptor to be waited for, which stays open meanwhile. The
                          call may come early: read and write without blocking */
    short wait_events; /* of wait_fd, as for poll: POLLIN, POLLOUT */
    char message[120]; /* to be set with BQ_FAIL */
};

/* Where a finished reduction goes: the summary and the JSON. Names must be unique. */
struct bq_sink {
    void (*integer)(struct bq_sink *, const char *name, uint64_t value);
    void (*real)(struct bq_sink *, const char *name, double value);
    void (*series)(struct bq_sink *, const char *name, const uint64_t *values, size_t n);
    void (*negative)(struct bq_sink *, const char *name, int64_t value); /* an integer below 0 */
    void (*reals)(struct bq_sink *, const char *name, const double *values, size_t n);
};

enum bq_kernel_flag {
    BQ_READS = 1,      /* needs an input */
    BQ_WRITES = 2,     /* can write an output (a job may leave it out if it also reduces) */
    BQ_SIMULATED = 4,  /* burns or waits a given time: for demonstrations, reports say so */
    BQ_MAKES = 8,      /* offered by `banquet make` */
    BQ_DIVISIBLE = 16, /* a chunk may be shared by several cooks: part, n_parts */
    BQ_WAITS = 32,     /* may answer BQ_WAIT */
    BQ_KEEPS = 64      /* every value that it writes is one of the input's: an enum stays one */
};

struct bq_kernel {
    uint32_t abi; /* BQ_KERNEL_ABI; in every version the first four bytes */
    uint32_t flags;
    const char *name;
    const char *summary; /* one line */
    const struct bq_param *params;
    size_t n_params;

    /* Answers the questions of bq_setup; -1 with a message refuses. NULL: a plain map. */
    int (*prepare)(struct bq_setup *setup);
    /* Sets an accumulator to "nothing seen yet". NULL: all bytes zero. Params as in bq_call. */
    void (*init)(const union bq_value *params, void *acc);
    /* Any thread. Never called for the same accumulator twice at once. */
    enum bq_answer (*cook)(struct bq_call *call);
    /* Gives back what `state` of a chunk holds that will not be called again: after BQ_FAIL, or
     * because the run ends early. Never after BQ_DONE, never twice. NULL: nothing to give back. */
    void (*abandon)(void *state);
    /* into := into followed by next. Always along a tree fixed by chunk ids, so floating-point
     * sums come out the same on any number of machines; it need not be associative. */
    void (*combine)(const union bq_value *params, void *into, const void *next);
    /* Reports a finished accumulator. Which names there are must not depend on what was seen: it is
     * called for one that has seen nothing, too, to find wrong names in a job before work begins. */
    void (*present)(const union bq_value *params, const void *acc, struct bq_sink *sink);
};

/* How a file of its own offers a kernel, so that a job can name it (`kernel: ./mine.c`, or
 * `./libmine.so:mine`): as a constant called bq_kernel_NAME, whose .name is NAME.
 *
 *     BQ_KERNEL(mine) = {.abi = BQ_KERNEL_ABI, .name = "mine", .flags = .., .cook = cook};
 */
#if defined(__GNUC__)
#define BQ_EXPORT __attribute__((visibility("default")))
#else
#define BQ_EXPORT
#endif
#define BQ_KERNEL(id)                                                                              \
    BQ_EXPORT extern const struct bq_kernel bq_kernel_##id;                                        \
    const struct bq_kernel bq_kernel_##id

#ifdef __cplusplus
}
#endif
#endif
