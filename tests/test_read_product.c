/* What is read is bit-equal to what H5Dread gives: a product over types, filters, layouts, shapes
 * and cuts, against files that the HDF5 library made. And each combination takes the way it should,
 * so that nothing falls back to the library unseen.
 *
 * In full over type x filters x chunk index, on one small shape; drawn by lot over everything else.
 */
#include "adapters/chunk_cache.h"
#include "product_kit.h"

/* -- reading and comparing ------------------------------------------------------------------ */

static struct {
    uint64_t datasets, blocks, at_once, waited, in_place, by_library, spoiled;
} tally;

struct check {
    const struct recipe *recipe;
    struct bq_input *input;
    const char *truth;         /* all of it, from H5Dread */
    size_t native;             /* bytes of an element */
    struct bq_decoder decoder; /* with a cache that is too small */
};

/* Buffers of exactly the sizes that are promised to be enough, for AddressSanitizer. */
struct buffers {
    struct bq_stored stored, sent;
    char *data, *want;
};

static void buffers_make(struct buffers *b, const struct check *check, const struct bq_plan *plan)
{
    const struct bq_layout *layout = bq_input_layout(check->input);
    size_t room = bq_stored_room(layout, plan, check->native);
    uint64_t pieces = bq_stored_pieces(layout, plan);
    *b = (struct buffers){.stored = {.bytes = malloc(room),
                                     .room = room,
                                     .pieces = calloc(pieces, sizeof(struct bq_piece))},
                          .sent = {.bytes = malloc(room),
                                   .room = room,
                                   .pieces = calloc(pieces, sizeof(struct bq_piece))},
                          .data = malloc((size_t)plan->max_elements * check->native),
                          .want = malloc((size_t)plan->max_elements * check->native)};
}

static void buffers_free(struct buffers *b)
{
    free(b->stored.bytes);
    free(b->stored.pieces);
    free(b->sent.bytes);
    free(b->sent.pieces);
    free(b->data);
    free(b->want);
}

/* As the coordinator sends it to a kitchen that cannot see the file. */
static bool send(const struct check *check, const struct bq_box *block, struct buffers *b)
{
    const struct bq_layout *layout = bq_input_layout(check->input);
    size_t head = bq_stored_head_size(b->stored.n_pieces), size = head + b->stored.n;
    unsigned char *bytes = malloc(size);
    struct bq_writer w = bq_writer(bytes, head);
    bq_stored_put(&w, &b->stored);
    memcpy(bytes + head, b->stored.bytes, b->stored.n);
    struct bq_reader r = bq_reader(bytes, size);
    b->sent.is_in_place = true; /* of an earlier chunk, perhaps */
    bool is_good = w.at == bytes + head &&
                   bq_stored_get(&r, layout, block, check->native, &b->sent) == 0 && r.at == r.end;
    free(bytes);
    return is_good;
}

/* A way: a bit for each thing that must not matter. */
enum { MAY_WAIT = 1, HAS_DATA = 2, WAS_IN_PLACE = 4, NO_CACHE = 8, LIBRARY = 16 };

/* Fetches and decodes a block. */
static const char *fetch(const struct check *check, const struct bq_box *block, struct buffers *b,
                         unsigned way, struct bq_error *err)
{
    const struct bq_layout *layout = bq_input_layout(check->input);
    const bool may_wait = way & MAY_WAIT, has_data = way & HAS_DATA;
    b->stored.is_in_place = way & WAS_IN_PLACE; /* whatever was there before */
    enum bq_fetch got =
        bq_input_fetch(check->input, block, may_wait, &b->stored, has_data ? b->data : NULL, err);
    if (got == BQ_FETCH_WOULD_WAIT && !may_wait) {
        tally.waited++;
        got = bq_input_fetch(check->input, block, true, &b->stored, has_data ? b->data : NULL, err);
    } else {
        tally.at_once += !may_wait;
    }
    if (got != BQ_FETCHED)
        return err->text;
    bool wants_in_place =
        has_data && b->stored.form != BQ_STORED_PIECES &&
        (b->stored.form == BQ_STORED_NATIVE || bq_number_is_native(&layout->number));
    if (b->stored.form != bq_stored_form(layout) || b->stored.is_in_place != wants_in_place)
        return "has another form than expected";
    tally.in_place += b->stored.is_in_place;
    if (!has_data && !send(check, block, b))
        return "does not survive a message";
    struct bq_decoder decoder = check->decoder;
    if (way & NO_CACHE)
        decoder.cache = NULL;
    if (bq_stored_decode(layout, block, has_data ? &b->stored : &b->sent, &decoder, b->data, err) !=
        0)
        return err->text;
    return NULL;
}

