/* Text for people: the nearest right name, sizes and times in units, numbers from a command line.
 */
#ifndef BQ_BASE_TEXT_H
#define BQ_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* The index of the name nearest to `word` (edit distance, transpositions count one), or -1 when
 * none is near enough to be meant. */
int bq_text_nearest(const char *word, const char *const *names, size_t n);

/* "; did you mean 'x'?" or "" into out. Returns out. */
const char *bq_text_suggest(const char *word, const char *const *names, size_t n, char *out,
                            size_t size);

/* 1.5 KiB, 256 MiB; 17 us, 2.31 s, 3 min 20 s; 12,345. Each returns out. */
const char *bq_text_bytes(uint64_t bytes, char *out, size_t size);
const char *bq_text_seconds(double seconds, char *out, size_t size);
const char *bq_text_count(uint64_t n, char *out, size_t size);

/* A real without its fraction; what does not fit is the nearest that does, not a number is 0. */
uint64_t bq_text_whole(double value);

/* Whole-string numbers; -1 when the text is anything else or does not fit. */
int bq_text_u64(const char *text, uint64_t *value);
int bq_text_i64(const char *text, int64_t *value);
int bq_text_real(const char *text, double *value);

/* Bytes: "4096", "512MiB", "1.5 GiB", "800MB", "1e9". KiB to EiB are powers of 1024 and kB to EB of
 * 1000; K to E alone are powers of 1024 too, as Slurm's --mem has them. Capitals do not matter. A
 * part of a byte is cut off. -1 when the text is anything else or does not fit. */
int bq_text_size(const char *text, uint64_t *bytes);

/* "512x512" or "512,512": 1 to max positive numbers. Returns how many, or -1. */
int bq_text_shape(const char *text, uint64_t *extent, int max);

/* "512 x 512" into out. Returns out. */
const char *bq_text_extent(const uint64_t *extent, int rank, char *out, size_t size);

#endif
