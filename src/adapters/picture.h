/* Pictures as PNG files: 8-bit grey, one or more side by side with a white gap (before, after). */
#ifndef BQ_ADAPTERS_PICTURE_H
#define BQ_ADAPTERS_PICTURE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define BQ_PICTURE_GAP 4 /* columns between two pictures */

struct bq_picture {
    const uint8_t *pixels; /* height rows of width, 0 is black */
    uint32_t width, height;
};

/* Pictures of different height are aligned at the top. The file is seen whole or not at all; "-" is
 * stdout. Errors name the path and the reason. */
int bq_picture_write(const char *path, const struct bq_picture *list, size_t n,
                     struct bq_error *err);

/* The size, at most `most` on the longer side, of a picture with the same shape; never larger. */
void bq_picture_fit(uint32_t width, uint32_t height, uint32_t most, uint32_t *out_width,
                    uint32_t *out_height);

/* Fills `out` with means of boxes of `picture`. The new size must be 1 .. the old one. */
void bq_picture_shrink(const struct bq_picture *picture, uint8_t *out, uint32_t out_width,
                       uint32_t out_height);

#endif
