/* What the machine allows: plain pread and pwrite of the bytes where they are stored, by
 * OMP_NUM_THREADS threads. HDF5 only says where; that is not in the time.
 *
 *     data_raw read FILE KIB          reads pieces of KIB kibibytes at most, and sums
 *     data_raw tiles FILE             a contiguous dataset in tiles of 512 x 512: a pread for each
 * row data_raw copy FILE OUT KIB      the stored bytes of the dataset, one after the other, to OUT
 */
#include "data_peer.h"

#include <fcntl.h>
#include <unistd.h>

struct piece {
    off_t offset;
    size_t size;
};

struct pieces {
    size_t n;
    struct piece *piece;
};

/* A stored extent, cut into pieces. */
static void add(struct pieces *list, haddr_t address, hsize_t size, size_t most)
{
    for (hsize_t done = 0; done < size; done += most) {
        if ((list->n & (list->n - 1)) == 0) { /* a power of two: full */
            const size_t room = list->n ? 2 * list->n : 1;
            list->piece = realloc(list->piece, room * sizeof *list->piece);
            data_want(list->piece != NULL, "realloc");
        }
        const hsize_t rest = size - done;
        list->piece[list->n++] =
            (struct piece){(off_t)(address + done), rest < most ? (size_t)rest : most};
    }
}

static struct pieces find_pieces(const struct data_set *d, size_t most)
{
    struct pieces list = {0};
    const haddr_t start = H5Dget_offset(d->set);
    hsize_t n_chunks = 0;
    if (start != HADDR_UNDEF) {
        add(&list, start, d->rows * d->columns * sizeof(float), most);
        return list;
    }
    data_want(H5Dget_num_chunks(d->set, d->space, &n_chunks) >= 0, "H5Dget_num_chunks");
    for (hsize_t i = 0; i < n_chunks; i++) {
        hsize_t offset[2], size;
        unsigned mask;
        haddr_t address;
        data_want(H5Dget_chunk_info(d->set, d->space, i, offset, &mask, &address, &size) >= 0,
                  "H5Dget_chunk_info");
        add(&list, address, size, most);
    }
    return list;
}

static void read_exactly(int file, void *buffer, size_t size, off_t offset)
{
    while (size > 0) {
        const ssize_t n = pread(file, buffer, size, offset);
        data_want(n > 0, "pread");
        buffer = (char *)buffer + n;
        size -= (size_t)n;
        offset += n;
    }
}

static double read_pieces(int file, const struct pieces *list, size_t most)
{
    double sum = 0;
#pragma omp parallel reduction(+ : sum)
    {
        float *buffer = data_alloc(most);
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < list->n; i++) {
            const struct piece *p = &list->piece[i];
            read_exactly(file, buffer, p->size, p->offset);
            sum += data_sum(buffer, p->size / sizeof(float));
        }
        free(buffer);
    }
    return sum;
}

static double read_tiles(int file, off_t start, size_t rows, size_t columns)
{
    const size_t n_across = columns / DATA_EDGE, n_tiles = rows / DATA_EDGE * n_across;
    double sum = 0;
#pragma omp parallel reduction(+ : sum)
    {
        float *tile = data_alloc(DATA_CHUNK * sizeof *tile);
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < n_tiles; i++) {
            const size_t row = i / n_across * DATA_EDGE, column = i % n_across * DATA_EDGE;
            for (size_t r = 0; r < DATA_EDGE; r++) {
                const size_t first = (row + r) * columns + column;
                read_exactly(file, tile + r * DATA_EDGE, DATA_EDGE * sizeof *tile,
                             start + (off_t)(first * sizeof *tile));
            }
            sum += data_sum(tile, DATA_CHUNK);
        }
        free(tile);
    }
    return sum;
}

static void copy_pieces(int file, int out, const struct pieces *list, size_t most)
{
    off_t *place = data_alloc((list->n + 1) * sizeof *place);
    for (size_t i = 0; i < list->n; i++)
        place[i + 1] = place[i] + (off_t)list->piece[i].size;
#pragma omp parallel
    {
        char *buffer = data_alloc(most);
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < list->n; i++) {
            const struct piece *p = &list->piece[i];
            read_exactly(file, buffer, p->size, p->offset);
            data_want(pwrite(out, buffer, p->size, place[i]) == (ssize_t)p->size, "pwrite");
        }
        free(buffer);
    }
    free(place);
}

int main(int argc, char **argv)
{
    const char *how = argc > 2 ? argv[1] : "";
    const bool reads = argc == 4 && strcmp(how, "read") == 0;
    const bool tiles = argc == 3 && strcmp(how, "tiles") == 0;
    const bool copies = argc == 5 && strcmp(how, "copy") == 0;
    const size_t most = reads || copies ? strtoull(argv[argc - 1], NULL, 10) << 10 : 1 << 20;
    if (!(reads || tiles || copies) || most == 0) {
        fprintf(stderr, "usage: %s read FILE KIB | tiles FILE | copy FILE OUT KIB\n", argv[0]);
        return 2;
    }
    struct data_set d = data_open(argv[2], H5P_DEFAULT, true);
    struct pieces list = find_pieces(&d, most);
    const int file = open(argv[2], O_RDONLY | O_CLOEXEC);
    data_want(file >= 0, "open");
    double sum = 0;
    const double start = data_now();
    if (reads) {
        sum = read_pieces(file, &list, most);
    } else if (tiles) {
        sum = read_tiles(file, (off_t)H5Dget_offset(d.set), d.rows, d.columns);
    } else {
        const int out = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        data_want(out >= 0, "open");
        copy_pieces(file, out, &list, most);
        data_want(close(out) == 0, "close");
    }
    data_print(data_now() - start, sum);
    close(file);
    free(list.piece);
    data_close(&d);
    return 0;
}
