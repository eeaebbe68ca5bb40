#include "core/lines.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAX_LINE 512 /* bytes: 80 code points of 4, and the newline */

static bool starts_column(char c)
{
    return ((unsigned char)c & 0xC0) != 0x80; /* not a continuation byte of UTF-8 */
}

size_t bq_line_columns(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += starts_column(*text);
    return n;
}

/* Bytes of the first `columns` columns. */
static size_t bytes_of(const char *text, size_t columns)
{
    size_t i = 0;
    for (size_t n = 0; text[i]; i++) {
        if (starts_column(text[i]) && n++ == columns)
            break;
    }
    return i;
}

static void emit(const struct bq_lines *lines, char *line)
{
    for (char *c = line; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7F)
            *c = '?';
    }
    if (bq_line_columns(line) > BQ_COLUMNS)
        memcpy(line + bytes_of(line, BQ_COLUMNS - 3), "...", 4);
    size_t n = strlen(line);
    while (n && line[n - 1] == ' ')
        n--;
    memcpy(line + n, "\n", 2);
    lines->put(lines->ctx, line);
}

void bq_line(const struct bq_lines *lines, const char *format, ...)
{
    char line[MAX_LINE];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    emit(lines, line);
}

void bq_line_wrap(const struct bq_lines *lines, const char *first, const char *text)
{
    size_t indent = bq_line_columns(first);
    bool is_first = true;
    do {
        size_t room = indent < BQ_COLUMNS / 2 ? BQ_COLUMNS - indent : BQ_COLUMNS / 2;
        size_t n = bytes_of(text, room);
        if (text[n]) { /* does not fit: back to the last blank, if there is one */
            size_t blank = n;
            while (blank && text[blank] != ' ')
                blank--;
            n = blank ? blank : n;
        }
        char line[MAX_LINE];
        snprintf(line, sizeof line - 1, "%*s%s%.*s", is_first ? 0 : (int)indent, "",
                 is_first ? first : "", (int)n, text);
        emit(lines, line);
        is_first = false;
        text += n;
        while (*text == ' ')
            text++;
    } while (*text);
}

const char *bq_line_tail(const char *text, size_t columns, char *out, size_t size)
{
    size_t has = bq_line_columns(text);
    if (has <= columns || columns < 4) {
        snprintf(out, size, "%.*s", (int)bytes_of(text, columns), text);
        return out;
    }
    snprintf(out, size, "...%s", text + bytes_of(text, has - (columns - 3)));
    return out;
}
