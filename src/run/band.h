/* Bands: thin blocks of a contiguous dataset, several side by side fetched at once.
 *
 * A block of 512 x 512 in rows of 16,384 lies in the file as 512 pieces of 2 KiB, and a system call
 * for each costs more than the bytes. So a cook fetches the pieces of neighbours with its own, into
 * a buffer from which whoever cooks the neighbours copies. While one cook fills a buffer, the next
 * fills the next one.
 */
#ifndef BQ_RUN_BAND_H
#define BQ_RUN_BAND_H

#include "adapters/store.h"
#include "core/plan.h"

struct bq_bands;

/* Bytes that bands take, for each cook and once; 0 when blocks of the plan are not thin. */
struct bq_bands_memory {
    uint64_t cook, fixed;
};
struct bq_bands_memory bq_bands_memory(const struct bq_layout *layout, const struct bq_plan *plan);

/* Only where bq_bands_memory is not 0. NULL: no memory. input, layout and plan must outlive it. */
struct bq_bands *bq_bands_create(struct bq_input *input, const struct bq_layout *layout,
                                 const struct bq_plan *plan, unsigned n_cooks);
void bq_bands_destroy(struct bq_bands *bands);

/* Any cook: the native numbers of a chunk into `data`. false: it must be fetched by itself, because
 * the file would make it wait, or fails. */
bool bq_bands_take(struct bq_bands *bands, uint64_t chunk, const struct bq_box *block, void *data);

#endif
