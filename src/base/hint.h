/* How a message shows a wrong word and the right ones. Words come from files and command lines, so
 * they may be long, or hold characters that would break the line or drive the terminal. */
#ifndef BQ_BASE_HINT_H
#define BQ_BASE_HINT_H

#include <stddef.h>

#define BQ_QUOTE 72 /* bytes that any quoted word fits in */

/* text into out, as much as fits, control characters as '?'. Returns out. */
const char *bq_plain(const char *text, char *out, size_t size);

/* 'word' into out, at most 60 bytes of it, control characters as '?'; "nothing" when it is empty.
 * Returns out. */
const char *bq_quote(const char *word, char *out, size_t size);

/* "; did you mean 'x'?" or, when no name is near, "; known: x, y, z" into out. Returns out. */
const char *bq_hint(const char *word, const char *const *names, size_t n, char *out, size_t size);

#endif
