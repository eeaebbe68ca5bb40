#include "core/wire.h"

#include "core/pipeline.h"

#include <string.h>

#include "base/heap.h"

#define MAX_COOKS 4096

size_t bq_wire_node_size(size_t result_size)
{
    return 9 + result_size;
}

void bq_wire_put(struct bq_writer *w, const struct bq_message *m)
{
    bq_put_u8(w, (uint8_t)m->kind);
    bq_put_u32(w, m->step);
    switch (m->kind) {
    case BQ_HELLO:
        bq_put_u32(w, m->n);
        bq_put_u32(w, m->pid);
        bq_put_u32(w, m->n_cores);
        bq_put_u64(w, m->count);
        bq_put_text(w, m->text);
        break;
    case BQ_STEP:
        bq_put_u32(w, m->pid);
        bq_put_u64(w, m->first);
        bq_put_u64(w, m->count);
        bq_put_u32(w, m->n);
        bq_put_u64(w, m->time);
        break;
    case BQ_START:
        bq_put_u32(w, m->n);
        bq_put_u64(w, m->time);
        break;
    case BQ_JOIN:
        bq_put_u32(w, m->n);
        bq_put_u64(w, m->count);
        bq_put_u64(w, m->time);
        break;
    case BQ_REFUSED:
        bq_put_text(w, m->text);
        break;
    case BQ_LEASE:
    case BQ_DROPPED:
    case BQ_REVOKE:
        bq_put_u64(w, m->first);
        bq_put_u64(w, m->count);
        break;
    case BQ_REQUEST:
        bq_put_u64(w, m->first);
        bq_put_u64(w, m->count);
        bq_put_real(w, m->tau_ns);
        bq_put_real(w, m->wait_ns);
        break;
    case BQ_RESULT:
        bq_put_u32(w, m->n);
        bq_put_u64(w, m->data_size);
        break;
    case BQ_FAILED:
    case BQ_NOT_STORED:
    case BQ_LOST:
        bq_put_u32(w, m->n);
        bq_put_u64(w, m->first);
        bq_put_text(w, m->text);
        break;
    case BQ_FETCH:
    case BQ_STORED:
        bq_put_u32(w, m->n);
        bq_put_u64(w, m->first);
        break;
    case BQ_BYE:
        bq_put_u64(w, m->count);
        bq_put_u32(w, m->n);
        break;
    case BQ_FORGET:
    case BQ_BEAT:
        bq_put_u32(w, m->n);
        break;
    case BQ_CLOSE:
    case BQ_REPORT:
    case BQ_LEAVING:
        break;
    }
}

void bq_wire_put_node(struct bq_writer *w, struct bq_node node, const void *result, size_t size)
{
    bq_put_u64(w, node.first);
    bq_put_u8(w, (uint8_t)node.level);
    bq_put_bytes(w, result, size);
}

int bq_wire_get(const void *bytes, size_t n, struct bq_message *m)
{
    struct bq_reader r = bq_reader(bytes, n);
    *m = (struct bq_message){0};
    unsigned kind = bq_get_u8(&r);
    m->step = bq_get_u32(&r);
    if (r.is_bad || kind < BQ_HELLO || kind > BQ_LOST)
        return -1;
    m->kind = (enum bq_message_kind)kind;
    switch (m->kind) {
    case BQ_HELLO:
        m->n = bq_get_u32(&r);
        m->pid = bq_get_u32(&r);
        m->n_cores = bq_get_u32(&r);
        m->count = bq_get_u64(&r);
        bq_get_text(&r, m->text, sizeof m->text);
        break;
    case BQ_STEP:
        m->pid = bq_get_u32(&r);
        m->first = bq_get_u64(&r);
        m->count = bq_get_u64(&r);
        m->n = bq_get_u32(&r);
        m->time = bq_get_u64(&r);
        break;
    case BQ_START:
        m->n = bq_get_u32(&r);
        m->time = bq_get_u64(&r);
        break;
    case BQ_JOIN:
        m->n = bq_get_u32(&r);
        m->count = bq_get_u64(&r);
        m->time = bq_get_u64(&r);
        break;
    case BQ_REFUSED:
        bq_get_text(&r, m->text, sizeof m->text);
        break;
    case BQ_LEASE:
    case BQ_DROPPED:
    case BQ_REVOKE:
        m->first = bq_get_u64(&r);
        m->count = bq_get_u64(&r);
        break;
    case BQ_REQUEST:
        m->first = bq_get_u64(&r);
        m->count = bq_get_u64(&r);
        m->tau_ns = bq_get_real(&r);
        m->wait_ns = bq_get_real(&r);
        break;
    case BQ_RESULT:
        m->n = bq_get_u32(&r);
        m->data_size = bq_get_u64(&r);
        break;
    case BQ_FAILED:
    case BQ_NOT_STORED:
    case BQ_LOST:
        m->n = bq_get_u32(&r);
        m->first = bq_get_u64(&r);
        bq_get_text(&r, m->text, sizeof m->text);
        break;
    case BQ_FETCH:
    case BQ_STORED:
        m->n = bq_get_u32(&r);
        m->first = bq_get_u64(&r);
        break;
    case BQ_BYE:
        m->count = bq_get_u64(&r);
        m->n = bq_get_u32(&r);
        break;
    case BQ_FORGET:
    case BQ_BEAT:
        m->n = bq_get_u32(&r);
        break;
    case BQ_CLOSE:
    case BQ_REPORT:
    case BQ_LEAVING:
        break;
    }
    m->rest = r;
    return r.is_bad ? -1 : 0;
}

