/* kmeans: one step of Lloyd's algorithm (S. P. Lloyd, "Least squares quantization in PCM", IEEE
 * Transactions on Information Theory 28, 1982): each row of a table goes to its nearest centre, and
 * each centre to the mean of its rows.
 *
 * Reduces a table of floats (table.h) to
 *
 *     centres   k x columns numbers: the new ones; one without rows stays where it is
 *     counts    rows of each cluster
 *     inertia   sum of the squared distances of rows to their old centres
 *     moved     the largest distance that a centre moved: 0 when nothing changes any more
 *     skipped   rows with a NaN or an infinity, which belong nowhere
 *
 * `centres` of the first step come from kmeans_start, of the next ones from the step before. Of
 * equally near centres the first counts. Units: those of the table, its squares for inertia.
 *
 * Computed in double: distances from the first column to the last, sums from a chunk's first row to
 * its last. Sums round, so the shape of chunks changes last bits; the number of kitchens and cooks
 * changes none. Squared distances beyond 1.8e308 are infinite, and then the first centre is near.
 */
#include "clones.h"
#include "table.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0, "double must be computed in its own width");

enum { K, CENTRES };
enum { MAX_K = 1024 };

static const struct bq_param params[] = {
    {"k", BQ_INT, {.i = 8}, 1, MAX_K, "", "clusters"},
    {"centres", BQ_LIST, {.list = NULL}, -DBL_MAX, DBL_MAX, "", "k times the columns of the table"},
};

/* Sums of `values` follow: k counts, then k x columns sums. All bytes zero: nothing seen. */
struct clusters {
    uint64_t skipped;
    double inertia;
    union {
        uint64_t count;
        double sum;
    } values[];
};

static size_t n_columns(const union bq_value *p)
{
    return p[CENTRES].list->n / (size_t)p[K].i;
}

static int prepare(struct bq_setup *setup)
{
    const union bq_value *p = setup->params;
    const uint64_t k = (uint64_t)p[K].i, n = p[CENTRES].list ? p[CENTRES].list->n : 0;
    if (table_prepare(setup, 1))
        return -1;
    const uint64_t columns = setup->space.extent[1];
    if (n == 0 || columns > BQ_MAX_LIST || n != k * columns) {
        snprintf(setup->message, sizeof setup->message,
                 "%llu numbers in centres: %llu clusters in %llu columns have %llu; kmeans_start "
                 "finds the first ones",
                 (unsigned long long)n, (unsigned long long)k, (unsigned long long)columns,
                 (unsigned long long)(k * columns));
        return -1;
    }
    const uint64_t size = sizeof(struct clusters) + 8 * (k + n);
    if (size > BQ_MAX_ACC) {
        snprintf(setup->message, sizeof setup->message,
                 "%llu clusters in %llu columns are too many: at most %u numbers",
                 (unsigned long long)k, (unsigned long long)columns, BQ_MAX_ACC / 8);
        return -1;
    }
    setup->acc_size = (size_t)size;
    return 0;
}

/* distance[r] += the part of row r's squared distance to a centre. */
CLONES static void add_distances(const struct table_part *part, const double *centre,
                                 double distance[TABLE_ROWS])
{
    double sum[TABLE_ROWS];
    for (size_t r = 0; r < TABLE_ROWS; r++)
        sum[r] = distance[r];
    for (size_t c = 0; c < part->n; c++) {
        for (size_t r = 0; r < TABLE_ROWS; r++) {
            double d = part->at[c][r] - centre[part->first + c];
            sum[r] += d * d;
        }
    }
    for (size_t r = 0; r < TABLE_ROWS; r++)
        distance[r] = sum[r];
}

/* Of each row of a block: the first of the nearest centres, and its distance. Choices by masks:
 * compilers would branch, and which centre is nearest nobody can predict. */
