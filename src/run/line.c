#include "run/line.h"

#include <pthread.h>
#include <string.h>

#include "adapters/affinity.h"
#include "base/heap.h"

enum { N_STAGES = BQ_N_LINE_STAGES - 1 }; /* that have threads of the line's own */

/* Chunks in front of a stage: first in, first out, two a thread at most. In front of the last,
 * where the order is kept: by their numbers, and only the oldest of the line may go on. That queue
 * has no limit, or the oldest could find it full; the pool limits how many are on the line at all.
 */
struct queue {
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t has_chunk, has_room;
    struct bq_on_line *first, **last;
    unsigned n, most;
    bool is_stopped;
    bool is_ordered;
    struct bq_on_line *oldest, **youngest; /* ordered: all that are on the line before this stage */
    uint64_t n_put;
};

struct worker {
    struct bq_line *line;
    pthread_t thread;
    bool is_started;
    enum bq_line_stage stage;
    unsigned index;
    uint64_t n_chunks;
    struct bq_meter meter;
};

struct bq_line {
    struct bq_line_config config;
    struct queue queues[N_STAGES];
    struct worker *workers;
    unsigned n_workers;
};

/* -- queues ------------------------------------------------------------------------------- */

static void append(struct queue *q, struct bq_on_line *chunk)
{
    chunk->next = NULL;
    *q->last = chunk;
    q->last = &chunk->next;
}

static void insert(struct queue *q, struct bq_on_line *chunk)
{
    struct bq_on_line **at = &q->first;
    while (*at && (*at)->number < chunk->number)
        at = &(*at)->next;
    chunk->next = *at;
    *at = chunk;
}

static bool put(struct queue *q, struct bq_meter *meter, struct bq_on_line *chunk)
{
    bool has_waited = false;
    pthread_mutex_lock(&q->lock);
    while (q->n == q->most && !q->is_ordered && !q->is_stopped) {
        if (!has_waited)
            bq_meter_enter(meter, BQ_PHASE_PASS);
        has_waited = true;
        pthread_cond_wait(&q->has_room, &q->lock);
    }
    bool is_put = !q->is_stopped;
    if (is_put) {
        (q->is_ordered ? insert : append)(q, chunk);
        q->n++;
        pthread_cond_signal(&q->has_chunk);
    }
    pthread_mutex_unlock(&q->lock);
    if (has_waited)
        bq_meter_enter(meter, BQ_PHASE_BUSY);
    return is_put;
}

static bool has_next(const struct queue *q)
{
    return q->n && (!q->is_ordered || q->first == q->oldest);
}

/* Nobody waits for it any more. Under the lock. */
static void forget(struct queue *q, const struct bq_on_line *chunk)
{
    struct bq_on_line **at = &q->oldest;
    while (*at && *at != chunk)
        at = &(*at)->later;
    if (!*at)
        return;
    *at = chunk->later;
    if (!*at)
        q->youngest = at;
}

/* NULL: the line has stopped. */
static struct bq_on_line *take(struct queue *q, struct bq_meter *meter)
{
    pthread_mutex_lock(&q->lock);
    if (!has_next(q) && !q->is_stopped)
        bq_meter_enter(meter, BQ_PHASE_IDLE);
    while (!has_next(q) && !q->is_stopped)
        pthread_cond_wait(&q->has_chunk, &q->lock);
    struct bq_on_line *chunk = q->is_stopped ? NULL : q->first;
    if (chunk) {
        q->first = chunk->next;
        if (!q->first)
            q->last = &q->first;
        q->n--;
        if (q->is_ordered)
            forget(q, chunk);
        pthread_cond_signal(&q->has_room);
    }
    pthread_mutex_unlock(&q->lock);
    bq_meter_enter(meter, chunk ? BQ_PHASE_BUSY : BQ_PHASE_IDLE);
    return chunk;
}

/* -- order -------------------------------------------------------------------------------- */

static struct queue *ordered(struct bq_line *line)
{
    struct queue *q = &line->queues[N_STAGES - 1];
    return q->is_ordered ? q : NULL;
}

static void join(struct queue *q, struct bq_on_line *chunk)
{
    pthread_mutex_lock(&q->lock);
    chunk->number = q->n_put++;
    chunk->later = NULL;
    *q->youngest = chunk;
    q->youngest = &chunk->later;
    pthread_mutex_unlock(&q->lock);
}

