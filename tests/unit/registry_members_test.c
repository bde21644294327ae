/* What a node believes of what it is told: the rules as tables. */
#include "actors/registry/members.h"
#include "tests/lib/test.h"

#include "actors/registry/gossip.h"
#include "actors/registry/registry.h"

enum { SELF = 0, OTHER = 1, NODES = 4 };

static registry_offer full_offer = {.cores = 4, .cores_free = 4};

static registry_member claim_of(uint32_t node, uint32_t incarnation, uint64_t version,
                                uint8_t state) {
    return (registry_member){.node = node,
                             .incarnation = incarnation,
                             .version = version,
                             .state = state,
                             .host = sl_text_of("host"),
                             .region = sl_text_of("us-west"),
                             .zone = sl_text_of(""),
                             .offer = {&full_offer, 1}};
}

static void members_create(sl_members *members) {
    if (sl_members_init(members, SELF, NODES) != SL_OK)
        exit(1);
    members->all[SELF].incarnation = 5;
    members->all[SELF].version = 10;
    members->all[SELF].state = SL_MEMBER_ALIVE;
}

/* A known node 1 of incarnation 5 and version 10. */
static void members_with_other(sl_members *members, uint8_t state) {
    members_create(members);
    registry_member claim = claim_of(OTHER, 5, 10, SL_MEMBER_ALIVE);
    CHECK_INT(sl_members_merge(members, &claim, 100 * SL_NS_PER_MS), SL_MERGE_STATE);
    if (state != SL_MEMBER_ALIVE)
        sl_members_set_state(members, OTHER, state);
}

/* ---- the rules ---- */

typedef struct rule {
    const char *name;
    uint8_t before;
    uint32_t incarnation;
    uint64_t version;
    uint8_t claimed;
    sl_merge merge;
    uint8_t after;
    uint64_t version_after;
    bool condemned, heard;
} rule;

enum {
    JOINING = SL_MEMBER_JOINING,
    ALIVE = SL_MEMBER_ALIVE,
    SUSPECTED = SL_MEMBER_SUSPECTED,
    LEAVING = SL_MEMBER_LEAVING,
    DEAD = SL_MEMBER_DEAD
};

static const rule rules[] = {
    {"older life", ALIVE, 4, 99, DEAD, SL_MERGE_STALE, ALIVE, 10, false, false},
    {"older version", ALIVE, 5, 9, SUSPECTED, SL_MERGE_STALE, ALIVE, 10, false, false},
    {"same again", ALIVE, 5, 10, ALIVE, SL_MERGE_STALE, ALIVE, 10, false, false},
    {"heartbeat", ALIVE, 5, 11, ALIVE, SL_MERGE_HEARD, ALIVE, 11, false, true},
    {"new life", ALIVE, 6, 1, ALIVE, SL_MERGE_HEARD, ALIVE, 1, false, true},
    {"better state, same version", ALIVE, 5, 10, JOINING, SL_MERGE_STALE, ALIVE, 10, false, false},
    {"suspected", ALIVE, 5, 10, SUSPECTED, SL_MERGE_STATE, SUSPECTED, 10, false, false},
    {"not cleared by the same version", SUSPECTED, 5, 10, ALIVE, SL_MERGE_STALE, SUSPECTED, 10,
     false, false},
    {"cleared by a newer", SUSPECTED, 5, 11, ALIVE, SL_MERGE_STATE, ALIVE, 11, false, true},
    {"newer and suspected", ALIVE, 5, 11, SUSPECTED, SL_MERGE_STATE, SUSPECTED, 11, false, true},
    {"said to be dead", ALIVE, 5, 10, DEAD, SL_MERGE_STATE, SUSPECTED, 10, true, false},
    {"suspected, said to be dead", SUSPECTED, 5, 10, DEAD, SL_MERGE_STALE, SUSPECTED, 10, true,
     false},
    {"newer, said to be dead", ALIVE, 5, 12, DEAD, SL_MERGE_STATE, SUSPECTED, 12, true, true},
    {"leaving", ALIVE, 5, 11, LEAVING, SL_MERGE_STATE, LEAVING, 11, false, true},
    {"leaving is not suspected", LEAVING, 5, 10, SUSPECTED, SL_MERGE_STALE, LEAVING, 10, false,
     false},
    {"left, said to be dead", LEAVING, 5, 10, DEAD, SL_MERGE_STALE, LEAVING, 10, true, false},
    {"stayed after all", LEAVING, 5, 12, ALIVE, SL_MERGE_STATE, ALIVE, 12, false, true},
    {"death is final", DEAD, 5, 1000, ALIVE, SL_MERGE_STALE, DEAD, 10, false, false},
    {"but not for a new life", DEAD, 6, 1, ALIVE, SL_MERGE_STATE, ALIVE, 1, false, true},
};

