/* Our virtual file driver: HDF5 reads a file through it, and it can tell where a stored chunk lies.
 *
 * HDF5 1.10 finds a chunk's address in time linear in the number of chunks when it is asked for it
 * (H5Dget_chunk_info), but reads a stored chunk (H5Dread_chunk) in logarithmic time. So the driver
 * listens: while it does, a raw read is noted instead of made. Public interface only, every kind of
 * chunk index, below a microsecond a chunk. The file is opened once, so that what HDF5 describes
 * and what we read by ourselves is the same file whatever happens to its name.
 *
 * Reading only. Whoever calls holds the store's lock; the descriptor may be used without it. */
#ifndef BQ_ADAPTERS_STORE_DRIVER_H
#define BQ_ADAPTERS_STORE_DRIVER_H

#include "adapters/store_internal.h"

struct store_driver;

/* A file access list that opens with our driver, or -1. wants_lock: refuse a file that another
 * program writes, as HDF5's own driver does. */
hid_t store_driver_access(bool wants_lock);

/* The driver of a file that was opened with that list, or by a link from such a file; NULL: of
 * another. */
struct store_driver *store_driver_of(hid_t file);

/* Stays open as long as the file. */
int store_driver_fd(const struct store_driver *driver);

/* Where the bytes of a stored chunk lie; offset: of its first element. *size is 0 when it was never
 * written. -1 when HDF5 fails or makes no single read of it. */
int store_driver_locate(struct store_driver *driver, hid_t dataset, const hsize_t *offset,
                        uint64_t *address, uint64_t *size, uint32_t *mask);

/* What the driver of work files (store_work_driver.h) has in common with it. say puts a reason
 * where store_fail finds it; kind: H5E_READERROR and the like. Beyond the end of a file are zeros.
 */
void store_driver_say(hid_t kind, const char *what, int number);
herr_t store_driver_read(int fd, haddr_t address, size_t size, void *buffer);
herr_t store_driver_lock(int fd, bool for_writing);
herr_t store_driver_unlock(int fd);

#endif
