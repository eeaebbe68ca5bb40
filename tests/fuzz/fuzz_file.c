/* A file, from its bytes to the numbers of its first, middle and last blocks: as cooks read it, and
 * through the HDF5 library where they cannot.
 *
 * The library itself does not stand up to every file: crashes in it are not ours to find here, but
 * must not hide ours. So `./run fuzz` lets libFuzzer go on behind a crash (-fork=1
 * -ignore_crashes=1), and sorts crashes by whose code is the innermost. */
#include "fuzz.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapters/store_internal.h"

#define MOST (UINT64_C(16) << 20) /* bytes of anything that a block needs */
#define MOST_PIECES (UINT64_C(1) << 12)
#define FOLDER P_tmpdir "/banquet-fuzz"

const char *__asan_default_options(void);
const char *__lsan_default_suppressions(void);
int H5F_get_checksums(const uint8_t *bytes, size_t n, uint32_t *stored, uint32_t *computed);

/* The library asks for as much memory as a file says, and is content with NULL. */
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

/* What it loses by itself when it gives up on a file. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5\nleak:H5FL_\nleak:H5MM_\n";
}

/* Takes the place of the library's own function, which it finds first here: every checksum of its
 * metadata, the last 4 bytes, is right, as a hostile file's would be. */
int H5F_get_checksums(const uint8_t *bytes, size_t n, uint32_t *stored, uint32_t *computed)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < 4 && n >= 4; i++)
        sum |= (uint32_t)bytes[n - 4 + i] << 8 * i;
    if (stored)
        *stored = sum;
    if (computed)
        *computed = sum;
    return 0;
}

/* -- blocks ------------------------------------------------------------------------------- */

/* What reading blocks of a plan needs; every buffer as large as the program would make it. */
struct kit {
    struct bq_input *input;
    const struct bq_layout *layout;
    size_t native; /* bytes of a number */
    struct bq_stored stored;
    struct bq_decoder decoder;
};

static bool fits(const struct bq_input *input, const struct bq_plan *plan)
{
    const struct bq_layout *layout = bq_input_layout(input);
    const struct bq_input_info *info = bq_input_info(input);
    size_t native = bq_type_size(info->type), chunk = bq_layout_chunk_bytes(layout);
    return plan->n_chunks > 0 && plan->max_elements <= MOST / native && chunk <= MOST &&
           info->library_bytes <= 16 * MOST && bq_stored_room(layout, plan, native) <= MOST &&
           bq_stored_cells(layout, plan) <= MOST_PIECES;
}

static void kit_open(struct kit *kit, struct bq_input *input, const struct bq_plan *plan)
{
    const struct bq_layout *layout = bq_input_layout(input);
    size_t native = bq_type_size(bq_input_info(input)->type);
    size_t room = bq_stored_room(layout, plan, native), chunk = bq_layout_chunk_bytes(layout);
    uint64_t n_pieces = bq_stored_pieces(layout, plan);
    unsigned n_shared =
        bq_stored_form(layout) == BQ_STORED_PIECES && bq_stored_row(layout, plan) ? 3 : 0;
    *kit = (struct kit){.input = input, .layout = layout, .native = native};
    kit->stored.bytes = exactly(room);
    kit->stored.room = room;
    kit->stored.pieces = exactly((size_t)n_pieces * sizeof *kit->stored.pieces);
    if (bq_stored_form(layout) == BQ_STORED_PIECES) {
        kit->decoder.codec = bq_codec_create(chunk, NULL);
        kit->decoder.scratch = exactly(chunk);
        kit->decoder.cache = n_shared ? bq_chunk_cache_create(n_shared, chunk) : NULL;
        MUST(kit->decoder.codec && (kit->decoder.cache || !n_shared));
    }
}

static void kit_close(struct kit *kit)
{
    bq_codec_destroy(kit->decoder.codec);
    bq_chunk_cache_destroy(kit->decoder.cache);
    free(kit->decoder.scratch);
    free(kit->stored.bytes);
    free(kit->stored.pieces);
}

/* Numbers that lie in one piece are read through the library too, and must be the same. */
static void compare(struct kit *kit, const struct bq_box *block, const void *data, size_t n)
{
    struct bq_error err = {0};
    unsigned char *librarys = exactly(n);
    int rc = bq_input_read(kit->input, block->offset, block->extent, librarys, &err);
    MUST(rc == 0 || err.text[0]);
    MUST(rc < 0 || memcmp(data, librarys, n) == 0);
    free(librarys);
}