void bq_line_leave(struct bq_line *line, struct bq_on_line *chunk)
{
    struct queue *q = ordered(line);
    if (!q)
        return;
    pthread_mutex_lock(&q->lock);
    forget(q, chunk);
    pthread_cond_broadcast(&q->has_chunk);
    pthread_mutex_unlock(&q->lock);
}

/* -- threads ------------------------------------------------------------------------------ */

static void *work(void *arg)
{
    struct worker *w = arg;
    struct bq_line *line = w->line;
    const int stage = (int)w->stage - (BQ_LINE_READ + 1);
    struct bq_on_line *chunk;
    bq_affinity_compute();
    bq_meter_create(&w->meter);
    bq_meter_start(&w->meter, line->config.epoch);
    while ((chunk = take(&line->queues[stage], &w->meter))) {
        w->n_chunks++;
        if (line->config.work(line->config.context, w->stage, w->index, &w->meter, chunk) &&
            stage + 1 < N_STAGES)
            put(&line->queues[stage + 1], &w->meter, chunk);
    }
    bq_meter_stop(&w->meter);
    bq_meter_destroy(&w->meter);
    return NULL;
}

static int start(struct bq_line *line)
{
    unsigned i = 0;
    for (int stage = BQ_LINE_READ + 1; stage < BQ_N_LINE_STAGES; stage++) {
        for (unsigned k = 0; k < line->config.pipeline.threads[stage]; k++, i++) {
            struct worker *w = &line->workers[i];
            w->line = line;
            w->stage = (enum bq_line_stage)stage;
            w->index = i;
            if (pthread_create(&w->thread, NULL, work, w))
                return -1;
            w->is_started = true;
        }
    }
    return 0;
}

struct bq_line *bq_line_create(const struct bq_line_config *config, struct bq_error *err)
{
    struct bq_line *line = bq_alloc(1, sizeof *line);
    if (!line) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return NULL;
    }
    line->config = *config;
    for (int i = 0; i < N_STAGES; i++) {
        struct queue *q = &line->queues[i];
        q->last = &q->first;
        q->youngest = &q->oldest;
        q->is_ordered = i == N_STAGES - 1 && config->pipeline.keeps_order;
        q->most = 2 * config->pipeline.threads[BQ_LINE_READ + 1 + i];
        pthread_mutex_init(&q->lock, NULL);
        pthread_cond_init(&q->has_chunk, NULL);
        pthread_cond_init(&q->has_room, NULL);
    }
    line->n_workers = bq_pipeline_workers(&config->pipeline);
    line->workers = bq_alloc(line->n_workers, sizeof *line->workers);
    if (line->workers && start(line) == 0)
        return line;
    bq_fail(err, BQ_EXIT_FAILED, "no memory, or no more threads (ulimit -u), for the pipeline");
    bq_line_destroy(line);
    return NULL;
}

bool bq_line_put(struct bq_line *line, struct bq_meter *meter, struct bq_on_line *chunk)
{
    if (ordered(line))
        join(ordered(line), chunk);
    return put(&line->queues[0], meter, chunk);
}

void bq_line_stop(struct bq_line *line)
{
    if (!line)
        return;
    for (int i = 0; i < N_STAGES; i++) {
        struct queue *q = &line->queues[i];
        pthread_mutex_lock(&q->lock);
        q->is_stopped = true;
        pthread_cond_broadcast(&q->has_chunk);
        pthread_cond_broadcast(&q->has_room);
        pthread_mutex_unlock(&q->lock);
    }
    for (unsigned i = 0; line->workers && i < line->n_workers; i++) {
        if (line->workers[i].is_started)
            pthread_join(line->workers[i].thread, NULL);
        line->workers[i].is_started = false;
    }
}

void bq_line_destroy(struct bq_line *line)
{
    if (!line)
        return;
    bq_line_stop(line);
    for (int i = 0; i < N_STAGES; i++) {
        pthread_mutex_destroy(&line->queues[i].lock);
        pthread_cond_destroy(&line->queues[i].has_chunk);
        pthread_cond_destroy(&line->queues[i].has_room);
    }
    bq_free(line->workers);
    bq_free(line);
}

const struct bq_track *bq_line_track(const struct bq_line *line, unsigned worker,
                                     enum bq_line_stage *stage, uint64_t *n_chunks)
{
    *stage = line->workers[worker].stage;
    *n_chunks = line->workers[worker].n_chunks;
    return &line->workers[worker].meter.track;
}
