/* Raw files: what one step hands to another, as nothing but its chunks, one after another in the
 * order of the grid, each in full. No HDF5 in here: opening one costs microseconds, so that the
 * rounds of a loop may be short. Private to a run; nobody else ever reads them. */
#include "adapters/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/heap.h"

static uint64_t raw_bytes(const struct bq_layout *layout)
{
    struct bq_box whole = {.rank = layout->space.rank};
    memcpy(whole.extent, layout->space.extent, sizeof whole.extent);
    uint64_t bytes;
    return __builtin_mul_overflow(bq_box_cells(&whole, layout->chunk.extent),
                                  bq_layout_chunk_bytes(layout), &bytes)
               ? UINT64_MAX
               : bytes;
}

int bq_raw_create(const char *file, const struct bq_layout *layout, struct bq_error *err)
{
    struct stat st;
    uint64_t bytes = raw_bytes(layout);
    int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    /* What the round before last wrote is written over: its pages are there already. */
    int rc = fd >= 0 && fstat(fd, &st) == 0 ? 0 : -1;
    if (rc == 0 && (bytes > INT64_MAX || (uint64_t)st.st_size != bytes))
        rc = bytes > INT64_MAX ? -1 : ftruncate(fd, (off_t)bytes);
    if (rc < 0)
        bq_fail(err, BQ_EXIT_FAILED,
                "%s: cannot make a file of %llu bytes for what a step hands "
                "over: %s",
                file, (unsigned long long)bytes, strerror(errno));
    if (fd >= 0)
        close(fd);
    return rc;
}

/* What lies in memory is copied from there: windows have many short rows, and a system call for
 * each costs more than the row. Nobody else can make the file shorter: its folder is ours. */
static void *map_memory(int fd, uint64_t bytes, int protection)
{
    struct statfs fs;
    if (bytes == 0 || bytes > SIZE_MAX || fstatfs(fd, &fs) != 0 || fs.f_type != TMPFS_MAGIC)
        return NULL;
    void *map = mmap(NULL, (size_t)bytes, protection, MAP_SHARED, fd, 0);
    return map == MAP_FAILED ? NULL : map;
}

/* Only a file that has all its pages: a new one, when memory is short, would be SIGBUS, where write
 * says that there is no space. */
void *store_raw_map(int fd, uint64_t bytes)
{
    struct stat st;
    bool is_full = fstat(fd, &st) == 0 && (uint64_t)st.st_size == bytes &&
                   (uint64_t)st.st_blocks * 512 >= bytes;
    return is_full ? map_memory(fd, bytes, PROT_READ | PROT_WRITE) : NULL;
}

void store_raw_close(struct bq_input *input)
{
    if (input->map)
        munmap((void *)(uintptr_t)input->map, (size_t)input->info.file_bytes);
    if (input->fd >= 0)
        close(input->fd);
}

struct bq_input *bq_raw_open(const char *file, const struct bq_layout *layout, struct bq_error *err)
{
    struct bq_input *input = bq_alloc(1, sizeof *input);
    struct stat st;
    if (!input) {
        bq_fail(err, BQ_EXIT_FAILED, "%s: out of memory", file);
        return NULL;
    }
    input->file = input->dataset = input->space = input->stored = input->memory = -1;
    input->is_raw = true;
    input->layout = *layout;
    input->fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    input->file_name = bq_strdup(file);
    input->where = bq_strdup(file);
    if (input->fd < 0 || fstat(input->fd, &st) != 0 || !input->file_name || !input->where)
        bq_fail(err, BQ_EXIT_FAILED, "%s: cannot open what a step hands over: %s", file,
                strerror(errno));
    else if (st.st_uid != geteuid() || (uint64_t)st.st_size != raw_bytes(layout))
        bq_fail(err, BQ_EXIT_FAILED, "%s: is not what a step handed over", file);
    else {
        input->raw_inode = st.st_ino;
        input->info = (struct bq_input_info){.type = bq_number_native(&layout->number),
                                             .space = layout->space,
                                             .chunk = layout->chunk,
                                             .stored = "handed over",
                                             .file_bytes = (uint64_t)st.st_size,
                                             .file_mtime_ns = store_mtime(&st)};
        input->map = map_memory(input->fd, input->info.file_bytes, PROT_READ);
        return input;
    }
    bq_input_close(input);
    return NULL;
}

bool bq_raw_is(const struct bq_input *input, const char *file)
{
    struct stat st;
    return input->is_raw && strcmp(input->file_name, file) == 0 && stat(file, &st) == 0 &&
           st.st_ino == input->raw_inode && (uint64_t)st.st_size == input->info.file_bytes;
}

void store_raw_locate(const struct bq_input *input, const struct bq_box *cell,
                      struct store_place *place)
{
    uint64_t bytes = bq_layout_chunk_bytes(&input->layout);
    *place = (struct store_place){.address = bq_stored_number(&input->layout, cell) * bytes,
                                  .size = bytes};
}
