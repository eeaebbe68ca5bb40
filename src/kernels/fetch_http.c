#define _POSIX_C_SOURCE 200809L
#include "fetch_http.h"

#include <curl/curl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOCKETS 4     /* of one transfer at once: curl tries two addresses of a host at most */
#define BETWEEN_MS 10 /* between looks while there are two, of which only one can be waited for */
#define MOST_REDIRECTS 5
#define MOST_KEPT 1024 /* transfers of a thread that are kept */

struct fetch_transfer {
    struct fetch_transfer *next; /* kept */
    CURL *easy;
    CURLM *multi; /* one for each: it has one socket and one timer, as a chunk may wait for */
    fetch_take *take;
    void *context;
    uint64_t n_bytes, max_bytes;
    bool is_too_long;
    struct {
        curl_socket_t fd; /* CURL_SOCKET_BAD: none */
        int what;
    } sockets[SOCKETS];
    long timer_ms; /* -1: none */
    char why[CURL_ERROR_SIZE];
};

/* -- once, and once a thread -------------------------------------------------------------- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t kept_key;
static bool is_ready;

static void destroy(struct fetch_transfer *t)
{
    if (t->easy && t->multi)
        curl_multi_remove_handle(t->multi, t->easy);
    curl_easy_cleanup(t->easy);
    curl_multi_cleanup(t->multi);
    free(t);
}

struct kept {
    struct fetch_transfer *first;
    unsigned n;
};

static void forget(void *at)
{
    struct kept *kept = at;
    while (kept->first) {
        struct fetch_transfer *next = kept->first->next;
        destroy(kept->first);
        kept->first = next;
    }
    free(kept);
}

/* Libraries of TLS are started here, before any cook needs them. They stay until the process
 * ends: nobody can say when the last cook has ended. */
static void start(void)
{
    is_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK &&
               pthread_key_create(&kept_key, forget) == 0;
}

static struct kept *kept_here(void)
{
    struct kept *kept = pthread_getspecific(kept_key);
    if (!kept) {
        kept = calloc(1, sizeof *kept);
        if (kept && pthread_setspecific(kept_key, kept)) {
            free(kept);
            kept = NULL;
        }
    }
    return kept;
}

/* -- what curl calls ---------------------------------------------------------------------- */

static size_t on_body(char *bytes, size_t size, size_t n, void *at)
{
    struct fetch_transfer *t = at;
    n *= size;
    if (n > t->max_bytes - t->n_bytes) {
        t->is_too_long = true;
        return CURL_WRITEFUNC_ERROR;
    }
    t->n_bytes += n;
    t->take(t->context, bytes, n);
    return n;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *at, void *unused)
{
    struct fetch_transfer *t = at;
    (void)easy;
    (void)unused;
    int found = -1;
    for (int i = 0; i < SOCKETS; i++) {
        if (t->sockets[i].fd == fd)
            found = i;
    }
    for (int i = 0; found < 0 && i < SOCKETS; i++) {
        if (t->sockets[i].fd == CURL_SOCKET_BAD)
            found = i;
    }
    if (found < 0)
        return 0; /* looked after by the timer */
    t->sockets[found].fd = what == CURL_POLL_REMOVE ? CURL_SOCKET_BAD : fd;
    t->sockets[found].what = what;
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *at)
{
    struct fetch_transfer *t = at;
    (void)multi;
    t->timer_ms = ms;
    return 0;
}

/* -- a transfer --------------------------------------------------------------------------- */

static void clear(struct fetch_transfer *t)
{
    for (int i = 0; i < SOCKETS; i++)
        t->sockets[i].fd = CURL_SOCKET_BAD;
    t->timer_ms = -1;
    t->n_bytes = 0;
    t->is_too_long = false;
    t->why[0] = 0;
}

static struct fetch_transfer *create(void)
{
    struct fetch_transfer *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->easy = curl_easy_init();
    t->multi = curl_multi_init();
    if (!t->easy || !t->multi) {
        destroy(t);
        return NULL;
    }
    curl_multi_setopt(t->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(t->multi, CURLMOPT_SOCKETDATA, t);
    curl_multi_setopt(t->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(t->multi, CURLMOPT_TIMERDATA, t);
    curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, 1L);
    return t;
}

/* No signal (there are many threads), no redirect to a file, nothing from ~/.netrc, no decoding:
 * the digest is that of the bytes as they are served. */
static void set(struct fetch_transfer *t, const char *url, const struct fetch_limits *limits)
{
    CURL *easy = t->easy;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "banquet");
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https,file");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS,
                     (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS | CURLPROTO_FILE));
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)MOST_REDIRECTS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)limits->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->why);
}

