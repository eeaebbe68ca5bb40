/* Syncing an output, leaving it, and finding it again; and what is refused. That nothing is lost
 * wherever the process is killed is tested in test_store_crash.c. */
#include "adapters/store.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "adapters/store_log.h"
#include "random.h"
#include "store_fixture.h"

enum { SIDE = 64, CHUNK = 8, N = 64, BYTES = CHUNK * CHUNK * 2 };

static const struct bq_space square = {2, {SIDE, SIDE}}, chunk_shape = {2, {CHUNK, CHUNK}};

static struct bq_output_spec packed(const char *file)
{
    return (struct bq_output_spec){.file = file,
                                   .dataset = "maps/data",
                                   .type = BQ_U16,
                                   .space = square,
                                   .chunk = chunk_shape,
                                   .filters = deflate_filter(1, 1),
                                   .how = BQ_OUTPUT_ENCODED};
}

static struct bq_output *create(const struct bq_output_spec *spec, char work[400])
{
    struct bq_error err = {.text = ""};
    struct bq_output *output = bq_output_create(spec, &err);
    CHECK_TEXT(err.text, "");
    CU_ASSERT_FATAL(output != NULL);
    snprintf(work, 400, "%s", bq_output_work_path(output));
    return output;
}

static void place(struct bq_output *output, int from, int to)
{
    struct bq_error err = {.text = ""};
    for (int i = from; i < to; i++) {
        uint16_t block[CHUNK * CHUNK];
        uint64_t at[] = {(uint64_t)(i / 8 * CHUNK), (uint64_t)(i % 8 * CHUNK)};
        for (int k = 0; k < CHUNK * CHUNK; k++)
            block[k] = (uint16_t)(1000 * i + k + 1);
        CU_ASSERT_EQUAL(bq_output_place(output, at, 1, block, sizeof block, &err), 0);
    }
    CHECK_TEXT(err.text, "");
}

static void sync_it(struct bq_output *output, bool to_disk)
{
    struct bq_error err = {.text = ""};
    CU_ASSERT_EQUAL(bq_output_sync(output, to_disk, &err), 0);
    CHECK_TEXT(err.text, "");
}

static struct bq_output *resume(const struct bq_output_spec *spec, const char *work)
{
    struct bq_error err = {.text = ""};
    struct bq_output *output = bq_output_resume(spec, work, &err);
    CHECK_TEXT(err.text, "");
    CU_ASSERT_FATAL(output != NULL);
    return output;
}

static void commit(struct bq_output *output)
{
    struct bq_error err = {.text = ""};
    CU_ASSERT_EQUAL(bq_output_commit(output, &err), 0);
    CHECK_TEXT(err.text, "");
}

/* How many chunks are right, from the first on; -1: one behind them is not empty. */
static int n_right(const char *file)
{
    static uint16_t got[SIDE][SIDE];
    struct bq_error err = {.text = ""};
    struct bq_input *input = bq_input_open(file, "maps/data", &err);
    CHECK_TEXT(err.text, "");
    CU_ASSERT_FATAL(input != NULL);
    CU_ASSERT_EQUAL(bq_input_read(input, (uint64_t[]){0, 0}, square.extent, got, &err), 0);
    bq_input_close(input);
    int n = 0;
    for (int i = 0; i < N; i++) {
        bool is_right = true, is_empty = true;
        for (int k = 0; k < CHUNK * CHUNK; k++) {
            uint16_t value = got[i / 8 * CHUNK + k / CHUNK][i % 8 * CHUNK + k % CHUNK];
            is_right &= value == (uint16_t)(1000 * i + k + 1);
            is_empty &= value == 0;
        }
        if (is_right && n == i)
            n++;
        else if (!is_empty)
            return -1;
    }
    return n;
}

static char *log_of(const char *work)
{
    static char path[500];
    snprintf(path, sizeof path, "%s.log", work);
    return path;
}

struct copy {
    char bytes[1 << 16];
    size_t n;
};

static void load(const char *path, struct copy *copy)
{
    FILE *file = fopen(path, "rb");
    CU_ASSERT_FATAL(file != NULL);
    copy->n = fread(copy->bytes, 1, sizeof copy->bytes, file);
    CU_ASSERT_FATAL(copy->n < sizeof copy->bytes);
    fclose(file);
}

