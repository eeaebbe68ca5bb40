/* A team: all cooks work on one chunk. Cook 0 leads, the others sleep between calls. */
#include "adapters/pool_internal.h"

int bq_team_create(struct bq_team *team)
{
    if (pthread_mutex_init(&team->lock, NULL))
        return -1;
    pthread_cond_init(&team->start, NULL);
    pthread_cond_init(&team->end, NULL);
    return 0;
}

void bq_team_destroy(struct bq_team *team)
{
    pthread_mutex_destroy(&team->lock);
    pthread_cond_destroy(&team->start);
    pthread_cond_destroy(&team->end);
}

void bq_team_end(struct bq_team *team)
{
    pthread_mutex_lock(&team->lock);
    team->is_over = true;
    pthread_cond_broadcast(&team->start);
    pthread_mutex_unlock(&team->lock);
}

void bq_team_member(struct bq_cook *cook)
{
    struct bq_team *team = &cook->pool->team;
    uint64_t round = 0;
    pthread_mutex_lock(&team->lock);
    for (;;) {
        while (team->round == round && !team->is_over)
            pthread_cond_wait(&team->start, &team->lock);
        if (team->round == round)
            break;
        round = team->round;
        pthread_mutex_unlock(&team->lock);
        bq_meter_enter(&cook->meter, BQ_PHASE_BUSY);
        team->work(team->arg, cook->index, cook->pool->config.n_cooks);
        bq_meter_enter(&cook->meter, BQ_PHASE_IDLE);
        pthread_mutex_lock(&team->lock);
        if (--team->n_working == 0)
            pthread_cond_signal(&team->end);
    }
    pthread_mutex_unlock(&team->lock);
}

void bq_pool_team(struct bq_pool *pool, void (*work)(void *arg, unsigned part, unsigned n_parts),
                  void *arg)
{
    struct bq_team *team = &pool->team;
    unsigned n = pool->config.n_cooks;
    pthread_mutex_lock(&team->lock);
    team->work = work;
    team->arg = arg;
    team->n_working = n - 1;
    team->round++;
    pthread_cond_broadcast(&team->start);
    pthread_mutex_unlock(&team->lock);
    work(arg, 0, n);
    pthread_mutex_lock(&team->lock);
    while (team->n_working)
        pthread_cond_wait(&team->end, &team->lock);
    pthread_mutex_unlock(&team->lock);
}
