/* banquet view FILE:/dataset ... -o out.png: 2-D datasets as grey pictures, side by side. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "adapters/picture.h"
#include "adapters/store.h"
#include "base/heap.h"
#include "cli/cli.h"
#include "core/step.h"

#define MAX_PICTURES 4
#define LONGER_SIDE 640

struct view {
    const char *place[MAX_PICTURES];
    size_t n;
    const char *out;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct view *v = state->input;
    switch (key) {
    case 'o':
        v->out = arg;
        break;
    case ARGP_KEY_ARG:
        if (v->n == MAX_PICTURES)
            argp_error(state, "at most %d datasets in a picture", MAX_PICTURES);
        v->place[v->n++] = arg;
        break;
    case ARGP_KEY_END:
        if (v->n == 0 || !v->out)
            argp_error(
                state,
                "what, and where to? For example: banquet view photo.h5:/photo -o photo.png");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static double element(const void *data, enum bq_type type, uint64_t i)
{
    switch (type) {
#define ELEMENT(code, name, ctype)                                                                 \
    case code:                                                                                     \
        return (double)((const ctype *)data)[i];
        BQ_TYPES(ELEMENT)
#undef ELEMENT
    case BQ_N_TYPES:
        break;
    }
    return 0;
}

/* Means of boxes: row `y` of the picture, from the `n` rows of the dataset that it covers. NaN does
 * not count; a box of nothing else is 0. */
static void shrink_rows(const void *rows, const struct bq_input_info *info, uint64_t n,
                        uint32_t width, double *out)
{
    uint64_t columns = info->space.extent[1];
    for (uint32_t x = 0; x < width; x++) {
        uint64_t from = columns * x / width, to = columns * (x + 1) / width, count = 0;
        double sum = 0;
        for (uint64_t r = 0; r < n; r++) {
            for (uint64_t c = from; c < to; c++) {
                double v = element(rows, info->type, r * columns + c);
                if (!isnan(v)) {
                    sum += v;
                    count++;
                }
            }
        }
        out[x] = count ? sum / (double)count : 0;
    }
}

/* uint8 as it is; anything else from its least to its greatest value. */
static void to_grey(const double *means, size_t n, bool is_grey, uint8_t *pixels)
{
    double low = 0, high = 255;
    if (!is_grey) {
        low = INFINITY;
        high = -INFINITY;
        for (size_t i = 0; i < n; i++) {
            low = fmin(low, means[i]);
            high = fmax(high, means[i]);
        }
    }
    double scale = high > low && isfinite(high - low) ? 255 / (high - low) : 0;
    for (size_t i = 0; i < n; i++) {
        double v = (means[i] - low) * scale;
        pixels[i] = v >= 255 ? 255 : v > 0 ? (uint8_t)(v + 0.5) : 0;
    }
}

static int draw(struct bq_input *input, struct bq_picture *picture, struct bq_error *err)
{
    const struct bq_input_info *info = bq_input_info(input);
    if (info->space.rank != 2 || !info->space.extent[0] || !info->space.extent[1] ||
        info->space.extent[0] > UINT32_MAX || info->space.extent[1] > UINT32_MAX)
        return bq_fail(err, BQ_EXIT_USAGE,
                       "a picture needs a dataset of 2 dimensions that is not empty; "
                       "this one has %d",
                       info->space.rank);
    uint32_t rows = (uint32_t)info->space.extent[0], columns = (uint32_t)info->space.extent[1];
    bq_picture_fit(columns, rows, LONGER_SIDE, &picture->width, &picture->height);
    size_t n = (size_t)picture->width * picture->height;
    uint64_t most = rows / picture->height + 1;
    void *band = bq_alloc(most * columns, bq_type_size(info->type));
    double *means = bq_alloc(n, sizeof *means);
    uint8_t *pixels = bq_alloc(n, 1);
    int rc = band && means && pixels ? 0 : bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    for (uint32_t y = 0; rc == 0 && y < picture->height; y++) {
        uint64_t from = (uint64_t)rows * y / picture->height;
        uint64_t to = (uint64_t)rows * (y + 1) / picture->height;
        uint64_t offset[2] = {from, 0}, extent[2] = {to - from, columns};
        rc = bq_input_read(input, offset, extent, band, err);
        if (rc == 0)
            shrink_rows(band, info, to - from, picture->width, means + (size_t)y * picture->width);
    }
    if (rc == 0)
        to_grey(means, n, info->type == BQ_U8, pixels);
    bq_free(band);
    bq_free(means);
    picture->pixels = pixels;
    return rc;
}

static int draw_place(const char *text, const char *out, struct bq_picture *picture,
                      struct bq_error *err)
{
    struct bq_place place = {0};
    if (bq_place_parse(&place, "a dataset", text, 0, err) < 0)
        return -1;
    struct bq_input *input = bq_input_open(place.file, place.dataset, err);
    int rc = !input ? -1
             : bq_input_reads(input, out)
                 ? bq_fail(err, BQ_EXIT_USAGE, "-o %s: is an input; write to another file", out)
                 : draw(input, picture, err);
    bq_input_close(input);
    bq_free(place.file);
    bq_free(place.dataset);
    return rc;
}

int bq_cmd_view(int argc, char **argv, const struct bq_cli *cli)
{
    static const struct argp_option options[] = {
        {"output", 'o', "FILE.png", 0, "The picture; - is standard output", 0}, {0}};
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "FILE:/DATASET...",
        .doc = "Draw 2-D datasets as grey pictures side by side, at most 640 pixels each. uint8 is "
               "drawn as it is, other types from their least to their greatest value."};
    struct view v = {0};
    struct bq_error err = {0};
    int code = bq_cli_parse(&argp, argc, argv, &v, cli);
    if (code || cli->is_silent)
        return code;
    struct bq_picture pictures[MAX_PICTURES] = {0};
    int rc = bq_cli_check_target("-o", v.out, "\x89PNG", false, "a PNG picture", &err);
    for (size_t i = 0; i < v.n && rc == 0; i++)
        rc = draw_place(v.place[i], v.out, &pictures[i], &err);
    if (rc == 0)
        rc = bq_picture_write(v.out, pictures, v.n, &err);
    for (size_t i = 0; i < v.n; i++)
        bq_free((void *)pictures[i].pixels);
    return rc < 0 ? bq_cli_complain(&err) : BQ_EXIT_OK;
}
