#include "actors/registry/members.h"
#include "actors/registry/location.h"
#include "runtime/clock.h"
#include "runtime/plant.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t sl_members_bits(uint32_t count) {
    return count ? 32u - (uint32_t)__builtin_clz(count) : 0;
}

sl_err sl_members_init(sl_members *members, uint32_t self, uint32_t count) {
    *members = (sl_members){.all = aligned_alloc(sizeof(sl_member), count * sizeof(sl_member)),
                            .count = count,
                            .self = self,
                            .known = 1};
    if (!members->all || !sl_node_set_init(&members->hot, count) ||
        !sl_node_set_init(&members->held, count) || !sl_node_set_init(&members->silent, count) ||
        !sl_node_set_init(&members->news, count) || !sl_node_set_init(&members->urgent, count)) {
        free(members->all);
        members->all = NULL;
        sl_members_fini(members);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the entries of %u nodes", count);
    }
    members->hot_initial = (uint8_t)(sl_members_bits(count) + 2);
    for (uint32_t node = 0; node < count; node++)
        members->all[node] = (sl_member){.profile = sl_profile_none()};
    members->all[self].known = 1;
    members->all[self].version = 1;
    return SL_OK;
}

void sl_members_fini(sl_members *members) {
    for (uint32_t node = 0; members->all && node < members->count; node++)
        sl_profile_drop(members->all[node].profile);
    free(members->all);
    sl_node_set_fini(&members->hot);
    sl_node_set_fini(&members->held);
    sl_node_set_fini(&members->silent);
    sl_node_set_fini(&members->news);
    sl_node_set_fini(&members->urgent);
    memset(members, 0, sizeof *members);
}

bool sl_member_present(const sl_member *member) {
    return member->state != SL_MEMBER_LEAVING && member->state != SL_MEMBER_DEAD;
}

/* A change of load does not keep what is urgent so. */
static void heat_up(sl_members *members, uint32_t node, sl_heat heat) {
    if (heat == SL_HEAT_NONE || (heat == SL_HEAT_LOAD && sl_node_set_has(&members->urgent, node)))
        return;
    members->all[node].hot = members->hot_initial;
    sl_node_set_add(&members->hot, node);
    members->recent[members->recent_next++ % SL_MEMBERS_RECENT] = node;
    if (heat == SL_HEAT_STATE)
        sl_node_set_add(&members->urgent, node);
}

void sl_members_cool(sl_members *members, uint32_t node) {
    sl_member *member = &members->all[node];
    if (!member->hot || --member->hot)
        return;
    sl_node_set_remove(&members->hot, node);
    sl_node_set_remove(&members->urgent, node);
}

void sl_members_touch(sl_members *members, uint32_t node, sl_heat heat) {
    members->changes++;
    sl_node_set_add(&members->news, node);
    heat_up(members, node, heat);
}

void sl_members_spoke(sl_members *members, uint32_t node, uint64_t now_ns) {
    members->all[node].spoke_ms = sl_member_ms(now_ns);
    if (members->count > SL_MEMBERS_FRESH)
        sl_members_touch(members, node, SL_HEAT_NONE);
}

bool sl_members_set_state(sl_members *members, uint32_t node, sl_member_state state) {
    sl_member *member = &members->all[node];
    if (member->known && member->state == state)
        return false;
    members->known += !member->known;
    member->known = 1;
    member->state = (uint8_t)state;
    sl_members_touch(members, node, SL_HEAT_STATE);
    return true;
}

void sl_members_revive(sl_members *members, uint32_t node, uint64_t now_ns) {
    sl_member *member = &members->all[node];
    member->heard_ms = member->spoke_ms = sl_member_ms(now_ns);
    member->condemned = 0;
    if (member->known && member->state == SL_MEMBER_DEAD) {
        member->state = SL_MEMBER_JOINING;
        sl_members_touch(members, node, SL_HEAT_NONE);
    }
}

uint32_t sl_member_ms(uint64_t now_ns) {
    return (uint32_t)(now_ns / SL_NS_PER_MS);
}

uint64_t sl_silent_ns(uint32_t since_ms, uint64_t now_ns) {
    return (uint64_t)(sl_member_ms(now_ns) - since_ms) * SL_NS_PER_MS;
}

registry_offer sl_member_offer(const sl_member *member) {
    const sl_profile *profile = member->profile;
    return (registry_offer){.cores = profile->cores,
                            .cores_free = member->cores_free,
                            .gpus = profile->gpus,
                            .gpus_free = member->gpus_free,
                            .memory_bytes = profile->memory_bytes,
                            .memory_free_bytes = member->memory_free_bytes,
                            .ucu_milli = profile->ucu_milli,
                            .ucu_free_milli = member->ucu_free_milli,
                            .running = member->running,
                            .backlog = member->backlog};
}

