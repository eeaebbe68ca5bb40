/* Manager and workers as in the textbooks: rank 0 sends one task per message, a worker answers when
 * it is done. DEPTH tasks are on their way to each worker: 1 is the textbook (a worker waits for
 * each task), 2 the usual improvement (the next task lies ready when the worker comes for it). */
#include <mpi.h>

#include "peer.h"
#include "spin.h"

#define TAG_TASK 1
#define NO_TASK (-1) /* instead of a task's number: go home */

static void manage(int64_t n_tasks, int n_workers, int depth)
{
    int64_t n_sent = 0, n_done = 0;
    for (int i = 0; i < depth; i++)
        for (int worker = 1; worker <= n_workers && n_sent < n_tasks; worker++, n_sent++)
            MPI_Send(&n_sent, 1, MPI_INT64_T, worker, TAG_TASK, MPI_COMM_WORLD);

    for (; n_done < n_tasks; n_done++) {
        int64_t task;
        MPI_Status status;
        MPI_Recv(&task, 1, MPI_INT64_T, MPI_ANY_SOURCE, TAG_TASK, MPI_COMM_WORLD, &status);
        if (n_sent < n_tasks) {
            MPI_Send(&n_sent, 1, MPI_INT64_T, status.MPI_SOURCE, TAG_TASK, MPI_COMM_WORLD);
            n_sent++;
        }
    }
    for (int worker = 1; worker <= n_workers; worker++)
        MPI_Send(&(int64_t){NO_TASK}, 1, MPI_INT64_T, worker, TAG_TASK, MPI_COMM_WORLD);
}

static void work(double grain_us)
{
    for (;;) {
        int64_t task;
        MPI_Recv(&task, 1, MPI_INT64_T, 0, TAG_TASK, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        if (task == NO_TASK)
            return;
        spin(grain_us);
        MPI_Send(&task, 1, MPI_INT64_T, 0, TAG_TASK, MPI_COMM_WORLD);
    }
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct peer_load load = peer_load(argc, argv, " [DEPTH]");
    const int depth = argc > 3 ? atoi(argv[3]) : 1;
    int rank, n_ranks;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);
    if (n_ranks < 2 || depth < 1) {
        fprintf(stderr, "%s: wants 2 ranks or more and a depth of 1 or more\n", argv[0]);
        MPI_Abort(MPI_COMM_WORLD, 2);
    }

    MPI_Barrier(MPI_COMM_WORLD);
    const double start = MPI_Wtime();
    if (rank == 0) {
        manage(load.n_tasks, n_ranks - 1, depth);
        peer_print(&load, MPI_Wtime() - start);
    } else {
        work(load.grain_us);
    }
    MPI_Finalize();
    return 0;
}
