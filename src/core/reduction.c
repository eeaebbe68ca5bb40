/* Nodes live in a hash table with open addressing, results in the slot of the same number. */
#include "core/reduction.h"

#include <string.h>

#include "base/heap.h"

enum { EMPTY, USED, GONE };

struct slot {
    uint64_t first;
    uint8_t level, use;
};

struct bq_reduction {
    struct bq_combine combine;
    size_t stride;  /* bytes between results: 16-byte aligned */
    size_t n_slots; /* a power of two */
    size_t n_used, n_gone;
    size_t n_at[64]; /* nodes at each level, to skip levels that have none */
    struct slot *slots;
    unsigned char *results;
};

struct bq_node bq_node_largest(uint64_t first, uint64_t end)
{
    unsigned level = first ? (unsigned)__builtin_ctzll(first) : 62;
    unsigned fits = 63 - (unsigned)__builtin_clzll(end - first);
    return (struct bq_node){.first = first, .level = level < fits ? level : fits};
}

bool bq_node_are_siblings(struct bq_node left, struct bq_node right)
{
    return left.level == right.level && right.first == (left.first | bq_node_size(left)) &&
           left.first != right.first;
}

static int table_create(struct bq_reduction *r, size_t n_slots)
{
    r->slots = bq_alloc(n_slots, sizeof *r->slots);
    r->results = bq_alloc(n_slots, r->stride ? r->stride : 1);
    r->n_slots = n_slots;
    r->n_used = r->n_gone = 0;
    return r->slots && r->results ? 0 : -1;
}

struct bq_reduction *bq_reduction_create(const struct bq_combine *combine)
{
    struct bq_reduction *r = bq_alloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->combine = *combine;
    r->stride = (combine->size + 15) / 16 * 16;
    if (table_create(r, 16) < 0) {
        bq_reduction_destroy(r);
        return NULL;
    }
    return r;
}

void bq_reduction_destroy(struct bq_reduction *r)
{
    if (!r)
        return;
    bq_free(r->slots);
    bq_free(r->results);
    bq_free(r);
}

static size_t hash(struct bq_node node)
{
    uint64_t x = (node.first ^ (uint64_t)node.level << 58) * UINT64_C(0x9E3779B97F4A7C15);
    x ^= x >> 32;
    return (size_t)(x * UINT64_C(0xD6E8FEB86659FD93) >> 20);
}

/* The slot of the node, or SIZE_MAX. */
static size_t find(const struct bq_reduction *r, struct bq_node node)
{
    if (r->n_at[node.level] == 0)
        return SIZE_MAX;
    for (size_t i = hash(node) & (r->n_slots - 1);; i = (i + 1) & (r->n_slots - 1)) {
        const struct slot *s = &r->slots[i];
        if (s->use == EMPTY)
            return SIZE_MAX;
        if (s->use == USED && s->first == node.first && s->level == node.level)
            return i;
    }
}

static void *result_at(const struct bq_reduction *r, size_t slot)
{
    return r->results + slot * r->stride;
}

/* memmove: the two may be the same place. */
static void copy(const struct bq_reduction *r, void *to, const void *from)
{
    if (r->combine.size)
        memmove(to, from, r->combine.size);
}

/* There is room: see reserve. */
static void insert(struct bq_reduction *r, struct bq_node node, const void *result)
{
    size_t i = hash(node) & (r->n_slots - 1);
    while (r->slots[i].use == USED)
        i = (i + 1) & (r->n_slots - 1);
    r->n_gone -= r->slots[i].use == GONE;
    r->slots[i] = (struct slot){.first = node.first, .level = (uint8_t)node.level, .use = USED};
    copy(r, result_at(r, i), result);
    r->n_used++;
    r->n_at[node.level]++;
}

static void erase(struct bq_reduction *r, size_t slot)
{
    r->slots[slot].use = GONE;
    r->n_used--;
    r->n_gone++;
    r->n_at[r->slots[slot].level]--;
}

