/* Boxes: what is copied between two arrays is what copying element by element copies, at any rank,
 * in every stored form; cells and runs cover each element once, in C order. */
#include "core/box.h"

#include "cunit.h"
#include "random.h"

#define MOST 6000 /* elements of an array */

#define BOX(...) ((struct bq_box){__VA_ARGS__})
#define EXTENTS(...) ((uint64_t[BQ_MAX_RANK]){__VA_ARGS__})

static const uint64_t huge = UINT64_C(1) << 63;

/* -- dice, and doing it slowly ---------------------------------------------------------------- */

static uint64_t product(const uint64_t *extent, int rank)
{
    uint64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= extent[i];
    return n;
}

/* Extents of an array with at most MOST elements: at rank 1 and 2 with long axes too. */
static void random_extents(int rank, uint64_t *extent)
{
    uint64_t longest = rank == 1 ? MOST : rank == 2 ? 1500 : rank == 3 ? 40 : rank <= 5 ? 9 : 4;
    do {
        for (int i = 0; i < rank; i++)
            extent[i] = 1 + random_below(random_below(3) ? longest : 4);
    } while (product(extent, rank) > MOST);
}

static int random_rank(void)
{
    return random_below(12) ? 1 + (int)random_below(5) : BQ_MAX_RANK;
}

/* A box of at least one element inside `extent`, at offsets counted from its corner; axes are often
 * covered in full. */
static struct bq_box random_part(int rank, const uint64_t *extent)
{
    struct bq_box part = {.rank = rank};
    for (int i = 0; i < rank; i++) {
        uint64_t n = random_below(2) ? extent[i] : 1 + random_below(extent[i]);
        part.extent[i] = n;
        part.offset[i] = random_below(extent[i] - n + 1);
    }
    return part;
}

/* The place of element i of an array: i = 0 is its corner. */
static void place_of(uint64_t i, const uint64_t *extent, int rank, uint64_t *place)
{
    for (int axis = rank - 1; axis >= 0; axis--) {
        place[axis] = i % extent[axis];
        i /= extent[axis];
    }
}

static bool is_in(const struct bq_box *box, const uint64_t *place)
{
    for (int i = 0; i < box->rank; i++) {
        if (place[i] < box->offset[i] || place[i] - box->offset[i] >= box->extent[i])
            return false;
    }
    return true;
}

/* An array somewhere in a dataset: `box` is the part of it that counts, at its corner. */
struct array {
    struct bq_box box;
    uint64_t extent[BQ_MAX_RANK], n;
};

/* A random one; like a stored chunk at the dataset's edge it may be larger than its box. */
static struct array random_array(int rank)
{
    struct array array = {.box.rank = rank};
    random_extents(rank, array.extent);
    array.n = product(array.extent, rank);
    for (int i = 0; i < rank; i++) {
        uint64_t clipped = random_below(3) ? 0 : random_below(array.extent[i]);
        array.box.extent[i] = array.extent[i] - clipped;
        array.box.offset[i] = random_below(6);
    }
    return array;
}

/* Where the array keeps an element of the dataset; UINT64_MAX when it is not in the box. */
static uint64_t find(const struct array *array, const uint64_t *place)
{
    uint64_t at = 0;
    if (!is_in(&array->box, place))
        return UINT64_MAX;
    for (int i = 0; i < array->box.rank; i++)
        at = at * array->extent[i] + place[i] - array->box.offset[i];
    return at;
}

static struct bq_number random_number(void)
{
    struct bq_number number = {random_below(3) == 0, random_below(2), true, 0};
    number.size = (uint8_t)(number.is_float ? UINT64_C(2) << random_below(3) : 1 + random_below(8));
    number.is_signed = number.is_float || random_below(2);
    return number;
}

/* Memory of exactly n bytes, so that AddressSanitizer sees one too many. */
static unsigned char *random_memory(uint64_t n)
{
    unsigned char *bytes = malloc(n ? n : 1);
    CU_ASSERT_FATAL(bytes != NULL);
    for (uint64_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)random_next();
    return bytes;
}

