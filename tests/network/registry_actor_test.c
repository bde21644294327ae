/* The registry as its neighbours see it: watchers, askers, and messages it should not have got. */
#include "tests/lib/registry_world.h"
#include "tests/lib/test.h"

#include "runtime/transport_thread.h"

static world *create(uint32_t count, bool narrow_spies) {
    world_options options = {.count = count, .frame_bytes = 2048, .narrow_spies = narrow_spies};
    return world_create(&options);
}

static int64_t refused(const world *w, uint32_t node) {
    return sl_metric_value(sl_node_metrics(w->nodes[node]), SL_METRIC_gossip_refused);
}

/* ---- watchers ---- */

TEST(a_watcher_with_a_full_mailbox_still_learns_everything) {
    world *w = create(16, true);
    world_settle(w);
    CHECK(world_all_alive(w));
    CHECK(world_metric(w, SL_METRIC_mailbox_full) > 0);
    for (uint32_t i = 0; i < 16; i++)
        CHECK_INT(w->spies[i].told, 16); /* each of them once */
    world_destroy(w);
}

TEST(heartbeats_are_no_news_to_watchers) {
    world *w = create(4, false);
    world_run(w, 100 * WORLD_MS, 10 * WORLD_MS);
    uint64_t views = w->spies[0].views;
    world_run(w, 2 * SL_NS_PER_S, 10 * WORLD_MS);
    CHECK_INT(w->spies[0].views, views);
    world_destroy(w);
}

TEST(changes_of_load_are_gathered) {
    world *w = create(1, false);
    world_settle(w);
    uint64_t views = w->spies[0].views;
    registry_offer offer = w->spies[0].offers[0];
    registry_free report = {.offer = {&offer, 1}};
    for (int i = 0; i < 100; i++) {
        offer.running++;
        world_send(w, 0, 0, &registry_free_type, &report);
    }
    world_settle(w);
    CHECK_INT(w->spies[0].views, views);
    world_run(w, 20 * WORLD_MS, 5 * WORLD_MS);
    CHECK_INT(w->spies[0].views, views + 1);
    CHECK_INT(w->spies[0].offers[0].running, 100);
    world_destroy(w);
}

TEST(who_watches_again_is_told_everything_again) {
    world *w = create(3, false);
    world_settle(w);
    uint64_t told = w->spies[1].told;
    registry_watch watch = {};
    CHECK_INT(sl_node_send(w->nodes[1], sl_addr_well_known(1, SL_SLOT_DRIVER), &registry_watch_type,
                           &watch),
              SL_OK); /* the spy passes it on */
    world_settle(w);
    CHECK_INT(w->spies[1].told, told + 3);
    world_destroy(w);
}

TEST(only_actors_of_the_node_may_watch) {
    world *w = create(2, false);
    world_settle(w);
    registry_watch watch = {};
    world_send(w, 0, 1, &registry_watch_type, &watch);
    world_settle(w);
    CHECK_INT(refused(w, 1), 1);
    world_destroy(w);
}

/* ---- descriptions ---- */

static void ask(world *w, uint32_t who, uint32_t whom) {
    w->spies[who].ask = whom;
    registry_describe describe = {};
    CHECK_INT(sl_node_send(w->nodes[who], sl_addr_well_known(who, SL_SLOT_DRIVER),
                           &registry_describe_type, &describe),
              SL_OK);
}

TEST(a_node_describes_itself_to_whoever_asks) {
    world *w = create(3, false);
    world_settle(w);
    for (uint32_t whom = 0; whom < 3; whom++) {
        ask(w, 1, whom);
        world_settle(w);
        CHECK_INT(w->spies[1].descriptions, whom + 1);
        CHECK_INT(w->spies[1].described_node, whom);
        CHECK_STR(w->spies[1].description, w->descriptions[whom]);
    }
    world_destroy(w);
}

TEST(who_has_no_room_for_a_description_gets_it_later) {
    world *w = create(1, true);
    world_settle(w);
    for (int i = 0; i < 5; i++)
        ask(w, 0, 0);
    world_settle(w);
    CHECK_INT(w->spies[0].descriptions, 5);
    world_destroy(w);
}

/* ---- what it should not have got ---- */

static void claim_to(world *w, const registry_member *claims, uint32_t count) {
    registry_gossip gossip = {.members = {claims, count}};
    world_send(w, 1, 0, &registry_gossip_type, &gossip);
    world_settle(w);
}

