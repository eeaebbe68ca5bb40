/* One error text. Who first knows the cause writes it, with the values in it; callers add context
 * or pass it on. An error without text is no error. */
#ifndef BQ_BASE_ERROR_H
#define BQ_BASE_ERROR_H

#include <stdarg.h>

/* Exit codes of the program, and so the kinds of error there are. */
enum bq_exit {
    BQ_EXIT_OK = 0,
    BQ_EXIT_FAILED = 1,  /* the machine let us down: disk, memory, MPI, a file that changed */
    BQ_EXIT_USAGE = 2,   /* wrong command, job or input; nothing was written */
    BQ_EXIT_PARTIAL = 3, /* finished, but chunks were given up; they are named */
    BQ_EXIT_LOST = 70,   /* all kitchens died: `-n` starts again; to others it is FAILED */
    BQ_EXIT_STOPPED = 75 /* asked to stop before the end */
};

struct bq_error {
    enum bq_exit exit;
    char text[600];
};

/* Sets the text (a NULL err is allowed) and returns -1, so that `return bq_fail(...)` reads well.
 */
int bq_fail(struct bq_error *err, enum bq_exit exit, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts context in front: "context: old text". Returns -1. */
int bq_fail_in(struct bq_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
