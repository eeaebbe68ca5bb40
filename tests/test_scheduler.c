/* Stories of the scheduler: tell it what happened, expect what it wants done. */
#include "core/scheduler.h"

#include "cunit.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

static struct bq_scheduler *s;
static uint64_t now;

static void begin(enum bq_policy policy, uint64_t block, uint64_t n_chunks, uint32_t n_kitchens)
{
    struct bq_scheduler_config config = {.n_chunks = n_chunks,
                                         .n_kitchens = n_kitchens,
                                         .schedule = {.policy = policy, .block = block}};
    struct bq_error err = {0};
    s = bq_scheduler_create(&config, &err);
    now = 5 * SECOND;
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
}

static void check(void)
{
    const char *broken = bq_scheduler_check(s);
    if (broken)
        printf("\n    broken: %s\n", broken);
    CU_ASSERT_PTR_NULL(broken);
}

static void end(void)
{
    check();
    bq_scheduler_destroy(s);
    s = NULL;
}

/* -- tell --------------------------------------------------------------------------------- */

static void tell(struct bq_event event)
{
    bq_scheduler_tell(s, now, &event);
    check();
}

static void join(uint32_t kitchen, uint32_t n_cooks)
{
    tell((struct bq_event){.kind = BQ_EVENT_JOIN, .kitchen = kitchen, .n_cooks = n_cooks});
}

static void request(uint32_t kitchen, uint64_t unstarted, double tau_ns)
{
    tell((struct bq_event){
        .kind = BQ_EVENT_REQUEST, .kitchen = kitchen, .count = unstarted, .tau_ns = tau_ns});
}

static void range(enum bq_event_kind kind, uint32_t kitchen, uint64_t first, uint64_t count)
{
    tell((struct bq_event){.kind = kind, .kitchen = kitchen, .first = first, .count = count});
}

static void failed(uint32_t kitchen, uint64_t chunk)
{
    tell((struct bq_event){.kind = BQ_EVENT_FAILED, .kitchen = kitchen, .first = chunk});
}

static void lost(uint32_t kitchen)
{
    tell((struct bq_event){.kind = BQ_EVENT_LOST, .kitchen = kitchen});
}

static void back(uint32_t kitchen)
{
    tell((struct bq_event){.kind = BQ_EVENT_BACK, .kitchen = kitchen});
}

static void undo(uint64_t first, uint64_t count)
{
    range(BQ_EVENT_UNDO, 0, first, count);
}

static void stop(void)
{
    tell((struct bq_event){.kind = BQ_EVENT_STOP});
}

static void dropped(uint32_t kitchen, uint64_t first, uint64_t count)
{
    range(BQ_EVENT_DROPPED, kitchen, first, count);
}

/* -- expect ------------------------------------------------------------------------------- */

static struct bq_action action;

static void expect_at(int line, enum bq_action_kind kind, uint32_t kitchen, uint64_t first,
                      uint64_t count)
{
    static const char *const name[] = {"ACCEPT", "DISCARD", "GIVE_UP", "LEASE", "REVOKE", "CLOSE"};
    bool is = bq_scheduler_ask(s, now, &action);
    bool is_right = is && action.kind == kind && action.kitchen == kitchen &&
                    (kind == BQ_ACTION_CLOSE || (action.first == first && action.count == count));
    if (!is_right)
        printf("\n    line %d: got %s %u %llu %llu, want %s %u %llu %llu\n", line,
               is ? name[action.kind] : "nothing", action.kitchen, (unsigned long long)action.first,
               (unsigned long long)action.count, name[kind], kitchen, (unsigned long long)first,
               (unsigned long long)count);
    CU_ASSERT(is_right);
    check();
}

static void expect_nothing_at(int line)
{
    bool is = bq_scheduler_ask(s, now, &action);
    if (is)
        printf("\n    line %d: got an action of kind %d for kitchen %u\n", line, (int)action.kind,
               action.kitchen);
    CU_ASSERT_FALSE(is);
}