/* -- elements, overlap ------------------------------------------------------------------------ */

static void a_box_counts_its_elements_and_says_when_it_cannot(void)
{
    CU_ASSERT_EQUAL(bq_box_elements(&BOX(3, {9, 9, 9}, {2, 3, 4})), 24);
    CU_ASSERT_EQUAL(bq_box_elements(&BOX(1, {huge}, {huge})), huge);
    CU_ASSERT_EQUAL(bq_box_elements(&BOX(2, {0}, {huge, 2})), UINT64_MAX);
    CU_ASSERT_EQUAL(bq_box_elements(&BOX(3, {0}, {huge, huge, 0})), 0);
}

static void the_overlap_holds_exactly_the_common_elements(void)
{
    random_start(41);
    int n_common = 0;
    for (int round = 0; round < 1500; round++) {
        int rank = random_rank();
        struct bq_box a = {.rank = rank}, b = {.rank = rank}, out, before, swapped;
        uint64_t all[BQ_MAX_RANK], place[BQ_MAX_RANK], n = 0;
        for (int i = 0; i < rank; i++) {
            uint64_t longest = rank <= 2 ? 9 : rank <= 5 ? 4 : 2;
            a.offset[i] = random_below(longest);
            b.offset[i] = random_below(longest);
            a.extent[i] = random_below(30) ? 1 + random_below(longest) : 0;
            b.extent[i] = random_below(30) ? 1 + random_below(longest) : 0;
            all[i] = 2 * longest;
        }
        memset(&out, 0x5a, sizeof out);
        before = out;
        bool is_common = bq_box_overlap(&a, &b, &out);
        for (uint64_t i = 0; i < product(all, rank); i++) {
            place_of(i, all, rank, place);
            bool is_both = is_in(&a, place) && is_in(&b, place);
            n += is_both;
            if (is_both && !(is_common && is_in(&out, place))) {
                CU_FAIL("a common element is not in the overlap");
                return;
            }
        }
        CU_ASSERT_EQUAL(is_common, n > 0);
        CU_ASSERT(is_common ? out.rank == rank && product(out.extent, rank) == n
                            : memcmp(&out, &before, sizeof out) == 0);
        CU_ASSERT_EQUAL(bq_box_overlap(&b, &a, &swapped), is_common);
        CU_ASSERT(!is_common || memcmp(&swapped, &out, sizeof out) == 0);
        n_common += is_common;
    }
    CU_ASSERT(n_common > 150 && n_common < 1350);
}

static void boxes_that_end_at_2_to_the_64_overlap_correctly(void)
{
    struct bq_box low = BOX(1, {huge - 1}, {huge}), high = BOX(1, {huge}, {huge}), out;
    CU_ASSERT(bq_box_overlap(&low, &high, &out));
    CU_ASSERT(out.offset[0] == huge && out.extent[0] == huge - 1);
    CU_ASSERT(bq_box_overlap(&high, &high, &out));
    CU_ASSERT(out.offset[0] == huge && out.extent[0] == huge);
    low.extent[0] = 1;
    CU_ASSERT(!bq_box_overlap(&low, &high, &out));
    low = BOX(1, {0}, {huge});
    CU_ASSERT(!bq_box_overlap(&low, &high, &out));
    CU_ASSERT(bq_box_overlap(&high, &BOX(1, {UINT64_MAX}, {UINT64_MAX}), &out));
    CU_ASSERT(out.offset[0] == UINT64_MAX && out.extent[0] == 1);
}

/* -- cells ------------------------------------------------------------------------------------ */

/* True when each element of the box is in one cell, and each cell is one of the grid's, touches the
 * box, ends at the dataset's edge, and comes behind the one before it. */
