/* The seeds of fuzz_frames, fuzz_job, fuzz_journal and fuzz_log; see make_corpus.c. Checksums are
 * set by the targets, which know the machine. */
#include "make_corpus.h"

#include "adapters/store_log_format.h"
#include "base/bytes.h"
#include "core/checkpoint.h"
#include "core/journal.h"
#include "core/number.h"
#include "run/resume_internal.h"

static unsigned char out[20000];

static void save_written(const char *what, const char *name, const struct bq_writer *w)
{
    MUST(!w->is_bad);
    save(what, name, out, (size_t)(w->at - out));
}

/* -- frames ------------------------------------------------------------------------------- */

static void put_frame(struct bq_writer *w, uint32_t size, uint32_t n)
{
    bq_put_u32(w, size);
    for (uint32_t i = 0; i < n; i++)
        bq_put_u8(w, (uint8_t)i);
}

static struct bq_writer begin_frames(int n, const unsigned *sizes)
{
    struct bq_writer w = bq_writer(out, sizeof out);
    bq_put_u8(&w, (uint8_t)n);
    for (int i = 0; i < n; i++) {
        bq_put_u8(&w, (uint8_t)sizes[i]);
        bq_put_u8(&w, (uint8_t)(sizes[i] >> 8));
    }
    return w;
}

static void make_frames(void)
{
    struct bq_writer w = begin_frames(0, NULL);
    for (uint32_t i = 0; i < 5; i++)
        put_frame(&w, i * i, i * i);
    save_written("frames", "small", &w);
    w = begin_frames(3, (unsigned[]){1, 3, 0});
    for (uint32_t i = 0; i < 5; i++)
        put_frame(&w, i * i, i * i);
    save_written("frames", "in-pieces", &w);
    w = begin_frames(2, (unsigned[]){5000, 70});
    put_frame(&w, 12000, 12000);
    put_frame(&w, 3, 3);
    save_written("frames", "large", &w);
    w = begin_frames(1, (unsigned[]){300});
    put_frame(&w, 66000, 900); /* more than the buffer has room for */
    save_written("frames", "torn", &w);
    w = begin_frames(0, NULL);
    put_frame(&w, 0x80000000u, 20);
    save_written("frames", "of-more-than-there-may-be", &w);
    w = begin_frames(0, NULL);
    put_frame(&w, 0x7fffffffu, 20);
    save_written("frames", "of-2-gib", &w);
}

/* -- jobs --------------------------------------------------------------------------------- */

enum { INPUT, OUTPUT, SCHEDULE, COOKS, OPEN, CHUNK, MEMORY, SET };

static const struct {
    const char *name, *text;
    int n_over;
    struct {
        int kind;
        const char *text;
    } over[8];
} jobs[] = {
    {"brighten",
     "# comment\nname: first\nkernel: brighten\nparams: {gain: 1.5, offset: -4}\n"
     "input: {file: photo.h5, dataset: /photo}\noutput: out.h5:/photo\nchunk: [512, 256]\n"
     "schedule: {policy: dynamic, block: 4}\ncooks: 3\nopen: 40\nteam: false\ndelivery: shared\n"
     "memory: 1.5 GiB\non_error: skip\nisolate: process\nattempts: 5\ndeadline: 2.5\n",
     8,
     {{INPUT, "a.h5:/b"},
      {OUTPUT, "b.h5:/c"},
      {SCHEDULE, "cyclic:2"},
      {COOKS, "2"},
      {OPEN, "1"},
      {CHUNK, "8x9"},
      {MEMORY, "2GiB"},
      {SET, "params.gain=1.25"}}},
    {"anchors",
     "steps:\n  - &one\n    name: light\n    kernel: brighten\n    params: &p\n      gain: 2\n"
     "    input: &in a.h5:/x\n    output: o.h5:/x\n    chunk: 8x8\n  - <<: *one\n    name: two\n"
     "    params: {<<: *p}\n    input: *in\n    output: {file: p.h5, dataset: d, compress: "
     "zstd:3,\n"
     "      shuffle: auto, layout: sharded}\n",
     2,
     {{SET, "two.params.gain=1"}, {SET, "light.output.compress=lz4"}}},
    {"loop",
     "steps:\n- name: train\n  repeat: 10\n  until: {reduction: assign.moved, relation: below, "
     "value: 1e-4}\n  steps:\n  - name: start\n    kernel: kmeans_start\n    input: p.h5:/p\n"
     "  - name: assign\n    kernel: kmeans\n    input: p.h5:/p\n    uses: {centres: "
     "start.centres}\n"
     "    next: {centres: assign.centres}\n",
     1,
     {{SET, "train.repeat=3"}}},
    {"pipeline",
     "kernel: blur\ninput: a.h5:/a\noutput: b.h5:/b\nborder: constant:3\n"
     "pipeline: {read: 1, kernel: 2, encode: 1, write: 1}\n",
     1,
     {{SET, "pipeline=off"}}},
    {"matrix",
     "kernel: convolve\nparams:\n  weights: [[0, 1, 0], [1, 4, 1], [0, 1, 0]]\ninput: a.h5:/a\n"
     "output: b.h5:/b\nborder: reflect\n",
     1,
     {{SET, "params.weights=1,2,3"}}},
    {"makes", "kernel: mandelbrot\noutput: m.h5:/m\nrepeat: 2\n", 0, {{0}}},
    {"own", "kernel: ./x.c\ninput: a.h5:/a\n", 0, {{0}}},
    {"tags",
     "%YAML 1.2\n---\n? kernel\n: \"ov\\x65n\"\n? params\n: n: !!int 3\n  wait_ms: >-\n    "
     "40\n...\n",
     0,
     {{0}}},
};

