#include "actors/registry/gossip.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD_BYTES = 16 }; /* of a registry_gossip: the counts, the flag, and some to spare */

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
    *gossip = (sl_gossip){.order = order,
                          .turn = members->self,
                          .turn_of_news = members->self,
                          .turn_of_urgent = members->self,
                          .budget_bytes = budget_bytes};
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
        if (sl_member_present(member) && !sl_node_set_has(&members->held, node))
            return node;
    }
    return SL_NO_NODE;
}

/* ---- entries ---- */

typedef struct filling {
    sl_gossip *gossip;
    sl_members *members;
    sl_gossip_page *page;
    uint32_t to;
    uint32_t count;
    uint32_t news; /* of them: this node's own entry, and what is told for being new */
    uint32_t most;
} filling;

/* False when the message is full then. */
static bool add(filling *f, uint32_t node) {
    f->page->briefs[f->count++] = sl_member_brief(f->members, node);
    sl_members_cool(f->members, node);
    return f->count < f->most;
}

/* Of itself a node need only hear that it is suspected. */
static bool may_hear_of(const filling *f, uint32_t node) {
    const sl_member *member = &f->members->all[node];
    return member->version && node != f->members->self &&
           (node != f->to || member->state == SL_MEMBER_SUSPECTED);
}

static bool is_told(const filling *f, uint32_t node) {
    for (uint32_t i = 0; i < f->news; i++) {
        if (f->page->briefs[i].node == node)
            return true;
    }
    return false;
}

/* Adds those of a set that changed lately, beginning with the node whose turn it is. False when
 * full. */
static bool add_news(filling *f, const sl_node_set *set, uint32_t *turn) {
    uint32_t first = *turn, node = first;
    for (int lap = 0; lap < 2; lap++, node = 0) {
        while ((node = sl_node_set_next(set, node)) != UINT32_MAX && (!lap || node < first)) {
            *turn = node + 1;
            if (may_hear_of(f, node) && !is_told(f, node) && !add(f, node))
                return false;
            node++;
        }
    }
    *turn = 0;
    f->news = f->count;
    return true;
}

/* The newest first. */
static bool add_recent(filling *f) {
    const sl_members *members = f->members;
    for (uint32_t i = 1; i <= SL_MEMBERS_RECENT && i <= members->recent_next; i++) {
        uint32_t node = members->recent[(members->recent_next - i) % SL_MEMBERS_RECENT];
        f->news = f->count;
        if (members->all[node].hot && may_hear_of(f, node) && !is_told(f, node) && !add(f, node))
            return false;
    }
    f->news = f->count;
    return true;
}

/* Adds the others in turn. The death of a node is news only once. */
static void add_others(filling *f) {
    uint32_t *turn = &f->gossip->turn, first = *turn;
    for (uint32_t i = 0; i < f->members->count; i++) {
        uint32_t node = (first + i) % f->members->count;
        if (!may_hear_of(f, node) || f->members->all[node].state == SL_MEMBER_DEAD ||
            is_told(f, node))
            continue;
        *turn = (node + 1) % f->members->count;
        if (!add(f, node))
            return;
    }
}

uint32_t sl_gossip_fill(sl_gossip *gossip, sl_members *members, uint32_t to, sl_gossip_page *page) {
    filling f = {.gossip = gossip,
                 .members = members,
                 .page = page,
                 .to = to,
                 .most = sl_gossip_capacity(gossip)};
    if (add(&f, members->self) && add_news(&f, &members->urgent, &gossip->turn_of_urgent) &&
        add_recent(&f) && add_news(&f, &members->hot, &gossip->turn_of_news))
        add_others(&f);
    return f.count;
}

uint32_t sl_gossip_fill_wanted(const sl_gossip *gossip, const sl_members *members,
                               const registry_number *wanted, uint32_t count, uint32_t *taken,
                               sl_gossip_whole *page) {
    size_t bytes = HEAD_BYTES;
    uint32_t entries = 0, i = 0;
    for (; i < count && entries < SL_GOSSIP_ENTRIES_MAX; i++) {
        uint32_t node = wanted[i].node;
        if (node >= members->count || !members->all[node].version)
            continue;
        registry_member *entry = &page->entries[entries];
        *entry = sl_member_wire(members, node, &page->offers[entries]);
        size_t more = sl_record_wire_bytes(&registry_member_record, entry);
        if (entries && bytes + more > gossip->budget_bytes)
            break;
        bytes += more;
        entries++;
    }
    *taken = i;
    return entries;
}

bool sl_gossip_shrink(sl_gossip *gossip, uint32_t entries) {
    gossip->budget_bytes -= gossip->budget_bytes / 4;
    return entries > 1;
}

uint32_t sl_gossip_capacity(const sl_gossip *gossip) {
    size_t room = gossip->budget_bytes > HEAD_BYTES ? gossip->budget_bytes - HEAD_BYTES : 0;
    size_t fit = room / registry_brief_record.wire_least;
    return fit < 1 ? 1 : fit > SL_GOSSIP_ENTRIES_MAX ? SL_GOSSIP_ENTRIES_MAX : (uint32_t)fit;
}
