#include "adapters/store_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#if H5_VERSION_GE(1, 14, 0)
#include <H5FDdevelop.h>
#endif

#define MAX_ADDRESS ((haddr_t)INT64_MAX)
#define REGISTERED_FOR_TESTS 511 /* HDF5 keeps driver values 256 to 511 for that */

struct store_driver {
    H5FD_t head; /* HDF5's own part; first */
    int fd;
    haddr_t end_of_use, end_of_file;
    dev_t device;
    ino_t inode;
    bool is_listening;
    unsigned n_heard;
    haddr_t address; /* of the last read that was heard */
    size_t size;
};

/* -- what both drivers are made of -------------------------------------------------------- */

/* HDF5 owns the memory that it copies it to. */
void store_driver_say(hid_t kind, const char *what, int number)
{
    H5Epush2(H5E_DEFAULT, __FILE__, "driver", __LINE__, H5E_ERR_CLS, H5E_VFL, kind,
             "%s, errno = %d, error message = '%s'", what, number, strerror(number));
}

herr_t store_driver_read(int fd, haddr_t address, size_t size, void *buffer)
{
    char *at = buffer;
    if (address > MAX_ADDRESS || size > MAX_ADDRESS - address) {
        store_driver_say(H5E_READERROR, "address beyond the largest file", EOVERFLOW);
        return -1;
    }
    while (size) {
        ssize_t n = pread(fd, at, size, (off_t)address);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            store_driver_say(H5E_READERROR, "file read failed", errno);
            return -1;
        }
        if (n == 0) { /* as HDF5's own driver: beyond the end are zeros */
            memset(at, 0, size);
            break;
        }
        at += n;
        address += (haddr_t)n;
        size -= (size_t)n;
    }
    return 0;
}

herr_t store_driver_lock(int fd, bool for_writing)
{
    if (flock(fd, (for_writing ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0 || errno == ENOSYS)
        return 0;
    store_driver_say(H5E_READERROR, "unable to lock file", errno);
    return -1;
}

herr_t store_driver_unlock(int fd)
{
    return flock(fd, LOCK_UN) == 0 || errno == ENOSYS ? 0 : -1;
}

/* -- what HDF5 calls ---------------------------------------------------------------------- */

static H5FD_t *driver_open(const char *name, unsigned flags, hid_t access, haddr_t most)
{
    (void)access;
    (void)most;
    struct stat st;
    if (flags & (H5F_ACC_RDWR | H5F_ACC_TRUNC | H5F_ACC_CREAT))
        return NULL;
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        store_driver_say(H5E_READERROR, "unable to open file", errno);
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    struct store_driver *driver = calloc(1, sizeof *driver); /* HDF5 frees nothing of it; we do */
    if (!driver) {
        close(fd);
        return NULL;
    }
    driver->fd = fd;
    driver->end_of_file = (haddr_t)st.st_size;
    driver->device = st.st_dev;
    driver->inode = st.st_ino;
    return &driver->head;
}

static herr_t driver_close(H5FD_t *file)
{
    struct store_driver *driver = (struct store_driver *)file;
    close(driver->fd);
    free(driver);
    return 0;
}

static int driver_compare(const H5FD_t *a, const H5FD_t *b)
{
    const struct store_driver *x = (const struct store_driver *)a;
    const struct store_driver *y = (const struct store_driver *)b;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    return x->inode == y->inode ? 0 : x->inode < y->inode ? -1 : 1;
}

static herr_t driver_query(const H5FD_t *file, unsigned long *flags)
{
    (void)file;
    /* Not H5FD_FEAT_ACCUMULATE_METADATA: who only reads gets nothing from it, and HDF5 1.10 reaches
     * outside of its empty accumulator when a file names an address near 2^64. */
    if (flags)
        *flags = H5FD_FEAT_DATA_SIEVE;
    return 0;
}

static haddr_t driver_get_eoa(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const struct store_driver *)file)->end_of_use;
}

static herr_t driver_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t address)
{
    (void)type;
    ((struct store_driver *)file)->end_of_use = address;
    return 0;
}

static haddr_t driver_get_eof(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const struct store_driver *)file)->end_of_file;
}

static herr_t driver_get_handle(H5FD_t *file, hid_t access, void **handle)
{
    (void)access;
    *handle = file;
    return 0;
}

static herr_t driver_read(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t address,
                          size_t size, void *buffer)
{
    struct store_driver *driver = (struct store_driver *)file;
    (void)transfer;
    if (driver->is_listening && type == H5FD_MEM_DRAW) {
        driver->n_heard++;
        driver->address = address;
        driver->size = size;
        return 0;
    }
    return store_driver_read(driver->fd, address, size, buffer);
}

