/* What a finished run says about itself: one plain structure, and its two faces, text and JSON. */
#ifndef BQ_CORE_REPORT_H
#define BQ_CORE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/trace.h"

struct bq_cook_report {
    int core;      /* it was bound to, or -1 */
    uint8_t stage; /* of a pipeline: enum bq_line_stage + 1; 0: all of them */
    uint64_t n_chunks;
    struct bq_track track;
};

struct bq_kitchen_report {
    uint32_t rank;
    char host[64];
    uint32_t pid, n_cooks, n_cores; /* cores that it was allowed to use */
    uint64_t n_chunks, n_leases, n_requests, bytes_in, bytes_out;
    uint64_t wait_ns;             /* mean time from request to lease */
    uint64_t n_open_max;          /* most chunks open at one moment, counted exactly */
    uint64_t budget, peak;        /* bytes: `memory`, and the most that was resident (0: unknown) */
    bool is_served, is_direct;    /* the coordinator sent its input; it wrote its output itself */
    struct bq_cook_report *cooks; /* n_cooks */
    uint32_t n_lost;   /* how often it was lost, or its cooks; 0 cooks: none were there at the end,
                          and what they did is not known */
    bool is_gone;      /* and it will not return */
    char warning[200]; /* about binding; empty when all is well */
};

/* NEGATIVE: an integer below 0, as two's complement. */
enum bq_result_kind {
    BQ_RESULT_INTEGER,
    BQ_RESULT_NEGATIVE,
    BQ_RESULT_REAL,
    BQ_RESULT_SERIES,
    BQ_RESULT_REALS
};

/* A named number from a kernel's present(). */
struct bq_result {
    char name[48];
    enum bq_result_kind kind;
    uint64_t integer;
    double real;
    uint64_t *series; /* SERIES; owned by the report */
    double *reals;    /* REALS; owned by the report */
    size_t n_series;  /* numbers of either */
};

#define BQ_MAX_RESULTS 64 /* of a step */
#define BQ_MAX_NAMED 100  /* chunks that were given up; more are counted */

struct bq_given_up {
    uint64_t chunk;
    char why[160];
};

struct bq_report {
    const char *version;
    char job[256], step[64], kernel[48], policy[24], input[512], output[512], transport[16];
    bool is_simulated;    /* the kernel burns or waits a given time */
    bool may_wait;        /* the kernel can keep several chunks open: BQ_WAITS */
    char loop[240];       /* of a step that is repeated: its rounds, for people */
    uint64_t n_rounds;    /* 0: it is not repeated; the rest is of the last round */
    bool is_earlier;      /* an earlier run did it: results, digest and what was given up are all
                             that is known */
    bool is_short;        /* the loop ended before its condition was true */
    uint64_t start_ns;    /* since 1970: when the first chunk could start */
    uint64_t makespan_ns; /* until the last result was accepted */
    uint64_t n_recalled;  /* chunks that an earlier run had done */
    uint64_t n_chunks, n_discarded, bytes_in, bytes_out;
    uint64_t clock_error_ns;        /* clocks of kitchens agree at least this well */
    uint32_t n_machines, n_cores;   /* that the kitchens may use, each counted once */
    double coordinator_cpu, svc_ns; /* s of CPU; mean ns per message served */
    uint64_t n_messages;
    char digest[40]; /* 32 hexadecimal digits */
    size_t n_kitchens, n_results, n_given_up;
    struct bq_kitchen_report *kitchens;
    struct bq_result *results;
    struct bq_given_up *given_up; /* the first of them; n_given_up_total counts all */
    uint64_t n_given_up_total;
};

/* The two headline numbers, derived from the tracks. mean: integral / makespan; max: the fullest
 * bin. Resolution: the width of a bin. */
struct bq_at_once {
    double open_mean, open_max, cooking_mean, cooking_max;
    uint64_t bin_ns;
};
void bq_report_at_once(const struct bq_report *report, struct bq_at_once *at_once);

/* A copy of n results and what they own, into a report that has none; -1: no memory. */
int bq_report_copy_results(struct bq_report *report, const struct bq_result *results, size_t n);

/* What earlier rounds gave up is part of what this one made, whose report this is: it says so, and
 * of its own in which round it was. given_up has room for BQ_MAX_NAMED. */
void bq_report_carry(const struct bq_report *earlier, struct bq_report *report, uint64_t round);

void bq_report_free(struct bq_report *report); /* what it points to, not itself */

#endif
