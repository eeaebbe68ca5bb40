/* The heat equation as one would write it with MPI and threads: each rank keeps its rows in memory,
 * twice, exchanges one row with its neighbours before each step and adds up the largest change
 * after it. The formula and its order are those of src/kernels/heat.c; the edges are insulated.
 *
 *     mpirun .. heat_mpi FILE OUT R ROUNDS THREADS
 *
 * FILE's /d: float32, two dimensions. OUT: the plain numbers, row after row, written after the
 * time. Prints "SECONDS ROUNDS" and then the last change.
 */
#include "loop_peer.h"

#include <math.h>

#include "kernels/clones.h"

enum { TILE = 512, LANES = 32 };

struct plate {
    struct loop_part part;
    size_t pitch; /* elements from row to row: a margin on either side */
    float *now, *next;
    float r;
};

static float *row_of(const struct plate *p, float *grid, size_t row)
{
    return grid + (row + 1) * p->pitch + 1;
}

/* Rows of neighbours, and copies of our own where the plate ends. */
static void exchange(struct plate *p)
{
    const int rank = p->part.rank, n_ranks = p->part.n_ranks, n = (int)p->part.columns;
    const int above = rank > 0 ? rank - 1 : MPI_PROC_NULL;
    const int below = rank + 1 < n_ranks ? rank + 1 : MPI_PROC_NULL;
    float *first = row_of(p, p->now, 0), *last = row_of(p, p->now, p->part.rows - 1);
    MPI_Sendrecv(first, n, MPI_FLOAT, above, 0, last + p->pitch, n, MPI_FLOAT, below, 0,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Sendrecv(last, n, MPI_FLOAT, below, 1, first - p->pitch, n, MPI_FLOAT, above, 1,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    if (above == MPI_PROC_NULL)
        memcpy(first - p->pitch, first, p->part.columns * sizeof *first);
    if (below == MPI_PROC_NULL)
        memcpy(last + p->pitch, last, p->part.columns * sizeof *last);
}

/* One row; returns the largest change. Lanes, as compilers keep the order of a maximum. */
CLONES static float step(const float *x, size_t pitch, size_t n, float r, float *restrict to)
{
    float most[LANES] = {0}, change = 0;
    for (size_t first = 0; first < n; first += TILE) {
        const size_t end = first + TILE < n ? first + TILE : n;
        for (size_t i = first; i < end; i++) {
            const float sum = (x[i - 1] + x[i + 1]) + (x[i - pitch] + x[i + pitch]);
            to[i] = x[i] + r * (sum - 4 * x[i]);
        }
        size_t i = first;
        for (; i + LANES <= end; i += LANES) {
            for (size_t l = 0; l < LANES; l++) {
                const float d = fabsf(to[i + l] - x[i + l]);
                most[l] = d > most[l] ? d : most[l];
            }
        }
        for (; i < end; i++)
            change = fmaxf(change, fabsf(to[i] - x[i]));
    }
    for (size_t l = 0; l < LANES; l++)
        change = most[l] > change ? most[l] : change;
    return change;
}

static float run_round(struct plate *p)
{
    const size_t columns = p->part.columns;
    float change = 0;
    exchange(p);
#pragma omp parallel for schedule(static) reduction(max : change)
    for (size_t row = 0; row < p->part.rows; row++) {
        float *to = row_of(p, p->next, row);
        change = fmaxf(change, step(row_of(p, p->now, row), p->pitch, columns, p->r, to));
        to[-1] = to[0];
        to[columns] = to[columns - 1];
    }
    MPI_Allreduce(MPI_IN_PLACE, &change, 1, MPI_FLOAT, MPI_MAX, MPI_COMM_WORLD);
    float *now = p->now;
    p->now = p->next;
    p->next = now;
    return change;
}

static struct plate load(const char *path)
{
    struct plate p = {0};
    float *rows = loop_load(path, 0, &p.part);
    const size_t columns = p.part.columns;
    p.pitch = columns + 2;
    p.now = data_alloc((p.part.rows + 2) * p.pitch * sizeof *p.now);
    p.next = data_alloc((p.part.rows + 2) * p.pitch * sizeof *p.next);
    for (size_t row = 0; row < p.part.rows; row++) {
        float *to = row_of(&p, p.now, row);
        memcpy(to, rows + row * columns, columns * sizeof *to);
        to[-1] = to[0];
        to[columns] = to[columns - 1];
    }
    free(rows);
    return p;
}

/* Ranks write one after the other. */
static void save(const struct plate *p, const char *path)
{
    for (int rank = 0; rank < p->part.n_ranks; rank++) {
        MPI_Barrier(MPI_COMM_WORLD);
        if (rank != p->part.rank)
            continue;
        FILE *file = fopen(path, rank ? "ab" : "wb");
        data_want(file != NULL, "fopen");
        for (size_t row = 0; row < p->part.rows; row++)
            data_want(fwrite(row_of(p, p->now, row), sizeof(float), p->part.columns, file) ==
                          p->part.columns,
                      "fwrite");
        data_want(fclose(file) == 0, "fclose");
    }
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: %s FILE OUT R ROUNDS THREADS\n", argv[0]);
        return 2;
    }
    const long n_rounds = strtol(argv[4], NULL, 10);
    omp_set_num_threads((int)strtol(argv[5], NULL, 10));
    struct plate p = load(argv[1]);
    p.r = strtof(argv[3], NULL);
    float change = 0;
    const double start = loop_start();
    for (long round = 0; round < n_rounds; round++)
        change = run_round(&p);
    const double took = data_now() - start;
    if (p.part.rank == 0)
        printf("%.9f %ld\n%.9g\n", took, n_rounds, (double)change);
    fflush(stdout);
    save(&p, argv[2]);
    free(p.now);
    free(p.next);
    MPI_Finalize();
    return 0;
}
