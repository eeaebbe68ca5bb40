/* What the peers of the data benchmark share: a clock, a sum, HDF5 opened and closed, and a zstd
 * filter. They end the program when something fails: a benchmark has nobody to hand an error to.
 *
 * Each peer prints one line, "SECONDS SUM": the time of its loop, and the sum of all elements or 0.
 */
#ifndef BENCH_DATA_PEER_H
#define BENCH_DATA_PEER_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zstd.h>

#define DATA_NAME "/d"
#define DATA_ZSTD 32015 /* the filter's registered number; Debian has no plugin for it */

enum { DATA_EDGE = 512 }; /* of the chunks: 512 x 512 float32, 1 MiB */
enum { DATA_CHUNK = DATA_EDGE * DATA_EDGE };

static inline double data_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* HDF5 has printed its own errors by then. */
static inline void data_want(bool is_so, const char *what)
{
    if (!is_so) {
        fprintf(stderr, "%s failed\n", what);
        exit(1);
    }
}

static inline void *data_alloc(size_t size)
{
    void *p = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    data_want(p != NULL, "malloc");
    return memset(p, 0, size);
}

/* The sum that the kernel `sum` computes, without its counting. */
static inline double data_sum(const float *x, size_t n)
{
    double lane[16] = {0}, sum = 0;
    for (size_t i = 0; i + 16 <= n; i += 16) {
        for (size_t k = 0; k < 16; k++)
            lane[k] += (double)x[i + k];
    }
    for (size_t i = n - n % 16; i < n; i++)
        sum += (double)x[i];
    for (size_t k = 0; k < 16; k++)
        sum += lane[k];
    return sum;
}

static inline void data_print(double seconds, double sum)
{
    printf("%.9f %.17g\n", seconds, sum);
}

/* -- zstd as a filter of HDF5, in this process ---------------------------------------------- */

static inline size_t data_zstd(unsigned flags, size_t n_values, const unsigned *values,
                               size_t n_bytes, size_t *size, void **buffer)
{
    static ZSTD_CCtx *packer; /* HDF5 calls filters from one thread */
    static ZSTD_DCtx *unpacker;
    const bool unpacks = flags & H5Z_FLAG_REVERSE;
    unsigned long long room =
        unpacks ? ZSTD_getFrameContentSize(*buffer, n_bytes) : ZSTD_compressBound(n_bytes);
    void *out = room < (1ull << 32) ? malloc((size_t)room) : NULL;
    if (!out)
        return 0;
    if (unpacks && !unpacker)
        unpacker = ZSTD_createDCtx();
    if (!unpacks && !packer)
        packer = ZSTD_createCCtx();
    size_t n = unpacks ? ZSTD_decompressDCtx(unpacker, out, (size_t)room, *buffer, n_bytes)
                       : ZSTD_compressCCtx(packer, out, (size_t)room, *buffer, n_bytes,
                                           n_values ? (int)values[0] : 3);
    if (ZSTD_isError(n)) {
        free(out);
        return 0;
    }
    free(*buffer);
    *buffer = out;
    *size = (size_t)room;
    return n;
}

static inline void data_register_zstd(void)
{
    static const H5Z_class2_t filter = {.version = H5Z_CLASS_T_VERS,
                                        .id = DATA_ZSTD,
                                        .encoder_present = 1,
                                        .decoder_present = 1,
                                        .name = "zstd",
                                        .filter = data_zstd};
    data_want(H5Zregister(&filter) >= 0, "H5Zregister");
}

/* -- datasets: two dimensions of float32 ---------------------------------------------------- */

struct data_set {
    hid_t file, set, space;
    hsize_t rows, columns;
};

/* Opens FILE's /d. access: of the file, for parallel HDF5; has_cache: HDF5's chunk cache. */
static inline struct data_set data_open(const char *path, hid_t access, bool has_cache)
{
    data_register_zstd();
    struct data_set d = {.file = H5Fopen(path, H5F_ACC_RDONLY, access)};
    hid_t dapl = H5Pcreate(H5P_DATASET_ACCESS);
    data_want(d.file >= 0 && (has_cache || H5Pset_chunk_cache(dapl, 0, 0, 1) >= 0), "H5Fopen");
    d.set = H5Dopen2(d.file, DATA_NAME, dapl);
    d.space = H5Dget_space(d.set);
    hsize_t extent[2];
    data_want(H5Sget_simple_extent_dims(d.space, extent, NULL) == 2, "H5Dopen2");
    d.rows = extent[0];
    d.columns = extent[1];
    H5Pclose(dapl);
    return d;
}

/* Sets how a dataset is stored: "contiguous", "chunked", "gzip:LEVEL" or "zstd:LEVEL", the last two
 * with shuffle. */
static inline void data_layout(hid_t dcpl, const char *layout)
{
    const hsize_t chunk[2] = {DATA_EDGE, DATA_EDGE};
    const char *colon = strchr(layout, ':');
    const unsigned level = colon ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
    bool is_set = strcmp(layout, "contiguous") == 0 || H5Pset_chunk(dcpl, 2, chunk) >= 0;
    if (colon)
        is_set = is_set && H5Pset_shuffle(dcpl) >= 0;
    if (strncmp(layout, "gzip:", 5) == 0)
        is_set = is_set && H5Pset_deflate(dcpl, level) >= 0;
    if (strncmp(layout, "zstd:", 5) == 0)
        is_set = is_set &&
                 H5Pset_filter(dcpl, DATA_ZSTD, H5Z_FLAG_MANDATORY, 1, &(unsigned){level}) >= 0;
    data_want(is_set, layout);
}

static inline struct data_set data_create(const char *path, hid_t access, const char *layout,
                                          hsize_t rows, hsize_t columns)
{
    data_register_zstd();
    struct data_set d = {.file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access),
                         .space = H5Screate_simple(2, (const hsize_t[2]){rows, columns}, NULL),
                         .rows = rows,
                         .columns = columns};
    hid_t dcpl = H5Pcreate(H5P_DATASET_CREATE);
    data_layout(dcpl, layout);
    H5Pset_fill_time(dcpl, H5D_FILL_TIME_NEVER);
    d.set = H5Dcreate2(d.file, DATA_NAME, H5T_IEEE_F32LE, d.space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    data_want(d.file >= 0 && d.set >= 0, "H5Dcreate2");
    H5Pclose(dcpl);
    return d;
}

/* Selects `rows` x `columns` elements from `row`, `column` on; returns their space in memory. */
static inline hid_t data_select(const struct data_set *d, hsize_t row, hsize_t column, hsize_t rows,
                                hsize_t columns)
{
    const hsize_t start[2] = {row, column}, count[2] = {rows, columns};
    data_want(H5Sselect_hyperslab(d->space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0,
              "H5Sselect_hyperslab");
    return H5Screate_simple(2, count, NULL);
}

/* How much a call reads or writes: "512x512", or "512" for whole rows. It must divide the dataset.
 */
struct data_block {
    hsize_t rows, columns;
};

static inline struct data_block data_block(const struct data_set *d, const char *text)
{
    char *end;
    struct data_block block = {.rows = strtoull(text, &end, 10), .columns = d->columns};
    if (*end == 'x')
        block.columns = strtoull(end + 1, NULL, 10);
    data_want(block.rows && block.columns && d->rows % block.rows == 0 &&
                  d->columns % block.columns == 0,
              "cutting into such blocks");
    return block;
}

static inline void data_close(struct data_set *d)
{
    H5Sclose(d->space);
    data_want(H5Dclose(d->set) >= 0 && H5Fclose(d->file) >= 0, "H5Fclose");
}

#endif
