#include "adapters/report_json.h"

#include "base/heap.h"
#include "core/pipeline.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/whole_file.h"
#include "core/report_verdict.h"

/* jansson hands memory failures through: a constructor gives NULL, and set_new and append_new
 * refuse NULL. `failed` notes the refusals, so that the code that builds need not look each time.
 */
struct build {
    bool failed;
};

static void set(struct build *b, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0)
        b->failed = true;
}

static void append(struct build *b, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0)
        b->failed = true;
}

/* A path need not be UTF-8; JSON must be. */
static json_t *text(const char *bytes)
{
    json_t *string = json_string(bytes);
    char copy[1024];
    if (string)
        return string;
    size_t n = 0;
    for (; bytes && bytes[n] && n < sizeof copy - 1; n++)
        copy[n] = (unsigned char)bytes[n] < 0x80 ? bytes[n] : '?';
    copy[n] = 0;
    return json_string(copy);
}

static json_t *integer(uint64_t value)
{
    if (value <= INT64_MAX)
        return json_integer((json_int_t)value);
    return json_sprintf("%llu", (unsigned long long)value);
}

static json_t *real(double value)
{
    if (isnan(value))
        return json_string("nan");
    if (isinf(value))
        return json_string(value > 0 ? "inf" : "-inf");
    return json_real(value);
}

static json_t *seconds(uint64_t ns)
{
    return json_real((double)ns * 1e-9);
}

static json_t *mean_max(struct build *b, double mean, double max)
{
    json_t *object = json_object();
    set(b, object, "mean", real(mean));
    set(b, object, "max", real(max));
    return object;
}

static json_t *bins(struct build *b, const struct bq_track *track)
{
    static const char *const name[] = {
#define NAME(code, text, letter, mark) text,
        BQ_STATES(NAME)
#undef NAME
    };
    json_t *object = json_object();
    set(b, object, "width_s", seconds(track->width));
    for (int s = 0; s <= BQ_N_STATES; s++) {
        json_t *array = json_array();
        for (uint32_t i = 0; i < track->n_bins; i++)
            append(b, array, integer(s < BQ_N_STATES ? track->bin[i].ns[s] : track->bin[i].open));
        set(b, object, s < BQ_N_STATES ? name[s] : "open", array);
    }
    return object;
}

static json_t *cook(struct build *b, const struct bq_report *report,
                    const struct bq_cook_report *is)
{
    static const char *const name[] = {
#define NAME(code, text, letter, mark) text,
        BQ_STATES(NAME)
#undef NAME
            "idle"};
    uint64_t part[BQ_N_STATES + 1];
    json_t *object = json_object(), *without = json_object(), *with = json_object();
    bq_track_split(&is->track, report->makespan_ns, part);
    for (int s = 0; s <= BQ_N_STATES; s++)
        set(b, without, name[s], seconds(part[s]));
    for (int s = 0; s < BQ_N_STATES; s++)
        set(b, with, name[s], seconds(is->track.total[s]));
    set(b, with, "open", seconds(is->track.open));
    set(b, object, "core", json_integer(is->core));
    if (is->stage)
        set(b, object, "stage", text(bq_line_stage_name((enum bq_line_stage)(is->stage - 1))));
    set(b, object, "chunks", integer(is->n_chunks));
    set(b, object, "seconds", without);          /* without overlap: adds up to the makespan */
    set(b, object, "overlapping_seconds", with); /* as recorded: several chunks may wait at once */
    set(b, object, "bins", bins(b, &is->track));
    return object;
}