#define EXPECT(kind, kitchen, first, count)                                                        \
    expect_at(__LINE__, BQ_ACTION_##kind, kitchen, first, count)
#define EXPECT_NOTHING() expect_nothing_at(__LINE__)

/* A kitchen reports that all of these are done, and all are new. */
#define DONE(kitchen, first, count)                                                                \
    do {                                                                                           \
        range(BQ_EVENT_DONE, kitchen, first, count);                                               \
        EXPECT(ACCEPT, kitchen, first, count);                                                     \
    } while (0)

/* -- leases ------------------------------------------------------------------------------- */

static void the_first_leases_need_no_message(void)
{
    begin(BQ_GUIDED, 0, 100, 5);
    EXPECT_NOTHING();
    for (uint32_t k = 0; k < 5; k++)
        join(k, 2);
    EXPECT_NOTHING();
    DONE(3, 30, 10); /* a half share: kitchen 3 has 30 .. 39 */
    request(3, 0, 1e6);
    EXPECT(LEASE, 3, 50, 5); /* and the next one begins where the first leases end */
    EXPECT_NOTHING();
    end();
}

static void starving_kitchens_are_served_first_and_then_in_order(void)
{
    begin(BQ_DYNAMIC, 1, 100, 5);
    for (uint32_t k = 0; k < 5; k++)
        DONE(k, k, 1);
    request(4, 3, 0);
    request(2, 1, 0);
    request(3, 0, 0);
    request(0, 0, 0);
    request(1, 7, 0);
    EXPECT(LEASE, 3, 5, 1);
    EXPECT(LEASE, 0, 6, 1);
    EXPECT(LEASE, 4, 7, 1);
    EXPECT(LEASE, 2, 8, 1);
    EXPECT(LEASE, 1, 9, 1);
    EXPECT_NOTHING();
    end();
}

static void a_kitchen_that_asks_again_because_it_starves_moves_ahead(void)
{
    begin(BQ_DYNAMIC, 1, 100, 3);
    request(0, 2, 0);
    request(1, 2, 0);
    request(1, 0, 0);
    request(0, 1, 0); /* and one that asks twice stands in line once */
    EXPECT(LEASE, 1, 3, 1);
    EXPECT(LEASE, 0, 4, 1);
    EXPECT_NOTHING();
    end();
}

static void guided_leases_are_half_a_share_of_what_is_left(void)
{
    begin(BQ_GUIDED, 0, 1000, 2); /* first leases: 250 each */
    request(0, 0, 1e6);
    EXPECT(LEASE, 0, 500, 125);
    request(1, 0, 1e6);
    EXPECT(LEASE, 1, 625, 93);
    request(0, 5, 1e6);
    EXPECT(LEASE, 0, 718, 70);
    end();
}

static void a_busy_coordinator_makes_leases_longer(void)
{
    begin(BQ_DYNAMIC, 0, 10000, 2);
    join(0, 4);
    join(1, 4);
    tell((struct bq_event){.kind = BQ_EVENT_TICK, .svc_ns = 10000});
    request(0, 0, 20000); /* 2 K T svc / tau = 2 x 2 x 4 x 10 / 20 */
    EXPECT(LEASE, 0, 156, 8);
    end();
}

static void a_deadline_is_known_when_the_speed_is(void)
{
    begin(BQ_DYNAMIC, 10, 1000, 1);
    join(0, 2);
    request(0, 0, 0);
    EXPECT(LEASE, 0, 10, 10);
    CU_ASSERT_EQUAL(action.deadline, BQ_NEVER);
    request(0, 0, 4e6); /* 10 chunks on 2 cooks: 20 ms */
    EXPECT(LEASE, 0, 20, 10);
    CU_ASSERT_EQUAL(action.deadline, now + 4 * 20 * MS + SECOND);
    end();
}

static void a_kitchen_holds_so_many_leases_at_most(void)
{
    const uint64_t most = BQ_MAX_LEASES;
    begin(BQ_DYNAMIC, 1, 1000, 2);
    for (uint64_t i = 0; i < most - 1; i++) {
        request(0, 1, 0);
        EXPECT(LEASE, 0, 2 + i, 1);
    }
    request(0, 1, 0);
    EXPECT_NOTHING();
    request(1, 1, 0);
    EXPECT(LEASE, 1, most + 1, 1); /* who stands behind it is served */
    DONE(0, 4, 1);
    EXPECT(LEASE, 0, most + 2, 1); /* it stayed in line */
    EXPECT_NOTHING();
    end();
}

static void many_cooks_are_all_fed_by_small_blocks(void)
{
    begin(BQ_DYNAMIC, 1, 100000, 2);
    tell((struct bq_event){.kind = BQ_EVENT_JOIN, .kitchen = 0, .n_cooks = 100, .count = 1600});
    request(0, 1, 0);
    EXPECT(LEASE, 0, 2, 2 * 1600 / BQ_MAX_LEASES); /* so that all leases together hold two each */
    end();
}

/* -- results ------------------------------------------------------------------------------ */

static void late_and_double_results_are_discarded(void)
{
    begin(BQ_STATIC, 0, 20, 2);
    DONE(0, 0, 4);
    range(BQ_EVENT_DONE, 0, 0, 4);
    EXPECT(DISCARD, 0, 0, 4);
    range(BQ_EVENT_DONE, 1, 2, 1);
    EXPECT(DISCARD, 1, 2, 1);
    range(BQ_EVENT_DONE, 1, 2, 4); /* two of them are new */
    EXPECT(ACCEPT, 1, 2, 2);
    CU_ASSERT_EQUAL(bq_scheduler_n_done(s), 6);
    EXPECT_NOTHING();
    end();
}

static void an_answer_that_nobody_asked_for_is_forgotten(void)
{
    begin(BQ_STATIC, 0, 20, 2);
    range(BQ_EVENT_DONE, 0, 0, 4);
    tell((struct bq_event){.kind = BQ_EVENT_TICK, .svc_ns = 1});
    EXPECT_NOTHING();
    range(BQ_EVENT_DONE, 0, 4, 1);
    back(0);
    EXPECT_NOTHING();
    CU_ASSERT_EQUAL(bq_scheduler_n_done(s), 5);
    end();
}

static void a_result_of_a_kitchen_that_was_lost_counts_when_it_is_the_first(void)
{
    begin(BQ_DYNAMIC, 1, 4, 2);
    lost(0);
    DONE(0, 0, 1);
    request(1, 0, 0);
    EXPECT(LEASE, 1, 2, 1);
    DONE(1, 1, 2);
    request(1, 0, 0);
    EXPECT(LEASE, 1, 3, 1);
    end();
}

static void when_all_is_done_everybody_is_closed_once(void)
{
    begin(BQ_STATIC, 0, 10, 3);
    DONE(0, 0, 3);
    DONE(1, 3, 3);
    request(0, 0, 0);
    EXPECT_NOTHING();
    CU_ASSERT_FALSE(bq_scheduler_done(s));
    lost(1);
    DONE(2, 6, 4);
    EXPECT(CLOSE, 0, 0, 0);
    CU_ASSERT_FALSE(bq_scheduler_done(s));
    EXPECT(CLOSE, 2, 0, 0);
    EXPECT_NOTHING();
    CU_ASSERT(bq_scheduler_done(s));
    CU_ASSERT_EQUAL(bq_scheduler_wake(s), BQ_NEVER);
    range(BQ_EVENT_DONE, 2, 6, 4);
    EXPECT(DISCARD, 2, 6, 4);
    EXPECT_NOTHING();
    CU_ASSERT(bq_scheduler_done(s));
    end();
}

static void a_plan_without_chunks_closes_at_once(void)
{
    begin(BQ_GUIDED, 0, 0, 2);
    CU_ASSERT_FALSE(bq_scheduler_is_stranded(s));
    EXPECT(CLOSE, 0, 0, 0);
    EXPECT(CLOSE, 1, 0, 0);
    EXPECT_NOTHING();
    CU_ASSERT(bq_scheduler_done(s));
    end();
}

/* -- faults ------------------------------------------------------------------------------- */

static void the_chunks_of_a_lost_kitchen_go_to_others(void)
{
    begin(BQ_GUIDED, 0, 40, 2); /* first leases: 0 .. 9 and 10 .. 19 */
    DONE(0, 0, 4);
    DONE(1, 10, 10);
    lost(0);
    lost(0);
    request(1, 0, 0);
    EXPECT(LEASE, 1, 4, 6); /* one is left: half of 26 is 13, but the run ends at 10 */
    request(1, 0, 0);
    EXPECT(LEASE, 1, 20, 10);
    request(0, 0, 0); /* the dead do not ask */
    EXPECT_NOTHING();
    end();
}

static void a_failing_chunk_is_retried_and_then_given_up(void)
{
    begin(BQ_DYNAMIC, 1, 3, 3);
    DONE(0, 0, 1);
    failed(1, 1);
    EXPECT_NOTHING();
    request(0, 0, 0);
    EXPECT(LEASE, 0, 1, 1);
    failed(0, 1);
    EXPECT_NOTHING();
    request(2, 0, 0);
    EXPECT(LEASE, 2, 1, 1);
    failed(2, 1);
    EXPECT(GIVE_UP, 2, 1, 1);
    CU_ASSERT_EQUAL(bq_scheduler_n_given_up(s), 1);
    range(BQ_EVENT_DONE, 2, 1, 1);
    EXPECT(DISCARD, 2, 1, 1);
    DONE(2, 2, 1);
    EXPECT(CLOSE, 0, 0, 0);
    end();
}

static void a_chunk_that_fails_amid_a_lease_is_retried_when_the_lease_is_over(void)
{
    begin(BQ_STATIC, 0, 20, 2);
    failed(0, 3);
    request(1, 0, 0);
    DONE(1, 10, 10);
    EXPECT_NOTHING();
    range(BQ_EVENT_DONE, 0, 0, 3);
    EXPECT(ACCEPT, 0, 0, 3);
    range(BQ_EVENT_DONE, 0, 4, 6);
    EXPECT(ACCEPT, 0, 4, 6);
    EXPECT(LEASE, 1, 3, 1);
    DONE(1, 3, 1);
    EXPECT(CLOSE, 0, 0, 0);
    end();
}

static void a_retry_that_was_lost_with_its_kitchen_is_leased_again(void)
{
    begin(BQ_DYNAMIC, 2, 8, 2); /* first leases: 0 1 and 2 3 */
    failed(0, 0);
    DONE(0, 1, 1);
    request(0, 0, 0);
    EXPECT(LEASE, 0, 0, 1);
    request(0, 0, 0);
    EXPECT(LEASE, 0, 4, 2);
    DONE(0, 0, 1);
    DONE(0, 4, 1);
    lost(0);
    request(1, 0, 0);
    EXPECT(LEASE, 1, 5, 2);
    end();
}

static void hundreds_of_passing_failures_do_not_use_up_the_memory_of_failures(void)
{
    begin(BQ_DYNAMIC, 1, 1000, 1);
    uint64_t chunk = 0;
    for (; chunk < 900; chunk++) {
        if (chunk) {
            request(0, 0, 0);
            EXPECT(LEASE, 0, chunk, 1);
        }
        failed(0, chunk);
        request(0, 0, 0);
        EXPECT(LEASE, 0, chunk, 1);
        DONE(0, chunk, 1);
    }
    CU_ASSERT_EQUAL(bq_scheduler_n_given_up(s), 0);
    end();
}

static void hundreds_of_chunks_that_fail_at_once_are_given_up_without_loss(void)
{
    begin(BQ_STATIC, 0, 1000, 1);
    uint64_t n_given_up = 0;
    for (uint64_t chunk = 0; chunk < 1000; chunk++) {
        failed(0, chunk);
        n_given_up += bq_scheduler_ask(s, now, &action) && action.kind == BQ_ACTION_GIVE_UP;
    }
    for (int round = 0; round < 10000 && !bq_scheduler_done(s); round++) {
        request(0, 0, 0);
        while (bq_scheduler_ask(s, now, &action) && action.kind == BQ_ACTION_LEASE) {
            for (uint64_t i = action.first, n = action.count; n; n--, i++) {
                struct bq_action given_up;
                failed(0, i);
                n_given_up +=
                    bq_scheduler_ask(s, now, &given_up) && given_up.kind == BQ_ACTION_GIVE_UP;
            }
        }
    }
    CU_ASSERT_EQUAL(n_given_up, 1000);
    CU_ASSERT_EQUAL(bq_scheduler_n_given_up(s), 1000);
    CU_ASSERT(bq_scheduler_done(s));
    end();
}

static void dropped_chunks_are_leased_again(void)
{
    begin(BQ_DYNAMIC, 10, 40, 2);
    request(1, 0, 0);
    EXPECT(LEASE, 1, 20, 10);
    dropped(1, 20, 10);
    request(0, 0, 0);
    EXPECT(LEASE, 0, 20, 10);
    dropped(0, 25, 5); /* the end of a lease */
    request(1, 0, 0);
    EXPECT(LEASE, 1, 25, 10); /* and the five behind them */
    end();
}

static void what_is_dropped_amid_a_lease_is_leased_again_when_the_lease_is_over(void)
{
    begin(BQ_DYNAMIC, 10, 20, 2);
    DONE(1, 10, 5);
    dropped(1, 15, 2);
    DONE(1, 17, 3);
    request(1, 0, 0);
    EXPECT(LEASE, 1, 15, 2);
    end();
}

static void everybody_lost_is_stranded(void)
{
    begin(BQ_GUIDED, 0, 10, 2);
    lost(0);
    CU_ASSERT_FALSE(bq_scheduler_is_stranded(s));
    lost(1);
    CU_ASSERT(bq_scheduler_is_stranded(s));
    EXPECT_NOTHING();
    CU_ASSERT_FALSE(bq_scheduler_done(s));
    DONE(0, 0, 10); /* from beyond: then it is not */
    CU_ASSERT_FALSE(bq_scheduler_is_stranded(s));
    EXPECT_NOTHING();
    CU_ASSERT(bq_scheduler_done(s));
    end();
}

/* -- the tail ----------------------------------------------------------------------------- */

/* Two kitchens of one cook; kitchen 1 is done and starves, kitchen 0 has 10 chunks of 1 s left. */
static void begin_tail(void)
{
    begin(BQ_STATIC, 0, 20, 2);
    join(0, 1);
    join(1, 1);
    request(0, 9, 1e9);
    EXPECT_NOTHING();
    now += SECOND;
    DONE(1, 10, 10);
    request(1, 0, 1e9);
}

static void a_straggler_gets_help_and_a_revoke(void)
{
    begin_tail();
    EXPECT(LEASE, 1, 5, 5);
    EXPECT(REVOKE, 0, 5, 5);
    EXPECT_NOTHING();
    dropped(0, 5, 5);
    EXPECT_NOTHING();
    DONE(1, 5, 5);
    DONE(0, 0, 5);
    EXPECT(CLOSE, 0, 0, 0);
    end();
}

static void a_straggler_is_helped_again_when_it_gave_back(void)
{
    begin_tail();
    EXPECT(LEASE, 1, 5, 5);
    EXPECT(REVOKE, 0, 5, 5);
    dropped(0, 5, 5);
    now += SECOND;
    DONE(1, 5, 5);
    request(1, 0, 1e9);
    now += 10 * SECOND;
    EXPECT(LEASE, 1, 3, 2);
    EXPECT(REVOKE, 0, 3, 2);
    EXPECT_NOTHING();
    end();
}

static void a_straggler_that_cannot_give_back_is_helped_once(void)
{
    begin_tail();
    EXPECT(LEASE, 1, 5, 5);
    EXPECT(REVOKE, 0, 5, 5);
    request(1, 0, 1e9);
    for (int i = 0; i < 5; i++) {
        now += 100 * SECOND;
        EXPECT_NOTHING();
    }
    range(BQ_EVENT_DONE, 0, 0, 8);
    EXPECT(ACCEPT, 0, 0, 8);
    range(BQ_EVENT_DONE, 1, 5, 4); /* the first result wins */
    EXPECT(ACCEPT, 1, 5, 1);
    end();
}

static void a_helper_that_is_lost_is_replaced(void)
{
    begin(BQ_STATIC, 0, 30, 3);
    for (uint32_t k = 0; k < 3; k++)
        join(k, 1);
    DONE(1, 10, 10);
    DONE(2, 20, 10);
    request(1, 0, 1e9);
    EXPECT(LEASE, 1, 5, 5);
    EXPECT(REVOKE, 0, 5, 5);
    lost(1); /* kitchen 0 has them still */
    request(2, 0, 1e9);
    now += 10 * SECOND;
    EXPECT(LEASE, 2, 5, 5);
    EXPECT(REVOKE, 0, 5, 5);
    lost(0);
    request(2, 0, 1e9);
    EXPECT_NOTHING(); /* it is busy, and static means static */
    DONE(2, 5, 5);
    EXPECT(LEASE, 2, 0, 2);
    end();
}

static void a_helper_that_is_slow_itself_is_helped(void)
{
    begin(BQ_STATIC, 0, 60, 3);
    for (uint32_t k = 0; k < 3; k++)
        join(k, 1);
    DONE(1, 20, 20);
    request(1, 0, 1e9);
    EXPECT(LEASE, 1, 10, 10);
    EXPECT(REVOKE, 0, 10, 10);
    dropped(0, 10, 10); /* now kitchen 1 is the only one that has them */
    range(BQ_EVENT_DONE, 0, 0, 9);
    EXPECT(ACCEPT, 0, 0, 9);
    DONE(2, 40, 20);
    request(2, 0, 1e9);
    now += 2 * SECOND;
    EXPECT(LEASE, 2, 15, 5);
    EXPECT(REVOKE, 1, 15, 5);
    end();
}

static void help_goes_to_the_chunk_that_is_stuck(void)
{
    begin(BQ_STATIC, 0, 20, 2);
    join(0, 4);
    join(1, 4);
    DONE(1, 10, 10);
    request(1, 0, 1e6);
    DONE(0, 0, 2); /* 2 is stuck on one cook; the others did the rest */
    DONE(0, 3, 7);
    now += 60 * SECOND;
    EXPECT(LEASE, 1, 2, 1);
    EXPECT(REVOKE, 0, 2, 1);
    end();
}

static void the_straggler_itself_first_in_line_does_not_hide_it(void)
{
    begin(BQ_STATIC, 0, 20, 2);
    join(0, 4);
    join(1, 4);
    DONE(0, 0, 9);
    request(0, 0, 1e5); /* three of its cooks starve, one is stuck with 9 */
    EXPECT_NOTHING();
    DONE(1, 10, 10);
    request(1, 0, 1e5);
    now += 60 * SECOND;
    EXPECT(LEASE, 1, 9, 1);
    EXPECT(REVOKE, 0, 9, 1);
    end();
}

static void what_others_have_done_needs_no_help(void)
{
    begin(BQ_STATIC, 0, 30, 3);
    for (uint32_t k = 0; k < 3; k++)
        join(k, 1);
    range(BQ_EVENT_DONE, 1, 0, 10); /* resurrected from somewhere: all of kitchen 0's */
    EXPECT(ACCEPT, 1, 0, 10);
    DONE(1, 10, 10);
    request(1, 0, 1e9);
    EXPECT(LEASE, 1, 25, 5);
    EXPECT(REVOKE, 2, 25, 5);
    end();
}

static void a_kitchen_that_is_nearly_done_needs_no_help(void)
{
    begin(BQ_STATIC, 0, 20, 2);
    join(0, 4);
    join(1, 4);
    DONE(1, 10, 10);
    request(1, 0, 1e6); /* kitchen 0: 10 chunks of 1 ms on 4 cooks */
    DONE(0, 0, 6);      /* the last four are on its cooks */
    EXPECT_NOTHING();
    end();
}

static void who_waits_in_the_tail_is_looked_at_again_but_nobody_spins(void)
{
    begin_tail();
    request(1, 3, 1e9); /* not starving: it will say so when it is */
    EXPECT_NOTHING();
    CU_ASSERT_EQUAL(bq_scheduler_wake(s), BQ_NEVER);
    request(1, 0, 1e9);
    EXPECT(LEASE, 1, 5, 5);
    EXPECT(REVOKE, 0, 5, 5);
    EXPECT_NOTHING();
    CU_ASSERT_EQUAL(bq_scheduler_wake(s), BQ_NEVER);
    request(1, 0, 1e9);
    EXPECT_NOTHING();
    CU_ASSERT(bq_scheduler_wake(s) > now && bq_scheduler_wake(s) <= now + SECOND);
    now = bq_scheduler_wake(s);
    EXPECT_NOTHING();
    CU_ASSERT(bq_scheduler_wake(s) > now);
    end();
}

/* -- kitchens that return ----------------------------------------------------------------- */

static void a_lost_kitchen_returns_and_is_in_line_again(void)
{
    begin(BQ_DYNAMIC, 5, 40, 2); /* first leases: 0 .. 4 and 5 .. 9 */
    join(0, 1);
    join(1, 1);
    request(1, 0, 0);
    EXPECT(LEASE, 1, 10, 5);
    request(1, 0, 0);
    lost(1);
    EXPECT_NOTHING(); /* with it went its place in line */
    request(0, 0, 0);
    EXPECT(LEASE, 0, 5, 5);
    back(1);
    EXPECT_NOTHING(); /* nothing is its own */
    join(1, 1);
    request(1, 0, 0);
    EXPECT(LEASE, 1, 10, 5);
    range(BQ_EVENT_DROPPED, 1, 5, 5); /* what it held in its former life is none of its business */
    EXPECT_NOTHING();
    DONE(1, 10, 5);
    lost(1);
    back(1);
    request(1, 0, 0);
    EXPECT(LEASE, 1, 15, 5); /* and again, as often as it likes */
    end();
}

static void what_was_dealt_is_dealt_again_to_who_returns(void)
{
    begin(BQ_STATIC, 0, 30, 3);
    request(1, 0, 0);
    EXPECT_NOTHING();
    DONE(1, 10, 4);
    lost(1);
    request(0, 0, 0);
    EXPECT_NOTHING(); /* static means static */
    back(1);
    join(1, 1);
    request(1, 0, 0);
    EXPECT(LEASE, 1, 14, 6);
    request(1, 0, 0);
    EXPECT_NOTHING();
    end();

    begin(BQ_CYCLIC, 2, 16, 2); /* 0 1, 4 5, 8 9, 12 13 and 2 3, 6 7, 10 11, 14 15 */
    DONE(1, 2, 2);
    for (uint64_t first = 6; first < 14; first += 4) {
        request(1, 0, 0);
        EXPECT(LEASE, 1, first, 2);
    }
    DONE(1, 10, 2);
    lost(1);
    back(1);
    join(1, 1);
    request(1, 0, 0);
    EXPECT(LEASE, 1, 6, 2);
    request(1, 0, 0);
    EXPECT(LEASE, 1, 14, 2);
    request(0, 0, 0);
    EXPECT(LEASE, 0, 4, 2); /* nothing was overruled */
    end();
}

static void a_kitchen_alone_may_be_lost_and_return(void)
{
    for (int policy = 0; policy < BQ_N_POLICIES; policy++) {
        begin((enum bq_policy)policy, 4, 20, 1);
        uint64_t n_done = 0;
        for (int life = 0; life < 100 && !bq_scheduler_done(s); life++) {
            join(0, 2);
            for (int i = 0; i < 3; i++) {
                request(0, 0, 0);
                /* It dies with its third lease. */
                if (bq_scheduler_ask(s, now, &action) && action.kind == BQ_ACTION_LEASE && i < 2) {
                    range(BQ_EVENT_DONE, 0, action.first, 1);
                    EXPECT(ACCEPT, 0, action.first, 1);
                    n_done++;
                }
            }
            CU_ASSERT_FALSE(bq_scheduler_is_stranded(s));
            lost(0);
            CU_ASSERT_EQUAL(bq_scheduler_is_stranded(s), n_done < 20);
            back(0);
            CU_ASSERT_FALSE(bq_scheduler_is_stranded(s));
            CU_ASSERT_FALSE(bq_scheduler_done(s)); /* if only because it is to be closed */
            if (n_done == 20)
                EXPECT(CLOSE, 0, 0, 0);
        }
        CU_ASSERT(bq_scheduler_done(s));
        CU_ASSERT_EQUAL(n_done, 20);
        end();
    }
}

static void who_returns_after_the_end_is_closed(void)
{
    begin(BQ_STATIC, 0, 30, 3);
    lost(1);
    DONE(0, 0, 20);
    DONE(2, 20, 10);
    EXPECT(CLOSE, 0, 0, 0);
    EXPECT(CLOSE, 2, 0, 0);
    CU_ASSERT(bq_scheduler_done(s) || !bq_scheduler_ask(s, now, &action));
    CU_ASSERT(bq_scheduler_done(s));
    back(1);
    CU_ASSERT_FALSE(bq_scheduler_done(s));
    EXPECT(CLOSE, 1, 0, 0);
    EXPECT_NOTHING();
    CU_ASSERT(bq_scheduler_done(s));
    lost(2); /* whoever was closed may be lost */
    lost(2);
    CU_ASSERT(bq_scheduler_done(s));
    CU_ASSERT_FALSE(bq_scheduler_is_stranded(s));
    back(2);
    EXPECT(CLOSE, 2, 0, 0);
    EXPECT_NOTHING();
    CU_ASSERT(bq_scheduler_done(s));
    end();
}

static void who_returns_after_a_stop_is_closed(void)
{
    begin(BQ_GUIDED, 0, 30, 2);
    lost(0);
    stop();
    EXPECT(CLOSE, 1, 0, 0);
    EXPECT_NOTHING();
    CU_ASSERT(bq_scheduler_done(s));
    back(0);
    CU_ASSERT_FALSE(bq_scheduler_done(s));
    join(0, 1);
    request(0, 0, 0);
    EXPECT(CLOSE, 0, 0, 0);
    EXPECT_NOTHING();
    CU_ASSERT(bq_scheduler_done(s));
    CU_ASSERT_FALSE(bq_scheduler_is_stranded(s));
    end();
}

static void who_returns_may_have_more_cooks_than_before(void)
{
    begin(BQ_DYNAMIC, 0, 10000, 2);
    join(0, 4);
    join(1, 4);
    tell((struct bq_event){.kind = BQ_EVENT_TICK, .svc_ns = 10000});
    lost(1);
    join(1, 100); /* the dead do not join */
    back(1);
    join(1, 8);
    join(1, 100);         /* nobody joins twice */
    request(0, 0, 20000); /* 2 K T svc / tau = 2 x 2 x 6 x 10 / 20 */
    EXPECT(LEASE, 0, 78, 12);
    end();
}

/* The coordinator tells FAILED for the chunk that its kitchen died of, and then LOST. */
static void a_chunk_that_kills_every_kitchen_is_given_up_and_the_rest_is_done(void)
{
    begin(BQ_DYNAMIC, 4, 8, 2); /* 0 .. 1 and 2 .. 3 first: half a share is the most */
    DONE(1, 2, 2);
    for (int life = 0; life < 3; life++) {
        if (life) {
            back(0);
            join(0, 1);
            request(0, 0, 0);
            EXPECT(LEASE, 0, 0, 2);
        }
        failed(0, 1);
        if (life == 2)
            EXPECT(GIVE_UP, 0, 1, 1);
        lost(0);
        EXPECT_NOTHING();
    }
    failed(0, 1); /* told too late, it counts for nothing */
    failed(0, 0);
    EXPECT_NOTHING();
    request(1, 0, 0);
    EXPECT(LEASE, 1, 0, 1);
    request(1, 0, 0);
    EXPECT(LEASE, 1, 4, 4);
    DONE(1, 0, 1);
    DONE(1, 4, 4);
    EXPECT(CLOSE, 1, 0, 0);
    EXPECT_NOTHING();
    CU_ASSERT(bq_scheduler_done(s));
    CU_ASSERT_EQUAL(bq_scheduler_n_given_up(s), 1);
    end();
}

/* -- results that were lost --------------------------------------------------------------- */

/* Three kitchens that have done ten chunks each. */
static void begin_after_the_end(enum bq_policy policy)
{
    begin(policy, 0, 30, 3);
    for (uint32_t k = 0; k < 3; k++) {
        join(k, 1);
        request(k, 0, 1e6);
    }
    while (bq_scheduler_ask(s, now, &action))
        ;
    for (uint32_t k = 0; k < 3; k++)
        range(BQ_EVENT_DONE, k, 10 * k, 10);
    EXPECT(ACCEPT, 2, 20, 10);
    for (uint32_t k = 0; k < 3; k++)
        EXPECT(CLOSE, k, 0, 0);
    EXPECT_NOTHING();
    CU_ASSERT(bq_scheduler_done(s));
}

static void what_is_lost_after_the_end_is_done_by_who_is_needed_again(void)
{
    for (int policy = 0; policy < BQ_N_POLICIES; policy++) {
        begin_after_the_end((enum bq_policy)policy);
        lost(1);
        CU_ASSERT(bq_scheduler_done(s));
        undo(10, 10);
        CU_ASSERT_EQUAL(bq_scheduler_n_done(s), 20);
        CU_ASSERT_FALSE(bq_scheduler_done(s));
        CU_ASSERT(bq_scheduler_is_stranded(s));
        request(2, 0, 0); /* the closed do not ask */
        EXPECT_NOTHING();
        CU_ASSERT_EQUAL(bq_scheduler_wake(s), BQ_NEVER);
        back(0);
        CU_ASSERT_FALSE(bq_scheduler_is_stranded(s));
        EXPECT_NOTHING();
        for (int i = 0; i < 10 && bq_scheduler_n_done(s) < 30; i++) {
            request(0, 0, 1e6);
            bool is = bq_scheduler_ask(s, now, &action);
            struct bq_action lease = action;
            CU_ASSERT(is && lease.kind == BQ_ACTION_LEASE && lease.kitchen == 0);
            EXPECT_NOTHING(); /* nobody else is to do anything for it */
            DONE(0, lease.first, lease.count);
        }
        EXPECT(CLOSE, 0, 0, 0);
        EXPECT_NOTHING();
        CU_ASSERT(bq_scheduler_done(s));
        CU_ASSERT_EQUAL(bq_scheduler_n_done(s), 30);
        end();
    }
}

static void who_returns_does_what_was_lost_with_it(void)
{
    begin_after_the_end(BQ_STATIC);
    lost(1);
    undo(10, 5);
    undo(18, 2);
    back(1);
    join(1, 1);
    request(1, 0, 0);
    EXPECT(LEASE, 1, 10, 5); /* dealt to it, not to be overruled */
    request(1, 0, 0);
    EXPECT(LEASE, 1, 18, 2);
    back(0);
    request(0, 0, 0);
    DONE(1, 10, 5);
    EXPECT_NOTHING();
    lost(1);
    EXPECT(LEASE, 0, 18, 1); /* nobody works: static is overruled */
    end();
}

static void only_those_that_are_not_closed_share_what_was_lost(void)
{
    begin_after_the_end(BQ_GUIDED);
    undo(0, 12);
    back(2);
    request(2, 0, 0);
    EXPECT(LEASE, 2, 0, 6);
    end();

    begin(BQ_DYNAMIC, 1, 30, 3);
    range(BQ_EVENT_DONE, 0, 0, 30);
    EXPECT(ACCEPT, 0, 0, 30);
    for (uint32_t k = 0; k < 3; k++)
        EXPECT(CLOSE, k, 0, 0);
    undo(0, 12);
    back(1);
    tell((struct bq_event){.kind = BQ_EVENT_REQUEST, .kitchen = 1, .want = 20});
    EXPECT(LEASE, 1, 0, 6);
    end();
}

static void who_was_closed_holds_nothing(void)
{
    begin_tail();
    EXPECT(LEASE, 1, 5, 5);
    EXPECT(REVOKE, 0, 5, 5);
    DONE(1, 5, 5);
    range(BQ_EVENT_DONE, 1, 0, 5); /* not reported by kitchen 0, which is closed without a word */
    EXPECT(ACCEPT, 1, 0, 5);
    EXPECT(CLOSE, 0, 0, 0);
    lost(1);
    EXPECT_NOTHING();
    undo(0, 20);
    CU_ASSERT(bq_scheduler_is_stranded(s));
    back(1);
    join(1, 1);
    request(1, 0, 1e9);
    EXPECT(LEASE, 1, 10, 10);
    DONE(1, 10, 10);
    request(1, 0, 1e9);
    EXPECT(LEASE, 1, 0, 5); /* nobody works on the rest: guided, for one */
    range(BQ_EVENT_DROPPED, 0, 0, 5);
    failed(0, 3); /* late words of kitchen 0 change nothing */
    EXPECT_NOTHING();
    end();
}

static void what_is_lost_while_others_are_being_closed_is_done_by_who_is_not(void)
{
    begin(BQ_DYNAMIC, 10, 30, 3);
    for (uint32_t k = 0; k < 3; k++)
        range(BQ_EVENT_DONE, k, 10 * k, 10);
    EXPECT(ACCEPT, 2, 20, 10);
    request(2, 0, 0);
    EXPECT(CLOSE, 0, 0, 0);
    undo(3, 2);
    EXPECT(LEASE, 2, 3, 2);
    EXPECT_NOTHING();
    DONE(2, 3, 2);
    EXPECT(CLOSE, 1, 0, 0);
    EXPECT(CLOSE, 2, 0, 0);
    EXPECT_NOTHING();
    CU_ASSERT(bq_scheduler_done(s));
    end();
}

static void what_is_lost_but_held_by_another_is_left_to_it(void)
{
    begin_tail();
    EXPECT(LEASE, 1, 5, 5);
    EXPECT(REVOKE, 0, 5, 5);
    DONE(1, 5, 5);
    lost(1);
    undo(5, 5);
    undo(10, 10);
    CU_ASSERT_EQUAL(bq_scheduler_n_done(s), 0);
    back(1);
    join(1, 1);
    request(1, 0, 1e9);
    EXPECT(LEASE, 1, 10, 10); /* not 5 .. 9: kitchen 0 has not given them back */
    DONE(0, 0, 10);
    request(0, 0, 1e9);
    now += SECOND;
    EXPECT(LEASE, 0, 15, 5);
    end();
}

static void what_is_lost_amid_a_lease_is_leased_again_when_the_lease_is_over(void)
{
    begin(BQ_STATIC, 0, 20, 2);
    request(1, 0, 0);
    DONE(0, 0, 5);
    undo(2, 3);
    DONE(1, 10, 10);
    EXPECT_NOTHING(); /* kitchen 0 might still be about to report them, for all anybody knows */
    DONE(0, 5, 5);
    EXPECT(LEASE, 1, 2, 1); /* nobody works: static is overruled */
    end();
}

static void what_is_lost_may_be_lost_before_its_kitchen_is(void)
{
    begin(BQ_DYNAMIC, 10, 40, 2);
    DONE(0, 0, 5);
    undo(0, 5);
    lost(0);
    request(1, 0, 0);
    EXPECT(LEASE, 1, 0, 10);
    end();
}

static void a_late_result_of_what_was_lost_is_the_first_again(void)
{
    begin_after_the_end(BQ_DYNAMIC);
    undo(4, 3);
    DONE(2, 4, 2); /* it had done them, too */
    range(BQ_EVENT_DONE, 2, 5, 2);
    EXPECT(ACCEPT, 2, 5, 1);
    EXPECT_NOTHING();
    CU_ASSERT(bq_scheduler_done(s)); /* and nobody had to be opened again */
    end();
}

static void what_was_fed_and_lost_need_not_be_fed_again(void)
{
    struct bq_scheduler_config config = {
        .n_chunks = 20, .n_kitchens = 2, .schedule = {.policy = BQ_GUIDED}, .is_fed = true};
    struct bq_error err = {0};
    s = bq_scheduler_create(&config, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    request(0, 0, 0);
    EXPECT_NOTHING();
    dropped(0, 10, 5); /* nobody had them: that feeds nobody */
    EXPECT_NOTHING();
    range(BQ_EVENT_FED, 0, 4, 4);
    EXPECT(LEASE, 0, 4, 1);
    DONE(0, 4, 1);
    lost(0);
    undo(4, 1);
    back(0);
    join(0, 1);
    request(0, 0, 0);
    EXPECT(LEASE, 0, 4, 1);
    end();
}

/* -- second leases ------------------------------------------------------------------------ */

static void a_helper_that_returns_may_help_again(void)
{
    begin_tail();
    EXPECT(LEASE, 1, 5, 5);
    EXPECT(REVOKE, 0, 5, 5);
    lost(1);
    back(1);
    join(1, 1);
    request(1, 0, 1e9);
    now += 10 * SECOND;
    EXPECT(LEASE, 1, 5, 5);
    EXPECT(REVOKE, 0, 5, 5);
    DONE(1, 5, 5);
    lost(1);
    undo(5, 5); /* its results are gone, kitchen 0 has them still */
    back(1);
    join(1, 1);
    now += 10 * SECOND;
    request(1, 0, 1e9);
    EXPECT(LEASE, 1, 5, 5);
    EXPECT(REVOKE, 0, 5, 5);
    DONE(1, 4, 6); /* more than it was asked for */
    lost(1);
    undo(4, 6);
    back(1);
    now += 10 * SECOND;
    request(1, 0, 1e9);
    EXPECT(LEASE, 1, 5, 5);
    EXPECT(REVOKE, 0, 5, 5);
    end();
}

static void a_straggler_that_returns_leaves_its_helper_alone(void)
{
    begin_tail();
    EXPECT(LEASE, 1, 5, 5);
    EXPECT(REVOKE, 0, 5, 5);
    lost(0);
    back(0);
    join(0, 1);
    request(0, 0, 1e9);
    EXPECT(LEASE, 0, 0, 5); /* what it was dealt, without what its helper has */
    DONE(0, 0, 5);
    request(0, 0, 1e9);
    now += 20 * SECOND;
    EXPECT(LEASE, 0, 8, 2); /* and it may help its helper */
    EXPECT(REVOKE, 1, 8, 2);
    end();
}

static void nobody_that_was_lost_is_told_to_give_back(void)
{
    begin_tail();
    EXPECT(LEASE, 1, 5, 5);
    lost(0);
    EXPECT_NOTHING();
    end();
}

/* -- progress, stop, nonsense ------------------------------------------------------------- */

static void static_is_overruled_only_when_everybody_would_idle(void)
{
    begin(BQ_STATIC, 0, 30, 3);
    for (uint32_t k = 0; k < 3; k++)
        join(k, 1);
    lost(0);
    DONE(1, 10, 10);
    request(1, 0, 1e9);
    EXPECT_NOTHING(); /* kitchen 2 is busy: static means static */
    DONE(2, 20, 10);
    EXPECT(LEASE, 1, 0, 2); /* guided from here on */
    request(2, 0, 1e9);
    EXPECT(LEASE, 2, 2, 2);
    end();
}

static void cyclic_deals_in_turn_and_is_overruled_only_when_everybody_would_idle(void)
{
    begin(BQ_CYCLIC, 2, 12, 2); /* 0 1, 4 5, 8 9 and 2 3, 6 7, 10 11 */
    request(0, 0, 1e9);
    EXPECT(LEASE, 0, 4, 2);
    request(0, 0, 1e9);
    EXPECT(LEASE, 0, 8, 2);
    request(0, 0, 1e9);
    EXPECT_NOTHING();
    request(1, 5, 1e9); /* behind it in line, but something is meant for it */
    EXPECT(LEASE, 1, 6, 2);
    EXPECT_NOTHING();
    lost(1);
    EXPECT_NOTHING();
    DONE(0, 0, 2);
    DONE(0, 4, 2);
    DONE(0, 8, 2);
    EXPECT(LEASE, 0, 2, 2);
    end();
}

/* Kitchens 0 and 1 and a seat, which is empty at first. */
static void begin_with_a_guest(enum bq_policy policy, uint64_t block, uint64_t n_chunks)
{
    struct bq_scheduler_config config = {.n_chunks = n_chunks,
                                         .n_kitchens = 3,
                                         .n_guests = 1,
                                         .schedule = {.policy = policy, .block = block}};
    struct bq_error err = {0};
    s = bq_scheduler_create(&config, &err);
    now = 5 * SECOND;
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    lost(2);
}

static void a_guest_has_no_first_lease_and_takes_of_what_is_free(void)
{
    begin_with_a_guest(BQ_GUIDED, 0, 100); /* 0-24 and 25-49 are begun */
    back(2);
    join(2, 1);
    request(2, 0, 0);
    EXPECT(LEASE, 2, 50, 8); /* 50 / (2 * 3) */
    EXPECT_NOTHING();
    lost(2);
    request(0, 0, 0);
    EXPECT(LEASE, 0, 50, 12);
    end();
}

static void a_guest_takes_what_was_dealt_to_others(void)
{
    begin_with_a_guest(BQ_CYCLIC, 5, 60); /* 0-4 and 5-9 are begun */
    back(2);
    join(2, 1);
    request(2, 0, 0);
    EXPECT(LEASE, 2, 10, 8);
    request(0, 0, 0); /* its turn is 10-14 and then 20-24 */
    EXPECT(LEASE, 0, 20, 5);
    request(1, 0, 0);
    EXPECT(LEASE, 1, 18, 2); /* what is left of 15-19 */
    EXPECT_NOTHING();
    end();
}

static void a_guest_is_enough(void)
{
    begin_with_a_guest(BQ_STATIC, 0, 10);
    back(2);
    join(2, 1);
    lost(0);
    lost(1);
    CU_ASSERT_FALSE(bq_scheduler_is_stranded(s));
    request(2, 0, 0);
    EXPECT(LEASE, 2, 0, 5);
    lost(2);
    CU_ASSERT(bq_scheduler_is_stranded(s));
    end();
}

static void stop_closes_everybody_and_leases_no_more(void)
{
    begin(BQ_DYNAMIC, 1, 100, 3);
    request(0, 0, 0);
    lost(1);
    stop();
    EXPECT(CLOSE, 0, 0, 0);
    EXPECT(CLOSE, 2, 0, 0);
    EXPECT_NOTHING();
    CU_ASSERT(bq_scheduler_done(s));
    CU_ASSERT_FALSE(bq_scheduler_is_stranded(s)); /* nobody is needed any more */
    CU_ASSERT_EQUAL(bq_scheduler_wake(s), BQ_NEVER);
    range(BQ_EVENT_DONE, 2, 2, 1); /* what is finished still counts */
    EXPECT(ACCEPT, 2, 2, 1);
    request(2, 0, 0);
    EXPECT_NOTHING();
    end();
}

static void nonsense_is_ignored(void)
{
    begin(BQ_DYNAMIC, 5, 100, 2);
    for (int kind = 0; kind <= BQ_EVENT_LOST; kind++)
        tell((struct bq_event){.kind = (enum bq_event_kind)kind, .kitchen = 2, .count = 1});
    range(BQ_EVENT_DONE, 0, 100, 1);
    range(BQ_EVENT_DONE, 0, 99, 2);
    range(BQ_EVENT_DONE, 0, UINT64_MAX, UINT64_MAX);
    range(BQ_EVENT_DONE, 0, 1, UINT64_MAX);
    range(BQ_EVENT_DONE, 0, 0, 0);
    range(BQ_EVENT_DROPPED, 0, 99, 5);
    range(BQ_EVENT_DROPPED, 0, 5, 5);  /* kitchen 1 holds these */
    range(BQ_EVENT_DROPPED, 0, 50, 5); /* nobody does */
    failed(0, 100);
    for (int i = 0; i < 5; i++)
        failed(0, 7); /* not its own */
    EXPECT_NOTHING();
    tell((struct bq_event){.kind = (enum bq_event_kind)99, .kitchen = 0});
    EXPECT_NOTHING();
    CU_ASSERT(bq_scheduler_n_done(s) == 0 && bq_scheduler_n_given_up(s) == 0);
    join(0, 0);
    join(0, UINT32_MAX);
    join(1, 2);
    double zero = 0;
    tell((struct bq_event){.kind = BQ_EVENT_TICK, .svc_ns = zero / zero});
    request(0, UINT64_MAX, zero / zero);
    EXPECT(LEASE, 0, 10, 5);
    request(1, 0, 1 / zero);
    EXPECT(LEASE, 1, 15, 5);
    request(1, 0, -5);
    EXPECT(LEASE, 1, 20, 5);
    end();
    bq_scheduler_destroy(NULL);
}

static void nonsense_about_returns_and_losses_is_ignored(void)
{
    begin(BQ_CYCLIC, 2, 12, 2); /* 0 1, 4 5, 8 9 and 2 3, 6 7, 10 11 */
    join(0, 1);
    join(1, 1);
    back(2);
    back(UINT32_MAX);
    lost(2);
    back(0); /* it was never lost */
    undo(0, 0);
    undo(12, 1);
    undo(11, 2);
    undo(UINT64_MAX, UINT64_MAX);
    undo(1, UINT64_MAX);
    undo(0, 12); /* nothing is done yet: what is held stays so */
    EXPECT_NOTHING();
    CU_ASSERT_EQUAL(bq_scheduler_n_done(s), 0);
    request(0, 0, 0);
    EXPECT(LEASE, 0, 4, 2);
    back(0); /* neither is it lost now: it holds what it held, and is dealt nothing twice */
    back(0);
    request(0, 0, 0);
    EXPECT(LEASE, 0, 8, 2);
    lost(1);
    lost(1);
    join(1, 1);
    request(1, 0, 0);
    failed(1, 2);
    dropped(1, 2, 2);
    EXPECT_NOTHING();
    CU_ASSERT_FALSE(bq_scheduler_is_stranded(s));
    back(1);
    back(1);
    join(1, 1);
    join(1, 3);
    request(1, 0, 0);
    EXPECT(LEASE, 1, 2, 2);
    range(BQ_EVENT_DONE, 0, 0, 12);
    EXPECT(ACCEPT, 0, 0, 12);
    EXPECT(CLOSE, 0, 0, 0);
    back(1); /* is not closed yet */
    EXPECT(CLOSE, 1, 0, 0);
    EXPECT_NOTHING();
    request(0, 0, 0);
    join(0, 1);
    failed(0, 1);
    dropped(0, 0, 12);
    EXPECT_NOTHING();
    CU_ASSERT(bq_scheduler_done(s));
    undo(0, 0);
    undo(0, 13);
    CU_ASSERT(bq_scheduler_done(s));
    CU_ASSERT_EQUAL(bq_scheduler_n_given_up(s), 0);
    end();
}

static const struct test tests[] = {
    {"the first leases need no message", the_first_leases_need_no_message},
    {"starving kitchens are served first, and then in order",
     starving_kitchens_are_served_first_and_then_in_order},
    {"a kitchen that asks again because it starves moves ahead",
     a_kitchen_that_asks_again_because_it_starves_moves_ahead},
    {"guided leases are half a share of what is left",
     guided_leases_are_half_a_share_of_what_is_left},
    {"a busy coordinator makes leases longer", a_busy_coordinator_makes_leases_longer},
    {"a deadline is known when the speed is", a_deadline_is_known_when_the_speed_is},
    {"a kitchen holds so many leases at most", a_kitchen_holds_so_many_leases_at_most},
    {"many cooks are all fed by small blocks", many_cooks_are_all_fed_by_small_blocks},
    {"late and double results are discarded", late_and_double_results_are_discarded},
    {"an answer that nobody asked for is forgotten", an_answer_that_nobody_asked_for_is_forgotten},
    {"a result of a kitchen that was lost counts when it is the first",
     a_result_of_a_kitchen_that_was_lost_counts_when_it_is_the_first},
    {"when all is done everybody is closed once", when_all_is_done_everybody_is_closed_once},
    {"a plan without chunks closes at once", a_plan_without_chunks_closes_at_once},
    {"the chunks of a lost kitchen go to others", the_chunks_of_a_lost_kitchen_go_to_others},
    {"a failing chunk is retried and then given up", a_failing_chunk_is_retried_and_then_given_up},
    {"a chunk that fails amid a lease is retried when the lease is over",
     a_chunk_that_fails_amid_a_lease_is_retried_when_the_lease_is_over},
    {"a retry that was lost with its kitchen is leased again",
     a_retry_that_was_lost_with_its_kitchen_is_leased_again},
    {"hundreds of passing failures do not use up the memory of failures",
     hundreds_of_passing_failures_do_not_use_up_the_memory_of_failures},
    {"hundreds of chunks that fail at once are given up without loss",
     hundreds_of_chunks_that_fail_at_once_are_given_up_without_loss},
    {"dropped chunks are leased again", dropped_chunks_are_leased_again},
    {"what is dropped amid a lease is leased again when the lease is over",
     what_is_dropped_amid_a_lease_is_leased_again_when_the_lease_is_over},
    {"everybody lost is stranded", everybody_lost_is_stranded},
    {"a straggler gets help and a revoke", a_straggler_gets_help_and_a_revoke},
    {"a straggler is helped again when it gave back",
     a_straggler_is_helped_again_when_it_gave_back},
    {"a straggler that cannot give back is helped once",
     a_straggler_that_cannot_give_back_is_helped_once},
    {"a helper that is lost is replaced", a_helper_that_is_lost_is_replaced},
    {"a helper that is slow itself is helped", a_helper_that_is_slow_itself_is_helped},
    {"help goes to the chunk that is stuck", help_goes_to_the_chunk_that_is_stuck},
    {"the straggler itself first in line does not hide it",
     the_straggler_itself_first_in_line_does_not_hide_it},
    {"what others have done needs no help", what_others_have_done_needs_no_help},
    {"a kitchen that is nearly done needs no help", a_kitchen_that_is_nearly_done_needs_no_help},
    {"who waits in the tail is looked at again, but nobody spins",
     who_waits_in_the_tail_is_looked_at_again_but_nobody_spins},
    {"a lost kitchen returns and is in line again", a_lost_kitchen_returns_and_is_in_line_again},
    {"what was dealt is dealt again to who returns", what_was_dealt_is_dealt_again_to_who_returns},
    {"a kitchen alone may be lost and return", a_kitchen_alone_may_be_lost_and_return},
    {"who returns after the end is closed", who_returns_after_the_end_is_closed},
    {"who returns after a stop is closed", who_returns_after_a_stop_is_closed},
    {"who returns may have more cooks than before", who_returns_may_have_more_cooks_than_before},
    {"a chunk that kills every kitchen is given up and the rest is done",
     a_chunk_that_kills_every_kitchen_is_given_up_and_the_rest_is_done},
    {"what is lost after the end is done by who is needed again",
     what_is_lost_after_the_end_is_done_by_who_is_needed_again},
    {"who returns does what was lost with it", who_returns_does_what_was_lost_with_it},
    {"only those that are not closed share what was lost",
     only_those_that_are_not_closed_share_what_was_lost},
    {"who was closed holds nothing", who_was_closed_holds_nothing},
    {"what is lost while others are being closed is done by who is not",
     what_is_lost_while_others_are_being_closed_is_done_by_who_is_not},
    {"what is lost but held by another is left to it",
     what_is_lost_but_held_by_another_is_left_to_it},
    {"what is lost amid a lease is leased again when the lease is over",
     what_is_lost_amid_a_lease_is_leased_again_when_the_lease_is_over},
    {"what is lost may be lost before its kitchen is",
     what_is_lost_may_be_lost_before_its_kitchen_is},
    {"a late result of what was lost is the first again",
     a_late_result_of_what_was_lost_is_the_first_again},
    {"what was fed and lost need not be fed again", what_was_fed_and_lost_need_not_be_fed_again},
    {"a helper that returns may help again", a_helper_that_returns_may_help_again},
    {"a straggler that returns leaves its helper alone",
     a_straggler_that_returns_leaves_its_helper_alone},
    {"nobody that was lost is told to give back", nobody_that_was_lost_is_told_to_give_back},
    {"nonsense about returns and losses is ignored", nonsense_about_returns_and_losses_is_ignored},
    {"static is overruled only when everybody would idle",
     static_is_overruled_only_when_everybody_would_idle},
    {"cyclic deals in turn and is overruled only when everybody would idle",
     cyclic_deals_in_turn_and_is_overruled_only_when_everybody_would_idle},
    {"a guest has no first lease and takes of what is free",
     a_guest_has_no_first_lease_and_takes_of_what_is_free},
    {"a guest takes what was dealt to others", a_guest_takes_what_was_dealt_to_others},
    {"a guest is enough", a_guest_is_enough},
    {"stop closes everybody and leases no more", stop_closes_everybody_and_leases_no_more},
    {"nonsense is ignored", nonsense_is_ignored},
};

RUN_TESTS("scheduler", tests)
