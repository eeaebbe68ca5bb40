/* Longer than most: making slots, filling them here, and having them filled by the coordinator are
 * three uses of one private struct. */
#include "run/intake.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "adapters/clock.h"
#include "adapters/errands.h"
#include "adapters/store.h"
#include "adapters/transport.h"
#include "base/heap.h"
#include "run/band.h"

#define MOST_THREADS 32 /* that wait for a slow file */
/* One chunk in progress. */
struct slot {
    struct bq_errand errand; /* first: fetching it in another thread */
    struct bq_intake *intake;
    struct bq_pool *pool;
    unsigned cook, index;
    bool may_leave;
    struct bq_part part; /* of the chunk's window: the one that is fetched */
    unsigned n_parts;
    struct bq_box block; /* the part */
    struct bq_stored stored;
    void *data;     /* the window; part 0 is decoded at its beginning */
    void *strip;    /* wrap: where the other parts are decoded */
    uint64_t asked; /* clock */
    enum bq_fetch got;
    struct bq_error err;
    /* guarded by intake->lock */
    bool is_expected; /* the coordinator is to send it */
    struct slot *next_wanted;
};

struct cook {
    struct bq_decoder decoder;
    double cooking_ns; /* of a chunk, lately */
};

struct bq_intake {
    const struct bq_recipe *recipe;
    struct bq_input *input; /* NULL when served */
    struct bq_input *other; /* handed over: the one of the round before, which will come again */
    uint64_t identity[2];   /* of input */
    struct bq_errands *errands;
    unsigned n_cooks, n_slots;
    struct bq_chunk_cache *cache; /* NULL when no stored chunk is shared by several blocks */
    struct bq_bands *bands;       /* NULL when blocks are not thin */
    struct cook *cooks;
    struct slot *slots;        /* n_cooks * n_slots */
    _Atomic uint64_t fetch_ns; /* served: from wanting to having, lately */
    pthread_mutex_t lock;      /* guards the list of wanted slots, and is_expected */
    struct slot *wanted, **last_wanted;
};

/* -- creation ----------------------------------------------------------------------------- */

/* The coordinator's plan is for the file that it saw; another one here would give wrong numbers. */
static int check_file(const struct bq_recipe *recipe, struct bq_input *input, struct bq_error *err)
{
    const struct bq_input_info *info = bq_input_info(input);
    uint64_t identity[2];
    if (bq_input_identity(input, identity, err) < 0)
        return -1;
    if (info->type == recipe->in_type && info->file_bytes == recipe->file_bytes &&
        memcmp(identity, recipe->identity, sizeof identity) == 0 &&
        info->space.rank == recipe->plan.space.rank &&
        memcmp(info->space.extent, recipe->plan.space.extent,
               (size_t)info->space.rank * sizeof *info->space.extent) == 0)
        return 0;
    return bq_fail(err, BQ_EXIT_FAILED,
                   "%s is not the file that the coordinator sees (size, time, contents or shape "
                   "differ); with `delivery: auto` the coordinator sends its own",
                   recipe->file);
}

static struct bq_input *open_input(const struct bq_recipe *recipe, struct bq_error *err)
{
    struct bq_input *input = recipe->is_handed_over
                                 ? bq_raw_open(recipe->file, &recipe->layout, err)
                                 : bq_input_open(recipe->file, recipe->dataset, err);
    if (input && check_file(recipe, input, err) < 0) {
        bq_input_close(input);
        return NULL;
    }
    return input;
}

/* Room for stored bytes; none where numbers go from the file to their place. */
static size_t slot_room(const struct bq_recipe *recipe, bool is_served)
{
    const struct bq_layout *layout = &recipe->layout;
    enum bq_stored_form form = bq_stored_form(layout);
    bool is_in_place = form == BQ_STORED_NATIVE ||
                       (form == BQ_STORED_DENSE && bq_number_is_native(&layout->number));
    return is_in_place && !is_served
               ? 0
               : bq_stored_room(layout, &recipe->plan, bq_type_size(recipe->in_type));
}