struct fetch_transfer *fetch_begin(const char *url, const struct fetch_limits *limits,
                                   fetch_take *take, void *context)
{
    pthread_once(&once, start);
    struct kept *kept = is_ready ? kept_here() : NULL;
    if (!kept)
        return NULL;
    struct fetch_transfer *t = kept->first;
    if (t) {
        kept->first = t->next;
        kept->n--;
        curl_easy_reset(t->easy); /* keeps its connections */
    } else {
        t = create();
    }
    if (!t)
        return NULL;
    clear(t);
    t->take = take;
    t->context = context;
    t->max_bytes = limits->max_bytes;
    set(t, url, limits);
    if (curl_multi_add_handle(t->multi, t->easy) != CURLM_OK) {
        destroy(t);
        return NULL;
    }
    return t;
}

void fetch_end(struct fetch_transfer *t, bool is_kept)
{
    if (!t)
        return;
    struct kept *kept = is_kept ? kept_here() : NULL;
    if (!kept || kept->n >= MOST_KEPT) {
        destroy(t);
        return;
    }
    curl_multi_remove_handle(t->multi, t->easy);
    t->next = kept->first;
    kept->first = t;
    kept->n++;
}

/* -- going on ----------------------------------------------------------------------------- */

/* What another try cannot change. */
static bool is_hopeless(CURLcode code)
{
    return code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT ||
           code == CURLE_WRITE_ERROR || code == CURLE_TOO_MANY_REDIRECTS ||
           code == CURLE_FILE_COULDNT_READ_FILE || code == CURLE_NOT_BUILT_IN ||
           code == CURLE_OUT_OF_MEMORY;
}

static enum fetch_news finished(struct fetch_transfer *t, CURLcode code, struct fetch_state *state)
{
    if (code == CURLE_OK) {
        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &state->status);
        return FETCH_ANSWERED;
    }
    if (t->is_too_long) /* curl only knows that its bytes were not taken */
        snprintf(t->why, sizeof t->why, "more than max_bytes (%llu)",
                 (unsigned long long)t->max_bytes);
    state->why = t->why[0] ? t->why : curl_easy_strerror(code);
    return is_hopeless(code) ? FETCH_IMPOSSIBLE : FETCH_FAILED;
}

static void waits_for(const struct fetch_transfer *t, struct fetch_state *state)
{
    uint64_t ms = t->timer_ms < 0 ? 0 : t->timer_ms < 1 ? 1 : (uint64_t)t->timer_ms;
    int n = 0;
    *state = (struct fetch_state){.fd = -1};
    for (int i = 0; i < SOCKETS; i++) {
        int what = t->sockets[i].what;
        if (t->sockets[i].fd == CURL_SOCKET_BAD)
            continue;
        n++;
        state->fd = t->sockets[i].fd;
        state->events =
            (short)((what & CURL_POLL_IN ? POLLIN : 0) | (what & CURL_POLL_OUT ? POLLOUT : 0));
    }
    if (n != 1 && (ms == 0 || ms > BETWEEN_MS))
        ms = BETWEEN_MS;
    state->wait_ns = ms * 1000000;
}

enum fetch_news fetch_go_on(struct fetch_transfer *t, struct fetch_state *state)
{
    int running, left;
    /* 0: curl itself asks which events have come. */
    for (int i = 0; i < SOCKETS; i++) {
        if (t->sockets[i].fd != CURL_SOCKET_BAD)
            curl_multi_socket_action(t->multi, t->sockets[i].fd, 0, &running);
    }
    do {
        t->timer_ms = t->timer_ms == 0 ? -1 : t->timer_ms;
        curl_multi_socket_action(t->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        const CURLMsg *message = curl_multi_info_read(t->multi, &left);
        if (message && message->msg == CURLMSG_DONE)
            return finished(t, message->data.result, state);
    } while (t->timer_ms == 0);
    waits_for(t, state);
    return FETCH_WAITS;
}
