#include "adapters/meter.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "adapters/clock.h"

#define SHORT 20000  /* ns: phases below are taken to be on a core */
#define BOOK 1000000 /* ns: a phase is booked at least this often, where the thread passes by */

/* Nanoseconds that this thread has stood in a run queue; 0 when the system does not say. */
static uint64_t queued(const struct bq_meter *meter)
{
    char text[96];
    if (meter->schedstat < 0)
        return 0;
    ssize_t n = pread(meter->schedstat, text, sizeof text - 1, 0);
    if (n <= 0)
        return 0;
    text[n] = 0;
    unsigned long long on_core, in_queue;
    return sscanf(text, "%llu %llu", &on_core, &in_queue) == 2 ? in_queue : 0;
}

void bq_meter_create(struct bq_meter *meter)
{
    meter->schedstat = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
}

void bq_meter_destroy(struct bq_meter *meter)
{
    if (meter->schedstat >= 0)
        close(meter->schedstat);
    meter->schedstat = -1;
}

void bq_meter_start(struct bq_meter *meter, uint64_t epoch)
{
    bq_track_init(&meter->track);
    meter->epoch = epoch;
    meter->phase = BQ_PHASE_IDLE;
    meter->queued_at = queued(meter);
    meter->since = bq_now();
    meter->cpu_at = bq_now_cpu();
}

void bq_meter_stop(struct bq_meter *meter)
{
    bq_meter_enter(meter, BQ_PHASE_IDLE);
}

static uint64_t on_clock(const struct bq_meter *meter, uint64_t time)
{
    return time > meter->epoch ? time - meter->epoch : 0;
}

static void book(struct bq_meter *meter, enum bq_state state, uint64_t now, uint64_t ns)
{
    if (ns)
        bq_track_add(&meter->track, state, on_clock(meter, meter->since), on_clock(meter, now), ns);
}

/* How much of the last `wall` ns this thread was on a core. */
static uint64_t on_core(struct bq_meter *meter, uint64_t wall)
{
    if (wall < SHORT) {
        meter->cpu_at += wall;
        return wall;
    }
    uint64_t cpu = bq_now_cpu();
    if (cpu <= meter->cpu_at) /* short phases were thought longer than they were: catch up */
        return 0;
    uint64_t ns = cpu - meter->cpu_at;
    meter->cpu_at = cpu;
    return ns < wall ? ns : wall;
}

static void charge(struct bq_meter *meter, uint64_t now)
{
    uint64_t wall = now > meter->since ? now - meter->since : 0;
    switch (meter->phase) {
    case BQ_PHASE_IDLE:
        break;
    case BQ_PHASE_BUSY: {
        uint64_t core = on_core(meter, wall);
        book(meter, BQ_COOKING, now, core);
        book(meter, BQ_READY, now, wall - core);
        break;
    }
    case BQ_PHASE_FILE: {
        uint64_t core = on_core(meter, wall), rest = wall - core, ready = 0;
        if (rest >= SHORT && meter->schedstat >= 0) {
            uint64_t total = queued(meter);
            ready = total > meter->queued_at ? total - meter->queued_at : 0;
            meter->queued_at = total;
            ready = ready < rest ? ready : rest;
        }
        book(meter, BQ_COOKING, now, core);
        book(meter, BQ_READY, now, ready);
        book(meter, BQ_OVEN, now, rest - ready);
        break;
    }
    case BQ_PHASE_LOCK:
        book(meter, BQ_KNIFE, now, wall);
        break;
    case BQ_PHASE_OVEN:
        book(meter, BQ_OVEN, now, wall);
        break;
    case BQ_PHASE_PASS:
        book(meter, BQ_PASS, now, wall);
        break;
    }
    meter->since = now;
}

uint64_t bq_meter_enter(struct bq_meter *meter, enum bq_phase phase)
{
    uint64_t now = bq_now();
    charge(meter, now);
    if (phase == BQ_PHASE_FILE && meter->schedstat >= 0)
        meter->queued_at = queued(meter);
    meter->phase = phase;
    return now;
}

void bq_meter_tick(struct bq_meter *meter, uint64_t now)
{
    if (now - meter->since >= BOOK)
        charge(meter, now);
}

void bq_meter_open(struct bq_meter *meter, uint64_t from, uint64_t to)
{
    bq_track_open(&meter->track, on_clock(meter, from), on_clock(meter, to));
}