static herr_t driver_write(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t address,
                           size_t size, const void *buffer)
{
    (void)file, (void)type, (void)transfer, (void)address, (void)size, (void)buffer;
    return -1;
}

static herr_t driver_lock(H5FD_t *file, hbool_t for_writing)
{
    return store_driver_lock(((struct store_driver *)file)->fd, for_writing);
}

static herr_t driver_unlock(H5FD_t *file)
{
    return store_driver_unlock(((struct store_driver *)file)->fd);
}

#define DRIVER(lock_it, unlock_it)                                                                 \
    {                                                                                              \
        .name = "banquet", .maxaddr = MAX_ADDRESS, .fc_degree = H5F_CLOSE_WEAK,                    \
        .open = driver_open, .close = driver_close, .cmp = driver_compare, .query = driver_query,  \
        .get_eoa = driver_get_eoa, .set_eoa = driver_set_eoa, .get_eof = driver_get_eof,           \
        .get_handle = driver_get_handle, .read = driver_read, .write = driver_write,               \
        .lock = (lock_it), .unlock = (unlock_it), .fl_map = H5FD_FLMAP_DICHOTOMY, DRIVER_VERSION   \
    }
#if H5_VERSION_GE(1, 14, 0)
#define DRIVER_VERSION                                                                             \
    .version = H5FD_CLASS_VERSION, .value = (H5FD_class_value_t)REGISTERED_FOR_TESTS
#else
#define DRIVER_VERSION .fapl_size = 0
#endif

static const H5FD_class_t with_lock = DRIVER(driver_lock, driver_unlock);
static const H5FD_class_t without_lock = DRIVER(NULL, NULL);

/* -- what the store calls ----------------------------------------------------------------- */

static hid_t registered[2]; /* 0: not yet; guarded by the store's lock, as the library is */

hid_t store_driver_access(bool wants_lock)
{
    hid_t *driver = &registered[wants_lock];
    if (*driver <= 0)
        *driver = H5FDregister(wants_lock ? &with_lock : &without_lock);
    hid_t access = *driver < 0 ? -1 : H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0 && H5Pset_driver(access, *driver, NULL) < 0) {
        store_release(access);
        return -1;
    }
    return access;
}

struct store_driver *store_driver_of(hid_t file)
{
    void *handle = NULL;
    hid_t access = H5Fget_access_plist(file), driver = access < 0 ? -1 : H5Pget_driver(access);
    bool is_ours = driver > 0 && (driver == registered[0] || driver == registered[1]);
    store_release(access);
    return is_ours && H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) >= 0 ? handle : NULL;
}

int store_driver_fd(const struct store_driver *driver)
{
    return driver->fd;
}

/* The innermost of HDF5's errors; 1 ends the walk. */
static herr_t note_innermost(unsigned depth, const H5E_error2_t *entry, void *data)
{
    bool *is_missing = data;
    *is_missing = depth == 0 && entry->desc &&
                  (strcmp(entry->desc, "chunk storage is not allocated") == 0 ||
                   strcmp(entry->desc, "chunk address isn't defined") == 0);
    return 1;
}

/* Whether the call that failed just before found that a stored chunk was never written. HDF5 1.10
 * to 2.0 call that an error where others were written; the second text is for one whose fill values
 * are in the library's cache. The texts are all that tells it from a damaged index: where a version
 * has others, that is a failure, and not fill values instead of data. */
static bool was_never_written(void)
{
    bool is_missing = false;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, note_innermost, &is_missing);
    return is_missing;
}

int store_driver_locate(struct store_driver *driver, hid_t dataset, const hsize_t *offset,
                        uint64_t *address, uint64_t *size, uint32_t *mask)
{
    hsize_t stored = 0;
    unsigned char nothing[8]; /* is not written to */
    *address = *size = *mask = 0;
    if (H5Dget_chunk_storage_size(dataset, offset, &stored) < 0)
        return was_never_written() ? 0 : -1;
    if (stored == 0)
        return 0;
    driver->is_listening = true;
    driver->n_heard = 0;
    herr_t rc = H5Dread_chunk(dataset, H5P_DEFAULT, offset, mask, nothing);
    driver->is_listening = false;
    if (rc < 0)
        return was_never_written() ? 0 : -1;
    if (driver->n_heard != 1 || driver->size != stored)
        return -1;
    *address = driver->address;
    *size = stored;
    return 0;
}
