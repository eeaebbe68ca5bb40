/* Messages: what was written is read; anything else is refused and never crashes. The random ones
 * are worth their time under AddressSanitizer. */
#include "core/wire.h"

#include "base/heap.h"
#include "cunit.h"
#include "random.h"

static const double inf = (double)(1e308 * 10);

static struct bq_message examples[] = {
    {.kind = BQ_HELLO,
     .step = 0,
     .n = BQ_WIRE_VERSION,
     .pid = 4242,
     .n_cores = 3,
     .count = 128,
     .text = "node-17.example.org"},
    {.kind = BQ_STEP, .step = 1, .first = 18, .count = 19, .time = UINT64_MAX},
    {.kind = BQ_JOIN, .step = UINT32_MAX, .n = 64, .time = 123456789},
    {.kind = BQ_REFUSED, .step = 2, .text = "no kernel"},
    {.kind = BQ_LEASE, .step = 3, .first = UINT64_MAX, .count = 1},
    {.kind = BQ_REQUEST, .step = 3, .count = 17, .tau_ns = 1.5, .wait_ns = -0.0},
    {.kind = BQ_RESULT, .step = 3, .n = 2, .data_size = 1u << 30},
    {.kind = BQ_DROPPED, .step = 3, .first = 5, .count = 6},
    {.kind = BQ_FAILED, .step = 3, .n = 1, .first = 99, .text = ""},
    {.kind = BQ_FETCH, .step = 3, .first = 17},
    {.kind = BQ_STORED, .step = 3, .first = UINT64_MAX},
    {.kind = BQ_FORGET, .n = 7},
    {.kind = BQ_START, .n = 1, .time = 20000000000},
    {.kind = BQ_BEAT},
    {.kind = BQ_LEAVING},
    {.kind = BQ_LOST, .step = 3, .first = 99, .n = 1, .text = "the kernel crashed"},
    {.kind = BQ_NOT_STORED, .step = 3, .first = 5, .text = "a disk error"},
    {.kind = BQ_REVOKE, .step = 3, .first = 0, .count = 0},
    {.kind = BQ_CLOSE, .step = 4},
    {.kind = BQ_REPORT, .step = 5},
    {.kind = BQ_BYE, .step = 6, .n = 75},
};
#define N_EXAMPLES (sizeof examples / sizeof *examples)

static size_t put(const struct bq_message *m, unsigned char *bytes, size_t size)
{
    struct bq_writer w = bq_writer(bytes, size);
    bq_wire_put(&w, m);
    CU_ASSERT_FALSE(w.is_bad);
    return (size_t)(w.at - bytes);
}

/* Reads from memory of exactly n bytes, so that one byte too far is seen. */
static int get(const unsigned char *bytes, size_t n, struct bq_message *m)
{
    unsigned char *exact = malloc(n ? n : 1);
    memcpy(exact, bytes, n);
    int rc = bq_wire_get(exact, n, m);
    if (rc == 0)
        CU_ASSERT(m->rest.at >= exact && m->rest.end == exact + n && m->rest.at <= m->rest.end);
    memset(&m->rest, 0, sizeof m->rest);
    free(exact);
    return rc;
}

static void every_message_comes_back_as_it_was(void)
{
    for (size_t i = 0; i < N_EXAMPLES; i++) {
        unsigned char bytes[BQ_WIRE_FIXED];
        struct bq_message m;
        size_t n = put(&examples[i], bytes, sizeof bytes);
        CU_ASSERT_EQUAL(get(bytes, n, &m), 0);
        CU_ASSERT(memcmp(&m, &examples[i], sizeof m) == 0);
    }
    CU_ASSERT_EQUAL(N_EXAMPLES, BQ_LOST);
}

static void the_longest_texts_fit_the_fixed_part(void)
{
    static const enum bq_message_kind kinds[] = {BQ_HELLO, BQ_REFUSED, BQ_FAILED};
    for (size_t i = 0; i < 3; i++) {
        struct bq_message in = {.kind = kinds[i]}, out;
        unsigned char bytes[BQ_WIRE_FIXED];
        memset(in.text, 'x', sizeof in.text - 1);
        CU_ASSERT_EQUAL(get(bytes, put(&in, bytes, sizeof bytes), &out), 0);
        CHECK_TEXT(out.text, in.text);
    }
}

