#include "core/ledger.h"

#include <string.h>

#include "base/heap.h"

struct bq_ledger {
    uint64_t n_chunks, n_done, n_free;
    uint64_t *done, *held; /* one bit a chunk; bits past n_chunks are done, so never free */
    uint64_t n_words;
};

struct bq_ledger *bq_ledger_create(uint64_t n_chunks)
{
    struct bq_ledger *ledger = bq_alloc(1, sizeof *ledger);
    if (!ledger)
        return NULL;
    ledger->n_chunks = ledger->n_free = n_chunks;
    ledger->n_words = n_chunks / 64 + 1;
    ledger->done = bq_alloc(ledger->n_words, sizeof(uint64_t));
    ledger->held = bq_alloc(ledger->n_words, sizeof(uint64_t));
    if (!ledger->done || !ledger->held) {
        bq_ledger_destroy(ledger);
        return NULL;
    }
    ledger->done[ledger->n_words - 1] = ~UINT64_C(0) << (n_chunks % 64);
    return ledger;
}

void bq_ledger_destroy(struct bq_ledger *ledger)
{
    if (!ledger)
        return;
    bq_free(ledger->done);
    bq_free(ledger->held);
    bq_free(ledger);
}

uint64_t bq_ledger_n_chunks(const struct bq_ledger *ledger)
{
    return ledger->n_chunks;
}

uint64_t bq_ledger_n_done(const struct bq_ledger *ledger)
{
    return ledger->n_done;
}

uint64_t bq_ledger_n_free(const struct bq_ledger *ledger)
{
    return ledger->n_free;
}

bool bq_ledger_has(const struct bq_ledger *ledger, uint64_t first, uint64_t count)
{
    return first <= ledger->n_chunks && count <= ledger->n_chunks - first;
}

/* Walks the words of [first, first + count): sets *mask to the bits of the range in word *word.
 * Start with *word = first / 64; returns false past the end. */
static bool next_word(uint64_t first, uint64_t count, uint64_t *word, uint64_t *mask)
{
    uint64_t end = first + count;
    if (*word * 64 >= end)
        return false;
    uint64_t low = *word * 64;
    *mask = ~UINT64_C(0);
    if (low < first)
        *mask &= ~UINT64_C(0) << (first - low);
    if (end - low < 64)
        *mask &= ~(~UINT64_C(0) << (end - low));
    return true;
}

static uint64_t bits(uint64_t word)
{
    return (uint64_t)__builtin_popcountll(word);
}

void bq_ledger_hold(struct bq_ledger *ledger, uint64_t first, uint64_t count)
{
    uint64_t mask;
    for (uint64_t w = first / 64; count && next_word(first, count, &w, &mask); w++) {
        ledger->n_free -= bits(mask & ~ledger->held[w] & ~ledger->done[w]);
        ledger->held[w] |= mask;
    }
}

void bq_ledger_release(struct bq_ledger *ledger, uint64_t first, uint64_t count)
{
    uint64_t mask;
    for (uint64_t w = first / 64; count && next_word(first, count, &w, &mask); w++) {
        ledger->n_free += bits(mask & ledger->held[w] & ~ledger->done[w]);
        ledger->held[w] &= ~mask;
    }
}

void bq_ledger_undo(struct bq_ledger *ledger, uint64_t first, uint64_t count)
{
    uint64_t mask;
    for (uint64_t w = first / 64; count && next_word(first, count, &w, &mask); w++) {
        ledger->n_done -= bits(mask & ledger->done[w]);
        ledger->n_free += bits(mask & ledger->done[w] & ~ledger->held[w]);
        ledger->done[w] &= ~mask;
    }
}

uint64_t bq_ledger_done(struct bq_ledger *ledger, uint64_t first, uint64_t count)
{
    uint64_t mask, fresh = 0;
    for (uint64_t w = first / 64; count && next_word(first, count, &w, &mask); w++) {
        fresh += bits(mask & ~ledger->done[w]);
        ledger->n_free -= bits(mask & ~ledger->held[w] & ~ledger->done[w]);
        ledger->done[w] |= mask;
    }
    ledger->n_done += fresh;
    return fresh;
}

uint64_t bq_ledger_count_done(const struct bq_ledger *ledger, uint64_t first, uint64_t count)
{
    uint64_t mask, n = 0;
    for (uint64_t w = first / 64; count && next_word(first, count, &w, &mask); w++)
        n += bits(mask & ledger->done[w]);
    return n;
}

uint64_t bq_ledger_next_free(const struct bq_ledger *ledger, uint64_t from, uint64_t most,
                             uint64_t *first)
{
    if (from >= ledger->n_chunks || most == 0)
        return 0;
    uint64_t w = from / 64;
    uint64_t taken = (ledger->done[w] | ledger->held[w]) | ~(~UINT64_C(0) << (from % 64));
    while (taken == ~UINT64_C(0)) {
        if (++w == ledger->n_words)
            return 0;
        taken = ledger->done[w] | ledger->held[w];
    }
    *first = w * 64 + (uint64_t)__builtin_ctzll(~taken);
    uint64_t n = 0;
    taken >>= *first % 64; /* the zeros that come in at the top are cut by `room` below */
    for (uint64_t at = *first;;) {
        uint64_t room = 64 - at % 64;
        uint64_t run = taken ? (uint64_t)__builtin_ctzll(taken) : 64;
        run = run < room ? run : room;
        n += run;
        if (run < room || n >= most || ++w == ledger->n_words)
            break;
        at += run;
        taken = ledger->done[w] | ledger->held[w];
    }
    return n < most ? n : most;
}

bool bq_ledger_next_open(const struct bq_ledger *ledger, uint64_t from, uint64_t *first)
{
    if (from >= ledger->n_chunks)
        return false;
    uint64_t w = from / 64;
    uint64_t open = ledger->held[w] & ~ledger->done[w] & ~UINT64_C(0) << (from % 64);
    while (open == 0) {
        if (++w == ledger->n_words)
            return false;
        open = ledger->held[w] & ~ledger->done[w];
    }
    *first = w * 64 + (uint64_t)__builtin_ctzll(open);
    return true;
}
