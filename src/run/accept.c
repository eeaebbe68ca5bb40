#include "run/coordinator_internal.h"

#include <stdio.h>

#include "adapters/clock.h"
#include "base/heap.h"

/* Writes the output bytes of a chunk that has just been accepted. */
static int write_chunk(struct coordinator *c, uint64_t chunk, struct bq_message *m)
{
    uint64_t offset[BQ_MAX_RANK], extent[BQ_MAX_RANK];
    uint64_t n = bq_plan_chunk(&c->recipe->plan, chunk, offset, extent);
    size_t size = (size_t)n * bq_type_size(c->recipe->out_type);
    const void *data = m->data_size == size ? bq_get_bytes(&m->rest, size) : NULL;
    if (!data)
        return bq_fail(c->err, BQ_EXIT_FAILED, "the result of chunk %llu has the wrong size",
                       (unsigned long long)chunk);
    return bq_output_write(c->output, offset, extent, data, c->err);
}

int bq_accept(struct coordinator *c, uint32_t kitchen, struct bq_message *m)
{
    size_t size = bq_recipe_result_size(c->recipe);
    struct bq_node node;
    const void *result;
    while (bq_wire_get_node(m, size, c->recipe->plan.n_chunks, &node, &result)) {
        if (c->output && node.level > 0)
            return bq_fail(c->err, BQ_EXIT_FAILED, "kitchen %u sent a result without its output",
                           kitchen + 1);
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
        if (bq_reduction_add(c->reduction, node, result, action.count < n) < 0)
            return bq_fail(c->err, BQ_EXIT_FAILED, "out of memory for results");
        if (c->output && write_chunk(c, node.first, m) < 0)
            return -1;
    }
    return m->rest.is_bad ? bq_fail(c->err, BQ_EXIT_FAILED, "a result of kitchen %u cannot be read",
                                    kitchen + 1)
                          : 0;
}

int bq_accept_nothing(struct coordinator *c, uint64_t chunk)
{
    struct bq_report *r = c->report;
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
