/* Writes the seeds of all targets but fuzz_file: make_corpus FOLDER, which has a folder for each.
 * The same bytes each time, as long as the formats stay as they are. Here: of fuzz_codec and
 * fuzz_message; make_corpus_left.c has the others. */
#include "make_corpus.h"

#include "adapters/codec.h"
#include "adapters/stored.h"
#include "base/heap.h"
#include "core/wire.h"

static const char *folder;

void save(const char *what, const char *name, const void *bytes, size_t n)
{
    char path[1000];
    snprintf(path, sizeof path, "%s/%s/%s", folder, what, name);
    FILE *file = fopen(path, "wb");
    if (!file)
        perror(path);
    MUST(file && fwrite(bytes, 1, n, file) == n && fclose(file) == 0);
}

/* -- codec -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    struct bq_filters filters;
} ways[] = {
    {"none", {0, {{0}}}},
    {"deflate-1", {1, {{BQ_FILTER_DEFLATE, 1, {1}}}}},
    {"deflate-9", {1, {{BQ_FILTER_DEFLATE, 1, {9}}}}},
    {"shuffle-3", {1, {{BQ_FILTER_SHUFFLE, 1, {3}}}}},
    {"shuffle-16", {1, {{BQ_FILTER_SHUFFLE, 1, {16}}}}},
    {"fletcher32", {1, {{BQ_FILTER_FLETCHER32, 0, {0}}}}},
    {"lzf", {1, {{BQ_FILTER_LZF, 3, {4, 0x105, 600}}}}},
    {"lz4", {1, {{BQ_FILTER_LZ4, 0, {0}}}}},
    {"lz4-blocks", {1, {{BQ_FILTER_LZ4, 1, {100}}}}},
    {"zstd", {1, {{BQ_FILTER_ZSTD, 1, {3}}}}},
    {"zstd-19", {1, {{BQ_FILTER_ZSTD, 1, {19}}}}},
    {"bitshuffle", {1, {{BQ_FILTER_BITSHUFFLE, 3, {0, 4, 4}}}}},
    {"bitshuffle-8", {1, {{BQ_FILTER_BITSHUFFLE, 5, {0, 4, 8, 16, 0}}}}},
    {"bitshuffle-lz4", {1, {{BQ_FILTER_BITSHUFFLE, 5, {0, 4, 4, 64, 2}}}}},
    {"bitshuffle-lz4-odd", {1, {{BQ_FILTER_BITSHUFFLE, 5, {0, 4, 3, 0, 2}}}}},
    {"bitshuffle-zstd", {1, {{BQ_FILTER_BITSHUFFLE, 6, {0, 4, 2, 128, 3, 5}}}}},
    {"shuffle-deflate-fletcher32",
     {3,
      {{BQ_FILTER_SHUFFLE, 1, {4}}, {BQ_FILTER_DEFLATE, 1, {4}}, {BQ_FILTER_FLETCHER32, 0, {0}}}}},
    {"fletcher32-lzf-lz4",
     {3, {{BQ_FILTER_FLETCHER32, 0, {0}}, {BQ_FILTER_LZF, 0, {0}}, {BQ_FILTER_LZ4, 0, {0}}}}},
    {"zstd-bitshuffle-lz4",
     {2, {{BQ_FILTER_ZSTD, 0, {0}}, {BQ_FILTER_BITSHUFFLE, 5, {0, 4, 1, 0, 2}}}}},
    {"six",
     {6,
      {{BQ_FILTER_FLETCHER32, 0, {0}},
       {BQ_FILTER_BITSHUFFLE, 5, {0, 4, 8, 0, 0}},
       {BQ_FILTER_DEFLATE, 1, {2}},
       {BQ_FILTER_SHUFFLE, 1, {2}},
       {BQ_FILTER_ZSTD, 0, {0}},
       {BQ_FILTER_FLETCHER32, 0, {0}}}}},
};
#define N_WAYS (sizeof ways / sizeof *ways)

/* 32-bit integers that grow, slowly here and faster there. */
static void fill(unsigned char *data, size_t n)
{
    for (size_t i = 0; i < n; i++)
        data[i] = (unsigned char)((100000 + i / 4 * (1 + i / 200)) >> 8 * (i % 4));
}

