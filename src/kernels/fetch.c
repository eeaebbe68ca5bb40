/* fetch: fetches a list of URLs or files, many at a time, and digests each.
 *
 * Generate: the dataset has a row for each line of `list`, the same list for every kitchen:
 *
 *     [status, bytes, high, low]   uint64: HTTP's status, or 0 of a file; the length of the
 *                                  contents; their XXH3-128, as xxhsum -H2 prints it
 *
 * What a server refuses for good (404 and other statuses that another try does not change) is an
 * answer: its row has the status and nothing else. What cannot be fetched after `tries` tries, or
 * at all, fails its chunk. Nothing in a row depends on time, so neither does the job's digest.
 * Nothing is written to disk.
 *
 * Each chunk is one line, and one state machine: it says what it waits for (a socket, curl's timer,
 * the pause before another try), so one cook keeps as many transfers going as the job's `open`.
 *
 * Reduces to fetched, refused and bytes.
 */
#define _POSIX_C_SOURCE 200809L
#include "banquet/kernel.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "fetch_http.h"
#include "fetch_list.h"

enum { LIST, TRIES, TIMEOUT_S, MAX_BYTES };
enum { STATUS, BYTES, HIGH, LOW, N_COLUMNS };

#define PAUSE_NS 100000000u /* before the second try, half of it more or less */
#define MOST_PAUSES 6       /* times that it is doubled: 6.4 s */
#define PIECE 65536

static const struct bq_param params[] = {
    {"list", BQ_TEXT, {.text = ""}, 1, 0, "", "a text file: one URL or file name a line"},
    {"tries", BQ_INT, {.i = 4}, 1, 100, "", "tries of a URL before it is given up"},
    {"timeout_s", BQ_REAL, {.r = 60}, 0.001, 86400, "s", "longest time of one try"},
    {"max_bytes", BQ_INT, {.i = 1 << 30}, 0, 1e15, "bytes", "longest contents that are taken"},
};

struct tally {
    uint64_t fetched, refused, bytes;
};

/* A line, and what is known of its contents so far. */
struct contents {
    XXH3_state_t hash;
    uint64_t n;
    char line[FETCH_LINE];
};

/* Of an open chunk. */
struct progress {
    uint64_t row;   /* in the chunk, of the one that is fetched now */
    unsigned tries; /* of it, that have failed */
    struct contents *contents;
    struct fetch_transfer *transfer; /* NULL: to be begun */
    bool has_line;                   /* contents has the line of this row */
};

static int prepare(struct bq_setup *setup)
{
    const char *list = setup->params[LIST].text;
    uint64_t n;
    if (!*list) {
        snprintf(setup->message, sizeof setup->message,
                 "params.list is missing: the name of a file with one URL or file name a line");
        return -1;
    }
    if (fetch_list_count(list, &n, setup->message, sizeof setup->message) < 0)
        return -1;
    setup->space = (struct bq_space){2, {n, N_COLUMNS}};
    setup->chunk = (struct bq_space){2, {1, N_COLUMNS}};
    setup->is_whole[1] = true;
    setup->out_type = BQ_U64;
    setup->acc_size = sizeof(struct tally);
    setup->state_size = sizeof(struct progress);
    return 0;
}

/* -- contents ----------------------------------------------------------------------------- */

static void take(void *context, const void *bytes, size_t n)
{
    struct contents *contents = context;
    XXH3_128bits_update(&contents->hash, bytes, n);
    contents->n += n;
}

static void reset(struct contents *contents)
{
    XXH3_128bits_reset(&contents->hash);
    contents->n = 0;
}

/* The row of a line. An axis that is cut is not expected, but would be written rightly. */
static void put(struct bq_call *call, const struct progress *at, uint64_t status, bool is_fetched)
{
    const struct bq_block *out = call->out;
    uint64_t row[N_COLUMNS] = {[STATUS] = status};
    struct tally *tally = call->acc;
    if (is_fetched) {
        XXH128_hash_t hash = XXH3_128bits_digest(&at->contents->hash);
        row[BYTES] = at->contents->n;
        row[HIGH] = hash.high64;
        row[LOW] = hash.low64;
    }
    if (out->data)
        memcpy((uint64_t *)out->data + at->row * out->extent[1], row + out->offset[1],
               (size_t)out->extent[1] * sizeof *row);
    if (out->offset[1] == 0) {
        tally->fetched += is_fetched;
        tally->refused += !is_fetched;
        tally->bytes += row[BYTES];
    }
}

/* -- files -------------------------------------------------------------------------------- */

/* Returns what went wrong, or NULL. */
static const char *read_file(const char *name, uint64_t max_bytes, struct contents *contents)
{
    char piece[PIECE];
    struct stat stat;
    const char *why = NULL;
    ssize_t n;
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return strerror(errno);
    if (fstat(fd, &stat) < 0)
        why = strerror(errno);
    else if (!S_ISREG(stat.st_mode))
        why = "it is not a regular file";
    reset(contents);
    while (!why && (n = read(fd, piece, sizeof piece)) != 0) {
        if (n < 0 && errno != EINTR)
            why = strerror(errno);
        else if (n > 0 && (uint64_t)n > max_bytes - contents->n)
            why = "more than max_bytes";
        else if (n > 0)
            take(contents, piece, (size_t)n);
    }
    close(fd);
    return why;
}

/* -- one line ----------------------------------------------------------------------------- */

static void clear(struct progress *at)
{
    fetch_end(at->transfer, false);
    free(at->contents);
    at->transfer = NULL;
    at->contents = NULL;
}

