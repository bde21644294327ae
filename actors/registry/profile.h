/* What hardly ever changes of a node: its names, its place, and what it offers in all.
 *
 * In a table of ten thousand nodes this is most of the bytes, and every table of a process says the
 * same. So a process holds each once, whichever of its networks and nodes know it: a profile never
 * changes, is found by what it says, and goes with its last user. Any thread. */
#ifndef SL_REGISTRY_PROFILE_H
#define SL_REGISTRY_PROFILE_H

#include <stdbool.h>

#include "actors/registry/registry_msgs.h"

typedef struct sl_profile {
    sl_text host; /* the three end with a NUL */
    sl_text region;
    sl_text zone;
    double latitude; /* 0 without has_coordinates */
    double longitude;
    uint64_t memory_bytes;
    uint64_t ucu_milli;
    uint32_t cores;
    uint32_t gpus;
    bool has_coordinates;
    struct sl_profile *next; /* with the same place in the pool */
    uint64_t hash;
    uint32_t host_digest; /* 0: it has no name */
    uint32_t digest;      /* of all it says, the same at every node; never 0 */
    uint64_t users;
} sl_profile;

/* Of a node that nothing is known of: its digest is 0. It may be dropped, and need not be. */
const sl_profile *sl_profile_none(void);

/* Does the entry (with one offer) say the same? */
bool sl_profile_says(const sl_profile *profile, const registry_member *entry);

/* That of an entry with one offer; to be dropped. NULL: no memory. */
const sl_profile *sl_profile_take(const registry_member *entry);
void sl_profile_drop(const sl_profile *profile);

#endif
