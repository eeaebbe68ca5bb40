/* The porter: stands between a rank and its kitchen. It waits for START; then the kitchen works in
 * this process, or in one of its own, with which a kernel may crash: the porter passes messages on,
 * watches, tells the coordinator what was lost and why, and starts another.
 *
 *     coordinator <== transport ==> porter <== frames ==> kitchen (a child of the zygote)
 *                                     ^------ vitals -------'
 */
#ifndef BQ_RUN_PORTER_H
#define BQ_RUN_PORTER_H

#include <stdatomic.h>

#include "adapters/transport.h"
#include "adapters/zygote.h"
#include "run/registry.h"

/* The zygote whose children are kitchens with this registry, which must outlive it. */
struct bq_zygote *bq_porter_zygote(const struct bq_registry *registry, struct bq_error *err);

/* Works until the coordinator says BYE. leave: non-zero: asked to do no more than what is begun.
 * zygote may be NULL: then no kernel can be isolated. -1 with err when it cannot work; the
 * coordinator was told. */
int bq_porter(struct bq_transport *transport, const struct bq_registry *registry,
              struct bq_zygote *zygote, atomic_int *leave, struct bq_error *err);

#endif
