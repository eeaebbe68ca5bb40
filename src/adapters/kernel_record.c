#include "adapters/kernel_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapters/kernel_library.h"
#include "adapters/whole_file.h"

#define TITLE "banquet kernel, record 1\n"
#define LINE 4200

/* -- which compiler ----------------------------------------------------------------------- */

/* Where a command lies, as execvp would find it. */
static bool find_command(const char *name, char path[BQ_CACHE_PATH])
{
    const char *at = strchr(name, '/') ? NULL : getenv("PATH");
    if (!at)
        return strchr(name, '/') && snprintf(path, BQ_CACHE_PATH, "%s", name) < BQ_CACHE_PATH &&
               access(path, X_OK) == 0;
    while (*at) {
        size_t n = strcspn(at, ":");
        if (snprintf(path, BQ_CACHE_PATH, "%.*s/%s", (int)n, at, name) < BQ_CACHE_PATH &&
            access(path, X_OK) == 0)
            return true;
        at += n + (at[n] == ':');
    }
    return false;
}

/* Another version of a compiler has another size or time. "" when there is none. */
static void identify(const char *name, char out[LINE])
{
    char path[BQ_CACHE_PATH];
    struct stat is;
    char *whole = find_command(name, path) ? realpath(path, NULL) : NULL;
    *out = 0;
    if (whole && stat(whole, &is) == 0)
        snprintf(out, LINE, "compiler %lld %lld.%09ld %s\n", (long long)is.st_size,
                 (long long)is.st_mtim.tv_sec, is.st_mtim.tv_nsec, whole);
    free(whole);
}

/* -- reading ------------------------------------------------------------------------------ */

/* "file HASH PATH\n" */
static bool is_unchanged(char *line)
{
    struct bq_hash hash;
    char text[33];
    size_t n = strlen(line);
    if (n < 39 || line[37] != ' ' || line[n - 1] != '\n')
        return false;
    line[n - 1] = line[37] = 0;
    return bq_hash_file(line + 38, &hash, NULL) == 0 &&
           strcmp(bq_hash_text(&hash, text), line + 5) == 0;
}

/* Its contents are its name's last part: STEM-HASH.so. */
static bool is_whole(const char *library)
{
    struct bq_hash hash;
    char text[33];
    size_t n = strlen(library);
    return n > 36 && bq_hash_file(library, &hash, NULL) == 0 &&
           strncmp(bq_hash_text(&hash, text), library + n - 35, 32) == 0;
}

bool bq_record_find(const char *record, const char *folder, const char *compiler,
                    char library[BQ_CACHE_PATH])
{
    char line[LINE], now[LINE];
    bool is_good = false, has_library = false;
    FILE *f = fopen(record, "r");
    if (!f)
        return false;
    identify(compiler, now);
    if (!fgets(line, sizeof line, f) || strcmp(line, TITLE) != 0 || !fgets(line, sizeof line, f) ||
        (*now && strcmp(line, now) != 0))
        goto out;
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "file ", 5) == 0) {
            if (!is_unchanged(line))
                goto out;
        } else if (strncmp(line, "library ", 8) == 0 && !strchr(line, '/')) {
            line[strcspn(line, "\n")] = 0;
            has_library = bq_cache_path(library, folder, line + 8, NULL) == 0;
        } else {
            goto out;
        }
    }
    is_good = has_library && is_whole(library);
out:
    fclose(f);
    return is_good;
}

/* -- writing ------------------------------------------------------------------------------ */

/* The next file that a rule of make names: blanks and # come with a backslash, $ doubled. */
static bool next_file(FILE *f, char path[LINE])
{
    size_t n = 0;
    int c;
    while ((c = getc(f)) != EOF) {
        if (c == '\\') {
            c = getc(f);
            if (c == '\n')
                c = ' ';
            else if (c == ' ' || c == '#' || c == '\\') {
                if (n < LINE - 1)
                    path[n++] = (char)c;
                continue;
            } else {
                if (n < LINE - 1)
                    path[n++] = '\\';
            }
        } else if (c == '$') {
            int next = getc(f);
            if (next != '$')
                ungetc(next, f);
        }
        if (c != ' ' && c != '\n') {
            if (n < LINE - 1)
                path[n++] = (char)c;
        } else if (n) {
            break;
        }
    }
    path[n] = 0;
    return n > 0;
}

static bool is_later(struct timespec a, struct timespec b)
{
    return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

/* Whether all of them could be written down. */
static bool put_files(FILE *out, const char *depends, struct timespec since)
{
    char path[LINE], text[33];
    bool is_good = false;
    FILE *f = fopen(depends, "r");
    while (f && next_file(f, path)) {
        struct bq_hash hash;
        struct stat is;
        if (path[strlen(path) - 1] == ':')
            continue; /* the rule's target */
        char *whole = realpath(path, NULL);
        is_good = whole && !strchr(whole, '\n') && strlen(whole) < LINE - 50 &&
                  stat(whole, &is) == 0 && !is_later(is.st_mtim, since) &&
                  bq_hash_file(whole, &hash, NULL) == 0;
        if (is_good)
            fprintf(out, "file %s %s\n", bq_hash_text(&hash, text), whole);
        free(whole);
        if (!is_good)
            break;
    }
    if (f)
        fclose(f);
    return is_good;
}

int bq_record_write(const char *record, const char *library_name, const char *compiler,
                    const char *depends, struct timespec since, struct bq_error *err)
{
    char who[LINE];
    struct bq_whole_file file;
    identify(compiler, who);
    FILE *f = bq_whole_open(&file, record, err);
    if (!f)
        return -1;
    fprintf(f, TITLE "%slibrary %s\n", who, library_name);
    if (*who && put_files(f, depends, since))
        return bq_whole_commit(&file, err);
    bq_whole_discard(&file);
    return 0;
}
