#include "adapters/text_file.h"

#include "base/heap.h"
#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Bytes of the UTF-8 character at p, 0 when it is none (RFC 3629: no overlong forms, no surrogates,
 * nothing above U+10FFFF) or a control character that is no white space. There is a NUL after the
 * end, so a cut character stops by itself. */
static size_t character(const unsigned char *p)
{
    unsigned char c = p[0];
    if (c < 0x80)
        return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c != 0x7f);
    size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    bool is_bad = (c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) ||
                  (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f) ||
                  (c == 0xc2 && p[1] < 0xa0 && p[1] != 0x85);
    return is_bad ? 0 : n;
}

static int check(const char *path, const char *text, size_t n, struct bq_error *err)
{
    const unsigned char *p = (const unsigned char *)text;
    int line = 1;
    for (size_t i = 0; i < n;) {
        size_t step = character(p + i);
        if (p[i] == '\t')
            return bq_fail(err, BQ_EXIT_USAGE, "%s:%d: holds a tab; write spaces instead", path,
                           line);
        if (step == 0)
            return bq_fail(err, BQ_EXIT_USAGE,
                           "%s:%d: byte 0x%02x is not text; a job file is written in UTF-8", path,
                           line, p[i]);
        line += p[i] == '\n';
        i += step;
    }
    return 0;
}

char *bq_text_file_read(const char *path, size_t max, size_t *n, struct bq_error *err)
{
    char size[32];
    char *text = NULL;
    FILE *f = fopen(path, "rbe");
    if (!f) {
        bq_fail(err, BQ_EXIT_USAGE, "%s: cannot be read: %s", path, strerror(errno));
        return NULL;
    }
    text = bq_alloc(max + 2, 1);
    if (!text) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        goto fail;
    }
    *n = fread(text, 1, max + 1, f);
    if (ferror(f)) {
        bq_fail(err, BQ_EXIT_USAGE, "%s: cannot be read: %s", path, strerror(errno));
        goto fail;
    }
    if (*n > max) {
        bq_fail(err, BQ_EXIT_USAGE, "%s: is larger than %s, which no job file is", path,
                bq_text_bytes(max, size, sizeof size));
        goto fail;
    }
    if (check(path, text, *n, err))
        goto fail;
    fclose(f);
    return text;
fail:
    fclose(f);
    bq_free(text);
    return NULL;
}