/* Copies what may be printed; returns where it ends. */
static char *append(char *to, const char *end, const char *text, size_t most)
{
    for (; *text && most > 0 && to < end - 1; text++, most--)
        *to++ = iscntrl((unsigned char)*text) ? '?' : *text;
    *to = 0;
    return to;
}

/* The message has 120 bytes: the end of a long line is left out, so that why is in it. */
static enum bq_answer fail(struct bq_call *call, const char *line, const char *why)
{
    const char *end = call->message + sizeof call->message;
    size_t room = sizeof call->message - 8, need = strlen(why) < 56 ? strlen(why) : 56;
    char *at = append(call->message, end, line, room - need);
    at = append(at, end, strlen(line) > room - need ? "..: " : ": ", 4);
    append(at, end, why, room);
    return BQ_FAIL;
}

/* scheme://: letters, digits, + - and . */
static bool is_url(const char *line)
{
    size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    return n > 0 && isalpha((unsigned char)*line) && strncmp(line + n, "://", 3) == 0;
}

/* Statuses that may pass; any other is an answer. */
static bool may_pass(long status)
{
    return status >= 500 || status == 408 || status == 425 || status == 429;
}

/* Before another try: doubled each time, and each line's own, or all that a busy server refused
 * would come back at the same moment, to be refused again. */
static uint64_t pause_ns(uint64_t line, unsigned tries)
{
    unsigned doubled = tries - 1 < MOST_PAUSES ? tries - 1 : MOST_PAUSES;
    uint64_t pause = (uint64_t)PAUSE_NS << doubled;
    return pause / 2 + XXH3_64bits_withSeed(&line, sizeof line, tries) % pause;
}

/* DONE: with this line. */
static enum bq_answer go_on_with_url(struct bq_call *call, struct progress *at, const char *line)
{
    struct fetch_limits limits = {.max_bytes = (uint64_t)call->params[MAX_BYTES].i,
                                  .timeout_ms = (uint64_t)(call->params[TIMEOUT_S].r * 1000)};
    struct fetch_state state = {.fd = -1};
    char why[160];
    if (!at->transfer) {
        reset(at->contents);
        at->transfer = fetch_begin(line, &limits, take, at->contents);
        if (!at->transfer)
            return fail(call, line, "no memory for the transfer");
    }
    enum fetch_news news = fetch_go_on(at->transfer, &state);
    if (news == FETCH_WAITS) {
        call->wait_fd = state.fd;
        call->wait_events = state.events;
        call->wait_ns = state.wait_ns;
        return BQ_WAIT;
    }
    if (news == FETCH_ANSWERED && !may_pass(state.status)) {
        put(call, at, (uint64_t)state.status, state.status < 300);
        fetch_end(at->transfer, true);
        at->transfer = NULL;
        return BQ_DONE;
    }
    if (news == FETCH_ANSWERED)
        snprintf(why, sizeof why, "status %ld", state.status);
    else
        snprintf(why, sizeof why, "%.150s", state.why);
    fetch_end(at->transfer, news == FETCH_ANSWERED);
    at->transfer = NULL;
    if (news == FETCH_IMPOSSIBLE || ++at->tries >= (unsigned)call->params[TRIES].i)
        return fail(call, line, why);
    call->wait_ns = pause_ns(call->out->offset[0] + at->row, at->tries);
    return BQ_WAIT;
}

static enum bq_answer go_on(struct bq_call *call, struct progress *at)
{
    char *line = at->contents->line;
    if (!at->has_line && fetch_list_line(call->params[LIST].text, call->space->extent[0],
                                         call->out->offset[0] + at->row, line, call->message,
                                         sizeof call->message) < 0)
        return BQ_FAIL;
    at->has_line = true;
    if (is_url(line))
        return go_on_with_url(call, at, line);
    const char *why = read_file(line, (uint64_t)call->params[MAX_BYTES].i, at->contents);
    if (why)
        return fail(call, line, why);
    put(call, at, 0, true);
    return BQ_DONE;
}

static enum bq_answer cook(struct bq_call *call)
{
    struct progress *at = call->state;
    if (!at->contents)
        at->contents = aligned_alloc(64, (sizeof *at->contents + 63) / 64 * 64);
    if (!at->contents)
        return fail(call, "list", "no memory");
    for (; at->row < call->out->extent[0]; at->row++) {
        enum bq_answer answer = go_on(call, at);
        if (answer != BQ_DONE)
            return answer;
        at->tries = 0;
        at->has_line = false;
    }
    clear(at);
    return BQ_DONE;
}

static void abandon(void *state)
{
    clear(state);
}

static void combine(const union bq_value *values, void *into, const void *next)
{
    (void)values;
    struct tally *a = into;
    const struct tally *b = next;
    a->fetched += b->fetched;
    a->refused += b->refused;
    a->bytes += b->bytes;
}

static void present(const union bq_value *values, const void *acc, struct bq_sink *sink)
{
    (void)values;
    const struct tally *tally = acc;
    sink->integer(sink, "fetched", tally->fetched);
    sink->integer(sink, "refused", tally->refused);
    sink->integer(sink, "bytes", tally->bytes);
}

const struct bq_kernel bq_kernel_fetch = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_WRITES | BQ_WAITS,
    .name = "fetch",
    .summary = "fetches a list of URLs or files and digests each",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
    .abandon = abandon,
    .combine = combine,
    .present = present,
};