static void make_jobs(void)
{
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        struct bq_writer w = bq_writer(out, sizeof out);
        bq_put_u8(&w, (uint8_t)jobs[i].n_over);
        for (int k = 0; k < jobs[i].n_over; k++) {
            bq_put_u8(&w, (uint8_t)jobs[i].over[k].kind);
            bq_put_bytes(&w, jobs[i].over[k].text, strlen(jobs[i].over[k].text) + 1);
        }
        bq_put_bytes(&w, jobs[i].text, strlen(jobs[i].text));
        save_written("job", jobs[i].name, &w);
    }
}

/* -- what an earlier run left ------------------------------------------------------------- */

static void save_journal(const char *name, unsigned how, const struct bq_journal_head *head, int n)
{
    unsigned char bytes[BQ_JOURNAL_HEAD];
    static const char result[200] = "a result";
    struct bq_writer w = bq_writer(out, sizeof out);
    size_t size = bq_record_bytes(head->result_size);
    bq_put_u8(&w, 0);
    bq_put_u8(&w, (uint8_t)how);
    bq_journal_head_put(bytes, head);
    bq_put_bytes(&w, bytes, sizeof bytes);
    for (int i = 0; i < n; i++) {
        bool is_mark = head->needs_mark && i % 4 == 3;
        struct bq_record record = {is_mark, {(uint64_t)i * 2, (unsigned)i % 2}, result};
        MUST((size_t)(w.end - w.at) >= size && head->result_size <= sizeof result);
        bq_record_put(w.at, (uint64_t)i, head->result_size, &record);
        w.at += size;
    }
    save_written("journal", name, &w);
}

static void make_journals(void)
{
    struct bq_journal_head head = {
        .of = {{{1}}, {{2}}, {{3}}}, .step = 1, .n_chunks = 40, .result_size = 16};
    save_journal("journal", 3, &head, 7);
    save_journal("journal-of-no-records", 3, &head, 0);
    save("journal", "journal-without-its-head", out, 200);
    strcpy(head.work, ".out.h5.banquet-aB3dE6");
    head.needs_mark = true;
    save_journal("journal-with-marks", 3, &head, 10);
    head.result_size = 0;
    save_journal("journal-of-no-results", 3, &head, 10);
    head.result_size = 150;
    head.n_chunks = UINT64_MAX;
    save_journal("journal-as-it-is", 0, &head, 5);
    head.n_chunks = 0;
    save_journal("journal-of-no-chunks", 3, &head, 4);
    head.result_size = UINT64_C(1) << 32;
    save_journal("journal-of-large-results", 3, &head, 0);
}

static struct bq_checkpoint checkpoint;

static void make_checkpoints(void)
{
    static uint64_t counts[3] = {1, 0, UINT64_MAX};
    static double centres[2] = {-1e300, 0.5};
    static struct bq_result results[] = {
        {.name = "count", .kind = BQ_RESULT_INTEGER, .integer = 77},
        {.name = "mean", .kind = BQ_RESULT_REAL, .real = -0.25},
        {.name = "counts", .kind = BQ_RESULT_SERIES, .series = counts, .n_series = 3},
        {.name = "centres", .kind = BQ_RESULT_REALS, .reals = centres, .n_series = 2}};
    static struct bq_given_up given_up[] = {{4, "round 2: a reason"}, {9, ""}};
    checkpoint = (struct bq_checkpoint){
        .n_steps = 3, .round = {0, 4}, .spent_ns = {0, 5}, .end = {0, BQ_LOOP_ENDED_SHORT}};
    checkpoint.steps[0] = (struct bq_checkpoint_step){.is_kept = true,
                                                      .is_done = true,
                                                      .digest = "0123456789abcdef",
                                                      .n_results = 4,
                                                      .results = results,
                                                      .out_size = 3,
                                                      .out_ns = 4,
                                                      .like = -1};
    checkpoint.steps[1] = (struct bq_checkpoint_step){.is_kept = true,
                                                      .n_given_up_total = 1000,
                                                      .n_given_up = 2,
                                                      .given_up = given_up,
                                                      .state = ".out.h5.banquet-resume-1-0-0",
                                                      .layout = {.space = {2, {300, 257}},
                                                                 .number = bq_number_of(BQ_F32),
                                                                 .chunk = {2, {50, 70}}},
                                                      .like = 1};
    resume_hash("state", 5, &checkpoint.steps[1].state_hash);
    for (unsigned how = 0; how < 4; how++) {
        char name[40];
        struct bq_writer w = bq_writer(out, sizeof out);
        bq_put_u8(&w, 1);
        bq_put_u8(&w, (uint8_t)how);
        bq_checkpoint_put(&w, &checkpoint);
        snprintf(name, sizeof name, "checkpoint-%u", how);
        save_written("journal", name, &w);
    }
}

