/* Start-up over MPI, the only collective part: who is where, the doorbells, and who watches whose
 * process. A doorbell is a
 * datagram socket with a name in a private folder; the folder is gone before the first message. */
#include "adapters/transport_mpi.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/heap.h"

int bq_mpi_fail(struct bq_error *err, const char *what, int code)
{
    char text[MPI_MAX_ERROR_STRING];
    int n = 0;
    if (MPI_Error_string(code, text, &n) != MPI_SUCCESS)
        snprintf(text, sizeof text, "error %d", code);
    return bq_fail(err, BQ_EXIT_FAILED, "MPI: %s: %s", what, text);
}

static int door_name(struct sockaddr_un *name, const char *folder, uint32_t rank)
{
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(name->sun_path, sizeof name->sun_path, "%s/%u", folder, rank);
    return n > 0 && (size_t)n < sizeof name->sun_path ? 0 : -1;
}

static void open_door(struct mpi *m, const char *folder)
{
    struct sockaddr_un name;
    m->door = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (m->door >= 0 && (door_name(&name, folder, m->base.rank) < 0 ||
                         bind(m->door, (struct sockaddr *)&name, sizeof name) < 0)) {
        close(m->door);
        m->door = -1;
    }
}

static void find_bell(struct mpi *m, const char *folder, uint32_t rank)
{
    struct sockaddr_un name;
    int bell = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bell >= 0 && (door_name(&name, folder, rank) < 0 ||
                      connect(bell, (struct sockaddr *)&name, sizeof name) < 0)) {
        close(bell);
        bell = -1;
    }
    m->bell[rank] = bell;
}

/* Which cores this process may use, as a number that differs when they do. */
static uint64_t cores_hash(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    return XXH3_64bits(&set, sizeof set);
}

/* A doorbell and a pidfd each: a thousand kitchens are more than most systems allow at first. */
static void want_descriptors(uint32_t n)
{
    struct rlimit limit;
    rlim_t wanted = 2 * (rlim_t)n + 512;
    if (n < 128 || getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Collective, as all of start-up: who is on which machine, and the doorbells between them. Where
 * a doorbell cannot be had (no folder to write in) the naps remain. */
int bq_mpi_meet(struct mpi *m, struct bq_error *err)
{
    struct bq_transport *t = &m->base;
    MPI_Comm machine;
    int code =
        MPI_Comm_split_type(m->world, MPI_COMM_TYPE_SHARED, (int)t->rank, MPI_INFO_NULL, &machine);
    if (code != MPI_SUCCESS)
        return bq_mpi_fail(err, "cannot tell the machines apart", code);
    int leader = (int)t->rank;
    char folder[96] = "";
    int me;
    MPI_Comm_rank(machine, &me);
    if (me == 0) {
        /* By the run's name the launcher finds it, should all be killed now. */
        const char *base = getenv("TMPDIR"), *run = getenv("PMIX_NAMESPACE");
        if (snprintf(folder, sizeof folder, "%s/banquet-%.20s-XXXXXX",
                     base && *base ? base : "/tmp",
                     run && !strchr(run, '/') ? run : "0") >= (int)sizeof folder ||
            !mkdtemp(folder))
            folder[0] = 0;
    }
    MPI_Bcast(&leader, 1, MPI_INT, 0, machine);
    MPI_Bcast(folder, sizeof folder, MPI_CHAR, 0, machine);
    struct identity here = bq_mpi_identity();
    here.leader = (uint64_t)leader;
    here.cores = cores_hash();
    struct identity *all = bq_alloc(t->n_ranks, sizeof *all);
    m->bell = bq_alloc(t->n_ranks, sizeof *m->bell);
    m->peers = bq_alloc(t->n_ranks, sizeof *m->peers);
    if (!all || !m->bell || !m->peers) {
        bq_free(all);
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    }
    for (uint32_t i = 0; i < t->n_ranks; i++)
        m->peers[i].pidfd = m->bell[i] = -1;
    MPI_Allgather(&here, sizeof here, MPI_BYTE, all, sizeof here, MPI_BYTE, m->world);
    m->ended = epoll_create1(EPOLL_CLOEXEC);
    if (t->rank == 0)
        want_descriptors(t->n_ranks);
    if (folder[0])
        open_door(m, folder);
    MPI_Barrier(machine);
    m->all_ring = m->door >= 0;
    for (uint32_t i = 0; i < t->n_ranks; i++) {
        bool is_peer = i != t->rank && (t->rank == 0 || i == 0);
        bool is_here = all[i].leader == here.leader;
        bool shares = is_here && i > 0 && all[i].cores == here.cores;
        if (is_peer && is_here && folder[0])
            find_bell(m, folder, i);
        if (is_peer && is_here)
            bq_mpi_watch_peer(m, i, &here, &all[i]);
        if (is_peer && m->bell[i] < 0)
            m->all_ring = false;
        t->n_machines += all[i].leader == i;
        t->machine_ranks += shares;
        t->n_here += is_here && i > 0;
        t->machine_rank += shares && i < t->rank;
        t->is_bound |= is_here && all[i].cores != here.cores;
    }
    bq_free(all);
    MPI_Barrier(machine);
    struct sockaddr_un name;
    if (m->door >= 0 && door_name(&name, folder, t->rank) == 0)
        unlink(name.sun_path);
    MPI_Barrier(machine);
    if (me == 0 && folder[0])
        rmdir(folder);
    MPI_Comm_free(&machine);
    return 0;
}
