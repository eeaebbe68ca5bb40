/* Reading and writing with the HDF5 library, in the one thread that it has.
 *
 *     data_hdf5 read FILE BLOCK CACHE       H5Dread and sum; BLOCK: as in data_peer.h
 *     data_hdf5 write FILE OUT LAYOUT       H5Dread and H5Dwrite by chunk; LAYOUT likewise
 *
 * CACHE: cache or nocache, HDF5's chunk cache.
 */
#include "data_peer.h"

static void read_all(const char *path, const char *block_text, bool has_cache)
{
    struct data_set d = data_open(path, H5P_DEFAULT, has_cache);
    const struct data_block cut = data_block(&d, block_text);
    const hsize_t rows = cut.rows, columns = cut.columns;
    float *block = data_alloc(rows * columns * sizeof *block);
    hid_t memory = H5Screate_simple(2, (const hsize_t[2]){rows, columns}, NULL);
    double sum = 0;
    const double start = data_now();
    for (hsize_t row = 0; row < d.rows; row += rows) {
        for (hsize_t column = 0; column < d.columns; column += columns) {
            H5Sclose(data_select(&d, row, column, rows, columns));
            data_want(H5Dread(d.set, H5T_NATIVE_FLOAT, memory, d.space, H5P_DEFAULT, block) >= 0,
                      "H5Dread");
            sum += data_sum(block, rows * columns);
        }
    }
    data_print(data_now() - start, sum);
    H5Sclose(memory);
    free(block);
    data_close(&d);
}

/* The time holds everything until the file is closed. */
static void write_all(const char *path, const char *out_path, const char *layout)
{
    struct data_set in = data_open(path, H5P_DEFAULT, false);
    float *block = data_alloc(DATA_CHUNK * sizeof *block);
    const double start = data_now();
    struct data_set out = data_create(out_path, H5P_DEFAULT, layout, in.rows, in.columns);
    for (hsize_t row = 0; row < in.rows; row += DATA_EDGE) {
        for (hsize_t column = 0; column < in.columns; column += DATA_EDGE) {
            hid_t memory = data_select(&in, row, column, DATA_EDGE, DATA_EDGE);
            data_want(H5Dread(in.set, H5T_NATIVE_FLOAT, memory, in.space, H5P_DEFAULT, block) >= 0,
                      "H5Dread");
            H5Sclose(data_select(&out, row, column, DATA_EDGE, DATA_EDGE));
            data_want(H5Dwrite(out.set, H5T_NATIVE_FLOAT, memory, out.space, H5P_DEFAULT, block) >=
                          0,
                      "H5Dwrite");
            H5Sclose(memory);
        }
    }
    data_close(&out);
    data_print(data_now() - start, 0);
    free(block);
    data_close(&in);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "read") == 0) {
        read_all(argv[2], argv[3], strcmp(argv[4], "cache") == 0);
    } else if (argc == 5 && strcmp(argv[1], "write") == 0) {
        write_all(argv[2], argv[3], argv[4]);
    } else {
        fprintf(stderr, "usage: %s read FILE BLOCK CACHE | write FILE OUT LAYOUT\n", argv[0]);
        return 2;
    }
    return 0;
}
