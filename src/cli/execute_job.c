/* Running a job and showing what happened: shared by run, make and demo. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapters/report_json.h"
#include "cli/cli.h"
#include "core/report_text.h"
#include "run/session.h"

static void put(void *context, const char *text)
{
    (void)context;
    fputs(text, stdout);
}

struct showing {
    const struct bq_exec_options *options;
    struct bq_json_steps *steps; /* NULL: no --json, or a job of one step */
};

static void say_given_up(const struct bq_report *report)
{
    uint64_t all = report->n_chunks * (report->n_rounds ? report->n_rounds : 1);
    char of[40] = "";
    if (all) /* not of a step that an earlier run did */
        snprintf(of, sizeof of, " of %llu", (unsigned long long)all);
    bool is_one = report->n_given_up_total == 1 && !all;
    fprintf(stderr, "banquet: %llu%s chunk%s given up; chunk %llu: %s\n",
            (unsigned long long)report->n_given_up_total, of, is_one ? " was" : "s were",
            (unsigned long long)report->given_up[0].chunk, report->given_up[0].why);
}

static int show(void *context, struct bq_report *report, struct bq_error *err)
{
    const struct showing *showing = context;
    const struct bq_exec_options *options = showing->options;
    bool to_stdout = options->json && options->json[0] == '-' && !options->json[1];
    if (!to_stdout)
        bq_report_text(report, put, NULL);
    if (report->n_given_up_total)
        say_given_up(report);
    if (report->is_short)
        fprintf(stderr, "banquet: step '%s': the loop ended before its condition was true: %s\n",
                report->step, report->loop);
    if (fflush(stdout) || ferror(stdout))
        return bq_fail(err, BQ_EXIT_FAILED, "cannot write to standard output: %s", strerror(errno));
    if (showing->steps)
        return bq_json_steps_add(showing->steps, report, err);
    return options->json ? bq_report_json(report, options->json, err) : 0;
}

static bool has_terminal(const struct bq_cli *cli)
{
    return getenv("BANQUET_TERMINAL") || (!cli->is_launched && isatty(STDERR_FILENO));
}

int bq_cli_execute(const struct bq_exec_options *options, const struct bq_cli *cli,
                   struct bq_job *(*make)(void *context, struct bq_error *err), void *context)
{
    struct bq_error err = {0};
    struct bq_session *session = bq_session_create(&cli->registry, &err);
    if (!session)
        return bq_cli_complain(&err);
    int code;
    if (!bq_session_is_coordinator(session)) {
        code = bq_session_serve(session, &err);
        if (code)
            bq_cli_complain(&err);
    } else {
        struct bq_session_options o = {.version = BANQUET_VERSION,
                                       .max_kitchens = options->max_kitchens,
                                       .at_once = options->at_once,
                                       .door = options->door,
                                       .door_address = options->door_address,
                                       .force = options->force,
                                       .is_resumable = options->is_resumable,
                                       .is_fresh =
                                           options->is_fresh && !getenv("BANQUET_RESTARTED"),
                                       .checkpoint_s = options->checkpoint_s,
                                       .grace_s = options->grace_s,
                                       .silence_ns = (uint64_t)(options->silence_s * 1e9),
                                       /* Alone, the system moves threads better than we can. */
                                       .is_bound = options->is_bound && cli->is_launched,
                                       .is_terminal = has_terminal(cli),
                                       .is_quiet = options->is_quiet};
        struct bq_job *job = make(context, &err);
        struct showing showing = {.options = options};
        bool is_list = job && job->n_steps > 1 && options->json;
        code = !job || bq_cli_check_files(options->json, job, &err) < 0 ||
                       (is_list && !(showing.steps = bq_json_steps_create(options->json, &err)))
                   ? (int)err.exit
                   : bq_session_run(session, job, &o, show, &showing, &err);
        if (bq_json_steps_end(showing.steps, err.text[0] ? NULL : &err) < 0 && !code)
            code = (int)err.exit;
        if (err.text[0])
            code = bq_cli_complain(&err);
        bq_job_destroy(job);
    }
    bq_status_end(cli, code);
    bq_session_destroy(session);
    return code == BQ_EXIT_LOST ? BQ_EXIT_FAILED : code;
}
