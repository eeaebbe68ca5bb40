#include "base/hint.h"

#include "base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAX_SHOWN 60

static bool is_control(const unsigned char *p)
{
    return p[0] < 0x20 || p[0] == 0x7f || (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0);
}

const char *bq_plain(const char *text, char *out, size_t size)
{
    size_t n = strnlen(text, size), w = 0;
    if (n == size) {
        n--;
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--; /* not in the middle of a UTF-8 character */
    }
    for (size_t i = 0; i < n; i++) {
        const unsigned char *p = (const unsigned char *)text + i;
        bool is_bad = is_control(p);
        out[w++] = is_bad ? '?' : text[i];
        if (is_bad && *p == 0xc2)
            i++;
    }
    out[w] = 0;
    return out;
}

const char *bq_quote(const char *word, char *out, size_t size)
{
    char shown[MAX_SHOWN + 1];
    bool is_cut = strnlen(word, MAX_SHOWN + 1) > MAX_SHOWN;
    if (!*word)
        snprintf(out, size, "nothing");
    else
        snprintf(out, size, "'%s%s'", bq_plain(word, shown, sizeof shown), is_cut ? "..." : "");
    return out;
}

const char *bq_hint(const char *word, const char *const *names, size_t n, char *out, size_t size)
{
    if (*bq_text_suggest(word, names, n, out, size))
        return out;
    size_t w = 0;
    for (size_t i = 0; i < n && w < size; i++) {
        int m = snprintf(out + w, size - w, "%s%s", i ? ", " : "; known: ", names[i]);
        w += m > 0 ? (size_t)m : 0;
    }
    return out;
}
