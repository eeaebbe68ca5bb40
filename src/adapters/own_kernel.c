#include "adapters/own_kernel.h"

#include <stdio.h>
#include <string.h>

#include "adapters/kernel_compiler.h"
#include "base/heap.h"
#include "base/hint.h"

static bool has_end(const char *text, size_t n, const char *end)
{
    return n > strlen(end) && strncmp(text + n - strlen(end), end, strlen(end)) == 0;
}

/* The length of the file's part: up to the last colon, if a file that we know ends there. */
static size_t file_length(const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    return has_end(text, n, ".c") || has_end(text, n, ".so") ? n : strlen(text);
}

bool bq_own_kernel_is_meant(const char *text)
{
    size_t n = file_length(text);
    return strchr(text, '/') || has_end(text, n, ".c") || has_end(text, n, ".so");
}

int bq_own_kernel_parse(const char *text, char *file, size_t size, const char **name, bool *is_c,
                        struct bq_error *err)
{
    char quote[BQ_QUOTE];
    size_t n = file_length(text);
    *is_c = has_end(text, n, ".c");
    *name = text[n] ? text + n + 1 : NULL;
    if (!*is_c && !has_end(text, n, ".so"))
        return bq_fail(
            err, BQ_EXIT_USAGE,
            "%s is neither FILE.c nor FILE.so, with :NAME behind it where it has several",
            bq_quote(text, quote, sizeof quote));
    if (n >= size)
        return bq_fail(err, BQ_EXIT_USAGE, "the name '%.40s...' is longer than %zu bytes", text,
                       size - 1);
    snprintf(file, size, "%.*s", (int)n, text);
    return 0;
}

static struct bq_library *load(const char *text, bool may_be_several,
                               const struct bq_kernel **kernel, struct bq_error *err)
{
    char file[BQ_CACHE_PATH], path[BQ_CACHE_PATH];
    const char *name;
    bool is_c;
    if (bq_own_kernel_parse(text, file, sizeof file, &name, &is_c, err) < 0 ||
        (is_c && bq_compile_kernel(file, path, err) < 0))
        return NULL;
    struct bq_library *library = bq_library_open(is_c ? path : file, NULL, err);
    *kernel = NULL;
    if (library && may_be_several && !name && bq_library_n_kernels(library) > 1)
        return library;
    if (library)
        *kernel = bq_library_kernel(library, name, err);
    if (library && !*kernel) {
        bq_fail_in(err, "%s", file);
        bq_library_close(library);
        return NULL;
    }
    return library;
}

struct bq_library *bq_own_kernel_open(const char *text, const struct bq_kernel **kernel,
                                      struct bq_error *err)
{
    return load(text, false, kernel, err);
}

struct bq_library *bq_own_kernel_list(const char *text, const struct bq_kernel **kernel,
                                      struct bq_error *err)
{
    return load(text, true, kernel, err);
}

/* -- those of a job ----------------------------------------------------------------------- */

struct held {
    struct held *next;
    struct bq_library *library;
};

static void release(void *list)
{
    for (struct held *held = list, *next; held; held = next) {
        next = held->next;
        bq_library_close(held->library);
        bq_free(held);
    }
}

const struct bq_kernel *bq_own_kernel_take(struct bq_job *job, const char *text,
                                           const struct bq_origin **origin, struct bq_error *err)
{
    const struct bq_kernel *kernel;
    struct held *held = bq_alloc(1, sizeof *held);
    if (!held) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        return NULL;
    }
    held->library = bq_own_kernel_open(text, &kernel, err);
    if (!held->library) {
        bq_free(held);
        return NULL;
    }
    held->next = job->held;
    job->held = held;
    job->release = release;
    *origin = bq_library_origin(held->library);
    return kernel;
}