static void fields_are_little_endian(void)
{
    struct bq_message m = {
        .kind = BQ_LEASE, .step = 0x01020304, .first = 0x1122334455667788, .count = 2};
    static const unsigned char want[] = {5,    4,    3, 2, 1, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33,
                                         0x22, 0x11, 2, 0, 0, 0,    0,    0,    0,    0};
    unsigned char bytes[BQ_WIRE_FIXED];
    CU_ASSERT_EQUAL(put(&m, bytes, sizeof bytes), sizeof want);
    CU_ASSERT(memcmp(bytes, want, sizeof want) == 0);
}

static void a_truncated_message_is_refused(void)
{
    for (size_t i = 0; i < N_EXAMPLES; i++) {
        unsigned char bytes[BQ_WIRE_FIXED];
        struct bq_message m;
        size_t n = put(&examples[i], bytes, sizeof bytes);
        for (size_t cut = 0; cut < n; cut++)
            CU_ASSERT_EQUAL(get(bytes, cut, &m), -1);
    }
    struct bq_message m;
    CU_ASSERT_EQUAL(bq_wire_get(NULL, 0, &m), -1);
}

static void a_short_writer_says_so_and_writes_nothing_beyond(void)
{
    for (size_t i = 0; i < N_EXAMPLES; i++) {
        unsigned char bytes[BQ_WIRE_FIXED];
        size_t n = put(&examples[i], bytes, sizeof bytes);
        for (size_t room = 0; room < n; room++) {
            unsigned char *exact = malloc(room ? room : 1);
            struct bq_writer w = bq_writer(exact, room);
            bq_wire_put(&w, &examples[i]);
            CU_ASSERT(w.is_bad);
            free(exact);
        }
    }
}

static void unknown_kinds_are_refused(void)
{
    for (unsigned kind = 0; kind < 256; kind++) {
        unsigned char bytes[BQ_WIRE_FIXED] = {(unsigned char)kind};
        struct bq_message m;
        CU_ASSERT_EQUAL(get(bytes, sizeof bytes, &m), kind >= BQ_HELLO && kind <= BQ_LOST ? 0 : -1);
    }
}

static void random_bytes_are_refused_or_are_a_message(void)
{
    random_start(51);
    for (int round = 0; round < 60000; round++) {
        unsigned char bytes[300];
        struct bq_message m;
        size_t n = random_below(sizeof bytes);
        for (size_t i = 0; i < n; i++)
            bytes[i] = random_below(3) ? (unsigned char)random_next() : 0;
        if (n)
            bytes[0] = (unsigned char)random_below(16);
        if (get(bytes, n, &m) < 0)
            continue;
        unsigned char again[BQ_WIRE_FIXED];
        CU_ASSERT(memchr(m.text, 0, sizeof m.text) != NULL);
        CU_ASSERT(put(&m, again, sizeof again) <= n);
    }
}

/* -- nodes -------------------------------------------------------------------------------- */

static size_t put_node(unsigned char *bytes, size_t size, uint32_t n, uint64_t first,
                       unsigned level, const char *result)
{
    struct bq_writer w = bq_writer(bytes, size);
    bq_wire_put(&w, &(struct bq_message){.kind = BQ_RESULT, .n = n});
    bq_wire_put_node(&w, (struct bq_node){.first = first, .level = level}, result, 4);
    return (size_t)(w.at - bytes);
}

