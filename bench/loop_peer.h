/* What the MPI peers of the loops share: their part of a dataset, loaded once, and the line that
 * they print: "SECONDS ROUNDS", of all rounds, without loading.
 */
#ifndef BENCH_LOOP_PEER_H
#define BENCH_LOOP_PEER_H

#include "data_peer.h"

#include <mpi.h>
#include <omp.h>

struct loop_part {
    int rank, n_ranks;
    size_t all_rows, columns;
    size_t first, rows; /* of this rank */
};

/* Starts MPI and reads this rank's rows of FILE's /d, floats, to what is returned; `rim` elements
 * are left free before and behind. */
static inline float *loop_load(const char *path, size_t rim, struct loop_part *part)
{
    int provided;
    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &part->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &part->n_ranks);
    struct data_set d = data_open(path, H5P_DEFAULT, true);
    const size_t rank = (size_t)part->rank, n = (size_t)part->n_ranks;
    part->all_rows = d.rows;
    part->columns = d.columns;
    part->first = d.rows * rank / n;
    part->rows = d.rows * (rank + 1) / n - part->first;
    float *rows = data_alloc((part->rows * part->columns + 2 * rim) * sizeof *rows);
    hid_t memory = data_select(&d, part->first, 0, part->rows, part->columns);
    data_want(H5Dread(d.set, H5T_NATIVE_FLOAT, memory, d.space, H5P_DEFAULT, rows + rim) >= 0,
              "H5Dread");
    H5Sclose(memory);
    data_close(&d);
    return rows;
}

static inline double loop_start(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
    return data_now();
}

#endif
