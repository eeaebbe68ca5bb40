#include "core/board.h"

#include <stdio.h>
#include <string.h>

#include "core/lines.h"
#include "core/timeline.h"

#define LABEL 8  /* "cooking " */
#define WIDTH 51 /* 3 + LABEL + 1 + WIDTH + 1 + strlen(" <- concurrency") <= 80 */

/* How a unit of time is drawn; the same for all panels. */
struct scale {
    uint64_t unit_ns, span;
    int n_columns;
    double step; /* units between the numbers of the axis */
};

static struct scale scale_of(const struct bq_board_panel *panels, size_t n, uint64_t unit_ns)
{
    double longest = 1;
    for (size_t p = 0; p < n; p++) {
        double units = (double)panels[p].report->makespan_ns / (double)unit_ns;
        longest = units > longest ? units : longest;
    }
    /* A tenth of a unit is not worth a column of its own: real runs end a little late. */
    uint64_t n_units = (uint64_t)longest;
    if (longest - (double)n_units > 0.1)
        n_units++;
    int per_unit = n_units <= WIDTH ? (int)(WIDTH / n_units) : 0;
    if (per_unit > 5)
        per_unit = 5;
    struct scale scale = {unit_ns, n_units * unit_ns, per_unit ? per_unit * (int)n_units : WIDTH,
                          per_unit > 2 ? 1 : 0};
    return scale;
}

static unsigned n_cooks_of(const struct bq_report *report)
{
    unsigned n = 0;
    for (size_t k = 0; k < report->n_kitchens; k++)
        n += report->kitchens[k].n_cooks;
    return n;
}

static void summary(const struct bq_board_panel *panel, uint64_t unit_ns, char *out, size_t size)
{
    struct bq_at_once is;
    char model[32] = "";
    bq_report_at_once(panel->report, &is);
    if (panel->model > 0)
        snprintf(model, sizeof model, " (model %.3g)", panel->model);
    snprintf(out, size, "cooks %u  done at %.1f%s  open max %.0f  cooking max %.0f",
             n_cooks_of(panel->report), (double)panel->report->makespan_ns / (double)unit_ns, model,
             is.open_max, is.cooking_max);
}

static void rows(const struct bq_report *report, const struct scale *scale,
                 const struct bq_lines *lines)
{
    struct bq_timeline all, one;
    char row[BQ_TIMELINE_MAX + 2], label[32];
    unsigned number = 0;
    bq_timeline_init(&all, scale->span, scale->n_columns);
    for (size_t k = 0; k < report->n_kitchens; k++) {
        for (uint32_t c = 0; c < report->kitchens[k].n_cooks; c++) {
            const struct bq_track *track = &report->kitchens[k].cooks[c].track;
            bq_timeline_add(&all, track, report->makespan_ns);
            bq_timeline_init(&one, scale->span, scale->n_columns);
            bq_timeline_add(&one, track, report->makespan_ns);
            snprintf(label, sizeof label, "cook %u", ++number);
            bq_line(lines, "   %-*s|%s|", LABEL, label, bq_timeline_marks(&one, row));
        }
    }
    bq_line(lines, "   %-*s|%s| <- concurrency", LABEL, "open", bq_timeline_open(&all, row));
    bq_line(lines, "   %-*s|%s| <- parallelism", LABEL, "cooking", bq_timeline_cooking(&all, row));
    bq_line(lines, "   %-*s %s", LABEL, "",
            bq_timeline_axis(&all, (double)scale->unit_ns, scale->step, row));
}

void bq_board(const struct bq_board_panel *panels, size_t n, uint64_t unit_ns,
              void (*put)(void *ctx, const char *line), void *ctx)
{
    const struct bq_lines lines = {put, ctx};
    struct scale scale = scale_of(panels, n, unit_ns ? unit_ns : 1);
    char text[128];
    size_t title_width = 0;
    bool fits = true; /* titles and numbers on one line, or no panel has them so */
    for (size_t p = 0; p < n; p++) {
        size_t columns = bq_line_columns(panels[p].title);
        title_width = columns > title_width ? columns : title_width;
    }
    for (size_t p = 0; p < n; p++) {
        summary(&panels[p], scale.unit_ns, text, sizeof text);
        if (title_width + 3 + strlen(text) > BQ_COLUMNS)
            fits = false;
    }
    for (size_t p = 0; p < n; p++) {
        summary(&panels[p], scale.unit_ns, text, sizeof text);
        if (fits) {
            int pad = (int)(title_width - bq_line_columns(panels[p].title));
            bq_line(&lines, "%s%*s   %s", panels[p].title, pad, "", text);
        } else {
            bq_line(&lines, "%s", panels[p].title);
            bq_line(&lines, "   %s", text);
        }
        rows(panels[p].report, &scale, &lines);
    }
    bq_line(&lines, "  ## cooking on a core   .. in the oven (waiting)   -- ready, no core free");
}
