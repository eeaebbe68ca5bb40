/* How a dataset lies in its file, for those who read it without the library; or why they cannot. */
#include "adapters/store_internal.h"

#include <stdio.h>
#include <string.h>

#include "adapters/codec.h"

/* Says why the library must read it. */
static void because(char *why, size_t size, const char *reason)
{
    snprintf(why, size, "%s", reason);
}

static bool is_half(hid_t type)
{
    size_t sign, exponent, exponent_size, mantissa, mantissa_size;
    return H5Tget_size(type) == 2 && H5Tget_precision(type) == 16 &&
           H5Tget_fields(type, &sign, &exponent, &exponent_size, &mantissa, &mantissa_size) >= 0 &&
           sign == 15 && exponent == 10 && exponent_size == 5 && mantissa == 0 &&
           mantissa_size == 10 && H5Tget_ebias(type) == 15 && H5Tget_norm(type) == H5T_NORM_IMPLIED;
}

/* False when cooks cannot read such numbers. */
static bool describe_number(hid_t type, struct bq_number *number)
{
    H5T_order_t order = H5Tget_order(type);
    size_t size = H5Tget_size(type);
    *number = (struct bq_number){.is_float = H5Tget_class(type) == H5T_FLOAT,
                                 .is_big_endian = order == H5T_ORDER_BE,
                                 .size = (uint8_t)size};
    if (size == 0 || size > 8 || (size > 1 && order != H5T_ORDER_LE && order != H5T_ORDER_BE))
        return false;
    if (number->is_float)
        return is_half(type) || H5Tequal(type, H5T_IEEE_F32LE) > 0 ||
               H5Tequal(type, H5T_IEEE_F32BE) > 0 || H5Tequal(type, H5T_IEEE_F64LE) > 0 ||
               H5Tequal(type, H5T_IEEE_F64BE) > 0;
    number->is_signed = H5Tget_sign(type) == H5T_SGN_2;
    return H5Tget_precision(type) == 8 * size && H5Tget_offset(type) == 0;
}

/* False when there is one that cooks cannot undo; then why is set. */
static bool describe_filters(hid_t creation, struct bq_filters *filters, char *why, size_t size)
{
    int n = H5Pget_nfilters(creation);
    if (n < 0 || n > BQ_MAX_FILTERS) {
        because(why, size, "its filters are too many");
        return false;
    }
    for (int i = 0; i < n; i++) {
        struct bq_filter *filter = &filters->list[i];
        unsigned flags, values[BQ_MAX_FILTER_VALUES] = {0};
        size_t n_values = BQ_MAX_FILTER_VALUES;
        char name[48] = "";
        H5Z_filter_t id = H5Pget_filter2(creation, (unsigned)i, &flags, &n_values, values,
                                         sizeof name, name, NULL);
        name[sizeof name - 1] = 0;
        name[strcspn(name, ";")] = 0; /* "HDF5 bzip2 filter; see http:.." */
        filter->id = (uint32_t)id;
        filter->n_values = (uint32_t)n_values;
        memcpy(filter->values, values, sizeof values);
        if (id < 0 || n_values > BQ_MAX_FILTER_VALUES || !bq_codec_can_decode(filter)) {
            snprintf(why, size, "filter %d%s%.40s", (int)id, name[0] ? " " : "", name);
            return false;
        }
    }
    filters->n = (uint32_t)n;
    return true;
}

void store_fill_value(hid_t creation, enum bq_type type, unsigned char *fill)
{
    if (!store_has_fill_value(creation) ||
        H5Pget_fill_value(creation, store_memory_type(type), fill) < 0)
        memset(fill, 0, 8);
}

bool store_has_fill_value(hid_t creation)
{
    H5D_fill_value_t state;
    return H5Pfill_value_defined(creation, &state) >= 0 && state == H5D_FILL_VALUE_USER_DEFINED;
}

/* The value of what was never written, 0 when the file gives none, or says that none is ever put
 * there: H5Dread leaves such elements as they are. */
static void describe_fill(hid_t creation, enum bq_type type, unsigned char *fill)
{
    H5D_fill_time_t time;
    if (H5Pget_fill_time(creation, &time) >= 0 && time != H5D_FILL_TIME_NEVER)
        store_fill_value(creation, type, fill);
}

