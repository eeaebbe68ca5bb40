/* Makes the files of the data benchmark.
 *
 *     data_make FILE LAYOUT ROWS     ROWS x ROWS float32: contiguous, chunked, gzip:4, zstd:3 ..
 *     data_make FILE tiled ROWS      the same as gzip:1, one band of chunks over and over: fast
 *     data_make FILE tiny ROWS       ROWS x 1000 chunks of 16 x 16 uint8, gzip
 *
 * The field is smooth, with noise of standard deviation 0.06, in steps of 1/1024: a temperature as
 * an instrument would give it. An element is a function of its place and of ROWS.
 */
#include "data_peer.h"

#include <libdeflate.h>
#include <math.h>
#include <unistd.h>

enum { TINY_EDGE = 16, TINY_ACROSS = 1000 };

/* Sebastiano Vigna's splitmix64, as a hash of a number. */
static uint64_t hash(uint64_t x)
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

/* A sum of four even numbers is near enough to a normal one: mean 0, deviation 1. */
static double noise(uint64_t place)
{
    const uint64_t bits = hash(place);
    uint64_t sum = 0;
    for (int shift = 0; shift < 64; shift += 16)
        sum += (bits >> shift) & 0xffff;
    return ((double)sum - 131070.0) / 37837.0;
}

/* Row i of the table: four sines of i, of different frequencies. */
enum { WAVES = 4 };

static double *make_waves(size_t rows)
{
    static const double frequency[WAVES] = {3, 2, 7, 5};
    double *wave = data_alloc(WAVES * rows * sizeof *wave);
    for (size_t i = 0; i < rows; i++) {
        for (size_t k = 0; k < WAVES; k++)
            wave[WAVES * i + k] = sin(6.283185307179586 * frequency[k] * (double)i / (double)rows);
    }
    return wave;
}

/* Rows first .. first + n_rows - 1. */
static void make_rows(float *out, size_t first, size_t n_rows, size_t rows, const double *wave)
{
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < n_rows; r++) {
        const size_t row = first + r;
        const double *down = wave + WAVES * row;
        for (size_t c = 0; c < rows; c++) {
            const double *across = wave + WAVES * c;
            double smooth = 285 + 12 * down[0] + 6 * across[1] + 3 * down[2] * across[3];
            double value = smooth + 0.06 * noise(row * rows + c);
            out[r * rows + c] = (float)(nearbyint(value * 1024) / 1024);
        }
    }
}

static void make_field(const char *path, const char *layout, size_t rows)
{
    double *wave = make_waves(rows);
    float *band = data_alloc(DATA_EDGE * rows * sizeof *band);
    struct data_set d = data_create(path, H5P_DEFAULT, layout, rows, rows);
    for (size_t row = 0; row < rows; row += DATA_EDGE) {
        make_rows(band, row, DATA_EDGE, rows, wave);
        hid_t memory = data_select(&d, row, 0, DATA_EDGE, rows);
        data_want(H5Dwrite(d.set, H5T_NATIVE_FLOAT, memory, d.space, H5P_DEFAULT, band) >= 0,
                  "H5Dwrite");
        H5Sclose(memory);
    }
    data_close(&d);
    free(band);
    free(wave);
}

static void shuffle(uint8_t *out, const void *in, size_t n)
{
    const uint8_t *byte = in;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < sizeof(float); k++)
            out[k * n + i] = byte[sizeof(float) * i + k];
    }
}

struct packed {
    size_t size;
    void *bytes;
};

static struct packed pack(struct libdeflate_compressor *packer, const void *in, size_t n)
{
    const size_t room = libdeflate_zlib_compress_bound(packer, n);
    struct packed packed = {.bytes = data_alloc(room)};
    packed.size = libdeflate_zlib_compress(packer, in, n, packed.bytes, room);
    data_want(packed.size > 0, "libdeflate");
    return packed;
}

static void write_packed(hid_t set, size_t row, size_t column, const struct packed *packed)
{
    const hsize_t place[2] = {row, column};
    data_want(H5Dwrite_chunk(set, H5P_DEFAULT, 0, place, packed->size, packed->bytes) >= 0,
              "H5Dwrite_chunk");
}

