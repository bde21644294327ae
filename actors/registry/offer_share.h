/* Inside offer: the division of one host's cores and accelerators among its ranks, from their
 * claims. */
#ifndef SL_REGISTRY_OFFER_SHARE_H
#define SL_REGISTRY_OFFER_SHARE_H

#include "actors/registry/offer.h"

/* What one rank gets. A core it shares with k - 1 other ranks has sharers k. */
typedef struct sl_share {
    uint32_t core_count;
    int32_t *core_ids; /* ascending; owned */
    uint32_t *sharers; /* per core, >= 1; owned */
    uint32_t accelerator_count;
    uint64_t accelerator_ids[SL_HARDWARE_ACCELERATORS_MAX];
} sl_share;

/* Pure; the rules are in offer.h. NO_MEMORY only. The caller gives *share to sl_share_fini(). */
sl_err sl_share_compute(const sl_claim *claims, int local_size, int local_rank,
                        sl_share *share) SL_CHECKED;

void sl_share_fini(sl_share *share);

#endif
