/* The inside of the registry actor, shared by registry.c, wants.c, ears.c, beats.c and judge.c
 * alone. */
#ifndef SL_REGISTRY_INTERNAL_H
#define SL_REGISTRY_INTERNAL_H

#include "actors/registry/gossip.h"
#include "actors/registry/registry.h"
#include "actors/registry/watchers.h"
#include "runtime/node.h"

enum { SL_REGISTRY_ASKERS_MAX = 64 }; /* waiting for room for a description; more get none */

/* What this node's own ears know of one that beats for it, or that is doubted. By its clock of
 * waking time. */
typedef struct sl_ear {
    uint32_t node;
    uint32_t host;         /* its digest, when last looked for */
    uint8_t owes;          /* it beats for this node, every period */
    uint8_t mute;          /* it owes, and is silent for the suspect time */
    uint8_t witnessed;     /* others share its host, and would tell of its end */
    uint64_t spoke_ns;     /* as spoke_ms */
    uint64_t suspected_ns; /* since when it is suspected here; while it is */
    uint64_t seconded_ns;  /* when another node last said that it too waits in vain; 0: none */
    uint64_t gap_ns;       /* the longest silence between two of its beats, slowly forgotten */
    uint64_t rtt_ns;       /* the way there and back, where it was measured */
    uint64_t frames;       /* that had come from it when last looked at */
} sl_ear;

typedef struct sl_registry {
    sl_actor *self;
    sl_registry_options options;
    sl_members members;
    sl_gossip gossip;
    sl_watchers watchers;
    uint64_t awake_ns;  /* see sl_registry_advance() */
    uint64_t last_ns;   /* when it was last advanced */
    uint64_t looked_ns; /* until when frames were looked for */
    uint64_t last_gossip_ns;
    uint64_t ticks;
    uint32_t next_judged;
    sl_ear *ears; /* in any order; owned */
    uint32_t ear_count;
    uint32_t ear_capacity;
    sl_node_set heard;                         /* those that have one */
    uint32_t listeners[SL_REGISTRY_LISTENERS]; /* whom this node beats for */
    uint32_t listener_count;
    uint64_t chosen_ns;   /* when they were chosen */
    bool listeners_stale; /* who is in the network has changed */
    sl_node_set wanted;   /* whole entries that were asked for since wanted_ns */
    uint64_t wanted_ns;
    uint32_t next_missing;             /* the next that was never heard of, to be asked for */
    uint32_t told[SL_REGISTRY_FANOUT]; /* by gossip in this tick */
    uint32_t told_count;
    bool urgent_timer;
    bool view_timer;
    bool judge_timer;
    bool stood_still; /* since the last tick: what came meanwhile is looked at before judging */
    bool too_large_told;
    bool stands_by; /* as asked by registry_stand */
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

/* What others claim is looked at: a node that is buried here stays so. */
bool sl_registry_is_cut_off(const sl_registry *r, uint32_t node);

/* Says once that this node's own entry is too large for a frame. */
void sl_registry_too_large(sl_registry *r);

/* ---- wants.c ---- */

/* Those of the briefs that are understood, as claims; the others are asked for at `from`. Returns
 * how many. `claims` and `offers` have room for all. */
uint32_t sl_registry_understand(sl_registry *r, const sl_message *message, registry_member *claims,
                                registry_offer *offers);

/* Once a tick: a large network's nodes that were never heard of are asked for. */
void sl_registry_ask_for_missing(sl_registry *r);
void sl_registry_on_want(sl_registry *r, const sl_message *message);

/* ---- ears.c ---- */

/* NULL: there is none (or, from the second, no memory for one). Pointers hold until the next is
 * made or dropped. */
sl_ear *sl_registry_ear(const sl_registry *r, uint32_t node);
sl_ear *sl_registry_listen(sl_registry *r, uint32_t node);
void sl_registry_drop_ear(sl_registry *r, uint32_t node);

/* Who is in the network has changed: who shares a host is looked up again. */
void sl_registry_find_witnesses(sl_registry *r);

/* Something came from the node itself; `tells`: with its entry. */
void sl_registry_spoke(sl_registry *r, uint32_t node, bool tells);

/* Any frame of the node is a sign of its life. */
void sl_registry_look_for_frames(sl_registry *r, sl_ear *ear);

/* So long nothing has come from it itself; so long no sign of its life, by others neither. */
uint64_t sl_registry_silent_ns(const sl_registry *r, uint32_t node);
uint64_t sl_registry_unheard_ns(const sl_registry *r, uint32_t node);

/* ---- beats.c ---- */

/* At most SL_REGISTRY_LISTENERS; returns how many. */
uint32_t sl_registry_listeners_of(const sl_registry *r, uint32_t node, uint32_t *chosen);

/* Who listened must be told anew. */
void sl_registry_forget_listener(sl_registry *r, uint32_t node);

/* Chooses this node's listeners, and beats for them. */
void sl_registry_beat_all(sl_registry *r);
void sl_registry_on_beat(sl_registry *r, const sl_message *message);
void sl_registry_on_ping(sl_registry *r, const sl_message *message);
void sl_registry_on_pong(sl_registry *r, const sl_message *message);

/* ---- judge.c ---- */

/* Moves this node's clock of waking time on to now. */
void sl_registry_advance(sl_registry *r);

/* Once a tick. */
void sl_registry_forget_gaps(sl_registry *r);

/* Judges those that beat for this node or are doubted, and sees to it that it is done again when
 * that is due; of the others, once a tick, some in turn. */
void sl_registry_judge(sl_registry *r);
void sl_registry_judge_some(sl_registry *r);

/* Of a member, before something was said of it. */
typedef struct sl_registry_life {
    uint32_t incarnation;
    uint8_t state;
} sl_registry_life;

/* After a claim of `from` about another node was merged: whether it began a doubt, ended or shared
 * one. True when that wants judging. `before`: what was known
 * of the node until then. */
bool sl_registry_hear(sl_registry *r, uint32_t from, const registry_member *claim, sl_merge merge,
                      sl_registry_life before);

/* Its link is lost, and what waited for it; what was heard of it, and said, is forgotten. */
void sl_registry_bury(sl_registry *r, uint32_t node, const char *why);

/* Its link is open again: it is judged afresh. */
void sl_registry_revive(sl_registry *r, uint32_t node);

/* The transport says that the node's process has ended: where that is the kernel's word, of a node
 * of this host, everybody is told. */
void sl_registry_witness(sl_registry *r, uint32_t node);
void sl_registry_on_died(sl_registry *r, const sl_message *message);

#endif
