/* OpenMP, schedule(dynamic,1): threads of one process take tasks from a shared counter. */
#include <omp.h>

#include "peer.h"
#include "spin.h"

int main(int argc, char **argv)
{
    const struct peer_load load = peer_load(argc, argv, "");

#pragma omp parallel
    {
        /* Starts the threads; a real program starts them once, too. */
    }
    const double start = omp_get_wtime();
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t i = 0; i < load.n_tasks; i++)
        spin(load.grain_us);
    peer_print(&load, omp_get_wtime() - start);
    return 0;
}
