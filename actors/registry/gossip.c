#include "actors/registry/gossip.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD_BYTES = 8 }; /* of a registry_gossip: the count, the flag, and some to spare */

static void shuffle(sl_gossip *gossip, sl_rng *rng) {
    for (uint32_t i = gossip->order_count; i > 1; i--) {
        uint32_t j = (uint32_t)sl_rng_below(rng, i), other = gossip->order[j];
        gossip->order[j] = gossip->order[i - 1];
        gossip->order[i - 1] = other;
    }
    gossip->next = 0;
}

sl_err sl_gossip_init(sl_gossip *gossip, const sl_members *members, size_t budget_bytes,
                      sl_rng *rng) {
    uint32_t *order = calloc(members->count, sizeof *order);
    if (!order)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to talk to %u nodes", members->count);
    *gossip = (sl_gossip){
        .order = order, .turn = {members->self, members->self}, .budget_bytes = budget_bytes};
    for (uint32_t node = 0; node < members->count; node++) {
        if (node != members->self)
            order[gossip->order_count++] = node;
    }
    shuffle(gossip, rng);
    return SL_OK;
}

void sl_gossip_fini(sl_gossip *gossip) {
    free(gossip->order);
    memset(gossip, 0, sizeof *gossip);
}

uint32_t sl_gossip_peer(sl_gossip *gossip, const sl_members *members, sl_rng *rng) {
    for (uint32_t tries = 0; tries < gossip->order_count; tries++) {
        if (gossip->next == gossip->order_count)
            shuffle(gossip, rng);
        uint32_t node = gossip->order[gossip->next++];
        const sl_member *member = &members->all[node];
        if (sl_member_present(member) && !member->held)
            return node;
    }
    return SL_NO_NODE;
}

/* ---- entries ---- */

typedef struct page {
    registry_member *entries;
    uint32_t count;
    size_t bytes;
} page;

static bool page_add(page *p, const sl_gossip *gossip, sl_members *members, uint32_t node) {
    registry_member entry = sl_member_wire(members, node);
    size_t bytes = sl_record_wire_bytes(&registry_member_record, &entry);
    if (p->count && p->bytes + bytes > gossip->budget_bytes)
        return false;
    sl_member *member = &members->all[node];
    p->entries[p->count++] = entry;
    p->bytes += bytes;
    member->filled = gossip->fill;
    member->hot -= member->hot > 0;
    return p->count < SL_GOSSIP_ENTRIES_MAX;
}

/* The death of a node is news only once; of itself a node need only hear that it is suspected. */
static bool worth_telling(const sl_gossip *gossip, const sl_member *member, bool itself, bool hot) {
    if (!member->version || member->filled == gossip->fill)
        return false;
    if (itself && member->state != SL_MEMBER_SUSPECTED)
        return false;
    return hot ? member->hot > 0 : member->state != SL_MEMBER_DEAD;
}

/* Adds what is worth telling, beginning with the node whose turn it is. False when full. */
static bool page_round(page *p, sl_gossip *gossip, sl_members *members, uint32_t to, bool hot) {
    uint32_t *turn = &gossip->turn[hot], first = *turn;
    for (uint32_t i = 0; i < members->count; i++) {
        uint32_t node = (first + i) % members->count;
        if (!worth_telling(gossip, &members->all[node], node == to, hot))
            continue;
        *turn = node;
        if (!page_add(p, gossip, members, node))
            return false;
        *turn = (node + 1) % members->count;
    }
    return true;
}

uint32_t sl_gossip_fill(sl_gossip *gossip, sl_members *members, uint32_t to,
                        registry_member *entries) {
    page p = {.entries = entries, .bytes = HEAD_BYTES};
    gossip->fill++;
    if (page_add(&p, gossip, members, members->self) && page_round(&p, gossip, members, to, true))
        (void)page_round(&p, gossip, members, to, false);
    return p.count;
}

bool sl_gossip_shrink(sl_gossip *gossip, uint32_t entries) {
    gossip->budget_bytes -= gossip->budget_bytes / 4;
    return entries > 1;
}

uint32_t sl_gossip_capacity(const sl_gossip *gossip, const sl_members *members) {
    registry_member own = sl_member_wire(members, members->self);
    size_t bytes = sl_record_wire_bytes(&registry_member_record, &own);
    size_t fit =
        gossip->budget_bytes > HEAD_BYTES ? (gossip->budget_bytes - HEAD_BYTES) / bytes : 0;
    return fit < 1 ? 1 : fit > SL_GOSSIP_ENTRIES_MAX ? SL_GOSSIP_ENTRIES_MAX : (uint32_t)fit;
}