static void nodes_come_back_in_order_then_the_data(void)
{
    unsigned char bytes[200];
    struct bq_writer w = bq_writer(bytes, sizeof bytes);
    struct bq_message m;
    struct bq_node node;
    const void *result;
    bq_wire_put(&w, &(struct bq_message){.kind = BQ_RESULT, .n = 2, .data_size = 3});
    unsigned char *start = w.at;
    bq_wire_put_node(&w, (struct bq_node){.first = 8, .level = 3}, "abcd", 4);
    CU_ASSERT_EQUAL((size_t)(w.at - start), bq_wire_node_size(4));
    bq_wire_put_node(&w, (struct bq_node){.first = 5}, "efgh", 4);
    bq_put_bytes(&w, "xyz", 3);
    CU_ASSERT_EQUAL(bq_wire_get(bytes, (size_t)(w.at - bytes), &m), 0);
    CU_ASSERT(bq_wire_get_node(&m, 4, 16, &node, &result));
    CU_ASSERT(node.first == 8 && node.level == 3 && memcmp(result, "abcd", 4) == 0);
    CU_ASSERT(bq_wire_get_node(&m, 4, 16, &node, &result));
    CU_ASSERT(node.first == 5 && node.level == 0 && memcmp(result, "efgh", 4) == 0);
    CU_ASSERT_FALSE(bq_wire_get_node(&m, 4, 16, &node, &result));
    CU_ASSERT_FALSE(m.rest.is_bad);
    CU_ASSERT(memcmp(bq_get_bytes(&m.rest, 3), "xyz", 3) == 0);
}

static bool node_is_good(uint64_t first, unsigned level, uint64_t n_chunks)
{
    unsigned char bytes[200];
    struct bq_message m;
    struct bq_node node;
    const void *result;
    size_t n = put_node(bytes, sizeof bytes, 1, first, level, "abcd");
    CU_ASSERT_EQUAL(bq_wire_get(bytes, n, &m), 0);
    bool is_good = bq_wire_get_node(&m, 4, n_chunks, &node, &result);
    CU_ASSERT_EQUAL(m.rest.is_bad, !is_good);
    return is_good;
}

static void nodes_that_are_none_of_the_plan_are_refused(void)
{
    CU_ASSERT(node_is_good(0, 0, 1));
    CU_ASSERT(node_is_good(8, 3, 16));
    CU_ASSERT_FALSE(node_is_good(8, 3, 15));
    CU_ASSERT_FALSE(node_is_good(4, 3, 100)); /* not aligned */
    CU_ASSERT_FALSE(node_is_good(16, 0, 16));
    CU_ASSERT_FALSE(node_is_good(UINT64_MAX, 0, 16));
    CU_ASSERT_FALSE(node_is_good(0, 0, 0));
    CU_ASSERT(node_is_good(0, 62, UINT64_C(1) << 62));
    for (unsigned level = 63; level < 256; level++)
        CU_ASSERT_FALSE(node_is_good(0, level, UINT64_MAX));
}

static void a_hostile_count_of_nodes_ends_with_the_bytes(void)
{
    unsigned char bytes[200];
    struct bq_message m;
    struct bq_node node;
    const void *result;
    size_t n = put_node(bytes, sizeof bytes, UINT32_MAX, 0, 0, "abcd");
    CU_ASSERT_EQUAL(bq_wire_get(bytes, n, &m), 0);
    CU_ASSERT(bq_wire_get_node(&m, 4, 16, &node, &result));
    CU_ASSERT_FALSE(bq_wire_get_node(&m, 4, 16, &node, &result));
    CU_ASSERT(m.rest.is_bad);
    for (size_t cut = n - bq_wire_node_size(4); cut < n; cut++) {
        CU_ASSERT_EQUAL(bq_wire_get(bytes, cut, &m), 0);
        CU_ASSERT_FALSE(bq_wire_get_node(&m, 4, 16, &node, &result));
    }
}

/* -- recipes ------------------------------------------------------------------------------ */

