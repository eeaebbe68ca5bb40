#include "adapters/kernel_library.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/hint.h"

#define PREFIX "bq_kernel_"
#define MAX_KERNELS 64

struct found {
    const char *name;
    const struct bq_kernel *kernel;
    size_t size; /* of the object, as its symbol says */
};

struct bq_library {
    void *handle;
    char *path;
    struct bq_origin origin;
    size_t n;
    struct found list[MAX_KERNELS];
};

/* -- what it exports ---------------------------------------------------------------------- */

/* Some systems leave these addresses as they are in the file. */
static const void *address(const struct link_map *map, ElfW(Addr) at)
{
    return (const void *)(at < map->l_addr ? map->l_addr + at : at);
}

/* A table of symbols does not say how long it is; its hash table knows the last one. */
static size_t n_gnu_symbols(const uint32_t *table)
{
    uint32_t n_buckets = table[0], first = table[1], n_bloom = table[2], last = 0;
    const uint32_t *buckets = table + 4 + n_bloom * (sizeof(ElfW(Addr)) / sizeof *table);
    const uint32_t *chain = buckets + n_buckets;
    for (uint32_t i = 0; i < n_buckets; i++)
        last = buckets[i] > last ? buckets[i] : last;
    if (last < first)
        return 0;
    while (!(chain[last - first] & 1))
        last++;
    return (size_t)last + 1;
}

/* The loader has accepted the file, so its tables are what they should be. */
static void list_kernels(struct bq_library *library, const struct link_map *map)
{
    const ElfW(Sym) *symbols = NULL;
    const char *strings = NULL;
    const uint32_t *old_hash = NULL, *gnu_hash = NULL;
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_SYMTAB)
            symbols = address(map, d->d_un.d_ptr);
        else if (d->d_tag == DT_STRTAB)
            strings = address(map, d->d_un.d_ptr);
        else if (d->d_tag == DT_HASH)
            old_hash = address(map, d->d_un.d_ptr);
        else if (d->d_tag == DT_GNU_HASH)
            gnu_hash = address(map, d->d_un.d_ptr);
    }
    size_t n = gnu_hash ? n_gnu_symbols(gnu_hash) : old_hash ? old_hash[1] : 0;
    for (size_t i = 0; symbols && strings && i < n && library->n < MAX_KERNELS; i++) {
        const ElfW(Sym) *symbol = &symbols[i];
        const char *name = strings + symbol->st_name;
        if (symbol->st_shndx == SHN_UNDEF || (symbol->st_info & 15) != STT_OBJECT ||
            strncmp(name, PREFIX, strlen(PREFIX)) != 0)
            continue;
        library->list[library->n++] =
            (struct found){.name = name + strlen(PREFIX),
                           .kernel = (const void *)(map->l_addr + symbol->st_value),
                           .size = symbol->st_size};
    }
}

/* -- opening ------------------------------------------------------------------------------ */

/* Anybody who can write to it could run code as this user. */
static int trust(const struct stat *is, const char *path, struct bq_error *err)
{
    if (!S_ISREG(is->st_mode))
        return bq_fail(err, BQ_EXIT_USAGE, "%s is not a file", path);
    if (is->st_uid != geteuid() && is->st_uid != 0)
        return bq_fail(err, BQ_EXIT_USAGE,
                       "%s belongs to another user: copy it to a file of your own", path);
    if (is->st_mode & S_IWOTH)
        return bq_fail(err, BQ_EXIT_USAGE,
                       "everybody may write to %s: take that away first (chmod o-w)", path);
    return 0;
}

static int examine(const char *path, const struct bq_hash *expected, struct bq_hash *hash,
                   struct bq_error *err)
{
    struct stat is;
    int rc = -1, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &is) < 0)
        bq_fail(err, BQ_EXIT_USAGE, "%s: %s", path, strerror(errno));
    else if (trust(&is, path, err) == 0 && (rc = bq_hash_fd(fd, hash)) < 0)
        bq_fail(err, BQ_EXIT_FAILED, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (rc == 0 && expected && memcmp(expected, hash, sizeof *hash) != 0)
        return bq_fail(err, BQ_EXIT_USAGE, "%s is not the file that was meant: it has changed",
                       path);
    return rc;
}