static json_t *kitchen(struct build *b, const struct bq_report *report,
                       const struct bq_kitchen_report *is)
{
    json_t *object = json_object(), *cooks = json_array();
    set(b, object, "rank", json_integer(is->rank));
    set(b, object, "host", text(is->host));
    set(b, object, "pid", json_integer(is->pid));
    set(b, object, "cooks", json_integer(is->n_cooks));
    set(b, object, "cores", json_integer(is->n_cores));
    set(b, object, "chunks", integer(is->n_chunks));
    set(b, object, "leases", integer(is->n_leases));
    set(b, object, "requests", integer(is->n_requests));
    set(b, object, "bytes_in", integer(is->bytes_in));
    set(b, object, "bytes_out", integer(is->bytes_out));
    set(b, object, "request_wait_us", json_real((double)is->wait_ns * 1e-3));
    set(b, object, "open_max", integer(is->n_open_max));
    set(b, object, "memory", integer(is->budget));
    set(b, object, "memory_peak", integer(is->peak));
    set(b, object, "served", json_boolean(is->is_served));
    set(b, object, "writes", json_boolean(is->is_direct));
    set(b, object, "lost", json_integer(is->n_lost));
    set(b, object, "gone", json_boolean(is->is_gone));
    set(b, object, "warning", text(is->warning));
    for (uint32_t c = 0; c < is->n_cooks; c++)
        append(b, cooks, cook(b, report, &is->cooks[c]));
    set(b, object, "cook", cooks);
    return object;
}

static json_t *results(struct build *b, const struct bq_report *report)
{
    json_t *object = json_object();
    for (size_t r = 0; r < report->n_results; r++) {
        const struct bq_result *is = &report->results[r];
        json_t *value = NULL;
        switch (is->kind) {
        case BQ_RESULT_INTEGER:
            value = integer(is->integer);
            break;
        case BQ_RESULT_NEGATIVE:
            value = json_integer((json_int_t)is->integer);
            break;
        case BQ_RESULT_REAL:
            value = real(is->real);
            break;
        case BQ_RESULT_SERIES:
            value = json_array();
            for (size_t i = 0; i < is->n_series; i++)
                append(b, value, integer(is->series[i]));
            break;
        case BQ_RESULT_REALS:
            value = json_array();
            for (size_t i = 0; i < is->n_series; i++)
                append(b, value, real(is->reals[i]));
            break;
        }
        set(b, object, is->name, value);
    }
    return object;
}

static json_t *given_up(struct build *b, const struct bq_report *report)
{
    json_t *array = json_array();
    for (size_t g = 0; g < report->n_given_up; g++) {
        json_t *object = json_object();
        set(b, object, "chunk", integer(report->given_up[g].chunk));
        set(b, object, "why", text(report->given_up[g].why));
        append(b, array, object);
    }
    return array;
}

static json_t *whole(struct build *b, const struct bq_report *report)
{
    struct bq_at_once once;
    char verdict[256];
    bq_report_at_once(report, &once);
    json_t *root = json_object(), *coordinator = json_object(), *kitchens = json_array();
    set(b, root, "version", text(report->version ? report->version : ""));
    set(b, root, "job", text(report->job));
    set(b, root, "step", text(report->step));
    if (report->n_rounds) {
        set(b, root, "rounds", integer(report->n_rounds));
        set(b, root, "loop", text(report->loop));
    }
    if (report->is_earlier)
        set(b, root, "earlier", json_true());
    set(b, root, "kernel", text(report->kernel));
    set(b, root, "policy", text(report->policy));
    set(b, root, "transport", text(report->transport));
    set(b, root, "input", text(report->input));
    set(b, root, "output", text(report->output));
    set(b, root, "simulated", json_boolean(report->is_simulated));
    set(b, root, "start_ns", integer(report->start_ns));
    set(b, root, "makespan_s", seconds(report->makespan_ns));
    set(b, root, "n_chunks", integer(report->n_chunks));
    set(b, root, "n_discarded", integer(report->n_discarded));
    set(b, root, "bytes_in", integer(report->bytes_in));
    set(b, root, "bytes_out", integer(report->bytes_out));
    set(b, root, "concurrency", mean_max(b, once.open_mean, once.open_max));
    set(b, root, "parallelism", mean_max(b, once.cooking_mean, once.cooking_max));
    set(b, root, "bin_s", seconds(once.bin_ns));
    set(b, root, "n_cores", json_integer(report->n_cores));
    set(b, root, "n_machines", json_integer(report->n_machines));
    set(b, root, "clock_error_s", seconds(report->clock_error_ns));
    set(b, root, "verdict",
        text(report->is_earlier ? "finished by an earlier run"
                                : bq_report_verdict(report, verdict, sizeof verdict)));
    set(b, root, "digest", text(report->digest));
    set(b, root, "results", results(b, report));
    set(b, root, "n_given_up", integer(report->n_given_up_total));
    set(b, root, "given_up", given_up(b, report));
    set(b, coordinator, "cpu_s", real(report->coordinator_cpu));
    set(b, coordinator, "service_us", real(report->svc_ns * 1e-3));
    set(b, coordinator, "messages", integer(report->n_messages));
    set(b, root, "coordinator", coordinator);
    for (size_t k = 0; k < report->n_kitchens; k++)
        append(b, kitchens, kitchen(b, report, &report->kitchens[k]));
    set(b, root, "kitchens", kitchens);
    return root;
}