/* Where parts of a window are decoded that come from the other end of the dataset. */
static size_t strip_bytes(const struct bq_recipe *recipe)
{
    const struct bq_plan *plan = &recipe->plan;
    bool wraps = plan->halo.is_any && plan->halo.border == BQ_WRAP;
    return wraps ? (size_t)plan->max_window * bq_type_size(recipe->in_type) : 0;
}

/* Of the whole dataset; the largest number when they are too many to count. */
static uint64_t stored_chunks(const struct bq_layout *layout)
{
    uint64_t n = 1;
    for (int i = 0; i < layout->space.rank; i++) {
        uint64_t c = layout->chunk.extent[i], all = layout->space.extent[i];
        if (__builtin_mul_overflow(n, all / c + (all % c != 0), &n))
            return UINT64_MAX;
    }
    return n;
}

struct bq_intake_memory bq_intake_memory(const struct bq_recipe *recipe, bool is_served,
                                         bool has_plenty)
{
    const struct bq_layout *layout = &recipe->layout;
    struct bq_intake_memory m = {0};
    size_t chunk = bq_stored_form(layout) == BQ_STORED_PIECES ? bq_layout_chunk_bytes(layout) : 0;
    if (!recipe->has_input)
        return m;
    m.slot = slot_room(recipe, is_served) +
             bq_stored_pieces(layout, &recipe->plan) * sizeof(struct bq_piece) +
             sizeof(struct slot);
    m.cook = chunk ? chunk + bq_codec_memory(chunk, &layout->filters) : 0;
    m.row = chunk ? bq_stored_row(layout, &recipe->plan) : 0;
    m.all = chunk && recipe->input_stays && !is_served ? stored_chunks(layout) : 0;
    m.cached = m.row || m.all ? bq_chunk_cache_memory(1, chunk) : 0;
    if (is_served)
        m.fixed = BQ_TRANSPORT_RECEIVING * slot_room(recipe, true);
    m.slot += strip_bytes(recipe);
    m.fixed += is_served ? 0 : recipe->library_bytes;
    if (has_plenty && !is_served) {
        struct bq_bands_memory bands = bq_bands_memory(layout, &recipe->plan);
        m.cook += bands.cook;
        m.fixed += bands.fixed;
    }
    return m;
}

int bq_intake_prepare(struct bq_intake *t, unsigned n_cooks, unsigned n_slots, unsigned n_cached,
                      bool keeps_all, bool has_plenty, struct bq_error *err)
{
    const bool is_served = !t->input;
    const struct bq_layout *layout = &t->recipe->layout;
    size_t chunk = bq_stored_form(layout) == BQ_STORED_PIECES ? bq_layout_chunk_bytes(layout) : 0;
    size_t room = slot_room(t->recipe, is_served), strip = strip_bytes(t->recipe);
    uint64_t n_pieces = bq_stored_pieces(layout, &t->recipe->plan);
    t->n_cooks = n_cooks;
    t->n_slots = n_slots;
    t->cooks = bq_alloc(t->n_cooks, sizeof *t->cooks);
    t->slots = bq_alloc((size_t)t->n_cooks * t->n_slots, sizeof *t->slots);
    if (!t->cooks || !t->slots)
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory for the input");
    if (n_cached && !(t->cache = bq_chunk_cache_create(n_cached, chunk)))
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory for the input");
    if (has_plenty && !is_served && bq_bands_memory(layout, &t->recipe->plan).cook) {
        t->bands = bq_bands_create(t->input, layout, &t->recipe->plan, n_cooks);
        if (!t->bands)
            return bq_fail(err, BQ_EXIT_FAILED, "out of memory for the input");
    }
    for (unsigned c = 0; c < t->n_cooks && chunk; c++) {
        struct bq_decoder *decoder = &t->cooks[c].decoder;
        decoder->cache = t->cache;
        decoder->is_kept = t->recipe->plan.halo.is_any || keeps_all;
        decoder->scratch = bq_room(1, chunk);
        if (!decoder->scratch || !(decoder->codec = bq_codec_create(chunk, err)))
            return bq_fail(err, BQ_EXIT_FAILED, "out of memory for the input");
    }
    for (unsigned i = 0; i < t->n_cooks * t->n_slots; i++) {
        struct slot *slot = &t->slots[i];
        slot->intake = t;
        slot->cook = i / t->n_slots;
        slot->index = i % t->n_slots;
        slot->stored.room = room;
        slot->stored.bytes = room ? bq_room(1, room) : NULL;
        slot->stored.pieces = n_pieces ? bq_alloc(n_pieces, sizeof(struct bq_piece)) : NULL;
        slot->strip = strip ? bq_room(1, strip) : NULL;
        if ((room && !slot->stored.bytes) || (n_pieces && !slot->stored.pieces) ||
            (strip && !slot->strip))
            return bq_fail(err, BQ_EXIT_FAILED, "out of memory for the input");
    }
    unsigned most = t->n_cooks * t->n_slots;
    t->errands =
        is_served ? NULL : bq_errands_create(most < MOST_THREADS ? most : MOST_THREADS, err);
    return is_served || t->errands ? 0 : -1;
}

