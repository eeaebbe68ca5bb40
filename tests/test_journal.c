/* The journal of a step: what was added comes back, or is known to be damaged; never a wrong
 * record, whatever happened to the file. */
#include "run/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/heap.h"
#include "cunit.h"

enum { MANY = 64, MOST_BYTES = 1 << 21 };

static char folder[] = "/tmp/banquet-journal-XXXXXX";
static char path[80];

static struct bq_journal_head head_of(uint64_t result_size, bool needs_mark)
{
    struct bq_journal_head head = {.of = {{{1, [15] = 9}}, {{2}}, {{3}}},
                                   .step = 7,
                                   .n_chunks = 1000,
                                   .result_size = result_size,
                                   .needs_mark = needs_mark};
    strcpy(head.work, needs_mark ? ".out.h5.banquet-a1b2c3" : "");
    return head;
}

/* -- records that say which they are ------------------------------------------------------ */

/* Chunks 8 i .. : every third record is of 4 of them. */
static struct bq_node node_of(int i)
{
    return (struct bq_node){.first = 8 * (uint64_t)i, .level = i % 3 == 2 ? 2 : 0};
}

static const void *result_of(int i, size_t size)
{
    static unsigned char bytes[100000];
    for (size_t k = 0; k < size; k++)
        bytes[k] = (unsigned char)(i * 37 + (int)(k % 251));
    return bytes;
}

/* Its number if it is one of ours, as it was added; -1: it is wrong. */
static int number_of(const struct bq_record *record, size_t size)
{
    int i = (int)(record->node.first / 8);
    struct bq_node node = node_of(i);
    bool is_right = !record->is_mark && record->node.first == node.first &&
                    record->node.level == node.level &&
                    memcmp(record->result, result_of(i, size), size) == 0;
    return is_right ? i : -1;
}

/* -- journals ----------------------------------------------------------------------------- */

static struct bq_journal *create(uint64_t result_size, bool needs_mark)
{
    struct bq_error err = {.text = ""};
    struct bq_journal_head head = head_of(result_size, needs_mark);
    struct bq_journal *j = bq_journal_create(path, &head, &err);
    CHECK_TEXT(err.text, "");
    CU_ASSERT_FATAL(j != NULL);
    return j;
}

static void add(struct bq_journal *j, int from, int to)
{
    struct bq_error err = {.text = ""};
    size_t size = (size_t)bq_journal_head(j)->result_size;
    for (int i = from; i < to; i++)
        CU_ASSERT_EQUAL(bq_journal_add(j, node_of(i), result_of(i, size), &err), 0);
    CHECK_TEXT(err.text, "");
}

static void mark(struct bq_journal *j, bool to_disk)
{
    struct bq_error err = {.text = ""};
    CU_ASSERT_EQUAL(bq_journal_mark(j, to_disk, &err), 0);
    CHECK_TEXT(err.text, "");
}

static struct bq_journal *open_it(void)
{
    struct bq_error err = {.text = ""};
    struct bq_journal *j = bq_journal_open(path, &err);
    CHECK_TEXT(err.text, "");
    CU_ASSERT_FATAL(j != NULL);
    return j;
}

static void go_on(struct bq_journal *j)
{
    struct bq_error err = {.text = ""};
    CU_ASSERT_EQUAL(bq_journal_go_on(j, &err), 0);
    CHECK_TEXT(err.text, "");
}

/* What comes back, in order: a bit for each number. A wrong record fails the test. */
static uint64_t read_all(struct bq_journal *j)
{
    struct bq_record record;
    size_t size = (size_t)bq_journal_head(j)->result_size;
    uint64_t all = 0;
    for (int last = -1; bq_journal_next(j, &record);) {
        int i = number_of(&record, size);
        CU_ASSERT(i > last && i < MANY);
        last = i;
        all |= i >= 0 && i < MANY ? UINT64_C(1) << i : 0;
    }
    CU_ASSERT_FALSE(bq_journal_next(j, &record));
    return all;
}

