/* A small engine for tests of the built-in kernels: calls them through their struct, as the real
 * one does. */
#ifndef BQ_TESTS_KERNEL_KIT_H
#define BQ_TESTS_KERNEL_KIT_H

#include "cunit.h"
#include "kernels/kernels.h"

#include <stdlib.h>

static inline const struct bq_kernel *find(const char *name)
{
    for (size_t i = 0; i < bq_n_kernels; i++) {
        if (strcmp(bq_kernels[i]->name, name) == 0)
            return bq_kernels[i];
    }
    CU_FAIL_FATAL("no such kernel");
    return NULL;
}

/* One kernel set up for one dataset. */
struct kit {
    const struct bq_kernel *kernel;
    union bq_value params[BQ_MAX_PARAMS];
    struct bq_setup setup;
};

static inline struct kit kit_for(const char *name)
{
    struct kit kit = {.kernel = find(name)};
    for (size_t i = 0; i < kit.kernel->n_params; i++)
        kit.params[i] = kit.kernel->params[i].standard;
    return kit;
}

static inline union bq_value *param(struct kit *kit, const char *name)
{
    for (size_t i = 0; i < kit->kernel->n_params; i++) {
        if (strcmp(kit->kernel->params[i].name, name) == 0)
            return &kit->params[i];
    }
    CU_FAIL_FATAL("no such parameter");
    return NULL;
}

/* Asks prepare; n: elements of the input, 0 for a generate kernel. */
static inline int set_up(struct kit *kit, enum bq_type type, uint64_t n)
{
    struct bq_setup *s = &kit->setup;
    *s = (struct bq_setup){.params = kit->params, .has_input = n > 0, .has_output = true};
    s->in_type = type;
    s->out_type = n ? type : BQ_U8;
    s->space = (struct bq_space){1, {n}};
    return kit->kernel->prepare ? kit->kernel->prepare(s) : 0;
}

static inline void *new_acc(const struct kit *kit)
{
    void *acc = calloc(1, kit->setup.acc_size + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(acc);
    if (kit->kernel->init)
        kit->kernel->init(kit->params, acc);
    return acc;
}

/* Cooks the part of the dataset at `offset` of shape `extent`. */
static inline void cook(const struct kit *kit, const uint64_t *offset, const uint64_t *extent,
                        const void *in, void *out, void *acc)
{
    int rank = kit->setup.space.rank;
    struct bq_block block[2];
    for (int i = 0; i < 2; i++)
        block[i] = (struct bq_block){kit->setup.in_type, rank, extent, offset, 1, NULL};
    for (int i = 0; i < rank; i++)
        block[0].n = block[1].n *= extent[i];
    void *copy = NULL; /* in->data is not const; the test would see a kernel that writes there */
    size_t bytes = block[0].n * bq_type_size(kit->setup.in_type);
    if (in) {
        copy = malloc(bytes + 1);
        memcpy(copy, in, bytes);
    }
    block[0].data = copy;
    block[1].type = kit->setup.out_type;
    block[1].data = out;
    struct bq_call call = {.params = kit->params, .space = &kit->setup.space, .n_parts = 1};
    call.in = &block[0];
    call.out = &block[1];
    call.acc = kit->setup.acc_size ? acc : NULL;
    CU_ASSERT_EQUAL(kit->kernel->cook(&call), BQ_DONE);
    if (in)
        CU_ASSERT_EQUAL(memcmp(copy, in, bytes), 0);
    free(copy);
}

/* What a kernel presented. */
struct report {
    struct bq_sink sink;
    size_t n;
    struct line {
        const char *name;
        bool is_real;
        uint64_t integer;
        double real;
        int64_t negative; /* as it came; real holds it too */
    } line[16];
    uint64_t series[70000];
    size_t n_series;
    double reals[70000];
    size_t n_reals;
};

static inline struct line *add_line(struct bq_sink *sink, const char *name)
{
    struct report *r = (struct report *)(void *)sink;
    CU_ASSERT_FATAL(r->n < 16);
    r->line[r->n].name = name;
    return &r->line[r->n++];
}

static inline void put_integer(struct bq_sink *sink, const char *name, uint64_t value)
{
    add_line(sink, name)->integer = value;
}

static inline void put_real(struct bq_sink *sink, const char *name, double value)
{
    struct line *line = add_line(sink, name);
    line->is_real = true;
    line->real = value;
}

static inline void put_negative(struct bq_sink *sink, const char *name, int64_t value)
{
    struct line *line = add_line(sink, name);
    line->is_real = true;
    line->real = (double)value;
    line->negative = value;
    CU_ASSERT_TRUE(value < 0);
}

static inline void put_series(struct bq_sink *sink, const char *name, const uint64_t *values,
                              size_t n)
{
    struct report *r = (struct report *)(void *)sink;
    (void)name;
    r->n_series = n;
    memcpy(r->series, values, n * sizeof *values);
}

static inline void put_reals(struct bq_sink *sink, const char *name, const double *values, size_t n)
{
    struct report *r = (struct report *)(void *)sink;
    (void)name;
    r->n_reals = n;
    memcpy(r->reals, values, n * sizeof *values);
}

static struct report report; /* static for its size */

static inline void present(const struct kit *kit, const void *acc)
{
    memset(&report, 0, sizeof report);
    report.sink = (struct bq_sink){put_integer, put_real, put_series, put_negative, put_reals};
    kit->kernel->present(kit->params, acc, &report.sink);
}

static inline const struct line *line_of(const char *name)
{
    for (size_t i = 0; i < report.n; i++) {
        if (strcmp(report.line[i].name, name) == 0)
            return &report.line[i];
    }
    CU_FAIL_FATAL("not presented");
    return NULL;
}

static inline uint64_t integer(const char *name)
{
    CU_ASSERT_FALSE(line_of(name)->is_real);
    return line_of(name)->integer;
}

static inline double real(const char *name)
{
    CU_ASSERT_TRUE(line_of(name)->is_real);
    return line_of(name)->real;
}

/* Reduces n elements in chunks of `chunk` and presents the result. */
static inline void reduce(struct kit *kit, enum bq_type type, const void *x, uint64_t n,
                          uint64_t chunk)
{
    CU_ASSERT_EQUAL_FATAL(set_up(kit, type, n), 0);
    void *all = new_acc(kit);
    for (uint64_t offset = 0; offset < n; offset += chunk) {
        uint64_t extent = n - offset < chunk ? n - offset : chunk;
        void *acc = new_acc(kit);
        cook(kit, &offset, &extent, (const char *)x + offset * bq_type_size(type), NULL, acc);
        kit->kernel->combine(kit->params, all, acc);
        free(acc);
    }
    present(kit, all);
    free(all);
}

static inline uint32_t random_bits(void)
{
    static uint64_t x = 20240229;
    x = x * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(x >> 32);
}

static inline uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

#endif
