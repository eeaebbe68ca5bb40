#include "run/job_shape.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <xxhash.h>

#include "adapters/store.h"
#include "base/path.h"
#include "core/graph.h"
#include "core/recipe.h"

static uint64_t time_of(const struct stat *st)
{
    return (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec;
}

/* The files of kitchens that the dataset joins: in any order. */
static void add_shards(const char *path, uint64_t *size, uint64_t *time_ns)
{
    char folder[BQ_MAX_PATH + 4];
    struct dirent *entry;
    struct stat st;
    snprintf(folder, sizeof folder, "%.1023s.d", path);
    DIR *dir = opendir(folder);
    while (dir && (entry = readdir(dir))) {
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(st.st_mode))
            continue;
        *size += (uint64_t)st.st_size;
        *time_ns += time_of(&st);
    }
    if (dir)
        closedir(dir);
}

void bq_file_stamp(const char *path, uint64_t *size, uint64_t *time_ns)
{
    struct stat st;
    *size = *time_ns = 0;
    if (stat(path, &st) != 0)
        return;
    *size = (uint64_t)st.st_size;
    *time_ns = time_of(&st);
    add_shards(path, size, time_ns);
}

static void add(XXH3_state_t *h, const void *bytes, size_t n)
{
    XXH3_128bits_update(h, bytes, n);
}

static void add_number(XXH3_state_t *h, uint64_t number)
{
    add(h, &number, sizeof number);
}

static void add_text(XXH3_state_t *h, const char *text)
{
    add_number(h, text ? strlen(text) : UINT64_MAX);
    add(h, text ? text : "", text ? strlen(text) : 0);
}

/* Whatever way it is named from here. */
static void add_path(XXH3_state_t *h, const char *path)
{
    char folder[BQ_MAX_PATH];
    size_t n = path ? bq_path_folder(path) : 0;
    char *whole = path ? realpath(path, NULL) : NULL;
    if (path && !whole && n < sizeof folder) { /* it is not there yet */
        snprintf(folder, sizeof folder, "%.*s", n ? (int)n : 1, n ? path : ".");
        whole = realpath(folder, NULL);
        add_text(h, whole);
        add_text(h, path + n);
    } else {
        n = whole ? bq_path_folder(whole) : 0;
        snprintf(folder, sizeof folder, "%.*s", n > 1 ? (int)n - 1 : (int)n, whole ? whole : "");
        add_text(h, whole ? folder : NULL);
        add_text(h, whole ? whole + n : path);
    }
    free(whole);
}

static void add_real(XXH3_state_t *h, double real)
{
    add(h, &real, sizeof real);
}

static void add_params(XXH3_state_t *h, const struct bq_step *step)
{
    for (size_t p = 0; p < step->kernel->n_params; p++) {
        const union bq_value *value = &step->params[p];
        enum bq_param_kind kind = step->kernel->params[p].kind;
        add_number(h, kind);
        if (kind == BQ_TEXT) {
            add_text(h, value->text);
        } else if (kind == BQ_LIST) {
            add_number(h, value->list ? value->list->n : 0);
            for (size_t i = 0; value->list && i < value->list->n; i++)
                add_real(h, value->list->at[i]);
        } else {
            add(h, value, sizeof value->i);
        }
    }
}

static void add_step(XXH3_state_t *h, const struct bq_step *step)
{
    add_text(h, step->name);
    add_text(h, step->kernel->name);
    add_params(h, step);
    add_path(h, step->input.file);
    add_text(h, step->input.dataset);
    add_path(h, step->output.file);
    add_text(h, step->output.dataset);
    add_number(h, step->n_uses);
    for (size_t u = 0; u < step->n_uses; u++) {
        add_number(h, (uint64_t)step->uses[u].param);
        add_text(h, step->uses[u].step);
        add_text(h, step->uses[u].result);
        add_number(h, step->uses[u].is_next);
    }
    add_number(h, (uint64_t)step->chunk_rank);
    for (int i = 0; i < step->chunk_rank; i++)
        add_number(h, step->chunk[i]);
    add_number(h, step->border.is_given);
    add_number(h, step->border.border);
    add_real(h, step->border.value);
    add_number(h, step->wish.compress);
    add_number(h, step->wish.level);
    add_number(h, step->wish.shuffle);
    add_number(h, step->wish.layout);
    add_number(h, step->wish.refuses_nan);
}

static void add_loop(XXH3_state_t *h, const struct bq_loop *loop)
{
    add_number(h, loop->first);
    add_number(h, loop->n);
    add_number(h, loop->until.is_given);
    if (!loop->until.is_given)
        return;
    add_text(h, loop->until.step);
    add_text(h, loop->until.result);
    add_number(h, loop->until.relation);
    add_real(h, loop->until.value);
}

static void finish(XXH3_state_t *h, struct bq_hash *hash)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(h));
    memcpy(hash->bytes, canonical.digest, sizeof hash->bytes);
    XXH3_128bits_reset(h);
}

/* All files that a dataset is read from: behind links, virtual ones and raw ones, too. */
static void add_input(XXH3_state_t *h, const struct bq_place *place)
{
    uint64_t size, time_ns;
    struct bq_input *input = bq_input_open(place->file, place->dataset, NULL);
    if (input)
        bq_input_stamp(input, &size, &time_ns);
    else
        bq_file_stamp(place->file, &size, &time_ns);
    bq_input_close(input);
    add_number(h, size);
    add_number(h, time_ns);
}

/* A text may be the name of a file that the kernel reads. */
static void add_files(XXH3_state_t *h, const struct bq_step *step)
{
    for (size_t p = 0; p < step->kernel->n_params; p++) {
        uint64_t size, time_ns;
        if (step->kernel->params[p].kind != BQ_TEXT)
            continue;
        bq_file_stamp(step->params[p].text, &size, &time_ns);
        add_number(h, size);
        add_number(h, time_ns);
    }
}

int bq_job_shape(const struct bq_job *job, const char *version, struct bq_checkpoint_of *of,
                 struct bq_error *err)
{
    XXH3_state_t *h = XXH3_createState();
    if (!h)
        return bq_fail(err, BQ_EXIT_FAILED, "out of memory");
    XXH3_128bits_reset(h);
    add_text(h, version);
    add_number(h, job->n_steps);
    for (size_t i = 0; i < job->n_steps; i++)
        add_step(h, &job->steps[i]);
    for (size_t l = 0; l < job->n_loops; l++)
        add_loop(h, &job->loops[l]);
    finish(h, &of->job);
    for (size_t i = 0; i < job->n_steps; i++) {
        const struct bq_origin *origin = job->steps[i].origin;
        if (origin)
            add(h, origin->hash.bytes, sizeof origin->hash.bytes);
    }
    finish(h, &of->kernels);
    for (size_t i = 0; i < job->n_steps; i++) {
        if (job->steps[i].input.file && bq_graph_maker(job, i) < 0)
            add_input(h, &job->steps[i].input);
        add_files(h, &job->steps[i]);
    }
    finish(h, &of->inputs);
    XXH3_freeState(h);
    return 0;
}