static bool check_block(const struct check *check, const struct bq_box *block, struct buffers *b,
                        unsigned way)
{
    const struct bq_input_info *info = bq_input_info(check->input);
    struct bq_error err = {.text = ""};
    size_t n = (size_t)bq_box_elements(block) * check->native;
    copy_block(&info->space, block->offset, block->extent, check->native,
               (char *)(uintptr_t)check->truth, b->want, false);
    memset(b->data, 0xa5, n); /* the chunk before */
    const char *why = NULL;
    if (way == LIBRARY) {
        if (bq_input_read(check->input, block->offset, block->extent, b->data, &err) != 0)
            why = err.text;
    } else {
        why = fetch(check, block, b, way, &err);
    }
    if (!why && memcmp(b->data, b->want, n) != 0)
        why = way == LIBRARY ? "read by the library is wrong" : "fetched and decoded is wrong";
    if (why)
        complain(check->recipe, why, block);
    tally.blocks++;
    return !why;
}

/* Some or all blocks of one cut. */
static bool check_cut(const struct check *check, const uint64_t *cut, uint64_t most)
{
    static unsigned turn;
    struct bq_plan plan;
    struct buffers b;
    bool is_good = bq_plan_make(&plan, &bq_input_info(check->input)->space, cut, NULL) == 0;
    buffers_make(&b, check, &plan);
    uint64_t n = plan.n_chunks < most ? plan.n_chunks : most;
    for (uint64_t i = 0; i < n && is_good; i++) {
        struct bq_box block = {.rank = plan.space.rank};
        uint64_t chunk = n < plan.n_chunks ? random_below(plan.n_chunks) : i;
        bq_plan_chunk(&plan, chunk, block.offset, block.extent);
        is_good = check_block(check, &block, &b, turn++ % LIBRARY);
        if (turn % 11 == 0)
            is_good &= check_block(check, &block, &b, LIBRARY);
    }
    buffers_free(&b);
    return is_good;
}

static bool check_cuts(const struct check *check)
{
    const struct bq_input_info *info = bq_input_info(check->input);
    const struct bq_space *space = &info->space;
    /* The blocks are the stored chunks, unions of them, cut them, are elements, are everything. */
    enum { CUTS = 6 };
    uint64_t cut[CUTS][BQ_MAX_RANK] = {{0}};
    const uint64_t most[CUTS] = {9, 6, 9, 9, 3, 1};
    for (int i = 0; i < space->rank; i++) {
        uint64_t extent = space->extent[i] ? space->extent[i] : 1;
        uint64_t stored = info->chunk.rank ? info->chunk.extent[i] : 1 + random_below(extent);
        cut[0][i] = stored;
        cut[1][i] = stored * (1 + random_below(3));
        cut[2][i] = 1 + (stored * 3 / 2 + (uint64_t)i) % (extent + 1);
        cut[3][i] = 1 + random_below(extent);
        cut[4][i] = 1;
        cut[5][i] = extent;
    }
    bool is_good = true;
    bool is_slow = bq_input_layout(check->input)->storage == BQ_STORAGE_OTHER;
    for (int i = 0; i < CUTS; i++)
        is_good &= check_cut(check, cut[i], is_slow ? 2 : most[i]);
    return is_good;
}

