/* A course and its kitchens: who has the step, who is lost, returns, refuses or leaves, and what
 * that means for its chunks. */
#include <stdio.h>
#include <string.h>

#include "adapters/clock.h"
#include "base/heap.h"
#include "run/coordinator_internal.h"

/* The step goes to a kitchen; its first lease only if it was here from the beginning. */
static int send_step(struct course *c, uint32_t kitchen, bool has_first)
{
    const struct bq_hello *h = &c->coordinator->hello[kitchen];
    uint32_t n_cores = bq_greeting_cores(c->coordinator->hello, c->recipe->n_kitchens, c->n_seats);
    if (n_cores > c->report->n_cores)
        c->report->n_cores = n_cores;
    if (h->is_guest) { /* it may be gone when the report is made */
        struct bq_kitchen_report *r = &c->report->kitchens[kitchen];
        r->rank = kitchen + 1;
        r->pid = h->pid;
        snprintf(r->host, sizeof r->host, "%s", h->host);
    }
    /* What it wrote before may be kept, or half there: a number is used once. */
    c->shard[kitchen] = c->shard[kitchen] ? ++c->n_shards : kitchen + 1;
    size_t size = bq_recipe_bytes(c->recipe) + BQ_WIRE_FIXED;
    unsigned char *bytes = bq_alloc(1, size);
    if (!bytes)
        return bq_fail(c->err, BQ_EXIT_FAILED, "out of memory");
    struct bq_writer w = bq_writer(bytes, size);
    c->sent_at[kitchen] = bq_now();
    bq_wire_put(&w, &(struct bq_message){.kind = BQ_STEP,
                                         .pid = c->coordinator->hello[kitchen].pid,
                                         .step = c->options->number,
                                         .first = c->shard[kitchen],
                                         .count = c->sent_at[kitchen] - c->epoch,
                                         .n = !has_first,
                                         .time = c->epoch});
    bq_recipe_put(&w, c->recipe);
    int rc =
        bq_transport_send_copy(c->transport, kitchen + 1, bytes, (size_t)(w.at - bytes), c->err);
    bq_free(bytes);
    c->with[kitchen] = WORKING;
    c->n_open++;
    return rc;
}

/* Kitchens beyond --kitchens are not asked; guests always. */
static bool is_asked(const struct course *c, uint32_t kitchen)
{
    return kitchen < c->recipe->n_kitchens || c->coordinator->hello[kitchen].is_guest;
}

/* What is read while it is made must be on one machine: file systems between two may show old
 * pages. */
static bool may_take(const struct course *c, uint32_t kitchen)
{
    bool is_followed = c->feed != NULL;
    for (const struct course *d = c->coordinator->courses; d; d = d->next)
        is_followed |= d->feed && d->feeder == c->options->number;
    return !is_followed || !c->coordinator->hello[kitchen].is_elsewhere;
}

int course_send_all(struct course *c)
{
    c->cpu_at = bq_now_cpu();
    c->epoch = c->last_accept = bq_now();
    c->report->start_ns = bq_now_date();
    int rc = 0;
    for (uint32_t k = 0; rc == 0 && k < c->n_seats; k++) {
        const struct bq_hello *hello = &c->coordinator->hello[k];
        bool is_here = hello->presence == BQ_HERE && !hello->is_leaving;
        if (!is_asked(c, k))
            c->with[k] = UNWILLING;
        if (is_here && is_asked(c, k) && may_take(c, k))
            rc = send_step(c, k, !c->is_resumed && k < c->recipe->n_kitchens);
        else
            bq_scheduler_tell(c->scheduler, c->epoch,
                              &(struct bq_event){.kind = BQ_EVENT_LOST, .kitchen = k});
    }
    return rc;
}

static void undo(void *context, uint64_t first, uint64_t count)
{
    struct course *c = context;
    c->has_undone = true;
    bq_scheduler_tell(c->scheduler, bq_now(),
                      &(struct bq_event){.kind = BQ_EVENT_UNDO, .first = first, .count = count});
}

void course_lose(struct course *c, uint32_t kitchen)
{
    if (kitchen >= c->n_seats || c->with[kitchen] <= UNWILLING)
        return;
    bool was_working = c->with[kitchen] == WORKING;
    c->with[kitchen] = WITHOUT;
    c->n_open -= was_working;
    c->n_crashes[kitchen]++;
    bq_scheduler_tell(c->scheduler, bq_now(),
                      &(struct bq_event){.kind = BQ_EVENT_LOST, .kitchen = kitchen});
    if (!was_working || !c->gather)
        return;
    bq_gather_lose(c->gather, c->shard[kitchen], undo, c);
    for (uint32_t k = 0; c->has_undone && k < c->n_seats; k++) {
        if (c->coordinator->hello[k].presence == BQ_HERE && k != kitchen) {
            /* Who returned when nothing was left to do, and who was done with it. */
            if (c->with[k] == REPORTED && course_renew(c, k) < 0)
                continue;
            course_welcome(c, k);
        }
    }
}

