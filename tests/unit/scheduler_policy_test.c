/* Policies, estimates and the view of nodes. */
#include "tests/lib/test.h"

#include "actors/scheduler/estimate.h"
#include "actors/scheduler/nodes.h"
#include "actors/scheduler/policy.h"

static sl_policy *policy(const char *name) {
    sl_policy *made = NULL;
    CHECK_INT(sl_policy_create(name, 1, &made), SL_OK);
    return made;
}

static uint32_t choose(sl_policy *p, const sl_task_features *task, const sl_node_features *nodes,
                       uint32_t count) {
    double scores[8];
    uint32_t chosen = p->ops->choose(p, task, nodes, count, scores);
    for (uint32_t i = 0; i < count; i++)
        CHECK(scores[i] <= scores[chosen]); /* the score says why */
    return chosen;
}

TEST(an_unknown_policy_names_the_known_ones) {
    sl_policy *p;
    CHECK_INT(sl_policy_create("best", 1, &p), SL_ERR_NOT_FOUND);
    CHECK_CONTAINS(sl_err_detail(), "random, least-loaded and earliest-completion");
}

TEST(random_reaches_every_candidate_evenly) {
    sl_policy *p = policy("random");
    sl_task_features task = {.cpus = 1};
    sl_node_features nodes[4] = {{.node = 0}, {.node = 1}, {.node = 2}, {.node = 3}};
    int counts[4] = {0};
    for (int i = 0; i < 4000; i++)
        counts[choose(p, &task, nodes, 4)]++;
    for (int i = 0; i < 4; i++)
        CHECK(counts[i] > 850 && counts[i] < 1150);
    p->ops->destroy(p);
}

TEST(least_loaded_looks_at_the_scarcest_of_what_is_asked) {
    sl_policy *p = policy("least-loaded");
    sl_task_features small = {.cpus = 1}, hungry = {.cpus = 1, .memory_bytes = 1e9};
    sl_node_features nodes[2] = {{.node = 0, .cores_free = 0.9, .memory_free = 0.1},
                                 {.node = 1, .cores_free = 0.5, .memory_free = 0.8}};
    CHECK_INT(choose(p, &small, nodes, 2), 0);
    CHECK_INT(choose(p, &hungry, nodes, 2), 1);
    p->ops->destroy(p);
}

TEST(earliest_completion_adds_waiting_and_running) {
    sl_policy *p = policy("earliest-completion");
    sl_task_features task = {.cpus = 1};
    sl_node_features nodes[3] = {
        {.node = 0, .expected_wait_s = 0, .expected_run_s = 9, .cores_free = 1},
        {.node = 1, .expected_wait_s = 5, .expected_run_s = 3, .cores_free = 0},
        {.node = 2, .expected_wait_s = 1, .expected_run_s = 8, .cores_free = 1}};
    CHECK_INT(choose(p, &task, nodes, 3), 1);
    p->ops->destroy(p);
}

TEST(estimates_learn_groups_and_speeds) {
    sl_estimates e;
    CHECK_INT(sl_estimates_init(&e, 2), SL_OK);
    uint32_t sort = sl_estimates_group(&e, sl_text_of("sort")),
             merge = sl_estimates_group(&e, sl_text_of("merge"));
    CHECK(sort && merge && sort != merge);
    CHECK_INT(sl_estimates_group(&e, sl_text_of("sort")), sort);
    CHECK_INT(sl_estimates_group(&e, sl_text_of("")), 0);
    CHECK_DOUBLE(sl_estimate_s(&e, sort, 0), 0, 0);
    for (int i = 0; i < 200; i++) { /* node 1 takes half the time */
        sl_estimates_learn(&e, sort, 0, 2);
        sl_estimates_learn(&e, sort, 1, 1);
    }
    CHECK_DOUBLE(sl_estimate_s(&e, sort, 0) / sl_estimate_s(&e, sort, 1), 2, 0.2);
    CHECK_DOUBLE(sl_estimate_s(&e, sort, 0), 2, 0.2);
    sl_estimates_learn(&e, merge, 0, 10); /* the speeds carry over to other work */
    CHECK(sl_estimate_s(&e, merge, 1) < 0.6 * sl_estimate_s(&e, merge, 0));
    sl_estimates_fini(&e);
}

TEST(estimates_stay_within_reason) {
    sl_estimates e;
    CHECK_INT(sl_estimates_init(&e, 2), SL_OK);
    uint32_t mixed = sl_estimates_group(&e, sl_text_of("mixed"));
    for (int i = 0; i < 3000; i++) { /* nothing alike about them */
        sl_estimates_learn(&e, mixed, 0, i % 2 ? 1000 : 0);
        sl_estimates_learn(&e, mixed, 1, 1e-9);
    }
    for (uint32_t node = 0; node < 2; node++) {
        CHECK(sl_estimate_s(&e, mixed, node) >= 0);
        CHECK(sl_estimate_s(&e, mixed, node) <= 1e9);
    }
    sl_estimates_fini(&e);
}

TEST(many_groups_keep_their_names) {
    sl_estimates e;
    CHECK_INT(sl_estimates_init(&e, 1), SL_OK);
    uint32_t ids[3000];
    char name[32];
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "group-%d", i);
        ids[i] = sl_estimates_group(&e, sl_text_of(name));
    }
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "group-%d", i);
        CHECK_INT(sl_estimates_group(&e, sl_text_of(name)), ids[i]);
    }
    sl_estimates_fini(&e);
}