static void read_block(struct kit *kit, const struct bq_plan *plan, uint64_t id)
{
    struct bq_box block = {.rank = plan->space.rank};
    size_t n = (size_t)bq_plan_chunk(plan, id, block.offset, block.extent) * kit->native;
    unsigned char *data = exactly(n);
    struct bq_error err = {0};
    enum bq_fetch got = bq_input_fetch(kit->input, &block, false, &kit->stored, data, &err);
    if (got == BQ_FETCH_WOULD_WAIT)
        got = bq_input_fetch(kit->input, &block, true, &kit->stored, data, &err);
    bool is_read = got == BQ_FETCHED && bq_stored_decode(kit->layout, &block, &kit->stored,
                                                         &kit->decoder, data, &err) == 0;
    MUST(is_read || err.text[0]);
    if (is_read && kit->layout->storage == BQ_STORAGE_CONTIGUOUS)
        compare(kit, &block, data, n);
    free(data);
}

static void read_plan(struct bq_input *input, const struct bq_plan *plan)
{
    if (!fits(input, plan))
        return;
    const uint64_t last = plan->n_chunks - 1;
    const uint64_t ids[] = {0, 1, last / 2, last - 1, last};
    struct kit kit;
    kit_open(&kit, input, plan);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        if (ids[i] <= last && (i == 0 || ids[i] > ids[i - 1]))
            read_block(&kit, plan, ids[i]);
    }
    kit_close(&kit);
}

/* -- the dataset -------------------------------------------------------------------------- */

/* As `chunk: auto` cuts it, and in blocks that cut the file's chunks. */
static void read_dataset(struct bq_input *input)
{
    const struct bq_input_info *info = bq_input_info(input);
    const uint64_t *chunk = info->chunk.rank ? info->chunk.extent : NULL;
    uint64_t crooked[BQ_MAX_RANK], identity[2];
    struct bq_plan plan;
    struct bq_error err = {0};
    MUST(info->space.rank >= 1 && info->space.rank <= BQ_MAX_RANK);
    MUST(memchr(info->stored, 0, sizeof info->stored));
    MUST((bq_input_layout(input)->storage == BQ_STORAGE_OTHER) == (info->by_library[0] != 0));
    if (bq_plan_auto(&plan, &info->space, chunk, bq_type_size(info->type), &err) == 0)
        read_plan(input, &plan);
    for (int i = 0; i < info->space.rank; i++)
        crooked[i] = chunk ? chunk[i] / 3 * 2 + 1 : 5;
    if (bq_plan_make(&plan, &info->space, crooked, &err) == 0)
        read_plan(input, &plan);
    MUST(bq_input_identity(input, identity, &err) == 0);
    MUST(bq_input_check_unchanged(input, &err) == 0);
}

/* -- what an output inherits -------------------------------------------------------------- */

static bool has_attributes(hid_t file, const char *path)
{
    H5O_info_t object;
    return H5Oget_info_by_name2(file, path, &object, H5O_INFO_NUM_ATTRS, H5P_DEFAULT) >= 0 &&
           object.num_attrs > 0;
}

static void remove_folder(void)
{
    rmdir(FOLDER);
}

/* Its attributes and dimension scales, into the work file of an output that is then discarded. */
static void inherit(struct bq_input *input, const char *path)
{
    static bool has_folder;
    const struct bq_input_info *info = bq_input_info(input);
    struct bq_error err = {0};
    if (!has_attributes(input->file, path) && !has_attributes(input->file, "/"))
        return;
    if (!has_folder && (mkdir(FOLDER, 0700) == 0 || errno == EEXIST))
        has_folder = atexit(remove_folder) == 0;
    struct bq_output_spec spec = {.file = FOLDER "/out.h5",
                                  .dataset = "/d",
                                  .type = info->type,
                                  .space = info->space,
                                  .how = BQ_OUTPUT_LIBRARY,
                                  .like = input,
                                  .keeps_values = true};
    struct bq_output *output = bq_output_create(&spec, &err);
    MUST(!output == (err.text[0] != 0));
    bq_output_discard(output);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    /* "/d" in files of the corpus; "/d.f" where it holds records. */
    static const char *const names[] = {"/d", "/d.f"};
    char path[40];
    if (n == 0)
        return 0;
    setenv("HDF5_PLUGIN_PRELOAD", "::", 1); /* no plug-ins: they are not ours either */
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    MUST(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    bool has_records = false;
    for (size_t i = 0; i < sizeof names / sizeof *names && (i == 0 || has_records); i++) {
        struct bq_error err = {0};
        struct bq_input *input = bq_input_open(path, names[i], &err);
        MUST(!input == (err.text[0] != 0));
        if (input) {
            read_dataset(input);
            inherit(input, "/d");
        }
        has_records = strstr(err.text, "holds records") != NULL;
        bq_input_close(input);
    }
    /* Files: the library cannot close every one that it could open. */
    MUST(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL & ~H5F_OBJ_FILE) == 0);
    close(fd);
    return 0;
}