CLONES static void find_nearest(double (*distance)[TABLE_ROWS], size_t k,
                                int64_t nearest[TABLE_ROWS], double least[TABLE_ROWS])
{
    for (size_t r = 0; r < TABLE_ROWS; r += 4) {
        lanes4 best = *(const lanes4 *)&distance[0][r];
        whole4 which = {0};
        for (size_t i = 1; i < k; i++) {
            const lanes4 here = *(const lanes4 *)&distance[i][r];
            const whole4 is_nearer = here < best, index = (whole4){0} + (int64_t)i;
            which = (is_nearer & index) | (~is_nearer & which);
            best = (lanes4)((is_nearer & (whole4)here) | (~is_nearer & (whole4)best));
        }
        *(lanes4 *)&least[r] = best;
        *(whole4 *)&nearest[r] = which;
    }
}

static void cook_rows(const struct bq_call *call, uint64_t row, size_t n_rows,
                      double (*distance)[TABLE_ROWS])
{
    const struct bq_block *in = call->in;
    const size_t k = (size_t)call->params[K].i, columns = (size_t)in->extent[1];
    const double *centres = call->params[CENTRES].list->at;
    struct clusters *clusters = call->acc;
    struct table_part part;
    int64_t nearest[TABLE_ROWS];
    double least[TABLE_ROWS], inertia = clusters->inertia;

    memset(distance, 0, k * sizeof *distance);
    for (size_t first = 0; first < columns; first += TABLE_COLUMNS) {
        table_load(in, row, n_rows, first, &part);
        for (size_t i = 0; i < k; i++)
            add_distances(&part, centres + i * columns, distance[i]);
    }
    find_nearest(distance, k, nearest, least);
    for (size_t r = 0; r < n_rows; r++) {
        /* Near to any centre is only what is finite; what is far from all may be, too. */
        if (!(least[r] <= DBL_MAX) && !table_is_finite(in, row + r)) {
            clusters->skipped++;
            nearest[r] = -1;
            continue;
        }
        inertia += least[r];
        clusters->values[nearest[r]].count++;
    }
    clusters->inertia = inertia;
    table_add_to(in, row, n_rows, nearest, &clusters->values[k].sum);
}

static enum bq_answer cook(struct bq_call *call)
{
    double distance[MAX_K][TABLE_ROWS]; /* used as far as k */
    const uint64_t rows = call->in->extent[0];
    for (uint64_t row = 0; row < rows; row += TABLE_ROWS)
        cook_rows(call, row, rows - row < TABLE_ROWS ? (size_t)(rows - row) : TABLE_ROWS, distance);
    return BQ_DONE;
}

static void combine(const union bq_value *values, void *into, const void *next)
{
    struct clusters *a = into;
    const struct clusters *b = next;
    const size_t k = (size_t)values[K].i, n = values[CENTRES].list->n;
    a->skipped += b->skipped;
    a->inertia += b->inertia;
    for (size_t i = 0; i < k; i++)
        a->values[i].count += b->values[i].count;
    for (size_t i = k; i < k + n; i++)
        a->values[i].sum += b->values[i].sum;
}

/* The new centres replace the sums in a copy on the stack, as there may be a megabyte of them: the
 * sink copies what it is given. */
static void present(const union bq_value *values, const void *acc, struct bq_sink *sink)
{
    const struct clusters *clusters = acc;
    const size_t k = (size_t)values[K].i, columns = n_columns(values);
    const double *old = values[CENTRES].list->at;
    double centres[BQ_MAX_ACC / 8] = {0}, moved = 0;
    uint64_t counts[MAX_K];
    for (size_t i = 0; i < k; i++) {
        double square = 0;
        counts[i] = clusters->values[i].count;
        for (size_t c = i * columns; c < (i + 1) * columns; c++) {
            double mean = clusters->values[k + c].sum / (double)(counts[i] ? counts[i] : 1);
            centres[c] = counts[i] ? mean : old[c];
            square += (centres[c] - old[c]) * (centres[c] - old[c]);
        }
        moved = square > moved ? square : moved;
    }
    sink->reals(sink, "centres", centres, k * columns);
    sink->series(sink, "counts", counts, k);
    sink->real(sink, "inertia", clusters->inertia);
    sink->real(sink, "moved", sqrt(moved));
    sink->integer(sink, "skipped", clusters->skipped);
}

const struct bq_kernel bq_kernel_kmeans = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_READS,
    .name = "kmeans",
    .summary = "moves k centres to the means of their clusters: a step of k-means over a table",
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .prepare = prepare,
    .cook = cook,
    .combine = combine,
    .present = present,
};
