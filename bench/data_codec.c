/* What the codec allows: all stored chunks are in memory before the clock starts, then
 * OMP_NUM_THREADS threads decode them, with libdeflate or zstd, whichever the dataset needs.
 *
 *     data_codec decode FILE     decoding and nothing else
 *     data_codec sum FILE        decoding, undoing the shuffle, summing
 *
 * Prints the same sum for both: that of an untimed second pass.
 */
#include "data_peer.h"

#include <libdeflate.h>

struct stored {
    size_t size;
    void *bytes;
};

/* The bytes of element i lie n apart. */
static void unshuffle(uint32_t *out, const uint8_t *in, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint32_t)in[i] | (uint32_t)in[n + i] << 8 | (uint32_t)in[2 * n + i] << 16 |
                 (uint32_t)in[3 * n + i] << 24;
}

static struct stored *load(const struct data_set *d, size_t n_chunks)
{
    struct stored *chunk = data_alloc(n_chunks * sizeof *chunk);
    const size_t n_across = d->columns / DATA_EDGE;
    for (size_t i = 0; i < n_chunks; i++) {
        const hsize_t place[2] = {i / n_across * DATA_EDGE, i % n_across * DATA_EDGE};
        hsize_t size;
        uint32_t mask;
        data_want(H5Dget_chunk_storage_size(d->set, place, &size) >= 0,
                  "H5Dget_chunk_storage_size");
        chunk[i] = (struct stored){(size_t)size, data_alloc((size_t)size)};
        data_want(H5Dread_chunk(d->set, H5P_DEFAULT, place, &mask, chunk[i].bytes) >= 0 &&
                      mask == 0,
                  "H5Dread_chunk");
    }
    return chunk;
}

static bool is_zstd(const struct data_set *d)
{
    hid_t dcpl = H5Dget_create_plist(d->set);
    unsigned flags, config, value[8];
    size_t n = 8;
    H5Z_filter_t filter = H5Pget_filter2(dcpl, 1, &flags, &n, value, 0, NULL, &config);
    data_want(filter == H5Z_FILTER_DEFLATE || filter == DATA_ZSTD, "shuffle and gzip or zstd");
    H5Pclose(dcpl);
    return filter == DATA_ZSTD;
}

static double decode_all(const struct stored *chunk, size_t n_chunks, bool uses_zstd, bool sums)
{
    const size_t size = DATA_CHUNK * sizeof(float);
    double sum = 0;
#pragma omp parallel reduction(+ : sum)
    {
        struct libdeflate_decompressor *unzip = libdeflate_alloc_decompressor();
        ZSTD_DCtx *unpacker = ZSTD_createDCtx();
        uint8_t *shuffled = data_alloc(size);
        float *data = data_alloc(size);
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < n_chunks; i++) {
            const struct stored *c = &chunk[i];
            bool is_done =
                uses_zstd ? ZSTD_decompressDCtx(unpacker, shuffled, size, c->bytes, c->size) == size
                          : libdeflate_zlib_decompress(unzip, c->bytes, c->size, shuffled, size,
                                                       NULL) == 0;
            data_want(is_done, "decoding");
            if (sums) {
                unshuffle((uint32_t *)(void *)data, shuffled, DATA_CHUNK);
                sum += data_sum(data, DATA_CHUNK);
            }
        }
        libdeflate_free_decompressor(unzip);
        ZSTD_freeDCtx(unpacker);
        free(shuffled);
        free(data);
    }
    return sum;
}

int main(int argc, char **argv)
{
    const bool sums = argc == 3 && strcmp(argv[1], "sum") == 0;
    if (!sums && (argc != 3 || strcmp(argv[1], "decode") != 0)) {
        fprintf(stderr, "usage: %s decode|sum FILE\n", argv[0]);
        return 2;
    }
    struct data_set d = data_open(argv[2], H5P_DEFAULT, true);
    const size_t n_chunks = (size_t)(d.rows / DATA_EDGE * (d.columns / DATA_EDGE));
    const bool uses_zstd = is_zstd(&d);
    struct stored *chunk = load(&d, n_chunks);
    data_close(&d);
    const double start = data_now();
    decode_all(chunk, n_chunks, uses_zstd, sums);
    const double seconds = data_now() - start;
    data_print(seconds, decode_all(chunk, n_chunks, uses_zstd, true));
    for (size_t i = 0; i < n_chunks; i++)
        free(chunk[i].bytes);
    free(chunk);
    return 0;
}
