/* Job files that mean harm, random ones, and a machine without memory: always an error, with the
 * file's name, and nothing on stderr; never a crash, a leak (sanitizers tell) or a long wait. */
#include "core/job.h"

#include "base/heap.h"

#include <fcntl.h>
#include <unistd.h>

#include "job_kernels.h"

#define MIB ((size_t)1 << 20)

static const char *const seeds[] = {
    ("# comment\nname: first\nkernel: brighten\nparams: {gain: 1.5, offset: -.inf, steps: 1e6}\n"
     "input: {file: photo.h5, dataset: /photo}\noutput: out.h5:/photo\nchunk: [512, 256]\n"
     "schedule: {policy: dynamic, block: 4}\ncooks: 3\nopen: 40\nteam: false\ndelivery: shared\n"
     "memory: 1.5 GiB\non_error: skip\n"),
    ("steps:\n  - &one\n    name: light\n    kernel: brighten\n    params: &p\n      gain: 2\n"
     "    input: &in a.h5:/x\n    chunk: 8x8\n  - <<: *one\n    name: two\n    params: {<<: *p}\n"
     "    input: *in\n    schedule: cyclic:2\n  - {<<: [*one], name: three, delivery: auto,\n"
     "     output: {file: o.h5, dataset: d, compress: zstd:19, shuffle: auto, layout: sharded}}\n"),
    ("%YAML 1.2\n---\n? kernel\n: \"ov\\x65n\"\n? params\n: n: !!int 3\n  heat: >-\n    40\n"
     "  wait_ms: '2'\n...\n"),
};

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* The message, or "" when it is a job after all. */
static const char *message_of(const char *text, size_t n, struct bq_error *err)
{
    struct bq_job *job = read_bytes(text, n, NULL, err);
    CU_ASSERT((job != NULL) == (err->text[0] == 0));
    CU_ASSERT(job || err->exit == BQ_EXIT_USAGE);
    CU_ASSERT(job || strncmp(err->text, JOB_FILE ":", strlen(JOB_FILE) + 1) == 0);
    bq_job_destroy(job);
    return err->text;
}

/* Up to four of: a byte changed, put in, taken out, a stretch copied elsewhere. */
static size_t mutate(char *text, size_t n, size_t max, uint64_t *random)
{
    static const char favourites[] = "\n\n  :-[]{},&*!|>'\"#%?<@`0x.~\\/";
    for (uint64_t k = 1 + next_random(random) % 4; k > 0 && n > 1; k--) {
        size_t at = next_random(random) % n, from = next_random(random) % n;
        char c = favourites[next_random(random) % (sizeof favourites - 1)];
        if (next_random(random) % 8 == 0)
            c = (char)next_random(random);
        size_t span = 1 + next_random(random) % 12;
        switch (next_random(random) % 4) {
        case 0:
            text[at] = c;
            break;
        case 1:
            if (n < max) {
                memmove(text + at + 1, text + at, n - at);
                text[at] = c;
                n++;
            }
            break;
        case 2:
            memmove(text + at, text + at + 1, n - at - 1);
            n--;
            break;
        default:
            if (at + span <= n && from + span <= n)
                memmove(text + at, text + from, span);
            break;
        }
    }
    return n;
}

static void random_texts(void)
{
    const char *given = getenv("BQ_SEED"), *rounds = getenv("BQ_ROUNDS");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 20240611, random = seed;
    long n_rounds = rounds ? strtol(rounds, NULL, 10) : 3000, n_good = 0;
    printf("(BQ_SEED=%llu) ", (unsigned long long)seed);
    for (long i = 0; i < n_rounds; i++) {
        struct bq_error err;
        char text[1200];
        const char *from = seeds[next_random(&random) % 3];
        size_t n = strlen(from);
        memcpy(text, from, n);
        n = mutate(text, n, sizeof text, &random);
        n_good += message_of(text, n, &err)[0] == 0;
    }
    CU_ASSERT(n_good > 0 && n_good < n_rounds);
}