static bool cells_are_right(const struct bq_box *box, const struct bq_space *space,
                            const uint64_t *chunk)
{
    static unsigned char seen[MOST];
    uint64_t n = bq_box_cells(box, chunk), place[BQ_MAX_RANK], found = 0, last = 0;
    memset(seen, 0, sizeof seen);
    for (uint64_t i = 0; i < n; i++) {
        struct bq_box cell, common;
        uint64_t order = 0;
        bq_box_cell(box, space, chunk, i, &cell);
        for (int axis = 0; axis < box->rank; axis++) {
            uint64_t left = space->extent[axis] - cell.offset[axis];
            if (cell.offset[axis] % chunk[axis] != 0 ||
                cell.extent[axis] != (left < chunk[axis] ? left : chunk[axis]))
                return false;
            order = order * (space->extent[axis] + 1) + cell.offset[axis];
        }
        if (cell.rank != box->rank || !bq_box_overlap(box, &cell, &common) ||
            (i > 0 && order <= last))
            return false;
        last = order;
        for (uint64_t k = 0; k < bq_box_elements(&common); k++) {
            uint64_t at = 0;
            place_of(k, common.extent, box->rank, place);
            for (int axis = 0; axis < box->rank; axis++)
                at = at * space->extent[axis] + common.offset[axis] + place[axis];
            if (seen[at]++)
                return false;
            found++;
        }
    }
    return found == bq_box_elements(box);
}

static void every_element_of_a_box_lies_in_one_cell(void)
{
    random_start(42);
    for (int round = 0; round < 2500; round++) {
        struct bq_space space = {.rank = random_rank()};
        uint64_t chunk[BQ_MAX_RANK];
        random_extents(space.rank, space.extent);
        for (int i = 0; i < space.rank; i++)
            chunk[i] = random_below(20) ? 1 + random_below(space.extent[i] + 2) : UINT64_MAX;
        struct bq_box box = random_part(space.rank, space.extent);
        if (!cells_are_right(&box, &space, chunk)) {
            printf("\n    round %d, rank %d\n", round, space.rank);
            CU_FAIL("the cells are wrong");
            return;
        }
    }
}

static void a_box_without_elements_touches_no_cell(void)
{
    CU_ASSERT_EQUAL(bq_box_cells(&BOX(2, {3, 4}, {5, 0}), EXTENTS(2, 2)), 0);
    CU_ASSERT_EQUAL(bq_box_cells(&BOX(3, {0}, {huge, huge, 0}), EXTENTS(1, 1, 1)), 0);
}

static void cells_of_huge_datasets_do_not_overflow(void)
{
    struct bq_box cell, box = BOX(1, {huge - 1}, {huge});
    struct bq_space space = {1, {UINT64_MAX}};
    CU_ASSERT_EQUAL(bq_box_cells(&box, EXTENTS(1)), huge);
    CU_ASSERT_EQUAL(bq_box_cells(&box, EXTENTS(huge)), 2);
    bq_box_cell(&box, &space, EXTENTS(huge), 1, &cell);
    CU_ASSERT(cell.offset[0] == huge && cell.extent[0] == huge - 1);
    CU_ASSERT_EQUAL(bq_box_cells(&box, EXTENTS(UINT64_MAX)), 1);
    bq_box_cell(&box, &space, EXTENTS(UINT64_MAX), 0, &cell);
    CU_ASSERT(cell.offset[0] == 0 && cell.extent[0] == UINT64_MAX);
    CU_ASSERT_EQUAL(bq_box_cells(&BOX(2, {0}, {huge, huge}), EXTENTS(1, 1)), UINT64_MAX);
    /* A box that reaches out of the dataset: such cells are empty. */
    space.extent[0] = 10;
    bq_box_cell(&BOX(1, {0}, {40}), &space, EXTENTS(8), 3, &cell);
    CU_ASSERT(cell.offset[0] == 24 && cell.extent[0] == 0);
}

/* -- runs ------------------------------------------------------------------------------------- */

