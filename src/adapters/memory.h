/* How much memory there is for this process, and how much it has used. Sizes are bytes. What the
 * system does not tell, or tells in a way that makes no sense, limits nothing. Any thread. */
#ifndef BQ_ADAPTERS_MEMORY_H
#define BQ_ADAPTERS_MEMORY_H

#include <stdint.h>

#define BQ_LEAST_MEMORY (UINT64_C(64) << 20)

/* Bytes that this process may still use: the smallest of
 *   - what the system has available (MemAvailable of /proc/meminfo, else its free pages);
 *   - what each enclosing cgroup leaves, from this process's own up to the mount point: its limits
 *     (version 2: memory.max and memory.high; 1: memory.limit_in_bytes and, for groups that cannot
 *     be seen from inside a container, hierarchical_memory_limit) minus what it uses. Page cache
 *     that the kernel drops first (inactive_file) counts as free;
 *   - RLIMIT_AS and RLIMIT_DATA minus what this process has of each.
 * 0: nothing is left, or nothing is known. root: "", or a folder that holds another proc/ and
 * sys/fs/cgroup (tests). */
uint64_t bq_memory_available(const char *root);

/* What each of so many kitchens of one machine may fill with chunks: half of what is available,
 * divided, and at least BQ_LEAST_MEMORY. Half, because the rest is not idle: the page cache holds
 * what is read next and what is not yet written, allocators and libraries have their own, and what
 * is available can shrink as others on the machine grow. */
uint64_t bq_memory_share(uint64_t available, unsigned n_kitchens);

/* The most that this process has had resident so far (VmHWM); 0: unknown. */
uint64_t bq_memory_peak(void);

/* Memory of processes that belong to this one: from now on both count it. */
void bq_memory_add_beside(uint64_t bytes);

/* What it has resident now (VmRSS); 0: unknown. */
uint64_t bq_memory_resident(void);

#endif