/* Of the file as it is now. */
static uint64_t found(void)
{
    struct bq_journal *j = open_it();
    uint64_t all = read_all(j);
    CU_ASSERT(all == 0 || !bq_journal_is_empty(j));
    bq_journal_close(j);
    return all;
}

static uint64_t up_to(int n)
{
    return n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

static const char *message_of_open(void)
{
    static struct bq_error err;
    err.text[0] = 0;
    struct bq_journal *j = bq_journal_open(path, &err);
    CU_ASSERT_PTR_NULL(j);
    bq_journal_close(j);
    bool has_path = strncmp(err.text, path, strlen(path)) == 0;
    return has_path ? err.text + strlen(path) : err.text;
}

/* -- bytes -------------------------------------------------------------------------------- */

static unsigned char bytes[MOST_BYTES];

static size_t load(void)
{
    FILE *file = fopen(path, "rb");
    CU_ASSERT_FATAL(file != NULL);
    size_t n = fread(bytes, 1, sizeof bytes, file);
    CU_ASSERT_FATAL(n < sizeof bytes);
    fclose(file);
    return n;
}

static void save(size_t n)
{
    FILE *file = fopen(path, "wb");
    CU_ASSERT_FATAL(file != NULL);
    CU_ASSERT_EQUAL(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

static size_t place_of(int number, size_t result_size)
{
    return BQ_JOURNAL_HEAD + (size_t)number * bq_record_bytes(result_size);
}

/* A small one: records 0 to 4, of 16 bytes each. With marks: one behind 3 of them and one at the
 * end. */
static void make_small(bool needs_mark)
{
    struct bq_journal *j = create(16, needs_mark);
    add(j, 0, 3);
    mark(j, false);
    add(j, 3, 5);
    mark(j, true);
    bq_journal_close(j);
}

/* -- what comes back ---------------------------------------------------------------------- */

static void what_is_added_and_marked_comes_back(void)
{
    static const uint64_t sizes[] = {0, 16, 100000};
    for (size_t k = 0; k < 6; k++) {
        struct bq_journal *j = create(sizes[k / 2], k % 2);
        CU_ASSERT(bq_journal_is_empty(j));
        add(j, 0, 10);
        mark(j, false);
        CU_ASSERT(!bq_journal_is_empty(j));
        add(j, 10, 13);
        mark(j, true);
        mark(j, true); /* of nothing new */
        bq_journal_close(j);
        CU_ASSERT_EQUAL(found(), up_to(13));
        CU_ASSERT_EQUAL(load(), place_of(k % 2 ? 15 : 13, sizes[k / 2]));
    }
}

static void a_head_comes_back_with_every_field(void)
{
    for (int k = 0; k < 2; k++) {
        struct bq_journal_head head = head_of(16, k);
        struct bq_journal *j = create(16, k);
        bq_journal_close(j);
        j = open_it();
        const struct bq_journal_head *is = bq_journal_head(j);
        CU_ASSERT(memcmp(&is->of, &head.of, sizeof head.of) == 0 && is->step == 7);
        CU_ASSERT(is->n_chunks == 1000 && is->result_size == 16 && is->needs_mark == k);
        CHECK_TEXT(is->work, head.work);
        CU_ASSERT(bq_journal_is_empty(j));
        CU_ASSERT_EQUAL(read_all(j), 0);
        bq_journal_remove(j);
        CU_ASSERT_EQUAL(access(path, F_OK), -1);
    }
    CHECK_TEXT(message_of_open(), ""); /* there is none */
    bq_journal_remove(NULL);
    bq_journal_close(NULL);
}

static void more_records_than_a_buffer_holds_come_back(void)
{
    struct bq_journal *j = create(5000, true);
    add(j, 0, MANY);
    mark(j, false);
    bq_journal_close(j);
    CU_ASSERT_EQUAL(found(), up_to(MANY));
}

/* Full buffers are written before they are marked. */
static void what_is_not_marked_counts_where_no_mark_is_needed(void)
{
    for (int needs_mark = 0; needs_mark < 2; needs_mark++) {
        struct bq_journal *j = create(20000, needs_mark);
        add(j, 0, 5);
        mark(j, false);
        add(j, 5, 14);
        bq_journal_close(j);
        uint64_t all = found();
        if (needs_mark)
            CU_ASSERT_EQUAL(all, up_to(5));
        if (!needs_mark)
            CU_ASSERT(all > up_to(9) && all < up_to(14));
    }
}

static void nothing_marked_is_empty(void)
{
    struct bq_journal *j = create(70000, true);
    add(j, 0, 9);
    CU_ASSERT(bq_journal_is_empty(j));
    bq_journal_close(j);
    CU_ASSERT(load() > place_of(5, 70000));
    j = open_it();
    CU_ASSERT(bq_journal_is_empty(j));
    CU_ASSERT_EQUAL(read_all(j), 0);
    bq_journal_close(j);
}

static void a_result_is_valid_until_the_next(void)
{
    struct bq_record record;
    struct bq_journal *j = create(100000, false);
    add(j, 0, 3);
    mark(j, false);
    bq_journal_close(j);
    j = open_it();
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_FATAL(bq_journal_next(j, &record));
        CU_ASSERT_EQUAL(memcmp(record.result, result_of(i, 100000), 100000), 0);
    }
    bq_journal_close(j);
}

static void a_journal_is_private_and_replaces_an_old_one(void)
{
    struct stat st;
    make_small(false);
    struct bq_journal *j = create(16, false);
    bq_journal_close(j);
    CU_ASSERT(stat(path, &st) == 0 && st.st_size == BQ_JOURNAL_HEAD);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
}

/* -- damage ------------------------------------------------------------------------------- */

/* Whole records that a torn file of n bytes has. */
static int n_whole(size_t n)
{
    return n < BQ_JOURNAL_HEAD ? 0 : (int)((n - BQ_JOURNAL_HEAD) / bq_record_bytes(16));
}

static void a_journal_may_be_torn_at_every_byte(void)
{
    for (int needs_mark = 0; needs_mark < 2; needs_mark++) {
        make_small(needs_mark);
        size_t n = load();
        for (size_t cut = 0; cut <= n; cut++) {
            save(cut);
            if (cut < BQ_JOURNAL_HEAD) { /* as if there were none */
                CHECK_TEXT(message_of_open(), "");
                continue;
            }
            int whole = n_whole(cut);
            int want = !needs_mark ? whole : whole < 4 ? 0 : whole < 7 ? 3 : 5;
            CU_ASSERT_EQUAL(found(), up_to(want));
        }
    }
}

/* What a flip at that byte may cost, and nothing else. Marks are records 3 and 6. */
static uint64_t left_after_flip(size_t at, bool needs_mark)
{
    int hit = n_whole(at);
    if (!needs_mark)
        return up_to(5) & ~(UINT64_C(1) << hit);
    if (hit == 6)
        return up_to(3);
    return hit == 3 ? up_to(5) : up_to(5) & ~(UINT64_C(1) << (hit < 3 ? hit : hit - 1));
}

static void a_flipped_bit_costs_one_record_and_never_makes_another(void)
{
    for (int needs_mark = 0; needs_mark < 2; needs_mark++) {
        make_small(needs_mark);
        size_t n = load();
        for (size_t at = 0; at < n; at++) {
            unsigned char bit = (unsigned char)(1u << at % 8);
            bytes[at] ^= bit;
            save(n);
            if (at < BQ_JOURNAL_HEAD)
                CHECK_TEXT(message_of_open(), ": what an earlier run of this job left is damaged");
            else
                CU_ASSERT_EQUAL(found(), left_after_flip(at, needs_mark));
            bytes[at] ^= bit;
        }
    }
}

static void records_of_the_wrong_number_are_refused(void)
{
    size_t size = bq_record_bytes(16);
    unsigned char kept[100];
    make_small(false);
    size_t n = load();
    CU_ASSERT_FATAL(size <= sizeof kept);
    memcpy(kept, bytes + place_of(1, 16), size);
    memcpy(bytes + place_of(3, 16), kept, size); /* twice */
    save(n);
    CU_ASSERT_EQUAL(found(), up_to(5) & ~UINT64_C(8));
    memcpy(bytes + place_of(1, 16), bytes + place_of(2, 16), size); /* changed places */
    memcpy(bytes + place_of(2, 16), kept, size);
    save(n);
    CU_ASSERT_EQUAL(found(), up_to(5) & ~UINT64_C(14));
    make_small(false); /* one is missing, so all behind it have moved */
    n = load();
    memmove(bytes + place_of(1, 16), bytes + place_of(2, 16), n - place_of(2, 16));
    save(n - size);
    CU_ASSERT_EQUAL(found(), 1);
}

/* Records are seeded with their number alone: what keeps another job's out is the head. */
static void a_head_of_another_job_says_so(void)
{
    make_small(true);
    struct bq_journal *j = open_it();
    struct bq_journal_head head = *bq_journal_head(j);
    bq_journal_close(j);
    for (int k = 0; k < 5; k++) {
        struct bq_journal_head other = head;
        unsigned char *field[] = {other.of.job.bytes, other.of.kernels.bytes, other.of.inputs.bytes,
                                  (unsigned char *)&other.step, (unsigned char *)&other.n_chunks};
        field[k][1] ^= 1;
        load();
        bq_journal_head_put(bytes, &other);
        save(BQ_JOURNAL_HEAD);
        j = open_it();
        const struct bq_journal_head *is = bq_journal_head(j);
        CU_ASSERT(memcmp(&is->of, &head.of, sizeof head.of) != 0 || is->step != head.step ||
                  is->n_chunks != head.n_chunks);
        CU_ASSERT(memcmp(&is->of, &other.of, sizeof head.of) == 0 && is->step == other.step &&
                  is->n_chunks == other.n_chunks);
        bq_journal_close(j);
        make_small(true);
    }
}

/* With a hash that is right, as a hostile file's would be. */
static void a_head_that_cannot_be_is_refused(void)
{
    static const char *const names[] = {"../out.h5", "/etc/passwd", "a/b", "/"};
    struct bq_journal_head head = head_of(16, true), out;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        strcpy(head.work, names[i]);
        bq_journal_head_put(bytes, &head);
        CU_ASSERT_EQUAL(bq_journal_head_get(bytes, &out), -1);
    }
    head = head_of((UINT64_C(1) << 32) + 1, false);
    bq_journal_head_put(bytes, &head);
    CU_ASSERT_EQUAL(bq_journal_head_get(bytes, &out), -1);
    head.result_size--;
    bq_journal_head_put(bytes, &head);
    CU_ASSERT_EQUAL(bq_journal_head_get(bytes, &out), 0);
    save(BQ_JOURNAL_HEAD + 100); /* 4 GiB are not asked for as a file says so */
    bq_heap_fail_at(3);          /* the journal and its path take two */
    CU_ASSERT_EQUAL(found(), 0);
    bq_heap_fail_at(0);
}

/* Also where one record is larger than what is kept before it is written. */
static void a_journal_without_a_whole_record_is_empty_and_goes_on(void)
{
    static const uint64_t sizes[] = {0, 16, 100000};
    for (size_t k = 0; k < 6; k++) {
        uint64_t size = sizes[k / 2];
        for (size_t torn = 0; torn < bq_record_bytes(size); torn += 1 + (size_t)size / 3) {
            struct bq_journal *j = create(size, k % 2);
            bq_journal_close(j);
            CU_ASSERT_EQUAL(truncate(path, (off_t)(BQ_JOURNAL_HEAD + torn)), 0);
            j = open_it();
            CU_ASSERT(bq_journal_is_empty(j));
            CU_ASSERT_EQUAL(read_all(j), 0);
            go_on(j);
            add(j, 0, 2);
            mark(j, false);
            bq_journal_close(j);
            CU_ASSERT_EQUAL(found(), 3);
        }
    }
}

/* With a hash that is right, too. */
static void a_head_of_another_version_is_refused(void)
{
    struct bq_journal_head head = head_of(16, false), out;
    bq_journal_head_put(bytes, &head);
    CHECK_TEXT((char *)bytes, "banquet journal 1\n");
    bytes[16] = '2';
    size_t n = BQ_JOURNAL_HEAD - sizeof(uint64_t);
    struct bq_writer w = bq_writer(bytes + n, sizeof(uint64_t));
    bq_put_u64(&w, XXH3_64bits_withSeed(bytes, n, 0));
    CU_ASSERT_EQUAL(bq_journal_head_get(bytes, &out), -1);
    bytes[16] = '1';
    w = bq_writer(bytes + n, sizeof(uint64_t));
    bq_put_u64(&w, XXH3_64bits_withSeed(bytes, n, 0));
    CU_ASSERT_EQUAL(bq_journal_head_get(bytes, &out), 0);
}

/* Nothing of what lay in memory gets into a file. */
static void every_byte_is_written(void)
{
    struct bq_journal_head head = head_of(100, false);
    struct bq_record records[] = {{.is_mark = true}, {.node = {3, 0}, .result = result_of(1, 100)}};
    unsigned char *two[] = {bytes, bytes + BQ_JOURNAL_HEAD};
    for (int i = 0; i < 2; i++)
        memset(two[i], i ? 0x55 : 0xaa, BQ_JOURNAL_HEAD);
    for (int i = 0; i < 2; i++)
        bq_journal_head_put(two[i], &head);
    CU_ASSERT_EQUAL(memcmp(two[0], two[1], BQ_JOURNAL_HEAD), 0);
    for (size_t k = 0; k < 2; k++) {
        for (int i = 0; i < 2; i++) {
            memset(two[i], i ? 0x55 : 0xaa, BQ_JOURNAL_HEAD);
            bq_record_put(two[i], 9, 100, &records[k]);
        }
        CU_ASSERT_EQUAL(memcmp(two[0], two[1], bq_record_bytes(100)), 0);
    }
}

static void the_longest_name_of_a_work_file_comes_back(void)
{
    struct bq_journal_head head = head_of(16, true), out;
    memset(head.work, 'x', sizeof head.work - 1);
    bq_journal_head_put(bytes, &head);
    CU_ASSERT_EQUAL(bq_journal_head_get(bytes, &out), 0);
    CHECK_TEXT(out.work, head.work);
}

/* Nodes that no plan of so many chunks has, with hashes that are right. */
static void impossible_nodes_are_refused(void)
{
    static const struct {
        struct bq_node node;
        bool is_possible;
    } cases[] = {
        {{0, 0}, true},    {{999, 0}, true},           {{1000, 0}, false}, {{UINT64_MAX, 0}, false},
        {{992, 3}, true},  {{996, 3}, false},          {{0, 9}, true},     {{0, 10}, false},
        {{512, 9}, false}, {{0, 62}, false},           {{0, 63}, false},   {{0, 64}, false},
        {{0, 254}, false}, {{UINT64_MAX, 254}, false}, {{4, 3}, false},    {{996, 2}, true},
    };
    struct bq_journal_head head = head_of(0, false);
    struct bq_record record;
    unsigned char one[32];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bq_record_put(one, i, 0, &(struct bq_record){.node = cases[i].node, .result = ""});
        CU_ASSERT_EQUAL(bq_record_get(one, i, &head, &record), cases[i].is_possible ? 0 : -1);
        CU_ASSERT_EQUAL(bq_record_get(one, i + 1, &head, &record), -1);
    }
    head.n_chunks = 0;
    bq_record_put(one, 0, 0, &(struct bq_record){.node = {0, 0}, .result = ""});
    CU_ASSERT_EQUAL(bq_record_get(one, 0, &head, &record), -1);
    bq_record_put(one, 0, 0, &(struct bq_record){.is_mark = true});
    CU_ASSERT_EQUAL(bq_record_get(one, 0, &head, &record), 0);
    CU_ASSERT(record.is_mark);
}

