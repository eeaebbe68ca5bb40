/* See scheduler.h. What a kitchen holds is in crew.c's table; which chunks are done in the ledger;
 * how much to lease in the policy. Here: who gets what, when. */
#include "core/scheduler.h"

#include <string.h>

#include "base/heap.h"
#include "core/crew.h"
#include "core/ledger.h"

#define MAX_FAILING 256         /* chunks whose failures are counted at once */
#define STRAGGLER_FLOOR 2000000 /* ns: not worth a second lease below this */

struct failing {
    uint64_t chunk;
    uint32_t n_failures; /* 0: the entry is free */
};

struct bq_scheduler {
    struct bq_scheduler_config config;
    struct bq_ledger *ledger;
    struct bq_crew *crew;
    struct bq_policy_round round;
    uint64_t cursor; /* no chunk below it is free */
    uint64_t n_given_up;
    double svc_ns;
    bool is_stopping;
    bool is_overruled;               /* the progress rule has set a dealt policy aside */
    uint64_t tail_check;             /* when to look for a straggler again */
    struct bq_action answer, revoke; /* pending for ask; kind CLOSE means none */
    bool has_answer, has_revoke;
    uint32_t next_close;
    struct failing failing[MAX_FAILING];
};

struct bq_scheduler *bq_scheduler_create(const struct bq_scheduler_config *config,
                                         struct bq_error *err)
{
    struct bq_scheduler *s = bq_alloc(1, sizeof *s);
    if (!s)
        goto no_memory;
    s->config = *config;
    if (s->config.attempts == 0)
        s->config.attempts = 3;
    s->ledger = bq_ledger_create(config->n_chunks);
    s->crew = bq_crew_create(config->n_kitchens);
    if (!s->ledger || !s->crew)
        goto no_memory;
    if (config->is_fed && config->n_chunks) /* held by nobody, until they are fed */
        bq_ledger_hold(s->ledger, 0, config->n_chunks);
    uint32_t n = config->n_kitchens - config->n_guests;
    for (uint32_t k = 0; k < n && !config->is_fed && !config->is_resumed; k++) {
        struct bq_held held = {0};
        bq_policy_first(&config->schedule, config->n_chunks, n, k, &held.first, &held.count);
        if (held.count == 0)
            continue;
        bq_ledger_hold(s->ledger, held.first, held.count);
        bq_crew_give(s->crew, k, &held);
    }
    return s;

no_memory:
    bq_scheduler_destroy(s);
    bq_fail(err, BQ_EXIT_FAILED, "out of memory for the ledger of %llu chunks",
            (unsigned long long)config->n_chunks);
    return NULL;
}

void bq_scheduler_destroy(struct bq_scheduler *s)
{
    if (!s)
        return;
    bq_ledger_destroy(s->ledger);
    bq_crew_destroy(s->crew);
    bq_free(s);
}

/* -- events ------------------------------------------------------------------------------- */

static void answer(struct bq_scheduler *s, enum bq_action_kind kind, uint32_t kitchen,
                   uint64_t first, uint64_t count)
{
    s->answer =
        (struct bq_action){.kind = kind, .kitchen = kitchen, .first = first, .count = count};
    s->has_answer = true;
}

/* Frees the chunks of a range that are not done and that nobody holds. */
static void release(struct bq_scheduler *s, uint64_t first, uint64_t count)
{
    bq_ledger_release(s->ledger, first, count);
    bq_crew_hold_all(s->crew, s->ledger, first, count);
    if (first < s->cursor)
        s->cursor = first;
}

/* A kitchen reports chunks of its leases. When that ends a lease in which chunks are not done (they
 * failed, or were dropped, and its record kept them from being freed then), they are free now. */
static bool settle(struct bq_scheduler *s, const struct bq_event *event, uint64_t count)
{
    struct bq_held ended;
    bool held_some = bq_crew_settle(s->crew, event->kitchen, event->first, count);
    while (bq_crew_take_ended(s->crew, event->kitchen, &ended)) {
        if (bq_ledger_count_done(s->ledger, ended.first, ended.count) < ended.count)
            release(s, ended.first, ended.count);
    }
    return held_some;
}

