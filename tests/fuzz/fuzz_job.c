/* Job files, and what a command line changes in them: to a job that was checked, or an error.
 *
 * The input: how many overrides, each as its kind and a text with a NUL behind it; then the file.
 * Kernels of the user's own are refused here: they would be compiled. */
#include "folder.h"

#include "adapters/job_file.h"
#include "adapters/own_kernel.h"
#include "base/bytes.h"
#include "core/graph.h"
#include "core/step.h"
#include "kernels/kernels.h"

#define MOST (64u << 10) /* bytes */
#define MOST_SETS 16

const struct bq_kernel *__wrap_bq_own_kernel_take(struct bq_job *job, const char *text,
                                                  const struct bq_origin **origin,
                                                  struct bq_error *err);

/* The linker puts it in the place of bq_own_kernel_take. */
const struct bq_kernel *__wrap_bq_own_kernel_take(struct bq_job *job, const char *text,
                                                  const struct bq_origin **origin,
                                                  struct bq_error *err)
{
    (void)job, (void)origin;
    bq_fail(err, BQ_EXIT_USAGE, "the kernel '%.40s' is not compiled here", text);
    return NULL;
}

/* -- overrides ------------------------------------------------------------------------------ */

static const char *get_text(struct bq_reader *r)
{
    size_t n = (size_t)(r->end - r->at);
    const void *end = n ? memchr(r->at, 0, n) : NULL;
    if (!end)
        r->is_bad = true;
    return end ? bq_get_bytes(r, (size_t)((const unsigned char *)end - r->at) + 1) : "";
}

static void get_overrides(struct bq_reader *r, struct bq_override *over, const char **sets)
{
    const char **const texts[] = {&over->input, &over->output, &over->schedule, &over->cooks,
                                  &over->open,  &over->chunk,  &over->memory};
    const size_t n_texts = sizeof texts / sizeof *texts;
    *over = (struct bq_override){.sets = sets};
    for (unsigned n = bq_get_u8(r) % (MOST_SETS + 1); n > 0; n--) {
        unsigned kind = bq_get_u8(r);
        const char *text = get_text(r);
        if (kind < n_texts)
            *texts[kind] = text;
        else
            sets[over->n_sets++] = text;
    }
}

/* -- a job that is right -------------------------------------------------------------------- */

static void look_at_step(const struct bq_step *step)
{
    MUST(step->name && step->name[0] && strlen(step->name) <= BQ_MAX_NAME && step->kernel);
    MUST(!step->origin);
    MUST(step->n_uses <= BQ_MAX_USES && step->cooks <= BQ_MAX_COOKS);
    MUST(step->open >= 1 && step->open <= BQ_MAX_OPEN);
    MUST(step->attempts >= 1 && step->attempts <= BQ_MAX_ATTEMPTS);
    MUST(step->chunk_rank >= 0 && step->chunk_rank <= BQ_MAX_RANK);
    for (int i = 0; i < step->chunk_rank; i++)
        MUST(step->chunk[i] > 0);
    MUST(!step->input.file == !step->input.dataset && !step->output.file == !step->output.dataset);
    for (size_t p = 0; p < step->kernel->n_params; p++) {
        const struct bq_param *param = &step->kernel->params[p];
        MUST(param->kind != BQ_TEXT || step->params[p].text);
        bool is_ranged = param->min <= param->max;
        if (param->kind == BQ_REAL && is_ranged)
            MUST(step->params[p].r >= param->min && step->params[p].r <= param->max);
        if (param->kind == BQ_INT && is_ranged)
            MUST((double)step->params[p].i >= param->min &&
                 (double)step->params[p].i <= param->max);
    }
}

static void look_at_job(struct bq_job *job)
{
    static struct bq_graph graph;
    struct bq_error err = {0};
    MUST(job->n_steps >= 1 && job->n_steps <= BQ_MAX_STEPS);
    for (size_t i = 0; i < job->n_steps; i++) {
        look_at_step(&job->steps[i]);
        for (size_t k = 0; k < i; k++)
            MUST(strcmp(job->steps[i].name, job->steps[k].name) != 0);
    }
    for (size_t l = 0; l < job->n_loops; l++) {
        const struct bq_loop *loop = &job->loops[l];
        MUST(loop->n >= 1 && loop->first < job->n_steps && loop->n <= job->n_steps - loop->first);
        MUST(loop->repeat <= BQ_MAX_ROUNDS);
    }
    MUST(bq_job_check(job, &err) == 0 && bq_graph_make(&graph, job, &err) == 0);
}

/* -- a file ------------------------------------------------------------------------------- */

static void read_job(const char *path, const struct bq_override *over)
{
    struct bq_error err = {0};
    struct bq_job *job = bq_job_read(path, bq_kernels, bq_n_kernels, over, &err);
    MUST(!job == (err.text[0] != 0));
    MUST(job || err.exit == BQ_EXIT_USAGE || strstr(err.text, "out of memory"));
    MUST(memchr(err.text, 0, sizeof err.text));
    for (const char *c = err.text; *c; c++) { /* it goes to a terminal */
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            fprintf(stderr, "%s\n", err.text);
        MUST((unsigned char)*c >= ' ' && *c != 0x7f);
    }
    if (job)
        look_at_job(job);
    bq_job_destroy(job);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const char *sets[MOST_SETS];
    struct bq_override over;
    if (n > MOST)
        return 0;
    unsigned char *copy = exact_copy(bytes, n);
    struct bq_reader r = bq_reader(copy, n);
    get_overrides(&r, &over, sets);
    if (!r.is_bad) {
        const char *path = in_fuzz_folder("job.yaml");
        fuzz_put_file(path, r.at, (size_t)(r.end - r.at));
        read_job(path, NULL);
        read_job(path, &over);
    }
    free(copy);
    return 0;
}
