/* A network of nodes that have a registry and one watcher each, under a clock that the test moves.
 * All loops are turned by the caller's thread, so that a run is the same every time. */
#ifndef SL_TESTS_REGISTRY_WORLD_H
#define SL_TESTS_REGISTRY_WORLD_H

#include "actors/registry/registry.h"
#include "actors/registry/registry_msgs.h"
#include "runtime/node.h"

enum { WORLD_NODES = 128, WORLD_HISTORY = 16 };

#define WORLD_MS SL_NS_PER_MS

/* What one watcher knows, at SL_SLOT_DRIVER. It passes registry_watch, and registry_describe, on to
 * its registry, and to the one of `ask`. */
typedef struct spy {
    uint8_t states[WORLD_NODES];                 /* 0xff: never told */
    uint8_t history[WORLD_NODES][WORLD_HISTORY]; /* the states told of each, in order */
    uint8_t history_count[WORLD_NODES];
    uint64_t versions[WORLD_NODES];
    registry_offer offers[WORLD_NODES];
    char hosts[WORLD_NODES][64];
    uint64_t views;
    uint64_t told; /* members in them */
    uint32_t ask;
    uint32_t descriptions;
    uint32_t described_node;
    char description[64];
} spy;

typedef struct world {
    sl_clock clock; /* first: cast back */
    uint64_t now_ns;
    uint32_t count;
    sl_node *nodes[WORLD_NODES];
    bool frozen[WORLD_NODES];
    spy *spies; /* by node */
    char hosts[WORLD_NODES][16];
    char descriptions[WORLD_NODES][32];
} world;

typedef struct world_options {
    uint32_t count;
    size_t frame_bytes;
    uint32_t hosts;               /* node i is on host-(i % hosts); 0: each on its own */
    bool narrow_spies;            /* their mailboxes hold one message */
    bool real_time;               /* the machine's clock, for loops that run by themselves */
    sl_registry_options registry; /* host name, region and amounts are set for each node */
} world_options;

/* Ends the program with a failed test when it cannot be made. */
world *world_create(const world_options *options);
void world_destroy(world *w);

/* Turns every node that is not frozen until none has anything to do; the clock stands still. */
void world_settle(world *w);

/* Lets the time pass in steps, settling after each. */
void world_run(world *w, uint64_t duration_ns, uint64_t step_ns);

/* True when every watcher of a node that is not frozen was told `state` of `node` last. */
bool world_agrees(const world *w, uint32_t node, uint8_t state);
bool world_all_alive(const world *w);

/* Sums a metric over the nodes. */
int64_t world_metric(const world *w, sl_metric metric);

/* Sends to the registry of `to` as from node `from`. */
void world_send(world *w, uint32_t from, uint32_t to, const sl_message_type *type,
                const void *body);

/* A plausible claim, to be made false; `offer` must live as long. */
registry_member world_claim(uint32_t node, uint64_t version, uint8_t state, registry_offer *offer);

#endif
