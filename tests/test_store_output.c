/* Making a file: what is refused before, what is visible meanwhile, what is there in the end, and
 * what a result inherits from its input. */
#include "adapters/store.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "store_fixture.h"

static const struct bq_space none = {0, {0}}, small = {2, {4, 6}};

static struct bq_output_spec plain(const char *file)
{
    return (struct bq_output_spec){.file = file, .dataset = "data", .type = BQ_U16, .space = small};
}

static struct bq_output *create(const struct bq_output_spec *spec)
{
    struct bq_error err = {.text = ""};
    struct bq_output *output = bq_output_create(spec, &err);
    CHECK_TEXT(err.text, "");
    CU_ASSERT_FATAL(output != NULL);
    return output;
}

static void write_all(struct bq_output *output, uint16_t value)
{
    struct bq_error err = {.text = ""};
    uint16_t data[24];
    for (int i = 0; i < 24; i++)
        data[i] = (uint16_t)(value + i);
    CU_ASSERT_EQUAL(bq_output_write(output, (uint64_t[]){0, 0}, small.extent, data, &err), 0);
    CHECK_TEXT(err.text, "");
}

static void commit(struct bq_output *output)
{
    struct bq_error err = {.text = ""};
    CU_ASSERT_EQUAL(bq_output_commit(output, &err), 0);
    CHECK_TEXT(err.text, "");
}

static uint16_t first_element(const char *file)
{
    struct bq_error err = {.text = ""};
    uint16_t data[24] = {0};
    struct bq_input *input = bq_input_open(file, "data", &err);
    CHECK_TEXT(err.text, "");
    CU_ASSERT_FATAL(input != NULL);
    CU_ASSERT_EQUAL(bq_input_read(input, (uint64_t[]){0, 0}, small.extent, data, &err), 0);
    bq_input_close(input);
    return data[0];
}

/* -- refused before anything is written --------------------------------------------------- */

static void expect_refusal(const struct bq_output_spec *spec, const char *text)
{
    struct bq_error err = {.text = ""};
    int before = n_files("");
    CU_ASSERT_EQUAL(bq_output_check(spec, &err), -1);
    CHECK_TEXT(message(&err), text);
    CU_ASSERT_EQUAL(err.exit, BQ_EXIT_USAGE);
    CU_ASSERT_PTR_NULL(bq_output_create(spec, NULL));
    CU_ASSERT_EQUAL(n_files(""), before);
}

static void an_output_that_cannot_be_made_is_refused_before_anything_is_written(void)
{
    struct bq_output_spec spec = plain(in_folder("x/out.h5"));
    struct bq_error err = {.text = ""};
    expect_refusal(&spec, "x/out.h5: the folder 'x' does not exist");
    put_file(in_folder("plain"), "x", 1);
    spec.file = in_folder("plain/out.h5");
    expect_refusal(&spec, "plain/out.h5: 'plain' is not a folder");
    mkdir(in_folder("dir"), 0755);
    spec.file = in_folder("dir");
    expect_refusal(&spec, "dir: is a folder; name a file in it");
    spec.file = in_folder("dir/");
    expect_refusal(&spec, "dir/: names a folder, not a file");
    spec.file = in_folder("plain");
    expect_refusal(&spec, "plain already exists; --force replaces it");
    spec.force = true;
    CU_ASSERT_EQUAL(bq_output_check(&spec, &err), 0);
    CU_ASSERT_EQUAL(symlink("/dev/null", in_folder("null")), 0);
    spec.file = in_folder("null");
    expect_refusal(&spec, "null: is not a regular file; it is left alone");
    spec.force = false;
    CU_ASSERT_EQUAL(symlink("nowhere", in_folder("dangling")), 0);
    spec.file = in_folder("dangling");
    expect_refusal(&spec, "dangling already exists; --force replaces it");
}

