#include "core/window.h"

#include <string.h>

/* A window along one axis: `below` and `above` lie beyond the dataset's edges, `inside` between. */
struct span {
    uint64_t below, inside, above;
    uint64_t from; /* in the dataset, of what is inside */
};

struct spans {
    int rank;
    struct span axis[BQ_MAX_RANK];
};

static struct spans spans_of(const struct bq_plan *plan, uint64_t chunk)
{
    uint64_t offset[BQ_MAX_RANK], extent[BQ_MAX_RANK];
    struct spans spans = {.rank = plan->space.rank};
    bq_plan_chunk(plan, chunk, offset, extent);
    for (int i = 0; i < spans.rank; i++) {
        uint64_t h = plan->halo.width[i], after = plan->space.extent[i] - offset[i] - extent[i];
        struct span *span = &spans.axis[i];
        span->below = offset[i] < h ? h - offset[i] : 0;
        span->above = after < h ? h - after : 0;
        span->from = offset[i] - (h - span->below);
        span->inside = extent[i] + 2 * h - span->below - span->above;
    }
    return spans;
}

static uint64_t length(const struct span *span)
{
    return span->below + span->inside + span->above;
}

void bq_window_extent(const struct bq_plan *plan, uint64_t chunk, uint64_t *extent)
{
    uint64_t offset[BQ_MAX_RANK];
    bq_plan_chunk(plan, chunk, offset, extent);
    for (int i = 0; i < plan->space.rank; i++)
        extent[i] += 2 * plan->halo.width[i];
}

/* -- parts -------------------------------------------------------------------------------- */

static bool wraps(const struct bq_plan *plan)
{
    return plan->halo.is_any && plan->halo.border == BQ_WRAP;
}

static unsigned pieces(const struct span *span)
{
    return 1u + (span->below > 0) + (span->above > 0);
}

unsigned bq_window_parts(const struct bq_plan *plan, uint64_t chunk)
{
    unsigned n = 1;
    if (!wraps(plan))
        return 1;
    struct spans spans = spans_of(plan, chunk);
    for (int i = 0; i < spans.rank; i++)
        n *= pieces(&spans.axis[i]);
    return n;
}

void bq_window_part(const struct bq_plan *plan, uint64_t chunk, unsigned part, struct bq_box *box,
                    uint64_t *at)
{
    struct spans spans = spans_of(plan, chunk);
    bool has_parts = wraps(plan);
    box->rank = spans.rank;
    for (int i = 0; i < spans.rank; i++) {
        const struct span *span = &spans.axis[i];
        unsigned piece = has_parts ? part % pieces(span) : 0;
        part = has_parts ? part / pieces(span) : part;
        if (piece == 0) {
            box->offset[i] = span->from;
            box->extent[i] = span->inside;
            at[i] = span->below;
        } else if (piece == 1 && span->below) {
            box->offset[i] = plan->space.extent[i] - span->below;
            box->extent[i] = span->below;
            at[i] = 0;
        } else {
            box->offset[i] = 0;
            box->extent[i] = span->above;
            at[i] = span->below + span->inside;
        }
    }
}

/* -- moving ------------------------------------------------------------------------------- */

/* A dense part to its place in a window. */
struct move {
    size_t size;
    const unsigned char *from;
    unsigned char *to;
};

static void move_rows(const struct move *move, int rank, const uint64_t *n, const uint64_t *at,
                      const uint64_t *window)
{
    uint64_t rows = 1, last = n[rank - 1];
    for (int i = 0; i < rank - 1; i++)
        rows *= n[i];
    /* Backwards: in place, a row's new place never lies before its old one, nor on a row that is
     * still to be moved. */
    for (uint64_t row = rows; row-- > 0;) {
        uint64_t rest = row, place = at[rank - 1], stride = window[rank - 1];
        for (int i = rank - 2; i >= 0; i--) {
            place += (rest % n[i] + at[i]) * stride;
            stride *= window[i];
            rest /= n[i];
        }
        memmove(move->to + place * move->size, move->from + row * last * move->size,
                last * move->size);
    }
}

