/* Errands: threads that wait (for a slow file) so that cooks need not. Each carries out one errand
 * at a time, in order of arrival; they are started when they are first needed. */
#ifndef BQ_ADAPTERS_ERRANDS_H
#define BQ_ADAPTERS_ERRANDS_H

#include "base/error.h"

struct bq_errand {
    void (*run)(struct bq_errand *errand); /* in a thread of ours; then the errand is not touched */
    struct bq_errand *next;                /* ours */
};

struct bq_errands;

struct bq_errands *bq_errands_create(unsigned most_threads, struct bq_error *err);

/* Any thread. When no thread can be had at all, it is carried out by the caller. After stop it is
 * ignored. */
void bq_errands_add(struct bq_errands *errands, struct bq_errand *errand);

/* Errands that were not begun never will be; returns when those that were are done. */
void bq_errands_stop(struct bq_errands *errands);
void bq_errands_destroy(struct bq_errands *errands);

#endif