/* Makes room for one more, keeping the table at most half full; clears out erased slots. */
static int reserve(struct bq_reduction *r)
{
    if (2 * (r->n_used + r->n_gone + 1) <= r->n_slots)
        return 0;
    struct bq_reduction old = *r;
    size_t want = 4 * (r->n_used + 1);
    size_t n_slots = 16;
    while (n_slots < want)
        n_slots *= 2;
    if (table_create(r, n_slots) < 0) {
        bq_free(r->slots);
        bq_free(r->results);
        *r = old;
        return -1;
    }
    memset(r->n_at, 0, sizeof r->n_at);
    for (size_t i = 0; i < old.n_slots; i++) {
        if (old.slots[i].use == USED)
            insert(r, (struct bq_node){old.slots[i].first, old.slots[i].level}, result_at(&old, i));
    }
    bq_free(old.slots);
    bq_free(old.results);
    return 0;
}

static bool has_ancestor(const struct bq_reduction *r, struct bq_node node)
{
    for (unsigned level = node.level; level < 63; level++) {
        struct bq_node up = {.first = node.first & ~((UINT64_C(1) << level) - 1), .level = level};
        if (find(r, up) != SIZE_MAX)
            return true;
    }
    return false;
}

/* Rare: only where two kitchens worked on the same chunks. Goes down the tree or through the table,
 * whichever is shorter: a node may stand for billions of chunks. */
static void erase_below(struct bq_reduction *r, struct bq_node node)
{
    uint64_t size = bq_node_size(node);
    if (size > r->n_slots) {
        for (size_t i = 0; i < r->n_slots; i++) {
            if (r->slots[i].use == USED && r->slots[i].first - node.first < size &&
                r->slots[i].level <= node.level)
                erase(r, i);
        }
        return;
    }
    size_t slot = find(r, node);
    if (slot != SIZE_MAX) {
        erase(r, slot);
    } else if (node.level > 0) {
        erase_below(r, (struct bq_node){node.first, node.level - 1});
        erase_below(r, (struct bq_node){node.first + size / 2, node.level - 1});
    }
}

int bq_reduction_add(struct bq_reduction *r, struct bq_node node, const void *result,
                     bool may_overlap)
{
    if (may_overlap && has_ancestor(r, node))
        return 0;
    if (reserve(r) < 0)
        return -1;
    if (may_overlap)
        erase_below(r, node);
    insert(r, node, result);
    size_t at = find(r, node);
    for (;;) {
        struct bq_node sibling = {.first = node.first ^ bq_node_size(node), .level = node.level};
        size_t other = find(r, sibling);
        if (other == SIZE_MAX || node.level >= 62)
            return 0;
        size_t left = sibling.first < node.first ? other : at;
        size_t right = sibling.first < node.first ? at : other;
        if (r->combine.size)
            r->combine.run(r->combine.context, result_at(r, left), result_at(r, right));
        erase(r, right);
        erase(r, left);
        node = (struct bq_node){.first = node.first & ~bq_node_size(node), .level = node.level + 1};
        insert(r, node, result_at(r, left));
        at = find(r, node);
    }
}

size_t bq_reduction_n_nodes(const struct bq_reduction *r)
{
    return r->n_used;
}

bool bq_reduction_take(struct bq_reduction *r, struct bq_node *node, void *result)
{
    for (size_t i = 0; r->n_used && i < r->n_slots; i++) {
        if (r->slots[i].use != USED)
            continue;
        *node = (struct bq_node){.first = r->slots[i].first, .level = r->slots[i].level};
        copy(r, result, result_at(r, i));
        erase(r, i);
        if (r->n_used == 0) { /* forget the erased ones while it costs little */
            memset(r->slots, 0, r->n_slots * sizeof *r->slots);
            r->n_gone = 0;
        }
        return true;
    }
    return false;
}

bool bq_reduction_finish(struct bq_reduction *r, uint64_t n_chunks, void *result)
{
    struct bq_node tile[64];
    size_t slot[64], n = 0;
    for (uint64_t first = 0; first < n_chunks; first += bq_node_size(tile[n++])) {
        tile[n] = bq_node_largest(first, n_chunks);
        slot[n] = find(r, tile[n]);
        if (slot[n] == SIZE_MAX)
            return false;
    }
    if (n == 0)
        return false;
    for (size_t i = n - 1; i-- > 0;) {
        if (r->combine.size)
            r->combine.run(r->combine.context, result_at(r, slot[i]), result_at(r, slot[i + 1]));
    }
    copy(r, result, result_at(r, slot[0]));
    return true;
}
