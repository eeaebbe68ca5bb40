/* LZF, the format of Marc Lehmann's liblzf:
 *
 *     000LLLLL                    L + 1 literal bytes follow
 *     LLLooooo oooooooo           L + 2 bytes as they were o + 1 bytes before; L from 1 to 6
 *     111ooooo LLLLLLLL oooooooo  L + 9 bytes
 */
#include "adapters/codec_internal.h"

#include <endian.h>

#include "base/heap.h"

#define MOST_LITERALS 32
#define MOST_BACK 8192
#define MOST_MATCH 264

/* Bytes that a copy reads and writes, although fewer are meant, where there is room. */
#define WILD 32

/* -- undo --------------------------------------------------------------------------------- */

static void copy_back(unsigned char *to, size_t back, size_t n, size_t room)
{
    const unsigned char *from = to - back;
    if (back == 1) {
        memset(to, *from, n);
    } else if (back >= 16 && room >= n + WILD) {
        for (size_t i = 0; i < n; i += 16)
            memcpy(to + i, from + i, 16);
    } else {
        for (size_t i = 0; i < n; i++) /* may overlap: what it writes it reads again */
            to[i] = from[i];
    }
}

int codec_lzf_undo(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes in,
                   struct codec_room *out, struct bq_error *err)
{
    (void)codec, (void)filter;
    const unsigned char *at = in.at, *end = in.at + in.n;
    unsigned char *to = out->at, *to_end = out->at + out->room;
    while (at < end) {
        unsigned head = *at++;
        size_t n = head + 1, left = (size_t)(to_end - to);
        if (head < MOST_LITERALS) {
            if (n > (size_t)(end - at))
                return bq_fail(err, BQ_EXIT_FAILED, "the stream ends in the middle");
            if (n > left)
                return bq_fail(err, BQ_EXIT_FAILED, "gives more than %zu bytes", out->room);
            if ((size_t)(end - at) >= WILD && left >= WILD)
                memcpy(to, at, WILD);
            else
                memcpy(to, at, n);
            at += n;
        } else {
            n = (head >> 5) + 2;
            if ((size_t)(end - at) < (n == 9 ? 2 : 1))
                return bq_fail(err, BQ_EXIT_FAILED, "the stream ends in the middle");
            if (n == 9)
                n += *at++;
            size_t back = ((size_t)(head & 31) << 8) + *at++ + 1;
            if (back > (size_t)(to - out->at))
                return bq_fail(err, BQ_EXIT_FAILED, "refers to bytes before the first");
            if (n > left)
                return bq_fail(err, BQ_EXIT_FAILED, "gives more than %zu bytes", out->room);
            copy_back(to, back, n, left);
        }
        to += n;
    }
    out->n = (size_t)(to - out->at);
    return 0;
}

/* -- apply -------------------------------------------------------------------------------- */

static uint32_t load(const unsigned char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return le32toh(v);
}

/* How many bytes of a and b agree, at most n. */
static size_t agree(const unsigned char *a, const unsigned char *b, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t x, y;
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        if (x != y)
            return i + (size_t)__builtin_ctzll(le64toh(x) ^ le64toh(y)) / 8;
    }
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

/* Both give the new end, or NULL when it does not fit. */
static unsigned char *put_literals(unsigned char *to, const unsigned char *to_end,
                                   const unsigned char *at, size_t n, const unsigned char *end)
{
    while (n > 0) {
        size_t k = n < MOST_LITERALS ? n : MOST_LITERALS;
        if ((size_t)(to_end - to) < k + 1)
            return NULL;
        *to++ = (unsigned char)(k - 1);
        if (to_end - to >= WILD && end - at >= WILD)
            memcpy(to, at, WILD);
        else
            memcpy(to, at, k);
        to += k;
        at += k;
        n -= k;
    }
    return to;
}

static unsigned char *put_match(unsigned char *to, const unsigned char *to_end, size_t back,
                                size_t n)
{
    if (to_end - to < 3)
        return NULL;
    back--;
    n -= 2;
    *to++ = (unsigned char)((n < 7 ? n : 7) << 5 | back >> 8);
    if (n >= 7)
        *to++ = (unsigned char)(n - 7);
    *to++ = (unsigned char)back;
    return to;
}

static uint32_t *table(struct bq_codec *codec, int log)
{
    if (!codec->lzf)
        return codec->lzf = bq_alloc((size_t)1 << CODEC_LZF_LOG, sizeof *codec->lzf);
    memset(codec->lzf, 0, sizeof *codec->lzf << log);
    return codec->lzf;
}

/* Where three such bytes were seen last, perhaps; 0 also when they were not. */
static uint32_t *seen(uint32_t *last, int log, uint32_t v)
{
    return &last[(v << 8) * UINT32_C(2654435761) >> (32 - log)];
}

int codec_lzf_apply(struct bq_codec *codec, const struct bq_filter *filter, struct codec_bytes in,
                    struct codec_room *out, struct bq_error *err)
{
    (void)filter;
    int log = 8;
    while (log < CODEC_LZF_LOG && (size_t)1 << log < in.n)
        log++;
    uint32_t *last = table(codec, log);
    if (!last)
        return codec_no_memory(err);
    if (in.n >= UINT32_MAX)
        return 0;
    unsigned char *to = out->at, *to_end = out->at + out->room;
    size_t done = 0, i = 1; /* done: bytes that are in the stream */
    while (to && i + 4 <= in.n) {
        uint32_t v = load(in.at + i), *place = seen(last, log, v);
        size_t back = i - *place;
        *place = (uint32_t)i;
        if ((back > MOST_BACK) | ((load(in.at + i - back) ^ v) << 8 != 0)) {
            size_t hurry = (i - done) / 64; /* what has not matched for long hardly will */
            i += 1 + (hurry < 16 ? hurry : 16);
            continue;
        }
        size_t most = in.n - i < MOST_MATCH ? in.n - i : MOST_MATCH;
        size_t n = agree(in.at + i, in.at + i - back, most);
        to = put_literals(to, to_end, in.at + done, i - done, in.at + in.n);
        to = to ? put_match(to, to_end, back, n) : NULL;
        i += n;
        done = i;
        if (i + 2 <= in.n) /* 4 bytes from i - 2 */
            *seen(last, log, load(in.at + i - 2)) = (uint32_t)i - 2;
    }
    to = to ? put_literals(to, to_end, in.at + done, in.n - done, in.at + in.n) : NULL;
    out->n = to ? (size_t)(to - out->at) : 0;
    return 0;
}
