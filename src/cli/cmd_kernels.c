/* banquet kernels [NAME]: what is built in, or in a file of the user's own. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "adapters/own_kernel.h"
#include "base/hint.h"
#include "cli/cli.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
    const char **name = state->input;
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    if (*name)
        argp_error(state, "one kernel at a time: '%s' is one too many", arg);
    *name = arg;
    return 0;
}

static void print_real(double value)
{
    if (isinf(value))
        printf("%sinf", value < 0 ? "-" : "");
    else if (value == floor(value) && fabs(value) < 1e15)
        printf("%.0f", value);
    else
        printf("%.6g", value);
}

static void print_param(const struct bq_param *p)
{
    static const char *const kinds[] = {"int", "real", "bool", "text", "list"};
    const struct bq_list *list = p->kind == BQ_LIST ? p->standard.list : NULL;
    printf("    %-12s %-5s ", p->name, kinds[p->kind]);
    if (p->kind == BQ_INT)
        printf("%lld", (long long)p->standard.i);
    else if (p->kind == BQ_REAL)
        print_real(p->standard.r);
    else if (p->kind == BQ_BOOL)
        printf("%s", p->standard.b ? "true" : "false");
    else if (p->kind == BQ_TEXT)
        printf("'%s'", bq_param_standard(p).text);
    for (size_t i = 0; list && i < list->n; i++) {
        printf("%s", i ? "," : "");
        print_real(list->at[i]);
    }
    printf("%s%s  %s", *p->unit ? " " : "", p->unit, p->help);
    if (p->kind != BQ_BOOL && p->kind != BQ_TEXT && p->min <= p->max && fabs(p->min) < DBL_MAX &&
        fabs(p->max) < DBL_MAX) {
        printf(" (");
        print_real(p->min);
        printf(" to ");
        print_real(p->max);
        printf(")");
    }
    printf("\n");
}

static void print_kernel(const struct bq_kernel *k)
{
    printf("%s  %s\n    ", k->name, k->summary);
    printf("%s%s%s%s%s\n", k->flags & BQ_READS ? "reads a dataset" : "needs no input",
           k->flags & BQ_WRITES ? ", writes a dataset" : "", k->combine ? ", reduces" : "",
           k->flags & BQ_MAKES ? ", for `banquet make`" : "",
           k->flags & BQ_SIMULATED ? ", simulated work" : "");
    for (size_t i = 0; i < k->n_params; i++)
        print_param(&k->params[i]);
    printf("\n");
}

/* Those of a file, or the one that is named. */
static int print_own(const char *text)
{
    struct bq_error err = {0};
    const struct bq_kernel *kernel = NULL;
    struct bq_library *library = bq_own_kernel_list(text, &kernel, &err);
    int code = library ? BQ_EXIT_OK : bq_cli_complain(&err);
    if (kernel)
        print_kernel(kernel);
    for (size_t i = 0; library && !kernel && i < bq_library_n_kernels(library); i++) {
        const struct bq_kernel *k = bq_library_kernel(library, bq_library_name(library, i), &err);
        if (k)
            print_kernel(k);
        else
            code = bq_cli_complain(&err);
    }
    bq_library_close(library);
    return code;
}

int bq_cmd_kernels(int argc, char **argv, const struct bq_cli *cli)
{
    static const struct argp argp = {.parser = parse,
                                     .args_doc = "[NAME|FILE.c|FILE.so[:NAME]]",
                                     .doc = "List the kernels: parameter, kind, default, unit."};
    const char *name = NULL;
    int code = bq_cli_parse(&argp, argc, argv, &name, cli);
    if (code)
        return code;
    if (name && bq_own_kernel_is_meant(name))
        return print_own(name);
    const char *names[64];
    char hint[400], quote[BQ_QUOTE];
    size_t n = 0;
    for (size_t i = 0; i < cli->registry.n_kernels; i++) {
        const struct bq_kernel *k = cli->registry.kernels[i];
        if (n < 64)
            names[n++] = k->name;
        if (name && strcmp(name, k->name))
            continue;
        print_kernel(k);
        if (name)
            return BQ_EXIT_OK;
    }
    if (!name)
        return BQ_EXIT_OK;
    fprintf(stderr, "banquet: no kernel is called %s%s\n", bq_quote(name, quote, sizeof quote),
            bq_hint(name, names, n, hint, sizeof hint));
    return BQ_EXIT_USAGE;
}
