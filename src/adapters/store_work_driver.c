#include "adapters/store_work_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if H5_VERSION_GE(1, 14, 0)
#include <H5FDdevelop.h>
#endif

#include "adapters/store_driver.h"

#define MAX_ADDRESS ((haddr_t)INT64_MAX)
#define REGISTERED_FOR_TESTS 510      /* HDF5 keeps driver values 256 to 511 for that */
#define MOST_LOG (UINT64_C(16) << 20) /* bytes; then it begins again */

struct store_work_driver {
    H5FD_t head; /* HDF5's own part; first */
    int fd;
    haddr_t end_of_use, end_of_file;
    dev_t device;
    ino_t inode;
    struct store_log log; /* fd -1: never synced */
    struct store_overlay overlay;
    haddr_t kept_end; /* of all states that were promised; never falls */
    haddr_t in_place, in_place_end;
    bool is_left;
};

/* -- what HDF5 calls ---------------------------------------------------------------------- */

static H5FD_t *driver_open(const char *name, unsigned flags, hid_t access, haddr_t most)
{
    (void)name;
    (void)most;
    struct stat st;
    const int *given = H5Pget_driver_info(access);
    int fd = given ? fcntl(*given, F_DUPFD_CLOEXEC, 0) : -1;
    struct store_work_driver *driver = calloc(1, sizeof *driver); /* HDF5 frees nothing of it */
    if (fd < 0 || !driver || fstat(fd, &st) != 0 ||
        ((flags & H5F_ACC_TRUNC) && (ftruncate(fd, 0) != 0 || fstat(fd, &st) != 0))) {
        store_driver_say(H5E_CANTOPENFILE, "unable to open file", errno);
        if (fd >= 0)
            close(fd);
        free(driver);
        return NULL;
    }
    driver->fd = fd;
    driver->log.fd = -1;
    driver->end_of_file = (haddr_t)st.st_size;
    driver->device = st.st_dev;
    driver->inode = st.st_ino;
    return &driver->head;
}

static herr_t driver_close(H5FD_t *file)
{
    struct store_work_driver *driver = (struct store_work_driver *)file;
    herr_t rc = 0;
    if (driver->log.fd >= 0 && !driver->is_left &&
        (store_work_driver_sync(driver, NULL, driver->log.is_durable) < 0 ||
         store_log_mark(&driver->log, true) < 0 ||
         ftruncate(driver->fd, (off_t)driver->end_of_use) < 0)) {
        store_driver_say(H5E_WRITEERROR, "file write failed", errno);
        rc = -1;
    }
    store_overlay_clear(&driver->overlay);
    store_log_close(&driver->log);
    store_driver_unlock(driver->fd); /* the output has this descriptor, too */
    close(driver->fd);
    free(driver);
    return rc;
}

static int driver_compare(const H5FD_t *a, const H5FD_t *b)
{
    const struct store_work_driver *x = (const struct store_work_driver *)a;
    const struct store_work_driver *y = (const struct store_work_driver *)b;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    return x->inode == y->inode ? 0 : x->inode < y->inode ? -1 : 1;
}

/* As HDF5's own driver, so that the same file comes out. */
static herr_t driver_query(const H5FD_t *file, unsigned long *flags)
{
    (void)file;
    if (flags)
        *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA |
                 H5FD_FEAT_DATA_SIEVE | H5FD_FEAT_AGGREGATE_SMALLDATA |
                 H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
    return 0;
}

static haddr_t driver_get_eoa(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const struct store_work_driver *)file)->end_of_use;
}

static herr_t driver_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t address)
{
    (void)type;
    ((struct store_work_driver *)file)->end_of_use = address;
    return 0;
}

static haddr_t driver_get_eof(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const struct store_work_driver *)file)->end_of_file;
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
    struct store_work_driver *driver = (struct store_work_driver *)file;
    (void)type;
    (void)transfer;
    if (store_driver_read(driver->fd, address, size, buffer) < 0)
        return -1;
    store_overlay_get(&driver->overlay, address, buffer, size);
    return 0;
}

/* Whether what is written there has to be kept in memory, and up to where that holds. */
static bool is_kept(const struct store_work_driver *driver, bool is_raw, haddr_t address,
                    haddr_t *until)
{
    bool is_before = is_raw && address < driver->in_place;
    *until = MAX_ADDRESS;
    if (driver->log.fd < 0 || address >= driver->kept_end)
        return false;
    *until = driver->kept_end;
    if (is_raw && !is_before && address < driver->in_place_end) {
        *until = driver->in_place_end;
        return false;
    }
    if (is_before && driver->in_place < *until)
        *until = driver->in_place;
    return true;
}

static herr_t driver_write(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t address,
                           size_t size, const void *buffer)
{
    struct store_work_driver *driver = (struct store_work_driver *)file;
    const char *at = buffer;
    (void)transfer;
    if (address > MAX_ADDRESS || size > MAX_ADDRESS - address) {
        store_driver_say(H5E_WRITEERROR, "address beyond the largest file", EOVERFLOW);
        return -1;
    }
    while (size) {
        haddr_t until;
        bool keeps = is_kept(driver, type == H5FD_MEM_DRAW, address, &until);
        size_t n = size < until - address ? size : (size_t)(until - address);
        errno = ENOMEM;
        if (keeps ? store_overlay_put(&driver->overlay, address, at, n) < 0
                  : store_write_at(driver->fd, at, n, address) < 0) {
            store_driver_say(H5E_WRITEERROR, "file write failed", errno);
            return -1;
        }
        at += n;
        address += n;
        size -= n;
    }
    if (address > driver->end_of_file)
        driver->end_of_file = address;
    return 0;
}

