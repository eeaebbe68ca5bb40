#include "core/report_verdict.h"
#include "core/pipeline.h"

#include <stdio.h>
#include <string.h>

/* Shares of the cooks' time, 0 to 1. */
struct shares {
    double cooking, ready, oven, lock, message, idle, idle_at_end;
    double waiting;     /* oven + lock + message */
    double coordinator; /* share of the run that its thread was on a core */
    uint64_t n_cooks, n_lost;
    uint64_t n_chunks_open;
    const struct bq_kitchen_report *last; /* the kitchen that was busy longest */
    bool is_one_late;                     /* and it alone was */
};

void bq_report_split(const struct bq_report *report, const struct bq_kitchen_report *kitchen,
                     uint64_t part[BQ_N_STATES + 1])
{
    memset(part, 0, (BQ_N_STATES + 1) * sizeof part[0]);
    for (uint32_t c = 0; c < kitchen->n_cooks; c++) {
        uint64_t of_cook[BQ_N_STATES + 1];
        bq_track_split(&kitchen->cooks[c].track, report->makespan_ns, of_cook);
        for (int s = 0; s <= BQ_N_STATES; s++)
            part[s] += of_cook[s];
    }
}

/* When a cook was last busy: the end of its last bin that is not all idle. */
static uint64_t busy_until(const struct bq_track *track, uint64_t makespan)
{
    for (uint32_t i = track->n_bins; i-- > 0;) {
        uint64_t part[BQ_N_STATES + 1];
        uint64_t length = bq_track_split_bin(track, i, makespan, part);
        if (part[BQ_N_STATES] < length)
            return i * track->width + length;
    }
    return 0;
}

static struct shares shares_of(const struct bq_report *report)
{
    struct shares is = {0};
    uint64_t sum[BQ_N_STATES + 1] = {0}, at_end = 0, latest = 0, second = 0;
    size_t n_here = 0; /* kitchens of which it is known what they did */
    for (size_t k = 0; k < report->n_kitchens; k++) {
        const struct bq_kitchen_report *kitchen = &report->kitchens[k];
        uint64_t part[BQ_N_STATES + 1], until = 0;
        bq_report_split(report, kitchen, part);
        for (int s = 0; s <= BQ_N_STATES; s++)
            sum[s] += part[s];
        for (uint32_t c = 0; c < kitchen->n_cooks; c++) {
            uint64_t busy = busy_until(&kitchen->cooks[c].track, report->makespan_ns);
            at_end += report->makespan_ns - busy;
            if (busy > until)
                until = busy;
        }
        if (until > latest || !is.last) {
            second = latest;
            latest = until;
            is.last = kitchen;
        } else if (until > second) {
            second = until;
        }
        is.n_cooks += kitchen->n_cooks;
        is.n_lost += kitchen->n_lost;
        n_here += kitchen->n_cooks > 0;
        is.n_chunks_open += kitchen->n_open_max;
    }
    double all = (double)is.n_cooks * (double)report->makespan_ns;
    if (all <= 0)
        return is;
    is.cooking = (double)sum[BQ_COOKING] / all;
    is.ready = (double)sum[BQ_READY] / all;
    is.oven = (double)sum[BQ_OVEN] / all;
    is.lock = (double)sum[BQ_KNIFE] / all;
    is.message = (double)sum[BQ_PASS] / all;
    is.idle = (double)sum[BQ_N_STATES] / all;
    is.waiting = is.oven + is.lock + is.message;
    is.coordinator = report->coordinator_cpu * 1e9 / (double)report->makespan_ns;
    is.idle_at_end = (double)at_end / all;
    is.is_one_late = n_here > 1 && latest - second > report->makespan_ns / 10;
    return is;
}

static unsigned percent(double share)
{
    return (unsigned)(share * 100 + 0.5);
}

/* "mostly" is at least a half. */
static const char *how_much(double share)
{
    return share >= 0.5 ? "mostly" : "partly";
}

static const char *waiting_verdict(const struct bq_report *report, const struct shares *is,
                                   char *out, size_t size)
{
    if (is->oven >= is->lock && is->oven >= is->message && !report->may_wait) {
        snprintf(out, size, "%s waiting for the file (%u %%)", how_much(is->waiting),
                 percent(is->waiting));
    } else if (is->oven >= is->lock && is->oven >= is->message) {
        /* Enough open chunks per cook that their cooking fills the waiting of one. */
        uint64_t open = is->n_chunks_open > is->n_cooks ? is->n_chunks_open / is->n_cooks : 1;
        double wanted =
            (double)open * (is->cooking + is->waiting) / (is->cooking > 0.02 ? is->cooking : 0.02);
        uint64_t n = wanted < 64 ? (uint64_t)(wanted + 0.999) : 64;
        snprintf(out, size, "%s waiting (%u %%): keep more chunks open (open: %llu)",
                 how_much(is->waiting), percent(is->waiting),
                 (unsigned long long)(n > open ? n : open + 1));
    } else if (is->lock >= is->message) {
        snprintf(out, size,
                 "%s waiting for the file library's lock (%u %%): larger chunks, or more kitchens "
                 "with fewer cooks each",
                 how_much(is->lock), percent(is->lock));
    } else if (is->coordinator >= 0.4) {
        snprintf(out, size,
                 "%s waiting for the coordinator (%u %%), which was on a core %u %% of the time: "
                 "it writes the output as fast as it can",
                 how_much(is->message), percent(is->message), percent(is->coordinator));
    } else {
        snprintf(out, size,
                 "%s waiting for messages (%u %%): larger chunks or larger leases (schedule)",
                 how_much(is->message), percent(is->message));
    }
    return out;
}