registry_member sl_member_wire(const sl_members *members, uint32_t node, registry_offer *offer) {
    const sl_member *member = &members->all[node];
    const sl_profile *profile = member->profile;
    *offer = sl_member_offer(member);
    return (registry_member){
        .node = node,
        .incarnation = member->incarnation,
        .version = member->version,
        .state = member->state,
        .silent = sl_node_set_has(&members->silent, node),
        .host = profile->host,
        .region = profile->region,
        .zone = profile->zone,
        .has_coordinates = profile->has_coordinates,
        .latitude = profile->latitude,
        .longitude = profile->longitude,
        .offer = {offer, 1},
    };
}

registry_brief sl_member_brief(const sl_members *members, uint32_t node) {
    const sl_member *member = &members->all[node];
    return (registry_brief){.version = member->version,
                            .memory_free_bytes = member->memory_free_bytes,
                            .ucu_free_milli = member->ucu_free_milli,
                            .cores_free = member->cores_free,
                            .gpus_free = member->gpus_free,
                            .running = member->running,
                            .backlog = member->backlog,
                            .node = node,
                            .incarnation = member->incarnation,
                            .profile = member->profile->digest,
                            .state = member->state,
                            .silent = sl_node_set_has(&members->silent, node)};
}

bool sl_member_from_brief(const sl_members *members, const registry_brief *brief,
                          registry_offer *offer, registry_member *claim) {
    uint32_t node = brief->node;
    if (node >= members->count ||
        (node != members->self &&
         (!brief->profile || members->all[node].profile->digest != brief->profile)))
        return false;
    *claim = sl_member_wire(members, node, offer);
    claim->incarnation = brief->incarnation;
    claim->version = brief->version;
    claim->state = brief->state;
    claim->silent = brief->silent;
    if (node == members->self)
        return true;
    offer->cores_free = brief->cores_free;
    offer->gpus_free = brief->gpus_free;
    offer->memory_free_bytes = brief->memory_free_bytes;
    offer->ucu_free_milli = brief->ucu_free_milli;
    offer->running = brief->running;
    offer->backlog = brief->backlog;
    return true;
}

bool sl_members_lack(const sl_members *members, uint32_t node, uint32_t incarnation,
                     uint64_t version) {
    const sl_member *member = &members->all[node];
    if (!member->known || incarnation > member->incarnation)
        return true;
    return incarnation == member->incarnation && version > member->version;
}

/* ---- what could be true ---- */

bool sl_offer_plausible(const registry_offer *offer) {
    return offer->cores_free <= offer->cores && offer->gpus_free <= offer->gpus &&
           offer->memory_free_bytes <= offer->memory_bytes &&
           offer->ucu_free_milli <= offer->ucu_milli;
}

/* Names reach terminals and files: no control characters, no NUL inside. */
static bool plain(sl_text text) {
    for (uint32_t i = 0; i < text.bytes; i++) {
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
            return false;
    }
    return true;
}

static bool on_the_globe(const registry_member *claim) {
    return !claim->has_coordinates ||
           (fabs(claim->latitude) <= 90.0 && fabs(claim->longitude) <= 180.0);
}

bool sl_member_plausible(const sl_members *members, const registry_member *claim) {
    return claim->node < members->count && claim->state < SL_MEMBER_STATES && claim->version >= 1 &&
           claim->version <= SL_MEMBER_VERSION_MAX && claim->offer.count == 1 &&
           sl_offer_plausible(claim->offer.items) && claim->host.bytes < SL_MEMBER_HOST_MAX &&
           claim->region.bytes < SL_LOCATION_NAME_MAX && claim->zone.bytes < SL_LOCATION_NAME_MAX &&
           plain(claim->host) && plain(claim->region) && plain(claim->zone) && on_the_globe(claim);
}

/* ---- taking over ---- */

/* 1: changed, 0: it was so, -1: no memory. */
static int profile_take(sl_member *member, const registry_member *entry) {
    if (sl_profile_says(member->profile, entry))
        return 0;
    const sl_profile *profile = sl_profile_take(entry);
    if (!profile)
        return -1;
    sl_profile_drop(member->profile);
    member->profile = profile;
    return 1;
}

/* The amounts that are free, and what runs. */
static bool load_take(sl_member *member, const registry_offer *offer) {
    bool changed = member->cores_free != offer->cores_free ||
                   member->gpus_free != offer->gpus_free ||
                   member->memory_free_bytes != offer->memory_free_bytes ||
                   member->ucu_free_milli != offer->ucu_free_milli ||
                   member->running != offer->running || member->backlog != offer->backlog;
    member->cores_free = offer->cores_free;
    member->gpus_free = offer->gpus_free;
    member->memory_free_bytes = offer->memory_free_bytes;
    member->ucu_free_milli = offer->ucu_free_milli;
    member->running = offer->running;
    member->backlog = offer->backlog;
    return changed;
}

