#include "core/progress.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define SECOND 1000000000u
#define WINDOW (5ull * SECOND)
#define WINDOW_CHUNKS 8
#define EVIDENCE_NS SECOND
#define EVIDENCE_PERCENT 5

void bq_progress_init(struct bq_progress *progress, uint64_t now_ns, uint64_t done,
                      bool is_terminal)
{
    memset(progress, 0, sizeof *progress);
    progress->is_terminal = is_terminal;
    progress->printed_ns = now_ns; /* so the first line comes a little later */
    progress->printed_done = done;
    progress->spacing_ns = SECOND / 4;
    progress->n_samples = 1;
    progress->sample[0].at = now_ns;
    progress->sample[0].done = done;
}

static void remember(struct bq_progress *progress, uint64_t now_ns, uint64_t done)
{
    if (now_ns - progress->sample[progress->n_samples - 1].at < progress->spacing_ns)
        return;
    if (progress->n_samples == BQ_PROGRESS_SAMPLES) { /* keep every second one, the first too */
        for (unsigned i = 1; i < BQ_PROGRESS_SAMPLES / 2; i++)
            progress->sample[i] = progress->sample[2 * i];
        progress->n_samples = BQ_PROGRESS_SAMPLES / 2;
        progress->spacing_ns *= 2;
    }
    progress->sample[progress->n_samples].at = now_ns;
    progress->sample[progress->n_samples++].done = done;
}

/* Chunks per second over the newest window that is long enough, or over the whole run. */
static double recent_rate(const struct bq_progress *progress, uint64_t now_ns, uint64_t done)
{
    unsigned i = progress->n_samples - 1;
    while (i > 0 && (now_ns - progress->sample[i].at < WINDOW ||
                     done < progress->sample[i].done + WINDOW_CHUNKS))
        i--;
    uint64_t since = now_ns - progress->sample[i].at;
    uint64_t n = done > progress->sample[i].done ? done - progress->sample[i].done : 0;
    return since ? (double)n / ((double)since * 1e-9) : 0;
}

static bool has_evidence(const struct bq_progress *progress, uint64_t now_ns, uint64_t done,
                         uint64_t total)
{
    uint64_t first = progress->sample[0].done;
    if (done <= first || total <= first || now_ns == progress->sample[0].at)
        return false;
    return now_ns - progress->sample[0].at >= EVIDENCE_NS ||
           (double)(done - first) * 100 >= (double)EVIDENCE_PERCENT * (double)(total - first);
}

static void put_rate(double rate, char *out, size_t size)
{
    char n[32];
    if (rate >= 1e15) /* no such machine, but the conversion below must hold */
        snprintf(out, size, "%.0e/s", rate);
    else if (rate >= 10)
        snprintf(out, size, "%s/s", bq_text_count((uint64_t)(rate + 0.5), n, sizeof n));
    else if (rate >= 1)
        snprintf(out, size, "%.1f/s", rate);
    else if (rate * 60 >= 1)
        snprintf(out, size, "%.0f/min", rate * 60);
    else
        snprintf(out, size, "%.3g/h", rate * 3600);
}

/* Rounded up, and no finer than it can be known. */
static void put_left(double seconds, char *out, size_t size)
{
    unsigned long long s = seconds < 1e9 ? (unsigned long long)(seconds + 0.999) : 1000000000;
    if (s > 10)
        s = s < 60 ? (s + 4) / 5 * 5 : (s + 59) / 60 * 60;
    if (s < 60)
        snprintf(out, size, "about %llu s left", s);
    else if (s < 3600)
        snprintf(out, size, "about %llu min left", s / 60);
    else if (s < 48 * 3600)
        snprintf(out, size, "about %llu h %llu min left", s / 3600, s % 3600 / 60);
    else
        snprintf(out, size, "about %llu days left", (s + 43200) / 86400);
}

static void write_line(const struct bq_progress *progress, uint64_t now_ns, uint64_t done,
                       uint64_t total, char *out, size_t size)
{
    char n[32], of[32], rate_text[48] = "", left[48] = "";
    /* Rounded down, so that 100 % means finished. */
    unsigned percent = total ? (unsigned)((double)done * 100 / (double)total) : 100;
    if (percent >= 100)
        percent = done < total ? 99 : 100;
    if (has_evidence(progress, now_ns, done, total)) {
        bool is_over = done >= total;
        double whole = (double)(now_ns - progress->sample[0].at) * 1e-9;
        double rate = is_over ? (double)(done - progress->sample[0].done) / whole
                              : recent_rate(progress, now_ns, done);
        rate_text[0] = left[0] = ' ';
        rate_text[1] = left[1] = ' ';
        put_rate(rate, rate_text + 2, sizeof rate_text - 2);
        if (is_over)
            left[0] = 0;
        else
            put_left((double)(total - done) / rate, left + 2, sizeof left - 2);
    }
    char text[200];
    int w = snprintf(text, sizeof text, "banquet  %u %%  %s of %s chunks", percent,
                     bq_text_count(done, n, sizeof n), bq_text_count(total, of, sizeof of));
    /* Numbers that leave no room: the time left matters more than the rate. */
    size_t room = 80 - (size_t)w;
    if (strlen(left) > room)
        left[0] = 0;
    if (strlen(left) + strlen(rate_text) > room)
        rate_text[0] = 0;
    snprintf(out, size, "%s%s%s", text, rate_text, left);
}

bool bq_progress_line(struct bq_progress *progress, uint64_t now_ns, uint64_t done, uint64_t total,
                      char *out, size_t size)
{
    uint64_t last = progress->sample[progress->n_samples - 1].at;
    if (now_ns < last || now_ns < progress->printed_ns) /* a caller's clock that steps back */
        now_ns = last > progress->printed_ns ? last : progress->printed_ns;
    write_line(progress, now_ns, done, total, out, size);
    remember(progress, now_ns, done);
    uint64_t pause = progress->is_terminal ? SECOND / 5 : SECOND;
    bool is_due = now_ns - progress->printed_ns >= pause;
    if (!progress->is_terminal && done == progress->printed_done)
        is_due = false;
    if (done >= total) {
        is_due = progress->has_printed && !progress->is_over;
        progress->is_over = true;
    }
    if (is_due) {
        progress->has_printed = true;
        progress->printed_ns = now_ns;
        progress->printed_done = done;
    }
    return is_due;
}
