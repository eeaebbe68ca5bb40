/* k-means as one would write it with MPI and threads: each rank loads its rows once and keeps them
 * in memory, turned round in blocks so that a loop over rows is one over lanes of a vector; a round
 * assigns all rows and adds up their clusters with MPI_Allreduce.
 *
 *     mpirun .. kmeans_mpi FILE STARTS ROUNDS THREADS
 *
 * FILE's /d: a table of float32. STARTS: a file of k x columns numbers as text. Prints
 * "SECONDS ROUNDS" and then the centres, one number a line.
 */
#include "loop_peer.h"

#include "kernels/clones.h"

enum { LANES = 32, MAX_K = 64, MAX_COLUMNS = 64 };

struct table {
    size_t rows, columns, n_blocks;
    float *at; /* [block][column][lane] */
    size_t k;
    double centre[MAX_K * MAX_COLUMNS];
};

/* k counts, then k x columns sums. */
struct sums {
    double values[MAX_K * (MAX_COLUMNS + 1)];
};

static void turn(struct table *t, const float *rows)
{
    t->n_blocks = (t->rows + LANES - 1) / LANES;
    t->at = data_alloc(t->n_blocks * t->columns * LANES * sizeof *t->at);
    for (size_t r = 0; r < t->rows; r++) {
        for (size_t c = 0; c < t->columns; c++)
            t->at[(r / LANES * t->columns + c) * LANES + r % LANES] = rows[r * t->columns + c];
    }
}

/* The nearest centre of each row of a block: the first of equally near ones. */
CLONES static void find_nearest(const float *block, const double *centre, size_t k, size_t columns,
                                int64_t nearest[LANES])
{
    double least[LANES];
    for (size_t i = 0; i < k; i++) {
        double sum[LANES] = {0};
        for (size_t c = 0; c < columns; c++) {
            const double middle = centre[i * columns + c];
            for (size_t l = 0; l < LANES; l++) {
                const double d = (double)block[c * LANES + l] - middle;
                sum[l] += d * d;
            }
        }
        for (size_t l = 0; l < LANES; l++) {
            nearest[l] = i == 0 ? 0 : sum[l] < least[l] ? (int64_t)i : nearest[l];
            least[l] = i == 0 ? sum[l] : sum[l] < least[l] ? sum[l] : least[l];
        }
    }
}

static void assign(const struct table *t, size_t block, struct sums *sums)
{
    const float *at = t->at + block * t->columns * LANES;
    const size_t left = t->rows - block * LANES, n = left < LANES ? left : LANES;
    int64_t nearest[LANES];
    find_nearest(at, t->centre, t->k, t->columns, nearest);
    for (size_t l = 0; l < n; l++) {
        const size_t i = (size_t)nearest[l];
        double *to = &sums->values[t->k + i * t->columns];
        sums->values[i] += 1;
        for (size_t c = 0; c < t->columns; c++)
            to[c] += (double)at[c * LANES + l];
    }
}

static void run_round(struct table *t)
{
    struct sums all = {0};
    const size_t n = t->k * (t->columns + 1);
#pragma omp parallel
    {
        struct sums mine = {0};
#pragma omp for schedule(static) nowait
        for (size_t block = 0; block < t->n_blocks; block++)
            assign(t, block, &mine);
#pragma omp critical
        for (size_t i = 0; i < n; i++)
            all.values[i] += mine.values[i];
    }
    MPI_Allreduce(MPI_IN_PLACE, all.values, (int)n, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    for (size_t i = 0; i < t->k; i++) {
        for (size_t c = 0; c < t->columns && all.values[i] > 0; c++)
            t->centre[i * t->columns + c] = all.values[t->k + i * t->columns + c] / all.values[i];
    }
}

static void read_starts(const char *path, struct table *t)
{
    FILE *file = fopen(path, "r");
    size_t n = 0;
    data_want(file && t->columns <= MAX_COLUMNS, "opening the starts");
    while (n < MAX_K * t->columns && fscanf(file, "%lf", &t->centre[n]) == 1)
        n++;
    fclose(file);
    data_want(n > 0 && n % t->columns == 0, "whole centres");
    t->k = n / t->columns;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: %s FILE STARTS ROUNDS THREADS\n", argv[0]);
        return 2;
    }
    static struct table t;
    struct loop_part part;
    const long n_rounds = strtol(argv[3], NULL, 10);
    float *rows = loop_load(argv[1], 0, &part);
    t.rows = part.rows;
    t.columns = part.columns;
    omp_set_num_threads((int)strtol(argv[4], NULL, 10));
    read_starts(argv[2], &t);
    turn(&t, rows);
    free(rows);

    const double start = loop_start();
    for (long round = 0; round < n_rounds; round++)
        run_round(&t);
    const double took = data_now() - start;
    if (part.rank == 0) {
        printf("%.9f %ld\n", took, n_rounds);
        for (size_t i = 0; i < t.k * t.columns; i++)
            printf("%.17g\n", t.centre[i]);
    }
    free(t.at);
    MPI_Finalize();
    return 0;
}