/* Death by hearsay is a suspicion until this node's own ears agree. */
static void state_take(sl_member *member, uint8_t claimed) {
    member->condemned = claimed == SL_MEMBER_DEAD;
    member->state = claimed == SL_MEMBER_DEAD ? (uint8_t)SL_MEMBER_SUSPECTED : claimed;
}

static sl_merge take_newer(sl_members *members, sl_member *member, const registry_member *claim,
                           uint64_t now_ns) {
    uint8_t state = member->state;
    int profile = profile_take(member, claim);
    if (profile < 0)
        return SL_MERGE_STALE;
    bool joins = !member->known, changed = joins || profile;
    members->known += !member->known;
    member->known = 1;
    member->incarnation = claim->incarnation;
    member->version = claim->version;
    member->heard_ms = sl_member_ms(now_ns);
    state_take(member, claim->state);
    changed |= member->state != state;
    bool load = load_take(member, claim->offer.items);
    if (!changed && !load)
        return SL_MERGE_HEARD;
    sl_members_touch(members, claim->node, changed && !joins ? SL_HEAT_STATE : SL_HEAT_LOAD);
    return changed ? SL_MERGE_STATE : SL_MERGE_LOAD;
}

/* The same version seen by two nodes: the worse judgement counts. */
static sl_merge take_judgement(sl_members *members, sl_member *member,
                               const registry_member *claim) {
    if (claim->state == SL_MEMBER_DEAD && member->state == SL_MEMBER_LEAVING)
        member->condemned = 1;
    if (claim->state <= member->state || member->state == SL_MEMBER_LEAVING)
        return SL_MERGE_STALE;
    uint8_t state = member->state;
    bool condemned = member->condemned;
    state_take(member, claim->state);
    member->condemned |= condemned;
    if (member->state == state)
        return SL_MERGE_STALE;
    sl_members_touch(members, claim->node, SL_HEAT_STATE);
    return SL_MERGE_STATE;
}

/* Years of heartbeats at once: a node that were believed so would then be unable to catch up. */
static bool runs_ahead(const sl_members *members, const registry_member *claim) {
    const sl_member *member = &members->all[claim->node];
    return member->version && claim->incarnation == member->incarnation &&
           claim->version > member->version + SL_MEMBER_JUMP_MAX;
}

static sl_merge merge_about_me(sl_members *members, const registry_member *claim) {
    sl_member *me = &members->all[members->self];
    if (claim->incarnation > me->incarnation || claim->version == SL_MEMBER_VERSION_MAX)
        return SL_MERGE_REFUSED;
    if (claim->incarnation < me->incarnation || claim->version < me->version)
        return SL_MERGE_STALE;
    if (claim->version == me->version && claim->state <= me->state)
        return SL_MERGE_STALE;
    me->version = claim->version + 1;
    heat_up(members, members->self, SL_HEAT_STATE);
    return SL_MERGE_REFUTED;
}

sl_merge sl_members_merge(sl_members *members, const registry_member *claim, uint64_t now_ns) {
    if (!sl_member_plausible(members, claim) || runs_ahead(members, claim))
        return SL_MERGE_REFUSED;
    if (claim->node == members->self)
        return merge_about_me(members, claim);
    sl_member *member = &members->all[claim->node];
    if (member->state == SL_MEMBER_DEAD && claim->incarnation <= member->incarnation &&
        !SL_PLANT(death_undone))
        return SL_MERGE_STALE;
    if (!member->known || claim->incarnation > member->incarnation)
        return take_newer(members, member, claim, now_ns);
    if (claim->incarnation < member->incarnation || claim->version < member->version)
        return SL_MERGE_STALE;
    return claim->version > member->version ? take_newer(members, member, claim, now_ns)
                                            : take_judgement(members, member, claim);
}

/* ---- this node ---- */

sl_err sl_members_describe(sl_members *members, const registry_member *entry) {
    sl_member *me = &members->all[members->self];
    if (!sl_member_plausible(members, entry))
        return sl_fail(SL_ERR_INVALID,
                       "region \"%s\", zone \"%s\", latitude %g, longitude %g: the names must be "
                       "without control characters, the coordinates on the globe",
                       entry->region.data, entry->zone.data, entry->latitude, entry->longitude);
    if (profile_take(me, entry) < 0)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for what this node is");
    me->incarnation = entry->incarnation;
    me->state = entry->state;
    (void)load_take(me, entry->offer.items);
    sl_members_touch(members, members->self, SL_HEAT_STATE);
    return SL_OK;
}

sl_err sl_members_offer(sl_members *members, const registry_offer *offer) {
    sl_member *me = &members->all[members->self];
    registry_offer taken = *offer, before;
    registry_member entry = sl_member_wire(members, members->self, &before);
    entry.offer.items = &taken;
    if (profile_take(me, &entry) < 0)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for what this node offers");
    (void)load_take(me, offer);
    sl_members_touch(members, members->self, SL_HEAT_NONE);
    return SL_OK;
}
