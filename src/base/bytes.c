#include "base/bytes.h"

#include <string.h>

struct bq_writer bq_writer(void *bytes, size_t n)
{
    unsigned char *p = bytes;
    return (struct bq_writer){.at = p, .end = n ? p + n : p}; /* NULL + 0 is not defined */
}

static bool has_room(struct bq_writer *w, size_t n)
{
    if (w->is_bad || (size_t)(w->end - w->at) < n)
        w->is_bad = true;
    return !w->is_bad;
}

static void put(struct bq_writer *w, uint64_t v, size_t n)
{
    if (!has_room(w, n))
        return;
    for (size_t i = 0; i < n; i++)
        w->at[i] = (unsigned char)(v >> (8 * i));
    w->at += n;
}

void bq_put_u8(struct bq_writer *w, uint8_t v)
{
    put(w, v, 1);
}

void bq_put_u32(struct bq_writer *w, uint32_t v)
{
    put(w, v, 4);
}

void bq_put_u64(struct bq_writer *w, uint64_t v)
{
    put(w, v, 8);
}

void bq_put_real(struct bq_writer *w, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put(w, bits, 8);
}

void bq_put_bytes(struct bq_writer *w, const void *bytes, size_t n)
{
    if (n == 0 || !has_room(w, n))
        return;
    memcpy(w->at, bytes, n);
    w->at += n;
}

void bq_put_text(struct bq_writer *w, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    bq_put_u32(w, (uint32_t)n);
    bq_put_bytes(w, text, n);
}

struct bq_reader bq_reader(const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    return (struct bq_reader){.at = p, .end = n ? p + n : p};
}

const void *bq_get_bytes(struct bq_reader *r, size_t n)
{
    if (r->is_bad || (size_t)(r->end - r->at) < n) {
        r->is_bad = true;
        return NULL;
    }
    const unsigned char *p = r->at;
    r->at += n;
    return p;
}

static uint64_t get(struct bq_reader *r, size_t n)
{
    const unsigned char *p = bq_get_bytes(r, n);
    uint64_t v = 0;
    for (size_t i = 0; p && i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

uint8_t bq_get_u8(struct bq_reader *r)
{
    return (uint8_t)get(r, 1);
}

uint32_t bq_get_u32(struct bq_reader *r)
{
    return (uint32_t)get(r, 4);
}

uint64_t bq_get_u64(struct bq_reader *r)
{
    return get(r, 8);
}

double bq_get_real(struct bq_reader *r)
{
    uint64_t bits = get(r, 8);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

void bq_get_text(struct bq_reader *r, char *out, size_t size)
{
    uint32_t n = bq_get_u32(r);
    if (n >= size)
        r->is_bad = true;
    const void *p = bq_get_bytes(r, n);
    if (p)
        memcpy(out, p, n);
    out[p ? n : 0] = 0;
}
