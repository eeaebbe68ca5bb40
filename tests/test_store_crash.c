/* An output whose process is killed, or whose machine loses power, again and again: what was synced
 * is there, what was not is not, and in the end the file is what it would have been. */
#include "adapters/store.h"

#include <sys/wait.h>

#include "crash_kit.h"
#include "store_fixture.h"

enum { SIDE = 600, CHUNK = 40, GRID = SIDE / CHUNK, N = GRID * GRID, STATES = 4096 };

/* What outlives the process that is killed. */
static struct told {
    char work[400];
    uint64_t count, count_on_disk; /* chunks, in the order of placing, that were promised */
    uint64_t state;                /* the newest that was promised */
    uint16_t count_of[STATES];
    uint64_t n_resumed;
    char wrong[800];
} * told;

static struct bq_output_spec spec;
static uint16_t numbers[SIDE][SIDE];
static int order[N];

#define WRONG(...)                                                                                 \
    do {                                                                                           \
        snprintf(told->wrong, sizeof told->wrong, __VA_ARGS__);                                    \
        _exit(1);                                                                                  \
    } while (0)

static struct bq_box box_of(int chunk)
{
    return (struct bq_box){
        .rank = 2,
        .offset = {(uint64_t)(chunk / GRID) * CHUNK, (uint64_t)(chunk % GRID) * CHUNK},
        .extent = {CHUNK, CHUNK}};
}

/* Chunks of all sizes, once they are compressed; none is zero throughout. */
static void make_numbers(void)
{
    for (int chunk = 0; chunk < N; chunk++) {
        struct bq_box box = box_of(chunk);
        uint64_t noise = random_below(CHUNK + 1);
        for (uint64_t i = 0; i < CHUNK; i++) {
            for (uint64_t k = 0; k < CHUNK; k++)
                numbers[box.offset[0] + i][box.offset[1] + k] =
                    (uint16_t)(i < noise ? random_next() | 1 : (uint64_t)chunk + 1);
        }
        order[chunk] = chunk;
    }
    for (int i = N - 1; i > 0; i--) {
        int other = (int)random_below((uint64_t)i + 1), swap = order[i];
        order[i] = order[other];
        order[other] = swap;
    }
}

static void block_of(int chunk, uint16_t *block)
{
    struct bq_box box = box_of(chunk);
    copy_block(&spec.space, box.offset, box.extent, 2, (char *)numbers, (char *)block, false);
}

/* -- what the child does ------------------------------------------------------------------ */

struct maker {
    struct bq_output *output;
    struct bq_direct *direct;
    struct bq_codec *codec;
    enum bq_output_how how;
    const struct bq_layout *layout;
};

static void begin(struct maker *maker, struct bq_output *output)
{
    struct bq_error err = {.text = ""};
    *maker = (struct maker){.output = output};
    maker->layout = bq_output_layout(output, &maker->how);
    if (maker->how == BQ_OUTPUT_DIRECT)
        maker->direct =
            bq_direct_open(told->work, spec.file, spec.dataset, maker->layout, false, &err);
    maker->codec = bq_codec_create(2 * CHUNK * CHUNK, &err);
    if (maker->how != spec.how || err.text[0])
        WRONG("cannot begin: %s", err.text);
}

static void place(struct maker *maker, int chunk)
{
    static unsigned char stored[4 * CHUNK * CHUNK];
    uint16_t block[CHUNK * CHUNK];
    struct bq_error err = {.text = ""};
    struct bq_box box = box_of(chunk);
    size_t n;
    uint32_t mask;
    int rc = -1;
    block_of(chunk, block);
    if (maker->how == BQ_OUTPUT_DIRECT)
        rc = bq_direct_write(maker->direct, &box, block, &err);
    else if (maker->how == BQ_OUTPUT_LIBRARY)
        rc = bq_output_write(maker->output, box.offset, box.extent, block, &err);
    else if (bq_codec_encode(maker->codec, &maker->layout->filters, block, sizeof block, stored,
                             sizeof stored, &n, &mask, &err) == 0)
        rc = bq_output_place(maker->output, box.offset, mask, stored, n, &err);
    if (rc < 0)
        WRONG("chunk %d: %s", chunk, err.text);
}

