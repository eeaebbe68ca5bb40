/* Reading and writing with parallel HDF5: the ranks take turns at blocks.
 *
 *     data_parallel_hdf5 read FILE BLOCK HOW          HOW: independent or collective
 *     data_parallel_hdf5 write FILE OUT LAYOUT BLOCK  collective, as filters want it
 */
#include <mpi.h>

#include "data_peer.h"

static int rank, n_ranks;

static hid_t shared_file(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    data_want(H5Pset_fapl_mpio(access, MPI_COMM_WORLD, MPI_INFO_NULL) >= 0, "H5Pset_fapl_mpio");
    return access;
}

static hid_t transfer(bool is_collective)
{
    hid_t dxpl = H5Pcreate(H5P_DATASET_XFER);
    data_want(
        H5Pset_dxpl_mpio(dxpl, is_collective ? H5FD_MPIO_COLLECTIVE : H5FD_MPIO_INDEPENDENT) >= 0,
        "H5Pset_dxpl_mpio");
    return dxpl;
}

/* The time of the slowest rank. */
static void print(double start, double sum)
{
    double seconds = MPI_Wtime() - start, longest = 0, total = 0;
    MPI_Reduce(&seconds, &longest, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
    MPI_Reduce(&sum, &total, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    if (rank == 0)
        data_print(longest, total);
}

/* Selects the block of this rank's turn, as blocks are dealt out like cards; returns its space in
 * memory, or -1 after the last. Collective calls need as many turns on each rank. */
static hid_t take_turn(const struct data_set *d, struct data_block block, hsize_t turn)
{
    const hsize_t n_across = d->columns / block.columns, n_blocks = d->rows / block.rows * n_across;
    const hsize_t i = turn * (hsize_t)n_ranks + (hsize_t)rank;
    data_want(n_blocks % (hsize_t)n_ranks == 0, "sharing blocks evenly");
    if (i >= n_blocks)
        return -1;
    return data_select(d, i / n_across * block.rows, i % n_across * block.columns, block.rows,
                       block.columns);
}

static void read_all(const char *path, const char *block_text, bool is_collective)
{
    hid_t access = shared_file(), dxpl = transfer(is_collective), memory;
    struct data_set d = data_open(path, access, true);
    const struct data_block block = data_block(&d, block_text);
    const size_t n = (size_t)(block.rows * block.columns);
    float *data = data_alloc(n * sizeof *data);
    double sum = 0;
    MPI_Barrier(MPI_COMM_WORLD);
    const double start = MPI_Wtime();
    for (hsize_t turn = 0; (memory = take_turn(&d, block, turn)) >= 0; turn++) {
        data_want(H5Dread(d.set, H5T_NATIVE_FLOAT, memory, d.space, dxpl, data) >= 0, "H5Dread");
        sum += data_sum(data, n);
        H5Sclose(memory);
    }
    print(start, sum);
    free(data);
    data_close(&d);
    H5Pclose(dxpl);
    H5Pclose(access);
}

static void write_all(const char *path, const char *out_path, const char *layout,
                      const char *block_text)
{
    hid_t access = shared_file(), dxpl = transfer(true), memory;
    struct data_set in = data_open(path, access, true);
    const struct data_block block = data_block(&in, block_text);
    float *data = data_alloc((size_t)(block.rows * block.columns) * sizeof *data);
    MPI_Barrier(MPI_COMM_WORLD);
    const double start = MPI_Wtime();
    struct data_set out = data_create(out_path, access, layout, in.rows, in.columns);
    for (hsize_t turn = 0; (memory = take_turn(&in, block, turn)) >= 0; turn++) {
        data_want(H5Dread(in.set, H5T_NATIVE_FLOAT, memory, in.space, dxpl, data) >= 0, "H5Dread");
        H5Sclose(take_turn(&out, block, turn));
        data_want(H5Dwrite(out.set, H5T_NATIVE_FLOAT, memory, out.space, dxpl, data) >= 0,
                  "H5Dwrite");
        H5Sclose(memory);
    }
    data_close(&out);
    print(start, 0);
    free(data);
    data_close(&in);
    H5Pclose(dxpl);
    H5Pclose(access);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);
    if (argc == 5 && strcmp(argv[1], "read") == 0) {
        read_all(argv[2], argv[3], strcmp(argv[4], "collective") == 0);
    } else if (argc == 6 && strcmp(argv[1], "write") == 0) {
        write_all(argv[2], argv[3], argv[4], argv[5]);
    } else {
        fprintf(stderr, "usage: %s read FILE BLOCK HOW | write FILE OUT LAYOUT BLOCK\n", argv[0]);
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    MPI_Finalize();
    return 0;
}
