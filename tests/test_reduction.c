/* Reductions: the same bits for any order of arrival, any tiling into nodes, any number of
 * kitchens. The combine here is neither associative nor commutative, so another tree would show. */
#include "core/reduction.h"

#include "cunit.h"
#include "random.h"

#define MOST 300

struct value {
    uint64_t hash;
    double sum;
};

static void combine(const void *context, void *into, const void *next)
{
    struct value *a = into;
    const struct value *b = next;
    (void)context;
    a->hash = (a->hash ^ (b->hash << 7 | b->hash >> 57)) * UINT64_C(0x9E3779B97F4A7C15) + 1;
    a->sum += b->sum;
}

static const struct bq_combine combining = {.size = sizeof(struct value), .run = combine};

static struct value value_of(uint64_t chunk)
{
    return (struct value){.hash = chunk * UINT64_C(0xD1342543DE82EF95) + 12345,
                          .sum = 1.0 / (double)(chunk + 3)};
}

/* The tree as the header defines it, by recursion. */
static struct value value_of_node(struct bq_node node)
{
    if (node.level == 0)
        return value_of(node.first);
    uint64_t half = bq_node_size(node) / 2;
    struct value left = value_of_node((struct bq_node){node.first, node.level - 1});
    struct value right = value_of_node((struct bq_node){node.first + half, node.level - 1});
    combine(NULL, &left, &right);
    return left;
}

static struct value value_of_rest(uint64_t first, uint64_t n)
{
    struct bq_node node = bq_node_largest(first, n);
    struct value left = value_of_node(node);
    if (first + bq_node_size(node) < n) {
        struct value right = value_of_rest(first + bq_node_size(node), n);
        combine(NULL, &left, &right);
    }
    return left;
}

static bool has_result(struct bq_reduction *r, uint64_t n)
{
    struct value got, want = value_of_rest(0, n);
    return bq_reduction_finish(r, n, &got) && memcmp(&got, &want, sizeof got) == 0;
}

/* Cuts [0, n) at random and each piece into nodes, no larger than 2^most. Returns how many. */
static size_t random_tiling(uint64_t n, unsigned most, struct bq_node *nodes)
{
    size_t count = 0;
    for (uint64_t at = 0; at < n;) {
        uint64_t end = at + 1 + random_below(n - at < 40 ? n - at : 40);
        while (at < end) {
            struct bq_node node = bq_node_largest(at, end);
            node.level = node.level < most ? node.level : most;
            nodes[count++] = node;
            at += bq_node_size(node);
        }
    }
    return count;
}

static void shuffle(struct bq_node *nodes, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = random_below(i);
        struct bq_node swap = nodes[i - 1];
        nodes[i - 1] = nodes[j];
        nodes[j] = swap;
    }
}

static void add(struct bq_reduction *r, struct bq_node node, bool may_overlap)
{
    struct value v = value_of_node(node);
    CU_ASSERT_EQUAL(bq_reduction_add(r, node, &v, may_overlap), 0);
}

static void any_order_and_any_tiling_give_the_same_bits(void)
{
    random_start(41);
    for (int round = 0; round < 1500; round++) {
        struct bq_node nodes[MOST];
        uint64_t n = 1 + random_below(round % 5 ? 40 : MOST);
        size_t count = random_tiling(n, (unsigned)random_below(6), nodes);
        bool may_overlap = random_below(2); /* never wrong, only slower */
        struct bq_reduction *r = bq_reduction_create(&combining);
        shuffle(nodes, count);
        for (size_t i = 0; i < count; i++)
            add(r, nodes[i], may_overlap);
        CU_ASSERT_EQUAL(bq_reduction_n_nodes(r), (size_t)__builtin_popcountll(n));
        CU_ASSERT_FATAL(has_result(r, n));
        bq_reduction_destroy(r);
    }
}

/* Moves everything from a kitchen to the coordinator, as messages do. */
static void send_all(struct bq_reduction *from, struct bq_reduction *to)
{
    struct bq_node node;
    struct value v;
    while (bq_reduction_take(from, &node, &v))
        CU_ASSERT_EQUAL(bq_reduction_add(to, node, &v, false), 0);
    CU_ASSERT_EQUAL(bq_reduction_n_nodes(from), 0);
}

