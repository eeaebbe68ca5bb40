#include "run/greeting.h"

#include <stdio.h>
#include <string.h>

#include "adapters/clock.h"

#define PATIENCE_NS 200000000u

static bool counts(const struct bq_hello *hello, uint32_t k, uint32_t n_asked)
{
    return k < n_asked || (hello[k].is_guest && hello[k].presence < BQ_OUT);
}

/* Shares of crowded kitchens overlap, but a machine has
 * no more than it has. */
uint32_t bq_greeting_cores(const struct bq_hello *hello, uint32_t n_asked, uint32_t n)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!counts(hello, i, n_asked))
            continue;
        uint32_t of_machine = 0;
        bool is_first = true;
        for (uint32_t j = 0; j < n; j++) {
            bool is_same = counts(hello, j, n_asked) && strcmp(hello[i].host, hello[j].host) == 0;
            is_first &= !(is_same && j < i);
            of_machine += is_same ? hello[j].n_cores : 0;
        }
        if (is_first)
            total += of_machine < hello[i].n_machine ? of_machine : hello[i].n_machine;
    }
    return total;
}

bool bq_hello_any(const struct bq_hello *hello, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (hello[i].presence < BQ_PARTING)
            return true;
    }
    return false;
}

void bq_hello_seats(struct bq_hello *hello, uint32_t first, uint32_t n)
{
    for (uint32_t k = first; k < n; k++) {
        hello[k].presence = BQ_VACANT;
        hello[k].is_guest = true;
    }
}

int bq_hello_take(struct bq_hello *hello, uint32_t rank, const struct bq_message *m,
                  struct bq_error *err)
{
    struct bq_hello *h = &hello[rank - 1];
    if (m->n != BQ_WIRE_VERSION)
        return bq_fail(err, BQ_EXIT_FAILED,
                       "kitchen %u speaks another protocol: all ranks must run one build", rank);
    snprintf(h->host, sizeof h->host, "%.63s", m->text);
    h->n_cores = m->n_cores;
    h->n_machine = (uint32_t)m->count;
    h->pid = m->pid;
    h->silence = 0;
    h->presence = BQ_HERE;
    return 0;
}

void bq_hello_out(struct bq_hello *hello, uint32_t rank, const char *why)
{
    struct bq_hello *h = &hello[rank - 1];
    h->presence = BQ_OUT;
    snprintf(h->why, sizeof h->why, "%.190s", why);
}

void bq_hello_gone(struct bq_hello *hello, uint32_t rank, struct bq_transport *transport,
                   const char *why)
{
    struct bq_hello *h = &hello[rank - 1];
    h->presence = h->is_guest ? BQ_VACANT : BQ_GONE;
    snprintf(h->why, sizeof h->why, "%.190s", why);
    if (!h->is_guest)
        bq_transport_is_broken(transport);
    bq_transport_abandon(transport, rank, true);
}

static void send_to_all(struct bq_transport *transport, const struct bq_hello *hello,
                        const struct bq_message *message)
{
    unsigned char out[BQ_WIRE_FIXED];
    struct bq_writer w = bq_writer(out, sizeof out);
    bq_wire_put(&w, message);
    for (uint32_t rank = 1; rank < transport->n_ranks; rank++) {
        if (hello[rank - 1].presence < BQ_GONE)
            bq_transport_send_copy(transport, rank, out, (size_t)(w.at - out), NULL);
    }
}

/* -- the beginning ------------------------------------------------------------------------ */

/* A message before all are here. */
static int on_first(struct bq_transport *transport, uint32_t from, const void *bytes, size_t size,
                    struct bq_hello *hello, struct bq_error *err)
{
    struct bq_message m;
    if (bq_wire_get(bytes, size, &m) < 0)
        m = (struct bq_message){.kind = BQ_HELLO, .n = BQ_WIRE_VERSION + 1};
    hello[from - 1].silence = 0;
    if (m.kind == BQ_HELLO)
        return bq_hello_take(hello, from, &m, err);
    if (m.kind == BQ_LOST) {
        hello[from - 1].n_crashes++;
        fprintf(stderr, "banquet: kitchen %u lost its cooks and starts them again: %s\n", from,
                m.text);
    } else if (m.kind == BQ_REFUSED)
        bq_hello_out(hello, from, m.text);
    else if (m.kind == BQ_BYE)
        bq_hello_gone(hello, from, transport, "it left before the work began");
    return 0;
}

static uint32_t count(const struct bq_hello *hello, uint32_t n, enum bq_presence presence)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < n; i++)
        found += hello[i].presence == presence;
    return found;
}

