/* Whole networks: nodes find each other, miss each other, and take leave. */
#include "tests/lib/registry_world.h"
#include "tests/lib/test.h"

#include <pthread.h>

#include "runtime/log.h"

enum { FRAME_BYTES = 2048, STEP_NS = 10 * WORLD_MS };

static world *create(uint32_t count) {
    world_options options = {.count = count, .frame_bytes = FRAME_BYTES};
    return world_create(&options);
}

static void check_found(uint32_t count) {
    world *w = create(count);
    world_settle(w);
    CHECK(world_all_alive(w));
    for (uint32_t i = 0; i < count; i++) {
        const spy *seen = &w->spies[(i + 1) % count];
        CHECK_STR(seen->hosts[i], w->hosts[i]);
        CHECK_INT(seen->offers[i].ucu_free_milli, 8000 + i);
    }
    CHECK_INT(world_metric(w, SL_METRIC_gossip_refused), 0);
    world_destroy(w);
}

TEST(nodes_of_a_small_network_know_each_other_before_any_time_passes) {
    check_found(1);
    check_found(2);
    check_found(8);
    check_found(32);
    check_found(64);
}

/* Frames too small for full messages, and more nodes than one tells at the start. */
TEST(a_larger_network_finds_itself_by_gossip) {
    world_options options = {.count = 96, .frame_bytes = 512};
    world *w = world_create(&options);
    world_settle(w);
    CHECK(!world_all_alive(w));
    world_run(w, 5 * SL_NS_PER_S, STEP_NS);
    CHECK(world_all_alive(w));
    CHECK_INT(world_metric(w, SL_METRIC_nodes_suspected), 0);
    world_destroy(w);
}

TEST(a_silent_node_is_suspected_and_then_dead) {
    world *w = create(4);
    world_run(w, SL_NS_PER_S, STEP_NS);
    w->frozen[2] = true;
    world_run(w, 1100 * WORLD_MS, STEP_NS); /* between regions: 0.9 s, and 3 s */
    CHECK(world_agrees(w, 2, SL_MEMBER_SUSPECTED));
    CHECK(sl_node_peer_alive(w->nodes[0], 2));
    world_run(w, 2100 * WORLD_MS, STEP_NS);
    CHECK(world_agrees(w, 2, SL_MEMBER_DEAD));
    CHECK(!sl_node_peer_alive(w->nodes[0], 2));
    CHECK(sl_node_peer_alive(w->nodes[0], 1));
    for (uint32_t i = 0; i < 4; i++) {
        if (i == 2)
            continue;
        CHECK_INT(w->spies[i].history_count[2], 3);
        CHECK_INT(w->spies[i].history[2][0], SL_MEMBER_ALIVE);
        CHECK_INT(w->spies[i].history[2][1], SL_MEMBER_SUSPECTED);
        CHECK_INT(w->spies[i].history[2][2], SL_MEMBER_DEAD);
    }
    CHECK_INT(world_metric(w, SL_METRIC_nodes_lost), 3);
    world_destroy(w);
}

TEST(a_node_that_never_speaks_is_dead_too) {
    world *w = create(3);
    w->frozen[0] = true; /* what it sent at its start has not left it */
    world_run(w, 9 * SL_NS_PER_S, STEP_NS);
    CHECK_INT(w->spies[1].states[0], 0xff);
    world_run(w, 3 * SL_NS_PER_S, STEP_NS);
    CHECK(world_agrees(w, 0, SL_MEMBER_DEAD));
    world_destroy(w);
}

TEST(a_suspected_node_that_speaks_again_is_alive) {
    world *w = create(4);
    world_run(w, SL_NS_PER_S, STEP_NS);
    w->frozen[1] = true;
    world_run(w, 2 * SL_NS_PER_S, STEP_NS);
    CHECK(world_agrees(w, 1, SL_MEMBER_SUSPECTED));
    w->frozen[1] = false;
    world_run(w, SL_NS_PER_S, STEP_NS);
    CHECK(world_all_alive(w));
    CHECK_INT(world_metric(w, SL_METRIC_nodes_lost), 0);
    world_destroy(w);
}

TEST(a_machine_that_stood_still_accuses_nobody) {
    world *w = create(4);
    world_run(w, SL_NS_PER_S, STEP_NS);
    for (int i = 0; i < 5; i++) {
        w->now_ns += 3600 * SL_NS_PER_S;
        world_run(w, SL_NS_PER_S, STEP_NS);
    }
    CHECK(world_all_alive(w));
    CHECK_INT(world_metric(w, SL_METRIC_nodes_suspected), 0);
    world_destroy(w);
}

