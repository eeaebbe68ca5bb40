/* Whether the table of a kernel from a library makes sense. Its pointers are followed only where
 * they lead into memory that the loader has mapped. */
#include "adapters/kernel_library.h"

#include <ctype.h>
#include <link.h>
#include <string.h>

#define MAX_NAME 47 /* of a kernel, which a recipe has room for; of a parameter */
#define MAX_LINE 400
#define ALL_FLAGS                                                                                  \
    (BQ_READS | BQ_WRITES | BQ_SIMULATED | BQ_MAKES | BQ_DIVISIBLE | BQ_WAITS | BQ_KEEPS)

struct range {
    uintptr_t at, room; /* room: bytes from `at` to the end of its segment, 0 when it is in none */
    uint32_t flags;     /* PF_R, PF_X */
};

static int look(struct dl_phdr_info *info, size_t size, void *context)
{
    struct range *range = context;
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t first = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type != PT_LOAD || (segment->p_flags & range->flags) != range->flags)
            continue;
        if (range->at >= first && range->at - first < segment->p_memsz) {
            range->room = segment->p_memsz - (range->at - first);
            return 1;
        }
    }
    return 0;
}

static size_t room_at(const void *at, uint32_t flags)
{
    struct range range = {.at = (uintptr_t)at, .flags = flags};
    dl_iterate_phdr(look, &range);
    return range.room;
}

static bool is_there(const void *at, size_t size)
{
    return room_at(at, PF_R) >= size;
}

/* A function may come from any library; on some machines a pointer to one leads to its description,
 * which is data. */
static bool is_function(void (*function)(void))
{
    const void *at;
    memcpy(&at, &function, sizeof at);
    return room_at(at, 0) > 0;
}

static bool is_text(const char *text, size_t max)
{
    size_t room = text ? room_at(text, PF_R) : 0, n = room ? strnlen(text, room) : 0;
    if (room == 0 || n == room || n > max)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (iscntrl((unsigned char)text[i]))
            return false;
    }
    return true;
}

static bool is_word(const char *text)
{
    if (!is_text(text, MAX_NAME) || !*text)
        return false;
    for (; *text; text++) {
        if (!isalnum((unsigned char)*text) && *text != '_')
            return false;
    }
    return true;
}

/* A range that is empty allows everything, and NaN is in none. */
static bool is_in(const struct bq_param *p, double value)
{
    return !(p->min <= p->max) || (value >= p->min && value <= p->max);
}

/* NULL, or what is wrong with it. */
static const char *standard_wrong(const struct bq_param *p)
{
    static const char outside[] = "has a standard value outside its range";
    const struct bq_list *list = p->standard.list;
    switch (p->kind) {
    case BQ_INT:
        return is_in(p, (double)p->standard.i) ? NULL : outside;
    case BQ_REAL:
        return is_in(p, p->standard.r) ? NULL : outside;
    case BQ_BOOL:
        return NULL;
    case BQ_TEXT:
        return !p->standard.text || is_text(p->standard.text, 1 << 20)
                   ? NULL
                   : "has a standard value that is no text";
    case BQ_LIST:
        if (!list)
            return NULL;
        if (!is_there(list, sizeof *list) || list->n > BQ_MAX_LIST ||
            (list->n && !is_there(list->at, list->n * sizeof *list->at)))
            return "has a standard value that is no list";
        for (size_t i = 0; i < list->n; i++) {
            if (!is_in(p, list->at[i]))
                return outside;
        }
        return NULL;
    }
    return "has no kind that there is";
}

static int check_param(const struct bq_kernel *kernel, size_t i, struct bq_error *err)
{
    const struct bq_param *p = &kernel->params[i];
    if (!is_word(p->name))
        return bq_fail(err, BQ_EXIT_USAGE,
                       "parameter %zu has no proper name: letters, digits and _, at most %d", i + 1,
                       MAX_NAME);
    const char *wrong = standard_wrong(p);
    if (!wrong && (!is_text(p->unit, MAX_LINE) || !is_text(p->help, MAX_LINE)))
        wrong = "lacks its unit or its help, which may be \"\"";
    for (size_t j = 0; j < i && !wrong; j++) {
        if (strcmp(kernel->params[j].name, p->name) == 0)
            wrong = "is there twice";
    }
    return wrong ? bq_fail(err, BQ_EXIT_USAGE, "parameter '%s' %s", p->name, wrong) : 0;
}

static int check_params(const struct bq_kernel *kernel, struct bq_error *err)
{
    if (kernel->n_params > BQ_MAX_PARAMS)
        return bq_fail(err, BQ_EXIT_USAGE, "it has %zu parameters; %d at most", kernel->n_params,
                       BQ_MAX_PARAMS);
    if (kernel->n_params && !is_there(kernel->params, kernel->n_params * sizeof *kernel->params))
        return bq_fail(err, BQ_EXIT_USAGE, "its parameters are not where .params says");
    for (size_t i = 0; i < kernel->n_params; i++) {
        if (check_param(kernel, i, err) < 0)
            return -1;
    }
    return 0;
}

static int check_functions(const struct bq_kernel *kernel, struct bq_error *err)
{
    const struct {
        const char *name;
        void (*function)(void);
    } functions[] = {
        {"prepare", (void (*)(void))kernel->prepare}, {"init", (void (*)(void))kernel->init},
        {"cook", (void (*)(void))kernel->cook},       {"abandon", (void (*)(void))kernel->abandon},
        {"combine", (void (*)(void))kernel->combine}, {"present", (void (*)(void))kernel->present}};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (functions[i].function && !is_function(functions[i].function))
            return bq_fail(err, BQ_EXIT_USAGE, ".%s is no function", functions[i].name);
    }
    if (!kernel->cook)
        return bq_fail(err, BQ_EXIT_USAGE, "it has no function .cook");
    return 0;
}

static int check(const struct bq_kernel *kernel, const char *name, struct bq_error *err)
{
    if (!is_word(kernel->name) || strcmp(kernel->name, name) != 0)
        return bq_fail(err, BQ_EXIT_USAGE,
                       ".name must be \"%s\", as the constant is called bq_kernel_%s", name, name);
    if (!is_text(kernel->summary, MAX_LINE))
        return bq_fail(err, BQ_EXIT_USAGE, ".summary must be a text of one line");
    if (kernel->flags & ~(uint32_t)ALL_FLAGS)
        return bq_fail(err, BQ_EXIT_USAGE, ".flags has bits that mean nothing: 0x%x",
                       kernel->flags & ~(uint32_t)ALL_FLAGS);
    return check_params(kernel, err) < 0 ? -1 : check_functions(kernel, err);
}

int bq_kernel_is_sane(const struct bq_kernel *kernel, const char *name, struct bq_error *err)
{
    return check(kernel, name, err) < 0 ? bq_fail_in(err, "kernel '%.47s'", name) : 0;
}