/* The head that stays a head: the same seed must not make records of it. */
static void a_head_is_no_record_and_a_record_no_head(void)
{
    struct bq_journal_head head = head_of(BQ_JOURNAL_HEAD - 17, false), out;
    struct bq_record record;
    CU_ASSERT_EQUAL_FATAL(bq_record_bytes(head.result_size), BQ_JOURNAL_HEAD);
    bq_journal_head_put(bytes, &head);
    CU_ASSERT_EQUAL(bq_record_get(bytes, 0, &head, &record), -1);
    bq_record_put(bytes, 0, head.result_size,
                  &(struct bq_record){.result = result_of(1, 495), .node = {3, 0}});
    CU_ASSERT_EQUAL(bq_record_get(bytes, 0, &head, &record), 0);
    CU_ASSERT_EQUAL(bq_journal_head_get(bytes, &out), -1);
}

/* -- going on ----------------------------------------------------------------------------- */

static void what_is_added_later_comes_back_too(void)
{
    for (int needs_mark = 0; needs_mark < 2; needs_mark++) {
        make_small(needs_mark);
        struct bq_journal *j = open_it();
        CU_ASSERT_EQUAL(read_all(j), up_to(5));
        go_on(j);
        CU_ASSERT(!bq_journal_is_empty(j));
        add(j, 5, 9);
        mark(j, false);
        bq_journal_close(j);
        CU_ASSERT_EQUAL(found(), up_to(9));
        j = open_it(); /* before all was read */
        go_on(j);
        add(j, 9, 12);
        mark(j, true);
        bq_journal_close(j);
        CU_ASSERT_EQUAL(found(), up_to(12));
        CU_ASSERT_EQUAL(load(), place_of(needs_mark ? 16 : 12, 16));
    }
}