/* -- what works --------------------------------------------------------------------------- */

static void what_was_synced_is_found_and_finished(void)
{
    char work[400];
    struct bq_error err = {.text = ""};
    struct bq_output_spec spec = packed(in_folder("done.h5"));
    struct bq_output *output = create(&spec, work);
    CU_ASSERT_EQUAL(bq_output_state(output), 0);
    place(output, 0, 20);
    CU_ASSERT_EQUAL(n_files(".done.h5"), 1);
    sync_it(output, false);
    CU_ASSERT_EQUAL(bq_output_state(output), 1);
    CU_ASSERT_EQUAL(n_files(".done.h5"), 2);
    place(output, 20, 30);
    sync_it(output, true);
    place(output, 30, 40);
    CU_ASSERT_EQUAL(bq_output_note(output, "made", "never seen", &err), 0);
    bq_output_leave(output);
    CU_ASSERT_EQUAL(n_right(work), 30);
    output = resume(&spec, work);
    CU_ASSERT_EQUAL(bq_output_state(output), 2);
    CHECK_TEXT(bq_output_work_path(output), work);
    place(output, 30, N);
    CU_ASSERT_EQUAL(bq_output_note(output, "made", "by hand", &err), 0);
    commit(output);
    CU_ASSERT_EQUAL(n_right(in_folder("done.h5")), N);
    CU_ASSERT_EQUAL(n_files(".done.h5"), 0);
}

static void a_sync_with_nothing_to_do_makes_a_state_too(void)
{
    char work[400];
    struct bq_output_spec spec = packed(in_folder("idle.h5"));
    struct bq_output *output = create(&spec, work);
    for (int i = 0; i < 6; i++)
        sync_it(output, i % 3 == 2);
    bq_output_leave(output);
    output = resume(&spec, work);
    CU_ASSERT_EQUAL(bq_output_state(output), 6);
    sync_it(output, false);
    place(output, 0, N);
    commit(output);
    CU_ASSERT_EQUAL(n_right(in_folder("idle.h5")), N);
}

/* A log is begun again when it is long, so these are more than it holds. */
static void many_syncs_do_not_make_a_long_log(void)
{
    char work[400], log[500];
    struct stat st;
    struct bq_error err = {.text = ""};
    struct bq_output_spec spec = packed(in_folder("many.h5"));
    struct bq_output *output = create(&spec, work);
    snprintf(log, sizeof log, "%s", log_of(work));
    sync_it(output, true);
    for (int i = 0; i < 3000; i++) {
        char text[40];
        snprintf(text, sizeof text, "%d", i);
        place(output, i % N, i % N + 1);
        CU_ASSERT_EQUAL(bq_output_note(output, "made", text, &err), 0);
        sync_it(output, false);
        CU_ASSERT(stat(log, &st) == 0 && st.st_size < 17 << 20);
    }
    bq_output_leave(output);
    output = resume(&spec, work);
    CU_ASSERT_EQUAL(bq_output_state(output), 3001);
    commit(output);
    CU_ASSERT_EQUAL(n_right(in_folder("many.h5")), N);
}

static void discard_and_remove_left_remove_the_log_too(void)
{
    char work[400];
    struct bq_output_spec spec = packed(in_folder("gone.h5"));
    struct bq_output *output = create(&spec, work);
    sync_it(output, false);
    place(output, 0, 3);
    bq_output_discard(output);
    CU_ASSERT_EQUAL(n_files(".gone.h5"), 0);
    output = create(&spec, work);
    sync_it(output, false);
    bq_output_leave(output);
    CU_ASSERT_EQUAL(n_files(".gone.h5"), 2);
    CU_ASSERT(bq_output_remove_left(work));
    CU_ASSERT_EQUAL(n_files(".gone.h5"), 0);
    CU_ASSERT(!bq_output_remove_left(work));
    /* The log alone, and what is no work file. */
    put_file(log_of(work), "x", 1);
    put_file(in_folder("gone.h5"), "x", 1);
    put_file(in_folder("gone.h5.log"), "x", 1);
    CU_ASSERT(!bq_output_remove_left(work));
    CU_ASSERT(!bq_output_remove_left(in_folder("gone.h5")));
    CU_ASSERT_EQUAL(n_files(".gone.h5"), 0);
    CU_ASSERT_EQUAL(n_files("gone.h5"), 2);
}