static void sync_it(struct maker *maker, uint64_t count, bool to_disk)
{
    struct bq_error err = {.text = ""};
    uint64_t next = bq_output_state(maker->output) + 1;
    if (next >= STATES)
        WRONG("too many states");
    told->count_of[next] = (uint16_t)count;
    if (bq_output_sync(maker->output, to_disk, &err) < 0 || bq_output_state(maker->output) != next)
        WRONG("sync: %s", err.text);
    told->count = count;
    told->state = next;
    if (to_disk)
        told->count_on_disk = count;
}

/* The first `count` chunks are right; the others were never written, if that can be told. */
static void check(const char *file, uint64_t count, bool is_fixed)
{
    static uint16_t got[SIDE][SIDE];
    struct bq_error err = {.text = ""};
    struct bq_input *input = bq_input_open(file, spec.dataset, &err);
    if (!input || bq_input_read(input, (uint64_t[]){0, 0}, spec.space.extent, got, &err) < 0)
        WRONG("%s", err.text);
    for (uint64_t i = 0; i < N; i++) {
        uint16_t want[CHUNK * CHUNK] = {0}, have[CHUNK * CHUNK];
        struct bq_box box = box_of(order[i]);
        copy_block(&spec.space, box.offset, box.extent, 2, (char *)got, (char *)have, false);
        if (i < count)
            block_of(order[i], want);
        if ((i < count || !is_fixed) && memcmp(have, want, sizeof want) != 0)
            WRONG("chunk %d, number %d of %d, is wrong", order[i], (int)i, (int)count);
    }
    bq_input_close(input);
}

/* One whose name nobody knows yet when its maker is killed stays. */
static void remove_unknown(void)
{
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (strncmp(entry->d_name, ".out.h5", 7) == 0)
            unlink(in_folder(entry->d_name));
    }
    closedir(dir);
}

/* Opens what is there, or begins anew. Returns how many chunks are there. */
static uint64_t find(struct maker *maker)
{
    struct bq_error err = {.text = ""};
    struct bq_output *output = told->work[0] ? bq_output_resume(&spec, told->work, &err) : NULL;
    uint64_t promised = crash_with_power ? told->count_on_disk : told->count, count;
    if (output) {
        uint64_t state = bq_output_state(output);
        count = told->count_of[state];
        if (count < promised || (!crash_with_power && state < told->state))
            WRONG("state %d with %d chunks, but %d of state %d were promised", (int)state,
                  (int)count, (int)promised, (int)told->state);
        bq_output_leave(output);
        check(told->work, count, spec.chunk.rank == 0 || spec.how == BQ_OUTPUT_DIRECT);
        output = bq_output_resume(&spec, told->work, &err);
        if (!output || bq_output_state(output) != state)
            WRONG("again: %s", err.text);
        told->n_resumed++;
        told->state = state;
        told->count = told->count_on_disk = count; /* on the disk, as it was found */
    } else {
        if (told->work[0] && promised)
            WRONG("%s", err.text);
        bq_output_remove_left(told->work);
        told->work[0] = 0;
        remove_unknown();
        told->state = told->count = told->count_on_disk = count = 0;
        output = bq_output_create(&spec, &err);
        if (!output)
            WRONG("%s", err.text);
        snprintf(told->work, sizeof told->work, "%s", bq_output_work_path(output));
    }
    begin(maker, output);
    return count;
}

static void make_all(void)
{
    struct maker maker;
    struct bq_error err = {.text = ""};
    uint64_t every = 4 + random_below(60), on_disk = random_below(3);
    for (uint64_t i = find(&maker); i < N; i++) {
        char text[200] = "";
        place(&maker, order[i]);
        memset(text, 'x', random_below(sizeof text));
        if (random_below(16) == 0 && bq_output_note(maker.output, "made", text, &err) < 0)
            WRONG("%s", err.text);
        if (random_below(every) == 0)
            sync_it(&maker, i + 1, random_below(2) < on_disk);
    }
    bq_direct_close(maker.direct);
    bq_codec_destroy(maker.codec);
    told->count_of[bq_output_state(maker.output) + 1] = N; /* by commit */
    if (bq_output_commit(maker.output, &err) < 0)
        WRONG("commit: %s", err.text);
    _exit(0);
}

