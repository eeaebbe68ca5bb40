/* Options that several commands take. */
#include <string.h>

#include "base/text.h"
#include "cli/cli.h"

enum {
    KEY_SET = 256,
    KEY_SCHEDULE,
    KEY_COOKS,
    KEY_OPEN,
    KEY_AT_ONCE,
    KEY_CHUNK,
    KEY_MEMORY,
    KEY_JSON,
    KEY_BIND,
    KEY_KITCHENS,
    KEY_FRESH,
    KEY_CHECKPOINT,
    KEY_GRACE,
    KEY_RESTARTS,
    KEY_SILENCE
};

#define MOST_RANKS 1024 /* of one mpirun of ours, on this machine */

static uint32_t positive(const char *text, const char *what, struct argp_state *state)
{
    uint64_t n;
    if (bq_text_u64(text, &n) < 0 || n == 0 || n > MOST_RANKS)
        argp_error(state, "%s must be a whole number from 1 to %d, not '%.40s'", what, MOST_RANKS,
                   text);
    return (uint32_t)n;
}

static error_t parse_job(int key, char *arg, struct argp_state *state)
{
    struct bq_job_options *o = state->input;
    switch (key) {
    case 'n':
        o->n_ranks = positive(arg, "-n", state);
        break;
    case 'i':
        o->over.input = arg;
        break;
    case 'o':
        o->over.output = arg;
        break;
    case KEY_SET:
        if (o->over.n_sets == sizeof o->sets / sizeof *o->sets)
            argp_error(state, "more than 64 times --set");
        o->sets[o->over.n_sets++] = arg;
        o->over.sets = o->sets;
        break;
    case KEY_SCHEDULE:
        o->over.schedule = arg;
        break;
    case KEY_COOKS:
        o->over.cooks = arg;
        break;
    case KEY_OPEN:
        o->over.open = arg;
        break;
    case KEY_CHUNK:
        o->over.chunk = arg;
        break;
    case KEY_MEMORY:
        o->over.memory = arg;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp_option job_options[] = {
    {0, 0, 0, 0, "What to do differently than the job says:", 1},
    {"input", 'i', "FILE:/DATASET", 0, "Read this instead", 1},
    {"output", 'o', "FILE:/DATASET", 0, "Write this instead", 1},
    {"set", KEY_SET, "params.NAME=VALUE", 0,
     "Set a parameter (STEP.params.NAME=VALUE in a job of steps), or another key: "
     "output.compress=zstd:3",
     1},
    {"chunk", KEY_CHUNK, "SHAPE", 0, "Cut into chunks like 512x512, or auto", 1},
    {"schedule", KEY_SCHEDULE, "POLICY", 0,
     "static, cyclic, dynamic, guided or factoring; cyclic:8 and dynamic:8 give the block", 1},
    {"cooks", KEY_COOKS, "N", 0, "Threads of each kitchen (default: a fair share of the cores)", 1},
    {"open", KEY_OPEN, "N", 0, "Chunks that one cook keeps open while they wait (default 1)", 1},
    {"memory", KEY_MEMORY, "SIZE", 0,
     "Memory that each kitchen may take, like 512MiB or 2GiB (default: a fair share)", 1},
    {0, 0, 0, 0, "Where:", 2},
    {0, 'n', "RANKS", 0, "Start this many ranks with mpirun: a coordinator and RANKS - 1 kitchens",
     2},
    {0}};
const struct argp bq_job_argp = {.options = job_options, .parser = parse_job};

#define CHECKPOINT_S 10.0
#define GRACE_S 30.0 /* what Slurm gives between its two signals */
#define RESTARTS 3
#define MOST_RESTARTS 1000
#define SILENCE_S 20.0

/* Seconds, or off. */
static double checkpoint_s(const char *text, struct argp_state *state)
{
    static const struct bq_param seconds = {"--checkpoint", BQ_REAL, {0}, 0, 1e9, "s", ""};
    union bq_value value = {.r = 0};
    if (strcmp(text, "off") == 0)
        return -1;
    if (bq_param_parse(&seconds, text, &value, NULL) < 0)
        argp_error(state, "--checkpoint must be a number of seconds, or off, not '%.40s'", text);
    return value.r;
}

static double seconds_of(const char *name, const char *text, double least, struct argp_state *state)
{
    const struct bq_param seconds = {name, BQ_REAL, {0}, least, 1e8, "s", ""};
    union bq_value value = {.r = 0};
    if (bq_param_parse(&seconds, text, &value, NULL) < 0)
        argp_error(state, "%s must be a number of seconds, at least %g, not '%.40s'", name, least,
                   text);
    return value.r;
}

static error_t parse_exec(int key, char *arg, struct argp_state *state)
{
    struct bq_exec_options *o = state->input;
    uint64_t n;
    switch (key) {
    case ARGP_KEY_INIT:
        o->is_bound = true;
        o->checkpoint_s = CHECKPOINT_S;
        o->grace_s = GRACE_S;
        o->n_restarts = RESTARTS;
        o->silence_s = SILENCE_S;
        break;
    case KEY_FRESH:
        o->is_fresh = true;
        break;
    case KEY_CHECKPOINT:
        o->checkpoint_s = checkpoint_s(arg, state);
        break;
    case KEY_GRACE:
        o->grace_s = seconds_of("--grace", arg, 0, state);
        break;
    case KEY_RESTARTS:
        if (bq_text_u64(arg, &n) < 0 || n > MOST_RESTARTS)
            argp_error(state, "--restarts must be a whole number from 0 to %d, not '%.40s'",
                       MOST_RESTARTS, arg);
        o->n_restarts = (uint32_t)n;
        break;
    case KEY_SILENCE:
        o->silence_s = seconds_of("--silence", arg, 0.1, state);
        break;
    case KEY_JSON:
        o->json = arg;
        break;
    case KEY_BIND:
        if (strcmp(arg, "none") && strcmp(arg, "core"))
            argp_error(state, "--bind must be core or none, not '%s'", arg);
        o->is_bound = strcmp(arg, "core") == 0;
        break;
    case KEY_AT_ONCE:
        o->at_once = positive(arg, "--at-once", state);
        break;
    case KEY_KITCHENS:
        o->max_kitchens = positive(arg, "--kitchens", state);
        break;
    case 'f':
        o->force = true;
        break;
    case 'q':
        o->is_quiet = true;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp_option exec_options[] = {
    {"at-once", KEY_AT_ONCE, "N", 0,
     "Steps that may be under way at the same time (default: all that need nothing of each other)",
     2},
    {"kitchens", KEY_KITCHENS, "N", 0, "Use at most so many of the kitchens", 2},
    {"bind", KEY_BIND, "core|none", 0,
     "Pin cooks to cores where a kitchen has them alone (default: core under a launcher)", 2},
    {"fresh", KEY_FRESH, 0, 0,
     "Begin anew: forget what an earlier run of the job, which was stopped, has finished", 2},
    {"checkpoint", KEY_CHECKPOINT, "SECONDS|off", 0,
     "Save so often what is finished, for a run that is stopped or killed (default: 10)", 2},
    {"grace", KEY_GRACE, "SECONDS", 0,
     "When it is stopped, wait so long for chunks that are on the cooks (default: 30)", 2},
    {"restarts", KEY_RESTARTS, "N", 0,
     "With -n: start again so often when the run dies; it goes on from what is saved (default: 3)",
     2},
    {"silence", KEY_SILENCE, "SECONDS", 0,
     "Take a rank, or its cooks' process, of which nothing was heard for so long for dead "
     "(default: 20)",
     2},
    {0, 0, 0, 0, "Results:", 3},
    {"force", 'f', 0, 0, "Replace an output file that exists", 3},
    {"json", KEY_JSON, "FILE", 0, "Write every number of the report as JSON; - is standard output",
     3},
    {"quiet", 'q', 0, 0, "No progress lines", 3},
    {0}};
const struct argp bq_exec_argp = {.options = exec_options, .parser = parse_exec};