/* Who is silent for too long. */
static void look_for_silent(struct bq_transport *transport, struct bq_hello *hello, uint64_t waited,
                            uint64_t silence_ns)
{
    for (uint32_t rank = 1; rank < transport->n_ranks; rank++) {
        struct bq_hello *h = &hello[rank - 1];
        h->silence += waited < PATIENCE_NS ? waited : PATIENCE_NS;
        if (h->presence == BQ_EXPECTED && h->silence > silence_ns)
            bq_hello_gone(hello, rank, transport, "nothing was heard of it");
    }
}

static void look_for_lost(struct bq_transport *transport, struct bq_hello *hello)
{
    uint32_t rank;
    while (bq_transport_lost(transport, &rank)) {
        if (rank > 0 && rank < transport->n_ranks && hello[rank - 1].presence < BQ_GONE)
            bq_hello_gone(hello, rank, transport, "its process ended");
    }
}

static int check_all(const struct bq_hello *hello, uint32_t n, struct bq_error *err)
{
    uint32_t n_gone = count(hello, n, BQ_GONE) + count(hello, n, BQ_OUT), k = 0;
    while (n_gone && hello[k].presence < BQ_OUT)
        k++;
    if (n_gone == n - count(hello, n, BQ_VACANT))
        return bq_fail(err, BQ_EXIT_FAILED, "kitchen %u cannot work: %s", k + 1, hello[k].why);
    for (; n_gone && k < n; k++) {
        if (hello[k].presence == BQ_OUT || hello[k].presence == BQ_GONE)
            fprintf(stderr, "banquet: kitchen %u cannot work: %s; the others go on\n", k + 1,
                    hello[k].why);
    }
    return 0;
}

int bq_greet(struct bq_transport *transport, struct bq_hello *hello,
             const struct bq_greeting *greeting, struct bq_error *err)
{
    uint32_t n = transport->n_ranks - 1;
    send_to_all(transport, hello,
                &(struct bq_message){
                    .kind = BQ_START, .n = greeting->isolates, .time = greeting->silence_ns});
    while (count(hello, n, BQ_EXPECTED) > 0) {
        uint32_t from;
        void *bytes;
        size_t size;
        if (*greeting->stop)
            return bq_fail(err, BQ_EXIT_STOPPED, "stopped before the work began");
        int got = bq_transport_receive(transport, &from, &bytes, &size, err);
        if (got < 0)
            return -1;
        if (got == 0) {
            uint64_t now = bq_now();
            look_for_lost(transport, hello);
            bq_transport_wait(transport, PATIENCE_NS, -1);
            look_for_silent(transport, hello, bq_now() - now, greeting->silence_ns);
            continue;
        }
        int rc = from > 0 && from <= n ? on_first(transport, from, bytes, size, hello, err) : 0;
        bq_transport_done_with(transport);
        if (rc < 0)
            return -1;
    }
    return check_all(hello, n, err);
}

/* -- the end ------------------------------------------------------------------------------ */

void bq_bye(struct bq_transport *transport, struct bq_hello *hello, uint64_t silence_ns,
            int exit_code)
{
    uint32_t n = transport->n_ranks - 1, late;
    bool is_elsewhere;
    while (
        bq_transport_joined(transport, &late, &is_elsewhere)) /* just to be told that it is over */
        hello[late - 1].presence = BQ_EXPECTED;
    send_to_all(transport, hello,
                &(struct bq_message){
                    .kind = BQ_BYE, .n = (uint32_t)exit_code, .count = transport->is_broken});
    for (uint32_t i = 0; i < n; i++) {
        hello[i].silence = 0;
        if (hello[i].presence < BQ_GONE)
            hello[i].presence = BQ_EXPECTED; /* its BYE */
    }
    while (count(hello, n, BQ_EXPECTED) > 0) {
        uint32_t from;
        void *bytes;
        size_t size;
        struct bq_message m;
        look_for_lost(transport, hello);
        int got = bq_transport_receive(transport, &from, &bytes, &size, NULL);
        if (got < 0 || bq_transport_progress(transport, NULL) < 0)
            return;
        if (got == 0) {
            uint64_t now = bq_now();
            bq_transport_wait(transport, PATIENCE_NS, -1);
            look_for_silent(transport, hello, bq_now() - now, silence_ns);
            continue;
        }
        if (from > 0 && from <= n) {
            hello[from - 1].silence = 0;
            if (bq_wire_get(bytes, size, &m) == 0 && m.kind == BQ_BYE)
                hello[from - 1].presence = BQ_LEFT;
        }
        bq_transport_done_with(transport);
    }
}
