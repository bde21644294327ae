/* The table of the network's nodes as one of them knows it, and the rules by which it learns.
 *
 * Only a node itself raises the version of its entry. What another one claims of it is weighed:
 *   lower incarnation, or same and lower version   stale
 *   higher incarnation or version                  believed, and proof that the node lived
 *   same version, worse state                      believed: JOINING < ALIVE < SUSPECTED < LEAVING
 *   that it is dead                                makes it suspected; what this node's own ears
 *                                                  have to say to it: judge.c
 *   of a node that is dead here                    stale: within an incarnation death is final,
 *                                                  until its link is open again
 *   of this node, suspected or worse, or newer     refuted by a higher version
 * So one node that judges wrongly (its link, its own stall) cannot expel another one alone. */
#ifndef SL_REGISTRY_MEMBERS_H
#define SL_REGISTRY_MEMBERS_H

#include "actors/registry/node_set.h"
#include "actors/registry/profile.h"
#include "runtime/err.h"

#define SL_MEMBER_HOST_MAX    256                 /* bytes with the NUL */
#define SL_MEMBER_VERSION_MAX (UINT64_C(1) << 62) /* a claim above is refused */
#define SL_MEMBERS_RECENT     128                 /* a power of two */
#define SL_MEMBERS_FRESH      64
#define SL_MEMBER_JUMP_MAX    (UINT64_C(1) << 32) /* and one this far ahead of what is known */

/* Ten thousand of them are a megabyte, and gossip goes through them in any order: each is one line
 * of the cache. Silence is counted in milliseconds that wrap after 49 days: see sl_silent_ns(). */
typedef struct sl_member {
    const sl_profile *profile; /* never NULL */
    uint64_t version;
    uint64_t memory_free_bytes; /* this and what follows: of registry_offer */
    uint64_t ucu_free_milli;
    uint32_t cores_free;
    uint32_t gpus_free;
    uint32_t running;
    uint32_t backlog;
    uint32_t incarnation;
    uint32_t heard_ms; /* when its version last rose, on this node's clock of waking time */
    uint32_t spoke_ms; /* when something last came from it itself, by the same clock */
    uint8_t state;     /* sl_member_state */
    uint8_t known;     /* its entry, or its death, has been heard of */
    uint8_t condemned; /* somebody else holds it for dead, at this version */
    uint8_t hot;       /* messages that shall carry it before others do */
} sl_member;

_Static_assert(sizeof(sl_member) == 64, "an entry is a line of the cache");

typedef struct sl_members {
    sl_member *all; /* by node number; owned */
    uint32_t count;
    uint32_t self;
    uint32_t known;
    uint8_t hot_initial;                /* log2(count) + 2 */
    uint32_t recent[SL_MEMBERS_RECENT]; /* what became hot of late, with repetitions */
    uint32_t recent_next;
    uint64_t changes;   /* that a watcher sees, so far */
    sl_node_set hot;    /* those with `hot` above 0 */
    sl_node_set urgent; /* of them, those told before all others */
    sl_node_set held;   /* those that nothing is sent to but questions */
    sl_node_set silent; /* those that this node itself waits for in vain */
    sl_node_set news;   /* those that changed since the watchers took it; see watchers.h */
} sl_members;

/* What a claim came to. */
typedef enum sl_merge {
    SL_MERGE_REFUSED, /* cannot be true */
    SL_MERGE_STALE,   /* known already */
    SL_MERGE_REFUTED, /* about this node, and wrong: its version was raised */
    SL_MERGE_HEARD,   /* a heartbeat: nothing that a watcher sees changed */
    SL_MERGE_LOAD,    /* amounts changed */
    SL_MERGE_STATE    /* a new member, its state, host or location */
} sl_merge;

/* A table of `count` nodes, none known but `self`, which has version 1. NO_MEMORY. */
sl_err sl_members_init(sl_members *members, uint32_t self, uint32_t count) SL_CHECKED;
void sl_members_fini(sl_members *members);

/* Weighs one claim from another node (hostile). `now_ns`: waking time. Without memory for it a
 * claim is as one that did not come. */
sl_merge sl_members_merge(sl_members *members, const registry_member *claim, uint64_t now_ns);

/* Is it an entry that some node could send: number, state, version, one offer with free <= offered,
 * texts without control characters, coordinates on the globe? */
bool sl_member_plausible(const sl_members *members, const registry_member *claim);
bool sl_offer_plausible(const registry_offer *offer);

/* Sets a member's state; SL_MEMBER_DEAD only forward. False when it was that already. */
bool sl_members_set_state(sl_members *members, uint32_t node, sl_member_state state);

/* The link to a node is open again: it is joining until it is heard. `now_ns`: waking time. */
void sl_members_revive(sl_members *members, uint32_t node, uint64_t now_ns);
/* What this node says of itself, but for the version. It is not told to anyone yet. INVALID (not
 * plausible), NO_MEMORY. */
sl_err sl_members_describe(sl_members *members, const registry_member *entry) SL_CHECKED;

/* A plausible offer of this node instead of the one it had. NO_MEMORY: it has that still. */
sl_err sl_members_offer(sl_members *members, const registry_offer *offer) SL_CHECKED;

/* How much of a hurry others are to hear of a change in. Where thousands change their load, and as
 * many join, a doubt or a death would wait behind all of these. */
typedef enum sl_heat {
    SL_HEAT_NONE,
    SL_HEAT_LOAD, /* amounts, or a node never heard of before */
    SL_HEAT_STATE /* its state, or what else it is */
} sl_heat;

/* Notes for gossip and watchers that the entry changed. */
void sl_members_touch(sl_members *members, uint32_t node, sl_heat heat);

/* It told this node something itself. In a network of more than SL_MEMBERS_FRESH the watchers will
 * hear of it, changed or not: what a node itself says is far newer than what is passed on. */
void sl_members_spoke(sl_members *members, uint32_t node, uint64_t now_ns);

/* One more message carried the entry. */
void sl_members_cool(sl_members *members, uint32_t node);

/* The entry as it is sent. It points into the table, and to `offer`, which is filled. */
registry_member sl_member_wire(const sl_members *members, uint32_t node, registry_offer *offer);
registry_offer sl_member_offer(const sl_member *member);

/* The same in brief, and back: false when this node knows another profile of it, or none (of itself
 * it knows better). The claim points into the table, and to `offer`, which is filled. */
registry_brief sl_member_brief(const sl_members *members, uint32_t node);
bool sl_member_from_brief(const sl_members *members, const registry_brief *brief,
                          registry_offer *offer, registry_member *claim);

/* Would a claim of this life and version be news? */
bool sl_members_lack(const sl_members *members, uint32_t node, uint32_t incarnation,
                     uint64_t version);

/* What has passed from `since_ms` (heard_ms, spoke_ms) to `now_ns`, both of waking time. */
uint64_t sl_silent_ns(uint32_t since_ms, uint64_t now_ns);
uint32_t sl_member_ms(uint64_t now_ns);

/* Nodes in a state that can be worked with: neither leaving nor dead. */
bool sl_member_present(const sl_member *member);

/* The bits of `count`: 0 for 0, 1 for 1, 3 for 4. */
uint32_t sl_members_bits(uint32_t count);

#endif
