#include "run/larder.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "adapters/errands.h"
#include "adapters/memory.h"
#include "base/heap.h"
#include "core/wire.h"

enum { N_THREADS = 4, FEWEST = 4, MOST = 256 };

struct parcel {
    struct bq_parcel parcel; /* first: on its way to a kitchen */
    struct bq_errand errand; /* being read */
    struct bq_larder *larder;
    struct parcel *next;
    unsigned char *room; /* header, then stored bytes */
    struct bq_stored stored;
    uint32_t to;
    struct bq_part part;
    struct bq_box block;
    enum bq_fetch got;
    struct bq_error err;
};

struct asked {
    uint32_t to;
    struct bq_part part;
};

struct bq_larder {
    const struct bq_recipe *recipe;
    struct bq_input *input;
    uint32_t step;
    int bell;
    size_t header;
    struct bq_errands *errands;
    struct parcel *parcels;
    unsigned n_parcels;
    struct asked *line; /* a ring */
    size_t line_room, line_first, line_n;
    pthread_mutex_t lock; /* guards the rest */
    struct parcel *free, *ready;
    unsigned n_lent; /* parcels that the transport has */
};

struct bq_larder *bq_larder_create(const struct bq_recipe *recipe, struct bq_input *input,
                                   uint32_t step, int bell, struct bq_error *err)
{
    struct bq_larder *l = bq_alloc(1, sizeof *l);
    if (!l) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return NULL;
    }
    *l = (struct bq_larder){.recipe = recipe, .input = input, .step = step, .bell = bell};
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

/* With the lock held. */
static void put_back(struct parcel *p)
{
    p->next = p->larder->free;
    p->larder->free = p;
}

/* Any thread. The bell is rung under the lock: once it is free, the larder may be gone. */
static void release(struct bq_parcel *parcel)
{
    struct parcel *p = (struct parcel *)parcel;
    struct bq_larder *l = p->larder;
    pthread_mutex_lock(&l->lock);
    put_back(p);
    l->n_lent--;
    bq_bell_ring(l->bell);
    pthread_mutex_unlock(&l->lock);
}

static int stock(struct bq_larder *l, struct bq_error *err)
{
    const struct bq_recipe *recipe = l->recipe;
    size_t native = bq_type_size(recipe->in_type);
    uint64_t n_pieces = bq_stored_pieces(&recipe->layout, &recipe->plan);
    size_t room = bq_stored_room(&recipe->layout, &recipe->plan, native);
    uint64_t budget = recipe->memory ? recipe->memory : bq_memory_share(bq_memory_available(""), 4);
    uint64_t n = budget / (room + 1);
    l->header = (BQ_WIRE_FIXED + bq_stored_head_size(n_pieces) + 63) / 64 * 64;
    l->n_parcels = n < FEWEST ? FEWEST : n > MOST ? MOST : (unsigned)n;
    if (l->n_parcels > 4 * recipe->n_kitchens + FEWEST)
        l->n_parcels = 4 * recipe->n_kitchens + FEWEST;
    l->parcels = bq_alloc(l->n_parcels, sizeof *l->parcels);
    l->errands = bq_errands_create(N_THREADS, err);
    for (unsigned i = 0; l->parcels && i < l->n_parcels; i++) {
        struct parcel *p = &l->parcels[i];
        p->larder = l;
        p->parcel.release = release;
        p->room = bq_alloc(1, l->header + room);
        p->stored.pieces = n_pieces ? bq_alloc(n_pieces, sizeof(struct bq_piece)) : NULL;
        if (!p->room || (n_pieces && !p->stored.pieces))
            return bq_fail(err, BQ_EXIT_FAILED, "out of memory for the input of other kitchens");
        p->stored.bytes = p->room + l->header;
        p->stored.room = room;
        put_back(p);
    }
    return l->parcels && l->errands ? 0 : bq_fail(err, BQ_EXIT_FAILED, "out of memory");
}