static void direct_writes_are_found_too(void)
{
    char work[400];
    struct bq_error err = {.text = ""};
    struct bq_output_spec spec = packed(in_folder("direct.h5"));
    spec.how = BQ_OUTPUT_DIRECT;
    for (int contiguous = 0; contiguous < 2; contiguous++) {
        spec.filters.n = 0;
        spec.chunk.rank = contiguous ? 0 : 2;
        spec.force = true;
        struct bq_output *output = create(&spec, work);
        sync_it(output, true);
        for (int half = 0; half < 2; half++) {
            enum bq_output_how how;
            struct bq_direct *direct = bq_direct_open(work, spec.file, spec.dataset,
                                                      bq_output_layout(output, &how), false, &err);
            CU_ASSERT_FATAL(direct != NULL && how == BQ_OUTPUT_DIRECT);
            for (int i = 32 * half; i < 32 + 32 * half; i++) {
                uint16_t block[CHUNK * CHUNK];
                struct bq_box box = {
                    .rank = 2,
                    .offset = {(uint64_t)(i / 8 * CHUNK), (uint64_t)(i % 8 * CHUNK)},
                    .extent = {CHUNK, CHUNK}};
                for (int k = 0; k < CHUNK * CHUNK; k++)
                    block[k] = (uint16_t)(1000 * i + k + 1);
                CU_ASSERT_EQUAL(bq_direct_write(direct, &box, block, &err), 0);
            }
            bq_direct_close(direct);
            sync_it(output, half == 0);
            bq_output_leave(output);
            CU_ASSERT_EQUAL(n_right(work), 32 + 32 * half);
            output = resume(&spec, work);
            CU_ASSERT_EQUAL(bq_output_state(output), 2 + (uint64_t)half);
        }
        commit(output);
        CU_ASSERT_EQUAL(n_right(in_folder("direct.h5")), N);
    }
}

/* Its space is made by the first write, behind which the file does not go yet. */
static void a_contiguous_dataset_is_as_long_as_it_says(void)
{
    char work[400];
    struct bq_error err = {.text = ""};
    uint16_t row[SIDE], got[SIDE];
    struct bq_output_spec spec = packed(in_folder("rows.h5"));
    spec.how = BQ_OUTPUT_LIBRARY;
    spec.filters.n = 0;
    spec.chunk.rank = 0;
    struct bq_output *output = create(&spec, work);
    sync_it(output, true);
    memset(row, 7, sizeof row);
    CU_ASSERT_EQUAL(bq_output_write(output, (uint64_t[]){3, 0}, (uint64_t[]){1, SIDE}, row, &err),
                    0);
    sync_it(output, false);
    bq_output_leave(output);
    output = resume(&spec, work);
    CU_ASSERT_EQUAL(bq_output_state(output), 2);
    commit(output);
    struct bq_input *input = bq_input_open(spec.file, spec.dataset, &err);
    CU_ASSERT_FATAL(input != NULL);
    CU_ASSERT_EQUAL(bq_input_read(input, (uint64_t[]){3, 0}, (uint64_t[]){1, SIDE}, got, &err), 0);
    CU_ASSERT(memcmp(row, got, sizeof row) == 0);
    bq_input_close(input);
}