TEST(claims_about_others) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const rule *r = &rules[i];
        sl_members members;
        members_with_other(&members, r->before);
        registry_member claim = claim_of(OTHER, r->incarnation, r->version, r->claimed);
        sl_merge merge = sl_members_merge(&members, &claim, 200 * SL_NS_PER_MS);
        const sl_member *other = &members.all[OTHER];
        if (merge != r->merge || other->state != r->after || other->version != r->version_after ||
            other->condemned != r->condemned || (other->heard_ms == 200) != r->heard)
            sl_test_fail(__FILE__, __LINE__, "%s: merge %d state %u version %llu condemned %u",
                         r->name, merge, other->state, (unsigned long long)other->version,
                         other->condemned);
        CHECK_INT(members.known, 2);
        sl_members_fini(&members);
    }
}

typedef struct own_rule {
    uint32_t incarnation;
    uint64_t version;
    uint8_t claimed;
    sl_merge merge;
    uint64_t version_after;
} own_rule;

TEST(claims_about_oneself) {
    static const own_rule table[] = {
        {5, 10, ALIVE, SL_MERGE_STALE, 10},         {5, 9, SUSPECTED, SL_MERGE_STALE, 10},
        {5, 10, SUSPECTED, SL_MERGE_REFUTED, 11},   {5, 10, DEAD, SL_MERGE_REFUTED, 11},
        {5, 40, ALIVE, SL_MERGE_REFUTED, 41},       {5, 40, LEAVING, SL_MERGE_REFUTED, 41},
        {4, 99, DEAD, SL_MERGE_STALE, 10},          {6, 1, ALIVE, SL_MERGE_REFUSED, 10},
        {5, UINT64_MAX, DEAD, SL_MERGE_REFUSED, 10}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        sl_members members;
        members_create(&members);
        registry_member claim =
            claim_of(SELF, table[i].incarnation, table[i].version, table[i].claimed);
        CHECK_INT(sl_members_merge(&members, &claim, 200 * SL_NS_PER_MS), table[i].merge);
        CHECK_INT(members.all[SELF].version, table[i].version_after);
        CHECK_INT(members.all[SELF].state, ALIVE);
        sl_members_fini(&members);
    }
}

TEST(what_changed_is_told_apart) {
    sl_members members;
    members_with_other(&members, ALIVE);
    uint64_t changes = members.changes;
    registry_member claim = claim_of(OTHER, 5, 11, ALIVE);
    registry_offer busy = {.cores = 4, .cores_free = 1, .running = 3};
    claim.offer.items = &busy;
    CHECK_INT(sl_members_merge(&members, &claim, 200 * SL_NS_PER_MS), SL_MERGE_LOAD);
    CHECK_INT(members.all[OTHER].running, 3);
    claim.version = 12;
    CHECK_INT(sl_members_merge(&members, &claim, 200 * SL_NS_PER_MS), SL_MERGE_HEARD);
    claim.version = 13;
    claim.region = sl_text_of("eu-north");
    CHECK_INT(sl_members_merge(&members, &claim, 200 * SL_NS_PER_MS), SL_MERGE_STATE);
    CHECK_STR(members.all[OTHER].profile->region.data, "eu-north");
    claim.version = 14;
    claim.has_coordinates = true;
    claim.latitude = -33.5;
    CHECK_INT(sl_members_merge(&members, &claim, 200 * SL_NS_PER_MS), SL_MERGE_STATE);
    CHECK_DOUBLE(members.all[OTHER].profile->latitude, -33.5, 0);
    CHECK_INT(members.changes, changes + 3);
    sl_members_fini(&members);
}

