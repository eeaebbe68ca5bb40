/* Rounds: how often a group of steps is repeated, and until when. */
#ifndef BQ_CORE_LOOP_H
#define BQ_CORE_LOOP_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BQ_MAX_ROUNDS UINT64_C(1000000000)

/* X(code, sign, name) */
#define BQ_RELATIONS(X)                                                                            \
    X(BQ_BELOW, "<", "below")                                                                      \
    X(BQ_AT_MOST, "<=", "at most")                                                                 \
    X(BQ_ABOVE, ">", "above")                                                                      \
    X(BQ_AT_LEAST, ">=", "at least")                                                               \
    X(BQ_EQUAL, "==", "equal")

enum bq_relation {
#define BQ_RELATION_CODE(code, sign, name) code,
    BQ_RELATIONS(BQ_RELATION_CODE)
#undef BQ_RELATION_CODE
        BQ_N_RELATIONS
};

/* Ends a loop: a number that a step reduced, compared with another. */
struct bq_until {
    bool is_given;
    char step[65], result[65]; /* step "": the loop has one step */
    enum bq_relation relation;
    double value;
    int line;
};

/* Steps first .. first + n - 1 of a job, carried out one after another, again and again. */
struct bq_loop {
    char name[65];
    size_t first, n;
    uint64_t repeat; /* rounds at most; 0: not given */
    struct bq_until until;
    int line;
};

/* key "repeat" (a number) or "until" ("heat.change < 1e-4"). */
int bq_loop_set(struct bq_loop *loop, const char *key, const char *text, int line,
                struct bq_error *err);

/* "until" in three parts: reduction "STEP.RESULT" or "RESULT", relation "<" or "below". */
int bq_until_set(struct bq_until *until, const char *reduction, const char *relation,
                 const char *value, struct bq_error *err);

const char *bq_relation_sign(enum bq_relation relation);
bool bq_relation_holds(enum bq_relation relation, double number, double value);

#endif