/* -- stories ------------------------------------------------------------------------------ */

/* Returns whether the file was finished. */
static bool run_child(uint64_t steps, bool loses_power, unsigned boot)
{
    int status = -1;
    uint64_t seed = random_next();
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        random_state = seed;
        crash_with_power = loses_power;
        crash_left = steps;
        crash_boot = loses_power ? boot : 0;
        make_all();
    }
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
        snprintf(told->wrong, sizeof told->wrong, "signal %d", WTERMSIG(status));
    return WIFEXITED(status);
}

static void crash_until_it_is_done(bool loses_power)
{
    uint64_t most = 1 + random_below(600);
    bool is_done = false;
    memset(told, 0, sizeof *told);
    make_numbers();
    for (unsigned i = 1; i < 400 && !is_done && !told->wrong[0]; i++) {
        /* Killed after it had its name: that is done, too. */
        is_done = access(spec.file, F_OK) == 0 || run_child(1 + random_below(most), loses_power, i);
        most += most / 8 + 1;
    }
    CHECK_TEXT(told->wrong, "");
    CU_ASSERT(is_done);
    if (is_done && !told->wrong[0])
        check(spec.file, N, false);
    CHECK_TEXT(told->wrong, "");
    if (!told->work[0])
        remove_unknown();
    bq_output_remove_left(told->work); /* the log, where it was killed before that was removed */
    unlink(spec.file);
    CU_ASSERT_EQUAL(n_files("out.h5") + n_files(".out.h5"), 0);
}

static void crash_all(bool loses_power)
{
    const struct bq_space chunk = {2, {CHUNK, CHUNK}}, odd = {2, {64, 32}}, none = {0, {0}};
    const struct {
        enum bq_output_how how;
        struct bq_space chunk;
        unsigned gzip;
        int rounds;
    } kind[] = {{BQ_OUTPUT_ENCODED, chunk, 1, 12},
                {BQ_OUTPUT_LIBRARY, odd, 1, 4},
                {BQ_OUTPUT_LIBRARY, none, 0, 2},
                {BQ_OUTPUT_DIRECT, chunk, 0, 2},
                {BQ_OUTPUT_DIRECT, none, 0, 2}};
    uint64_t n_resumed = 0;
    random_start(loses_power ? 22 : 21);
    for (size_t i = 0; i < sizeof kind / sizeof *kind; i++) {
        spec = (struct bq_output_spec){.file = in_folder("out.h5"),
                                       .dataset = "maps/data",
                                       .type = BQ_U16,
                                       .space = {2, {SIDE, SIDE}},
                                       .chunk = kind[i].chunk,
                                       .filters = deflate_filter(kind[i].gzip, 2),
                                       .how = kind[i].how};
        for (int round = 0; round < kind[i].rounds; round++) {
            spec.file = in_folder("out.h5");
            crash_until_it_is_done(loses_power);
            n_resumed += told->n_resumed;
        }
    }
    printf("(resumed %d times) ", (int)n_resumed);
    CU_ASSERT(n_resumed > 50);
}

static void whoever_is_killed_at_any_instruction_loses_nothing_that_was_synced(void)
{
    crash_all(false);
}

static void what_was_synced_to_the_disk_outlives_a_loss_of_power(void)
{
    crash_all(true);
}

int main(void)
{
    const struct test tests[] = {
        {"whoever is killed at any instruction loses nothing that was synced",
         whoever_is_killed_at_any_instruction_loses_nothing_that_was_synced},
        {"what was synced to the disk outlives a loss of power",
         what_was_synced_to_the_disk_outlives_a_loss_of_power},
        {"nothing is left open in HDF5", nothing_is_left_open_in_hdf5},
    };
    fixture_begin();
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int rc =
        told == MAP_FAILED ? 1 : run_tests("store, crash", tests, sizeof tests / sizeof *tests);
    fixture_end();
    return rc;
}