/* Why the library has to read it; "": it has not. */
static const char *expected_reason(const struct recipe *recipe)
{
    switch (recipe->place) {
    case COMPACT:
        return "its layout is compact";
    case VIRTUAL:
        return "its layout is virtual";
    case EXTERNAL:
        return "it lies in external files";
    case CHUNKED:
    case CONTIGUOUS:
    case UNWRITTEN:
    case N_PLACES:
        break;
    }
    bool is_there =
        n_elements(&recipe->space) > 0 && (recipe->place != UNWRITTEN || recipe->is_early);
    return !recipe->kind->is_plain    ? "its numbers are of an unusual form"
           : recipe->place == CHUNKED ? recipe->chain->by_library
           : is_there                 ? ""
                                      : "nothing of it was written";
}

static bool check_way(const struct recipe *recipe, struct bq_input *input)
{
    const struct bq_input_info *info = bq_input_info(input);
    const struct bq_layout *layout = bq_input_layout(input);
    const char *reason = expected_reason(recipe);
    enum bq_storage storage = reason[0]                  ? BQ_STORAGE_OTHER
                              : recipe->place == CHUNKED ? BQ_STORAGE_CHUNKED
                                                         : BQ_STORAGE_CONTIGUOUS;
    bool is_good = layout->storage == storage && info->type == recipe->kind->native &&
                   (reason[0] ? strncmp(info->by_library, reason, strlen(reason)) == 0
                              : info->by_library[0] == 0);
    if (!is_good)
        complain(recipe, info->by_library[0] ? info->by_library : "takes another way", NULL);
    tally.by_library += storage == BQ_STORAGE_OTHER;
    return is_good;
}

/* file: as any program opens it. */
static bool check_dataset(const struct recipe *recipe, hid_t file, const char *path)
{
    struct bq_error err = {.text = ""};
    size_t native = bq_type_size(recipe->kind->native);
    uint64_t n = recipe->is_scalar ? 1 : n_elements(&recipe->space);
    char *truth = calloc((size_t)n + 1, native);
    hid_t dataset = H5Dopen2(file, recipe->name, H5P_DEFAULT);
    herr_t rc =
        H5Dread(dataset, native_of(recipe->kind->native), H5S_ALL, H5S_ALL, H5P_DEFAULT, truth);
    H5Dclose(dataset);
    tally.datasets++;
    /* HDF5 1.10 spoils chunks that are at the edge no more when a filter is skipped there. */
    if (rc < 0 && recipe->first.rank && recipe->has_raw_edges) {
        tally.spoiled++;
        free(truth);
        return true;
    }
    struct bq_input *input = bq_input_open(path, recipe->name, &err);
    bool is_good = rc >= 0 && input;
    if (!is_good)
        complain(recipe, rc < 0 ? "H5Dread fails" : err.text, NULL);
    if (input) {
        size_t chunk = bq_layout_chunk_bytes(bq_input_layout(input));
        struct check check = {.recipe = recipe,
                              .input = input,
                              .truth = truth,
                              .native = native,
                              .decoder = {.codec = bq_codec_create(chunk, NULL),
                                          .scratch = malloc(chunk),
                                          .cache = bq_chunk_cache_create(2, chunk)}};
        is_good = check_way(recipe, input) && check_cuts(&check) && is_good;
        if (bq_input_check_unchanged(input, &err) != 0) {
            complain(recipe, err.text, NULL);
            is_good = false;
        }
        bq_chunk_cache_destroy(check.decoder.cache);
        free(check.decoder.scratch);
        bq_codec_destroy(check.decoder.codec);
    }
    bq_input_close(input);
    free(truth);
    return is_good;
}

static void show_tally(void)
{
    printf("%llu datasets, %llu by the library; %llu blocks, %llu in place, %llu at once, "
           "%llu had to wait, %llu spoiled by HDF5 ",
           (unsigned long long)tally.datasets, (unsigned long long)tally.by_library,
           (unsigned long long)tally.blocks, (unsigned long long)tally.in_place,
           (unsigned long long)tally.at_once, (unsigned long long)tally.waited,
           (unsigned long long)tally.spoiled);
    memset(&tally, 0, sizeof tally);
}

