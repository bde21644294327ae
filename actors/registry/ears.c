/* What this node hears itself: a record for each node that beats for it, and for each that is
 * doubted. Of a large network these are few, so that a list will do. */
#include <stdlib.h>

#include "actors/registry/registry_internal.h"

sl_ear *sl_registry_ear(const sl_registry *r, uint32_t node) {
    if (!sl_node_set_has(&r->heard, node))
        return NULL;
    for (uint32_t i = 0; i < r->ear_count; i++) {
        if (r->ears[i].node == node)
            return &r->ears[i];
    }
    return NULL;
}

static bool grow(sl_registry *r) {
    uint32_t capacity = r->ear_capacity ? 2 * r->ear_capacity : 8;
    sl_ear *ears = realloc(r->ears, capacity * sizeof *ears);
    if (!ears)
        return false;
    r->ears = ears;
    r->ear_capacity = capacity;
    return true;
}

/* Does another node that lives share its host? */
static bool is_witnessed(const sl_registry *r, uint32_t node) {
    uint32_t host = r->members.all[node].profile->host_digest;
    for (uint32_t other = 0; host && other < r->members.count; other++) {
        const sl_member *member = &r->members.all[other];
        if (other != node && member->known && member->state != SL_MEMBER_DEAD &&
            member->profile->host_digest == host &&
            sl_link_kind_of(member, &r->members.all[node]) == SL_LINK_SAME_HOST)
            return true;
    }
    return false;
}

static void witness(sl_registry *r, uint32_t other) {
    uint32_t host = r->members.all[other].profile->host_digest;
    for (uint32_t i = 0; i < r->ear_count; i++) {
        sl_ear *ear = &r->ears[i];
        if (host == ear->host && other != ear->node &&
            sl_link_kind_of(&r->members.all[other], &r->members.all[ear->node]) ==
                SL_LINK_SAME_HOST)
            ear->witnessed = 1;
    }
}

void sl_registry_find_witnesses(sl_registry *r) {
    for (uint32_t i = 0; i < r->ear_count; i++) {
        r->ears[i].witnessed = 0;
        r->ears[i].host = r->members.all[r->ears[i].node].profile->host_digest;
    }
    for (uint32_t other = 0; other < r->members.count; other++) {
        const sl_member *member = &r->members.all[other];
        if (member->known && member->state != SL_MEMBER_DEAD)
            witness(r, other);
    }
}

sl_ear *sl_registry_listen(sl_registry *r, uint32_t node) {
    sl_ear *ear = sl_registry_ear(r, node);
    if (ear)
        return ear;
    if (r->ear_count == r->ear_capacity && !grow(r))
        return NULL;
    uint64_t unused;
    ear = &r->ears[r->ear_count++];
    *ear = (sl_ear){.node = node,
                    .witnessed = is_witnessed(r, node),
                    .spoke_ns = r->awake_ns - sl_registry_silent_ns(r, node),
                    .frames = sl_node_peer_frames(sl_actor_node(r->self), node, &unused)};
    sl_node_set_add(&r->heard, node);
    return ear;
}

void sl_registry_drop_ear(sl_registry *r, uint32_t node) {
    sl_ear *ear = sl_registry_ear(r, node);
    if (!ear)
        return;
    *ear = r->ears[--r->ear_count];
    sl_node_set_remove(&r->heard, node);
}

static void listen_up(sl_ear *ear, uint64_t spoke_ns) {
    if (ear->owes && spoke_ns > ear->spoke_ns + ear->gap_ns)
        ear->gap_ns = spoke_ns - ear->spoke_ns;
    if (spoke_ns > ear->spoke_ns)
        ear->spoke_ns = spoke_ns;
    ear->mute = 0;
}

void sl_registry_spoke(sl_registry *r, uint32_t node, bool tells) {
    sl_ear *ear = sl_registry_ear(r, node);
    if (tells)
        sl_members_spoke(&r->members, node, r->awake_ns);
    else
        r->members.all[node].spoke_ms = sl_member_ms(r->awake_ns);
    if (ear)
        listen_up(ear, r->awake_ns);
}

/* Frames are looked at now and then, and have come before: not longer ago than the last look. */
void sl_registry_look_for_frames(sl_registry *r, sl_ear *ear) {
    uint64_t ago_ns, since_ns = r->awake_ns - r->looked_ns;
    uint64_t frames = sl_node_peer_frames(sl_actor_node(r->self), ear->node, &ago_ns);
    if (frames == ear->frames)
        return;
    ear->frames = frames;
    listen_up(ear, r->awake_ns - (ago_ns < since_ns ? ago_ns : since_ns));
    r->members.all[ear->node].spoke_ms = sl_member_ms(ear->spoke_ns);
}

uint64_t sl_registry_silent_ns(const sl_registry *r, uint32_t node) {
    const sl_ear *ear = sl_registry_ear(r, node);
    return ear ? r->awake_ns - ear->spoke_ns
               : sl_silent_ns(r->members.all[node].spoke_ms, r->awake_ns);
}

uint64_t sl_registry_unheard_ns(const sl_registry *r, uint32_t node) {
    uint64_t silent_ns = sl_registry_silent_ns(r, node);
    uint64_t heard_ns = sl_silent_ns(r->members.all[node].heard_ms, r->awake_ns);
    return silent_ns < heard_ns ? silent_ns : heard_ns;
}