TEST(false_claims_are_counted_and_change_nothing) {
    world *w = create(3, false);
    world_settle(w);
    registry_offer offer, torn = {.cores = 1, .cores_free = 9};
    registry_member good = world_claim(2, 50, SL_MEMBER_ALIVE, &offer);
    registry_member bad[5] = {good, good, good, good, good};
    bad[0].node = 3;
    bad[1].state = 77;
    bad[2].offer.items = &torn;
    bad[3].node = 0; /* the receiver itself, from a later life */
    bad[3].incarnation = 2;
    bad[4].offer.count = 0;
    uint64_t views = w->spies[0].views;
    claim_to(w, bad, 5);
    CHECK_INT(refused(w, 0), 5);
    CHECK_INT(w->spies[0].views, views);
    claim_to(w, &good, 1); /* and one that could be true is believed */
    CHECK_INT(refused(w, 0), 5);
    CHECK_STR(w->spies[0].hosts[2], "elsewhere");
    world_destroy(w);
}

TEST(an_offer_comes_from_this_node_and_adds_up) {
    world *w = create(2, false);
    world_settle(w);
    registry_offer more = {.cores = 4, .cores_free = 5}, fine = {.cores = 4, .cores_free = 3};
    registry_free torn = {.offer = {&more, 1}}, none = {.offer = {NULL, 0}},
                  foreign = {.offer = {&fine, 1}};
    world_send(w, 0, 0, &registry_free_type, &torn);
    world_send(w, 0, 0, &registry_free_type, &none);
    world_send(w, 1, 0, &registry_free_type, &foreign);
    world_run(w, SL_NS_PER_S, 10 * WORLD_MS);
    CHECK_INT(refused(w, 0), 3);
    CHECK_INT(w->spies[0].offers[0].cores_free, 4);
    world_destroy(w);
}

/* A new life of a node that was given up: there is no way to it, so it stays dead here. */
/* What runs there goes on, and what is free is told; but nobody is to place anything. */
TEST(a_node_stands_by_and_comes_forward) {
    world *w = create(3, false);
    world_run(w, SL_NS_PER_S, 10 * WORLD_MS);
    registry_stand stand = {.by = true};
    world_send(w, 1, 1, &registry_stand_type, &stand);
    world_run(w, SL_NS_PER_S, 10 * WORLD_MS);
    CHECK(world_agrees(w, 1, SL_MEMBER_JOINING));
    registry_offer offer = w->spies[1].offers[1];
    registry_free report = {.offer = {&offer, 1}};
    offer.running++;
    world_send(w, 1, 1, &registry_free_type, &report);
    world_run(w, SL_NS_PER_S, 10 * WORLD_MS);
    CHECK(world_agrees(w, 1, SL_MEMBER_JOINING));
    CHECK_INT(w->spies[0].offers[1].running, offer.running);
    stand.by = false;
    world_send(w, 1, 1, &registry_stand_type, &stand);
    world_run(w, SL_NS_PER_S, 10 * WORLD_MS);
    CHECK(world_all_alive(w));
    CHECK_INT(world_metric(w, SL_METRIC_nodes_lost), 0);
    stand.by = true;
    world_send(w, 0, 1, &registry_stand_type, &stand); /* of no concern to another node */
    world_run(w, SL_NS_PER_S, 10 * WORLD_MS);
    CHECK(world_all_alive(w));
    CHECK_INT(refused(w, 1), 1);
    world_destroy(w);
}

TEST(hearsay_raises_no_dead) {
    world *w = create(3, false);
    world_settle(w);
    sl_node_peer_lost(w->nodes[0], 2);
    world_settle(w);
    CHECK_INT(w->spies[0].states[2], SL_MEMBER_DEAD);
    registry_offer offer;
    registry_member claim = world_claim(2, 5, SL_MEMBER_ALIVE, &offer);
    claim.incarnation = 9;
    claim_to(w, &claim, 1);
    CHECK_INT(w->spies[0].states[2], SL_MEMBER_DEAD);
    world_destroy(w);
}

TEST(unwelcome_messages_are_counted) {
    world *w = create(2, false);
    world_settle(w);
    registry_view view = {};
    world_send(w, 1, 0, &registry_view_type, &view);
    world_settle(w);
    CHECK_INT(refused(w, 0), 1);
    world_destroy(w);
}

TEST(a_crowd_that_asks_for_replies_gets_a_bounded_answer) {
    world *w = create(64, false);
    world_settle(w);
    sl_metrics *metrics = sl_node_metrics(w->nodes[0]);
    registry_gossip gossip = {.wants_reply = true};
    int64_t before = sl_metric_value(metrics, SL_METRIC_messages_sent);
    world_send(w, 1, 0, &registry_gossip_type, &gossip);
    world_settle(w);
    int64_t answers = sl_metric_value(metrics, SL_METRIC_messages_sent) - before;
    CHECK(answers >= 1 && answers <= 4);
    world_destroy(w);
}

