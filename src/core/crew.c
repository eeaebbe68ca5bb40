#include "core/crew.h"

#include "base/heap.h"
#include "core/crew_internal.h"

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

void bq_crew_join(struct bq_crew *crew, uint32_t kitchen, uint32_t n_cooks, uint64_t in_progress,
                  uint64_t now)
{
    struct kitchen *k = &crew->kitchen[kitchen];
    if (k->has_joined || k->is_lost)
        return;
    k->has_joined = true;
    k->n_cooks = n_cooks ? n_cooks : 1;
    k->in_progress = in_progress > k->n_cooks ? in_progress : k->n_cooks;
    crew->n_joined++;
    crew->n_cooks += k->n_cooks;
    for (uint32_t i = 0; i < k->n_held; i++)
        k->held[i].since = now;
}

static void leave_line(struct bq_crew *crew, uint32_t kitchen);

static void open_again(struct bq_crew *crew, struct kitchen *k)
{
    crew->n_closed -= k->is_closed;
    k->is_closed = false;
}

void bq_crew_return(struct bq_crew *crew, uint32_t kitchen)
{
    struct kitchen *k = &crew->kitchen[kitchen];
    crew->n_lost -= k->is_lost;
    k->is_lost = false;
    k->turn = 0; /* of what it was dealt, chunks are free again */
    open_again(crew, k);
}

bool bq_crew_close(struct bq_crew *crew, uint32_t kitchen)
{
    struct kitchen *k = &crew->kitchen[kitchen];
    if (k->is_lost || k->is_closed)
        return false;
    leave_line(crew, kitchen);
    k->is_closed = true;
    crew->n_closed++;
    return true;
}

uint64_t bq_crew_in_progress(const struct bq_crew *crew, uint32_t kitchen)
{
    uint64_t n = crew->kitchen[kitchen].in_progress;
    return n ? n : 1;
}

bool bq_crew_is_open(const struct bq_crew *crew, uint32_t kitchen)
{
    return !crew->kitchen[kitchen].is_lost && !crew->kitchen[kitchen].is_closed;
}

uint32_t bq_crew_n_open(const struct bq_crew *crew)
{
    return crew->n_kitchens - crew->n_lost - crew->n_closed;
}

uint32_t bq_crew_n_busy(const struct bq_crew *crew)
{
    return crew->n_busy;
}

uint64_t *bq_crew_turn(struct bq_crew *crew, uint32_t kitchen)
{
    return &crew->kitchen[kitchen].turn;
}

/* -- the line ----------------------------------------------------------------------------- */

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

uint64_t bq_crew_want(const struct bq_crew *crew, uint32_t kitchen)
{
    return crew->kitchen[kitchen].want;
}