/* One key a line, one kitchen a line: bins would fill pages if each number had its own. */
static int dump(const json_t *value, FILE *f)
{
    return json_dumpf(value, f, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
}

static int dump_root(json_t *root, FILE *f)
{
    const char *key, *before = "{\n";
    json_t *value;
    json_object_foreach(root, key, value)
    {
        fprintf(f, "%s  \"%s\": ", before, key);
        before = ",\n";
        if (strcmp(key, "kitchens") != 0 || json_array_size(value) == 0) {
            if (dump(value, f) != 0)
                return -1;
            continue;
        }
        for (size_t k = 0; k < json_array_size(value); k++) {
            fputs(k ? ",\n    " : "[\n    ", f);
            if (dump(json_array_get(value, k), f) != 0)
                return -1;
        }
        fputs("\n  ]", f);
    }
    fputs("\n}\n", f);
    return 0;
}

/* A step's report; or {"steps": [report, ..]}. */
static int dump_all(json_t *roots, bool is_list, FILE *f)
{
    if (!is_list)
        return dump_root(json_array_get(roots, 0), f);
    fputs("{\n\"steps\": [\n", f);
    for (size_t i = 0; i < json_array_size(roots); i++) {
        fputs(i ? ",\n" : "", f);
        if (dump_root(json_array_get(roots, i), f) != 0)
            return -1;
    }
    fputs("]\n}\n", f);
    return 0;
}

static int write_all(json_t *roots, bool is_list, const char *path, struct bq_error *err)
{
    struct bq_whole_file file;
    FILE *f = bq_whole_open(&file, path, err);
    if (!f)
        return -1;
    /* Without a text error from the stream it was memory; with one, commit says why. */
    if (dump_all(roots, is_list, f) != 0 && !ferror(f)) {
        bq_whole_discard(&file);
        return bq_fail(err, BQ_EXIT_FAILED, "%s: out of memory for the report", path);
    }
    return bq_whole_commit(&file, err);
}

static int add(json_t *roots, const struct bq_report *report, const char *path,
               struct bq_error *err)
{
    struct build b = {false};
    json_t *root = whole(&b, report);
    if (root && !b.failed && roots && json_array_append(roots, root) == 0) {
        json_decref(root);
        return 0;
    }
    json_decref(root);
    return bq_fail(err, BQ_EXIT_FAILED, "%s: out of memory for the report", path);
}

int bq_report_json(const struct bq_report *report, const char *path, struct bq_error *err)
{
    json_t *roots = json_array();
    int rc = add(roots, report, path, err) < 0 ? -1 : write_all(roots, false, path, err);
    json_decref(roots);
    return rc;
}

struct bq_json_steps {
    const char *path;
    json_t *roots;
};

struct bq_json_steps *bq_json_steps_create(const char *path, struct bq_error *err)
{
    struct bq_json_steps *steps = bq_alloc(1, sizeof *steps);
    if (!steps || !(steps->roots = json_array())) {
        bq_fail(err, BQ_EXIT_FAILED, "out of memory");
        bq_free(steps);
        return NULL;
    }
    steps->path = path;
    return steps;
}

int bq_json_steps_add(struct bq_json_steps *steps, const struct bq_report *report,
                      struct bq_error *err)
{
    if (add(steps->roots, report, steps->path, err) < 0)
        return -1;
    return strcmp(steps->path, "-") == 0 ? 0 : write_all(steps->roots, true, steps->path, err);
}

int bq_json_steps_end(struct bq_json_steps *steps, struct bq_error *err)
{
    if (!steps)
        return 0;
    bool is_due = strcmp(steps->path, "-") == 0 && json_array_size(steps->roots) > 0;
    int rc = is_due ? write_all(steps->roots, true, steps->path, err) : 0;
    json_decref(steps->roots);
    bq_free(steps);
    return rc;
}
