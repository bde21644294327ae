/* Gossip of any bytes: it decodes or is refused; whatever it claims, the table keeps its rules. */
#include <stdlib.h>
#include <string.h>

#include "actors/registry/gossip.h"
#include "actors/registry/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SELF = 1, NODES = 9 };

static void require(bool holds) {
    if (!holds)
        abort();
}

static void check(const sl_members *members) {
    uint32_t known = 0;
    for (uint32_t node = 0; node < members->count; node++) {
        const sl_member *member = &members->all[node];
        known += member->known;
        require(member->state < SL_MEMBER_STATES && member->state != SL_MEMBER_DEAD);
        registry_offer offer;
        registry_member wire = sl_member_wire(members, node, &offer);
        require(sl_offer_plausible(&offer));
        if (!member->known)
            continue;
        require(sl_member_plausible(members, &wire));
    }
    require(known == members->known);
    require(members->all[SELF].state == SL_MEMBER_ALIVE);
    require(members->all[SELF].version <= SL_MEMBER_VERSION_MAX + 1);
}

/* What it tells others must pass there too. */
static void pass_on(sl_members *members) {
    sl_rng rng;
    sl_gossip gossip;
    sl_gossip_page page;
    sl_rng_seed(&rng, 1);
    require(sl_gossip_init(&gossip, members, SL_REGISTRY_GOSSIP_BYTES, &rng) == SL_OK);
    uint32_t count = sl_gossip_fill(&gossip, members, 0, &page);
    registry_gossip message = {.briefs = {page.briefs, count}};
    require(sl_record_check(&registry_gossip_type.record, &message) == SL_OK);
    require(sl_record_wire_bytes(&registry_gossip_type.record, &message) <=
            SL_REGISTRY_GOSSIP_BYTES);
    sl_gossip_fini(&gossip);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const sl_record *record = &registry_gossip_type.record;
    size_t bytes;
    if (sl_record_measure(record, data, size, &bytes) != SL_OK)
        return 0;
    registry_gossip *gossip = malloc(bytes);
    sl_members members;
    require(gossip && sl_members_init(&members, SELF, NODES) == SL_OK);
    members.all[SELF].state = SL_MEMBER_ALIVE;
    require(sl_record_decode(record, data, size, gossip, NULL) == SL_OK);
    for (uint32_t i = 0; i < gossip->members.count; i++)
        (void)sl_members_merge(&members, &gossip->members.items[i], i);
    for (uint32_t i = 0; i < gossip->briefs.count; i++) {
        registry_offer offer;
        registry_member claim;
        if (sl_member_from_brief(&members, &gossip->briefs.items[i], &offer, &claim))
            (void)sl_members_merge(&members, &claim, i);
    }
    check(&members);
    pass_on(&members);
    sl_members_fini(&members);
    free(gossip);
    return 0;
}