static void on_failed(struct bq_scheduler *s, const struct bq_event *event)
{
    if (!settle(s, event, 1) || bq_ledger_count_done(s->ledger, event->first, 1))
        return;
    struct failing *entry = NULL;
    for (size_t i = 0; i < MAX_FAILING; i++) {
        struct failing *f = &s->failing[i];
        if (f->n_failures && f->chunk == event->first) {
            entry = f;
            break;
        }
        if (!entry && (f->n_failures == 0 || bq_ledger_count_done(s->ledger, f->chunk, 1)))
            entry = f;
    }
    /* A full table means that hundreds of chunks fail: no second try for this one. */
    if (entry) {
        if (entry->chunk != event->first)
            *entry = (struct failing){.chunk = event->first};
        entry->n_failures++;
    }
    /* Not given up while another may still bring it, maybe in one result with others: whoever is
     * the last to fail says so. */
    bool is_hopeless = !entry || entry->n_failures >= s->config.attempts;
    if (!is_hopeless || bq_crew_is_held_beside(s->crew, event->kitchen, event->first)) {
        /* Free now, or when the lease is over that it failed in: see settle. */
        release(s, event->first, 1);
        return;
    }
    if (entry)
        entry->n_failures = 0;
    bq_ledger_done(s->ledger, event->first, 1);
    s->n_given_up++;
    answer(s, BQ_ACTION_GIVE_UP, event->kitchen, event->first, 1);
}

/* It will not do what it holds. */
static void take_all_back(struct bq_scheduler *s, uint32_t kitchen)
{
    struct bq_held held;
    while (bq_crew_take_back(s->crew, kitchen, &held))
        release(s, held.first, held.count);
}

static void on_lost(struct bq_scheduler *s, uint32_t kitchen)
{
    bq_crew_lose(s->crew, kitchen);
    take_all_back(s, kitchen);
    if (s->revoke.kitchen == kitchen)
        s->has_revoke = false;
}

static void on_back(struct bq_scheduler *s, uint32_t kitchen)
{
    bq_crew_return(s->crew, kitchen);
    if (kitchen < s->next_close)
        s->next_close = kitchen;
}

/* Who was closed stays so until the caller says BACK. */
static void on_undo(struct bq_scheduler *s, const struct bq_event *event)
{
    bq_ledger_undo(s->ledger, event->first, event->count);
    release(s, event->first, event->count);
}

void bq_scheduler_tell(struct bq_scheduler *s, uint64_t now, const struct bq_event *event)
{
    s->has_answer = false;
    if (event->kind == BQ_EVENT_TICK) {
        s->svc_ns = event->svc_ns;
        return;
    }
    if (event->kind == BQ_EVENT_STOP) {
        s->is_stopping = true;
        return;
    }
    if (event->kind == BQ_EVENT_FED || event->kind == BQ_EVENT_UNDO ||
        event->kind == BQ_EVENT_RECALLED) {
        if (event->count == 0 || !bq_ledger_has(s->ledger, event->first, event->count))
            return;
        if (event->kind == BQ_EVENT_UNDO)
            on_undo(s, event);
        else if (event->kind == BQ_EVENT_RECALLED)
            bq_ledger_done(s->ledger, event->first, event->count);
        else if (s->config.is_fed)
            release(s, event->first, event->count);
        return;
    }
    if (event->kitchen >= s->config.n_kitchens)
        return;
    bool has_range = event->kind == BQ_EVENT_DONE || event->kind == BQ_EVENT_DROPPED;
    uint64_t count = event->kind == BQ_EVENT_FAILED ? 1 : event->count;
    if ((has_range || event->kind == BQ_EVENT_FAILED) &&
        (count == 0 || !bq_ledger_has(s->ledger, event->first, count)))
        return;
    switch (event->kind) {
    case BQ_EVENT_JOIN:
        bq_crew_join(s->crew, event->kitchen, event->n_cooks, event->count, now);
        break;
    case BQ_EVENT_REQUEST:
        bq_crew_ask(s->crew, event->kitchen, event->count, event->want, event->tau_ns);
        break;
    case BQ_EVENT_DONE: {
        uint64_t fresh = bq_ledger_done(s->ledger, event->first, event->count);
        settle(s, event, event->count);
        answer(s, fresh ? BQ_ACTION_ACCEPT : BQ_ACTION_DISCARD, event->kitchen, event->first,
               fresh ? fresh : event->count);
        break;
    }
    case BQ_EVENT_DROPPED:
        if (settle(s, event, event->count))
            release(s, event->first, event->count);
        break;
    case BQ_EVENT_FAILED:
        on_failed(s, event);
        break;
    case BQ_EVENT_LOST:
        on_lost(s, event->kitchen);
        break;
    case BQ_EVENT_BACK:
        on_back(s, event->kitchen);
        break;
    case BQ_EVENT_UNDO:
    case BQ_EVENT_RECALLED:
    case BQ_EVENT_FED:
    case BQ_EVENT_TICK:
    case BQ_EVENT_STOP:
        break;
    }
}

