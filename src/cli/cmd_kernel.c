/* banquet kernel new|check|include: kernels of one's own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "adapters/kernel_cache.h"
#include "base/hint.h"
#include "base/text.h"
#include "cli/kernel.h"

#define STANDARD_ROUNDS 40
#define MOST_ROUNDS 1000000
#define STANDARD_LIMIT 30 /* seconds */
#define MOST_SECONDS 86400

static uint64_t number(const char *text, const char *what, uint64_t most, struct argp_state *state)
{
    uint64_t n;
    if (bq_text_u64(text, &n) < 0 || n > most || (n == 0 && most != UINT64_MAX))
        argp_error(state, "%s must be a whole number from 1 to %llu, not '%.40s'", what,
                   (unsigned long long)most, text);
    return n;
}

/* -- new ---------------------------------------------------------------------------------- */

struct new_options {
    const char *name, *folder;
};

static error_t parse_new(int key, char *arg, struct argp_state *state)
{
    struct new_options *o = state->input;
    switch (key) {
    case 'd':
        o->folder = arg;
        break;
    case ARGP_KEY_ARG:
        if (o->name)
            argp_error(state, "one kernel at a time: '%s' is one too many", arg);
        o->name = arg;
        break;
    case ARGP_KEY_END:
        if (!o->name)
            argp_error(state, "what is it called? For example: banquet kernel new mine");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static int cmd_new(int argc, char **argv, const struct bq_cli *cli)
{
    static const struct argp_option options[] = {
        {"dir", 'd', "FOLDER", 0, "Where to (default: here)", 0}, {0}};
    static const struct argp argp = {
        .options = options,
        .parser = parse_new,
        .args_doc = "NAME",
        .doc = "Write a kernel to begin with: NAME.c, its CMakeLists.txt, its test, a job."};
    struct new_options o = {.folder = "."};
    struct bq_error err = {0};
    int code = bq_cli_parse(&argp, argc, argv, &o, cli);
    if (code || cli->is_silent)
        return code;
    return bq_kernel_new(o.name, o.folder, &err) < 0 ? bq_cli_complain(&err) : BQ_EXIT_OK;
}

/* -- check -------------------------------------------------------------------------------- */

enum { KEY_SEED = 256, KEY_ROUNDS, KEY_LIMIT };

struct check {
    const char *kernel;
    struct bq_check_options options;
};

static error_t parse_check(int key, char *arg, struct argp_state *state)
{
    struct check *c = state->input;
    switch (key) {
    case KEY_SEED:
        c->options.seed = number(arg, "--seed", UINT64_MAX, state);
        break;
    case KEY_ROUNDS:
        c->options.rounds = (unsigned)number(arg, "--rounds", MOST_ROUNDS, state);
        break;
    case KEY_LIMIT:
        c->options.limit_s = (unsigned)number(arg, "--limit", MOST_SECONDS, state);
        break;
    case ARGP_KEY_ARG:
        if (c->kernel)
            argp_error(state, "one file at a time: '%s' is one too many", arg);
        c->kernel = arg;
        break;
    case ARGP_KEY_END:
        if (!c->kernel)
            argp_error(state, "which kernel? For example: banquet kernel check mine.c");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static int cmd_check(int argc, char **argv, const struct bq_cli *cli)
{
    static const struct argp_option options[] = {
        {"seed", KEY_SEED, "N", 0, "The same datasets as another time (default: of the clock)", 0},
        {"rounds", KEY_ROUNDS, "N", 0, "So many datasets (default 40)", 0},
        {"limit", KEY_LIMIT, "SECONDS", 0, "Longer than this no call may take (default 30)", 0},
        {0}};
    static const struct argp argp = {
        .options = options,
        .parser = parse_check,
        .args_doc = "FILE.c|FILE.so[:NAME]",
        .doc = "Try a kernel out over random shapes, types, values and edges: is it deterministic, "
               "re-entrant, free of writes outside its chunk? A source is also compiled and run "
               "under sanitizers.\v"
               "Exit codes: 0 nothing was found, 1 something was, 2 it could not be checked."};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct check c = {
        .options = {.seed = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec % 1000,
                    .rounds = STANDARD_ROUNDS,
                    .limit_s = STANDARD_LIMIT}};
    int code = bq_cli_parse(&argp, argc, argv, &c, cli);
    if (code || cli->is_silent)
        return code;
    return bq_kernel_check(c.kernel, &c.options);
}

/* What bq_kernel_check starts, with all arguments: LIBRARY.so:NAME SEED ROUNDS LIMIT. */
static int cmd_check_here(int argc, char **argv, const struct bq_cli *cli)
{
    uint64_t n[3];
    (void)cli;
    for (int i = 0; i < 3; i++) {
        if (argc != 5 || bq_text_u64(argv[2 + i], &n[i]) < 0)
            return BQ_EXIT_USAGE;
    }
    struct bq_check_options options = {
        .seed = n[0], .rounds = (unsigned)n[1], .limit_s = (unsigned)n[2]};
    return bq_kernel_check_here(argv[1], &options);
}

/* -- include ------------------------------------------------------------------------------ */

static int cmd_include(int argc, char **argv, const struct bq_cli *cli)
{
    static const struct argp argp = {
        .doc = "Print the folder that has banquet/kernel.h, for a compiler's -I."};
    char folder[BQ_CACHE_PATH], include[BQ_CACHE_PATH];
    struct bq_error err = {0};
    int code = bq_cli_parse(&argp, argc, argv, NULL, cli);
    if (code || cli->is_silent)
        return code;
    if (bq_cache_open(folder, &err) < 0 ||
        bq_cache_sources(folder, "include", bq_header_sources, include, &err) < 0)
        return bq_cli_complain(&err);
    printf("%s\n", include);
    return BQ_EXIT_OK;
}

/* -- which of them ------------------------------------------------------------------------ */

int bq_cmd_kernel(int argc, char **argv, const struct bq_cli *cli)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv, const struct bq_cli *cli);
    } parts[] = {{"new", cmd_new},
                 {"check", cmd_check},
                 {"include", cmd_include},
                 {"check-here", cmd_check_here}};
    static const char *const names[] = {"new", "check", "include"}; /* that people type */
    static const char usage[] =
        "Usage: banquet kernel new NAME [--dir FOLDER]\n"
        "       banquet kernel check FILE.c|FILE.so[:NAME] [--seed N] [--rounds N]\n"
        "       banquet kernel include\n"
        "Kernels of your own. A job names one as `kernel: ./mine.c` or `kernel: "
        "./libmine.so:name`;\n"
        "`banquet kernels ./mine.c` lists its parameters.\n";
    char hint[200], quote[BQ_QUOTE], name[32];
    const char *word = argc > 1 ? argv[1] : "";
    if (strcmp(word, "--help") == 0 || strcmp(word, "-?") == 0 || strcmp(word, "help") == 0) {
        fputs(usage, stdout);
        return BQ_EXIT_OK;
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strcmp(word, parts[i].name) == 0) {
            snprintf(name, sizeof name, "kernel %s", word);
            argv[1] = name;
            return parts[i].run(argc - 1, argv + 1, cli);
        }
    }
    if (!*word)
        fputs(usage, stderr);
    else
        fprintf(stderr, "banquet: 'kernel' cannot do %s%s\n", bq_quote(word, quote, sizeof quote),
                bq_hint(word, names, sizeof names / sizeof *names, hint, sizeof hint));
    return BQ_EXIT_USAGE;
}
