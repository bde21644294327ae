/* Random graphs of messages between 1 to 64 nodes: order, wholeness, back-pressure, a clean end. */
#include "tests/lib/scenario_graph.h"

#include "tests/lib/test.h"
#include "tests/lib/world.h"

static void run_graph(world_options where, scenario_graph_options what) {
    world w;
    where.seed = what.seed;
    scenario_graph_result *results = calloc(where.count, sizeof *results);
    REQUIRE(results);
    REQUIRE(world_open(&w, &where));
    for (uint32_t i = 0; i < w.count; i++)
        scenario_graph_spawn(w.nodes[i], &what, &results[i]);
    world_run(&w);
    uint64_t received = 0, sent = 0;
    for (uint32_t i = 0; i < w.count; i++) {
        CHECK_INT(w.results[i], SL_OK);
        CHECK_STR(w.details[i], "");
        received += results[i].received;
        sent += results[i].sent;
    }
    CHECK_INT(sent, received);
    CHECK_INT(results[0].total_received, received);
    CHECK_INT(results[0].total_errors, 0);
    if (!what.urgent_each)
        CHECK_INT(received, scenario_graph_total(&what, where.count));
    else
        CHECK(received >= scenario_graph_total(&what, where.count));
    world_close(&w);
    CHECK_INT(sl_blob_alive_bytes(), 0);
    free(results);
}

TEST(one_node) {
    run_graph((world_options){.count = 1}, (scenario_graph_options){.seed = 1,
                                                                    .actors = 8,
                                                                    .parcels = 20,
                                                                    .hops = 20,
                                                                    .body_bytes = 1000000,
                                                                    .urgent_each = 5});
}

TEST(two_nodes_with_blobs) {
    for (uint64_t seed = 1; seed <= 3; seed++)
        run_graph((world_options){.count = 2}, (scenario_graph_options){.seed = seed,
                                                                        .actors = 4,
                                                                        .parcels = 10,
                                                                        .hops = 20,
                                                                        .body_bytes = 1000000,
                                                                        .blob_bytes = 3000000,
                                                                        .urgent_each = 3});
}

TEST(small_windows) {
    for (uint64_t seed = 1; seed <= 3; seed++)
        run_graph(
            (world_options){
                .count = 3,
                .frame_bytes = 1024,
                .node = {.window_bytes = 1, .blob_window_bytes = 1 << 16, .mailbox_limit = 2}},
            (scenario_graph_options){.seed = seed,
                                     .actors = 5,
                                     .parcels = 10,
                                     .hops = 20,
                                     .body_bytes = 100000,
                                     .blob_bytes = 300000,
                                     .urgent_each = 3});
}

TEST(small_messages_among_eight) {
    run_graph((world_options){.count = 8}, (scenario_graph_options){.seed = 4,
                                                                    .actors = 10,
                                                                    .parcels = 20,
                                                                    .hops = 20,
                                                                    .body_bytes = 300,
                                                                    .urgent_each = 4});
}

TEST(sixty_four_nodes) {
    run_graph((world_options){.count = 64, .frame_bytes = 2048},
              (scenario_graph_options){.seed = 5,
                                       .actors = 2,
                                       .parcels = 3,
                                       .hops = 30,
                                       .body_bytes = 5000,
                                       .blob_bytes = 9000});
}

TEST(any_seed) {
    sl_rng rng;
    REQUIRE(sl_rng_seed_from_system(&rng) == SL_OK);
    uint64_t seed = sl_rng_u64(&rng) % 1000000007;
    printf("any_seed: seed %llu\n", (unsigned long long)seed);
    sl_rng_seed(&rng, seed);
    world_options where = {.count = (uint32_t)(2 + sl_rng_below(&rng, 6)),
                           .frame_bytes = (size_t)1024 << sl_rng_below(&rng, 5)};
    where.node.window_bytes = (uint64_t)1 << (10 + sl_rng_below(&rng, 12));
    where.node.blob_window_bytes = (uint64_t)1 << (12 + sl_rng_below(&rng, 15));
    where.node.mailbox_limit = (uint32_t)(1 + sl_rng_below(&rng, 100));
    where.node.spin_ns = sl_rng_below(&rng, 20000);
    run_graph(where, (scenario_graph_options){.seed = seed,
                                              .actors = (uint32_t)(1 + sl_rng_below(&rng, 6)),
                                              .parcels = (uint32_t)(1 + sl_rng_below(&rng, 15)),
                                              .hops = (uint32_t)sl_rng_below(&rng, 30),
                                              .body_bytes = (uint32_t)sl_rng_below(&rng, 1000001),
                                              .blob_bytes = (uint32_t)sl_rng_below(&rng, 3000001),
                                              .urgent_each = (uint32_t)sl_rng_below(&rng, 10)});
}
