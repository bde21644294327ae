/* What a node tells whom: the choice of peers and of entries. Knows no actor, so that it can be
 * tested by itself.
 *
 * Peers: a shuffled list of all others is walked to its end, then shuffled again. So every other
 * node is told directly once in (N - 1) / fanout periods, and chance still mixes the network.
 * Entries: the sender's own, then those that changed lately (each in log2(N) + 2 messages; states
 * before loads), then the others in turn, as many as the message holds. They are brief: what a node
 * is, its names and all it offers, is most of an entry and hardly ever changes. Who does not know
 * that asks for it, and is sent whole entries. */
#ifndef SL_REGISTRY_GOSSIP_H
#define SL_REGISTRY_GOSSIP_H

#include "actors/registry/members.h"
#include "runtime/rng.h"

enum { SL_GOSSIP_ENTRIES_MAX = 64 }; /* the bound of registry_gossip.members */

typedef struct sl_gossip {
    uint32_t *order; /* the other nodes, shuffled; owned */
    uint32_t order_count;
    uint32_t next;         /* in order */
    uint32_t turn;         /* node with which the others begin */
    uint32_t turn_of_news; /* the same for news */
    uint32_t turn_of_urgent;
    size_t budget_bytes; /* of one message, encoded */
} sl_gossip;

/* The entries of a message. */
typedef struct sl_gossip_page {
    registry_brief briefs[SL_GOSSIP_ENTRIES_MAX];
} sl_gossip_page;

typedef struct sl_gossip_whole {
    registry_member entries[SL_GOSSIP_ENTRIES_MAX];
    registry_offer offers[SL_GOSSIP_ENTRIES_MAX]; /* theirs */
} sl_gossip_whole;

/* NO_MEMORY. */
sl_err sl_gossip_init(sl_gossip *gossip, const sl_members *members, size_t budget_bytes,
                      sl_rng *rng) SL_CHECKED;
void sl_gossip_fini(sl_gossip *gossip);

/* The next node to be told, SL_NO_NODE when there is none. To one that is held nothing is sent. */
uint32_t sl_gossip_peer(sl_gossip *gossip, const sl_members *members, sl_rng *rng);

/* Entries for `to`, at least this node's own; returns how many. */
uint32_t sl_gossip_fill(sl_gossip *gossip, sl_members *members, uint32_t to, sl_gossip_page *page);

/* Whole entries of the first of `count` wanted nodes, as many as a message holds; *taken: of how
 * many of them, those that are not known included. Returns how many. They point into the table:
 * send them before it changes. */
uint32_t sl_gossip_fill_wanted(const sl_gossip *gossip, const sl_members *members,
                               const registry_number *wanted, uint32_t count, uint32_t *taken,
                               sl_gossip_whole *page);

/* The message was too large for a frame: the next ones are smaller. False when one entry alone was
 * too large. */
bool sl_gossip_shrink(sl_gossip *gossip, uint32_t entries);

/* How many brief entries a message holds, at least 1. */
uint32_t sl_gossip_capacity(const sl_gossip *gossip);

#endif
