/* A session: the coordinator and its kitchens, in one process or over MPI, for all steps of a job.
 */
#ifndef BQ_RUN_SESSION_H
#define BQ_RUN_SESSION_H

#include <stdbool.h>

#include "core/job.h"
#include "core/report.h"
#include "run/registry.h"

struct bq_session;

/* Forks a helper for kernels that run in processes of their own, so it must be called before there
 * are threads. Then, under an MPI launcher, starts MPI; else a kitchen in a thread of this process.
 * registry must outlive it. */
struct bq_session *bq_session_create(const struct bq_registry *registry, struct bq_error *err);

/* Whether this process is the coordinator; the others must call bq_session_serve and nothing else.
 */
bool bq_session_is_coordinator(const struct bq_session *session);
uint32_t bq_session_n_kitchens(const struct bq_session *session);

/* A kitchen's rank: works until the coordinator ends the session. Returns an exit code. */
int bq_session_serve(struct bq_session *session, struct bq_error *err);

struct bq_session_options {
    const char *version;
    uint32_t max_kitchens; /* use so many of them at most; 0: all */
    bool force;            /* replace outputs that exist */
    bool is_bound;         /* pin cooks to cores where the share is theirs alone */
    bool is_terminal, is_quiet;
    bool is_resumable;        /* goes on from what an earlier run has finished, and saves; then: */
    bool is_fresh;            /* what an earlier run of the job left is not wanted */
    double grace_s;           /* when it is stopped, chunks on the cooks have so long */
    double checkpoint_s;      /* what is finished is saved so often; below 0: never */
    uint64_t silence_ns;      /* a rank, or its cooks' process, that is silent for longer is dead;
                                 0: 20 s */
    const char *door;         /* a file to be made, with which kitchens may join; NULL: none may */
    const char *door_address; /* where it listens; NULL: for this machine only */
    unsigned at_once;         /* steps under way at the same time; 0: as many as the job lets */
};

/* The coordinator: runs the job's steps, each after what it needs, calling done with each step's
 * report (freed afterwards). Stops at the first that fails. Returns an
 * exit code; err says why when it is not 0 or BQ_EXIT_PARTIAL. SIGINT, SIGTERM and SIGHUP stop it
 * in an orderly way. */
int bq_session_run(struct bq_session *session, const struct bq_job *job,
                   const struct bq_session_options *options,
                   int (*done)(void *context, struct bq_report *report, struct bq_error *err),
                   void *context, struct bq_error *err);

/* Ends the kitchens (when coordinator) and the transport. After a stop whose grace was over, there
 * is nobody to wait for: ends the process, with BQ_EXIT_STOPPED. */
void bq_session_destroy(struct bq_session *session);

#endif