static void a_shape_that_makes_no_sense_is_refused(void)
{
    struct bq_output_spec spec = plain(in_folder("out.h5"));
    spec.dataset = "/";
    expect_refusal(&spec, "out.h5: '/' does not name a dataset");
    spec.dataset = "";
    expect_refusal(&spec, "out.h5: '' does not name a dataset");
    spec.dataset = "maps/";
    expect_refusal(&spec, "out.h5: 'maps/' does not name a dataset");
    spec.dataset = "data";
    spec.filters = deflate_filter(4, 4);
    expect_refusal(&spec, "out.h5: compression needs chunks; 'data' would have none");
    spec.filters.n = 0;
    spec.chunk = (struct bq_space){1, {4}};
    expect_refusal(&spec,
                   "out.h5: 'data' has 2 dimensions; its chunk needs as many, each at least 1");
    spec.chunk = (struct bq_space){2, {4, 0}};
    expect_refusal(&spec,
                   "out.h5: 'data' has 2 dimensions; its chunk needs as many, each at least 1");
    spec.chunk = none;
    spec.space.rank = 9;
    expect_refusal(&spec, "out.h5: 'data' would have rank 9 and type uint16");
}

static void the_input_is_never_replaced(void)
{
    uint16_t data[24] = {0};
    struct bq_error err = {.text = ""};
    make_input(in_folder("in.h5"), "data", H5T_STD_U16LE, H5T_NATIVE_UINT16, &small, NULL, 0, data);
    struct bq_output_spec spec = plain(in_folder("in.h5"));
    spec.like = bq_input_open(in_folder("in.h5"), "data", &err);
    CU_ASSERT_FATAL(spec.like != NULL);
    spec.force = true;
    expect_refusal(&spec, "in.h5: is the input; write to another file");
    CU_ASSERT_EQUAL(symlink("in.h5", in_folder("alias.h5")), 0);
    CU_ASSERT_EQUAL(link(in_folder("in.h5"), in_folder("twin.h5")), 0);
    spec.file = in_folder("alias.h5");
    expect_refusal(&spec, "alias.h5: is the input; write to another file");
    spec.file = in_folder("twin.h5");
    expect_refusal(&spec, "twin.h5: is the input; write to another file");
    bq_input_close(spec.like);
}

/* As nobody in a child, because root may write everywhere. */
static void a_folder_that_is_not_writable_is_refused(void)
{
    mkdir(in_folder("locked"), 0555);
    chmod(folder, 0755);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct bq_error err = {.text = ""};
        struct bq_output_spec spec = plain(in_folder("locked/out.h5"));
        if (geteuid() == 0 && seteuid(65534) != 0)
            _exit(2);
        int rc = bq_output_check(&spec, &err);
        const char *want =
            "locked/out.h5: cannot write into the folder 'locked': Permission denied";
        _exit(rc == -1 && strcmp(message(&err), want) == 0 ? 0 : 1);
    }
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
}

/* -- the work file ------------------------------------------------------------------------ */

