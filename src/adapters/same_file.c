#include "adapters/same_file.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"

#define MAX_LINKS 40 /* as the system has it */

/* Follows a symbolic link whose target does not exist, as whoever creates the file will. */
static void follow(char *path, size_t size)
{
    char target[PATH_MAX], next[2 * PATH_MAX];
    for (int i = 0; i < MAX_LINKS; i++) {
        ssize_t n = readlink(path, target, sizeof target - 1);
        if (n < 0)
            return;
        target[n] = 0;
        int folder = target[0] == '/' ? 0 : (int)bq_path_folder(path);
        if (snprintf(next, sizeof next, "%.*s%s", folder, path, target) >= (int)size)
            return;
        strcpy(path, next);
    }
}

static bool is_same_place(const char *a, const char *b)
{
    char path[2][PATH_MAX], folder[2][PATH_MAX];
    struct stat st[2];
    const char *const given[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        if (snprintf(path[i], PATH_MAX, "%s", given[i]) >= PATH_MAX)
            return false;
        follow(path[i], PATH_MAX);
        size_t n = bq_path_folder(path[i]);
        snprintf(folder[i], PATH_MAX, "%.*s", n ? (int)n : 1, n ? path[i] : ".");
        if (stat(folder[i], &st[i]) != 0)
            return false;
    }
    return st[0].st_dev == st[1].st_dev && st[0].st_ino == st[1].st_ino &&
           strcmp(path[0] + bq_path_folder(path[0]), path[1] + bq_path_folder(path[1])) == 0;
}

bool bq_is_same_file(const char *a, const char *b)
{
    struct stat st[2];
    bool has_a = stat(a, &st[0]) == 0, has_b = stat(b, &st[1]) == 0;
    if (has_a && has_b)
        return st[0].st_dev == st[1].st_dev && st[0].st_ino == st[1].st_ino;
    return !has_a && !has_b && is_same_place(a, b);
}
