/* How much memory there is, told by machines made of files: a private folder stands for /. */
#include "adapters/memory.h"

#include <ftw.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cunit.h"
#include "random.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define V2 "/sys/fs/cgroup"
#define V1 "/sys/fs/cgroup/memory"
#define V2_MOUNT "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNT "32 31 0:29 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"

static char root[40]; /* of the machine of the test that runs */

static int wipe_one(const char *path, const struct stat *what, int flag, struct FTW *where)
{
    (void)what, (void)flag, (void)where;
    return remove(path);
}

static void wipe(void)
{
    CU_ASSERT_EQUAL(nftw(root, wipe_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void put_bytes(const char *path, const char *bytes, size_t n)
{
    char full[400];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(full, 0700);
        *p = '/';
    }
    FILE *file = fopen(full, "w");
    CU_ASSERT_FATAL(file && fwrite(bytes, 1, n, file) == n && fclose(file) == 0);
}

static void put(const char *path, const char *text)
{
    put_bytes(path, text, strlen(text));
}

/* A new machine of 16 GiB, 8 of them available, without cgroups. */
static void machine(void)
{
    strcpy(root, "/tmp/bq_test_budget_XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(root));
    put("/proc/meminfo", "MemTotal:       16777216 kB\nMemFree:         1048576 kB\n"
                         "MemAvailable:    8388608 kB\nBuffers:               0 kB\n");
}

/* The group of this process, and what is mounted where. */
static void groups(const char *cgroup, const char *mounts)
{
    put("/proc/self/cgroup", cgroup);
    put("/proc/self/mountinfo", mounts);
}

/* What is available, and the machine's end. */
static uint64_t available(void)
{
    uint64_t bytes = bq_memory_available(root);
    wipe();
    return bytes;
}

static void the_machine_alone(void)
{
    machine();
    CU_ASSERT_EQUAL(available(), 8 * GIB);
    machine();
    groups("0::/\n", V2_MOUNT);
    CU_ASSERT_EQUAL(available(), 8 * GIB);
}

static void no_meminfo(void)
{
    static const char *const meminfos[] = {"",
                                           "MemFree: 5 kB\n",
                                           "MemAvailable:\n",
                                           "MemAvailable: many kB\n",
                                           "MemAvailable: -1 kB\n",
                                           "MemAvailable: 18446744073709551615 kB\n",
                                           "MemAvailable: 99999999999999999999 kB\n",
                                           "MemAvailableNot: 5 kB\n",
                                           "MemAvailable"};
    uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < sizeof meminfos / sizeof *meminfos; i++) {
        machine();
        put("/proc/meminfo", meminfos[i]);
        uint64_t bytes = available();
        CU_ASSERT(bytes > 5 * KIB && bytes <= all);
    }
    uint64_t bytes = bq_memory_available("/nonexistent");
    CU_ASSERT(bytes > 5 * KIB && bytes <= all);
}

static void version_2(void)
{
    static const struct {
        const char *max, *high, *current, *stat;
        uint64_t left;
    } cases[] = {
        {"max\n", "max\n", "4096\n", "anon 4096\n", 8 * GIB},
        {"1073741824\n", "max\n", "0\n", "", GIB},
        {"max\n", "1073741824\n", "0\n", "", GIB},
        {"2147483648\n", "1073741824\n", "1048576\n", "", GIB - MIB},
        {"1073741824\n", "2147483648\n", "1048576\n", "", GIB - MIB},
        {"1073741824\n", "max\n", "1073741824\n", "anon 7\ninactive_file 2097152\nslab 9\n",
         2 * MIB},
        {"1073741824\n", "max\n", "1048576\n", "inactive_file 2097152\n", GIB}, /* more than all */
        {"1048576\n", "max\n", "2097152\n", "", 0},                             /* over its limit */
        {"0\n", "max\n", "0\n", "", 0},
        {"1073741824", "max", "1048576", "inactive_file 1048576", GIB}, /* without ends of lines */
        {"1073741824\n", "max\n", "1048576\n", "inactive_file\ninactive_file x\n", GIB - MIB},
        {"1073741824\n", "max\n", "0\n", "total_inactive_file 5\n", GIB},
        {"garbage\n", "-5\n", "1\n", "", 8 * GIB},
        {"", "", "", "", 8 * GIB},
        {"99999999999999999999999\n", " 5\n", "", "", 8 * GIB},
        {"1073741824\n", "max\n", "garbage\n", "", GIB},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        machine();
        groups("0::/job\n", V2_MOUNT);
        put(V2 "/job/memory.max", cases[i].max);
        put(V2 "/job/memory.high", cases[i].high);
        put(V2 "/job/memory.current", cases[i].current);
        put(V2 "/job/memory.stat", cases[i].stat);
        uint64_t left = available();
        if (left != cases[i].left)
            printf("\n    case %zu: %llu\n", i, (unsigned long long)left);
        CU_ASSERT_EQUAL(left, cases[i].left);
    }
}

/* A limit in each of so many folders: the result is the smallest of those that count. */
static void limit_at(const char *folder, const char *limit)
{
    char path[200];
    snprintf(path, sizeof path, "%s/memory.max", folder);
    put(path, limit);
}

static void every_group_around(void)
{
    static const char *const folders[] = {V2, V2 "/slurm", V2 "/slurm/job_7",
                                          V2 "/slurm/job_7/step 0"};
    for (size_t tight = 0; tight < 4; tight++) {
        machine();
        groups("1:name=systemd:/elsewhere\n0::/slurm/job_7/step 0\n", V2_MOUNT);
        for (size_t i = 0; i < 4; i++)
            limit_at(folders[i], i == tight ? "1048576\n" : "1073741824\n");
        limit_at("/sys/fs", "5\n"); /* above the mount point */
        limit_at(V2 "/slurm/job_8", "5\n");
        limit_at(V2 "/slurm/job_7/step 0/child", "5\n");
        CU_ASSERT_EQUAL(available(), MIB);
    }
    machine(); /* a group that went away: what is around it stays */
    groups("0::/slurm/gone (deleted)\n", V2_MOUNT);
    limit_at(V2 "/slurm", "1048576\n");
    CU_ASSERT_EQUAL(available(), MIB);
}

static void containers(void)
{
    static const struct {
        const char *cgroup, *mount, *folder;
        uint64_t left;
    } cases[] = {
        /* The container's own group is what is mounted; groups inside it come below. */
        {"0::/docker/7\n", "1 2 0:3 /docker/7 " V2 " ro - cgroup2 cgroup2 rw\n", V2, MIB},
        {"0::/docker/7/x\n", "1 2 0:3 /docker/7 " V2 " ro - cgroup2 cgroup2 rw\n", V2 "/x", MIB},
        {"0::/docker/7/x\n", "1 2 0:3 /docker/7 " V2 " ro - cgroup2 cgroup2 rw\n", V2, MIB},
        {"0::/docker/77\n", "1 2 0:3 /docker/7 " V2 " ro - cgroup2 cgroup2 rw\n", V2, 8 * GIB},
        {"0::/docker/77\n", "1 2 0:3 /docker/7 " V2 " ro - cgroup2 cgroup2 rw\n", V2 "7", 8 * GIB},
        {"0::/docker/8\n", "1 2 0:3 /docker/7 " V2 " ro - cgroup2 cgroup2 rw\n", V2, 8 * GIB},
        {"0::/\n", "1 2 0:3 / " V2 " ro - cgroup2 cgroup2 rw\n", V2, MIB},
        /* Mounted from above this namespace: around us. We outside of it: not around us. */
        {"0::/\n", "1 2 0:3 /../.. " V2 " ro - cgroup2 cgroup2 rw\n", V2, MIB},
        {"0::/../x\n", "1 2 0:3 / " V2 " ro - cgroup2 cgroup2 rw\n", V2, 8 * GIB},
        {"0::/..\n", "1 2 0:3 / " V2 " ro - cgroup2 cgroup2 rw\n", V2, 8 * GIB},
        {"0::/..x\n", "1 2 0:3 / " V2 " ro - cgroup2 cgroup2 rw\n", V2 "/..x", MIB},
        /* A blank, a tab and a backslash in names. */
        {"0::/\n", "1 2 0:3 / /a\\040b\\011c\\134d rw - cgroup2 cgroup2 rw\n", "/a b\tc\\d", MIB},
        {"0::/j k\n", "1 2 0:3 /j\\040k " V2 " rw - cgroup2 cgroup2 rw\n", V2, MIB},
        /* Other mounts are no groups; one that cannot be taken apart is passed over. */
        {"0::/\n", "1 2 0:3 / " V2 " rw - tmpfs cgroup2 rw\n", V2, 8 * GIB},
        {"0::/\n", "1 2 0:3 / " V2 " rw - cgroup2\n", V2, 8 * GIB},
        {"0::/\n", "1 2 0:3 /\n - cgroup2 cgroup2 rw\n- - -\n" V2_MOUNT, V2, MIB},
        {"0::/\n", "1 2 0:3 x y rw - cgroup2 cgroup2 rw\n", V2, 8 * GIB},
        {"0::\n", V2_MOUNT, V2, MIB},
        {"0:\n:\n\n0\n", V2_MOUNT, V2, 8 * GIB},
        {"", V2_MOUNT, V2, 8 * GIB},
        {"0::/\n", "", V2, 8 * GIB},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        machine();
        groups(cases[i].cgroup, cases[i].mount);
        limit_at(cases[i].folder, "1048576\n");
        uint64_t left = available();
        if (left != cases[i].left)
            printf("\n    case %zu: %llu\n", i, (unsigned long long)left);
        CU_ASSERT_EQUAL(left, cases[i].left);
    }
}

static void version_1(void)
{
    static const char lines[] = "9:cpu,cpuacct:/other\n4:hugetlb,memory:/slurm/job\n0::/\n";
    static const char mounts[] =
        "31 30 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
        "32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,hugetlb,memory\n";
    machine(); /* without a limit */
    groups(lines, mounts);
    put(V1 "/slurm/job/memory.limit_in_bytes", "9223372036854771712\n");
    put(V1 "/slurm/job/memory.usage_in_bytes", "1208860672\n");
    CU_ASSERT_EQUAL(available(), 8 * GIB);
    machine(); /* the page cache of the groups below is in total_inactive_file */
    groups(lines, mounts);
    put(V1 "/slurm/job/memory.limit_in_bytes", "1073741824\n");
    put(V1 "/slurm/job/memory.usage_in_bytes", "3145728\n");
    put(V1 "/slurm/job/memory.stat", "inactive_file 9\nhierarchical_memory_limit 1073741824\n"
                                     "total_inactive_file 1048576\n");
    put("/sys/fs/cgroup/cpu/other/memory.limit_in_bytes", "5\n");
    CU_ASSERT_EQUAL(available(), GIB - 2 * MIB);
    machine(); /* around it, seen */
    groups(lines, mounts);
    put(V1 "/slurm/memory.limit_in_bytes", "2097152\n");
    put(V1 "/slurm/memory.usage_in_bytes", "1048576\n");
    CU_ASSERT_EQUAL(available(), MIB);
    machine(); /* around it, unseen in a container */
    groups("4:memory:/docker/7\n", "1 2 0:3 /docker/7 " V1 " ro - cgroup cgroup rw,memory\n");
    put(V1 "/memory.limit_in_bytes", "9223372036854771712\n");
    put(V1 "/memory.stat", "hierarchical_memory_limit 1048576\n");
    CU_ASSERT_EQUAL(available(), MIB);
    machine(); /* memory is not this hierarchy's business */
    groups("4:memory2,xmemory:/\n", V1_MOUNT);
    put(V1 "/memory.limit_in_bytes", "5\n");
    CU_ASSERT_EQUAL(available(), 8 * GIB);
    machine();
    groups("4:memory:/\n", "1 2 0:3 / " V1 " rw - cgroup cgroup rw,nomemory,memory_not\n");
    put(V1 "/memory.limit_in_bytes", "5\n");
    CU_ASSERT_EQUAL(available(), 8 * GIB);
}

static void hybrid(void)
{
    static const char mounts[] =
        V1_MOUNT "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    machine();
    groups("4:memory:/job\n0::/job\n", mounts);
    put(V1 "/job/memory.limit_in_bytes", "1048576\n");
    put(V2 "/unified/job/cgroup.procs", "1\n");
    CU_ASSERT_EQUAL(available(), MIB);
    machine(); /* the other way round */
    groups("0::/job\n4:memory:/job\n", mounts);
    put(V1 "/job/memory.limit_in_bytes", "2097152\n");
    put(V2 "/unified/job/memory.max", "1048576\n");
    CU_ASSERT_EQUAL(available(), MIB);
}

static void long_lines(void)
{
    char text[40000];
    machine();
    memset(text, 'x', sizeof text);
    strcpy(text + 30000, "\n" V2_MOUNT);
    for (size_t i = 9000; i < 20000; i += 50) /* wherever it is cut, the rest is no mount */
        memcpy(text + i, "1 2 0:3 / /no rw - cgroup2 cgroup2 rw", 37);
    groups("0::/\n", text);
    limit_at(V2, "1048576\n");
    limit_at("/no", "5\n");
    CU_ASSERT_EQUAL(available(), MIB);
    machine(); /* a group whose path is longer than any path */
    memset(text, 'x', sizeof text);
    memcpy(text, "0::/", 4);
    strcpy(text + 7000, "\n");
    groups(text, V2_MOUNT);
    limit_at(V2, "1048576\n");
    available();
    machine(); /* and a mount point */
    memcpy(text, "1 2 0:3 / /", 11);
    strcpy(text + 7000, " rw - cgroup2 cgroup2 rw\n");
    groups("0::/\n", text);
    CU_ASSERT_EQUAL(available(), 8 * GIB);
}

static void random_machines(void)
{
    static const char *const files[] = {
        "/proc/meminfo",      "/proc/self/cgroup",      "/proc/self/mountinfo", "/proc/self/status",
        V2 "/job/memory.max", V2 "/job/memory.current", V2 "/job/memory.stat"};
    static const char *const seeds[] = {"MemAvailable:    8388608 kB\n",
                                        "4:memory:/job\n0::/job\n",
                                        V2_MOUNT V1_MOUNT,
                                        "VmPeak:  12 kB\nVmSize:  12 kB\nVmData: 3 kB\n",
                                        "1073741824\n",
                                        "1048576\n",
                                        "anon 4\ninactive_file 12\n"};
    static const char favourites[] = "\n\n  :-/.,\\0129xk\t";
    random_start(20240611);
    for (int round = 0; round < 300; round++) {
        machine();
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
            char text[400];
            size_t n = strlen(seeds[i]);
            memcpy(text, seeds[i], n);
            for (uint64_t k = random_below(4); k > 0; k--) {
                size_t at = (size_t)random_below(n);
                text[at] = favourites[random_below(sizeof favourites)]; /* NUL too */
            }
            put_bytes(files[i], text, n - (size_t)random_below(3));
        }
        CU_ASSERT(available() < UINT64_MAX);
    }
}

/* This process may have so much of which: "VmSize" or "VmData". old: what it was. */
static bool limit_process(const char *which, uint64_t bytes, struct rlimit *old)
{
    bool is_data = strcmp(which, "VmData") == 0;
    if (is_data ? getrlimit(RLIMIT_DATA, old) : getrlimit(RLIMIT_AS, old))
        return false;
    struct rlimit next = {.rlim_cur = bytes, .rlim_max = old->rlim_max};
    return (is_data ? setrlimit(RLIMIT_DATA, &next) : setrlimit(RLIMIT_AS, &next)) == 0;
}

static void limits_of_the_process(void)
{
    static const struct {
        const char *which, *status;
    } cases[] = {{"VmSize", "VmPeak:\t 9 kB\nVmSize:\t1099510579200 kB\nVmData:\t 9 kB\n"},
                 {"VmData", "VmSize:\t 9 kB\nVmData:\t1099510579200 kB\n"}};
    const uint64_t far = UINT64_C(1) << 50; /* so that it limits nothing but what is told here */
    for (size_t i = 0; i < 2; i++) {
        struct rlimit old, ours;
        if (!limit_process(cases[i].which, far, &old)) {
            printf("(SKIPPED: a hard limit) ");
            continue;
        }
        machine();
        put("/proc/self/status", cases[i].status);
        CU_ASSERT_EQUAL(available(), far - 1099510579200 * KIB);
        CU_ASSERT_EQUAL(far - 1099510579200 * KIB, GIB);
        machine(); /* used more than the limit; then: nobody knows how much */
        put("/proc/self/status", "VmSize: 2199023255552 kB\nVmData: 2199023255552 kB\n");
        CU_ASSERT_EQUAL(available(), 0);
        machine();
        put("/proc/self/status", "VmSize: 1 MB\n");
        CU_ASSERT_EQUAL(available(), 8 * GIB);
        CU_ASSERT(limit_process(cases[i].which, old.rlim_cur, &ours));
    }
}

static void a_share(void)
{
    CU_ASSERT_EQUAL(bq_memory_share(8 * GIB, 1), 4 * GIB);
    CU_ASSERT_EQUAL(bq_memory_share(8 * GIB, 4), GIB);
    CU_ASSERT_EQUAL(bq_memory_share(8 * GIB, 0), 4 * GIB);
    CU_ASSERT_EQUAL(bq_memory_share(8 * GIB, 1000), 64 * MIB);
    CU_ASSERT_EQUAL(bq_memory_share(0, 1), 64 * MIB);
    CU_ASSERT_EQUAL(bq_memory_share(UINT64_MAX, 1), UINT64_MAX / 2);
}

static void this_machine(void)
{
    uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    CU_ASSERT(bq_memory_available("") <= all);
    uint64_t before = bq_memory_peak();
    if (before == 0) {
        printf("(SKIPPED: no VmHWM) ");
        return;
    }
    CU_ASSERT(before < all);
    char *block = malloc(64 * MIB);
    CU_ASSERT_PTR_NOT_NULL_FATAL(block);
    for (volatile char *p = block; p < block + 64 * MIB; p += 4 * KIB)
        *p = 1;
    CU_ASSERT(bq_memory_resident() >= 60 * MIB); /* Linux counts a little late */
    free(block);
    CU_ASSERT(bq_memory_peak() >= 60 * MIB);
}

static const struct test tests[] = {
    {"without limits, what the machine has available is available", the_machine_alone},
    {"without a word of /proc/meminfo, free pages are counted", no_meminfo},
    {"a group of version 2 leaves its limit minus its use, page cache aside", version_2},
    {"every group around this process counts, and no other", every_group_around},
    {"containers and namespaces see a part of the tree", containers},
    {"groups of version 1 count too, and what they inherit", version_1},
    {"a machine may have both versions", hybrid},
    {"lines may be too long", long_lines},
    {"no random change does harm", random_machines},
    {"limits of the process count", limits_of_the_process},
    {"a kitchen's share is half, divided, and never too little", a_share},
    {"this machine has an answer", this_machine},
};

RUN_TESTS("memory_budget", tests)
