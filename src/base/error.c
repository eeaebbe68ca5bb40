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
        int n = vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        if (n >= 0 && (size_t)n < sizeof err->text)
            snprintf(err->text + n, sizeof err->text - (size_t)n, ": %.*s", (int)sizeof old - 1, old);
    }
    return -1;
}
