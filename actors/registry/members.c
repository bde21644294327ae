#include "actors/registry/members.h"
#include "runtime/plant.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t sl_members_bits(uint32_t count) {
    return count ? 32u - (uint32_t)__builtin_clz(count) : 0;
}

sl_err sl_members_init(sl_members *members, uint32_t self, uint32_t count) {
    sl_member *all = calloc(count, sizeof *all);
    if (!all)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the entries of %u nodes", count);
    *members = (sl_members){.all = all, .count = count, .self = self, .known = 1};
    members->hot_initial = (uint8_t)(sl_members_bits(count) + 2);
    all[self].known = 1;
    all[self].version = 1;
    return SL_OK;
}

void sl_members_fini(sl_members *members) {
    free(members->all);
    memset(members, 0, sizeof *members);
}

bool sl_member_present(const sl_member *member) {
    return member->state != SL_MEMBER_LEAVING && member->state != SL_MEMBER_DEAD;
}

void sl_members_touch(sl_members *members, uint32_t node, bool hot) {
    sl_member *member = &members->all[node];
    member->changed = ++members->changes;
    if (hot)
        member->hot = members->hot_initial;
}

bool sl_members_set_state(sl_members *members, uint32_t node, sl_member_state state) {
    sl_member *member = &members->all[node];
    if (member->known && member->state == state)
        return false;
    members->known += !member->known;
    member->known = 1;
    member->state = (uint8_t)state;
    sl_members_touch(members, node, true);
    return true;
}

registry_member sl_member_wire(const sl_members *members, uint32_t node) {
    const sl_member *member = &members->all[node];
    const sl_location *location = &member->location;
    return (registry_member){
        .node = node,
        .incarnation = member->incarnation,
        .version = member->version,
        .state = member->state,
        .silent = member->silent,
        .host = sl_text_of(member->host),
        .region = sl_text_of(location->region),
        .zone = sl_text_of(location->zone),
        .has_coordinates = location->has_coordinates,
        .latitude = location->latitude,
        .longitude = location->longitude,
        .offer = {&member->offer, 1},
    };
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

static bool text_take(char *to, sl_text from) {
    if (strlen(to) == from.bytes && memcmp(to, from.data, from.bytes) == 0)
        return false;
    memcpy(to, from.data, from.bytes);
    to[from.bytes] = '\0';
    return true;
}

static bool location_take(sl_location *to, const registry_member *claim) {
    bool changed = text_take(to->region, claim->region);
    changed |= text_take(to->zone, claim->zone);
    double latitude = claim->has_coordinates ? claim->latitude : 0.0;
    double longitude = claim->has_coordinates ? claim->longitude : 0.0;
    changed |= to->has_coordinates != claim->has_coordinates || fabs(to->latitude - latitude) > 0 ||
               fabs(to->longitude - longitude) > 0;
    to->has_coordinates = claim->has_coordinates;
    to->latitude = latitude;
    to->longitude = longitude;
    return changed;
}

/* Death by hearsay is a suspicion until this node's own ears agree. */
static void state_take(sl_member *member, uint8_t claimed, uint64_t now_ns) {
    bool suspected = member->state == SL_MEMBER_SUSPECTED;
    member->condemned = claimed == SL_MEMBER_DEAD;
    member->state = claimed == SL_MEMBER_DEAD ? (uint8_t)SL_MEMBER_SUSPECTED : claimed;
    if (member->state != SL_MEMBER_SUSPECTED) {
        member->silent = 0;
        member->seconded_ns = 0;
    } else if (!suspected) {
        member->suspected_ns = now_ns;
    }
}

static sl_merge take_newer(sl_members *members, sl_member *member, const registry_member *claim,
                           uint64_t now_ns) {
    uint8_t state = member->state;
    bool changed = !member->known;
    members->known += !member->known;
    member->known = 1;
    member->incarnation = claim->incarnation;
    member->version = claim->version;
    member->heard_ns = now_ns;
    state_take(member, claim->state, now_ns);
    changed |= member->state != state;
    changed |= text_take(member->host, claim->host);
    changed |= location_take(&member->location, claim);
    bool load = memcmp(&member->offer, claim->offer.items, sizeof member->offer) != 0;
    member->offer = *claim->offer.items;
    if (!changed && !load)
        return SL_MERGE_HEARD;
    sl_members_touch(members, claim->node, true);
    return changed ? SL_MERGE_STATE : SL_MERGE_LOAD;
}

/* The same version seen by two nodes: the worse judgement counts. */
static sl_merge take_judgement(sl_members *members, sl_member *member,
                               const registry_member *claim, uint64_t now_ns) {
    if (claim->state == SL_MEMBER_DEAD && member->state == SL_MEMBER_LEAVING)
        member->condemned = 1;
    if (claim->state <= member->state || member->state == SL_MEMBER_LEAVING)
        return SL_MERGE_STALE;
    uint8_t state = member->state;
    bool condemned = member->condemned;
    state_take(member, claim->state, now_ns);
    member->condemned |= condemned;
    if (member->state == state)
        return SL_MERGE_STALE;
    sl_members_touch(members, claim->node, true);
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
    me->hot = members->hot_initial;
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
                                            : take_judgement(members, member, claim, now_ns);
}