/* -- actions ------------------------------------------------------------------------------ */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* However small the policy's lease: a kitchen holds only so many, and together they must feed all
 * its cooks twice; and what it asked for must come in one answer, because a lease for each message
 * would be slower than its cooks. But never more than half a share of what is left. */
static uint64_t least_lease(const struct bq_scheduler *s, uint32_t kitchen, uint64_t n_free)
{
    uint64_t feed = (2 * bq_crew_in_progress(s->crew, kitchen) + BQ_MAX_LEASES - 1) / BQ_MAX_LEASES;
    uint64_t want = bq_crew_want(s->crew, kitchen);
    uint64_t n_open = bq_crew_n_open(s->crew);
    uint64_t half_share = (n_free + 2 * n_open - 1) / (2 * n_open);
    uint64_t n = feed > want ? feed : want;
    return n < half_share ? n : half_share;
}

/* The next range for a kitchen from what is free, by the policy. */
static bool find_work(struct bq_scheduler *s, uint32_t kitchen, uint64_t *first, uint64_t *count)
{
    uint64_t n_free = bq_ledger_n_free(s->ledger);
    if (n_free == 0)
        return false;
    struct bq_schedule schedule = s->config.schedule;
    uint32_t n_dealt = s->config.n_kitchens - s->config.n_guests;
    if (bq_policy_is_dealt(schedule.policy)) {
        uint64_t n = 0;
        while (!s->is_overruled && kitchen < n_dealt) {
            uint64_t *turn = bq_crew_turn(s->crew, kitchen);
            uint64_t from, size;
            bq_policy_dealt(&schedule, s->config.n_chunks, n_dealt, kitchen, *turn, &from, &size);
            if (size == 0)
                break;
            n = bq_ledger_next_free(s->ledger, from, size, first);
            if (n && *first < from + size) {
                *count = least(n, from + size - *first);
                return true; /* the turn stays until nothing of it is free */
            }
            (*turn)++;
        }
        /* The progress rule: work is left that the policy gives to nobody, and nobody works. */
        if (!s->is_overruled && kitchen < n_dealt && bq_crew_n_busy(s->crew) > 0)
            return false;
        s->is_overruled |= kitchen < n_dealt;
        schedule = (struct bq_schedule){.policy = BQ_GUIDED};
    }
    uint32_t n_open = bq_crew_n_open(s->crew);
    double tau = bq_crew_mean_tau(s->crew);
    uint64_t n_min = bq_policy_min(n_open, bq_crew_mean_cooks(s->crew), s->svc_ns, tau);
    uint64_t n = bq_policy_next(&schedule, n_free, n_open, n_min, &s->round);
    uint64_t floor_n = least_lease(s, kitchen, n_free);
    n = n < floor_n ? floor_n : n;
    *count = bq_ledger_next_free(s->ledger, s->cursor, n, first);
    if (*count == 0)
        return false;
    s->cursor = *first;
    return true;
}

/* The tail: nothing is free, a kitchen starves, another has more than it can soon do. The starving
 * one gets a second lease on the last half of what the other has not done; the first result wins.
 * When the first in line is itself the one that is slow, the second in line may help. */
static bool find_straggler(struct bq_scheduler *s, uint64_t now, uint32_t *kitchen,
                           struct bq_held *second)
{
    if (now < s->tail_check || !bq_crew_starves(s->crew, *kitchen))
        return false;
    double tau = bq_crew_mean_tau(s->crew);
    uint64_t pause = tau > STRAGGLER_FLOOR / 2.0 ? (uint64_t)least((uint64_t)(tau * 2), 1000000000)
                                                 : STRAGGLER_FLOOR;
    s->tail_check = now + pause;
    uint32_t victim;
    uint64_t n;
    struct bq_held held;
    for (int i = 0;
         !bq_crew_slowest(s->crew, s->ledger, now, *kitchen, STRAGGLER_FLOOR, &victim, &held, &n);
         i++) {
        if (i == 1 || !bq_crew_pass(s->crew, *kitchen) ||
            !bq_crew_first_waiting(s->crew, kitchen) || !bq_crew_starves(s->crew, *kitchen))
            return false;
    }
    *second = (struct bq_held){.first = held.doubled, .count = n, .is_second = true};
    s->revoke = (struct bq_action){.kind = BQ_ACTION_REVOKE,
                                   .kitchen = victim,
                                   .first = held.doubled,
                                   .count = held.first + held.count - held.doubled};
    s->has_revoke = true;
    return true;
}

