/* Beats: what says that a node lives.
 *
 * Design notes
 * Each node beats for a few others, its listeners: every period each of them hears from it, by a
 * message of about 130 bytes or by gossip, whichever was due. A listener knows that it is one by
 * the first beat, and that it is no more by the last: so two nodes need not agree in their views to
 * agree on this. Listeners are nodes of other hosts, where there are enough, because the kernel
 * tells of the deaths of this one; among these, chance chooses, but the same every time: a hash of
 * the two nodes' numbers spreads the work evenly and changes one listener when one dies.
 * Between regions a listener measures now and then how long the way there and back is. */
#include "actors/registry/registry_internal.h"

enum {
    PING_EVERY = 64,  /* ticks, between regions */
    PERIODS_YOUNG = 5 /* between two choices of listeners while nodes are missing */
};

#define RTT_MOST_NS (2 * SL_NS_PER_S) /* more is no way there and back */

/* A mix of both numbers that differs for each pair (the finalizer of SplitMix64). */
static uint64_t weight_of(uint32_t a, uint32_t b) {
    uint64_t x = ((uint64_t)a << 32 | b) + UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* The less, the sooner it is chosen: nodes of this host after all others. */
static uint64_t rank_of(const sl_registry *r, uint32_t node, uint32_t listener) {
    bool same =
        sl_link_kind_of(&r->members.all[node], &r->members.all[listener]) == SL_LINK_SAME_HOST;
    return (uint64_t)same << 63 | weight_of(node, listener) >> 1;
}

static bool may_listen(const sl_registry *r, uint32_t other, uint32_t node) {
    const sl_member *member = &r->members.all[other];
    return other != node && member->known && sl_member_present(member);
}

/* The order is that of every node: so another one's listeners are known, as far as views agree. */
uint32_t sl_registry_listeners_of(const sl_registry *r, uint32_t node, uint32_t *chosen) {
    uint64_t ranks[SL_REGISTRY_LISTENERS];
    uint32_t count = 0;
    for (uint32_t other = 0; other < r->members.count; other++) {
        bool full = count == SL_REGISTRY_LISTENERS;
        if (!may_listen(r, other, node) ||
            (full && weight_of(node, other) >> 1 >= ranks[count - 1]))
            continue;
        uint64_t rank = rank_of(r, node, other);
        uint32_t at = count;
        while (at > 0 && ranks[at - 1] > rank)
            at--;
        if (at == SL_REGISTRY_LISTENERS)
            continue;
        count += !full;
        for (uint32_t i = count - 1; i > at; i--) {
            ranks[i] = ranks[i - 1];
            chosen[i] = chosen[i - 1];
        }
        ranks[at] = rank;
        chosen[at] = other;
    }
    return count;
}

/* ---- out ---- */

static void beat(sl_registry *r, uint32_t to, bool last) {
    const sl_member *me = sl_registry_own(r);
    registry_offer offer = sl_member_offer(me);
    registry_beat body = {.incarnation = me->incarnation,
                          .version = me->version,
                          .state = me->state,
                          .last = last,
                          .offer = {&offer, 1}};
    (void)registry_beat_send(r->self, sl_addr_well_known(to, SL_SLOT_REGISTRY), &body);
}

static bool is_among(uint32_t node, const uint32_t *nodes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (nodes[i] == node)
            return true;
    }
    return false;
}

/* Those that are no listeners any more are told so, and those that have just become one: gossip
 * alone does not tell that. */
static void choose_again(sl_registry *r) {
    uint32_t chosen[SL_REGISTRY_LISTENERS];
    uint32_t count = sl_registry_listeners_of(r, r->members.self, chosen);
    for (uint32_t i = 0; i < r->listener_count; i++) {
        uint32_t old = r->listeners[i];
        if (!is_among(old, chosen, count) && sl_member_present(&r->members.all[old]))
            beat(r, old, true);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!is_among(chosen[i], r->listeners, r->listener_count))
            beat(r, chosen[i], false);
    }
    for (uint32_t i = 0; i < count; i++)
        r->listeners[i] = chosen[i];
    r->listener_count = count;
    r->listeners_stale = false;
}

