/* The whole program as a function: link libbanquet and give it kernels of your own.
 *
 *     #include <banquet/banquet.h>
 *     extern const struct bq_kernel my_kernel;
 *     int main(int argc, char **argv)
 *     {
 *         const struct bq_kernel *mine[] = {&my_kernel};
 *         return bq_program(argc, argv, mine, 1);
 *     }
 */
#ifndef BANQUET_BANQUET_H
#define BANQUET_BANQUET_H

#include "banquet/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Does what the command line says, as the program `banquet` does, with n kernels besides the
 * built-in ones (one of the same name takes the built-in one's place). Returns the exit code:
 * 0 done, 1 the machine failed, 2 wrong use, 3 chunks were given up, 75 stopped early.
 * Call it once, from the main thread. */
int bq_program(int argc, char **argv, const struct bq_kernel *const *kernels, size_t n);

#ifdef __cplusplus
}
#endif
#endif
