/* Combining per-chunk results in a tree that is fixed by the chunk ids.
 *
 *     level 2        0-3                  A node (level, first) covers the 2^level chunks from
 *     level 1     0-1   2-3   4-5         first on; its value is always left combined with right,
 *     level 0     0  1  2  3  4  5        whoever computed them and in whatever order they came.
 *
 * So sums of floating-point numbers have the same bits at any number of kitchens. A range of chunks
 * travels as the few largest nodes that tile it. At the end the tiles of [0, n) are folded from the
 * right. The same object serves in a kitchen (merge before sending) and in the coordinator.
 */
#ifndef BQ_CORE_REDUCTION_H
#define BQ_CORE_REDUCTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bq_node {
    uint64_t first;
    unsigned level; /* 0 .. 62; first is a multiple of 2^level */
};

static inline uint64_t bq_node_size(struct bq_node node)
{
    return UINT64_C(1) << node.level;
}

/* The largest node that starts at `first` and ends at or before `end`. first < end. */
struct bq_node bq_node_largest(uint64_t first, uint64_t end);

/* Whether two nodes have the same parent, left one first. */
bool bq_node_are_siblings(struct bq_node left, struct bq_node right);

/* How two results become one: into := into followed by next. */
struct bq_combine {
    size_t size; /* bytes of a result; 0 works: then only the ranges are merged */
    void (*run)(const void *context, void *into, const void *next);
    const void *context;
};

struct bq_reduction;

struct bq_reduction *bq_reduction_create(const struct bq_combine *combine);
void bq_reduction_destroy(struct bq_reduction *reduction);

/* Adds a node's result. may_overlap: some of its chunks may be here already, in smaller nodes
 * (they are replaced: same bits) or in a larger one (then it is dropped). -1: no memory. */
int bq_reduction_add(struct bq_reduction *reduction, struct bq_node node, const void *result,
                     bool may_overlap);

/* Takes any one node out; false when there is none. */
bool bq_reduction_take(struct bq_reduction *reduction, struct bq_node *node, void *result);
size_t bq_reduction_n_nodes(const struct bq_reduction *reduction);

/* The result of all of [0, n_chunks); false when chunks are missing or n_chunks is 0. */
bool bq_reduction_finish(struct bq_reduction *reduction, uint64_t n_chunks, void *result);

#endif