/* More of the index than HDF5 keeps in memory: it reads what was kept for it. */
static void a_large_index_is_read_back_between_syncs(void)
{
    enum { WIDE = 220 };
    static uint8_t got[WIDE * WIDE];
    static int order[WIDE * WIDE];
    char work[400];
    struct bq_error err = {.text = ""};
    struct bq_output_spec spec = packed(in_folder("wide.h5"));
    spec.type = BQ_U8;
    spec.space = (struct bq_space){2, {WIDE, WIDE}};
    spec.chunk = (struct bq_space){2, {1, 1}};
    struct bq_output *output = create(&spec, work);
    bool is_back = false;
    random_start(5);
    for (int i = 0; i < WIDE * WIDE; i++) {
        int other = (int)random_below((uint64_t)i + 1);
        order[i] = order[other];
        order[other] = i;
    }
    for (int i = 0; i < WIDE * WIDE; i++) {
        uint64_t at[] = {(uint64_t)(order[i] / WIDE), (uint64_t)(order[i] % WIDE)};
        uint8_t value = (uint8_t)(order[i] % 251 + 1);
        CU_ASSERT_EQUAL(bq_output_place(output, at, 1, &value, 1, &err), 0);
        if (i == 9000 || i == 20000 || i == 40000)
            sync_it(output, i == 9000);
        if (i == 30000 && !is_back) {
            is_back = true;
            bq_output_leave(output);
            output = resume(&spec, work);
            i = 20000; /* the last that was synced */
        }
    }
    commit(output);
    struct bq_input *input = bq_input_open(spec.file, spec.dataset, &err);
    CU_ASSERT_FATAL(input != NULL);
    CU_ASSERT_EQUAL(bq_input_read(input, (uint64_t[]){0, 0}, spec.space.extent, got, &err), 0);
    int n_wrong = 0;
    for (int i = 0; i < WIDE * WIDE; i++)
        n_wrong += got[i] != i % 251 + 1;
    CU_ASSERT_EQUAL(n_wrong, 0);
    bq_input_close(input);
}

/* What the file on the disk still needs is not cut off before the next state is there. */
static void a_file_that_gets_shorter_is_whole_until_it_is(void)
{
    static char text[200000];
    static struct copy first_log;
    char work[400];
    struct stat before, after;
    struct bq_error err = {.text = ""};
    struct bq_output_spec spec = packed(in_folder("short.h5"));
    struct bq_output *output = create(&spec, work);
    place(output, 0, 4);
    memset(text, 'x', sizeof text - 1);
    CU_ASSERT_EQUAL(bq_output_note(output, "made", text, &err), 0);
    sync_it(output, true);
    load(log_of(work), &first_log);
    CU_ASSERT_EQUAL(stat(work, &before), 0);
    CU_ASSERT_EQUAL(bq_output_note(output, "made", "short", &err), 0);
    sync_it(output, false); /* in the log alone, which is lost */
    bq_output_leave(output);
    CU_ASSERT_EQUAL(stat(work, &after), 0);
    CU_ASSERT(after.st_size >= before.st_size);
    put_file(log_of(work), first_log.bytes, first_log.n);
    output = resume(&spec, work);
    CU_ASSERT_EQUAL(bq_output_state(output), 1);
    CU_ASSERT_EQUAL(bq_output_note(output, "made", "short", &err), 0);
    place(output, 4, 5);
    sync_it(output, true);
    commit(output);
    CU_ASSERT_EQUAL(n_right(in_folder("short.h5")), 5);
    CU_ASSERT_EQUAL(stat(in_folder("short.h5"), &after), 0);
    printf("(%d to %d) ", (int)before.st_size, (int)after.st_size);
}

static void what_lies_behind_the_end_of_the_file_is_forgotten(void)
{
    char work[400], noise[50000];
    struct bq_output_spec spec = packed(in_folder("long.h5"));
    struct bq_output *output = create(&spec, work);
    struct stat st;
    place(output, 0, 5);
    sync_it(output, false);
    bq_output_leave(output);
    CU_ASSERT_EQUAL(stat(work, &st), 0);
    memset(noise, 'x', sizeof noise);
    FILE *file = fopen(work, "ab");
    CU_ASSERT_EQUAL(fwrite(noise, 1, sizeof noise, file), sizeof noise);
    fclose(file);
    off_t size = st.st_size;
    output = resume(&spec, work);
    CU_ASSERT_EQUAL(stat(work, &st), 0);
    CU_ASSERT_EQUAL(st.st_size, size);
    place(output, 5, 9);
    commit(output);
    CU_ASSERT_EQUAL(n_right(in_folder("long.h5")), 9);
}

