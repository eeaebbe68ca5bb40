/* The live line: how far a run is and how long it will still take. Pure: counts and times come in,
 * the caller prints. The time left comes from the rate over a recent window (at least 5 s, at least
 * 8 chunks, and a sixteenth of the run or so), and it is not said before there is evidence for it:
 * 1 s of running or 5 % of the work, and a chunk that was finished.
 */
#ifndef BQ_CORE_PROGRESS_H
#define BQ_CORE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BQ_PROGRESS_SAMPLES 64

struct bq_progress {
    bool is_terminal, has_printed, is_over;
    uint64_t printed_ns, printed_done;
    uint64_t spacing_ns; /* between samples; doubles when the array is full */
    unsigned n_samples;
    struct {
        uint64_t at, done;
    } sample[BQ_PROGRESS_SAMPLES]; /* the first is the start of the run */
};

/* done: chunks that were finished before the start, which say nothing about the rate. */
void bq_progress_init(struct bq_progress *progress, uint64_t now_ns, uint64_t done,
                      bool is_terminal);

/* Fills `out` with "banquet  42 %  1,234 of 2,900 chunks  310/s  about 5 s left", without newline,
 * at most 80 columns. Returns whether to print it now: at most 5 times a second on a terminal; else
 * once a second, and only when there is something new. The last line, with done == total, comes at
 * once, but only if another one came before: a short run is silent. */
bool bq_progress_line(struct bq_progress *progress, uint64_t now_ns, uint64_t done, uint64_t total,
                      char *out, size_t size);

#endif