struct bq_intake *bq_intake_create(const struct bq_recipe *recipe, struct bq_error *err)
{
    struct bq_intake *t = bq_alloc(1, sizeof *t);
    if (!t) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return NULL;
    }
    t->recipe = recipe;
    t->last_wanted = &t->wanted;
    pthread_mutex_init(&t->lock, NULL);
    bool must_see = recipe->delivery == BQ_DELIVERY_SHARED;
    memcpy(t->identity, recipe->identity, sizeof t->identity);
    if (recipe->delivery != BQ_DELIVERY_COORDINATOR)
        t->input = open_input(recipe, must_see ? err : NULL);
    if (!t->input && must_see) {
        bq_intake_destroy(t);
        return NULL;
    }
    return t;
}

/* Steps of a loop hand over in two files by turns. */
static struct bq_input *open_again(struct bq_intake *t)
{
    struct bq_input *before = t->input;
    if (!t->recipe->is_handed_over) {
        bool is_same = memcmp(t->identity, t->recipe->identity, sizeof t->identity) == 0;
        return is_same && bq_input_check_unchanged(before, NULL) == 0 ? before : NULL;
    }
    if (bq_raw_is(before, t->recipe->file))
        return before;
    t->input = t->other;
    t->other = before;
    if (t->input && bq_raw_is(t->input, t->recipe->file))
        return t->input;
    bq_input_close(t->input);
    t->input = NULL;
    return open_input(t->recipe, NULL);
}

bool bq_intake_again(struct bq_intake *t)
{
    bool has_copies = t->cache || t->bands; /* of what was read */
    if (!t->input || (has_copies && t->recipe->is_handed_over))
        return false;
    struct bq_input *input = open_again(t);
    if (!input)
        return false;
    t->input = input;
    memcpy(t->identity, t->recipe->identity, sizeof t->identity);
    return true;
}

bool bq_intake_is_served(const struct bq_intake *t)
{
    return !t->input;
}

void bq_intake_stop(struct bq_intake *t)
{
    if (t && t->errands)
        bq_errands_stop(t->errands);
}

void bq_intake_destroy(struct bq_intake *t)
{
    if (!t)
        return;
    bq_errands_destroy(t->errands);
    for (unsigned c = 0; t->cooks && c < t->n_cooks; c++) {
        bq_codec_destroy(t->cooks[c].decoder.codec);
        bq_free(t->cooks[c].decoder.scratch);
    }
    for (unsigned i = 0; t->slots && i < t->n_cooks * t->n_slots; i++) {
        bq_free(t->slots[i].stored.bytes);
        bq_free(t->slots[i].stored.pieces);
        bq_free(t->slots[i].strip);
    }
    bq_free(t->cooks);
    bq_free(t->slots);
    bq_chunk_cache_destroy(t->cache);
    bq_bands_destroy(t->bands);
    bq_input_close(t->input);
    bq_input_close(t->other);
    pthread_mutex_destroy(&t->lock);
    bq_free(t);
}

/* -- fetching ----------------------------------------------------------------------------- */

