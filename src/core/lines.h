/* Lines of text for a terminal: at most 80 columns, no control characters, one call per line.
 *
 * Names from outside (paths, hosts, reasons) pass through here, so a strange one cannot upset a
 * terminal. UTF-8 in them is kept; a column is a code point. Pure: the text goes to a callback.
 */
#ifndef BQ_CORE_LINES_H
#define BQ_CORE_LINES_H

#include <stdarg.h>
#include <stddef.h>

#define BQ_COLUMNS 80

struct bq_lines {
    void (*put)(void *ctx, const char *line); /* one line with its newline */
    void *ctx;
};

/* One line; what is longer than 80 columns is cut and ends in "...". Blanks at the end go. */
void bq_line(const struct bq_lines *lines, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A paragraph, broken at blanks (or inside a word that is longer than a line); `first` stands in
 * front of the first line and the others are indented by as much. */
void bq_line_wrap(const struct bq_lines *lines, const char *first, const char *text);

/* `text` in at most `columns` columns into out: the end of a path says more than its start, so
 * what goes is the start ("...end"). Returns out. */
const char *bq_line_tail(const char *text, size_t columns, char *out, size_t size);

/* How many columns a text takes. */
size_t bq_line_columns(const char *text);

#endif
