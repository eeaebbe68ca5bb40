#include "run/coordinator_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "adapters/affinity.h"
#include "adapters/clock.h"
#include "base/heap.h"

#define PATIENCE_NS 200000000u /* between looks at the progress line and the stop flag */

struct bq_coordinator *bq_coordinator_create(const struct bq_coordinator_options *options,
                                             struct bq_error *err)
{
    struct bq_coordinator *co = bq_alloc(1, sizeof *co);
    int bell = bq_bell_create();
    if (!co || bell < 0) {
        bq_fail(err, BQ_EXIT_FAILED, "no file descriptor or memory is left");
        if (bell >= 0)
            close(bell);
        bq_free(co);
        return NULL;
    }
    *co = (struct bq_coordinator){.transport = options->transport,
                                  .hello = options->hello,
                                  .silence_ns = options->silence_ns,
                                  .grace_ns = options->grace_ns,
                                  .is_abrupt = options->is_abrupt,
                                  .stop = options->stop,
                                  .is_terminal = options->is_terminal,
                                  .is_quiet = options->is_quiet,
                                  .isolates = options->isolates,
                                  .bell = bell};
    bq_affinity_answer_fast();
    return co;
}

static struct course *course_find(const struct bq_coordinator *co, uint32_t number)
{
    struct course *c = co->courses;
    while (c && c->options->number != number)
        c = c->next;
    return c;
}

/* -- steps -------------------------------------------------------------------------------- */

int bq_coordinator_begin(struct bq_coordinator *co, struct bq_resolved *resolved,
                         const struct bq_step_options *options, struct bq_report *report,
                         struct bq_error *err)
{
    struct course *c = bq_alloc(1, sizeof *c);
    if (!c)
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    *c = (struct course){.coordinator = co,
                         .transport = co->transport,
                         .resolved = resolved,
                         .recipe = &resolved->recipe,
                         .options = options,
                         .report = report,
                         .err = err,
                         .merge = {.recipe = &resolved->recipe, .kernel = resolved->kernel}};
    struct course **last = &co->courses;
    while (*last)
        last = &(*last)->next;
    *last = c;
    const struct course *feeder = options->feeder ? course_find(co, options->feeder) : NULL;
    if (feeder) {
        c->feeder = options->feeder;
        c->fed_plan = feeder->recipe->plan;
        c->feed = bq_feed_create(&c->fed_plan, &c->recipe->plan);
        if (!c->feed)
            return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        resolved->recipe.is_fed = true;
    }
    return course_open(c, co->bell);
}

bool bq_coordinator_can_feed(const struct bq_coordinator *co, uint32_t feeder,
                             const struct bq_recipe *recipe)
{
    const struct course *c = course_find(co, feeder);
    for (uint32_t k = 0; k + 1 < co->transport->n_ranks; k++) {
        if (co->hello[k].is_elsewhere && co->hello[k].presence < BQ_OUT)
            return false;
    }
    return c && c->last_accept == c->epoch && bq_feed_can(&c->recipe->plan, &recipe->plan);
}

static void fed(void *context, uint64_t chunk)
{
    struct course *c = context;
    bq_scheduler_tell(c->scheduler, bq_now(),
                      &(struct bq_event){.kind = BQ_EVENT_FED, .first = chunk, .count = 1});
}

void coordinator_feed(struct bq_coordinator *co, uint32_t number, uint64_t first, uint64_t count)
{
    for (struct course *c = co->courses; c; c = c->next) {
        if (c->feed && c->feeder == number)
            bq_feed_made(c->feed, first, count, fed, c);
    }
}

int bq_coordinator_forget(struct bq_coordinator *co, uint32_t comes_again, struct bq_error *err)
{
    unsigned char bytes[BQ_WIRE_FIXED];
    struct bq_writer w = bq_writer(bytes, sizeof bytes);
    int rc = 0;
    bq_wire_put(&w, &(struct bq_message){.kind = BQ_FORGET, .n = comes_again});
    for (uint32_t rank = 1; rc == 0 && rank < co->transport->n_ranks; rank++)
        rc = co->hello[rank - 1].presence >= BQ_GONE
                 ? 0
                 : bq_transport_send_copy(co->transport, rank, bytes, (size_t)(w.at - bytes), err);
    return rc;
}

static void end(struct bq_coordinator *co, struct course *c)
{
    struct course **at = &co->courses;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    course_end(c, co->bell);
}

void bq_coordinator_destroy(struct bq_coordinator *co)
{
    if (!co)
        return;
    if (co->has_line && co->is_terminal)
        fprintf(stderr, "\n");
    while (co->courses)
        end(co, co->courses);
    close(co->bell);
    bq_free(co);
}

/* -- messages ----------------------------------------------------------------------------- */

static int leave(struct bq_coordinator *co, uint32_t kitchen)
{
    int rc = 0;
    co->hello[kitchen].is_leaving = true;
    for (struct course *c = co->courses; rc == 0 && c; c = c->next)
        rc = course_leave(c, kitchen);
    if (rc < 0 || !co->hello[kitchen].is_guest)
        return rc;
    co->hello[kitchen].presence = BQ_PARTING;
    return guests_dismiss(co, kitchen);
}