bool bq_wire_get_node(struct bq_message *m, size_t result_size, uint64_t n_chunks,
                      struct bq_node *node, const void **result)
{
    if (m->n == 0)
        return false;
    m->n--;
    node->first = bq_get_u64(&m->rest);
    node->level = bq_get_u8(&m->rest);
    *result = bq_get_bytes(&m->rest, result_size);
    if (node->level > 62 || node->first >= n_chunks || node->first % bq_node_size(*node) ||
        bq_node_size(*node) > n_chunks - node->first)
        m->rest.is_bad = true;
    return !m->rest.is_bad;
}

/* -- reports ------------------------------------------------------------------------------ */

static const size_t cook_size = 4 + 1 + 8 + 8 + 4 + 8 * (BQ_N_STATES + 1);
static const size_t bin_size = 8 * (BQ_N_STATES + 1);

size_t bq_wire_report_size(const struct bq_kitchen_report *k)
{
    size_t n = 400;
    for (uint32_t i = 0; i < k->n_cooks; i++)
        n += cook_size + k->cooks[i].track.n_bins * bin_size;
    return n;
}

void bq_wire_put_report(struct bq_writer *w, const struct bq_kitchen_report *k)
{
    bq_put_u32(w, k->rank);
    bq_put_text(w, k->host);
    bq_put_u32(w, k->pid);
    bq_put_u32(w, k->n_cooks);
    bq_put_u32(w, k->n_cores);
    bq_put_u64(w, k->n_chunks);
    bq_put_u64(w, k->n_leases);
    bq_put_u64(w, k->n_requests);
    bq_put_u64(w, k->bytes_in);
    bq_put_u64(w, k->bytes_out);
    bq_put_u64(w, k->wait_ns);
    bq_put_u64(w, k->n_open_max);
    bq_put_u64(w, k->budget);
    bq_put_u64(w, k->peak);
    bq_put_u8(w, k->is_served);
    bq_put_u8(w, k->is_direct);
    bq_put_text(w, k->warning);
    for (uint32_t i = 0; i < k->n_cooks; i++) {
        const struct bq_cook_report *c = &k->cooks[i];
        bq_put_u32(w, (uint32_t)c->core);
        bq_put_u8(w, c->stage);
        bq_put_u64(w, c->n_chunks);
        bq_put_u64(w, c->track.width);
        bq_put_u32(w, c->track.n_bins);
        for (int s = 0; s < BQ_N_STATES; s++)
            bq_put_u64(w, c->track.total[s]);
        bq_put_u64(w, c->track.open);
        for (uint32_t b = 0; b < c->track.n_bins; b++) {
            for (int s = 0; s < BQ_N_STATES; s++)
                bq_put_u64(w, c->track.bin[b].ns[s]);
            bq_put_u64(w, c->track.bin[b].open);
        }
    }
}

static int get_cook(struct bq_reader *r, struct bq_cook_report *c)
{
    c->core = (int)bq_get_u32(r);
    c->stage = bq_get_u8(r);
    c->n_chunks = bq_get_u64(r);
    c->track.width = bq_get_u64(r);
    c->track.n_bins = bq_get_u32(r);
    /* A width is the finest one doubled some times: merging relies on it. */
    uint64_t times = c->track.width / BQ_TRACE_FINEST;
    if (r->is_bad || c->stage > BQ_N_LINE_STAGES || c->track.n_bins > BQ_TRACE_BINS || times == 0 ||
        (times & (times - 1)) || times * BQ_TRACE_FINEST != c->track.width)
        return -1;
    for (int s = 0; s < BQ_N_STATES; s++)
        c->track.total[s] = bq_get_u64(r);
    c->track.open = bq_get_u64(r);
    for (uint32_t b = 0; b < c->track.n_bins; b++) {
        for (int s = 0; s < BQ_N_STATES; s++)
            c->track.bin[b].ns[s] = bq_get_u64(r);
        c->track.bin[b].open = bq_get_u64(r);
    }
    return r->is_bad ? -1 : 0;
}

int bq_wire_get_report(struct bq_reader *r, struct bq_kitchen_report *k)
{
    *k = (struct bq_kitchen_report){0};
    k->rank = bq_get_u32(r);
    bq_get_text(r, k->host, sizeof k->host);
    k->pid = bq_get_u32(r);
    uint32_t n_cooks = bq_get_u32(r);
    k->n_cores = bq_get_u32(r);
    k->n_chunks = bq_get_u64(r);
    k->n_leases = bq_get_u64(r);
    k->n_requests = bq_get_u64(r);
    k->bytes_in = bq_get_u64(r);
    k->bytes_out = bq_get_u64(r);
    k->wait_ns = bq_get_u64(r);
    k->n_open_max = bq_get_u64(r);
    k->budget = bq_get_u64(r);
    k->peak = bq_get_u64(r);
    k->is_served = bq_get_u8(r) != 0;
    k->is_direct = bq_get_u8(r) != 0;
    bq_get_text(r, k->warning, sizeof k->warning);
    if (r->is_bad || n_cooks > MAX_COOKS || n_cooks > (size_t)(r->end - r->at) / cook_size)
        return -1;
    k->cooks = bq_alloc(n_cooks, sizeof *k->cooks);
    if (!k->cooks)
        return -1;
    k->n_cooks = n_cooks;
    for (uint32_t i = 0; i < n_cooks; i++) {
        if (get_cook(r, &k->cooks[i]) < 0) {
            bq_free(k->cooks);
            *k = (struct bq_kitchen_report){0};
            return -1;
        }
    }
    return 0;
}