static void merging_in_kitchens_before_sending_gives_the_same_bits(void)
{
    random_start(42);
    for (int round = 0; round < 700; round++) {
        struct bq_node nodes[MOST];
        uint64_t n = 1 + random_below(MOST);
        size_t count = random_tiling(n, (unsigned)random_below(5), nodes);
        struct bq_reduction *kitchen[4], *r = bq_reduction_create(&combining);
        for (int k = 0; k < 4; k++)
            kitchen[k] = bq_reduction_create(&combining);
        if (random_below(2))
            shuffle(nodes, count);
        for (size_t i = 0; i < count; i++) {
            size_t k = random_below(4);
            add(kitchen[k], nodes[i], false);
            if (random_below(10) == 0)
                send_all(kitchen[k], r);
        }
        for (int k = 0; k < 4; k++) {
            send_all(kitchen[k], r);
            bq_reduction_destroy(kitchen[k]);
        }
        CU_ASSERT_FATAL(has_result(r, n));
        bq_reduction_destroy(r);
    }
}

/* As the coordinator does it: a node of which everything is known is discarded, one of which a part
 * is known may overlap. */
static void overlapping_and_double_results_give_the_same_bits(void)
{
    random_start(43);
    for (int round = 0; round < 700; round++) {
        struct bq_node nodes[4 * MOST];
        bool is_known[MOST] = {false};
        uint64_t n = 1 + random_below(round % 2 ? 70 : MOST);
        size_t count = 0;
        for (int tiling = 0; tiling < 4; tiling++)
            count += random_tiling(n, (unsigned)random_below(8), nodes + count);
        shuffle(nodes, count);
        struct bq_reduction *r = bq_reduction_create(&combining);
        for (size_t i = 0; i < count; i++) {
            uint64_t size = bq_node_size(nodes[i]), known = 0;
            for (uint64_t c = nodes[i].first; c < nodes[i].first + size; c++) {
                known += is_known[c];
                is_known[c] = true;
            }
            if (known < size)
                add(r, nodes[i], known > 0);
            else if (random_below(4) == 0)
                add(r, nodes[i], true); /* dropped by itself too */
        }
        CU_ASSERT_EQUAL(bq_reduction_n_nodes(r), (size_t)__builtin_popcountll(n));
        CU_ASSERT_FATAL(has_result(r, n));
        bq_reduction_destroy(r);
    }
}

static void every_number_of_chunks_folds_as_defined(void)
{
    for (uint64_t n = 1; n <= 130; n++) {
        struct bq_reduction *r = bq_reduction_create(&combining);
        for (uint64_t c = n; c-- > 0;)
            add(r, (struct bq_node){.first = c}, false);
        CU_ASSERT(has_result(r, n));
        bq_reduction_destroy(r);
    }
}

static void a_missing_chunk_leaves_it_unfinished(void)
{
    for (uint64_t n = 1; n <= 40; n++) {
        for (uint64_t missing = 0; missing < n; missing++) {
            struct bq_reduction *r = bq_reduction_create(&combining);
            struct value v, before = {77, 77};
            v = before;
            for (uint64_t c = 0; c < n; c++) {
                if (c != missing)
                    add(r, (struct bq_node){.first = c}, false);
            }
            CU_ASSERT_FALSE(bq_reduction_finish(r, n, &v));
            CU_ASSERT(memcmp(&v, &before, sizeof v) == 0);
            add(r, (struct bq_node){.first = missing}, false);
            CU_ASSERT(has_result(r, n));
            bq_reduction_destroy(r);
        }
    }
}

static void nothing_has_no_result(void)
{
    struct value v;
    struct bq_node node;
    struct bq_reduction *r = bq_reduction_create(&combining);
    CU_ASSERT_FALSE(bq_reduction_finish(r, 0, &v));
    CU_ASSERT_FALSE(bq_reduction_finish(r, 1, &v));
    CU_ASSERT_FALSE(bq_reduction_take(r, &node, &v));
    bq_reduction_destroy(r);
    bq_reduction_destroy(NULL);
}

static void results_of_no_bytes_are_merged_as_ranges(void)
{
    struct bq_combine empty = {.size = 0};
    struct bq_reduction *r = bq_reduction_create(&empty);
    for (uint64_t c = 0; c < 1000; c++)
        CU_ASSERT_EQUAL(bq_reduction_add(r, (struct bq_node){.first = c * 7 % 1000}, NULL, false),
                        0);
    CU_ASSERT_EQUAL(bq_reduction_n_nodes(r), (size_t)__builtin_popcountll(1000));
    CU_ASSERT(bq_reduction_finish(r, 1000, NULL));
    struct bq_node node;
    CU_ASSERT(bq_reduction_take(r, &node, NULL));
    bq_reduction_destroy(r);
}

static void an_odd_size_keeps_its_neighbours_untouched(void)
{
    struct bq_combine odd = {.size = 1, .run = NULL};
    struct bq_reduction *r = bq_reduction_create(&odd);
    for (uint64_t c = 0; c < 200; c += 2) { /* no two are siblings */
        unsigned char byte = (unsigned char)c;
        CU_ASSERT_EQUAL(bq_reduction_add(r, (struct bq_node){.first = c}, &byte, false), 0);
    }
    struct bq_node node;
    unsigned char byte[2] = {0, 99};
    while (bq_reduction_take(r, &node, byte))
        CU_ASSERT(byte[0] == (unsigned char)node.first && byte[1] == 99);
    bq_reduction_destroy(r);
}