static const char *idle_verdict(const struct bq_report *report, const struct shares *is, char *out,
                                size_t size)
{
    unsigned idle = percent(is->idle);
    if (is->n_lost)
        snprintf(out, size, "%s idle (%u %%): cooks were lost, and the others or new ones went on",
                 how_much(is->idle), idle);
    else if (is->idle_at_end < is->idle / 2)
        snprintf(out, size, "%s idle (%u %%): cooks had no work between leases; try larger leases",
                 how_much(is->idle), idle);
    else if (report->n_chunks < 4 * is->n_cooks)
        snprintf(out, size,
                 "%s idle (%u %%): too few chunks for %llu cooks; smaller chunks share "
                 "better",
                 how_much(is->idle), idle, (unsigned long long)is->n_cooks);
    else if (is->is_one_late)
        snprintf(out, size, "idle at the end (%u %%): one kitchen was slow (k%u %s)",
                 percent(is->idle_at_end), is->last->rank, is->last->host);
    else
        snprintf(out, size, "idle at the end (%u %%): the last leases were too large; try %s",
                 percent(is->idle_at_end),
                 strcmp(report->policy, "factoring") == 0 ? "smaller chunks" : "factoring");
    return out;
}

/* Of a pipeline: how busy the threads of each stage were, and which keeps the others waiting. */
static bool name_stage(const struct bq_report *report, char *out, size_t size)
{
    double busy[BQ_N_LINE_STAGES] = {0}, all[BQ_N_LINE_STAGES] = {0};
    int slowest = 0;
    for (size_t k = 0; k < report->n_kitchens; k++) {
        const struct bq_kitchen_report *kitchen = &report->kitchens[k];
        for (uint32_t c = 0; c < kitchen->n_cooks; c++) {
            const struct bq_cook_report *cook = &kitchen->cooks[c];
            const uint64_t *total = cook->track.total;
            if (!cook->stage)
                return false;
            /* A reader's chunks wait while they are on the line; that is not its work. */
            bool is_reader = cook->stage == BQ_LINE_READ + 1;
            busy[cook->stage - 1] +=
                (double)(total[BQ_COOKING] + total[BQ_READY] + (is_reader ? 0 : total[BQ_OVEN]));
            all[cook->stage - 1] += (double)report->makespan_ns;
        }
    }
    for (int s = 0; s < BQ_N_LINE_STAGES; s++) {
        if (all[s] <= 0)
            return false;
        busy[s] = busy[s] < all[s] ? busy[s] / all[s] : 1;
        slowest = busy[s] > busy[slowest] ? s : slowest;
    }
    size_t used =
        (size_t)snprintf(out, size, "the stage '%s': its threads were busy (%.0f %%)",
                         bq_line_stage_name((enum bq_line_stage)slowest), 100 * busy[slowest]);
    for (int s = 0; s < BQ_N_LINE_STAGES && used < size; s++) {
        if (s != slowest)
            used += (size_t)snprintf(out + used, size - used, ", %s %.0f %%",
                                     bq_line_stage_name((enum bq_line_stage)s), 100 * busy[s]);
    }
    return true;
}

const char *bq_report_verdict(const struct bq_report *report, char *out, size_t size)
{
    struct shares is = shares_of(report);
    double on_core = is.cooking * (double)is.n_cooks;
    bool is_full = report->n_cores && on_core >= 0.85 * report->n_cores;
    if (is.n_cooks == 0 && is.n_lost)
        snprintf(out, size, "not known: cooks were lost, and with them what they did");
    else if (is.n_cooks == 0 || report->makespan_ns == 0)
        snprintf(out, size, "nothing ran");
    else if (name_stage(report, out, size))
        return out;
    else if (is.ready >= 0.2 && is.ready >= is.waiting && is.ready >= is.idle)
        snprintf(out, size, "cooks were ready but had no core (%u %%): fewer cooks or more cores",
                 percent(is.ready));
    else if (is_full || (is.cooking >= 0.7 && is.n_cooks >= report->n_cores))
        snprintf(out, size,
                 is_full && is.cooking < 0.5
                     ? "the cores were full (cooks cooking %u %%): more cores would help"
                     : "mostly cooking (%u %%): more cores would help",
                 percent(is.cooking));
    else if (is.cooking >= 0.7)
        snprintf(out, size,
                 "mostly cooking (%u %%), with %llu cook%s on %u cores: more cooks would "
                 "help",
                 percent(is.cooking), (unsigned long long)is.n_cooks, is.n_cooks == 1 ? "" : "s",
                 report->n_cores);
    else if (is.waiting >= is.idle)
        return waiting_verdict(report, &is, out, size);
    else
        return idle_verdict(report, &is, out, size);
    return out;
}