/* As fuzz_codec.c takes it apart. */
static void save_codec(const char *name, const struct bq_filters *filters, uint32_t mask,
                       size_t size, const void *bytes, size_t n)
{
    static const uint32_t ids[] = {BQ_FILTER_DEFLATE, BQ_FILTER_SHUFFLE, BQ_FILTER_FLETCHER32,
                                   BQ_FILTER_LZF,     BQ_FILTER_LZ4,     BQ_FILTER_BITSHUFFLE,
                                   BQ_FILTER_ZSTD};
    unsigned char out[4000];
    struct bq_writer w = bq_writer(out, sizeof out);
    bq_put_u8(&w, (uint8_t)filters->n);
    for (uint32_t i = 0; i < filters->n; i++) {
        const struct bq_filter *filter = &filters->list[i];
        uint8_t which = 0;
        while (ids[which] != filter->id)
            which++;
        bq_put_u8(&w, which);
        bq_put_u8(&w, (uint8_t)filter->n_values);
        for (uint32_t k = 0; k < filter->n_values; k++)
            bq_put_u32(&w, filter->values[k]);
    }
    bq_put_u32(&w, mask);
    bq_put_u32(&w, (uint32_t)size);
    bq_put_bytes(&w, bytes, n);
    MUST(!w.is_bad);
    save("codec", name, out, (size_t)(w.at - out));
}

static size_t encode(const struct bq_filters *filters, const void *data, size_t size, void *out,
                     size_t room, uint32_t *mask)
{
    size_t n = 0;
    struct bq_codec *codec = bq_codec_create(size, NULL);
    MUST(codec && bq_codec_encode(codec, filters, data, size, out, room, &n, mask, NULL) == 0);
    bq_codec_destroy(codec);
    return n;
}

static void make_codec(void)
{
    unsigned char data[603], out[1000];
    char name[100];
    fill(data, sizeof data);
    for (size_t i = 0; i < N_WAYS; i++) {
        size_t size = 600;
        uint32_t mask = 0;
        size_t n = encode(&ways[i].filters, data, size, out, sizeof out, &mask);
        save_codec(ways[i].name, &ways[i].filters, mask, size, out, n);
        snprintf(name, sizeof name, "plain-%s", ways[i].name); /* to be encoded */
        save_codec(name, &ways[i].filters, 0, sizeof data, data, sizeof data);
    }
    save_codec("nothing", &ways[1].filters, 0, 0, data, 0);
    save_codec("skipped", &ways[N_WAYS - 1].filters, 63, sizeof data, data, sizeof data);
}

/* -- message ------------------------------------------------------------------------------ */

static void save_messages(const char *name, const struct bq_writer *first,
                          const unsigned char *first_bytes, const struct bq_writer *second,
                          const unsigned char *second_bytes)
{
    unsigned char out[8000];
    size_t n_first = first ? (size_t)(first->at - first_bytes) : 0;
    struct bq_writer w = bq_writer(out, sizeof out);
    bq_put_u8(&w, (uint8_t)n_first);
    bq_put_u8(&w, (uint8_t)(n_first >> 8));
    bq_put_bytes(&w, first_bytes, n_first);
    bq_put_bytes(&w, second_bytes, (size_t)(second->at - second_bytes));
    MUST(!w.is_bad && !(first && first->is_bad) && !second->is_bad);
    save("message", name, out, (size_t)(w.at - out));
}

static struct bq_recipe example(int rank, enum bq_storage storage, const struct bq_filters *filters)
{
    static const uint64_t chunk[BQ_MAX_RANK] = {10, 12, 2, 1, 1, 2, 1, 1};
    struct bq_recipe r = {.kernel = "fuzz",
                          .n_params = 2,
                          .params = {{.i = -5}, {.r = 0.5}},
                          .has_input = true,
                          .file = "in.h5",
                          .dataset = "/d",
                          .file_bytes = 4096,
                          .in_type = BQ_F32,
                          .out_type = BQ_F32,
                          .n_kitchens = 3,
                          .n_cooks = 2,
                          .open = 2,
                          .acc_size = 16,
                          .schedule = {BQ_DYNAMIC, 4}};
    struct bq_space space = {.rank = rank};
    r.layout = (struct bq_layout){.storage = storage,
                                  .number = {.is_float = true, .is_big_endian = true, .size = 4},
                                  .fill = {0, 0, 0x80, 0x3f}};
    for (int i = 0; i < rank; i++)
        space.extent[i] = i == 0 ? 25 : i == 1 ? 18 : 3;
    if (storage == BQ_STORAGE_CHUNKED) {
        r.layout.chunk.rank = rank;
        for (int i = 0; i < rank; i++)
            r.layout.chunk.extent[i] = i < 2 ? 8 : 2;
        r.layout.filters = *filters;
    }
    r.layout.space = space;
    MUST(bq_plan_make(&r.plan, &space, chunk, NULL) == 0);
    r.output.layout = r.layout;
    return r;
}