/* -- the product -------------------------------------------------------------------------- */

static const struct {
    const char *name;
    H5D_chunk_index_t index;
    bool is_latest;
} indexes[] = {
    {"v1 B-tree", H5D_CHUNK_IDX_BTREE, false},        {"single chunk", H5D_CHUNK_IDX_SINGLE, true},
    {"implicit", H5D_CHUNK_IDX_NONE, true},           {"fixed array", H5D_CHUNK_IDX_FARRAY, true},
    {"extensible array", H5D_CHUNK_IDX_EARRAY, true}, {"v2 B-tree", H5D_CHUNK_IDX_BT2, true},
};
enum { N_INDEXES = sizeof indexes / sizeof *indexes };

/* 13 x 11 in chunks of 5 x 4: clipped at both edges. What does not matter here is drawn by lot. */
static struct recipe in_product(const struct kind *kind, const struct chain *chain, unsigned index)
{
    struct recipe recipe = {.kind = kind,
                            .chain = chain,
                            .space = {2, {13, 11}},
                            .chunk = {2, {5, 4}},
                            .most = {2, {13, 11}},
                            .fill = random_below(2) ? FILL_STANDARD : FILL_USER,
                            .is_early = indexes[index].index == H5D_CHUNK_IDX_NONE,
                            .has_raw_edges = indexes[index].is_latest && random_below(4) == 0,
                            .has_holes = random_below(3) == 0};
    if (indexes[index].index == H5D_CHUNK_IDX_SINGLE)
        recipe.chunk = recipe.space;
    if (indexes[index].index == H5D_CHUNK_IDX_EARRAY)
        recipe.most.extent[random_below(2)] = UINT64_MAX;
    if (indexes[index].index == H5D_CHUNK_IDX_BT2)
        recipe.most.extent[0] = recipe.most.extent[1] = UINT64_MAX;
    snprintf(recipe.name, sizeof recipe.name, "%s, %s, %s", kind->name, chain->name,
             indexes[index].name);
    return recipe;
}

static bool check_index(hid_t file, const struct recipe *recipe, unsigned index)
{
    bool is_right = true;
    H5D_chunk_index_t is = H5D_CHUNK_IDX_NTYPES;
    hid_t dataset = H5Dopen2(file, recipe->name, H5P_DEFAULT);
    if (H5Dget_chunk_index_type(dataset, &is) < 0 || is != indexes[index].index) {
        complain(recipe, "has another chunk index than this test thinks", NULL);
        is_right = false;
    }
    H5Dclose(dataset);
    return is_right;
}

static void check_kind(const struct kind *kind, bool is_latest, unsigned *n_refused)
{
    static struct recipe recipes[N_CHAINS * N_INDEXES];
    static unsigned of[N_CHAINS * N_INDEXES];
    const char *path = in_folder("product.h5");
    unsigned n = 0, n_wrong = 0;
    hid_t file = create_file(path, is_latest, 0, false);
    for (unsigned c = 0; c < N_CHAINS; c++) {
        for (unsigned i = 0; i < N_INDEXES && is_installed(&chains[c]); i++) {
            if (indexes[i].is_latest != is_latest ||
                (indexes[i].index == H5D_CHUNK_IDX_NONE && c > 0))
                continue;
            recipes[n] = in_product(kind, &chains[c], i);
            of[n] = i;
            if (make_dataset(&recipes[n], file))
                n++;
            else if (chains[c].by_library[0])
                ++*n_refused;
            else
                CU_FAIL("a dataset cannot be made");
        }
    }
    H5Fclose(file);
    file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    for (unsigned k = 0; k < n; k++) {
        n_wrong +=
            !check_index(file, &recipes[k], of[k]) || !check_dataset(&recipes[k], file, path);
    }
    H5Fclose(file);
    CU_ASSERT_EQUAL(n_wrong, 0);
}

