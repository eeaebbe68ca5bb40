/* The list of kernel fetch: a text file with one URL or file name a line.
 *
 * It is not kept in memory: where every 64th line begins is, and the lines around the wanted one
 * are read when they are wanted. A list that changes while a job runs is refused.
 */
#ifndef BANQUET_KERNELS_FETCH_LIST_H
#define BANQUET_KERNELS_FETCH_LIST_H

#include <stddef.h>
#include <stdint.h>

#define FETCH_LINE 2048 /* bytes of a line, its end included */

/* How many lines it has. -1: why says what is wrong with it, and in which line. Any thread. */
int fetch_list_count(const char *path, uint64_t *n_lines, char *why, size_t why_size);

/* Line `i`, from 0, of a list that must have n_lines. -1: why. Any thread. */
int fetch_list_line(const char *path, uint64_t n_lines, uint64_t i, char line[FETCH_LINE],
                    char *why, size_t why_size);

#endif
