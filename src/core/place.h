/* A dataset in a file, as a person names it. */
#ifndef BQ_CORE_PLACE_H
#define BQ_CORE_PLACE_H

#include "base/error.h"

/* file == NULL: not given. line: 0 when from the command line. Owns its texts. */
struct bq_place {
    char *file;
    char *dataset; /* absolute path inside the file, "/photo" */
    int line;
};

/* what: the key, for messages. On an error the place keeps what it had. */
int bq_place_set(struct bq_place *place, const char *what, const char *file, const char *dataset,
                 struct bq_error *err);
/* "FILE:/dataset". line: where it stands in the file, or 0. */
int bq_place_parse(struct bq_place *place, const char *what, const char *text, int line,
                   struct bq_error *err);

#endif
