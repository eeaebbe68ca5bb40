#include "run/guest.h"

#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>

#include "adapters/affinity.h"
#include "adapters/knock.h"
#include "adapters/transport_guests.h"
#include "core/wire.h"
#include "run/porter.h"

/* For the signal handler, which can reach nothing else. */
static atomic_int leave_asked;

static void on_leave(int signal)
{
    (void)signal;
    leave_asked = 1;
}

static void listen_to_signals(void)
{
    struct sigaction leave = {.sa_handler = on_leave, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
    sigaction(SIGINT, &leave, NULL);
    sigaction(SIGTERM, &leave, NULL);
    sigaction(SIGUSR2, &leave, NULL);
}

int bq_guest(const char *path, const char *host, const struct bq_registry *registry,
             struct bq_error *err)
{
    struct bq_door_file file;
    struct bq_door_verdict verdict;
    struct bq_error why = {0};
    if (bq_door_file_read(path, &file, err) < 0)
        return (int)err->exit;
    bq_affinity_cores_only(); /* before the helper: its children's, too */
    struct bq_zygote *zygote = bq_porter_zygote(registry, &why); /* NULL: none */
    int fd = bq_knock(&file, host, BQ_WIRE_VERSION, &verdict, err);
    sodium_memzero(&file, sizeof file);
    struct bq_transport *t = fd >= 0 ? bq_transport_guest(fd, &verdict, err) : NULL;
    int rc = -1;
    if (t) {
        fprintf(stderr, "joined as kitchen %u\n", verdict.rank);
        listen_to_signals();
        rc = bq_porter(t, registry, zygote, &leave_asked, err);
    }
    bq_transport_destroy(t);
    bq_zygote_destroy(zygote);
    return rc == 0 ? BQ_EXIT_OK : err->exit ? (int)err->exit : BQ_EXIT_FAILED;
}
