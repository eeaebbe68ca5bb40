/* Reads what Linux says in /proc and /sys/fs/cgroup. Only the smallest number counts, so that each
 * source is read by itself and one that is missing or broken is passed over. */
#include "adapters/memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/text.h"

#define MAX_LINE 8192 /* longer lines are cut: none that we need is */
#define MAX_PATH 4096

/* The two versions of cgroups. A machine may have both ("hybrid"). */
static const struct version {
    const char *type;       /* of its file system */
    const char *controller; /* that a hierarchy of groups must have; NULL: there is one hierarchy */
    const char *limits[2];  /* files */
    const char *usage;      /* file */
    const char *inherited;  /* of memory.stat: the least limit up to the real root, or NULL */
    const char *droppable;  /* of memory.stat, with those of the groups below */
} versions[] = {
    {"cgroup2", NULL, {"memory.max", "memory.high"}, "memory.current", NULL, "inactive_file"},
    {"cgroup",
     "memory",
     {"memory.limit_in_bytes", NULL},
     "memory.usage_in_bytes",
     "hierarchical_memory_limit",
     "total_inactive_file"},
};

static FILE *file_open(const char *root, const char *folder, const char *name)
{
    char path[MAX_PATH];
    int n = snprintf(path, sizeof path, "%s%s/%s", root, folder, name);
    return n < (int)sizeof path ? fopen(path, "re") : NULL;
}

/* The next line without its end; of a line that is too long, the beginning. */
static bool line_read(FILE *file, char line[MAX_LINE])
{
    if (!fgets(line, MAX_LINE, file))
        return false;
    size_t n = strcspn(line, "\n");
    bool is_cut = line[n] == 0;
    line[n] = 0;
    for (int c = 0; is_cut && c != '\n' && c != EOF;)
        c = fgetc(file);
    return true;
}

/* A file that holds one number. "max" is none. */
static bool number_read(const char *root, const char *folder, const char *name, uint64_t *value)
{
    char line[MAX_LINE];
    FILE *file = file_open(root, folder, name);
    bool is = file && line_read(file, line) && bq_text_u64(line, value) == 0;
    if (file)
        fclose(file);
    return is;
}

/* The value in "name 123" or "name:   123 kB". */
static bool named_parse(char *line, const char *name, uint64_t *value)
{
    size_t n = strlen(name);
    if (strncmp(line, name, n) != 0)
        return false;
    char *digits = line + n + strspn(line + n, ": \t");
    char *unit = digits + strspn(digits, "0123456789");
    bool is_kib = strcmp(unit, " kB") == 0;
    if (is_kib)
        *unit = 0;
    if (bq_text_u64(digits, value) || (is_kib && *value > UINT64_MAX / 1024))
        return false;
    *value *= is_kib ? 1024 : 1;
    return true;
}

static bool named_read(const char *root, const char *folder, const char *name, const char *what,
                       uint64_t *value)
{
    char line[MAX_LINE];
    uint64_t found;
    bool is = false;
    FILE *file = file_open(root, folder, name);
    while (file && !is && line_read(file, line))
        is = named_parse(line, what, &found);
    if (file)
        fclose(file);
    if (is)
        *value = found;
    return is;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* -- cgroups ------------------------------------------------------------------------------ */

/* What one group leaves. A use that is not known is none. */
static uint64_t group_left(const struct version *v, const char *root, const char *folder)
{
    uint64_t limit = UINT64_MAX, one, usage = 0, droppable = 0;
    for (size_t i = 0; i < sizeof v->limits / sizeof *v->limits && v->limits[i]; i++) {
        if (number_read(root, folder, v->limits[i], &one))
            limit = smaller(limit, one);
    }
    if (v->inherited && named_read(root, folder, "memory.stat", v->inherited, &one))
        limit = smaller(limit, one);
    number_read(root, folder, v->usage, &usage);
    named_read(root, folder, "memory.stat", v->droppable, &droppable);
    usage -= smaller(droppable, usage);
    return limit - smaller(usage, limit);
}

/* Whether a list "a,b,c" has the word. */
static bool list_has(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        if (strncmp(p, word, n) == 0 && (p[n] == 0 || p[n] == ','))
            return true;
    }
    return false;
}

/* The path of this process's group that has a say in memory, out of lines "4:memory:/path" and, for
 * version 2, "0::/path". */
static bool group_find(const struct version *v, const char *root, char path[MAX_LINE])
{
    char line[MAX_LINE];
    bool is_found = false;
    FILE *file = file_open(root, "/proc/self", "cgroup");
    while (file && !is_found && line_read(file, line)) {
        char *list = strchr(line, ':'), *at = list ? strchr(list + 1, ':') : NULL;
        if (!at)
            continue;
        *at = 0;
        is_found = v->controller ? list_has(list + 1, v->controller) : strcmp(line, "0:") == 0;
        if (is_found)
            strcpy(path, at + 1);
    }
    if (file)
        fclose(file);
    return is_found;
}

