#include "run/sender.h"

#include <stdio.h>

#include "adapters/clock.h"
#include "base/heap.h"
#include "run/execute.h"

#define FLUSH_NS 100000000u /* a result waits at most this long for company */
#define RESULT_BYTES 32768u /* a message of results is about this long at most */

int bq_sender_open(struct bq_sender *s, uint32_t step, const struct bq_merge *merge,
                   struct bq_error *why)
{
    s->step = step;
    s->result_size = bq_recipe_result_size(merge->recipe);
    s->pending_since = 0;
    struct bq_combine combine = {.size = s->result_size, .run = bq_merge_run, .context = merge};
    s->pending = bq_reduction_create(&combine);
    s->result = bq_alloc(1, s->result_size);
    s->out_size = BQ_WIRE_FIXED + bq_wire_node_size(s->result_size) + RESULT_BYTES;
    s->out = bq_alloc(1, s->out_size);
    return s->pending && s->result && s->out ? 0 : bq_fail(why, BQ_EXIT_FAILED, "out of memory");
}

void bq_sender_again(struct bq_sender *s, uint32_t step)
{
    struct bq_node node;
    while (bq_reduction_take(s->pending, &node, s->result))
        ;
    s->step = step;
    s->pending_since = 0;
}

void bq_sender_close(struct bq_sender *s)
{
    bq_reduction_destroy(s->pending);
    bq_free(s->result);
    bq_free(s->out);
    s->pending = NULL;
    s->result = s->out = NULL;
}

int bq_sender_message(struct bq_sender *s, struct bq_message *message)
{
    unsigned char bytes[BQ_WIRE_FIXED];
    struct bq_writer w = bq_writer(bytes, sizeof bytes);
    message->step = s->step;
    bq_wire_put(&w, message);
    return bq_transport_send_copy(s->transport, 0, bytes, (size_t)(w.at - bytes), s->err);
}

void bq_sender_take(void *sender, const struct bq_finished *finished)
{
    struct bq_sender *s = sender;
    int rc = 0;
    if (finished->is_failed) {
        struct bq_refusal *refusal = finished->payload;
        struct bq_message message = {.kind = BQ_FAILED,
                                     .first = finished->node.first,
                                     .n = refusal ? refusal->by : BQ_BY_KERNEL};
        snprintf(message.text, sizeof message.text, "%s", refusal ? refusal->why : "out of memory");
        bq_free(refusal);
        rc = bq_sender_message(s, &message);
    } else if (finished->payload) {
        rc = bq_transport_send(s->transport, 0, finished->payload, s->err);
    } else {
        if (bq_reduction_add(s->pending, finished->node, finished->result, false) < 0)
            rc = bq_fail(s->err, BQ_EXIT_FAILED, "out of memory for results");
        if (!s->pending_since)
            s->pending_since = bq_now();
    }
    s->has_failed |= rc < 0;
}

uint64_t bq_sender_due(const struct bq_sender *s)
{
    return s->pending_since ? s->pending_since + FLUSH_NS : UINT64_MAX;
}

/* As many pending nodes as fit into one message. */
static int send_some(struct bq_sender *s)
{
    size_t most = RESULT_BYTES / bq_wire_node_size(s->result_size);
    unsigned char *nodes = s->out + BQ_WIRE_FIXED;
    struct bq_writer w = bq_writer(nodes, s->out_size - BQ_WIRE_FIXED);
    struct bq_message message = {.kind = BQ_RESULT, .step = s->step};
    struct bq_node node;
    while ((message.n == 0 || message.n < most) &&
           bq_reduction_take(s->pending, &node, s->result)) {
        bq_wire_put_node(&w, node, s->result, s->result_size);
        message.n++;
    }
    /* The head goes right in front of the nodes. */
    unsigned char head[BQ_WIRE_FIXED];
    struct bq_writer h = bq_writer(head, sizeof head);
    bq_wire_put(&h, &message);
    size_t head_size = (size_t)(h.at - head);
    unsigned char *begin = nodes - head_size;
    h = bq_writer(begin, head_size);
    bq_wire_put(&h, &message);
    return bq_transport_send_copy(s->transport, 0, begin, (size_t)(w.at - begin), s->err);
}

int bq_sender_flush(struct bq_sender *s)
{
    while (bq_reduction_n_nodes(s->pending)) {
        if (send_some(s) < 0)
            return -1;
    }
    s->pending_since = 0;
    return 0;
}
