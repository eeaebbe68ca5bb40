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

int bq_fail_in(struct bq_error *err, const char *format, ...)
{
    if (err) {
        char old[sizeof err->text];
        memcpy(old, err->text, sizeof old);
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        size_t n = strlen(err->text), left = sizeof err->text - n;
        strncat(err->text, ": ", left - 1);
        n = strlen(err->text);
        strncat(err->text, old, sizeof err->text - n - 1);
    }
    return -1;
}
