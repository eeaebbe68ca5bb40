/* banquet kernel new: a kernel to begin with, its CMake, its test and its job. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapters/kernel_source.h"
#include "base/heap.h"
#include "base/hint.h"
#include "cli/kernel.h"

#define MAX_FILES 8
#define MAX_NAME 40
#define PLACE "NAME" /* in the names of files; @NAME@ in their texts */

static int check_name(const char *name, struct bq_error *err)
{
    char quote[BQ_QUOTE];
    size_t n = strlen(name), good = 0;
    while (isalnum((unsigned char)name[good]) || name[good] == '_')
        good++;
    if (n > 0 && n <= MAX_NAME && good == n && !isdigit((unsigned char)*name))
        return 0;
    return bq_fail(err, BQ_EXIT_USAGE,
                   "a kernel's name has letters, digits and _, at most %d, and no digit in front: "
                   "%s does not",
                   MAX_NAME, bq_quote(name, quote, sizeof quote));
}

/* folder/file, with the kernel's name in it. To be given to bq_free. */
static char *path_of(const char *folder, const char *file, const char *name)
{
    const char *place = strstr(file, PLACE);
    size_t before = place ? (size_t)(place - file) : strlen(file);
    size_t size = strlen(folder) + strlen(file) + strlen(name) + 2;
    char *path = bq_alloc(size, 1);
    if (path)
        snprintf(path, size, "%s/%.*s%s%s", folder, (int)before, file, place ? name : "",
                 place ? place + strlen(PLACE) : "");
    return path;
}

static void write_text(FILE *f, const struct bq_source *source, const char *name)
{
    static const char mark[] = "@" PLACE "@";
    const size_t length = sizeof mark - 1;
    for (size_t i = 0; i < source->n;) {
        if (i + length <= source->n && memcmp(source->text + i, mark, length) == 0) {
            fputs(name, f);
            i += length;
        } else {
            putc(source->text[i++], f);
        }
    }
}

/* "x": a file that is there stays as it is, even one that came this instant. */
static int write_file(const char *path, const struct bq_source *source, const char *name,
                      struct bq_error *err)
{
    FILE *f = fopen(path, "wx");
    if (!f)
        return bq_fail(err, errno == EEXIST ? BQ_EXIT_USAGE : BQ_EXIT_FAILED, "%s: %s", path,
                       errno == EEXIST ? "it is there already, and stays as it is"
                                       : strerror(errno));
    write_text(f, source, name);
    bool is_bad = ferror(f) != 0;
    if (fclose(f) || is_bad) {
        bq_fail(err, BQ_EXIT_FAILED, "%s: %s", path, strerror(errno));
        unlink(path);
        return -1;
    }
    return 0;
}

int bq_kernel_new(const char *name, const char *folder, struct bq_error *err)
{
    char *paths[MAX_FILES] = {0};
    size_t n = 0, n_written = 0;
    int rc = -1;
    if (check_name(name, err) < 0)
        return -1;
    if (mkdir(folder, 0777) < 0 && errno != EEXIST)
        return bq_fail(err, BQ_EXIT_USAGE, "%s: %s", folder, strerror(errno));
    for (; bq_skeleton_sources[n].name && n < MAX_FILES; n++) {
        paths[n] = path_of(folder, bq_skeleton_sources[n].name, name);
        if (!paths[n]) {
            bq_fail(err, BQ_EXIT_FAILED, "out of memory");
            goto out;
        }
        if (access(paths[n], F_OK) == 0) {
            bq_fail(err, BQ_EXIT_USAGE, "%s: it is there already, and stays as it is", paths[n]);
            goto out;
        }
    }
    for (; n_written < n; n_written++) {
        if (write_file(paths[n_written], &bq_skeleton_sources[n_written], name, err) < 0)
            goto out;
    }
    for (size_t i = 0; i < n; i++)
        printf("%s\n", paths[i]);
    printf("\nNow: banquet kernel check %s\n", paths[0]);
    rc = 0;
out:
    for (size_t i = 0; i < MAX_FILES; i++) {
        if (rc < 0 && i < n_written)
            unlink(paths[i]);
        bq_free(paths[i]);
    }
    return rc;
}