/* A chunk of the recipe, as the coordinator sends it. */
static void put_stored(struct bq_writer *w, const struct bq_recipe *r, uint64_t id)
{
    static unsigned char data[1u << 20], bytes[1u << 20];
    struct bq_box block = {.rank = r->plan.space.rank};
    struct bq_piece pieces[64];
    struct bq_stored stored = {
        .form = bq_stored_form(&r->layout), .bytes = bytes, .pieces = pieces};
    size_t chunk = bq_layout_chunk_bytes(&r->layout);
    stored.n = (size_t)bq_plan_chunk(&r->plan, id, block.offset, block.extent) * 4;
    if (stored.form == BQ_STORED_PIECES) {
        stored.n_pieces = bq_box_cells(&block, r->layout.chunk.extent);
        stored.n = 0;
        MUST(stored.n_pieces <= 64);
    }
    fill(data, chunk);
    for (uint64_t i = 1; i < stored.n_pieces; i++) { /* the first was never written */
        pieces[i].size = encode(&r->layout.filters, data, chunk, bytes + stored.n,
                                sizeof bytes - stored.n, &pieces[i].mask);
        stored.n += pieces[i].size;
    }
    pieces[0] = (struct bq_piece){0, 0};
    bq_wire_put(w, &(struct bq_message){.kind = BQ_STORED, .step = 1, .first = id});
    bq_stored_put(w, &stored);
    bq_put_bytes(w, bytes, stored.n);
}

static void save_recipe(const char *name, const struct bq_recipe *r, uint64_t id)
{
    unsigned char step[6000], message[6000];
    struct bq_writer first = bq_writer(step, sizeof step);
    struct bq_writer second = bq_writer(message, sizeof message);
    bq_wire_put(&first, &(struct bq_message){.kind = BQ_STEP, .step = 1, .time = 1});
    bq_recipe_put(&first, r);
    if (id < r->plan.n_chunks)
        put_stored(&second, r, id);
    save_messages(name, &first, step, &second, message);
}

static void make_recipes(void)
{
    char name[100];
    struct bq_recipe r = example(2, BQ_STORAGE_OTHER, NULL);
    save_recipe("recipe-other", &r, 0);
    r = example(3, BQ_STORAGE_CONTIGUOUS, NULL);
    save_recipe("recipe-contiguous", &r, 3);
    for (size_t i = 0; i < N_WAYS; i++) {
        r = example(2, BQ_STORAGE_CHUNKED, &ways[i].filters);
        r.layout.has_raw_edges = i % 2;
        snprintf(name, sizeof name, "recipe-%s", ways[i].name);
        save_recipe(name, &r, i % r.plan.n_chunks);
    }
    for (int how = 0; how < BQ_N_OUTPUT_HOWS; how++) {
        r = example(1, BQ_STORAGE_CHUNKED, &ways[1].filters);
        r.has_output = true;
        r.output.how = (enum bq_output_how)how;
        r.schedule.policy = (enum bq_policy)how;
        r.memory = 1 << 20;
        strcpy(r.output.work, ".out.h5");
        strcpy(r.output.file, "out.h5");
        strcpy(r.output.dataset, "/d");
        snprintf(name, sizeof name, "recipe-output-%d", how);
        save_recipe(name, &r, UINT64_MAX);
    }
    r = example(8, BQ_STORAGE_CHUNKED, &ways[1].filters);
    save_recipe("recipe-8-axes", &r, UINT64_MAX);
}

