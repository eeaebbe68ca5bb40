#include "core/report.h"

#include <stdio.h>
#include <string.h>

#include "base/heap.h"

void bq_report_at_once(const struct bq_report *report, struct bq_at_once *at_once)
{
    struct bq_track all;
    bq_track_init(&all);
    for (size_t k = 0; k < report->n_kitchens; k++) {
        for (uint32_t c = 0; c < report->kitchens[k].n_cooks; c++)
            bq_track_merge(&all, &report->kitchens[k].cooks[c].track);
    }
    memset(at_once, 0, sizeof *at_once);
    at_once->bin_ns = all.width;
    uint64_t makespan = report->makespan_ns, open = 0, cooking = 0;
    /* A cook may still be busy with a chunk that somebody else has finished first; bins that start
     * after the makespan are that, and count for nothing. */
    for (uint32_t i = 0; i < all.n_bins && i * all.width < makespan; i++) {
        /* The last bin is seldom full. Dividing by the whole width may understate it, but never
         * shows more cooks than there were. */
        double open_here = (double)all.bin[i].open / (double)all.width;
        double cooking_here = (double)all.bin[i].ns[BQ_COOKING] / (double)all.width;
        if (open_here > at_once->open_max)
            at_once->open_max = open_here;
        if (cooking_here > at_once->cooking_max)
            at_once->cooking_max = cooking_here;
        open += all.bin[i].open;
        cooking += all.bin[i].ns[BQ_COOKING];
    }
    if (makespan) {
        at_once->open_mean = (double)open / (double)makespan;
        at_once->cooking_mean = (double)cooking / (double)makespan;
    }
    /* A run shorter than a bin; and the sum of a mean may round up. */
    if (at_once->open_max < at_once->open_mean)
        at_once->open_max = at_once->open_mean;
    if (at_once->cooking_max < at_once->cooking_mean)
        at_once->cooking_max = at_once->cooking_mean;
}

static void *copy_of(const void *values, size_t n)
{
    void *copy = bq_alloc(n + 1, 8);
    if (copy && n)
        memcpy(copy, values, n * 8);
    return copy;
}

int bq_report_copy_results(struct bq_report *report, const struct bq_result *results, size_t n)
{
    report->results = bq_alloc(n + 1, sizeof *report->results);
    if (!report->results)
        return -1;
    for (size_t r = 0; r < n; r++) {
        struct bq_result *to = &report->results[r];
        *to = results[r];
        to->series = NULL;
        to->reals = NULL;
        report->n_results++;
        if (results[r].series && !(to->series = copy_of(results[r].series, to->n_series)))
            return -1;
        if (results[r].reals && !(to->reals = copy_of(results[r].reals, to->n_series)))
            return -1;
    }
    return 0;
}

void bq_report_carry(const struct bq_report *earlier, struct bq_report *report, uint64_t round)
{
    struct bq_given_up *all = report->given_up;
    size_t n = earlier->n_given_up, room = BQ_MAX_NAMED - n;
    size_t own = report->n_given_up < room ? report->n_given_up : room;
    for (size_t g = 0; g < own; g++) {
        char why[sizeof all->why];
        memcpy(why, all[g].why, sizeof why);
        snprintf(all[g].why, sizeof all->why, "round %llu: %.130s", (unsigned long long)round, why);
    }
    memmove(all + n, all, own * sizeof *all);
    if (n)
        memcpy(all, earlier->given_up, n * sizeof *all);
    report->n_given_up = n + own;
    report->n_given_up_total += earlier->n_given_up_total;
}

void bq_report_free(struct bq_report *report)
{
    for (size_t k = 0; report->kitchens && k < report->n_kitchens; k++)
        bq_free(report->kitchens[k].cooks);
    for (size_t r = 0; report->results && r < report->n_results; r++) {
        bq_free(report->results[r].series);
        bq_free(report->results[r].reals);
    }
    bq_free(report->kitchens);
    bq_free(report->results);
    bq_free(report->given_up);
    report->kitchens = NULL;
    report->results = NULL;
    report->given_up = NULL;
    report->n_kitchens = report->n_results = report->n_given_up = 0;
}