/* Torn, in a record and behind it, and with what was never marked. */
static void a_journal_goes_on_behind_what_counts(void)
{
    for (int needs_mark = 0; needs_mark < 2; needs_mark++) {
        make_small(needs_mark);
        size_t n = load();
        for (size_t cut = BQ_JOURNAL_HEAD; cut <= n; cut += 7) {
            save(cut);
            struct bq_journal *j = open_it();
            uint64_t all = read_all(j);
            go_on(j);
            add(j, 20, 22);
            mark(j, false);
            bq_journal_close(j);
            CU_ASSERT_EQUAL(found(), all | UINT64_C(3) << 20);
        }
    }
}

static void what_was_not_marked_is_cut_off(void)
{
    struct bq_journal *j = create(30000, true);
    add(j, 0, 2);
    mark(j, false);
    add(j, 2, 12);
    bq_journal_close(j);
    CU_ASSERT(load() > place_of(9, 30000));
    j = open_it();
    go_on(j);
    CU_ASSERT_EQUAL(load(), place_of(3, 30000));
    bq_journal_close(j);
    CU_ASSERT_EQUAL(found(), up_to(2));
    j = open_it();
    go_on(j);
    mark(j, false); /* promises nothing new */
    bq_journal_close(j);
    CU_ASSERT_EQUAL(load(), place_of(3, 30000));
}

