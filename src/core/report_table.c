#include "core/report_table.h"
#include "core/pipeline.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "core/report_verdict.h"
#include "core/timeline.h"

#define MAX_ROWS 32     /* with more, cooks are left out; with more kitchens, most of those too */
#define FIRST_SHOWN 16  /* then: the kitchens that come first in the report ... */
#define SLOWEST_SHOWN 8 /* ... and those that took most time per chunk */

/* Which kitchens to show, as indices that grow. */
struct rows {
    bool has_cooks;
    size_t n, at[MAX_ROWS];
    size_t n_hidden;
};

void bq_report_percent(const uint64_t part[BQ_N_STATES + 1], unsigned percent[BQ_N_SHARES])
{
    double share[BQ_N_SHARES] = {
        [BQ_SHARE_COOKING] = (double)part[BQ_COOKING],
        [BQ_SHARE_READY] = (double)part[BQ_READY],
        [BQ_SHARE_WAITING] = (double)part[BQ_OVEN] + (double)part[BQ_KNIFE] + (double)part[BQ_PASS],
        [BQ_SHARE_IDLE] = (double)part[BQ_N_STATES],
    };
    double all = 0;
    for (int i = 0; i < BQ_N_SHARES; i++)
        all += share[i];
    if (all <= 0)
        share[BQ_SHARE_IDLE] = all = 1;
    unsigned left = 100;
    double rest[BQ_N_SHARES];
    for (int i = 0; i < BQ_N_SHARES; i++) {
        double exact = share[i] / all * 100;
        percent[i] = (unsigned)exact;
        rest[i] = exact - percent[i];
        left -= percent[i];
    }
    while (left > 0) {
        int best = 0;
        for (int i = 1; i < BQ_N_SHARES; i++) {
            if (rest[i] > rest[best])
                best = i;
        }
        percent[best]++;
        rest[best] = -1;
        left--;
    }
}

/* Busy time per chunk; a kitchen without a finished chunk counts as having one. */
static double slowness(const struct bq_report *report, const struct bq_kitchen_report *kitchen)
{
    uint64_t part[BQ_N_STATES + 1];
    bq_report_split(report, kitchen, part);
    double busy = 0;
    for (int s = 0; s < BQ_N_STATES; s++)
        busy += (double)part[s];
    return busy / (double)(kitchen->n_chunks ? kitchen->n_chunks : 1);
}

/* Keeps the SLOWEST_SHOWN slowest of the kitchens after the first ones, by insertion. */
static void choose_slowest(const struct bq_report *report, struct rows *rows)
{
    double slow[SLOWEST_SHOWN];
    size_t n = 0, *at = rows->at + rows->n;
    for (size_t k = rows->n; k < report->n_kitchens; k++) {
        double s = slowness(report, &report->kitchens[k]);
        size_t i = n < SLOWEST_SHOWN ? n++ : SLOWEST_SHOWN;
        if (i == SLOWEST_SHOWN && s <= slow[--i])
            continue;
        for (; i > 0 && slow[i - 1] < s; i--) {
            slow[i] = slow[i - 1];
            at[i] = at[i - 1];
        }
        slow[i] = s;
        at[i] = k;
    }
    for (size_t i = 1; i < n; i++) { /* back into the order of the report */
        for (size_t j = i; j > 0 && at[j - 1] > at[j]; j--) {
            size_t swap = at[j];
            at[j] = at[j - 1];
            at[j - 1] = swap;
        }
    }
    rows->n += n;
}

static void choose(const struct bq_report *report, struct rows *rows)
{
    memset(rows, 0, sizeof *rows);
    size_t n_rows = report->n_kitchens;
    for (size_t k = 0; k < report->n_kitchens; k++)
        n_rows += report->kitchens[k].n_cooks;
    rows->has_cooks = n_rows <= MAX_ROWS;
    bool is_all = report->n_kitchens <= MAX_ROWS;
    rows->n = is_all ? report->n_kitchens : FIRST_SHOWN;
    for (size_t i = 0; i < rows->n; i++)
        rows->at[i] = i;
    if (!is_all)
        choose_slowest(report, rows);
    rows->n_hidden = report->n_kitchens - rows->n;
}

static const char *rate(uint64_t bytes, uint64_t makespan, char *out, size_t size)
{
    out[0] = '-';
    out[1] = 0;
    if (bytes && makespan)
        bq_text_bytes(bq_text_whole((double)bytes / ((double)makespan * 1e-9)), out, size);
    return out;
}

static void table_row(const struct bq_lines *lines, const char *name, uint64_t n_chunks,
                      const uint64_t part[BQ_N_STATES + 1], const char *in, const char *out)
{
    char chunks[32];
    unsigned p[BQ_N_SHARES];
    bq_report_percent(part, p);
    bq_line(lines, "  %-18s%11s%8u%%%6u%%%8u%%%5u%%%9s%9s", name,
            bq_text_count(n_chunks, chunks, sizeof chunks), p[BQ_SHARE_COOKING], p[BQ_SHARE_READY],
            p[BQ_SHARE_WAITING], p[BQ_SHARE_IDLE], in, out);
}