/* True when the runs are the part's elements in C order, and no two of them could be one. */
static bool runs_are_right(const struct bq_runs *runs, const struct bq_box *part,
                           const uint64_t *array)
{
    uint64_t element = 0, place[BQ_MAX_RANK], n = bq_box_elements(part);
    for (uint64_t i = 0; i < runs->n; i++) {
        uint64_t begin = bq_runs_at(runs, i);
        if (i > 0 && begin <= bq_runs_at(runs, i - 1) + runs->length)
            return false;
        for (uint64_t k = 0; k < runs->length; k++, element++) {
            uint64_t at = 0;
            if (element >= n)
                return false;
            place_of(element, part->extent, part->rank, place);
            for (int axis = 0; axis < part->rank; axis++)
                at = at * array[axis] + part->offset[axis] + place[axis];
            if (at != begin + k)
                return false;
        }
    }
    return element == n;
}

static void runs_are_the_elements_of_a_part_in_c_order(void)
{
    random_start(43);
    for (int round = 0; round < 2000; round++) {
        int rank = random_rank();
        uint64_t array[BQ_MAX_RANK];
        random_extents(rank, array);
        struct bq_box part = random_part(rank, array);
        struct bq_runs runs;
        bq_runs_of(&runs, &part, array);
        if (!runs_are_right(&runs, &part, array)) {
            printf("\n    round %d, rank %d\n", round, rank);
            CU_FAIL("the runs are wrong");
            return;
        }
    }
}

static void the_shorter_run_of_a_part_in_two_arrays_divides_the_longer(void)
{
    random_start(44);
    for (int round = 0; round < 2000; round++) {
        int rank = random_rank();
        uint64_t array[BQ_MAX_RANK], larger[BQ_MAX_RANK];
        random_extents(rank, array);
        struct bq_box part = random_part(rank, array);
        for (int i = 0; i < rank; i++)
            larger[i] = part.offset[i] + part.extent[i] + random_below(2);
        struct bq_runs a, b;
        bq_runs_of(&a, &part, array);
        bq_runs_of(&b, &part, larger);
        CU_ASSERT(a.length <= b.length ? b.length % a.length == 0 : a.length % b.length == 0);
    }
}

static void axes_that_are_covered_in_full_are_merged(void)
{
    struct bq_runs runs;
    bq_runs_of(&runs, &BOX(3, {0}, {4, 5, 6}), EXTENTS(4, 5, 6));
    CU_ASSERT(runs.n == 1 && runs.length == 120 && runs.rank == 0 && runs.base == 0);
    bq_runs_of(&runs, &BOX(3, {1, 0, 0}, {2, 5, 6}), EXTENTS(4, 5, 6));
    CU_ASSERT(runs.n == 1 && runs.length == 60 && runs.base == 30);
    bq_runs_of(&runs, &BOX(3, {1, 1, 0}, {2, 2, 6}), EXTENTS(4, 5, 6));
    CU_ASSERT(runs.n == 2 && runs.length == 12 && bq_runs_at(&runs, 1) == 66);
    bq_runs_of(&runs, &BOX(3, {0, 0, 2}, {4, 5, 3}), EXTENTS(4, 5, 6));
    CU_ASSERT(runs.n == 20 && runs.length == 3 && runs.rank == 1);
    bq_runs_of(&runs, &BOX(3, {2, 1, 3}, {1, 2, 1}), EXTENTS(4, 5, 6));
    CU_ASSERT(runs.n == 2 && runs.length == 1 && runs.rank == 1 && runs.base == 69);
    bq_runs_of(&runs, &BOX(3, {3, 4, 5}, {1, 1, 1}), EXTENTS(4, 5, 6));
    CU_ASSERT(runs.n == 1 && runs.length == 1 && runs.base == 119);
}