/* A promised state may need what lies behind the end: then the file is cut when it is closed. */
static herr_t driver_truncate(H5FD_t *file, hid_t transfer, hbool_t is_closing)
{
    struct store_work_driver *driver = (struct store_work_driver *)file;
    (void)transfer;
    (void)is_closing;
    if (driver->log.fd < 0 && driver->end_of_file != driver->end_of_use &&
        ftruncate(driver->fd, (off_t)driver->end_of_use) < 0) {
        store_driver_say(H5E_WRITEERROR, "unable to extend file properly", errno);
        return -1;
    }
    driver->end_of_file = driver->end_of_use;
    return 0;
}

static herr_t driver_lock(H5FD_t *file, hbool_t for_writing)
{
    return store_driver_lock(((struct store_work_driver *)file)->fd, for_writing);
}

static herr_t driver_unlock(H5FD_t *file)
{
    return store_driver_unlock(((struct store_work_driver *)file)->fd);
}

static const H5FD_class_t class = {
#if H5_VERSION_GE(1, 14, 0)
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)REGISTERED_FOR_TESTS,
#endif
    .name = "banquet-work",
    .maxaddr = MAX_ADDRESS,
    .fc_degree = H5F_CLOSE_WEAK,
    .fapl_size = sizeof(int),
    .open = driver_open,
    .close = driver_close,
    .cmp = driver_compare,
    .query = driver_query,
    .get_eoa = driver_get_eoa,
    .set_eoa = driver_set_eoa,
    .get_eof = driver_get_eof,
    .get_handle = driver_get_handle,
    .read = driver_read,
    .write = driver_write,
    .truncate = driver_truncate,
    .lock = driver_lock,
    .unlock = driver_unlock,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

/* -- what the store calls ----------------------------------------------------------------- */

static hid_t registered; /* 0: not yet; guarded by the store's lock, as the library is */

hid_t store_work_driver_access(int fd)
{
    if (registered <= 0)
        registered = H5FDregister(&class);
    hid_t access = registered < 0 ? -1 : H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0 && H5Pset_driver(access, registered, &fd) < 0) {
        store_release(access);
        return -1;
    }
    return access;
}

struct store_work_driver *store_work_driver_of(hid_t file)
{
    void *handle = NULL;
    return H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) < 0 ? NULL : handle;
}

/* What the state uses is there, zeros where nothing was written. */
static int extend(struct store_work_driver *driver)
{
    struct stat st;
    if (fstat(driver->fd, &st) < 0)
        return -1;
    return (haddr_t)st.st_size < driver->end_of_use
               ? ftruncate(driver->fd, (off_t)driver->end_of_use)
               : 0;
}

static int write_run(void *context, uint64_t address, const void *bytes, size_t n)
{
    const struct store_work_driver *driver = context;
    return store_write_at(driver->fd, bytes, n, address);
}

/* What is kept, and promised by the log, into the file. */
static int settle(struct store_work_driver *driver)
{
    if (store_overlay_each(&driver->overlay, write_run, driver) < 0 ||
        (driver->log.is_durable && fdatasync(driver->fd) < 0) ||
        store_log_mark(&driver->log, driver->log.end > MOST_LOG) < 0)
        return -1;
    store_overlay_clear(&driver->overlay);
    return 0;
}

int store_work_driver_sync(struct store_work_driver *driver, const char *log_path, bool to_disk)
{
    struct store_log *log = &driver->log;
    bool is_first = log->fd < 0, is_durable = !is_first && log->is_durable;
    /* Where a state is on the disk, the file must not be changed before the next one is, too: what
     * is kept is then logged by each sync, and settled by those to the disk. */
    bool to_settle = to_disk || !is_durable || log->end > MOST_LOG;
    to_disk |= is_durable && to_settle;
    if (extend(driver) < 0 || (to_disk && fdatasync(driver->fd) < 0))
        return -1;
    if (is_first ? store_log_create(log, log_path, driver->fd, to_disk) < 0
                 : store_log_append(log, &driver->overlay, driver->end_of_use, to_disk) < 0)
        return -1;
    if (driver->end_of_use > driver->kept_end)
        driver->kept_end = driver->end_of_use;
    return to_settle && !is_first ? settle(driver) : 0;
}

int store_work_driver_resumed(struct store_work_driver *driver, struct store_log *log)
{
    driver->log = *log;
    driver->log.work = driver->fd;
    *log = (struct store_log){.fd = -1};
    driver->kept_end = driver->end_of_file = driver->end_of_use;
    return ftruncate(driver->fd, (off_t)driver->end_of_use);
}

void store_work_driver_set_in_place(struct store_work_driver *driver, uint64_t address,
                                    uint64_t n_bytes)
{
    driver->in_place = address;
    driver->in_place_end = address + n_bytes;
}

uint64_t store_work_driver_state(const struct store_work_driver *driver)
{
    return driver->log.fd < 0 ? 0 : driver->log.state;
}

bool store_work_driver_is_durable(const struct store_work_driver *driver)
{
    return driver->log.fd >= 0 && driver->log.is_durable;
}

void store_work_driver_leave(struct store_work_driver *driver)
{
    driver->is_left = true;
}
