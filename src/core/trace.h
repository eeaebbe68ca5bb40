/* The trace in its summarised form: what a cook did, in bins of equal width.
 *
 * A track has a fixed number of bins; when time runs past the last one, the width doubles and pairs
 * of bins are folded. So memory is constant, adding costs nanoseconds, and the resolution is known
 * and stated: a run of t seconds is seen in bins of at most t/120 s, never finer than 1 ms.
 * Times are ns on one clock, counted from the start of the run.
 */
#ifndef BQ_CORE_TRACE_H
#define BQ_CORE_TRACE_H

#include <stdint.h>

#define BQ_TRACE_BINS 240
#define BQ_TRACE_FINEST 1000000 /* ns */

/* X(code, name, letter, mark). Idle is what is left. Marks and letters: see docs/design.md. */
#define BQ_STATES(X)                                                                               \
    X(BQ_COOKING, "cooking", 'C', '#') /* on a core */                                             \
    X(BQ_READY, "ready", 'R', '-')     /* has work, no core free */                                \
    X(BQ_OVEN, "waiting", 'O', '.')    /* waiting: file, timer, network */                         \
    X(BQ_KNIFE, "lock", 'K', 'x')      /* waiting: the file library's lock */                      \
    X(BQ_PASS, "message", 'M', '>')    /* waiting: a buffer or an answer from the coordinator */

enum bq_state {
#define BQ_STATE_CODE(code, name, letter, mark) code,
    BQ_STATES(BQ_STATE_CODE)
#undef BQ_STATE_CODE
        BQ_N_STATES
};

struct bq_track {
    uint64_t width;              /* ns of a bin */
    uint32_t n_bins;             /* bins in use */
    uint64_t total[BQ_N_STATES]; /* ns over the whole run */
    uint64_t open;               /* ns x chunks open: the integral of "open" */
    struct {
        uint64_t ns[BQ_N_STATES];
        uint64_t open;
    } bin[BQ_TRACE_BINS];
};

void bq_track_init(struct bq_track *track);

/* Adds `ns` of a state, spread evenly over [from, to). ns <= to - from for one thread. */
void bq_track_add(struct bq_track *track, enum bq_state state, uint64_t from, uint64_t to,
                  uint64_t ns);

/* Adds an interval during which a chunk was open. */
void bq_track_open(struct bq_track *track, uint64_t from, uint64_t to);

/* into += other, at the coarser of both widths. */
void bq_track_merge(struct bq_track *into, const struct bq_track *other);

/* Doubles the width until it is at least `width`. */
void bq_track_coarsen(struct bq_track *track, uint64_t width);

/* One cook's time without overlap. A cook that keeps several chunks open cooks one while others are
 * in the oven; here the oven gets only the time that nothing else has, and idle what is left then.
 * part[BQ_N_STATES] is idle. The parts add up to exactly `makespan`; split_bin's to the time of
 * that bin which lies before `makespan`, and that is what it returns. */
void bq_track_split(const struct bq_track *track, uint64_t makespan,
                    uint64_t part[BQ_N_STATES + 1]);
uint64_t bq_track_split_bin(const struct bq_track *track, uint32_t bin, uint64_t makespan,
                            uint64_t part[BQ_N_STATES + 1]);

#endif