static void runs_of_nothing_and_of_huge_arrays(void)
{
    struct bq_runs runs;
    bq_runs_of(&runs, &BOX(2, {1, 1}, {3, 0}), EXTENTS(4, 4));
    CU_ASSERT_EQUAL(runs.n, 0);
    bq_runs_of(&runs, &BOX(2, {0}, {0, huge}), EXTENTS(huge, huge));
    CU_ASSERT_EQUAL(runs.n, 0);
    bq_runs_of(&runs, &BOX(1, {huge - 2}, {huge}), EXTENTS(UINT64_MAX));
    CU_ASSERT(runs.n == 1 && runs.base == huge - 2 && runs.length == huge);
    uint64_t big = UINT64_C(1) << 31;
    bq_runs_of(&runs, &BOX(2, {1, 1}, {big - 1, 7}), EXTENTS(big, big));
    CU_ASSERT(runs.n == big - 1 && runs.length == 7);
    CU_ASSERT_EQUAL(bq_runs_at(&runs, big - 2), (big - 1) * big + 1);
}

/* -- read, write, fill ------------------------------------------------------------------------ */

/* Copies between two random arrays and compares with one element at a time: every byte of the
 * target outside of the common part stays. */
static bool copies_rightly(const struct bq_number *number, const struct array *from,
                           const struct array *to, bool is_read)
{
    size_t stored = number->size, native = bq_type_size(bq_number_native(number));
    size_t in = is_read ? stored : native, out = is_read ? native : stored;
    unsigned char *source = random_memory(from->n * in), *want = random_memory(to->n * out);
    unsigned char *got = malloc(to->n * out);
    uint64_t place[BQ_MAX_RANK];
    CU_ASSERT_FATAL(got != NULL);
    memcpy(got, want, to->n * out);
    for (uint64_t i = 0; i < to->n; i++) {
        place_of(i, to->extent, to->box.rank, place);
        for (int axis = 0; axis < to->box.rank; axis++)
            place[axis] += to->box.offset[axis];
        uint64_t at = is_in(&to->box, place) ? find(from, place) : UINT64_MAX;
        if (at != UINT64_MAX)
            (is_read ? bq_number_read : bq_number_write)(number, source + at * in, want + i * out,
                                                         1);
    }
    (is_read ? bq_box_read : bq_box_write)(number, &from->box, from->extent, source, &to->box,
                                           to->extent, got);
    bool is_right = memcmp(got, want, to->n * out) == 0;
    free(source);
    free(want);
    free(got);
    return is_right;
}

static void random_copies(uint64_t seed, bool is_read)
{
    random_start(seed);
    for (int round = 0; round < 1500; round++) {
        int rank = random_rank();
        struct array from = random_array(rank), to = random_array(rank);
        struct bq_number number = random_number();
        if (!copies_rightly(&number, &from, &to, is_read)) {
            printf("\n    round %d, rank %d, numbers of %d bytes\n", round, rank, number.size);
            CU_FAIL("other elements than one by one");
            return;
        }
    }
}

static void reading_copies_what_one_by_one_copies(void)
{
    random_copies(45, true);
}

static void writing_copies_what_one_by_one_copies(void)
{
    random_copies(46, false);
}

/* Columns of 1 to 9 numbers between arrays of any width: the short runs that are moved together. */
static void columns_are_copied_as_one_by_one(void)
{
    random_start(47);
    for (int round = 0; round < 300; round++) {
        uint64_t rows = 1 + random_below(600), width = 1 + random_below(9);
        uint64_t apart = random_below(4);
        struct array a = {.box = {2, {0, apart}, {rows, width}},
                          .extent = {rows, width + random_below(3)}};
        struct array b = {.box = {2, {0, 0}, {rows, apart + width}},
                          .extent = {rows, apart + width}};
        a.n = product(a.extent, 2);
        b.n = product(b.extent, 2);
        struct bq_number number = random_number();
        if (!copies_rightly(&number, &a, &b, true) || !copies_rightly(&number, &b, &a, true) ||
            !copies_rightly(&number, &a, &b, false)) {
            printf("\n    %d rows of %d numbers of %d bytes\n", (int)rows, (int)width, number.size);
            CU_FAIL("other elements than one by one");
            return;
        }
    }
}