static enum bq_storage describe(hid_t dataset, hid_t stored, const struct bq_input_info *info,
                                hid_t creation, struct bq_layout *layout, uint64_t *address,
                                char *why, size_t size)
{
    H5D_layout_t kind = H5Pget_layout(creation);
    hid_t whole = H5Dget_type(dataset), number = store_number_type(stored, "", NULL);
    bool is_field = H5Tget_class(whole) == H5T_COMPOUND;
    bool is_simple = number >= 0 && describe_number(number, &layout->number);
    store_release(number);
    store_release(whole);
    describe_fill(creation, info->type, layout->fill);
    if (kind == H5D_COMPACT)
        because(why, size, "its layout is compact");
    else if (kind == H5D_VIRTUAL)
        because(why, size, "its layout is virtual");
    else if (kind == H5D_CONTIGUOUS && H5Pget_external_count(creation) > 0)
        because(why, size, "it lies in external files");
    else if (kind != H5D_CONTIGUOUS && kind != H5D_CHUNKED)
        because(why, size, "its layout is not known");
    else if (is_field)
        because(why, size, "it is a field of records");
    else if (!is_simple)
        because(why, size, "its numbers are of an unusual form");
    if (why[0])
        return BQ_STORAGE_OTHER;
    if (kind == H5D_CONTIGUOUS) {
        /* Where there is a user block, H5Dget_offset gives an address also when there is none. */
        H5D_space_status_t status = H5D_SPACE_STATUS_ERROR;
        haddr_t at = H5Dget_offset(dataset);
        if (H5Dget_space_status(dataset, &status) < 0 || status != H5D_SPACE_STATUS_ALLOCATED ||
            at == HADDR_UNDEF) {
            because(why, size, "nothing of it was written");
            return BQ_STORAGE_OTHER;
        }
        *address = at;
        return BQ_STORAGE_CONTIGUOUS;
    }
    unsigned options = 0;
    if (info->chunk.rank != info->space.rank || H5Pget_chunk_opts(creation, &options) < 0) {
        because(why, size, "its chunks cannot be seen");
        return BQ_STORAGE_OTHER;
    }
    layout->chunk = info->chunk;
    layout->has_raw_edges = (options & H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS) != 0;
    return describe_filters(creation, &layout->filters, why, size) ? BQ_STORAGE_CHUNKED
                                                                   : BQ_STORAGE_OTHER;
}

void store_describe_layout(hid_t dataset, hid_t stored, const struct bq_input_info *info,
                           struct bq_layout *layout, uint64_t *address, char *why, size_t size)
{
    hid_t creation = H5Dget_create_plist(dataset);
    *layout = (struct bq_layout){.space = info->space};
    why[0] = 0;
    layout->storage = describe(dataset, stored, info, creation, layout, address, why, size);
    store_release(creation);
}

/* What lies in one piece: whether its bytes are as many as its elements need. HDF5 does not look,
 * and reads what lies behind them in the file or, of a compact dataset, in memory. */
static int check_room(hid_t dataset, size_t element, const struct bq_space *space,
                      const char *where, struct bq_error *err)
{
    uint64_t n = bq_space_elements(space), stored = H5Dget_storage_size(dataset), bytes;
    H5D_space_status_t status;
    if (H5Dget_space_status(dataset, &status) >= 0 && status == H5D_SPACE_STATUS_NOT_ALLOCATED)
        return 0;
    if (!__builtin_mul_overflow(n, element, &bytes) && bytes <= stored)
        return 0;
    return bq_fail(err, BQ_EXIT_USAGE,
                   "%s: the file is damaged: it has %llu bytes for %llu elements of %zu", where,
                   (unsigned long long)stored, (unsigned long long)n, element);
}

/* Whether scale-offset and n-bit give what a chunk has: HDF5 makes as many numbers as they say. */
static int check_filters(hid_t creation, size_t element, const struct bq_space *chunk,
                         const char *where, struct bq_error *err)
{
    uint64_t bytes = bq_space_elements(chunk) * element;
    int n = H5Pget_nfilters(creation);
    for (int i = 0; i < n; i++) {
        unsigned flags, values[5] = {0};
        size_t n_values = 5;
        H5Z_filter_t id =
            H5Pget_filter2(creation, (unsigned)i, &flags, &n_values, values, 0, NULL, NULL);
        /* n-bit's second value: it leaves the chunk as it is. */
        bool counts = id == H5Z_FILTER_SCALEOFFSET || (id == H5Z_FILTER_NBIT && !values[1]);
        if (counts && (uint64_t)values[2] * values[4] != bytes)
            return bq_fail(err, BQ_EXIT_USAGE,
                           "%s: the file is damaged: filter %d makes %u numbers of %u bytes, and "
                           "chunks have %llu bytes",
                           where, (int)id, values[2], values[4], (unsigned long long)bytes);
    }
    return 0;
}

/* Stored chunks are boxes of the dataset's own rank, and not empty. */
static int check_chunks(const struct bq_input_info *info, const char *where, struct bq_error *err)
{
    if (!info->is_scalar && info->chunk.rank > 0 && bq_space_elements(&info->chunk) > 0)
        return 0;
    return bq_fail(err, BQ_EXIT_USAGE,
                   "%s: the file is damaged: its stored chunks have no element, or another rank",
                   where);
}

int store_check_claims(hid_t dataset, const struct bq_input_info *info, const char *where,
                       struct bq_error *err)
{
    hid_t creation = H5Dget_create_plist(dataset), type = H5Dget_type(dataset);
    H5D_layout_t kind = H5Pget_layout(creation);
    size_t element = H5Tget_size(type);
    int rc = 0;
    if (kind == H5D_CHUNKED)
        rc = check_chunks(info, where, err) != 0
                 ? -1
                 : check_filters(creation, element, &info->chunk, where, err);
    else if (kind == H5D_COMPACT ||
             (kind == H5D_CONTIGUOUS && H5Pget_external_count(creation) == 0))
        rc = check_room(dataset, element, &info->space, where, err);
    store_release(type);
    store_release(creation);
    return rc;
}
