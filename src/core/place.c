#include "core/place.h"

#include "base/heap.h"
#include "core/recipe.h"
#include "core/value.h"

#include <stdio.h>
#include <string.h>

int bq_place_set(struct bq_place *place, const char *what, const char *file, const char *dataset,
                 struct bq_error *err)
{
    bool is_absolute = *dataset == '/';
    if (!*file)
        return bq_fail(err, BQ_EXIT_USAGE, "%s has an empty file name", what);
    if (!dataset[is_absolute])
        return bq_fail(err, BQ_EXIT_USAGE, "%s must name a dataset such as /photo, not %s", what,
                       is_absolute ? "'/'" : "nothing");
    if (strlen(file) >= BQ_MAX_PATH || strlen(dataset) + 1 >= BQ_MAX_PATH)
        return bq_fail(err, BQ_EXIT_USAGE, "%s has a path of more than %d bytes", what,
                       BQ_MAX_PATH - 2);
    char path[BQ_MAX_PATH];
    snprintf(path, sizeof path, "%s%s", is_absolute ? "" : "/", dataset);
    struct bq_place next = {.file = bq_strdup(file), .dataset = bq_strdup(path)};
    if (!next.file || !next.dataset) {
        bq_free(next.file);
        bq_free(next.dataset);
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    }
    bq_free(place->file);
    bq_free(place->dataset);
    *place = next;
    return 0;
}

/* The last ':' before a '/' that does not begin the "//" of an address. */
static const char *place_split(const char *text)
{
    const char *at = NULL;
    for (const char *p = text; (p = strstr(p, ":/")); p++) {
        if (p[2] != '/')
            at = p;
    }
    return at;
}

int bq_place_parse(struct bq_place *place, const char *what, const char *text, int line,
                   struct bq_error *err)
{
    const char *at = place_split(text);
    char file[BQ_MAX_PATH];
    if (!at || at == text)
        return bq_value_wrong(what, "FILE:/dataset, such as photo.h5:/photo", text, err);
    if ((size_t)(at - text) >= sizeof file)
        return bq_fail(err, BQ_EXIT_USAGE, "%s has a path of more than %d bytes", what,
                       BQ_MAX_PATH - 2);
    snprintf(file, sizeof file, "%.*s", (int)(at - text), text);
    if (bq_place_set(place, what, file, at + 1, err))
        return -1;
    place->line = line;
    return 0;
}