/* Here planes lie equally far apart in both arrays, but only in one are they dense. */
static void an_axis_is_merged_only_where_both_arrays_have_it_in_full(void)
{
    const struct bq_number number = {true, true, true, 4};
    const struct array dense = {{3, {0}, {4, 2, 6}}, {4, 2, 6}, 48};
    const struct array loose = {{3, {0}, {4, 2, 3}}, {4, 3, 4}, 48};
    CU_ASSERT(copies_rightly(&number, &dense, &loose, true));
    CU_ASSERT(copies_rightly(&number, &loose, &dense, true));
}

static void boxes_that_do_not_meet_copy_nothing(void)
{
    const struct bq_number number = {true, true, true, 4};
    bq_box_read(&number, &BOX(1, {0}, {4}), EXTENTS(4), NULL, &BOX(1, {4}, {4}), EXTENTS(4), NULL);
    bq_box_write(&number, &BOX(1, {4}, {4}), EXTENTS(4), NULL, &BOX(1, {0}, {4}), EXTENTS(4), NULL);
    bq_box_fill(&BOX(2, {1, 0}, {1, 0}), EXTENTS(4, 4), "12345678", 8, NULL);
}

static void filling_sets_every_element_of_the_part_and_no_other(void)
{
    random_start(48);
    for (int round = 0; round < 2000; round++) {
        int rank = random_rank();
        size_t size = 1 + random_below(8);
        uint64_t extent[BQ_MAX_RANK], place[BQ_MAX_RANK], value = random_next();
        random_extents(rank, extent);
        uint64_t n = product(extent, rank);
        struct bq_box part = random_part(rank, extent);
        part.extent[0] *= random_below(20) > 0; /* now and then none */
        unsigned char *want = random_memory(n * size), *got = malloc(n * size);
        CU_ASSERT_FATAL(got != NULL);
        memcpy(got, want, n * size);
        for (uint64_t i = 0; i < n; i++) {
            place_of(i, extent, rank, place);
            if (is_in(&part, place))
                memcpy(want + i * size, &value, size);
        }
        bq_box_fill(&part, extent, &value, size, got);
        bool is_right = memcmp(got, want, n * size) == 0;
        free(want);
        free(got);
        if (!is_right) {
            printf("\n    round %d, rank %d, %d bytes\n", round, rank, (int)size);
            CU_FAIL("the wrong elements were set");
            return;
        }
    }
}

static const struct test tests[] = {
    {"a box counts its elements, and says when it cannot",
     a_box_counts_its_elements_and_says_when_it_cannot},
    {"the overlap holds exactly the common elements",
     the_overlap_holds_exactly_the_common_elements},
    {"boxes that end at 2^64 overlap correctly", boxes_that_end_at_2_to_the_64_overlap_correctly},
    {"every element of a box lies in one cell", every_element_of_a_box_lies_in_one_cell},
    {"a box without elements touches no cell", a_box_without_elements_touches_no_cell},
    {"cells of huge datasets do not overflow", cells_of_huge_datasets_do_not_overflow},
    {"runs are the elements of a part, in C order", runs_are_the_elements_of_a_part_in_c_order},
    {"the shorter run of a part in two arrays divides the longer",
     the_shorter_run_of_a_part_in_two_arrays_divides_the_longer},
    {"axes that are covered in full are merged", axes_that_are_covered_in_full_are_merged},
    {"an empty part has no runs, and huge arrays do not overflow",
     runs_of_nothing_and_of_huge_arrays},
    {"reading copies what copying one by one copies", reading_copies_what_one_by_one_copies},
    {"writing copies what copying one by one copies", writing_copies_what_one_by_one_copies},
    {"columns are copied as one by one", columns_are_copied_as_one_by_one},
    {"an axis is merged only where both arrays have it in full",
     an_axis_is_merged_only_where_both_arrays_have_it_in_full},
    {"boxes that do not meet copy nothing", boxes_that_do_not_meet_copy_nothing},
    {"filling sets every element of the part, and no other",
     filling_sets_every_element_of_the_part_and_no_other},
};

RUN_TESTS("box", tests)
