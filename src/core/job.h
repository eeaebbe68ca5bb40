/* A job: what a YAML file asks for, checked as far as it can be without opening a dataset.
 *
 * Plain data. Every field that came from the file remembers its line, so that a later check (a
 * dataset that is not there, a parameter that the kernel refuses) can still say file:line.
 */
#ifndef BQ_CORE_JOB_H
#define BQ_CORE_JOB_H

#include "banquet/kernel.h"
#include "base/error.h"
#include "core/layout.h"
#include "core/loop.h"
#include "core/output_wish.h"
#include "core/pipeline.h"
#include "core/place.h"
#include "core/policy.h"

#define BQ_MAX_STEPS 64

/* X(code, name). Who brings the stored bytes of the input to a kitchen. */
#define BQ_DELIVERIES(X)                                                                           \
    X(BQ_DELIVERY_AUTO, "auto")                                                                    \
    X(BQ_DELIVERY_SHARED, "shared")           /* each kitchen reads the file itself */             \
    X(BQ_DELIVERY_COORDINATOR, "coordinator") /* it sends them with the lease */

enum bq_delivery {
#define BQ_DELIVERY_CODE(code, name) code,
    BQ_DELIVERIES(BQ_DELIVERY_CODE)
#undef BQ_DELIVERY_CODE
        BQ_N_DELIVERIES
};

/* X(code, name). What a chunk that cannot be read (a corrupt one) does to the run. */
#define BQ_ON_ERRORS(X)                                                                            \
    X(BQ_ON_ERROR_STOP, "stop")                                                                    \
    X(BQ_ON_ERROR_SKIP, "skip")

/* Where the cooks are: auto is a process of their own for kernels that are not built in. */
#define BQ_ISOLATES(X)                                                                             \
    X(BQ_ISOLATE_AUTO, "auto")                                                                     \
    X(BQ_ISOLATE_PROCESS, "process")                                                               \
    X(BQ_ISOLATE_NONE, "none")

enum bq_isolate {
#define BQ_ISOLATE_CODE(code, name) code,
    BQ_ISOLATES(BQ_ISOLATE_CODE)
#undef BQ_ISOLATE_CODE
        BQ_N_ISOLATES
};

#define BQ_MAX_ATTEMPTS 1000
#define BQ_MAX_DEADLINE 1e8 /* s */

enum bq_on_error {
#define BQ_ON_ERROR_CODE(code, name) code,
    BQ_ON_ERRORS(BQ_ON_ERROR_CODE)
#undef BQ_ON_ERROR_CODE
        BQ_N_ON_ERRORS
};

/* What lies beyond the edge of the input, for kernels that look there. */
struct bq_border_wish {
    bool is_given;
    enum bq_border border;
    double value; /* CONSTANT */
};

/* What a step takes from another: a result as the value of a parameter, or its output as input. */
#define BQ_MAX_USES (2 * (BQ_MAX_PARAMS + 1))
#define BQ_USE_INPUT (-1)

struct bq_use {
    int param;    /* index, or BQ_USE_INPUT */
    char *step;   /* its name; owned */
    char *result; /* NULL: the parameter's name; owned */
    bool is_next; /* `next`: from the round before, so not in the first one */
    int maker;    /* index of the step (bq_graph_make) */
    int line;
};

struct bq_hash {
    uint8_t bytes[16];
};

/* The library that a kernel of the user's own comes from. */
struct bq_origin {
    const char *path;    /* absolute */
    struct bq_hash hash; /* of its contents */
};

