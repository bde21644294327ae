/* The inside of the registry actor, shared by registry.c, beats.c and judge.c alone. */
#ifndef SL_REGISTRY_INTERNAL_H
#define SL_REGISTRY_INTERNAL_H

#include "actors/registry/gossip.h"
#include "actors/registry/registry.h"
#include "actors/registry/watchers.h"
#include "runtime/node.h"

enum { SL_REGISTRY_ASKERS_MAX = 64 }; /* waiting for room for a description; more get none */

typedef struct sl_registry {
    sl_actor *self;
    sl_registry_options options;
    sl_members members;
    sl_gossip gossip;
    sl_watchers watchers;
    uint64_t awake_ns; /* see sl_registry_advance() */
    uint64_t last_ns;  /* when it was last advanced */
    uint64_t last_gossip_ns;
    uint64_t ticks;
    uint32_t listeners[SL_REGISTRY_LISTENERS]; /* whom this node beats for */
    uint32_t listener_count;
    bool urgent_timer;
    bool view_timer;
    bool judge_timer;
    bool stood_still; /* since the last tick: what came meanwhile is looked at before judging */
    bool too_large_told;
    sl_addr askers[SL_REGISTRY_ASKERS_MAX];
    uint32_t asker_count;
} sl_registry;

static inline sl_member *sl_registry_own(const sl_registry *r) {
    return &r->members.all[r->members.self];
}

static inline sl_metrics *sl_registry_metrics(const sl_registry *r) {
    return sl_node_metrics(sl_actor_node(r->self));
}

/* ---- registry.c ---- */

/* Counts what cannot be true; says so at the 1st, 2nd, 4th, 8th … time. */
void sl_registry_refuse(sl_registry *r, const sl_message *message, const char *what);

/* Weighs entries that came with `message`. */
void sl_registry_take(sl_registry *r, const sl_message *message, const registry_member *claims,
                      uint32_t count);

/* The entry of `about` to one node; or, at once, to all of a small network, and of a large one to
 * those who listen to it and some others. */
void sl_registry_tell(sl_registry *r, uint32_t to, uint32_t about);
void sl_registry_tell_all(sl_registry *r, uint32_t about);

void sl_registry_tell_watchers(sl_registry *r);

/* Has sl_registry_judge() called after so long; false when that cannot be. */
bool sl_registry_judge_in(sl_registry *r, uint64_t delay_ns);

/* ---- beats.c ---- */

/* At most SL_REGISTRY_LISTENERS; returns how many. */
uint32_t sl_registry_listeners_of(const sl_registry *r, uint32_t node, uint32_t *chosen);

/* Chooses this node's listeners, and beats for them. */
void sl_registry_beat_all(sl_registry *r);
void sl_registry_on_beat(sl_registry *r, const sl_message *message);
void sl_registry_on_ping(sl_registry *r, const sl_message *message);
void sl_registry_on_pong(sl_registry *r, const sl_message *message);

/* Something came from the node itself. */
void sl_registry_spoke(sl_registry *r, uint32_t node);

/* ---- judge.c ---- */

/* Moves this node's clock of waking time on to now. */
void sl_registry_advance(sl_registry *r);

/* Once a tick. */
void sl_registry_forget_gaps(sl_registry *r);

/* Judges everybody, and sees to it that it is done again when that is due. */
void sl_registry_judge(sl_registry *r);

/* What `from` says of the life of another, beyond what it came to in the table. True when it wants
 * judging. */
bool sl_registry_hear_doubt(sl_registry *r, uint32_t from, const registry_member *claim,
                            sl_merge merge);

/* Nothing more is sent to the node or taken from it. */
void sl_registry_bury(sl_registry *r, uint32_t node, const char *why);

/* The kernel of this host says that the node's process has ended: everybody is told. */
void sl_registry_witness(sl_registry *r, uint32_t node);
void sl_registry_on_died(sl_registry *r, const sl_message *message);

#endif
