#include "core/crew.h"

#include <string.h>

#include "base/heap.h"
#include "core/scheduler.h"

#define NOBODY UINT32_MAX

struct kitchen {
    bool is_lost, has_joined, is_waiting, is_starving;
    uint32_t n_cooks, n_held;
    uint64_t turn, heard;
    double tau_ns;
    uint32_t next, prev; /* in the line */
    struct bq_held held[BQ_MAX_LEASES];
};

struct line {
    uint32_t head, tail;
};

struct bq_crew {
    uint32_t n_kitchens, n_lost, n_busy, n_joined;
    uint64_t n_cooks;
    double tau_ns; /* moving mean over requests */
    struct line starving, ahead;
    uint32_t looking_at; /* NOBODY: at the first */
    struct kitchen *kitchen;
};

struct bq_crew *bq_crew_create(uint32_t n_kitchens)
{
    struct bq_crew *crew = bq_alloc(1, sizeof *crew);
    if (!crew)
        return NULL;
    crew->n_kitchens = n_kitchens;
    crew->starving = crew->ahead = (struct line){NOBODY, NOBODY};
    crew->looking_at = NOBODY;
    crew->kitchen = bq_alloc(n_kitchens, sizeof *crew->kitchen);
    if (!crew->kitchen) {
        bq_free(crew);
        return NULL;
    }
    return crew;
}

void bq_crew_destroy(struct bq_crew *crew)
{
    if (!crew)
        return;
    bq_free(crew->kitchen);
    bq_free(crew);
}

void bq_crew_join(struct bq_crew *crew, uint32_t kitchen, uint32_t n_cooks, uint64_t now)
{
    struct kitchen *k = &crew->kitchen[kitchen];
    if (k->has_joined || k->is_lost)
        return;
    k->has_joined = true;
    k->n_cooks = n_cooks ? n_cooks : 1;
    crew->n_joined++;
    crew->n_cooks += k->n_cooks;
    for (uint32_t i = 0; i < k->n_held; i++)
        k->held[i].since = now;
}

void bq_crew_heard(struct bq_crew *crew, uint32_t kitchen, uint64_t now)
{
    crew->kitchen[kitchen].heard = now;
}

bool bq_crew_is_lost(const struct bq_crew *crew, uint32_t kitchen)
{
    return crew->kitchen[kitchen].is_lost;
}

uint32_t bq_crew_n_alive(const struct bq_crew *crew)
{
    return crew->n_kitchens - crew->n_lost;
}

uint32_t bq_crew_n_busy(const struct bq_crew *crew)
{
    return crew->n_busy;
}

uint64_t *bq_crew_turn(struct bq_crew *crew, uint32_t kitchen)
{
    return &crew->kitchen[kitchen].turn;
}

/* -- the line ------------------------------------------------------------------------------------ */

static struct line *line_of(struct bq_crew *crew, const struct kitchen *k)
{
    return k->is_starving ? &crew->starving : &crew->ahead;
}

static void leave_line(struct bq_crew *crew, uint32_t kitchen)
{
    struct kitchen *k = &crew->kitchen[kitchen];
    if (!k->is_waiting)
        return;
    struct line *line = line_of(crew, k);
    if (k->prev == NOBODY)
        line->head = k->next;
    else
        crew->kitchen[k->prev].next = k->next;
    if (k->next == NOBODY)
        line->tail = k->prev;
    else
        crew->kitchen[k->next].prev = k->prev;
    k->is_waiting = false;
    crew->looking_at = NOBODY;
}

void bq_crew_ask(struct bq_crew *crew, uint32_t kitchen, uint64_t unstarted, double tau_ns)
{
    struct kitchen *k = &crew->kitchen[kitchen];
    if (k->is_lost)
        return;
    if (tau_ns > 0 && tau_ns < 1e18) {
        k->tau_ns = tau_ns;
        crew->tau_ns = crew->tau_ns > 0 ? crew->tau_ns + (tau_ns - crew->tau_ns) / 8 : tau_ns;
    }
    leave_line(crew, kitchen);
    k->is_waiting = true;
    k->is_starving = unstarted == 0;
    struct line *line = line_of(crew, k);
    k->next = NOBODY;
    k->prev = line->tail;
    if (line->tail == NOBODY)
        line->head = kitchen;
    else
        crew->kitchen[line->tail].next = kitchen;
    line->tail = kitchen;
}