static void every_cut(void)
{
    for (size_t k = 0; k < 3; k++) {
        for (size_t n = 0; n <= strlen(seeds[k]); n++) {
            struct bq_error err;
            message_of(seeds[k], n, &err);
        }
    }
}

/* head, then `unit` until the file has n bytes. */
static const char *message_of_many(const char *head, const char *unit, size_t n,
                                   struct bq_error *err)
{
    size_t have = strlen(head), length = strlen(unit);
    char *text = malloc(n + length + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    memcpy(text, head, have);
    for (; have < n; have += length)
        memcpy(text + have, unit, length);
    message_of(text, n, err);
    free(text);
    return err->text;
}

static void large_texts(void)
{
    struct bq_error err;
    CHECK_TEXT(message_of_many("kernel: ", "x", MIB + 1, &err),
               "job.yaml: is larger than 1 MiB, which no job file is");
    CHECK_TEXT(
        message_of_many("kernel: ", "x", MIB, &err),
        "job.yaml:1: kernel 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...' "
        "is not known; known: brighten, stats, oven, zeros");
    CHECK_TEXT(message_of_many("", "- ", 100000, &err),
               "job.yaml:1: this is not YAML: Max depth (64) exceeded");
    CHECK_TEXT(message_of_many("a: ", "[", 100000, &err),
               "job.yaml:1: this is not YAML: Max depth (64) exceeded");
    CHECK_TEXT(message_of_many("", "{a: ", 100000, &err),
               "job.yaml:1: this is not YAML: Max depth (64) exceeded");
    CHECK_TEXT(message_of_many("", "#\n", MIB, &err),
               "job.yaml: is empty; a job names at least a kernel");
    CHECK_TEXT(message_of_many("", "&a ", MIB, &err), "job.yaml: has more than 1000 anchors (&)");
    CHECK_TEXT(message_of_many("kernel: oven\n", "a: b\n", MIB - 4, &err),
               "job.yaml:3: key 'a' is given twice, here and on line 2");
    char *text = malloc(MIB), *p = text;
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    for (int i = 0; p < text + MIB - 32; i++)
        p += sprintf(p, "k%d: 1\n", i);
    CHECK_TEXT(message_of(text, (size_t)(p - text), &err), "job.yaml:65: a map has too many keys");
    free(text);
}

static void billion_laughs(void)
{
    static const struct {
        const char *text, *message;
    } wrong[] = {
        {"steps:\n- &a [x,x,x,x,x,x,x,x,x]\n- &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
         "- &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n- &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
         "- &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n- &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
         "- &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n- &h [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n- <<: *h\n",
         "job.yaml:2: a step must be a map of keys (kernel, input, ...), not a list"},
        {"steps:\n- kernel: oven\n  params:\n    <<: [&a {}, &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a],\n"
         "      &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b], &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c],\n"
         "      &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d], [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]]\n",
         "job.yaml:4: '<<' merges too much"},
        {"&a kernel: oven\nparams: &p {<<: *p}\n", "job.yaml:2: '<<' merges too much"},
        {"&all\n<<: *all\n", "job.yaml:2: '<<' merges too much"},
        {"kernel: &k [*k]\n", "job.yaml:1: kernel must be the name of a kernel, not a list"},
        {"steps: &s [*s]\n",
         "job.yaml:1: a step must be a map of keys (kernel, input, ...), not a list"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct bq_error err;
        CHECK_TEXT(message_of(wrong[i].text, strlen(wrong[i].text), &err), wrong[i].message);
    }
}

#define BYTES(text) text, sizeof text - 1

static void no_text(void)
{
    static const struct {
        const char *text;
        size_t n;
        int line, byte;
    } wrong[] = {
        {BYTES("kernel: oven\n\0"), 2, 0x00},
        {BYTES("kernel: \x1b[31m\n"), 1, 0x1b},
        {BYTES("kernel: oven\x7f"), 1, 0x7f},
        {BYTES("\n\nkernel: \xff\n"), 3, 0xff},
        {BYTES("kernel: \xc3("), 1, 0xc3},
        {BYTES("kernel: \xc0\xaf"), 1, 0xc0},         /* overlong */
        {BYTES("kernel: \xe0\x80\xaf"), 1, 0xe0},     /* overlong */
        {BYTES("kernel: \xf0\x80\x80\xaf"), 1, 0xf0}, /* overlong */
        {BYTES("kernel: \xed\xa0\x80"), 1, 0xed},     /* a surrogate */
        {BYTES("kernel: \xf4\x90\x80\x80"), 1, 0xf4}, /* above U+10FFFF */
        {BYTES("kernel: \xc2\x80"), 1, 0xc2},         /* a control character */
        {BYTES("kernel: \xe2\x82"), 1, 0xe2},         /* cut */
        {BYTES("\xff\xfek\0e\0"), 1, 0xff},           /* UTF-16 */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct bq_error err;
        char want[120];
        snprintf(want, sizeof want,
                 "job.yaml:%d: byte 0x%02x is not text; a job file is written in UTF-8",
                 wrong[i].line, (unsigned)wrong[i].byte);
        CHECK_TEXT(message_of(wrong[i].text, wrong[i].n, &err), want);
    }
    struct bq_error tab;
    static const char tabbed[] = "kernel: oven\n? a : \t: b\n  c\n";
    CHECK_TEXT(message_of(tabbed, sizeof tabbed - 1, &tab),
               "job.yaml:2: holds a tab; write spaces instead");
    static const char good[] = "\xef\xbb\xbfkernel: oven\r\nname: \xe2\x82\xac\xf0\x9f\x8d\x9e\r\n";
    struct bq_error err;
    CHECK_TEXT(message_of(good, sizeof good - 1, &err), "");
}

/* Everything is read once more while the n-th allocation fails, for every n. */
static void no_memory(void)
{
    static const char *const sets[] = {"light.input=c.h5:/z", "two.name=second"};
    struct bq_override over = {.sets = sets, .n_sets = 2};
    unsigned long n = 0;
    struct bq_job *job = NULL;
    for (; !job && n < 1000; n++) {
        struct bq_error err;
        bq_heap_fail_at(n + 1);
        job = read_bytes(seeds[1], strlen(seeds[1]), &over, &err);
        bq_heap_fail_at(0);
        if (!job) {
            CHECK_TEXT(err.text, "out of memory");
            CU_ASSERT_EQUAL(err.exit, BQ_EXIT_FAILED);
        }
    }
    CU_ASSERT_PTR_NOT_NULL(job);
    CU_ASSERT(n > 15);
    bq_job_destroy(job);
    job = NULL;
    for (n = 0; !job && n < 1000; n++) {
        struct bq_error err = {0};
        bq_heap_fail_at(n + 1);
        job = bq_job_create(&oven, &err);
        bq_heap_fail_at(0);
        CHECK_TEXT(err.text, job ? "" : "out of memory");
    }
    CU_ASSERT_EQUAL(n, 5);
    bq_job_destroy(job);
}

static void silence(void)
{
    static const char *const texts[] = {"", "a: [", "%YAML 9.9\n---\na\n", "a: *b\n",
                                        "a: !x!y z\n"};
    fflush(stderr);
    int kept = dup(STDERR_FILENO), file = open("stderr", O_CREAT | O_RDWR, 0600);
    CU_ASSERT_FATAL(kept >= 0 && file >= 0);
    dup2(file, STDERR_FILENO);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct bq_error err;
        message_of(texts[i], strlen(texts[i]), &err);
    }
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    CU_ASSERT_EQUAL(lseek(file, 0, SEEK_END), 0);
    close(kept);
    close(file);
    unlink("stderr");
}

static const struct test tests[] = {
    {"no random change to a job file does harm", random_texts},
    {"a job file may end anywhere", every_cut},
    {"a file that is large, deep or full of keys is refused soon", large_texts},
    {"aliases and merges never multiply", billion_laughs},
    {"bytes that are not UTF-8 text are refused with their line", no_text},
    {"without memory there is an error and no leak", no_memory},
    {"libfyaml prints nothing", silence},
};

int main(void)
{
    return run_tests_apart("job_hostile", tests, sizeof tests / sizeof *tests);
}
