#include "adapters/store_overlay.h"

#include <string.h>

#include "base/heap.h"

#define PAGE STORE_OVERLAY_PAGE
#define LEAST_ROOM 64

struct store_overlay_page {
    uint64_t number;
    uint64_t is_there[PAGE / 64]; /* bits */
    unsigned char bytes[PAGE];
};

/* -- bits of a page ----------------------------------------------------------------------- */

static void set_bits(uint64_t *bits, size_t from, size_t n)
{
    while (n) {
        size_t first = from % 64, here = n < 64 - first ? n : 64 - first;
        uint64_t ones = here == 64 ? UINT64_MAX : (UINT64_C(1) << here) - 1;
        bits[from / 64] |= ones << first;
        from += here;
        n -= here;
    }
}

/* The first bit of that value at `from` or later; `end` when there is none before it. */
static size_t find_bit(const uint64_t *bits, bool value, size_t from, size_t end)
{
    while (from < end) {
        uint64_t word = (value ? bits[from / 64] : ~bits[from / 64]) >> (from % 64);
        if (word) {
            from += (size_t)__builtin_ctzll(word);
            return from < end ? from : end;
        }
        from += 64 - from % 64;
    }
    return end;
}

/* The next run of bytes that are there, in [*from, end); false: none. */
static bool next_run(const struct store_overlay_page *page, size_t *from, size_t *to, size_t end)
{
    *from = find_bit(page->is_there, true, *from, end);
    *to = find_bit(page->is_there, false, *from, end);
    return *from < end;
}

/* -- the table of pages ------------------------------------------------------------------- */

static struct store_overlay_page **slot_of(struct store_overlay_page **pages, size_t room,
                                           uint64_t number)
{
    size_t at = (size_t)((number * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (room - 1);
    while (pages[at] && pages[at]->number != number)
        at = (at + 1) & (room - 1);
    return &pages[at];
}

static int grow(struct store_overlay *overlay)
{
    size_t room = overlay->room ? 2 * overlay->room : LEAST_ROOM;
    struct store_overlay_page **pages = bq_alloc(room, sizeof(struct store_overlay_page *));
    if (!pages)
        return -1;
    for (size_t i = 0; i < overlay->room; i++) {
        if (overlay->pages[i])
            *slot_of(pages, room, overlay->pages[i]->number) = overlay->pages[i];
    }
    bq_free(overlay->pages);
    overlay->pages = pages;
    overlay->room = room;
    return 0;
}

static const struct store_overlay_page *find(const struct store_overlay *overlay, uint64_t number)
{
    return overlay->n ? *slot_of(overlay->pages, overlay->room, number) : NULL;
}

static struct store_overlay_page *find_or_add(struct store_overlay *overlay, uint64_t number)
{
    if (2 * overlay->n >= overlay->room && grow(overlay) < 0)
        return NULL;
    struct store_overlay_page **slot = slot_of(overlay->pages, overlay->room, number);
    if (!*slot && (*slot = bq_room(1, sizeof **slot))) {
        (*slot)->number = number;
        memset((*slot)->is_there, 0, sizeof(*slot)->is_there);
        overlay->n++;
    }
    return *slot;
}

/* -- what the store calls ----------------------------------------------------------------- */

int store_overlay_put(struct store_overlay *overlay, uint64_t address, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;
    while (n) {
        size_t in_page = (size_t)(address % PAGE), here = n < PAGE - in_page ? n : PAGE - in_page;
        struct store_overlay_page *page = find_or_add(overlay, address / PAGE);
        if (!page)
            return -1;
        memcpy(page->bytes + in_page, at, here);
        set_bits(page->is_there, in_page, here);
        at += here;
        address += here;
        n -= here;
    }
    return 0;
}

void store_overlay_get(const struct store_overlay *overlay, uint64_t address, void *bytes, size_t n)
{
    unsigned char *at = bytes;
    while (n && overlay->n) {
        size_t in_page = (size_t)(address % PAGE), here = n < PAGE - in_page ? n : PAGE - in_page;
        const struct store_overlay_page *page = find(overlay, address / PAGE);
        for (size_t from = in_page, to; page && next_run(page, &from, &to, in_page + here);
             from = to)
            memcpy(at + (from - in_page), page->bytes + from, to - from);
        at += here;
        address += here;
        n -= here;
    }
}

int store_overlay_each(const struct store_overlay *overlay,
                       int (*visit)(void *context, uint64_t address, const void *bytes, size_t n),
                       void *context)
{
    int rc = 0;
    for (size_t i = 0; i < overlay->room && rc == 0; i++) {
        const struct store_overlay_page *page = overlay->pages[i];
        for (size_t from = 0, to; page && rc == 0 && next_run(page, &from, &to, PAGE); from = to)
            rc = visit(context, page->number * PAGE + from, page->bytes + from, to - from);
    }
    return rc;
}

void store_overlay_clear(struct store_overlay *overlay)
{
    for (size_t i = 0; i < overlay->room; i++)
        bq_free(overlay->pages[i]);
    bq_free(overlay->pages);
    *overlay = (struct store_overlay){0};
}