/* The place of a damaged record is not used again: the next has the next number. */
static void a_damaged_record_stays_damaged(void)
{
    make_small(false);
    size_t n = load();
    bytes[place_of(2, 16) + 3] ^= 1;
    bytes[place_of(4, 16) + 20] ^= 1; /* the last: it does not count, and is cut off */
    save(n);
    struct bq_journal *j = open_it();
    CU_ASSERT_EQUAL(read_all(j), 0x0b);
    go_on(j);
    add(j, 6, 8);
    mark(j, false);
    bq_journal_close(j);
    CU_ASSERT_EQUAL(found(), 0xcb);
    CU_ASSERT_EQUAL(load(), place_of(6, 16));
}

/* -- what the system refuses -------------------------------------------------------------- */

static void set_limit(rlim_t n)
{
    struct rlimit limit;
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = n == RLIM_INFINITY ? limit.rlim_max : n;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_is_told_and_what_was_marked_counts(void)
{
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    for (int needs_mark = 0; needs_mark < 2; needs_mark++) {
        struct bq_error err = {.text = ""};
        char want[200];
        struct bq_journal *j = create(1000, needs_mark);
        add(j, 0, 5);
        mark(j, false);
        add(j, 5, 9);
        set_limit(place_of(8, 1000) + 10); /* in the middle of a record */
        CU_ASSERT_EQUAL(bq_journal_mark(j, false, &err), -1);
        snprintf(want, sizeof want, "%s: cannot be written: File too large", path);
        CHECK_TEXT(err.text, want);
        CU_ASSERT_EQUAL(err.exit, BQ_EXIT_FAILED);
        CU_ASSERT(!bq_journal_is_empty(j));
        bq_journal_close(j);
        CU_ASSERT_EQUAL(found(), up_to(needs_mark ? 5 : 8));
        set_limit(RLIM_INFINITY);
        j = open_it();
        go_on(j);
        add(j, 9, 11);
        mark(j, false);
        bq_journal_close(j);
        CU_ASSERT_EQUAL(found(), up_to(needs_mark ? 5 : 8) | UINT64_C(3) << 9);
    }
    signal(SIGXFSZ, old);
}

/* While it is added, too: the buffer is written when it is full. */
static void a_full_disk_is_told_by_add_too(void)
{
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    struct bq_error err = {.text = ""};
    struct bq_journal *j = create(30000, false);
    int rc = 0, i = 0;
    set_limit(100000);
    for (; rc == 0 && i < 50; i++)
        rc = bq_journal_add(j, node_of(i), result_of(i, 30000), &err);
    CU_ASSERT(rc == -1 && i > 3 && i < 10);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "cannot be written"));
    set_limit(RLIM_INFINITY);
    bq_journal_close(j);
    CU_ASSERT_EQUAL(found(), up_to(3));
    signal(SIGXFSZ, old);
}