static struct bq_recipe example_recipe(void)
{
    struct bq_recipe r = {.kernel = "stats",
                          .library = "/home/me/.cache/banquet/kernels/mine-00ff.so",
                          .library_hash = {{1, 2, 3, 253, 254, 255}},
                          .n_params = 5,
                          .kinds = {BQ_INT, BQ_REAL, BQ_TEXT, BQ_LIST, BQ_LIST},
                          .has_input = true,
                          .file = "in.h5",
                          .dataset = "/a/b",
                          .file_bytes = 1u << 20,
                          .identity = {77, UINT64_MAX},
                          .delivery = BQ_DELIVERY_COORDINATOR,
                          .on_error = BQ_ON_ERROR_SKIP,
                          .memory = UINT64_C(1) << 40,
                          .library_bytes = 12345,
                          .has_output = true,
                          .in_type = BQ_F32,
                          .out_type = BQ_U8,
                          .acc_size = 96,
                          .state_size = 640,
                          .schedule = {.policy = BQ_FACTORING, .block = 9},
                          .n_kitchens = 3,
                          .n_cooks = 4,
                          .open = 2,
                          .is_team = true,
                          .is_bound = true,
                          .input_stays = true,
                          .comes_again = 17};
    r.params[0].i = -5;
    r.params[1].r = inf;
    r.params[2].text = "urls.txt";
    static const double numbers[] = {1, -2.5, 1e300};
    static const struct bq_list list = {3, numbers};
    r.params[3].list = &list; /* and the fourth has none */
    struct bq_space space = {.rank = 3, .extent = {100, 20, 7}};
    CU_ASSERT_EQUAL(bq_plan_make(&r.plan, &space, (uint64_t[]){30, 20, 2}, NULL), 0);
    struct bq_halo halo = {
        .width = {1, 2, 3}, .border = BQ_CONSTANT, .value = {9, 8, 7, 6, 5, 4, 3, 2}};
    CU_ASSERT_EQUAL(bq_plan_set_halo(&r.plan, &halo, NULL), 0);
    r.pipeline = (struct bq_pipeline){true, true, {4, 3, 2, 1}};
    r.n_beside = 5;
    r.layout = (struct bq_layout){
        .storage = BQ_STORAGE_CHUNKED,
        .space = space,
        .number = {.is_float = true, .is_big_endian = true, .size = 2},
        .chunk = {.rank = 3, .extent = {15, 20, 1}},
        .filters = {.n = 2,
                    .list = {{.id = BQ_FILTER_SHUFFLE, .n_values = 1, .values = {2}},
                             {.id = BQ_FILTER_BITSHUFFLE, .n_values = 8, .values = {8, 7, 6, 5}}}},
        .has_raw_edges = true,
        .fill = {1, 2, 3, 4, 5, 6, 7, 8}};
    r.output.how = BQ_OUTPUT_DIRECT;
    strcpy(r.output.work, "/data/.out.h5.banquet-x7Qd2a");
    strcpy(r.output.file, "out.h5");
    strcpy(r.output.dataset, "/a/b");
    r.output.layout =
        (struct bq_layout){.storage = BQ_STORAGE_CONTIGUOUS, .space = space, .number = {.size = 1}};
    return r;
}

static bool layouts_are_equal(const struct bq_layout *a, const struct bq_layout *b)
{
    bool are = a->storage == b->storage && a->number.is_float == b->number.is_float &&
               a->number.is_big_endian == b->number.is_big_endian &&
               a->number.is_signed == b->number.is_signed && a->number.size == b->number.size &&
               a->chunk.rank == b->chunk.rank && a->filters.n == b->filters.n &&
               a->has_raw_edges == b->has_raw_edges && memcmp(a->fill, b->fill, 8) == 0;
    for (int i = 0; are && i < a->chunk.rank; i++)
        are = a->chunk.extent[i] == b->chunk.extent[i];
    for (uint32_t i = 0; are && i < a->filters.n; i++) {
        const struct bq_filter *x = &a->filters.list[i], *y = &b->filters.list[i];
        are = x->id == y->id && x->n_values == y->n_values &&
              memcmp(x->values, y->values, x->n_values * sizeof *x->values) == 0;
    }
    return are;
}

static size_t put_recipe(const struct bq_recipe *recipe, unsigned char *bytes, size_t size)
{
    struct bq_writer w = bq_writer(bytes, size);
    bq_recipe_put(&w, recipe);
    CU_ASSERT_FALSE(w.is_bad);
    return (size_t)(w.at - bytes);
}

static int get_recipe(const unsigned char *bytes, size_t n, struct bq_recipe *recipe)
{
    unsigned char *exact = malloc(n ? n : 1);
    memcpy(exact, bytes, n);
    struct bq_reader r = bq_reader(exact, n);
    bq_recipe_free(recipe);
    int rc = bq_recipe_get(&r, recipe);
    free(exact);
    return rc;
}

