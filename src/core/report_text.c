#include "core/report_text.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "core/lines.h"
#include "core/report_table.h"
#include "core/report_verdict.h"

/* 3.80, 41.2, 1,234 */
static const char *number(double value, char *out, size_t size)
{
    if (value >= 999.5)
        return bq_text_count(bq_text_whole(value + 0.5), out, size);
    snprintf(out, size, value < 9.995 ? "%.2f" : value < 99.95 ? "%.1f" : "%.0f", value);
    return out;
}

static void write_what(const struct bq_report *report, const struct bq_lines *lines)
{
    char name[256];
    bq_line(lines, "banquet %s", report->version ? report->version : "");
    bq_line(lines, "  job      %s", bq_line_tail(report->job, 69, name, sizeof name));
    if (report->step[0])
        bq_line(lines, "  step     %s", report->step);
    if (report->loop[0])
        bq_line_wrap(lines, "  loop     ", report->loop);
    bq_line(lines, "  kernel   %s%s", report->kernel,
            report->is_simulated ? "   (waits are simulated)" : "");
    if (report->input[0])
        bq_line(lines, "  input    %s", bq_line_tail(report->input, 69, name, sizeof name));
    if (report->output[0])
        bq_line(lines, "  output   %s", bq_line_tail(report->output, 69, name, sizeof name));
    if (!report->is_earlier)
        bq_line(lines, "  schedule %s   transport %s", report->policy, report->transport);
}

static void write_speed(const struct bq_report *report, const struct bq_lines *lines)
{
    double seconds = (double)report->makespan_ns * 1e-9;
    char n[32], time[32], per[32], line[200], bytes[32];
    snprintf(line, sizeof line, "%s chunk%s in %s", bq_text_count(report->n_chunks, n, sizeof n),
             report->n_chunks == 1 ? "" : "s", bq_text_seconds(seconds, time, sizeof time));
    if (seconds > 0) {
        size_t w = strlen(line);
        snprintf(line + w, sizeof line - w, " (%s chunks/s",
                 number((double)report->n_chunks / seconds, per, sizeof per));
        const struct {
            uint64_t bytes;
            const char *way;
        } flow[] = {{report->bytes_in, "in"}, {report->bytes_out, "out"}};
        for (size_t i = 0; i < 2; i++) {
            w = strlen(line);
            if (flow[i].bytes)
                snprintf(line + w, sizeof line - w, ", %s/s %s",
                         bq_text_bytes(bq_text_whole((double)flow[i].bytes / seconds), bytes,
                                       sizeof bytes),
                         flow[i].way);
        }
        w = strlen(line);
        snprintf(line + w, sizeof line - w, ")");
    }
    bq_line(lines, "%s", line);
}

static void write_at_once(const struct bq_report *report, const struct bq_lines *lines)
{
    struct bq_at_once is;
    char mean[32], max[32];
    bq_report_at_once(report, &is);
    bq_line(lines, "  concurrency  mean %-6s max %-6s chunks in progress at once",
            number(is.open_mean, mean, sizeof mean), number(is.open_max, max, sizeof max));
    bq_line(lines, "  parallelism  mean %-6s max %-6s cooks on a core at once  (%u core%s)",
            number(is.cooking_mean, mean, sizeof mean), number(is.cooking_max, max, sizeof max),
            report->n_cores, report->n_cores == 1 ? "" : "s");
    bq_line(lines, "  (max: the mean of the fullest bin; bins of %s)",
            bq_text_seconds((double)is.bin_ns * 1e-9, mean, sizeof mean));
}

static void write_series(const struct bq_result *result, char *out, size_t size)
{
    char n[32], largest[32];
    size_t at = 0;
    for (size_t i = 1; i < result->n_series; i++) {
        if (result->series[i] > result->series[at])
            at = i;
    }
    bq_text_count(result->n_series, n, sizeof n);
    if (result->n_series == 0) {
        snprintf(out, size, "no values");
        return;
    }
    size_t used = 0; /* all of them where they fit a line */
    for (size_t i = 0; i < result->n_series && used < 60; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%llu", i ? " " : "",
                                 (unsigned long long)result->series[i]);
    if (used >= 60)
        snprintf(out, size, "%s values, largest %s at %zu", n,
                 bq_text_count(result->series[at], largest, sizeof largest), at);
}

