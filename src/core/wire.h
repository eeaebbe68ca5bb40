/* Messages between the coordinator and a kitchen.
 *
 *   kitchen -> coordinator                      coordinator -> kitchen
 *                                               START    begin, in a process of your own or not
 *   HELLO    who and where I am                 STEP     a recipe: get ready
 *   JOIN     ready; I began my first lease      LEASE    cook these
 *   REFUSED  I cannot, because ...              REVOKE   do not start these
 *   REQUEST  I shall need more                  CLOSE    the step is over: report
 *   RESULT   results, and maybe output bytes    BYE      the job is over: leave
 *   DROPPED  given back, not started
 *   FAILED   this chunk cannot be done
 *   REPORT   what my cooks did                  FORGET   the step (n) will not come again
 *                                               (BYE is answered by BYE, the last message)
 *   FETCH    send me a chunk's stored bytes     STORED   here they are
 *                                               NOT_STORED  I cannot, because ...
 *   BEAT     I am alive; n: 1: and silent until I have written what I have
 *   LEAVING  no more work: all I had is done
 *            or given back
 *   LOST     my cooks' process has ended; this
 *            chunk may be why; HELLO follows
 *
 * Fields are little-endian and length-checked; a message is never a struct image. The first one
 * carries the version. Every message names the step it belongs to, so that a late one is known.
 */
#ifndef BQ_CORE_WIRE_H
#define BQ_CORE_WIRE_H

#include "base/bytes.h"
#include "core/recipe.h"
#include "core/reduction.h"
#include "core/report.h"

#define BQ_WIRE_VERSION 6u

enum bq_message_kind {
    BQ_HELLO = 1,
    BQ_STEP,
    BQ_JOIN,
    BQ_REFUSED,
    BQ_LEASE,
    BQ_REQUEST,
    BQ_RESULT,
    BQ_DROPPED,
    BQ_FAILED,
    BQ_REVOKE,
    BQ_CLOSE,
    BQ_REPORT,
    BQ_BYE,
    BQ_FETCH,
    BQ_STORED,
    BQ_NOT_STORED,
    BQ_FORGET,
    BQ_START,
    BQ_BEAT,
    BQ_LEAVING,
    BQ_LOST
};

#define BQ_NO_CHUNK UINT64_MAX

/* What keeps a chunk from being done. */
enum bq_refused_by { BQ_BY_KERNEL, BQ_BY_INPUT, BQ_BY_OUTPUT };

struct bq_message {
    enum bq_message_kind kind;
    uint32_t step;
    uint64_t first, count;  /* LEASE REVOKE DROPPED; STEP: first, the shard to write, count, ns
                               since it began; FAILED FETCH STORED NOT_STORED: first, the
                               chunk;  REQUEST: count = unstarted, first = wanted; LOST: step and
                               first: the chunk that is to blame, or BQ_NO_CHUNK; BYE: count: not
                               all are alive */
    uint64_t time;          /* STEP: the coordinator's clock, ns; JOIN: ns since STEP came; START:
                               ns of silence after which one is taken for dead */
    double tau_ns, wait_ns; /* REQUEST */
    uint32_t n; /* START: isolated; STEP: 1: not the first lease; HELLO: version; FORGET: a recipe's
                   comes_again; JOIN: cooks (count: chunks in progress); RESULT: nodes; BYE: exit
                   code; FAILED: an enum bq_refused_by; FETCH STORED NOT_STORED: which part of the
                   chunk's window (core/window.h) */
    uint64_t data_size;    /* RESULT: bytes of output after the nodes */
    char text[256];        /* REFUSED, FAILED, NOT_STORED, LOST: why; HELLO: host name */
    uint32_t pid, n_cores; /* HELLO: n_cores is its share, count the whole machine's */
    struct bq_reader rest; /* decoded: what follows (STEP: recipe; RESULT: nodes; REPORT; STORED) */
};

/* Bytes of a message's fixed part, at most; a RESULT's nodes take bq_wire_node_size each. */
#define BQ_WIRE_FIXED 400
size_t bq_wire_node_size(size_t result_size);

/* Writes everything but what follows. */
void bq_wire_put(struct bq_writer *w, const struct bq_message *message);
void bq_wire_put_node(struct bq_writer *w, struct bq_node node, const void *result, size_t size);

/* Reads; -1 when the bytes are no message. `rest` points into them. */
int bq_wire_get(const void *bytes, size_t n, struct bq_message *message);

/* The next node of a RESULT: false at the end or when it is malformed (rest.is_bad). */
bool bq_wire_get_node(struct bq_message *message, size_t result_size, uint64_t n_chunks,
                      struct bq_node *node, const void **result);

/* A kitchen's report. get allocates cooks (bq_alloc); -1 when malformed or without memory. */
size_t bq_wire_report_size(const struct bq_kitchen_report *report);
void bq_wire_put_report(struct bq_writer *w, const struct bq_kitchen_report *report);
int bq_wire_get_report(struct bq_reader *r, struct bq_kitchen_report *report);

#endif
