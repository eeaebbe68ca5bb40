/* banquet kernel check: as it runs, and, where there is a source, under sanitizers. Every part is a
 * process of its own, because the kernel may crash it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapters/kernel_compiler.h"
#include "adapters/own_kernel.h"
#include "cli/kernel.h"

enum verdict { PASSED = 0, FAILED = 1, REPORTED = 99 };

/* What this room runs: a report ends the process with REPORTED. */
static const struct sanitizer {
    const char *title, *flag, *variable, *options;
} sanitizers[] = {
    {"address and undefined behaviour", "-fsanitize=address,undefined,float-cast-overflow",
     "ASAN_OPTIONS",
     "exitcode=99:detect_leaks=0:detect_stack_use_after_return=1:verify_asan_link_order=0"},
    {"data races between threads", "-fsanitize=thread", "TSAN_OPTIONS",
     "exitcode=99:halt_on_error=1"},
};
#define N_SANITIZERS (sizeof sanitizers / sizeof *sanitizers)

static void add_options(struct bq_words *words, const struct bq_check_options *o, char text[3][32])
{
    snprintf(text[0], 32, "%llu", (unsigned long long)o->seed);
    snprintf(text[1], 32, "%u", o->rounds);
    snprintf(text[2], 32, "%u", o->limit_s);
    for (int i = 0; i < 3; i++)
        bq_words_add(words, text[i]);
}

static int judge(int status, const char *what)
{
    fflush(stdout);
    if (status > FAILED)
        printf("  FAIL  %s: exit status %d, see above\n", what, status);
    fflush(stdout);
    return status == PASSED ? PASSED : FAILED;
}

/* -- as it runs --------------------------------------------------------------------------- */

static int check_as_it_runs(const char *library, const char *name,
                            const struct bq_check_options *options, struct bq_error *err)
{
    static char program[4096];
    char kernel[BQ_CACHE_PATH + 80], text[3][32];
    struct bq_words words = {0};
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0)
        return bq_fail(err, BQ_EXIT_FAILED, "/proc/self/exe: %s", strerror(errno));
    program[n] = 0;
    snprintf(kernel, sizeof kernel, "%s:%s", library, name);
    const char *const begin[] = {program, "kernel", "check-here", kernel};
    for (size_t i = 0; i < sizeof begin / sizeof *begin; i++)
        bq_words_add(&words, begin[i]);
    add_options(&words, options, text);
    printf("as it runs, in guarded memory\n");
    fflush(stdout);
    int status = bq_words_run(&words, BQ_TO_BOTH, err);
    return status < 0 ? -1 : judge(status, "it ends as it should");
}

int bq_kernel_check_here(const char *text, const struct bq_check_options *options)
{
    struct bq_error err = {0};
    const struct bq_kernel *kernel;
    struct bq_library *library = bq_own_kernel_open(text, &kernel, &err);
    if (!library)
        return bq_cli_complain(&err);
    int rc = bq_check(kernel, options);
    bq_library_close(library);
    return rc;
}

/* -- under sanitizers --------------------------------------------------------------------- */

/* The compiler's words up to what it shall compile. */
static int begin_words(struct bq_words *words, const struct sanitizer *sanitizer,
                       const char *include, const char *define, const char *program,
                       struct bq_error *err)
{
    if (bq_compiler_words(words, err) < 0)
        return -1;
    const char *const rest[] = {"-O1",
                                sanitizer->flag,
                                "-fno-sanitize-recover=all",
                                "-w",
                                "-D_GNU_SOURCE",
                                "-DBQ_IS_SANITIZED=1",
                                "-pthread",
                                "-fno-omit-frame-pointer",
                                define,
                                "-I",
                                include,
                                "-o",
                                program};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        bq_words_add(words, rest[i]);
    return 0;
}

/* Whether this machine has the sanitizer, and a program with it can start. */
static bool has_sanitizer(const struct sanitizer *sanitizer, const char *workshop)
{
    char source[BQ_CACHE_PATH], program[BQ_CACHE_PATH];
    struct bq_words words = {0}, run = {0};
    if (bq_cache_path(source, workshop, "try.c", NULL) < 0 ||
        bq_cache_path(program, workshop, "try", NULL) < 0)
        return false;
    FILE *f = fopen(source, "w");
    bool is_written = f && fputs("int main(void) { return 0; }\n", f) >= 0;
    if (f && fclose(f))
        is_written = false;
    bool has =
        is_written && begin_words(&words, sanitizer, workshop, "-DBQ_TRY", program, NULL) == 0;
    bq_words_add(&words, source);
    bq_words_add(&run, program);
    has = has && bq_words_run(&words, BQ_TO_NOBODY, NULL) == 0 &&
          bq_words_run(&run, BQ_TO_NOBODY, NULL) == 0;
    bq_words_free(&words);
    return has;
}