/* Beats and news come often enough for the shortest of the defaults. */
TEST(gossip_is_fresh_enough_for_its_own_suspicion) {
    static const uint32_t counts[] = {2, 5, 16, 64};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        static const sl_link_timings short_ones = {.all = {300 * WORLD_MS, 700 * WORLD_MS}};
        world_options options = {
            .count = counts[i], .frame_bytes = FRAME_BYTES, .registry = {.timings = &short_ones}};
        world *w = world_create(&options);
        world_run(w, 20 * SL_NS_PER_S, 25 * WORLD_MS);
        CHECK_INT(world_metric(w, SL_METRIC_nodes_suspected), 0);
        CHECK(world_all_alive(w));
        world_destroy(w);
    }
}

/* After how long the others have given up node 2, which says something of no interest with each
 * step until it freezes. */
static uint64_t dead_after_ns(uint64_t begins_ns) {
    static const sl_link_timings timings = {.all = {300 * WORLD_MS, 500 * WORLD_MS}};
    world_options options = {
        .count = 4, .frame_bytes = FRAME_BYTES, .registry = {.timings = &timings}};
    world *w = world_create(&options);
    for (uint64_t at_ns = 0; at_ns < SL_NS_PER_S + begins_ns; at_ns += STEP_NS) {
        registry_pong idle = {.stamp = UINT64_MAX};
        for (uint32_t to = 0; to < w->count; to++) {
            if (to != 2)
                world_send(w, 2, to, &registry_pong_type, &idle);
        }
        world_run(w, STEP_NS, STEP_NS);
    }
    w->frozen[2] = true;
    uint64_t frozen_ns = w->now_ns;
    while (!world_agrees(w, 2, SL_MEMBER_DEAD) && w->now_ns < frozen_ns + SL_NS_PER_S)
        world_run(w, STEP_NS, STEP_NS);
    uint64_t after_ns = w->now_ns - frozen_ns;
    world_destroy(w);
    return after_ns;
}

/* That they are looked at once a period only makes nobody live longer. */
TEST(frames_count_from_when_they_came) {
    for (uint64_t begins_ns = 0; begins_ns < 100 * WORLD_MS; begins_ns += STEP_NS) {
        uint64_t after_ns = dead_after_ns(begins_ns);
        CHECK(after_ns >= 500 * WORLD_MS - 2 * STEP_NS && after_ns <= 500 * WORLD_MS + 3 * STEP_NS);
    }
}

static double bytes_per_node_and_period(uint32_t count) {
    world *w = create(count);
    world_run(w, SL_NS_PER_S, STEP_NS);
    int64_t before = world_metric(w, SL_METRIC_bytes_sent);
    world_run(w, 4 * SL_NS_PER_S, STEP_NS);
    int64_t sent = world_metric(w, SL_METRIC_bytes_sent) - before;
    world_destroy(w);
    return (double)sent / count / 40;
}

/* A message is at most SL_REGISTRY_GOSSIP_BYTES and the heads of its frame, a beat a tenth of that;
 * a period is at least 0.9 of its length; credit goes back in frames of heads alone. */
TEST(a_node_sends_no_more_in_a_large_network) {
    double small = bytes_per_node_and_period(8), large = bytes_per_node_and_period(64);
    double most = (SL_REGISTRY_FANOUT * (SL_REGISTRY_GOSSIP_BYTES + 256) +
                   SL_REGISTRY_LISTENERS * (SL_REGISTRY_GOSSIP_BYTES / 10.0 + 48)) /
                  0.9;
    CHECK(small > 0 && small <= most);
    CHECK(large > 0 && large <= most);
}

TEST(what_a_node_has_free_is_known_elsewhere) {
    world *w = create(4);
    world_run(w, SL_NS_PER_S, STEP_NS);
    registry_offer offer = w->spies[0].offers[3];
    offer.cores_free = 0;
    offer.running = 4;
    registry_free report = {.offer = {&offer, 1}};
    world_send(w, 3, 3, &registry_free_type, &report);
    world_run(w, SL_NS_PER_S, STEP_NS);
    for (uint32_t i = 0; i < 4; i++) {
        CHECK_INT(w->spies[i].offers[3].cores_free, 0);
        CHECK_INT(w->spies[i].offers[3].running, 4);
    }
    /* Room where there was none is told at once: the next period is not awaited. */
    offer.cores_free = 1;
    world_send(w, 3, 3, &registry_free_type, &report);
    world_run(w, 40 * WORLD_MS, STEP_NS);
    for (uint32_t i = 0; i < 4; i++)
        CHECK_INT(w->spies[i].offers[3].cores_free, 1);
    world_destroy(w);
}