/* ---- in brief ---- */

TEST(what_a_node_has_become_is_asked_for) {
    world *w = create(5, false);
    world_run(w, SL_NS_PER_S, 10 * WORLD_MS);
    registry_offer offer = w->spies[3].offers[3];
    registry_free report = {.offer = {&offer, 1}};
    offer.cores += 3;
    offer.cores_free = offer.cores - 1;
    world_send(w, 3, 3, &registry_free_type, &report);
    world_run(w, SL_NS_PER_S, 10 * WORLD_MS);
    for (uint32_t i = 0; i < 5; i++) {
        CHECK_INT(w->spies[i].offers[3].cores, offer.cores);
        CHECK_INT(w->spies[i].offers[3].cores_free, offer.cores_free);
    }
    CHECK_INT(world_metric(w, SL_METRIC_gossip_refused), 0);
    world_destroy(w);
}

static int64_t answers_to(world *w, const sl_message_type *type, const void *body) {
    sl_metrics *metrics = sl_node_metrics(w->nodes[0]);
    int64_t before = sl_metric_value(metrics, SL_METRIC_messages_sent);
    world_send(w, 1, 0, type, body);
    world_settle(w);
    return sl_metric_value(metrics, SL_METRIC_messages_sent) - before;
}

TEST(false_briefs_are_counted_or_asked_about) {
    world *w = create(3, false);
    world_settle(w);
    registry_brief none = {.node = 3, .version = 9, .incarnation = 1, .profile = 5},
                   stranger = {.node = 2, .version = 1000, .incarnation = 1, .profile = 5},
                   old = {.node = 2, .version = 1, .incarnation = 0, .profile = 5};
    registry_brief all[] = {none, stranger, stranger, old};
    registry_gossip gossip = {.briefs = {all, 4}};
    uint64_t version = w->spies[0].versions[2];
    CHECK_INT(answers_to(w, &registry_gossip_type, &gossip), 1); /* node 1 is asked, once */
    CHECK_INT(refused(w, 0), 1);
    CHECK(w->spies[0].versions[2] < version + 1000);
    CHECK_INT(answers_to(w, &registry_gossip_type, &gossip), 0); /* not again so soon */
    CHECK_STR(w->spies[0].hosts[2], w->hosts[2]);
    world_destroy(w);
}

TEST(a_crowd_that_wants_entries_gets_a_bounded_answer) {
    world *w = create(64, false);
    world_settle(w);
    registry_number all[64];
    for (uint32_t i = 0; i < 64; i++)
        all[i].node = i;
    registry_want want = {.nodes = {all, 64}};
    int64_t answers = answers_to(w, &registry_want_type, &want);
    CHECK(answers >= 2 && answers <= 4);
    for (uint32_t i = 0; i < 64; i++)
        all[i].node = i % 2 ? UINT32_MAX : 64 + i;
    CHECK_INT(answers_to(w, &registry_want_type, &want), 0);
    CHECK_INT(refused(w, 0), 0);
    world_send(w, 0, 0, &registry_want_type, &want);
    world_settle(w);
    CHECK_INT(refused(w, 0), 1);
    world_destroy(w);
}

/* ---- start ---- */

static sl_err start_with(const sl_registry_options *options) {
    sl_transport *transport;
    sl_node *node;
    if (sl_thread_network_create(1, 0, &transport) != SL_OK)
        return SL_ERR_NO_MEMORY;
    sl_node_options node_options = {.transport = transport};
    if (sl_node_create(&node_options, &node) != SL_OK)
        return SL_ERR_NO_MEMORY;
    sl_err err =
        sl_node_spawn(node, SL_SLOT_REGISTRY, &sl_registry_class, options, sizeof *options, NULL);
    sl_node_destroy(node);
    return err;
}

TEST(what_nobody_would_believe_does_not_start) {
    sl_registry_options fine = {.hostname = "a\033b"}, region = fine, globe = fine, text = fine;
    CHECK_INT(start_with(&fine), SL_OK); /* a host name is cleaned */
    snprintf(region.location.region, sizeof region.location.region, "a\nb");
    CHECK_INT(start_with(&region), SL_ERR_INVALID);
    CHECK_CONTAINS(sl_err_detail(), "control characters");
    globe.location.has_coordinates = true;
    globe.location.latitude = 91;
    CHECK_INT(start_with(&globe), SL_ERR_INVALID);
    char *much = calloc(1, 300001);
    memset(much, 'x', 300000);
    text.description = much;
    CHECK_INT(start_with(&text), SL_ERR_TOO_LARGE);
    free(much);
}