/* A table that is filled and emptied again and again must neither grow nor lose its way. */
static void filling_and_emptying_goes_on_for_ever(void)
{
    random_start(44);
    struct bq_reduction *r = bq_reduction_create(&combining);
    bool is_in[64] = {false};
    for (int step = 0; step < 20000; step++) {
        uint64_t c = random_below(64) * 2;
        struct bq_node node = {.first = c};
        struct value v = value_of(c);
        if (!is_in[c / 2]) {
            CU_ASSERT_EQUAL(bq_reduction_add(r, node, &v, false), 0);
            is_in[c / 2] = true;
        } else if (bq_reduction_take(r, &node, &v)) {
            CU_ASSERT(is_in[node.first / 2] && v.hash == value_of(node.first).hash);
            is_in[node.first / 2] = false;
        }
    }
    size_t n = 0;
    for (int i = 0; i < 64; i++)
        n += is_in[i];
    CU_ASSERT_EQUAL(bq_reduction_n_nodes(r), n);
    bq_reduction_destroy(r);
}

/* A kitchen that did 2^40 tiny chunks, of which another had done three: no walk over 2^40 nodes. */
static void a_huge_node_replaces_the_few_below_it_at_once(void)
{
    struct bq_combine empty = {.size = 0};
    struct bq_reduction *r = bq_reduction_create(&empty);
    uint64_t half = UINT64_C(1) << 40;
    CU_ASSERT_EQUAL(bq_reduction_add(r, (struct bq_node){.first = 5}, NULL, false), 0);
    CU_ASSERT_EQUAL(
        bq_reduction_add(r, (struct bq_node){.first = half - 2, .level = 1}, NULL, false), 0);
    CU_ASSERT_EQUAL(bq_reduction_add(r, (struct bq_node){.first = half + 1}, NULL, false), 0);
    CU_ASSERT_EQUAL(bq_reduction_add(r, (struct bq_node){.first = 0, .level = 40}, NULL, true), 0);
    CU_ASSERT_EQUAL(bq_reduction_n_nodes(r), 2);
    CU_ASSERT(bq_reduction_finish(r, half, NULL));
    CU_ASSERT_EQUAL(bq_reduction_add(r, (struct bq_node){.first = 8, .level = 3}, NULL, true), 0);
    CU_ASSERT_EQUAL(bq_reduction_n_nodes(r), 2);
    bq_reduction_destroy(r);
}

static void nodes_know_their_siblings_and_their_size(void)
{
    CU_ASSERT(bq_node_are_siblings((struct bq_node){4, 1}, (struct bq_node){6, 1}));
    CU_ASSERT_FALSE(bq_node_are_siblings((struct bq_node){6, 1}, (struct bq_node){4, 1}));
    CU_ASSERT_FALSE(bq_node_are_siblings((struct bq_node){6, 1}, (struct bq_node){8, 1}));
    CU_ASSERT_FALSE(bq_node_are_siblings((struct bq_node){4, 0}, (struct bq_node){6, 1}));
    struct bq_node node = bq_node_largest(0, UINT64_C(1) << 62);
    CU_ASSERT(node.first == 0 && node.level == 62);
    node = bq_node_largest(6, 7);
    CU_ASSERT(node.first == 6 && node.level == 0);
    node = bq_node_largest(8, 15);
    CU_ASSERT(node.first == 8 && node.level == 2);
}

static const struct test tests[] = {
    {"any order and any tiling give the same bits", any_order_and_any_tiling_give_the_same_bits},
    {"merging in kitchens before sending gives the same bits",
     merging_in_kitchens_before_sending_gives_the_same_bits},
    {"overlapping and double results give the same bits",
     overlapping_and_double_results_give_the_same_bits},
    {"every number of chunks folds as defined", every_number_of_chunks_folds_as_defined},
    {"a missing chunk leaves it unfinished", a_missing_chunk_leaves_it_unfinished},
    {"nothing has no result", nothing_has_no_result},
    {"results of no bytes are merged as ranges", results_of_no_bytes_are_merged_as_ranges},
    {"an odd size keeps its neighbours untouched", an_odd_size_keeps_its_neighbours_untouched},
    {"filling and emptying goes on for ever", filling_and_emptying_goes_on_for_ever},
    {"a huge node replaces the few below it at once",
     a_huge_node_replaces_the_few_below_it_at_once},
    {"nodes know their siblings and their size", nodes_know_their_siblings_and_their_size},
};

RUN_TESTS("reduction", tests)
