/* Pictures: what libpng reads back is what was written, side by side with a white gap. */
#include "adapters/picture.h"

#include <png.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/heap.h"
#include "cunit.h"

static char folder[] = "/tmp/banquet-test-picture-XXXXXX";
static char path[64];

/* Reads a picture of at most `size` pixels; 0 when it is none or another. */
static size_t read_back(uint8_t *pixels, size_t size, uint32_t *width, uint32_t *height)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_file(&image, path) ||
        PNG_IMAGE_PIXEL_CHANNELS(image.format) != 1)
        return 0;
    image.format = PNG_FORMAT_GRAY;
    *width = image.width;
    *height = image.height;
    if (PNG_IMAGE_SIZE(image) > size || !png_image_finish_read(&image, NULL, pixels, 0, NULL)) {
        png_image_free(&image);
        return 0;
    }
    return PNG_IMAGE_SIZE(image);
}

static void one_picture_comes_back_as_it_was(void)
{
    uint8_t pixels[7 * 5], got[64];
    uint32_t width, height;
    struct bq_error err = {0};
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 37);
    const struct bq_picture picture = {pixels, 7, 5};
    CU_ASSERT_EQUAL(bq_picture_write(path, &picture, 1, &err), 0);
    CHECK_TEXT(err.text, "");
    CU_ASSERT_EQUAL(read_back(got, sizeof got, &width, &height), sizeof pixels);
    CU_ASSERT(width == 7 && height == 5);
    CU_ASSERT(memcmp(got, pixels, sizeof pixels) == 0);
}

static void two_stand_side_by_side_with_a_white_gap(void)
{
    static const uint8_t a[] = {1, 2, 3, 4}, b[] = {9};
    static const uint8_t want[] = {1, 2, 255, 255, 255, 255, 9, 3, 4, 255, 255, 255, 255, 255};
    uint8_t got[64];
    uint32_t width, height;
    const struct bq_picture list[] = {{a, 2, 2}, {b, 1, 1}};
    CU_ASSERT_EQUAL(bq_picture_write(path, list, 2, NULL), 0);
    CU_ASSERT_EQUAL(read_back(got, sizeof got, &width, &height), sizeof want);
    CU_ASSERT(width == 2 + BQ_PICTURE_GAP + 1 && height == 2);
    CU_ASSERT(memcmp(got, want, sizeof want) == 0);
}

static void an_error_says_the_path_and_why(void)
{
    static const uint8_t a[] = {1};
    struct bq_picture picture = {a, 1, 1};
    struct bq_error err = {0};
    CU_ASSERT_EQUAL(bq_picture_write("/nowhere/x.png", &picture, 1, &err), -1);
    CHECK_TEXT(err.text, "/nowhere/x.png: cannot be written: No such file or directory");
    if (access("/dev/full", W_OK) == 0) {
        CU_ASSERT_EQUAL(bq_picture_write("/dev/full", &picture, 1, &err), -1);
        CHECK_TEXT(err.text, "/dev/full: writing failed: No space left on device");
    }
    picture.height = 0;
    CU_ASSERT_EQUAL(bq_picture_write(path, &picture, 1, &err), -1);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, ": a picture of 1 x 0 pixels cannot be written"));
    CU_ASSERT_EQUAL(bq_picture_write(path, NULL, 0, &err), -1);
}

/* More than a stream's buffer, so that libpng meets the error itself. */
static void a_disk_that_fills_up_meanwhile_is_named(void)
{
    enum { SIDE = 512 };
    struct bq_error err = {0};
    uint8_t *noise = bq_alloc(SIDE, SIDE);
    uint32_t x = 1;
    for (size_t i = 0; i < (size_t)SIDE * SIDE; i++)
        noise[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
    const struct bq_picture picture = {noise, SIDE, SIDE};
    if (access("/dev/full", W_OK) == 0) {
        CU_ASSERT_EQUAL(bq_picture_write("/dev/full", &picture, 1, &err), -1);
        CHECK_TEXT(err.text, "/dev/full: cannot write the picture: No space left on device");
    }
    bq_free(noise);
}

static void without_memory_it_says_so(void)
{
    static const uint8_t a[] = {1};
    const struct bq_picture picture = {a, 1, 1};
    for (unsigned long n = 1; n <= 3; n++) {
        struct bq_error err = {0};
        bq_heap_fail_at(n);
        CU_ASSERT_EQUAL(bq_picture_write(path, &picture, 1, &err), -1);
        CU_ASSERT(err.text[0] != 0);
        bq_heap_fail_at(0);
    }
}

static void shrinking_takes_the_mean_of_each_box(void)
{
    static const uint8_t four[] = {0, 10, 100, 200, 20, 30, 255, 255}, odd[] = {1, 5, 9};
    uint8_t out[8];
    const struct bq_picture picture = {four, 4, 2}, line = {odd, 3, 1};
    bq_picture_shrink(&picture, out, 2, 1);
    CU_ASSERT(out[0] == 15 && out[1] == 203); /* 202.5 is rounded up */
    bq_picture_shrink(&picture, out, 4, 2);
    CU_ASSERT(memcmp(out, four, sizeof four) == 0);
    bq_picture_shrink(&line, out, 2, 1);
    CU_ASSERT(out[0] == 1 && out[1] == 7);
}

static void fitting_keeps_the_shape(void)
{
    uint32_t width, height;
    bq_picture_fit(4000, 1000, 800, &width, &height);
    CU_ASSERT(width == 800 && height == 200);
    bq_picture_fit(300, 200, 800, &width, &height);
    CU_ASSERT(width == 300 && height == 200);
    bq_picture_fit(1, 4000000000, 100, &width, &height);
    CU_ASSERT(width == 1 && height == 100);
}

static const struct test tests[] = {
    {"one picture comes back as it was", one_picture_comes_back_as_it_was},
    {"two stand side by side with a white gap", two_stand_side_by_side_with_a_white_gap},
    {"an error says the path and why", an_error_says_the_path_and_why},
    {"a disk that fills up meanwhile is named", a_disk_that_fills_up_meanwhile_is_named},
    {"without memory it says so", without_memory_it_says_so},
    {"shrinking takes the mean of each box", shrinking_takes_the_mean_of_each_box},
    {"fitting keeps the shape", fitting_keeps_the_shape},
};

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/picture.png", folder);
    int rc = run_tests("picture", tests, sizeof tests / sizeof *tests);
    unlink(path);
    rmdir(folder);
    return rc;
}
