/* What a course has finished, kept in a journal, and recalled from it when the same command goes on
 * after a kill. Nothing in the work file is believed: chunks count whose output has the digest that
 * the journal has of it. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "adapters/clock.h"
#include "base/heap.h"
#include "base/path.h"
#include "run/coordinator_internal.h"

#define MARK_NS 1e9   /* a kill -9 costs at most about this */
#define MOST_SHARE 20 /* marking takes at most a 20th of the time */

/* The path of a work file by its name: it lies beside the output. */
static char *work_path(const struct course *c, const char *name)
{
    const char *file = c->resolved->output.file ? c->resolved->output.file : "";
    size_t folder = bq_path_folder(file), size = folder + strlen(name) + 1;
    char *path = bq_alloc(size, 1);
    if (path)
        snprintf(path, size, "%.*s%s", (int)folder, file, name);
    return path;
}

static void remove_work(const struct course *c, const char *name)
{
    char *path = name[0] ? work_path(c, name) : NULL;
    if (path)
        bq_output_remove_left(path);
    bq_free(path);
}

static void say(const struct course *c, const char *what, const char *why)
{
    if (!c->coordinator->is_quiet)
        fprintf(stderr, "banquet: %s: %s\n", what, why);
}

/* It cannot be written any more: the run goes on without. What it had at the last mark still
 * counts, if the run comes to no better end. */
static void give_up(struct course *c, const struct bq_error *why)
{
    say(c, "what is finished from now on cannot be kept", why->text);
    c->is_stuck = true;
}

static bool is_wanted(const struct course *c)
{
    const struct bq_recipe *r = c->recipe;
    bool is_kept =
        !r->has_output || (!r->output.is_scratch && c->resolved->output.how != BQ_OUTPUT_SHARDED);
    return c->options->journal && is_kept && !r->is_fed && r->comes_again == 0 &&
           r->plan.n_chunks > 0;
}

static bool is_same(const struct course *c, const struct bq_journal_head *head)
{
    const struct bq_step_journal *o = c->options->journal;
    return memcmp(&head->of, o->of, sizeof head->of) == 0 && head->step == o->step &&
           head->n_chunks == c->recipe->plan.n_chunks &&
           head->result_size == bq_recipe_result_size(c->recipe) &&
           (head->work[0] != 0) == c->recipe->has_output;
}

char *course_find_journal(struct course *c)
{
    struct bq_error why = {0};
    if (!is_wanted(c))
        return NULL;
    c->journal = bq_journal_open(c->options->journal->path, &why);
    if (!c->journal) {
        if (why.text[0])
            say(c, "what an earlier run has finished is done again", why.text);
        return NULL;
    }
    const struct bq_journal_head *head = bq_journal_head(c->journal);
    if (!c->options->journal->is_fresh && is_same(c, head) && !bq_journal_is_empty(c->journal)) {
        c->is_resumed = true;
        return work_path(c, head->work);
    }
    course_forget_journal(c);
    return NULL;
}

void course_forget_journal(struct course *c)
{
    if (c->journal)
        remove_work(c, bq_journal_head(c->journal)->work);
    bq_journal_remove(c->journal);
    c->journal = NULL;
    c->is_resumed = false;
}

static bool needs_mark(const struct course *c)
{
    return c->recipe->has_output && c->recipe->output.how != BQ_OUTPUT_DIRECT;
}

/* A name for the work file that nobody has. The journal has it before the file is made: so there is
 * no moment in which a kill leaves a file that nobody knows. */
static char *choose_work(const struct course *c)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    unsigned char dice[6];
    char six[6], *path = bq_path_hidden(c->resolved->output.file);
    if (!path || getrandom(dice, sizeof dice, 0) != sizeof dice) {
        bq_free(path);
        return NULL;
    }
    for (int i = 0; i < 6; i++)
        six[i] = letters[dice[i] % (sizeof letters - 1)];
    bq_path_fill(path, six);
    return path;
}

char *course_begin_journal(struct course *c)
{
    struct bq_error why = {0};
    if (!is_wanted(c) || c->journal)
        return NULL;
    char *work = c->recipe->has_output ? choose_work(c) : NULL;
    const char *name = work ? work + bq_path_folder(work) : "";
    struct bq_journal_head head = {.of = *c->options->journal->of,
                                   .step = c->options->journal->step,
                                   .n_chunks = c->recipe->plan.n_chunks,
                                   .result_size = bq_recipe_result_size(c->recipe),
                                   .needs_mark = true};
    if ((c->recipe->has_output && !work) || strlen(name) >= sizeof head.work) {
        bq_free(work);
        return NULL;
    }
    strcpy(head.work, name);
    c->journal = bq_journal_create(c->options->journal->path, &head, &why);
    if (!c->journal)
        say(c, "no journal can be kept, and the run goes on without", why.text);
    c->marked_at = c->synced_at = bq_now();
    return work;
}

void course_settle_journal(struct course *c)
{
    struct bq_error why = {0};
    if (!c->journal || c->is_resumed)
        return;
    /* Where kitchens write by themselves, nothing is synced at marks, so the file must be one that
     * can be opened again from now on. */
    if (bq_journal_settle(c->journal, needs_mark(c), &why) < 0 ||
        (c->gather && !needs_mark(c) && bq_gather_sync(c->gather, false, &why) < 0))
        give_up(c, &why);
}

