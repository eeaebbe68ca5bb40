/* What the two programs that test the store share: a private folder, and files made in it by the
 * HDF5 library itself, so that the store is not its own judge. */
#ifndef BQ_TESTS_STORE_FIXTURE_H
#define BQ_TESTS_STORE_FIXTURE_H

#include <dirent.h>
#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapters/store.h"
#include "cunit.h"

static char folder[] = "/tmp/banquet-store-XXXXXX";

/* Deflate, after shuffle for elements of more than a byte; level 0: no filter. */
static inline struct bq_filters deflate_filter(unsigned level, size_t size)
{
    struct bq_filters filters = {0};
    if (level && size > 1)
        filters.list[filters.n++] = (struct bq_filter){.id = BQ_FILTER_SHUFFLE};
    if (level)
        filters.list[filters.n++] =
            (struct bq_filter){.id = BQ_FILTER_DEFLATE, .n_values = 1, .values = {level}};
    return filters;
}

/* The last test of a program: files, datasets, groups, attributes and named types. */
static inline void nothing_is_left_open_in_hdf5(void)
{
    CU_ASSERT_EQUAL(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL), 0);
}

/* Before any other call of HDF5, so that the store starts the library as it does in the program. */
static inline void fixture_begin(void)
{
    char path[80];
    if (!mkdtemp(folder))
        abort();
    setenv("HDF5_USE_FILE_LOCKING", "TRUE", 1);
    snprintf(path, sizeof path, "%s/no-hdf5", folder);
    FILE *file = fopen(path, "w");
    if (!file || fputs("hello", file) < 0 || fclose(file) != 0 || bq_input_open(path, "x", NULL))
        abort();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* nothing is printed about expected errors */
}

static inline void fixture_end(void)
{
    char command[120];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        printf("cannot remove %s\n", folder);
}