static void *target(const struct slot *slot)
{
    return slot->part.number == 0 ? slot->data : slot->strip;
}

static void fetch_and_wait(struct bq_errand *errand)
{
    struct slot *slot = (struct slot *)errand;
    slot->got = bq_input_fetch(slot->intake->input, &slot->block, true, &slot->stored, target(slot),
                               &slot->err);
    bq_pool_ready(slot->pool, slot->cook, slot->index);
}

/* Enough chunks under way that one is ready whenever the cook is. */
static void look_ahead(struct bq_intake *t, struct bq_unit *unit)
{
    if (t->recipe->open > 1)
        return; /* the job says how many */
    double cooking = t->cooks[unit->cook].cooking_ns;
    double fetching = (double)(t->input ? bq_input_latency(t->input) : atomic_load(&t->fetch_ns));
    double n = fetching > 0 && cooking > 0 ? fetching / cooking + 2 : t->n_slots;
    bq_pool_keep_open(unit, n < t->n_slots ? (unsigned)n : t->n_slots, true);
}

/* What was fetched becomes numbers, in their place in the window. */
static enum bq_intake_answer decode(struct bq_intake *t, struct slot *slot, struct bq_error *err)
{
    const struct bq_recipe *recipe = t->recipe;
    size_t size = bq_type_size(recipe->in_type);
    if (bq_stored_decode(&recipe->layout, &slot->block, &slot->stored,
                         &t->cooks[slot->cook].decoder, target(slot), err) < 0) {
        bq_fail_in(err, "%s:%s", recipe->file, recipe->dataset);
        return BQ_INTAKE_FAILED;
    }
    if (!recipe->plan.halo.is_any)
        return BQ_INTAKE_HERE;
    if (slot->part.number == 0)
        bq_window_spread(&recipe->plan, slot->part.chunk, size, slot->data);
    else
        bq_window_put(&recipe->plan, slot->part.chunk, slot->part.number, size, slot->strip,
                      slot->data);
    if (slot->part.number + 1 == slot->n_parts)
        bq_window_border(&recipe->plan, slot->part.chunk, size, slot->data);
    return BQ_INTAKE_HERE;
}

static enum bq_intake_answer want(struct bq_intake *t, struct bq_unit *unit, struct slot *slot)
{
    pthread_mutex_lock(&t->lock);
    slot->next_wanted = NULL;
    *t->last_wanted = slot;
    t->last_wanted = &slot->next_wanted;
    pthread_mutex_unlock(&t->lock);
    look_ahead(t, unit);
    bq_pool_call_manager(unit->pool);
    return BQ_INTAKE_LATER;
}

/* One part: fetched and decoded, or on its way. */
static enum bq_intake_answer take_part(struct bq_intake *t, struct bq_unit *unit, struct slot *slot,
                                       struct bq_error *err)
{
    uint64_t at[BQ_MAX_RANK];
    bq_window_part(&t->recipe->plan, slot->part.chunk, slot->part.number, &slot->block, at);
    slot->asked = bq_now();
    slot->err.text[0] = 0;
    if (!t->input)
        return want(t, unit, slot);
    bq_meter_enter(unit->meter, BQ_PHASE_FILE);
    if (t->bands && bq_bands_take(t->bands, slot->part.chunk, &slot->block, slot->data)) {
        bq_meter_enter(unit->meter, BQ_PHASE_BUSY);
        if (slot->may_leave)
            bq_pool_keep_open(unit, t->n_slots, false);
        return BQ_INTAKE_HERE;
    }
    slot->got =
        bq_input_fetch(t->input, &slot->block, !slot->may_leave, &slot->stored, target(slot), err);
    bq_meter_enter(unit->meter, BQ_PHASE_BUSY);
    if (slot->got == BQ_FETCH_WOULD_WAIT) {
        look_ahead(t, unit);
        slot->errand.run = fetch_and_wait;
        bq_errands_add(t->errands, &slot->errand);
        return BQ_INTAKE_LATER;
    }
    if (slot->may_leave)
        bq_pool_keep_open(unit, t->n_slots, false); /* the file is fast: one after the other */
    return slot->got == BQ_FETCHED ? decode(t, slot, err) : BQ_INTAKE_FAILED;
}

