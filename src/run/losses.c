/* Kitchens that are lost, return, leave or are silent while steps are under way. What they held is
 * leased to others; whoever returns gets every step that is not done. */
#include <stdio.h>
#include <string.h>

#include "adapters/clock.h"
#include "run/coordinator_internal.h"

#define BUSY_TIMES 30             /* as long may files take */
#define MOST_WAITED_NS 200000000u /* more than that was not spent listening */

static void say(struct bq_coordinator *co, uint32_t kitchen, const char *what)
{
    const struct bq_hello *h = &co->hello[kitchen];
    if (co->is_stopping)
        return;
    fprintf(stderr, "%sbanquet: kitchen %u (process %u on %s) %s: %s\n",
            co->has_line && co->is_terminal ? "\n" : "", kitchen + 1, h->pid, h->host, what,
            h->why);
}

static void lose(struct bq_coordinator *co, uint32_t kitchen)
{
    for (struct course *c = co->courses; c; c = c->next)
        course_lose(c, kitchen);
}

void losses_gone(struct bq_coordinator *co, uint32_t kitchen, const char *why)
{
    if (co->hello[kitchen].presence >= BQ_GONE)
        return;
    bq_hello_gone(co->hello, kitchen + 1, co->transport, why);
    lose(co, kitchen);
    if (bq_hello_any(co->hello, co->transport->n_ranks - 1))
        say(co, kitchen, "is lost; the others do its work");
}

void losses_out(struct bq_coordinator *co, uint32_t kitchen, const char *why)
{
    bq_hello_out(co->hello, kitchen + 1, why);
    lose(co, kitchen);
    if (co->hello[kitchen].is_guest)
        guests_dismiss(co, kitchen);
    if (bq_hello_any(co->hello, co->transport->n_ranks - 1))
        say(co, kitchen, "cannot work; the others go on");
}

int losses_crashed(struct bq_coordinator *co, uint32_t kitchen, const struct bq_message *m)
{
    struct bq_hello *h = &co->hello[kitchen];
    h->presence = BQ_RETURNING;
    h->n_crashes++;
    snprintf(h->why, sizeof h->why, "%.190s", m->text);
    if (h->n_crashes <= 3 || h->n_crashes % 100 == 0)
        say(co, kitchen, "lost its cooks and starts them again");
    int rc = 0;
    for (struct course *c = co->courses; rc == 0 && c; c = c->next) {
        if (c->options->number == m->step && m->first != BQ_NO_CHUNK)
            rc = course_blame(c, kitchen, m->first, m->text);
    }
    if (rc == 0)
        lose(co, kitchen);
    return rc;
}

int losses_returned(struct bq_coordinator *co, uint32_t kitchen, const struct bq_message *m,
                    struct bq_error *err)
{
    enum bq_presence before = co->hello[kitchen].presence;
    if (before != BQ_RETURNING && before != BQ_EXPECTED)
        return 0; /* no message is trusted */
    if (bq_hello_take(co->hello, kitchen + 1, m, err) < 0)
        return -1;
    if (before == BQ_EXPECTED)
        guests_greet(co, kitchen);
    for (struct course *c = co->courses; c; c = c->next) {
        if (!co->is_stopping && course_welcome(c, kitchen) < 0)
            return -1;
    }
    return 0;
}

void losses_look(struct bq_coordinator *co)
{
    uint32_t rank, n = co->transport->n_ranks - 1;
    uint64_t now = bq_now(), waited = co->looked_at ? now - co->looked_at : 0;
    waited = waited < MOST_WAITED_NS ? waited : MOST_WAITED_NS;
    co->looked_at = now;
    guests_look(co);
    while (bq_transport_lost(co->transport, &rank)) {
        if (rank > 0 && rank <= n)
            losses_gone(co, rank - 1, "its process ended");
    }
    for (uint32_t k = 0; k < n; k++) {
        struct bq_hello *h = &co->hello[k];
        h->silence += waited;
        if (h->silence > co->silence_ns * (h->is_busy ? BUSY_TIMES : 1) && h->presence != BQ_OUT)
            losses_gone(co, k, "nothing was heard of it");
    }
}