static void write_reals(const struct bq_result *result, char *out, size_t size)
{
    size_t used = 0;
    char n[32];
    snprintf(out, size, "no values");
    for (size_t i = 0; i < result->n_series && used < 60; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%.6g", i ? " " : "", result->reals[i]);
    if (used >= 60)
        snprintf(out, size, "%s values, %.6g to %.6g", bq_text_count(result->n_series, n, sizeof n),
                 result->reals[0], result->reals[result->n_series - 1]);
}

static void write_results(const struct bq_report *report, const struct bq_lines *lines)
{
    size_t width = 8;
    for (size_t r = 0; r < report->n_results; r++) {
        size_t columns = bq_line_columns(report->results[r].name);
        width = columns > width ? columns : width;
    }
    for (size_t r = 0; r < report->n_results; r++) {
        const struct bq_result *result = &report->results[r];
        char value[96];
        switch (result->kind) {
        case BQ_RESULT_INTEGER:
            bq_text_count(result->integer, value, sizeof value);
            break;
        case BQ_RESULT_NEGATIVE:
            value[0] = '-';
            bq_text_count(0 - result->integer, value + 1, sizeof value - 1);
            break;
        case BQ_RESULT_REAL:
            snprintf(value, sizeof value, "%.12g", result->real);
            break;
        case BQ_RESULT_SERIES:
            write_series(result, value, sizeof value);
            break;
        case BQ_RESULT_REALS:
            write_reals(result, value, sizeof value);
            break;
        }
        int pad = (int)(width - bq_line_columns(result->name));
        bq_line(lines, "  %s%*s  %s", result->name, pad, "", value);
    }
}

static void write_losses(const struct bq_report *report, const struct bq_lines *lines)
{
    for (size_t k = 0; k < report->n_kitchens; k++) {
        const struct bq_kitchen_report *kitchen = &report->kitchens[k];
        char times[40];
        snprintf(times, sizeof times, kitchen->n_lost == 1 ? "once" : "%u times", kitchen->n_lost);
        if (kitchen->is_gone)
            bq_line(lines, "kitchen %u was lost; others did its work", kitchen->rank);
        else if (kitchen->n_lost)
            bq_line(lines, "kitchen %u lost its cooks %s%s", kitchen->rank, times,
                    kitchen->n_cooks ? "" : ", the last time at the end");
    }
}

static void write_warnings(const struct bq_report *report, const struct bq_lines *lines)
{
    char line[320], n[32];
    for (size_t k = 0; k < report->n_kitchens; k++) {
        const struct bq_kitchen_report *kitchen = &report->kitchens[k];
        if (!kitchen->warning[0])
            continue;
        snprintf(line, sizeof line, "k%u %s: %s", kitchen->rank, kitchen->host, kitchen->warning);
        bq_line_wrap(lines, "warning: ", line);
    }
    if (report->n_given_up_total == 0)
        return;
    bq_line(lines, "%s chunk%s given up:", bq_text_count(report->n_given_up_total, n, sizeof n),
            report->n_given_up_total == 1 ? "" : "s");
    for (size_t g = 0; g < report->n_given_up; g++) {
        char first[48];
        snprintf(first, sizeof first,
                 "  chunk %llu: ", (unsigned long long)report->given_up[g].chunk);
        bq_line_wrap(lines, first, report->given_up[g].why);
    }
    if (report->n_given_up_total > report->n_given_up)
        bq_line(lines, "  ... and %s more",
                bq_text_count(report->n_given_up_total - report->n_given_up, n, sizeof n));
}

static void write_machinery(const struct bq_report *report, const struct bq_lines *lines)
{
    char n[32], cpu[32], line[200];
    snprintf(line, sizeof line, "%s message%s, %s of CPU",
             bq_text_count(report->n_messages, n, sizeof n), report->n_messages == 1 ? "" : "s",
             bq_text_seconds(report->coordinator_cpu, cpu, sizeof cpu));
    if (report->n_messages)
        bq_line_wrap(lines, "coordinator: ", line);
    if (report->n_discarded)
        bq_line(lines, "discarded: %s result%s of chunks that were already finished",
                bq_text_count(report->n_discarded, n, sizeof n),
                report->n_discarded == 1 ? "" : "s");
    if (report->n_machines > 1)
        bq_line(lines, "clocks of %u machines agree within %s", report->n_machines,
                bq_text_seconds((double)report->clock_error_ns * 1e-9, n, sizeof n));
}

/* All that is known of a step that an earlier run did. */
static void write_earlier(const struct bq_report *report, const struct bq_lines *lines)
{
    bq_line(lines, "finished by an earlier run of this job");
    if (report->n_results) {
        bq_line(lines, "%s", "");
        bq_line(lines, "results");
        write_results(report, lines);
    }
    bq_line(lines, "%s", "");
    write_warnings(report, lines);
    bq_line(lines, "digest %s", report->digest);
}

void bq_report_text(const struct bq_report *report, void (*put)(void *ctx, const char *line),
                    void *ctx)
{
    const struct bq_lines lines = {put, ctx};
    char verdict[256];
    write_what(report, &lines);
    if (report->is_earlier) {
        write_earlier(report, &lines);
        return;
    }
    write_speed(report, &lines);
    bq_line(&lines, "%s", "");
    write_at_once(report, &lines);
    if (report->n_results) {
        bq_line(&lines, "%s", "");
        bq_line(&lines, "results");
        write_results(report, &lines);
    }
    bq_line(&lines, "%s", "");
    bq_report_table(report, &lines);
    bq_line(&lines, "%s", "");
    bq_report_timeline(report, &lines);
    bq_line(&lines, "%s", "");
    bq_line_wrap(&lines, "what bounds it: ", bq_report_verdict(report, verdict, sizeof verdict));
    write_machinery(report, &lines);
    write_losses(report, &lines);
    write_warnings(report, &lines);
    bq_line(&lines, "digest %s", report->digest);
}
