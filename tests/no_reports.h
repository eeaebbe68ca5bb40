/* For tests that crash on purpose: a sanitizer's own handlers would report each, which takes
 * seconds. */
#ifndef BQ_TESTS_NO_REPORTS_H
#define BQ_TESTS_NO_REPORTS_H

#define NO_REPORTS "handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0"
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return NO_REPORTS;
}

const char *__tsan_default_options(void)
{
    return NO_REPORTS;
}

#endif
