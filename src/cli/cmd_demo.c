#include "cli/cli.h"
int bq_cmd_demo(int argc, char **argv, const struct bq_cli *cli)
{
    (void)argc; (void)argv; (void)cli;
    return 1;
}