void bq_crew_ask(struct bq_crew *crew, uint32_t kitchen, uint64_t unstarted, uint64_t want,
                 double tau_ns)
{
    struct kitchen *k = &crew->kitchen[kitchen];
    if (k->is_lost || k->is_closed)
        return;
    if (tau_ns > 0 && tau_ns < 1e18) {
        k->tau_ns = tau_ns;
        crew->tau_ns = crew->tau_ns > 0 ? crew->tau_ns + (tau_ns - crew->tau_ns) / 8 : tau_ns;
    }
    leave_line(crew, kitchen);
    k->is_waiting = true;
    k->want = want;
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

/* -- leases ------------------------------------------------------------------------------- */

void bq_crew_give(struct bq_crew *crew, uint32_t kitchen, const struct bq_held *held)
{
    struct kitchen *k = &crew->kitchen[kitchen];
    crew->n_busy += k->n_held == 0;
    k->held[k->n_held] = *held;
    k->held[k->n_held].doubled = BQ_NEVER;
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
    open_again(crew, k);
    k->is_lost = true;
    crew->n_lost++;
    if (k->has_joined) {
        k->has_joined = false;
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

bool bq_crew_is_held_beside(const struct bq_crew *crew, uint32_t kitchen, uint64_t chunk)
{
    for (uint32_t i = 0; i < crew->n_kitchens; i++) {
        const struct kitchen *k = &crew->kitchen[i];
        for (uint32_t j = 0; j < k->n_held && i != kitchen; j++) {
            if (chunk >= k->held[j].first && chunk - k->held[j].first < k->held[j].count)
                return true;
        }
    }
    return false;
}

void bq_crew_hold_all(struct bq_crew *crew, struct bq_ledger *ledger, uint64_t first,
                      uint64_t count)
{
    for (uint32_t i = 0; i < crew->n_kitchens; i++) {
        struct kitchen *k = &crew->kitchen[i];
        for (uint32_t j = 0; j < k->n_held; j++) {
            struct bq_held *h = &k->held[j];
            uint64_t low = first > h->first ? first : h->first;
            uint64_t end =
                first + count < h->first + h->count ? first + count : h->first + h->count;
            if (low >= end)
                continue;
            bq_ledger_hold(ledger, low, end - low);
            if (low == h->first && end == h->first + h->count)
                h->is_second = false;
            if (h->doubled >= low && h->doubled < end)
                h->doubled = BQ_NEVER;
        }
    }
}

/* -- speed -------------------------------------------------------------------------------- */

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

/* -- checking ----------------------------------------------------------------------------- */

/* What is wrong with a lease, or NULL. */
static const char *check_lease(const struct kitchen *k, const struct bq_held *h,
                               const struct bq_ledger *ledger)
{
    uint64_t first;
    if (h->left == 0 || h->left > h->count)
        return "a lease with nothing left, or more left than it has";
    if (!bq_ledger_has(ledger, h->first, h->count))
        return "a lease outside the plan";
    if (bq_ledger_next_free(ledger, h->first, 1, &first) && first < h->first + h->count)
        return "a leased chunk is free";
    struct kitchen others = *k;
    others.held[h - k->held] = others.held[--others.n_held];
    return bq_crew_overlaps(&others, h) ? "a kitchen holds a chunk twice" : NULL;
}

/* The end of the farthest reaching lease that holds the chunk; 0: nobody holds it. */
static uint64_t held_until(const struct bq_crew *crew, uint64_t chunk)
{
    uint64_t until = 0;
    for (uint32_t i = 0; i < crew->n_kitchens; i++) {
        for (uint32_t j = 0; j < crew->kitchen[i].n_held; j++) {
            const struct bq_held *h = &crew->kitchen[i].held[j];
            uint64_t end = h->first + h->count;
            if (h->first <= chunk && chunk < end && end > until)
                until = end;
        }
    }
    return until;
}

/* What is wrong with a kitchen, or NULL. */
static const char *check_kitchen(const struct kitchen *k, const struct bq_ledger *ledger)
{
    if (k->is_lost && k->is_closed)
        return "a lost kitchen is closed";
    if ((k->is_lost || k->is_closed) && (k->n_held || k->is_waiting))
        return "a lost or closed kitchen holds leases or waits";
    if (k->is_lost && k->has_joined)
        return "a lost kitchen has joined";
    for (uint32_t j = 0; j < k->n_held; j++) {
        const char *broken = check_lease(k, &k->held[j], ledger);
        if (broken)
            return broken;
    }
    return NULL;
}

/* Those that stand in a line, or more than there are kitchens when it is broken. */
static uint32_t check_line(const struct bq_crew *crew, const struct line *line, bool is_starving)
{
    uint32_t n = 0, before = NOBODY;
    for (uint32_t at = line->head; at != NOBODY; at = crew->kitchen[at].next) {
        const struct kitchen *k = &crew->kitchen[at];
        if (!k->is_waiting || k->is_starving != is_starving || k->prev != before ||
            ++n > crew->n_kitchens)
            return NOBODY;
        before = at;
    }
    return line->tail == before ? n : NOBODY;
}

const char *bq_crew_check(const struct bq_crew *crew, const struct bq_ledger *ledger, bool is_fed)
{
    uint32_t n_busy = 0, n_lost = 0, n_closed = 0, n_joined = 0, n_waiting = 0;
    uint64_t n_cooks = 0;
    for (uint32_t i = 0; i < crew->n_kitchens; i++) {
        const struct kitchen *k = &crew->kitchen[i];
        n_busy += k->n_held > 0;
        n_lost += k->is_lost;
        n_closed += k->is_closed;
        n_joined += k->has_joined;
        n_cooks += k->has_joined ? k->n_cooks : 0;
        n_waiting += k->is_waiting;
        const char *broken = check_kitchen(k, ledger);
        if (broken)
            return broken;
    }
    if (n_busy != crew->n_busy || n_lost != crew->n_lost || n_closed != crew->n_closed)
        return "the counts of busy, lost or closed kitchens are wrong";
    if (n_joined != crew->n_joined || n_cooks != crew->n_cooks)
        return "the counts of kitchens that joined, or of their cooks, are wrong";
    uint32_t n_starving = check_line(crew, &crew->starving, true);
    uint32_t n_ahead = check_line(crew, &crew->ahead, false);
    if (n_starving > n_waiting || n_ahead != n_waiting - n_starving || crew->looking_at != NOBODY)
        return "the line is broken";
    for (uint64_t chunk = 0; !is_fed && bq_ledger_next_open(ledger, chunk, &chunk);) {
        chunk = held_until(crew, chunk);
        if (chunk == 0)
            return "a chunk is held by nobody";
    }
    return NULL;
}