void bq_crew_answered(struct bq_crew *crew, uint32_t kitchen)
{
    leave_line(crew, kitchen);
}

/* A kitchen that holds as many leases as it may stays in line until it reports. */
static uint32_t first_with_room(const struct bq_crew *crew, uint32_t at, bool is_starving)
{
    for (;;) {
        while (at != NOBODY && crew->kitchen[at].n_held == BQ_MAX_LEASES)
            at = crew->kitchen[at].next;
        if (at != NOBODY || !is_starving)
            return at;
        at = crew->ahead.head;
        is_starving = false;
    }
}

bool bq_crew_first_waiting(const struct bq_crew *crew, uint32_t *kitchen)
{
    *kitchen = crew->looking_at != NOBODY ? crew->looking_at
                                          : first_with_room(crew, crew->starving.head, true);
    return *kitchen != NOBODY;
}

bool bq_crew_pass(struct bq_crew *crew, uint32_t kitchen)
{
    const struct kitchen *k = &crew->kitchen[kitchen];
    uint32_t next = first_with_room(crew, k->next, k->is_starving);
    if (next == NOBODY)
        return false;
    crew->looking_at = next;
    return true;
}

void bq_crew_restart_line(struct bq_crew *crew)
{
    crew->looking_at = NOBODY;
}

bool bq_crew_starves(const struct bq_crew *crew, uint32_t kitchen)
{
    return crew->kitchen[kitchen].is_starving;
}

/* -- leases ---------------------------------------------------------------------------------------- */

void bq_crew_give(struct bq_crew *crew, uint32_t kitchen, const struct bq_held *held)
{
    struct kitchen *k = &crew->kitchen[kitchen];
    crew->n_busy += k->n_held == 0;
    k->held[k->n_held] = *held;
    k->held[k->n_held++].left = held->count;
}

static void drop_held(struct bq_crew *crew, struct kitchen *k, uint32_t i)
{
    k->held[i] = k->held[--k->n_held];
    crew->n_busy -= k->n_held == 0;
}

bool bq_crew_settle(struct bq_crew *crew, uint32_t kitchen, uint64_t first, uint64_t count)
{
    struct kitchen *k = &crew->kitchen[kitchen];
    bool held_some = false;
    for (uint32_t i = k->n_held; i-- > 0;) {
        struct bq_held *h = &k->held[i];
        uint64_t low = first > h->first ? first : h->first;
        uint64_t end = first + count < h->first + h->count ? first + count : h->first + h->count;
        if (low >= end)
            continue;
        held_some = true;
        h->left -= end - low < h->left ? end - low : h->left;
        if (end == h->first + h->count && h->left && low > h->first)
            h->count = low - h->first;
    }
    return held_some;
}

bool bq_crew_take_ended(struct bq_crew *crew, uint32_t kitchen, struct bq_held *held)
{
    struct kitchen *k = &crew->kitchen[kitchen];
    for (uint32_t i = k->n_held; i-- > 0;) {
        if (k->held[i].left == 0) {
            *held = k->held[i];
            drop_held(crew, k, i);
            return true;
        }
    }
    return false;
}

void bq_crew_lose(struct bq_crew *crew, uint32_t kitchen)
{
    struct kitchen *k = &crew->kitchen[kitchen];
    if (k->is_lost)
        return;
    leave_line(crew, kitchen);
    k->is_lost = true;
    crew->n_lost++;
    if (k->has_joined) {
        crew->n_joined--;
        crew->n_cooks -= k->n_cooks;
    }
}

bool bq_crew_take_back(struct bq_crew *crew, uint32_t kitchen, struct bq_held *held)
{
    struct kitchen *k = &crew->kitchen[kitchen];
    if (k->n_held == 0)
        return false;
    *held = k->held[k->n_held - 1];
    drop_held(crew, k, k->n_held - 1);
    return true;
}

