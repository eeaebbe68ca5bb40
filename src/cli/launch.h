/* What the parts of the launcher share: launch.c (the command line, starting again), launch_run.c
 * (one run of mpirun), launch_clean.c (what a killed one leaves) and status.c (rank 0's side). */
#ifndef BQ_CLI_LAUNCH_H
#define BQ_CLI_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "cli/cli.h"

#define BQ_STATUS_PATH 200

/* How a run of mpirun ended. */
struct bq_launched {
    bool has_begun; /* rank 0 did */
    bool has_code;  /* rank 0 ended as it should, with: */
    int code;
    bool was_first; /* without: rank 0 was gone before mpirun */
    int status;     /* mpirun's, as wait has it */
    int stop;       /* the signal that asked this process to stop; 0: none */
    bool is_forced; /* it was asked twice: nobody waited for rank 0 */
};

/* Runs argv and waits until it and all its processes have ended. A rank 0 that is stopped (SIGSTOP)
 * for silence_s, while this process is not, is killed: nobody else would end it. */
int bq_launch_run(char **argv, double silence_s, struct bq_launched *end, struct bq_error *err);

/* Ends every process that is a child of this one, by now. */
void bq_launch_end_children(void);

/* Removes the session folder of an mpirun and the shared memory of its ranks. space: what PMIx
 * calls the run, 0 when not known. */
void bq_launch_clean(pid_t mpirun, unsigned long space);

/* Copies from one to the other what mpirun says, as it comes, without the line of which no user can
 * make anything. */
struct bq_words {
    char skipped[2][160]; /* how that line begins */
    char held[160];       /* may be such a beginning */
    size_t n_held;
    enum { BQ_WORDS_START, BQ_WORDS_IN_LINE, BQ_WORDS_SKIP } state;
};
void bq_words_begin(struct bq_words *w, pid_t mpirun);
void bq_words_pass(struct bq_words *w, const char *bytes, size_t n, int to);
void bq_words_end(struct bq_words *w, int to);

#endif
