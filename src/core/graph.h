/* The steps of a job as a graph: which needs which, and an order in which each comes after what it
 * needs. Pure.
 *
 *     measure --counts--> equalize        a use: another's result as a parameter, or its output as
 *     blur ----output---> sobel           input; a file that one writes and another reads, likewise
 *
 * The steps of a loop stand together; what a step takes with `next`, from the round before, is no
 * need within a round. */
#ifndef BQ_CORE_GRAPH_H
#define BQ_CORE_GRAPH_H

#include "core/job.h"

struct bq_graph {
    size_t n;                     /* steps */
    size_t order[BQ_MAX_STEPS];   /* indices into job->steps */
    uint64_t needs[BQ_MAX_STEPS]; /* of step i: bit j when it needs step j */
    uint64_t feeds[BQ_MAX_STEPS]; /* of those: bit j when all that it needs is step j's output, so
                                     that it may follow it chunk by chunk */
};
_Static_assert(BQ_MAX_STEPS <= 64, "needs has a bit for each step");

/* Finds the steps that uses and loops' conditions name. Fails (exit 2, "file:line: ..") on a name
 * that is none. */
int bq_graph_link(struct bq_job *job, struct bq_error *err);

/* Of a job that is linked. Fails on a cycle, with the names of its steps. */
int bq_graph_make(struct bq_graph *graph, const struct bq_job *job, struct bq_error *err);

/* How many steps may be carried out while step i is, itself included: those that do not have to be
 * over before it begins, nor it before them. The steps of a loop follow each other. */
unsigned bq_graph_beside(const struct bq_graph *graph, const struct bq_job *job, size_t i);

/* The step whose output file step i reads, by its name or by a use; -1: none. */
int bq_graph_maker(const struct bq_job *job, size_t i);

/* The loop that step i belongs to, or NULL. */
const struct bq_loop *bq_graph_loop(const struct bq_job *job, size_t i);

#endif
