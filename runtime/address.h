/* An actor's address: (node, slot, generation). Slots are reused; the generation tells the old
 * tenant's messages from the new one's. */
#ifndef SL_RUNTIME_ADDRESS_H
#define SL_RUNTIME_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct sl_addr {
    uint32_t node;
    uint32_t slot;
    uint32_t generation;
} sl_addr;

#define SL_NO_NODE UINT32_MAX
#define SL_NO_ADDR ((sl_addr){SL_NO_NODE, UINT32_MAX, UINT32_MAX})

/* Actors that every node has, at slots that never change and generation 0. */
enum sl_well_known {
    SL_SLOT_NODE,        /* the node itself: stop */
    SL_SLOT_REGISTRY,    /* actors/registry */
    SL_SLOT_SCHEDULER,   /* actors/scheduler */
    SL_SLOT_EXECUTOR,    /* actors/executor */
    SL_SLOT_DRIVER,      /* the application's own actor: who submits */
    SL_SLOT_SPARE,       /* of a rank that stands by: sdk/spare.c */
    SL_SLOT_HOST,        /* of user actors: sdk/host.c */
    SL_SLOT_STORE = 8,   /* actors/store */
    SL_SLOT_ROSTER = 10, /* actors/roster */
    SL_SLOT_FIRST_FREE = 16
};

static inline sl_addr sl_addr_well_known(uint32_t node, uint32_t slot) {
    return (sl_addr){node, slot, 0};
}

static inline bool sl_addr_equal(sl_addr a, sl_addr b) {
    return a.node == b.node && a.slot == b.slot && a.generation == b.generation;
}

#endif