/* The overlay, beside an array of bytes. */
static void an_overlay_is_what_was_put_there(void)
{
    static unsigned char want[40000], got[40000];
    struct store_overlay overlay = {0};
    const uint64_t base = (UINT64_C(1) << 40) - 12345;
    random_start(3);
    for (int i = 0; i < 2000; i++) {
        unsigned char bytes[9000];
        uint64_t at = random_below(sizeof want - sizeof bytes),
                 n = random_below(1 + random_below(sizeof bytes));
        memset(bytes, (int)(1 + random_below(255)), sizeof bytes);
        if (random_below(20) == 0) {
            store_overlay_clear(&overlay);
            memset(want, 0, sizeof want);
        }
        memcpy(want + at, bytes, n);
        CU_ASSERT_EQUAL(store_overlay_put(&overlay, base + at, bytes, n), 0);
        at = random_below(sizeof want);
        n = random_below(sizeof want - at + 1);
        memset(got, 0, sizeof got);
        store_overlay_get(&overlay, base + at, got + at, n);
        CU_ASSERT(memcmp(got + at, want + at, n) == 0);
    }
    store_overlay_clear(&overlay);
}

/* -- what is refused ---------------------------------------------------------------------- */

static void expect_refusal(const struct bq_output_spec *spec, const char *work, const char *text)
{
    struct bq_error err = {.text = ""};
    struct bq_output *output = bq_output_resume(spec, work, &err);
    CU_ASSERT_PTR_NULL(output);
    /* Six characters of each work file's name are random. */
    for (char *at = err.text; (at = strstr(at, ".banquet-"));)
        memcpy(at += 9, "XXXXXX", 6);
    CHECK_TEXT(message(&err), text);
    bq_output_leave(output);
}

static void a_dataset_that_would_be_made_otherwise_is_refused_and_stays(void)
{
    char work[400];
    struct bq_output_spec right = packed(in_folder("same.h5")), spec = right;
    struct bq_output *output = create(&right, work);
    place(output, 0, 7);
    sync_it(output, false);
    bq_output_leave(output);
#define OTHER "same.h5:/maps/data: its work file '.same.h5.banquet-XXXXXX' was made for another "
    spec.type = BQ_I16;
    expect_refusal(&spec, work, OTHER "type; it has to be made anew");
    spec = right;
    spec.space.extent[0]++;
    expect_refusal(&spec, work, OTHER "shape; it has to be made anew");
    spec = right;
    spec.chunk.extent[1] = 16;
    expect_refusal(&spec, work, OTHER "chunk shape; it has to be made anew");
    spec = right;
    spec.filters = deflate_filter(2, 1);
    expect_refusal(&spec, work, OTHER "compression; it has to be made anew");
    spec.filters = deflate_filter(1, 2);
    expect_refusal(&spec, work, OTHER "compression; it has to be made anew");
    spec = right;
    spec.fill = &(uint16_t){7};
    expect_refusal(&spec, work, OTHER "fill value; it has to be made anew");
    spec = right;
    spec.how = BQ_OUTPUT_SHARDED;
    expect_refusal(&spec, work, "same.h5: only an output of one file can be resumed");
    spec = right;
    spec.dataset = "maps/other";
    expect_refusal(&spec, work,
                   "same.h5:/maps/other: its work file '.same.h5.banquet-XXXXXX' is damaged, and "
                   "has to be made anew: object 'other' doesn't exist");
    output = resume(&right, work);
    place(output, 7, N);
    commit(output);
    CU_ASSERT_EQUAL(n_right(in_folder("same.h5")), N);
}

