/* Files that options name to be written: whether they may be. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "cli/cli.h"
#include "run/guard.h"

static int fail(const char *what, const char *path, const char *why, struct bq_error *err)
{
    return bq_fail(err, BQ_EXIT_USAGE, "%s %s: %s", what, path, why);
}

/* Whether a file is empty, or begins as it should. -1 with errno when it cannot be read. */
static int begins_with(const char *path, const char *magic, bool skips_blanks)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return -1;
    int c = getc(f);
    bool is_empty = c == EOF;
    while (skips_blanks && c != EOF && isspace(c))
        c = getc(f);
    const char *m = magic;
    while (*m && c == (unsigned char)*m) {
        m++;
        c = getc(f);
    }
    fclose(f);
    return is_empty || !*m;
}

int bq_cli_check_target(const char *what, const char *path, const char *magic, bool skips_blanks,
                        const char *kind, struct bq_error *err)
{
    struct stat st;
    char folder[4096], why[200];
    size_t n = bq_path_folder(path);
    snprintf(folder, sizeof folder, "%.*s", n ? (int)n : 1, n ? path : ".");
    if (strcmp(path, "-") == 0)
        return 0;
    if (!path[n])
        return fail(what, path, path[0] ? "names a folder, not a file" : "names no file", err);
    if (stat(path, &st) != 0)
        return access(folder, W_OK) == 0 ? 0 : fail(what, path, strerror(errno), err);
    if (S_ISDIR(st.st_mode))
        return fail(what, path, "is a folder; name a file in it", err);
    if (!S_ISREG(st.st_mode)) /* a device or a pipe is written as it is */
        return access(path, W_OK) == 0 ? 0 : fail(what, path, strerror(errno), err);
    if (access(folder, W_OK) != 0)
        return fail(what, path, strerror(errno), err);
    int is_good = begins_with(path, magic, skips_blanks);
    if (is_good < 0)
        return fail(what, path, strerror(errno), err);
    snprintf(why, sizeof why, "exists and is not %s; it is left alone", kind);
    return is_good ? 0 : fail(what, path, why, err);
}

int bq_cli_check_files(const char *json, const struct bq_job *job, struct bq_error *err)
{
    if (bq_guard_outputs(job, err) < 0)
        return -1;
    if (!json || strcmp(json, "-") == 0)
        return 0;
    return bq_guard_file(job, "--json", json, err) < 0
               ? -1
               : bq_cli_check_target("--json", json, "{", true, "a JSON report", err);
}