void bq_crew_hold_all(const struct bq_crew *crew, struct bq_ledger *ledger, uint64_t first,
                      uint64_t count)
{
    for (uint32_t i = 0; i < crew->n_kitchens; i++) {
        const struct kitchen *k = &crew->kitchen[i];
        for (uint32_t j = 0; j < k->n_held; j++) {
            const struct bq_held *h = &k->held[j];
            uint64_t low = first > h->first ? first : h->first;
            uint64_t end =
                first + count < h->first + h->count ? first + count : h->first + h->count;
            if (low < end)
                bq_ledger_hold(ledger, low, end - low);
        }
    }
}

/* -- speed ---------------------------------------------------------------------------------------- */

double bq_crew_mean_tau(const struct bq_crew *crew)
{
    return crew->tau_ns;
}

uint32_t bq_crew_mean_cooks(const struct bq_crew *crew)
{
    return crew->n_joined ? (uint32_t)((crew->n_cooks + crew->n_joined - 1) / crew->n_joined) : 1;
}

double bq_crew_expected(const struct bq_crew *crew, uint32_t kitchen, uint64_t count)
{
    const struct kitchen *k = &crew->kitchen[kitchen];
    double tau = k->tau_ns > 0 ? k->tau_ns : crew->tau_ns;
    return (double)count * tau / (k->n_cooks ? k->n_cooks : 1);
}

bool bq_crew_slowest(struct bq_crew *crew, uint64_t now, uint32_t for_kitchen, uint64_t floor_ns,
                     uint32_t *kitchen, struct bq_held *held)
{
    struct bq_held *worst = NULL;
    double most = (double)floor_ns;
    for (uint32_t i = 0; i < crew->n_kitchens; i++) {
        struct kitchen *k = &crew->kitchen[i];
        for (uint32_t j = 0; j < k->n_held && i != for_kitchen; j++) {
            struct bq_held *h = &k->held[j];
            if (h->is_doubled || h->is_second)
                continue;
            /* Chunks beyond those on its cooks wait for nothing but time; the last ones count only
             * when they take far longer than chunks do: the kitchen is stuck. */
            bool is_overdue = crew->tau_ns > 0 && (double)(now - h->since) > 8 * crew->tau_ns +
                                  4 * bq_crew_expected(crew, i, h->count) + (double)floor_ns;
            if (h->left <= k->n_cooks && !is_overdue)
                continue;
            double ahead = bq_crew_expected(crew, i, h->left);
            if (is_overdue)
                ahead += (double)(now - h->since);
            if (ahead > most) {
                most = ahead;
                worst = h;
                *kitchen = i;
            }
        }
    }
    if (!worst)
        return false;
    worst->is_doubled = true;
    *held = *worst;
    return true;
}

const char *bq_crew_check(const struct bq_crew *crew, const struct bq_ledger *ledger)
{
    uint32_t n_busy = 0, n_lost = 0;
    uint64_t first, n_held = 0;
    for (uint32_t i = 0; i < crew->n_kitchens; i++) {
        const struct kitchen *k = &crew->kitchen[i];
        n_busy += k->n_held > 0;
        n_lost += k->is_lost;
        if (k->is_lost && (k->n_held || k->is_waiting))
            return "a lost kitchen holds leases or waits";
        for (uint32_t j = 0; j < k->n_held; j++) {
            const struct bq_held *h = &k->held[j];
            if (h->left == 0 || h->left > h->count)
                return "a lease with nothing left, or more left than it has";
            if (!bq_ledger_has(ledger, h->first, h->count))
                return "a lease outside the plan";
            if (bq_ledger_next_free(ledger, h->first, 1, &first) && first < h->first + h->count)
                return "a leased chunk is free";
            n_held += h->count;
        }
    }
    if (n_busy != crew->n_busy || n_lost != crew->n_lost)
        return "the counts of busy or lost kitchens are wrong";
    uint64_t open = bq_ledger_n_chunks(ledger) - bq_ledger_n_done(ledger) - bq_ledger_n_free(ledger);
    return open > n_held ? "chunks are held by nobody" : NULL;
}