static void every_type_through_every_filter_and_chunk_index(void)
{
    unsigned n_refused = 0;
    random_start(11);
    n_messages = 0;
    for (unsigned k = 0; k < n_kinds; k++) {
        check_kind(&kinds[k], false, &n_refused);
        check_kind(&kinds[k], true, &n_refused);
    }
    for (unsigned c = 0; c < N_CHAINS; c++) {
        if (!is_installed(&chains[c]))
            printf("(SKIPPED %s: not installed) ", chains[c].name);
    }
    printf("(%u that HDF5 does not make) ", n_refused);
    show_tally();
}

/* -- by lot -------------------------------------------------------------------------------- */

static void draw_shape(struct recipe *recipe)
{
    static const uint64_t primes[] = {2, 3, 5, 7, 11, 13, 17, 31, 67, 131};
    uint64_t left = MOST_DATA;
    int rank = 1 + (int)random_below(5);
    recipe->space.rank = recipe->chunk.rank = recipe->most.rank = rank;
    for (int i = 0; i < rank; i++) {
        uint64_t extent = primes[random_below(rank < 3 ? 10 : 6)];
        extent = extent > left ? 1 : extent;
        left /= extent;
        recipe->space.extent[i] = recipe->most.extent[i] = extent;
        /* Small chunks, one, or a chunk that reaches beyond the dataset. */
        uint64_t chunk = random_below(8) ? 1 + random_below(extent) : extent + random_below(4);
        recipe->chunk.extent[i] = chunk;
        if (chunk > extent)
            recipe->most.extent[i] = random_below(2) ? UINT64_MAX : chunk;
        else if (random_below(4) == 0)
            recipe->most.extent[i] = random_below(2) ? UINT64_MAX : 2 * extent;
    }
    if (random_below(40) == 0)
        recipe->space.extent[random_below((uint64_t)rank)] = 0;
}

static void draw_growth(struct recipe *recipe)
{
    recipe->first = recipe->space;
    bool can_grow = false;
    for (int i = 0; i < recipe->space.rank; i++) {
        can_grow |= recipe->most.extent[i] > recipe->space.extent[i];
        recipe->first.extent[i] = 1 + random_below(recipe->space.extent[i]);
    }
    if (!can_grow)
        recipe->first.rank = 0;
}

static struct recipe draw(bool is_latest)
{
    static const enum place lots[] = {CHUNKED,    CHUNKED,   CHUNKED, CHUNKED,  CHUNKED, CHUNKED,
                                      CONTIGUOUS, UNWRITTEN, COMPACT, EXTERNAL, VIRTUAL};
    struct recipe recipe = {.kind = &kinds[random_below(n_kinds)],
                            .chain = &chains[random_below(N_CHAINS)],
                            .place = lots[random_below(sizeof lots / sizeof *lots)],
                            .fill = (enum fill)random_below(N_FILLS),
                            .is_early = random_below(5) == 0,
                            .has_raw_edges = is_latest && random_below(3) == 0};
    draw_shape(&recipe);
    if (!recipe.kind->is_plain && random_below(2))
        recipe.kind = &kinds[random_below(2 * 4 * 4)];
    if (recipe.chain->by_library[0] && random_below(2))
        recipe.chain = &chains[random_below(8)];
    if (!is_installed(recipe.chain) || recipe.place == VIRTUAL)
        recipe.chain = &chains[0];
    bool is_empty = n_elements(&recipe.space) == 0;
    if (recipe.place != CHUNKED && recipe.place != VIRTUAL && random_below(10) == 0) {
        recipe.is_scalar = true;
        recipe.space = (struct bq_space){1, {1}};
    }
    if (is_empty && (recipe.place == VIRTUAL || recipe.place == EXTERNAL))
        recipe.place = CONTIGUOUS;
    if (recipe.place == COMPACT &&
        n_elements(&recipe.space) * H5Tget_size(recipe.kind->stored) > MOST_COMPACT)
        recipe.place = CONTIGUOUS;
    if (recipe.place == EXTERNAL || recipe.place == COMPACT) /* HDF5: never early; always early */
        recipe.is_early = false;
    recipe.has_holes =
        !is_empty && !recipe.is_scalar && recipe.place != VIRTUAL && random_below(3) == 0;
    /* Of what was allocated and never filled nobody knows what it holds. */
    if (recipe.fill == FILL_USER_NEVER || recipe.fill == FILL_NEVER ||
        recipe.fill == FILL_UNDEFINED)
        recipe.is_early = false;
    /* H5Dread fails where there is neither space nor a value for it. */
    if (recipe.place == UNWRITTEN && recipe.fill == FILL_UNDEFINED)
        recipe.fill = FILL_NEVER;
    if (recipe.place == CHUNKED && !is_empty && random_below(3) == 0)
        draw_growth(&recipe);
    snprintf(recipe.name, sizeof recipe.name, "%s, %s", recipe.kind->name, recipe.chain->name);
    return recipe;
}