TEST(an_entry_survives_being_told) {
    sl_members members;
    members_with_other(&members, ALIVE);
    registry_offer offer, offer_again;
    registry_member wire = sl_member_wire(&members, OTHER, &offer);
    sl_members second;
    members_create(&second);
    CHECK_INT(sl_members_merge(&second, &wire, 7), SL_MERGE_STATE);
    registry_member again = sl_member_wire(&second, OTHER, &offer_again);
    CHECK(sl_record_equal(&registry_member_record, &wire, &again));
    sl_members_fini(&members);
    sl_members_fini(&second);
}

TEST(tables_of_a_process_share_what_they_say) {
    sl_members one, two;
    members_with_other(&one, ALIVE);
    members_with_other(&two, ALIVE);
    CHECK(one.all[OTHER].profile == two.all[OTHER].profile);
    registry_offer larger = {.cores = 8, .cores_free = 4};
    registry_member claim = claim_of(OTHER, 5, 11, ALIVE);
    claim.offer.items = &larger;
    CHECK_INT(sl_members_merge(&one, &claim, 0), SL_MERGE_STATE);
    CHECK(one.all[OTHER].profile != two.all[OTHER].profile);
    CHECK_INT(one.all[OTHER].profile->cores, 8);
    CHECK_INT(two.all[OTHER].profile->cores, 4);
    CHECK_INT(two.all[2].profile == sl_profile_none(), true);
    sl_members_fini(&one);
    CHECK_STR(two.all[OTHER].profile->host.data, "host");
    sl_members_fini(&two);
}

TEST(many_profiles_are_found_again) {
    enum { MANY = 1000 };
    static const sl_profile *profiles[MANY];
    char name[16];
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < MANY; i++) {
            registry_member claim = claim_of(OTHER, 5, 1, ALIVE);
            snprintf(name, sizeof name, "host-%u", i);
            claim.host = sl_text_of(name);
            const sl_profile *profile = sl_profile_take(&claim);
            REQUIRE(profile != NULL);
            CHECK(!round || profile == profiles[i]);
            CHECK(sl_profile_says(profile, &claim));
            profiles[i] = profile;
        }
    }
    for (uint32_t i = 0; i < MANY; i++) {
        sl_profile_drop(profiles[i]);
        sl_profile_drop(profiles[i]);
    }
}

TEST(silence_is_counted_across_the_wrap) {
    const uint64_t wrap_ns = (UINT64_C(1) << 32) * SL_NS_PER_MS;
    uint32_t since_ms = sl_member_ms(wrap_ns - 100 * SL_NS_PER_MS);
    CHECK_INT(sl_silent_ns(since_ms, wrap_ns + 200 * SL_NS_PER_MS), 300 * SL_NS_PER_MS);
    CHECK_INT(sl_silent_ns(sl_member_ms(5 * SL_NS_PER_MS), 5 * SL_NS_PER_MS), 0);
}

/* ---- what cannot be true ---- */

TEST(what_cannot_be_true_is_refused) {
    sl_members members;
    members_with_other(&members, ALIVE);
    registry_offer more_free[4] = {{.cores = 1, .cores_free = 2},
                                   {.gpus_free = 1},
                                   {.memory_bytes = 5, .memory_free_bytes = 6},
                                   {.ucu_free_milli = 1}};
    registry_member good = claim_of(OTHER, 5, 11, ALIVE), bad[17];
    for (int i = 0; i < 17; i++)
        bad[i] = good;
    bad[0].node = NODES;
    bad[1].node = UINT32_MAX;
    bad[2].state = SL_MEMBER_STATES;
    bad[3].state = 255;
    bad[4].version = 0;
    bad[5].version = SL_MEMBER_VERSION_MAX + 1;
    bad[6].offer.count = 0;
    for (int i = 0; i < 4; i++)
        bad[7 + i].offer.items = &more_free[i];
    bad[11].host = (sl_text){"a\0b", 3};
    bad[12].region = sl_text_of("\033[2J");
    bad[13].has_coordinates = bad[14].has_coordinates = bad[15].has_coordinates = true;
    bad[13].latitude = NAN;
    bad[14].longitude = 180.5;
    bad[15].latitude = -INFINITY;
    bad[16].version = 11 + SL_MEMBER_JUMP_MAX;
    for (int i = 0; i < 17; i++) {
        if (sl_members_merge(&members, &bad[i], 200) != SL_MERGE_REFUSED)
            sl_test_fail(__FILE__, __LINE__, "bad[%d] was believed", i);
    }
    CHECK_INT(members.all[OTHER].version, 10);
    CHECK_INT(sl_members_merge(&members, &good, 200), SL_MERGE_HEARD);
    sl_members_fini(&members);
}

