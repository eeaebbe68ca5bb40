/* Reports made up for tests: kitchens of cooks with empty tracks, and a text buffer to draw into.
 */
#ifndef BQ_TESTS_MADE_REPORT_H
#define BQ_TESTS_MADE_REPORT_H

#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "core/report.h"

#define MS 1000000ull

/* The cooks own what they were given until bq_report_free. */
static inline void make_report(struct bq_report *report, uint32_t n_kitchens, uint32_t n_cooks,
                               uint64_t makespan_ns)
{
    memset(report, 0, sizeof *report);
    report->version = "1.2.3";
    strcpy(report->job, "jobs/brighten.yaml");
    strcpy(report->kernel, "brighten");
    strcpy(report->policy, "guided");
    strcpy(report->transport, "local");
    strcpy(report->digest, "0123456789abcdef0123456789abcdef");
    report->makespan_ns = makespan_ns;
    report->n_machines = 1;
    report->n_cores = 2;
    report->n_kitchens = n_kitchens;
    report->kitchens = bq_alloc(n_kitchens, sizeof *report->kitchens);
    for (uint32_t k = 0; k < n_kitchens; k++) {
        struct bq_kitchen_report *kitchen = &report->kitchens[k];
        kitchen->rank = k + 1;
        kitchen->pid = 100 + k;
        snprintf(kitchen->host, sizeof kitchen->host, "node%u", k + 1);
        kitchen->n_cooks = n_cooks;
        kitchen->n_cores = 2;
        kitchen->cooks = bq_alloc(n_cooks, sizeof *kitchen->cooks);
        for (uint32_t c = 0; c < n_cooks; c++) {
            kitchen->cooks[c].core = -1;
            bq_track_init(&kitchen->cooks[c].track);
        }
    }
}

static inline void spend(struct bq_report *report, uint32_t kitchen, uint32_t cook,
                         enum bq_state state, uint64_t from_ms, uint64_t to_ms)
{
    bq_track_add(&report->kitchens[kitchen].cooks[cook].track, state, from_ms * MS, to_ms * MS,
                 (to_ms - from_ms) * MS);
}

static inline void keep_open(struct bq_report *report, uint32_t kitchen, uint32_t cook,
                             uint64_t from_ms, uint64_t to_ms)
{
    bq_track_open(&report->kitchens[kitchen].cooks[cook].track, from_ms * MS, to_ms * MS);
}

struct page {
    char text[32000];
    size_t n, n_lines, widest;
};

static inline void put_on_page(void *ctx, const char *line)
{
    struct page *page = ctx;
    size_t n = strlen(line);
    if (page->n + n >= sizeof page->text)
        return;
    memcpy(page->text + page->n, line, n + 1);
    page->n += n;
    page->n_lines++;
    if (n - 1 > page->widest)
        page->widest = n - 1;
}

#endif
