#include "adapters/errands.h"

#include <pthread.h>
#include <stdbool.h>

#include "base/heap.h"

struct bq_errands {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t added;
    struct bq_errand *first, **last;
    bool is_stopping;
    unsigned n_waiting, n_queued, n_threads, most_threads;
    pthread_t *threads;
};

static void *serve(void *arg)
{
    struct bq_errands *e = arg;
    pthread_mutex_lock(&e->lock);
    while (!e->is_stopping) {
        struct bq_errand *errand = e->first;
        if (!errand) {
            e->n_waiting++;
            pthread_cond_wait(&e->added, &e->lock);
            e->n_waiting--;
            continue;
        }
        e->first = errand->next;
        if (!e->first)
            e->last = &e->first;
        e->n_queued--;
        pthread_mutex_unlock(&e->lock);
        errand->run(errand);
        pthread_mutex_lock(&e->lock);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

struct bq_errands *bq_errands_create(unsigned most_threads, struct bq_error *err)
{
    struct bq_errands *e = bq_alloc(1, sizeof *e);
    if (e)
        e->threads = bq_alloc(most_threads, sizeof *e->threads);
    if (!e || !e->threads) {
        bq_free(e);
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return NULL;
    }
    e->most_threads = most_threads;
    e->last = &e->first;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->added, NULL);
    return e;
}

void bq_errands_add(struct bq_errands *e, struct bq_errand *errand)
{
    pthread_mutex_lock(&e->lock);
    bool is_mine = false;
    if (!e->is_stopping) {
        if (e->n_waiting <= e->n_queued && e->n_threads < e->most_threads &&
            pthread_create(&e->threads[e->n_threads], NULL, serve, e) == 0)
            e->n_threads++;
        is_mine = e->n_threads == 0;
    }
    if (!e->is_stopping && !is_mine) {
        errand->next = NULL;
        *e->last = errand;
        e->last = &errand->next;
        e->n_queued++;
        pthread_cond_signal(&e->added);
    }
    pthread_mutex_unlock(&e->lock);
    if (is_mine)
        errand->run(errand);
}

void bq_errands_stop(struct bq_errands *e)
{
    pthread_mutex_lock(&e->lock);
    e->is_stopping = true;
    unsigned n = e->n_threads;
    e->n_threads = 0;
    pthread_cond_broadcast(&e->added);
    pthread_mutex_unlock(&e->lock);
    for (unsigned i = 0; i < n; i++)
        pthread_join(e->threads[i], NULL);
}

void bq_errands_destroy(struct bq_errands *e)
{
    if (!e)
        return;
    bq_errands_stop(e);
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->added);
    bq_free(e->threads);
    bq_free(e);
}