static void none_is_made_where_there_is_no_room_for_its_head(void)
{
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    struct bq_error err = {.text = ""};
    struct bq_journal_head head = head_of(16, false);
    unlink(path);
    set_limit(100);
    CU_ASSERT_PTR_NULL(bq_journal_create(path, &head, &err));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "cannot be written"));
    set_limit(RLIM_INFINITY);
    CU_ASSERT_EQUAL(access(path, F_OK), -1);
    signal(SIGXFSZ, old);
}

static void what_is_no_file_of_ours_is_left_alone(void)
{
    char other[100];
    snprintf(other, sizeof other, "%s/other", folder);
    make_small(false);
    CU_ASSERT_EQUAL(rename(path, other), 0);
    CU_ASSERT_EQUAL(symlink(other, path), 0);
    CHECK_TEXT(message_of_open(),
               ": cannot be read as what an earlier run left: Too many levels of symbolic links");
    bq_journal_close(create(16, false)); /* takes the link's place, not its file's */
    struct stat st;
    CU_ASSERT(lstat(path, &st) == 0 && S_ISREG(st.st_mode));
    CU_ASSERT(stat(other, &st) == 0 && (size_t)st.st_size == place_of(5, 16));
    unlink(other);
    unlink(path);
    CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
    CHECK_TEXT(message_of_open(), ": is not a file of yours; it is not read");
    unlink(path);
    CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
    CHECK_TEXT(message_of_open(), ": cannot be read as what an earlier run left: Is a directory");
    struct bq_error err = {.text = ""};
    struct bq_journal_head head = head_of(16, false);
    CU_ASSERT_PTR_NULL(bq_journal_create(path, &head, &err));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "cannot be written"));
    CU_ASSERT_EQUAL(rmdir(path), 0); /* still there, and empty */
}