void bq_window_put(const struct bq_plan *plan, uint64_t chunk, unsigned part, size_t size,
                   const void *from, void *window)
{
    struct bq_box box;
    uint64_t at[BQ_MAX_RANK], extent[BQ_MAX_RANK];
    bq_window_part(plan, chunk, part, &box, at);
    bq_window_extent(plan, chunk, extent);
    move_rows(&(struct move){size, from, window}, box.rank, box.extent, at, extent);
}

void bq_window_spread(const struct bq_plan *plan, uint64_t chunk, size_t size, void *window)
{
    struct spans spans = spans_of(plan, chunk);
    bool is_whole = true;
    for (int i = 0; i < spans.rank; i++)
        is_whole = is_whole && spans.axis[i].below == 0 && spans.axis[i].above == 0;
    if (!is_whole)
        bq_window_put(plan, chunk, 0, size, window, window);
}

/* -- borders ------------------------------------------------------------------------------ */

/* Index of what stands for element i of a window along an axis: i lies below or above. */
static uint64_t source(const struct span *span, enum bq_border border, uint64_t i)
{
    uint64_t end = span->below + span->inside;
    if (border == BQ_REFLECT)
        return i < span->below ? 2 * span->below - 1 - i : 2 * end - 1 - i;
    return i < span->below ? span->below : end - 1;
}

static void copy_element(size_t size, const unsigned char *from, unsigned char *to)
{
    switch (size) {
    case 1:
        *to = *from;
        break;
    case 2:
        memcpy(to, from, 2);
        break;
    case 4:
        memcpy(to, from, 4);
        break;
    default:
        memcpy(to, from, 8);
    }
}

/* Elements `to` along `axis` become those at `from`, or `value`: for all indices of the axes after
 * it, and the inside of those before, whose own borders come later. */
struct slab {
    const struct bq_plan *plan;
    const struct spans *spans;
    size_t size;
    int axis;
    uint64_t from, to;
    bool is_constant;
};

static void fill_slab(const struct slab *slab, unsigned char *window)
{
    const struct spans *spans = slab->spans;
    uint64_t outer = 1, inner = 1; /* of the axes before and after */
    for (int i = 0; i < slab->axis; i++)
        outer *= spans->axis[i].inside;
    for (int i = slab->axis + 1; i < spans->rank; i++)
        inner *= length(&spans->axis[i]);
    uint64_t step = inner * length(&spans->axis[slab->axis]);
    for (uint64_t o = 0; o < outer; o++) {
        uint64_t rest = o, place = 0, stride = step;
        for (int i = slab->axis - 1; i >= 0; i--) {
            place += (rest % spans->axis[i].inside + spans->axis[i].below) * stride;
            stride *= length(&spans->axis[i]);
            rest /= spans->axis[i].inside;
        }
        unsigned char *to = window + (place + slab->to * inner) * slab->size;
        if (!slab->is_constant && inner == 1)
            copy_element(slab->size, window + (place + slab->from) * slab->size, to);
        else if (!slab->is_constant)
            memcpy(to, window + (place + slab->from * inner) * slab->size, inner * slab->size);
        for (uint64_t i = 0; slab->is_constant && i < inner; i++)
            copy_element(slab->size, slab->plan->halo.value, to + i * slab->size);
    }
}

void bq_window_border(const struct bq_plan *plan, uint64_t chunk, size_t size, void *window)
{
    enum bq_border border = plan->halo.border;
    if (!plan->halo.is_any || border == BQ_WRAP)
        return;
    struct spans spans = spans_of(plan, chunk);
    for (int axis = spans.rank - 1; axis >= 0; axis--) {
        const struct span *span = &spans.axis[axis];
        for (uint64_t i = 0; i < length(span); i++) {
            if (i == span->below)
                i += span->inside;
            if (i == length(span))
                break;
            struct slab slab = {.plan = plan,
                                .spans = &spans,
                                .size = size,
                                .axis = axis,
                                .from = source(span, border, i),
                                .to = i,
                                .is_constant = border == BQ_CONSTANT};
            fill_slab(&slab, window);
        }
    }
}
