/* Back-pressure: many senders and a slow receiver, memory that stays flat, nobody who waits
 * forever. */
#include "tests/lib/scenario_pressure.h"

#include "tests/lib/test.h"
#include "tests/lib/world.h"

enum { LIMIT = 50, HEAD_BYTES = 200 };

static scenario_pressure_result run_pressure(world_options where, scenario_pressure_options what) {
    world w;
    scenario_pressure_result results[16] = {{.received = 0}};
    what.mailbox_limit = LIMIT;
    if (!world_open(&w, &where))
        return (scenario_pressure_result){.received = 0};
    for (uint32_t i = 0; i < w.count; i++)
        scenario_pressure_spawn(w.nodes[i], &what, &results[i]);
    world_run(&w);
    for (uint32_t i = 0; i < w.count; i++) {
        CHECK_INT(w.results[i], SL_OK);
        CHECK(results[i].refused > 0);
        /* One sender may go over the bound by the message that it sends when the queue is nearly
         * full. */
        if (where.node.window_bytes)
            CHECK(results[i].queued_most <=
                  where.node.window_bytes + what.body_bytes + HEAD_BYTES * what.senders);
    }
    CHECK_INT(results[0].received, (uint64_t)where.count * what.senders * what.messages);
    CHECK(results[0].urgent > 0 && results[0].overtaken > 0);
    world_close(&w);
    CHECK_INT(sl_blob_alive_bytes(), 0);
    return results[0];
}

TEST(local_senders_are_held_by_the_mailbox) {
    scenario_pressure_result r = run_pressure(
        (world_options){.count = 1},
        (scenario_pressure_options){.senders = 100, .messages = 500, .body_bytes = 64});
    CHECK(r.waiting_most <= LIMIT + 2 * 100 + 1); /* and an urgent, a room or a timer for each */
    CHECK(r.memory_most <= 1 << 20);              /* one chunk of the slab */
}

TEST(remote_senders_are_held_by_the_window) {
    enum { WINDOW = 65536, NODES = 4, BODY = 200 };
    scenario_pressure_result r = run_pressure(
        (world_options){.count = NODES, .frame_bytes = 4096, .node = {.window_bytes = WINDOW}},
        (scenario_pressure_options){.senders = 100, .messages = 100, .body_bytes = BODY});
    CHECK(r.waiting_most <= LIMIT + 3 * 100 + (NODES - 1) * (WINDOW / BODY + 100));
    CHECK(r.memory_most <= 2 << 20);
}

TEST(bulk_data_is_held_by_its_window) {
    enum { WINDOW = 4 << 20, BLOB = 300000, NODES = 3 };
    scenario_pressure_result r = run_pressure(
        (world_options){.count = NODES, .node = {.blob_window_bytes = WINDOW}},
        (scenario_pressure_options){.senders = 20, .messages = 15, .blob_bytes = BLOB});
    /* What two peers have under way, what is in the mailbox, and one that each node tries to send.
     */
    CHECK(r.blobs_most <= (NODES - 1) * (uint64_t)WINDOW + (uint64_t)BLOB * (LIMIT + NODES + 1));
}

TEST(blobs_larger_than_the_window_go_one_at_a_time) {
    enum { WINDOW = 100000, BLOB = 300000 };
    scenario_pressure_result r =
        run_pressure((world_options){.count = 2, .node = {.blob_window_bytes = WINDOW}},
                     (scenario_pressure_options){.senders = 60, .messages = 3, .blob_bytes = BLOB});
    CHECK(r.blobs_most <= (uint64_t)BLOB * (LIMIT + 4));
}

TEST(bodies_that_go_as_bulk_data) {
    run_pressure((world_options){.count = 3,
                                 .frame_bytes = 1024,
                                 .node = {.window_bytes = 1, .blob_window_bytes = 1 << 18}},
                 (scenario_pressure_options){.senders = 60, .messages = 20, .body_bytes = 5000});
}
