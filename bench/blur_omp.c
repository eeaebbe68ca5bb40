/* The kernel blur as one would write it by hand for one radius: an OpenMP loop over bands of rows,
 * the formula and the order of additions of src/kernels/blur.c, so that all bits are the same.
 * Beyond the edge the nearest element counts (clamp).
 *
 *     blur_omp memory FILE OUT BAND   the whole dataset is loaded first and the result written
 *                                     last; the loop computes, and does nothing else
 *     blur_omp files FILE OUT BAND    each band is read (pread), blurred and written (pwrite)
 *
 * FILE's /d: two dimensions of uint8 or float32, contiguous or in uncompressed chunks. OUT: the
 * plain numbers, row after row. BAND: rows. Prints "SECONDS 0". OMP_NUM_THREADS threads.
 */
#include "data_peer.h"

#include <fcntl.h>
#include <unistd.h>

#include "kernels/clones.h"

enum { RADIUS = 3, LINES = 2 * RADIUS + 1, STRIP = 512 /* columns; the lines stay in the cache */ };

/* The row 6 of Pascal's triangle over 4^3, from its middle on. */
static const double weight[RADIUS + 1] = {20. / 64, 15. / 64, 6. / 64, 1. / 64};

struct picture {
    struct data_set d;
    int file;
    bool is_float;
    size_t rows, columns, size; /* size: bytes of an element */
    off_t start;                /* contiguous */
    size_t chunk_rows, chunk_columns, n_across;
    off_t *chunk; /* NULL: contiguous */
};

static void read_exactly(int file, void *buffer, size_t size, off_t offset)
{
    while (size > 0) {
        const ssize_t n = pread(file, buffer, size, offset);
        data_want(n > 0, "pread");
        buffer = (char *)buffer + n;
        size -= (size_t)n;
        offset += n;
    }
}

static void find_chunks(struct picture *p)
{
    hsize_t n_chunks, extent[2];
    hid_t dcpl = H5Dget_create_plist(p->d.set);
    data_want(H5Pget_chunk(dcpl, 2, extent) == 2 && H5Pget_nfilters(dcpl) == 0, "the layout");
    H5Pclose(dcpl);
    p->chunk_rows = extent[0];
    p->chunk_columns = extent[1];
    p->n_across = p->columns / p->chunk_columns;
    data_want(p->rows % extent[0] == 0 && p->columns % extent[1] == 0, "whole chunks");
    data_want(H5Dget_num_chunks(p->d.set, p->d.space, &n_chunks) >= 0, "H5Dget_num_chunks");
    p->chunk = data_alloc(n_chunks * sizeof *p->chunk);
    for (hsize_t i = 0; i < n_chunks; i++) {
        hsize_t offset[2], size;
        unsigned mask;
        haddr_t address;
        data_want(H5Dget_chunk_info(p->d.set, p->d.space, i, offset, &mask, &address, &size) >= 0,
                  "H5Dget_chunk_info");
        p->chunk[offset[0] / extent[0] * p->n_across + offset[1] / extent[1]] = (off_t)address;
    }
}

static struct picture picture_open(const char *path)
{
    struct picture p = {.d = data_open(path, H5P_DEFAULT, true),
                        .file = open(path, O_RDONLY | O_CLOEXEC)};
    hid_t type = H5Dget_type(p.d.set);
    p.rows = p.d.rows;
    p.columns = p.d.columns;
    p.is_float = H5Tget_class(type) == H5T_FLOAT;
    p.size = H5Tget_size(type);
    H5Tclose(type);
    data_want(p.file >= 0 && p.size == (p.is_float ? sizeof(float) : 1), "uint8 or float32");
    const haddr_t start = H5Dget_offset(p.d.set);
    p.start = (off_t)start;
    if (start == HADDR_UNDEF)
        find_chunks(&p);
    return p;
}

