#include "run/greeting.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/wire.h"

#define PATIENCE_NS 200000000u

/* Shares of crowded kitchens overlap, but a machine has
 * no more than it has. */
uint32_t bq_greeting_cores(const struct bq_hello *hello, uint32_t n)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t of_machine = 0;
        bool is_first = true;
        for (uint32_t j = 0; j < n; j++) {
            bool is_same = strcmp(hello[i].host, hello[j].host) == 0;
            is_first &= !(is_same && j < i);
            of_machine += is_same ? hello[j].n_cores : 0;
        }
        if (is_first)
            total += of_machine < hello[i].n_machine ? of_machine : hello[i].n_machine;
    }
    return total;
}

/* A kitchen's first message. 1: it is here; 0: go on; -1: it cannot take part. */
static int on_first(uint32_t from, const void *bytes, size_t size, struct bq_hello *hello,
                    struct bq_error *err)
{
    struct bq_message m;
    int rc = bq_wire_get(bytes, size, &m);
    if (rc == 0 && m.kind == BQ_HELLO && m.n == BQ_WIRE_VERSION) {
        snprintf(hello[from - 1].host, sizeof hello[from - 1].host, "%.63s", m.text);
        hello[from - 1].n_cores = m.n_cores;
        hello[from - 1].n_machine = (uint32_t)m.count;
        return 1;
    }
    if (rc == 0 && m.kind == BQ_REFUSED)
        return bq_fail(err, BQ_EXIT_FAILED, "kitchen %u cannot work: %s", from, m.text);
    if (rc == 0 && m.kind == BQ_BYE)
        return bq_fail(err, BQ_EXIT_FAILED, "kitchen %u left before the work began", from);
    return bq_fail(err, BQ_EXIT_FAILED,
                   "kitchen %u speaks another protocol: all ranks must run one build", from);
}

int bq_greet(struct bq_transport *transport, struct bq_hello *hello, atomic_int *stop,
             struct bq_error *err)
{
    uint32_t n = 0;
    while (n + 1 < transport->n_ranks) {
        uint32_t from;
        void *bytes;
        size_t size;
        if (*stop)
            return bq_fail(err, BQ_EXIT_STOPPED, "stopped before the work began");
        int got = bq_transport_receive(transport, &from, &bytes, &size, err);
        if (got == 0) {
            bq_transport_wait(transport, PATIENCE_NS, -1);
            continue;
        }
        int is_here = got < 0 ? -1 : on_first(from, bytes, size, hello, err);
        bq_transport_done_with(transport);
        if (is_here < 0)
            return -1;
        n += (uint32_t)is_here;
    }
    return 0;
}

void bq_bye(struct bq_transport *transport, int exit_code)
{
    unsigned char out[BQ_WIRE_FIXED];
    struct bq_writer w = bq_writer(out, sizeof out);
    bq_wire_put(&w, &(struct bq_message){.kind = BQ_BYE, .n = (uint32_t)exit_code});
    for (uint32_t rank = 1; rank < transport->n_ranks; rank++)
        bq_transport_send_copy(transport, rank, out, (size_t)(w.at - out), NULL);
    uint32_t n = 0;
    while (n + 1 < transport->n_ranks) {
        uint32_t from;
        void *bytes;
        size_t size;
        struct bq_message m;
        int got = bq_transport_receive(transport, &from, &bytes, &size, NULL);
        if (got < 0 || bq_transport_progress(transport, NULL) < 0)
            return;
        if (got == 0) {
            bq_transport_wait(transport, PATIENCE_NS, -1);
            continue;
        }
        n += bq_wire_get(bytes, size, &m) == 0 && m.kind == BQ_BYE;
        bq_transport_done_with(transport);
    }
}