/* Compiles the checker and the kernel together, and runs that. */
static int check_with(const struct sanitizer *sanitizer, const char *source, const char *name,
                      const char *checker, const char *workshop,
                      const struct bq_check_options *options, struct bq_error *err)
{
    static char parts[16][BQ_CACHE_PATH];
    char program[BQ_CACHE_PATH], define[100], text[3][32];
    struct bq_words words = {0}, run = {0};
    size_t n = 0;
    int rc = -1;
    snprintf(define, sizeof define, "-DBQ_CHECKED=bq_kernel_%s", name);
    if (bq_cache_path(program, workshop, "check", err) < 0 ||
        begin_words(&words, sanitizer, checker, define, program, err) < 0)
        goto out;
    for (const struct bq_source *s = bq_checker_sources; s->name && n < 16; s++) {
        size_t length = strlen(s->name);
        if (s->name[length - 1] == 'c') {
            if (bq_cache_path(parts[n], checker, s->name, err) < 0)
                goto out;
            bq_words_add(&words, parts[n++]);
        }
    }
    bq_words_add(&words, source);
    bq_words_add(&words, "-lm");
    int status = bq_words_run(&words, BQ_TO_STDERR, err);
    if (status != 0) {
        rc = status < 0 ? -1
                        : bq_fail(err, BQ_EXIT_USAGE, "%s does not compile with %s", source,
                                  sanitizer->flag);
        goto out;
    }
    setenv(sanitizer->variable, sanitizer->options, 1);
    setenv("UBSAN_OPTIONS", "exitcode=99:halt_on_error=1:print_stacktrace=1", 1);
    bq_words_add(&run, program);
    add_options(&run, options, text);
    status = bq_words_run(&run, BQ_TO_BOTH, err);
    rc = status < 0 ? -1 : judge(status, "no report of the sanitizer");
    if (rc == PASSED)
        printf("  pass  no report of the sanitizer\n");
out:
    bq_words_free(&words);
    return rc;
}

static int check_sanitized(const struct sanitizer *sanitizer, const char *source, const char *name,
                           const struct bq_check_options *options, struct bq_error *err)
{
    char folder[BQ_CACHE_PATH], checker[BQ_CACHE_PATH], workshop[BQ_CACHE_PATH];
    int rc;
    if (bq_cache_open(folder, err) < 0 ||
        bq_cache_sources(folder, "check", bq_checker_sources, checker, err) < 0 ||
        bq_cache_workshop(folder, workshop, err) < 0)
        return -1;
    printf("under the sanitizer for %s\n", sanitizer->title);
    fflush(stdout);
    if (has_sanitizer(sanitizer, workshop)) {
        rc = check_with(sanitizer, source, name, checker, workshop, options, err);
    } else {
        printf("  skip  not checked: the compiler has no %s here, or it does not start\n",
               sanitizer->flag);
        rc = PASSED;
    }
    bq_cache_remove(workshop);
    return rc;
}

/* -- all of it ---------------------------------------------------------------------------- */

/* PASSED, FAILED, or -1 with err. source: NULL for a library. */
static int check_kernel(const char *source, const char *library, const char *name,
                        const struct bq_check_options *options, struct bq_error *err)
{
    printf("kernel %s: seed %llu, %u rounds\n", name, (unsigned long long)options->seed,
           options->rounds);
    int rc = check_as_it_runs(library, name, options, err);
    for (size_t i = 0; source && rc >= 0 && i < N_SANITIZERS; i++) {
        int more = check_sanitized(&sanitizers[i], source, name, options, err);
        rc = more < 0 ? -1 : rc | more;
    }
    if (!source && rc >= 0)
        printf("  (a source, FILE.c, would be checked under sanitizers too)\n");
    if (rc >= 0)
        printf("kernel %s: %s\n", name, rc == PASSED ? "nothing was found" : "FAILED");
    return rc;
}

int bq_kernel_check(const char *text, const struct bq_check_options *options)
{
    char file[BQ_CACHE_PATH], compiled[BQ_CACHE_PATH];
    struct bq_error err = {0};
    const struct bq_kernel *kernel;
    const char *name;
    bool is_c;
    int rc = -1;
    if (bq_own_kernel_parse(text, file, sizeof file, &name, &is_c, &err) < 0 ||
        (is_c && bq_compile_kernel(file, compiled, &err) < 0))
        return bq_cli_complain(&err);
    struct bq_library *library = bq_library_open(is_c ? compiled : file, NULL, &err);
    size_t n = library ? bq_library_n_kernels(library) : 0;
    if (library && (name || n < 2)) {
        kernel = bq_library_kernel(library, name, &err);
        if (kernel)
            rc = check_kernel(is_c ? file : NULL, bq_library_origin(library)->path, kernel->name,
                              options, &err);
    }
    for (size_t i = 0; library && !name && n > 1 && i < n; i++) {
        kernel = bq_library_kernel(library, bq_library_name(library, i), &err);
        int one = kernel ? check_kernel(is_c ? file : NULL, bq_library_origin(library)->path,
                                        kernel->name, options, &err)
                         : -1;
        rc = i == 0 ? one : one < 0 || rc < 0 ? -1 : rc | one;
        if (rc < 0)
            break;
    }
    bq_library_close(library);
    if (rc < 0)
        return bq_cli_complain(&err);
    return rc == PASSED ? BQ_EXIT_OK : BQ_EXIT_FAILED;
}