TEST(a_node_that_waits_for_its_executor_joins_with_its_first_word) {
    world_options options = {
        .count = 3, .frame_bytes = FRAME_BYTES, .registry = {.await_executor = true}};
    world *w = world_create(&options);
    world_run(w, SL_NS_PER_S, STEP_NS);
    CHECK(world_agrees(w, 1, SL_MEMBER_JOINING));
    registry_free report = {.offer = {&w->spies[0].offers[1], 1}};
    world_send(w, 1, 1, &registry_free_type, &report);
    world_settle(w);
    CHECK(world_agrees(w, 1, SL_MEMBER_ALIVE));
    CHECK(world_agrees(w, 2, SL_MEMBER_JOINING));
    world_destroy(w);
}

TEST(a_node_that_ends_says_that_it_leaves) {
    world *w = create(4);
    world_run(w, SL_NS_PER_S, STEP_NS);
    sl_node_stop(w->nodes[3], 0);
    for (int i = 0; i < 3; i++) /* its loop goes on closing until the others close too */
        for (uint32_t n = 0; n < 4; n++)
            sl_node_turn(w->nodes[n]);
    w->frozen[3] = true;
    world_settle(w);
    CHECK(world_agrees(w, 3, SL_MEMBER_LEAVING));
    world_run(w, 4 * SL_NS_PER_S, STEP_NS);
    CHECK(world_agrees(w, 3, SL_MEMBER_DEAD));
    CHECK_INT(w->spies[0].history_count[3], 3); /* alive, leaving, dead: never suspected */
    world_destroy(w);
}

/* ---- false witness ---- */

static void claim_to(world *w, uint32_t from, uint32_t to, const registry_member *claim) {
    registry_gossip gossip = {.members = {claim, 1}};
    world_send(w, from, to, &registry_gossip_type, &gossip);
    world_settle(w);
}

TEST(a_node_clears_itself_of_suspicion) {
    world *w = create(4);
    world_run(w, SL_NS_PER_S, STEP_NS);
    registry_offer offer;
    registry_member claim = world_claim(0, 1000000, SL_MEMBER_SUSPECTED, &offer);
    claim_to(w, 3, 1, &claim);
    CHECK_INT(w->spies[1].states[0], SL_MEMBER_SUSPECTED);
    world_run(w, 3 * SL_NS_PER_S, STEP_NS);
    CHECK(world_all_alive(w));
    CHECK(w->spies[1].versions[0] > 1000000);
    CHECK_STR(w->spies[1].hosts[0], "host-0");
    world_destroy(w);
}

TEST(one_node_alone_cannot_declare_another_dead) {
    world *w = create(4);
    world_run(w, SL_NS_PER_S, STEP_NS);
    registry_offer offer;
    registry_member claim = world_claim(2, 1000, SL_MEMBER_DEAD, &offer);
    claim_to(w, 3, 1, &claim);
    CHECK_INT(w->spies[1].states[2], SL_MEMBER_SUSPECTED);
    world_run(w, 20 * SL_NS_PER_S, STEP_NS);
    CHECK(world_all_alive(w));
    CHECK_INT(world_metric(w, SL_METRIC_nodes_lost), 0);
    world_destroy(w);
}

/* What the registry of `from` tells `to` as a node that shares the host of `dead`, or pretends to.
 */
static void tell_of_death(world *w, uint32_t from, uint32_t to, uint32_t dead,
                          uint32_t incarnation) {
    registry_died died = {.node = dead, .incarnation = incarnation};
    world_send(w, from, to, &registry_died_type, &died);
    world_settle(w);
}