struct bq_step {
    char *name;                           /* never NULL: "step 1" when the job gives none */
    const struct bq_kernel *kernel;       /* static, or held by the job; not owned */
    const struct bq_origin *origin;       /* NULL: the kernel is part of the program */
    union bq_value params[BQ_MAX_PARAMS]; /* every one set: given or standard */
    void *owned[BQ_MAX_PARAMS];           /* memory of texts and lists that were given, or NULL */
    int param_line[BQ_MAX_PARAMS];        /* 0 when not given in the file */
    struct bq_place input, output;
    const struct bq_layout *handed_over; /* of an input that another step made, or NULL */
    struct bq_place like;                /* then: the dataset that it came from, if any */
    const char *from;                    /* then: the name of the step that made it */
    unsigned n_beside;    /* steps that may be under way with it, itself included; 0: it is alone */
    unsigned comes_again; /* the same number, not 0, in all rounds of a loop */
    bool input_stays;     /* and the same input */
    const char *made_by;  /* the kernel whose output is only copied here, or NULL */
    struct bq_use uses[BQ_MAX_USES];
    size_t n_uses;
    int chunk_rank; /* 0: auto */
    uint64_t chunk[BQ_MAX_RANK];
    struct bq_schedule schedule;
    unsigned cooks; /* per kitchen; 0: a fair share of the cores */
    unsigned open;  /* chunks that one cook may keep open; at least 1 */
    struct bq_pipeline pipeline;
    bool is_team; /* all cooks of a kitchen share each chunk */
    enum bq_delivery delivery;
    enum bq_on_error on_error;
    enum bq_isolate isolate;
    unsigned attempts;    /* at a chunk that fails, or whose kernel crashes */
    uint64_t deadline_ns; /* of one call of the kernel; 0: it takes as long as it takes */
    struct bq_border_wish border;
    uint64_t memory;            /* bytes of a kitchen's budget; 0: auto */
    struct bq_output_wish wish; /* how the output is stored */
    int line, kernel_line, chunk_line, memory_line, border_line, pipeline_line;
};

struct bq_job {
    char *file; /* where it came from, for messages */
    size_t n_steps;
    struct bq_step *steps;
    size_t n_loops;
    struct bq_loop *loops; /* NULL when there are none */
    /* The libraries that kernels come from, and how to let go of them when the job is destroyed. */
    void *held;
    void (*release)(void *held);
};

/* What the command line changes in a job. schedule, cooks, open and memory go to all steps; the
 * others need a job of one step, or --set with a step's name ("NAME.input=FILE:/dataset"). Empty
 * fields (NULL, 0) change nothing. */
struct bq_override {
    const char *input, *output; /* FILE:/dataset */
    const char *const *sets;    /* "params.gain=1.5" or "NAME.params.gain=1.5" (a step's name),
                                   "output.compress=zstd:3" or "NAME.output..." likewise */
    size_t n_sets;
    const char *schedule; /* policy name, or policy:block */
    const char *cooks, *open, *chunk;
    const char *memory; /* a size, or auto */
};

/* A job of one step for a kernel, all standard values: what `banquet make` starts from. */
struct bq_job *bq_job_create(const struct bq_kernel *kernel, struct bq_error *err);

/* Applies overrides; a name that is wrong gets the nearest right one. Errors begin with the flag:
 * "--set params.gian=1.5: kernel 'brighten' has no parameter 'gian'; did you mean 'gain'?". */
int bq_job_override(struct bq_job *job, const struct bq_override *over, struct bq_error *err);

/* What can only be told when all is known: an input for each kernel that reads and none for the
 * others, an output only where a kernel writes, names that differ. Call it after overriding. */
int bq_job_check(const struct bq_job *job, struct bq_error *err);

/* Whether the kernels run in processes of their own: those of all steps, if one wants it. */
static inline bool bq_job_isolates(const struct bq_job *job)
{
    bool is = false;
    for (size_t i = 0; i < job->n_steps; i++)
        is |= job->steps[i].isolate == BQ_ISOLATE_PROCESS ||
              (job->steps[i].isolate == BQ_ISOLATE_AUTO && job->steps[i].origin);
    return is;
}

/* Several steps, or a loop: so that a run of it can be resumed where one of them ended. */
static inline bool bq_job_has_parts(const struct bq_job *job)
{
    return job->n_steps > 1 || job->n_loops > 0;
}

void bq_job_destroy(struct bq_job *job);

/* Parameter by name: index in kernel->params or -1. */
int bq_kernel_param(const struct bq_kernel *kernel, const char *name);

/* A text that is not given is never NULL. */
static inline union bq_value bq_param_standard(const struct bq_param *param)
{
    if (param->kind == BQ_TEXT && !param->standard.text)
        return (union bq_value){.text = ""};
    return param->standard;
}

/* Parses and range-checks one value from text, of a parameter that is a number or a bool. */
int bq_param_parse(const struct bq_param *param, const char *text, union bq_value *value,
                   struct bq_error *err);

/* The same for any kind. A text or a list ("1, 2.5 3", brackets allowed) takes memory, of which
 * *owned is told; what it was before is freed. */
int bq_param_set(const struct bq_param *param, const char *text, union bq_value *value,
                 void **owned, struct bq_error *err);

/* A list in one piece of memory, for bq_free; its numbers are copied unless `at` is NULL. NULL: no
 * memory, or n is above BQ_MAX_LIST. */
struct bq_list *bq_list_create(const double *at, size_t n);

#endif