static void a_recipe_comes_back_as_it_was(void)
{
    static unsigned char bytes[sizeof(struct bq_recipe)], again[sizeof(struct bq_recipe)];
    static struct bq_recipe in, out;
    in = example_recipe();
    size_t n = put_recipe(&in, bytes, sizeof bytes);
    CU_ASSERT_EQUAL(get_recipe(bytes, n, &out), 0);
    CU_ASSERT(put_recipe(&out, again, sizeof again) == n && memcmp(bytes, again, n) == 0);
    CHECK_TEXT(out.kernel, in.kernel);
    CHECK_TEXT(out.library, in.library);
    CU_ASSERT_EQUAL(memcmp(&out.library_hash, &in.library_hash, sizeof out.library_hash), 0);
    CHECK_TEXT(out.file, in.file);
    CHECK_TEXT(out.dataset, in.dataset);
    CU_ASSERT(out.plan.n_chunks == in.plan.n_chunks && out.plan.grid[2] == 4);
    CU_ASSERT(out.params[0].i == -5 && out.params[1].r == inf);
    CHECK_TEXT(out.params[2].text, "urls.txt");
    CU_ASSERT(out.params[3].list->n == 3 && out.params[3].list->at[2] == 1e300);
    CU_ASSERT(out.plan.halo.width[2] == 3 && out.plan.halo.border == BQ_CONSTANT &&
              out.plan.halo.value[7] == 2 && out.plan.max_window == in.plan.max_window);
    CU_ASSERT(out.pipeline.is_on && out.pipeline.keeps_order &&
              out.pipeline.threads[BQ_LINE_WRITE] == 1 && out.n_beside == 5);
    CU_ASSERT(out.params[4].list->n == 0 && in.params[4].list == NULL);
    CU_ASSERT(out.schedule.policy == BQ_FACTORING && out.schedule.block == 9);
    CU_ASSERT(out.is_team && out.is_bound && out.has_input && out.has_output);
    CU_ASSERT(out.open == 2 && out.n_cooks == 4 && out.n_kitchens == 3 && out.acc_size == 96);
    CU_ASSERT_EQUAL(out.state_size, 640);
    CU_ASSERT(out.file_bytes == 1u << 20 && out.identity[0] == 77 && out.identity[1] == UINT64_MAX);
    CU_ASSERT(out.delivery == BQ_DELIVERY_COORDINATOR && out.on_error == BQ_ON_ERROR_SKIP);
    CU_ASSERT_EQUAL(out.library_bytes, 12345);
    CU_ASSERT(out.comes_again == 17 && out.input_stays);
    CU_ASSERT_EQUAL(out.output.refuses_nan, in.output.refuses_nan);
    CU_ASSERT(out.memory == UINT64_C(1) << 40 && out.output.how == BQ_OUTPUT_DIRECT);
    CHECK_TEXT(out.output.work, in.output.work);
    CHECK_TEXT(out.output.file, in.output.file);
    CHECK_TEXT(out.output.dataset, in.output.dataset);
    CU_ASSERT(layouts_are_equal(&out.layout, &in.layout));
    CU_ASSERT(layouts_are_equal(&out.output.layout, &in.output.layout));
    CU_ASSERT_EQUAL(out.layout.space.extent[2], 7);
    for (size_t cut = 0; cut < n; cut++)
        CU_ASSERT_EQUAL(get_recipe(bytes, cut, &out), -1);
    bq_recipe_free(&out);
}

