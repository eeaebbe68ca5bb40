/* What one would write by hand instead of banquet: an OpenMP loop over 64 x 64 chunks of the
 * mandelbrot kernel, the very same function, schedule(dynamic,1).
 *
 *     mandelbrot_omp [NAME=VALUE ..]     parameters of the kernel, as for banquet's --set params.
 *
 * Prints "seconds S" and then what the kernel reports: one "NAME VALUE" a line.
 */
#include <inttypes.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"

#define EDGE 64u

static const struct bq_kernel *find_kernel(const char *name)
{
    for (size_t i = 0; i < bq_n_kernels; i++)
        if (strcmp(bq_kernels[i]->name, name) == 0)
            return bq_kernels[i];
    fprintf(stderr, "mandelbrot_omp: this build has no kernel '%s'\n", name);
    exit(1);
}

static void set_param(const struct bq_kernel *kernel, union bq_value *params, const char *text)
{
    const size_t length = strcspn(text, "=");
    const char *value = text[length] ? text + length + 1 : "";
    for (size_t i = 0; i < kernel->n_params; i++) {
        const struct bq_param *param = &kernel->params[i];
        if (strlen(param->name) != length || strncmp(param->name, text, length) != 0)
            continue;
        char *end;
        if (param->kind == BQ_REAL)
            params[i].r = strtod(value, &end);
        else
            params[i].i = strtoll(value, &end, 10);
        if (end != value && !*end)
            return;
    }
    fprintf(stderr, "mandelbrot_omp: '%s' is no NAME=VALUE of the kernel\n", text);
    exit(2);
}

/* A zeroed accumulator on cache lines of its own. */
static void *acc_create(size_t size)
{
    const size_t n_lines = size / 64 + 1;
    void *acc = aligned_alloc(64, n_lines * 64);
    if (!acc)
        abort();
    return memset(acc, 0, n_lines * 64);
}

static void acc_init(const struct bq_kernel *kernel, const struct bq_setup *setup, void *acc)
{
    if (kernel->init)
        kernel->init(setup->params, acc);
    else
        memset(acc, 0, setup->acc_size);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void cook(const struct bq_kernel *kernel, const struct bq_setup *setup, uint64_t chunk,
                 void *acc)
{
    const uint64_t *whole = setup->space.extent;
    const uint64_t n_across = (whole[1] + EDGE - 1) / EDGE;
    const uint64_t offset[] = {chunk / n_across * EDGE, chunk % n_across * EDGE};
    const uint64_t extent[] = {least(EDGE, whole[0] - offset[0]),
                               least(EDGE, whole[1] - offset[1])};
    const struct bq_block block = {.type = setup->out_type,
                                   .rank = 2,
                                   .extent = extent,
                                   .offset = offset,
                                   .n = extent[0] * extent[1]};
    acc_init(kernel, setup, acc);
    struct bq_call call = {.params = setup->params,
                           .space = &setup->space,
                           .chunk = chunk,
                           .in = &block,
                           .out = &block,
                           .acc = acc,
                           .n_parts = 1};
    if (kernel->cook(&call) != BQ_DONE) {
        fprintf(stderr, "mandelbrot_omp: chunk %" PRIu64 ": %s\n", chunk, call.message);
        exit(1);
    }
}

static void print_integer(struct bq_sink *sink, const char *name, uint64_t value)
{
    (void)sink;
    printf("%s %" PRIu64 "\n", name, value);
}

static void print_real(struct bq_sink *sink, const char *name, double value)
{
    (void)sink;
    printf("%s %.17g\n", name, value);
}

static void skip_series(struct bq_sink *sink, const char *name, const uint64_t *values, size_t n)
{
    (void)sink, (void)name, (void)values, (void)n;
}

int main(int argc, char **argv)
{
    const struct bq_kernel *kernel = find_kernel("mandelbrot");
    union bq_value params[BQ_MAX_PARAMS];
    for (size_t i = 0; i < kernel->n_params; i++)
        params[i] = kernel->params[i].standard;
    for (int i = 1; i < argc; i++)
        set_param(kernel, params, argv[i]);

    struct bq_setup setup = {.params = params, .out_type = BQ_U8};
    if (kernel->prepare(&setup) != 0 || setup.space.rank != 2 || setup.acc_size == 0) {
        fprintf(stderr, "mandelbrot_omp: the kernel refuses: %s\n", setup.message);
        return 1;
    }
    const uint64_t n_chunks =
        ((setup.space.extent[0] + EDGE - 1) / EDGE) * ((setup.space.extent[1] + EDGE - 1) / EDGE);
    void *total = acc_create(setup.acc_size);
    acc_init(kernel, &setup, total);

    const double start = omp_get_wtime();
#pragma omp parallel
    {
        void *mine = acc_create(setup.acc_size), *one = acc_create(setup.acc_size);
        acc_init(kernel, &setup, mine);
#pragma omp for schedule(dynamic, 1) nowait
        for (uint64_t chunk = 0; chunk < n_chunks; chunk++) {
            cook(kernel, &setup, chunk, one);
            kernel->combine(params, mine, one);
        }
#pragma omp critical
        kernel->combine(params, total, mine);
        free(mine);
        free(one);
    }
    printf("seconds %.9f\n", omp_get_wtime() - start);

    struct bq_sink sink = {.integer = print_integer, .real = print_real, .series = skip_series};
    kernel->present(params, total, &sink);
    free(total);
    return 0;
}