/* ---- whom to tell what ---- */

TEST(every_peer_has_its_turn) {
    sl_members members;
    sl_rng rng;
    sl_gossip gossip;
    REQUIRE(sl_members_init(&members, 3, 50) == SL_OK);
    sl_rng_seed(&rng, 1);
    REQUIRE(sl_gossip_init(&gossip, &members, SL_REGISTRY_GOSSIP_BYTES, &rng) == SL_OK);
    for (uint32_t node = 0; node < 50; node++)
        members.all[node].state = SL_MEMBER_ALIVE;
    members.all[7].state = SL_MEMBER_DEAD;
    members.all[8].state = SL_MEMBER_LEAVING;
    members.all[9].state = SL_MEMBER_SUSPECTED;
    sl_node_set_add(&members.held, 9);
    uint32_t times[50] = {0};
    for (int i = 0; i < 3 * 46; i++)
        times[sl_gossip_peer(&gossip, &members, &rng)]++;
    for (uint32_t node = 0; node < 50; node++)
        CHECK_INT(times[node], node == 3 || (node >= 7 && node <= 9) ? 0 : 3);
    for (uint32_t node = 0; node < 50; node++)
        members.all[node].state = node == 9 ? SL_MEMBER_SUSPECTED : SL_MEMBER_DEAD;
    CHECK_INT(sl_gossip_peer(&gossip, &members, &rng), SL_NO_NODE);
    sl_node_set_remove(&members.held, 9); /* it has answered */
    CHECK_INT(sl_gossip_peer(&gossip, &members, &rng), 9);
    sl_gossip_fini(&gossip);
    sl_members_fini(&members);
}

static size_t wire_bytes(const registry_brief *briefs, uint32_t count) {
    registry_gossip message = {.briefs = {briefs, count}};
    return sl_record_wire_bytes(&registry_gossip_type.record, &message);
}

TEST(a_message_begins_with_oneself_then_news_then_the_rest_in_turn) {
    sl_members members;
    sl_rng rng;
    sl_gossip gossip;
    REQUIRE(sl_members_init(&members, 0, 200) == SL_OK);
    sl_rng_seed(&rng, 1);
    REQUIRE(sl_gossip_init(&gossip, &members, SL_REGISTRY_GOSSIP_BYTES, &rng) == SL_OK);
    for (uint32_t node = 0; node < 200; node++) {
        members.all[node].known = 1;
        members.all[node].version = 1;
        members.all[node].state = SL_MEMBER_ALIVE;
    }
    members.all[150].version = 0; /* never heard of */
    members.all[151].state = SL_MEMBER_DEAD;
    sl_members_touch(&members, 119, SL_HEAT_STATE);
    sl_members_touch(&members, 120, SL_HEAT_LOAD);
    sl_members_touch(&members, 121, SL_HEAT_LOAD);
    sl_gossip_page page;
    uint32_t told[200] = {0};
    for (int message = 0; message < 100; message++) {
        uint32_t count = sl_gossip_fill(&gossip, &members, 160, &page);
        CHECK(count > 20 && wire_bytes(page.briefs, count) <= SL_REGISTRY_GOSSIP_BYTES);
        CHECK_INT(page.briefs[0].node, 0);
        for (uint32_t i = 0; i < 3 && message < members.hot_initial;
             i++) /* the newest load first */
            CHECK_INT(page.briefs[1 + i].node, i ? 122 - i : 119);
        for (uint32_t i = 0; i < count; i++)
            told[page.briefs[i].node]++;
    }
    CHECK_INT(told[0], 100);
    uint32_t least = UINT32_MAX, most = 0;
    for (uint32_t node = 1; node < 200; node++) {
        if ((node >= 119 && node <= 121) || node == 150 || node == 151 || node == 160)
            continue;
        least = told[node] < least ? told[node] : least;
        most = told[node] > most ? told[node] : most;
    }
    CHECK(least >= 5);
    CHECK(most <= least + 2);
    CHECK_INT(told[150] + told[151] + told[160], 0);
    sl_gossip_fini(&gossip);
    sl_members_fini(&members);
}