static bool is_unlimited(const struct bq_space *most)
{
    bool is = false;
    for (int i = 0; i < most->rank; i++)
        is |= most->extent[i] == UINT64_MAX;
    return is;
}

static void whatever_the_lot_says(void)
{
    const char *given = getenv("BANQUET_CASES");
    unsigned n = given ? (unsigned)strtoul(given, NULL, 0) : 1000, n_wrong = 0;
    random_start(12);
    n_messages = 0;
    for (unsigned i = 0; i < n; i++) {
        static const hsize_t user_block[] = {0, 0, 512, 2048};
        bool is_latest = random_below(2);
        struct recipe recipe = draw(is_latest);
        const char *path = in_folder("lot.h5");
        unlink(in_folder("outside"));
        hid_t file = create_file(path, is_latest, user_block[random_below(4)],
                                 !is_unlimited(&recipe.most) && random_below(4) == 0);
        bool is_there = make_dataset(&recipe, file);
        H5Fclose(file);
        if (!is_there && !recipe.chain->by_library[0]) {
            complain(&recipe, "cannot be made", NULL);
            CU_FAIL("cannot be made");
        }
        if (!is_there)
            continue;
        file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
        n_wrong += !check_dataset(&recipe, file, path);
        H5Fclose(file);
    }
    CU_ASSERT_EQUAL(n_wrong, 0);
    show_tally();
}

/* -- filters that were skipped ---------------------------------------------------------------- */

/* One stored chunk, through the filters that the mask leaves. */
static void place_chunk(hid_t dataset, const struct bq_filters *filters, const hsize_t *offset,
                        const void *raw, size_t size, struct bq_codec *codec)
{
    uint32_t skipped = (uint32_t)random_below(1u << filters->n), mask = skipped, also;
    struct bq_filters rest = {0};
    unsigned at[BQ_MAX_FILTERS];
    size_t n, room = bq_codec_bound(filters, size);
    unsigned char *bytes = malloc(room);
    for (unsigned i = 0; i < filters->n; i++) {
        at[rest.n] = i;
        if (!(skipped >> i & 1))
            rest.list[rest.n++] = filters->list[i];
    }
    CU_ASSERT(bq_codec_encode(codec, &rest, raw, size, bytes, room, &n, &also, NULL) == 0);
    for (unsigned i = 0; i < rest.n; i++)
        mask |= (also >> i & 1) << at[i];
    CU_ASSERT(H5Dwrite_chunk(dataset, H5P_DEFAULT, mask, offset, n, bytes) >= 0);
    free(bytes);
}

static void place_chunks(const struct recipe *recipe, hid_t file, const struct bq_filters *filters)
{
    size_t size = n_elements(&recipe->chunk) * H5Tget_size(recipe->kind->stored);
    unsigned char *raw = malloc(size);
    struct bq_codec *codec = bq_codec_create(size, NULL);
    hid_t dataset = H5Dopen2(file, recipe->name, H5P_DEFAULT);
    for (hsize_t y = 0; y < recipe->space.extent[0]; y += recipe->chunk.extent[0]) {
        for (hsize_t x = 0; x < recipe->space.extent[1]; x += recipe->chunk.extent[1]) {
            fill_raw(recipe->kind, n_elements(&recipe->chunk), raw);
            place_chunk(dataset, filters, (hsize_t[]){y, x}, raw, size, codec);
        }
    }
    H5Dclose(dataset);
    bq_codec_destroy(codec);
    free(raw);
}