/* -- recalling ---------------------------------------------------------------------------- */

/* Whether the output of a node's chunks has the digest that its result says. */
static bool is_there(struct course *c, struct bq_node node, const void *result, void *block,
                     unsigned char *sum)
{
    const struct bq_recipe *r = c->recipe;
    unsigned char one[BQ_DIGEST_SIZE];
    memset(sum, 0, BQ_DIGEST_SIZE);
    for (uint64_t i = 0; i < bq_node_size(node); i++) {
        uint64_t offset[BQ_MAX_RANK], extent[BQ_MAX_RANK];
        uint64_t n = bq_plan_chunk(&r->plan, node.first + i, offset, extent);
        if (bq_gather_read(c->gather, offset, extent, block) < 0)
            return false;
        bq_merge_digest(node.first + i, block, n * bq_type_size(r->out_type), one);
        bq_merge_add_digest(sum, one);
    }
    return memcmp(sum, result, BQ_DIGEST_SIZE) == 0;
}

static int recall(struct course *c, const struct bq_record *record)
{
    uint64_t n = bq_node_size(record->node);
    if (bq_reduction_add(c->reduction, record->node, record->result, true) < 0)
        return bq_fail(c->err, BQ_EXIT_FAILED, "out of memory for results");
    bq_scheduler_tell(
        c->scheduler, c->epoch,
        &(struct bq_event){.kind = BQ_EVENT_RECALLED, .first = record->node.first, .count = n});
    return 0;
}

int course_recall(struct course *c)
{
    struct bq_record record;
    uint64_t n_bad = 0;
    unsigned char sum[BQ_DIGEST_SIZE];
    if (!c->is_resumed)
        return 0;
    const struct bq_recipe *r = c->recipe;
    size_t size = r->has_output ? (size_t)r->plan.max_elements * bq_type_size(r->out_type) : 0;
    void *block = bq_alloc(1, size ? size : 1);
    if (!block)
        return bq_fail(c->err, BQ_EXIT_FAILED, "out of memory");
    int rc = 0;
    c->has_undone = true; /* what is recorded twice may be taken twice */
    while (rc == 0 && !*c->coordinator->stop && bq_journal_next(c->journal, &record)) {
        if (r->has_output && !is_there(c, record.node, record.result, block, sum))
            n_bad += bq_node_size(record.node);
        else
            rc = recall(c, &record);
    }
    bq_free(block);
    if (rc == 0)
        rc = bq_journal_go_on(c->journal, c->err);
    if (rc < 0)
        c->is_stuck = true; /* it stays as it is */
    c->report->n_recalled = bq_scheduler_n_done(c->scheduler);
    c->marked_at = c->synced_at = bq_now();
    if (rc == 0 && !c->coordinator->is_quiet)
        fprintf(stderr, "resuming: %llu of %llu chunks are done\n",
                (unsigned long long)c->report->n_recalled, (unsigned long long)r->plan.n_chunks);
    if (rc == 0 && n_bad)
        fprintf(stderr,
                "banquet: the output of %llu chunks was damaged since; they are done again\n",
                (unsigned long long)n_bad);
    return rc;
}

/* -- keeping ------------------------------------------------------------------------------ */

void course_note(struct course *c, struct bq_node node, const void *result)
{
    struct bq_error why = {0};
    c->is_unmarked = true;
    if (c->journal && !c->is_stuck && bq_journal_add(c->journal, node, result, &why) < 0)
        give_up(c, &why);
}

static int mark(struct course *c, bool to_disk, struct bq_error *why)
{
    if (c->gather && (needs_mark(c) || to_disk) && bq_gather_sync(c->gather, to_disk, why) < 0)
        return -1;
    c->is_unmarked = false;
    return bq_journal_mark(c->journal, to_disk, why);
}

void course_mark(struct course *c)
{
    struct bq_error why = {0};
    uint64_t now = bq_now();
    if (!c->journal || !c->is_unmarked || c->is_stuck)
        return;
    double every_ns = c->options->journal->every_s * 1e9;
    double pause_ns = every_ns < MARK_NS ? every_ns : MARK_NS;
    if ((double)(now - c->marked_at) < pause_ns + (double)(MOST_SHARE * c->mark_took))
        return;
    bool to_disk = (double)(now - c->synced_at) >= every_ns;
    if (mark(c, to_disk, &why) < 0) {
        give_up(c, &why);
        return;
    }
    c->marked_at = bq_now();
    c->mark_took = c->marked_at - now;
    if (to_disk)
        c->synced_at = c->marked_at;
}

bool course_leave_journal(struct course *c)
{
    struct bq_error why = {0};
    if (!c->journal)
        return false;
    if (bq_journal_is_empty(c->journal)) { /* what took no second is not worth a file */
        course_forget_journal(c);
        return false;
    }
    if (!c->is_stuck && mark(c, true, &why) < 0)
        say(c, "not all that is finished could be kept", why.text);
    bq_journal_close(c->journal);
    c->journal = NULL;
    c->options->journal->is_left = true;
    return true;
}
