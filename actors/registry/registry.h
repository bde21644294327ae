/* The registry actor: what this node offers, and what it knows of every other node.
 *
 * No node is special. Each node's registry keeps an entry for every node of the network and spreads
 * what it knows by gossip: every period it raises the version of its own entry and sends some
 * entries to a few others; a few listen to it and are sent a beat besides (beats.c). So a node that
 * falls silent is missed within a few periods (judge.c). Actors of the node watch the result
 * (registry_watch).
 *
 * Every node's traffic is bounded by SL_REGISTRY_FANOUT messages of at most
 * SL_REGISTRY_GOSSIP_BYTES and SL_REGISTRY_LISTENERS beats a period, however many nodes there are;
 * and a few messages to each that asks for whole entries, which a node does of what it lacks.
 */
#ifndef SL_REGISTRY_REGISTRY_H
#define SL_REGISTRY_REGISTRY_H

#include "actors/registry/location.h"
#include "actors/registry/timing.h"
#include "runtime/actor.h"

enum {
    SL_REGISTRY_FANOUT = 3,          /* nodes told each period */
    SL_REGISTRY_LISTENERS = 4,       /* nodes that each node beats for, each period */
    SL_REGISTRY_GOSSIP_BYTES = 1800, /* one message, encoded: fits any control frame of 2 KiB */
    SL_REGISTRY_DIRECT_NODES = 64,   /* up to this size a joining or leaving node tells everyone */
    SL_REGISTRY_WATCHERS_MAX = 64    /* more are refused, with a warning */
};

#define SL_REGISTRY_PERIOD_NS (100 * SL_NS_PER_MS)
#define SL_REGISTRY_JOIN_NS   (10 * SL_NS_PER_S)
#define SL_REGISTRY_LEAVE_NS  (3 * SL_NS_PER_S)

/* The argument of sl_node_spawn(): copied; what it points to is borrowed until the actor ends. */
typedef struct sl_registry_options {
    const char *hostname; /* NULL: "". Longer than 255 bytes is cut */
    sl_location location;
    uint32_t cores; /* the offer; all of it is free at first */
    uint32_t gpus;
    uint64_t memory_bytes;
    uint64_t ucu_milli;
    const char *description;        /* JSON text that answers registry_describe; NULL: "{}" */
    uint32_t incarnation;           /* the node's, as in sl_node_options */
    bool await_executor;            /* joining until the first registry_free; else alive at once */
    uint64_t gossip_period_ns;      /* 0: SL_REGISTRY_PERIOD_NS */
    const sl_link_timings *timings; /* how long others may be silent; borrowed; NULL: defaults */
    uint64_t join_ns;  /* who was never heard of is dead then; 0: SL_REGISTRY_JOIN_NS, and 1 ms for
                          each node */
    uint64_t leave_ns; /* who said that it leaves is gone then; 0: SL_REGISTRY_LEAVE_NS */
} sl_registry_options;

/* Spawned at SL_SLOT_REGISTRY, before the loop runs (what reaches a slot that is still empty is
 * lost) and before any actor that watches it. Start fails with INVALID (names with control
 * characters, coordinates off the globe), TOO_LARGE (description over 256 KiB), NO_MEMORY.
 *
 * Takes registry_gossip and _want from any node; registry_watch, _free and _stand from this one;
 * registry_describe from any actor. When a node is dead it calls sl_node_peer_lost(). When it stops
 * (the node closes) it tells the others that the node leaves. */
extern const sl_actor_class sl_registry_class;

/* How long nothing need be heard of a node that does not beat for this one before it is suspected:
 * `suspect_ns`, but at least as many periods as news of a living one may take, the smaller of
 *   2 · (N - 1) / fanout + 2                      it tells each other node itself once in
 *                                                 (N - 1) / fanout periods, in changing order
 *   6 · (log2 N + N / (entries · fanout))         others pass it on: log2 N periods to reach
 *                                                 everybody, and a message holds `entries` of N
 * The factor 6 is measured: with 120 nodes no false suspicion in minutes of virtual time, with 4 a
 * few. Silence is counted in time during which this node itself ran: a machine that stopped it
 * stopped its judgement too. `nodes` is at least 1. */
uint64_t sl_registry_suspect_ns(uint64_t suspect_ns, uint64_t period_ns, uint32_t nodes,
                                uint32_t entries);

/* Within so long a node tells each other one itself, by gossip. */
uint64_t sl_registry_direct_ns(uint64_t period_ns, uint32_t nodes);

#endif
