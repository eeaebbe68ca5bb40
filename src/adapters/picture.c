#include "adapters/picture.h"

#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/whole_file.h"
#include "base/heap.h"

#define WHITE 255
#define MOST 0x7fffffffu /* of PNG, for width and height */

/* libpng reports by a callback that must not return. */
struct complaint {
    char text[200];
};

static void on_error(png_structp png, png_const_charp message)
{
    struct complaint *complaint = png_get_error_ptr(png);
    snprintf(complaint->text, sizeof complaint->text, "%s", message);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void fill_row(const struct bq_picture *list, size_t n, uint32_t y, uint8_t *row)
{
    for (size_t i = 0; i < n; i++) {
        if (i) {
            memset(row, WHITE, BQ_PICTURE_GAP);
            row += BQ_PICTURE_GAP;
        }
        if (y < list[i].height)
            memcpy(row, list[i].pixels + (size_t)y * list[i].width, list[i].width);
        else
            memset(row, WHITE, list[i].width);
        row += list[i].width;
    }
}

/* Between setjmp and longjmp no local changes but y, which nobody reads afterwards. */
static int encode(png_structp png, png_infop info, FILE *f, const struct bq_picture *list, size_t n,
                  uint32_t width, uint32_t height, uint8_t *row)
{
    if (setjmp(png_jmpbuf(png)))
        return -1;
    png_init_io(png, f);
    png_set_user_limits(png, MOST, MOST);
    png_set_IHDR(png, info, width, height, 8, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (uint32_t y = 0; y < height; y++) {
        fill_row(list, n, y, row);
        png_write_row(png, row);
    }
    png_write_end(png, info);
    return 0;
}

int bq_picture_write(const char *path, const struct bq_picture *list, size_t n,
                     struct bq_error *err)
{
    int rc = -1;
    uint64_t width = 0;
    uint32_t height = 0;
    uint8_t *row = NULL;
    png_structp png = NULL;
    png_infop info = NULL;
    struct complaint complaint = {"out of memory"};
    struct bq_whole_file file = {0};
    for (size_t i = 0; i < n; i++) {
        width += list[i].width + (i ? BQ_PICTURE_GAP : 0);
        height = list[i].height > height ? list[i].height : height;
    }
    if (width == 0 || height == 0 || width > MOST || height > MOST)
        return bq_fail(err, BQ_EXIT_FAILED, "%s: a picture of %llu x %lu pixels cannot be written",
                       path, (unsigned long long)width, (unsigned long)height);
    FILE *f = bq_whole_open(&file, path, err);
    if (!f)
        return -1;
    row = bq_alloc((size_t)width, 1);
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &complaint, on_error, on_warning);
    info = png ? png_create_info_struct(png) : NULL;
    if (!row || !info || encode(png, info, f, list, n, (uint32_t)width, height, row) != 0) {
        /* libpng only says "Write Error"; the stream knows which. */
        bq_fail(err, BQ_EXIT_FAILED, "%s: cannot write the picture: %s", path,
                ferror(f) && errno ? strerror(errno) : complaint.text);
        goto out;
    }
    rc = bq_whole_commit(&file, err);
out:
    if (rc != 0)
        bq_whole_discard(&file);
    png_destroy_write_struct(&png, &info);
    bq_free(row);
    return rc;
}

void bq_picture_fit(uint32_t width, uint32_t height, uint32_t most, uint32_t *out_width,
                    uint32_t *out_height)
{
    uint32_t longer = width > height ? width : height;
    *out_width = width;
    *out_height = height;
    if (longer <= most || most == 0)
        return;
    *out_width = (uint32_t)((uint64_t)width * most / longer);
    *out_height = (uint32_t)((uint64_t)height * most / longer);
    if (*out_width == 0)
        *out_width = 1;
    if (*out_height == 0)
        *out_height = 1;
}

/* Where box i of n begins along `length` pixels; the next one's begin is its end. */
static uint32_t box_start(uint32_t i, uint32_t n, uint32_t length)
{
    return (uint32_t)((uint64_t)i * length / n);
}

void bq_picture_shrink(const struct bq_picture *picture, uint8_t *out, uint32_t out_width,
                       uint32_t out_height)
{
    for (uint32_t y = 0; y < out_height; y++) {
        uint32_t top = box_start(y, out_height, picture->height);
        uint32_t bottom = box_start(y + 1, out_height, picture->height);
        for (uint32_t x = 0; x < out_width; x++) {
            uint32_t left = box_start(x, out_width, picture->width);
            uint32_t right = box_start(x + 1, out_width, picture->width);
            uint64_t sum = 0, count = (uint64_t)(bottom - top) * (right - left);
            for (uint32_t v = top; v < bottom; v++) {
                for (uint32_t u = left; u < right; u++)
                    sum += picture->pixels[(size_t)v * picture->width + u];
            }
            out[(size_t)y * out_width + x] = (uint8_t)((sum + count / 2) / count);
        }
    }
}