static void the_longest_recipe_fits_the_message_of_a_step(void)
{
    static unsigned char bytes[sizeof(struct bq_recipe) + BQ_WIRE_FIXED];
    static struct bq_recipe r;
    r = example_recipe();
    memset(r.kernel, 'k', sizeof r.kernel - 1);
    memset(r.library, 'l', sizeof r.library - 1);
    memset(r.file, 'f', sizeof r.file - 1);
    memset(r.dataset, 'd', sizeof r.dataset - 1);
    memset(r.output.work, 'w', sizeof r.output.work - 1);
    memset(r.output.file, 'f', sizeof r.output.file - 1);
    memset(r.output.dataset, 'd', sizeof r.output.dataset - 1);
    r.layout.chunk.rank = r.output.layout.chunk.rank = 8;
    r.layout.filters.n = r.output.layout.filters.n = BQ_MAX_FILTERS;
    for (int i = 0; i < BQ_MAX_FILTERS; i++)
        r.layout.filters.list[i].n_values = r.output.layout.filters.list[i].n_values =
            BQ_MAX_FILTER_VALUES;
    r.n_params = BQ_MAX_PARAMS;
    struct bq_space space = {.rank = 8, .extent = {2, 2, 2, 2, 2, 2, 2, 2}};
    CU_ASSERT_EQUAL(bq_plan_make(&r.plan, &space, space.extent, NULL), 0);
    struct bq_message step = {.kind = BQ_STEP};
    size_t n = put(&step, bytes, sizeof bytes);
    put_recipe(&r, bytes + n, sizeof bytes - n);
}

static void impossible_recipes_are_refused(void)
{
    static unsigned char bytes[sizeof(struct bq_recipe)];
    static struct bq_recipe r, out;
    for (int what = 0; what < 16; what++) {
        r = example_recipe();
        switch (what) {
        case 0:
            r.n_kitchens = 0;
            break;
        case 1:
            r.open = 0;
            break;
        case 2:
            r.acc_size = BQ_MAX_ACC + 1;
            break;
        case 3:
            r.in_type = BQ_N_TYPES;
            break;
        case 4:
            r.out_type = (enum bq_type)255;
            break;
        case 5:
            r.schedule.policy = BQ_N_POLICIES;
            break;
        case 6:
            r.plan.chunk[1] = 0;
            break;
        case 7:
            r.plan.space.rank = 0;
            break;
        case 8:
            r.layout.number.size = 4; /* float32: not what in_type says */
            r.in_type = BQ_F64;
            break;
        case 9:
            r.layout.number.size = 3;
            break;
        case 10:
            r.layout.chunk.extent[1] = 0;
            break;
        case 11:
            r.layout.chunk.rank = 2;
            break;
        case 12:
            r.layout.chunk.extent[0] = r.layout.chunk.extent[1] = UINT64_C(1) << 31;
            break;
        case 13:
            r.layout.storage = (enum bq_storage)9;
            break;
        case 14:
            r.state_size = BQ_MAX_STATE + 1;
            break;
        default:
            r.plan.space.extent[0] = r.plan.space.extent[1] = UINT64_C(1) << 40;
            break;
        }
        CU_ASSERT_EQUAL(get_recipe(bytes, put_recipe(&r, bytes, sizeof bytes), &out), -1);
    }
    r = example_recipe();
    size_t n = put_recipe(&r, bytes, sizeof bytes);
    size_t names = 4 + strlen(r.kernel) + 4 + strlen(r.library) + sizeof r.library_hash;
    memset(bytes + names, 0xff, 4); /* n_params */
    CU_ASSERT_EQUAL(get_recipe(bytes, n, &out), -1);
    memset(bytes, 0xff, 4); /* length of the kernel's name */
    CU_ASSERT_EQUAL(get_recipe(bytes, n, &out), -1);
}

static void damaged_recipes_are_refused_or_make_a_plan(void)
{
    static unsigned char good[sizeof(struct bq_recipe)], bytes[sizeof(struct bq_recipe)];
    static struct bq_recipe r, out;
    random_start(52);
    r = example_recipe();
    size_t n = put_recipe(&r, good, sizeof good);
    for (int round = 0; round < 10000; round++) {
        memcpy(bytes, good, n);
        for (uint64_t i = 0; i <= random_below(4); i++)
            bytes[random_below(n)] = random_below(2) ? 0xff : (unsigned char)random_next();
        if (get_recipe(bytes, n, &out) < 0)
            continue;
        CU_ASSERT(out.plan.space.rank >= 1 && out.plan.space.rank <= BQ_MAX_RANK);
        CU_ASSERT(out.n_params <= BQ_MAX_PARAMS && out.open > 0 && out.n_kitchens > 0);
    }
    bq_recipe_free(&out);
}

/* -- reports ------------------------------------------------------------------------------ */

