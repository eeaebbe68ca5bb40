#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORD 48

/* Optimal string alignment distance (Damerau-Levenshtein without repeated edits). */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    if (n > MAX_WORD || m > MAX_WORD)
        return SIZE_MAX;
    size_t d[MAX_WORD + 1][MAX_WORD + 1];
    for (size_t i = 0; i <= n; i++) {
        for (size_t j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best)
                best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best)
                best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[n][m];
}

int bq_text_nearest(const char *word, const char *const *names, size_t n)
{
    size_t best = SIZE_MAX;
    int at = -1;
    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, names[i]);
        if (d < best) {
            best = d;
            at = (int)i;
        }
    }
    size_t limit = strlen(word) / 3 + 1;
    return best <= limit ? at : -1;
}

const char *bq_text_suggest(const char *word, const char *const *names, size_t n, char *out,
                            size_t size)
{
    int at = bq_text_nearest(word, names, n);
    if (at < 0)
        snprintf(out, size, "%s", "");
    else
        snprintf(out, size, "; did you mean '%s'?", names[at]);
    return out;
}

const char *bq_text_bytes(uint64_t bytes, char *out, size_t size)
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t u = 0;
    while (value >= 1024 && u < 6) {
        value /= 1024;
        u++;
    }
    snprintf(out, size,
             value >= 100 || u == 0 || value == (double)(uint64_t)value ? "%.0f %s" : "%.3g %s",
             value, unit[u]);
    return out;
}

const char *bq_text_seconds(double seconds, char *out, size_t size)
{
    if (seconds < 1e-6)
        snprintf(out, size, "%.0f ns", seconds * 1e9);
    else if (seconds < 1e-3)
        snprintf(out, size, "%.3g us", seconds * 1e6);
    else if (seconds < 1)
        snprintf(out, size, "%.3g ms", seconds * 1e3);
    else if (seconds < 120)
        snprintf(out, size, "%.3g s", seconds);
    else if (seconds < 7200)
        snprintf(out, size, "%.0f min %02.0f s", (double)(uint64_t)(seconds / 60),
                 seconds - 60 * (double)(uint64_t)(seconds / 60));
    else
        snprintf(out, size, "%.1f h", seconds / 3600);
    return out;
}

uint64_t bq_text_whole(double value)
{
    return value >= 0x1p64 ? UINT64_MAX : value > 0 ? (uint64_t)value : 0;
}

const char *bq_text_count(uint64_t n, char *out, size_t size)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    size_t w = 0;
    for (int i = 0; i < len && w + 2 < size; i++) {
        if (i && (len - i) % 3 == 0)
            out[w++] = ',';
        out[w++] = digits[i];
    }
    if (size)
        out[w] = 0;
    return out;
}

int bq_text_u64(const char *text, uint64_t *value)
{
    char *end;
    if (*text < '0' || *text > '9')
        return -1;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || *end)
        return -1;
    *value = v;
    return 0;
}

int bq_text_i64(const char *text, int64_t *value)
{
    char *end;
    errno = 0;
    if (*text != '-' && *text != '+' && (*text < '0' || *text > '9'))
        return -1;
    long long v = strtoll(text, &end, 10);
    if (errno || *end || end == text)
        return -1;
    *value = v;
    return 0;
}

int bq_text_real(const char *text, double *value)
{
    char *end;
    if (!*text || strspn(text, "+-.0123456789eEinfatyINFATYN") != strlen(text))
        return -1;
    errno = 0;
    double v = strtod(text, &end);
    if (*end || end == text || (errno && v != 0 && (v > 1 || v < -1)))
        return -1;
    *value = v;
    return 0;
}

/* The factor that "", "B", "MiB", "MB" or "M" stands for; 0 when it is none, or not one of 64 bits.
 */
static uint64_t size_unit(const char *unit)
{
    static const char letters[] = "kmgtpe";
    char word[4] = "";
    if (strlen(unit) >= sizeof word)
        return 0;
    for (size_t i = 0; unit[i]; i++)
        word[i] = (char)tolower((unsigned char)unit[i]);
    const char *letter = *word ? strchr(letters, *word) : NULL;
    if (!letter)
        return *word == 0 || strcmp(word, "b") == 0;
    bool is_decimal = strcmp(word + 1, "b") == 0;
    if (!is_decimal && word[1] && strcmp(word + 1, "ib") != 0)
        return 0;
    uint64_t factor = 1;
    for (const char *p = letters; p <= letter; p++)
        factor *= is_decimal ? 1000 : 1024;
    return factor;
}

#define MAX_DIGITS 9 /* of a fraction that are looked at: 10^9 squared still fits in 64 bits */

/* "1e9", "2.5E8": a whole number of bytes that a real holds exactly. */
static int scientific_size(const char *text, uint64_t *bytes)
{
    size_t digits = strspn(text, "0123456789.");
    double value;
    if ((text[digits] != 'e' && text[digits] != 'E') ||
        strspn(text, "0123456789.eE+") != strlen(text) || bq_text_real(text, &value) < 0 ||
        !(value <= 9007199254740992.0))
        return -1;
    uint64_t whole = bq_text_whole(value);
    if ((double)whole != value)
        return -1;
    *bytes = whole;
    return 0;
}

int bq_text_size(const char *text, uint64_t *bytes)
{
    uint64_t fraction = 0, scale = 1;
    char *end;
    if (*text < '0' || *text > '9')
        return -1;
    if (scientific_size(text, bytes) == 0)
        return 0;
    errno = 0;
    uint64_t whole = strtoull(text, &end, 10);
    const char *digits = *end == '.' ? end + 1 : end, *unit = digits;
    for (; *end == '.' && *unit >= '0' && *unit <= '9'; unit++) {
        if (unit - digits < MAX_DIGITS) {
            fraction = 10 * fraction + (uint64_t)(*unit - '0');
            scale *= 10;
        }
    }
    bool has_fraction = *end == '.';
    if (errno || (has_fraction && unit == digits))
        return -1;
    uint64_t factor = size_unit(*unit == ' ' && unit[1] ? unit + 1 : unit);
    if (factor == 0 || (has_fraction && factor == 1) || whole > UINT64_MAX / factor)
        return -1;
    /* fraction / scale of the factor, in whole numbers, so that 0.7 kB is 700 bytes. */
    uint64_t part = factor / scale * fraction + factor % scale * fraction / scale;
    if (part > UINT64_MAX - whole * factor)
        return -1;
    *bytes = whole * factor + part;
    return 0;
}

int bq_text_shape(const char *text, uint64_t *extent, int max)
{
    int rank = 0;
    for (;;) {
        if (rank == max || *text < '0' || *text > '9')
            return -1;
        char *end;
        errno = 0;
        unsigned long long v = strtoull(text, &end, 10);
        if (errno || v == 0)
            return -1;
        extent[rank++] = v;
        if (!*end)
            return rank;
        if (*end != 'x' && *end != 'X' && *end != ',')
            return -1;
        text = end + 1;
    }
}

const char *bq_text_extent(const uint64_t *extent, int rank, char *out, size_t size)
{
    size_t w = 0;
    if (size)
        out[0] = 0;
    for (int i = 0; i < rank && w < size; i++) {
        int n =
            snprintf(out + w, size - w, "%s%llu", i ? " x " : "", (unsigned long long)extent[i]);
        w += n > 0 ? (size_t)n : 0;
    }
    return out;
}
