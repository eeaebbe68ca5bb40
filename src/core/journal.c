#include "core/journal.h"

#include <string.h>

#define XXH_INLINE_ALL /* this room links nothing but base */
#include <xxhash.h>

#define MAGIC "banquet journal 1\n"
#define NODE_BYTES 9
#define MARK_LEVEL 255

size_t bq_record_bytes(uint64_t result_size)
{
    return NODE_BYTES + (size_t)result_size + sizeof(uint64_t);
}

static uint64_t hash(const void *bytes, size_t n, uint64_t number)
{
    return XXH3_64bits_withSeed(bytes, n, number);
}

static void put_hash(struct bq_writer *w, const struct bq_hash *h)
{
    bq_put_bytes(w, h->bytes, sizeof h->bytes);
}

static void get_hash(struct bq_reader *r, struct bq_hash *h)
{
    const void *bytes = bq_get_bytes(r, sizeof h->bytes);
    if (bytes)
        memcpy(h->bytes, bytes, sizeof h->bytes);
}

void bq_journal_head_put(unsigned char bytes[BQ_JOURNAL_HEAD], const struct bq_journal_head *head)
{
    memset(bytes, 0, BQ_JOURNAL_HEAD);
    struct bq_writer w = bq_writer(bytes, BQ_JOURNAL_HEAD - sizeof(uint64_t));
    bq_put_bytes(&w, MAGIC, sizeof MAGIC);
    put_hash(&w, &head->of.job);
    put_hash(&w, &head->of.kernels);
    put_hash(&w, &head->of.inputs);
    bq_put_u32(&w, head->step);
    bq_put_u64(&w, head->n_chunks);
    bq_put_u64(&w, head->result_size);
    bq_put_u8(&w, head->needs_mark);
    bq_put_text(&w, head->work);
    w = bq_writer(bytes + BQ_JOURNAL_HEAD - sizeof(uint64_t), sizeof(uint64_t));
    bq_put_u64(&w, hash(bytes, BQ_JOURNAL_HEAD - sizeof(uint64_t), 0));
}

int bq_journal_head_get(const unsigned char bytes[BQ_JOURNAL_HEAD], struct bq_journal_head *head)
{
    size_t n = BQ_JOURNAL_HEAD - sizeof(uint64_t);
    struct bq_reader end = bq_reader(bytes + n, sizeof(uint64_t)), r = bq_reader(bytes, n);
    *head = (struct bq_journal_head){0};
    const void *magic = bq_get_bytes(&r, sizeof MAGIC);
    if (!magic || memcmp(magic, MAGIC, sizeof MAGIC) != 0 || bq_get_u64(&end) != hash(bytes, n, 0))
        return -1;
    get_hash(&r, &head->of.job);
    get_hash(&r, &head->of.kernels);
    get_hash(&r, &head->of.inputs);
    head->step = bq_get_u32(&r);
    head->n_chunks = bq_get_u64(&r);
    head->result_size = bq_get_u64(&r);
    head->needs_mark = bq_get_u8(&r) != 0;
    bq_get_text(&r, head->work, sizeof head->work);
    return r.is_bad || strchr(head->work, '/') || head->result_size > UINT64_C(1) << 32 ? -1 : 0;
}

void bq_record_put(unsigned char *bytes, uint64_t number, uint64_t result_size,
                   const struct bq_record *record)
{
    size_t size = bq_record_bytes(result_size), n = size - sizeof(uint64_t);
    struct bq_writer w = bq_writer(bytes, size);
    bq_put_u64(&w, record->node.first);
    bq_put_u8(&w, record->is_mark ? MARK_LEVEL : (uint8_t)record->node.level);
    if (record->is_mark)
        memset(w.at, 0, (size_t)result_size);
    else
        memcpy(w.at, record->result, (size_t)result_size);
    w.at += result_size;
    bq_put_u64(&w, hash(bytes, n, number + 1));
}

int bq_record_get(const unsigned char *bytes, uint64_t number, const struct bq_journal_head *head,
                  struct bq_record *record)
{
    size_t size = bq_record_bytes(head->result_size), n = size - sizeof(uint64_t);
    struct bq_reader r = bq_reader(bytes, size);
    uint64_t first = bq_get_u64(&r);
    unsigned level = bq_get_u8(&r);
    const void *result = bq_get_bytes(&r, (size_t)head->result_size);
    if (bq_get_u64(&r) != hash(bytes, n, number + 1))
        return -1;
    *record = (struct bq_record){.is_mark = level == MARK_LEVEL, .result = result};
    if (record->is_mark)
        return 0;
    record->node = (struct bq_node){.first = first, .level = level};
    uint64_t count = level < 63 ? bq_node_size(record->node) : 0;
    bool is_possible = level < 63 && first < head->n_chunks && first % count == 0 &&
                       count <= head->n_chunks - first;
    return is_possible ? 0 : -1;
}