static size_t put_report(const struct bq_kitchen_report *k, unsigned char *bytes, size_t size)
{
    struct bq_writer w = bq_writer(bytes, size);
    bq_wire_put_report(&w, k);
    CU_ASSERT_FALSE(w.is_bad);
    return (size_t)(w.at - bytes);
}

static int get_report(const unsigned char *bytes, size_t n, struct bq_kitchen_report *k)
{
    unsigned char *exact = malloc(n ? n : 1);
    memcpy(exact, bytes, n);
    struct bq_reader r = bq_reader(exact, n);
    int rc = bq_wire_get_report(&r, k);
    free(exact);
    return rc;
}

static void example_report(struct bq_kitchen_report *k, struct bq_cook_report *cooks)
{
    *k = (struct bq_kitchen_report){.rank = 3,
                                    .host = "node-3",
                                    .pid = 99,
                                    .n_cooks = 2,
                                    .n_cores = 5,
                                    .n_chunks = 1000,
                                    .n_leases = 7,
                                    .n_requests = 8,
                                    .bytes_in = 9,
                                    .bytes_out = 10,
                                    .wait_ns = 11,
                                    .n_open_max = 12,
                                    .warning = "2 cooks share 1 core",
                                    .cooks = cooks};
    for (int i = 0; i < 2; i++) {
        cooks[i] = (struct bq_cook_report){.core = i ? -1 : 4, .n_chunks = 500};
        bq_track_init(&cooks[i].track);
    }
    bq_track_add(&cooks[0].track, BQ_COOKING, 0, 3000000, 3000000);
    bq_track_add(&cooks[1].track, BQ_OVEN, 1000000, 5000000000, 2000000000);
    bq_track_open(&cooks[1].track, 0, 6000000000);
}

static void a_report_comes_back_as_it_was(void)
{
    static struct bq_cook_report cooks[2];
    static unsigned char bytes[40000];
    struct bq_kitchen_report in, out;
    example_report(&in, cooks);
    size_t n = put_report(&in, bytes, sizeof bytes);
    CU_ASSERT(n <= bq_wire_report_size(&in));
    CU_ASSERT_EQUAL_FATAL(get_report(bytes, n, &out), 0);
    CU_ASSERT(memcmp(out.cooks, cooks, sizeof cooks) == 0);
    CHECK_TEXT(out.host, in.host);
    CHECK_TEXT(out.warning, in.warning);
    CU_ASSERT(out.rank == 3 && out.pid == 99 && out.n_cooks == 2 && out.n_cores == 5);
    CU_ASSERT(out.n_chunks == 1000 && out.n_leases == 7 && out.n_requests == 8);
    CU_ASSERT(out.bytes_in == 9 && out.bytes_out == 10 && out.wait_ns == 11 &&
              out.n_open_max == 12);
    bq_free(out.cooks);
    for (size_t cut = 0; cut < n; cut += cut < 700 ? 1 : 37) {
        CU_ASSERT_EQUAL(get_report(bytes, cut, &out), -1);
        CU_ASSERT_PTR_NULL(out.cooks);
    }
}

static void the_fullest_report_fits_its_size(void)
{
    static struct bq_cook_report cook;
    struct bq_kitchen_report k = {.n_cooks = 1, .cooks = &cook};
    memset(k.host, 'h', sizeof k.host - 1);
    memset(k.warning, 'w', sizeof k.warning - 1);
    cook.track.n_bins = BQ_TRACE_BINS;
    size_t size = bq_wire_report_size(&k);
    unsigned char *bytes = malloc(size);
    put_report(&k, bytes, size);
    free(bytes);
}

