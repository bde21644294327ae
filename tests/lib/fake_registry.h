/* A registry for tests of the actors above it: tells its watchers of `count` equal nodes, all
 * alive. */
#ifndef SL_TESTS_FAKE_REGISTRY_H
#define SL_TESTS_FAKE_REGISTRY_H

#include "actors/registry/registry_msgs.h"

typedef struct sl_fake_registry {
    uint32_t count;
    uint32_t cores; /* of each node */
    uint32_t gpus;
    uint64_t memory_bytes;
    uint64_t ucu_milli;
    const char *const *regions; /* one per node; NULL: none has one */
    uint32_t without;           /* this node offers nothing (count or more: all offer) */
} sl_fake_registry;

/* Spawned at SL_SLOT_REGISTRY with an sl_fake_registry as argument. */
extern const sl_actor_class sl_fake_registry_class;

#endif