int bq_larder_ask(struct bq_larder *l, uint32_t to, struct bq_part part, struct bq_error *err)
{
    const struct bq_plan *plan = &l->recipe->plan;
    if (part.chunk >= plan->n_chunks || part.number >= bq_window_parts(plan, part.chunk))
        return 0; /* no message is trusted */
    if (!l->parcels && stock(l, err) < 0)
        return -1;
    if (l->line_n == l->line_room) {
        size_t room = l->line_room ? 2 * l->line_room : 256;
        struct asked *line = bq_alloc(room, sizeof *line);
        if (!line)
            return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        for (size_t i = 0; i < l->line_n; i++)
            line[i] = l->line[(l->line_first + i) % l->line_room];
        bq_free(l->line);
        l->line = line;
        l->line_room = room;
        l->line_first = 0;
    }
    l->line[(l->line_first + l->line_n++) % l->line_room] = (struct asked){to, part};
    return 0;
}

/* In a thread of the errands. */
static void fetch(struct bq_errand *errand)
{
    struct parcel *p = (struct parcel *)((char *)errand - offsetof(struct parcel, errand));
    struct bq_larder *l = p->larder;
    p->got = bq_input_fetch(l->input, &p->block, true, &p->stored, NULL, &p->err);
    pthread_mutex_lock(&l->lock);
    p->next = l->ready;
    l->ready = p;
    pthread_mutex_unlock(&l->lock);
    bq_bell_ring(l->bell);
}

static int send_parcel(struct bq_larder *l, struct parcel *p, struct bq_transport *transport,
                       struct bq_error *err)
{
    struct bq_message m = {
        .kind = BQ_STORED, .step = l->step, .n = p->part.number, .first = p->part.chunk};
    unsigned char head[BQ_WIRE_FIXED];
    struct bq_writer w = bq_writer(head, sizeof head);
    if (p->got != BQ_FETCHED) {
        m.kind = BQ_NOT_STORED;
        snprintf(m.text, sizeof m.text, "%.250s", p->err.text);
        bq_wire_put(&w, &m);
        pthread_mutex_lock(&l->lock);
        put_back(p);
        pthread_mutex_unlock(&l->lock);
        return bq_transport_send_copy(transport, p->to, head, (size_t)(w.at - head), err);
    }
    bq_wire_put(&w, &m);
    size_t fixed = (size_t)(w.at - head), size = fixed + bq_stored_head_size(p->stored.n_pieces);
    unsigned char *begin = p->stored.bytes - size;
    w = bq_writer(begin, size);
    bq_put_bytes(&w, head, fixed);
    bq_stored_put(&w, &p->stored);
    p->parcel.bytes = begin;
    p->parcel.size = size + p->stored.n;
    pthread_mutex_lock(&l->lock);
    l->n_lent++;
    pthread_mutex_unlock(&l->lock);
    return bq_transport_send(transport, p->to, &p->parcel, err);
}

int bq_larder_serve(struct bq_larder *l, struct bq_transport *transport, struct bq_error *err)
{
    pthread_mutex_lock(&l->lock);
    struct parcel *ready = l->ready;
    l->ready = NULL;
    pthread_mutex_unlock(&l->lock);
    while (ready) {
        struct parcel *p = ready;
        ready = p->next;
        if (send_parcel(l, p, transport, err) < 0)
            return -1;
    }
    while (l->line_n) {
        pthread_mutex_lock(&l->lock);
        struct parcel *p = l->free;
        if (p)
            l->free = p->next;
        pthread_mutex_unlock(&l->lock);
        if (!p)
            break;
        struct asked *asked = &l->line[l->line_first];
        l->line_first = (l->line_first + 1) % l->line_room;
        l->line_n--;
        p->to = asked->to;
        p->part = asked->part;
        uint64_t at[BQ_MAX_RANK];
        bq_window_part(&l->recipe->plan, p->part.chunk, p->part.number, &p->block, at);
        p->errand.run = fetch;
        bq_errands_add(l->errands, &p->errand);
    }
    return 0;
}

void bq_larder_stop(struct bq_larder *l)
{
    if (l && l->errands)
        bq_errands_stop(l->errands);
}

bool bq_larder_is_settled(struct bq_larder *l)
{
    pthread_mutex_lock(&l->lock);
    bool is = l->n_lent == 0;
    pthread_mutex_unlock(&l->lock);
    return is;
}

void bq_larder_destroy(struct bq_larder *l)
{
    if (!l)
        return;
    bq_errands_destroy(l->errands);
    for (unsigned i = 0; l->parcels && i < l->n_parcels; i++) {
        bq_free(l->parcels[i].room);
        bq_free(l->parcels[i].stored.pieces);
    }
    bq_free(l->parcels);
    bq_free(l->line);
    pthread_mutex_destroy(&l->lock);
    bq_free(l);
}