static void make_messages(void)
{
    static const struct bq_message plain[] = {
        {.kind = BQ_HELLO, .n = BQ_WIRE_VERSION, .pid = 42, .n_cores = 3, .text = "node-1"},
        {.kind = BQ_JOIN, .step = 1, .n = 8, .count = 16, .time = 123456789},
        {.kind = BQ_REFUSED, .step = 1, .text = "no kernel"},
        {.kind = BQ_LEASE, .step = 1, .first = 5, .count = 6},
        {.kind = BQ_REQUEST, .step = 1, .first = 2, .count = 17, .tau_ns = 1.5, .wait_ns = 2},
        {.kind = BQ_FAILED, .step = 1, .n = 1, .first = 99, .text = "a disk error"},
        {.kind = BQ_CLOSE, .step = 1},
        {.kind = BQ_BYE, .n = 75}};
    static const struct bq_message again[] = {
        {.kind = BQ_NOT_STORED, .first = 0, .n = 2},
        {.kind = BQ_JOIN, .step = 1, .n = 1, .count = 1},
        {.kind = BQ_REQUEST, .step = 1, .first = 2, .tau_ns = 1e6},
        {.kind = BQ_FAILED, .step = 1, .first = 2},
        {.kind = BQ_LOST, .step = 1, .first = 2, .text = "signal 11"},
        {.kind = BQ_HELLO, .step = 1, .n = BQ_WIRE_VERSION, .text = "node-1"},
        {.kind = BQ_JOIN, .step = 1, .n = 1, .count = 1},
        {.kind = BQ_REQUEST, .step = 1, .first = 2, .tau_ns = 1e6},
        {.kind = BQ_LEASE, .step = 1, .first = 0, .count = 3},
        {.kind = BQ_REVOKE, .first = 0, .count = 1},
        {.kind = BQ_LEASE, .step = 1, .first = 0, .count = 1},
        {.kind = BQ_CLOSE}};
    unsigned char step[6000], message[6000];
    char name[100];
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        struct bq_writer w = bq_writer(message, sizeof message);
        bq_wire_put(&w, &plain[i]);
        snprintf(name, sizeof name, "message-%d", (int)plain[i].kind);
        save_messages(name, NULL, NULL, &w, message);
    }
    struct bq_recipe r = example(1, BQ_STORAGE_OTHER, NULL);
    struct bq_writer first = bq_writer(step, sizeof step);
    struct bq_writer w = bq_writer(message, sizeof message);
    bq_wire_put(&first, &(struct bq_message){.kind = BQ_STEP, .step = 1, .time = 1});
    bq_recipe_put(&first, &r);
    bq_wire_put(&w, &(struct bq_message){.kind = BQ_RESULT, .step = 1, .n = 2});
    bq_wire_put_node(&w, (struct bq_node){0, 1}, "0123456789abcdef", 16);
    bq_wire_put_node(&w, (struct bq_node){2, 0}, "0123456789abcdef", 16);
    save_messages("result", &first, step, &w, message);
    w = bq_writer(message, sizeof message);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        bq_wire_put(&w, &plain[i]);
    save_messages("all", &first, step, &w, message);
    w = bq_writer(message, sizeof message);
    for (size_t i = 0; i < sizeof again / sizeof *again; i++)
        bq_wire_put(&w, &again[i]);
    save_messages("resumed-lost-and-back", &first, step, &w, message);
}

static void make_report(const char *name, uint64_t wait_ns, uint64_t bytes)
{
    unsigned char message[6000];
    struct bq_cook_report *cooks = bq_alloc(2, sizeof *cooks);
    struct bq_kitchen_report k = {.rank = 1,
                                  .host = "node-1",
                                  .n_cooks = 2,
                                  .n_cores = 2,
                                  .n_chunks = 10,
                                  .bytes_in = bytes,
                                  .wait_ns = wait_ns,
                                  .cooks = cooks,
                                  .warning = "a warning"};
    MUST(cooks);
    for (uint64_t i = 0; i < 2; i++) {
        bq_track_init(&cooks[i].track);
        bq_track_add(&cooks[i].track, BQ_COOKING, 0, UINT64_C(9000000) << i, 8000000);
        bq_track_add(&cooks[i].track, BQ_OVEN, 9000000, 20000000, 11000000);
        bq_track_open(&cooks[i].track, 0, 20000000);
        cooks[i].core = (int)i - 1;
        cooks[i].n_chunks = 5;
    }
    struct bq_writer w = bq_writer(message, sizeof message);
    bq_wire_put(&w, &(struct bq_message){.kind = BQ_REPORT, .step = 1});
    bq_wire_put_report(&w, &k);
    save_messages(name, NULL, NULL, &w, message);
    bq_free(cooks);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: make_corpus FOLDER\n");
        return 2;
    }
    folder = argv[1];
    make_codec();
    make_recipes();
    make_messages();
    make_report("report", 30000000, 1 << 20);
    make_report("report-of-much-in-no-time", 1, UINT64_MAX);
    make_left();
    return 0;
}
