/* HDF5's way to a work file, which keeps the file whole when the process is killed.
 *
 * HDF5 writes what it changes whenever it likes, so the file of a killed process is no HDF5 file.
 * Until the first store_work_driver_sync that is how it is: all goes straight to the file, as in
 * HDF5's own driver, and nothing is paid. From then on a state is promised, and one rule holds:
 *
 *     what lies below the end of that state is kept in memory (store_overlay.h),
 *     what lies behind it goes to the file, where no promised state looks.
 *
 * New chunks and new nodes of their index lie behind it; what is kept are the few old parts that
 * point at them. A sync logs these (store_log.h), writes them into the file, and moves the end.
 *
 * The numbers of a contiguous dataset are written in place: their places are the same in each
 * state, and those that count do not change. Whoever calls holds the store's lock. */
#ifndef BQ_ADAPTERS_STORE_WORK_DRIVER_H
#define BQ_ADAPTERS_STORE_WORK_DRIVER_H

#include "adapters/store_internal.h"
#include "adapters/store_log.h"

struct store_work_driver;

/* A file access list for H5Fcreate and H5Fopen of the file behind that descriptor, whatever happens
 * to its name; -1: HDF5 says why. */
hid_t store_work_driver_access(int fd);

struct store_work_driver *store_work_driver_of(hid_t file);

/* The file was resumed: the log that it has. Takes it over. What lies behind the end of the file's
 * state is cut off: HDF5 expects zeros there. -1 with errno. */
int store_work_driver_resumed(struct store_work_driver *driver, struct store_log *log);

/* Of a contiguous dataset. */
void store_work_driver_set_in_place(struct store_work_driver *driver, uint64_t address,
                                    uint64_t n_bytes);

/* After H5Fflush: promises what is there, see bq_output_sync. log_path: made by the first. -1 with
 * errno; what was promised before is still there, and another sync may work. */
int store_work_driver_sync(struct store_work_driver *driver, const char *log_path, bool to_disk);

/* The number of the promised state; 0: none. */
uint64_t store_work_driver_state(const struct store_work_driver *driver);

/* Whether a state was promised also for a loss of power. */
bool store_work_driver_is_durable(const struct store_work_driver *driver);

/* What is kept in memory shall not get into the file any more: H5Fclose leaves the state that is
 * promised. */
void store_work_driver_leave(struct store_work_driver *driver);

#endif