/* Rows first .. first + n - 1, dense, to `to`. piece: room for n rows of a chunk. */
static void read_rows(const struct picture *p, size_t first, size_t n, char *to, char *piece)
{
    const size_t pitch = p->columns * p->size, width = p->chunk_columns * p->size;
    if (!p->chunk) {
        read_exactly(p->file, to, n * pitch, p->start + (off_t)(first * pitch));
        return;
    }
    for (size_t row = first, n_now; row < first + n; row += n_now) {
        const size_t inside = row % p->chunk_rows, left = first + n - row;
        n_now = p->chunk_rows - inside < left ? p->chunk_rows - inside : left;
        for (size_t c = 0; c < p->n_across; c++) {
            const off_t at = p->chunk[row / p->chunk_rows * p->n_across + c];
            read_exactly(p->file, piece, n_now * width, at + (off_t)(inside * width));
            for (size_t r = 0; r < n_now; r++)
                memcpy(to + (row - first + r) * pitch + c * width, piece + r * width, width);
        }
    }
}

/* -- the formula -------------------------------------------------------------------------- */

/* n elements of a row from `first` on as doubles; first may lie before the row, and its end after.
 */
#define LOAD(ctype)                                                                                \
    CLONES static void load_##ctype(const ctype *row, long first, long n, long columns,            \
                                    double *to)                                                    \
    {                                                                                              \
        const long low = first < 0 ? -first : 0;                                                   \
        const long high = first + n > columns ? columns - first : n;                               \
        for (long i = 0; i < low; i++)                                                             \
            to[i] = (double)row[0];                                                                \
        for (long i = low; i < high; i++)                                                          \
            to[i] = (double)row[first + i];                                                        \
        for (long i = high; i < n; i++)                                                            \
            to[i] = (double)row[columns - 1];                                                      \
    }
LOAD(uint8_t)
LOAD(float)

/* The lines of a window of RADIUS = 3, from the middle outwards. */
CLONES static void blur_down(double *const line[LINES], long n, double *restrict to)
{
    const double *a0 = line[0], *a1 = line[1], *a2 = line[2], *a3 = line[3], *a4 = line[4],
                 *a5 = line[5], *a6 = line[6];
    for (long i = 0; i < n; i++) {
        double sum = weight[0] * a3[i];
        sum += weight[1] * (a2[i] + a4[i]);
        sum += weight[2] * (a1[i] + a5[i]);
        to[i] = sum + weight[3] * (a0[i] + a6[i]);
    }
}

CLONES static void blur_along(const double *a, long n, double *restrict to)
{
    for (long i = 0; i < n; i++) {
        double sum = weight[0] * a[i + 3];
        sum += weight[1] * (a[i + 2] + a[i + 4]);
        sum += weight[2] * (a[i + 1] + a[i + 5]);
        to[i] = sum + weight[3] * (a[i] + a[i + 6]);
    }
}

CLONES static void store_float(const double *from, long n, float *to)
{
    for (long i = 0; i < n; i++)
        to[i] = (float)from[i];
}

/* Halves to even: adding 1.5 * 2^52 leaves the whole number in the low bits. */
CLONES static void store_uint8_t(const double *from, long n, uint8_t *to)
{
    for (long i = 0; i < n; i++) {
        const double v = from[i] + 0x1.8p52;
        uint64_t bits;
        memcpy(&bits, &v, sizeof bits);
        to[i] = (uint8_t)bits;
    }
}

