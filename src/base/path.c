#include "base/path.h"

#include <stdio.h>
#include <string.h>

#include "base/heap.h"

#define TAIL ".banquet-XXXXXX"

size_t bq_path_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

char *bq_path_hidden(const char *path)
{
    size_t folder = bq_path_folder(path), size = strlen(path) + sizeof "." TAIL;
    char *hidden = bq_alloc(size, 1);
    if (hidden) /* a name may be 255 bytes long, and ours adds 17 */
        snprintf(hidden, size, "%.*s.%.230s" TAIL, (int)folder, path, path + folder);
    return hidden;
}

void bq_path_fill(char *hidden, const char six[6])
{
    memcpy(hidden + strlen(hidden) - 6, six, 6);
}

bool bq_path_is_hidden(const char *path)
{
    const char *name = path + bq_path_folder(path);
    size_t n = strlen(name), tail = sizeof TAIL - 1;
    return name[0] == '.' && n >= tail &&
           strncmp(name + n - tail, TAIL, tail - sizeof "XXXXXX" + 1) == 0;
}
