/* One step's fields from text. A job file, a flag and --set all end here, so that a value is
 * checked once and refused with the same words wherever it came from. The kind of a value is that
 * of its key: quotes in a job file change nothing.
 *
 * Errors name the key and the value; the caller puts the place ("jobs/x.yaml:7", "--set ...") in
 * front. On an error the field keeps its old value. */
#ifndef BQ_CORE_STEP_H
#define BQ_CORE_STEP_H

#include "core/job.h"

#define BQ_MAX_COOKS 4096
#define BQ_MAX_OPEN 4096
#define BQ_MAX_NAME 64

/* X(code, key, wants: how a message says what its value must be) */
#define BQ_STEP_KEYS(X)                                                                            \
    X(BQ_KEY_NAME, "name", "text")                                                                 \
    X(BQ_KEY_KERNEL, "kernel", "the name of a kernel")                                             \
    X(BQ_KEY_PARAMS, "params", "a map such as {gain: 1.5}")                                        \
    X(BQ_KEY_INPUT, "input", "FILE:/dataset or {file: FILE, dataset: /dataset}")                   \
    X(BQ_KEY_OUTPUT, "output", "FILE:/dataset or {file: FILE, dataset: /dataset}")                 \
    X(BQ_KEY_CHUNK, "chunk", "auto or a list of sizes such as [512, 512]")                         \
    X(BQ_KEY_SCHEDULE, "schedule", "a policy or {policy: dynamic, block: 4}")                      \
    X(BQ_KEY_COOKS, "cooks", "a whole number")                                                     \
    X(BQ_KEY_OPEN, "open", "a whole number")                                                       \
    X(BQ_KEY_TEAM, "team", "true or false")                                                        \
    X(BQ_KEY_PIPELINE, "pipeline",                                                                 \
      "off, or threads of stages such as {read: 1, kernel: 2, encode: 1, write: 1}")               \
    X(BQ_KEY_DELIVERY, "delivery", "auto, shared or coordinator")                                  \
    X(BQ_KEY_MEMORY, "memory", "a size such as 512MiB or 2GiB, or auto")                           \
    X(BQ_KEY_ON_ERROR, "on_error", "stop or skip")                                                 \
    X(BQ_KEY_ISOLATE, "isolate", "auto, process or none")                                          \
    X(BQ_KEY_ATTEMPTS, "attempts", "a whole number")                                               \
    X(BQ_KEY_DEADLINE, "deadline", "off or a number of seconds above 0")                           \
    X(BQ_KEY_BORDER, "border", "clamp, wrap, reflect, constant or constant:NUMBER")                \
    X(BQ_KEY_USES, "uses", "a map such as {counts: measure.counts} or {input: blur}")              \
    X(BQ_KEY_NEXT, "next", "a map such as {input: heat} or {centres: assign.centres}")             \
    X(BQ_KEY_REPEAT, "repeat", "a number of rounds")                                               \
    X(BQ_KEY_UNTIL, "until", "STEP.RESULT < NUMBER, such as heat.change < 1e-4")                   \
    X(BQ_KEY_STEPS, "steps", "a list of steps")

enum bq_step_key {
#define BQ_STEP_KEY_CODE(code, key, wants) code,
    BQ_STEP_KEYS(BQ_STEP_KEY_CODE)
#undef BQ_STEP_KEY_CODE
        BQ_N_STEP_KEYS
};

/* -1 when the name is none. */
int bq_step_key(const char *name);
const char *bq_step_wants(enum bq_step_key key);

/* Fails with "key 'cook' is not known; did you mean 'cooks'?". step may be NULL. */
int bq_step_unknown(const struct bq_step *step, const char *key, struct bq_error *err);

/* A kernel's standard values and the usual schedule. Its strings stay as they are. */
void bq_step_start(struct bq_step *step, const struct bq_kernel *kernel);

/* Sets a field: key "name", "input", "output", "chunk" (512x512), "schedule" (dynamic:4), "cooks",
 * "open", "team", "delivery", "memory" (2GiB), "on_error", "isolate", "attempts", "deadline",
 * "params.NAME" or "output.PART" (of
 * bq_output_wish_set). line: where it stands in the file, or 0. */
int bq_step_set(struct bq_step *step, const char *key, const char *text, int line,
                struct bq_error *err);

/* Whether another step's output is its input, from the first round on. */
bool bq_step_takes_input(const struct bq_step *step);

/* Or from any round on. */
bool bq_step_uses_input(const struct bq_step *step);

/* Adds what a step takes from another: `what` is a parameter or "input", `from` is STEP or
 * STEP.RESULT. is_next: from the round before. */
int bq_step_use(struct bq_step *step, const char *what, const char *from, bool is_next, int line,
                struct bq_error *err);

/* The same for fields that come in parts; bq_place_set is another. */
int bq_schedule_set(struct bq_schedule *schedule, const char *policy, const char *block,
                    struct bq_error *err); /* block NULL: not given */
int bq_step_chunk(struct bq_step *step, const char *const *sizes, size_t n, struct bq_error *err);

#endif