/* A path in the private folder; the eight newest stay valid. */
static inline const char *in_folder(const char *name)
{
    static char path[8][400];
    static unsigned turn;
    char *out = path[turn++ % 8];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

/* The message with the private folder left out of it. */
static inline const char *message(const struct bq_error *err)
{
    static char out[sizeof err->text];
    size_t used = 0, n = strlen(folder);
    for (const char *at = err->text; *at;) {
        if (strncmp(at, folder, n) == 0) {
            at += n;
            at += *at == '/';
        } else {
            out[used++] = *at++;
        }
    }
    out[used] = 0;
    return out;
}

static inline void put_file(const char *path, const void *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    CU_ASSERT_FATAL(file != NULL);
    CU_ASSERT_EQUAL(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

static inline void remove_file(const char *name)
{
    unlink(in_folder(name));
}

/* How many files there are whose name begins so; work files begin with ".". */
static inline int n_files(const char *prefix)
{
    int n = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        bool is_self = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        n += !is_self && strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    }
    closedir(dir);
    return n;
}

static inline uint64_t n_elements(const struct bq_space *space)
{
    uint64_t n = 1;
    for (int i = 0; i < space->rank; i++)
        n *= space->extent[i];
    return n;
}

static inline hid_t native_of(enum bq_type type)
{
    const hid_t native[] = {H5T_NATIVE_UINT8,  H5T_NATIVE_INT8,   H5T_NATIVE_UINT16,
                            H5T_NATIVE_INT16,  H5T_NATIVE_UINT32, H5T_NATIVE_INT32,
                            H5T_NATIVE_UINT64, H5T_NATIVE_INT64,  H5T_NATIVE_FLOAT,
                            H5T_NATIVE_DOUBLE};
    return native[type];
}

/* Standard file types, little-endian and big-endian. */
static inline hid_t stored_as(enum bq_type type, bool is_big)
{
    const hid_t stored[][2] = {{H5T_STD_U8LE, H5T_STD_U8BE},     {H5T_STD_I8LE, H5T_STD_I8BE},
                               {H5T_STD_U16LE, H5T_STD_U16BE},   {H5T_STD_I16LE, H5T_STD_I16BE},
                               {H5T_STD_U32LE, H5T_STD_U32BE},   {H5T_STD_I32LE, H5T_STD_I32BE},
                               {H5T_STD_U64LE, H5T_STD_U64BE},   {H5T_STD_I64LE, H5T_STD_I64BE},
                               {H5T_IEEE_F32LE, H5T_IEEE_F32BE}, {H5T_IEEE_F64LE, H5T_IEEE_F64BE}};
    return stored[type][is_big];
}

/* A new file with one dataset. chunk rank 0: contiguous; gzip 0: none; data NULL: nothing written.
 * space rank 0: a scalar. */
static inline void make_input(const char *path, const char *dataset, hid_t stored, hid_t memory,
                              const struct bq_space *space, const struct bq_space *chunk,
                              unsigned gzip, const void *data)
{
    hsize_t extent[BQ_MAX_RANK], piece[BQ_MAX_RANK];
    for (int i = 0; i < space->rank; i++) {
        extent[i] = space->extent[i];
        piece[i] = chunk ? chunk->extent[i] : 0;
    }
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE), links = H5Pcreate(H5P_LINK_CREATE);
    hid_t where = space->rank ? H5Screate_simple(space->rank, extent, NULL) : H5Screate(H5S_SCALAR);
    H5Pset_create_intermediate_group(links, 1);
    if (chunk && chunk->rank)
        H5Pset_chunk(creation, chunk->rank, piece);
    if (gzip && H5Tget_size(stored) > 1)
        H5Pset_shuffle(creation);
    if (gzip)
        H5Pset_deflate(creation, gzip);
    hid_t made = H5Dcreate2(file, dataset, stored, where, links, creation, H5P_DEFAULT);
    CU_ASSERT_FATAL(made >= 0);
    if (data)
        CU_ASSERT(H5Dwrite(made, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Dclose(made);
    H5Sclose(where);
    H5Pclose(links);
    H5Pclose(creation);
    CU_ASSERT(H5Fclose(file) >= 0);
}

/* Calls visit for each block of a grid over the space, clipped at the edges, in C order. */
static inline void each_block(const struct bq_space *space, const struct bq_space *grid,
                              void (*visit)(const uint64_t *offset, const uint64_t *extent, void *),
                              void *context)
{
    uint64_t offset[BQ_MAX_RANK] = {0}, extent[BQ_MAX_RANK];
    if (n_elements(space) == 0)
        return;
    for (;;) {
        for (int i = 0; i < space->rank; i++) {
            uint64_t left = space->extent[i] - offset[i];
            extent[i] = left < grid->extent[i] ? left : grid->extent[i];
        }
        visit(offset, extent, context);
        int axis = space->rank - 1;
        for (; axis >= 0; axis--) {
            offset[axis] += grid->extent[axis];
            if (offset[axis] < space->extent[axis])
                break;
            offset[axis] = 0;
        }
        if (axis < 0)
            return;
    }
}

/* Copies a block between a dense array of the whole space and a dense array of the block. */
static inline void copy_block(const struct bq_space *space, const uint64_t *offset,
                              const uint64_t *extent, size_t size, char *whole, char *block,
                              bool into_whole)
{
    uint64_t at[BQ_MAX_RANK] = {0}, n = 1;
    for (int i = 0; i < space->rank; i++)
        n *= extent[i];
    for (uint64_t k = 0; k < n; k++) {
        uint64_t index = 0;
        for (int i = 0; i < space->rank; i++)
            index = index * space->extent[i] + offset[i] + at[i];
        memcpy(into_whole ? whole + index * size : block + k * size,
               into_whole ? block + k * size : whole + index * size, size);
        for (int axis = space->rank - 1; axis >= 0 && ++at[axis] == extent[axis]; axis--)
            at[axis] = 0;
    }
}

#endif
