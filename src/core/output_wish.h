/* What a person wishes of an output's storage. A wish, because "auto" is settled only where the
 * input is known; all zero is the standard one. */
#ifndef BQ_CORE_OUTPUT_WISH_H
#define BQ_CORE_OUTPUT_WISH_H

#include <stdbool.h>

#include "base/error.h"

/* X(code, name, standard level, highest level; 0: it has none) */
#define BQ_COMPRESSIONS(X)                                                                         \
    X(BQ_COMPRESS_AUTO, "auto", 0, 0)                                                              \
    X(BQ_COMPRESS_NONE, "none", 0, 0)                                                              \
    X(BQ_COMPRESS_GZIP, "gzip", 1, 9)                                                              \
    X(BQ_COMPRESS_ZSTD, "zstd", 3, 19)                                                             \
    X(BQ_COMPRESS_LZ4, "lz4", 0, 0)                                                                \
    X(BQ_COMPRESS_LZF, "lzf", 0, 0)

/* Auto: as the input. None when the input is not compressed or there is none, else gzip:1. */
enum bq_compress {
#define BQ_COMPRESS_CODE(code, name, level, max) code,
    BQ_COMPRESSIONS(BQ_COMPRESS_CODE)
#undef BQ_COMPRESS_CODE
        BQ_N_COMPRESSIONS
};

enum bq_choice { BQ_CHOICE_AUTO, BQ_CHOICE_NO, BQ_CHOICE_YES };

#define BQ_OUTPUT_LAYOUTS(X)                                                                       \
    X(BQ_LAYOUT_SINGLE, "single")                                                                  \
    X(BQ_LAYOUT_SHARDED, "sharded")

enum bq_output_layout {
#define BQ_LAYOUT_CODE(code, name) code,
    BQ_OUTPUT_LAYOUTS(BQ_LAYOUT_CODE)
#undef BQ_LAYOUT_CODE
        BQ_N_OUTPUT_LAYOUTS
};

/* The lines are 0 for what the job file does not say. */
struct bq_output_wish {
    enum bq_compress compress;
    unsigned level;         /* of gzip and zstd, always set with them; else 0 */
    enum bq_choice shuffle; /* auto: when compressing elements wider than one byte */
    enum bq_output_layout layout;
    bool refuses_nan;
    bool is_scratch; /* only for another step, gone afterwards; no job says so */
    int compress_line, shuffle_line, layout_line, nan_line;
};

/* "gzip". */
const char *bq_compress_name(enum bq_compress compress);

/* X(code, key). The keys of an output's map beside file and dataset. */
#define BQ_OUTPUT_PARTS(X)                                                                         \
    X(BQ_PART_COMPRESS, "compress")                                                                \
    X(BQ_PART_SHUFFLE, "shuffle")                                                                  \
    X(BQ_PART_LAYOUT, "layout")                                                                    \
    X(BQ_PART_NAN, "nan")

enum bq_output_part {
#define BQ_PART_CODE(code, key) code,
    BQ_OUTPUT_PARTS(BQ_PART_CODE)
#undef BQ_PART_CODE
        BQ_N_OUTPUT_PARTS
};

/* -1 when the name is none. */
int bq_output_part(const char *name);

/* Sets part "compress" (gzip:4), "shuffle", "layout" or "nan" (allow, refuse). Errors as in step.h.
 */
int bq_output_wish_set(struct bq_output_wish *wish, const char *part, const char *text, int line,
                       struct bq_error *err);

/* The first part that is not as it stands when nobody wishes anything; NULL: there is none. */
const char *bq_output_wish_given(const struct bq_output_wish *wish);

#endif