/* The parts from slot->part on. */
static enum bq_intake_answer take_parts(struct bq_intake *t, struct bq_unit *unit,
                                        struct slot *slot, struct bq_error *err)
{
    enum bq_intake_answer answer = BQ_INTAKE_HERE;
    for (; answer == BQ_INTAKE_HERE && slot->part.number < slot->n_parts; slot->part.number++) {
        answer = take_part(t, unit, slot, err);
        if (answer == BQ_INTAKE_LATER)
            break; /* finish goes on with this one */
    }
    return answer;
}

enum bq_intake_answer bq_intake_begin(struct bq_intake *t, struct bq_unit *unit, uint64_t chunk,
                                      void *data, bool may_leave, struct bq_error *err)
{
    struct slot *slot = &t->slots[unit->cook * t->n_slots + unit->slot];
    slot->part = (struct bq_part){.chunk = chunk};
    slot->n_parts = bq_window_parts(&t->recipe->plan, chunk);
    slot->data = data;
    slot->pool = unit->pool;
    slot->may_leave = may_leave && t->n_slots > 1;
    return take_parts(t, unit, slot, err);
}

enum bq_intake_answer bq_intake_finish(struct bq_intake *t, struct bq_unit *unit,
                                       struct bq_error *err)
{
    struct slot *slot = &t->slots[unit->cook * t->n_slots + unit->slot];
    if (slot->got != BQ_FETCHED) {
        *err = slot->err;
        return BQ_INTAKE_FAILED;
    }
    if (decode(t, slot, err) == BQ_INTAKE_FAILED)
        return BQ_INTAKE_FAILED;
    slot->part.number++;
    return take_parts(t, unit, slot, err);
}

void bq_intake_cooked(struct bq_intake *t, unsigned cook, uint64_t took_ns)
{
    double *mean = &t->cooks[cook].cooking_ns;
    *mean = *mean > 0 ? *mean + ((double)took_ns - *mean) / 8 : (double)took_ns;
}

/* -- served by the coordinator ------------------------------------------------------------ */

bool bq_intake_wanted(struct bq_intake *t, struct bq_part *part)
{
    if (!t || t->input)
        return false;
    pthread_mutex_lock(&t->lock);
    struct slot *slot = t->wanted;
    if (slot) {
        t->wanted = slot->next_wanted;
        if (!t->wanted)
            t->last_wanted = &t->wanted;
        slot->is_expected = true;
        *part = slot->part;
    }
    pthread_mutex_unlock(&t->lock);
    return slot != NULL;
}

void bq_intake_supply(struct bq_intake *t, struct bq_part part, struct bq_reader *rest,
                      const char *why)
{
    struct slot *slot = NULL;
    if (!t || t->input)
        return;
    pthread_mutex_lock(&t->lock);
    for (unsigned i = 0; i < t->n_cooks * t->n_slots && !slot; i++) {
        const struct bq_part *expected = &t->slots[i].part;
        if (t->slots[i].is_expected && expected->chunk == part.chunk &&
            expected->number == part.number)
            slot = &t->slots[i];
    }
    if (slot)
        slot->is_expected = false;
    pthread_mutex_unlock(&t->lock);
    if (!slot)
        return;
    slot->got = BQ_FETCHED;
    if (why || bq_stored_get(rest, &t->recipe->layout, &slot->block,
                             bq_type_size(t->recipe->in_type), &slot->stored) < 0) {
        slot->got = BQ_FETCH_FAILED;
        bq_fail(&slot->err, BQ_EXIT_FAILED, "%s",
                why ? why : "the stored bytes from the coordinator do not fit the chunk");
    }
    uint64_t took = bq_now() - slot->asked, mean = atomic_load(&t->fetch_ns);
    atomic_store(&t->fetch_ns, mean ? mean - mean / 8 + took / 8 : took);
    bq_pool_ready(slot->pool, slot->cook, slot->index);
}