static void every_chunk_may_skip_other_filters(void)
{
    unsigned n_wrong = 0;
    random_start(13);
    n_messages = 0;
    for (unsigned c = 1; c < N_CHAINS; c++) {
        for (unsigned i = 0; i < N_INDEXES; i++) {
            const char *path = in_folder("masks.h5");
            struct recipe recipe = in_product(&kinds[random_below(32)], &chains[c], i);
            if (chains[c].by_library[0] || !is_installed(&chains[c]) || recipe.is_early)
                continue;
            recipe.has_holes = recipe.has_raw_edges = false;
            /* H5Dwrite_chunk of HDF5 1.10 forgets the mask when it replaces as many bytes. */
            recipe.is_bare = true;
            hid_t file = create_file(path, indexes[i].is_latest, 0, false);
            CU_ASSERT(make_dataset(&recipe, file));
            H5Fclose(file);
            struct bq_input *input = bq_input_open(path, recipe.name, NULL);
            CU_ASSERT_FATAL(input != NULL);
            struct bq_filters filters = bq_input_layout(input)->filters;
            bq_input_close(input);
            file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
            place_chunks(&recipe, file, &filters);
            H5Fclose(file);
            file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
            n_wrong += !check_dataset(&recipe, file, path);
            H5Fclose(file);
        }
    }
    CU_ASSERT_EQUAL(n_wrong, 0);
    show_tally();
}

/* -- links -------------------------------------------------------------------------------- */

static void a_link_to_another_file_is_followed_to_its_bytes(void)
{
    unsigned n_wrong = 0;
    random_start(14);
    n_messages = 0;
    for (unsigned turn = 0; turn < 12; turn++) {
        struct recipe recipe = in_product(&kinds[random_below(32)], &chains[turn % 4], 0);
        recipe.place = turn < 8 ? CHUNKED : CONTIGUOUS;
        hid_t file = create_file(in_folder("there.h5"), false, turn % 2 ? 512 : 0, false);
        /* So that the same place holds something else here. */
        for (unsigned i = 0; i < 3; i++) {
            struct recipe other = recipe;
            snprintf(other.name, sizeof other.name, "%u", i);
            CU_ASSERT(make_dataset(&other, file));
        }
        CU_ASSERT(make_dataset(&recipe, file));
        H5Fclose(file);
        file = create_file(in_folder("here.h5"), false, 0, false);
        CU_ASSERT(H5Lcreate_external("there.h5", recipe.name, file, recipe.name, H5P_DEFAULT,
                                     H5P_DEFAULT) >= 0);
        for (unsigned i = 0; i < 3; i++) {
            struct recipe other = recipe;
            snprintf(other.name, sizeof other.name, "%u", i);
            CU_ASSERT(make_dataset(&other, file));
        }
        H5Fclose(file);
        file = H5Fopen(in_folder("here.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
        n_wrong += !check_dataset(&recipe, file, in_folder("here.h5"));
        H5Fclose(file);
    }
    CU_ASSERT_EQUAL(n_wrong, 0);
    show_tally();
}

static void nothing_is_left_open(void)
{
    for (unsigned i = 0; i < n_kinds; i++)
        H5Tclose(kinds[i].stored);
    nothing_is_left_open_in_hdf5();
}

int main(void)
{
    const struct test tests[] = {
        {"every type through every filter and chunk index",
         every_type_through_every_filter_and_chunk_index},
        {"whatever the lot says", whatever_the_lot_says},
        {"every chunk may skip other filters", every_chunk_may_skip_other_filters},
        {"a link to another file is followed to its bytes",
         a_link_to_another_file_is_followed_to_its_bytes},
        {"nothing is left open in HDF5", nothing_is_left_open},
    };
    fixture_begin();
    make_kinds();
    int rc = run_tests("read product", tests, sizeof tests / sizeof *tests);
    fixture_end();
    return rc;
}
