/* Guests: kitchens that join a job that runs, and leave it in order. That they are lost, or lose
 * their cooks, is like that of others: losses.c. */
#include <stdio.h>

#include "run/coordinator_internal.h"

static int send_to(struct bq_coordinator *co, uint32_t kitchen, const struct bq_message *message)
{
    unsigned char bytes[BQ_WIRE_FIXED];
    struct bq_writer w = bq_writer(bytes, sizeof bytes);
    bq_wire_put(&w, message);
    return bq_transport_send_copy(co->transport, kitchen + 1, bytes, (size_t)(w.at - bytes), NULL);
}

static void say(const struct bq_coordinator *co, uint32_t kitchen, const char *what)
{
    const struct bq_hello *h = &co->hello[kitchen];
    if (co->is_quiet || co->is_stopping)
        return;
    fprintf(stderr, "%skitchen %u (process %u on %s) has %s\n",
            co->has_line && co->is_terminal ? "\n" : "", kitchen + 1, h->pid, h->host, what);
}

static void welcome(struct bq_coordinator *co, uint32_t kitchen, bool is_elsewhere)
{
    struct bq_hello *h = &co->hello[kitchen];
    *h = (struct bq_hello){.presence = BQ_EXPECTED, .is_guest = true, .is_elsewhere = is_elsewhere};
    int rc = 0;
    for (struct course *c = co->courses; rc == 0 && c; c = c->next)
        rc = course_renew(c, kitchen);
    if (rc == 0 && !co->is_stopping) /* else it hears BYE, soon */
        rc = send_to(
            co, kitchen,
            &(struct bq_message){.kind = BQ_START, .n = co->isolates, .time = co->silence_ns});
    if (rc < 0)
        bq_hello_gone(co->hello, kitchen + 1, co->transport, "out of memory");
}

void guests_look(struct bq_coordinator *co)
{
    uint32_t rank;
    bool is_elsewhere;
    while (bq_transport_joined(co->transport, &rank, &is_elsewhere))
        welcome(co, rank - 1, is_elsewhere);
}

void guests_greet(const struct bq_coordinator *co, uint32_t kitchen)
{
    say(co, kitchen, "joined");
}

int guests_dismiss(struct bq_coordinator *co, uint32_t kitchen)
{
    struct bq_hello *h = &co->hello[kitchen];
    for (const struct course *c = co->courses; c; c = c->next) {
        if (kitchen < c->n_seats && c->with[kitchen] == WORKING)
            return 0;
    }
    if (h->is_dismissed)
        return 0;
    h->is_dismissed = true;
    return send_to(co, kitchen, &(struct bq_message){.kind = BQ_BYE});
}

void guests_part(struct bq_coordinator *co, uint32_t kitchen)
{
    for (struct course *c = co->courses; c; c = c->next)
        course_part(c, kitchen);
    if (co->hello[kitchen].presence == BQ_PARTING)
        say(co, kitchen, "left");
    bq_hello_gone(co->hello, kitchen + 1, co->transport, "it left");
}