/* However many loads change, and nodes join. */
TEST(a_doubt_is_told_before_all_loads) {
    enum { MANY = 500 };
    sl_members members;
    sl_rng rng;
    sl_gossip gossip;
    sl_gossip_page page;
    REQUIRE(sl_members_init(&members, 0, MANY) == SL_OK);
    sl_rng_seed(&rng, 1);
    REQUIRE(sl_gossip_init(&gossip, &members, SL_REGISTRY_GOSSIP_BYTES, &rng) == SL_OK);
    for (uint32_t node = 1; node < MANY; node++) {
        registry_member claim = claim_of(node, 1, 1, SL_MEMBER_ALIVE);
        CHECK_INT(sl_members_merge(&members, &claim, 0), SL_MERGE_STATE);
    }
    CHECK(sl_node_set_next(&members.urgent, 0) == UINT32_MAX);
    CHECK(sl_members_set_state(&members, 7, SL_MEMBER_SUSPECTED));
    registry_member claim = claim_of(8, 2, 1, SL_MEMBER_LEAVING);
    CHECK_INT(sl_members_merge(&members, &claim, 0), SL_MERGE_STATE);
    registry_offer busy = {.cores = 4};
    claim = claim_of(7, 1, 1, SL_MEMBER_ALIVE);
    claim.version = 2;
    claim.state = SL_MEMBER_SUSPECTED;
    claim.offer.items = &busy;
    CHECK_INT(sl_members_merge(&members, &claim, 0), SL_MERGE_LOAD); /* it stays what it was */
    for (int message = 0; message < members.hot_initial; message++) {
        REQUIRE(sl_gossip_fill(&gossip, &members, 9, &page) > 20);
        CHECK_INT(page.briefs[1].node + page.briefs[2].node, 7 + 8);
    }
    CHECK(sl_node_set_next(&members.urgent, 0) == UINT32_MAX);
    sl_gossip_fini(&gossip);
    sl_members_fini(&members);
}

/* In brief, an entry is told to who knows the rest of it. */
TEST(briefs_are_understood_by_who_knows_the_rest) {
    sl_members members, other;
    registry_offer offer;
    registry_member claim;
    members_with_other(&members, ALIVE);
    members_create(&other);
    registry_brief brief = sl_member_brief(&members, OTHER);
    CHECK(!sl_member_from_brief(&other, &brief, &offer, &claim));
    CHECK(sl_members_lack(&other, OTHER, brief.incarnation, brief.version));
    registry_member whole = sl_member_wire(&members, OTHER, &offer);
    CHECK_INT(sl_members_merge(&other, &whole, 0), SL_MERGE_STATE);
    CHECK(!sl_members_lack(&other, OTHER, brief.incarnation, brief.version));
    brief.version++;
    brief.cores_free = 2;
    brief.silent = true;
    CHECK(sl_members_lack(&other, OTHER, brief.incarnation, brief.version));
    REQUIRE(sl_member_from_brief(&other, &brief, &offer, &claim));
    CHECK(claim.silent);
    CHECK_STR(claim.host.data, "host");
    CHECK_INT(sl_members_merge(&other, &claim, 0), SL_MERGE_LOAD);
    CHECK_INT(other.all[OTHER].cores_free, 2);
    brief.cores_free = 5; /* of four */
    brief.version++;
    REQUIRE(sl_member_from_brief(&other, &brief, &offer, &claim));
    CHECK_INT(sl_members_merge(&other, &claim, 0), SL_MERGE_REFUSED);
    brief.profile++;
    CHECK(!sl_member_from_brief(&other, &brief, &offer, &claim));
    brief.profile = 0; /* that of a node nothing is known of */
    brief.node = 2;
    CHECK(!sl_member_from_brief(&other, &brief, &offer, &claim));
    brief.node = NODES;
    CHECK(!sl_member_from_brief(&other, &brief, &offer, &claim));
    sl_members_fini(&members);
    sl_members_fini(&other);
}