static registry_member member(registry_offer *offer, uint32_t node, uint8_t state,
                              const char *region) {
    return (registry_member){.node = node,
                             .state = state,
                             .host = sl_text_of("h"),
                             .region = sl_text_of(region),
                             .offer = {offer, 1}};
}

TEST(views_account_what_is_placed) {
    sl_node_views nodes;
    CHECK_INT(sl_node_views_init(&nodes, 3), SL_OK);
    registry_offer offer = {.cores = 4,
                            .cores_free = 4,
                            .memory_bytes = 100,
                            .memory_free_bytes = 100,
                            .ucu_milli = 1000,
                            .ucu_free_milli = 1000};
    registry_member alive = member(&offer, 1, SL_MEMBER_ALIVE, "us-west"), suspected = alive,
                    nobody = alive;
    suspected.state = SL_MEMBER_SUSPECTED;
    nobody.node = 7;
    CHECK(sl_node_views_update(&nodes, &alive, 0));
    CHECK(!sl_node_views_update(&nodes, &alive, 0));
    CHECK(!sl_node_views_update(&nodes, &nobody, 0));
    CHECK(sl_node_views_update(&nodes, &suspected, 0));
    CHECK(!nodes.views[1].usable);
    sl_node_views_update(&nodes, &alive, 0);
    CHECK_INT(nodes.known, 1);
    CHECK_STR(sl_node_host(&nodes.views[0]), "");
    CHECK_STR(sl_node_host(&nodes.views[1]), "h");
    alive.host = sl_text_of("another");
    sl_node_views_update(&nodes, &alive, 0);
    CHECK_STR(sl_node_host(&nodes.views[1]), "another");

    sl_task task = {.cpus = 2, .memory_bytes = 30};
    sl_node_view *view = &nodes.views[1];
    CHECK_INT(sl_node_slots(view, &task), 2);
    sl_node_place(view, &task);
    CHECK_INT(sl_node_slots(view, &task), 1);
    sl_node_place(view, &task);
    CHECK_INT(sl_node_slots(view, &task), 0);
    sl_node_release(view, &task);
    sl_node_release(view, &task);
    CHECK_INT(view->mine.cores, 0);
    CHECK_INT(view->mine.memory_bytes, 0);

    task.region = 0;
    CHECK(sl_node_fits_ever(view, &task));
    CHECK_INT(sl_node_views_region(&nodes, sl_text_of("eu-central"), &task.region), SL_OK);
    CHECK(!sl_node_fits_ever(view, &task));
    CHECK_INT(sl_node_views_region(&nodes, sl_text_of("us-west"), &task.region), SL_OK);
    CHECK(sl_node_fits_ever(view, &task));
    task.cpus = 5;
    CHECK(!sl_node_fits_ever(view, &task));
    sl_node_views_fini(&nodes);
}

TEST(what_fits_now_has_a_slot_and_what_does_not_has_none) {
    sl_node_views nodes;
    CHECK_INT(sl_node_views_init(&nodes, 1), SL_OK);
    sl_node_view *view = &nodes.views[0];
    int fitted = 0;
    for (uint64_t i = 0; i < 4096; i++) { /* small numbers, so that all borders are met */
        view->offer = (sl_amounts){i % 3, i / 3 % 2, i / 7 % 5, i / 11 % 4};
        view->mine = (sl_amounts){i / 2 % 4, i / 5 % 2, i / 3 % 3, 0};
        view->others = (sl_amounts){i / 13 % 2, 0, i / 17 % 2, i / 19 % 3};
        view->tasks = (uint32_t)(i % 130);
        sl_task task = {.cpus = i / 23 % 2,
                        .gpus = i / 29 % 2,
                        .memory_bytes = i / 31 % 3,
                        .ucu_milli = i / 37 % 2};
        CHECK_INT(sl_node_fits_now(view, &task), sl_node_slots(view, &task) > 0);
        fitted += sl_node_fits_now(view, &task);
    }
    CHECK(fitted > 100 && fitted < 4000);
    sl_node_views_fini(&nodes);
}

TEST(others_count_only_while_a_node_refuses_us) {
    sl_node_views nodes;
    CHECK_INT(sl_node_views_init(&nodes, 1), SL_OK);
    registry_offer offer = {.cores = 4, .cores_free = 1, .ucu_milli = 1, .ucu_free_milli = 1};
    registry_member busy = member(&offer, 0, SL_MEMBER_ALIVE, "");
    sl_node_views_update(&nodes, &busy, 0);
    sl_task task = {.cpus = 1};
    CHECK_INT(sl_node_slots(&nodes.views[0], &task),
              4); /* what we hear may be our own, ended since */
    nodes.views[0].contended = 1;
    sl_node_views_update(&nodes, &busy, 0);
    CHECK_INT(sl_node_slots(&nodes.views[0], &task), 1);
    offer.cores_free = 4;
    sl_node_views_update(&nodes, &busy, 0);
    CHECK(!nodes.views[0].contended);
    CHECK_INT(sl_node_slots(&nodes.views[0], &task), 4);
    sl_node_views_fini(&nodes);
}