TEST(the_word_of_a_death_counts_from_its_host_alone) {
    world_options options = {.count = 6, .frame_bytes = FRAME_BYTES, .hosts = 3};
    world *w = world_create(&options);
    world_run(w, SL_NS_PER_S, STEP_NS);
    tell_of_death(w, 1, 0, 5, 1);  /* node 2 shares its host, node 1 does not */
    tell_of_death(w, 5, 0, 5, 1);  /* nobody tells of his own end */
    tell_of_death(w, 3, 0, 0, 1);  /* nor is told of it */
    tell_of_death(w, 2, 0, 99, 1); /* there is no such node */
    CHECK_INT(w->spies[0].states[5], SL_MEMBER_ALIVE);
    CHECK_INT(world_metric(w, SL_METRIC_gossip_refused), 4);
    tell_of_death(w, 2, 0, 5, 0); /* of an earlier life */
    CHECK_INT(w->spies[0].states[5], SL_MEMBER_ALIVE);
    tell_of_death(w, 2, 0, 5, 1);
    CHECK_INT(w->spies[0].states[5], SL_MEMBER_DEAD);
    CHECK(!sl_node_peer_alive(w->nodes[0], 5));
    CHECK_INT(w->spies[1].states[5], SL_MEMBER_ALIVE); /* who was not told goes on */
    world_destroy(w);
}

/* Of two that hear nothing of it, one alone has not been told so by the other. */
TEST(a_node_that_hears_nobody_takes_its_time) {
    world *w = create(4);
    world_run(w, SL_NS_PER_S, STEP_NS);
    for (uint32_t i = 1; i < 4; i++)
        w->frozen[i] = true; /* all at once: it may be this node */
    world_run(w, 4 * SL_NS_PER_S, STEP_NS);
    CHECK_INT(w->spies[0].states[1], SL_MEMBER_SUSPECTED);
    CHECK(sl_node_peer_alive(w->nodes[0], 1));
    world_run(w, 4 * SL_NS_PER_S, STEP_NS);
    CHECK_INT(w->spies[0].states[1], SL_MEMBER_DEAD);
    world_destroy(w);
}

static void ask_for_description(world *w, uint32_t who, uint32_t whom) {
    registry_describe describe = {};
    w->spies[who].ask = whom;
    CHECK_INT(sl_node_send(w->nodes[who], sl_addr_well_known(who, SL_SLOT_DRIVER),
                           &registry_describe_type, &describe),
              SL_OK);
}

TEST(nothing_is_sent_to_a_suspect_but_questions_until_it_answers) {
    world *w = create(3);
    world_run(w, SL_NS_PER_S, STEP_NS);
    w->frozen[2] = true;
    world_run(w, 1500 * WORLD_MS, STEP_NS);
    CHECK_INT(w->spies[0].states[2], SL_MEMBER_SUSPECTED);
    uint64_t waiting = sl_node_loads(w->nodes[0]).queued_bytes;
    for (int i = 0; i < 5; i++)
        ask_for_description(w, 0, 2);
    world_run(w, 300 * WORLD_MS, STEP_NS);
    CHECK(sl_node_loads(w->nodes[0]).queued_bytes > waiting); /* it has not left */
    w->frozen[2] = false;
    world_run(w, 500 * WORLD_MS, STEP_NS);
    CHECK(world_all_alive(w));
    CHECK_INT(sl_node_loads(w->nodes[0]).queued_bytes, 0);
    CHECK_INT(w->spies[0].descriptions, 5);
    world_destroy(w);
}

TEST(what_waited_for_a_suspect_is_not_sent_to_its_next_life) {
    world *w = create(3);
    world_run(w, SL_NS_PER_S, STEP_NS);
    w->frozen[2] = true;
    world_run(w, 1500 * WORLD_MS, STEP_NS);
    CHECK_INT(w->spies[0].states[2], SL_MEMBER_SUSPECTED);
    for (int i = 0; i < 5; i++)
        ask_for_description(w, 0, 2);
    world_run(w, 10 * SL_NS_PER_S, STEP_NS);
    CHECK(world_agrees(w, 2, SL_MEMBER_DEAD));
    CHECK_INT(sl_node_loads(w->nodes[0]).queued_bytes, 0);
    w->frozen[2] = false;
    world_run(w, 3 * SL_NS_PER_S, STEP_NS);
    CHECK(world_all_alive(w));
    CHECK_INT(w->spies[0].descriptions, 0);
    ask_for_description(w, 0, 2); /* but what is said now is */
    world_settle(w);
    CHECK_INT(w->spies[0].descriptions, 1);
    world_destroy(w);
}

TEST(a_node_that_came_back_is_judged_afresh) {
    world *w = create(4);
    world_run(w, SL_NS_PER_S, STEP_NS);
    for (int life = 0; life < 3; life++) {
        w->frozen[2] = true;
        world_run(w, 1100 * WORLD_MS, STEP_NS);
        CHECK(world_agrees(w, 2, SL_MEMBER_SUSPECTED));
        world_run(w, 2100 * WORLD_MS, STEP_NS);
        CHECK(world_agrees(w, 2, SL_MEMBER_DEAD));
        w->frozen[2] = false;
        world_run(w, 3 * SL_NS_PER_S, STEP_NS);
        CHECK(world_all_alive(w));
    }
    world_destroy(w);
}