static void make_tiled(const char *path, size_t rows)
{
    const size_t n_across = rows / DATA_EDGE;
    double *wave = make_waves(rows);
    float *band = data_alloc(DATA_EDGE * rows * sizeof *band);
    float *tile = data_alloc(DATA_CHUNK * sizeof *tile);
    uint8_t *shuffled = data_alloc(DATA_CHUNK * sizeof *tile);
    struct packed *packed = data_alloc(n_across * sizeof *packed);
    struct libdeflate_compressor *packer = libdeflate_alloc_compressor(1);
    make_rows(band, 0, DATA_EDGE, rows, wave);
    for (size_t i = 0; i < n_across; i++) {
        for (size_t r = 0; r < DATA_EDGE; r++)
            memcpy(tile + r * DATA_EDGE, band + r * rows + i * DATA_EDGE, DATA_EDGE * sizeof *tile);
        shuffle(shuffled, tile, DATA_CHUNK);
        packed[i] = pack(packer, shuffled, DATA_CHUNK * sizeof *tile);
    }
    struct data_set d = data_create(path, H5P_DEFAULT, "gzip:1", rows, rows);
    for (size_t i = 0; i < n_across * n_across; i++)
        write_packed(d.set, i / n_across * DATA_EDGE, i % n_across * DATA_EDGE,
                     &packed[i % n_across]);
    data_close(&d);
    for (size_t i = 0; i < n_across; i++)
        free(packed[i].bytes);
    libdeflate_free_compressor(packer);
    free(packed);
    free(shuffled);
    free(tile);
    free(band);
    free(wave);
}

static void make_tiny(const char *path, size_t rows)
{
    const hsize_t extent[2] = {rows * TINY_EDGE, TINY_ACROSS * TINY_EDGE};
    const hsize_t chunk[2] = {TINY_EDGE, TINY_EDGE};
    uint8_t tile[TINY_EDGE * TINY_EDGE];
    for (size_t i = 0; i < sizeof tile; i++)
        tile[i] = (uint8_t)(i % 5);
    struct libdeflate_compressor *packer = libdeflate_alloc_compressor(1);
    struct packed packed = pack(packer, tile, sizeof tile);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(2, extent, NULL), dcpl = H5Pcreate(H5P_DATASET_CREATE);
    data_want(H5Pset_chunk(dcpl, 2, chunk) >= 0 && H5Pset_deflate(dcpl, 1) >= 0, "H5Pset_deflate");
    hid_t set = H5Dcreate2(file, DATA_NAME, H5T_STD_U8LE, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    data_want(set >= 0, "H5Dcreate2");
    for (size_t i = 0; i < rows * TINY_ACROSS; i++)
        write_packed(set, i / TINY_ACROSS * TINY_EDGE, i % TINY_ACROSS * TINY_EDGE, &packed);
    H5Pclose(dcpl);
    H5Sclose(space);
    data_want(H5Dclose(set) >= 0 && H5Fclose(file) >= 0, "H5Fclose");
    free(packed.bytes);
    libdeflate_free_compressor(packer);
}

int main(int argc, char **argv)
{
    const size_t rows = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
    const bool is_tiny = argc == 4 && strcmp(argv[2], "tiny") == 0;
    if (rows == 0 || (!is_tiny && rows % DATA_EDGE != 0)) {
        fprintf(stderr, "usage: %s FILE LAYOUT ROWS    ROWS: a multiple of %d, but for tiny\n",
                argv[0], DATA_EDGE);
        return 2;
    }
    char part[4096]; /* so that FILE is never half-made */
    data_want(snprintf(part, sizeof part, "%s.part", argv[1]) < (int)sizeof part, "snprintf");
    if (is_tiny)
        make_tiny(part, rows);
    else if (strcmp(argv[2], "tiled") == 0)
        make_tiled(part, rows);
    else
        make_field(part, argv[2], rows);
    data_want(rename(part, argv[1]) == 0, "rename");
    return 0;
}
