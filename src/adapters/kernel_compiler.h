/* The machine's C compiler: $CC, or cc. It is started without a shell, writes what it has to say to
 * our stderr, and is not needed again until the source, a header that it includes, the compiler or
 * its flags change. */
#ifndef BQ_ADAPTERS_KERNEL_COMPILER_H
#define BQ_ADAPTERS_KERNEL_COMPILER_H

#include "adapters/kernel_cache.h"

/* Compiles a kernel's source, or finds what was compiled before: the library's path, in the cache.
 * $BANQUET_CFLAGS are flags besides ours. Errors are exit 2. */
int bq_compile_kernel(const char *source, char library[BQ_CACHE_PATH], struct bq_error *err);

#define BQ_MAX_WORDS 256

/* A command line being put together. */
struct bq_words {
    size_t n;
    char *list[BQ_MAX_WORDS + 1]; /* NULL after the last */
    char *store[3];               /* what bq_words_split cut */
    size_t n_stores;
};

/* Adds a word, which must stay where it is; or the words of a text between blanks (NULL: none).
 * More than there is room for is a failure of bq_words_run. */
void bq_words_add(struct bq_words *words, const char *word);
int bq_words_split(struct bq_words *words, const char *text, struct bq_error *err);
void bq_words_free(struct bq_words *words);

/* The compiler and the flags that every kernel is compiled with. */
int bq_compiler_words(struct bq_words *words, struct bq_error *err);

/* Where what a command writes goes: as it is; all of it to our stderr, as stdout is for results; or
 * to nobody. */
enum bq_words_to { BQ_TO_BOTH, BQ_TO_STDERR, BQ_TO_NOBODY };

/* Runs it: its exit status (128 + the signal that ended it), or -1 with err when it cannot be
 * started. */
int bq_words_run(struct bq_words *words, enum bq_words_to to, struct bq_error *err);

#endif
