/* Rank 0's word to the launcher: that it began, and its exit code. mpirun does not pass the code on
 * when it shall survive lost ranks. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapters/transport.h"
#include "cli/launch.h"

/* The file is open on both sides from now on, and needs no name any more: so nothing is left behind
 * by a launcher that is killed. */
static void remove_name(const char *path)
{
    char folder[BQ_STATUS_PATH];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    unlink(path);
    if (slash) {
        *slash = 0;
        rmdir(folder);
    }
}

int bq_status_begin(const struct bq_cli *cli)
{
    const char *path = getenv("BANQUET_STATUS"), *space = getenv("PMIX_NAMESPACE");
    if (!path || !cli->is_launched || cli->is_silent)
        return -1;
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -1;
    dprintf(fd, "began %ld %.40s\n", (long)getpid(), space ? space : "0");
    remove_name(path);
    unsetenv("BANQUET_STATUS");
    return fd;
}

void bq_status_end(const struct bq_cli *cli, int code)
{
    fflush(NULL);
    if (cli->status >= 0)
        dprintf(cli->status, "code %d\n", code);
    bq_mpi_is_due(code);
}
