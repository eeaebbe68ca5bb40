/* The trace: bins add up to totals, folding and merging lose nothing, and what a cook did plus its
 * idle time is the makespan, to the nanosecond. Histories are random; BQ_SEED repeats one. */
#include "core/trace.h"

#include <stdlib.h>

#include "cunit.h"

#define MS 1000000ull
#define N_HISTORIES 200

static uint64_t seed;

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t next(void)
{
    uint64_t z = (seed += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint64_t below(uint64_t n)
{
    return next() % n;
}

static void start_seed(void)
{
    const char *given = getenv("BQ_SEED");
    seed = given ? strtoull(given, NULL, 0) : 20240607;
    printf("seed %llu ", (unsigned long long)seed);
}

static struct bq_track a, b, c;

/* Checks that bins add up to the totals, and that nothing lies outside of the bins in use. */
static void check_sums(const struct bq_track *track)
{
    uint64_t sum[BQ_N_STATES] = {0}, open = 0;
    CU_ASSERT(track->n_bins <= BQ_TRACE_BINS);
    for (uint32_t i = 0; i < BQ_TRACE_BINS; i++) {
        uint64_t here = track->bin[i].open;
        for (int s = 0; s < BQ_N_STATES; s++) {
            sum[s] += track->bin[i].ns[s];
            here += track->bin[i].ns[s];
        }
        open += track->bin[i].open;
        CU_ASSERT(i < track->n_bins || here == 0);
    }
    for (int s = 0; s < BQ_N_STATES; s++)
        CU_ASSERT_EQUAL(sum[s], track->total[s]);
    CU_ASSERT_EQUAL(open, track->open);
}

static void an_interval_falls_into_the_bins_it_overlaps(void)
{
    bq_track_init(&a);
    bq_track_add(&a, BQ_COOKING, MS / 2, 2 * MS + MS / 4, MS + 3 * MS / 4);
    CU_ASSERT_EQUAL(a.n_bins, 3);
    CU_ASSERT_EQUAL(a.bin[0].ns[BQ_COOKING], MS / 2);
    CU_ASSERT_EQUAL(a.bin[1].ns[BQ_COOKING], MS);
    CU_ASSERT_EQUAL(a.bin[2].ns[BQ_COOKING], MS / 4);
    check_sums(&a);
}

static void an_interval_that_ends_on_an_edge_does_not_open_a_bin(void)
{
    bq_track_init(&a);
    bq_track_add(&a, BQ_OVEN, 0, 2 * MS, 2 * MS);
    bq_track_open(&a, 0, 2 * MS);
    CU_ASSERT_EQUAL(a.n_bins, 2);
    bq_track_open(&a, 0, BQ_TRACE_BINS * MS);
    CU_ASSERT_EQUAL(a.width, MS);
    bq_track_open(&a, 0, BQ_TRACE_BINS * MS + 1);
    CU_ASSERT_EQUAL(a.width, 2 * MS);
    CU_ASSERT_EQUAL(a.n_bins, BQ_TRACE_BINS / 2 + 1);
    check_sums(&a);
}

static void a_part_of_an_interval_is_spread_evenly(void)
{
    bq_track_init(&a);
    bq_track_add(&a, BQ_COOKING, 0, 4 * MS, 1000003);
    for (int i = 0; i < 4; i++) {
        uint64_t ns = a.bin[i].ns[BQ_COOKING];
        CU_ASSERT(ns >= 250000 && ns <= 250001);
    }
    CU_ASSERT_EQUAL(a.total[BQ_COOKING], 1000003);
    check_sums(&a);
}

static void an_instant_and_nothing_are_allowed(void)
{
    bq_track_init(&a);
    bq_track_add(&a, BQ_COOKING, 5 * MS, 5 * MS, 7);
    bq_track_add(&a, BQ_COOKING, 9 * MS, 5 * MS, 7);
    bq_track_open(&a, 5 * MS, 5 * MS);
    CU_ASSERT_EQUAL(a.total[BQ_COOKING], 14);
    check_sums(&a);
    bq_track_init(&a);
    bq_track_add(&a, BQ_OVEN, 3 * MS, 4 * MS, 0);
    CU_ASSERT_EQUAL(a.n_bins, 0);
}

static void the_end_of_time_fits(void)
{
    bq_track_init(&a);
    bq_track_open(&a, 0, UINT64_MAX);
    bq_track_add(&a, BQ_OVEN, 1, UINT64_MAX, UINT64_MAX - 1);
    CU_ASSERT_EQUAL(a.open, UINT64_MAX);
    check_sums(&a);
}

static void a_run_is_seen_in_at_most_240_and_at_least_120_bins(void)
{
    for (uint64_t end = BQ_TRACE_BINS * MS; end < 1000000 * MS; end += end / 7) {
        bq_track_init(&a);
        for (uint64_t t = 0; t < end; t += end / 300)
            bq_track_open(&a, t, t + 1);
        bq_track_open(&a, end - 1, end);
        CU_ASSERT(a.n_bins >= BQ_TRACE_BINS / 2 && a.n_bins <= BQ_TRACE_BINS);
        CU_ASSERT(a.width <= end / (BQ_TRACE_BINS / 2));
    }
}

static void little_s_law_holds_on_random_histories_also_after_folding(void)
{
    enum { N = 300 };
    static uint64_t from[N], to[N];
    start_seed();
    for (int h = 0; h < N_HISTORIES; h++) {
        uint64_t turnaround = 0, horizon = MS << below(16);
        bq_track_init(&a);
        for (int i = 0; i < N; i++) {
            from[i] = below(horizon);
            to[i] = from[i] + below(horizon / 4);
            turnaround += to[i] - from[i];
            bq_track_open(&a, from[i], to[i]);
        }
        CU_ASSERT_EQUAL(a.open, turnaround);
        check_sums(&a);
        if (h % 2)
            bq_track_coarsen(&a, a.width << below(5));
        check_sums(&a);
        /* And each bin is what one gets without folding. */
        for (uint32_t i = 0; i < a.n_bins; i++) {
            uint64_t open = 0, start = i * a.width, end = start + a.width;
            for (int k = 0; k < N; k++) {
                uint64_t s = from[k] > start ? from[k] : start, e = to[k] < end ? to[k] : end;
                open += e > s ? e - s : 0;
            }
            CU_ASSERT_EQUAL(a.bin[i].open, open);
        }
    }
}

/* A cook with one chunk open: states follow one another, with pauses. Returns the end. */
static uint64_t live_one_life(struct bq_track *track, uint64_t known[BQ_N_STATES])
{
    uint64_t t = 0, step = 1000ull << below(14);
    bq_track_init(track);
    memset(known, 0, BQ_N_STATES * sizeof known[0]);
    for (int i = 0; i < 400; i++) {
        enum bq_state state = (enum bq_state)below(BQ_N_STATES);
        uint64_t pause = below(3) ? 0 : below(step), ns = 1 + below(step);
        bq_track_add(track, state, t + pause, t + pause + ns, ns);
        known[state] += ns;
        t += pause + ns;
    }
    return t;
}

static void states_and_idle_add_up_to_cooks_times_makespan(void)
{
    start_seed();
    for (int h = 0; h < N_HISTORIES; h++) {
        enum { COOKS = 3 };
        uint64_t makespan = 0, all = 0, known[COOKS][BQ_N_STATES];
        static struct bq_track track[COOKS];
        for (int k = 0; k < COOKS; k++) {
            uint64_t end = live_one_life(&track[k], known[k]);
            makespan = end > makespan ? end : makespan;
        }
        for (int k = 0; k < COOKS; k++) {
            uint64_t part[BQ_N_STATES + 1];
            bq_track_split(&track[k], makespan, part);
            for (int s = 0; s < BQ_N_STATES; s++) {
                CU_ASSERT_EQUAL(part[s], known[k][s]);
                all += part[s];
            }
            all += part[BQ_N_STATES];
        }
        CU_ASSERT_EQUAL(all, COOKS * makespan);
    }
}

static void a_waiting_chunk_costs_no_time_that_another_is_cooked_in(void)
{
    uint64_t part[BQ_N_STATES + 1];
    bq_track_init(&a);
    bq_track_add(&a, BQ_OVEN, 0, 4 * MS, 4 * MS); /* chunk 1 */
    bq_track_add(&a, BQ_OVEN, 0, 2 * MS, 2 * MS); /* chunk 2 ... */
    bq_track_add(&a, BQ_COOKING, 2 * MS, 3 * MS, MS);
    bq_track_split(&a, 6 * MS, part);
    CU_ASSERT_EQUAL(part[BQ_COOKING], MS);
    CU_ASSERT_EQUAL(part[BQ_OVEN], 3 * MS);
    CU_ASSERT_EQUAL(part[BQ_N_STATES], 2 * MS);
    CU_ASSERT_EQUAL(a.total[BQ_OVEN], 6 * MS);
}

static void only_the_oven_gives_way(void)
{
    uint64_t part[BQ_N_STATES + 1];
    bq_track_init(&a);
    for (int s = 0; s < BQ_N_STATES; s++) {
        if (s != BQ_COOKING)
            bq_track_add(&a, (enum bq_state)s, 0, MS, MS / 4);
    }
    bq_track_add(&a, BQ_OVEN, 0, MS, MS);
    bq_track_split(&a, MS, part);
    CU_ASSERT_EQUAL(part[BQ_READY], MS / 4);
    CU_ASSERT_EQUAL(part[BQ_KNIFE], MS / 4);
    CU_ASSERT_EQUAL(part[BQ_PASS], MS / 4);
    CU_ASSERT_EQUAL(part[BQ_OVEN], MS / 4);
}

static void what_happens_after_the_end_does_not_count(void)
{
    uint64_t part[BQ_N_STATES + 1];
    bq_track_init(&a);
    bq_track_add(&a, BQ_COOKING, 0, 10 * MS, 10 * MS);
    bq_track_split(&a, 3 * MS + 1, part);
    CU_ASSERT_EQUAL(part[BQ_COOKING], 3 * MS + 1);
    CU_ASSERT_EQUAL(part[BQ_N_STATES], 0);
    CU_ASSERT_EQUAL(bq_track_split_bin(&a, 3, 3 * MS + 1, part), 1);
    CU_ASSERT_EQUAL(bq_track_split_bin(&a, 4, 3 * MS + 1, part), 0);
    bq_track_split(&a, 0, part);
    CU_ASSERT_EQUAL(part[BQ_N_STATES], 0);
}

static void tracks_of_different_width_merge_at_the_coarser_one(void)
{
    start_seed();
    for (int h = 0; h < N_HISTORIES; h++) {
        uint64_t known[BQ_N_STATES];
        live_one_life(&a, known);
        live_one_life(&b, known);
        bq_track_open(&a, below(MS), 5 * MS + below(700 * MS));
        bq_track_open(&b, below(MS), 5 * MS);
        /* Both ways round, and all at once, give the same. */
        static struct bq_track ab, ba;
        ab = a;
        ba = b;
        bq_track_merge(&ab, &b);
        bq_track_merge(&ba, &a);
        check_sums(&ab);
        CU_ASSERT_EQUAL(ab.width, a.width > b.width ? a.width : b.width);
        CU_ASSERT(memcmp(&ab, &ba, sizeof ab) == 0);
        CU_ASSERT_EQUAL(ab.open, a.open + b.open);
        for (int s = 0; s < BQ_N_STATES; s++)
            CU_ASSERT_EQUAL(ab.total[s], a.total[s] + b.total[s]);
    }
}

static void merging_nothing_changes_nothing(void)
{
    bq_track_init(&a);
    bq_track_init(&b);
    bq_track_open(&a, 0, 500 * MS);
    c = a;
    bq_track_merge(&a, &b);
    CU_ASSERT(memcmp(&a, &c, sizeof a) == 0);
    bq_track_merge(&b, &c);
    CU_ASSERT(memcmp(&b, &c, sizeof b) == 0);
}

static const struct test tests[] = {
    {"an interval falls into the bins it overlaps", an_interval_falls_into_the_bins_it_overlaps},
    {"an interval that ends on an edge does not open a bin",
     an_interval_that_ends_on_an_edge_does_not_open_a_bin},
    {"a part of an interval is spread evenly", a_part_of_an_interval_is_spread_evenly},
    {"an instant and nothing are allowed", an_instant_and_nothing_are_allowed},
    {"the end of time fits", the_end_of_time_fits},
    {"a run is seen in at most 240 and at least 120 bins",
     a_run_is_seen_in_at_most_240_and_at_least_120_bins},
    {"Little's law holds on random histories, also after folding",
     little_s_law_holds_on_random_histories_also_after_folding},
    {"states and idle add up to cooks x makespan", states_and_idle_add_up_to_cooks_times_makespan},
    {"a waiting chunk costs no time that another is cooked in",
     a_waiting_chunk_costs_no_time_that_another_is_cooked_in},
    {"only the oven gives way", only_the_oven_gives_way},
    {"what happens after the end does not count", what_happens_after_the_end_does_not_count},
    {"tracks of different width merge at the coarser one",
     tracks_of_different_width_merge_at_the_coarser_one},
    {"merging nothing changes nothing", merging_nothing_changes_nothing},
};

RUN_TESTS("trace", tests)
