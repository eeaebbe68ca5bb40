/* The main of a checker that is compiled together with a kernel's source, under sanitizers:
 * -DBQ_CHECKED=bq_kernel_NAME, and SEED ROUNDS LIMIT as arguments. */
#include <stdlib.h>

#include "check/check.h"

extern const struct bq_kernel BQ_CHECKED;

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    struct bq_check_options options = {.seed = strtoull(argv[1], NULL, 10),
                                       .rounds = (unsigned)strtoul(argv[2], NULL, 10),
                                       .limit_s = (unsigned)strtoul(argv[3], NULL, 10)};
    return bq_check(&BQ_CHECKED, &options);
}