/* Rows first .. first + n - 1 of the result, to `to`. `in` holds rows from `in_first` on. */
static void blur(const struct picture *p, const char *in, size_t in_first, size_t first, size_t n,
                 char *to)
{
    _Alignas(64) double ring[LINES][STRIP + 2 * RADIUS], middle[STRIP + 2 * RADIUS], out[STRIP];
    const long rows = (long)p->rows, columns = (long)p->columns;
    for (long column = 0; column < columns; column += STRIP) {
        const long width = columns - column < STRIP ? columns - column : STRIP;
        long loaded = (long)first - RADIUS;
        for (long row = (long)first; row < (long)(first + n); row++) {
            double *line[LINES];
            for (; loaded <= row + RADIUS; loaded++) {
                const long k = loaded < 0 ? 0 : loaded < rows ? loaded : rows - 1;
                const char *from = in + ((size_t)k - in_first) * p->columns * p->size;
                double *here = ring[(loaded + RADIUS) % LINES];
                if (p->is_float)
                    load_float((const float *)from, column - RADIUS, width + 2 * RADIUS, columns,
                               here);
                else
                    load_uint8_t((const uint8_t *)from, column - RADIUS, width + 2 * RADIUS,
                                 columns, here);
            }
            for (long k = 0; k < LINES; k++)
                line[k] = ring[(row + k) % LINES];
            blur_down(line, width + 2 * RADIUS, middle);
            blur_along(middle, width, out);
            char *at = to + (((size_t)row - first) * p->columns + (size_t)column) * p->size;
            if (p->is_float)
                store_float(out, width, (float *)at);
            else
                store_uint8_t(out, width, (uint8_t *)at);
        }
    }
}

/* -- the two loops ------------------------------------------------------------------------ */

static double in_memory(const struct picture *p, int out, size_t band)
{
    const size_t pitch = p->columns * p->size;
    char *in = data_alloc(p->rows * pitch), *to = data_alloc(p->rows * pitch);
    char *piece = data_alloc(p->chunk_rows * p->chunk_columns * p->size + 1);
    for (size_t row = 0; row < p->rows; row += band)
        read_rows(p, row, p->rows - row < band ? p->rows - row : band, in + row * pitch, piece);
    const double start = data_now();
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t row = 0; row < p->rows; row += band)
        blur(p, in, 0, row, p->rows - row < band ? p->rows - row : band, to + row * pitch);
    const double took = data_now() - start;
    for (size_t row = 0; row < p->rows; row++)
        data_want(pwrite(out, to + row * pitch, pitch, (off_t)(row * pitch)) == (ssize_t)pitch,
                  "pwrite");
    free(piece);
    free(to);
    free(in);
    return took;
}

static double in_files(const struct picture *p, int out, size_t band)
{
    const size_t pitch = p->columns * p->size;
    const double start = data_now();
#pragma omp parallel
    {
        char *in = data_alloc((band + 2 * RADIUS) * pitch), *to = data_alloc(band * pitch);
        char *piece = data_alloc(p->chunk_rows * p->chunk_columns * p->size + 1);
#pragma omp for schedule(dynamic, 1)
        for (size_t row = 0; row < p->rows; row += band) {
            const size_t n = p->rows - row < band ? p->rows - row : band;
            const size_t first = row < RADIUS ? 0 : row - RADIUS;
            const size_t end = row + n + RADIUS < p->rows ? row + n + RADIUS : p->rows;
            read_rows(p, first, end - first, in, piece);
            blur(p, in, first, row, n, to);
            data_want(pwrite(out, to, n * pitch, (off_t)(row * pitch)) == (ssize_t)(n * pitch),
                      "pwrite");
        }
        free(piece);
        free(to);
        free(in);
    }
    return data_now() - start;
}

int main(int argc, char **argv)
{
    const size_t band = argc == 5 ? strtoull(argv[4], NULL, 10) : 0;
    if (band == 0) {
        fprintf(stderr, "usage: %s memory|files FILE OUT BAND\n", argv[0]);
        return 2;
    }
    struct picture p = picture_open(argv[2]);
    const int out = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    data_want(out >= 0, "open");
    data_print((strcmp(argv[1], "memory") == 0 ? in_memory : in_files)(&p, out, band), 0);
    data_want(close(out) == 0, "close");
    close(p.file);
    free(p.chunk);
    data_close(&p.d);
    return 0;
}
