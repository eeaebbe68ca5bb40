/* The codec: undoes and applies HDF5's filters on one stored chunk, without the HDF5 library and
 * without its lock. Streams are HDF5's own, bit for bit readable by it and its plug-ins.
 *
 * A codec belongs to one thread and keeps its scratch memory between chunks: nothing is allocated
 * per chunk once the largest has passed. Stored bytes are hostile: whatever they hold, decode
 * answers with an error or with exactly `size` bytes.
 *
 * Deflate levels keep their meaning (1 fast, 9 small), but the streams are not zlib's. Measured on
 * one core of an EPYC Milan, smooth float32, shuffled, chunks of 1 MiB; beside it zlib:
 *
 *     level   by              MiB/s   ratio     zlib
 *       1     ISA-L 2           610    2.64       84   2.68
 *       2     libdeflate 1      200    2.66
 *       3     libdeflate 2      120    2.72
 *       4     libdeflate 4       65    2.78       52   2.65
 *       5     libdeflate 5       50    2.81
 *       6     libdeflate 6       48    2.81       19   2.70
 *       7     libdeflate 8       40    2.82
 *       8     libdeflate 10      14    2.86
 *       9     libdeflate 12       5    2.88        4   2.72
 */
#ifndef BQ_ADAPTERS_CODEC_H
#define BQ_ADAPTERS_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "core/layout.h"

struct bq_codec;

/* chunk_bytes: of the largest chunk, decoded; scratch for it is made now. NULL: no memory. */
struct bq_codec *bq_codec_create(size_t chunk_bytes, struct bq_error *err);
void bq_codec_destroy(struct bq_codec *codec);

/* Memory that a codec takes for such chunks through such filters, bytes; an upper bound. */
size_t bq_codec_memory(size_t chunk_bytes, const struct bq_filters *filters);

/* Whether decode and encode know a filter with these values (for instance bitshuffle with an
 * unknown inner codec: no). Values that are missing are HDF5's or the plug-in's standard ones where
 * there are any: zstd level 3, an lz4 block of 1 GiB, bitshuffle blocks of 8 KiB; deflate's level,
 * shuffle's element and bitshuffle's first three have none. */
bool bq_codec_can_decode(const struct bq_filter *filter);
bool bq_codec_can_encode(const struct bq_filter *filter);

/* Stored bytes to `size` decoded bytes in `out` (no overlap). Bit i of mask: filter i was skipped
 * when this chunk was written. An error (exit 1) says which filter failed and how, without naming
 * file or chunk: the caller does. Bytes after the end of a deflate, lz4 or bitshuffle stream are
 * ignored, as HDF5 does. */
int bq_codec_decode(struct bq_codec *codec, const struct bq_filters *filters, uint32_t mask,
                    const void *stored, size_t n, void *out, size_t size, struct bq_error *err);

/* Room that encode needs in `out`, bytes. */
size_t bq_codec_bound(const struct bq_filters *filters, size_t size);

/* `size` bytes to at most `room` stored bytes, bq_codec_bound or more; *n says how many, *mask
 * which filters were skipped: as in HDF5, a compressor that does not shrink what it gets, and a
 * bitshuffle that gets a part of an element. The same bytes for the same input on the same kind of
 * machine. */
int bq_codec_encode(struct bq_codec *codec, const struct bq_filters *filters, const void *data,
                    size_t size, void *out, size_t room, size_t *n, uint32_t *mask,
                    struct bq_error *err);

#endif