static void nothing_is_visible_before_commit_and_the_umask_decides_the_mode(void)
{
    struct bq_output_spec spec = plain(in_folder("shy.h5"));
    struct stat st;
    struct bq_output *output = create(&spec);
    write_all(output, 7);
    CU_ASSERT_EQUAL(n_files("shy.h5"), 0);
    CU_ASSERT_EQUAL(n_files(".shy.h5.banquet-"), 1);
    CU_ASSERT_EQUAL(stat(bq_output_work_path(output), &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
    mode_t old = umask(027);
    commit(output);
    CU_ASSERT_EQUAL(umask(old), 027);
    CU_ASSERT_EQUAL(stat(in_folder("shy.h5"), &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 07777, 0640);
    CU_ASSERT_EQUAL(n_files(".shy"), 0);
    CU_ASSERT_EQUAL(first_element(in_folder("shy.h5")), 7);
}

static void discard_leaves_nothing(void)
{
    struct bq_output_spec spec = plain(in_folder("never.h5"));
    struct bq_output *output = create(&spec);
    write_all(output, 1);
    bq_output_discard(output);
    CU_ASSERT_EQUAL(n_files("never.h5") + n_files(".never.h5"), 0);
}

static void force_replaces_and_until_then_the_old_file_is_there(void)
{
    struct bq_output_spec spec = plain(in_folder("again.h5"));
    struct bq_output *output = create(&spec);
    write_all(output, 1);
    commit(output);
    spec.force = true;
    output = create(&spec);
    write_all(output, 2);
    CU_ASSERT_EQUAL(first_element(in_folder("again.h5")), 1);
    commit(output);
    CU_ASSERT_EQUAL(first_element(in_folder("again.h5")), 2);
}

static void a_file_made_meanwhile_is_not_replaced_and_the_result_is_kept(void)
{
    struct bq_output_spec spec = plain(in_folder("raced.h5"));
    struct bq_error err = {.text = ""};
    char work[400], want[900], got[10] = "";
    struct bq_output *output = create(&spec);
    write_all(output, 5);
    snprintf(work, sizeof work, "%s", bq_output_work_path(output));
    put_file(in_folder("raced.h5"), "mine", 4);
    CU_ASSERT_EQUAL(bq_output_commit(output, &err), -1);
    snprintf(
        want, sizeof want,
        "raced.h5: something else made this file meanwhile; the finished result is kept as '%s'",
        work + strlen(folder) + 1);
    CHECK_TEXT(message(&err), want);
    CU_ASSERT_EQUAL(first_element(work), 5);
    FILE *file = fopen(in_folder("raced.h5"), "r");
    CU_ASSERT_PTR_NOT_NULL(fgets(got, sizeof got, file));
    fclose(file);
    CHECK_TEXT(got, "mine");
    unlink(work);
}

static void names_of_any_length_and_place_work(void)
{
    char name[256];
    memset(name, 'n', 252);
    strcpy(name + 252, ".h5");
    struct bq_output_spec spec = plain(in_folder(name));
    struct bq_output *output = create(&spec);
    write_all(output, 3);
    commit(output);
    CU_ASSERT_EQUAL(first_element(in_folder(name)), 3);

    int here = open(".", O_RDONLY);
    CU_ASSERT_EQUAL(chdir(folder), 0);
    spec = plain("bare.h5");
    output = create(&spec);
    CU_ASSERT_EQUAL(strncmp(bq_output_work_path(output), ".bare.h5.banquet-", 17), 0);
    write_all(output, 4);
    commit(output);
    CU_ASSERT_EQUAL(fchdir(here), 0);
    close(here);
    CU_ASSERT_EQUAL(first_element(in_folder("bare.h5")), 4);
}

/* -- contents ----------------------------------------------------------------------------- */

static size_t load(const char *path, char *bytes, size_t size)
{
    FILE *file = fopen(path, "rb");
    CU_ASSERT_FATAL(file != NULL);
    size_t n = fread(bytes, 1, size, file);
    fclose(file);
    return n;
}

static void equal_runs_make_equal_files(void)
{
    static char bytes[2][1 << 16];
    size_t n[2];
    time_t began = time(NULL);
    for (int i = 0; i < 2; i++) {
        struct bq_error err = {.text = ""};
        struct bq_output_spec spec = plain(in_folder(i ? "second.h5" : "first.h5"));
        spec.dataset = "a/b/data";
        spec.chunk = (struct bq_space){2, {3, 100}}; /* clipped to the extent */
        spec.filters = deflate_filter(4, 4);
        struct bq_output *output = create(&spec);
        write_all(output, 9);
        CU_ASSERT_EQUAL(bq_output_note(output, "made", "by hand", &err), 0);
        commit(output);
        n[i] = load(spec.file, bytes[i], sizeof bytes[i]);
    }
    CU_ASSERT_EQUAL(n[0], n[1]);
    CU_ASSERT(memcmp(bytes[0], bytes[1], n[0]) == 0);
    /* The two may be of the same second, so look for the time itself: HDF5 keeps 32 bits of it. */
    for (size_t i = 0; i + 4 <= n[0]; i++) {
        uint32_t word;
        memcpy(&word, bytes[0] + i, 4);
        CU_ASSERT(word < (uint32_t)began || word > (uint32_t)time(NULL));
    }
}

/* The fill value of the input, in an output of that type and where nothing was written. */
static void expect_fill(struct bq_input *like, enum bq_type type, const struct bq_space *chunk,
                        double want)
{
    struct bq_output_spec spec = {.file = in_folder("filled.h5"),
                                  .dataset = "data",
                                  .type = type,
                                  .space = small,
                                  .chunk = *chunk,
                                  .like = like,
                                  .force = true};
    struct bq_error err = {.text = ""};
    double first[24] = {0}, got[24];
    struct bq_output *output = create(&spec);
    CU_ASSERT_EQUAL(bq_output_write(output, (uint64_t[]){0, 0}, (uint64_t[]){2, 6}, first, &err),
                    0);
    commit(output);
    struct bq_input *input = bq_input_open(spec.file, "data", &err);
    CU_ASSERT_FATAL(input != NULL);
    CU_ASSERT_EQUAL(bq_input_read(input, (uint64_t[]){0, 0}, small.extent, got, &err), 0);
    H5Tconvert(native_of(type), H5T_NATIVE_DOUBLE, 24, got, NULL, H5P_DEFAULT);
    CU_ASSERT_EQUAL(got[11], 0);
    CU_ASSERT_EQUAL(got[12], want);
    CU_ASSERT_EQUAL(got[23], want);
    bq_input_close(input);
}

static void an_element_that_was_not_written_has_the_fill_value_of_the_input(void)
{
    const struct bq_space rows = {2, {2, 6}};
    struct bq_error err = {.text = ""};
    hid_t file = H5Fcreate(in_folder("fill.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = H5Screate_simple(2, (hsize_t[]){4, 6}, NULL);
    H5Pset_fill_value(creation, H5T_NATIVE_DOUBLE, &(double){-9999});
    H5Dclose(H5Dcreate2(file, "data", H5T_IEEE_F32BE, space, H5P_DEFAULT, creation, H5P_DEFAULT));
    H5Sclose(space);
    H5Pclose(creation);
    H5Fclose(file);
    struct bq_input *like = bq_input_open(in_folder("fill.h5"), "data", &err);
    CU_ASSERT_FATAL(like != NULL);
    expect_fill(like, BQ_F32, &none, -9999);
    expect_fill(like, BQ_F32, &rows, -9999);
    expect_fill(like, BQ_I16, &rows, -9999);
    expect_fill(like, BQ_I8, &rows, 0); /* which cannot hold it */
    bq_input_close(like);
}

/* -- disk full ---------------------------------------------------------------------------- */

/* In a child whose files may not grow past a limit; 0 when all is as it should be. */
static int fill_the_disk(rlim_t limit, unsigned gzip, const char *want)
{
    static uint16_t data[1 << 20];
    struct bq_error err = {.text = ""};
    struct bq_output_spec spec = plain(in_folder("full.h5"));
    struct rlimit rlimit = {limit, limit};
    uint32_t noise = 1;
    for (size_t i = 0; i < 1 << 20; i++)
        data[i] = (uint16_t)((noise = noise * 1664525 + 1013904223) >> 16);
    spec.space = (struct bq_space){2, {gzip ? 512 : 1024, 512}};
    spec.chunk = gzip ? (struct bq_space){2, {256, 256}} : none;
    spec.filters = deflate_filter(gzip, bq_type_size(spec.type));
    signal(SIGXFSZ, SIG_IGN);
    struct bq_output *output = bq_output_create(&spec, &err);
    if (!output || setrlimit(RLIMIT_FSIZE, &rlimit) != 0)
        return 1;
    int rc = bq_output_write(output, (uint64_t[]){0, 0}, spec.space.extent, data, &err);
    if (rc == 0)
        rc = bq_output_commit(output, &err);
    else
        bq_output_discard(output);
    if (rc != -1 || strcmp(message(&err), want) != 0)
        printf("\n    %d '%s'\n", rc, err.text);
    fflush(stdout);
    if (rc != -1 || strcmp(message(&err), want) != 0 || err.exit != BQ_EXIT_FAILED)
        return 2;
    return n_files("full.h5") + n_files(".full.h5") == 0 ? 0 : 3;
}

static void expect_full(rlim_t limit, unsigned gzip, const char *what)
{
    char want[300];
    snprintf(want, sizeof want,
             "full.h5:/data: cannot %s: File too large; free some space there, or write the output "
             "somewhere else",
             what);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        exit(fill_the_disk(limit, gzip, want)); /* with exit handlers: HDF5's may crash here */
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
}

static void a_full_disk_is_told_and_leaves_nothing(void)
{
    expect_full(300000, 0, "write chunk at (0, 0)");
    /* 512 KiB, all of it in the chunk cache until the end. */
    expect_full(300000, 1, "finish the dataset");
}

/* -- what the result inherits, as h5py sees it -------------------------------------------- */

static bool run_python(const char *code)
{
    char command[500];
    put_file(in_folder("script.py"), code, strlen(code));
    snprintf(command, sizeof command, "cd '%s' && /usr/bin/python3 script.py", folder);
    fflush(stdout);
    return system(command) == 0;
}

static void attributes_and_scales_are_kept(void)
{
    CU_ASSERT(run_python(
        "import h5py, numpy as np\n"
        "f = h5py.File('rich.h5', 'w')\n"
        "d = f.create_dataset('maps/heat', (4, 6), '>f2', track_order=True, fillvalue=-1)\n"
        "d[...] = np.arange(24).reshape(4, 6)\n"
        "d.attrs['units'] = 'K'\n"
        "d.attrs['bytes'] = np.bytes_('old')\n"
        "d.attrs['names'] = ['a', 'bcd']\n"
        "d.attrs['aaa'] = np.array([[1, 2], [3, 4]], '>i2')\n"
        "d.attrs['half'] = np.float16(1.5)\n"
        "d.attrs['flag'] = True\n"
        "d.attrs['none'] = h5py.Empty('f4')\n"
        "d.attrs['pair'] = np.array((1, 2.5), [('n', 'i4'), ('x', 'f8')])\n"
        "d.attrs['many'] = np.zeros((0, 3))\n"
        "d.attrs['ragged'] = np.array([np.array([1, 2], 'i4'), np.array([3], 'i4')],"
        " dtype=h5py.vlen_dtype('i4'))\n"
        "d.attrs['CLASS'] = np.bytes_('IMAGE')\n"
        "d.attrs['pointer'] = f['maps'].ref\n"
        "d.attrs['_FillValue'] = np.float32(-1)\n"
        "y = f.create_dataset('axes/y', data=np.arange(4.) / 2)\n"
        "x = f.create_dataset('maps/x', data=np.arange(6), compression='gzip')\n"
        "x2 = f.create_dataset('x2', data=np.arange(6) * 10)\n"
        "letters = f.create_dataset('letters', data=np.full((6, 3), b'q'))\n"
        "y.attrs['units'] = 'm'\n"
        "for s, n in ((y, 'northing'), (x, 'easting'), (x2, ''), (letters, 'letters')):\n"
        "    s.make_scale(n)\n"
        "d.dims[0].attach_scale(y)\n"
        "for s in (x, x2, letters): d.dims[1].attach_scale(s)\n"
        "d.dims[0].label = 'rows'\n"
        "e = f.create_dataset('e', (4,), 'f4'); e.dims[0].attach_scale(y)\n"
        "f.close()\n"));
    struct bq_error err = {.text = ""};
    struct bq_input *like = bq_input_open(in_folder("rich.h5"), "maps/heat", &err);
    CHECK_TEXT(err.text, "");
    CU_ASSERT_FATAL(like != NULL);
    float data[24];
    CU_ASSERT_EQUAL(bq_input_read(like, (uint64_t[]){0, 0}, small.extent, data, &err), 0);
    const char *file[] = {"same.h5", "cast.h5", "thin.h5"};
    for (int i = 0; i < 3; i++) {
        struct bq_output_spec spec = {.file = in_folder(file[i]),
                                      .dataset = "/maps/heat",
                                      .type = i == 1 ? BQ_F64 : BQ_F32,
                                      .space = small,
                                      .like = like};
        if (i == 2) /* the second axis has another extent: its scales do not fit */
            spec.space.extent[1] = 3;
        struct bq_output *output = create(&spec);
        if (i == 0)
            CU_ASSERT_EQUAL(bq_output_write(output, (uint64_t[]){0, 0}, small.extent, data, &err),
                            0);
        CU_ASSERT_EQUAL(bq_output_note(output, "units", "m\xc2\xb2", &err), 0);
        commit(output);
        CHECK_TEXT(err.text, "");
    }
    bq_input_close(like);
    CU_ASSERT(run_python(
        "import h5py, numpy as np\n"
        "a, b = h5py.File('rich.h5'), h5py.File('same.h5')\n"
        "p, q = a['maps/heat'], b['maps/heat']\n"
        "assert q.dtype == '>f2' and (p[...] == q[...]).all() and q.fillvalue == -1\n"
        "dropped = {'DIMENSION_LIST', 'pointer', 'units'}\n"
        "assert [k for k in p.attrs if k not in dropped] == [k for k in q.attrs if k not in "
        "dropped],"
        " (list(p.attrs), list(q.attrs))\n"
        "assert 'pointer' not in q.attrs and q.attrs['units'] == 'm\\u00b2'\n"
        "for k in p.attrs:\n"
        "    if k in dropped: continue\n"
        "    u, v = p.attrs[k], q.attrs[k]\n"
        "    assert p.attrs.get_id(k).dtype == q.attrs.get_id(k).dtype, k\n"
        "    assert type(u) is type(v), k\n"
        "    if k == 'ragged': assert all((m == n).all() for m, n in zip(u, v))\n"
        "    elif k != 'none': assert np.array_equal(u, v), k\n"
        "assert [s.name for s in q.dims[0].values()] == ['/axes/y'], q.dims[0].values()\n"
        "assert [s.name for s in q.dims[1].values()] == ['/maps/x', '/x2', '/letters']\n"
        "assert list(q.dims[1].keys()) == ['easting', '', 'letters'] and q.dims[0].label == "
        "'rows'\n"
        "for s in p.dims[0].values() + p.dims[1].values():\n"
        "    t = b[s.name]\n"
        "    assert h5py.h5ds.is_scale(t.id) and s.dtype == t.dtype and (s[...] == t[...]).all()\n"
        "    assert s.compression == t.compression\n"
        "    assert [b[r].name for r, _ in t.attrs['REFERENCE_LIST']] == ['/maps/heat'], s.name\n"
        "assert b['axes/y'].attrs['units'] == 'm' and 'e' not in b\n"
        "c = h5py.File('cast.h5')['maps/heat']\n"
        "assert c.dtype == '<f8' and '_FillValue' not in c.attrs and c.fillvalue == -1\n"
        "d = h5py.File('thin.h5')['maps/heat']\n"
        "assert len(d.dims[0]) == 1 and len(d.dims[1]) == 0 and d.dims[0].label == 'rows'\n"
        "assert '/x2' not in h5py.File('thin.h5')\n"));
}

/* A scale as the input, a scale where the output goes, and a scale that is gone. */
static void scales_in_the_way_are_no_obstacle(void)
{
    CU_ASSERT(
        run_python("import h5py, numpy as np\n"
                   "f = h5py.File('odd.h5', 'w')\n"
                   "t = f.create_dataset('time', data=np.arange(5.)); t.make_scale('time')\n"
                   "d = f.create_dataset('d', data=np.arange(5.)); d.dims[0].attach_scale(t)\n"
                   "g = f.create_dataset('gone', data=np.arange(5.)); g.make_scale('gone')\n"
                   "h = f.create_dataset('h', data=np.arange(5.)); h.dims[0].attach_scale(g)\n"
                   "s = f.create_dataset('g/s', data=np.arange(5.)); s.make_scale('s')\n"
                   "k = f.create_dataset('k', data=np.arange(5.)); k.dims[0].attach_scale(s)\n"
                   "w = f.create_dataset('b', data=[True, False, True])\n"
                   "del f['gone']\n"));
    const char *from[] = {"time", "d", "d", "h", "b", "k"};
    const char *to[] = {"x", "time", "time/d", "h", "b", "g"};
    for (int i = 0; i < 6; i++) {
        struct bq_error err = {.text = ""};
        char name[20];
        snprintf(name, sizeof name, "odd%d.h5", i);
        struct bq_input *like = bq_input_open(in_folder("odd.h5"), from[i], &err);
        CHECK_TEXT(err.text, "");
        CU_ASSERT_FATAL(like != NULL);
        struct bq_output_spec spec = {.file = in_folder(name),
                                      .dataset = to[i],
                                      .type = bq_input_info(like)->type,
                                      .space = bq_input_info(like)->space,
                                      .like = like};
        commit(create(&spec));
        bq_input_close(like);
    }
    CU_ASSERT(run_python("import h5py\n"
                         "f = [h5py.File('odd%d.h5' % i) for i in range(6)]\n"
                         "x = f[0]['x']\n"
                         "assert h5py.h5ds.is_scale(x.id) and x.attrs['NAME'] == b'time', x.attrs\n"
                         "assert sorted(x.attrs) == ['CLASS', 'NAME']\n"
                         "assert list(f[1]) == ['time'] and len(f[1]['time'].dims[0]) == 0\n"
                         "assert list(f[2]['time']) == ['d']\n"
                         "assert list(f[3]) == ['h'] and f[4]['b'].dtype == 'i1'\n"
                         "assert list(f[5]) == ['g'] and len(f[5]['g'].dims[0]) == 0\n"));
}

int main(void)
{
    const struct test tests[] = {
        {"an output that cannot be made is refused before anything is written",
         an_output_that_cannot_be_made_is_refused_before_anything_is_written},
        {"a shape that makes no sense is refused", a_shape_that_makes_no_sense_is_refused},
        {"the input is never replaced", the_input_is_never_replaced},
        {"a folder that is not writable is refused", a_folder_that_is_not_writable_is_refused},
        {"nothing is visible before commit and the umask decides the mode",
         nothing_is_visible_before_commit_and_the_umask_decides_the_mode},
        {"discard leaves nothing", discard_leaves_nothing},
        {"force replaces, and until then the old file is there",
         force_replaces_and_until_then_the_old_file_is_there},
        {"a file made meanwhile is not replaced, and the result is kept",
         a_file_made_meanwhile_is_not_replaced_and_the_result_is_kept},
        {"names of any length and place work", names_of_any_length_and_place_work},
        {"equal runs make equal files", equal_runs_make_equal_files},
        {"an element that was not written has the fill value of the input",
         an_element_that_was_not_written_has_the_fill_value_of_the_input},
        {"a full disk is told and leaves nothing", a_full_disk_is_told_and_leaves_nothing},
        {"nothing is left open in HDF5", nothing_is_left_open_in_hdf5},
        /* The last three need h5py. */
        {"attributes and scales are kept", attributes_and_scales_are_kept},
        {"scales in the way are no obstacle", scales_in_the_way_are_no_obstacle},
        {"nothing is left open in HDF5 after these", nothing_is_left_open_in_hdf5},
    };
    size_t n = sizeof tests / sizeof *tests;
    fixture_begin();
    if (system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) {
        n -= 3;
        printf("skipped: 2 tests of attributes and scales (/usr/bin/python3 has no h5py)\n");
    }
    int rc = run_tests("store, output", tests, n);
    fixture_end();
    return rc;
}
