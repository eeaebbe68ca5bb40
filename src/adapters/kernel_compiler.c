#include "adapters/kernel_compiler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <xxhash.h>

#include "adapters/kernel_library.h"
#include "adapters/kernel_record.h"
#include "base/path.h"

/* No -march=native and no fused operations: the same bits on every machine. */
static const char *const flags[] = {"-O3", "-g", "-Wall", "-ffp-contract=off", "-fPIC"};
#define N_FLAGS (sizeof flags / sizeof *flags)

int bq_compiler_words(struct bq_words *words, struct bq_error *err)
{
    const char *cc = getenv("CC");
    if (bq_words_split(words, cc, err) < 0)
        return -1;
    if (words->n == 0)
        bq_words_add(words, "cc");
    for (size_t i = 0; i < N_FLAGS; i++)
        bq_words_add(words, flags[i]);
    return bq_words_split(words, getenv("BANQUET_CFLAGS"), err);
}

static void mix(XXH128_hash_t *all, const void *bytes, size_t n)
{
    *all = XXH3_128bits_withSeed(bytes, n, all->low64 ^ all->high64);
}

/* The record's name: where the source lies, how it is compiled and against what. */
static void name_record(char name[64], const char *source, const struct bq_words *words)
{
    XXH128_hash_t all = {BQ_KERNEL_ABI, 0};
    struct bq_hash hash;
    char text[33], here[BQ_CACHE_PATH];
    mix(&all, source, strlen(source));
    for (size_t i = 0; i < words->n && i < BQ_MAX_WORDS; i++)
        mix(&all, words->list[i], strlen(words->list[i]) + 1);
    /* A flag of the user's may be a relative path. */
    const char *extra = getenv("BANQUET_CFLAGS");
    if (extra && *extra && getcwd(here, sizeof here))
        mix(&all, here, strlen(here));
    bq_sources_hash(bq_header_sources, &hash);
    mix(&all, hash.bytes, sizeof hash.bytes);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, all);
    memcpy(hash.bytes, canonical.digest, sizeof hash.bytes);
    snprintf(name, 64, "%s.made", bq_hash_text(&hash, text));
}

/* "STEM-HASH.so", STEM for people who look into the folder. */
static int name_library(char name[100], const char *source, const char *made, struct bq_error *err)
{
    struct bq_hash hash;
    char stem[48], text[33];
    if (bq_hash_file(made, &hash, err) < 0)
        return -1;
    snprintf(stem, sizeof stem, "%.40s", source + bq_path_folder(source));
    for (char *c = stem; *c; c++) {
        if (*c == '\n' || *c == '.')
            *c = *c == '.' && strcmp(c, ".c") == 0 ? 0 : '_';
        if (!*c)
            break;
    }
    snprintf(name, 100, "%s-%s.so", stem, bq_hash_text(&hash, text));
    return 0;
}

/* Compiles in a workshop and publishes: the library first, then the record that leads to it. */
static int compile(const char *source, const char *folder, const char *include,
                   const char *workshop, struct bq_words *words, const char *record,
                   char library[BQ_CACHE_PATH], struct bq_error *err)
{
    char made[BQ_CACHE_PATH], depends[BQ_CACHE_PATH], name[100];
    struct timespec since;
    if (bq_cache_path(made, workshop, "library.so", err) < 0 ||
        bq_cache_path(depends, workshop, "depends", err) < 0)
        return -1;
    const char *const rest[] = {"-shared", "-Wl,-Bsymbolic", "-I",  include, "-MD",
                                "-MF",     depends,          "-MT", "x",     "-o",
                                made,      source,           "-lm"};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        bq_words_add(words, rest[i]);
    clock_gettime(CLOCK_REALTIME, &since);
    int status = bq_words_run(words, BQ_TO_STDERR, err);
    if (status < 0)
        return bq_fail_in(err, "%s has to be compiled (`CC` names the compiler)", source);
    if (status > 0)
        return bq_fail(err, BQ_EXIT_USAGE, "%s does not compile: %s said why", source,
                       words->list[0]);
    if (name_library(name, source, made, err) < 0 || bq_cache_path(library, folder, name, err) < 0)
        return -1;
    if (chmod(made, 0700) < 0 || rename(made, library) < 0)
        return bq_fail(err, BQ_EXIT_FAILED, "%s: %s", library, strerror(errno));
    return bq_record_write(record, name, words->list[0], depends, since, err);
}

int bq_compile_kernel(const char *source, char library[BQ_CACHE_PATH], struct bq_error *err)
{
    char folder[BQ_CACHE_PATH], include[BQ_CACHE_PATH], workshop[BQ_CACHE_PATH];
    char record[BQ_CACHE_PATH], name[64];
    struct bq_words words = {0};
    int rc = -1;
    char *whole = realpath(source, NULL);
    if (!whole)
        return bq_fail(err, BQ_EXIT_USAGE, "%s: %s", source, strerror(errno));
    if (bq_cache_open(folder, err) < 0 || bq_compiler_words(&words, err) < 0)
        goto out;
    name_record(name, whole, &words);
    if (bq_cache_path(record, folder, name, err) < 0)
        goto out;
    if (bq_record_find(record, folder, words.list[0], library)) {
        rc = 0;
        goto out;
    }
    if (bq_cache_sources(folder, "include", bq_header_sources, include, err) < 0 ||
        bq_cache_workshop(folder, workshop, err) < 0)
        goto out;
    rc = compile(whole, folder, include, workshop, &words, record, library, err);
    bq_cache_remove(workshop);
out:
    bq_words_free(&words);
    free(whole);
    return rc;
}
