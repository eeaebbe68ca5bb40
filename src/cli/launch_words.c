/* mpirun complains of each process that ends otherwise than by MPI_Finalize with a line of its own,
 * "[host:pid] PMIX ERROR: BAD-PARAM in file ..", that says nothing of what happened. Everything
 * else passes at once: a progress line ends in no newline. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/launch.h"

void bq_words_begin(struct bq_words *w, pid_t mpirun)
{
    char host[100] = "";
    *w = (struct bq_words){.state = BQ_WORDS_START};
    gethostname(host, sizeof host - 1);
    for (int i = 0; i < 2; i++) {
        snprintf(w->skipped[i], sizeof w->skipped[i], "[%s:%ld] PMIX ERROR: BAD-PARAM", host,
                 (long)mpirun);
        host[strcspn(host, ".")] = 0;
    }
}

static void put(int to, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t written = write(to, bytes, n);
        if (written <= 0)
            return; /* nobody listens */
        bytes += written;
        n -= (size_t)written;
    }
}

/* At the start of a line: holds what may become the line to skip. */
static void consider(struct bq_words *w, char c)
{
    w->held[w->n_held++] = c;
    w->state = BQ_WORDS_IN_LINE;
    for (int i = 0; i < 2; i++) {
        if (strncmp(w->skipped[i], w->held, w->n_held))
            continue;
        w->state = w->skipped[i][w->n_held] ? BQ_WORDS_START : BQ_WORDS_SKIP;
        break;
    }
}

void bq_words_pass(struct bq_words *w, const char *bytes, size_t n, int to)
{
    char out[4096 + sizeof w->held];
    size_t n_out = 0;
    for (size_t i = 0; i < n; i++) {
        if (w->state == BQ_WORDS_START) {
            consider(w, bytes[i]);
            if (w->state == BQ_WORDS_START)
                continue;
            if (w->state == BQ_WORDS_IN_LINE) {
                memcpy(out + n_out, w->held, w->n_held);
                n_out += w->n_held;
            }
            w->n_held = 0;
        } else if (w->state == BQ_WORDS_IN_LINE) {
            out[n_out++] = bytes[i];
        }
        if (bytes[i] == '\n' || (bytes[i] == '\r' && w->state == BQ_WORDS_IN_LINE))
            w->state = BQ_WORDS_START;
        if (n_out >= 4096) {
            put(to, out, n_out);
            n_out = 0;
        }
    }
    put(to, out, n_out);
}

void bq_words_end(struct bq_words *w, int to)
{
    put(to, w->held, w->n_held);
    w->n_held = 0;
}