static void a_file_that_is_not_ours_to_resume_is_refused(void)
{
    char work[400], other[400], log[500];
    struct bq_output_spec spec = packed(in_folder("ours.h5"));
    struct bq_output *output = create(&spec, work);
    snprintf(log, sizeof log, "%s", log_of(work));
    bq_output_leave(output);
    expect_refusal(&spec, work, "ours.h5: its work file was never synced; it has to be made anew");
    unlink(work);
    output = create(&spec, work);
    snprintf(log, sizeof log, "%s", log_of(work));
    place(output, 0, 4);
    sync_it(output, false);
    expect_refusal(&spec, work,
                   "ours.h5: another process uses its work file '.ours.h5.banquet-XXXXXX'");
    bq_output_leave(output);
    snprintf(other, sizeof other, "%s", in_folder("plain"));
    expect_refusal(&spec, other, "ours.h5: 'plain' is no name of a work file of it");
    mkdir(in_folder("away"), 0755);
    snprintf(other, sizeof other, "%s", in_folder("away/.ours.h5.banquet-abcdef"));
    expect_refusal(&spec, other,
                   "ours.h5: 'away/.ours.h5.banquet-XXXXXX' is no name of a work file of it");
    snprintf(other, sizeof other, "%s", in_folder(".ours.h5.banquet-abcdef"));
    expect_refusal(&spec, other,
                   "ours.h5: cannot open its work file '.ours.h5.banquet-XXXXXX': No such file or "
                   "directory");
    CU_ASSERT_EQUAL(symlink(work, other), 0);
    expect_refusal(&spec, other, "ours.h5: '.ours.h5.banquet-XXXXXX' is no work file of ours");
    unlink(other);
    CU_ASSERT_EQUAL(link(work, other), 0);
    expect_refusal(&spec, work, "ours.h5: '.ours.h5.banquet-XXXXXX' is no work file of ours");
    unlink(other);
    CU_ASSERT_EQUAL(mkfifo(other, 0600), 0);
    expect_refusal(&spec, other, "ours.h5: '.ours.h5.banquet-XXXXXX' is no work file of ours");
    unlink(other);
    /* The log: a link, and another's. */
    CU_ASSERT_EQUAL(rename(log, other), 0);
    CU_ASSERT_EQUAL(symlink(other, log), 0);
    expect_refusal(&spec, work,
                   "ours.h5: cannot open '.ours.h5.banquet-XXXXXX.log', the log of its work file: "
                   "Too many levels of symbolic links");
    CU_ASSERT_EQUAL(rename(other, log), 0);
    char second[400];
    output = create(&spec, second);
    sync_it(output, false);
    bq_output_leave(output);
    CU_ASSERT_EQUAL(rename(log_of(second), other), 0);
    CU_ASSERT_EQUAL(rename(log, log_of(second)), 0);
    expect_refusal(&spec, second,
                   "ours.h5: '.ours.h5.banquet-XXXXXX.log' is the log of another file than its "
                   "work file; it has to be made anew");
    CU_ASSERT_EQUAL(rename(log_of(second), log), 0);
    unlink(other);
    unlink(second);
    put_file(in_folder("ours.h5"), "x", 1);
    expect_refusal(&spec, work, "ours.h5 already exists; --force replaces it");
    unlink(in_folder("ours.h5"));
    bq_output_discard(resume(&spec, work));
    CU_ASSERT_EQUAL(n_files("ours.h5") + n_files(".ours.h5"), 0);
}

/* Three states: two that are in the file, and one that is in the log alone. Both as they lie on the
 * disk, to be damaged. */
static struct copy whole_work, whole_log;

static void make_three_states(const struct bq_output_spec *spec, char work[400])
{
    struct bq_output *output = create(spec, work);
    place(output, 0, 10);
    sync_it(output, false);
    place(output, 10, 20);
    sync_it(output, true);
    place(output, 20, 30);
    sync_it(output, false);
    bq_output_leave(output);
    load(work, &whole_work);
    load(log_of(work), &whole_log);
}

/* In the same file as before, because its inode is known. */
static void restore(const char *work, const char *log, size_t n_log)
{
    int fd = open(work, O_WRONLY | O_TRUNC);
    CU_ASSERT_EQUAL(write(fd, whole_work.bytes, whole_work.n), (ssize_t)whole_work.n);
    close(fd);
    put_file(log_of(work), log, n_log);
}

/* Returns the state that was found; 0: it was refused. What is found is right. */
static uint64_t state_found(const struct bq_output_spec *spec, const char *work)
{
    struct bq_error err = {.text = ""};
    struct bq_output *output = bq_output_resume(spec, work, &err);
    uint64_t state = output ? bq_output_state(output) : 0;
    bq_output_leave(output);
    if (output) {
        CU_ASSERT_EQUAL(n_right(work), state == 3 ? 30 : 20);
    } else {
        CU_ASSERT(strstr(err.text, "anew") != NULL);
    }
    return state;
}