TEST(the_word_of_a_death_is_not_of_a_later_life) {
    world_options options = {.count = 6, .frame_bytes = FRAME_BYTES, .hosts = 3};
    world *w = world_create(&options);
    world_run(w, SL_NS_PER_S, STEP_NS);
    w->frozen[5] = true;
    world_run(w, 20 * SL_NS_PER_S, STEP_NS);
    CHECK(world_agrees(w, 5, SL_MEMBER_DEAD));
    w->frozen[5] = false;
    world_run(w, 3 * SL_NS_PER_S, STEP_NS);
    CHECK(world_all_alive(w));
    tell_of_death(w, 2, 0, 5, 1);
    CHECK_INT(w->spies[0].states[5], SL_MEMBER_ALIVE);
    tell_of_death(w, 2, 0, 5, sl_node_incarnation(w->nodes[5]));
    CHECK_INT(w->spies[0].states[5], SL_MEMBER_DEAD);
    CHECK(sl_node_peer_is_gone(w->nodes[0], 5)); /* it is not called, nor heard any more */
    world_destroy(w);
}

TEST(a_large_network_misses_a_node_as_soon) {
    world_options options = {
        .count = 96, .frame_bytes = FRAME_BYTES, .registry = {.join_ns = 60 * SL_NS_PER_S}};
    world *w = world_create(&options);
    world_run(w, 4 * SL_NS_PER_S, STEP_NS);
    CHECK(world_all_alive(w));
    w->frozen[50] = true;
    world_run(w, 5 * SL_NS_PER_S, STEP_NS); /* between regions: 3 s, and news has to go round */
    CHECK(world_agrees(w, 50, SL_MEMBER_DEAD));
    CHECK_INT(world_metric(w, SL_METRIC_nodes_lost), 95);
    world_destroy(w);
}

TEST(a_second_witness_hastens_the_verdict) {
    world *w = create(3);
    world_run(w, SL_NS_PER_S, STEP_NS);
    w->frozen[2] = true;
    sl_node_peer_lost(w->nodes[0], 2); /* its transport knows */
    world_run(w, 4 * SL_NS_PER_S, STEP_NS);
    CHECK(world_agrees(w, 2, SL_MEMBER_DEAD)); /* node 1 too, long before its 10 s are over */
    world_destroy(w);
}

TEST(a_node_that_was_given_up_comes_back) {
    world *w = create(4);
    world_run(w, SL_NS_PER_S, STEP_NS);
    uint32_t first = sl_node_incarnation(w->nodes[2]);
    sl_node_peer_lost(w->nodes[0], 2); /* node 2 has done nothing, and still speaks to node 0 */
    world_run(w, STEP_NS, STEP_NS);
    CHECK_INT(w->spies[0].states[2], SL_MEMBER_DEAD);
    world_run(w, 2 * SL_NS_PER_S, STEP_NS);
    CHECK(world_all_alive(w));
    CHECK(sl_node_peer_alive(w->nodes[2], 0) && sl_node_peer_alive(w->nodes[0], 2));
    CHECK(sl_node_incarnation(w->nodes[2]) > first);
    world_run(w, 20 * SL_NS_PER_S, STEP_NS);
    CHECK(world_all_alive(w));
    CHECK_INT(world_metric(w, SL_METRIC_nodes_lost), 2); /* each saw the other lost, once */
    world_destroy(w);
}

TEST(a_frozen_node_comes_back_as_a_new_member) {
    world *w = create(5);
    world_run(w, SL_NS_PER_S, STEP_NS);
    w->frozen[3] = true;
    world_run(w, 20 * SL_NS_PER_S, STEP_NS);
    CHECK(world_agrees(w, 3, SL_MEMBER_DEAD));
    w->frozen[3] = false;
    world_run(w, 3 * SL_NS_PER_S, STEP_NS);
    CHECK(world_all_alive(w));
    for (uint32_t i = 0; i < 5; i++)
        CHECK(i == 3 || sl_node_peer_alive(w->nodes[i], 3));
    CHECK_INT(world_metric(w, SL_METRIC_nodes_back), 8); /* four links, at both ends */
    world_destroy(w);
}

