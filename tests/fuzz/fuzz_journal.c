/* What an earlier run of a job left: the journal of a step, the checkpoint, and the lock that says
 * what else there is. Each as bytes, and as the file that the program finds.
 *
 * The input: which of them it is, and what is made right before (bits); then its bytes. */
#include "folder.h"

#include <xxhash.h>

#include "adapters/store.h"
#include "base/heap.h"
#include "core/journal.h"
#include "run/job_shape.h"
#include "run/journal.h"
#include "run/resume_internal.h"

enum what { JOURNAL, CHECKPOINT, LOCK };
enum { HEAD_SUM = 1, RECORD_SUMS = 2 };          /* of a journal */
enum { OF_THIS_JOB = 1, OF_THIS_OUTPUT = 2 };    /* of a checkpoint */
enum { OF_THIS_MACHINE = 1, IN_THE_FOLDER = 2 }; /* of a lock */

#define MOST (1u << 20) /* bytes of a file */

/* -- journals ----------------------------------------------------------------------------- */

static void seal(unsigned char *at, size_t n, uint64_t seed)
{
    struct bq_writer w = bq_writer(at + n, sizeof(uint64_t));
    bq_put_u64(&w, XXH3_64bits_withSeed(at, n, seed));
}

static void seal_journal(unsigned char *bytes, size_t n, unsigned how)
{
    struct bq_journal_head head;
    if (n < BQ_JOURNAL_HEAD)
        return;
    if (how & HEAD_SUM)
        seal(bytes, BQ_JOURNAL_HEAD - sizeof(uint64_t), 0);
    if (bq_journal_head_get(bytes, &head) < 0 || !(how & RECORD_SUMS))
        return;
    size_t size = bq_record_bytes(head.result_size);
    for (size_t i = 0; i < (n - BQ_JOURNAL_HEAD) / size; i++)
        seal(bytes + BQ_JOURNAL_HEAD + i * size, size - sizeof(uint64_t), i + 1);
}

/* What was read can be written, and is read as the same. */
static void put_head_again(const unsigned char *bytes)
{
    struct bq_journal_head head, again;
    unsigned char *out[2] = {exactly(BQ_JOURNAL_HEAD), exactly(BQ_JOURNAL_HEAD)};
    if (bq_journal_head_get(bytes, &head) == 0) {
        bq_journal_head_put(out[0], &head);
        MUST(bq_journal_head_get(out[0], &again) == 0);
        bq_journal_head_put(out[1], &again);
        MUST(memcmp(out[0], out[1], BQ_JOURNAL_HEAD) == 0);
        MUST(!strchr(head.work, '/') && head.n_chunks == again.n_chunks);
    }
    free(out[0]);
    free(out[1]);
}

/* A file without a head is none; else it is one, or there is an error. */
static struct bq_journal *open_journal(const char *path, bool has_head)
{
    struct bq_error err = {0};
    struct bq_journal *journal = bq_journal_open(path, &err);
    MUST((journal != NULL) + (err.text[0] != 0) == has_head);
    return journal;
}

/* The records that count, as a hash and their number; each is possible and has its own result. */
static uint64_t read_records(struct bq_journal *journal, uint64_t *n)
{
    const struct bq_journal_head *head = bq_journal_head(journal);
    struct bq_record record;
    uint64_t sum = 0;
    *n = 0;
    while (bq_journal_next(journal, &record)) {
        MUST(!record.is_mark && record.node.first < head->n_chunks);
        MUST(bq_node_size(record.node) <= head->n_chunks - record.node.first);
        MUST(record.node.first % bq_node_size(record.node) == 0);
        sum = XXH3_64bits_withSeed(record.result, (size_t)head->result_size,
                                   sum + record.node.first + record.node.level);
        ++*n;
    }
    MUST(*n == 0 || !bq_journal_is_empty(journal));
    MUST(!bq_journal_next(journal, &record));
    return sum;
}

/* It goes on: what counted counts, and so does what is added. */
static void go_on(struct bq_journal *journal, const char *path, uint64_t n, uint64_t sum)
{
    const struct bq_journal_head *head = bq_journal_head(journal);
    struct bq_error err = {0};
    size_t size = (size_t)head->result_size;
    unsigned char *result = exactly(size);
    struct bq_node last = {.first = head->n_chunks - 1};
    uint64_t n_now, before;
    memset(result, 7, size);
    MUST(bq_journal_go_on(journal, &err) == 0);
    for (int i = 0; i < 3 && head->n_chunks; i++) {
        MUST(bq_journal_add(journal, last, result, &err) == 0);
        sum = XXH3_64bits_withSeed(result, size, sum + last.first);
    }
    MUST(bq_journal_mark(journal, false, &err) == 0);
    bq_journal_close(journal);
    journal = open_journal(path, true);
    MUST(journal);
    before = read_records(journal, &n_now);
    MUST(before == sum && n_now == n + (bq_journal_head(journal)->n_chunks ? 3 : 0));
    bq_journal_close(journal);
    free(result);
}