int course_blame(struct course *c, uint32_t kitchen, uint64_t chunk, const char *why)
{
    uint64_t now = bq_now();
    if (kitchen >= c->n_seats || c->with[kitchen] != WORKING)
        return 0;
    snprintf(c->why, sizeof c->why, "%.190s", why);
    c->by = BQ_BY_KERNEL;
    bq_scheduler_tell(
        c->scheduler, now,
        &(struct bq_event){.kind = BQ_EVENT_FAILED, .kitchen = kitchen, .first = chunk});
    return course_carry_out(c, now);
}

int course_welcome(struct course *c, uint32_t kitchen)
{
    if (kitchen >= c->n_seats || c->with[kitchen] != WITHOUT || !may_take(c, kitchen) ||
        c->coordinator->hello[kitchen].is_leaving ||
        bq_scheduler_n_done(c->scheduler) == c->recipe->plan.n_chunks)
        return 0;
    bq_scheduler_tell(c->scheduler, bq_now(),
                      &(struct bq_event){.kind = BQ_EVENT_BACK, .kitchen = kitchen});
    return send_step(c, kitchen, false);
}

int course_renew(struct course *c, uint32_t kitchen)
{
    struct bq_report *r = c->report;
    if (kitchen >= c->n_seats)
        return 0;
    if (r->kitchens[kitchen].rank) {
        struct bq_kitchen_report *more = bq_alloc(r->n_kitchens + 1, sizeof *more);
        if (!more)
            return -1;
        memcpy(more, r->kitchens, r->n_kitchens * sizeof *more);
        more[r->n_kitchens] = more[kitchen];
        more[r->n_kitchens++].n_lost = c->n_crashes[kitchen];
        more[kitchen] = (struct bq_kitchen_report){0};
        bq_free(r->kitchens);
        r->kitchens = more;
    }
    c->n_crashes[kitchen] = 0;
    c->with[kitchen] = WITHOUT;
    return 0;
}

void course_part(struct course *c, uint32_t kitchen)
{
    if (kitchen >= c->n_seats || c->with[kitchen] != REPORTED) {
        course_lose(c, kitchen);
        return;
    }
    c->with[kitchen] = WITHOUT;
    bq_scheduler_tell(c->scheduler, bq_now(),
                      &(struct bq_event){.kind = BQ_EVENT_LOST, .kitchen = kitchen});
}

void course_refused(struct course *c, uint32_t kitchen, const char *why)
{
    if (kitchen >= c->n_seats || c->with[kitchen] <= UNWILLING)
        return;
    course_lose(c, kitchen);
    c->with[kitchen] = UNWILLING;
    c->n_crashes[kitchen]--;
    snprintf(c->refused, sizeof c->refused, "kitchen %u cannot work: %.160s", kitchen + 1, why);
    if (bq_scheduler_is_stranded(c->scheduler))
        return; /* then that is what the run ends with */
    fprintf(stderr, "banquet: %s; the others go on\n", c->refused);
}

int course_leave(struct course *c, uint32_t kitchen)
{
    if (kitchen >= c->n_seats || c->with[kitchen] != WORKING)
        return 0;
    bq_scheduler_tell(c->scheduler, bq_now(),
                      &(struct bq_event){.kind = BQ_EVENT_LOST, .kitchen = kitchen});
    return course_send(c, kitchen,
                       &(struct bq_message){.kind = BQ_CLOSE, .step = c->options->number});
}

/* Whether a kitchen is lost but will return, or a guest is just coming. */
bool course_is_awaited(const struct course *c)
{
    bool is = false;
    for (uint32_t k = 0; k < c->n_seats; k++) {
        enum bq_presence presence = c->coordinator->hello[k].presence;
        is |= presence == BQ_RETURNING || presence == BQ_EXPECTED;
    }
    return is;
}

int course_fail_stranded(struct course *c)
{
    const struct bq_hello *hello = c->coordinator->hello;
    uint64_t n_done = bq_scheduler_n_done(c->scheduler);
    if (c->refused[0])
        return bq_fail(c->err, BQ_EXIT_FAILED, "%s", c->refused);
    for (uint32_t k = 0; k < c->recipe->n_kitchens; k++) {
        if (hello[k].presence >= BQ_OUT)
            return bq_fail(c->err, BQ_EXIT_LOST,
                           "all kitchens are gone, after %llu of %llu chunks; kitchen %u: %s",
                           (unsigned long long)n_done, (unsigned long long)c->recipe->plan.n_chunks,
                           k + 1, hello[k].why);
    }
    return bq_fail(c->err, BQ_EXIT_FAILED, "all kitchens were drained, after %llu of %llu chunks",
                   (unsigned long long)n_done, (unsigned long long)c->recipe->plan.n_chunks);
}