struct bq_library *bq_library_open(const char *path, const struct bq_hash *expected,
                                   struct bq_error *err)
{
    struct bq_library *library = bq_alloc(1, sizeof *library);
    char *whole = realpath(path, NULL);
    struct link_map *map;
    if (!library || (!whole && errno == ENOMEM)) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        goto failed;
    }
    if (!whole) {
        bq_fail(err, BQ_EXIT_USAGE, "%s: %s", path, strerror(errno));
        goto failed;
    }
    library->path = whole;
    library->origin.path = whole;
    if (examine(whole, expected, &library->origin.hash, err) < 0)
        goto failed;
    library->handle = dlopen(whole, RTLD_NOW | RTLD_LOCAL);
    if (!library->handle || dlinfo(library->handle, RTLD_DI_LINKMAP, &map) < 0) {
        const char *why = dlerror(); /* it begins with the path, or names what is missing */
        bq_fail(err, BQ_EXIT_USAGE, "cannot be loaded: %s", why ? why : path);
        goto failed;
    }
    list_kernels(library, map);
    return library;
failed:
    if (!library || !library->path)
        free(whole);
    bq_library_close(library);
    return NULL;
}

void bq_library_close(struct bq_library *library)
{
    if (!library)
        return;
    if (library->handle)
        dlclose(library->handle);
    free(library->path);
    bq_free(library);
}

/* -- choosing ----------------------------------------------------------------------------- */

size_t bq_library_n_kernels(const struct bq_library *library)
{
    return library->n;
}

const char *bq_library_name(const struct bq_library *library, size_t i)
{
    return library->list[i].name;
}

const struct bq_origin *bq_library_origin(const struct bq_library *library)
{
    return &library->origin;
}

static const struct found *pick(const struct bq_library *library, const char *name,
                                struct bq_error *err)
{
    const char *names[MAX_KERNELS];
    char hint[300], quote[BQ_QUOTE];
    for (size_t i = 0; i < library->n; i++) {
        names[i] = library->list[i].name;
        if (name && strcmp(name, names[i]) == 0)
            return &library->list[i];
    }
    if (library->n == 0)
        bq_fail(err, BQ_EXIT_USAGE,
                "it has no kernel: banquet/kernel.h says how BQ_KERNEL(name) = {..} offers one");
    else if (name)
        bq_fail(err, BQ_EXIT_USAGE, "it has no kernel %s%s", bq_quote(name, quote, sizeof quote),
                bq_hint(name, names, library->n, hint, sizeof hint));
    else if (library->n > 1)
        bq_fail(err, BQ_EXIT_USAGE, "it has %zu kernels: say which, as in FILE:%s%s", library->n,
                names[0], bq_hint("", names, library->n, hint, sizeof hint));
    else
        return &library->list[0];
    return NULL;
}

const struct bq_kernel *bq_library_kernel(const struct bq_library *library, const char *name,
                                          struct bq_error *err)
{
    const struct found *found = pick(library, name, err);
    if (!found)
        return NULL;
    const struct bq_kernel *kernel = found->kernel;
    if (found->size < sizeof kernel->abi || (uintptr_t)kernel % _Alignof(struct bq_kernel)) {
        bq_fail(err, BQ_EXIT_USAGE, PREFIX "%s is no struct bq_kernel", found->name);
        return NULL;
    }
    if (kernel->abi != BQ_KERNEL_ABI) {
        bq_fail(err, BQ_EXIT_USAGE,
                "kernel '%s' was built for version %u of the kernel interface, and this is %u: %s",
                found->name, kernel->abi, BQ_KERNEL_ABI,
                kernel->abi ? "compile it again, with this banquet's kernel.h"
                            : "it lacks .abi = BQ_KERNEL_ABI");
        return NULL;
    }
    if (found->size < sizeof *kernel) {
        bq_fail(err, BQ_EXIT_USAGE, PREFIX "%s has %zu bytes; a struct bq_kernel has %zu",
                found->name, found->size, sizeof *kernel);
        return NULL;
    }
    return bq_kernel_is_sane(kernel, found->name, err) < 0 ? NULL : kernel;
}