static void try_journal(unsigned how, const void *given, size_t n)
{
    unsigned char *bytes = exact_copy(given, n);
    const char *path = in_fuzz_folder("journal");
    seal_journal(bytes, n, how);
    if (n >= BQ_JOURNAL_HEAD)
        put_head_again(bytes);
    fuzz_put_file(path, bytes, n);
    free(bytes);
    struct bq_journal *journal = open_journal(path, n >= BQ_JOURNAL_HEAD);
    if (!journal)
        return;
    uint64_t n_records, sum = read_records(journal, &n_records);
    if (bq_journal_head(journal)->result_size <= MOST) /* the program knows how large results are */
        go_on(journal, path, n_records, sum);
    else
        bq_journal_close(journal);
}

/* -- checkpoints -------------------------------------------------------------------------- */

static void put_checkpoint_again(const unsigned char *bytes, size_t n)
{
    static struct bq_checkpoint first, second;
    struct bq_reader r = bq_reader(bytes, n);
    int rc = bq_checkpoint_get(&r, &first);
    if (rc == 0) {
        size_t room = bq_checkpoint_bytes(&first);
        unsigned char *out[2] = {exactly(room), exactly(room)};
        struct bq_writer w = bq_writer(out[0], room);
        bq_checkpoint_put(&w, &first);
        size_t n_out = (size_t)(w.at - out[0]);
        r = bq_reader(out[0], n_out);
        MUST(!w.is_bad && bq_checkpoint_get(&r, &second) == 0);
        w = bq_writer(out[1], room);
        bq_checkpoint_put(&w, &second);
        MUST((size_t)(w.at - out[1]) == n_out && memcmp(out[0], out[1], n_out) == 0);
        bq_checkpoint_free(&second);
        free(out[0]);
        free(out[1]);
    }
    bq_checkpoint_free(&first);
}

/* A job of three steps and a loop, one with an output in the folder. */
static struct bq_job *job(void)
{
    static const struct bq_kernel kernel = {
        .abi = BQ_KERNEL_ABI, .flags = BQ_READS | BQ_WRITES, .name = "fuzz"};
    static struct bq_loop loop = {.first = 1, .n = 2, .repeat = 5};
    static struct bq_step steps[3];
    static struct bq_job job = {
        .file = "job.yaml", .n_steps = 3, .steps = steps, .n_loops = 1, .loops = &loop};
    static char out[100];
    snprintf(out, sizeof out, "%s", in_fuzz_folder("out.h5"));
    steps[0] = (struct bq_step){.name = "a", .kernel = &kernel, .attempts = 1};
    steps[1] = (struct bq_step){.name = "b", .kernel = &kernel, .attempts = 1};
    steps[2] = (struct bq_step){.name = "c", .kernel = &kernel, .attempts = 1};
    steps[0].output = (struct bq_place){.file = out, .dataset = "/d"};
    return &job;
}

static void put_file_with_hash(const char *path, unsigned char *bytes, size_t n)
{
    struct bq_hash hash;
    resume_hash(bytes, n, &hash);
    memcpy(bytes + n, hash.bytes, sizeof hash);
    fuzz_put_file(path, bytes, n + sizeof hash);
}

/* The journal of step 0, beside which lies the work file that it needs. */
static void put_neighbours(void)
{
    unsigned char bytes[BQ_JOURNAL_HEAD + 64];
    struct bq_journal_head head = {.n_chunks = 1, .work = ".out.h5.banquet-needed"};
    bq_journal_head_put(bytes, &head);
    bq_record_put(bytes + BQ_JOURNAL_HEAD, 0, 0, &(struct bq_record){.result = ""});
    fuzz_put_file(in_fuzz_folder(".out.h5.banquet-journal-0"), bytes,
                  BQ_JOURNAL_HEAD + bq_record_bytes(0));
    fuzz_put_file(in_fuzz_folder(".out.h5.banquet-needed"), "work", 4);
    fuzz_put_file(in_fuzz_folder(".out.h5.banquet-needed.log"), "log", 3);
    fuzz_put_file(in_fuzz_folder("out.h5"), "old", 3);
    fuzz_put_file(in_fuzz_folder("other.h5"), "a user's", 8);
    fuzz_put_file(in_fuzz_folder(".hidden"), "a user's", 8);
}

