/* The actors of this node that are told how the network changes. Each is told of every member whose
 * entry changed since it was last told of it; several changes of one member become one. */
#ifndef SL_REGISTRY_WATCHERS_H
#define SL_REGISTRY_WATCHERS_H

#include "actors/registry/members.h"
#include "runtime/actor.h"

typedef struct sl_watcher {
    sl_addr at;
    sl_node_set due; /* the members to be told of */
    uint64_t seen;   /* members->changes when all had been told */
} sl_watcher;

typedef struct sl_watchers {
    sl_watcher *all; /* owned */
    uint32_t count;
} sl_watchers;

void sl_watchers_fini(sl_watchers *watchers);

/* Adds an actor that has been told nothing; one that watches already is told everything again.
 * NO_MEMORY, TOO_LARGE (SL_REGISTRY_WATCHERS_MAX). */
sl_err sl_watchers_add(sl_watchers *watchers, sl_addr at, uint32_t nodes) SL_CHECKED;

/* Sends registry_view to all who have not heard of a change; members->news is empty then. `now_ns`:
 * waking time. One whose
 * mailbox is full is awaited (sl_await_room); one that is gone is forgotten. */
void sl_watchers_tell(sl_watchers *watchers, sl_members *members, sl_actor *self, uint64_t now_ns);

#endif