static void make_locks(void)
{
    static const char *const texts[] = {
        "", "1 0123456789abcdef0123456789abcdef node-1\n/.out.h5.banquet-aaaaaa\n",
        "/.out.h5.banquet-aaaaaa\n/.out.h5.banquet-needed\n/out.h5\n/.hidden\n/other.h5",
        "/.out.h5.banquet-needed/\n//.out.h5.banquet-needed\n/./.out.h5.banquet-needed.log\n/\n"};
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        char name[40];
        struct bq_writer w = bq_writer(out, sizeof out);
        bq_put_u8(&w, 2);
        bq_put_u8(&w, i == 1 ? 0 : 3);
        bq_put_bytes(&w, texts[i], strlen(texts[i]));
        snprintf(name, sizeof name, "lock-%u", i);
        save_written("journal", name, &w);
    }
}

/* -- logs --------------------------------------------------------------------------------- */

enum { WORK = 300 };

static void put_mark(unsigned char *log, uint64_t turn, uint64_t state, uint64_t end,
                     bool is_durable)
{
    struct bq_writer w = bq_writer(log + MARKS_AT * (1 + turn % 2), MARK_BYTES);
    bq_put_u64(&w, MARK_MAGIC);
    bq_put_u64(&w, 0);
    bq_put_u64(&w, turn);
    bq_put_u64(&w, state);
    bq_put_u64(&w, end);
    bq_put_u64(&w, is_durable ? IS_DURABLE : 0);
}

static size_t put_record(unsigned char *at, uint64_t state, int n_runs, bool is_durable)
{
    struct bq_writer w = bq_writer(at, 2000);
    bq_put_u64(&w, RECORD_MAGIC);
    bq_put_u64(&w, is_durable ? IS_DURABLE : 0);
    bq_put_u64(&w, state);
    bq_put_u64(&w, (uint64_t)n_runs * (RUN_HEAD + 10));
    bq_put_u64(&w, WORK);
    w.at += SUM_BYTES;
    for (int i = 0; i < n_runs; i++) {
        bq_put_u64(&w, (uint64_t)(50 * i));
        bq_put_u32(&w, 10);
        bq_put_bytes(&w, "new bytes!", 10);
    }
    return (size_t)(w.at - at);
}

static void save_log(const char *name, unsigned how, const unsigned char *log, size_t n)
{
    unsigned char work[WORK] = "the work file";
    struct bq_writer w = bq_writer(out, sizeof out);
    bq_put_u8(&w, (uint8_t)how);
    bq_put_u8(&w, WORK & 255);
    bq_put_u8(&w, WORK >> 8);
    bq_put_bytes(&w, work, sizeof work);
    bq_put_bytes(&w, log, n);
    save_written("log", name, &w);
}

static void make_logs(void)
{
    static unsigned char log[RECORDS_AT + 4000];
    size_t n = RECORDS_AT, n_first;
    put_mark(log, 1, 1, RECORDS_AT, false);
    save_log("new", 15, log, n);
    save_log("as-it-is", 0, log, n);
    n_first = put_record(log + n, 2, 3, false);
    n += n_first;
    save_log("one-record", 15, log, n);
    n += put_record(log + n, 3, 6, true);
    n += put_record(log + n, 4, 1, false);
    save_log("three-records", 15, log, n);
    save_log("of-another-boot", 11, log, n);
    save_log("of-another-file", 13, log, n);
    save_log("torn", 15, log, n - 7);
    put_mark(log, 2, 2, RECORDS_AT + n_first, true);
    save_log("two-marks", 15, log, n);
    save_log("short", 15, log, 900);
    put_mark(log, 2, 2, UINT64_C(1) << 62, true);
    save_log("mark-far-behind-the-end", 15, log, n);
    put_mark(log, UINT64_MAX, UINT64_MAX, RECORDS_AT, true);
    save_log("last-turn", 15, log, n);
}

void make_left(void)
{
    make_frames();
    make_jobs();
    make_journals();
    make_checkpoints();
    make_locks();
    make_logs();
}
