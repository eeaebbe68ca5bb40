/* banquet plan JOB: what run would do, without doing it. */
#include <stdio.h>
#include <string.h>

#include "adapters/affinity.h"
#include "adapters/job_file.h"
#include "adapters/memory.h"
#include "base/text.h"
#include "cli/cli.h"
#include "core/graph.h"
#include "run/execute.h"
#include "run/resolve.h"
#include "run/steps.h"

struct plan {
    struct bq_job_options job;
    const char *path;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct plan *p = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &p->job;
        break;
    case ARGP_KEY_ARG:
        if (p->path)
            argp_error(state, "one job at a time: '%s' is one too many", arg);
        p->path = arg;
        break;
    case ARGP_KEY_END:
        if (!p->path)
            argp_error(state, "which job? For example: banquet plan jobs/brighten.yaml");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* Which way the numbers take out of the file, and why. */
static void print_reader(const struct bq_recipe *recipe, const struct bq_input_info *info)
{
    if (info->by_library[0])
        printf("            read by the HDF5 library, one cook at a time: %s\n", info->by_library);
    else if (bq_stored_form(&recipe->layout) == BQ_STORED_PIECES)
        printf("            read and decoded by the cooks, beside the HDF5 library\n");
    else
        printf("            read by the cooks, beside the HDF5 library\n");
}

/* How the output is stored, and who writes it. */
static void print_output(const struct bq_resolved *r)
{
    static const char *const how[] = {
#define HOW_TEXT(code, text) text,
        BQ_OUTPUT_HOWS(HOW_TEXT)
#undef HOW_TEXT
    };
    const struct bq_output_spec *spec = &r->output;
    char a[200], b[64];
    if (spec->is_scratch)
        printf("  output    handed over to other steps, ");
    else
        printf("  output    %s:%s, ", spec->file, spec->dataset);
    printf("%s, %s\n            ", bq_type_name(spec->type),
           bq_text_bytes(bq_space_elements(&spec->space) * bq_type_size(spec->type), b, sizeof b));
    if (spec->chunk.rank)
        printf("chunked %s", bq_text_extent(spec->chunk.extent, spec->chunk.rank, a, sizeof a));
    else
        printf("contiguous");
    for (uint32_t i = 0; i < spec->filters.n; i++)
        printf("%s%s", i ? " + " : ", ", bq_filter_name(spec->filters.list[i].id));
    printf(", %s\n", how[spec->how]);
}

static void print_data(const struct bq_resolved *r)
{
    const struct bq_recipe *recipe = &r->recipe;
    const struct bq_plan *plan = &recipe->plan;
    char a[200], b[64], c[64];
    if (recipe->has_input) {
        const struct bq_input_info *info = bq_input_info(r->input);
        printf("  input     %s:%s\n", recipe->file, recipe->dataset);
        printf("            %s, %s, %s stored\n",
               bq_text_extent(info->space.extent, info->space.rank, a, sizeof a), info->stored,
               bq_text_bytes(bq_input_stored_bytes(r->input), b, sizeof b));
        print_reader(recipe, info);
    } else {
        printf("  domain    %s (no input)\n",
               bq_text_extent(plan->space.extent, plan->space.rank, a, sizeof a));
    }
    size_t element =
        recipe->has_input ? bq_type_size(recipe->in_type) : bq_type_size(recipe->out_type);
    bool has_bytes = recipe->has_input || recipe->has_output;
    printf("  chunks    %s of %s", bq_text_count(plan->n_chunks, b, sizeof b),
           bq_text_extent(plan->chunk, plan->space.rank, a, sizeof a));
    if (has_bytes)
        printf(" (%s each)", bq_text_bytes(plan->max_elements * element, c, sizeof c));
    printf("\n");
    if (recipe->has_output)
        print_output(r);
    else
        printf("  output    none: results are printed\n");
}

/* Cooks, chunks in progress and buffers, as a kitchen will fit them into its memory; the program
 * itself takes somewhat more under mpirun. */
static int print_kitchens(const struct bq_resolved *r, uint32_t n_kitchens, unsigned n_cooks,
                          struct bq_error *err)
{
    const struct bq_recipe *recipe = &r->recipe;
    struct bq_fit fit;
    char a[64], b[64], advice[200];
    uint64_t taken = bq_executor_taken();
    uint64_t budget = !recipe->memory ? bq_memory_share(bq_memory_available(""), n_kitchens)
                      : recipe->memory > taken ? recipe->memory - taken
                                               : 0;
    bool is_direct =
        recipe->output.how == BQ_OUTPUT_DIRECT || recipe->output.how == BQ_OUTPUT_SHARDED;
    if (bq_executor_fit(recipe, r->kernel, recipe->delivery == BQ_DELIVERY_COORDINATOR, is_direct,
                        n_cooks, budget, &fit, err) < 0)
        return -1;
    printf("  kitchens  %u of %u cook%s%s", n_kitchens, fit.n_cooks, fit.n_cooks == 1 ? "" : "s",
           n_kitchens > 1 ? " (if on this machine)" : "");
    if (fit.n_cooks < n_cooks)
        printf(", memory for no more of %u", n_cooks);
    printf("\n            up to %u chunk%s in progress for each cook, %s of buffers", fit.n_slots,
           fit.n_slots == 1 ? "" : "s", bq_text_bytes(fit.bytes, a, sizeof a));
    printf(" in %s of memory\n", bq_text_bytes(budget + taken, b, sizeof b));
    if (fit.n_cached)
        printf("            `chunk` cuts the file's chunks: cooks share what they decode, "
               "%u kept\n",
               fit.n_cached);
    if (fit.repeats >= BQ_MANY_REPEATS)
        printf("            WARNING each stored chunk is decoded about %.0f times: %s\n",
               fit.repeats, bq_executor_advice(recipe, &fit, advice, sizeof advice));
    return 0;
}

static int print_step(const struct bq_job *job, const struct bq_step *step, uint32_t n_ranks,
                      struct bq_error *err)
{
    uint32_t n_kitchens = n_ranks > 1 ? n_ranks - 1 : 1;
    struct bq_resolved r;
    struct bq_place_on_machine place;
    if (bq_affinity_find(&place, 0, n_kitchens, err) < 0 ||
        bq_resolve(&r, job, step, n_kitchens, true, err) < 0)
        return -1;
    const struct bq_recipe *recipe = &r.recipe;
    unsigned n_cooks = recipe->n_cooks ? recipe->n_cooks : place.n_share;
    printf("%s: kernel %s\n", step->name, recipe->kernel);
    print_data(&r);
    if (print_kitchens(&r, n_kitchens, n_cooks, err) < 0) {
        bq_resolved_close(&r);
        return -1;
    }
    printf("  leases    %s", bq_policy_name(recipe->schedule.policy));
    for (uint32_t k = 0; k < n_kitchens && k < 4; k++) {
        uint64_t first, count;
        bq_policy_first(&recipe->schedule, recipe->plan.n_chunks, n_kitchens, k, &first, &count);
        if (count)
            printf("%s kitchen %u begins with %llu .. %llu", k ? "," : ":", k + 1,
                   (unsigned long long)first, (unsigned long long)(first + count - 1));
    }
    printf("%s\n", n_kitchens > 4 ? ", ..." : "");
    bq_resolved_close(&r);
    return 0;
}

/* A step that others have to come before. */
static void print_later(const struct bq_job *job, const struct bq_graph *graph, size_t i)
{
    const struct bq_step *step = &job->steps[i];
    printf("%s: kernel %s\n  needs    ", step->name, step->kernel->name);
    for (size_t j = 0; j < job->n_steps; j++) {
        if (graph->needs[i] >> j & 1)
            printf(" %s", job->steps[j].name);
    }
    printf(": planned when it is there\n");
}

int bq_cmd_plan(int argc, char **argv, const struct bq_cli *cli)
{
    static const struct argp_child children[] = {{&bq_job_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        .parser = parse,
        .args_doc = "JOB.yaml",
        .doc =
            "Say what a job would do: chunks, bytes, memory, first leases, output. Writes nothing.",
        .children = children};
    struct plan p = {0};
    struct bq_error err = {0};
    int code = bq_cli_parse(&argp, argc, argv, &p, cli);
    if (code)
        return code;
    if (cli->is_silent)
        return BQ_EXIT_OK;
    struct bq_job *job =
        bq_job_read(p.path, cli->registry.kernels, cli->registry.n_kernels, &p.job.over, &err);
    if (!job)
        return bq_cli_complain(&err);
    struct bq_graph graph;
    if (bq_graph_make(&graph, job, &err) < 0 || bq_cli_check_files(NULL, job, &err) < 0)
        code = bq_cli_complain(&err);
    for (size_t at = 0; at < job->n_steps && code == 0; at++) {
        size_t i = graph.order[at];
        const struct bq_loop *loop = bq_graph_loop(job, i);
        if (loop && loop->first == i)
            printf("loop '%s': at most %llu rounds\n", loop->name,
                   (unsigned long long)loop->repeat);
        struct bq_step step = bq_steps_preview(job, &graph, i, 0);
        if (graph.needs[i])
            print_later(job, &graph, i);
        else if (print_step(job, &step, p.job.n_ranks, &err) < 0)
            code = bq_cli_complain(&err);
    }
    bq_job_destroy(job);
    return code;
}
