/* Self-scheduling without a manager: every rank takes the next task from a counter that lies in
 * rank 0's memory, by MPI_Fetch_and_op. With shared-memory windows (--mca osc sm) the fastest that
 * MPI does on one machine; between machines it stalls until rank 0 enters MPI, when its task ends.
 */
#include <mpi.h>

#include "peer.h"
#include "spin.h"

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct peer_load load = peer_load(argc, argv, "");
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);

    MPI_Win window;
    int64_t *counter;
    MPI_Win_allocate(rank == 0 ? (MPI_Aint)sizeof *counter : 0, sizeof *counter, MPI_INFO_NULL,
                     MPI_COMM_WORLD, &counter, &window);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, window);
    if (rank == 0) {
        *counter = 0;
        MPI_Win_sync(window);
    }
    MPI_Barrier(MPI_COMM_WORLD);

    const double start = MPI_Wtime();
    const int64_t one = 1;
    int64_t n_mine = 0, n_all = 0;
    for (;;) {
        int64_t task;
        MPI_Fetch_and_op(&one, &task, MPI_INT64_T, 0, 0, MPI_SUM, window);
        MPI_Win_flush(0, window);
        if (task >= load.n_tasks)
            break;
        spin(load.grain_us);
        n_mine++;
    }
    MPI_Allreduce(&n_mine, &n_all, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    const double seconds = MPI_Wtime() - start;

    if (n_all != load.n_tasks) {
        fprintf(stderr, "%s: %" PRId64 " tasks were done, not %" PRId64 "\n", argv[0], n_all,
                load.n_tasks);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    if (rank == 0)
        peer_print(&load, seconds);
    MPI_Win_unlock_all(window);
    MPI_Win_free(&window);
    MPI_Finalize();
    return 0;
}