TEST(digests_tell_profiles_apart) {
    registry_member same = claim_of(OTHER, 1, 1, ALIVE), differs[4] = {same, same, same, same};
    registry_offer more = {.cores = 5};
    differs[0].offer.items = &more;
    differs[1].zone = sl_text_of("b");
    differs[2].has_coordinates = differs[3].has_coordinates = true;
    differs[3].longitude = 1;
    const sl_profile *profile = sl_profile_take(&same);
    for (int i = 0; i < 4; i++) {
        const sl_profile *other = sl_profile_take(&differs[i]);
        CHECK(other->digest != profile->digest && other->digest);
        sl_profile_drop(other);
    }
    differs[2].latitude = -0.0;
    const sl_profile *minus = sl_profile_take(&differs[2]);
    uint32_t digest = minus->digest;
    sl_profile_drop(minus);
    differs[2].latitude = 0;
    const sl_profile *plus = sl_profile_take(&differs[2]);
    CHECK_INT(plus->digest, digest);
    sl_profile_drop(plus);
    sl_profile_drop(profile);
}

TEST(whole_entries_fit_a_message) {
    sl_members members;
    sl_rng rng;
    sl_gossip gossip;
    static sl_gossip_whole page;
    registry_number wanted[60] = {{NODES}, {2}}; /* there is none, and nothing is known of it */
    members_with_other(&members, ALIVE);
    sl_rng_seed(&rng, 1);
    REQUIRE(sl_gossip_init(&gossip, &members, SL_REGISTRY_GOSSIP_BYTES, &rng) == SL_OK);
    for (int i = 2; i < 60; i++)
        wanted[i].node = OTHER;
    uint32_t done = 0, taken = 0, entries = 0;
    for (; done < 60; done += taken) {
        uint32_t count =
            sl_gossip_fill_wanted(&gossip, &members, wanted + done, 60 - done, &taken, &page);
        registry_gossip message = {.members = {page.entries, count}};
        CHECK(count > 5);
        CHECK(sl_record_wire_bytes(&registry_gossip_type.record, &message) <=
              SL_REGISTRY_GOSSIP_BYTES);
        entries += count;
    }
    CHECK_INT(entries, 58);
    sl_gossip_fini(&gossip);
    sl_members_fini(&members);
}

TEST(a_suspected_node_is_told_so) {
    sl_members members;
    sl_rng rng;
    sl_gossip gossip;
    members_with_other(&members, SUSPECTED);
    sl_rng_seed(&rng, 1);
    REQUIRE(sl_gossip_init(&gossip, &members, SL_REGISTRY_GOSSIP_BYTES, &rng) == SL_OK);
    sl_gossip_page page;
    CHECK_INT(sl_gossip_fill(&gossip, &members, OTHER, &page), 2);
    CHECK_INT(page.briefs[1].node, OTHER);
    CHECK_INT(page.briefs[1].state, SUSPECTED);
    sl_gossip_fini(&gossip);
    sl_members_fini(&members);
}

TEST(the_suspect_time_follows_the_size_of_the_network) {
    const uint64_t period_ns = 100 * SL_NS_PER_MS;
    CHECK_INT(sl_registry_suspect_ns(5 * SL_NS_PER_S, period_ns, 4, 14), 5 * SL_NS_PER_S);
    CHECK_INT(sl_registry_suspect_ns(1, period_ns, 4, 14), 4 * period_ns);
    CHECK_INT(sl_registry_suspect_ns(1, period_ns, 8, 14), 8 * period_ns);
    CHECK_INT(sl_registry_suspect_ns(1, period_ns, 1024, 14), 6 * (10 + 25) * period_ns);
}