/* It is the first that it takes, together with what was sent before it was missed. */
TEST(a_frozen_node_that_was_given_up_hears_nothing_of_its_life_before) {
    static const sl_link_timings timings = {.all = {300 * WORLD_MS, 500 * WORLD_MS}};
    for (uint64_t begins_ns = 0; begins_ns < 800 * WORLD_MS; begins_ns += 100 * WORLD_MS) {
        world_options options = {
            .count = 4, .frame_bytes = FRAME_BYTES, .registry = {.timings = &timings}};
        world *w = world_create(&options);
        world_run(w, SL_NS_PER_S + begins_ns, STEP_NS);
        w->frozen[2] = true;
        registry_stand refused = {.by = true};
        world_send(w, 0, 2, &registry_stand_type, &refused);
        while (!world_agrees(w, 2, SL_MEMBER_DEAD))
            world_run(w, STEP_NS, STEP_NS);
        w->frozen[2] = false;
        world_run(w, 2 * SL_NS_PER_S, STEP_NS);
        CHECK(world_all_alive(w));
        CHECK_INT(world_metric(w, SL_METRIC_gossip_refused), 0);
        world_destroy(w);
    }
}

TEST(who_is_gone_does_not_come_back) {
    world *w = create(3);
    world_run(w, SL_NS_PER_S, STEP_NS);
    sl_node_peer_gone(w->nodes[0], 2);
    world_run(w, 20 * SL_NS_PER_S, STEP_NS);
    CHECK_INT(w->spies[0].states[2], SL_MEMBER_DEAD);
    CHECK(!sl_node_peer_alive(w->nodes[0], 2));
    world_destroy(w);
}

TEST(two_nodes_that_suspect_each_other_find_out) {
    world *w = create(2);
    world_run(w, SL_NS_PER_S, STEP_NS);
    registry_offer offer;
    registry_member first = world_claim(0, 1000, SL_MEMBER_SUSPECTED, &offer);
    registry_member second = world_claim(1, 1000, SL_MEMBER_SUSPECTED, &offer);
    registry_gossip of_first = {.members = {&first, 1}}, of_second = {.members = {&second, 1}};
    world_send(w, 1, 1, &registry_gossip_type, &of_first);
    world_send(w, 0, 0, &registry_gossip_type, &of_second);
    world_settle(w);
    CHECK_INT(w->spies[1].states[0], SL_MEMBER_SUSPECTED);
    CHECK_INT(w->spies[0].states[1], SL_MEMBER_SUSPECTED);
    world_run(w, 2 * SL_NS_PER_S, STEP_NS);
    CHECK(world_all_alive(w));
    world_destroy(w);
}

/* ---- loops in threads of their own ---- */

static void *run_node(void *node) {
    sl_err err = sl_node_run(node, NULL);
    return err == SL_OK ? NULL : node;
}

typedef struct ender {
    world *w;
    uint32_t alive;
} ender;

static sl_err ender_start(sl_actor *self, void *state, const void *arguments) {
    *(ender *)state = *(const ender *)arguments;
    registry_watch watch = {};
    return registry_watch_send(
        self, sl_addr_well_known(sl_node_id(sl_actor_node(self)), SL_SLOT_REGISTRY), &watch);
}

static sl_err ender_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)self;
    ender *e = state;
    if (message->type != &registry_view_type)
        return SL_OK;
    const registry_view *view = message->body;
    for (uint32_t i = 0; i < view->members.count; i++)
        e->alive |= (view->members.items[i].state == SL_MEMBER_ALIVE)
                    << view->members.items[i].node;
    if (e->alive == (1u << e->w->count) - 1) {
        for (uint32_t i = 0; i < e->w->count; i++)
            sl_node_stop(e->w->nodes[i], 0);
    }
    return SL_OK;
}

static const sl_actor_class ender_class = {
    .name = "ender", .state_bytes = sizeof(ender), .start = ender_start, .receive = ender_receive};

TEST(nodes_in_threads_meet_and_part) {
    world_options options = {.count = 5, .frame_bytes = FRAME_BYTES, .real_time = true};
    world *w = world_create(&options);
    ender arguments = {.w = w};
    CHECK_INT(sl_node_spawn(w->nodes[2], SL_SLOT_FIRST_FREE, &ender_class, &arguments,
                            sizeof arguments, NULL),
              SL_OK);
    pthread_t threads[5];
    for (int i = 0; i < 5; i++)
        REQUIRE(pthread_create(&threads[i], NULL, run_node, w->nodes[i]) == 0);
    for (int i = 0; i < 5; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        CHECK(!failed);
    }
    world_destroy(w);
}
