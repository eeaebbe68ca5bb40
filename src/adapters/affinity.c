#include "adapters/affinity.h"

#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <hwloc.h>

void bq_affinity_attr(pthread_attr_t *attr, int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (core < 0 || core >= CPU_SETSIZE)
        return;
    CPU_SET((size_t)core, &set);
    pthread_attr_setaffinity_np(attr, sizeof set, &set);
}

/* slice: ns; 0 is the system's own. The C library has no name for this call; for the layout see
 * Linux, include/uapi/linux/sched/types.h. */
static void set_slice(uint64_t slice)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attr = {.size = sizeof attr, .policy = SCHED_OTHER, .runtime = slice};
    attr.nice = getpriority(PRIO_PROCESS, 0);
    if (sched_getscheduler(0) == SCHED_OTHER)
        syscall(SYS_sched_setattr, 0, &attr, 0);
}

void bq_affinity_cores_only(void)
{
    setenv("HWLOC_PLUGINS_PATH", "/dev/null", 0);
}

void bq_affinity_answer_fast(void)
{
    prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
    set_slice(100000);
}

void bq_affinity_compute(void)
{
    prctl(PR_SET_TIMERSLACK, 50000, 0, 0, 0);
    set_slice(0);
}

static void share_out(struct bq_place_on_machine *place, const int *core, unsigned machine_rank,
                      unsigned machine_ranks)
{
    unsigned n = place->n_allowed;
    unsigned from = 0, to = n;
    place->is_exclusive = 1;
    if (machine_ranks > 1) {
        from = (unsigned)((uint64_t)n * machine_rank / machine_ranks);
        to = (unsigned)((uint64_t)n * (machine_rank + 1) / machine_ranks);
        if (machine_ranks > n) {
            from = machine_rank % n;
            to = from + 1;
            place->is_exclusive = 0;
        }
    }
    place->n_share = to - from;
    memcpy(place->share, core + from, place->n_share * sizeof *core);
}

/* The machine's hardware threads do not change, and looking for them takes milliseconds: so the
 * first look counts, also for processes that are forked after it. */
static struct {
    pthread_mutex_t lock; /* guards the rest */
    bool is_known;
    unsigned n_machine, n_allowed;
    int core[BQ_MAX_CORES]; /* allowed ones */
} machine = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int look(struct bq_error *err)
{
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) < 0)
        return bq_fail(err, BQ_EXIT_FAILED, "cannot see this machine's cores (hwloc)");
    /* Only hardware threads matter here; looking for devices and caches takes milliseconds. */
    hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE);
    hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
    hwloc_bitmap_t allowed = hwloc_bitmap_alloc();
    int rc = -1;
    if (hwloc_topology_load(topology) < 0 || !allowed ||
        hwloc_get_cpubind(topology, allowed, HWLOC_CPUBIND_PROCESS) < 0) {
        bq_fail(err, BQ_EXIT_FAILED, "cannot see this machine's cores (hwloc)");
        goto out;
    }
    int n = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
    machine.n_machine = n > 0 ? (unsigned)n : 1;
    machine.n_allowed = 0;
    for (int i = 0; i < n && machine.n_allowed < BQ_MAX_CORES; i++) {
        hwloc_obj_t pu = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PU, (unsigned)i);
        if (hwloc_bitmap_isset(allowed, pu->os_index))
            machine.core[machine.n_allowed++] = (int)pu->os_index;
    }
    if (machine.n_allowed == 0)
        machine.core[machine.n_allowed++] = 0;
    machine.is_known = true;
    rc = 0;
out:
    hwloc_bitmap_free(allowed);
    hwloc_topology_destroy(topology);
    return rc;
}

int bq_affinity_find(struct bq_place_on_machine *place, unsigned machine_rank,
                     unsigned machine_ranks, struct bq_error *err)
{
    *place = (struct bq_place_on_machine){0};
    pthread_mutex_lock(&machine.lock);
    int rc = machine.is_known ? 0 : look(err);
    pthread_mutex_unlock(&machine.lock);
    if (rc < 0)
        return -1;
    place->n_machine = machine.n_machine;
    place->n_allowed = machine.n_allowed;
    share_out(place, machine.core, machine_rank, machine_ranks);
    return 0;
}