static int handle(struct bq_coordinator *co, uint32_t from, const void *bytes, size_t size,
                  struct bq_error *err)
{
    struct bq_message message;
    if (from == 0 || from >= co->transport->n_ranks)
        return 0;
    uint32_t kitchen = from - 1;
    struct bq_hello *hello = &co->hello[kitchen];
    if (bq_wire_get(bytes, size, &message) < 0) {
        if (!hello->is_guest)
            return bq_fail(err, BQ_EXIT_FAILED, "a message of kitchen %u cannot be read", from);
        losses_gone(co, kitchen, "a message of it cannot be read");
        return 0;
    }
    struct course *c = course_find(co, message.step);
    bool is_ours = c && from <= c->n_seats;
    hello->silence = 0;
    hello->is_busy = message.kind == BQ_BEAT && message.n;
    if (message.kind == BQ_BYE && hello->is_dismissed) {
        guests_part(co, kitchen);
        return 0;
    }
    if (hello->presence >= BQ_OUT)
        return 0; /* others do its work */
    if (message.kind == BQ_BYE)
        losses_gone(co, kitchen, "it left");
    else if (message.kind == BQ_REFUSED && message.step == 0)
        losses_out(co, kitchen, message.text);
    else if (message.kind == BQ_LOST)
        return losses_crashed(co, kitchen, &message);
    else if (message.kind == BQ_HELLO)
        return losses_returned(co, kitchen, &message, err);
    else if (message.kind == BQ_LEAVING)
        return leave(co, kitchen);
    else if (is_ours && course_handle(c, kitchen, &message) < 0)
        return -1;
    return hello->presence == BQ_PARTING ? guests_dismiss(co, kitchen) : 0;
}

static int receive_all(struct bq_coordinator *co, struct bq_error *err)
{
    uint32_t from;
    void *bytes;
    size_t size;
    int got;
    while ((got = bq_transport_receive(co->transport, &from, &bytes, &size, err))) {
        if (got < 0)
            return -1;
        int rc = handle(co, from, bytes, size, err);
        bq_transport_done_with(co->transport);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* -- until a step is done ----------------------------------------------------------------- */

/* Of the oldest step that is not done. */
static void show_progress(struct bq_coordinator *co)
{
    char line[160];
    const struct course *c = co->courses;
    while (c && bq_scheduler_done(c->scheduler))
        c = c->next;
    if (co->is_quiet || !c)
        return;
    if (c->options->number != co->shown)
        bq_progress_init(&co->progress, bq_now(), bq_scheduler_n_done(c->scheduler),
                         co->is_terminal);
    co->shown = c->options->number;
    if (!bq_progress_line(&co->progress, bq_now(), bq_scheduler_n_done(c->scheduler),
                          c->recipe->plan.n_chunks, line, sizeof line))
        return;
    if (co->is_terminal)
        fprintf(stderr, "\r%-79.79s", line);
    else
        fprintf(stderr, "%s\n", line);
    fflush(stderr);
    co->has_line = true;
}

static void look_at_stop(struct bq_coordinator *co)
{
    if (!*co->stop || co->is_stopping)
        return;
    co->is_stopping = true;
    co->stopped_at = bq_now();
    fprintf(stderr, "%sstopping when the chunks on the cooks are done; again to stop at once\n",
            co->has_line && co->is_terminal ? "\n" : "");
    for (struct course *c = co->courses; c; c = c->next)
        course_stop(c);
}

static int turn_all(struct bq_coordinator *co, uint64_t *wake)
{
    *wake = UINT64_MAX;
    for (struct course *c = co->courses; c; c = c->next) {
        uint64_t own;
        if (course_turn(c, &own) < 0)
            return -1;
        *wake = own < *wake ? own : *wake;
    }
    return 0;
}

/* The first that is done. When all are to stop, only when all have. */
static struct course *done(struct bq_coordinator *co)
{
    struct course *found = NULL;
    for (struct course *c = co->courses; c; c = c->next) {
        bool is = course_is_done(c);
        if (is && !found)
            found = c;
        if (!is && co->is_stopping)
            return NULL;
    }
    return found;
}

static int fail_stopped(const struct bq_coordinator *co, struct bq_error *err)
{
    uint64_t n = 0, all = 0;
    for (const struct course *c = co->courses; c; c = c->next) {
        n += bq_scheduler_n_done(c->scheduler);
        all += c->recipe->plan.n_chunks;
    }
    return bq_fail(err, BQ_EXIT_STOPPED, "stopped after %llu of %llu chunks%s",
                   (unsigned long long)n, (unsigned long long)all,
                   *co->is_abrupt ? ", without those on the cooks" : "");
}

int bq_coordinator_wait(struct bq_coordinator *co, uint32_t *number, struct bq_error *err)
{
    struct course *finished;
    for (struct course *c = co->courses; c; c = c->next)
        c->err = err;
    co->looked_at = 0; /* until now nobody listened */
    for (;;) {
        uint64_t wake;
        if (receive_all(co, err) < 0)
            return -1;
        losses_look(co);
        look_at_stop(co);
        if (turn_all(co, &wake) < 0 || bq_transport_progress(co->transport, err) < 0)
            return -1;
        if ((finished = done(co)))
            break;
        if (co->is_stopping && bq_now() - co->stopped_at > co->grace_ns) {
            *co->is_abrupt = true;
            break;
        }
        show_progress(co);
        uint64_t now = bq_now(), wait = wake <= now ? 0 : wake - now;
        bq_transport_wait(co->transport, wait < PATIENCE_NS ? wait : PATIENCE_NS, co->bell);
        bq_bell_reset(co->bell);
    }
    if (co->is_stopping)
        return fail_stopped(co, err);
    *number = finished->options->number;
    int rc = course_finish(finished, co->hello);
    /* What was given up holds its fill value now. */
    coordinator_feed(co, *number, 0, finished->recipe->plan.n_chunks);
    end(co, finished);
    return rc;
}