static void kitchen_rows(const struct bq_report *report, const struct bq_kitchen_report *kitchen,
                         bool has_cooks, const struct bq_lines *lines)
{
    uint64_t part[BQ_N_STATES + 1], makespan = report->makespan_ns;
    char rank[16], host[64], name[96], in[24], out[24];
    snprintf(rank, sizeof rank, "k%u ", kitchen->rank);
    snprintf(name, sizeof name, "%s%s", rank,
             bq_line_tail(kitchen->host, 18 - strlen(rank), host, sizeof host));
    if (kitchen->n_cooks == 0 && kitchen->n_lost) { /* it took with it what is known of its work */
        bq_line(lines, "  %-18s%11s%9s%7s%9s%6s%9s%9s", name, "lost", "-", "-", "-", "-", "-", "-");
        return;
    }
    bq_report_split(report, kitchen, part);
    table_row(lines, name, kitchen->n_chunks, part,
              rate(kitchen->bytes_in, makespan, in, sizeof in),
              rate(kitchen->bytes_out, makespan, out, sizeof out));
    for (uint32_t c = 0; has_cooks && c < kitchen->n_cooks; c++) {
        const struct bq_cook_report *cook = &kitchen->cooks[c];
        if (cook->stage)
            snprintf(name, sizeof name, "  c%u %s", c,
                     bq_line_stage_name((enum bq_line_stage)(cook->stage - 1)));
        else if (cook->core >= 0)
            snprintf(name, sizeof name, "  c%u on core %d", c, cook->core);
        else
            snprintf(name, sizeof name, "  c%u", c);
        bq_track_split(&cook->track, makespan, part);
        table_row(lines, name, cook->n_chunks, part, "", "");
    }
}

/* The line that stands where kitchens are missing. */
static void hidden_row(const struct rows *rows, const struct bq_lines *lines)
{
    char n[32];
    bq_line(lines, "  ... %s more; below, the %d slowest of the rest",
            bq_text_count(rows->n_hidden, n, sizeof n), SLOWEST_SHOWN);
}

void bq_report_table(const struct bq_report *report, const struct bq_lines *lines)
{
    struct rows rows;
    choose(report, &rows);
    bq_line(lines, "  %-18s%11s%9s%7s%9s%6s%9s%9s", rows.has_cooks ? "kitchen, cook" : "kitchen",
            "chunks", "cooking", "ready", "waiting", "idle", "in/s", "out/s");
    for (size_t i = 0; i < rows.n; i++) {
        if (i == FIRST_SHOWN && rows.n_hidden)
            hidden_row(&rows, lines);
        kitchen_rows(report, &report->kitchens[rows.at[i]], rows.has_cooks, lines);
    }
}

/* -- the same rows over time -------------------------------------------------------------- */

#define LABEL 10
#define WIDTH 66 /* 2 + LABEL + 1 + WIDTH + 1 = 80 */

static void mark_row(const struct bq_report *report, const char *name,
                     const struct bq_cook_report *cooks, uint32_t n_cooks,
                     const struct bq_lines *lines)
{
    struct bq_timeline timeline;
    char marks[BQ_TIMELINE_MAX + 1];
    bq_timeline_init(&timeline, report->makespan_ns, WIDTH);
    for (uint32_t c = 0; c < n_cooks; c++)
        bq_timeline_add(&timeline, &cooks[c].track, report->makespan_ns);
    bq_line(lines, "  %-*s|%s|", LABEL, name, bq_timeline_marks(&timeline, marks));
}

static void ribbons(const struct bq_report *report, const struct bq_lines *lines)
{
    static const struct {
        double ns;
        const char *name;
    } units[] = {{60e9, "min"}, {1e9, "s"}, {1e6, "ms"}, {1e3, "us"}};
    struct bq_timeline all;
    char row[BQ_TIMELINE_MAX + 2], label[LABEL + 1];
    bq_timeline_init(&all, report->makespan_ns, WIDTH);
    for (size_t k = 0; k < report->n_kitchens; k++) {
        for (uint32_t c = 0; c < report->kitchens[k].n_cooks; c++)
            bq_timeline_add(&all, &report->kitchens[k].cooks[c].track, report->makespan_ns);
    }
    bq_line(lines, "  %-*s|%s|", LABEL, "open", bq_timeline_open(&all, row));
    bq_line(lines, "  %-*s|%s|", LABEL, "cooking", bq_timeline_cooking(&all, row));
    size_t u = 0; /* the largest unit of which the run has three */
    while (u < 3 && (double)report->makespan_ns < 3 * units[u].ns)
        u++;
    snprintf(label, sizeof label, "time, %s", units[u].name);
    bq_line(lines, "  %-*s %s", LABEL, label, bq_timeline_axis(&all, units[u].ns, 0, row));
}

void bq_report_timeline(const struct bq_report *report, const struct bq_lines *lines)
{
    struct rows rows;
    if (report->makespan_ns == 0)
        return;
    choose(report, &rows);
    char legend[96] = "";
#define LEGEND(code, name, letter, mark)                                                           \
    snprintf(legend + strlen(legend), sizeof legend - strlen(legend), "%c %s   ", mark, name);
    BQ_STATES(LEGEND)
#undef LEGEND
    bq_line(lines, "  %-*s %sblank idle", LABEL, "timeline", legend);
    for (size_t i = 0; i < rows.n; i++) {
        const struct bq_kitchen_report *kitchen = &report->kitchens[rows.at[i]];
        char name[32];
        if (i == FIRST_SHOWN && rows.n_hidden)
            hidden_row(&rows, lines);
        snprintf(name, sizeof name, "k%u", kitchen->rank);
        if (!rows.has_cooks)
            mark_row(report, name, kitchen->cooks, kitchen->n_cooks, lines);
        for (uint32_t c = 0; rows.has_cooks && c < kitchen->n_cooks; c++) {
            snprintf(name, sizeof name, "k%u c%u", kitchen->rank, c);
            mark_row(report, name, &kitchen->cooks[c], 1, lines);
        }
    }
    ribbons(report, lines);
}
