/* banquet demo: the same three orders in four arrangements, measured.
 *
 * An order waits two units in an oven and then needs one unit of a cook. The waits are simulated by
 * a timer, the work by burning CPU time; everything else is the engine as it is.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/cli.h"
#include "core/board.h"
#include "run/session.h"

#define N_ORDERS 3
#define WAIT 2 /* units */

struct arrangement {
    const char *title;
    unsigned n_kitchens, n_cooks, open;
    bool is_team;
    double model; /* units */
};

struct demo {
    double unit_ms;
    struct bq_report report; /* taken over from the session */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct demo *d = state->input;
    if (key != 'u')
        return ARGP_ERR_UNKNOWN;
    if (bq_text_real(arg, &d->unit_ms) < 0 || !(d->unit_ms >= 5) || d->unit_ms > 10000)
        argp_error(state, "--unit must be 5 to 10000 ms, not '%s'", arg);
    return 0;
}

static int keep(void *context, struct bq_report *report, struct bq_error *err)
{
    struct demo *d = context;
    (void)err;
    d->report = *report;
    *report = (struct bq_report){0};
    return 0;
}

static void put(void *context, const char *text)
{
    (void)context;
    fputs(text, stdout);
}

static int cook_orders(struct bq_session *session, const struct bq_cli *cli,
                       const struct arrangement *a, struct demo *d, struct bq_error *err)
{
    const struct bq_kernel *oven = bq_registry_find(&cli->registry, "oven");
    struct bq_job *job = oven ? bq_job_create(oven, err) : NULL;
    if (!job)
        return err->exit ? (int)err->exit : BQ_EXIT_FAILED;
    struct bq_step *step = &job->steps[0];
    step->params[bq_kernel_param(oven, "n")].i = N_ORDERS;
    step->params[bq_kernel_param(oven, "wait_ms")].r = WAIT * d->unit_ms;
    step->params[bq_kernel_param(oven, "cook_ms")].r = d->unit_ms;
    step->schedule.policy = BQ_STATIC;
    step->cooks = a->n_cooks;
    step->open = a->open;
    step->is_team = a->is_team;
    struct bq_session_options options = {.version = BANQUET_VERSION,
                                         .max_kitchens = a->n_kitchens,
                                         .is_bound = true,
                                         .is_quiet = true};
    int code = bq_session_run(session, job, &options, keep, d, err);
    bq_job_destroy(job);
    return code;
}

/* Of the time that cooks had work, the share without a core; B's three orders share one cook, so no
 * panel has this when the machine is quiet. */
static double without_core(const struct bq_report *reports, size_t n)
{
    uint64_t ready = 0, cooking = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < reports[i].n_kitchens; k++) {
            const struct bq_kitchen_report *kitchen = &reports[i].kitchens[k];
            for (uint32_t c = 0; c < kitchen->n_cooks; c++) {
                ready += kitchen->cooks[c].track.total[BQ_READY];
                cooking += kitchen->cooks[c].track.total[BQ_COOKING];
            }
        }
    }
    return ready + cooking ? (double)ready / (double)(ready + cooking) : 0;
}

static int run_all(struct bq_session *session, const struct bq_cli *cli, struct demo *d,
                   struct bq_error *err)
{
    unsigned k = bq_session_n_kitchens(session);
    unsigned per_kitchen = (N_ORDERS + k - 1) / k;
    const struct arrangement arrangements[] = {
        {"A One at a time", 1, 1, 1, false, N_ORDERS * (WAIT + 1)},
        {"B Concurrent, not parallel", 1, 1, N_ORDERS, false, WAIT + N_ORDERS},
        {"C Parallel, not concurrent", 1, k, 1, true, N_ORDERS * (WAIT + 1.0 / k)},
        {"D Concurrent AND parallel", k, 1, per_kitchen, false, WAIT + per_kitchen},
    };
    enum { N = sizeof arrangements / sizeof *arrangements };
    struct bq_report reports[N] = {0};
    struct bq_board_panel panels[N];
    int code = 0;
    for (int i = 0; i < N && code == 0; i++) {
        code = cook_orders(session, cli, &arrangements[i], d, err);
        reports[i] = d->report;
        d->report = (struct bq_report){0};
        panels[i] = (struct bq_board_panel){
            .title = arrangements[i].title, .report = &reports[i], .model = arrangements[i].model};
    }
    if (code == 0) {
        printf("Three orders: each waits %d units in the oven, then needs a cook for 1.\n"
               "1 unit = %g ms; waits are simulated by a timer, all times are measured.\n"
               "Model: what arithmetic says for %u cook%s on %u core%s.\n\n",
               WAIT, d->unit_ms, k, k == 1 ? "" : "s", k, k == 1 ? "" : "s");
        bq_board(panels, N, (uint64_t)(d->unit_ms * 1e6), put, NULL);
        double busy = without_core(reports, N);
        if (busy > 0.1)
            printf("\nThis machine is busy with other work: when a cook had work, %.0f %% of the "
                   "time it\n"
                   "had no core. Run it again when the machine is quiet.\n",
                   100 * busy);
    }
    for (int i = 0; i < N; i++)
        bq_report_free(&reports[i]);
    return code;
}

int bq_cmd_demo(int argc, char **argv, const struct bq_cli *cli)
{
    static const struct argp_option options[] = {
        {"unit", 'u', "MS", 0, "Length of a unit of work (default 150)", 0}, {0}};
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .doc = "Cook three orders one at a time, concurrently, in parallel, and both, over one "
               "kitchen for each core (three at most), and draw how many were in progress and how "
               "many on a core."};
    struct demo d = {.unit_ms = 150};
    int code = bq_cli_parse(&argp, argc, argv, &d, cli);
    if (code)
        return code;
    if (!cli->is_launched) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        return bq_launch((uint32_t)(cores < 1          ? 1
                                    : cores > N_ORDERS ? N_ORDERS
                                                       : cores) +
                             1,
                         0, cli);
    }
    struct bq_error err = {0};
    struct bq_session *session = bq_session_create(&cli->registry, &err);
    if (!session)
        return bq_cli_complain(&err);
    if (bq_session_is_coordinator(session))
        code = run_all(session, cli, &d, &err);
    else
        code = bq_session_serve(session, &err);
    if (err.text[0])
        code = bq_cli_complain(&err);
    bq_status_end(cli, code);
    bq_session_destroy(session);
    return code;
}