static void a_log_that_is_torn_is_as_the_sync_before(void)
{
    char work[400];
    struct bq_output_spec spec = packed(in_folder("torn.h5"));
    make_three_states(&spec, work);
    CU_ASSERT(whole_log.n > 4096 + 100);
    for (size_t n = 0; n <= whole_log.n; n += n < 1200 ? 9 : n < whole_log.n - 40 ? 97 : 1) {
        restore(work, whole_log.bytes, n);
        uint64_t state = state_found(&spec, work);
        CU_ASSERT_EQUAL(state, n == whole_log.n ? 3 : n < 512 + 80 ? 0 : n < 1024 + 80 ? state : 2);
    }
    bq_output_remove_left(work);
}

static void bits_that_flip_in_a_log_do_no_harm(void)
{
    char work[400], log[sizeof whole_log.bytes];
    int n_states[4] = {0};
    struct bq_output_spec spec = packed(in_folder("flip.h5"));
    make_three_states(&spec, work);
    random_start(4);
    for (int i = 0; i < 600; i++) {
        memcpy(log, whole_log.bytes, whole_log.n);
        uint64_t at = i < 200   ? 512 + random_below(80)
                      : i < 400 ? 1024 + random_below(80)
                                : 4096 + random_below(whole_log.n - 4096);
        log[at] ^= (char)(1 << random_below(8));
        restore(work, log, whole_log.n);
        uint64_t state = state_found(&spec, work);
        CU_ASSERT_FATAL(state < 4);
        n_states[state]++;
    }
    printf("(%d %d %d) ", n_states[0], n_states[2], n_states[3]);
    CU_ASSERT_EQUAL(n_states[0] + n_states[1], 0);
    bq_output_remove_left(work);
}

/* A record that is whole and lies. */
static void a_log_that_points_outside_is_damage(void)
{
    char work[400];
    struct bq_error err = {.text = ""};
    struct bq_output_spec spec = packed(in_folder("lie.h5"));
    make_three_states(&spec, work);
    const struct {
        uint64_t address, end;
    } lie[] = {{whole_work.n, whole_work.n},
               {whole_work.n - 3, whole_work.n},
               {UINT64_MAX - 1, whole_work.n},
               {0, whole_work.n + 1},
               {8, 10},
               {UINT64_C(1) << 62, UINT64_MAX}};
    for (size_t i = 0; i < sizeof lie / sizeof *lie; i++) {
        struct store_overlay overlay = {0};
        struct store_log log;
        restore(work, whole_log.bytes, whole_log.n);
        int fd = open(work, O_RDWR);
        CU_ASSERT_EQUAL(store_log_replay(&log, log_of(work), fd, spec.file, &err), 0);
        CU_ASSERT_EQUAL(store_overlay_put(&overlay, lie[i].address, "lies", 4), 0);
        CU_ASSERT_EQUAL(store_log_append(&log, &overlay, lie[i].end, true), 0);
        store_overlay_clear(&overlay);
        store_log_close(&log);
        close(fd);
        struct copy before, after;
        load(work, &before);
        expect_refusal(&spec, work,
                       "lie.h5: the log '.lie.h5.banquet-XXXXXX.log' of its work file is damaged; "
                       "it has to be made anew");
        load(work, &after);
        CU_ASSERT(before.n == after.n && memcmp(before.bytes, after.bytes, before.n) == 0);
    }
    bq_output_remove_left(work);
}

static void damage_of_the_file_is_told(void)
{
    char work[400];
    struct bq_output_spec spec = packed(in_folder("bad.h5"));
    make_three_states(&spec, work);
    memset(whole_work.bytes, 'x', 2048);
    for (size_t cut = 0; cut < 2; cut++) {
        whole_log.n = 4096 + 64; /* without the record, which has the first bytes */
        restore(work, whole_log.bytes, whole_log.n);
        CU_ASSERT_EQUAL(state_found(&spec, work), 0);
        whole_work.n = cut ? whole_work.n : 700;
    }
    bq_output_remove_left(work);
}