/* What nobody but their owner may remove. */
static void look_at_neighbours(void)
{
    static const char *const names[] = {".out.h5.banquet-needed", ".out.h5.banquet-needed.log",
                                        "out.h5", "other.h5", ".hidden"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        MUST(access(in_fuzz_folder(names[i]), F_OK) == 0);
}

/* As the program begins: what was left is found and looked through, what is not needed removed. */
static void begin(void)
{
    struct bq_error err = {0};
    struct bq_resume_options options = {.version = "0", .every_s = 1};
    struct bq_resume *resume = bq_resume_open(job(), &options, &err);
    MUST(!resume == (err.text[0] != 0));
    bq_resume_begin(resume);
    bq_resume_close(resume);
}

/* Where a checkpoint has the hashes of its job, and the output of its first step. */
enum { OF_AT = 8, OUTPUT_AT = OF_AT + sizeof(struct bq_checkpoint_of) + 4 + 17 + 1 };

static void seal_checkpoint(unsigned char *bytes, size_t n, unsigned how)
{
    struct bq_checkpoint_of of;
    uint64_t size, time_ns;
    MUST(bq_job_shape(job(), "0", &of, NULL) == 0);
    if (how & OF_THIS_JOB && n >= OF_AT + sizeof of)
        memcpy(bytes + OF_AT, &of, sizeof of);
    if (!(how & OF_THIS_OUTPUT) || n < OUTPUT_AT + 16)
        return;
    bq_file_stamp(in_fuzz_folder("out.h5"), &size, &time_ns);
    struct bq_writer w = bq_writer(bytes + OUTPUT_AT, 16);
    bq_put_u64(&w, size);
    bq_put_u64(&w, time_ns);
}

static void try_checkpoint(unsigned how, const void *given, size_t n)
{
    unsigned char *bytes = exactly(n + sizeof(struct bq_hash));
    memcpy(bytes, given, n);
    put_neighbours();
    unlink(in_fuzz_folder(".out.h5.banquet-journal-0")); /* it would be another job's */
    seal_checkpoint(bytes, n, how);
    put_checkpoint_again(bytes, n);
    put_file_with_hash(in_fuzz_folder(".out.h5.banquet-resume"), bytes, n);
    fuzz_put_file(in_fuzz_folder(".out.h5.banquet-resume-1-0-0"), "state", 5);
    begin();
    look_at_neighbours();
    fuzz_empty_folder();
    free(bytes);
}

/* -- locks -------------------------------------------------------------------------------- */

/* A lock that this machine's name stands in, and whose paths lie in the folder. */
static void put_lock(unsigned how, const char *text, size_t n)
{
    char host[64] = "";
    FILE *file = fopen(in_fuzz_folder(".out.h5.banquet-resume-lock"), "w");
    MUST(file);
    gethostname(host, sizeof host - 1);
    if (how & OF_THIS_MACHINE)
        fprintf(file, "4711 0123456789abcdef0123456789abcdef %s\n", host);
    for (size_t i = 0; i < n; i++) {
        if (how & IN_THE_FOLDER && text[i] == '/' && (i == 0 || text[i - 1] == '\n'))
            fputs(fuzz_folder, file);
        fputc(text[i], file);
    }
    MUST(fclose(file) == 0);
}

static void try_lock(unsigned how, const char *text, size_t n)
{
    char lock[100], path[100];
    struct resume_holder holder;
    put_neighbours();
    fuzz_put_file(in_fuzz_folder(".out.h5.banquet-aaaaaa"), "work", 4);
    fuzz_put_file(in_fuzz_folder(".out.h5.banquet-aaaaaa.log"), "log", 3);
    snprintf(lock, sizeof lock, "%s", in_fuzz_folder(".out.h5.banquet-resume-lock"));
    snprintf(path, sizeof path, "%s", in_fuzz_folder(".out.h5.banquet-resume"));
    put_lock(how, text, n);
    struct bq_resume resume = {.path = path, .lock_path = lock, .lock = -1, .every_s = 1};
    MUST(resume_lock(&resume, &holder) == 0);
    MUST(memchr(holder.job, 0, sizeof holder.job) && memchr(holder.host, 0, sizeof holder.host));
    look_at_neighbours();
    bq_resume_note(&resume, in_fuzz_folder("out.h5"));
    struct bq_resume other = {.path = path, .lock_path = lock, .lock = -1, .every_s = 1};
    MUST(resume_lock(&other, &holder) == 1 && holder.pid == (unsigned)getpid());
    resume_unlock(&resume);
    look_at_neighbours();
    fuzz_empty_folder();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n < 2 || n > MOST)
        return 0;
    unsigned how = bytes[1];
    char *text = exact_copy(bytes + 2, n - 2);
    in_fuzz_folder("");
    switch ((enum what)(bytes[0] % 3)) {
    case JOURNAL:
        try_journal(how, text, n - 2);
        break;
    case CHECKPOINT:
        try_checkpoint(how, text, n - 2);
        break;
    case LOCK:
        try_lock(how, text, n - 2);
        break;
    }
    free(text);
    return 0;
}
