#include "run/coordinator_internal.h"

#include <stdio.h>

#include "adapters/clock.h"
#include "base/heap.h"

int bq_accept(struct course *c, uint32_t kitchen, struct bq_message *m)
{
    size_t size = bq_recipe_result_size(c->recipe);
    struct bq_node node;
    const void *result;
    while (bq_wire_get_node(m, size, c->recipe->plan.n_chunks, &node, &result)) {
        uint64_t now = bq_now(), n = bq_node_size(node);
        struct bq_action action;
        bq_scheduler_tell(
            c->scheduler, now,
            &(struct bq_event){
                .kind = BQ_EVENT_DONE, .kitchen = kitchen, .first = node.first, .count = n});
        if (!bq_scheduler_ask(c->scheduler, now, &action))
            continue;
        if (action.kind == BQ_ACTION_DISCARD) {
            c->report->n_discarded += n;
            continue;
        }
        c->last_accept = now;
        c->report->n_discarded += n - action.count;
        if (bq_reduction_add(c->reduction, node, result, c->has_undone || action.count < n) < 0)
            return bq_fail(c->err, BQ_EXIT_FAILED, "out of memory for results");
        if (c->gather && bq_gather_take(c->gather, kitchen, c->shard[kitchen], node, &m->rest,
                                        m->data_size, c->err) < 0)
            return -1;
        course_note(c, node, result);
        if (c->recipe->output.is_scratch)
            coordinator_feed(c->coordinator, c->options->number, node.first, n);
    }
    return m->rest.is_bad ? bq_fail(c->err, BQ_EXIT_FAILED, "a result of kitchen %u cannot be read",
                                    kitchen + 1)
                          : 0;
}

int bq_accept_nothing(struct course *c, uint64_t chunk)
{
    struct bq_report *r = c->report;
    if (c->by == BQ_BY_OUTPUT)
        return bq_fail(c->err, BQ_EXIT_FAILED, "chunk %llu: %s", (unsigned long long)chunk, c->why);
    if (c->by == BQ_BY_INPUT && c->recipe->on_error == BQ_ON_ERROR_STOP)
        return bq_fail(c->err, BQ_EXIT_FAILED,
                       "chunk %llu: %s (`on_error: skip` goes on without such chunks)",
                       (unsigned long long)chunk, c->why);
    if (c->gather && bq_gather_nothing(c->gather, chunk, c->err) < 0)
        return -1;
    if (r->n_given_up < BQ_MAX_NAMED) {
        struct bq_given_up *g = &r->given_up[r->n_given_up++];
        g->chunk = chunk;
        snprintf(g->why, sizeof g->why, "%.150s", c->why);
    }
    r->n_given_up_total++;
    /* Nothing takes its place in the reduction, so that the others still find their siblings. */
    size_t size = bq_recipe_result_size(c->recipe);
    unsigned char *nothing = bq_alloc(1, size);
    if (!nothing)
        return bq_fail(c->err, BQ_EXIT_FAILED, "out of memory");
    bq_merge_nothing(&c->merge, nothing);
    int rc = bq_reduction_add(c->reduction, (struct bq_node){.first = chunk, .level = 0}, nothing,
                              false);
    bq_free(nothing);
    return rc < 0 ? bq_fail(c->err, BQ_EXIT_FAILED, "out of memory for results") : 0;
}
