/* What the C peers share: the arguments GRAIN_US TASKS, and the line "GRAIN_US TASKS SECONDS". */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct peer_load {
    double grain_us;
    int64_t n_tasks;
};

/* Ends the program when the arguments are no load: a benchmark has nobody to hand an error to. */
static inline struct peer_load peer_load(int argc, char **argv, const char *usage)
{
    char *grain_end = NULL, *tasks_end = NULL;
    struct peer_load load = {0};
    if (argc >= 3) {
        load.grain_us = strtod(argv[1], &grain_end);
        load.n_tasks = strtoll(argv[2], &tasks_end, 10);
    }
    if (argc < 3 || *grain_end || *tasks_end || !(load.grain_us >= 0) || load.n_tasks < 1) {
        fprintf(stderr, "usage: %s GRAIN_US TASKS%s\n", argv[0], usage);
        exit(2);
    }
    return load;
}

static inline void peer_print(const struct peer_load *load, double seconds)
{
    printf("%g %" PRId64 " %.9f\n", load->grain_us, load->n_tasks, seconds);
}

#endif
