#include "base/error.h"

#include <stdio.h>
#include <string.h>

int bq_fail(struct bq_error *err, enum bq_exit exit, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        err->exit = exit;
    }
    return -1;
}

/* As much of `more` as there is room for. */
static void append(char *text, size_t size, const char *more)
{
    size_t at = strlen(text), n = strlen(more), room = size - 1 - at;
    n = n < room ? n : room;
    memcpy(text + at, more, n);
    text[at + n] = 0;
}

int bq_fail_in(struct bq_error *err, const char *format, ...)
{
    if (err) {
        char old[sizeof err->text];
        memcpy(old, err->text, sizeof old);
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        append(err->text, sizeof err->text, ": ");
        append(err->text, sizeof err->text, old);
    }
    return -1;
}
