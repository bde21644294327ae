/* The table of the network's nodes as one of them knows it, and the rules by which it learns.
 *
 * Only a node itself raises the version of its entry. What another one claims of it is weighed:
 *   lower incarnation, or same and lower version   stale
 *   higher incarnation or version                  believed, and proof that the node lived
 *   same version, worse state                      believed: JOINING < ALIVE < SUSPECTED < LEAVING
 *   that it is dead                                makes it suspected; what this node's own ears
 *                                                  have to say to it: judge.c
 *   of a node that is dead here                    stale: within an incarnation death is final
 *   of this node, suspected or worse, or newer     refuted by a higher version
 * So one node that judges wrongly (its link, its own stall) cannot expel another one alone. */
#ifndef SL_REGISTRY_MEMBERS_H
#define SL_REGISTRY_MEMBERS_H

#include "actors/registry/location.h"
#include "actors/registry/registry_msgs.h"
#include "runtime/err.h"

#define SL_MEMBER_HOST_MAX    256                 /* bytes with the NUL */
#define SL_MEMBER_VERSION_MAX (UINT64_C(1) << 62) /* a claim above is refused */
#define SL_MEMBER_JUMP_MAX    (UINT64_C(1) << 32) /* and one this far ahead of what is known */

typedef struct sl_member {
    uint32_t incarnation;
    uint8_t state;     /* sl_member_state */
    uint8_t known;     /* its entry, or its death, has been heard of */
    uint8_t condemned; /* somebody else holds it for dead, at this version */
    uint8_t hot;       /* messages that shall carry it before others do */
    uint8_t owes;      /* it beats for this node, every period */
    uint8_t mute;      /* it owes, and is silent for the suspect time */
    uint8_t silent;    /* this node's own ears say so: as registry_member.silent */
    uint8_t held;      /* nothing is sent to it but questions */
    uint64_t version;
    /* By this node's clock of waking time: */
    uint64_t heard_ns;     /* when its version last rose */
    uint64_t spoke_ns;     /* when something last came from it itself */
    uint64_t suspected_ns; /* since when it is suspected here; while it is */
    uint64_t seconded_ns;  /* when another node last said that it too waits in vain; 0: none */
    uint64_t gap_ns;       /* the longest silence between two of its beats, slowly forgotten */
    uint64_t rtt_ns;       /* the way there and back, where it was measured */
    uint64_t frames;       /* that had come from it when last looked at */
    uint64_t told_tick;    /* of the registry, when it was last sent gossip */
    uint64_t changed;  /* members->changes when a watcher's view of it last changed; 0: never */
    uint32_t filled;   /* scratch of sl_gossip_fill() */
    registry_offer offer;
    sl_location location;
    char host[SL_MEMBER_HOST_MAX];
} sl_member;

typedef struct sl_members {
    sl_member *all; /* by node number; owned */
    uint32_t count;
    uint32_t self;
    uint32_t known;
    uint8_t hot_initial; /* log2(count) + 2 */
    uint64_t changes;
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

/* Weighs one claim from another node (hostile). `now_ns`: waking time. */
sl_merge sl_members_merge(sl_members *members, const registry_member *claim, uint64_t now_ns);

/* Is it an entry that some node could send: number, state, version, one offer with free <= offered,
 * texts without control characters, coordinates on the globe? */
bool sl_member_plausible(const sl_members *members, const registry_member *claim);
bool sl_offer_plausible(const registry_offer *offer);

/* Sets a member's state; SL_MEMBER_DEAD only forward. False when it was that already. */
bool sl_members_set_state(sl_members *members, uint32_t node, sl_member_state state);

/* Notes for gossip and watchers that the entry changed. */
void sl_members_touch(sl_members *members, uint32_t node, bool hot);

/* The entry as it is sent. It points into the table. */
registry_member sl_member_wire(const sl_members *members, uint32_t node);

/* Nodes in a state that can be worked with: neither leaving nor dead. */
bool sl_member_present(const sl_member *member);

/* The bits of `count`: 0 for 0, 1 for 1, 3 for 4. */
uint32_t sl_members_bits(uint32_t count);

#endif