void sl_registry_forget_listener(sl_registry *r, uint32_t node) {
    for (uint32_t i = 0; i < r->listener_count; i++) {
        if (r->listeners[i] == node)
            r->listeners[i--] = r->listeners[--r->listener_count];
    }
}

/* A large network that is young changes with every message. */
static bool may_choose(const sl_registry *r) {
    bool young = r->members.known < r->members.count;
    uint64_t pause_ns = r->options.gossip_period_ns * (young ? PERIODS_YOUNG : 1);
    return r->members.count <= SL_REGISTRY_DIRECT_NODES || !r->chosen_ns ||
           r->awake_ns - r->chosen_ns >= pause_ns;
}

void sl_registry_beat_all(sl_registry *r) {
    if (r->listeners_stale && may_choose(r)) {
        r->chosen_ns = r->awake_ns;
        choose_again(r);
        sl_registry_find_witnesses(r);
    }
    for (uint32_t i = 0; i < r->listener_count; i++) {
        uint32_t to = r->listeners[i];
        if (!sl_node_set_has(&r->members.held, to) && !is_among(to, r->told, r->told_count))
            beat(r, to, false);
    }
}

/* ---- in ---- */

static void measure_way(sl_registry *r, uint32_t to) {
    if (sl_link_kind_of(sl_registry_own(r), &r->members.all[to]) != SL_LINK_REGIONS)
        return;
    registry_ping ping = {.stamp = r->awake_ns};
    (void)registry_ping_send(r->self, sl_addr_well_known(to, SL_SLOT_REGISTRY), &ping);
}

/* It beats for this node from now on, or no more. */
static void hear_beat(sl_registry *r, uint32_t from, bool last) {
    sl_ear *ear = sl_registry_ear(r, from);
    sl_registry_spoke(r, from, true);
    if (last) {
        if (ear)
            ear->owes = ear->mute = 0;
        return;
    }
    bool first = !ear || !ear->owes;
    ear = sl_registry_listen(r, from);
    if (!ear)
        return;
    ear->owes = 1;
    if (first || r->ticks % PING_EVERY == from % PING_EVERY)
        measure_way(r, from);
}

void sl_registry_on_beat(sl_registry *r, const sl_message *message) {
    const registry_beat *body = message->body;
    uint32_t from = message->from.node;
    if (from >= r->members.count || from == r->members.self) {
        sl_registry_refuse(r, message, "a beat from nowhere");
        return;
    }
    const sl_member *member = &r->members.all[from];
    if (member->state == SL_MEMBER_DEAD)
        return;
    hear_beat(r, from, body->last);
    if (!member->known || member->incarnation != body->incarnation || body->offer.count != 1)
        return; /* gossip brings its entry */
    registry_offer unused;
    registry_member claim = sl_member_wire(&r->members, from, &unused);
    claim.version = body->version;
    claim.state = body->state;
    claim.silent = false;
    claim.offer.items = body->offer.items;
    sl_registry_take(r, message, &claim, 1);
}

/* ---- the way there and back ---- */

void sl_registry_on_ping(sl_registry *r, const sl_message *message) {
    registry_pong pong = {.stamp = ((const registry_ping *)message->body)->stamp};
    if (message->from.node < r->members.count)
        (void)registry_pong_send(r->self, sl_addr_well_known(message->from.node, SL_SLOT_REGISTRY),
                                 &pong);
}

/* The stamp is what this node sent, of its waking time, or a lie: then it is no time that can be.
 */
void sl_registry_on_pong(sl_registry *r, const sl_message *message) {
    uint64_t stamp_ns = ((const registry_pong *)message->body)->stamp, now_ns = r->awake_ns;
    if (message->from.node >= r->members.count || stamp_ns > now_ns ||
        now_ns - stamp_ns > RTT_MOST_NS)
        return;
    sl_ear *ear = sl_registry_ear(r, message->from.node);
    if (ear)
        ear->rtt_ns = now_ns - stamp_ns;
}