/* -- disk full ---------------------------------------------------------------------------- */

static int sync_on_a_full_disk(bool to_disk)
{
    struct bq_error err = {.text = ""};
    char work[400];
    struct rlimit limit, old;
    struct bq_output_spec spec = packed(in_folder("full.h5"));
    struct bq_output *output = create(&spec, work);
    place(output, 0, 10);
    sync_it(output, to_disk);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    place(output, 10, 11);
    limit.rlim_cur = 4100; /* the log has no room for a record */
    setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; i < 2; i++) {
        if (bq_output_sync(output, to_disk, &err) != -1 || err.exit != BQ_EXIT_FAILED)
            return 1;
        if (strcmp(message(&err),
                   "full.h5:/maps/data: cannot sync its work file: File too large; "
                   "free some space there, or write the output somewhere else") != 0) {
            puts(message(&err));
            return 2;
        }
    }
    setrlimit(RLIMIT_FSIZE, &old);
    if (bq_output_state(output) != 1)
        return 3;
    place(output, 11, 20);
    sync_it(output, to_disk);
    place(output, 20, 21);
    setrlimit(RLIMIT_FSIZE, &limit);
    if (bq_output_sync(output, to_disk, &err) != -1)
        return 4;
    bq_output_leave(output);
    setrlimit(RLIMIT_FSIZE, &old);
    output = resume(&spec, work);
    if (bq_output_state(output) != 2)
        return 5;
    place(output, 20, N);
    setrlimit(RLIMIT_FSIZE, &limit);
    if (bq_output_commit(output, &err) != -1)
        return 6;
    setrlimit(RLIMIT_FSIZE, &old);
    return n_files("full.h5") + n_files(".full.h5") == 0 ? 0 : 7;
}

static void a_sync_on_a_full_disk_is_told_and_may_be_tried_again(void)
{
    for (int to_disk = 0; to_disk < 2; to_disk++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0)
            _exit(sync_on_a_full_disk(to_disk));
        int status = -1;
        CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
        CU_ASSERT_EQUAL(status, 0);
    }
}

int main(void)
{
    const struct test tests[] = {
        {"what was synced is found and finished", what_was_synced_is_found_and_finished},
        {"a sync with nothing to do makes a state, too",
         a_sync_with_nothing_to_do_makes_a_state_too},
        {"many syncs do not make a long log", many_syncs_do_not_make_a_long_log},
        {"discard and remove_left remove the log, too", discard_and_remove_left_remove_the_log_too},
        {"direct writes are found, too", direct_writes_are_found_too},
        {"a contiguous dataset is as long as it says", a_contiguous_dataset_is_as_long_as_it_says},
        {"a large index is read back between syncs", a_large_index_is_read_back_between_syncs},
        {"a file that gets shorter is whole until it is",
         a_file_that_gets_shorter_is_whole_until_it_is},
        {"what lies behind the end of the file is forgotten",
         what_lies_behind_the_end_of_the_file_is_forgotten},
        {"an overlay is what was put there", an_overlay_is_what_was_put_there},
        {"a dataset that would be made otherwise is refused, and stays",
         a_dataset_that_would_be_made_otherwise_is_refused_and_stays},
        {"a file that is not ours to resume is refused",
         a_file_that_is_not_ours_to_resume_is_refused},
        {"a log that is torn is as the sync before", a_log_that_is_torn_is_as_the_sync_before},
        {"bits that flip in a log do no harm", bits_that_flip_in_a_log_do_no_harm},
        {"a log that points outside is damage", a_log_that_points_outside_is_damage},
        {"damage of the file is told", damage_of_the_file_is_told},
        {"a sync on a full disk is told, and may be tried again",
         a_sync_on_a_full_disk_is_told_and_may_be_tried_again},
        {"nothing is left open in HDF5", nothing_is_left_open_in_hdf5},
    };
    fixture_begin();
    int rc = run_tests("store, resume", tests, sizeof tests / sizeof *tests);
    fixture_end();
    return rc;
}
