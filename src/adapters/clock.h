/* Clocks, in nanoseconds. Any thread. */
#ifndef BQ_ADAPTERS_CLOCK_H
#define BQ_ADAPTERS_CLOCK_H

#include <stdint.h>

uint64_t bq_now(void);      /* monotonic; the same for all processes of a machine */
uint64_t bq_now_cpu(void);  /* time that this thread has been on a core; about 0.8 us a call */
uint64_t bq_now_date(void); /* since 1970 */

#endif