/* Who gets what. A dealt policy may have nothing for the first in line but something for another.
 */
static bool find_lease(struct bq_scheduler *s, uint64_t now, uint32_t *kitchen,
                       struct bq_held *held)
{
    if (!bq_crew_first_waiting(s->crew, kitchen))
        return false;
    if (bq_ledger_n_free(s->ledger) == 0)
        return find_straggler(s, now, kitchen, held);
    while (!find_work(s, *kitchen, &held->first, &held->count)) {
        if (!bq_crew_pass(s->crew, *kitchen) || !bq_crew_first_waiting(s->crew, kitchen))
            return false;
    }
    return true;
}

static bool lease_next(struct bq_scheduler *s, uint64_t now, struct bq_action *action)
{
    uint32_t kitchen;
    struct bq_held held = {0};
    bool is_found = find_lease(s, now, &kitchen, &held);
    bq_crew_restart_line(s->crew);
    if (!is_found)
        return false;
    double expected = bq_crew_expected(s->crew, kitchen, held.count);
    held.since = now;
    held.deadline =
        expected > 0 && expected < 1e18 ? now + (uint64_t)(4 * expected) + 1000000000 : BQ_NEVER;
    bq_ledger_hold(s->ledger, held.first, held.count);
    bq_crew_give(s->crew, kitchen, &held);
    bq_crew_answered(s->crew, kitchen);
    *action = (struct bq_action){.kind = BQ_ACTION_LEASE,
                                 .kitchen = kitchen,
                                 .first = held.first,
                                 .count = held.count,
                                 .deadline = held.deadline};
    return true;
}

bool bq_scheduler_ask(struct bq_scheduler *s, uint64_t now, struct bq_action *action)
{
    if (s->has_answer) {
        *action = s->answer;
        s->has_answer = false;
        return true;
    }
    if (s->has_revoke) {
        *action = s->revoke;
        s->has_revoke = false;
        return true;
    }
    if (bq_ledger_n_done(s->ledger) == s->config.n_chunks || s->is_stopping) {
        for (; s->next_close < s->config.n_kitchens; s->next_close++) {
            if (bq_crew_close(s->crew, s->next_close)) {
                take_all_back(s, s->next_close);
                *action = (struct bq_action){.kind = BQ_ACTION_CLOSE, .kitchen = s->next_close++};
                return true;
            }
        }
        return false;
    }
    return lease_next(s, now, action);
}

uint64_t bq_scheduler_wake(const struct bq_scheduler *s)
{
    uint32_t kitchen;
    /* Who does not starve says so when it does: that is an event, nothing to be polled for. */
    if (s->is_stopping || !bq_crew_first_waiting(s->crew, &kitchen) ||
        !bq_crew_starves(s->crew, kitchen) || bq_ledger_n_done(s->ledger) == s->config.n_chunks)
        return BQ_NEVER;
    return bq_ledger_n_free(s->ledger) ? BQ_NEVER : s->tail_check;
}

bool bq_scheduler_done(const struct bq_scheduler *s)
{
    return s->next_close == s->config.n_kitchens &&
           (s->is_stopping || bq_ledger_n_done(s->ledger) == s->config.n_chunks);
}

bool bq_scheduler_is_stranded(const struct bq_scheduler *s)
{
    return !s->is_stopping && bq_crew_n_open(s->crew) == 0 &&
           bq_ledger_n_done(s->ledger) < s->config.n_chunks;
}

uint64_t bq_scheduler_n_done(const struct bq_scheduler *s)
{
    return bq_ledger_n_done(s->ledger);
}

uint64_t bq_scheduler_n_given_up(const struct bq_scheduler *s)
{
    return s->n_given_up;
}

const char *bq_scheduler_check(const struct bq_scheduler *s)
{
    uint64_t first;
    if (bq_ledger_next_free(s->ledger, 0, 1, &first) && first < s->cursor)
        return "a chunk before the cursor is free";
    for (uint32_t k = 0; k < s->next_close; k++) {
        if (bq_crew_is_open(s->crew, k))
            return "a kitchen was passed over when others were closed";
    }
    if (s->has_revoke && !bq_crew_is_open(s->crew, s->revoke.kitchen))
        return "a kitchen that is lost or closed is to give something back";
    return bq_crew_check(s->crew, s->ledger, s->config.is_fed);
}