static void a_file_of_another_user_is_not_read(void)
{
    if (geteuid() != 0)
        return; /* nobody else can give one away */
    make_small(false);
    CU_ASSERT_EQUAL(chown(path, 65534, 65534), 0);
    CHECK_TEXT(message_of_open(), ": is not a file of yours; it is not read");
    unlink(path);
}

static void other_bytes_are_damaged(void)
{
    memset(bytes, 0, 2 * BQ_JOURNAL_HEAD);
    for (size_t n = BQ_JOURNAL_HEAD; n <= 2 * BQ_JOURNAL_HEAD; n += 100) {
        save(n);
        CHECK_TEXT(message_of_open(), ": what an earlier run of this job left is damaged");
    }
}

/* Everything once more while the n-th allocation fails, for every n. */
static void without_memory_there_is_an_error_and_no_leak(void)
{
    struct bq_journal_head head = head_of(16, false);
    for (int how = 0; how < 2; how++) {
        struct bq_journal *j = NULL;
        unsigned long n = 0;
        make_small(false);
        for (; !j && n < 20; n++) {
            struct bq_error err = {.text = ""};
            bq_heap_fail_at(n + 1);
            j = how ? bq_journal_open(path, &err) : bq_journal_create(path, &head, &err);
            bq_heap_fail_at(0);
            CHECK_TEXT(err.text, j ? "" : "out of memory");
        }
        CU_ASSERT(j && n == 4);
        bq_journal_close(j);
    }
}