static void hostile_counts_in_a_report_are_refused(void)
{
    static struct bq_cook_report cooks[2];
    static unsigned char bytes[40000];
    struct bq_kitchen_report k, out;
    static const uint64_t widths[] = {0,
                                      1,
                                      BQ_TRACE_FINEST - 1,
                                      BQ_TRACE_FINEST + 1,
                                      3 * BQ_TRACE_FINEST,
                                      UINT64_MAX,
                                      UINT64_C(1) << 63};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        example_report(&k, cooks);
        cooks[1].track.width = widths[i];
        CU_ASSERT_EQUAL(get_report(bytes, put_report(&k, bytes, sizeof bytes), &out), -1);
        CU_ASSERT_PTR_NULL(out.cooks);
    }
    example_report(&k, cooks);
    size_t n = put_report(&k, bytes, sizeof bytes);
    size_t at = 4 + 4 + strlen(k.host) + 4; /* of n_cooks */
    size_t bins = at + 4 + 4 + 9 * 8 + 2 + 4 + strlen(k.warning) + 4 + 1 + 8 + 8;
    CU_ASSERT(bytes[at] == 2 && bytes[bins] == cooks[0].track.n_bins);
    for (unsigned hostile = 1; hostile <= 0xff; hostile += 2) {
        bytes[at + 1] = (unsigned char)hostile;
        CU_ASSERT_EQUAL(get_report(bytes, n, &out), -1);
        bytes[at + 1] = 0;
        bytes[bins + 3] = (unsigned char)hostile;
        CU_ASSERT_EQUAL(get_report(bytes, n, &out), -1);
        bytes[bins + 3] = 0;
    }
    bytes[bins] = BQ_TRACE_BINS + 1;
    CU_ASSERT_EQUAL(get_report(bytes, n, &out), -1);
    bytes[at + 1] = 8; /* 2050 cooks: more than the bytes can hold, so no memory is asked for */
    bq_heap_fail_at(1);
    CU_ASSERT_EQUAL(get_report(bytes, n, &out), -1);
    CU_ASSERT_PTR_NULL(bq_alloc(1, 1));
}

static void damaged_reports_are_refused_or_can_be_merged(void)
{
    static struct bq_cook_report cooks[2];
    static unsigned char good[40000], bytes[40000];
    static struct bq_track sum;
    struct bq_kitchen_report k, out;
    random_start(53);
    example_report(&k, cooks);
    size_t n = put_report(&k, good, sizeof good);
    for (int round = 0; round < 600; round++) {
        memcpy(bytes, good, n);
        for (uint64_t i = 0; i <= random_below(4); i++)
            bytes[random_below(random_below(2) ? 250 : n)] = (unsigned char)random_next();
        size_t cut = random_below(4) ? n : random_below(n);
        if (get_report(bytes, cut, &out) < 0)
            continue;
        bq_track_init(&sum);
        for (uint32_t i = 0; i < out.n_cooks; i++)
            bq_track_merge(&sum, &out.cooks[i].track);
        bq_free(out.cooks);
    }
}

static const struct test tests[] = {
    {"every message comes back as it was", every_message_comes_back_as_it_was},
    {"the longest texts fit the fixed part", the_longest_texts_fit_the_fixed_part},
    {"fields are little-endian", fields_are_little_endian},
    {"a truncated message is refused", a_truncated_message_is_refused},
    {"a short writer says so and writes nothing beyond",
     a_short_writer_says_so_and_writes_nothing_beyond},
    {"unknown kinds are refused", unknown_kinds_are_refused},
    {"random bytes are refused or are a message", random_bytes_are_refused_or_are_a_message},
    {"nodes come back in order, then the data", nodes_come_back_in_order_then_the_data},
    {"nodes that are none of the plan are refused", nodes_that_are_none_of_the_plan_are_refused},
    {"a hostile count of nodes ends with the bytes", a_hostile_count_of_nodes_ends_with_the_bytes},
    {"a recipe comes back as it was", a_recipe_comes_back_as_it_was},
    {"the longest recipe fits the message of a step",
     the_longest_recipe_fits_the_message_of_a_step},
    {"impossible recipes are refused", impossible_recipes_are_refused},
    {"damaged recipes are refused or make a plan", damaged_recipes_are_refused_or_make_a_plan},
    {"a report comes back as it was", a_report_comes_back_as_it_was},
    {"the fullest report fits its size", the_fullest_report_fits_its_size},
    {"hostile counts in a report are refused", hostile_counts_in_a_report_are_refused},
    {"damaged reports are refused or can be merged", damaged_reports_are_refused_or_can_be_merged},
};

RUN_TESTS("wire", tests)