/* mountinfo writes blanks and backslashes in paths as \040 and the like. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *p = text; *p; to++) {
        bool is_octal = p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
                        p[3] >= '0' && p[3] <= '7';
        *to = is_octal ? (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0')) : *p;
        p += is_octal ? 4 : 1;
    }
    *to = 0;
}

/* Takes apart "31 23 0:28 ROOT POINT options .. - TYPE source SUPER_OPTIONS"; whether it mounts
 * such groups. top: the group that is mounted at point. */
static bool mount_parse(const struct version *v, char *line, char **top, char **point)
{
    char *fields[5], *rest = line, *dash = strstr(line, " - ");
    if (!dash)
        return false;
    *dash = 0;
    for (size_t i = 0; i < 5; i++)
        fields[i] = strsep(&rest, " ");
    rest = dash + 3;
    const char *type = strsep(&rest, " "), *source = strsep(&rest, " ");
    if (!fields[4] || !source || !rest || strcmp(type, v->type) != 0 ||
        (v->controller && !list_has(rest, v->controller)))
        return false;
    *top = fields[3];
    *point = fields[4];
    unescape(*top);
    unescape(*point);
    return **top == '/' && **point == '/';
}

/* Whether a path has "..": the process and the mount are in different cgroup namespaces. */
static bool has_dots(const char *path)
{
    for (const char *p = path; (p = strstr(p, "/..")); p++) {
        if (p[3] == 0 || p[3] == '/')
            return true;
    }
    return false;
}

/* The part of path below top, "" or "/" for top itself; NULL when it lies elsewhere. A top above
 * this namespace ("/..") is a group around ours, though nobody knows which of its children ours is
 * in.
 */
static const char *path_below(const char *top, const char *path)
{
    size_t n = strlen(top);
    if (has_dots(top))
        return "";
    if (strcmp(top, "/") == 0)
        n = 0;
    if (has_dots(path) || strncmp(path, top, n) != 0 || (path[n] && path[n] != '/'))
        return NULL;
    return path + n;
}

/* What this process's group and all around it leave, up to the mount point. */
static uint64_t groups_left(const struct version *v, const char *root)
{
    char path[MAX_LINE], line[MAX_LINE], folder[MAX_PATH], *top, *point;
    uint64_t left = UINT64_MAX;
    FILE *file = group_find(v, root, path) ? file_open(root, "/proc/self", "mountinfo") : NULL;
    while (file && line_read(file, line)) {
        const char *below = mount_parse(v, line, &top, &point) ? path_below(top, path) : NULL;
        size_t least = below ? strlen(point) : 0, n = below ? strlen(below) : 0;
        if (!below || least + n >= sizeof folder)
            continue;
        memcpy(folder, point, least);
        memcpy(folder + least, below, n + 1);
        for (char *end = folder; end; end = strrchr(folder + least, '/')) {
            if (end > folder)
                *end = 0;
            left = smaller(left, group_left(v, root, folder));
        }
    }
    if (file)
        fclose(file);
    return left;
}

/* -- the machine and the process ---------------------------------------------------------- */

static uint64_t machine_left(const char *root)
{
    uint64_t left = UINT64_MAX;
    if (named_read(root, "/proc", "meminfo", "MemAvailable", &left))
        return left;
#ifdef _SC_AVPHYS_PAGES
    long pages = sysconf(_SC_AVPHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    if (pages > 0 && size > 0)
        left = (uint64_t)pages * (uint64_t)size;
#endif
    return left;
}

/* name: in /proc/self/status, of what the system counts against the limit. */
static uint64_t rlimit_left(const char *root, const struct rlimit *limit, const char *name)
{
    uint64_t used = 0;
    if (limit->rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    named_read(root, "/proc/self", "status", name, &used);
    return limit->rlim_cur - smaller(used, limit->rlim_cur);
}

uint64_t bq_memory_available(const char *root)
{
    struct rlimit limit;
    uint64_t left = machine_left(root);
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
        left = smaller(left, groups_left(&versions[i], root));
    if (getrlimit(RLIMIT_AS, &limit) == 0)
        left = smaller(left, rlimit_left(root, &limit, "VmSize"));
    if (getrlimit(RLIMIT_DATA, &limit) == 0)
        left = smaller(left, rlimit_left(root, &limit, "VmData"));
    return left < UINT64_MAX ? left : 0;
}

uint64_t bq_memory_share(uint64_t available, unsigned n_kitchens)
{
    uint64_t share = available / 2 / (n_kitchens ? n_kitchens : 1);
    return share > BQ_LEAST_MEMORY ? share : BQ_LEAST_MEMORY;
}

static uint64_t beside; /* bytes; set once, before there are threads */

void bq_memory_add_beside(uint64_t bytes)
{
    beside += bytes;
}

uint64_t bq_memory_peak(void)
{
    uint64_t peak = 0;
    named_read("", "/proc/self", "status", "VmHWM", &peak);
    return peak + beside;
}

uint64_t bq_memory_resident(void)
{
    uint64_t now = 0;
    named_read("", "/proc/self", "status", "VmRSS", &now);
    return now + beside;
}