static const struct test tests[] = {
    {"what is added and marked comes back", what_is_added_and_marked_comes_back},
    {"a head comes back with every field", a_head_comes_back_with_every_field},
    {"more records than a buffer holds come back", more_records_than_a_buffer_holds_come_back},
    {"what is not marked counts only where no mark is needed",
     what_is_not_marked_counts_where_no_mark_is_needed},
    {"a journal in which nothing is marked is empty", nothing_marked_is_empty},
    {"a result is valid until the next record is read", a_result_is_valid_until_the_next},
    {"a journal is private, and replaces an old one", a_journal_is_private_and_replaces_an_old_one},
    {"a journal may be torn at every byte", a_journal_may_be_torn_at_every_byte},
    {"a flipped bit costs one record and never makes another",
     a_flipped_bit_costs_one_record_and_never_makes_another},
    {"records of the wrong number are refused", records_of_the_wrong_number_are_refused},
    {"a head of another job says so", a_head_of_another_job_says_so},
    {"a head that cannot be is refused", a_head_that_cannot_be_is_refused},
    {"a head of another version is refused", a_head_of_another_version_is_refused},
    {"every byte of a head and a record is written", every_byte_is_written},
    {"the longest name of a work file comes back", the_longest_name_of_a_work_file_comes_back},
    {"impossible nodes are refused", impossible_nodes_are_refused},
    {"a head is no record, and a record no head", a_head_is_no_record_and_a_record_no_head},
    {"a journal without a whole record is empty, and goes on",
     a_journal_without_a_whole_record_is_empty_and_goes_on},
    {"what is added later comes back too", what_is_added_later_comes_back_too},
    {"a journal goes on behind what counts", a_journal_goes_on_behind_what_counts},
    {"what was not marked is cut off", what_was_not_marked_is_cut_off},
    {"a damaged record stays damaged, and others follow it", a_damaged_record_stays_damaged},
    {"a full disk is told, and what was marked counts",
     a_full_disk_is_told_and_what_was_marked_counts},
    {"a full disk is told by add, too", a_full_disk_is_told_by_add_too},
    {"no journal is made where there is no room for its head",
     none_is_made_where_there_is_no_room_for_its_head},
    {"what is no file of ours is left alone", what_is_no_file_of_ours_is_left_alone},
    {"a file of another user is not read", a_file_of_another_user_is_not_read},
    {"other bytes are damaged", other_bytes_are_damaged},
    {"without memory there is an error and no leak", without_memory_there_is_an_error_and_no_leak},
};

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/journal", folder);
    int rc = run_tests("journal", tests, sizeof tests / sizeof *tests);
    unlink(path);
    return rmdir(folder) || rc;
}
